//! What can be asked when a person leaves.

use crate::{ConnectionId, Owner, RecordId, UserName};

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
    /// Gives the next records of a user to another one.
    Records {
        /// Whose they are.
        from: UserName,
        /// Whose they become: those that a queue does not take stay.
        to: Owner,
        /// Only those that are shared.
        shared: bool,
        /// Those after this id.
        after: Option<RecordId>,
    },
}
