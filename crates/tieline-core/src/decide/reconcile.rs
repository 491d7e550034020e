//! Incarnations and reconcile: after a restore, and to find drift, both sides tell each other the
//! states of all their shares, and whoever holds the later part sends it (PROTOCOL §9).
//!
//! The lower side of a difference adopts the stage by itself; the upper side sends what the lower
//! one cannot know: an offer, a grant with its follow-up, later values.

mod anew;

use std::cmp::Ordering;

use crate::command::{Refusal, Reply};
use crate::decide::connection as agreement;
use crate::decide::copy;
use crate::decide::draft::Draft;
use crate::decide::fields::FieldsEnd;
use crate::decide::settle::rule_of;
use crate::decide::write::{carried, is_open, shared_content};
use crate::decide::{jobs, key, links, owner, pause, rules, share, task};
use crate::event::{
    AlarmRaised, Closing, ConnectionSuspended, Delivery, GrantRequested, IncarnationCause,
    IncarnationStarted, OfferReceived, PartnerReincarnated, ReconcileAsked, ShareHeard, ShareLinked,
    ShareRestored, ShareStatesSent, SnapshotSent,
};
use crate::job::JobKind;
use crate::limits::SHARE_STATES_MAX;
use crate::message::{EndReason, ParentLink, Recreate, ShareEntry, ShareStage, ShareStates, Snapshot};
use crate::stamp::Stamp;
use crate::state::{Connection, Record, Share, ShareRole, ShareStatus};
use crate::vecmap::VecMap;
use crate::{ConnectionId, FieldName, Incarnation, Position, RecordId, ShareId};

/// A partner that shows our tail lost twice within this time may be lying (PROTOCOL §9).
const SECOND_FINDING_US: i64 = 24 * 3_600 * 1_000_000;

/// Begins a new life of our log, and reconciles with every partner.
pub(super) fn start_incarnation(
    draft: &mut Draft<'_>,
    cause: IncarnationCause,
    found_on: Option<ConnectionId>,
    above: Incarnation,
) -> Result<Reply, Refusal> {
    let state = draft.state;
    if let Some(connection) = found_on.and_then(|id| state.connections.get(&id)) {
        let before = connection.tail_lost.filter(|at| draft.now.since_us(*at) < SECOND_FINDING_US);
        if before.is_some() {
            suspend(draft, connection);
            return Ok(Reply::Unchanged);
        }
    }
    let random = u64::try_from(draft.draw() & u128::from(u64::MAX)).unwrap_or_default();
    let begun = Incarnation::begin(draft.now, random);
    let floor = draft.org().incarnation.max(above);
    let incarnation = if begun > floor { begun } else { Incarnation(floor.0 + 1) };
    draft.emit(IncarnationStarted { incarnation, cause, connection: found_on });
    draft.emit(AlarmRaised {
        connection: found_on,
        code: "log_restored".to_owned(),
        message:
            "the log of this org ends earlier than its partners know it: it was restored or rolled back; \
                  all shares are being reconciled"
                .to_owned(),
    });
    for connection in state.connections.values().filter(|connection| connection.is_active()) {
        begin(draft, connection);
    }
    Ok(Reply::Done)
}

fn suspend(draft: &mut Draft<'_>, connection: &Connection) {
    if connection.suspended {
        return;
    }
    draft.emit(ConnectionSuspended { connection: connection.id, suspended: true, actor: None });
    draft.emit(AlarmRaised {
        connection: Some(connection.id),
        code: "second_rollback".to_owned(),
        message: format!(
            "{} showed for the second time within a day that our log lost its end: the connection is suspended; \
             look at both logs, then `tieline connection resume {}`",
            connection.display_name(),
            connection.id
        ),
    });
}

/// The partner's log has a new life.
pub(super) fn take_incarnation(
    draft: &mut Draft<'_>,
    id: ConnectionId,
    incarnation: Incarnation,
) -> Result<Reply, Refusal> {
    let connection = agreement::find(draft.state, id)?;
    if incarnation <= connection.partner_incarnation {
        return Ok(Reply::Unchanged);
    }
    let first = connection.partner_incarnation == Incarnation::default();
    draft.emit(PartnerReincarnated { connection: id, incarnation });
    if !first && connection.is_active() {
        draft.emit(AlarmRaised {
            connection: Some(id),
            code: "partner_restored".to_owned(),
            message: format!(
                "{} was restored to an earlier state: all shares are being reconciled",
                connection.display_name()
            ),
        });
        begin(draft, connection);
    }
    Ok(Reply::Done)
}

