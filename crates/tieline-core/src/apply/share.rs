//! Folds what happens to shares.

use std::collections::BTreeMap;

use super::{take_counted_position, take_position};
use crate::event::{
    AccountRuleSet, ChildGranted, Closing, GrantRequested, InputsKept, OfferAnswered, OfferReceived,
    ShareClosed, ShareGranted, ShareHeard, ShareLinked, ShareOffered, ShareRefused, ShareRestored,
    SnapshotSent,
};
use crate::message::EndReason;
use crate::sharing::Forwarding;
use crate::state::{Record, Share, ShareRole, ShareStatus, State};
use crate::vecmap::VecMap;
use crate::{ConnectionId, RecordId, Seq, ShareId, Timestamp};

fn share_mut(state: &mut State, connection: ConnectionId, share: ShareId) -> Option<&mut Share> {
    state.connections.get_mut(&connection)?.shares.get_mut(&share)
}

/// Lets a record know its share.
fn link(state: &mut State, record: RecordId, connection: ConnectionId, share: ShareId) {
    let Some(record) = state.records.get_mut(&record) else { return };
    match record.shares.iter_mut().find(|(c, _)| *c == connection) {
        Some(slot) => slot.1 = share,
        None => record.shares.push((connection, share)),
    }
}

pub(super) fn offered(state: &mut State, seq: Seq, time: Timestamp, event: &ShareOffered) {
    take_counted_position(state, event.connection, event.position, seq, time);
    let Some(connection) = state.connections.get_mut(&event.connection) else { return };
    let share = connection
        .shares
        .entry(event.share)
        .or_insert_with(|| Share::new(ShareRole::Origin, event.object.clone(), event.record, time));
    // Whoever offers this generation is its origin, whoever it was before.
    share.role = ShareRole::Origin;
    share.object = event.object.clone();
    share.origin_record = event.record;
    connection.heard.remove(&event.share);
    if share.status != ShareStatus::Taken || !event.actor.is_connection_user() {
        // What others gave back is offered again as it was; else somebody offers it anew, and no rule ends
        // that.
        share.rule = None;
    }
    share.hops = event.hops;
    share.generation = event.generation;
    share.status = ShareStatus::Offered;
    share.record = Some(event.record);
    share.offered = time;
    share.updated = time;
    share.actor = Some(event.actor.clone());
    share.problem = None;
    share.how = event.how;
    share.parents = Vec::new();
    link(state, event.record, event.connection, event.share);
}

/// At the origin, a task that follows its parent.
pub(super) fn child_granted(state: &mut State, seq: Seq, time: Timestamp, event: &ChildGranted) {
    take_counted_position(state, event.connection, event.position, seq, time);
    let Some(connection) = state.connections.get_mut(&event.connection) else { return };
    let share = Share {
        record: Some(event.record),
        generation: event.generation,
        status: ShareStatus::Active,
        actor: Some(event.actor.clone()),
        parents: event.parents.clone(),
        ..Share::new(ShareRole::Origin, event.object.clone(), event.record, time)
    };
    connection.set_child(event.share, &share.parents);
    connection.heard.remove(&event.share);
    connection.shares.insert(event.share, share);
    link(state, event.record, event.connection, event.share);
}

pub(super) fn account_rule_set(state: &mut State, event: &AccountRuleSet) {
    let Some(connection) = state.connections.get_mut(&event.connection) else { return };
    match &event.rule {
        Some(rule) => drop(connection.accounts.insert(event.object.clone(), rule.clone())),
        None => drop(connection.accounts.remove(&event.object)),
    }
}

pub(super) fn offer_received(state: &mut State, time: Timestamp, event: &OfferReceived) {
    let Some(connection) = state.connections.get_mut(&event.connection) else { return };
    let share = connection
        .shares
        .entry(event.share)
        .or_insert_with(|| Share::new(ShareRole::Copy, event.object.clone(), event.record, time));
    share.role = ShareRole::Copy;
    share.object = event.object.clone();
    share.origin_record = event.record;
    share.generation = event.generation;
    share.status = ShareStatus::Offered;
    share.offered = time;
    share.updated = time;
    share.actor = None;
    share.preview = event.preview.clone();
    share.links = Some(event.links.clone()).filter(|links| !links.is_empty()).map(Box::new);
    share.kept = None;
    share.hops = event.hops;
    share.rule = None;
    share.assign = None;
    share.problem = None;
    share.how = Forwarding::default();
    share.parents.clone_from(&event.parents);
    if !event.parents.is_empty() {
        share.status = ShareStatus::Accepting;
        connection.set_child(event.share, &event.parents);
    }
}

pub(super) fn offer_answered(state: &mut State, seq: Seq, time: Timestamp, event: &OfferAnswered) {
    take_position(state, event.connection, event.position, seq, time);
    let Some(share) = share_mut(state, event.connection, event.share) else { return };
    share.status = if event.accept { ShareStatus::Accepting } else { ShareStatus::Declined };
    share.whole = event.whole;
    share.record_type.clone_from(&event.record_type);
    share.assign = event.assign.clone().map(Box::new);
    share.actor = Some(event.owner.clone());
    share.updated = time;
    if !event.accept {
        share.preview = VecMap::new();
        share.links = None;
    }
    if let Some(record) = event.record {
        // The grant finds the copy here, as it finds that of an earlier generation.
        share.record = Some(record);
        share.adopted = true;
        link(state, record, event.connection, event.share);
    }
}

