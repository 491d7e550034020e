//! Which records refer to which, and which wait for which: derived from the records, kept exactly.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

use serde::{Deserialize, Serialize};

use crate::reference::{NOT_SHARED, target};
use crate::state::{Record, State};
use crate::value::Value;
use crate::{ConnectionId, RecordId, ShareId};

/// A reference that is empty because its target is not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwaitedLink {
    /// The connection that it came over.
    pub connection: ConnectionId,
    /// The share of its target; [`NOT_SHARED`] if the partner does not share it.
    pub share: ShareId,
    /// Whether the partner may not have it any more: the share that it came over has ended since, or the partner's
    /// log has had a new life. Then it counts as written here once it is filled, and goes to everybody.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub orphan: bool,
}

/// Both directions of the references of records.
#[derive(Debug, Clone, Default)]
pub(crate) struct LinkIndex {
    referrers: BTreeMap<RecordId, BTreeSet<RecordId>>,
    awaiting: BTreeMap<(ConnectionId, ShareId), BTreeSet<RecordId>>,
}

fn remove<K: Ord>(map: &mut BTreeMap<K, BTreeSet<RecordId>>, key: &K, id: RecordId) {
    if let Some(ids) = map.get_mut(key) {
        ids.remove(&id);
        if ids.is_empty() {
            map.remove(key);
        }
    }
}

impl LinkIndex {
    pub(crate) fn clear(&mut self) {
        self.referrers.clear();
        self.awaiting.clear();
    }

    /// Takes in all that a record refers to and waits for.
    pub(crate) fn add(&mut self, id: RecordId, record: &Record) {
        for value in record.fields.values().map(|field| &field.value) {
            self.refer(id, value);
        }
        self.add_awaited(id, record);
    }

    /// Takes in what a record waits for.
    pub(crate) fn add_awaited(&mut self, id: RecordId, record: &Record) {
        for key in awaited(record) {
            self.awaiting.entry(key).or_default().insert(id);
        }
    }

    /// Forgets all that a record refers to and waits for.
    pub(crate) fn forget(&mut self, id: RecordId, record: &Record) {
        for field in record.fields.values() {
            if let Value::Reference(target) = field.value {
                remove(&mut self.referrers, &target, id);
            }
        }
        for key in awaited(record) {
            remove(&mut self.awaiting, &key, id);
        }
    }

    pub(crate) fn refer(&mut self, id: RecordId, value: &Value) {
        if let Value::Reference(target) = value {
            self.referrers.entry(*target).or_default().insert(id);
        }
    }

    /// Forgets that a record refers to `target`, unless another of its fields does.
    pub(crate) fn unrefer(&mut self, id: RecordId, record: &Record, target: RecordId) {
        if !record.fields.values().any(|field| field.value == Value::Reference(target)) {
            remove(&mut self.referrers, &target, id);
        }
    }

    /// Forgets that a record waits for a share, unless another of its fields does.
    pub(crate) fn unawait(&mut self, id: RecordId, record: &Record, key: (ConnectionId, ShareId)) {
        if !awaited(record).any(|other| other == key) {
            remove(&mut self.awaiting, &key, id);
        }
    }
}

/// The shares that a record waits for.
fn awaited(record: &Record) -> impl Iterator<Item = (ConnectionId, ShareId)> {
    let links = record.links.values().map(|link| (link.connection, link.share));
    let pending = record.pending.values();
    let pending = pending.filter_map(|p| Some((p.origin.connection, target(&p.incoming)?)));
    links.chain(pending).filter(|(_, share)| *share != NOT_SHARED)
}

impl State {
    /// The records that refer to `target`, after `after`, in the order of their ids.
    pub fn referrers(
        &self,
        target: RecordId,
        after: Option<RecordId>,
    ) -> impl Iterator<Item = (RecordId, &Record)> {
        let start = after.map_or(Unbounded, Excluded);
        let ids = self.link_index.referrers.get(&target).into_iter();
        let ids = ids.flat_map(move |ids| ids.range((start, Unbounded)));
        ids.filter_map(|id| Some((*id, self.record(*id)?)))
    }

    /// The records that wait for the record of a share, after `after`, in the order of their ids.
    pub fn awaiting(
        &self,
        connection: ConnectionId,
        share: ShareId,
        after: Option<RecordId>,
    ) -> impl Iterator<Item = (RecordId, &Record)> {
        let start = after.map_or(Unbounded, Excluded);
        let ids = self.link_index.awaiting.get(&(connection, share)).into_iter();
        let ids = ids.flat_map(move |ids| ids.range((start, Unbounded)));
        ids.filter_map(|id| Some((*id, self.record(*id)?)))
    }
}
