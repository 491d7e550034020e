//! The fields of one message against those of the record: which are later, which may be written
//! now, and which have to wait (PROTOCOL §6, §7).
//!
//! A field that may not be written stops no other message, and is never forgotten: it waits on the
//! record, with its reason.

mod conflict;

use std::borrow::Cow;
use std::collections::BTreeSet;

use smol_str::SmolStr;

use crate::content::Content;
use crate::decide::draft::Draft;
use crate::decide::links::{self, Inward, Late};
use crate::decide::record::write_with_pending;
use crate::decide::write::{Candidate, Candidates, pending_candidates, refusals};
use crate::event::{InputsKept, LinksAwaited, LostValue, Origin, PendingValue, UnmappedSeen, ValuesPending};
use crate::mapping::{FieldMapping, SubscribeRule, Unmapped};
use crate::outcome::Outcome;
use crate::reason::{Reason, ReasonCode};
use crate::reference::Links;
use crate::schema::ObjectSchema;
use crate::stamp::Stamp;
use crate::state::{Connection, FieldState, Record, Share};
use crate::value::Value;
use crate::vecmap::VecMap;
use crate::{FieldName, OrgId, Position, RecordId, ShareId, Timestamp, UserName};
use conflict::{lost, note_conflict};

/// How a message with fields ended.
pub(super) struct FieldsEnd {
    pub(super) outcome: Outcome,
    pub(super) record: Option<RecordId>,
    pub(super) reasons: Vec<Reason>,
    /// The share whose record it is held for.
    pub(super) parent: Option<ShareId>,
}

impl Default for FieldsEnd {
    fn default() -> Self {
        Self { outcome: Outcome::Filtered, record: None, reasons: Vec::new(), parent: None }
    }
}

impl FieldsEnd {
    pub(super) const fn new(outcome: Outcome, record: Option<RecordId>, reasons: Vec<Reason>) -> Self {
        Self { outcome, record, reasons, parent: None }
    }

    pub(super) fn filtered(reason: Reason) -> Self {
        Self { reasons: vec![reason], ..Self::default() }
    }

    pub(super) fn inactive(text: &str) -> Self {
        Self::filtered(Reason::new(ReasonCode::ShareInactive, text))
    }
}

/// Who the message is about, gathered once.
#[derive(Clone, Copy)]
pub(super) struct Incoming<'a> {
    pub(super) connection: &'a Connection,
    pub(super) id: ShareId,
    pub(super) share: &'a Share,
    pub(super) rule: &'a SubscribeRule,
    pub(super) object: &'a ObjectSchema,
    pub(super) position: Position,
    /// Values written from here on were never told before: one that loses was not seen by whoever
    /// wrote the later one, and the other way round.
    pub(super) unseen_from: Timestamp,
}

impl Incoming<'_> {
    pub(super) const fn origin(&self) -> Origin {
        Origin { connection: self.connection.id, mapping: self.rule.version }
    }
}

/// How one incoming field stands against the one that is here.
enum Verdict {
    /// It is to be written, with this stamp.
    Newer(Stamp),
    /// The same write under a newer mapping: to be written with this stamp, if it comes to another value.
    Remapped(Stamp),
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
            if stamp.revision() > source.revision {
                Verdict::Newer(stamp.revised(field.stamp, own))
            } else if origin.mapping > source.origin.mapping {
                Verdict::Remapped(stamp.revised(field.stamp, own))
            } else {
                Verdict::Same
            }
        }
    }
}

/// Whether a value is only mapped anew: it is nothing new if it comes to what stands here, and nothing waits.
fn is_remapped(verdict: &Verdict, record: &Record, mapping: &FieldMapping) -> bool {
    matches!(verdict, Verdict::Remapped(_)) && !record.pending.contains_key(&mapping.local)
}

/// A value that came and is later than what is here.
struct Came<'a> {
    mapping: &'a FieldMapping,
    remote: &'a FieldName,
    value: Cow<'a, Value>,
    stamp: Stamp,
    /// Whether a person has to approve it first: not if it is what stands here.
    approval: bool,
}

impl Came<'_> {
    fn is_behind(&self, record: &Record) -> bool {
        record.waits_later(&self.mapping.local, self.stamp)
    }

    fn pending(&self, incoming: &Incoming<'_>, reasons: Vec<Reason>) -> PendingValue {
        PendingValue {
            remote: self.remote.clone(),
            incoming: self.value.clone().into_owned(),
            stamp: self.stamp,
            origin: incoming.origin(),
            position: incoming.position,
            reasons,
            approval: self.approval,
            rejected: false,
            orphan: false,
        }
    }
}