pub(super) fn grant_requested(state: &mut State, time: Timestamp, event: &GrantRequested) {
    let Some(share) = share_mut(state, event.connection, event.share) else { return };
    share.status = ShareStatus::Accepting;
    share.whole = event.whole;
    share.updated = time;
}

pub(super) fn granted(state: &mut State, seq: Seq, time: Timestamp, event: &ShareGranted) {
    take_counted_position(state, event.connection, event.grant, seq, time);
    if let Some(position) = event.follow_up {
        take_counted_position(state, event.connection, position, seq, time);
    }
    let Some(share) = share_mut(state, event.connection, event.share) else { return };
    share.status = ShareStatus::Active;
    share.generation = event.generation;
    share.updated = time;
}

/// At the origin, the loser of an acceptance.
pub(super) fn refused(state: &mut State, seq: Seq, time: Timestamp, event: &ShareRefused) {
    take_position(state, event.connection, event.position, seq, time);
    let Some(share) = share_mut(state, event.connection, event.share) else { return };
    // A late answer to an older generation ends nothing of the present one.
    if share.generation == event.generation
        && matches!(share.status, ShareStatus::Offered | ShareStatus::Accepting)
    {
        share.status = ShareStatus::Taken;
        share.updated = time;
    }
}

pub(super) fn heard(state: &mut State, event: &ShareHeard) {
    if let Some(connection) = state.connections.get_mut(&event.connection) {
        connection.heard.insert(event.share, event.generation);
    }
}

pub(super) fn restored(state: &mut State, time: Timestamp, event: &ShareRestored) {
    let Some(connection) = state.connections.get_mut(&event.connection) else { return };
    let share = Share {
        generation: event.generation,
        status: ShareStatus::Active,
        record: Some(event.record),
        how: event.how,
        parents: event.parents.clone(),
        ..Share::new(ShareRole::Origin, event.object.clone(), event.record, time)
    };
    connection.set_child(event.share, &share.parents);
    connection.shares.insert(event.share, share);
    link(state, event.record, event.connection, event.share);
}

pub(super) fn linked(state: &mut State, time: Timestamp, event: &ShareLinked) {
    let Some(share) = share_mut(state, event.connection, event.share) else { return };
    share.generation = event.generation;
    share.status = if event.record.is_some() { ShareStatus::Active } else { ShareStatus::Granted };
    share.record = event.record.or(share.record);
    share.kept = event.kept.clone().map(Box::new);
    share.preview = VecMap::new();
    share.links = None;
    share.updated = time;
    if event.record.is_some() {
        share.problem = None;
        share.adopted = false;
    }
    if let Some(record) = event.record {
        link(state, record, event.connection, event.share);
    }
}

pub(super) fn closed(state: &mut State, seq: Seq, time: Timestamp, event: &ShareClosed) {
    if let Some(position) = event.position {
        // Only the end of a share is counted; a returned grant is control.
        if event.closing == Closing::Ended(EndReason::Returned) {
            take_position(state, event.connection, position, seq, time);
        } else {
            take_counted_position(state, event.connection, position, seq, time);
        }
    }
    let Some(share) = share_mut(state, event.connection, event.share) else { return };
    share.status = match event.closing {
        Closing::Declined => ShareStatus::Declined,
        Closing::Taken => ShareStatus::Taken,
        Closing::Ended(reason) => ShareStatus::Inactive(reason),
    };
    share.generation = event.generation;
    share.held_back = None;
    share.preview = VecMap::new();
    share.links = None;
    share.kept = None;
    share.inputs = None;
    share.updated = time;
    let (status, record) = (share.status, share.record);
    if let Some(record) = record {
        orphan(&mut state.records, record, event.connection);
    }
    end_children(state, time, event.connection, event.share, status);
}

/// What belongs to a record that is not shared any more is not shared either: both sides know that
/// without a word.
fn end_children(
    state: &mut State,
    time: Timestamp,
    over: ConnectionId,
    parent: ShareId,
    status: ShareStatus,
) {
    let Some(connection) = state.connections.get_mut(&over) else { return };
    for child in connection.lost_children(parent) {
        let Some(share) = connection.shares.get_mut(&child) else { continue };
        share.status = status;
        share.kept = None;
        share.updated = time;
        if let Some(record) = share.record {
            orphan(&mut state.records, record, over);
        }
    }
}

/// What waits on a record over a connection does so without it from now on.
pub(super) fn orphan(records: &mut BTreeMap<RecordId, Record>, record: RecordId, connection: ConnectionId) {
    let Some(record) = records.get_mut(&record) else { return };
    for pending in record.pending.values_mut().filter(|pending| pending.origin.connection == connection) {
        pending.orphan = true;
    }
    for link in record.links.values_mut().filter(|link| link.connection == connection) {
        link.orphan = true;
    }
}

pub(super) fn snapshot_sent(state: &mut State, seq: Seq, time: Timestamp, event: &SnapshotSent) {
    take_counted_position(state, event.delivery.connection, event.delivery.position, seq, time);
    if let Some(share) = share_mut(state, event.delivery.connection, event.delivery.share) {
        share.updated = time;
        share.held_back = share.held_back.filter(|_| event.unseen_from.is_none());
    }
}

/// The newest values of what mappings compute with: of each field, the one that was written last.
pub(super) fn inputs_kept(state: &mut State, event: &InputsKept) {
    let Some(share) = share_mut(state, event.connection, event.share) else { return };
    let known = share.inputs.take();
    let content = known.map_or_else(|| event.content.clone(), |known| known.absorbing(&event.content));
    share.inputs = Some(Box::new(content));
}
