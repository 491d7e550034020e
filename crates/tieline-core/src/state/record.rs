//! Records as the state keeps them.

use serde::{Deserialize, Serialize};

use crate::event::{Origin, PendingValue};
use crate::stamp::Stamp;
use crate::state::AwaitedLink;
use crate::value::Value;
use crate::vecmap::VecMap;
use crate::{ConnectionId, FieldName, ObjectName, OrgId, Owner, Seq, ShareId, Timestamp, UserName};

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its object.
    pub object: ObjectName,
    /// The fields that have or had a value.
    pub fields: VecMap<FieldName, FieldState>,
    /// Remote values that wait.
    #[serde(default, skip_serializing_if = "VecMap::is_empty")]
    pub pending: VecMap<FieldName, PendingValue>,
    /// References that are empty because their targets are not here.
    #[serde(default, skip_serializing_if = "VecMap::is_empty")]
    pub links: VecMap<FieldName, AwaitedLink>,
    /// Who owns it.
    pub owner: Owner,
    /// When it was created here.
    pub created: Timestamp,
    /// When it was last changed here.
    pub modified: Timestamp,
    /// In whose name it was last changed.
    pub modified_by: UserName,
    /// Its last event: where the walk through its history begins.
    pub last: Seq,
    /// How many orgs had offered it on by a rule when it came here.
    #[serde(default, skip_serializing_if = "is_none")]
    pub hops: u8,
    /// Whether it was deleted; it stays as long as a share knows it.
    #[serde(default)]
    pub deleted: bool,
    /// Its shares, one per connection at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<(ConnectionId, ShareId)>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
const fn is_none(count: &u8) -> bool {
    *count == 0
}

/// One field of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldState {
    /// Its value.
    pub value: Value,
    /// The version of the value.
    pub stamp: Stamp,
    /// The share that it came over; nothing if it was written here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Box<Source>>,
}

/// Where a field's value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The connection and the version of the mapping.
    pub origin: Origin,
    /// The revision that was last received there.
    pub revision: (u32, OrgId),
}

impl Record {
    /// The value of a field; `Null` if it has none.
    #[must_use]
    pub fn value(&self, field: &FieldName) -> &Value {
        self.fields.get(field).map_or(&Value::Null, |state| &state.value)
    }

    /// The target of a reference that is empty because that is not here, if it came over `connection`.
    #[must_use]
    pub fn awaited(&self, field: &FieldName, connection: ConnectionId) -> Option<ShareId> {
        let link = self.links.get(field).filter(|link| link.connection == connection)?;
        Some(link.share)
    }

    /// Whether a later value of a field waits already, of another connection or mapping: it is not replaced.
    #[must_use]
    pub fn waits_later(&self, field: &FieldName, stamp: Stamp) -> bool {
        self.pending.get(field).is_some_and(|pending| pending.stamp.write() > stamp.write())
    }

    /// The share of this record over `connection`.
    #[must_use]
    pub fn share_over(&self, connection: ConnectionId) -> Option<ShareId> {
        self.shares.iter().find(|(c, _)| *c == connection).map(|(_, share)| *share)
    }
}

impl FieldState {
    /// The connection that the value came over.
    #[must_use]
    pub fn came_over(&self) -> Option<ConnectionId> {
        self.source.as_ref().map(|source| source.origin.connection)
    }
}