/// What became of the fields of one message before anything was tried.
#[derive(Default)]
struct Sorted<'a> {
    candidates: Candidates,
    /// The values as they came, for those that have to wait.
    came: Vec<Came<'a>>,
    refused: Vec<Reason>,
    /// Values that cannot be written now and stop no others, with their reasons.
    apart: Vec<(Came<'a>, Reason)>,
    /// References that are empty because their targets are not here, and why.
    links: Links,
    absent: Vec<Reason>,
    /// Picklist values without a mapping.
    unmapped: Vec<(FieldName, SmolStr)>,
    /// What came of what mappings compute with.
    inputs: Content,
    older: Vec<Older<'a>>,
    same: usize,
}

/// A value that came and is older than what is here.
struct Older<'a> {
    local: &'a FieldName,
    /// What is lost, if neither writer had seen the other's value.
    lost: Option<LostValue>,
}

impl<'a> Sorted<'a> {
    /// A value that cannot be mapped. If the partner's field has changed its type, it stops no others.
    fn refuse(&mut self, came: Came<'a>, reason: Reason) {
        if let Some(reason) = drifted(came.mapping, &reason) {
            self.apart.push((came, reason));
        } else {
            self.refused.push(reason);
            self.came.push(came);
        }
    }

    /// The fields whose values a person has to approve first.
    fn approval(&self) -> impl Iterator<Item = &FieldName> {
        self.came.iter().filter(|came| came.approval).map(|came| &came.mapping.local)
    }
}

fn sort_fields<'a>(
    draft: &Draft<'_>,
    incoming: &Incoming<'a>,
    content: &'a Content,
    id: RecordId,
    record: &Record,
) -> Sorted<'a> {
    let (origin, own) = (incoming.origin(), draft.org().id);
    let few = content.values.len();
    let (candidates, came) = (Candidates::with_capacity(few), Vec::with_capacity(few));
    let mut sorted = Sorted { candidates, came, ..Sorted::default() };
    for (remote, value, received) in content.iter() {
        for mapping in incoming.rule.takes(remote) {
            let verdict = judge(record, mapping, received, origin, own);
            let remapped = is_remapped(&verdict, record, mapping);
            let stamp = match verdict {
                Verdict::Newer(stamp) | Verdict::Remapped(stamp) => stamp,
                Verdict::Same => match links::late(draft, incoming, mapping, record, value, received) {
                    // Above what stands here: it may have been emptied anew, and others know that.
                    Late::Here => {
                        let present = record.fields.get(&mapping.local).map_or(received, |field| field.stamp);
                        received.revised(present, own)
                    }
                    late => {
                        match late {
                            Late::Renamed(share) => drop(sorted.links.insert(mapping.local.clone(), share)),
                            Late::Waits(reason) => {
                                let value = Cow::Borrowed(value);
                                let approval = mapping.approval;
                                let came = Came { mapping, remote, value, stamp: received, approval };
                                sorted.apart.push((came, reason));
                            }
                            Late::Same | Late::Here => {}
                        }
                        sorted.same += 1;
                        continue;
                    }
                },
                Verdict::Older => {
                    let lost = lost(draft, incoming, record, mapping, value, received);
                    sorted.older.push(Older { local: &mapping.local, lost });
                    continue;
                }
            };
            let inward = links::inward(draft, incoming, mapping, value, Some(id));
            let stands = matches!(&inward, Ok(Inward::Value(value)) if value == record.value(&mapping.local));
            if remapped && stands {
                note_unmapped(&mut sorted.unmapped, incoming, mapping, value);
                sorted.same += 1;
                continue;
            }
            let approval = mapping.approval && !stands;
            let came = Came { mapping, remote, value: Cow::Borrowed(value), stamp: received, approval };
            if approval {
                sorted.came.push(came);
                continue;
            }
            note_unmapped(&mut sorted.unmapped, incoming, mapping, value);
            let value = match inward {
                Ok(Inward::Value(value)) => value,
                Ok(Inward::Absent(absent)) if is_required(incoming.object, &mapping.local) => {
                    sorted.apart.push((came, absent.reason));
                    continue;
                }
                Ok(Inward::Absent(absent)) => {
                    sorted.links.insert(mapping.local.clone(), absent.share);
                    sorted.absent.push(absent.reason);
                    Value::Null
                }
                Err(reason) => {
                    sorted.refuse(came, reason);
                    continue;
                }
            };
            sorted.came.push(came);
            let candidate = Candidate::came(value, stamp, received, Some(origin), own);
            sorted.candidates.insert(mapping.local.clone(), candidate);
        }
    }
    sort_computed(draft, incoming, content, record, &mut sorted);
    sorted
}

