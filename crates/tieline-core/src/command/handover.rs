//! What can be asked when a person leaves.

use crate::{ConnectionId, UserName};

/// Something asked about who owns what (OPS-19).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handover {
    /// Gives a connection to another user.
    Connection {
        /// The connection.
        connection: ConnectionId,
        /// Who manages it from now on.
        owner: UserName,
    },
}
