//! Tasks follow the records that they belong to (S2S-44).
//!
//! A task goes to connections that have accepted its parent, and needs no answer there: the parent's
//! acceptance stands for it. What it belongs to travels as the share of the parent, which both sides
//! know by the same id, so each side links its own record.

use std::collections::BTreeSet;

use crate::command::{Refusal, Reply};
use crate::content::Content;
use crate::decide::draft::Draft;
use crate::decide::fields::FieldsEnd;
use crate::decide::links::links as links_of;
use crate::decide::receive::{Ending, FOR_PARENT};
use crate::decide::write::{Candidates, is_open, partner_takes, shared_content};
use crate::decide::{copy, jobs, links, settle, share};
use crate::event::{ChildGranted, Closing, Event, OfferReceived};
use crate::job::JobKind;
use crate::message::{ChildGrant, EndReason, Message, ParentLink};
use crate::outcome::Outcome;
use crate::reason::{Reason, ReasonCode};
use crate::sharing::{is_closed, is_task, parent_fields, status_field};
use crate::state::{Connection, HeldMessage, Record, Share, ShareRole, ShareStatus, State};
use crate::value::Value;
use crate::vecmap::VecMap;
use crate::{FieldName, ObjectName, Position, RecordId, ShareId};

/// What a task belongs to and is shared over a connection, with the field that says so.
fn links(connection: &Connection, state: &State, value: impl Fn(&FieldName) -> Value) -> Vec<ParentLink> {
    let link = |field: FieldName| {
        let Value::Reference(parent) = value(&field) else { return None };
        let share = state.record(parent)?.share_over(connection.id)?;
        let active = connection.shares.get(&share)?.status == ShareStatus::Active;
        active.then_some(ParentLink { field, share })
    };
    parent_fields().into_iter().filter_map(link).collect()
}

/// The field by which a task names what it is about: people by one field, everything else by the other.
pub(super) fn about(object: &ObjectName) -> &'static str {
    if matches!(object.as_str(), "Lead" | "Contact") { "WhoId" } else { "WhatId" }
}

/// Shares one task with a connection that has what it belongs to.
pub(super) fn forward(
    draft: &mut Draft<'_>,
    connection: &Connection,
    id: RecordId,
    record: &Record,
) -> Result<Reply, Refusal> {
    let links = links(connection, draft.state, |field| record.value(field).clone());
    if links.is_empty() {
        let refusal = not_shared(draft.state, connection, id, record);
        return Err(refusal);
    }
    Ok(Reply::Share(send(draft, connection, id, record, links)))
}

/// Why a task cannot go to a connection: what it belongs to is not there.
fn not_shared(state: &State, connection: &Connection, id: RecordId, record: &Record) -> Refusal {
    let parents = parent_fields().into_iter().filter_map(|field| match record.value(&field) {
        Value::Reference(parent) => Some((field, *parent)),
        _ => None,
    });
    let named: Vec<String> = parents
        .map(|(field, parent)| match state.record(parent) {
            Some(record) => {
                let status = record.share_over(connection.id).and_then(|share| connection.shares.get(&share));
                let status = status.map_or_else(|| "not shared".to_owned(), |share| share.status.label());
                format!("{} {parent} ({field}) is {status}", record.object)
            }
            None => format!("{parent} ({field}) is not there"),
        })
        .collect();
    let name = connection.display_name();
    let text = if named.is_empty() {
        format!(
            "the task {id} belongs to no record: set its WhatId or WhoId to one that is shared with {name}"
        )
    } else {
        let named = named.join(", ");
        format!("the task {id} goes to {name} only with what it belongs to, and {named}: share that first")
    };
    Refusal::conflict("parent_not_shared", text)
}

/// Grants a task, as it is, over a connection that has what it belongs to.
fn send(
    draft: &mut Draft<'_>,
    connection: &Connection,
    id: RecordId,
    record: &Record,
    links: Vec<ParentLink>,
) -> ShareId {
    let known = record.share_over(connection.id);
    let share = known.unwrap_or_else(|| ShareId::derive(connection.id, &draft.org().name, id));
    let generation = connection.shares.get(&share).map(|share| share.generation);
    let generation = generation.max(connection.heard.get(&share).copied()).unwrap_or(0) + 1;
    let content = shared_content(connection, record, true, |_| true);
    grant(draft, connection, share, generation, id, record.object.clone(), content, links);
    share
}