/// Tells the partner everything anew; positions begin at one.
fn begin(draft: &mut Draft<'_>, connection: &Connection) {
    draft.restart_positions(connection.id);
    tell_all(draft, connection);
}

/// Tells the partner our newest key, our rules and the states of all shares.
pub(super) fn tell_all(draft: &mut Draft<'_>, connection: &Connection) {
    key::tell(draft, connection);
    rules::send_all(draft, connection);
    pause::tell_again(draft, connection);
    jobs::begin(draft, JobKind::Reconcile { connection: connection.id });
}

/// Compares all shares with the partner, because a person asks (OPS-17).
pub(super) fn ask(draft: &mut Draft<'_>, id: ConnectionId) -> Result<Reply, Refusal> {
    let connection = share::active(draft.state, id)?;
    if connection.pauses.whole() {
        // Grants over other connections wait for the answer, which would not come.
        let text = format!("connection {} is paused: let it go on first", connection.display_name());
        return Err(Refusal::conflict("paused", text));
    }
    let position = draft.position(connection);
    let actor = Some(draft.actor.clone());
    draft.emit(ReconcileAsked { connection: id, position, actor });
    Ok(Reply::Job(jobs::begin(draft, JobKind::Reconcile { connection: id })))
}

/// Tells the partner the next run of our shares; the cursor after it, or nothing if it was the last.
pub(super) fn send_states(
    draft: &mut Draft<'_>,
    connection: &Connection,
    after: Option<ShareId>,
) -> (Option<ShareId>, usize) {
    use std::ops::Bound::{Excluded, Unbounded};
    let start = after.map_or(Unbounded, Excluded);
    let mut range = connection.shares.range((start, Unbounded));
    let state = draft.state;
    let entries: Vec<ShareEntry> = range
        .by_ref()
        .take(SHARE_STATES_MAX)
        .map(|(id, share)| {
            let record = share.record.and_then(|record| state.record(record));
            entry(connection, *id, share, record)
        })
        .collect();
    let upto = if range.next().is_some() { entries.last().map(|entry| entry.share) } else { None };
    let done = entries.len();
    let position = draft.position(connection);
    let states = ShareStates { after, upto, entries };
    draft.emit(ShareStatesSent { connection: connection.id, position, states });
    (upto, done)
}

fn entry(connection: &Connection, id: ShareId, share: &Share, record: Option<&Record>) -> ShareEntry {
    let mut taken: VecMap<FieldName, Stamp> = VecMap::new();
    if let Some((record, rule)) = record.zip(rule_of(connection, share)) {
        for mapping in &rule.fields {
            // A reference without its target is not held: the partner may name it anew.
            let held = record.fields.get(&mapping.local);
            let held = held.filter(|_| record.awaited(&mapping.local, connection.id).is_none());
            let stamp = held.map(|field| field.stamp);
            let Some((remote, stamp)) = mapping.remote().zip(stamp) else { continue };
            // A field that goes into several of ours is as old as the oldest of them.
            let oldest = taken.get(remote).map_or(stamp, |known| stamp.min(*known));
            taken.insert(remote.clone(), oldest);
        }
        for (remote, _, stamp) in share.inputs.iter().flat_map(|inputs| inputs.iter()) {
            let oldest = taken.get(remote).map_or(stamp, |known| stamp.min(*known));
            taken.insert(remote.clone(), oldest);
        }
    }
    let ended = match share.status {
        ShareStatus::Inactive(reason) => Some(reason),
        _ => None,
    };
    let (origin, stage) = (share.role == ShareRole::Origin, share.status.stage());
    let record = share.record.filter(|_| origin);
    let parents = if origin { Vec::new() } else { share.parents.clone() };
    ShareEntry { share: id, generation: share.generation, stage, origin, record, parents, ended, taken }
}

