//! Export and import: a log as one stream, for backups and for moving between stores.
//!
//! The stream carries the blocks as they are, so seqs, times, kinds, bodies, groups and the chain
//! are the same on both sides. Both ends verify every block, and the stream ends with the head: a
//! stream that was cut off is noticed.
//!
//! | bytes | meaning (numbers little endian) |
//! |---|---|
//! | 14 | `tieline log 1` and a line end |
//! | 16 | incarnation of the log |
//! | … | for each block: 1 byte length of the key, 2 bytes length of the value, key, value |
//! | 1 | zero: the end |
//! | 8 + 32 | seq and hash of the head |

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use tieline_core::log::{ChainHash, Head, Log};
use tieline_core::{Incarnation, Seq};

use crate::Config;
use crate::block::{BLOCK_BYTES_MAX, Key};
use crate::error::{Broken, FileError, LogError, OpenError, ReadError, SentinelError};
use crate::place;
use crate::read::LogReader;
use crate::sentinel::Sentinel;
use crate::sled_log::SledLog;
use crate::walk::Walk;

const MAGIC: &[u8; 14] = b"tieline log 1\n";

/// Why a log is not exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A block is broken; what was written ends before it.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The sentinel does not say whose log it is.
    #[error("The log in {} cannot be exported: {why}; recover it first", dir.display())]
    Sentinel {
        /// Directory of the log.
        dir: PathBuf,
        /// What is wrong with its sentinel.
        why: SentinelError,
    },
    /// The stream does not take it.
    #[error("Cannot write the export")]
    Write(#[from] io::Error),
}

impl LogReader {
    /// Writes the log up to what is durable now to `out`, while it may be written on, and returns
    /// the head that was reached. Every block is verified.
    ///
    /// # Errors
    /// The log is broken, or `out` fails.
    pub fn export(&self, mut out: impl Write) -> Result<Head, ExportError> {
        let head = self.head();
        let dir = &self.shared.place.dir;
        let sentinel = Sentinel::read(&self.shared.place.sentinel());
        let sentinel = sentinel.map_err(|why| ExportError::Sentinel { dir: dir.clone(), why })?;
        out.write_all(MAGIC)?;
        out.write_all(&sentinel.incarnation.0.to_le_bytes())?;

        let error = |broken| ReadError { dir: dir.clone(), broken };
        let mut walk = Walk::behind(Head::START);
        let mut range = self.shared.blocks.range(walk.next().bytes()..);
        let mut raw = Vec::new();
        while walk.head().seq < head.seq {
            let entry = range.next().ok_or_else(|| error(walk.ended(head.seq)))?;
            let (key, value) = entry.map_err(|source| error(walk.unreadable(source)))?;
            walk.check(&key, &value, &mut raw).map_err(error)?;
            // Neither is longer than its length says: the walk has taken them as a block.
            out.write_all(&[key.len() as u8])?;
            out.write_all(&(value.len() as u16).to_le_bytes())?;
            out.write_all(&key)?;
            out.write_all(&value)?;
        }
        out.write_all(&[0])?;
        out.write_all(&head.seq.0.to_le_bytes())?;
        out.write_all(&head.hash.0)?;
        out.flush()?;
        Ok(head)
    }
}

/// Why a log is not imported. The directory is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// There is something in the way.
    #[error("{} is not empty; import into a directory that is not there yet", .0.display())]
    NotEmpty(PathBuf),
    /// The stream is not an export.
    #[error("This is not an exported log of version 1; check the file")]
    NotAnExport,
    /// The stream ends early or cannot be read.
    #[error("The export is cut off or cannot be read behind {after}; take another copy of it")]
    Read {
        /// How far it was right.
        after: Head,
        /// What the stream said.
        source: io::Error,
    },
    /// A block is not as it was written.
    #[error("The export is damaged: {0}; take another copy of it")]
    Broken(Broken),
    /// The end names another log.
    #[error("The export ends with {found} and says that it ends with {named}; take another copy of it")]
    OtherHead {
        /// What the blocks come to.
        found: Head,
        /// What the end says.
        named: Head,
    },
    /// The new log cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The new log cannot be written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The new log cannot be put in its place.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A log that was imported, or an export that was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Imported {
    /// How far it reaches: the head of the log that was exported.
    pub head: Head,
    /// The life in which it was exported. Going on with it is another life, with a later
    /// incarnation.
    pub incarnation: Incarnation,
}

