//! The secrets of an org: two NATS users and one X25519 key, as files that only its user reads.
//!
//! | file | content | leaves the machine |
//! |---|---|---|
//! | `inbox.nk` | nkey seed of the user that reads the inbox | never |
//! | `sender.nk` | nkey seed of the user that writes to partners | never |
//! | `org.x25519` | X25519 secret, base64url | never |
//! | `CONNECTION.NUMBER.x25519` | X25519 secret of one connection, after its key was changed | never |
//! | `public.json` | the org's name and the three public keys | to whoever configures the broker |
//!
//! The directory is 0700 and the secrets are 0600; [`OrgKeys::load`] refuses anything more open.
//! A saved set is never overwritten: an org that loses its keys has to invite its partners anew.

mod connection;

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use data_encoding::BASE64URL_NOPAD;
use nkeys::{KeyPair, KeyPairType};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tieline_core::OrgName;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

pub use connection::{ConnectionKeys, ConnectionSecret};

const INBOX_FILE: &str = "inbox.nk";
const SENDER_FILE: &str = "sender.nk";
const X25519_FILE: &str = "org.x25519";
const PUBLIC_FILE: &str = "public.json";

/// Most bytes of a key file: whoever points at another file gets an error, not its content in memory.
const KEY_FILE_BYTES_MAX: u64 = 4 * 1024;

/// Why keys could not be made, saved or loaded.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A file of the set is not there.
    #[error("Key file {path} is missing: restore it from a backup, or make new keys in an empty directory")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The directory holds something already.
    #[error("{path} is not empty, and keys are never overwritten: choose another directory")]
    Exists {
        /// The directory.
        path: PathBuf,
    },
    /// Others could read a secret.
    #[error("{path} can be read by others (mode {mode:03o}): run chmod go-rwx on it")]
    TooOpen {
        /// The file or directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file does not hold what its name says.
    #[error("{path} does not hold {expected}: restore it from a backup")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What should be in it.
        expected: &'static str,
    },
    /// `public.json` belongs to other secrets.
    #[error("{path} does not belong to the secrets beside it: restore the whole directory from one backup")]
    Mismatch {
        /// The file.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("Could not {action} {path}")]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The operating system gave no randomness.
    #[error("The operating system gave no randomness for new keys")]
    Entropy,
}

/// The nkey of one NATS user.
struct UserKey {
    seed: Zeroizing<String>,
    public: String,
}

impl UserKey {
    fn generate() -> Result<Self, KeysError> {
        let mut raw = Zeroizing::new([0; 32]);
        getrandom::fill(raw.as_mut()).map_err(|_| KeysError::Entropy)?;
        let pair = KeyPair::new_from_raw(KeyPairType::User, *raw).map_err(|_| KeysError::Entropy)?;
        let seed = Zeroizing::new(pair.seed().map_err(|_| KeysError::Entropy)?);
        Ok(Self { public: pair.public_key(), seed })
    }

    fn load(path: PathBuf) -> Result<Self, KeysError> {
        let text = read_secret(&path)?;
        let pair = KeyPair::from_seed(text.trim()).ok();
        match pair.filter(|pair| pair.key_pair_type() == KeyPairType::User) {
            Some(pair) => {
                Ok(Self { public: pair.public_key(), seed: Zeroizing::new(text.trim().to_owned()) })
            }
            None => Err(KeysError::Malformed { path, expected: "the nkey seed of a user (SU…)" }),
        }
    }
}

/// The secrets of one org. Wiped when dropped; `Debug` shows the public part alone.
pub struct OrgKeys {
    org: OrgName,
    inbox: UserKey,
    sender: UserKey,
    x25519: StaticSecret,
}

impl OrgKeys {
    /// Makes new keys for `org` from the operating system's randomness.
    ///
    /// # Errors
    /// [`KeysError::Entropy`].
    pub fn generate(org: OrgName) -> Result<Self, KeysError> {
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(secret.as_mut()).map_err(|_| KeysError::Entropy)?;
        Ok(Self {
            org,
            inbox: UserKey::generate()?,
            sender: UserKey::generate()?,
            x25519: StaticSecret::from(*secret),
        })
    }

    /// Writes the four files into `dir`, which must not exist or be empty: either all of them are
    /// there afterwards, on disk, or none.
    ///
    /// # Errors
    /// [`KeysError::Exists`] and [`KeysError::Io`].
    pub fn save(&self, dir: &Path) -> Result<(), KeysError> {
        let parent = match dir.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        // The set is written beside its place and renamed into it: a crash leaves no half of it,
        // and a rename replaces an empty directory but never a full one.
        let suffix = getrandom::u64().map_err(|_| KeysError::Entropy)?;
        let mut name = dir.file_name().unwrap_or_default().to_owned();
        name.push(format!(".new-{suffix:016x}"));
        let aside = parent.join(name);
        let written = self.write_into(&aside).and_then(|()| match fs::rename(&aside, dir) {
            Ok(()) => sync(parent),
            Err(e) if matches!(e.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists) => {
                Err(KeysError::Exists { path: dir.to_owned() })
            }
            Err(source) => Err(KeysError::Io { action: "create", path: dir.to_owned(), source }),
        });
        if written.is_err() {
            // Best effort: the error that matters is the one above.
            fs::remove_dir_all(&aside).ok();
        }
        written
    }

