//! Keys that an org makes for one connection, in the place of the key of the org (PROTOCOL §2).
//!
//! Each secret is a file beside those of the org, `CONNECTION.NUMBER.x25519`, 0600. Numbers only
//! rise. A file is whole and on disk before anybody learns of its key, and is deleted only by its
//! number: a file with a higher number than the log knows stays, because a log that was restored
//! may have forgotten a key that the partner seals for.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use data_encoding::BASE64URL_NOPAD;
use tieline_core::ConnectionId;
use tieline_core::state::OwnKey;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::{KeysError, decode_32, read_secret, sync, write};

/// The secret of a key that was made for one connection. Wiped when dropped; it has no `Debug`.
pub struct ConnectionSecret {
    number: u32,
    secret: StaticSecret,
}

impl ConnectionSecret {
    /// Its number and public half.
    #[must_use]
    pub fn key(&self) -> OwnKey {
        let public_key = PublicKey::from(&self.secret).to_bytes().into();
        OwnKey { number: self.number, public_key }
    }

    /// The secret, for [`crate::seal::DirectionKeys::derive`].
    #[must_use]
    pub const fn secret(&self) -> &StaticSecret {
        &self.secret
    }
}

/// The files of all connections of an org.
#[derive(Debug)]
pub struct ConnectionKeys {
    dir: PathBuf,
    /// Held while files come or go: a number is given to one key.
    changing: Mutex<()>,
}

impl ConnectionKeys {
    /// The files in `dir`, where [`super::OrgKeys`] are, too.
    #[must_use]
    pub fn in_dir(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), changing: Mutex::default() }
    }

    /// Makes a key of `connection` from the operating system's randomness. Its number is above
    /// `above` and above those of all files. When this returns, the secret is on disk.
    ///
    /// # Errors
    /// [`KeysError::Entropy`] and [`KeysError::Io`].
    pub fn make(&self, connection: ConnectionId, above: u32) -> Result<OwnKey, KeysError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let last = self.numbers(connection)?.last().copied().unwrap_or(0);
        let number = last.max(above).saturating_add(1);
        let mut random = Zeroizing::new([0; 32]);
        getrandom::fill(random.as_mut()).map_err(|_| KeysError::Entropy)?;
        let secret = StaticSecret::from(*random);
        let path = self.path(connection, number);
        // Written aside and renamed: a crash leaves no half of a key under a name that is read.
        let aside = path.with_added_extension("new");
        fs::remove_file(&aside).ok();
        write(&aside, 0o600, &Zeroizing::new(BASE64URL_NOPAD.encode(secret.as_bytes())))?;
        fs::rename(&aside, &path).map_err(|source| KeysError::Io { action: "create", path, source })?;
        sync(&self.dir)?;
        Ok(ConnectionSecret { number, secret }.key())
    }

    /// The secrets of `connection`, by their numbers.
    ///
    /// # Errors
    /// Every variant of [`KeysError`] but `Exists`, `Mismatch` and `Entropy`, naming the file.
    pub fn load(&self, connection: ConnectionId) -> Result<BTreeMap<u32, ConnectionSecret>, KeysError> {
        let mut secrets = BTreeMap::new();
        for number in self.numbers(connection)? {
            let path = self.path(connection, number);
            let text = read_secret(&path)?;
            let Some(secret) = decode_32(text.trim()) else {
                return Err(KeysError::Malformed { path, expected: "an X25519 secret in base64url" });
            };
            secrets.insert(number, ConnectionSecret { number, secret: StaticSecret::from(*secret) });
        }
        Ok(secrets)
    }

    /// Deletes the secrets of `connection` that `is_over` names.
    ///
    /// # Errors
    /// [`KeysError::Io`].
    pub fn delete(&self, connection: ConnectionId, is_over: impl Fn(u32) -> bool) -> Result<(), KeysError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let over: Vec<u32> =
            self.numbers(connection)?.into_iter().filter(|number| is_over(*number)).collect();
        for number in &over {
            let path = self.path(connection, *number);
            fs::remove_file(&path).map_err(|source| KeysError::Io { action: "delete", path, source })?;
        }
        if over.is_empty() { Ok(()) } else { sync(&self.dir) }
    }

    fn path(&self, connection: ConnectionId, number: u32) -> PathBuf {
        self.dir.join(format!("{connection}.{number}.x25519"))
    }

    /// The numbers of the files of a connection, in order.
    fn numbers(&self, connection: ConnectionId) -> Result<Vec<u32>, KeysError> {
        let failed = |source| KeysError::Io { action: "list", path: self.dir.clone(), source };
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let number = name.to_str().and_then(|name| {
                let rest = name.strip_prefix(&connection.to_string())?.strip_prefix('.')?;
                rest.strip_suffix(".x25519")?.parse::<u32>().ok()
            });
            numbers.extend(number);
        }
        numbers.sort_unstable();
        Ok(numbers)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    const ONE: ConnectionId = ConnectionId(1);

    fn files() -> (tempfile::TempDir, ConnectionKeys) {
        let dir = tempfile::tempdir().unwrap();
        let files = ConnectionKeys::in_dir(dir.path());
        (dir, files)
    }

    fn numbers(files: &ConnectionKeys, connection: ConnectionId) -> Vec<u32> {
        files.load(connection).unwrap().into_keys().collect()
    }

    #[test]
    fn keys_survive_the_disk_by_connection_and_number() {
        let (dir, files) = files();
        let first = files.make(ONE, 0).unwrap();
        let other = files.make(ConnectionId(2), 0).unwrap();
        // The log may know of keys whose files are gone.
        let later = files.make(ONE, 4).unwrap();
        assert_eq!([first.number, other.number, later.number], [1, 1, 5]);
        let again = ConnectionKeys::in_dir(dir.path());
        let loaded: Vec<_> = again.load(ONE).unwrap().values().map(ConnectionSecret::key).collect();
        assert_eq!(loaded, [first, later]);
        assert_ne!(first.public_key, other.public_key);
        for entry in fs::read_dir(dir.path()).unwrap() {
            assert_eq!(entry.unwrap().metadata().unwrap().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn only_what_is_over_is_deleted_and_a_half_key_is_none() {
        let (dir, files) = files();
        for _ in 0..3 {
            files.make(ONE, 0).unwrap();
        }
        files.make(ConnectionId(2), 0).unwrap();
        files.delete(ONE, |number| number < 3 && number != 1).unwrap();
        assert_eq!((numbers(&files, ONE), numbers(&files, ConnectionId(2))), (vec![1, 3], vec![1]));
        // A crash while a key was being written: the next one takes its place.
        fs::write(dir.path().join(format!("{ONE}.4.x25519.new")), "hal").unwrap();
        assert_eq!(numbers(&files, ONE), [1, 3]);
        assert_eq!(files.make(ONE, 0).unwrap().number, 4);
        assert_eq!(numbers(&files, ONE), [1, 3, 4]);
    }

    #[test]
    fn a_damaged_file_is_named() {
        let (dir, files) = files();
        files.make(ONE, 0).unwrap();
        fs::write(dir.path().join(format!("{ONE}.1.x25519")), "AAAA").unwrap();
        let error = files.load(ONE).err().unwrap().to_string();
        assert!(error.contains(&format!("{ONE}.1.x25519 does not hold an X25519 secret")), "{error}");
    }
}
