//! Who owns what from now on.

use serde::{Deserialize, Serialize};

use crate::{ConnectionId, UserName};

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
