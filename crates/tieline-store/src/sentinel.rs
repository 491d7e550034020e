//! The sentinel: a small file beside sled that says how far the log must reach.
//!
//! sled can come back shorter, or empty, and say that all is well. So whoever opens a log compares
//! it with the sentinel, and a log that is shorter or has another hash is never written to. The
//! sentinel is written before the log is created and only ever after what it names is durable, so
//! it can lag behind the log and never be ahead of it.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tieline_core::log::{ChainHash, Head};
use tieline_core::{Incarnation, Seq};

use crate::error::{FileError, SentinelError};
use crate::place;

/// What a log must hold at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sentinel {
    /// The life of the daemon that wrote it.
    pub incarnation: Incarnation,
    /// The end of a durable block.
    pub head: Head,
}

impl fmt::Display for Sentinel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { incarnation, head: Head { seq, hash } } = self;
        writeln!(f, "tieline sentinel 1\nincarnation {incarnation}\nseq {seq}\nhash {hash}")
    }
}

impl Sentinel {
    /// Reads the sentinel at `path`.
    pub(crate) fn read(path: &Path) -> Result<Self, SentinelError> {
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&text).map_err(|why| SentinelError::Unreadable(why.to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(SentinelError::Gone),
            Err(error) => Err(SentinelError::Unreadable(error.to_string())),
        }
    }

    /// Replaces the sentinel at `path` durably.
    pub(crate) fn write(&self, path: &Path) -> Result<(), FileError> {
        let text = self.to_string();
        place::replace(path, &[text.as_bytes(), check_line(&text).as_bytes()])
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        let (body, check) = text.split_once("check ").ok_or("it has no check line")?;
        if check_line(body) != format!("check {check}") {
            return Err("its check line does not match");
        }
        let mut lines = body.lines();
        if lines.next() != Some("tieline sentinel 1") {
            return Err("it is not of version 1");
        }
        let mut value =
            |name| lines.next().and_then(|line| line.strip_prefix(name)).ok_or("a line is missing");
        let incarnation = value("incarnation ")?.parse().map_err(|_| "its incarnation is none")?;
        let seq = Seq(value("seq ")?.parse().map_err(|_| "its seq is no number")?);
        let hash = blake3::Hash::from_hex(value("hash ")?).map_err(|_| "its hash is none")?;
        Ok(Self { incarnation, head: Head { seq, hash: ChainHash(*hash.as_bytes()) } })
    }
}

/// The last line, over those before it: a file that was damaged or edited is noticed.
fn check_line(body: &str) -> String {
    format!("check {:.16}\n", blake3::hash(body.as_bytes()).to_hex().as_str())
}

/// Keeps the sentinel close behind the durable head.
#[derive(Debug)]
pub(crate) struct Keeper {
    path: PathBuf,
    every: Duration,
    written: Sentinel,
    written_at: Instant,
}

impl Keeper {
    /// Writes the first sentinel of this run.
    pub(crate) fn start(path: PathBuf, every: Duration, sentinel: Sentinel) -> Result<Self, FileError> {
        sentinel.write(&path)?;
        Ok(Self { path, every, written: sentinel, written_at: Instant::now() })
    }

    pub(crate) fn written(&self) -> Sentinel {
        self.written
    }

    /// Writes the sentinel for the durable `head` if the last one is older than the interval.
    pub(crate) fn keep(&mut self, head: Head) -> Result<(), FileError> {
        if self.written_at.elapsed() < self.every { Ok(()) } else { self.catch_up(head) }
    }

    /// Writes the sentinel for the durable `head` unless it says so already.
    pub(crate) fn catch_up(&mut self, head: Head) -> Result<(), FileError> {
        self.put(Sentinel { head, ..self.written })
    }

    /// Writes `sentinel` unless it says so already.
    pub(crate) fn put(&mut self, sentinel: Sentinel) -> Result<(), FileError> {
        if sentinel != self.written {
            sentinel.write(&self.path)?;
            self.written = sentinel;
            self.written_at = Instant::now();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_sentinel_is_never_taken_for_a_shorter_one() {
        let head = Head { seq: Seq(120), hash: ChainHash([7; 32]) };
        let sentinel = Sentinel { incarnation: Incarnation(5), head };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sentinel");
        assert!(matches!(Sentinel::read(&path), Err(SentinelError::Gone)));
        sentinel.write(&path).unwrap();
        assert_eq!(Sentinel::read(&path).unwrap(), sentinel);

        let text = fs::read(&path).unwrap();
        for at in 0..text.len() {
            let mut other = text.clone();
            other[at] ^= 1;
            fs::write(&path, &other).unwrap();
            assert!(matches!(Sentinel::read(&path), Err(SentinelError::Unreadable(_))), "changed byte {at}");
            fs::write(&path, &text[..at]).unwrap();
            assert!(matches!(Sentinel::read(&path), Err(SentinelError::Unreadable(_))), "cut after {at}");
        }
    }
}
