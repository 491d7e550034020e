//! The fields of one message against those of the record: which are later, which may be written
//! now, and which have to wait (PROTOCOL §6, §7).
//!
//! A field that may not be written stops no other message, and is never forgotten: it waits on the
//! record, with its reason.

use std::collections::BTreeSet;

use crate::content::Content;
use crate::decide::draft::Draft;
use crate::decide::record::write_with_pending;
use crate::decide::write::{Candidate, Candidates, pending_candidates, refusals};
use crate::event::{ConflictNoted, Loser, LostValue, Origin, PendingValue, ValuesPending};
use crate::mapping::{FieldMapping, SubscribeRule};
use crate::outcome::Outcome;
use crate::reason::{Reason, ReasonCode};
use crate::schema::ObjectSchema;
use crate::stamp::Stamp;
use crate::state::{Connection, Record, Share, ShareStatus};
use crate::value::Value;
use crate::vecmap::VecMap;
use crate::{FieldName, OrgId, Position, RecordId, ShareId, Timestamp, UserName};

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

/// A value that came and is later than what is here.
struct Came<'a> {
    mapping: &'a FieldMapping,
    remote: &'a FieldName,
    value: &'a Value,
    stamp: Stamp,
}

/// What became of the fields of one message before anything was tried.
#[derive(Default)]
struct Sorted<'a> {
    candidates: Candidates,
    /// The values as they came, for those that have to wait.
    came: Vec<Came<'a>>,
    refused: Vec<Reason>,
    older: Vec<Older<'a>>,
    same: usize,
}

/// A value that came and is older than what is here.
struct Older<'a> {
    local: &'a FieldName,
    /// What is lost, if neither writer had seen the other's value.
    lost: Option<LostValue>,
}

impl Sorted<'_> {
    /// The fields whose values a person has to approve first.
    fn approval(&self) -> impl Iterator<Item = &FieldName> {
        self.came.iter().filter(|came| came.mapping.approval).map(|came| &came.mapping.local)
    }
}

