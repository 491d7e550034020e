//! What can be asked about pauses.

use crate::frame::PauseWord;
use crate::{ConnectionId, ObjectName};

/// Something asked about pauses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pause {
    /// Pauses a connection, or one object of it, or lets it go on (OPS-15).
    Set {
        /// The connection.
        connection: ConnectionId,
        /// The object here; nothing means the whole connection.
        object: Option<ObjectName>,
        /// Whether it is to be paused.
        paused: bool,
    },
    /// The partner's header says that it has paused the connection, or lets it go on.
    Heard {
        /// The connection.
        connection: ConnectionId,
        /// What the header says.
        word: PauseWord,
    },
}