/// Grants a task once more, at the generation that it has: the partner has forgotten it.
pub(super) fn send_again(
    draft: &mut Draft<'_>,
    connection: &Connection,
    share: ShareId,
    known: &Share,
    id: RecordId,
    record: &Record,
) {
    let content = shared_content(connection, record, true, |_| true);
    let (object, links) = (record.object.clone(), known.parents.clone());
    grant(draft, connection, share, known.generation, id, object, content, links);
}

/// The shares of a connection that were closed so far.
pub(super) fn closed(draft: &Draft<'_>, connection: &Connection) -> BTreeSet<ShareId> {
    let closed = draft.events().iter().filter_map(|event| match event {
        Event::ShareClosed(closed) if closed.connection == connection.id => Some(closed.share),
        _ => None,
    });
    closed.collect()
}

/// Whether all that a task belongs to has ended here, and its holder does not know yet. What is not known here may
/// still be told.
pub(super) fn is_of_nothing(draft: &Draft<'_>, connection: &Connection, task: &Share) -> bool {
    let decided = |parent: ShareId| {
        draft.events().iter().rev().find_map(|event| match event {
            Event::ShareClosed(e) if (e.connection, e.share) == (connection.id, parent) => Some(true),
            Event::ShareRestored(e) if (e.connection, e.share) == (connection.id, parent) => Some(false),
            _ => None,
        })
    };
    let known = |parent: ShareId| connection.shares.get(&parent).is_some_and(|share| !is_open(share));
    let has_ended = |link: &ParentLink| decided(link.share).unwrap_or_else(|| known(link.share));
    !task.parents.is_empty() && task.parents.iter().all(has_ended)
}

