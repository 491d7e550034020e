//! Accepting an offer into a record that is here already: how links of another system are taken over.
//!
//! Both sides name the pair: the origin offers its record, and this side names the record that is its
//! copy. Nothing else is special. The share keeps the record that was named as it keeps that of an
//! earlier generation, so the grant links it, and the fields of both sides meet by their stamps:
//! nothing is created, and nothing that was written later is lost.

use crate::command::{Refusal, Reply};
use crate::decide::draft::Draft;
use crate::decide::record;
use crate::decide::share::{Acceptance, answer, offered};
use crate::decide::write::is_open;
use crate::mapping::SubscribeRule;
use crate::reason::{Reason, ReasonCode};
use crate::state::{Connection, Share, State};
use crate::{ConnectionId, RecordId, ShareId};

/// Accepts an offer into `record`.
pub(super) fn adopt(
    draft: &mut Draft<'_>,
    over: ConnectionId,
    id: ShareId,
    record: RecordId,
) -> Result<Reply, Refusal> {
    let (connection, share, rule) = offered(draft.state, over, id)?;
    check(draft.state, connection, (id, share), rule, record)?;
    let acceptance = Acceptance { into: Some(record), ..Acceptance::new(rule.accept_whole) };
    let owner = draft.actor.clone();
    answer(draft, connection, id, share.generation, Some(acceptance), owner);
    Ok(Reply::Share(id))
}

/// Whether `record` may become the copy of an offered share: it is here, of the object that the
/// partner's becomes, and neither it nor the share has another counterpart over this connection.
fn check(
    state: &State,
    connection: &Connection,
    (id, share): (ShareId, &Share),
    rule: &SubscribeRule,
    record: RecordId,
) -> Result<(), Refusal> {
    let found = record::find(state, record)?;
    if found.object != rule.local {
        let text = format!(
            "record {record} is of {}, and {} of {} becomes {} here: name a record of that",
            found.object,
            share.object,
            connection.display_name(),
            rule.local
        );
        return Err(Refusal::record(vec![Reason::new(ReasonCode::WrongType, text)]));
    }
    let other = found.share_over(connection.id).filter(|other| *other != id);
    if other.and_then(|other| connection.shares.get(&other)).is_some_and(is_open) {
        let text = format!("record {record} is shared with {} already", connection.display_name());
        return Err(Refusal::conflict("already_shared", text));
    }
    let known = share.record.filter(|known| *known != record);
    if let Some(known) = known.filter(|known| record::find(state, *known).is_ok()) {
        let text = format!("share {id} has the record {known} here from before: accept it without another");
        return Err(Refusal::conflict("already_shared", text));
    }
    Ok(())
}