/// Compares a run of the partner's shares with ours.
pub(super) fn compare(draft: &mut Draft<'_>, connection: &Connection, states: &ShareStates) {
    use std::ops::Bound::{Excluded, Included, Unbounded};
    let after = states.after.map_or(Unbounded, Excluded);
    let upto = states.upto.map_or(Unbounded, Included);
    let listed: VecMap<ShareId, &ShareEntry> = states.entries.iter().map(|e| (e.share, e)).collect();
    // A run whose end lies before its beginning is nonsense, and `range` would panic on it.
    let sound = states.after.is_none_or(|after| states.upto.is_none_or(|upto| after < upto));
    if sound {
        // The partner takes a task only beside what it belongs to, whose id may be the later one.
        let (tasks, others): (Vec<_>, Vec<_>) =
            connection.shares.range((after, upto)).partition(|(_, share)| !share.parents.is_empty());
        for (id, share) in others {
            compare_share(draft, connection, *id, share, listed.get(id).copied());
        }
        let closed = task::closed(draft, connection);
        for (id, share) in tasks {
            let theirs = listed.get(id).copied();
            let is_ours_later = theirs.is_none_or(|theirs| stage(share) > stage_of(theirs));
            if !(is_ours_later && connection.is_lost(share, |parent| closed.contains(&parent))) {
                compare_share(draft, connection, *id, share, theirs);
            }
        }
        if let Some(after) = states.after {
            task::send_earlier(draft, connection, after);
        }
    }
    for theirs in &states.entries {
        let known = connection.shares.contains_key(&theirs.share);
        if !known && connection.heard.get(&theirs.share) < Some(&theirs.generation) {
            let (share, generation) = (theirs.share, theirs.generation);
            draft.emit(ShareHeard { connection: connection.id, share, generation });
        }
    }
    if states.upto.is_none() {
        grant_waiting(draft, connection.id);
    }
}

/// Begins the grants that waited, if `done` was the last connection to reconcile.
pub(super) fn grant_waiting(draft: &mut Draft<'_>, done: ConnectionId) {
    let state = draft.state;
    if state.connections.values().any(|other| other.id != done && other.reconciling) {
        return;
    }
    for connection in state.connections.values().filter(|connection| connection.is_active()) {
        let waits = |share: &Share| share.role == ShareRole::Origin && share.status == ShareStatus::Accepting;
        if connection.shares.values().any(waits) || draft.requests_grant(connection.id) {
            jobs::begin(draft, JobKind::Grant { connection: connection.id });
        }
    }
}

/// Compares a share of ours with what the partner lists of it.
fn compare_share(
    draft: &mut Draft<'_>,
    connection: &Connection,
    id: ShareId,
    share: &Share,
    theirs: Option<&ShareEntry>,
) {
    match theirs {
        Some(theirs) => compare_one(draft, connection, id, share, theirs),
        None => unknown_there(draft, connection, id, share),
    }
}

/// The partner knows nothing of a share of ours.
fn unknown_there(draft: &mut Draft<'_>, connection: &Connection, id: ShareId, share: &Share) {
    let record = share.record.and_then(|record| Some((record, draft.state.record(record)?)));
    match (share.role, share.status.stage(), record) {
        (_, ShareStage::Ended, _) => {}
        (ShareRole::Origin, stage, Some((record_id, record))) => {
            send_as_origin(draft, connection, id, share, stage, record_id, record);
        }
        (ShareRole::Copy, ShareStage::Active, Some((_, record))) => {
            send_for_recreation(draft, connection, id, share, record);
        }
        // The partner is told: it may have offered the record again since it listed its shares.
        _ => share::close(draft, connection, id, share, Closing::Ended(EndReason::Withdrawn), true),
    }
}

/// An origin brings the partner up to its own stage.
fn send_as_origin(
    draft: &mut Draft<'_>,
    connection: &Connection,
    id: ShareId,
    share: &Share,
    stage: ShareStage,
    record_id: RecordId,
    record: &Record,
) {
    match stage {
        ShareStage::Offered | ShareStage::Accepting => {
            share::offer(draft, connection, id, share.generation, record_id, record, share.how);
        }
        ShareStage::Active if !share.parents.is_empty() => {
            task::send_again(draft, connection, id, share, record_id, record);
        }
        ShareStage::Active => {
            share::send_grant(draft, connection, id, share.generation, record_id, record, share.whole);
        }
        ShareStage::Ended => {}
    }
}

/// A holder lends a restored origin what it has of the record.
fn send_for_recreation(
    draft: &mut Draft<'_>,
    connection: &Connection,
    id: ShareId,
    share: &Share,
    record: &Record,
) {
    let content = shared_content(connection, record, true, |_| true);
    let position = draft.position(connection);
    let links = links::links(draft, connection, content.values.iter());
    let (over, generation) = (connection.id, share.generation);
    let delivery = Delivery { connection: over, share: id, generation, position, links };
    let parents = share.parents.clone();
    let recreate = Some(Recreate { object: share.object.clone(), record: share.origin_record, parents });
    let object = record.object.clone();
    draft.emit(SnapshotSent { delivery, object, content, recreate, unseen_from: None });
}

