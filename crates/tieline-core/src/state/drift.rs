//! What a connection remembers of changed fields and of values without a mapping.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::drift::FieldChange;
use crate::event::{DriftNoted, UnmappedSeen};
use crate::limits::{DRIFT_KEPT, UNMAPPED_VALUES_KEPT};
use crate::mapping::SubscribeRule;
use crate::state::Connection;
use crate::{FieldName, ObjectName, Timestamp};

/// A change of a published field that is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotedDrift {
    /// When it was noticed here.
    pub time: Timestamp,
    /// The object, by its publisher's name.
    pub object: ObjectName,
    /// Whether it is this org that publishes it.
    pub ours: bool,
    /// What has changed.
    pub change: FieldChange,
}

/// How often a value without a mapping came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenValue {
    /// How often.
    pub count: u64,
    /// The first time.
    pub first: Timestamp,
    /// The last time.
    pub last: Timestamp,
}

/// Values without a mapping, by the partner's object and the local field.
pub type UnmappedValues = BTreeMap<ObjectName, BTreeMap<FieldName, BTreeMap<SmolStr, SeenValue>>>;

impl Connection {
    /// Keeps changes, and forgets the oldest.
    pub(crate) fn note_drift(&mut self, time: Timestamp, event: &DriftNoted) {
        self.drift.extend(event.changes.iter().map(|change| NotedDrift {
            time,
            object: event.object.clone(),
            ours: event.ours,
            change: change.clone(),
        }));
        let over = self.drift.len().saturating_sub(DRIFT_KEPT);
        self.drift.drain(..over);
    }

    /// Somebody has looked at what changed: the rule for it is saved anew.
    pub(crate) fn forget_drift(&mut self, object: &ObjectName, ours: bool) {
        self.drift.retain(|drift| drift.object != *object || drift.ours != ours);
    }

    /// Counts values without a mapping.
    pub(crate) fn note_unmapped(&mut self, time: Timestamp, event: &UnmappedSeen) {
        let fields = self.unmapped.entry(event.object.clone()).or_default();
        for (field, value) in &event.values {
            let values = fields.entry(field.clone()).or_default();
            if let Some(seen) = values.get_mut(value) {
                *seen = SeenValue { count: seen.count + 1, last: time, ..*seen };
            } else if values.len() < UNMAPPED_VALUES_KEPT {
                values.insert(value.clone(), SeenValue { count: 1, first: time, last: time });
            }
        }
    }

    /// Forgets the values that a rule maps by now.
    pub(crate) fn forget_mapped(&mut self, object: &ObjectName, rule: Option<&SubscribeRule>) {
        let Some(fields) = self.unmapped.get_mut(object) else { return };
        fields.retain(|field, values| {
            let mapping = rule.and_then(|rule| rule.mapping_of(field));
            let table = mapping.and_then(|mapping| mapping.picklist.as_ref());
            values.retain(|value, _| table.is_none_or(|table| !table.values.contains_key(value)));
            mapping.is_some() && !values.is_empty()
        });
        if fields.is_empty() {
            self.unmapped.remove(object);
        }
    }
}
