//! The copy of a partner's record: created by a grant, kept in step by snapshots and changes.

use std::collections::BTreeSet;

use crate::content::Content;
use crate::decide::draft::Draft;
use crate::decide::receive::rule_or_reason;
use crate::decide::record::{defaults, write_with_pending};
use crate::decide::settle::recovered;
use crate::decide::write::{
    Candidate, Candidates, Write, delivery, partner_takes, pending_candidates, record_changed, refusals,
    shared_content,
};
use crate::event::{
    Delivery, OfferReceived, Origin, PendingValue, RecordAction, ShareLinked, SnapshotSent, ValuesPending,
};
use crate::mapping::{FieldMapping, SubscribeRule};
use crate::message::{Grant, Snapshot};
use crate::outcome::Outcome;
use crate::reason::{Reason, ReasonCode};
use crate::schema::ObjectSchema;
use crate::stamp::Stamp;
use crate::state::{Connection, Record, Share, ShareRole, ShareStatus};
use crate::value::Value;
use crate::vecmap::VecMap;
use crate::{FieldName, OrgId, Position, RecordId, ShareId, UserName};

/// How a message with fields ended.
pub(super) struct FieldsEnd {
    pub(super) outcome: Outcome,
    pub(super) record: Option<RecordId>,
    pub(super) reasons: Vec<Reason>,
}

impl Default for FieldsEnd {
    fn default() -> Self {
        Self { outcome: Outcome::Filtered, record: None, reasons: Vec::new() }
    }
}

impl FieldsEnd {
    fn filtered(reason: Reason) -> Self {
        Self { reasons: vec![reason], ..Self::default() }
    }

    fn inactive(text: &str) -> Self {
        Self::filtered(Reason::new(ReasonCode::ShareInactive, text))
    }
}

/// Who the message is about, gathered once.
struct Incoming<'a> {
    connection: &'a Connection,
    id: ShareId,
    share: &'a Share,
    rule: &'a SubscribeRule,
    object: &'a ObjectSchema,
    position: Position,
}

impl Incoming<'_> {
    const fn origin(&self) -> Origin {
        Origin { connection: self.connection.id, mapping: self.rule.version }
    }
}

/// A grant: the copy is created, or the one that is here from an earlier generation is linked.
pub(super) fn take_grant(
    draft: &mut Draft<'_>,
    connection: &Connection,
    position: Position,
    grant: &Grant,
) -> FieldsEnd {
    let Some(known) = connection.shares.get(&grant.share) else {
        return take_unknown_grant(draft, connection, position, grant);
    };
    let awaited = known.role == ShareRole::Copy
        && known.generation == grant.generation
        && matches!(known.status, ShareStatus::Accepting | ShareStatus::Granted | ShareStatus::Active);
    if awaited || connection.recovering && known.generation <= grant.generation {
        return take_granted(draft, connection, position, grant, known);
    }
    FieldsEnd::inactive("this grant was not asked for, or its share has ended")
}

/// After our own restore the origin may grant what we had accepted and forgotten.
fn take_unknown_grant(
    draft: &mut Draft<'_>,
    connection: &Connection,
    position: Position,
    grant: &Grant,
) -> FieldsEnd {
    if !connection.recovering {
        return FieldsEnd::inactive("this share is not known here");
    }
    let share = Share {
        role: ShareRole::Copy,
        object: grant.object.clone(),
        origin_record: grant.record,
        record: None,
        generation: grant.generation,
        status: ShareStatus::Accepting,
        offered: draft.now,
        actor: None,
        updated: draft.now,
        preview: VecMap::new(),
        whole: false,
        kept: None,
        problem: None,
    };
    draft.emit(OfferReceived {
        connection: connection.id,
        share: grant.share,
        generation: grant.generation,
        object: grant.object.clone(),
        record: grant.record,
        preview: VecMap::new(),
    });
    take_granted(draft, connection, position, grant, &share)
}

/// Creates or links the copy. A grant whose object is not subscribed any more is kept, and tried
/// again when it is: the origin counts the record as granted and nobody else gets it.
fn take_granted(
    draft: &mut Draft<'_>,
    connection: &Connection,
    position: Position,
    grant: &Grant,
    share: &Share,
) -> FieldsEnd {
    let (id, generation) = (grant.share, grant.generation);
    if let Err(reason) = rule_or_reason(connection, share) {
        let kept = Some(grant.content.clone());
        draft.emit(ShareLinked { connection: connection.id, share: id, generation, record: None, kept });
        return FieldsEnd { outcome: Outcome::Rejected, record: None, reasons: vec![reason] };
    }
    with_share(draft, connection, position, id, share, |draft, incoming| {
        link_or_create(draft, incoming, &grant.content, generation)
    })
}

