//! References as links between shared records: named by the share of their target on the wire,
//! found again here, filled when the target comes, told when it is shared (PROTOCOL §8).

use crate::decide::draft::Draft;
use crate::decide::fields::{Incoming, passing};
use crate::decide::record::write_with_pending;
use crate::decide::settle::rule_of;
use crate::decide::write::{Candidate, Candidates, is_open, refusals, shared_content};
use crate::decide::{jobs, pause};
use crate::event::{Delivery, Event, HoldChanged, PendingValue, SnapshotSent, ValuesPending};
use crate::job::JobKind;
use crate::limits::{LINKS_AT_ONCE_MAX, PARENT_CIRCLE_MAX};
use crate::mapping::{FieldMapping, SubscribeRule};
use crate::message::EndReason;
use crate::reason::{Reason, ReasonCode};
use crate::reference::{Links, NOT_SHARED, target};
use crate::schema::{FieldSchema, FieldType, ObjectSchema};
use crate::stamp::Stamp;
use crate::state::{Connection, FieldState, Record, ShareRole, ShareStatus};
use crate::value::Value;
use crate::vecmap::VecMap;
use crate::{FieldName, Position, RecordId, ShareId, Timestamp, UserName};

/// What the references among `fields` become over a connection: the shares of their targets.
pub(super) fn links<'a>(
    draft: &Draft<'_>,
    connection: &Connection,
    fields: impl Iterator<Item = (&'a FieldName, &'a Value)>,
) -> Links {
    let share_of = |record: RecordId| {
        let known = draft.state.record(record).and_then(|known| known.share_over(connection.id));
        let open = known.filter(|id| connection.shares.get(id).is_some_and(is_open));
        open.or_else(|| draft.linked_by(connection.id, record))
    };
    fields
        .filter_map(|(name, value)| match value {
            Value::Reference(record) => Some((name.clone(), share_of(*record)?)),
            _ => None,
        })
        .collect()
}

/// A reference whose target is not here.
pub(super) struct Absent {
    /// The share of the target.
    pub(super) share: ShareId,
    /// Whether it may still come.
    pub(super) awaited: bool,
    /// Why it is not here.
    pub(super) reason: Reason,
}

/// An incoming value as the local field takes it.
pub(super) enum Inward {
    Value(Value),
    Absent(Absent),
}

/// Maps an incoming value; a reference becomes the record of this org. `own` is the record that the
/// message itself makes or changes, whose share may not be active yet.
pub(super) fn inward(
    draft: &Draft<'_>,
    incoming: &Incoming<'_>,
    mapping: &FieldMapping,
    value: &Value,
    own: Option<RecordId>,
) -> Result<Inward, Reason> {
    let field = incoming.object.require(&mapping.local)?;
    let share = target(value).filter(|_| field.field_type == FieldType::Reference);
    let Some(share) = share else {
        return incoming.rule.map_value(mapping, value, field).map(Inward::Value);
    };
    let takes_own = || field.references.as_ref().is_none_or(|object| *object == incoming.object.name);
    let found = match own.filter(|_| share == incoming.id && takes_own()) {
        Some(own) => Ok(own),
        None => resolve(draft, incoming.connection, field, share),
    };
    match found {
        Ok(record) => incoming.rule.map_value(mapping, &Value::Reference(record), field).map(Inward::Value),
        Err(absent) => Ok(Inward::Absent(absent)),
    }
}

/// A value that waited, mapped; nothing if it cannot be written now either.
pub(super) fn waited(
    draft: &Draft<'_>,
    connection: &Connection,
    rule: &SubscribeRule,
    mapping: &FieldMapping,
    value: &Value,
    field: &FieldSchema,
) -> Option<Value> {
    let found = match target(value).filter(|_| field.field_type == FieldType::Reference) {
        Some(share) => &Value::Reference(resolve(draft, connection, field, share).ok()?),
        None => value,
    };
    rule.map_value(mapping, found, field).ok()
}

/// The record of this org that a share names.
fn resolve(
    draft: &Draft<'_>,
    connection: &Connection,
    field: &FieldSchema,
    share: ShareId,
) -> Result<RecordId, Absent> {
    let (name, partner) = (&field.name, connection.display_name());
    let absent = |awaited: bool, code: ReasonCode, text: String| {
        Err(Absent { share, awaited, reason: Reason::new(code, text).on_field(name) })
    };
    if share == NOT_SHARED {
        let text =
            format!("{name} names a record that {partner} does not share here: it is empty until it does");
        return absent(false, ReasonCode::TargetNotShared, text);
    }
    if let Some(record) = draft.linked(connection.id, share) {
        return Ok(record);
    }
    let waits =
        || format!("{name} names a record of {partner} that is not here yet: it is filled when it comes");
    let Some(known) = connection.shares.get(&share) else {
        return absent(true, ReasonCode::AwaitingParent, waits());
    };
    let here = known.record.and_then(|id| Some((id, draft.state.record(id)?)));
    let has_record =
        known.status == ShareStatus::Active || (known.role == ShareRole::Origin && is_open(known));
    match here.filter(|_| has_record) {
        Some((id, record)) if field.references.as_ref().is_none_or(|object| *object == record.object) => {
            Ok(id)
        }
        Some((id, record)) => {
            let text = format!("{name} takes no record of {}, which {id} is", record.object);
            absent(false, ReasonCode::BadReference, text)
        }
        None if has_record || known.status == ShareStatus::Inactive(EndReason::Deleted) => {
            absent(false, ReasonCode::RecordDeleted, format!("{name} names a record that was deleted"))
        }
        None if is_open(known) => absent(true, ReasonCode::AwaitingParent, waits()),
        None => {
            let text = format!("{name} names a record whose sharing with {partner} has ended");
            absent(false, ReasonCode::TargetNotShared, text)
        }
    }
}

