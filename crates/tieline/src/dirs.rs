//! Directories and files that are made whole or not at all.
//!
//! A directory is made beside its place and then renamed: a failure leaves nothing that would be in
//! the way of another try, and nothing that looks whole and is not. Nothing is ever overwritten.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::{CliError, Kind, Result};

/// The mode of a file that only its owner may read.
pub(crate) const PRIVATE: u32 = 0o600;
/// The mode of a file without secrets.
pub(crate) const READABLE: u32 = 0o644;

/// `dir` from the root of the file system.
pub(crate) fn absolute(dir: &Path) -> Result<PathBuf> {
    std::path::absolute(dir).map_err(failed("find", dir))
}

/// Refuses a directory that has something in it; `because` says what is at stake.
pub(crate) fn refuse_full(dir: &Path, because: &str) -> Result<()> {
    let empty = match fs::read_dir(dir) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    if empty {
        return Ok(());
    }
    Err(CliError::new(Kind::Conflict, format!("{} is there already and not empty", dir.display()))
        .hint(format!("Choose another directory: {because}")))
}

/// Makes the private directory `dir`, which is empty or not there: `fill` is given a directory
/// beside it, which is then synced and renamed.
pub(crate) fn make<T>(dir: &Path, fill: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    let aside = dir.with_added_extension(format!("new-{}", std::process::id()));
    let made = make_private(&aside)
        .and_then(|()| fill(&aside))
        .and_then(|filled| sync(&aside).map(|()| filled))
        .and_then(|filled| fs::rename(&aside, dir).map(|()| filled).map_err(failed("create", dir)));
    if made.is_err() {
        // Best effort: the error that matters is the one above.
        fs::remove_dir_all(&aside).ok();
    }
    made
}

fn make_private(dir: &Path) -> Result<()> {
    DirBuilder::new().mode(0o700).recursive(true).create(dir).map_err(failed("create", dir))
}

fn sync(dir: &Path) -> Result<()> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed("sync", dir))
}

/// Creates a file that is not there yet, for writing.
pub(crate) fn create(path: &Path, mode: u32) -> Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(|error| {
        match error.kind() {
            io::ErrorKind::AlreadyExists => {
                CliError::new(Kind::Conflict, format!("{} is there already", path.display()))
                    .hint("Name another file")
            }
            _ => failed("create", path)(error),
        }
    })
}

/// Writes a new file, durably.
pub(crate) fn write(path: &Path, mode: u32, content: &[u8]) -> Result<()> {
    let mut file = create(path, mode)?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(failed("write", path))
}

/// Copies the files of the directory `from` into the new private directory `to`, durably.
pub(crate) fn copy_private(from: &Path, to: &Path) -> Result<()> {
    make_private(to)?;
    for entry in fs::read_dir(from).map_err(failed("list", from))? {
        let path = entry.map_err(failed("list", from))?.path();
        if let Some(name) = path.file_name().filter(|_| path.is_file()) {
            write(&to.join(name), PRIVATE, &fs::read(&path).map_err(failed("read", &path))?)?;
        }
    }
    sync(to)
}

/// What could not be done with `path`.
pub(crate) fn failed(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> CliError + use<> {
    let path = path.display().to_string();
    move |error| CliError::new(Kind::Internal, format!("Cannot {doing} {path}")).caused_by(&error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_made_whole_or_not_at_all() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("d");
        let error = make(&dir, |aside| {
            write(&aside.join("f"), PRIVATE, b"x")?;
            write(&aside.join("f"), PRIVATE, b"y")
        });
        assert_eq!(error.unwrap_err().kind, Kind::Conflict);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
        make(&dir, |aside| write(&aside.join("f"), PRIVATE, b"x")).unwrap();
        assert_eq!(fs::read(dir.join("f")).unwrap(), b"x");
        assert_eq!(refuse_full(&dir, "").unwrap_err().kind, Kind::Conflict);
        assert!(refuse_full(&home.path().join("none"), "").is_ok());
    }
}
