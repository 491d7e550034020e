//! What can go wrong with a log, by what was tried: open, append, read.
//!
//! Every error names the place and what to do next. They can be cloned, because a log that failed
//! answers every later call with the same error.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tieline_core::log::{ChainHash, GroupRefused, Head};
use tieline_core::{Incarnation, Seq};

use crate::sentinel::Sentinel;

/// A file or directory that could not be used.
#[derive(Debug, Clone, thiserror::Error)]
#[error("Cannot {doing} {}", path.display())]
pub struct FileError {
    /// What was tried, as a verb.
    pub doing: &'static str,
    /// With what.
    pub path: PathBuf,
    /// What the system said.
    pub source: Arc<io::Error>,
}

impl FileError {
    /// For `map_err`: names what was tried, and with what.
    pub(crate) fn at(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { doing, path: path.to_owned(), source: Arc::new(source) }
    }
}

/// Why a log is not opened.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OpenError {
    /// One log has one writer.
    #[error("The log in {} is open already; stop the daemon or command that uses it", dir.display())]
    Locked {
        /// Directory of the log.
        dir: PathBuf,
    },
    /// There is no log to read.
    #[error("There is no log in {}; check the path", dir.display())]
    NoLog {
        /// Directory of the log.
        dir: PathBuf,
    },
    /// The system refused a file.
    #[error(transparent)]
    File(#[from] FileError),
    /// sled cannot open its files.
    #[error(
        "sled cannot open the log in {}; keep a copy of that directory and import a backup",
        dir.display()
    )]
    Sled {
        /// Directory of the log.
        dir: PathBuf,
        /// What sled said.
        source: Arc<sled::Error>,
    },
    /// sled met files that it did not expect.
    #[error(
        "sled panicked while it opened the log in {} ({message}); keep a copy of that directory and \
         import a backup",
        dir.display()
    )]
    Panicked {
        /// Directory of the log.
        dir: PathBuf,
        /// The message of the panic.
        message: String,
    },
    /// What is there is not what was made durable: going on would give seqs away twice.
    #[error(transparent)]
    Recovery(#[from] Box<Recovery>),
    /// A recovered log is a new life of the org.
    #[error(
        "The log in {} belongs to incarnation {known}, and {given} does not come after it; begin a \
         later one",
        dir.display()
    )]
    OldIncarnation {
        /// Directory of the log.
        dir: PathBuf,
        /// The incarnation that the sentinel names.
        known: Incarnation,
        /// The one that was to begin.
        given: Incarnation,
    },
    /// The compressor could not be made.
    #[error("Cannot start the compressor of the log")]
    Compress(#[source] Arc<io::Error>),
}

/// The log is not what was made durable. Nothing was changed.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "The log in {} needs recovery: {mismatch}; import a backup, or recover the log as it is under a \
     new incarnation",
    dir.display()
)]
pub struct Recovery {
    /// Directory of the log.
    pub dir: PathBuf,
    /// In what it differs from what it should be.
    pub mismatch: Mismatch,
}

/// In what a log differs from its sentinel.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Mismatch {
    /// Events that were durable are gone.
    #[error("it ends at {found}, and its sentinel names {}", sentinel.head)]
    Shorter {
        /// How far the log reaches.
        found: Head,
        /// How far it has to.
        sentinel: Sentinel,
    },
    /// Other events lie where the sentinel points.
    #[error("it has {found} where its sentinel names {}", sentinel.head)]
    OtherHash {
        /// The end of the block that lies there.
        found: Head,
        /// The one that was written.
        sentinel: Sentinel,
    },
    /// Nothing says how far the log should reach.
    #[error("it ends at {found}, and {why}")]
    NoSentinel {
        /// How far the log reaches.
        found: Head,
        /// What is wrong with the sentinel.
        why: SentinelError,
    },
    /// The blocks do not hang together.
    #[error(transparent)]
    Broken(#[from] Broken),
}

