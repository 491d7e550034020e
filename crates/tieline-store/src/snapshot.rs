//! Snapshots of the state: plain files that save replaying the whole log, and can be thrown away.
//!
//! A file is complete or not there, and carries a checksum over everything in it. One that is
//! damaged, of another format or ahead of the log is passed over with its reason, and the next
//! older one is tried; without any, the state is rebuilt from the log.
//!
//! | bytes | meaning (numbers little endian) |
//! |---|---|
//! | 16 | `tieline state 1` and a line end |
//! | 4 | format of the state |
//! | 8 | seq of the last event in it |
//! | 32 | hash of the state |
//! | 32 | BLAKE3 of all of the above and of what follows |
//! | … | the state |

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use tieline_core::Seq;

use crate::error::FileError;
use crate::place;

const MAGIC: &[u8; 16] = b"tieline state 1\n";
const HEAD_BYTES: usize = 16 + 4 + 8 + 32;

/// The snapshots of one org, in a directory of their own.
#[derive(Debug, Clone)]
pub struct SnapshotStore {
    dir: PathBuf,
}

/// A state that was written earlier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The last event in it: replay goes on with the next.
    pub seq: Seq,
    /// Hash of the state.
    pub state_hash: [u8; 32],
    /// Format of the state.
    pub format: u32,
    /// The encoded state.
    pub bytes: Vec<u8>,
}

/// What was found when a snapshot was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The newest one that can be used.
    pub snapshot: Option<Snapshot>,
    /// Newer ones that cannot.
    pub skipped: Vec<Skipped>,
}

/// A snapshot that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Its file.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

impl SnapshotStore {
    /// The snapshots in `dir`, which is made if it is not there.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, FileError> {
        let dir = dir.into();
        fs::create_dir_all(&dir).map_err(FileError::at("make the directory", &dir))?;
        place::parent(&dir).map_or(Ok(()), |parent| place::sync_dir(&parent))?;
        Ok(Self { dir })
    }

    /// Writes the state after event `seq`, which must be durable. Afterwards it is there whole, or
    /// not at all.
    ///
    /// # Errors
    /// The file cannot be written or synced.
    pub fn write(&self, seq: Seq, state_hash: [u8; 32], format: u32, bytes: &[u8]) -> Result<(), FileError> {
        let mut head = Vec::with_capacity(HEAD_BYTES);
        head.extend_from_slice(MAGIC);
        head.extend_from_slice(&format.to_le_bytes());
        head.extend_from_slice(&seq.0.to_le_bytes());
        head.extend_from_slice(&state_hash);
        let check = check(&head, bytes);
        place::replace(&self.path(seq), &[&head, check.as_bytes(), bytes])
    }

    /// The newest snapshot of `format` that is whole and holds no event after `up_to`, the head of
    /// the log: one that is ahead belongs to a log that was lost.
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub fn newest_good(&self, format: u32, up_to: Seq) -> Result<Found, FileError> {
        let mut skipped = Vec::new();
        for (seq, path) in self.newest_first()? {
            match read(&path, seq, format, up_to) {
                Ok(snapshot) => return Ok(Found { snapshot: Some(snapshot), skipped }),
                Err(reason) => skipped.push(Skipped { path, reason }),
            }
        }
        Ok(Found { snapshot: None, skipped })
    }

    /// Deletes all but the `keep` newest snapshots, and what a crash left half written. After a
    /// restore nothing may be kept: old snapshots can be of a life that is gone.
    ///
    /// # Errors
    /// A file cannot be deleted.
    pub fn prune(&self, keep: usize) -> Result<(), FileError> {
        let old = self.newest_first()?.into_iter().skip(keep).map(|(_, path)| path);
        let half = self.files()?.into_iter().filter(|path| path.extension().is_some_and(|e| e == "aside"));
        for path in old.chain(half) {
            fs::remove_file(&path).map_err(FileError::at("remove", &path))?;
        }
        place::sync_dir(&self.dir)
    }

    fn path(&self, seq: Seq) -> PathBuf {
        self.dir.join(format!("{:020}.state", seq.0))
    }

    fn newest_first(&self) -> Result<Vec<(Seq, PathBuf)>, FileError> {
        let seq =
            |path: &Path| Some(Seq(path.file_name()?.to_str()?.strip_suffix(".state")?.parse().ok()?));
        let mut found: Vec<_> =
            self.files()?.into_iter().filter_map(|path| Some((seq(&path)?, path))).collect();
        found.sort_by(|one, other| other.cmp(one));
        Ok(found)
    }

    fn files(&self) -> Result<Vec<PathBuf>, FileError> {
        let list = || fs::read_dir(&self.dir)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>();
        list().map_err(FileError::at("list", &self.dir))
    }
}

