//! Folds what happens to records.

use super::take_counted_position;
use crate::account::{ACCOUNT, account_key};
use crate::event::{LinksAwaited, PendingValue, RecordAction, RecordChanged, ValuesPending};
use crate::reference::target;
use crate::sharing::{is_task, parents_of};
use crate::state::{AwaitedLink, FieldState, LinkIndex, Record, Source, State};
use crate::value::Value;
use crate::vecmap::VecMap;
use crate::{ConnectionId, RecordId, Seq, ShareId, Stamp, Timestamp, UserName};

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
    let before = is_task(&event.object).then(|| state.records.get(&event.record).map(parents_of));
    let of_account = event.object.as_str() == ACCOUNT;
    let named = of_account.then(|| state.records.get(&event.record).and_then(account_key)).flatten();
    let mut gone = Gone::default();
    let Some(record) = state.records.get_mut(&event.record) else { return };
    state.automation.wait_no_more(event.record, record);
    if event.action == RecordAction::Delete {
        state.link_index.forget(event.record, record);
    }
    for (name, value, stamp) in event.content.iter() {
        latest = latest.max(stamp.time);
        let source = event.origin_of(name).map(|origin| {
            let received = event.received.get(name).unwrap_or(&stamp);
            Source { origin, revision: received.revision() }
        });
        if matches!(value, Value::Reference(_)) {
            state.link_index.refer(event.record, value);
        }
        match record.fields.get_mut(name) {
            Some(field) => {
                gone.target(&field.value);
                write(field, value, stamp, source);
            }
            None => {
                let source = source.map(Box::new);
                record.fields.insert(name.clone(), FieldState { value: value.clone(), stamp, source });
            }
        }
        if record.pending.get(name).is_some_and(|pending| pending.stamp.write() <= stamp.write()) {
            gone.pending(record.pending.remove(name).as_ref());
        }
        if !record.links.is_empty() {
            gone.link(record.links.remove(name));
        }
    }
    if !gone.is_empty() {
        gone.forget(&mut state.link_index, event.record, record);
    }
    if let Some(owner) = &event.owner {
        record.owner = owner.clone();
    }
    record.deleted = event.action == RecordAction::Delete;
    if record.deleted {
        record.pending = VecMap::new();
        record.links = VecMap::new();
    }
    record.modified = time;
    record.modified_by = event.actor.clone();
    record.last = seq;
    let waits = record.waits_for_approval();
    let parents = before.map(|before| (before.unwrap_or_default(), parents_of(record)));
    let renamed = of_account.then(|| account_key(record));
    if record.shares.len() > event.deliveries.len() {
        super::pause::hold_back(&mut state.connections, &record.shares, time, event);
    }
    state.automation.wait(event.record, record, event.prev, event.rule.is_some());
    state.index_approval(event.record, waits);
    if let Some(renamed) = renamed {
        state.index_account(event.record, named, renamed);
    }
    if let Some((before, after)) = parents {
        state.index_task(event.record, before, after);
    }
    state.clock.observe(latest);
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
        links: VecMap::new(),
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
    let mut gone = Gone::default();
    let Some(record) = state.records.get_mut(&event.record) else { return };
    for (name, pending) in event.values.iter() {
        let before = match pending {
            Some(pending) => record.pending.insert(name.clone(), pending.clone()),
            None => record.pending.remove(name),
        };
        gone.pending(before.as_ref());
    }
    if event.values.values().flatten().any(|pending| target(&pending.incoming).is_some()) {
        state.link_index.add_awaited(event.record, record);
    }
    gone.forget(&mut state.link_index, event.record, record);
    let waits = record.waits_for_approval();
    state.index_approval(event.record, waits);
}

/// References wait for their targets.
pub(super) fn links_awaited(state: &mut State, event: &LinksAwaited) {
    let mut gone = Gone::default();
    let Some(record) = state.records.get_mut(&event.record) else { return };
    for (name, share) in event.links.iter() {
        let link = AwaitedLink { connection: event.connection, share: *share, orphan: false };
        gone.link(record.links.insert(name.clone(), link));
    }
    state.link_index.add_awaited(event.record, record);
    gone.forget(&mut state.link_index, event.record, record);
}

/// What a record referred to or waited for, and may do so no more. Most writes have none.
#[derive(Default)]
struct Gone {
    targets: Vec<RecordId>,
    awaited: Vec<(ConnectionId, ShareId)>,
}

impl Gone {
    const fn is_empty(&self) -> bool {
        self.targets.is_empty() && self.awaited.is_empty()
    }

    fn target(&mut self, value: &Value) {
        if let Value::Reference(target) = value {
            self.targets.push(*target);
        }
    }

    fn link(&mut self, link: Option<AwaitedLink>) {
        self.awaited.extend(link.map(|link| (link.connection, link.share)));
    }

    fn pending(&mut self, pending: Option<&PendingValue>) {
        let key = pending.and_then(|p| Some((p.origin.connection, target(&p.incoming)?)));
        self.awaited.extend(key);
    }

    fn forget(self, index: &mut LinkIndex, id: RecordId, record: &Record) {
        self.targets.into_iter().for_each(|target| index.unrefer(id, record, target));
        self.awaited.into_iter().for_each(|key| index.unawait(id, record, key));
    }
}
