//! What a record lost: values that were overwritten or passed over without being seen.

use serde::{Deserialize, Serialize};

use crate::stamp::Stamp;
use crate::value::Value;
use crate::vecmap::VecMap;
use crate::{ConnectionId, FieldName, ObjectName, Position, RecordId, Seq, ShareId};

/// Whose value lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loser {
    /// The partner's: it came and was passed over.
    Theirs,
    /// Ours: the partner told that it was passed over there.
    Ours,
}

/// A value that lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostValue {
    /// The value as this org would have kept it, or as it came if it does not fit here.
    pub value: Value,
    /// The version of the value.
    pub stamp: Stamp,
}

/// Two writes of a field met that had not seen each other, and the earlier one lost (S2S-51).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictNoted {
    /// The record.
    pub record: RecordId,
    /// Its object.
    pub object: ObjectName,
    /// The record's event before this one.
    #[serde(default)]
    pub prev: Seq,
    /// The connection over which the writes met.
    pub connection: ConnectionId,
    /// The share.
    pub share: ShareId,
    /// The message that brought the earlier write: the partner's, or ours.
    pub position: Position,
    /// Whose value lost.
    pub loser: Loser,
    /// The fields. What the partner passed over of ours stands in the record's own event of that
    /// position.
    pub fields: VecMap<FieldName, Option<LostValue>>,
}