/// What a reference that is here already says when it comes once more.
pub(super) enum Late {
    /// Nothing new.
    Same,
    /// Its target is here now.
    Here,
    /// Another share of its target, which is not here.
    Renamed(ShareId),
    /// The same, of a reference that may not be empty: its value waits.
    Waits(Reason),
}

/// Whether a value of the same write fills a reference that was empty for want of its target.
pub(super) fn late(
    draft: &Draft<'_>,
    incoming: &Incoming<'_>,
    mapping: &FieldMapping,
    record: &Record,
    value: &Value,
    stamp: Stamp,
) -> Late {
    let awaited = || {
        let known = record.awaited(&mapping.local, incoming.connection.id)?;
        let same = record.fields.get(&mapping.local)?.stamp.write() == stamp.write();
        let share = target(value).filter(|share| same && *share != NOT_SHARED)?;
        Some((known, share, incoming.object.field(&mapping.local)?))
    };
    if let Some(pending) = record.pending.get(&mapping.local) {
        return late_pending(draft, incoming, mapping, pending, value, stamp);
    }
    if record.links.is_empty() {
        return Late::Same;
    }
    match awaited() {
        None => Late::Same,
        // The record itself: it is here.
        Some((_, share, _)) if share == incoming.id => Late::Here,
        Some((known, share, field)) => match resolve(draft, incoming.connection, field, share) {
            Ok(_) => Late::Here,
            Err(_) if known == share => Late::Same,
            Err(_) => Late::Renamed(share),
        },
    }
}

fn late_pending(
    draft: &Draft<'_>,
    incoming: &Incoming<'_>,
    mapping: &FieldMapping,
    pending: &PendingValue,
    value: &Value,
    stamp: Stamp,
) -> Late {
    let same = pending.origin.connection == incoming.connection.id && pending.stamp == stamp;
    let share = target(value).filter(|share| same && *share != NOT_SHARED && pending.incoming != *value);
    match share.and_then(|share| Some((share, incoming.object.field(&mapping.local)?))) {
        None => Late::Same,
        Some((share, field)) => match resolve(draft, incoming.connection, field, share) {
            Ok(_) => Late::Here,
            Err(absent) => Late::Waits(absent.reason),
        },
    }
}

/// Whether a record that needs the one of `parent` is itself what that waits for.
pub(super) fn in_circle(connection: &Connection, own: ShareId, parent: ShareId) -> bool {
    let mut at = parent;
    for _ in 0..PARENT_CIRCLE_MAX {
        if at == own {
            return true;
        }
        let held = connection.held_before(at, Position(u64::MAX));
        match held.and_then(|held| held.parent) {
            Some(next) => at = next,
            None => return false,
        }
    }
    false
}

/// The record of a share has come: held messages are tried, and references filled.
pub(super) fn arrived(draft: &mut Draft<'_>, connection: &Connection, share: ShareId, id: RecordId) {
    release(draft, connection, share);
    let state = draft.state;
    let mut waiting = state.awaiting(connection.id, share, None).filter(|(other, _)| *other != id);
    for (other, record) in waiting.by_ref().take(LINKS_AT_ONCE_MAX) {
        fill(draft, connection, share, other, record);
    }
    // Copies that were made just before, by the same job, wait for it, too.
    let awaits = |event: &Event| match event {
        Event::LinksAwaited(e) => {
            e.connection == connection.id && e.links.values().any(|link| *link == share)
        }
        _ => false,
    };
    if waiting.next().is_some() || draft.events().iter().any(awaits) {
        jobs::begin(draft, JobKind::FillLinks { connection: connection.id, share });
    }
}

/// Messages that were held for the record of a share are tried: it came, or it never will.
pub(super) fn release(draft: &mut Draft<'_>, connection: &Connection, share: ShareId) {
    try_again(draft, connection, connection.held_for(share).map(|(position, _)| position).collect());
}

/// These held messages are tried.
pub(super) fn try_again(draft: &mut Draft<'_>, connection: &Connection, positions: Vec<Position>) {
    if !positions.is_empty() {
        let (connection, until) = (connection.id, Timestamp::default());
        draft.emit(HoldChanged { connection, positions, until, parent: None });
    }
}

