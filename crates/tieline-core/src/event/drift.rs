//! What came of the partner's fields beside their values: inputs, changes, values without a mapping.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::content::Content;
use crate::drift::FieldChange;
use crate::{ConnectionId, FieldName, ObjectName, ShareId};

/// The newest values of the partner's fields that mappings compute with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputsKept {
    /// The connection.
    pub connection: ConnectionId,
    /// The share.
    pub share: ShareId,
    /// The values that changed, by the partner's field.
    pub content: Content,
}

/// Published fields that are taken have changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriftNoted {
    /// The connection.
    pub connection: ConnectionId,
    /// The object, by its publisher's name.
    pub object: ObjectName,
    /// Whether it is this org that publishes them.
    pub ours: bool,
    /// What has changed.
    pub changes: Vec<FieldChange>,
}

/// Picklist values came for which the mapping has no entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnmappedSeen {
    /// The connection.
    pub connection: ConnectionId,
    /// The partner's object.
    pub object: ObjectName,
    /// The local fields with the partner's values.
    pub values: Vec<(FieldName, SmolStr)>,
}
