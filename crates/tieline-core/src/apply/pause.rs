//! Folds pauses, and what is held back meanwhile.

use std::collections::BTreeMap;

use super::take_position;
use crate::event::{PauseHeard, PauseSet, PauseTold, RecordChanged, ShareHeldBack};
use crate::state::{Connection, Pause, ShareStatus, State};
use crate::{ConnectionId, Seq, ShareId, Timestamp};

pub(super) fn set(state: &mut State, time: Timestamp, event: &PauseSet) {
    let Some(connection) = state.connections.get_mut(&event.connection) else { return };
    let pause = event.paused.then(|| Pause { since: time, by: event.actor.clone() });
    match (&event.object, pause) {
        (None, pause) => {
            connection.pauses.ours = pause;
            connection.pauses.rev += 1;
        }
        (Some(object), Some(pause)) => drop(connection.pauses.objects.insert(object.clone(), pause)),
        (Some(object), None) => drop(connection.pauses.objects.remove(object)),
    }
    connection.derive();
}

pub(super) fn heard(state: &mut State, event: &PauseHeard) {
    if let Some(connection) = state.connections.get_mut(&event.connection) {
        connection.pauses.partner = event.word.clone();
    }
}

pub(super) fn told(state: &mut State, seq: Seq, time: Timestamp, event: &PauseTold) {
    take_position(state, event.connection, event.position, seq, time);
}

pub(super) fn held_back(state: &mut State, time: Timestamp, event: &ShareHeldBack) {
    let connection = state.connections.get_mut(&event.connection);
    if let Some(share) = connection.and_then(|connection| connection.shares.get_mut(&event.share)) {
        share.held_back.get_or_insert(time);
    }
}

/// Marks the shares of a record over which a change of it is held back.
pub(super) fn hold_back(
    connections: &mut BTreeMap<ConnectionId, Connection>,
    shares: &[(ConnectionId, ShareId)],
    time: Timestamp,
    event: &RecordChanged,
) {
    for (id, share) in shares {
        let Some(connection) = connections.get_mut(id).filter(|c| c.holds_back(&event.object)) else {
            continue;
        };
        if event.deliveries.iter().any(|delivery| delivery.connection == *id) {
            continue;
        }
        if let Some(share) = connection.shares.get_mut(share).filter(|s| s.status == ShareStatus::Active) {
            share.held_back.get_or_insert(time);
        }
    }
}