/// Finds rule and object of a share and goes on, or says why not.
fn with_share(
    draft: &mut Draft<'_>,
    connection: &Connection,
    position: Position,
    id: ShareId,
    share: &Share,
    go_on: impl FnOnce(&mut Draft<'_>, &Incoming<'_>) -> FieldsEnd,
) -> FieldsEnd {
    let rule = match rule_or_reason(connection, share) {
        Ok(rule) => rule,
        Err(reason) => return FieldsEnd::filtered(reason),
    };
    let Some(object) = draft.state.object(&rule.local) else {
        let text = format!("{} is not an object of this org", rule.local);
        return FieldsEnd::filtered(Reason::new(ReasonCode::UnknownObject, text));
    };
    go_on(draft, &Incoming { connection, id, share, rule, object, position })
}

fn link_or_create(
    draft: &mut Draft<'_>,
    incoming: &Incoming<'_>,
    content: &Content,
    generation: u32,
) -> FieldsEnd {
    let all = match incoming.share.kept.as_deref() {
        Some(kept) if content.is_empty() => kept.clone(),
        Some(kept) => content.clone().absorbing(kept),
        None => content.clone(),
    };
    let existing = incoming.share.record.and_then(|id| Some((id, draft.state.record(id)?)));
    match existing {
        Some((id, record)) => link(draft, incoming, &all, generation, id, record),
        None => create(draft, incoming, all, generation, None),
    }
}

/// Links the copy of an earlier generation: both sides' fields meet by their stamps.
fn link(
    draft: &mut Draft<'_>,
    incoming: &Incoming<'_>,
    content: &Content,
    generation: u32,
    id: RecordId,
    record: &Record,
) -> FieldsEnd {
    let (end, written) = write_fields(draft, incoming, content, id, record, 0);
    let (connection, share) = (incoming.connection, incoming.id);
    draft.emit(ShareLinked { connection: connection.id, share, generation, record: Some(id), kept: None });
    // Everything else goes back, also what is older than the grant: the origin may take it into
    // another field, or by another mapping, than when the share ended.
    let mut ours = shared_content(connection, record, false, |name| !written.contains_key(name));
    // Values of other connections that waited here and were written together with the grant.
    for (name, candidate) in written {
        let of_others = candidate.origin.is_some_and(|origin| origin.connection != connection.id);
        if of_others && partner_takes(connection, &record.object, &name) {
            ours.set(name, candidate.value, candidate.stamp);
        }
    }
    if !ours.is_empty() {
        let position = draft.position(connection);
        let delivery = Delivery { connection: connection.id, share, generation, position };
        draft.emit(SnapshotSent { delivery, object: record.object.clone(), content: ours, recreate: None });
    }
    FieldsEnd { outcome: Outcome::Applied, ..end }
}

/// Creates the copy (under `id` if an origin lost it), or keeps what came until it can be created.
fn create(
    draft: &mut Draft<'_>,
    incoming: &Incoming<'_>,
    all: Content,
    generation: u32,
    id: Option<RecordId>,
) -> FieldsEnd {
    let (connection, share) = (incoming.connection, incoming.id);
    let mut reasons = Vec::new();
    let mut candidates = candidates_of_copy(draft, incoming, &all, &mut reasons);
    if reasons.is_empty() {
        reasons = refusals(draft.state, incoming.object, None, &candidates, draft.now);
    }
    if !reasons.is_empty() {
        let tried_before = incoming.share.status == ShareStatus::Granted
            && incoming.share.generation == generation
            && incoming.share.kept.as_deref() == Some(&all);
        if !tried_before {
            let kept = Some(all);
            draft.emit(ShareLinked { connection: connection.id, share, generation, record: None, kept });
        }
        return FieldsEnd { outcome: Outcome::Rejected, record: None, reasons };
    }
    // That the partner emptied a field is known by its stamp; else an older write would win here.
    candidates.retain(|_, candidate| !candidate.value.is_null() || candidate.origin.is_some());
    let id = id.unwrap_or_else(|| RecordId(draft.draw()));
    let owner = incoming.share.actor.as_ref().unwrap_or(&connection.owner).clone();
    let delivery = delivery(draft, connection, share, generation, &incoming.object.name, &candidates);
    let write = Write {
        id,
        object: incoming.object.name.clone(),
        action: RecordAction::Create,
        actor: UserName::connection_user(),
        owner: Some(owner),
        hops: 0,
    };
    draft.emit(record_changed(None, write, candidates, delivery.into_iter().collect()));
    draft.emit(ShareLinked { connection: connection.id, share, generation, record: Some(id), kept: None });
    recovered(draft, connection, share, incoming.share);
    FieldsEnd { outcome: Outcome::Applied, record: Some(id), reasons: Vec::new() }
}

