//! The storage thread: appends each batch, makes it durable with one flush, then releases it.
//!
//! Any error ends the process: memory may be ahead of the disk then, but nothing of it was seen.
//! A flush is never tried again. A watchdog ends a process whose disk hangs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tieline_core::log::Log;
use tieline_store::SledLog;

use crate::org::Shared;
use crate::writer::Batch;

/// The sentinel is brought up to date after so long a quiet.
const QUIET: Duration = Duration::from_millis(100);
/// A batch that is not durable after so long means that the disk hangs.
const STALLED_SECS: u64 = 30;

/// Runs until the writer has ended; then closes the log.
pub(crate) fn run(shared: &Arc<Shared>, mut log: SledLog, batches: &Receiver<Batch>) {
    let busy_since = watchdog();
    let begun = Instant::now();
    loop {
        let batch = match batches.recv_timeout(QUIET) {
            Ok(batch) => batch,
            Err(RecvTimeoutError::Timeout) => {
                or_end(log.rest());
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        };
        busy_since.store(begun.elapsed().as_secs() + 1, Ordering::Relaxed);
        store(shared, &mut log, batch);
        busy_since.store(0, Ordering::Relaxed);
    }
    or_end(log.close());
}

fn store(shared: &Arc<Shared>, log: &mut SledLog, batch: Batch) {
    if !batch.groups.is_empty() {
        let flushing = Instant::now();
        or_end(log.append(&batch.groups));
        or_end(log.flush());
        if let Some(incarnation) = batch.incarnation {
            or_end(log.begin_incarnation(incarnation));
        }
        let events = batch.last.0 + 1 - batch.first.0;
        shared.observer.flushed(flushing.elapsed(), events);
        shared.tail.keep(batch.leaving);
        shared.durable.send_replace(batch.last);
    }
    for release in batch.releases {
        release();
    }
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
