//! Hello and welcome: sealed with what the invitation's secret gives, before any public key is
//! agreed (PROTOCOL §2).
//!
//! The keys come from the hash of the secret, which the inviter stores. Hello and welcome have
//! different keys, each bound to the connection and to who speaks to whom: a hello sent back is no
//! welcome. What they say is the caller's; a replayed hello is settled by the inviter's log.

use chacha20poly1305::XChaCha20Poly1305;
use hkdf::Hkdf;
use sha2::Sha256;
use tieline_core::{ConnectionId, OrgName};

use super::frame::{seal, split_kind};
use super::key::{cipher, route};
use super::{FrameError, SealError};
use crate::invitation::SecretHash;
use crate::limits::{FRAME_OVERHEAD_BYTES, HELLO_BYTES_MAX};

const HELLO: u8 = b'H';
const WELCOME: u8 = b'W';
const CONNECTION_BYTES: usize = 16;
/// Most bytes that a hello or welcome may say.
const SAID_BYTES_MAX: usize = HELLO_BYTES_MAX - FRAME_OVERHEAD_BYTES - CONNECTION_BYTES;

/// The keys of one handshake, the same on both sides.
pub struct HandshakeKeys {
    connection: ConnectionId,
    hello: XChaCha20Poly1305,
    welcome: XChaCha20Poly1305,
}

impl HandshakeKeys {
    /// Derives the keys of the handshake in which `acceptor` answers the invitation of `inviter`.
    /// The acceptor has the hash from the URL; the inviter has it from its log, and takes the
    /// acceptor's name from the subject that the hello came on.
    #[must_use]
    pub fn derive(
        secret_hash: &SecretHash,
        connection: ConnectionId,
        inviter: &OrgName,
        acceptor: &OrgName,
    ) -> Self {
        let hkdf = Hkdf::<Sha256>::new(None, secret_hash.as_bytes());
        Self {
            connection,
            hello: cipher(&hkdf, b"tieline hello key 1", &route(connection, acceptor, inviter)),
            welcome: cipher(&hkdf, b"tieline welcome key 1", &route(connection, inviter, acceptor)),
        }
    }

    /// Seals what the acceptor says.
    ///
    /// # Errors
    /// [`SealError`]; `said` may have about 8 KiB.
    pub fn seal_hello(&self, said: &[u8]) -> Result<Vec<u8>, SealError> {
        self.seal(HELLO, &self.hello, said)
    }

    /// Opens what the acceptor said.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn open_hello(&self, sealed: &[u8]) -> Result<Vec<u8>, FrameError> {
        open(HELLO, &self.hello, sealed)
    }

    /// Seals what the inviter replies, be it a welcome or a refusal.
    ///
    /// # Errors
    /// [`SealError`]; `said` may have about 8 KiB.
    pub fn seal_welcome(&self, said: &[u8]) -> Result<Vec<u8>, SealError> {
        self.seal(WELCOME, &self.welcome, said)
    }

    /// Opens what the inviter replied.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn open_welcome(&self, sealed: &[u8]) -> Result<Vec<u8>, FrameError> {
        open(WELCOME, &self.welcome, sealed)
    }

    fn seal(&self, kind: u8, cipher: &XChaCha20Poly1305, said: &[u8]) -> Result<Vec<u8>, SealError> {
        if said.len() > SAID_BYTES_MAX {
            return Err(SealError::TooLarge { part: "body", bytes: said.len(), limit: SAID_BYTES_MAX });
        }
        seal(kind, cipher, &self.connection.0.to_be_bytes(), said)
    }
}

/// Which connection a sealed hello is about, before it is opened: it finds the hash and proves
/// nothing.
///
/// # Errors
/// [`FrameError::TooLarge`], [`FrameError::Truncated`] and [`FrameError::Version`].
pub fn hello_connection(sealed: &[u8]) -> Result<ConnectionId, FrameError> {
    if sealed.len() > HELLO_BYTES_MAX {
        return Err(FrameError::TooLarge);
    }
    let header = split_kind(HELLO, sealed)?.header;
    let id = <[u8; CONNECTION_BYTES]>::try_from(header).map_err(|_| FrameError::Version)?;
    Ok(ConnectionId(u128::from_be_bytes(id)))
}

fn open(kind: u8, cipher: &XChaCha20Poly1305, sealed: &[u8]) -> Result<Vec<u8>, FrameError> {
    if sealed.len() > HELLO_BYTES_MAX {
        return Err(FrameError::TooLarge);
    }
    split_kind(kind, sealed)?.open_with(cipher)
}
