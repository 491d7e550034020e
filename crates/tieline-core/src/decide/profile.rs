//! What an org tells of itself: its company, to every partner, if it is said at all (S2S-14).

use crate::ConnectionId;
use crate::command::{ProfileCommand, Refusal, Reply};
use crate::decide::connection::{self, check_label};
use crate::decide::draft::Draft;
use crate::event::{CompanySet, ConnectionLabelled, ProfileSent};
use crate::state::Connection;

pub(super) fn route(draft: &mut Draft<'_>, command: &ProfileCommand) -> Result<Reply, Refusal> {
    match command {
        ProfileCommand::SetCompany { company } => set_company(draft, company),
        ProfileCommand::SetLabel { connection, label } => set_label(draft, *connection, label),
    }
}

/// What people call a connection here.
fn set_label(draft: &mut Draft<'_>, id: ConnectionId, label: &str) -> Result<Reply, Refusal> {
    let connection = connection::find(draft.state, id)?;
    check_label(label)?;
    if connection.label == label {
        return Ok(Reply::Unchanged);
    }
    draft.emit(ConnectionLabelled { connection: id, label: label.to_owned(), actor: draft.actor.clone() });
    Ok(Reply::Connection(id))
}

fn set_company(draft: &mut Draft<'_>, company: &str) -> Result<Reply, Refusal> {
    check_label(company)?;
    let company = Some(company.trim()).filter(|company| !company.is_empty()).map(str::to_owned);
    if company == draft.org().company {
        return Ok(Reply::Unchanged);
    }
    draft.emit(CompanySet { company: company.clone(), actor: draft.actor.clone() });
    for connection in draft.state.connections.values().filter(|connection| connection.is_active()) {
        send(draft, connection, company.clone());
    }
    Ok(Reply::Done)
}

/// Tells a partner of the org, if there is something to tell.
pub(super) fn tell(draft: &mut Draft<'_>, connection: &Connection) {
    if let Some(company) = draft.org().company.clone() {
        send(draft, connection, Some(company));
    }
}

fn send(draft: &mut Draft<'_>, connection: &Connection, company: Option<String>) {
    let position = draft.position(connection);
    draft.emit(ProfileSent { connection: connection.id, position, company });
}
