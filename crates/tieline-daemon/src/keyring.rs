//! The keys that the task of one connection seals and opens with, and how this org's own is changed.
//!
//! Which keys are in use is in the state; secrets are files. A frame names its key by an id, so
//! several keys can open at once: the announced one, the present one, and the former one for an
//! overlap, on either side. One seals.

use tieline_bus::keys::{ConnectionKeys, ConnectionSecret, KeysError, OrgKeys};
use tieline_bus::seal::WeakPublicKey;
use tieline_bus::{DirectionKeys, FrameKey, SecretHash};
use tieline_core::command::Command;
use tieline_core::state::{Connection, Org, OwnKey};
use tieline_core::{ConnectionId, OrgName, Timestamp, UserName};

use crate::org::{ExecuteError, Executed, OrgHandle};

/// Why a connection cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyringError {
    /// The file of the present key is gone.
    #[error(
        "the secret of key {number} of connection {connection} is missing: put the keys directory that belongs \
         to this log beside it and restart, or deactivate the connection and invite the partner anew"
    )]
    NoSecret {
        /// The connection.
        connection: ConnectionId,
        /// The key.
        number: u32,
    },
    /// A file cannot be read.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The partner's key cannot be used.
    #[error(transparent)]
    Weak(#[from] WeakPublicKey),
}

/// Why a key was not changed.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The new secret could not be kept.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// It was not announced.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
}

/// Which keys a connection uses at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    connection: ConnectionId,
    own_name: OrgName,
    partner_name: OrgName,
    secret_hash: [u8; 32],
    own: u32,
    announced: Option<u32>,
    own_former: Option<u32>,
    partner: [u8; 32],
    partner_former: Option<[u8; 32]>,
}

impl Wanted {
    /// What the state says; nothing while the partner is not known.
    pub(crate) fn of(org: &Org, connection: &Connection, now: Timestamp) -> Option<Self> {
        let keys = &connection.own_keys;
        let number = |key: Option<OwnKey>| key.map_or(0, |key| key.number);
        Some(Self {
            connection: connection.id,
            own_name: org.name.clone(),
            partner_name: connection.partner.clone()?,
            secret_hash: *connection.secret_hash,
            own: keys.number(),
            announced: keys.announced.map(|key| key.number),
            own_former: keys.former.and_then(|former| former.at(now)).map(number),
            partner: *connection.partner_key?,
            partner_former: connection.former_partner_key.and_then(|former| former.at(now)).map(|key| *key),
        })
    }
}

/// A key that opens frames of the partner.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) key: FrameKey,
    /// Set if the partner sealed for a key of ours that is newer than the one we seal with.
    pub(crate) newer: Option<OwnKey>,
}

/// The keys of one connection.
#[derive(Debug)]
pub(crate) struct Keyring {
    pub(crate) wanted: Wanted,
    pub(crate) sealing: FrameKey,
    opening: Vec<Opening>,
}

impl Keyring {
    /// Derives the keys that are `wanted`, and deletes the secrets of those that are over.
    ///
    /// Secrets with a higher number than the state knows open, too: a log that was restored may
    /// have forgotten a key that the partner seals for.
    pub(crate) fn load(wanted: Wanted, org: &OrgKeys, files: &ConnectionKeys) -> Result<Self, KeyringError> {
        let in_use = |number| number >= wanted.own || Some(number) == wanted.own_former;
        if let Err(error) = files.delete(wanted.connection, |number| !in_use(number)) {
            tracing::warn!(connection = %wanted.connection, %error, "a secret that is over was not deleted");
        }
        let made = files.load(wanted.connection)?;
        let first = in_use(0).then(|| (0, None, org.x25519_secret()));
        let made =
            made.values().map(|made: &ConnectionSecret| (made.key().number, Some(made.key()), made.secret()));
        let (mut sealing, mut opening) = (None, Vec::new());
        for (number, key, secret) in first.into_iter().chain(made).filter(|(number, ..)| in_use(*number)) {
            let derive = |partner| {
                let hash = SecretHash::from_bytes(wanted.secret_hash);
                let (own, theirs) = (&wanted.own_name, &wanted.partner_name);
                DirectionKeys::derive(secret, partner, &hash, wanted.connection, own, theirs)
            };
            let newer = key.filter(|_| number > wanted.own);
            let present = derive(wanted.partner)?;
            if number >= wanted.own && sealing.is_none() {
                sealing = Some(present.sending);
            }
            opening.push(Opening { key: present.receiving, newer });
            if let Some(former) = wanted.partner_former {
                opening.push(Opening { key: derive(former)?.receiving, newer });
            }
        }
        let (connection, number) = (wanted.connection, wanted.own);
        let sealing = sealing.ok_or(KeyringError::NoSecret { connection, number })?;
        Ok(Self { wanted, sealing, opening })
    }

