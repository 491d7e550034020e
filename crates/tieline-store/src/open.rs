//! Opening a log: heal what is known to heal, and refuse everything else.
//!
//! In this order: lock, remove what a killed sled left behind, open sled, compare the end of the
//! log with the sentinel, delete an unfinished group durably, sync, write the sentinel. Nothing is
//! deleted from a log that contradicts its sentinel, and nothing leaves the log before all is done.

use std::fs::File;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tieline_core::log::Head;
use tieline_core::{Incarnation, Seq};

use crate::Config;
use crate::block::Key;
use crate::error::{Broken, FileError, Mismatch, OpenError, Recovery, SentinelError};
use crate::place::Place;
use crate::read::{Shared, span_before};
use crate::sentinel::{Keeper, Sentinel};
use crate::sled_log::{SledLog, SyncData};
use crate::walk::Walk;

/// What opening a log had to mend. All of it is logged as a warning, too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Healed {
    /// Snapshots that sled was writing when it was killed; they were removed.
    pub removed: Vec<PathBuf>,
    /// Snapshots with which sled did not open; this is where they lie now.
    pub set_aside: Vec<PathBuf>,
    /// First seq of a group that was never acknowledged and never completely written; its blocks
    /// were deleted.
    pub dropped: Option<Seq>,
}

impl SledLog {
    /// Opens the log, or makes a new one for the incarnation `fresh` if the directory has none.
    ///
    /// # Errors
    /// The log is in use, cannot be opened, or is not what its sentinel says
    /// ([`OpenError::Recovery`]); then nothing was changed.
    pub fn open(config: &Config, fresh: Incarnation) -> Result<Self, OpenError> {
        Self::open_with(config, fresh, File::sync_data)
    }

    pub(crate) fn open_with(
        config: &Config,
        fresh: Incarnation,
        sync_data: SyncData,
    ) -> Result<Self, OpenError> {
        let place = Place::lock(&config.dir, true)?;
        let recovery = |mismatch| Box::new(Recovery { dir: config.dir.clone(), mismatch });
        let sentinel = match Sentinel::read(&place.sentinel()) {
            Err(SentinelError::Gone) if !place.db().exists() => {
                // The sentinel comes first: from here on a missing log is a lost one.
                let sentinel = Sentinel { incarnation: fresh, head: Head::START };
                sentinel.write(&place.sentinel())?;
                Ok(sentinel)
            }
            Ok(sentinel) if sentinel.head.seq > Seq(0) && !place.db().exists() => {
                // Not opened: sled would make an empty log, as if there had never been another.
                return Err(recovery(Mismatch::Shorter { found: Head::START, sentinel }).into());
            }
            sentinel => sentinel,
        };
        let (blocks, mut healed) = open_sled(config, &place)?;
        let tail = tail(&blocks).map_err(|broken| recovery(broken.into()))?;
        let sentinel = sentinel
            .map_err(|why| Mismatch::NoSentinel { found: tail.head, why })
            .and_then(|sentinel| compare(&blocks, tail.head, sentinel).map(|()| sentinel))
            .map_err(recovery)?;
        healed.dropped = tail.unfinished;
        start(config, place, blocks, tail, sentinel.incarnation, healed, sync_data)
    }

    /// Takes the log as it is, shorter or other than its sentinel says, under a later incarnation:
    /// a person has decided so. All of it is verified first.
    ///
    /// # Errors
    /// As [`SledLog::open`]; a block is broken; `incarnation` is not later than that of the
    /// sentinel.
    pub fn recover(config: &Config, incarnation: Incarnation) -> Result<Self, OpenError> {
        let place = Place::lock(&config.dir, false)?;
        if let Ok(Sentinel { incarnation: known, .. }) = Sentinel::read(&place.sentinel())
            && incarnation <= known
        {
            return Err(OpenError::OldIncarnation { dir: place.dir, known, given: incarnation });
        }
        let (blocks, mut healed) = open_sled(config, &place)?;
        let recovery =
            |broken: Broken| Box::new(Recovery { dir: config.dir.clone(), mismatch: broken.into() });
        let tail = tail(&blocks).map_err(recovery)?;
        walk_to(&blocks, Head::START, tail.head.seq).map_err(recovery)?;
        healed.dropped = tail.unfinished;
        start(config, place, blocks, tail, incarnation, healed, File::sync_data)
    }
}

/// The end of a log as it was found.
#[derive(Debug)]
pub(crate) struct Tail {
    /// The last whole group.
    pub(crate) head: Head,
    /// First seq of a group behind it whose last part is not there.
    unfinished: Option<Seq>,
}

/// Finds the end of the log.
pub(crate) fn tail(blocks: &sled::Tree) -> Result<Tail, Broken> {
    let mut unfinished = None;
    let mut span = span_before(blocks, Seq(u64::MAX))?;
    if let Some(open) = span.as_ref().filter(|span| !span.whole) {
        unfinished = Some(open.first);
        span = span_before(blocks, open.first)?;
    }
    let head = span.map_or(Head::START, |span| Head { seq: span.last, hash: span.hash });
    Ok(Tail { head, unfinished })
}

