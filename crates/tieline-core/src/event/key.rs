//! Keys of a connection that are changed while it runs.

use serde::{Deserialize, Serialize};

use crate::{ConnectionId, Position, Timestamp, UserName};

/// The partner is told a new key of ours. Its secret was on disk before this was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyAnnounced {
    /// The connection.
    pub connection: ConnectionId,
    /// The position of the message.
    pub position: Position,
    /// Which of our keys of this connection it is; numbers only rise.
    pub number: u32,
    /// The key.
    #[serde(with = "serde_bytes")]
    pub public_key: [u8; 32],
    /// By whom, if a person did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<UserName>,
}

/// The partner has sealed for a newer key of ours: so it has that key, durably.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyConfirmed {
    /// The connection.
    pub connection: ConnectionId,
    /// Which of our keys it is.
    pub number: u32,
    /// The key.
    #[serde(with = "serde_bytes")]
    pub public_key: [u8; 32],
    /// The key before it opens frames until then.
    pub until: Timestamp,
}

/// The partner told a new key of its own: from now on we seal for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartnerKeyChanged {
    /// The connection.
    pub connection: ConnectionId,
    /// The key.
    #[serde(with = "serde_bytes")]
    pub public_key: [u8; 32],
    /// Frames of the key before it are opened until then.
    pub until: Timestamp,
}
