//! The log of an org on sled: append-only, in blocks, chained, durable.
//!
//! | module | for |
//! |---|---|
//! | [`SledLog`] | the one writer: append groups, flush, sentinel |
//! | [`LogReader`], [`Cursor`] | reading from any thread, up to what is durable |
//! | [`Report`] | verifying the whole chain |
//! | [`LogReader::export`], [`import`], [`verify_export`] | moving a log between stores, and backups |
//! | [`SnapshotStore`] | snapshots of the state, which can be thrown away |
//!
//! The rules that hold everywhere here:
//!
//! 1. Nothing is acknowledged, read or named before sled has flushed **and** `sync_data` on our own
//!    handle of its file has returned.
//! 2. A log that is shorter than its sentinel, or has another hash there, is never written to: that
//!    is [`OpenError::Recovery`], not an empty log that starts at seq 1.
//! 3. A stored block has at most [`BLOCK_BYTES_MAX`] bytes, so that sled never uses its blob files.
//! 4. One thread writes, one key at a time. The first error of the disk is final.
//! 5. Whole groups are read, or none of their events.
//!
//! This crate knows neither NATS nor HTTP, and never decodes the body of an event.

mod block;
mod error;
mod open;
mod pack;
mod place;
mod read;
mod sentinel;
mod sled_log;
mod snapshot;
mod space;
mod transfer;
mod verify;
mod walk;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use block::BLOCK_BYTES_MAX;
pub use error::{
    Broken, Fault, FileError, LogError, Mismatch, NoSpace, OpenError, ReadError, Recovery, SentinelError,
};
pub use open::Healed;
pub use read::{Cursor, LogReader};
pub use sentinel::Sentinel;
pub use sled_log::SledLog;
pub use snapshot::{Found, Skipped, Snapshot, SnapshotStore};
pub use space::SpaceGuard;
pub use transfer::{ExportError, ImportError, Imported, import, verify_export};
pub use verify::{Damage, Report};

/// How a log is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Directory of the log; made if it is not there.
    pub dir: PathBuf,
    /// Memory that sled may use for pages. The log is read in order, so more buys little.
    pub cache_bytes: u64,
    /// How often sled writes and tidies in the background, besides the flushes of the writer.
    pub flush_every_ms: u64,
    /// How old the sentinel may become under load.
    pub sentinel_every_ms: u64,
    /// Batches are refused while less than this is free on the disk: sled does not survive a full
    /// one.
    pub free_bytes_min: u64,
}

impl Config {
    /// The log in `dir` with the usual figures.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            cache_bytes: 32 << 20,
            // sled's thread syncs the whole file each time, and a batch that is to be durable waits for that.
            flush_every_ms: 5_000,
            sentinel_every_ms: 100,
            free_bytes_min: 256 << 20,
        }
    }
}
