//! Writing fields of a record: what local edits, remote changes and retries have in common.
//!
//! Candidates are tried together with everything that waits on the record; if that is refused,
//! they are tried alone. What is written becomes one event with its deliveries.

use crate::account::parent_fields;
use crate::content::Content;
use crate::decide::draft::Draft;
use crate::decide::{compute, links};
use crate::event::{Delivery, Origin, PendingValue, RecordAction, RecordChanged};
use crate::mapping::{FieldMapping, SubscribeRule};
use crate::reason::{Reason, ReasonCode};
use crate::schema::{ObjectSchema, record_type_field};
use crate::stamp::Stamp;
use crate::state::{Connection, Record, Share, ShareStatus, State};
use crate::value::Value;
use crate::vecmap::VecMap;
use crate::{ConnectionId, FieldName, ObjectName, OrgId, Owner, RecordId, ShareId, Timestamp, UserName};

/// A value that is to be written.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) value: Value,
    pub(super) stamp: Stamp,
    /// The share that it came over; nothing if it is written here. A value that came was mapped by
    /// `SubscribeRule::map_value`, and so checked against the local field.
    pub(super) origin: Option<Origin>,
    /// The stamp that it was received with, where that is another.
    pub(super) received: Option<Stamp>,
}

impl Candidate {
    /// A value written here.
    pub(super) const fn local(value: Value, stamp: Stamp) -> Self {
        Self { value, stamp, origin: None, received: None }
    }

    /// A value that came with the stamp `received`, written with `stamp`.
    ///
    /// A later write of this org's own is one that it has forgotten. It is its own again, and one revision higher:
    /// mappings need not invert, and others may hold it as it was first. What is empty has nothing to take back, and
    /// may wait for the target of a reference.
    pub(super) fn came(
        value: Value,
        stamp: Stamp,
        received: Stamp,
        origin: Option<Origin>,
        own: OrgId,
    ) -> Self {
        if received.org == own && !value.is_null() {
            return Self::local(value, received.revised(stamp, own));
        }
        let received = (stamp != received).then_some(received);
        Self { value, stamp, origin, received }
    }

    /// A value that waited on the record: it may be the field's own write, mapped anew.
    pub(super) fn waited(
        value: Value,
        record: &Record,
        mapping: &FieldMapping,
        pending: &PendingValue,
        version: u32,
        own: OrgId,
    ) -> Self {
        let received = pending.stamp;
        let present = record.fields.get(&mapping.local).map(|field| field.stamp);
        let stamp = match present.filter(|present| present.write() == received.write()) {
            Some(present) => received.revised(present, own),
            None => received,
        };
        let origin = Origin { mapping: version, ..pending.origin };
        let origin = (!pending.orphan).then_some(origin);
        if mapping.inputs.is_empty() {
            return Self::came(value, stamp, received, origin, own);
        }
        // What is computed has the stamp of what it is computed from, and is nobody's write.
        Self { value, stamp, origin, received: (stamp != received).then_some(received) }
    }
}

pub(super) type Candidates = VecMap<FieldName, Candidate>;

/// Why the record, as it would be with `candidates`, is refused; empty if it is not.
pub(super) fn refusals(
    state: &State,
    object: &ObjectSchema,
    record: Option<&Record>,
    candidates: &Candidates,
    now: Timestamp,
) -> Vec<Reason> {
    let rules = state.rules(&object.name);
    let computed = compute::computed(state, rules, record, candidates, now).candidates;
    let unwritten = |name: &FieldName| -> Option<&Value> {
        let computed = computed.get(name).map(|candidate| &candidate.value);
        computed.or_else(|| record.and_then(|record| record.fields.get(name)).map(|field| &field.value))
    };
    let lookup = |name: &FieldName| -> Option<&Value> {
        candidates.get(name).map(|candidate| &candidate.value).or_else(|| unwritten(name))
    };
    let mut reasons: Vec<Reason> = candidates
        .iter()
        // What came over a connection was checked when it was mapped.
        .filter(|(_, candidate)| candidate.origin.is_none())
        .filter_map(|(name, candidate)| match object.field(name) {
            Some(field) => candidate.value.check(field).err(),
            None => Some(unknown_field(&object.name, name)),
        })
        .collect();
    // Rules are put in place with their object.
    let Some(rules) = rules else { return reasons };
    // A value that is written has been checked, blank or not: what is left is what has none.
    let left = rules.required().iter().filter(|name| !candidates.contains_key(*name));
    reasons.extend(left.filter(|name| unwritten(name).is_none_or(Value::is_blank)).map(|name| {
        let text = format!("{name} of {} is required: give it a value", object.name);
        Reason::new(ReasonCode::RequiredMissing, text).on_field(name)
    }));
    if !object.record_types.is_empty() {
        let kind = lookup(&record_type_field()).unwrap_or(&Value::Null);
        let written = candidates.iter().map(|(name, candidate)| (name, &candidate.value));
        reasons.extend(object.record_type_refusals(kind, written));
    }
    // They see only values of the right type.
    if reasons.is_empty() {
        reasons = rules.refusals(lookup, now);
    }
    reasons
}