/// Fills the references of a record that wait for a share; whether there was something to do.
pub(super) fn fill(
    draft: &mut Draft<'_>,
    connection: &Connection,
    share: ShareId,
    id: RecordId,
    record: &Record,
) -> bool {
    let Some(object) = draft.state.object(&record.object) else { return false };
    if draft.written(id).is_some() {
        return false;
    }
    let mut candidates = filled(draft, connection, record, object, |named| named == share);
    let linked = !candidates.is_empty();
    if !linked {
        candidates = passing(draft, object, record).0;
    }
    if candidates.is_empty() {
        return false;
    }
    let reasons = refusals(draft.state, object, Some(record), &candidates, draft.now);
    if linked && !reasons.is_empty() {
        wait(draft, connection, id, record, &candidates, &reasons);
    } else {
        write_with_pending(draft, id, record, object, candidates, UserName::connection_user(), 0);
    }
    true
}

/// The references that came over a connection, were empty, and have their targets now.
pub(super) fn filled(
    draft: &Draft<'_>,
    connection: &Connection,
    record: &Record,
    object: &ObjectSchema,
    meant: impl Fn(ShareId) -> bool,
) -> Candidates {
    let own = draft.org().id;
    let links = record.links.iter().filter(|(_, link)| link.connection == connection.id && meant(link.share));
    links
        .filter_map(|(name, link)| {
            let here = record.fields.get(name)?;
            let found = resolve(draft, connection, object.field(name)?, link.share).ok()?;
            let received = received(here)?;
            let stamp = here.stamp.revised(here.stamp, own);
            let origin = here.source.as_ref().map(|source| source.origin).filter(|_| !link.orphan);
            Some((name.clone(), Candidate::came(Value::Reference(found), stamp, received, origin, own)))
        })
        .collect()
}

/// The stamp that a value came with.
fn received(field: &FieldState) -> Option<Stamp> {
    let (rev, reviser) = field.source.as_ref()?.revision;
    Some(Stamp { rev, reviser, ..field.stamp })
}

/// References that have their targets and are refused wait as other values do, unless later values wait already.
fn wait(
    draft: &mut Draft<'_>,
    connection: &Connection,
    id: RecordId,
    record: &Record,
    candidates: &Candidates,
    reasons: &[Reason],
) {
    let share = record.share_over(connection.id).and_then(|id| connection.shares.get(&id));
    let Some(rule) = share.and_then(|share| rule_of(connection, share)) else { return };
    let meant = candidates.iter().filter(|(name, candidate)| !record.waits_later(name, candidate.stamp));
    let values = meant.filter_map(|(name, _)| {
        let (link, here) = (record.links.get(name)?, record.fields.get(name)?);
        let pending = PendingValue {
            remote: rule.mapping_of(name)?.remote()?.clone(),
            incoming: Value::Reference(RecordId(link.share.0)),
            stamp: received(here)?,
            origin: here.source.as_ref()?.origin,
            position: connection.inbound.received.position,
            reasons: reasons.to_vec(),
            approval: false,
            rejected: false,
            orphan: link.orphan,
        };
        Some((name.clone(), Some(pending)))
    });
    let values: VecMap<_, _> = values.collect();
    if !values.is_empty() {
        draft.emit(ValuesPending { record: id, values });
    }
}

/// A record is shared over a connection: whoever refers to it there is told by which name.
pub(super) fn offered(draft: &mut Draft<'_>, connection: &Connection, share: ShareId, id: RecordId) {
    let state = draft.state;
    let mut referrers = state.referrers(id, None).filter(|(_, record)| tells(connection, record));
    for (_, record) in referrers.by_ref().take(LINKS_AT_ONCE_MAX) {
        tell(draft, connection, share, id, record);
    }
    if referrers.next().is_some() {
        jobs::begin(draft, JobKind::TellLinks { connection: connection.id, share });
    }
}

fn tells(connection: &Connection, record: &Record) -> bool {
    let share = record.share_over(connection.id).and_then(|id| connection.shares.get(&id));
    share.is_some_and(|share| share.status == ShareStatus::Active) && connection.is_active()
}

/// Tells the partner the references of a record to `id`, which it knows by `share`.
pub(super) fn tell(
    draft: &mut Draft<'_>,
    connection: &Connection,
    share: ShareId,
    id: RecordId,
    record: &Record,
) -> bool {
    let known = record.share_over(connection.id);
    let Some((own, known)) = known.and_then(|own| Some((own, connection.shares.get(&own)?))) else {
        return false;
    };
    let refers = |name: &FieldName| *record.value(name) == Value::Reference(id);
    let content = shared_content(connection, record, false, refers);
    if content.is_empty() || known.status != ShareStatus::Active {
        return false;
    }
    if connection.holds_back(&record.object) {
        return pause::hold_back(draft, connection, own, known);
    }
    let links = content.values.keys().map(|name| (name.clone(), share)).collect();
    let (generation, position) = (known.generation, draft.position(connection));
    let delivery = Delivery { connection: connection.id, share: own, generation, position, links };
    draft.emit(SnapshotSent {
        delivery,
        object: record.object.clone(),
        content,
        recreate: None,
        unseen_from: None,
    });
    true
}