    /// The key with this id, if it opens frames.
    pub(crate) fn opening(&self, id: u64) -> Option<&Opening> {
        self.opening.iter().find(|opening| opening.key.id() == id)
    }
}

impl OrgHandle {
    /// Makes a new key of this org for a connection and announces it to the partner. When this
    /// returns, the secret and the announcement are durable; the key is in use once the partner has
    /// taken it.
    ///
    /// # Errors
    /// The secret could not be kept, or the announcement was refused: then nothing happened.
    pub async fn rotate_key(
        &self,
        connection: ConnectionId,
        actor: &UserName,
    ) -> Result<Executed, RotateError> {
        let newest = self.read(|state| state.connections.get(&connection)?.own_keys.newest()).await;
        let shared = self.shared.clone();
        let above = newest.map_or(0, |key| key.number);
        let made = tokio::task::spawn_blocking(move || shared.connection_keys.make(connection, above)).await;
        let key = made.map_err(|_| ExecuteError::Stopping)??;
        let executed = self.execute(Command::AnnounceKey { connection, key }, actor).await;
        if executed.as_ref().is_err_and(|error| *error != ExecuteError::Stopping)
            && let Err(error) = self.shared.connection_keys.delete(connection, |number| number == key.number)
        {
            // Nobody knows the key: the file is deleted with the next key that comes into use.
            tracing::warn!(%connection, %error, "the secret of a key that was not announced stays");
        }
        Ok(executed?)
    }
}

#[cfg(test)]
mod tests {
    use tieline_bus::seal::{seal_frame, split};

    use super::*;

    /// One side of a connection, and what its state says of the keys.
    struct Side {
        dir: tempfile::TempDir,
        org: OrgKeys,
        wanted: Wanted,
    }

    fn side(name: &str, partner: &OrgKeys, org: OrgKeys) -> Side {
        let wanted = Wanted {
            connection: ConnectionId(7),
            own_name: name.parse().unwrap(),
            partner_name: partner.org().clone(),
            secret_hash: [5; 32],
            own: 0,
            announced: None,
            own_former: None,
            partner: partner.x25519_public(),
            partner_former: None,
        };
        Side { dir: tempfile::tempdir().unwrap(), org, wanted }
    }

    fn sides() -> (Side, Side) {
        let keys = |name: &str| OrgKeys::generate(name.parse().unwrap()).unwrap();
        let (acme, globex) = (keys("acme"), keys("globex"));
        let b = side("globex", &acme, globex);
        let a = side("acme", &b.org, acme);
        (a, b)
    }

    impl Side {
        fn files(&self) -> ConnectionKeys {
            ConnectionKeys::in_dir(self.dir.path())
        }

        fn ring(&self) -> Keyring {
            Keyring::load(self.wanted.clone(), &self.org, &self.files()).unwrap()
        }

        /// Whether a frame that this side seals now is opened by the other one; and if so, whether
        /// with a newer key of the other one.
        fn reaches(&self, other: &Self) -> Option<Option<u32>> {
            let sealing = self.ring().sealing;
            let sealed = seal_frame(&sealing, b"header", b"body").unwrap();
            let ring = other.ring();
            let opening = ring.opening(sealing.id())?;
            split(&sealed).unwrap().open(&opening.key).ok().map(|_| opening.newer.map(|key| key.number))
        }
    }