/// Opens sled's files, and heals the two states in which it does not open them.
pub(crate) fn open_sled(config: &Config, place: &Place) -> Result<(sled::Db, Healed), OpenError> {
    let mut healed = Healed { removed: place.remove_unfinished_snapshots()?, ..Healed::default() };
    for path in &healed.removed {
        tracing::warn!(path = %path.display(), "removed a snapshot of sled that was never finished");
    }
    let opened = match try_open_sled(config, place) {
        Err(OpenError::Sled { source, .. }) if matches!(*source, sled::Error::Corruption { .. }) => {
            healed.set_aside = place.set_snapshots_aside()?;
            for path in &healed.set_aside {
                tracing::warn!(path = %path.display(), "set aside a snapshot with which sled did not open");
            }
            try_open_sled(config, place)
        }
        opened => opened,
    };
    Ok((opened?, healed))
}

fn try_open_sled(config: &Config, place: &Place) -> Result<sled::Db, OpenError> {
    // sled keeps its own lock for moments after its handle was dropped. We hold the lock of the
    // directory, so it can only be such a remnant in this process.
    let mut remnant_waits = 100;
    loop {
        let settings = sled::Config::new()
            .path(place.blocks())
            .cache_capacity(config.cache_bytes)
            .mode(sled::Mode::HighThroughput)
            .flush_every_ms(Some(config.flush_every_ms));
        // sled panics on some files that were cut off; the operator gets the name of the log.
        let opened = panic::catch_unwind(AssertUnwindSafe(|| settings.open()));
        let dir = place.dir.clone();
        match opened {
            Ok(Ok(blocks)) => return Ok(blocks),
            Ok(Err(error)) if remnant_waits > 0 && is_lock(&error) => {
                remnant_waits -= 1;
                thread::sleep(Duration::from_millis(20));
            }
            Ok(Err(error)) => return Err(OpenError::Sled { dir, source: Arc::new(error) }),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                return Err(OpenError::Panicked { dir, message: text.unwrap_or("no message").to_owned() });
            }
        }
    }
}

fn is_lock(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.to_string().contains("could not acquire lock"))
}

/// Whether the log reaches at least as far as the sentinel, with that hash, and hangs together
/// from there on.
fn compare(blocks: &sled::Tree, head: Head, sentinel: Sentinel) -> Result<(), Mismatch> {
    let named = sentinel.head;
    if head.seq < named.seq {
        return Err(Mismatch::Shorter { found: head, sentinel });
    }
    let span = span_before(blocks, named.seq.next())?;
    let found = span.map_or(Head::START, |span| Head { seq: span.last, hash: span.hash });
    if found != named {
        return Err(Mismatch::OtherHash { found, sentinel });
    }
    Ok(walk_to(blocks, named, head.seq)?)
}

/// Walks the chain behind `head` up to the event `last`.
fn walk_to(blocks: &sled::Tree, head: Head, last: Seq) -> Result<(), Broken> {
    let mut walk = Walk::behind(head);
    let mut range = blocks.range(walk.next().bytes()..);
    let mut raw = Vec::new();
    while walk.head().seq < last {
        let entry = range.next().ok_or_else(|| walk.ended(last))?;
        let (key, value) = entry.map_err(|error| walk.unreadable(error))?;
        walk.check(&key, &value, &mut raw)?;
    }
    Ok(())
}

/// Mends the tail, makes everything durable, and only then hands the log out.
fn start(
    config: &Config,
    place: Place,
    blocks: sled::Db,
    tail: Tail,
    incarnation: Incarnation,
    healed: Healed,
    sync_data: SyncData,
) -> Result<SledLog, OpenError> {
    let sled_error = |source| OpenError::Sled { dir: config.dir.clone(), source: Arc::new(source) };
    let db = place.db();
    let file = File::open(&db).map_err(FileError::at("open", &db))?;
    if let Some(first) = tail.unfinished {
        delete_parts(&blocks, first).map_err(sled_error)?;
        tracing::warn!(%first, "dropped a group at the end of the log that was never completely written");
    }
    // Whole groups that nobody was told about become durable here, and so does what was deleted.
    blocks.flush().map_err(sled_error)?;
    sync_data(&file).map_err(FileError::at("sync", &db))?;
    place.sync_all()?;
    let every = Duration::from_millis(config.sentinel_every_ms);
    let keeper = Keeper::start(place.sentinel(), every, Sentinel { incarnation, head: tail.head })?;
    let shared = Shared::new(blocks, tail.head, place);
    SledLog::start(config, shared, file, keeper, healed, sync_data)
}

/// Deletes the parts of the group that begins at `first`, the last one first: whatever a crash
/// leaves is again a group without its end.
pub(crate) fn delete_parts(blocks: &sled::Tree, first: Seq) -> Result<(), sled::Error> {
    let keys: Vec<_> = blocks.range(Key::of(first).bytes()..).keys().collect::<Result<_, _>>()?;
    for key in keys.iter().rev() {
        blocks.remove(key)?;
    }
    Ok(())
}