pub(super) fn unknown_field(object: &ObjectName, field: &FieldName) -> Reason {
    let text = format!("{object} has no field {field}: see the fields with `tieline object show {object}`");
    Reason::new(ReasonCode::UnknownField, text).on_field(field)
}

/// The values that wait on the record and may be tried (those for approval may not), except the
/// fields that are written anyway.
pub(super) fn pending_candidates(draft: &Draft<'_>, record: &Record, besides: &Candidates) -> Candidates {
    let state = draft.state;
    let waiting =
        record.pending.iter().filter(|(name, pending)| !pending.approval && !besides.contains_key(*name));
    waiting
        .filter_map(|(name, pending)| {
            let connection = state.connections.get(&pending.origin.connection)?;
            let rule = connection.subscribe.values().find(|rule| rule.local == record.object)?;
            // The rule may have come to take another field into this one since.
            let mapping = rule.mapping_of(name).filter(|m| m.reads().any(|read| *read == pending.remote))?;
            let field = state.object(&record.object)?.field(name)?;
            let computed = computed_anew(draft, connection, rule, mapping, record);
            let incoming = computed.as_ref().unwrap_or(&pending.incoming);
            let value = links::waited(draft, connection, rule, mapping, incoming, field)?;
            let own = draft.org().id;
            Some((name.clone(), Candidate::waited(value, record, mapping, pending, rule.version, own)))
        })
        .collect()
}

/// What a computed mapping gives now for what its share has kept.
fn computed_anew(
    draft: &Draft<'_>,
    connection: &Connection,
    rule: &SubscribeRule,
    mapping: &FieldMapping,
    record: &Record,
) -> Option<Value> {
    let mappings = connection.computed.get(&rule.remote).filter(|_| !mapping.inputs.is_empty())?;
    let share = connection.shares.get(&record.share_over(connection.id)?)?;
    mappings.value(mapping, share.inputs.as_deref()?, draft.now).ok()
}

/// The deliveries that writing `candidates` makes: one for each active share whose partner takes
/// one of the fields, and did not send it over that share.
pub(super) fn deliveries(
    draft: &mut Draft<'_>,
    object: &ObjectName,
    record: &Record,
    candidates: &Candidates,
) -> Vec<Delivery> {
    let state = draft.state;
    let from_elsewhere = |connection: &ConnectionId| {
        candidates
            .values()
            .any(|candidate| candidate.origin.is_none_or(|origin| origin.connection != *connection))
    };
    let shares = record.shares.iter().filter(|(connection, _)| from_elsewhere(connection));
    let shares = shares.filter_map(|(connection, share)| {
        let connection = state.connections.get(connection)?;
        Some((connection, *share, connection.shares.get(share)?))
    });
    shares
        // What is paused is caught up with later: `apply` marks the share.
        .filter(|(connection, _, share)| {
            share.status == ShareStatus::Active && !connection.holds_back(object)
        })
        .filter_map(|(connection, id, share)| {
            delivery(draft, connection, id, share.generation, object, candidates)
        })
        .collect()
}

