//! Which connection a person means: its id, its partner or its label.
//!
//! A name that fits several connections names the one that is pending or active, if that is one
//! alone: partners connect again after they have parted.

use tieline_core::state::{Connection, ConnectionStatus, State};
use tieline_core::ConnectionId;

use super::problem::{ErrorCode, Problem};

/// The connection that `selector` names.
pub(crate) fn connection<'a>(state: &'a State, selector: &str) -> Result<&'a Connection, Problem> {
    if let Some(found) = selector.parse().ok().and_then(|id: ConnectionId| state.connections.get(&id)) {
        return Ok(found);
    }
    let all = || state.connections.values();
    let by_partner: Vec<_> =
        all().filter(|c| c.partner.as_ref().is_some_and(|name| name.as_str() == selector)).collect();
    let named = if by_partner.is_empty() {
        all().filter(|c| !selector.is_empty() && c.label == selector).collect()
    } else {
        by_partner
    };
    let live: Vec<_> = named.iter().copied().filter(|connection| is_live(connection)).collect();
    match (named.as_slice(), live.as_slice()) {
        ([], _) => Err(unknown(selector)),
        ([one], _) | (_, [one]) => Ok(one),
        (several, _) => Err(ambiguous(selector, several)),
    }
}

const fn is_live(connection: &Connection) -> bool {
    matches!(connection.status, ConnectionStatus::Pending | ConnectionStatus::Active)
}

fn unknown(selector: &str) -> Problem {
    let detail = format!(
        "there is no connection {}: name its id, partner or label, as `tieline connection list` shows them",
        tieline_core::reason::quoted(selector)
    );
    Problem::new(ErrorCode::UnknownConnection, detail)
}

fn ambiguous(selector: &str, several: &[&Connection]) -> Problem {
    let candidates: Vec<String> =
        several.iter().map(|c| format!("{} ({})", c.id, c.status.as_str())).collect();
    let detail = format!(
        "{} names {} connections: name the id of one of {}",
        tieline_core::reason::quoted(selector),
        several.len(),
        candidates.join(", ")
    );
    Problem::new(ErrorCode::AmbiguousConnection, detail)
}
