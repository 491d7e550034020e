//! Folds pauses, and what is held back meanwhile.

use super::take_position;
use crate::event::{PauseHeard, PauseSet, PauseTold, RecordChanged};
use crate::state::{Pause, ShareStatus, State};
use crate::{Seq, Timestamp};

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

/// Marks the shares of a record over which a change of it is held back.
pub(super) fn hold_back(state: &mut State, time: Timestamp, event: &RecordChanged) {
    let Some(record) = state.records.get(&event.record) else { return };
    if record.shares.len() <= event.deliveries.len() {
        return;
    }
    for (id, share) in &record.shares {
        let Some(connection) = state.connections.get_mut(id).filter(|c| c.pauses.any()) else { continue };
        if !connection.holds_back(&event.object) || event.deliveries.iter().any(|d| d.connection == *id) {
            continue;
        }
        if let Some(share) = connection.shares.get_mut(share).filter(|s| s.status == ShareStatus::Active) {
            share.held_back.get_or_insert(time);
        }
    }
}
