//! Which connection a person means: its id, its partner or its label.
//!
//! A name that fits several connections names the one that is pending or active, if that is one
//! alone: partners connect again after they have parted.

use crate::ConnectionId;
use crate::reason::quoted;
use crate::state::{Connection, ConnectionStatus, State};

/// Why a name names no connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSelected {
    /// There is none.
    #[error(
        "there is no connection {}: name its id, partner or label, as `tieline connection list` shows them",
        quoted(.0)
    )]
    Unknown(String),
    /// There are several.
    #[error("{} names {} connections: name the id of one of {}", quoted(.name), .candidates.len(), .candidates.join(", "))]
    Ambiguous {
        /// The name.
        name: String,
        /// Their ids, with how they stand.
        candidates: Vec<String>,
    },
}

impl State {
    /// The connection that `selector` names.
    ///
    /// # Errors
    /// There is none, or there are several.
    pub fn select(&self, selector: &str) -> Result<&Connection, NotSelected> {
        if let Some(found) = selector.parse().ok().and_then(|id: ConnectionId| self.connections.get(&id)) {
            return Ok(found);
        }
        let all = || self.connections.values();
        let by_partner: Vec<_> =
            all().filter(|c| c.partner.as_ref().is_some_and(|name| name.as_str() == selector)).collect();
        let named = if by_partner.is_empty() {
            all().filter(|c| !selector.is_empty() && c.label == selector).collect()
        } else {
            by_partner
        };
        let live: Vec<_> = named.iter().copied().filter(|connection| connection.is_live()).collect();
        match (named.as_slice(), live.as_slice()) {
            ([], _) => Err(NotSelected::Unknown(selector.to_owned())),
            ([one], _) | (_, [one]) => Ok(one),
            (several, _) => {
                let candidates = several.iter().map(|c| format!("{} ({})", c.id, c.status.as_str()));
                Err(NotSelected::Ambiguous { name: selector.to_owned(), candidates: candidates.collect() })
            }
        }
    }

    /// The shortest name by which people select a connection: its partner, its label or its id.
    #[must_use]
    pub fn selector(&self, connection: &Connection) -> String {
        let names = [connection.partner.as_ref().map(ToString::to_string), Some(connection.label.clone())];
        let means_it = |name: &String| self.select(name).is_ok_and(|found| found.id == connection.id);
        names.into_iter().flatten().find(means_it).unwrap_or_else(|| connection.id.to_string())
    }
}

impl Connection {
    /// Whether it is agreed, or may be.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        matches!(self.status, ConnectionStatus::Pending | ConnectionStatus::Active)
    }
}