/// Reads an exported log from `input` into the directory of `config`, which must be empty or not
/// there. The log is built beside it and renamed, so the directory holds the whole log or nothing.
/// The new log has the incarnation of the old one: [`SledLog::begin_incarnation`] must follow
/// before it is used.
///
/// # Errors
/// The directory is in use, or the stream is not a whole and right export.
pub fn import(config: &Config, input: impl Read) -> Result<Imported, ImportError> {
    let dir = &config.dir;
    match fs::read_dir(dir).map(|mut entries| entries.next()) {
        Ok(None) => {}
        Ok(Some(_)) => return Err(ImportError::NotEmpty(dir.clone())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(FileError::at("list", dir)(error).into()),
    }
    let beside = dir.with_added_extension("importing");
    // What an import left that was killed.
    remove(&beside)?;
    let imported = import_into(&Config { dir: beside.clone(), ..config.clone() }, input);
    if imported.is_err() {
        remove(&beside)?;
        return imported;
    }
    fs::rename(&beside, dir).map_err(FileError::at("rename the imported log to", dir))?;
    place::parent(dir).map_or(Ok(()), |parent| place::sync_dir(&parent))?;
    imported
}

fn remove(dir: &Path) -> Result<(), FileError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(FileError::at("remove the half imported log", dir)),
    }
}

fn import_into(config: &Config, input: impl Read) -> Result<Imported, ImportError> {
    let mut blocks = Blocks::begin(input)?;
    let mut log = SledLog::open(config, blocks.incarnation)?;
    while let Some(block) = blocks.next()? {
        log.space().check()?;
        log.append_sealed(block.at, block.value, block.head)?;
    }
    log.flush()?;
    log.close()?;
    Ok(blocks.passed())
}

/// Reads an exported log from `input` to its end without keeping it: every block has its hash, and
/// the last one is the head that the end names.
///
/// # Errors
/// The stream is not a whole and right export.
pub fn verify_export(input: impl Read) -> Result<Imported, ImportError> {
    let mut blocks = Blocks::begin(input)?;
    while blocks.next()?.is_some() {}
    Ok(blocks.passed())
}

/// The blocks of an export, each verified.
struct Blocks<R> {
    input: R,
    incarnation: Incarnation,
    walk: Walk,
    bytes: Vec<u8>,
    raw: Vec<u8>,
}

/// A block that is right.
struct Verified<'a> {
    at: Key,
    value: &'a [u8],
    /// The last whole group behind it.
    head: Head,
}

impl<R: Read> Blocks<R> {
    fn begin(mut input: R) -> Result<Self, ImportError> {
        let mut front = [0; 14 + 16];
        input.read_exact(&mut front).map_err(|source| ImportError::Read { after: Head::START, source })?;
        let incarnation = front.strip_prefix(MAGIC).and_then(|rest| rest.first_chunk());
        let incarnation = Incarnation(u128::from_le_bytes(*incarnation.ok_or(ImportError::NotAnExport)?));
        let walk = Walk::behind(Head::START);
        Ok(Self { input, incarnation, walk, bytes: Vec::new(), raw: Vec::new() })
    }

    /// The next block; nothing behind the last one, whose head the end has to name.
    fn next(&mut self) -> Result<Option<Verified<'_>>, ImportError> {
        let after = self.walk.head();
        let read = read_block(&mut self.input, &mut self.bytes);
        let (key, value) = match read.map_err(|source| ImportError::Read { after, source })? {
            Piece::Block { key_bytes } => self.bytes.split_at(key_bytes),
            Piece::End(named) if named == after => return Ok(None),
            Piece::End(named) => return Err(ImportError::OtherHead { found: after, named }),
        };
        let at = self.walk.next();
        self.walk.check(key, value, &mut self.raw).map_err(ImportError::Broken)?;
        Ok(Some(Verified { at, value, head: self.walk.head() }))
    }

    /// What has passed.
    fn passed(&self) -> Imported {
        Imported { head: self.walk.head(), incarnation: self.incarnation }
    }
}

/// What comes next in a stream.
enum Piece {
    /// A block was read; its key has this many bytes.
    Block { key_bytes: usize },
    /// The stream ends with this head.
    End(Head),
}

fn read_block(input: &mut impl Read, block: &mut Vec<u8>) -> io::Result<Piece> {
    let mut key_bytes = [0];
    input.read_exact(&mut key_bytes)?;
    let key_bytes = usize::from(key_bytes[0]);
    if key_bytes == 0 {
        let (mut seq, mut hash) = ([0; 8], [0; 32]);
        input.read_exact(&mut seq)?;
        input.read_exact(&mut hash)?;
        return Ok(Piece::End(Head { seq: Seq(u64::from_le_bytes(seq)), hash: ChainHash(hash) }));
    }
    let mut value_bytes = [0; 2];
    input.read_exact(&mut value_bytes)?;
    let value_bytes = usize::from(u16::from_le_bytes(value_bytes));
    if key_bytes > 10 || value_bytes > BLOCK_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the next block is larger than any block"));
    }
    block.resize(key_bytes + value_bytes, 0);
    input.read_exact(block)?;
    Ok(Piece::Block { key_bytes })
}
