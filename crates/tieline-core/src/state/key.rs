//! The keys of a connection: which are in use, and which still open frames for an overlap.
//!
//! Only public keys and numbers are here. Secrets never come into the state or the log.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;

use crate::Timestamp;

/// A key that this org made for one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnKey {
    /// Which it is, from one; numbers only rise.
    pub number: u32,
    /// Its public half.
    pub public_key: ByteArray<32>,
}

/// A key that has a successor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Former<K> {
    /// The key.
    pub key: K,
    /// It opens frames until then.
    pub until: Timestamp,
}

impl<K: Copy> Former<K> {
    /// The key, while it still opens frames.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> Option<K> {
        (now < self.until).then_some(self.key)
    }
}

/// This org's keys of one connection. Nothing in the place of a key means the key of the org, with
/// which every connection begins; its number is zero.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct OwnKeys {
    /// We seal with it.
    pub present: Option<OwnKey>,
    /// The partner was told of it, and has not sealed for it yet.
    pub announced: Option<OwnKey>,
    /// The one before the present one.
    pub former: Option<Former<Option<OwnKey>>>,
}

impl OwnKeys {
    /// The number of the key that we seal with.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.present.map_or(0, |key| key.number)
    }

    /// The newest key that the partner may know.
    #[must_use]
    pub fn newest(&self) -> Option<OwnKey> {
        self.announced.or(self.present)
    }
}
