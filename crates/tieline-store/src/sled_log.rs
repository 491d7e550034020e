//! The writer's end of the log: append, flush, sentinel.
//!
//! Durable means: sled has flushed, and then `sync_data` on our own handle of its file has
//! returned, because sled's flush alone does not survive a power cut. Only single keys are
//! inserted, by one thread: batches and transactions of sled wait for each other's flushes.
//!
//! Any error of the disk is final. The log then answers every call with that error, and a sync is
//! never tried again: the kernel reports a failed write only once.

use std::fs::File;
use std::io;
use std::sync::Arc;

use tieline_core::log::{Group, Groups, Head, Log};
use tieline_core::{Incarnation, Seq};

use crate::Config;
use crate::block::Key;
use crate::error::{FileError, LogError, OpenError};
use crate::open::Healed;
use crate::pack::{PackError, Packer};
use crate::read::{LogReader, Shared};
use crate::sentinel::{Keeper, Sentinel};
use crate::space::SpaceGuard;

/// How a file's data is made durable: [`File::sync_data`], but for tests.
pub(crate) type SyncData = fn(&File) -> io::Result<()>;

/// The log on sled. It belongs to one thread; readers come from [`SledLog::reader`].
pub struct SledLog {
    reader: LogReader,
    // Our own handle of sled's file: sled does not let us sync its own.
    file: File,
    sync_data: SyncData,
    packer: Packer,
    appended: Head,
    sentinel: Keeper,
    space: SpaceGuard,
    healed: Healed,
    failed: Option<LogError>,
}

impl std::fmt::Debug for SledLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { reader, appended, sentinel, failed, .. } = self;
        f.debug_struct("SledLog")
            .field("dir", &reader.dir())
            .field("appended", appended)
            .field("sentinel", sentinel)
            .field("failed", failed)
            .finish_non_exhaustive()
    }
}

impl SledLog {
    pub(crate) fn start(
        config: &Config,
        shared: Shared,
        file: File,
        sentinel: Keeper,
        healed: Healed,
        sync_data: SyncData,
    ) -> Result<Self, OpenError> {
        let packer = Packer::new().map_err(|error| OpenError::Compress(Arc::new(error)))?;
        let appended = shared.durable();
        let space = SpaceGuard::new(&config.dir, config.free_bytes_min);
        let reader = LogReader { shared: Arc::new(shared) };
        Ok(Self { reader, file, sync_data, packer, appended, sentinel, space, healed, failed: None })
    }

    /// A reader of this log, for any thread.
    #[must_use]
    pub fn reader(&self) -> LogReader {
        self.reader.clone()
    }

    /// What opening the log had to mend.
    #[must_use]
    pub fn healed(&self) -> &Healed {
        &self.healed
    }

    /// The guard of the free space, for those who want to refuse work before it reaches the log.
    #[must_use]
    pub fn space(&self) -> &SpaceGuard {
        &self.space
    }

    /// The life of the daemon that this log is in.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.sentinel.written().incarnation
    }

    /// Begins another life, durably, before anything tells of it.
    ///
    /// # Errors
    /// As [`Log::flush`].
    pub fn begin_incarnation(&mut self, incarnation: Incarnation) -> Result<(), LogError> {
        let head = self.head();
        self.or_fail(|log| Ok(log.sentinel.put(Sentinel { incarnation, head })?))
    }

    /// Brings the sentinel up to the durable head. To be called whenever nothing is left to do, so
    /// that the sentinel lags behind only under load; `append` writes it then, once per interval.
    ///
    /// # Errors
    /// As [`Log::flush`].
    pub fn rest(&mut self) -> Result<(), LogError> {
        let head = self.head();
        self.or_fail(|log| Ok(log.sentinel.catch_up(head)?))
    }

    /// Ends the writing: flushes and writes the sentinel. Dropping does the same, but can only log
    /// an error.
    ///
    /// # Errors
    /// As [`Log::flush`].
    pub fn close(mut self) -> Result<(), LogError> {
        self.flush()?;
        self.rest()
    }

    /// Does `work` unless the log has failed already; an error that is fatal stays.
    fn or_fail<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, LogError>) -> Result<T, LogError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let done = work(self);
        self.failed = done.as_ref().err().filter(|error| error.is_fatal()).cloned();
        done
    }

    fn append_blocks(&mut self, groups: &[Group]) -> Result<Seq, LogError> {
        // Here the replies of the last batch are out: the sentinel delays nobody but this batch.
        self.sentinel.keep(self.reader.head())?;
        let shared = &self.reader.shared;
        let packed = self.packer.pack(self.appended, groups, |key, value| insert(shared, key, value));
        self.appended = packed.map_err(|error| match error {
            PackError::Put(error) => error,
            PackError::Compress(error) => {
                LogError::Compress { dir: shared.place.dir.clone(), source: Arc::new(error) }
            }
        })?;
        Ok(self.appended.seq)
    }

    /// Appends a block that is sealed already and leads to `head`: one of an imported log.
    pub(crate) fn append_sealed(&mut self, key: Key, value: &[u8], head: Head) -> Result<(), LogError> {
        self.or_fail(|log| {
            insert(&log.reader.shared, key, value)?;
            log.appended = head;
            Ok(())
        })
    }

    fn make_durable(&mut self) -> Result<(), LogError> {
        let shared = &self.reader.shared;
        if self.appended == shared.durable() {
            return Ok(());
        }
        shared.blocks.flush().map_err(|error| write_error(shared, error))?;
        (self.sync_data)(&self.file).map_err(FileError::at("sync", &shared.place.db()))?;
        if self.sentinel.written().head.seq == Seq(0) {
            // A sentinel at zero means that nothing was ever acknowledged; that ends here.
            self.sentinel.catch_up(self.appended)?;
        }
        shared.set_durable(self.appended);
        Ok(())
    }
}

fn insert(shared: &Shared, key: Key, value: &[u8]) -> Result<(), LogError> {
    match shared.blocks.insert(key.bytes(), value) {
        Ok(None) => Ok(()),
        Ok(Some(_)) => Err(LogError::Taken { dir: shared.place.dir.clone(), seq: key.first }),
        Err(error) => Err(write_error(shared, error)),
    }
}

fn write_error(shared: &Shared, error: sled::Error) -> LogError {
    LogError::Write { dir: shared.place.dir.clone(), source: Arc::new(error) }
}

impl Log for SledLog {
    type Error = LogError;

    fn append(&mut self, groups: &[Group]) -> Result<Seq, LogError> {
        self.or_fail(|log| {
            groups.iter().try_for_each(Group::check)?;
            log.space.check()?;
            log.append_blocks(groups)
        })
    }

    fn flush(&mut self) -> Result<(), LogError> {
        self.or_fail(Self::make_durable)
    }

    fn read_from(&self, from: Seq, max_bytes: usize) -> Result<Groups, LogError> {
        match &self.failed {
            Some(error) => Err(error.clone()),
            None => Ok(self.reader.read_from(from, max_bytes)?),
        }
    }

    fn head(&self) -> Head {
        self.reader.head()
    }
}

impl Drop for SledLog {
    fn drop(&mut self) {
        // Whoever appended without flushing has not told anybody: only the sentinel is brought up.
        if self.failed.is_none()
            && let Err(error) = self.rest()
        {
            tracing::error!(%error, "the sentinel could not be written at the end");
        }
    }
}
