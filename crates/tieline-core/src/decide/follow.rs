//! What follows from the events of a draft by itself: partners are told of fields that a record carries of
//! another one, and values that wait for approval are tasks, if their mapping says so.
//!
//! Most drafts have nothing of the kind: the first looks are cheap.

use std::collections::BTreeMap;

use crate::decide::draft::Draft;
use crate::decide::jobs;
use crate::decide::record::defaults;
use crate::decide::task::about;
use crate::decide::write::{Candidate, Candidates, Write, deliveries, record_changed, refusals};
use crate::event::{Event, PendingValue, RecordAction, RecordChanged};
use crate::job::JobKind;
use crate::schema::{FieldKind, ObjectSchema};
use crate::sharing::{TASK, closed_status, is_closed, status_field};
use crate::state::{Record, State};
use crate::value::Value;
use crate::{FieldName, ObjectName, Owner, RecordId};

/// Adds what follows.
pub(super) fn derive(draft: &mut Draft<'_>) {
    parents(draft);
    approvals(draft);
}

/// Lets partners know the fields that records carry of those that this draft changes.
fn parents(draft: &mut Draft<'_>) {
    let state = draft.state;
    let may_carry = |event: &Event| match event {
        Event::RecordChanged(e) => state.carried().contains_key(&e.object),
        _ => false,
    };
    if !draft.events().iter().any(may_carry) {
        return;
    }
    let kinds: Vec<JobKind> = draft
        .events()
        .iter()
        .flat_map(|event| match event {
            Event::RecordChanged(e) if e.action == RecordAction::Update => of_parent(state, e),
            _ => [None, None],
        })
        .flatten()
        .collect();
    for kind in kinds {
        jobs::begin(draft, kind);
    }
}

/// What has to be told because of a change, if somebody takes it: by those that carry fields of the
/// record, and by the record itself if it refers to another than before, or to none.
fn of_parent(state: &State, changed: &RecordChanged) -> [Option<JobKind>; 2] {
    let Some(carried) = state.carried().get(&changed.object) else { return [None, None] };
    let written = |names: &[FieldName]| -> Vec<FieldName> {
        names.iter().filter(|name| changed.content.values.contains_key(*name)).cloned().collect()
    };
    let record = changed.record;
    let by_others = || {
        let fields = written(&carried.sources);
        let told = !fields.is_empty() && state.referrers(record, None).next().is_some() && is_taken(state);
        told.then_some(JobKind::FollowParent { record, fields, only: None })
    };
    let by_itself = || {
        let fields = written(&carried.references);
        let is_shared = || state.record(record).is_some_and(|known| !known.shares.is_empty());
        let told = !fields.is_empty() && is_shared() && is_taken(state);
        told.then_some(JobKind::FollowParent { record, fields, only: Some(record) })
    };
    [by_others(), by_itself()]
}

/// Whether any partner takes a field that a record carries of another.
fn is_taken(state: &State) -> bool {
    let carries = |object: &ObjectName, field: &FieldName| {
        let field = state.object(object).and_then(|object| object.field(field));
        field.is_some_and(|field| field.kind == FieldKind::Parent)
    };
    let active = state.connections.values().filter(|connection| connection.is_active());
    active
        .flat_map(|connection| connection.taken.values())
        .any(|taken| taken.fields.iter().any(|field| carries(&taken.object, field)))
}

/// Whether a value waits for a person.
fn waits(pending: &PendingValue) -> bool {
    pending.approval && !pending.rejected
}

