//! Keys of frames: one for each direction of a connection, derived, never sent.

use std::fmt;

use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use hkdf::Hkdf;
use sha2::Sha256;
use tieline_core::{ConnectionId, OrgName};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use crate::invitation::SecretHash;

/// The key that seals and opens the frames of one direction. Wiped when dropped.
#[derive(Clone)]
pub struct FrameKey {
    pub(super) cipher: XChaCha20Poly1305,
    id: u64,
}

impl FrameKey {
    /// Names this key in frame headers, and tells nothing about it. It is derived like the key, so
    /// both sides know it and no counter is needed.
    #[must_use]
    pub const fn id(&self) -> u64 {
        self.id
    }
}

impl fmt::Debug for FrameKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameKey").field("id", &format_args!("{:016x}", self.id)).finish_non_exhaustive()
    }
}

/// The partner's public key is one of the few that give every secret the same result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("The partner's public key is weak: refuse the connection and ask the partner for a new key")]
pub struct WeakPublicKey;

/// The two keys of a connection, as one side sees them.
#[derive(Debug, Clone)]
pub struct DirectionKeys {
    /// Seals what this org sends.
    pub sending: FrameKey,
    /// Opens what the partner sends.
    pub receiving: FrameKey,
}

impl DirectionKeys {
    /// Derives both keys: HKDF-SHA256 over the X25519 shared secret and the hash of the
    /// invitation's secret, bound to connection, sender and receiver (PROTOCOL §2). The partner,
    /// with its own secret and this org's public key, derives the same two the other way round.
    ///
    /// # Errors
    /// [`WeakPublicKey`], when the partner's key has a small order.
    pub fn derive(
        own: &StaticSecret,
        partner: [u8; 32],
        secret_hash: &SecretHash,
        connection: ConnectionId,
        me: &OrgName,
        partner_name: &OrgName,
    ) -> Result<Self, WeakPublicKey> {
        let shared = own.diffie_hellman(&PublicKey::from(partner));
        if !shared.was_contributory() {
            return Err(WeakPublicKey);
        }
        let mut input = Zeroizing::new([0; 64]);
        let (first, second) = input.split_at_mut(32);
        first.copy_from_slice(shared.as_bytes());
        second.copy_from_slice(secret_hash.as_bytes());
        let hkdf = Hkdf::<Sha256>::new(None, input.as_slice());
        let key = |from, to| frame_key(&hkdf, connection, from, to);
        Ok(Self { sending: key(me, partner_name), receiving: key(partner_name, me) })
    }
}

fn frame_key(hkdf: &Hkdf<Sha256>, connection: ConnectionId, from: &OrgName, to: &OrgName) -> FrameKey {
    let route = route(connection, from, to);
    let mut id = [0; 8];
    expand(hkdf, b"tieline frame key id 1", &route, &mut id);
    FrameKey { cipher: cipher(hkdf, b"tieline frame key 1", &route), id: u64::from_be_bytes(id) }
}

/// The cipher for what `label` names on `route`.
pub(super) fn cipher(hkdf: &Hkdf<Sha256>, label: &[u8], route: &[u8]) -> XChaCha20Poly1305 {
    let mut key = Zeroizing::new([0; 32]);
    expand(hkdf, label, route, key.as_mut());
    XChaCha20Poly1305::new(key.as_slice().into())
}

fn expand(hkdf: &Hkdf<Sha256>, label: &[u8], route: &[u8], out: &mut [u8]) {
    // HKDF-SHA256 refuses more than 8,160 bytes; the callers above ask for 8 and 32.
    #[expect(clippy::expect_used, reason = "a constant length below the limit of HKDF")]
    hkdf.expand_multi_info(&[label, route], out).expect("8 or 32 bytes");
}

/// Connection and both orgs as unambiguous bytes: names are prefixed with their length.
pub(super) fn route(connection: ConnectionId, from: &OrgName, to: &OrgName) -> Vec<u8> {
    let mut route = Vec::with_capacity(16 + 2 + 80);
    route.extend_from_slice(&connection.0.to_be_bytes());
    for name in [from, to] {
        // A name has at most 40 bytes.
        route.push(name.as_str().len() as u8);
        route.extend_from_slice(name.as_str().as_bytes());
    }
    route
}
