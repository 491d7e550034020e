//! The copy of a partner's record: created by a grant, kept in step by snapshots and changes.

use std::collections::BTreeSet;

use smol_str::SmolStr;

use crate::content::Content;
use crate::decide::account;
use crate::decide::automation::owner_of_copy;
use crate::decide::compute::compute;
use crate::decide::draft::Draft;
use crate::decide::fields::{
    FieldsEnd, Incoming, drifted, inputs, is_required, note_beside, note_unmapped, passing, write_fields,
};
use crate::decide::links::{self, Absent, Inward};
use crate::decide::receive::rule_or_reason;
use crate::decide::record::{self, defaults, write_with_pending};
use crate::decide::settle::recovered;
use crate::decide::share::send_snapshot;
use crate::decide::task;
use crate::decide::write::{
    Candidate, Candidates, Write, delivery, is_open, partner_takes, record_changed, refusals, shared_content,
};
use crate::event::{LinksAwaited, OfferReceived, PendingValue, RecordAction, ShareLinked, ValuesPending};
use crate::limits::HELD_FOR_PARENT_MAX;
use crate::mapping::FieldMapping;
use crate::message::{Grant, ShareStage, Snapshot};
use crate::outcome::Outcome;
use crate::reason::{Reason, ReasonCode};
use crate::schema::{FieldType, record_type_field};
use crate::stamp::Stamp;
use crate::state::{Connection, FieldState, Record, Share, ShareRole, ShareStatus};
use crate::value::Value;
use crate::vecmap::VecMap;
use crate::{FieldName, Position, RecordId, ShareId, Timestamp, UserName};

/// A grant: the copy is created, or the one that is here from an earlier generation is linked.
pub(super) fn take_grant(
    draft: &mut Draft<'_>,
    connection: &Connection,
    position: Position,
    grant: &Grant,
) -> FieldsEnd {
    let known = connection.shares.get(&grant.share);
    let further =
        |share: &Share| (share.generation, share.status.stage()) > (grant.generation, ShareStage::Active);
    match known {
        Some(share) if is_awaited(share, grant) => take_granted(draft, connection, position, grant, share),
        // Our own offer crossed with the partner's, and was the answer to it.
        Some(share) if is_crossed(share, grant) => {
            take_forgotten_grant(draft, connection, position, grant, known)
        }
        // After our own restore the origin may grant what we had accepted and forgotten.
        _ if connection.recovering && !known.is_some_and(further) => {
            take_forgotten_grant(draft, connection, position, grant, known)
        }
        Some(_) => FieldsEnd::inactive("this grant was not asked for, or its share has ended"),
        None => FieldsEnd::inactive("this share is not known here"),
    }
}

/// Whether a grant is what the share waits for, or says again what it has.
fn is_awaited(share: &Share, grant: &Grant) -> bool {
    share.role == ShareRole::Copy
        && share.generation == grant.generation
        && matches!(share.status, ShareStatus::Accepting | ShareStatus::Granted | ShareStatus::Active)
}

/// Whether a grant answers an offer of ours of the same generation.
fn is_crossed(share: &Share, grant: &Grant) -> bool {
    share.role == ShareRole::Origin
        && share.generation == grant.generation
        && matches!(share.status, ShareStatus::Offered | ShareStatus::Accepting)
}