fn sort_fields<'a>(
    draft: &Draft<'_>,
    incoming: &Incoming<'a>,
    content: &'a Content,
    record: &Record,
) -> Sorted<'a> {
    let (origin, own) = (incoming.origin(), draft.org().id);
    let mut sorted = Sorted::default();
    for (remote, value, received) in content.iter() {
        for mapping in incoming.rule.takes(remote) {
            let stamp = match judge(record, mapping, received, origin, own) {
                Verdict::Newer(stamp) => stamp,
                Verdict::Same => {
                    sorted.same += 1;
                    continue;
                }
                Verdict::Older => {
                    let lost = lost(draft, incoming, record, mapping, value, received);
                    sorted.older.push(Older { local: &mapping.local, lost });
                    continue;
                }
            };
            sorted.came.push(Came { mapping, remote, value, stamp: received });
            if mapping.approval {
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

/// What an older value loses, if that is a conflict (S2S-51): it was never told before, so whoever
/// wrote the later one had not seen it, and it has the lesser stamp, so its writer had not seen the
/// later one. In a ring of orgs the writer's own word counts, and not that of an org that passes it on.
fn lost(
    draft: &Draft<'_>,
    incoming: &Incoming<'_>,
    record: &Record,
    mapping: &FieldMapping,
    value: &Value,
    stamp: Stamp,
) -> Option<LostValue> {
    let is_of = |connection: &Connection| {
        connection.partner.as_ref().is_some_and(|partner| OrgId::from(partner) == stamp.org)
    };
    let passed_on = || {
        let mut others =
            draft.state.shares_of(record).filter(|(_, share)| share.status == ShareStatus::Active);
        !is_of(incoming.connection) && others.any(|(connection, _)| is_of(connection))
    };
    // An org has seen its own earlier writes.
    let own = record.fields.get(&mapping.local).is_some_and(|field| field.stamp.org == stamp.org);
    if stamp.time < incoming.unseen_from || own || passed_on() {
        return None;
    }
    let value = map(incoming, mapping, value).unwrap_or_else(|_| value.clone());
    (record.value(&mapping.local) != &value).then_some(LostValue { value, stamp })
}

/// Notes what was lost, if something was.
fn note_conflict(
    draft: &mut Draft<'_>,
    incoming: &Incoming<'_>,
    id: RecordId,
    record: &Record,
    sorted: &Sorted<'_>,
) {
    let lost = sorted.older.iter().filter_map(|older| Some((older.local.clone(), Some(older.lost.clone()?))));
    let fields: VecMap<FieldName, Option<LostValue>> = lost.collect();
    if !fields.is_empty() {
        draft.emit(ConflictNoted {
            record: id,
            object: record.object.clone(),
            prev: record.last,
            connection: incoming.connection.id,
            share: incoming.id,
            position: incoming.position,
            loser: Loser::Theirs,
            fields,
        });
    }
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
    let mut sorted = sort_fields(draft, incoming, content, record);
    let all_later = sorted.same == 0 && sorted.older.is_empty();
    if !sorted.older.is_empty() {
        note_conflict(draft, incoming, id, record, &sorted);
    }
    let mut reasons = std::mem::take(&mut sorted.refused);
    if reasons.is_empty() && !sorted.candidates.is_empty() {
        reasons = refusals_alone_and_together(draft, incoming.object, record, &sorted.candidates);
    }
    if !reasons.is_empty() {
        wait(draft, incoming, id, record, &sorted, &reasons, false);
        return (FieldsEnd { outcome: Outcome::Rejected, record: Some(id), reasons }, all_later);
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
    (ended(&sorted, differs, id), all_later)
}

/// Why candidates are refused alone, if they are refused together with what waits on the record, too.
fn refusals_alone_and_together(
    draft: &Draft<'_>,
    object: &ObjectSchema,
    record: &Record,
    candidates: &Candidates,
) -> Vec<Reason> {
    let refusals = |tried: &Candidates| refusals(draft.state, object, Some(record), tried, draft.now);
    let mut all = pending_candidates(record, draft.state, candidates);
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
    let outcome = if differs {
        Outcome::Applied
    } else if !sorted.older.is_empty() {
        Outcome::Superseded
    } else if sorted.same > 0 || !sorted.came.is_empty() {
        Outcome::Unchanged
    } else {
        let text = "none of the fields is subscribed";
        reasons.push(Reason::new(ReasonCode::NotSubscribed, text));
        Outcome::Filtered
    };
    FieldsEnd { outcome, record, reasons }
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
    // A later value that waits already, of another connection or mapping, is not replaced.
    let later = |came: &Came<'_>| {
        let waits = record.pending.get(&came.mapping.local);
        waits.is_some_and(|pending| pending.stamp.write() > came.stamp.write())
    };
    let meant = sorted.came.iter().filter(|came| (!approval || came.mapping.approval) && !later(came));
    let values: VecMap<FieldName, Option<PendingValue>> = meant
        .map(|came| {
            let name = &came.mapping.local;
            let about = reasons.iter().filter(|r| r.field.as_ref().is_none_or(|field| field == name));
            let pending = PendingValue {
                remote: came.remote.clone(),
                incoming: came.value.clone(),
                stamp: came.stamp,
                origin: incoming.origin(),
                position: incoming.position,
                reasons: about.cloned().collect(),
                approval: came.mapping.approval,
                orphan: false,
            };
            (name.clone(), Some(pending))
        })
        .collect();
    if !values.is_empty() {
        draft.emit(ValuesPending { record: id, values });
    }
}

pub(super) fn map(incoming: &Incoming<'_>, mapping: &FieldMapping, value: &Value) -> Result<Value, Reason> {
    let field = incoming.object.require(&mapping.local)?;
    incoming.rule.map_value(mapping, value, field)
}

/// As much of what waits on a record as is good now: all of it, or message by message; and why not
/// all.
pub(super) fn passing(
    draft: &Draft<'_>,
    object: &ObjectSchema,
    record: &Record,
) -> (Candidates, Vec<Reason>) {
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