pub(super) fn is_required(object: &ObjectSchema, field: &FieldName) -> bool {
    object.field(field).is_some_and(|field| field.required)
}

/// The same refusal as one of a field that has changed on either side, if it is one: when the mapping was
/// saved, the field here was there and the types were compatible.
pub(super) fn drifted(mapping: &FieldMapping, reason: &Reason) -> Option<Reason> {
    let text = match reason.code {
        ReasonCode::IncompatibleTypes | ReasonCode::FieldDrifted => {
            format!("the partner's field has changed since it was mapped: {}", reason.message)
        }
        ReasonCode::UnknownField => {
            format!("the field here is gone since it was mapped: {}", reason.message)
        }
        _ => return None,
    };
    Some(Reason::new(ReasonCode::FieldDrifted, text).on_field(&mapping.local))
}

/// Notes the picklist values for which a mapping has no entry. A value that is kept, and is one of the
/// local list, needs none.
pub(super) fn note_unmapped(
    seen: &mut Vec<(FieldName, SmolStr)>,
    incoming: &Incoming<'_>,
    mapping: &FieldMapping,
    value: &Value,
) {
    let Some(table) = &mapping.picklist else { return };
    let keeps = table.unmapped == Unmapped::Keep;
    let is_ours = |value: &SmolStr| {
        let field = incoming.object.field(&mapping.local);
        keeps && field.is_some_and(|field| field.picklist_value(value).is_some())
    };
    let missing = table.missing(value).filter(|value| !is_ours(value));
    seen.extend(missing.map(|value| (mapping.local.clone(), value.clone())));
}

/// What came of what the mappings of a share compute with, together with what is known of it; and what of
/// it is new.
pub(super) fn inputs(incoming: &Incoming<'_>, content: &Content) -> Option<(Content, Content)> {
    let mappings = || incoming.rule.computed();
    mappings().next()?;
    let known = incoming.share.inputs.as_deref();
    let reads = |name: &FieldName| mappings().any(|(mapping, _)| mapping.inputs.contains(name));
    let later = |name: &FieldName, stamp: Stamp| {
        known.is_none_or(|known| !known.values.contains_key(name) || known.stamp_of(name) < stamp)
    };
    let new = content.iter().filter(|(name, _, stamp)| reads(name) && later(name, *stamp));
    let new = Content::stamped(new.map(|(name, value, stamp)| (name.clone(), value.clone(), stamp)));
    let all = known.cloned().unwrap_or_default().absorbing(&new);
    Some((all, new))
}

/// Sorts the values that are computed from what came.
fn sort_computed<'a>(
    draft: &Draft<'_>,
    incoming: &Incoming<'a>,
    content: &Content,
    record: &Record,
    sorted: &mut Sorted<'a>,
) {
    let Some(mappings) = incoming.connection.computed.get(&incoming.rule.remote) else { return };
    let Some((inputs, new)) = inputs(incoming, content) else { return };
    let (origin, own) = (incoming.origin(), draft.org().id);
    for (mapping, _) in incoming.rule.computed() {
        let asked = mapping.inputs.iter().any(|name| content.values.contains_key(name));
        let Some((stamp, remote)) = mapping.stamp_of_inputs(&inputs).zip(mapping.inputs.first()) else {
            continue;
        };
        if !asked {
            continue;
        }
        let value = mappings.value(mapping, &inputs, draft.now);
        let mapped = value.clone().and_then(|value| {
            let field = incoming.object.require(&mapping.local)?;
            incoming.rule.map_value(mapping, &value, field)
        });
        let verdict = judge(record, mapping, stamp, origin, own);
        let remapped = is_remapped(&verdict, record, mapping);
        let written = match (verdict, record.fields.get(&mapping.local)) {
            (Verdict::Newer(written) | Verdict::Remapped(written), _) => written,
            // The same write, but another of its inputs came later.
            (Verdict::Same, Some(field)) if recomputed(field, mapped.as_ref().ok(), stamp, origin) => {
                stamp.revised(field.stamp, own)
            }
            (Verdict::Same, _) => {
                sorted.same += 1;
                continue;
            }
            (Verdict::Older, _) => {
                sorted.older.push(Older { local: &mapping.local, lost: None });
                continue;
            }
        };
        let stands = mapped.as_ref().is_ok_and(|value| value == record.value(&mapping.local));
        if remapped && stands {
            sorted.same += 1;
            continue;
        }
        let approval = mapping.approval && !stands;
        let value = Cow::Owned(value.unwrap_or_default());
        let came = Came { mapping, remote, value, stamp, approval };
        match mapped {
            Err(reason) => sorted.refuse(came, reason),
            Ok(_) if approval => sorted.came.push(came),
            Ok(value) => {
                sorted.came.push(came);
                let received = (written != stamp).then_some(stamp);
                let candidate = Candidate { value, stamp: written, origin: Some(origin), received };
                sorted.candidates.insert(mapping.local.clone(), candidate);
            }
        }
    }
    sorted.inputs = new;
}