/// Why a sentinel says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SentinelError {
    /// There is no file.
    #[error("its sentinel is gone")]
    Gone,
    /// The file is damaged or of another version.
    #[error("its sentinel cannot be read: {0}")]
    Unreadable(String),
}

/// A broken block: the first one that was met.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the block of seq {first} to {last}{} {fault}", part_of(*part))]
pub struct Broken {
    /// First event that cannot be read.
    pub first: Seq,
    /// Last event of the block, as far as it is known.
    pub last: Seq,
    /// Zero, or which part of a large group it is.
    pub part: u16,
    /// What is wrong with it.
    pub fault: Fault,
}

fn part_of(part: u16) -> String {
    if part == 0 { String::new() } else { format!(", part {part},") }
}

/// What is wrong with a block.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Fault {
    /// It is not there, although the log reaches further.
    #[error("is missing")]
    Missing,
    /// It was changed, or a block before it was.
    #[error("has the hash {actual} and should have {expected}")]
    BadHash {
        /// The hash of the blocks before and of this one as it is.
        expected: ChainHash,
        /// The hash that it carries.
        actual: ChainHash,
    },
    /// It is not a block, or does not hold groups.
    #[error("cannot be decoded: {0}")]
    Undecodable(String),
    /// sled cannot read the page that holds it.
    #[error("cannot be read by sled: {0}")]
    Unreadable(Arc<sled::Error>),
}

impl Fault {
    pub(crate) fn undecodable(why: impl ToString) -> Self {
        Self::Undecodable(why.to_string())
    }
}

/// The log is damaged where it was read.
#[derive(Debug, Clone, thiserror::Error)]
#[error("The log in {} is damaged: {broken}; verify it and import a backup", dir.display())]
pub struct ReadError {
    /// Directory of the log.
    pub dir: PathBuf,
    /// Where.
    pub broken: Broken,
}

/// Too little room for another batch.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "Only {free_bytes} bytes are free at {} and the log keeps {min_bytes} in reserve; make room there",
    dir.display()
)]
pub struct NoSpace {
    /// Directory of the log.
    pub dir: PathBuf,
    /// Bytes that are free.
    pub free_bytes: u64,
    /// Bytes that must stay free.
    pub min_bytes: u64,
}

/// Why a batch is not appended or not durable.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// A group is not one that a log takes; nothing was appended.
    #[error(transparent)]
    Refused(#[from] GroupRefused),
    /// The disk is nearly full; nothing was appended.
    #[error(transparent)]
    NoSpace(#[from] NoSpace),
    /// How full the disk is cannot be told; nothing was appended.
    #[error(transparent)]
    Space(FileError),
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A batch could not be compressed.
    #[error("Cannot compress a batch for the log in {}; restart the daemon", dir.display())]
    Compress {
        /// Directory of the log.
        dir: PathBuf,
        /// What zstd said.
        source: Arc<io::Error>,
    },
    /// sled failed to write; it fails for good then.
    #[error(
        "Cannot write to the log in {}; check the disk and restart the daemon, what was not \
         acknowledged may be lost",
        dir.display()
    )]
    Write {
        /// Directory of the log.
        dir: PathBuf,
        /// What sled said.
        source: Arc<sled::Error>,
    },
    /// Something lies where the next block belongs: another writer, or a defect.
    #[error(
        "The log in {} has a block at seq {seq} already, behind its end; stop the daemon and verify \
         the log",
        dir.display()
    )]
    Taken {
        /// Directory of the log.
        dir: PathBuf,
        /// First seq of the block that was to be written.
        seq: Seq,
    },
    /// Data or sentinel did not reach the disk. Trying again could only hide it.
    #[error(transparent)]
    Sync(#[from] FileError),
}

impl LogError {
    /// Whether the log has failed for good: every later call answers with this error, and the
    /// process has to end, because memory may be ahead of the disk.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Refused(_) | Self::NoSpace(_) | Self::Space(_) | Self::Read(_) => false,
            Self::Compress { .. } | Self::Write { .. } | Self::Taken { .. } | Self::Sync(_) => true,
        }
    }
}
