//! The sentinel: a small file beside sled that says how far the log must reach.
//!
//! sled can come back shorter, or empty, and say that all is well. So whoever opens a log compares
//! it with the sentinel, and a log that is shorter or has another hash is never written to. The
//! sentinel is written before the log is created and only ever after what it names is durable, so
//! it can lag behind the log and never be ahead of it.
//!
//! The first one of a run replaces the file; those after it are written over it in place. It is one
//! sector, which a disk writes whole or not at all, and neither its length nor its place changes, so that
//! making it durable waits for no journal of the file system: whoever waits for the log would wait too.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tieline_core::log::{ChainHash, Head};
use tieline_core::{Incarnation, Seq};

use crate::error::{FileError, SentinelError};
use crate::place;

/// The length of the file: what disks write whole.
const SECTOR_BYTES: usize = 512;
/// The last line, over those before it: a file that was damaged or edited is noticed.
const CHECK_LINE_BYTES: usize = "check 0123456789abcdef\n".len();

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
        place::replace(path, &[self.sector().as_bytes()])
    }

    /// The text of the file, filled up with empty lines before the last one.
    fn sector(&self) -> String {
        let mut text = self.to_string();
        let empty = SECTOR_BYTES.saturating_sub(text.len() + CHECK_LINE_BYTES);
        text.extend(std::iter::repeat_n('\n', empty));
        text.push_str(&check_line(&text));
        text
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

fn check_line(body: &str) -> String {
    format!("check {:.16}\n", blake3::hash(body.as_bytes()).to_hex().as_str())
}

/// Keeps the sentinel close behind the durable head.
#[derive(Debug)]
pub(crate) struct Keeper {
    path: PathBuf,
    file: File,
    every: Duration,
    written: Sentinel,
    written_at: Instant,
}

impl Keeper {
    /// Writes the first sentinel of this run.
    pub(crate) fn start(path: PathBuf, every: Duration, sentinel: Sentinel) -> Result<Self, FileError> {
        sentinel.write(&path)?;
        let file = File::options().write(true).open(&path).map_err(FileError::at("open", &path))?;
        Ok(Self { path, file, every, written: sentinel, written_at: Instant::now() })
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
            self.write(&sentinel).map_err(FileError::at("write", &self.path))?;
            self.written = sentinel;
            self.written_at = Instant::now();
        }
        Ok(())
    }

    fn write(&mut self, sentinel: &Sentinel) -> io::Result<()> {
        self.file.rewind()?;
        self.file.write_all(sentinel.sector().as_bytes())?;
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_one_sector_however_far_the_log_reaches_and_older_ones_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sentinel");
        let at = |life, seq, byte| Sentinel {
            incarnation: Incarnation(life),
            head: Head { seq: Seq(seq), hash: ChainHash([byte; 32]) },
        };
        let mut keeper = Keeper::start(path.clone(), Duration::ZERO, at(0, 0, 0)).unwrap();
        for sentinel in [at(1, 9, 1), at(u128::MAX, u64::MAX, 255), at(2, 10, 7)] {
            keeper.put(sentinel).unwrap();
            assert_eq!(Sentinel::read(&path).unwrap(), sentinel);
            assert_eq!(fs::metadata(&path).unwrap().len(), SECTOR_BYTES as u64, "{sentinel}");
        }
        let text = at(3, 12, 9).to_string();
        fs::write(&path, format!("{text}{}", check_line(&text))).unwrap();
        assert_eq!(Sentinel::read(&path).unwrap(), at(3, 12, 9), "as it was written without empty lines");
    }

    #[test]
    fn a_damaged_sentinel_is_never_taken_for_a_shorter_one() {
        let head = Head { seq: Seq(120), hash: ChainHash([7; 32]) };
        let sentinel = Sentinel { incarnation: Incarnation(5), head };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sentinel");
        assert!(matches!(Sentinel::read(&path), Err(SentinelError::Gone)));
        sentinel.write(&path).unwrap();
        assert_eq!(Sentinel::read(&path).unwrap(), sentinel);
        assert_eq!(fs::metadata(&path).unwrap().len(), SECTOR_BYTES as u64);

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
