//! Secrets as files beside the keys of the org: 0600, written aside, and on disk before anything counts on
//! them. Neither log nor answers nor exports hold one.
//!
//! Webhooks are signed with `webhook.NAME.secret`. One that is rotated stays beside it as
//! `webhook.NAME.former` for a day, and signs as well: a receiver has that long to take the new one.
//! A request whose answer is a secret and that may be sent again keeps it in `request.HASH.secret`, as
//! long as the log keeps that it was answered.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use tieline_core::{SecretName, Timestamp};

use crate::org::OrgHandle;

/// How long a rotated secret still signs, and how long a request may be sent again.
const DAY: Duration = Duration::from_secs(86_400);
/// What a request waits longer than the log does, so that it never has an answer without its secret.
const SLACK: Duration = Duration::from_secs(3_600);
/// Longest secret that is read.
const BYTES_MAX: usize = 4_096;
/// Shortest secret that signs anything.
const BYTES_MIN: usize = 16;
/// Most secrets for webhooks.
const SECRETS_MAX: usize = 200;

const WEBHOOK: &str = "webhook.";
const REQUEST: &str = "request.";
const SECRET: &str = ".secret";
const FORMER: &str = ".former";

/// A secret for webhooks, of which no more is told than this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownSecret {
    /// Its name.
    pub(crate) name: SecretName,
    /// Since when it signs.
    pub(crate) since: Timestamp,
    /// Until when the one before it signs as well.
    pub(crate) former_until: Option<Timestamp>,
}

/// Why a secret was not made, rotated or removed.
#[derive(Debug)]
pub(crate) enum SecretError {
    /// There is one of that name.
    Known,
    /// There is none of that name.
    Unknown,
    /// There are too many.
    TooMany,
    /// The disk, or the operating system.
    Io(io::Error),
}

impl From<io::Error> for SecretError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn webhook(keys: &Path, name: &SecretName, suffix: &str) -> PathBuf {
    keys.join(format!("{WEBHOOK}{name}{suffix}"))
}

/// Writes a secret to a file of the directory of keys, for its owner alone: it is there whole and on disk, or
/// not at all.
pub(crate) fn put(keys: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let aside = path.with_added_extension("new");
    fs::remove_file(&aside).ok();
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&aside, path)?;
    File::open(keys)?.sync_all()
}

fn drawn() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes)
}

fn changed(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|meta| meta.modified()).ok()
}

fn age(path: &Path) -> Option<Duration> {
    Some(changed(path)?.elapsed().unwrap_or_default())
}

fn timestamp(time: SystemTime) -> Timestamp {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// What signs a webhook: the secret, then the former one as long as it does.
///
/// # Errors
/// Why there is none, in words.
pub(crate) fn signing(keys: &Path, name: &SecretName) -> Result<Vec<Vec<u8>>, String> {
    let path = webhook(keys, name, SECRET);
    let text = fs::read(&path).map_err(|error| {
        format!(
            "the secret {name} cannot be read ({error}): make it with `tieline webhook-secret create {name}`"
        )
    })?;
    let secret = text.trim_ascii().to_vec();
    if !(BYTES_MIN..=BYTES_MAX).contains(&secret.len()) {
        let bytes = secret.len();
        return Err(format!("the secret {name} has {bytes} bytes: from {BYTES_MIN} to {BYTES_MAX}"));
    }
    let former = webhook(keys, name, FORMER);
    let former = age(&former).filter(|age| *age < DAY).and_then(|_| fs::read(&former).ok());
    Ok(std::iter::once(secret).chain(former.map(|text| text.trim_ascii().to_vec())).collect())
}

fn list(keys: &Path) -> io::Result<Vec<KnownSecret>> {
    let mut known = Vec::new();
    for entry in fs::read_dir(keys)? {
        let file = entry?.file_name();
        let name = file.to_str().and_then(|file| file.strip_prefix(WEBHOOK)?.strip_suffix(SECRET));
        let Some(name) = name.and_then(|name| name.parse::<SecretName>().ok()) else { continue };
        let Some(since) = changed(&webhook(keys, &name, SECRET)) else { continue };
        let former = changed(&webhook(keys, &name, FORMER)).map(|time| time + DAY);
        let former = former.filter(|until| *until > SystemTime::now());
        known.push(KnownSecret { name, since: timestamp(since), former_until: former.map(timestamp) });
    }
    known.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(known)
}

/// Makes a secret; what it is, this once.
fn make(keys: &Path, name: &SecretName) -> Result<String, SecretError> {
    let path = webhook(keys, name, SECRET);
    if path.exists() {
        return Err(SecretError::Known);
    }
    if list(keys)?.len() >= SECRETS_MAX {
        return Err(SecretError::TooMany);
    }
    let secret = format!("tlw_{}", BASE64URL_NOPAD.encode(&drawn()?));
    put(keys, &path, secret.as_bytes())?;
    Ok(secret)
}

/// Makes another one in its place, which signs beside the former one for a day.
fn rotate(keys: &Path, name: &SecretName) -> Result<String, SecretError> {
    let path = webhook(keys, name, SECRET);
    let before = match fs::read(&path) {
        Ok(before) => before,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(SecretError::Unknown),
        Err(error) => return Err(error.into()),
    };
    put(keys, &webhook(keys, name, FORMER), &before)?;
    let secret = format!("tlw_{}", BASE64URL_NOPAD.encode(&drawn()?));
    put(keys, &path, secret.as_bytes())?;
    Ok(secret)
}

fn remove(keys: &Path, name: &SecretName) -> Result<(), SecretError> {
    match fs::remove_file(webhook(keys, name, SECRET)) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(SecretError::Unknown),
        Err(error) => return Err(error.into()),
    }
    fs::remove_file(webhook(keys, name, FORMER)).ok();
    File::open(keys)?.sync_all()?;
    Ok(())
}

