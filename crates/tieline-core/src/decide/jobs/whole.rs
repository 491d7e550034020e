//! Jobs of the whole org: what a person leaves behind is handed over, records are assigned, fields are
//! computed anew, and what carries fields of a record follows them.

use std::ops::Bound::{Excluded, Unbounded};

use super::{Slice, chosen_by, opened};
use crate::command::Refusal;
use crate::content::Content;
use crate::decide::automation::{check_owner, give, known_owner, owner_by_rules};
use crate::decide::draft::Draft;
use crate::decide::write::carried;
use crate::decide::{compute, pause, record, share};
use crate::event::ConnectionOwnerSet;
use crate::job::{HandedRecords, Job, JobKind};
use crate::state::{Connection, ConnectionStatus, Record, Share, ShareRole, ShareStatus, State};
use crate::{AssignTo, ConnectionId, FieldName, ObjectName, Owner, RecordId, ShareId, UserName, ViewName};

/// What is handed over, and to whom.
struct Handover<'a> {
    from: &'a UserName,
    to: &'a Owner,
    connections: bool,
    records: HandedRecords,
}

/// Whether such a job can be begun.
pub(super) fn check(draft: &Draft<'_>, kind: &JobKind) -> Result<(), Refusal> {
    let state = draft.state;
    match kind {
        JobKind::HandOver { from, to, connections, .. } => {
            if !state.users.contains_key(from) {
                return Err(Refusal::not_found("unknown_user", format!("there is no user {from}")));
            }
            if *to == *from {
                return Err(Refusal::invalid(
                    "invalid",
                    format!("{from} has that already: name somebody else"),
                ));
            }
            if *connections && to.user().is_none() {
                let text = "a queue cannot manage connections: hand them over to a user";
                return Err(Refusal::invalid("invalid", text));
            }
            known_owner(state, to)
        }
        JobKind::Assign { object, to, view } => {
            record::object(state, object)?;
            if let AssignTo::Owner(owner) = to {
                check_owner(state, object, owner)?;
            }
            view.as_ref().map_or(Ok(()), |view| super::may_open(draft, view))
        }
        _ => Err(Refusal::invalid("invalid", "this job begins by itself: change what it works for")),
    }
}

/// The next slice of a job of the whole org.
pub(super) fn advance(draft: &mut Draft<'_>, job: &Job, allowance: usize) -> Slice {
    match &job.kind {
        JobKind::Compute { object } => compute_all(draft, job, object, allowance),
        JobKind::Assign { object, to, view } => assign(draft, job, object, to, view.as_ref(), allowance),
        JobKind::FollowParent { record, fields, only } => {
            follow(draft, job, *record, fields, *only, allowance)
        }
        JobKind::HandOver { from, to, connections, records } => {
            let handover = Handover { from, to, connections: *connections, records: *records };
            hand_over(draft, job, &handover, allowance)
        }
        // The others work for a connection.
        _ => Slice { finished: true, ..Slice::default() },
    }
}

/// The connections first; what one slice has no room for is found by the next, for what was handed over
/// belongs to another by then.
fn hand_over(draft: &mut Draft<'_>, job: &Job, handover: &Handover<'_>, allowance: usize) -> Slice {
    let state = draft.state;
    // A slice that ends among the connections is not the last.
    let mut slice = Slice { cursor: job.cursor.or(Some(0)), ..Slice::default() };
    if let Err(refusal) = known_owner(state, handover.to) {
        return slice.ended("the rest", &refusal);
    }
    if let Some(owner) = handover.to.user().filter(|_| handover.connections) {
        for connection in connections_of(state, handover.from) {
            if !slice.has_room(allowance) {
                return slice;
            }
            slice.looked_at += 1;
            slice.done += 1;
            let (owner, actor) = (owner.clone(), draft.actor.clone());
            draft.emit(ConnectionOwnerSet { connection, owner, actor });
        }
    }
    if handover.records == HandedRecords::None {
        slice.finished = true;
        return slice;
    }
    let start = job.cursor.map_or(Unbounded, |id| Excluded(RecordId(id)));
    let records = state.records.range((start, Unbounded)).map(|(id, record)| (*id, record));
    let one = |id, record: &Record| {
        let meant = handover.records == HandedRecords::All || !record.shares.is_empty();
        if record.deleted || record.owner != *handover.from || !meant {
            return Ok(0);
        }
        // A queue takes some objects, and not others.
        check_owner(state, &record.object, handover.to)?;
        give(draft, id, record, handover.to.clone());
        Ok(1)
    };
    slice.through(allowance, records, |id| id.0, one)
}