    fn write_into(&self, dir: &Path) -> Result<(), KeysError> {
        let created = DirBuilder::new().mode(0o700).create(dir);
        created.map_err(|source| KeysError::Io { action: "create", path: dir.to_owned(), source })?;
        write(&dir.join(INBOX_FILE), 0o600, &self.inbox.seed)?;
        write(&dir.join(SENDER_FILE), 0o600, &self.sender.seed)?;
        write(
            &dir.join(X25519_FILE),
            0o600,
            &Zeroizing::new(BASE64URL_NOPAD.encode(self.x25519.as_bytes())),
        )?;
        // A struct of strings always has a JSON form.
        let public = serde_json::to_string_pretty(&self.public()).unwrap_or_default();
        write(&dir.join(PUBLIC_FILE), 0o644, &public)?;
        sync(dir)
    }

    /// Reads what [`OrgKeys::save`] wrote.
    ///
    /// # Errors
    /// Every variant of [`KeysError`] but `Exists` and `Entropy`, naming the file and the remedy.
    pub fn load(dir: &Path) -> Result<Self, KeysError> {
        refuse_open(dir)?;
        let public_path = dir.join(PUBLIC_FILE);
        let public = PublicKeys::load(&public_path)?;
        let x25519_path = dir.join(X25519_FILE);
        let text = read_secret(&x25519_path)?;
        let Some(secret) = decode_32(text.trim()) else {
            return Err(KeysError::Malformed {
                path: x25519_path,
                expected: "an X25519 secret in base64url",
            });
        };
        let keys = Self {
            org: public.org.clone(),
            inbox: UserKey::load(dir.join(INBOX_FILE))?,
            sender: UserKey::load(dir.join(SENDER_FILE))?,
            x25519: StaticSecret::from(*secret),
        };
        if keys.public() != public {
            return Err(KeysError::Mismatch { path: public_path });
        }
        Ok(keys)
    }

    /// The org that these keys belong to.
    #[must_use]
    pub const fn org(&self) -> &OrgName {
        &self.org
    }

    /// What others may know.
    #[must_use]
    pub fn public(&self) -> PublicKeys {
        PublicKeys {
            org: self.org.clone(),
            inbox: self.inbox.public.clone(),
            sender: self.sender.public.clone(),
            x25519: self.x25519_public(),
        }
    }

    /// The X25519 public key: it goes into invitations and hellos.
    #[must_use]
    pub fn x25519_public(&self) -> [u8; 32] {
        PublicKey::from(&self.x25519).to_bytes()
    }

    /// The X25519 secret, for [`crate::seal::DirectionKeys::derive`].
    #[must_use]
    pub const fn x25519_secret(&self) -> &StaticSecret {
        &self.x25519
    }

    pub(crate) fn inbox_seed(&self) -> String {
        self.inbox.seed.to_string()
    }

    pub(crate) fn sender_seed(&self) -> String {
        self.sender.seed.to_string()
    }
}

impl fmt::Debug for OrgKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrgKeys").field("public", &self.public()).finish_non_exhaustive()
    }
}

/// The public part of [`OrgKeys`]: what a broker's configuration and a partner need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicKeys {
    /// The org.
    pub org: OrgName,
    /// Public nkey of the user of account `in_<org>`.
    pub inbox: String,
    /// Public nkey of the user of account `<org>`.
    pub sender: String,
    /// X25519 public key; base64url in JSON.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub x25519: [u8; 32],
}

impl PublicKeys {
    /// Reads a `public.json`.
    ///
    /// # Errors
    /// [`KeysError::Missing`], [`KeysError::Io`] and [`KeysError::Malformed`].
    pub fn load(path: &Path) -> Result<Self, KeysError> {
        let text = read(path)?;
        serde_json::from_str(&text).map_err(|_| KeysError::Malformed {
            path: path.to_owned(),
            expected: "an org's name and public keys as JSON",
        })
    }
}

fn to_base64<S: Serializer>(key: &[u8; 32], s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(&BASE64URL_NOPAD.encode(key))
}

fn from_base64<'de, D: Deserializer<'de>>(d: D) -> Result<[u8; 32], D::Error> {
    let text = String::deserialize(d)?;
    let key = decode_32(&text).ok_or_else(|| serde::de::Error::custom("not 32 bytes in base64url"))?;
    Ok(*key)
}

/// Thirty-two bytes from base64url without padding.
pub(crate) fn decode_32(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let bytes = Zeroizing::new(BASE64URL_NOPAD.decode(text.as_bytes()).ok()?);
    Some(Zeroizing::new(<[u8; 32]>::try_from(bytes.as_slice()).ok()?))
}

