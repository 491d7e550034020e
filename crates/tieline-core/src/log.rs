//! The log as core sees it: groups of encoded events, numbered without gaps, chained by hash.
//!
//! A **group** holds the events of one command: all of them are in the log, or none. Core encodes
//! groups and reads them back; where they are kept is behind the trait [`Log`], with [`MemLog`] as
//! its twin for tests and simulation. This module must never decode the body of an event, and never
//! hand out an event that is not durable.

mod group;
mod groups;
mod mem;

use std::fmt;

pub use group::{Group, GroupRefused};
pub use groups::{GroupEvents, GroupRef, Groups, MalformedGroup, StoredEvent, StoredEventBuf};
pub use mem::MemLog;

use crate::ids::Seq;

/// A log that takes whole groups and gives them back.
///
/// Only one thread appends. `append` alone promises nothing: what it took can be lost until
/// `flush` has returned, and is neither read nor named by `head` before.
pub trait Log {
    /// Why a log refuses or fails.
    type Error: std::error::Error;

    /// Takes `groups` in order, numbers their events from the last one on, and returns the seq of
    /// the last event that was ever appended.
    ///
    /// # Errors
    /// A group that is empty or larger than [`Group::BYTES_MAX`] refuses the whole batch, and
    /// nothing of it is appended.
    fn append(&mut self, groups: &[Group]) -> Result<Seq, Self::Error>;

    /// Makes everything that was appended durable.
    ///
    /// # Errors
    /// Whether the batch survives is not known then: the log must be dropped and opened again.
    fn flush(&mut self) -> Result<(), Self::Error>;

    /// Reads whole groups, from the one that holds `from` (the first of all for seq 0) up to the
    /// last durable one; stops after the group or block that reaches `max_bytes`, so it makes
    /// progress with any bound. Empty, to be read on at `from`, if nothing so late is durable.
    ///
    /// # Errors
    /// The log is damaged where it was read.
    fn read_from(&self, from: Seq, max_bytes: usize) -> Result<Groups, Self::Error>;

    /// The last durable event, and the chain hash there.
    fn head(&self) -> Head;
}

/// The hash of everything up to some point of a log: each link covers the link before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChainHash(pub [u8; 32]);

impl ChainHash {
    /// The hash before the first event.
    pub const START: Self = Self([0; 32]);

    /// The hash after `parts`, taken as one run of bytes, have followed this one: BLAKE3 of this
    /// hash and the parts.
    #[must_use]
    pub fn link(self, parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0);
        for part in parts {
            hasher.update(part);
        }
        Self(*hasher.finalize().as_bytes())
    }
}

impl fmt::Display for ChainHash {
    /// 64 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

/// How far a log reaches: its last event and the chain hash there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Head {
    /// The last event; zero if there is none.
    pub seq: Seq,
    /// The chain hash after that event.
    pub hash: ChainHash,
}

impl Head {
    /// The head of a log without events.
    pub const START: Self = Self { seq: Seq(0), hash: ChainHash::START };
}

impl Default for Head {
    fn default() -> Self {
        Self::START
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seq {} with hash {:.16}", self.seq, self.hash.to_string())
    }
}