/// What the copy begins with: the mapped fields, the constants, and the object's own defaults.
fn candidates_of_copy(
    draft: &Draft<'_>,
    incoming: &Incoming<'_>,
    content: &Content,
    reasons: &mut Vec<Reason>,
) -> Candidates {
    let origin = Some(incoming.origin());
    let mut candidates = Candidates::new();
    for (name, value, stamp) in content.iter() {
        for mapping in incoming.rule.takes(name) {
            match map(incoming, mapping, value) {
                Ok(value) => {
                    let candidate = Candidate { value, stamp, origin, received: None };
                    candidates.insert(mapping.local.clone(), candidate);
                }
                Err(reason) => reasons.push(reason),
            }
        }
    }
    let here = draft.stamp();
    for (name, value) in incoming.rule.constants() {
        candidates.insert(name.clone(), Candidate::local(value.clone(), here));
    }
    for (name, value) in defaults(incoming.object) {
        if !candidates.contains_key(name) {
            // A mapped field that comes later must win over the default, whenever it was written.
            let mapped = incoming.rule.mapping_of(name).is_some();
            let stamp = if mapped { Stamp::new(crate::Timestamp(0), here.org) } else { here };
            candidates.insert(name.clone(), Candidate::local(value.clone(), stamp));
        }
    }
    candidates
}

fn map(incoming: &Incoming<'_>, mapping: &FieldMapping, value: &Value) -> Result<Value, Reason> {
    let field = incoming.object.require(&mapping.local)?;
    incoming.rule.map_value(mapping, value, field)
}

/// A snapshot: fields as they are; or the word of a holder that we lost the record.
pub(super) fn take_snapshot(
    draft: &mut Draft<'_>,
    connection: &Connection,
    position: Position,
    snapshot: &Snapshot,
) -> FieldsEnd {
    let known = connection.shares.get(&snapshot.share);
    let lost = known.and_then(|share| share.record).and_then(|id| draft.state.record(id)).is_none();
    match &snapshot.recreate {
        Some(recreate) if lost && connection.recovering => {
            super::reconcile::recreate(draft, connection, position, snapshot, recreate)
        }
        _ => take_fields(
            draft,
            connection,
            position,
            snapshot.share,
            snapshot.generation,
            &snapshot.content,
            0,
        ),
    }
}

/// Creates a lost record again, from what its holder sent.
pub(super) fn recreate_record(
    draft: &mut Draft<'_>,
    connection: &Connection,
    position: Position,
    id: ShareId,
    share: &Share,
    content: &Content,
) -> FieldsEnd {
    let record = share.origin_record;
    with_share(draft, connection, position, id, share, |draft, incoming| {
        create(draft, incoming, content.clone(), share.generation, Some(record))
    })
}

/// Fields for a record that is shared, or for one that could not be created yet.
pub(super) fn take_fields(
    draft: &mut Draft<'_>,
    connection: &Connection,
    position: Position,
    id: ShareId,
    generation: u32,
    content: &Content,
    hops: u8,
) -> FieldsEnd {
    let Some(share) = connection.shares.get(&id) else {
        return FieldsEnd::inactive("this share is not known here");
    };
    if share.generation != generation {
        return FieldsEnd::filtered(Reason::new(
            ReasonCode::OlderGeneration,
            "the message is of another generation of the share",
        ));
    }
    match share.status {
        ShareStatus::Granted => with_share(draft, connection, position, id, share, |draft, incoming| {
            link_or_create(draft, incoming, content, generation)
        }),
        ShareStatus::Active => {
            let Some((record_id, record)) = share.record.and_then(|r| Some((r, draft.state.record(r)?)))
            else {
                return FieldsEnd::inactive("the record is not here any more");
            };
            with_share(draft, connection, position, id, share, |draft, incoming| {
                write_fields(draft, incoming, content, record_id, record, hops).0
            })
        }
        _ => FieldsEnd::inactive("the share is not active"),
    }
}

/// How one incoming field stands against the one that is here.
enum Verdict {
    /// It is to be written, with this stamp.
    Newer(Stamp),
    Same,
    Older,
}