/// Reconcile has sent records again, and tasks of them whose ids come up to `upto` were compared before:
/// the partner had nothing then that they belong to.
pub(super) fn send_earlier(draft: &mut Draft<'_>, connection: &Connection, upto: ShareId) {
    let sent = draft.events().iter().filter_map(|event| match event {
        Event::ShareGranted(granted) if granted.connection == connection.id => Some(granted.share),
        Event::SnapshotSent(sent) if sent.recreate.is_some() && sent.delivery.connection == connection.id => {
            Some(sent.delivery.share)
        }
        _ => None,
    });
    let children = sent.flat_map(|parent| connection.children.get(&parent)).flatten();
    let earlier: BTreeSet<ShareId> = children.copied().filter(|child| *child <= upto).collect();
    for id in earlier {
        let Some(share) = connection.shares.get(&id) else { continue };
        let stands = share.role == ShareRole::Origin && share.status == ShareStatus::Active;
        let record = share.record.filter(|_| stands);
        if let Some((record, found)) = record.and_then(|id| Some((id, draft.state.record(id)?))) {
            send_again(draft, connection, id, share, record, found);
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "the parts of one event")]
fn grant(
    draft: &mut Draft<'_>,
    connection: &Connection,
    share: ShareId,
    generation: u32,
    record: RecordId,
    object: ObjectName,
    content: Content,
    parents: Vec<ParentLink>,
) {
    let links = links_of(draft, connection, content.values.iter());
    let (position, actor) = (draft.position(connection), draft.actor.clone());
    let connection = connection.id;
    draft.emit(ChildGranted {
        connection,
        share,
        generation,
        record,
        object,
        content,
        parents,
        position,
        actor,
        links,
    });
}

/// A record was granted: its tasks follow, if it was offered so.
pub(super) fn with_parent(draft: &mut Draft<'_>, connection: &Connection, share: &Share, record: RecordId) {
    let wanted = share.how.tasks != crate::sharing::TaskChoice::None;
    if wanted && draft.state.tasks_of(record, None).next().is_some() {
        jobs::begin(draft, JobKind::Tasks { connection: connection.id, record, choice: share.how.tasks });
    }
}

/// Shares one task of a record by a job; false if there is nothing to do.
pub(super) fn one_of(
    draft: &mut Draft<'_>,
    connection: &Connection,
    task: RecordId,
    choice: crate::sharing::TaskChoice,
) -> Result<bool, Refusal> {
    let Some(record) = draft.state.record(task) else { return Ok(false) };
    let known = record.share_over(connection.id).and_then(|share| connection.shares.get(&share));
    if known.is_some_and(is_open) || !choice.takes(is_closed(record.value(&status_field()))) {
        return Ok(false);
    }
    share::published(connection, &record.object)?;
    forward(draft, connection, task, record).map(|_| true)
}

/// A task was written: it goes to those who have what it now belongs to, where that was shared so.
pub(super) fn follow(
    draft: &mut Draft<'_>,
    id: RecordId,
    object: &ObjectName,
    record: Option<&Record>,
    written: &Candidates,
) {
    if !is_task(object) {
        return;
    }
    let moved = parent_fields().iter().any(|field| written.contains_key(field));
    if !moved && !written.contains_key(&status_field()) {
        return;
    }
    let was_closed = record.is_some_and(|record| is_closed(record.value(&status_field())));
    let state = draft.state;
    let value = |field: &FieldName| match written.get(field) {
        Some(candidate) => candidate.value.clone(),
        None => record.map_or(Value::Null, |record| record.value(field).clone()),
    };
    let closed = is_closed(&value(&status_field()));
    for connection in state.connections.values().filter(|connection| connection.is_active()) {
        let links = links(connection, state, value);
        let follows = |link: &ParentLink| {
            let how = connection.shares.get(&link.share).map(|share| share.how).unwrap_or_default();
            // One that is done now was none of those that are done before.
            how.new_tasks && how.tasks.takes(closed) && (moved || !how.tasks.takes(was_closed))
        };
        let known = record.and_then(|record| record.share_over(connection.id));
        let is_shared = known.and_then(|share| connection.shares.get(&share)).is_some_and(is_open);
        if is_shared || !connection.publish.contains_key(object) || !links.iter().any(follows) {
            continue;
        }
        if connection.holds_back(object) {
            // It follows when the object is not paused any more.
            later(draft, connection, &links);
            continue;
        }
        let mut content = record.map(|r| shared_content(connection, r, true, |_| true)).unwrap_or_default();
        for (name, candidate) in written.iter().filter(|(name, _)| partner_takes(connection, object, name)) {
            content.set(name.clone(), candidate.value.clone(), candidate.stamp);
        }
        let share = known.unwrap_or_else(|| ShareId::derive(connection.id, &draft.org().name, id));
        let generation = connection.shares.get(&share).map(|share| share.generation);
        let generation = generation.max(connection.heard.get(&share).copied()).unwrap_or(0) + 1;
        grant(draft, connection, share, generation, id, object.clone(), content, links);
    }
}

/// Shares the tasks of what one belongs to by a job, which waits for the end of a pause.
fn later(draft: &mut Draft<'_>, connection: &Connection, links: &[ParentLink]) {
    let parent = links.iter().find_map(|link| {
        let share = connection.shares.get(&link.share).filter(|share| share.how.new_tasks)?;
        Some((share.record?, share.how.tasks))
    });
    if let Some((record, choice)) = parent {
        jobs::begin(draft, JobKind::Tasks { connection: connection.id, record, choice });
    }
}

/// A task waits while what it belongs to was granted and is not created yet.
pub(super) fn awaits(connection: &Connection, grant: &ChildGrant) -> Option<Ending> {
    let status = |link: &ParentLink| connection.shares.get(&link.share).map(|share| share.status);
    if grant.parents.iter().any(|link| status(link) == Some(ShareStatus::Active)) {
        return None;
    }
    let waits =
        |link: &&ParentLink| matches!(status(link), Some(ShareStatus::Granted | ShareStatus::Accepting));
    let parent = grant.parents.iter().find(waits)?.share;
    let ending = Ending::new(Outcome::Held, Some(grant.share))
        .because(ReasonCode::AwaitingParent, "the record that the task belongs to is not created yet");
    Some(Ending { held_until: Some(FOR_PARENT), parent: Some(parent), ..ending })
}

/// The share of `parent` ends. So do, without a word, the tasks that wait here for its record and belong to nothing else:
/// they would be taken for tasks of the next generation of that share. What else was held for it is tried.
pub(super) fn release_or_end(draft: &mut Draft<'_>, connection: &Connection, parent: ShareId) {
    let stands =
        |link: &ParentLink| link.share != parent && connection.shares.get(&link.share).is_some_and(is_open);
    let ending = |held: &HeldMessage| match Message::decode(held.kind, &held.body) {
        Ok(Message::ChildGrant(grant)) => Some(grant).filter(|grant| !grant.parents.iter().any(stands)),
        _ => None,
    };
    let (mut ended, mut others) = (Vec::new(), Vec::new());
    for (position, held) in connection.held_for(parent) {
        match ending(held) {
            Some(grant) => ended.push((position, grant)),
            None => others.push(position),
        }
    }
    if !ended.is_empty() {
        // That it was held is told before how it ended.
        settle::report(draft, connection);
    }
    for (position, grant) in ended {
        let reason =
            Reason::new(ReasonCode::ShareInactive, "what the task belongs to is not shared any more");
        settle::settle_held(draft, connection, position, Outcome::Filtered, Some(grant.share), vec![reason]);
        pass_over(draft, connection, &grant);
    }
    links::try_again(draft, connection, others);
}

/// Takes a task that follows its parent: it is created beside it.
pub(super) fn take(
    draft: &mut Draft<'_>,
    connection: &Connection,
    position: Position,
    grant: &ChildGrant,
) -> FieldsEnd {
    let is_here = |link: &ParentLink| parent_of(draft.state, connection, link).is_some();
    if !grant.parents.iter().any(is_here) {
        pass_over(draft, connection, grant);
        return FieldsEnd::inactive("what the task belongs to is not shared here");
    }
    let known = connection.shares.get(&grant.share);
    if known.is_some_and(|share| share.generation > grant.generation) {
        let text = "the task has been shared again since";
        return FieldsEnd::filtered(Reason::new(ReasonCode::OlderGeneration, text));
    }
    if known.is_some_and(|share| share.generation == grant.generation && !is_open(share)) {
        return FieldsEnd::inactive("this share has ended");
    }
    let share = Share {
        record: known.and_then(|known| known.record),
        generation: grant.generation,
        status: ShareStatus::Accepting,
        parents: grant.parents.clone(),
        ..Share::new(ShareRole::Copy, grant.object.clone(), grant.record, draft.now)
    };
    draft.emit(OfferReceived {
        connection: connection.id,
        share: grant.share,
        generation: grant.generation,
        object: grant.object.clone(),
        record: grant.record,
        preview: VecMap::new(),
        hops: 0,
        links: Vec::new(),
        parents: grant.parents.clone(),
    });
    copy::take_content(draft, connection, position, grant.share, &share, grant.generation, &grant.content)
}

/// A task comes to nothing. Its share has had that generation all the same, on both sides: the next one would be taken for
/// it.
fn pass_over(draft: &mut Draft<'_>, connection: &Connection, grant: &ChildGrant) {
    let known = connection.shares.get(&grant.share);
    let Some(known) = known.filter(|known| known.generation < grant.generation) else { return };
    let had = Share { generation: grant.generation, ..known.clone() };
    share::close(draft, connection, grant.share, &had, Closing::Ended(EndReason::Withdrawn), false);
}

/// The record here that a task belongs to.
fn parent_of(state: &State, connection: &Connection, link: &ParentLink) -> Option<RecordId> {
    let share = connection.shares.get(&link.share).filter(|share| share.status == ShareStatus::Active)?;
    share.record.filter(|record| state.record(*record).is_some())
}

/// The references that a task is created with, and who owns it: whoever owns what it belongs to.
pub(super) fn parents_here<'a>(
    state: &'a State,
    connection: &'a Connection,
    share: &'a Share,
) -> impl Iterator<Item = (&'a FieldName, RecordId)> {
    share.parents.iter().filter_map(move |link| Some((&link.field, parent_of(state, connection, link)?)))
}
