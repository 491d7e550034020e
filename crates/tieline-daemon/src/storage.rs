//! Storage: appends batches, makes them durable with one flush, then releases them.
//!
//! A thread of its own does it, so that one batch is made durable while the next is decided; what waits
//! for it by then becomes durable together. A small batch that comes alone is stored by the writer
//! itself, which spares the change one wait for a thread.
//!
//! Any error ends the process: memory may be ahead of the disk then, but nothing of it was seen.
//! A flush is never tried again. A watchdog ends a process whose disk hangs.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tieline_core::log::{Group, Log};
use tieline_store::SledLog;

use crate::org::Shared;
use crate::writer::Batch;

/// The sentinel is brought up to date after so long a quiet.
const QUIET: Duration = Duration::from_millis(100);
/// A batch that is not durable after so long means that the disk hangs.
const STALLED_SECS: u64 = 30;
/// A batch of so few groups is stored by the writer itself, if nothing else is under way.
const ALONE_GROUPS_MAX: usize = 4;

/// The log, and whoever waits for it.
pub(crate) struct Storage {
    shared: Arc<Shared>,
    disk: Mutex<Disk>,
    /// Batches that the storage thread was handed and has not released.
    under_way: AtomicUsize,
    begun: Instant,
    busy_since: Arc<AtomicU64>,
}

struct Disk {
    log: SledLog,
    stored: Instant,
}

impl Storage {
    pub(crate) fn new(shared: Arc<Shared>, log: SledLog) -> Self {
        let disk = Mutex::new(Disk { log, stored: Instant::now() });
        Self { shared, disk, under_way: AtomicUsize::new(0), begun: Instant::now(), busy_since: watchdog() }
    }

    /// Stores a batch, or hands it to the storage thread. False if that thread is gone: it is ending
    /// the process.
    pub(crate) fn take(&self, batch: Batch, thread: &SyncSender<Batch>) -> bool {
        // Only the caller adds to what is under way: once it is nothing, it stays so.
        if batch.groups.len() <= ALONE_GROUPS_MAX && self.under_way.load(Ordering::Acquire) == 0 {
            self.store(vec![batch]);
            return true;
        }
        self.under_way.fetch_add(1, Ordering::AcqRel);
        thread.send(batch).is_ok()
    }

    /// The storage thread: runs until the writer has ended, then closes the log.
    pub(crate) fn run(&self, batches: &Receiver<Batch>) {
        loop {
            match batches.recv_timeout(QUIET) {
                Ok(first) => {
                    let batches: Vec<_> = std::iter::once(first).chain(batches.try_iter()).collect();
                    let count = batches.len();
                    self.store(batches);
                    self.under_way.fetch_sub(count, Ordering::AcqRel);
                }
                Err(RecvTimeoutError::Timeout) => {
                    let mut disk = self.disk();
                    if disk.stored.elapsed() >= QUIET {
                        or_end(disk.log.rest());
                    }
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let mut disk = self.disk();
        or_end(disk.log.flush());
        or_end(disk.log.rest());
    }

    /// The log, for this thread alone. A thread that panicked over it has left it as an error would:
    /// nothing may be tried again.
    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(|_| {
            tracing::error!(
                "a thread of the log ended by a panic: the process ends, nothing unconfirmed was seen"
            );
            std::process::exit(crate::EXIT_LOG_FAILED)
        })
    }

    fn store(&self, batches: Vec<Batch>) {
        self.busy_since.store(self.begun.elapsed().as_secs() + 1, Ordering::Relaxed);
        let mut disk = self.disk();
        make_durable(&self.shared, &mut disk.log, &batches);
        disk.stored = Instant::now();
        drop(disk);
        self.busy_since.store(0, Ordering::Relaxed);
        for batch in batches {
            if !batch.groups.is_empty() {
                self.shared.tail.keep(batch.leaving);
                self.shared.durable.send_replace(batch.last);
            }
            for release in batch.releases {
                release();
            }
        }
    }
}

fn make_durable(shared: &Shared, log: &mut SledLog, batches: &[Batch]) {
    let flushing = Instant::now();
    let mut events = 0;
    for batch in batches.iter().filter(|batch| !batch.groups.is_empty()) {
        or_end(log.append(&batch.groups));
        events += batch.groups.iter().map(Group::len).sum::<usize>() as u64;
    }
    if events == 0 {
        return;
    }
    or_end(log.flush());
    for incarnation in batches.iter().filter_map(|batch| batch.incarnation) {
        or_end(log.begin_incarnation(incarnation));
    }
    shared.observer.flushed(flushing.elapsed(), events);
}

/// Ends the process when the log fails: nothing that was not released has been seen by anybody.
fn or_end<T>(result: Result<T, tieline_store::LogError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => {
            let mut chain = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                chain.push_str(": ");
                chain.push_str(&cause.to_string());
                source = cause.source();
            }
            tracing::error!(error = %chain, "the log failed: the process ends, nothing unconfirmed was seen");
            std::process::exit(crate::EXIT_LOG_FAILED);
        }
    }
}

/// Watches the moment since which a batch is under way (in seconds, plus one; zero when idle).
fn watchdog() -> Arc<AtomicU64> {
    let busy_since = Arc::new(AtomicU64::new(0));
    let watched = Arc::downgrade(&busy_since);
    let begun = Instant::now();
    std::thread::spawn(move || {
        while let Some(busy_since) = watched.upgrade() {
            let since = busy_since.load(Ordering::Relaxed);
            if since > 0 && begun.elapsed().as_secs() > since + STALLED_SECS {
                tracing::error!(
                    "a batch is not durable after {STALLED_SECS} s: the disk hangs, the process ends"
                );
                std::process::exit(crate::EXIT_LOG_FAILED);
            }
            drop(busy_since);
            std::thread::sleep(Duration::from_secs(1));
        }
    });
    busy_since
}