fn judge(record: &Record, mapping: &FieldMapping, stamp: Stamp, origin: Origin, own: OrgId) -> Verdict {
    if let Some(pending) = record.pending.get(&mapping.local)
        && pending.stamp >= stamp
        && pending.origin == origin
        && !pending.orphan
    {
        return Verdict::Same;
    }
    let Some(field) = record.fields.get(&mapping.local) else { return Verdict::Newer(stamp) };
    match stamp.write().cmp(&field.stamp.write()) {
        std::cmp::Ordering::Greater => Verdict::Newer(stamp),
        std::cmp::Ordering::Less if stamp.org == own => Verdict::Same,
        std::cmp::Ordering::Less => Verdict::Older,
        std::cmp::Ordering::Equal => {
            let Some(source) = field.source.as_ref().filter(|s| s.origin.connection == origin.connection)
            else {
                return Verdict::Same;
            };
            let revised = stamp.revision() > source.revision || origin.mapping > source.origin.mapping;
            if !revised {
                return Verdict::Same;
            }
            Verdict::Newer(stamp.revised(field.stamp, own))
        }
    }
}

/// What became of the fields of one message before anything was tried.
#[derive(Default)]
struct Sorted {
    candidates: Candidates,
    /// The values as they came, for those that have to wait.
    incoming: VecMap<FieldName, (FieldName, Value, Stamp)>,
    approval: Vec<FieldName>,
    refused: Vec<Reason>,
    older: Vec<Reason>,
    same: usize,
}

fn sort_fields(draft: &Draft<'_>, incoming: &Incoming<'_>, content: &Content, record: &Record) -> Sorted {
    let (origin, own) = (incoming.origin(), draft.org().id);
    let mut sorted = Sorted::default();
    for (name, value, received) in content.iter() {
        for mapping in incoming.rule.takes(name) {
            let stamp = match judge(record, mapping, received, origin, own) {
                Verdict::Newer(stamp) => stamp,
                Verdict::Same => {
                    sorted.same += 1;
                    continue;
                }
                Verdict::Older => {
                    let text = format!("{} already has a later value", mapping.local);
                    sorted.older.push(Reason::new(ReasonCode::OlderStamp, text).on_field(&mapping.local));
                    continue;
                }
            };
            sorted.incoming.insert(mapping.local.clone(), (name.clone(), value.clone(), received));
            if mapping.approval {
                sorted.approval.push(mapping.local.clone());
                continue;
            }
            match map(incoming, mapping, value) {
                Ok(value) => {
                    let received = (stamp != received).then_some(received);
                    let candidate = Candidate { value, stamp, origin: Some(origin), received };
                    sorted.candidates.insert(mapping.local.clone(), candidate);
                }
                Err(reason) => sorted.refused.push(reason),
            }
        }
    }
    sorted
}

/// Writes the fields that are later than what is here: together with everything that waits on the
/// record, or alone, or not at all; then they wait. Also what was written, of all connections.
fn write_fields(
    draft: &mut Draft<'_>,
    incoming: &Incoming<'_>,
    content: &Content,
    id: RecordId,
    record: &Record,
    hops: u8,
) -> (FieldsEnd, Candidates) {
    let mut sorted = sort_fields(draft, incoming, content, record);
    let mut reasons = std::mem::take(&mut sorted.refused);
    if reasons.is_empty() && !sorted.candidates.is_empty() {
        let mut all = pending_candidates(record, draft.state, &sorted.candidates);
        all.extend(sorted.candidates.clone());
        let together = refusals(draft.state, incoming.object, Some(record), &all, draft.now);
        if !together.is_empty() {
            reasons = refusals(draft.state, incoming.object, Some(record), &sorted.candidates, draft.now);
        }
    }
    if !reasons.is_empty() {
        wait(draft, incoming, id, record, &sorted, &reasons, false);
        let end = FieldsEnd { outcome: Outcome::Rejected, record: Some(id), reasons };
        return (end, Candidates::new());
    }
    if !sorted.approval.is_empty() {
        let text = "the value waits for approval";
        let reason = vec![Reason::new(ReasonCode::AwaitingApproval, text)];
        wait(draft, incoming, id, record, &sorted, &reason, true);
    }
    let differs = sorted.candidates.iter().any(|(name, candidate)| record.value(name) != &candidate.value);
    let candidates = std::mem::take(&mut sorted.candidates);
    let written = if candidates.is_empty() {
        candidates
    } else {
        let actor = UserName::connection_user();
        write_with_pending(draft, id, record, incoming.object, candidates, actor, hops)
    };
    (ended(&sorted, differs, id), written)
}