/// The delivery for one share, if the partner takes something of it.
pub(super) fn delivery(
    draft: &mut Draft<'_>,
    connection: &Connection,
    share: ShareId,
    generation: u32,
    object: &ObjectName,
    candidates: &Candidates,
) -> Option<Delivery> {
    let wanted = connection.is_active()
        && candidates.iter().any(|(name, candidate)| {
            candidate.origin.is_none_or(|origin| origin.connection != connection.id)
                && partner_takes(connection, object, name)
        });
    wanted.then(|| Delivery {
        connection: connection.id,
        share,
        generation,
        position: draft.position(connection),
        links: links::links(draft, connection, candidates.iter().map(|(name, c)| (name, &c.value))),
    })
}

/// Whether a field is published to the partner and taken by it.
pub(super) fn partner_takes(connection: &Connection, object: &ObjectName, field: &FieldName) -> bool {
    let published = connection.publish.get(object).is_some_and(|rule| rule.publishes(field));
    published && connection.taken.get(object).is_some_and(|taken| taken.fields.contains(field))
}

/// The fields that a record carries of others and that the partner takes, with their values and when they
/// were written.
pub(super) fn carried<'a>(
    state: &'a State,
    connection: &'a Connection,
    record: &'a Record,
) -> impl Iterator<Item = (&'a FieldName, Value, Stamp)> {
    parent_fields(state, &record.object, record)
        .filter(|(name, ..)| partner_takes(connection, &record.object, name))
}

/// What is written, before it becomes an event.
pub(super) struct Write {
    pub(super) id: RecordId,
    pub(super) object: ObjectName,
    pub(super) action: RecordAction,
    pub(super) actor: UserName,
    pub(super) owner: Option<Owner>,
    pub(super) hops: u8,
}

/// The event of a write.
pub(super) fn record_changed(
    record: Option<&Record>,
    write: Write,
    candidates: Candidates,
    deliveries: Vec<Delivery>,
) -> RecordChanged {
    // Most values of a write have one origin: it stands once, the others are exceptions.
    let origin = candidates.values().find_map(|candidate| candidate.origin);
    let (mut origins, mut received) = (VecMap::new(), VecMap::new());
    for (name, candidate) in candidates.iter() {
        if candidate.origin != origin {
            origins.insert(name.clone(), candidate.origin);
        }
        if let Some(stamp) = candidate.received {
            received.insert(name.clone(), stamp);
        }
    }
    let content = content(candidates);
    RecordChanged {
        record: write.id,
        object: write.object,
        action: write.action,
        prev: record.map(|record| record.last).unwrap_or_default(),
        actor: write.actor,
        owner: write.owner,
        content,
        origin,
        origins,
        received,
        deliveries,
        hops: write.hops,
        rule: None,
    }
}

/// Candidates as content: the greatest stamp is the common one.
fn content(candidates: Candidates) -> Content {
    let stamp = candidates.values().map(|candidate| candidate.stamp).max().unwrap_or_default();
    let mut stamps = VecMap::new();
    if candidates.values().any(|candidate| candidate.stamp != stamp) {
        let others = candidates.iter().filter(|(_, candidate)| candidate.stamp != stamp);
        stamps = others.map(|(name, candidate)| (name.clone(), candidate.stamp)).collect();
    }
    Content { values: candidates.map_values(|candidate| candidate.value), stamp, stamps }
}

/// The fields of a record that may go to the partner of a share, with their stamps. `wanted` says
/// which; what came over this connection goes back only if `also_received`.
pub(super) fn shared_content(
    connection: &Connection,
    record: &Record,
    also_received: bool,
    wanted: impl Fn(&FieldName) -> bool,
) -> Content {
    Content::stamped(
        record
            .fields
            .iter()
            .filter(|(name, _)| wanted(name) && partner_takes(connection, &record.object, name))
            .filter(|(_, field)| also_received || field.came_over() != Some(connection.id))
            // That a reference is empty here for want of its target says nothing about it.
            .filter(|(name, _)| record.awaited(name, connection.id).is_none())
            .map(|(name, field)| (name.clone(), field.value.clone(), field.stamp)),
    )
}

/// A share that is neither ended nor declined nor taken.
pub(super) const fn is_open(share: &Share) -> bool {
    share.is_open()
}
