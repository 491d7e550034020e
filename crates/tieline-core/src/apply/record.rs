//! Folds what happens to records.

use super::take_counted_position;
use crate::event::{RecordAction, RecordChanged, ValuesPending};
use crate::state::{FieldState, Record, Source, State};
use crate::value::Value;
use crate::vecmap::VecMap;
use crate::{Seq, Stamp, Timestamp, UserName};

pub(super) fn changed(state: &mut State, seq: Seq, time: Timestamp, event: &RecordChanged) {
    for delivery in &event.deliveries {
        take_counted_position(state, delivery.connection, delivery.position, seq, time);
    }
    match event.action {
        RecordAction::Create => create(state, time, event),
        RecordAction::Delete => state.index_record(&event.object, event.record, false),
        RecordAction::Update => {}
    }
    let mut latest = event.content.stamp.time;
    let Some(record) = state.records.get_mut(&event.record) else { return };
    state.automation.wait_no_more(event.record, record);
    for (name, value, stamp) in event.content.iter() {
        latest = latest.max(stamp.time);
        let source = event.origin_of(name).map(|origin| {
            let received = event.received.get(name).unwrap_or(&stamp);
            Source { origin, revision: received.revision() }
        });
        match record.fields.get_mut(name) {
            Some(field) => write(field, value, stamp, source),
            None => {
                let source = source.map(Box::new);
                record.fields.insert(name.clone(), FieldState { value: value.clone(), stamp, source });
            }
        }
        if record.pending.get(name).is_some_and(|pending| pending.stamp.write() <= stamp.write()) {
            record.pending.remove(name);
        }
    }
    if let Some(owner) = &event.owner {
        record.owner = owner.clone();
    }
    record.deleted = event.action == RecordAction::Delete;
    if record.deleted {
        record.pending = VecMap::new();
    }
    record.modified = time;
    record.modified_by = event.actor.clone();
    record.last = seq;
    state.automation.wait(event.record, record, event.prev, event.rule.is_some());
    state.clock.observe(latest);
    super::pause::hold_back(state, time, event);
}

/// Writes a field that had a value, into the place of its source if it had one.
fn write(field: &mut FieldState, value: &Value, stamp: Stamp, source: Option<Source>) {
    field.value = value.clone();
    field.stamp = stamp;
    match (&mut field.source, source) {
        (Some(known), Some(source)) => **known = source,
        (known, source) => *known = source.map(Box::new),
    }
}

fn create(state: &mut State, time: Timestamp, event: &RecordChanged) {
    // A record that a restored origin creates again keeps its shares.
    let shares = state.records.remove(&event.record).map(|record| record.shares).unwrap_or_default();
    let record = Record {
        object: event.object.clone(),
        fields: VecMap::new(),
        pending: VecMap::new(),
        owner: event.owner.clone().unwrap_or_else(|| UserName::connection_user().into()),
        created: time,
        modified: time,
        modified_by: event.actor.clone(),
        last: Seq::default(),
        hops: event.hops,
        deleted: false,
        shares,
    };
    state.records.insert(event.record, record);
    state.index_record(&event.object, event.record, true);
}

pub(super) fn values_pending(state: &mut State, event: &ValuesPending) {
    let Some(record) = state.records.get_mut(&event.record) else { return };
    for (name, pending) in event.values.iter() {
        match pending {
            Some(pending) => drop(record.pending.insert(name.clone(), pending.clone())),
            None => drop(record.pending.remove(name)),
        }
    }
}