/// Takes a grant of a generation that we do not remember: whatever we were before, we are the
/// holder now.
fn take_forgotten_grant(
    draft: &mut Draft<'_>,
    connection: &Connection,
    position: Position,
    grant: &Grant,
    known: Option<&Share>,
) -> FieldsEnd {
    let share = Share {
        record: known.and_then(|known| known.record),
        generation: grant.generation,
        status: ShareStatus::Accepting,
        ..Share::new(ShareRole::Copy, grant.object.clone(), grant.record, draft.now)
    };
    draft.emit(OfferReceived {
        connection: connection.id,
        share: grant.share,
        generation: grant.generation,
        object: grant.object.clone(),
        record: grant.record,
        preview: VecMap::new(),
        parents: Vec::new(),
        hops: 0,
        links: Vec::new(),
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
    take_content(draft, connection, position, grant.share, share, grant.generation, &grant.content)
}

/// The same for what a grant of any kind carries.
pub(super) fn take_content(
    draft: &mut Draft<'_>,
    connection: &Connection,
    position: Position,
    id: ShareId,
    share: &Share,
    generation: u32,
    content: &Content,
) -> FieldsEnd {
    if let Err(reason) = rule_or_reason(connection, share) {
        let kept = Some(content.clone());
        draft.emit(ShareLinked { connection: connection.id, share: id, generation, record: None, kept });
        return FieldsEnd::new(Outcome::Rejected, None, vec![reason]);
    }
    with_share(draft, connection, position, id, share, |draft, incoming| {
        link_or_create(draft, incoming, content, generation)
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
    let unseen_from = Timestamp(i64::MAX);
    go_on(draft, &Incoming { connection, id, share, rule, object, position, unseen_from })
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
    match existing.filter(|(_, record)| !is_shared_otherwise(incoming, record)) {
        Some((id, record)) => link(draft, incoming, &all, generation, id, record),
        None => create(draft, incoming, all, generation, None),
    }
}

/// Whether the copy of an earlier generation was accepted for another record of the partner since: one
/// record has one counterpart over a connection.
fn is_shared_otherwise(incoming: &Incoming<'_>, record: &Record) -> bool {
    let other = record.share_over(incoming.connection.id).filter(|other| *other != incoming.id);
    other.and_then(|other| incoming.connection.shares.get(&other)).is_some_and(is_open)
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
    let (end, _) = write_fields(draft, incoming, content, id, record, 0);
    let written = draft.written(id).cloned();
    let is_written =
        |name: &FieldName| written.as_ref().is_some_and(|written| written.content.values.contains_key(name));
    let (connection, share) = (incoming.connection, incoming.id);
    draft.emit(ShareLinked { connection: connection.id, share, generation, record: Some(id), kept: None });
    // Everything else goes back, also what is older than the grant: the origin may take it into
    // another field, or by another mapping, than when the share ended.
    let forgotten = forgotten(incoming, content, record);
    // What came over this connection is there already, unless it came for another record, or the
    // partner was restored.
    let lost_there = incoming.share.adopted || connection.recovering;
    let mut ours = shared_content(connection, record, true, |name| {
        let received = record.fields.get(name).and_then(FieldState::came_over) == Some(connection.id);
        !is_written(name) && (!received || lost_there || forgotten.contains(name))
    });
    // Of what was written together with the grant, what is not the partner's: values that waited here, and our own.
    if let Some(written) = &written {
        for (name, value, stamp) in written.content.iter() {
            let of_others = written.origin_of(name).is_none_or(|origin| origin.connection != connection.id);
            if of_others && partner_takes(connection, &record.object, name) {
                ours.set(name.clone(), value.clone(), stamp);
            }
        }
    }
    send_snapshot(draft, connection, share, generation, &record.object, ours);
    links::arrived(draft, connection, share, id);
    links::offered(draft, connection, share, id);
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
    let restores = id.is_some();
    let id = id.unwrap_or_else(|| RecordId(draft.draw()));
    let begun = begin_copy(draft, incoming, &all, id);
    let Begun { mut candidates, mut reasons, links, absent, needed, apart, inputs, unmapped } = begun;
    if let Some(parent) = needed.filter(|_| !restores && reasons.is_empty())
        && !links::in_circle(connection, share, parent.share)
    {
        if parent.awaited && connection.held_for_parents() < HELD_FOR_PARENT_MAX {
            let held = FieldsEnd::new(Outcome::Held, None, vec![parent.reason]);
            return FieldsEnd { parent: Some(parent.share), ..held };
        }
        reasons.push(parent.reason);
    }
    let account = match account::of_copy(draft, incoming, &all, &candidates) {
        Ok(account) => account,
        Err(against) => {
            reasons.extend(against);
            None
        }
    };
    if let Some(account) = &account {
        candidates.insert(account.field.clone(), Candidate::local(account.value(), draft.stamp()));
    }
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
        return FieldsEnd::new(Outcome::Rejected, None, reasons);
    }
    // That the partner emptied a field is known by its stamp; else an older write would win here.
    candidates.retain(|_, candidate| !candidate.value.is_null() || candidate.origin.is_some());
    let failed = compute(draft, incoming.object, None, &mut candidates);
    let owner = owner_of_copy(draft, incoming, &candidates);
    if let Some(account) = account {
        account.make(draft, owner.clone());
    }
    let mut delivery = delivery(draft, connection, share, generation, &incoming.object.name, &candidates);
    if let Some(delivery) = &mut delivery {
        // What refers to the copy itself names the share that it is made for.
        let of_itself = candidates.iter().filter(|(_, candidate)| candidate.value == Value::Reference(id));
        delivery.links.extend(of_itself.map(|(name, _)| (name.clone(), share)));
    }
    let lent = lent(incoming, &candidates);
    let write = Write {
        id,
        object: incoming.object.name.clone(),
        action: RecordAction::Create,
        actor: UserName::connection_user(),
        owner: Some(owner),
        hops: incoming.share.hops,
    };
    draft.emit(record_changed(None, write, candidates, delivery.into_iter().collect()));
    draft.emit(ShareLinked { connection: connection.id, share, generation, record: Some(id), kept: None });
    if !links.is_empty() {
        draft.emit(LinksAwaited { record: id, connection: connection.id, links });
    }
    if !apart.is_empty() {
        draft.emit(ValuesPending { record: id, values: apart });
    }
    failed.note(draft, id, &incoming.object.name);
    note_beside(draft, incoming, inputs, unmapped);
    send_snapshot(draft, connection, share, generation, &incoming.object.name, lent);
    recovered(draft, connection, share, incoming.share);
    links::arrived(draft, connection, share, id);
    FieldsEnd::new(Outcome::Applied, Some(id), absent)
}

/// The type of a new copy: the one that was chosen, or the default of its owner (S2S-47).
fn record_type_of_copy(draft: &Draft<'_>, incoming: &Incoming<'_>) -> Option<(FieldName, Value)> {
    if incoming.object.record_types.is_empty() {
        return None;
    }
    match &incoming.share.record_type {
        Some(kind) => Some((record_type_field(), Value::picklist(kind.clone()))),
        None => {
            let user = incoming.share.actor.as_ref().unwrap_or(&incoming.connection.owner);
            record::record_type(draft.state, incoming.object, Some(user))
        }
    }
}

/// What a new copy lends back to a partner whose log has had a new life: values that waited here
/// since before it, and that the partner may have lost.
fn lent(incoming: &Incoming<'_>, candidates: &Candidates) -> Content {
    let (connection, object) = (incoming.connection, &incoming.object.name);
    if !connection.recovering || incoming.share.kept.is_none() {
        return Content::default();
    }
    let taken = candidates
        .iter()
        .filter(|(name, candidate)| candidate.origin.is_some() && partner_takes(connection, object, name));
    Content::stamped(taken.map(|(name, c)| (name.clone(), c.value.clone(), c.stamp)))
}

/// A copy before it is tried.
#[derive(Default)]
struct Begun {
    candidates: Candidates,
    reasons: Vec<Reason>,
    /// References that are empty because their targets are not here, and why.
    links: VecMap<FieldName, ShareId>,
    absent: Vec<Reason>,
    /// The first of them that the object needs.
    needed: Option<Absent>,
    /// Values that cannot be written now and stop no others.
    apart: VecMap<FieldName, Option<PendingValue>>,
    /// What came of what mappings compute with.
    inputs: Content,
    /// Picklist values without a mapping.
    unmapped: Vec<(FieldName, SmolStr)>,
}

impl Begun {
    /// A value that cannot be mapped: nothing is created, unless the partner's field has changed since it
    /// was mapped, and a copy can do without it.
    fn refuse(
        &mut self,
        incoming: &Incoming<'_>,
        mapping: &FieldMapping,
        (remote, value, stamp): (&FieldName, &Value, Stamp),
        reason: Reason,
    ) {
        let drifted = drifted(mapping, &reason).filter(|_| !is_required(incoming.object, &mapping.local));
        let Some(reason) = drifted else { return self.reasons.push(reason) };
        let pending = PendingValue {
            remote: remote.clone(),
            incoming: value.clone(),
            stamp,
            origin: incoming.origin(),
            position: incoming.position,
            reasons: vec![reason.clone()],
            approval: false,
            rejected: false,
            orphan: false,
        };
        self.apart.insert(mapping.local.clone(), Some(pending));
        self.absent.push(reason);
    }
}

/// The computed values that a copy begins with.
fn begin_computed(draft: &Draft<'_>, incoming: &Incoming<'_>, content: &Content, begun: &mut Begun) {
    let Some(mappings) = incoming.connection.computed.get(&incoming.rule.remote) else { return };
    let Some((inputs, new)) = inputs(incoming, content) else { return };
    for (mapping, _) in incoming.rule.computed() {
        let stamp = mapping.stamp_of_inputs(&inputs).zip(mapping.inputs.first());
        let Some((stamp, remote)) = stamp else { continue };
        let mapped = mappings.value(mapping, &inputs, draft.now).and_then(|value| {
            let field = incoming.object.require(&mapping.local)?;
            incoming.rule.map_value(mapping, &value, field)
        });
        match mapped {
            Ok(value) => {
                let candidate = Candidate { value, stamp, origin: Some(incoming.origin()), received: None };
                begun.candidates.insert(mapping.local.clone(), candidate);
            }
            Err(reason) => begun.refuse(incoming, mapping, (remote, &Value::Null, stamp), reason),
        }
    }
    begun.inputs = new;
}

/// What the copy `id` begins with: the mapped fields, the constants, and the object's own defaults.
fn begin_copy(draft: &Draft<'_>, incoming: &Incoming<'_>, content: &Content, id: RecordId) -> Begun {
    let (origin, own) = (Some(incoming.origin()), draft.org().id);
    let mut begun = Begun::default();
    for (name, value, stamp) in content.iter() {
        for mapping in incoming.rule.takes(name) {
            note_unmapped(&mut begun.unmapped, incoming, mapping, value);
            let value = match links::inward(draft, incoming, mapping, value, Some(id)) {
                Ok(Inward::Value(value)) => value,
                Ok(Inward::Absent(absent)) => {
                    begun.links.insert(mapping.local.clone(), absent.share);
                    begun.absent.push(absent.reason.clone());
                    if is_required(incoming.object, &mapping.local) && begun.needed.is_none() {
                        begun.needed = Some(absent);
                    }
                    Value::Null
                }
                Err(reason) => {
                    begun.refuse(incoming, mapping, (name, value, stamp), reason);
                    continue;
                }
            };
            let candidate = Candidate::came(value, stamp, stamp, origin, own);
            begun.candidates.insert(mapping.local.clone(), candidate);
        }
    }
    begin_computed(draft, incoming, content, &mut begun);
    let candidates = &mut begun.candidates;
    let here = draft.stamp();
    for (field, parent) in task::parents_here(draft.state, incoming.connection, incoming.share) {
        let is_reference =
            incoming.object.field(field).is_some_and(|field| field.field_type == FieldType::Reference);
        if is_reference && !candidates.contains_key(field) {
            candidates.insert(field.clone(), Candidate::local(Value::Reference(parent), here));
        }
    }
    if let Some((name, value)) = record_type_of_copy(draft, incoming)
        && !candidates.contains_key(&name)
    {
        candidates.insert(name, Candidate::local(value, here));
    }
    for (name, value) in incoming.rule.constants_for(incoming.object) {
        candidates.insert(name.clone(), Candidate::local(value, here));
    }
    for (name, value) in defaults(incoming.object) {
        if !candidates.contains_key(name) {
            // A mapped field that comes later must win over the default, whenever it was written.
            let mapped = incoming.rule.mapping_of(name).is_some();
            let stamp = if mapped { Stamp::new(Timestamp(0), here.org) } else { here };
            candidates.insert(name.clone(), Candidate::local(value.clone(), stamp));
        }
    }
    begun
}

/// A snapshot: fields as they are; or the word of a holder that we forgot the share, or lost the
/// record.
pub(super) fn take_snapshot(
    draft: &mut Draft<'_>,
    connection: &Connection,
    position: Position,
    snapshot: &Snapshot,
) -> FieldsEnd {
    let (id, generation) = (snapshot.share, snapshot.generation);
    let known = connection.shares.get(&id);
    let active = Some((generation, ShareStage::Active));
    let stage = known.map(|share| (share.generation, share.status.stage()));
    if let Some(recreate) = snapshot.recreate.as_ref().filter(|_| connection.recovering && stage <= active) {
        let record = known.and_then(|share| share.record).unwrap_or(recreate.record);
        let present = draft.state.record(record).map(|_| record);
        if present.is_none() || stage < active {
            return super::reconcile::restore(draft, connection, position, snapshot, recreate, present);
        }
    }
    let told = Told { unseen_from: snapshot.unseen_from.unwrap_or(Told::KNOWN.unseen_from), ..Told::KNOWN };
    take_fields(draft, connection, position, id, generation, &snapshot.content, told)
}

/// Takes what the holder of a share has of the record: into the record that is here, or into one
/// that is created again.
pub(super) fn take_back(
    draft: &mut Draft<'_>,
    connection: &Connection,
    position: Position,
    id: ShareId,
    share: &Share,
    content: &Content,
) -> FieldsEnd {
    let present = share.record.and_then(|id| Some((id, draft.state.record(id)?)));
    with_share(draft, connection, position, id, share, |draft, incoming| match present {
        Some((id, record)) => link(draft, incoming, content, share.generation, id, record),
        None => create(draft, incoming, content.clone(), share.generation, Some(share.origin_record)),
    })
}

/// How fields are told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    /// How many rules that remote changes triggered stand behind them.
    pub(super) hops: u8,
    /// What was written from here on was never told before.
    pub(super) unseen_from: Timestamp,
}

impl Told {
    /// As they are: they may have been told before.
    const KNOWN: Self = Self { hops: 0, unseen_from: Timestamp(i64::MAX) };

    /// As they were just written.
    pub(super) const fn changed(hops: u8) -> Self {
        Self { hops, unseen_from: Timestamp(i64::MIN) }
    }
}

/// Fields for a record that is shared, or for one that could not be created yet.
pub(super) fn take_fields(
    draft: &mut Draft<'_>,
    connection: &Connection,
    position: Position,
    id: ShareId,
    generation: u32,
    content: &Content,
    told: Told,
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
        ShareStatus::Active => with_share(draft, connection, position, id, share, |draft, incoming| {
            let incoming = Incoming { unseen_from: told.unseen_from, ..*incoming };
            write_to(draft, &incoming, content, told.hops)
        }),
        _ => FieldsEnd::inactive("the share is not active"),
    }
}

/// Writes fields to the record of an active share. What the partner has forgotten goes back to it.
fn write_to(draft: &mut Draft<'_>, incoming: &Incoming<'_>, content: &Content, hops: u8) -> FieldsEnd {
    let Some((id, record)) = incoming.share.record.and_then(|id| Some((id, draft.state.record(id)?))) else {
        return FieldsEnd::inactive("the record is not here any more");
    };
    let (end, all_later) = write_fields(draft, incoming, content, id, record, hops);
    if all_later {
        return end;
    }
    let forgotten = forgotten(incoming, content, record);
    let theirs = shared_content(incoming.connection, record, true, |name| forgotten.contains(name));
    let (connection, share) = (incoming.connection, incoming.id);
    send_snapshot(draft, connection, share, incoming.share.generation, &record.object, theirs);
    end
}

/// The fields that came over this connection with a later write than what comes now: the partner
/// was restored, and has lost it.
fn forgotten(incoming: &Incoming<'_>, content: &Content, record: &Record) -> BTreeSet<FieldName> {
    let later = |name: &FieldName, stamp: Stamp| {
        record.fields.get(name).is_some_and(|field| {
            field.came_over() == Some(incoming.connection.id) && field.stamp.write() > stamp.write()
        })
    };
    let taken = content
        .iter()
        .flat_map(|(name, _, stamp)| incoming.rule.takes(name).map(move |mapping| (&mapping.local, stamp)));
    taken.filter(|(name, stamp)| later(name, *stamp)).map(|(name, _)| name.clone()).collect()
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
        let (waiting, reasons) = passing(draft, incoming.object, record);
        let all = |_| reasons.is_empty();
        let mut good = links::filled(draft, connection, record, incoming.object, all);
        // What waits for a field is later than what would fill it.
        good.extend(waiting);
        if good.is_empty() {
            return FieldsEnd::new(Outcome::Rejected, Some(record_id), reasons);
        }
        let actor = UserName::connection_user();
        write_with_pending(draft, record_id, record, incoming.object, good, actor, 0);
        FieldsEnd::new(Outcome::Applied, Some(record_id), Vec::new())
    })
}