fn write(path: &Path, mode: u32, text: &str) -> Result<(), KeysError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = file.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()
    });
    written.map_err(|source| KeysError::Io { action: "write", path: path.to_owned(), source })
}

fn sync(dir: &Path) -> Result<(), KeysError> {
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|source| KeysError::Io { action: "sync", path: dir.to_owned(), source })
}

fn refuse_open(path: &Path) -> Result<(), KeysError> {
    let mode = fs::metadata(path).map_err(|source| no_file(path, source))?.mode() & 0o777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(KeysError::TooOpen { path: path.to_owned(), mode }) }
}

fn read_secret(path: &Path) -> Result<Zeroizing<String>, KeysError> {
    refuse_open(path)?;
    read(path)
}

fn read(path: &Path) -> Result<Zeroizing<String>, KeysError> {
    let file = File::open(path).map_err(|source| no_file(path, source))?;
    let mut text = Zeroizing::new(String::with_capacity(256));
    let read = file.take(KEY_FILE_BYTES_MAX).read_to_string(&mut text);
    read.map_err(|source| KeysError::Io { action: "read", path: path.to_owned(), source })?;
    Ok(text)
}

fn no_file(path: &Path, source: io::Error) -> KeysError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound => KeysError::Missing { path },
        _ => KeysError::Io { action: "read", path, source },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn saved() -> (tempfile::TempDir, PathBuf, OrgKeys) {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("keys");
        let keys = OrgKeys::generate("alpha".parse().unwrap()).unwrap();
        keys.save(&dir).unwrap();
        (home, dir, keys)
    }

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn keys_survive_the_disk_and_stay_private() {
        let (_home, dir, keys) = saved();
        let loaded = OrgKeys::load(&dir).unwrap();
        assert_eq!(loaded.public(), keys.public());
        assert_eq!(loaded.inbox_seed(), keys.inbox_seed());
        assert_eq!(loaded.sender_seed(), keys.sender_seed());
        assert_eq!(loaded.x25519_secret().as_bytes(), keys.x25519_secret().as_bytes());
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&dir), 0o700);
        for name in [INBOX_FILE, SENDER_FILE, X25519_FILE] {
            assert_eq!(mode(&dir.join(name)), 0o600, "{name}");
        }
        assert_eq!(PublicKeys::load(&dir.join(PUBLIC_FILE)).unwrap(), keys.public());
    }

    #[test]
    fn a_set_is_never_overwritten() {
        let (home, dir, keys) = saved();
        let other = OrgKeys::generate("alpha".parse().unwrap()).unwrap();
        assert!(matches!(other.save(&dir), Err(KeysError::Exists { .. })));
        assert_eq!(OrgKeys::load(&dir).unwrap().public(), keys.public());
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "nothing is left beside it");
        let empty = home.path().join("empty");
        fs::create_dir(&empty).unwrap();
        other.save(&empty).unwrap();
        assert_eq!(OrgKeys::load(&empty).unwrap().public(), other.public());
    }

    #[test]
    fn what_is_wrong_with_a_set_is_named() {
        type Damage = fn(&Path);
        let cases: [(Damage, &str); 9] = [
            (|d| fs::remove_dir_all(d).unwrap(), "keys is missing"),
            (|d| fs::remove_file(d.join(SENDER_FILE)).unwrap(), "sender.nk is missing"),
            (|d| fs::remove_file(d.join(PUBLIC_FILE)).unwrap(), "public.json is missing"),
            (|d| chmod(d, 0o750), "keys can be read by others (mode 750)"),
            (|d| chmod(&d.join(X25519_FILE), 0o644), "org.x25519 can be read by others (mode 644)"),
            (|d| fs::write(d.join(INBOX_FILE), "SUAB").unwrap(), "inbox.nk does not hold the nkey seed"),
            (
                |d| fs::write(d.join(X25519_FILE), "AAAA").unwrap(),
                "org.x25519 does not hold an X25519 secret",
            ),
            (|d| fs::write(d.join(PUBLIC_FILE), "{}").unwrap(), "public.json does not hold an org's name"),
            (
                |d| assert!(fs::copy(d.join(INBOX_FILE), d.join(SENDER_FILE)).unwrap() > 0),
                "public.json does not belong to the secrets beside it",
            ),
        ];
        for (damage, expected) in cases {
            let (_home, dir, _) = saved();
            damage(&dir);
            let text = OrgKeys::load(&dir).unwrap_err().to_string();
            assert!(text.contains(expected), "{text:?} does not say {expected:?}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let (_home, _, keys) = saved();
        let shown = format!("{keys:?}");
        let x25519 = BASE64URL_NOPAD.encode(keys.x25519_secret().as_bytes());
        for secret in [keys.inbox_seed(), keys.sender_seed(), x25519] {
            assert!(!shown.contains(&secret));
        }
        assert!(shown.contains("alpha"));
    }
}