    #[test]
    fn frames_open_in_every_state_of_a_change_and_not_after_the_overlap() {
        let (mut a, mut b) = sides();
        assert_eq!((a.reaches(&b), b.reaches(&a)), (Some(None), Some(None)));
        let (first, first_id) = (b.wanted.partner, a.ring().sealing.id());
        // The secret is there; the announcement is not, or was lost.
        let key = a.files().make(ConnectionId(7), 0).unwrap();
        assert_eq!((a.reaches(&b), b.reaches(&a)), (Some(None), Some(None)));
        a.wanted.announced = Some(key.number);
        assert_eq!((a.reaches(&b), b.reaches(&a)), (Some(None), Some(None)));
        // The partner has taken it, and seals for it: that is how it is known here.
        (b.wanted.partner, b.wanted.partner_former) = (*key.public_key, Some(first));
        assert_eq!((a.reaches(&b), b.reaches(&a)), (Some(None), Some(Some(1))));
        // What the partner sealed before opens for the overlap.
        assert_eq!(a.ring().sealing.id(), first_id);
        (a.wanted.own, a.wanted.announced, a.wanted.own_former) = (1, None, Some(0));
        assert_ne!(a.ring().sealing.id(), first_id);
        assert_eq!((a.reaches(&b), b.reaches(&a)), (Some(None), Some(None)));
        (b.wanted.partner, b.wanted.partner_former) = (first, None);
        assert_eq!((a.reaches(&b), b.reaches(&a)), (None, Some(None)));
        // After the overlap it does not.
        a.wanted.own_former = None;
        assert_eq!((a.reaches(&b), b.reaches(&a)), (None, None));
        b.wanted.partner = *key.public_key;
        assert_eq!((a.reaches(&b), b.reaches(&a)), (Some(None), Some(None)));
    }

    #[test]
    fn both_sides_may_change_at_once() {
        let (mut a, mut b) = sides();
        let (key_a, key_b) =
            (a.files().make(ConnectionId(7), 0).unwrap(), b.files().make(ConnectionId(7), 0).unwrap());
        (a.wanted.partner_former, b.wanted.partner_former) = (Some(a.wanted.partner), Some(b.wanted.partner));
        (a.wanted.partner, b.wanted.partner) = (*key_b.public_key, *key_a.public_key);
        assert_eq!((a.reaches(&b), b.reaches(&a)), (Some(Some(1)), Some(Some(1))));
        (a.wanted.own, a.wanted.own_former) = (1, Some(0));
        assert_eq!((a.reaches(&b), b.reaches(&a)), (Some(Some(1)), Some(None)));
        (b.wanted.own, b.wanted.own_former) = (1, Some(0));
        assert_eq!((a.reaches(&b), b.reaches(&a)), (Some(None), Some(None)));
    }

    #[test]
    fn secrets_that_are_over_are_deleted_and_those_of_a_lost_tail_are_not() {
        let (mut a, mut b) = sides();
        for _ in 0..3 {
            a.files().make(ConnectionId(7), 0).unwrap();
        }
        let numbers = |a: &Side| a.files().load(ConnectionId(7)).unwrap().into_keys().collect::<Vec<_>>();
        (a.wanted.own, a.wanted.own_former) = (2, Some(1));
        a.ring();
        assert_eq!(numbers(&a), [1, 2, 3]);
        a.wanted.own_former = None;
        a.ring();
        assert_eq!(numbers(&a), [2, 3]);
        // The log was set back to before key 1; the partner seals for key 2 alone.
        b.wanted.partner = *a.files().load(ConnectionId(7)).unwrap()[&2].key().public_key;
        a.wanted.own = 1;
        assert_eq!((a.reaches(&b), b.reaches(&a)), (Some(None), Some(Some(2))));
        assert_eq!(numbers(&a), [2, 3]);
    }

    #[test]
    fn a_missing_secret_is_named_with_its_remedy() {
        let (mut a, _b) = sides();
        a.wanted.own = 3;
        let error = Keyring::load(a.wanted.clone(), &a.org, &a.files()).unwrap_err().to_string();
        assert!(error.contains("key 3 of connection") && error.contains("keys directory"), "{error}");
    }
}
