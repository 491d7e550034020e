//! Commands about what an org tells of itself, and what it calls its connections.

use crate::ConnectionId;

/// What is asked of the org's own description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProfileCommand {
    /// Says which company the org belongs to: partners are told (S2S-14).
    SetCompany {
        /// Its name; an empty one is none.
        company: String,
    },
    /// Sets what a connection is called here; the partner is not told.
    SetLabel {
        /// The connection.
        connection: ConnectionId,
        /// The label; an empty one is none.
        label: String,
    },
}
