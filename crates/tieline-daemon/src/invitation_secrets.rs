//! The secrets of invitations that are sent by mail, kept until they are answered or over.
//!
//! The log holds the hash of a secret and never the secret, so the connection URL cannot be made from
//! it. A mail that has to be tried again needs the URL: its secret is a file beside the keys of the
//! org, `invitation.HASH.secret`, 0600, written and on disk before the invitation is logged. It goes
//! when the invitation is not open any more.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use tieline_bus::SecretHash;
use tieline_core::ConnectionId;
use tieline_core::state::{Connection, ConnectionStatus, Side, State};

use crate::clock::now;
use crate::org::OrgHandle;
use crate::secrets;

const PREFIX: &str = "invitation.";
const SUFFIX: &str = ".secret";

fn path(keys: &Path, hash: &[u8; 32]) -> PathBuf {
    // Not the hash itself, which is kept like a secret.
    let name = HEXLOWER.encode(&blake3::hash(hash).as_bytes()[..16]);
    keys.join(format!("{PREFIX}{name}{SUFFIX}"))
}

fn put(keys: &Path, secret: &[u8; 32]) -> io::Result<()> {
    let path = path(keys, SecretHash::of(secret).as_bytes());
    secrets::put(keys, &path, HEXLOWER.encode(secret).as_bytes())
}

fn get(keys: &Path, hash: &[u8; 32]) -> io::Result<[u8; 32]> {
    let text = fs::read(path(keys, hash))?;
    let bytes = HEXLOWER.decode(text.trim_ascii()).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| io::Error::other("it holds no secret"))
}

/// Whether the secret of an invitation may still be needed.
fn is_open(connection: &Connection) -> bool {
    connection.side == Side::Inviter
        && connection.status == ConnectionStatus::Pending
        && connection.expires.is_none_or(|expires| expires > now())
}

/// Removes the secrets of invitations that are not open any more.
fn sweep(keys: &Path, open: &BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(keys)? {
        let entry = entry?;
        let name = entry.file_name();
        let ours = name.to_str().is_some_and(|name| name.starts_with(PREFIX));
        // One that was written a moment ago belongs to an invitation that is being logged.
        let old = || {
            let age = entry.metadata().and_then(|meta| meta.modified()).map(|time| time.elapsed());
            age.is_ok_and(|age| age.is_ok_and(|age| age.as_secs() > 60))
        };
        if ours && !open.contains(&entry.path()) && old() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

impl OrgHandle {
    /// Keeps the secret of an invitation that is about to be sent by mail.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep_invitation_secret(&self, secret: &[u8; 32]) -> io::Result<()> {
        put(&self.shared.keys_dir, secret)
    }

    /// Forgets the secret of an invitation that was not made after all.
    pub fn forget_invitation_secret(&self, secret: &[u8; 32]) {
        fs::remove_file(path(&self.shared.keys_dir, SecretHash::of(secret).as_bytes())).ok();
    }

    /// Removes the secrets that are not needed any more.
    pub(crate) fn sweep_invitation_secrets(&self) {
        let keys = &self.shared.keys_dir;
        let open = self.peek(|state: &State| {
            let open = state.connections.values().filter(|connection| is_open(connection));
            open.map(|connection| path(keys, &connection.secret_hash)).collect()
        });
        if let Err(error) = sweep(keys, &open) {
            tracing::warn!(%error, "secrets of old invitations could not be removed");
        }
    }

    /// The connection URL of an open invitation that is sent by mail.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub(crate) fn sent_invitation_url(&self, id: ConnectionId) -> Result<String, String> {
        let known = self.peek(|state| {
            let connection = state.connections.get(&id)?;
            Some((is_open(connection), *connection.secret_hash, connection.expires?))
        });
        let Some((true, hash, expires)) = known else {
            return Err(format!("the invitation of connection {id} is not open any more"));
        };
        let secret = get(&self.shared.keys_dir, &hash).map_err(|error| {
            format!("the secret of the invitation is not beside the keys of the org ({error}): invite again")
        })?;
        Ok(self.invite_url(id, secret, expires))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_kept_for_its_owner_alone_and_swept_when_it_is_old() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        let (secret, hash) = ([7; 32], *SecretHash::of(&[7; 32]).as_bytes());
        put(dir.path(), &secret).unwrap();
        assert_eq!(get(dir.path(), &hash).unwrap(), secret);
        let file = path(dir.path(), &hash);
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        sweep(dir.path(), &BTreeSet::new()).unwrap();
        assert!(file.exists(), "it may be about to be used");
        let hour_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3_600);
        fs::File::open(&file).unwrap().set_modified(hour_ago).unwrap();
        sweep(dir.path(), &[file.clone()].into()).unwrap();
        assert!(file.exists());
        sweep(dir.path(), &BTreeSet::new()).unwrap();
        assert!(!file.exists() && get(dir.path(), &hash).is_err());
    }
}
