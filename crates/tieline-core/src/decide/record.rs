//! Records of this org: create, update, delete, and trying again what a partner sent.

use crate::command::{Refusal, Reply};
use crate::decide::automation::owner_named;
use crate::decide::compute::compute;
use crate::decide::draft::Draft;
use crate::decide::settle::settle_recovered;
use crate::decide::write::{
    Candidate, Candidates, Write, deliveries, pending_candidates, record_changed, refusals, unknown_field,
};
use crate::decide::{share, task};
use crate::event::RecordAction;
use crate::limits::RECORD_BYTES_MAX;
use crate::message::EndReason;
use crate::reason::{Reason, ReasonCode};
use crate::schema::{FieldKind, ObjectSchema, record_type_field};
use crate::sharing::is_task;
use crate::stamp::Stamp;
use crate::state::{Record, State};
use crate::value::Value;
use crate::vecmap::VecMap;
use crate::{AssignTo, FieldName, ObjectName, RecordId, UserName};

pub(super) fn find(state: &State, id: RecordId) -> Result<&Record, Refusal> {
    match state.records.get(&id) {
        Some(record) if !record.deleted => Ok(record),
        Some(_) => Err(Refusal::not_found("record_deleted", format!("record {id} was deleted"))),
        None => Err(Refusal::not_found("unknown_record", format!("there is no record {id}"))),
    }
}

pub(crate) fn object<'a>(state: &'a State, name: &ObjectName) -> Result<&'a ObjectSchema, Refusal> {
    state.object(name).map(AsRef::as_ref).ok_or_else(|| {
        let text = format!("there is no object {name}: see the objects with `tieline object list`");
        Refusal::not_found("unknown_object", text)
    })
}

/// Which of the values nobody may write, or which are too many.
fn check_writable(object: &ObjectSchema, values: &VecMap<FieldName, Value>) -> Result<(), Refusal> {
    let mut reasons = Vec::new();
    let mut bytes = 0;
    for (name, value) in values.iter() {
        bytes += value.encoded_len();
        match object.field(name) {
            None => reasons.push(unknown_field(&object.name, name)),
            Some(field) if field.kind != FieldKind::Data || !field.updatable => {
                let text = format!("{}.{name} is set by the system: leave it out", object.name);
                reasons.push(Reason::new(ReasonCode::NotUpdatable, text).on_field(name));
            }
            Some(_) => {}
        }
    }
    if bytes > RECORD_BYTES_MAX {
        let text =
            format!("the values take {bytes} bytes, more than {RECORD_BYTES_MAX}: shorten the long texts");
        reasons.push(Reason::new(ReasonCode::LimitReached, text));
    }
    if reasons.is_empty() { Ok(()) } else { Err(Refusal::record(reasons)) }
}

pub(super) fn create(
    draft: &mut Draft<'_>,
    name: &ObjectName,
    values: &VecMap<FieldName, Value>,
    to: Option<&AssignTo>,
) -> Result<Reply, Refusal> {
    let object = object(draft.state, name)?;
    check_writable(object, values)?;
    let stamp = draft.stamp();
    let given = values.iter().filter(|(_, value)| !value.is_null());
    let mut candidates: Candidates =
        given.map(|(name, value)| (name.clone(), Candidate::local(value.clone(), stamp))).collect();
    for (field, value) in defaults(object) {
        if !values.contains_key(field) {
            candidates.insert(field.clone(), Candidate::local(value.clone(), stamp));
        }
    }
    if let Some((field, value)) = record_type(draft.state, object, Some(&draft.actor))
        && !values.contains_key(&field)
    {
        candidates.insert(field, Candidate::local(value, stamp));
    }
    let reasons = refusals(draft.state, object, None, &candidates, draft.now);
    if !reasons.is_empty() {
        return Err(Refusal::record(reasons));
    }
    let owner = owner_named(draft, name, to, &candidates)?;
    let failed = compute(draft, object, None, &mut candidates);
    let id = RecordId(draft.draw());
    let write = Write {
        id,
        object: name.clone(),
        action: RecordAction::Create,
        actor: draft.actor.clone(),
        owner: Some(owner),
        hops: 0,
    };
    let written = is_task(name).then(|| candidates.clone());
    draft.emit(record_changed(None, write, candidates, Vec::new()));
    failed.note(draft, id, name);
    if let Some(written) = written {
        task::follow(draft, id, name, None, &written);
    }
    Ok(Reply::Record(id))
}

