//! Records: what was written, from where, and which messages it made.

use serde::{Deserialize, Serialize};

use crate::content::Content;
use crate::reason::Reason;
use crate::reference::Links;
use crate::stamp::Stamp;
use crate::value::Value;
use crate::vecmap::VecMap;
use crate::{
    ConnectionId, FieldName, ObjectName, Owner, Position, RecordId, RuleName, Seq, ShareId, UserName,
};

/// What happened to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordAction {
    /// It was created.
    Create,
    /// Fields were written.
    Update,
    /// It was deleted here.
    Delete,
}

/// The share that a remote value came over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The connection.
    pub connection: ConnectionId,
    /// The version of the mapping that it went through.
    #[serde(default)]
    pub mapping: u32,
}

/// One message that an event made for one share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The connection.
    pub connection: ConnectionId,
    /// The share.
    pub share: ShareId,
    /// Its generation.
    pub generation: u32,
    /// The position of the message.
    pub position: Position,
    /// The shares of the records that its references name; a reference without one names nothing there.
    #[serde(default, skip_serializing_if = "VecMap::is_empty")]
    pub links: Links,
}

/// Fields of a record were written, here or by a partner; or it was created or deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordChanged {
    /// The record.
    pub record: RecordId,
    /// Its object.
    pub object: ObjectName,
    /// What happened.
    pub action: RecordAction,
    /// The record's event before this one; zero for the first.
    #[serde(default)]
    pub prev: Seq,
    /// In whose name: the Connection User for remote changes (S2S-01).
    pub actor: UserName,
    /// The record's owner from now on, if that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// The fields written.
    #[serde(default)]
    pub content: Content,
    /// Where the values came from; nothing means that they were written here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Values with another origin than `origin`: constants, pending values of other connections.
    #[serde(default, skip_serializing_if = "VecMap::is_empty")]
    pub origins: VecMap<FieldName, Option<Origin>>,
    /// The stamp that a value was received with, where it was stored with another.
    #[serde(default, skip_serializing_if = "VecMap::is_empty")]
    pub received: VecMap<FieldName, Stamp>,
    /// The messages that this makes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deliveries: Vec<Delivery>,
    /// How many rules that remote changes triggered stand behind it.
    #[serde(default)]
    pub hops: u8,
    /// The rule that wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleName>,
}

impl RecordChanged {
    /// Where the value of `field` came from.
    #[must_use]
    pub fn origin_of(&self, field: &FieldName) -> Option<Origin> {
        self.origins.get(field).copied().unwrap_or(self.origin)
    }
}

/// A remote value that is known but not applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingValue {
    /// The partner's field.
    pub remote: FieldName,
    /// The value as it came.
    pub incoming: Value,
    /// Its stamp.
    pub stamp: Stamp,
    /// Where it came from.
    pub origin: Origin,
    /// The message that brought it.
    pub position: Position,
    /// Why it is not applied.
    pub reasons: Vec<Reason>,
    /// Whether it waits for a person's approval.
    #[serde(default)]
    pub approval: bool,
    /// Whether a person has refused it: it is known, and not asked about again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rejected: bool,
    /// Whether its share has ended since: then it counts as written here once it is written, and
    /// goes to everybody with whom the record is shared by then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub orphan: bool,
}

/// Remote values wait on a record, or (`None`) one does so no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValuesPending {
    /// The record.
    pub record: RecordId,
    /// The values by the local field.
    pub values: VecMap<FieldName, Option<PendingValue>>,
}