fn check(head: &[u8], bytes: &[u8]) -> blake3::Hash {
    blake3::Hasher::new().update(head).update(bytes).finalize()
}

/// Reads a snapshot, or says why it cannot be used.
fn read(path: &Path, named: Seq, format: u32, up_to: Seq) -> Result<Snapshot, String> {
    if named > up_to {
        return Err(format!("it holds seq {named} and the log ends at {up_to}"));
    }
    let (head, sum, bytes) = parts(path).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => "it is cut off".to_owned(),
        _ => format!("it cannot be read: {error}"),
    })?;
    if check(&head, &bytes) != sum {
        return Err("its checksum does not match".to_owned());
    }
    let snapshot = parse_head(&head).ok_or("it is not a snapshot of a state")?;
    if snapshot.format != format {
        return Err(format!("its format is {}, and this version of Tieline reads {format}", snapshot.format));
    }
    if snapshot.seq != named {
        return Err(format!("it holds seq {} under the name of another", snapshot.seq));
    }
    Ok(Snapshot { bytes, ..snapshot })
}

/// Head, checksum and state of a file. A large state is in memory once.
fn parts(path: &Path) -> io::Result<([u8; HEAD_BYTES], [u8; 32], Vec<u8>)> {
    let mut file = fs::File::open(path)?;
    let (mut head, mut sum, mut bytes) = ([0; HEAD_BYTES], [0; 32], Vec::new());
    file.read_exact(&mut head)?;
    file.read_exact(&mut sum)?;
    file.read_to_end(&mut bytes)?;
    Ok((head, sum, bytes))
}

/// What the head says, with an empty state.
fn parse_head(head: &[u8]) -> Option<Snapshot> {
    let rest = head.strip_prefix(MAGIC)?;
    let (format, rest) = rest.split_first_chunk()?;
    let (seq, rest) = rest.split_first_chunk()?;
    let (state_hash, _) = rest.split_first_chunk()?;
    Some(Snapshot {
        seq: Seq(u64::from_le_bytes(*seq)),
        state_hash: *state_hash,
        format: u32::from_le_bytes(*format),
        bytes: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, SnapshotStore) {
        let dir = tempfile::tempdir().unwrap();
        let store = SnapshotStore::open(dir.path().join("state")).unwrap();
        for seq in [7, 30, 200] {
            store.write(Seq(seq), [seq as u8; 32], 2, format!("state at {seq}").as_bytes()).unwrap();
        }
        (dir, store)
    }

    fn newest(store: &SnapshotStore, format: u32, up_to: u64) -> (Option<u64>, Vec<String>) {
        let found = store.newest_good(format, Seq(up_to)).unwrap();
        let seq = found.snapshot.map(|snapshot| snapshot.seq.0);
        (seq, found.skipped.into_iter().map(|skipped| skipped.reason).collect())
    }

    #[test]
    fn the_newest_that_fits_is_given_back() {
        let (_dir, store) = store();
        let found = store.newest_good(2, Seq(200)).unwrap();
        let bytes = b"state at 200".to_vec();
        let expected = Snapshot { seq: Seq(200), state_hash: [200; 32], format: 2, bytes };
        assert_eq!(found, Found { snapshot: Some(expected), skipped: vec![] });

        let (seq, reasons) = newest(&store, 2, 199);
        assert_eq!((seq, reasons.len()), (Some(30), 1));
        assert!(reasons[0].contains("the log ends at 199"), "{reasons:?}");
        let (seq, reasons) = newest(&store, 3, 200);
        assert_eq!((seq, reasons.len()), (None, 3));
        assert!(reasons[0].contains("format is 2"), "{reasons:?}");
    }

    #[test]
    fn damage_anywhere_is_noticed_and_the_older_one_taken() {
        let (_dir, store) = store();
        let path = store.path(Seq(200));
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut other = whole.clone();
            other[at] ^= 1;
            fs::write(&path, &other).unwrap();
            assert_eq!(newest(&store, 2, 200).0, Some(30), "changed byte {at}");
            fs::write(&path, &whole[..at]).unwrap();
            let (seq, reasons) = newest(&store, 2, 200);
            assert_eq!((seq, reasons.len()), (Some(30), 1), "cut after {at}");
        }
        fs::rename(store.path(Seq(30)), &path).unwrap();
        assert!(newest(&store, 2, 200).1[0].contains("under the name of another"));
    }

    #[test]
    fn pruning_keeps_the_newest_and_removes_leftovers() {
        let (_dir, store) = store();
        fs::write(store.dir.join("00000000000000000300.state.aside"), b"half").unwrap();
        store.prune(2).unwrap();
        assert_eq!(newest(&store, 2, 200).0, Some(200));
        assert_eq!(store.files().unwrap().len(), 2);
        store.prune(0).unwrap();
        assert_eq!(store.files().unwrap().len(), 0);
    }
}
