//! Escalation: records that nobody has changed for a while are given to somebody else (S2S-75).
//!
//! The daemon's clock gives the command, again and again; what is due is decided from the time of the
//! command and the state alone. Each step of a rule goes through the records in the order of their last
//! change and notes how far it has come, so that nothing is looked at twice until it changes.

use crate::automation::{Criteria, EscalationEntry, Facts, RuleKind, Was};
use crate::command::{Refusal, Reply};
use crate::decide::automation::assign::check_owner;
use crate::decide::automation::run::failed;
use crate::decide::draft::Draft;
use crate::decide::write::{Candidates, Write, record_changed};
use crate::event::{Escalated, EscalationAdvanced, RecordAction, RecordChanged};
use crate::limits::ESCALATION_SLICE_MAX;
use crate::notice::{Notice, NoticeKind};
use crate::reason::{Reason, ReasonCode};
use crate::state::{Record, State};
use crate::{FieldName, ObjectName, RecordId, Timestamp, UserName};

/// Until when a record was last changed that a step looks at now.
fn until(entry: &EscalationEntry, now: Timestamp) -> Timestamp {
    now.plus_us(-i64::from(entry.after_minutes) * 60_000_000)
}

/// Whether there is something to look at, for whoever gives the command.
#[must_use]
pub fn is_escalation_due(state: &State, now: Timestamp) -> bool {
    let automation = &state.automation;
    automation.escalation.values().filter(|rule| rule.active).any(|rule| {
        let mut entries = rule.entries.iter();
        entries.any(|entry| automation.due(&rule.object, &entry.name, until(entry, now)).next().is_some())
    })
}

/// Looks at what is due, so much at a time.
pub(super) fn escalate(draft: &mut Draft<'_>) -> Result<Reply, Refusal> {
    draft.actor = UserName::automation();
    let state = draft.state;
    let mut left = ESCALATION_SLICE_MAX;
    let mut touched: Vec<RecordId> = Vec::new();
    for object in state.automation.escalation.keys() {
        let Some(rules) = state.automation.rules_of(object) else { continue };
        for (entry, criteria) in &rules.escalation {
            let mut looked = None;
            for (since, id) in state.automation.due(object, &entry.name, until(entry, draft.now)) {
                // A record goes through one step at a time: the next one sees what this one did.
                if left == 0 || touched.contains(&id) {
                    break;
                }
                left -= 1;
                looked = Some((since, id));
                if let Some(record) = state.record(id)
                    && one(draft, object, entry, criteria, id, record, since)
                {
                    touched.push(id);
                }
            }
            if let Some((since, record)) = looked {
                let (object, entry) = (object.clone(), entry.name.clone());
                draft.emit(EscalationAdvanced { object, entry, since, record });
            }
        }
    }
    Ok(if left < ESCALATION_SLICE_MAX { Reply::Done } else { Reply::Unchanged })
}

/// Escalates one record if it meets the criteria; whether it did.
fn one(
    draft: &mut Draft<'_>,
    object: &ObjectName,
    entry: &EscalationEntry,
    criteria: &Criteria,
    id: RecordId,
    record: &Record,
    since: Timestamp,
) -> bool {
    let facts = Facts::of(draft.state, record, false);
    let lookup = |name: &FieldName| record.fields.get(name).map(|field| &field.value);
    match criteria.hold(lookup, Was::Same, &facts, draft.now) {
        Ok(false) => return false,
        Ok(true) => {}
        Err(reason) => {
            failed(draft, RuleKind::Escalation, object.as_str(), Some(id), vec![reason]);
            return false;
        }
    }
    if let Some(owner) = entry.owner.as_ref().filter(|owner| record.owner != **owner) {
        match check_owner(draft.state, object, owner) {
            Ok(()) => {
                let write = Write {
                    id,
                    object: object.clone(),
                    action: RecordAction::Update,
                    actor: draft.actor.clone(),
                    owner: Some(owner.clone()),
                    hops: record.hops,
                };
                let changed = record_changed(Some(record), write, Candidates::new(), Vec::new());
                draft.emit(RecordChanged { rule: Some(entry.name.clone()), ..changed });
            }
            Err(refusal) => {
                let reason = Reason::new(ReasonCode::BadRule, refusal.message);
                failed(draft, RuleKind::Escalation, object.as_str(), Some(id), vec![reason]);
            }
        }
    }
    for user in &entry.notify {
        let minutes = entry.after_minutes;
        let text = format!(
            "{object} {id} was not changed for {minutes} minutes: step {} of its escalation",
            entry.name
        );
        draft.notify(user, Notice::new(NoticeKind::Rule, text).on_record(id));
    }
    draft.emit(Escalated { record: id, object: object.clone(), entry: entry.name.clone(), since });
    true
}