/// The outcome of a message that was not refused (PROTOCOL §6).
fn ended(sorted: &Sorted, differs: bool, id: RecordId) -> FieldsEnd {
    let record = Some(id);
    let waiting = |name: &FieldName| {
        Reason::new(ReasonCode::AwaitingApproval, format!("{name} waits for approval")).on_field(name)
    };
    let mut reasons: Vec<Reason> = sorted.approval.iter().map(waiting).collect();
    reasons.extend(sorted.older.iter().cloned());
    let outcome = if differs {
        Outcome::Applied
    } else if !sorted.older.is_empty() {
        Outcome::Superseded
    } else if !sorted.approval.is_empty() || sorted.same > 0 || !sorted.incoming.is_empty() {
        Outcome::Unchanged
    } else {
        let text = "none of the fields is subscribed";
        reasons.push(Reason::new(ReasonCode::NotSubscribed, text));
        Outcome::Filtered
    };
    FieldsEnd { outcome, record, reasons }
}

/// Keeps values that could not be written; `approval` says which ones are meant.
fn wait(
    draft: &mut Draft<'_>,
    incoming: &Incoming<'_>,
    id: RecordId,
    record: &Record,
    sorted: &Sorted,
    reasons: &[Reason],
    approval: bool,
) {
    // A later value that waits already, of another connection or mapping, is not replaced.
    let later = |name: &FieldName, stamp: &Stamp| {
        record.pending.get(name).is_some_and(|pending| pending.stamp.write() > stamp.write())
    };
    let meant = sorted
        .incoming
        .iter()
        .filter(|(name, (_, _, stamp))| (!approval || sorted.approval.contains(name)) && !later(name, stamp));
    let values: VecMap<FieldName, Option<PendingValue>> = meant
        .map(|(name, (remote, value, stamp))| {
            let about = reasons.iter().filter(|r| r.field.as_ref().is_none_or(|field| field == name));
            let pending = PendingValue {
                remote: remote.clone(),
                incoming: value.clone(),
                stamp: *stamp,
                origin: incoming.origin(),
                position: incoming.position,
                reasons: about.cloned().collect(),
                approval: sorted.approval.contains(name),
                orphan: false,
            };
            (name.clone(), Some(pending))
        })
        .collect();
    if !values.is_empty() {
        draft.emit(ValuesPending { record: id, values });
    }
}

/// Tries again what waits: the creation of a granted copy, or the pending values of a record.
pub(super) fn retry(draft: &mut Draft<'_>, connection: &Connection, id: ShareId, share: &Share) -> FieldsEnd {
    let position = share.problem.as_ref().map(|problem| problem.position).unwrap_or_default();
    with_share(draft, connection, position, id, share, |draft, incoming| {
        if share.status == ShareStatus::Granted {
            return link_or_create(draft, incoming, &Content::default(), share.generation);
        }
        let Some((record_id, record)) = share.record.and_then(|r| Some((r, draft.state.record(r)?))) else {
            return FieldsEnd::inactive("the record is not here any more");
        };
        let (good, reasons) = passing(draft, incoming.object, record);
        if good.is_empty() {
            return FieldsEnd { outcome: Outcome::Rejected, record: Some(record_id), reasons };
        }
        let actor = UserName::connection_user();
        write_with_pending(draft, record_id, record, incoming.object, good, actor, 0);
        FieldsEnd { outcome: Outcome::Applied, record: Some(record_id), reasons: Vec::new() }
    })
}

/// As much of what waits on a record as is good now: all of it, or message by message; and why not
/// all.
fn passing(draft: &Draft<'_>, object: &ObjectSchema, record: &Record) -> (Candidates, Vec<Reason>) {
    let refused = |tried: &Candidates| refusals(draft.state, object, Some(record), tried, draft.now);
    let waiting = pending_candidates(record, draft.state, &Candidates::new());
    let reasons = refused(&waiting);
    if reasons.is_empty() {
        return (waiting, reasons);
    }
    let message_of = |name: &FieldName| {
        record.pending.get(name).map(|pending| (pending.origin.connection, pending.position))
    };
    let messages: BTreeSet<_> = waiting.keys().map(message_of).collect();
    let mut good = Candidates::new();
    for message in messages {
        let mut tried = good.clone();
        let its = waiting.iter().filter(|(name, _)| message_of(name) == message);
        tried.extend(its.map(|(name, candidate)| (name.clone(), candidate.clone())));
        if refused(&tried).is_empty() {
            good = tried;
        }
    }
    (good, reasons)
}
