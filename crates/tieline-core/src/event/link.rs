//! References that travel as links between shared records, and what waits for the records they name.

use serde::{Deserialize, Serialize};

use crate::vecmap::VecMap;
use crate::{ConnectionId, FieldName, Position, RecordId, ShareId, Timestamp};

/// References of a record are empty, because what the partner's name is not here: each names the
/// share of its target, or no share if the partner shares it with nobody here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinksAwaited {
    /// The record.
    pub record: RecordId,
    /// The connection that the references came over.
    pub connection: ConnectionId,
    /// The targets, by the local field.
    pub links: VecMap<FieldName, ShareId>,
}

/// Held messages are to be tried at another time than was thought: their parent came, or will not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldChanged {
    /// The connection.
    pub connection: ConnectionId,
    /// The messages.
    pub positions: Vec<Position>,
    /// When they are tried.
    pub until: Timestamp,
    /// The share that they wait for, if they still do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<ShareId>,
}
