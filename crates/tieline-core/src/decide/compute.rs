//! Computed fields: their values are written with the change of what they are computed from, and stand
//! in its event (S2S-24). Replay computes nothing.

use std::sync::Arc;

use crate::Timestamp;
use crate::decide::draft::Draft;
use crate::decide::record::write_with_pending;
use crate::decide::write::{Candidate, Candidates};
use crate::event::ComputationFailed;
use crate::reason::Reason;
use crate::rules::CompiledRules;
use crate::schema::ObjectSchema;
use crate::stamp::Stamp;
use crate::state::{Record, State};
use crate::value::Value;
use crate::{FieldName, ObjectName, RecordId, UserName};

/// What a change computes.
#[derive(Debug, Default)]
pub(super) struct Computed {
    /// The fields that change.
    pub(super) candidates: Candidates,
    /// Why fields are empty that could not be computed. It stops nothing.
    failed: Vec<Reason>,
}

/// Why fields are empty that could not be computed, to be noted once the record is written.
#[must_use]
#[derive(Default)]
pub(super) struct Failed(Vec<Reason>);

impl Failed {
    /// Notes them.
    pub(super) fn note(self, draft: &mut Draft<'_>, record: RecordId, object: &ObjectName) {
        if !self.0.is_empty() {
            draft.emit(ComputationFailed { record, object: object.clone(), reasons: self.0 });
        }
    }
}

/// The computed fields that change with `candidates`. A computed value takes the greatest stamp of what
/// it is computed from; the same write computed anew is a revision of it.
pub(super) fn computed(
    state: &State,
    rules: Option<&Arc<CompiledRules>>,
    record: Option<&Record>,
    candidates: &Candidates,
    now: Timestamp,
) -> Computed {
    let fields = rules.map(|rules| rules.computed()).unwrap_or_default();
    let Some(own) = state.org.as_ref().map(|org| org.id).filter(|_| !fields.is_empty()) else {
        return Computed::default();
    };
    let (mut computed, mut failed) = (Candidates::new(), Vec::new());
    for field in fields {
        let is_new = |name: &FieldName| candidates.contains_key(name) || computed.contains_key(name);
        if record.is_some() && !field.inputs().iter().any(is_new) {
            continue;
        }
        let candidate = |name: &FieldName| candidates.get(name).or_else(|| computed.get(name));
        let present = |name: &FieldName| record.and_then(|record| record.fields.get(name));
        let value = |name: &FieldName| -> Option<&Value> {
            candidate(name).map(|c| &c.value).or_else(|| present(name).map(|field| &field.value))
        };
        let stamps = field.inputs().iter().filter_map(|name| {
            candidate(name).map(|c| c.stamp).or_else(|| present(name).map(|field| field.stamp))
        });
        let stamp: Stamp = stamps.max_by_key(Stamp::write).unwrap_or_default();
        let value = field.value(value, now).unwrap_or_else(|reason| {
            failed.push(reason);
            Value::Null
        });
        let known = present(field.name());
        if known.map_or_else(|| value.is_null(), |known| known.value == value) {
            continue;
        }
        let stamp = match known.map(|known| known.stamp) {
            Some(known) if known.write() >= stamp.write() => known.revised(known, own),
            _ => Stamp::new(stamp.time, stamp.org),
        };
        computed.insert(field.name().clone(), Candidate::local(value, stamp));
    }
    Computed { candidates: computed, failed }
}

/// Adds the computed fields that change with `candidates`; what is to be noted of those that could not be
/// computed.
pub(super) fn compute(
    draft: &Draft<'_>,
    object: &ObjectSchema,
    record: Option<&Record>,
    candidates: &mut Candidates,
) -> Failed {
    let rules = draft.state.rules(&object.name);
    let computed = computed(draft.state, rules, record, candidates, draft.now);
    if !computed.candidates.is_empty() {
        candidates.extend(computed.candidates);
    }
    Failed(computed.failed)
}

/// Computes all fields of a record anew, because what they are computed by has changed; whether one
/// differs.
pub(super) fn again(draft: &mut Draft<'_>, id: RecordId, record: &Record, object: &ObjectSchema) -> bool {
    // Every field that a record has is an input like a new one.
    let all = record.fields.iter().map(|(name, field)| {
        let origin = field.source.as_ref().map(|source| source.origin);
        (name.clone(), Candidate { value: field.value.clone(), stamp: field.stamp, origin, received: None })
    });
    let all: Candidates = all.collect();
    let rules = draft.state.rules(&object.name);
    let Computed { candidates, failed } = computed(draft.state, rules, Some(record), &all, draft.now);
    let changes = !candidates.is_empty();
    if changes {
        write_with_pending(draft, id, record, object, candidates, UserName::automation(), 0);
    }
    Failed(failed).note(draft, id, &object.name);
    changes
}
