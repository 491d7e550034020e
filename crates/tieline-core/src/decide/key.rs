//! Keys of a connection that are changed while it runs (PROTOCOL §2).
//!
//! Our new key is announced, and opens frames from then on. We seal with it once the partner has
//! sealed for it: only that proves that the partner has it and knows what to do with it. A receipt
//! of the announcement would not, for a version that does not know the kind passes it over.

use crate::ConnectionId;
use crate::command::{Refusal, Reply};
use crate::decide::draft::Draft;
use crate::decide::{connection, share};
use crate::event::{self, AlarmRaised, KeyConfirmed, PartnerKeyChanged};
use crate::limits::KEY_OVERLAP_US;
use crate::message::KeyAnnounced;
use crate::state::{Connection, OwnKey};

/// The points of X25519 whose order is small: with one of them every secret gives the same key.
const WEAK_KEYS: [[u8; 32]; 7] = [
    low(0),
    low(1),
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda,
        0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04,
        0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
    ],
    high(0xec),
    high(0xed),
    high(0xee),
];

/// A number below 256, little endian.
const fn low(first: u8) -> [u8; 32] {
    let mut key = [0; 32];
    key[0] = first;
    key
}

/// A number near the prime 2^255 - 19, little endian.
const fn high(first: u8) -> [u8; 32] {
    let mut key = [0xff; 32];
    key[0] = first;
    key[31] = 0x7f;
    key
}

/// Whether a public key of X25519 gives every secret the same result: frames sealed for it could be
/// read by anybody.
#[must_use]
pub fn is_weak(public_key: &[u8; 32]) -> bool {
    let mut key = *public_key;
    // X25519 does not look at the last bit.
    key[31] &= 0x7f;
    WEAK_KEYS.contains(&key)
}

/// Announces a new key of ours, whose secret is on disk already.
pub(super) fn announce(draft: &mut Draft<'_>, id: ConnectionId, key: OwnKey) -> Result<Reply, Refusal> {
    let connection = share::active(draft.state, id)?;
    let keys = &connection.own_keys;
    if keys.newest().is_some_and(|newest| keys.announced.is_some() || newest.number >= key.number) {
        let text = format!(
            "a new key of connection {id} was announced and is not in use yet: wait until {} has taken it, \
             which needs its daemon to run and to know key rotation",
            connection.display_name()
        );
        return Err(Refusal::conflict("rotation_pending", text));
    }
    send(draft, connection, key);
    Ok(Reply::Connection(id))
}

/// Tells the partner our newest key again: after a restore it may not know it.
pub(super) fn tell(draft: &mut Draft<'_>, connection: &Connection) {
    if let Some(key) = connection.own_keys.newest() {
        send(draft, connection, key);
    }
}

fn send(draft: &mut Draft<'_>, connection: &Connection, key: OwnKey) {
    let position = draft.position(connection);
    let (number, public_key) = (key.number, *key.public_key);
    let actor = Some(draft.actor.clone());
    draft.emit(event::KeyAnnounced { connection: connection.id, position, number, public_key, actor });
}

/// The partner has sealed for a newer key of ours.
pub(super) fn confirm(draft: &mut Draft<'_>, id: ConnectionId, key: OwnKey) -> Result<Reply, Refusal> {
    let connection = connection::find(draft.state, id)?;
    let keys = &connection.own_keys;
    if key.number <= keys.number() {
        return Ok(Reply::Unchanged);
    }
    let (number, public_key) = (key.number, *key.public_key);
    let until = draft.now.plus_us(KEY_OVERLAP_US);
    draft.emit(KeyConfirmed { connection: id, number, public_key, until });
    if keys.announced != Some(key) && connection.is_active() {
        // Our log was restored to before the announcement, and has perhaps told the partner an older
        // key since: the newest is said last.
        send(draft, connection, key);
    }
    Ok(Reply::Done)
}

/// Takes a new key of the partner.
pub(super) fn take(draft: &mut Draft<'_>, connection: &Connection, announced: &KeyAnnounced) {
    let public_key = announced.public_key;
    if connection.partner_key.is_some_and(|known| *known == public_key) {
        return;
    }
    if is_weak(&public_key) {
        draft.emit(AlarmRaised {
            connection: Some(connection.id),
            code: "weak_key".to_owned(),
            message: format!(
                "{} announced a key under which anybody could read, and it was not taken: its daemon is broken \
                 or not what it says; ask the partner, and if in doubt `tieline connection deactivate {}`",
                connection.display_name(),
                connection.id
            ),
        });
        return;
    }
    let until = draft.now.plus_us(KEY_OVERLAP_US);
    draft.emit(PartnerKeyChanged { connection: connection.id, public_key, until });
}
