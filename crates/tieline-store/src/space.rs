//! Room on the disk: a log must stop taking batches before sled meets a full disk.
//!
//! After ENOSPC every write of sled fails for good, and with large values its flush hangs. So the
//! daemon refuses writes and stops taking frames as long as the guard says so.

use std::path::{Path, PathBuf};

use crate::error::{FileError, LogError, NoSpace};

/// Watches the file system that holds a log. Cheap to ask and to clone.
#[derive(Debug, Clone)]
pub struct SpaceGuard {
    dir: PathBuf,
    min_bytes: u64,
}

impl SpaceGuard {
    /// Guards the file system of `dir`, where `min_bytes` must stay free.
    #[must_use]
    pub fn new(dir: &Path, min_bytes: u64) -> Self {
        Self { dir: dir.to_owned(), min_bytes }
    }

    /// Bytes that are free for this process.
    ///
    /// # Errors
    /// The file system does not answer.
    pub fn free_bytes(&self) -> Result<u64, FileError> {
        let stat = rustix::fs::statvfs(&self.dir).map_err(|error| error.into());
        let stat = stat.map_err(FileError::at("ask for the free space of", &self.dir))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// Whether there is room for another batch.
    ///
    /// # Errors
    /// [`LogError::NoSpace`] if less than the reserve is free, [`LogError::Space`] if that cannot
    /// be told.
    pub fn check(&self) -> Result<(), LogError> {
        let free_bytes = self.free_bytes().map_err(LogError::Space)?;
        if free_bytes < self.min_bytes {
            return Err(NoSpace { dir: self.dir.clone(), free_bytes, min_bytes: self.min_bytes }.into());
        }
        Ok(())
    }
}