/// The type that a user gives new records of an object, if the object has types.
pub(super) fn record_type(
    state: &State,
    object: &ObjectSchema,
    user: Option<&UserName>,
) -> Option<(FieldName, Value)> {
    if object.record_types.is_empty() {
        return None;
    }
    let role = user.and_then(|user| state.users.get(user)).map(|user| &user.role);
    let kind = object.record_type_for(role)?;
    Some((record_type_field(), Value::picklist(kind.name.clone())))
}

/// The fields of an object that begin with a value.
pub(super) fn defaults(object: &ObjectSchema) -> impl Iterator<Item = (&FieldName, &Value)> {
    object.fields.iter().filter_map(|field| Some((&field.name, field.default.as_ref()?)))
}

pub(super) fn update(
    draft: &mut Draft<'_>,
    id: RecordId,
    values: &VecMap<FieldName, Value>,
) -> Result<Reply, Refusal> {
    let record = find(draft.state, id)?;
    let object = object(draft.state, &record.object)?;
    check_writable(object, values)?;
    let candidates = local_candidates(draft, record, values);
    if candidates.is_empty() {
        return Ok(Reply::Unchanged);
    }
    let reasons = refusals(draft.state, object, Some(record), &candidates, draft.now);
    if !reasons.is_empty() {
        return Err(Refusal::record(reasons));
    }
    let actor = draft.actor.clone();
    let written = is_task(&record.object).then(|| candidates.clone());
    write_with_pending(draft, id, record, object, candidates, actor, 0);
    if let Some(written) = written {
        task::follow(draft, id, &record.object, Some(record), &written);
    }
    Ok(Reply::Done)
}

/// The values that differ, with a stamp that exceeds the field's and any pending one.
pub(super) fn local_candidates(
    draft: &Draft<'_>,
    record: &Record,
    values: &VecMap<FieldName, Value>,
) -> Candidates {
    let stamp = draft.stamp();
    let mut candidates = Candidates::with_capacity(values.len());
    for (name, value) in values.iter().filter(|(name, value)| record.value(name) != *value) {
        let pending = record.pending.get(name).map(|pending| pending.stamp.time.plus_us(1));
        let time = pending.map_or(stamp.time, |pending| pending.max(stamp.time));
        candidates.insert(name.clone(), Candidate::local(value.clone(), Stamp { time, ..stamp }));
    }
    candidates
}

/// Writes candidates that were found good, and with them what waits on the record if that is good
/// now, too.
pub(super) fn write_with_pending(
    draft: &mut Draft<'_>,
    id: RecordId,
    record: &Record,
    object: &ObjectSchema,
    candidates: Candidates,
    actor: UserName,
    hops: u8,
) {
    let mut all = pending_candidates(draft, record, &candidates);
    let mut chosen = if all.is_empty() {
        candidates
    } else {
        all.extend(candidates.clone());
        let good = refusals(draft.state, object, Some(record), &all, draft.now).is_empty();
        if good { all } else { candidates }
    };
    let failed = compute(draft, object, Some(record), &mut chosen);
    // Positions are taken in the order of the events.
    settle_recovered(draft, record, &chosen);
    let deliveries = deliveries(draft, &object.name, record, &chosen);
    let action = RecordAction::Update;
    let write = Write { id, object: object.name.clone(), action, actor, owner: None, hops };
    draft.emit(record_changed(Some(record), write, chosen, deliveries));
    failed.note(draft, id, &object.name);
}

pub(super) fn delete(draft: &mut Draft<'_>, id: RecordId) -> Result<Reply, Refusal> {
    let record = find(draft.state, id)?;
    let state = draft.state;
    for (connection, share) in &record.shares {
        share::end_if_open(draft, state, *connection, *share, EndReason::Deleted);
    }
    let write = Write {
        id,
        object: record.object.clone(),
        action: RecordAction::Delete,
        actor: draft.actor.clone(),
        owner: None,
        hops: 0,
    };
    draft.emit(record_changed(Some(record), write, Candidates::new(), Vec::new()));
    Ok(Reply::Done)
}
