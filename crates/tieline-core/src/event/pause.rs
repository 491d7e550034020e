//! Pauses: nothing flows for a while, and nothing is lost.

use serde::{Deserialize, Serialize};

use crate::frame::PauseWord;
use crate::message::PausedObject;
use crate::{ConnectionId, ObjectName, Position, ShareId, UserName};

/// A connection, or one object of it, is paused on this side or goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseSet {
    /// The connection.
    pub connection: ConnectionId,
    /// The object here; nothing means the whole connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectName>,
    /// Whether it is paused from now on.
    pub paused: bool,
    /// By whom.
    pub actor: UserName,
}

/// The partner has paused the connection, or lets it go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseHeard {
    /// The connection.
    pub connection: ConnectionId,
    /// What its header said.
    pub word: PauseWord,
}

/// The partner is told which objects are paused here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseTold {
    /// The connection.
    pub connection: ConnectionId,
    /// The position of the message.
    pub position: Position,
    /// All of them.
    pub objects: Vec<PausedObject>,
}

/// Something of a share that is no change of its record is held back during a pause: a field that it carries
/// of another record, or the name of one that it refers to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareHeldBack {
    /// The connection.
    pub connection: ConnectionId,
    /// The share.
    pub share: ShareId,
}
