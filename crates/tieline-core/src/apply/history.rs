//! Folds what records lost.

use crate::Seq;
use crate::event::ConflictNoted;
use crate::state::State;

pub(super) fn conflict_noted(state: &mut State, seq: Seq, event: &ConflictNoted) {
    if let Some(record) = state.records.get_mut(&event.record) {
        record.last = seq;
    }
    if let Some(connection) = state.connections.get_mut(&event.connection) {
        let fields = event.fields.len() as u64;
        connection.conflicts.entry(event.object.clone()).or_default().add(event.loser, fields);
    }
}