fn request(keys: &Path, of: &[u8; 16]) -> PathBuf {
    keys.join(format!("{REQUEST}{}{SECRET}", HEXLOWER.encode(of)))
}

fn kept(path: &Path) -> Option<[u8; 32]> {
    let text = fs::read(path).ok()?;
    HEXLOWER.decode(text.trim_ascii()).ok()?.try_into().ok()
}

/// The secret of a request that may be sent again: the one that it had, or a new one that is kept.
fn of_request(keys: &Path, of: &[u8; 16]) -> io::Result<[u8; 32]> {
    let path = request(keys, of);
    if let Some(secret) = kept(&path) {
        return Ok(secret);
    }
    let secret = drawn()?;
    put(keys, &path, HEXLOWER.encode(&secret).as_bytes())?;
    Ok(secret)
}

/// Removes what signs nothing and answers nothing any more.
fn sweep(keys: &Path) -> io::Result<()> {
    for entry in fs::read_dir(keys)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let most = match name {
            _ if name.starts_with(WEBHOOK) && name.ends_with(FORMER) => DAY,
            _ if name.starts_with(REQUEST) => DAY + SLACK,
            _ => continue,
        };
        if age(&path).is_some_and(|age| age > most) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

impl OrgHandle {
    /// The secrets for webhooks, by name.
    pub(crate) fn webhook_secrets(&self) -> io::Result<Vec<KnownSecret>> {
        list(&self.shared.keys_dir)
    }

    /// Makes a secret for webhooks; what it is, this once.
    pub(crate) fn make_webhook_secret(&self, name: &SecretName) -> Result<String, SecretError> {
        make(&self.shared.keys_dir, name)
    }

    /// Makes another secret in the place of one; what it is, this once.
    pub(crate) fn rotate_webhook_secret(&self, name: &SecretName) -> Result<String, SecretError> {
        rotate(&self.shared.keys_dir, name)
    }

    /// Removes a secret for webhooks.
    pub(crate) fn remove_webhook_secret(&self, name: &SecretName) -> Result<(), SecretError> {
        remove(&self.shared.keys_dir, name)
    }

    /// The secret of a request that may be sent again.
    pub(crate) fn request_secret(&self, of: &[u8; 16]) -> io::Result<[u8; 32]> {
        of_request(&self.shared.keys_dir, of)
    }

    /// Removes secrets that are not needed any more.
    pub(crate) fn sweep_secrets(&self) {
        if let Err(error) = sweep(&self.shared.keys_dir) {
            tracing::warn!(%error, "old secrets could not be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn age_by(path: &Path, by: Duration) {
        File::open(path).unwrap().set_modified(SystemTime::now() - by).unwrap();
    }

    #[test]
    fn a_secret_is_made_rotated_and_removed() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        let (keys, name) = (dir.path(), "hooks".parse::<SecretName>().unwrap());
        assert!(signing(keys, &name).unwrap_err().contains("webhook-secret create hooks"));
        assert!(matches!(rotate(keys, &name), Err(SecretError::Unknown)));
        let first = make(keys, &name).unwrap();
        assert!(matches!(make(keys, &name), Err(SecretError::Known)));
        assert_eq!(signing(keys, &name).unwrap(), [first.clone().into_bytes()]);
        let file = webhook(keys, &name, SECRET);
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);

        // Both sign for a day, then the new one alone.
        let second = rotate(keys, &name).unwrap();
        assert_ne!(first, second);
        assert_eq!(signing(keys, &name).unwrap(), [second.clone().into_bytes(), first.into_bytes()]);
        assert!(list(keys).unwrap()[0].former_until.is_some());
        let former = webhook(keys, &name, FORMER);
        age_by(&former, DAY + SLACK);
        assert_eq!(signing(keys, &name).unwrap(), [second.into_bytes()]);
        assert_eq!(list(keys).unwrap()[0].former_until, None);
        sweep(keys).unwrap();
        assert!(!former.exists() && file.exists());

        remove(keys, &name).unwrap();
        assert!(matches!(remove(keys, &name), Err(SecretError::Unknown)));
        assert!(list(keys).unwrap().is_empty());
        fs::write(&file, "short").unwrap();
        assert!(signing(keys, &name).unwrap_err().contains("5 bytes"));
    }

    #[test]
    fn a_request_has_one_secret_as_long_as_it_may_come_again() {
        let dir = tempfile::tempdir().unwrap();
        let (keys, of) = (dir.path(), [7; 16]);
        let secret = of_request(keys, &of).unwrap();
        assert_eq!(of_request(keys, &of).unwrap(), secret);
        assert_ne!(of_request(keys, &[8; 16]).unwrap(), secret);
        sweep(keys).unwrap();
        assert_eq!(of_request(keys, &of).unwrap(), secret, "the log still knows the request");
        age_by(&request(keys, &of), DAY + SLACK + SLACK);
        sweep(keys).unwrap();
        assert_ne!(of_request(keys, &of).unwrap(), secret);
    }
}
