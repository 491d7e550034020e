//! Values of partners that a person approves or refuses (S2S-58).
//!
//! An approved value is written as the partner's: with its stamp, so that it stands against later
//! writes as it would have, and flows on to everybody else with whom the record is shared. A refused one
//! stays known, so that it is not asked about again; the next write of the field ends it.

use crate::command::{Refusal, Reply};
use crate::decide::draft::Draft;
use crate::decide::write::{Candidate, Candidates, refusals};
use crate::decide::{links, record};
use crate::event::{DecisionSent, PendingValue, ValuesPending};
use crate::message::ValueDecided;
use crate::reason::{Reason, ReasonCode};
use crate::schema::FieldType;
use crate::state::{Connection, Record, State};
use crate::vecmap::VecMap;
use crate::{FieldName, RecordId};

/// A value of a record that waits for approval.
fn waiting<'a>(
    state: &'a State,
    id: RecordId,
    field: &FieldName,
) -> Result<(&'a Record, &'a PendingValue), Refusal> {
    let record = record::find(state, id)?;
    let pending = record.pending.get(field).filter(|pending| pending.approval && !pending.rejected);
    let pending = pending.ok_or_else(|| {
        let text = format!(
            "no value of {field} of {id} waits for approval: see those that do with `tieline approval list`"
        );
        Refusal::conflict("not_waiting", text)
    })?;
    Ok((record, pending))
}

/// The value as it is written here, or why it cannot be.
fn candidate(
    draft: &Draft<'_>,
    record: &Record,
    name: &FieldName,
    pending: &PendingValue,
) -> Result<Candidate, Refusal> {
    let state = draft.state;
    let lost = |what: &str| {
        let text = format!("the value of {name} cannot be mapped any more, because {what}: reject it");
        Refusal::conflict("not_subscribed", text)
    };
    let connection = state.connections.get(&pending.origin.connection);
    let connection = connection.ok_or_else(|| lost("its connection is not there"))?;
    let rule = connection.subscribe.values().find(|rule| rule.local == record.object);
    let rule = rule.ok_or_else(|| lost("the object is not subscribed"))?;
    let mapping = rule.mapping_of(name).filter(|mapping| mapping.remote() == Some(&pending.remote));
    let mapping = mapping.ok_or_else(|| lost("the field is not subscribed"))?;
    let field = record::object(state, &record.object)?.require(name);
    let field = field.map_err(|reason| Refusal::record(vec![reason]))?;
    let value = if field.field_type == FieldType::Reference {
        let found = links::waited(draft, connection, rule, mapping, &pending.incoming, field);
        found.ok_or_else(|| lost("the record that it names is not here"))?
    } else {
        let value = rule.map_value(mapping, &pending.incoming, field);
        value.map_err(|reason| Refusal::record(vec![reason]))?
    };
    Ok(Candidate::waited(value, record, mapping, pending, rule.version, draft.org().id))
}

/// Writes the value.
pub(super) fn approve(draft: &mut Draft<'_>, id: RecordId, field: &FieldName) -> Result<Reply, Refusal> {
    let (record, pending) = waiting(draft.state, id, field)?;
    let object = record::object(draft.state, &record.object)?;
    let mut candidates = Candidates::new();
    candidates.insert(field.clone(), candidate(draft, record, field, pending)?);
    let reasons = refusals(draft.state, object, Some(record), &candidates, draft.now);
    if !reasons.is_empty() {
        return Err(Refusal::record(reasons));
    }
    tell(draft, record, pending, true);
    let actor = draft.actor.clone();
    record::write_with_pending(draft, id, record, object, candidates, actor, 0);
    Ok(Reply::Done)
}

/// Refuses the value.
pub(super) fn reject(draft: &mut Draft<'_>, id: RecordId, field: &FieldName) -> Result<Reply, Refusal> {
    let (record, pending) = waiting(draft.state, id, field)?;
    tell(draft, record, pending, false);
    let text = format!("{} refused the value: the next write of the field ends it", draft.actor);
    let reasons = vec![Reason::new(ReasonCode::ApprovalRefused, text).on_field(field)];
    let refused = PendingValue { rejected: true, reasons, ..pending.clone() };
    let values: VecMap<_, _> = [(field.clone(), Some(refused))].into_iter().collect();
    draft.emit(ValuesPending { record: id, values });
    Ok(Reply::Done)
}

/// Tells the partner, by the name that it gave the field.
fn tell(draft: &mut Draft<'_>, record: &Record, pending: &PendingValue, approved: bool) {
    let id = pending.origin.connection;
    let connection = draft.state.connections.get(&id).filter(|connection| connection.is_active());
    let share = record.share_over(id).filter(|_| !pending.orphan);
    let Some((connection, share)) = connection.zip(share) else { return };
    send(
        draft,
        connection,
        ValueDecided { share, position: pending.position, field: pending.remote.clone(), approved },
    );
}

fn send(draft: &mut Draft<'_>, connection: &Connection, decided: ValueDecided) {
    let (position, actor) = (draft.position(connection), draft.actor.clone());
    draft.emit(DecisionSent { connection: connection.id, position, decided, actor });
}
