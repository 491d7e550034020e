//! Who owns what from now on.

use serde::{Deserialize, Serialize};

use crate::owner_map::OwnerMap;
use crate::stamp::Stamp;
use crate::{ConnectionId, ObjectName, Owner, Position, ShareId, UserName};

/// Another user manages a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionOwnerSet {
    /// The connection.
    pub connection: ConnectionId,
    /// Who manages it from now on.
    pub owner: UserName,
    /// By whom that was decided.
    pub actor: UserName,
}

/// The partner was told who owns a shared record (OPS-19).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerTold {
    /// The connection.
    pub connection: ConnectionId,
    /// The share.
    pub share: ShareId,
    /// Its generation.
    pub generation: u32,
    /// The object, for masking.
    pub object: ObjectName,
    /// Who owns it.
    pub owner: Owner,
    /// How many orgs have passed the owner on.
    #[serde(default)]
    pub hops: u8,
    /// The position of the message.
    pub position: Position,
    /// When it was changed last; all zero if that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<Stamp>,
}

/// The owner of a copy was changed during a pause: the partner is told later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerHeld {
    /// The connection.
    pub connection: ConnectionId,
    /// The share.
    pub share: ShareId,
}

/// A partner said who owns a shared record there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerHeard {
    /// The connection.
    pub connection: ConnectionId,
    /// The share.
    pub share: ShareId,
    /// The partner's user or queue.
    pub owner: Owner,
    /// Whether the table has no entry for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unmapped: bool,
    /// When it was changed there, if that is the latest change on either side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<Stamp>,
}

/// Who owns here what a partner's users own was set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerMapSet {
    /// The connection.
    pub connection: ConnectionId,
    /// The whole table.
    pub owners: OwnerMap,
    /// By whom.
    pub actor: UserName,
}

/// A connection is called something else here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionLabelled {
    /// The connection.
    pub connection: ConnectionId,
    /// What it is called from now on; empty means nothing.
    pub label: String,
    /// By whom.
    pub actor: UserName,
}