/// Whether a value of the same write has become another, because it is computed from more.
fn recomputed(field: &FieldState, value: Option<&Value>, stamp: Stamp, origin: Origin) -> bool {
    field.stamp.write() == stamp.write()
        && field.came_over() == Some(origin.connection)
        && value.is_some_and(|value| *value != field.value)
}

/// Writes the fields that are later than what is here: together with everything that waits on the
/// record, or alone, or not at all; then they wait. Also whether all of them are later.
pub(super) fn write_fields(
    draft: &mut Draft<'_>,
    incoming: &Incoming<'_>,
    content: &Content,
    id: RecordId,
    record: &Record,
    hops: u8,
) -> (FieldsEnd, bool) {
    let mut sorted = sort_fields(draft, incoming, content, id, record);
    let all_later = sorted.same == 0 && sorted.older.is_empty();
    if !sorted.older.is_empty() {
        note_conflict(draft, incoming, id, record, &sorted);
    }
    let mut reasons = std::mem::take(&mut sorted.refused);
    note_beside(draft, incoming, std::mem::take(&mut sorted.inputs), std::mem::take(&mut sorted.unmapped));
    wait_apart(draft, incoming, id, record, &sorted);
    if reasons.is_empty() && !sorted.candidates.is_empty() {
        reasons = refusals_alone_and_together(draft, incoming.object, record, &sorted.candidates);
    }
    if !reasons.is_empty() {
        wait(draft, incoming, id, record, &sorted, &reasons, false);
        // Those that would be empty are not written; what the others wait for is known all the same.
        let Sorted { links, candidates, .. } = &mut sorted;
        links.retain(|name, _| !candidates.contains_key(name));
        await_links(draft, incoming, id, std::mem::take(links));
        return (FieldsEnd::new(Outcome::Rejected, Some(id), reasons), all_later);
    }
    if sorted.approval().next().is_some() {
        let text = "the value waits for approval";
        let reason = vec![Reason::new(ReasonCode::AwaitingApproval, text)];
        wait(draft, incoming, id, record, &sorted, &reason, true);
    }
    let differs = sorted.candidates.iter().any(|(name, candidate)| record.value(name) != &candidate.value);
    let candidates = std::mem::take(&mut sorted.candidates);
    if !candidates.is_empty() {
        let actor = UserName::connection_user();
        write_with_pending(draft, id, record, incoming.object, candidates, actor, hops);
    }
    await_links(draft, incoming, id, std::mem::take(&mut sorted.links));
    (ended(&sorted, differs, id), all_later)
}

fn await_links(draft: &mut Draft<'_>, incoming: &Incoming<'_>, record: RecordId, links: Links) {
    if !links.is_empty() {
        draft.emit(LinksAwaited { record, connection: incoming.connection.id, links });
    }
}

/// Why candidates are refused alone, if they are refused together with what waits on the record, too.
fn refusals_alone_and_together(
    draft: &Draft<'_>,
    object: &ObjectSchema,
    record: &Record,
    candidates: &Candidates,
) -> Vec<Reason> {
    let refusals = |tried: &Candidates| refusals(draft.state, object, Some(record), tried, draft.now);
    let mut all = pending_candidates(draft, record, candidates);
    if !all.is_empty() {
        all.extend(candidates.clone());
        if refusals(&all).is_empty() {
            return Vec::new();
        }
    }
    refusals(candidates)
}