/// Keeps a task for each value that waits for approval and whose mapping asks for one: it is open as long
/// as the value waits (S2S-58).
fn approvals(draft: &mut Draft<'_>) {
    let state = draft.state;
    let asks = |event: &Event| matches!(event, Event::ValuesPending(_));
    if !state.has_approvals() && !draft.events().iter().any(asks) {
        return;
    }
    let mut turns: BTreeMap<(RecordId, FieldName), Option<PendingValue>> = BTreeMap::new();
    for event in draft.events() {
        match event {
            Event::ValuesPending(e) => turns.extend(
                e.values
                    .iter()
                    .map(|(field, pending)| ((e.record, field.clone()), pending.clone().filter(waits))),
            ),
            Event::RecordChanged(e) => {
                let Some(record) = state.record(e.record) else { continue };
                let ended = record.pending.iter().filter(|(name, pending)| {
                    let written = e.content.values.contains_key(*name)
                        && pending.stamp.write() <= e.content.stamp_of(name).write();
                    waits(pending) && (written || e.action == RecordAction::Delete)
                });
                turns.extend(ended.map(|(name, _)| ((e.record, name.clone()), None)));
            }
            _ => {}
        }
    }
    for ((record, field), pending) in turns {
        let id = RecordId::of_approval(record, &field);
        let task = state.record(id);
        match pending {
            Some(pending) if asks_for_task(state, record, draft, &field, &pending) => {
                open(draft, id, task, record, &field);
            }
            Some(_) => {}
            None => {
                if let Some(task) = task.filter(|task| !is_closed(task.value(&status_field()))) {
                    set_status(draft, id, task, closed_status());
                }
            }
        }
    }
}

/// The object of a record, of one that this draft makes, too.
fn object_of<'a>(draft: &'a Draft<'_>, record: RecordId) -> Option<&'a ObjectName> {
    let known = draft.state.record(record).map(|record| &record.object);
    known.or_else(|| draft.written(record).map(|written| &written.object))
}

fn asks_for_task(
    state: &State,
    record: RecordId,
    draft: &Draft<'_>,
    field: &FieldName,
    pending: &PendingValue,
) -> bool {
    let Some(object) = object_of(draft, record) else { return false };
    let connection = state.connections.get(&pending.origin.connection);
    let rule = connection.and_then(|c| c.subscribe.values().find(|rule| rule.local == *object));
    rule.and_then(|rule| rule.mapping_of(field)).is_some_and(|mapping| mapping.approval_task)
}

/// Makes the task, or opens it again.
fn open(draft: &mut Draft<'_>, id: RecordId, task: Option<&Record>, record: RecordId, field: &FieldName) {
    let state = draft.state;
    let Some((name, object)) = state.objects.get_key_value(TASK) else { return };
    if let Some(task) = task {
        if is_closed(task.value(&status_field())) {
            set_status(draft, id, task, begun(object));
        }
        return;
    }
    let Some(of) = object_of(draft, record).cloned() else { return };
    let owner = state.record(record).map(|record| record.owner.clone());
    let owner = owner.or_else(|| draft.written(record)?.owner.clone());
    let stamp = draft.stamp();
    let mut candidates = Candidates::new();
    let begin = defaults(object).map(|(field, value)| (field.clone(), value.clone()));
    let subject = format!("Approve or reject the new {field}: tieline approval list");
    let given = [("Subject", Value::text(&subject)), (about(&of), Value::Reference(record))];
    let given = given.into_iter().filter_map(|(name, value)| Some((object.field(name)?.name.clone(), value)));
    for (field, value) in begin.chain(given) {
        candidates.insert(field, Candidate::local(value, stamp));
    }
    if !refusals(state, object, None, &candidates, draft.now).is_empty() {
        // The notice says it all the same.
        return;
    }
    let owner =
        owner.filter(|owner| owner.user().is_some()).unwrap_or_else(|| Owner::User(draft.actor.clone()));
    let (object, action, actor) = (name.clone(), RecordAction::Create, draft.actor.clone());
    let write = Write { id, object, action, actor, owner: Some(owner), hops: 0 };
    draft.emit(record_changed(None, write, candidates, Vec::new()));
}

/// The status of a task that is to be done.
fn begun(object: &ObjectSchema) -> Value {
    let Some(field) = object.field(&status_field()) else { return Value::Null };
    let open = || field.values.iter().map(|value| Value::picklist(value.value.clone()));
    field.default.clone().or_else(|| open().find(|value| !is_closed(value))).unwrap_or_default()
}

fn set_status(draft: &mut Draft<'_>, id: RecordId, task: &Record, status: Value) {
    let mut candidates = Candidates::new();
    candidates.insert(status_field(), Candidate::local(status, draft.stamp()));
    let deliveries = deliveries(draft, &task.object, task, &candidates);
    let (object, actor) = (task.object.clone(), draft.actor.clone());
    let write = Write { id, object, action: RecordAction::Update, actor, owner: None, hops: 0 };
    draft.emit(record_changed(Some(task), write, candidates, deliveries));
}
