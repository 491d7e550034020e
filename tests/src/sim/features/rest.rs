//! What has to hold for features at rest.

use tieline_core::mapping::{ComputedMappings, FieldMapping};
use tieline_core::reference::NOT_SHARED;
use tieline_core::state::{Connection, FieldState, Record, Share, ShareRole, ShareStatus};
use tieline_core::value::Value;
use tieline_core::{RecordId, ShareId, Timestamp};

use super::Feature;
use super::rules::{SHARES, is_shared_by_rule};
use crate::sim::Broken;
use crate::sim::rest::Pair;
use crate::sim::world::World;

impl World {
    /// Looks at what one org has by itself.
    pub(in crate::sim) fn compare_features(&mut self) -> Result<(), Broken> {
        let now = self.out.now;
        let mut computed = 0;
        for org in &self.orgs {
            if self.features.has(Feature::Computed) {
                computed += computed_afresh(org.state(), now)?;
            }
            for connection in org.state().connections.values() {
                held_for_what_is_not_here(connection)?;
                if self.features.has(Feature::Sharing) {
                    shared_by_criteria(org.at, org.state(), connection)?;
                }
            }
        }
        self.out.totals.computed += computed;
        Ok(())
    }
}

/// Each computed field is what a fresh computation gives.
fn computed_afresh(state: &tieline_core::state::State, now: Timestamp) -> Result<u64, Broken> {
    let mut looked_at = 0;
    for (id, record) in state.records.iter().filter(|(_, record)| !record.deleted) {
        let Some(rules) = state.rules(&record.object) else { continue };
        for field in rules.computed() {
            let lookup = |name: &_| record.fields.get(name).map(|field| &field.value);
            // What cannot be computed is empty.
            let fresh = field.value(lookup, now).unwrap_or(Value::Null);
            let kept = record.value(field.name());
            if fresh != *kept {
                let text = format!("{} of {id} is {kept:?}, not {fresh:?}", field.name());
                return Err(Broken::new("what is computed is what it would be now", text));
            }
            looked_at += 1;
        }
    }
    Ok(looked_at)
}

/// What waits for a record waits for one that is not here.
fn held_for_what_is_not_here(connection: &Connection) -> Result<(), Broken> {
    for (position, held) in &connection.inbound.held {
        let parent = held.parent.and_then(|parent| connection.shares.get(&parent));
        if parent.is_some_and(|parent| parent.status == ShareStatus::Active && parent.record.is_some()) {
            let text = format!("position {position} is held for {:?}, which is here", held.parent);
            return Err(Broken::new("what waits for a record is tried when it comes", text));
        }
    }
    Ok(())
}

/// What a rule shares, and would end, meets its criteria.
fn shared_by_criteria(
    at: usize,
    state: &tieline_core::state::State,
    connection: &Connection,
) -> Result<(), Broken> {
    let by_rule = |share: &Share| {
        let rule = share.rule.as_ref().filter(|shared| !shared.ended && shared.rule.as_str() == SHARES);
        rule.is_some() && share.role == ShareRole::Origin && share.is_open()
    };
    for (id, share) in connection.shares.iter().filter(|(_, share)| by_rule(share)) {
        let record = share.record.and_then(|record| state.record(record));
        if record.is_some_and(|record| !is_shared_by_rule(at, record)) {
            let text = format!("{id} is {} of {record:?}", share.status.label());
            return Err(Broken::new("no rule shares what is outside its criteria", text));
        }
    }
    Ok(())
}