/// The connections that a user manages and that are not over.
fn connections_of(state: &State, user: &UserName) -> Vec<ConnectionId> {
    let live = |status| matches!(status, ConnectionStatus::Pending | ConnectionStatus::Active);
    let owned = state.connections.values().filter(|c| c.owner == *user && live(c.status));
    owned.map(|connection| connection.id).collect()
}

/// Gives the records of an object to one owner, or to whom the assignment rules name: those that no rule
/// fits stay where they are.
fn assign(
    draft: &mut Draft<'_>,
    job: &Job,
    object: &ObjectName,
    to: &AssignTo,
    view: Option<&ViewName>,
    allowance: usize,
) -> Slice {
    let (state, now) = (draft.state, draft.now);
    let view = match opened(state, job, view) {
        Ok(view) => view,
        Err(slice) => return slice,
    };
    let records = state.records_of(object, job.cursor.map(RecordId));
    let one = |id, record: &Record| {
        if !chosen_by(state, view.as_ref(), record, &job.actor, now) {
            return Ok(0);
        }
        let owner = match to {
            AssignTo::Owner(owner) => Some(owner.clone()),
            AssignTo::Rules => owner_by_rules(draft, id, record),
        };
        let Some(owner) = owner.filter(|owner| *owner != record.owner) else { return Ok(0) };
        check_owner(state, object, &owner)?;
        give(draft, id, record, owner);
        Ok(1)
    };
    Slice::of(job).through(allowance, records, |id| id.0, one)
}

/// Computes the fields of all records of an object anew.
fn compute_all(draft: &mut Draft<'_>, job: &Job, name: &ObjectName, allowance: usize) -> Slice {
    let state = draft.state;
    let Some(object) = state.object(name) else { return Slice { finished: true, ..Slice::of(job) } };
    let records = state.records_of(name, job.cursor.map(RecordId));
    let one = |id, record: &Record| Ok(usize::from(compute::again(draft, id, record, object)));
    Slice::of(job).through(allowance, records, |id| id.0, one)
}

/// Tells partners the fields that records carry of one that has changed; or all that `only` carries, for it
/// refers to others than before.
fn follow(
    draft: &mut Draft<'_>,
    job: &Job,
    parent: RecordId,
    fields: &[FieldName],
    only: Option<RecordId>,
    allowance: usize,
) -> Slice {
    let state = draft.state;
    let records: Box<dyn Iterator<Item = (RecordId, &Record)>> = match only {
        Some(id) if job.cursor.is_none() => Box::new(state.record(id).map(|record| (id, record)).into_iter()),
        Some(_) => Box::new(std::iter::empty()),
        None => Box::new(state.referrers(parent, job.cursor.map(RecordId))),
    };
    let one = |_, record: &Record| {
        let meant = |name: &FieldName| only.is_some() || carries(state, record, name, parent, fields);
        let told = record.shares.iter().filter(|(over, share)| {
            let connection = state.connections.get(over).filter(|connection| connection.is_active());
            connection.is_some_and(|connection| tell_carried(draft, connection, *share, record, meant))
        });
        Ok(told.count())
    };
    Slice::of(job).through(allowance, records, |id| id.0, one)
}

/// Sends carried fields of one record over one connection, if its partner takes some. During a pause they
/// are caught up with later.
fn tell_carried(
    draft: &mut Draft<'_>,
    connection: &Connection,
    id: ShareId,
    record: &Record,
    meant: impl Fn(&FieldName) -> bool,
) -> bool {
    let known = connection.shares.get(&id);
    let ours = |share: &&Share| share.role == ShareRole::Origin && share.status == ShareStatus::Active;
    let Some(share) = known.filter(ours) else { return false };
    let told = carried(draft.state, connection, record).filter(|(name, ..)| meant(name));
    let content = Content::stamped(told.map(|(name, value, stamp)| (name.clone(), value, stamp)));
    if !content.is_empty() && connection.holds_back(&record.object) {
        return pause::hold_back(draft, connection, id, share);
    }
    share::send_snapshot(draft, connection, id, share.generation, &record.object, content)
}

/// Whether a field of a record is one of these fields of `parent`.
fn carries(
    state: &State,
    record: &Record,
    field: &FieldName,
    parent: RecordId,
    fields: &[FieldName],
) -> bool {
    use crate::account::parent_path;
    use crate::value::Value;
    let schema = state.object(&record.object).and_then(|object| object.field(field));
    schema.and_then(parent_path).is_some_and(|(reference, source)| {
        *record.value(&reference) == Value::Reference(parent) && fields.contains(&source)
    })
}
