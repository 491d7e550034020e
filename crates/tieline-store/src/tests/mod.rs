//! The log as a whole, on real files: each precaution has a test that fails without it.

mod chain;
mod durable;
mod heal;
mod kill;
mod read;
mod round;
mod transfer;

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tieline_core::log::{Group, Log};
use tieline_core::{Incarnation, Seq, Timestamp};

use crate::{Config, OpenError, SledLog};

const LIFE: Incarnation = Incarnation(7);

/// A directory for one log, and how to open it.
struct Home {
    _dir: TempDir,
    config: Config,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { free_bytes_min: 0, ..Config::new(dir.path().join("log")) };
        Self { _dir: dir, config }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.config.dir.join(name)
    }

    fn open(&self) -> SledLog {
        patiently(|| self.try_open(), |error| matches!(error, OpenError::Locked { .. }))
    }

    fn try_open(&self) -> Result<SledLog, OpenError> {
        SledLog::open(&self.config, LIFE)
    }

    /// Opens sled below the log, to do to its blocks what a disk or a person may.
    fn sled(&self) -> sled::Db {
        patiently(|| sled::open(self.path("blocks")), |error| matches!(error, sled::Error::Io(_)))
    }

    /// The same log as it lies on the disk now, in another directory.
    fn copy(&self) -> Self {
        let copy = Self::new();
        copy_dir(&self.config.dir, &copy.config.dir);
        copy
    }
}

/// Tries for two seconds what may be locked yet: a handle that was just dropped keeps its lock for moments,
/// and so does a child of another test between its fork and its exec.
fn patiently<T, E: std::fmt::Debug>(open: impl Fn() -> Result<T, E>, is_locked: impl Fn(&E) -> bool) -> T {
    let mut waits = 0..200;
    loop {
        match open() {
            Err(error) if is_locked(&error) && waits.next().is_some() => {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            opened => return opened.unwrap(),
        }
    }
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Bytes that do not compress, different for each `seed`.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// A group of events with bodies of these lengths that do not compress.
fn group(seed: u64, lens: &[usize]) -> Group {
    let mut group = Group::new(Timestamp(seed as i64));
    for (at, &len) in lens.iter().enumerate() {
        group.push(at as u16 + 1, &noise(seed << 16 | at as u64, len));
    }
    group
}

/// Appends and makes durable.
fn commit(log: &mut SledLog, groups: &[Group]) -> Seq {
    let last = log.append(groups).unwrap();
    log.flush().unwrap();
    last
}

/// All events of a log.
fn events(log: &SledLog) -> Vec<(u64, i64, u16, Vec<u8>, bool)> {
    let groups = log.read_from(Seq(1), usize::MAX).unwrap();
    groups.events().map(|e| (e.seq.0, e.time.0, e.kind, e.body.to_vec(), e.last_in_group)).collect()
}