/// The outcome of a message that was not refused (PROTOCOL §6).
fn ended(sorted: &Sorted<'_>, differs: bool, id: RecordId) -> FieldsEnd {
    let record = Some(id);
    let waiting = |name: &FieldName| {
        Reason::new(ReasonCode::AwaitingApproval, format!("{name} waits for approval")).on_field(name)
    };
    let older = |older: &Older<'_>| {
        let name = older.local;
        let (code, text) = match older.lost {
            None => (ReasonCode::OlderStamp, format!("{name} already has a later value")),
            Some(_) => (
                ReasonCode::Conflict,
                format!("{name} was written later by somebody who had not seen this value, which is lost"),
            ),
        };
        Reason::new(code, text).on_field(name)
    };
    let mut reasons: Vec<Reason> = sorted.approval().map(waiting).collect();
    reasons.extend(sorted.older.iter().map(older));
    reasons.extend(sorted.absent.iter().cloned());
    reasons.extend(sorted.apart.iter().map(|(_, reason)| reason.clone()));
    let outcome = if differs {
        Outcome::Applied
    } else if !sorted.apart.is_empty() {
        Outcome::Rejected
    } else if !sorted.older.is_empty() {
        Outcome::Superseded
    } else if sorted.same > 0 || !sorted.came.is_empty() {
        Outcome::Unchanged
    } else {
        let text = "none of the fields is subscribed";
        reasons.push(Reason::new(ReasonCode::NotSubscribed, text));
        Outcome::Filtered
    };
    FieldsEnd::new(outcome, record, reasons)
}

/// Keeps values that could not be written: all, or those that need an `approval`.
fn wait(
    draft: &mut Draft<'_>,
    incoming: &Incoming<'_>,
    id: RecordId,
    record: &Record,
    sorted: &Sorted<'_>,
    reasons: &[Reason],
    approval: bool,
) {
    let meant = |came: &&Came<'_>| (!approval || came.approval) && !came.is_behind(record);
    let meant = sorted.came.iter().filter(meant);
    let values: VecMap<FieldName, Option<PendingValue>> = meant
        .map(|came| {
            let name = &came.mapping.local;
            let about = reasons.iter().filter(|r| r.field.as_ref().is_none_or(|field| field == name));
            (name.clone(), Some(came.pending(incoming, about.cloned().collect())))
        })
        .collect();
    if !values.is_empty() {
        draft.emit(ValuesPending { record: id, values });
    }
}

/// Notes what came beside the values: inputs of computed mappings, and picklist values without a mapping.
pub(super) fn note_beside(
    draft: &mut Draft<'_>,
    incoming: &Incoming<'_>,
    inputs: Content,
    unmapped: Vec<(FieldName, SmolStr)>,
) {
    let connection = incoming.connection.id;
    if !inputs.is_empty() {
        draft.emit(InputsKept { connection, share: incoming.id, content: inputs });
    }
    if !unmapped.is_empty() {
        draft.emit(UnmappedSeen { connection, object: incoming.rule.remote.clone(), values: unmapped });
    }
}

/// Keeps values that stop no others, each with its own reason.
fn wait_apart(
    draft: &mut Draft<'_>,
    incoming: &Incoming<'_>,
    id: RecordId,
    record: &Record,
    sorted: &Sorted<'_>,
) {
    if sorted.apart.is_empty() {
        return;
    }
    let meant = sorted.apart.iter().filter(|(came, _)| !came.is_behind(record));
    let values = meant.map(|(came, reason)| {
        let pending = came.pending(incoming, vec![reason.clone()]);
        (came.mapping.local.clone(), Some(pending))
    });
    let values: VecMap<FieldName, Option<PendingValue>> = values.collect();
    if !values.is_empty() {
        draft.emit(ValuesPending { record: id, values });
    }
}

/// As much of what waits on a record as is good now: all of it, or message by message; and why not
/// all.
pub(super) fn passing(
    draft: &Draft<'_>,
    object: &ObjectSchema,
    record: &Record,
) -> (Candidates, Vec<Reason>) {
    let refused = |tried: &Candidates| refusals(draft.state, object, Some(record), tried, draft.now);
    let waiting = pending_candidates(draft, record, &Candidates::new());
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