/// How far a share has come here: the greater one of two sides is the later one.
const fn stage(share: &Share) -> (u32, ShareStage) {
    (share.generation, share.status.stage())
}

/// The same at the partner.
const fn stage_of(theirs: &ShareEntry) -> (u32, ShareStage) {
    (theirs.generation, theirs.stage)
}

/// Both sides know the share.
fn compare_one(
    draft: &mut Draft<'_>,
    connection: &Connection,
    id: ShareId,
    share: &Share,
    theirs: &ShareEntry,
) {
    let (mine, other) = (stage(share), stage_of(theirs));
    let record = share.record.and_then(|record| Some((record, draft.state.record(record)?)));
    match mine.cmp(&other) {
        Ordering::Less => return adopt(draft, connection, id, share, theirs),
        Ordering::Greater => match (share.role, mine.1, record) {
            (ShareRole::Origin, stage, Some((record_id, record))) => {
                return send_as_origin(draft, connection, id, share, stage, record_id, record);
            }
            (ShareRole::Copy, ShareStage::Active, Some((_, record))) => {
                return send_for_recreation(draft, connection, id, share, record);
            }
            _ => return,
        },
        Ordering::Equal if theirs.origin && share.role == ShareRole::Origin => {
            cross(draft, connection, id, share, theirs);
        }
        Ordering::Equal => {}
    }
    if mine.1 == ShareStage::Active {
        send_values(draft, connection, id, share, theirs);
    }
}

/// Sends what this side has later than the partner lists, of a share that is active on both sides.
fn send_values(
    draft: &mut Draft<'_>,
    connection: &Connection,
    id: ShareId,
    share: &Share,
    theirs: &ShareEntry,
) {
    if let Some((record_id, record)) = share.record.and_then(|id| Some((id, draft.state.record(id)?))) {
        send_later_values(draft, connection, id, share, theirs, record);
        anew::stamp_anew(draft, connection, id, share, theirs, record_id, record);
        owner::tell_again(draft, connection, id, share);
    }
}

/// Both sides offered the same generation and hold themselves for its origin: one of the offers
/// stands, and the other one accepts it.
fn cross(draft: &mut Draft<'_>, connection: &Connection, id: ShareId, share: &Share, theirs: &ShareEntry) {
    let generation = share.generation;
    if share::stands(draft, connection, id, share.record, theirs.record) {
        if share.status == ShareStatus::Offered {
            share::take_acceptance(draft, connection, id, generation, false);
        }
        return;
    }
    let (Some(rule), Some(record)) = (rule_of(connection, share), theirs.record) else { return };
    if !is_open(share) {
        return;
    }
    let object = rule.remote.clone();
    draft.emit(OfferReceived {
        connection: connection.id,
        share: id,
        generation,
        object,
        record,
        preview: VecMap::new(),
        parents: share.parents.clone(),
        hops: 0,
        links: Vec::new(),
    });
    if share.status == ShareStatus::Active {
        let (connection, record) = (connection.id, share.record);
        draft.emit(ShareLinked { connection, share: id, generation, record, kept: None });
    } else {
        let owner = share.actor.as_ref().unwrap_or(&connection.owner).clone();
        share::answer(draft, connection, id, generation, Some(share::Acceptance::new(false)), owner);
    }
}

