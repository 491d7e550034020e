//! Handing a connection over to another user (OPS-19); what a person leaves as a whole is a job.

use crate::command::{Refusal, Reply};
use crate::decide::draft::Draft;
use crate::decide::{connection, people};
use crate::event::ConnectionOwnerSet;
use crate::{ConnectionId, UserName};

pub(super) fn connection(
    draft: &mut Draft<'_>,
    id: ConnectionId,
    owner: &UserName,
) -> Result<Reply, Refusal> {
    let found = connection::find(draft.state, id)?;
    people::find_active(draft.state, owner)?;
    if found.owner == *owner {
        return Ok(Reply::Unchanged);
    }
    let actor = draft.actor.clone();
    draft.emit(ConnectionOwnerSet { connection: id, owner: owner.clone(), actor });
    Ok(Reply::Connection(id))
}