impl Pair<'_> {
    /// A reference names the partner's own copy of its target, or is empty and listed.
    pub(in crate::sim) fn compare_link(
        &self,
        target: RecordId,
        mapping: &FieldMapping,
        there: &FieldState,
        theirs: &Record,
    ) -> Result<(), String> {
        let (here, other) = (self.here.connection, self.there.connection);
        let known = self.here.state.records.get(&target).and_then(|record| record.share_over(here.id));
        // One that was lost here, and came back by the share as another record, is no target any more.
        let ours = known.and_then(|id| here.shares.get(&id)).filter(|share| share.record == Some(target));
        let copy = known.and_then(|id| other.shares.get(&id)).filter(|_| ours.is_some());
        match &there.value {
            Value::Reference(found) => {
                let same = copy.and_then(|copy| copy.record) == Some(*found);
                // What was deleted there, or here, is named no more.
                let gone = self.there.state.record(*found).is_none() || ours.is_none();
                if same || gone {
                    Ok(())
                } else {
                    Err(format!("{found} instead of the copy {copy:?} of {target}"))
                }
            }
            Value::Null => {
                let Some(waits) = theirs.awaited(&mapping.local, other.id) else {
                    return Err(format!("nothing, and not listed, instead of the copy {copy:?} of {target}"));
                };
                let is_here = |copy: &Share| {
                    let has = copy.status == ShareStatus::Active
                        || copy.role == ShareRole::Origin && copy.is_open();
                    has && copy.record.is_some_and(|record| self.there.state.record(record).is_some())
                };
                // One that is only offered to this side is not shared by it yet.
                let shares = |share: &Share| {
                    share.status == ShareStatus::Active || share.role == ShareRole::Origin && share.is_open()
                };
                if ours.is_some_and(shares) && copy.is_some_and(is_here) {
                    let named = if waits == NOT_SHARED {
                        "nothing that is shared".to_owned()
                    } else {
                        waits.to_string()
                    };
                    return Err(format!("waits for {named}, although the copy {copy:?} is there"));
                }
                Ok(())
            }
            other => Err(format!("{other:?} instead of a reference")),
        }
    }

    /// What mappings compute there is what they would give now for what came.
    pub(in crate::sim) fn compare_computed(
        &self,
        id: ShareId,
        ours: &Record,
        theirs: &Record,
        now: Timestamp,
    ) -> Result<(), Broken> {
        let other = self.there.connection;
        let Some(share) = other.shares.get(&id) else { return Ok(()) };
        let rule =
            other.subscribe.values().find(|rule| rule.remote == ours.object && rule.local == theirs.object);
        let (Some(rule), Some(inputs)) = (rule, share.inputs.as_deref()) else { return Ok(()) };
        let mappings = ComputedMappings::compile(rule, other.catalogue.get(&rule.remote));
        for (mapping, _) in rule.computed() {
            let Some(there) = theirs.fields.get(&mapping.local) else { continue };
            let object = self.there.state.object(&theirs.object);
            let Some(local) = object.and_then(|object| object.field(&mapping.local)) else { continue };
            let source = there.source.as_ref().map(|source| source.origin);
            let current = source.is_some_and(|o| o.connection == other.id && o.mapping == rule.version);
            if !current || theirs.pending.contains_key(&mapping.local) {
                continue;
            }
            let fresh = mappings.value(mapping, inputs, now);
            let fresh = fresh.and_then(|value| rule.map_value(mapping, &value, local));
            // What the partner does not publish any more cannot be computed: the value stays as it was.
            if fresh.is_ok() && fresh.as_ref().ok() != Some(&there.value) {
                let text =
                    format!("{} of share {id} is {there:?}, not {fresh:?} of {inputs:?}", mapping.local);
                return Err(self.broken("what a mapping computes is what it would be now", text));
            }
            for input in &mapping.inputs {
                let Some(field) = ours.fields.get(input).filter(|_| inputs.values.contains_key(input)) else {
                    continue;
                };
                let same = inputs.stamp_of(input) == field.stamp;
                if same && inputs.values.get(input) != Some(&field.value) {
                    let text = format!("{input} of share {id} is {field:?}, kept of it is {inputs:?}");
                    return Err(self.broken("what mappings compute with is what was sent", text));
                }
            }
        }
        Ok(())
    }
}