/// Takes over the partner's further stage, as far as this side can do so by itself.
fn adopt(draft: &mut Draft<'_>, connection: &Connection, id: ShareId, share: &Share, theirs: &ShareEntry) {
    let later = Share { generation: theirs.generation, ..share.clone() };
    if theirs.stage == ShareStage::Ended {
        let reason = theirs.ended.unwrap_or(EndReason::Withdrawn);
        return share::close(draft, connection, id, &later, Closing::Ended(reason), false);
    }
    if theirs.origin {
        // The origin sends the rest: an offer of the later generation, or grant and follow-up.
        return;
    }
    // We had offered that generation, or granted it, and forgot: the holder's word stands.
    let Some((record_id, record)) = share.record.and_then(|id| Some((id, draft.state.record(id)?))) else {
        return share::close(draft, connection, id, &later, Closing::Ended(EndReason::Deleted), true);
    };
    let (over, generation) = (connection.id, theirs.generation);
    if theirs.stage == ShareStage::Active {
        let (object, record) = (record.object.clone(), record_id);
        let parents = parents_of(&theirs.parents, Some(share));
        let restored =
            Share { role: ShareRole::Origin, object, status: ShareStatus::Active, parents, ..later };
        draft.emit(restored_event(connection, id, &restored, record));
        if task::is_of_nothing(draft, connection, &restored) {
            return share::close(
                draft,
                connection,
                id,
                &restored,
                Closing::Ended(EndReason::Withdrawn),
                true,
            );
        }
        return send_values(draft, connection, id, &restored, theirs);
    }
    if share.generation != generation || share.status != ShareStatus::Offered {
        share::offer(draft, connection, id, generation, record_id, record, share.how);
    }
    if theirs.stage == ShareStage::Accepting {
        draft.emit(GrantRequested { connection: over, share: id, whole: share.whole });
    }
}

/// Sends the fields of which the partner lists an older write than ours.
fn send_later_values(
    draft: &mut Draft<'_>,
    connection: &Connection,
    id: ShareId,
    share: &Share,
    theirs: &ShareEntry,
    record: &Record,
) {
    let mut content = shared_content(connection, record, true, |name| {
        let listed = theirs.taken.get(name);
        record.fields.get(name).is_some_and(|field| {
            let later = Some(field.stamp.write()) > listed.map(Stamp::write);
            // A revision that the partner has taken is below its own of the same write.
            let revised = listed.is_some_and(|listed| {
                let another = listed.revision() != field.stamp.revision();
                field.stamp.write() == listed.write() && field.stamp.rev >= listed.rev && another
            });
            later || revised
        })
    });
    if share.role == ShareRole::Origin {
        for (name, value, stamp) in carried(draft.state, connection, record) {
            if Some(stamp.write()) > theirs.taken.get(name).map(Stamp::write) {
                content.set(name.clone(), value, stamp);
            }
        }
    }
    share::send_snapshot(draft, connection, id, share.generation, &record.object, content);
}

/// Takes a holder's word for a share that this side forgot, or whose record it lost: it is active,
/// and this side is its origin. A lost record is created again under its id; one that is here takes
/// what the holder has later.
pub(super) fn restore(
    draft: &mut Draft<'_>,
    connection: &Connection,
    position: Position,
    snapshot: &Snapshot,
    recreate: &Recreate,
    present: Option<RecordId>,
) -> FieldsEnd {
    let (id, generation) = (snapshot.share, snapshot.generation);
    let share = Share {
        record: present,
        generation,
        status: ShareStatus::Active,
        actor: Some(connection.owner.clone()),
        parents: parents_of(&recreate.parents, connection.shares.get(&id)),
        ..Share::new(ShareRole::Origin, recreate.object.clone(), recreate.record, draft.now)
    };
    draft.emit(restored_event(connection, id, &share, present.unwrap_or(recreate.record)));
    if task::is_of_nothing(draft, connection, &share) {
        share::close(draft, connection, id, &share, Closing::Ended(EndReason::Withdrawn), true);
        return FieldsEnd::inactive("what the task belongs to is not shared here");
    }
    let end = copy::take_back(draft, connection, position, id, &share, &snapshot.content);
    if end.record.is_none() && present.is_none() {
        share::close(draft, connection, id, &share, Closing::Ended(EndReason::Withdrawn), true);
    }
    end
}

/// That a share is active, and this side is its origin. How it was offered is known if this side remembers
/// the generation; else nobody is to have the record besides.
fn restored_event(connection: &Connection, id: ShareId, share: &Share, record: RecordId) -> ShareRestored {
    let known = connection.shares.get(&id).filter(|known| known.generation == share.generation);
    ShareRestored {
        connection: connection.id,
        share: id,
        generation: share.generation,
        object: share.object.clone(),
        record,
        parents: share.parents.clone(),
        how: known.map(|known| known.how).unwrap_or_default(),
    }
}

/// What a task belongs to by the word of its holder; one of an older version does not say, and it is what it was.
fn parents_of(told: &[ParentLink], known: Option<&Share>) -> Vec<ParentLink> {
    if told.is_empty() { known.map(|known| known.parents.clone()).unwrap_or_default() } else { told.to_vec() }
}
