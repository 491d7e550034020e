//! The directory of a log: what lies where, who may use it, and how a file is replaced durably.
//!
//! | name | what |
//! |---|---|
//! | `lock` | held while the log is open, by writer or reader |
//! | `sentinel` | how far the log must reach |
//! | `blocks/` | sled's files: `db`, `conf`, `snap.*` and `blobs/`, which stays empty |
//! | `set-aside/` | snapshots of sled that kept it from opening |

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::{FileError, OpenError};

/// The paths of one log, and the lock on them.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) dir: PathBuf,
    // Held, not read: the lock ends when the file is closed.
    _lock: File,
}

impl Place {
    /// Takes the directory for this process, and makes it if `create`.
    pub(crate) fn lock(dir: &Path, create: bool) -> Result<Self, OpenError> {
        if create {
            fs::create_dir_all(dir).map_err(FileError::at("make the directory", dir))?;
        } else if !dir.join("blocks").join("db").exists() {
            return Err(OpenError::NoLog { dir: dir.to_owned() });
        }
        let path = dir.join("lock");
        let lock = File::options().create(true).truncate(false).write(true).open(&path);
        let lock = lock.map_err(FileError::at("open the lock", &path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { dir: dir.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(OpenError::Locked { dir: dir.to_owned() }),
            Err(TryLockError::Error(error)) => Err(FileError::at("lock", &path)(error).into()),
        }
    }

    pub(crate) fn sentinel(&self) -> PathBuf {
        self.dir.join("sentinel")
    }

    pub(crate) fn blocks(&self) -> PathBuf {
        self.dir.join("blocks")
    }

    pub(crate) fn db(&self) -> PathBuf {
        self.blocks().join("db")
    }

    /// Makes what sled created durable: its files, their directories, and ours in its parent.
    pub(crate) fn sync_all(&self) -> Result<(), FileError> {
        let blocks = self.blocks();
        for file in [self.db(), blocks.join("conf")] {
            File::open(&file).and_then(|file| file.sync_all()).map_err(FileError::at("sync", &file))?;
        }
        sync_dir(&blocks)?;
        sync_dir(&self.dir)?;
        parent(&self.dir).map_or(Ok(()), |parent| sync_dir(&parent))
    }

    /// Removes the snapshots that sled was writing when it was killed: it would take them for
    /// finished ones, and refuse to open.
    pub(crate) fn remove_unfinished_snapshots(&self) -> Result<Vec<PathBuf>, FileError> {
        let unfinished = |name: &str| name.starts_with("snap.") && name.ends_with(".generating");
        let found = self.sled_files(unfinished)?;
        for path in &found {
            fs::remove_file(path).map_err(FileError::at("remove", path))?;
        }
        if !found.is_empty() {
            sync_dir(&self.blocks())?;
        }
        Ok(found)
    }

    /// Moves sled's snapshots out of its way: it can rebuild them from its log, if that is whole.
    /// Returns where they are now.
    pub(crate) fn set_snapshots_aside(&self) -> Result<Vec<PathBuf>, FileError> {
        let found = self.sled_files(|name| name.starts_with("snap."))?;
        let mut moved = Vec::new();
        if found.is_empty() {
            return Ok(moved);
        }
        let aside = self.dir.join("set-aside");
        let free = (1..=u32::MAX).map(|n| aside.join(n.to_string())).find(|dir| !dir.exists());
        let aside = free.unwrap_or(aside);
        fs::create_dir_all(&aside).map_err(FileError::at("make the directory", &aside))?;
        for path in found {
            let to = aside.join(path.file_name().unwrap_or_default());
            fs::rename(&path, &to).map_err(FileError::at("set aside", &path))?;
            moved.push(to);
        }
        sync_dir(&aside)?;
        sync_dir(&self.blocks())?;
        Ok(moved)
    }

    fn sled_files(&self, wanted: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>, FileError> {
        let dir = self.blocks();
        let entries = match fs::read_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(FileError::at("list", &dir))?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(FileError::at("list", &dir))?;
            if entry.file_name().to_str().is_some_and(&wanted) {
                found.push(entry.path());
            }
        }
        found.sort();
        Ok(found)
    }
}

/// So much of a file is made durable at once. A journal of the file system that is written meanwhile, as
/// each sync of the log asks for, waits for it: with a large file at once that would take seconds.
const PIECE_BYTES: usize = 1 << 20;

/// Replaces the file at `path` by one that holds `parts`: after a crash the old or the new one is
/// there, whole.
pub(crate) fn replace(path: &Path, parts: &[&[u8]]) -> Result<(), FileError> {
    let aside = path.with_added_extension("aside");
    let write = || {
        let mut file = File::create(&aside)?;
        for piece in parts.iter().flat_map(|part| part.chunks(PIECE_BYTES)) {
            file.write_all(piece)?;
            if piece.len() == PIECE_BYTES {
                file.sync_data()?;
            }
        }
        file.sync_all()
    };
    write().map_err(FileError::at("write", &aside))?;
    fs::rename(&aside, path).map_err(FileError::at("replace", path))?;
    parent(path).map_or(Ok(()), |parent| sync_dir(&parent))
}

/// Makes the entries of a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), FileError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(FileError::at("sync the directory", dir))
}

/// The directory that holds `path`, also for a path of one word.
pub(crate) fn parent(path: &Path) -> Option<PathBuf> {
    let parent = path.parent()?;
    Some(if parent.as_os_str().is_empty() { PathBuf::from(".") } else { parent.to_owned() })
}
