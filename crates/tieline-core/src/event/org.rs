//! The org itself: its lives, users, objects, alarms and jobs.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::job::JobKind;
use crate::schema::ObjectSchema;
use crate::{ConnectionId, Incarnation, JobId, ObjectName, OrgName, UserName};

/// The org came to be; the first event of every log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrgCreated {
    /// Its name.
    pub name: OrgName,
    /// The first life of its log.
    pub incarnation: Incarnation,
}

/// Why a new life of the log began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncarnationCause {
    /// A person restored the data directory and said so, or the sentinel showed it.
    Restored,
    /// A partner held more of ours than we did.
    TailLost,
}

/// A new life: the tail of the log was lost (PROTOCOL §9).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncarnationStarted {
    /// The new, greater incarnation.
    pub incarnation: Incarnation,
    /// Why.
    pub cause: IncarnationCause,
    /// The connection whose partner showed it.
    #[serde(default)]
    pub connection: Option<ConnectionId>,
}

/// A user was added, as the first version wrote it; now it is `UserSet`, and for the Connection User
/// `SharingEnabled`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserAdded {
    /// The login name.
    pub user: UserName,
    /// Whether the user is an administrator; else the user has the standard role.
    #[serde(default)]
    pub admin: bool,
}

/// An API token was issued, as the first version wrote it; now it is `TokenCreated`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenIssued {
    /// Whose token it is.
    pub user: UserName,
    /// The BLAKE3 hash of the token.
    #[serde(with = "serde_bytes")]
    pub hash: [u8; 32],
}

/// An object was defined or changed; the whole definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectDefined {
    /// The definition.
    pub schema: ObjectSchema,
    /// By whom.
    pub actor: UserName,
}

/// An object is not there any more: nothing stood on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRemoved {
    /// The object.
    pub object: ObjectName,
    /// By whom.
    pub actor: UserName,
}

/// Something that a person has to know about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmRaised {
    /// The connection that it is about.
    #[serde(default)]
    pub connection: Option<ConnectionId>,
    /// A stable code.
    pub code: String,
    /// What happened and what to do.
    pub message: String,
}

/// Wide work began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobStarted {
    /// The job.
    pub job: JobId,
    /// What is to be done.
    pub kind: JobKind,
    /// For whom.
    pub actor: UserName,
}

/// A slice of a job is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobAdvanced {
    /// The job.
    pub job: JobId,
    /// Everything up to this id is done; nothing means that the job is.
    #[serde(with = "cursor")]
    pub cursor: Option<u128>,
    /// Items done in this slice.
    pub done: u64,
    /// Items passed over in this slice, with the first reasons.
    #[serde(default)]
    pub skipped: u64,
    /// The first few reasons for passing over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// With the last slice: what the job was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Box<JobEnd>>,
}

/// What a job was that has ended, for those who read of it later: the state forgets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobEnd {
    /// The connection that it worked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// The name of its kind.
    pub kind: SmolStr,
    /// For whom.
    pub actor: UserName,
    /// Items done in all.
    pub done: u64,
    /// Items passed over in all.
    #[serde(default)]
    pub skipped: u64,
}

/// A cursor is an id: JSON knows no numbers of 128 bits.
mod cursor {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::RecordId;

    #[expect(clippy::ref_option, reason = "serde hands references")]
    pub(super) fn serialize<S: Serializer>(cursor: &Option<u128>, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() { cursor.map(RecordId).serialize(s) } else { cursor.serialize(s) }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u128>, D::Error> {
        if d.is_human_readable() {
            Option::<RecordId>::deserialize(d).map(|id| id.map(|id| id.0))
        } else {
            Option::deserialize(d)
        }
    }
}
