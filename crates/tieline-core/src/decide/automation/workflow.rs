//! What a workflow rule does: write fields, assign, create tasks.

use crate::automation::{Action, CompiledWorkflow, Facts, RuleKind, beside_of};
use crate::decide::automation::assign::check_owner;
use crate::decide::automation::rules::{TASK, computed, constant};
use crate::decide::automation::run::{Touched, failed};
use crate::decide::automation::tell;
use crate::decide::compute::{Failed, compute};
use crate::decide::draft::Draft;
use crate::decide::record::defaults;
use crate::decide::settle::settle_recovered;
use crate::decide::task::{self, about};
use crate::decide::write::{Candidate, Candidates, Write, deliveries, record_changed, refusals};
use crate::event::{AlarmRaised, RecordAction, RecordChanged};
use crate::limits::{HOPS_MAX, LABEL_CHARS_MAX};
use crate::reason::{Reason, ReasonCode};
use crate::schema::ObjectSchema;
use crate::state::{Record, State};
use crate::value::{Date, Value};
use crate::{FieldName, Owner, RecordId, RuleName, Stamp, UserName};

/// Does what the rule says; what cannot be done is a failure, and the rest is done.
pub(super) fn fire(
    draft: &mut Draft<'_>,
    rule: &CompiledWorkflow,
    touched: &Touched,
    record: &Record,
    facts: &Facts,
) {
    let mut reasons = Vec::new();
    let values = values(draft, rule, touched, record, facts, &mut reasons);
    let owner = owner(draft.state, rule, record, &mut reasons);
    write(draft, &rule.rule.name, touched, record, values, owner, &mut reasons);
    for action in &rule.rule.actions {
        match action {
            Action::Task { .. } => task(draft, rule, touched, record, action, &mut reasons),
            Action::Notify { .. } | Action::Mail { .. } | Action::Webhook { .. } => {
                tell::tell(draft, &rule.rule.name, touched.record, record, action, &mut reasons);
            }
            Action::Set { .. } | Action::Assign { .. } => {}
        }
    }
    if !reasons.is_empty() {
        failed(draft, RuleKind::Workflow, rule.rule.name.as_str(), Some(touched.record), reasons);
    }
}

/// Whether the rule, fired again, would change the record.
pub(super) fn would_write(
    draft: &Draft<'_>,
    rule: &CompiledWorkflow,
    touched: &Touched,
    record: &Record,
    facts: &Facts,
) -> bool {
    let mut reasons = Vec::new();
    !values(draft, rule, touched, record, facts, &mut reasons).is_empty()
        || owner(draft.state, rule, record, &mut reasons).is_some()
}

/// The values that it writes, those that differ; of two for one field the later action's.
fn values(
    draft: &Draft<'_>,
    rule: &CompiledWorkflow,
    touched: &Touched,
    record: &Record,
    facts: &Facts,
    reasons: &mut Vec<Reason>,
) -> Candidates {
    let Some(object) = draft.state.object(&record.object) else { return Candidates::new() };
    let stamp = draft.stamp();
    let lookup = |name: &FieldName| record.fields.get(name).map(|field| &field.value);
    let mut candidates = Candidates::new();
    for (action, formula) in rule.rule.actions.iter().zip(&rule.formulas) {
        let Action::Set { field, value, .. } = action else { continue };
        let value = match formula {
            None => constant(object, field, value.as_deref()),
            Some(Err(error)) => Err(Reason::new(ReasonCode::RuleFailed, error)),
            Some(Ok(formula)) => {
                let beside = |beside: &crate::expr::Beside| beside_of(beside, &lookup, touched.was(), facts);
                formula
                    .evaluate_beside(lookup, beside, draft.now)
                    .and_then(|value| computed(object, field, &value))
            }
        };
        match value {
            Ok(value) => {
                let pending = record.pending.get(field).map(|pending| pending.stamp.time.plus_us(1));
                let time = pending.map_or(stamp.time, |pending| pending.max(stamp.time));
                let candidate = Candidate::local(value, Stamp { time, ..stamp });
                candidates.insert(field.clone(), candidate);
            }
            Err(reason) => reasons.push(reason.on_field(field)),
        }
    }
    candidates.retain(|name, candidate| record.value(name) != &candidate.value);
    candidates
}

/// The owner that it gives the record to, if that is another.
fn owner(
    state: &State,
    rule: &CompiledWorkflow,
    record: &Record,
    reasons: &mut Vec<Reason>,
) -> Option<Owner> {
    let named = rule.rule.actions.iter().rev().find_map(|action| match action {
        Action::Assign { to } => Some(to),
        _ => None,
    })?;
    if record.owner == *named {
        return None;
    }
    match check_owner(state, &record.object, named) {
        Ok(()) => Some(named.clone()),
        Err(refusal) => {
            reasons.push(Reason::new(ReasonCode::BadRule, refusal.message));
            None
        }
    }
}

/// Writes what a rule says, unless the record may not be so: then what triggered it stands.
fn write(
    draft: &mut Draft<'_>,
    rule: &RuleName,
    touched: &Touched,
    record: &Record,
    mut candidates: Candidates,
    owner: Option<Owner>,
    reasons: &mut Vec<Reason>,
) {
    let Some(object) = draft.state.object(&record.object).cloned() else { return };
    let mut failed = Failed::default();
    if !candidates.is_empty() {
        let refused = refusals(draft.state, &object, Some(record), &candidates, draft.now);
        if !refused.is_empty() {
            reasons.extend(refused);
            candidates = Candidates::new();
        }
        failed = compute(draft, &object, Some(record), &mut candidates);
    }
    if candidates.is_empty() && owner.is_none() {
        return;
    }
    settle_recovered(draft, record, &candidates);
    let goes_on = touched.hops < HOPS_MAX;
    let deliveries = if goes_on {
        deliveries(draft, &record.object, record, &candidates)
    } else {
        tell_hops(draft, rule, touched.record);
        Vec::new()
    };
    let write = Write {
        id: touched.record,
        object: record.object.clone(),
        action: RecordAction::Update,
        actor: draft.actor.clone(),
        owner,
        hops: touched.hops,
    };
    let changed = record_changed(Some(record), write, candidates, deliveries);
    draft.emit(RecordChanged { rule: Some(rule.clone()), ..changed });
    failed.note(draft, touched.record, &object.name);
}

/// A change has gone through too many orgs: it is not sent on, and somebody has to look at the rules.
/// The same rule says it again when a while has passed.
pub(super) fn tell_hops(draft: &mut Draft<'_>, rule: &RuleName, record: RecordId) {
    const AGAIN_AFTER_US: i64 = 3_600 * 1_000_000;
    const CODE: &str = "too_many_hops";
    let named = format!("the rule {rule} ");
    let recent = draft.state.alarms.iter().any(|alarm| {
        alarm.alarm.code == CODE
            && alarm.alarm.message.starts_with(&named)
            && draft.now.since_us(alarm.time) < AGAIN_AFTER_US
    });
    if !recent {
        let message = format!(
            "{named}wrote to record {record} because rules of {HOPS_MAX} orgs had followed each other: it was \
             not sent on. Rules of partners answer each other without end: narrow the criteria of one of them"
        );
        draft.emit(AlarmRaised { connection: None, code: CODE.to_owned(), message });
    }
}

/// Creates a task for the record.
fn task(
    draft: &mut Draft<'_>,
    rule: &CompiledWorkflow,
    touched: &Touched,
    record: &Record,
    action: &Action,
    reasons: &mut Vec<Reason>,
) {
    let Action::Task { subject, due_in_days, owner } = action else { return };
    let Some((name, object)) = draft.state.objects.get_key_value(TASK) else {
        reasons.push(Reason::new(ReasonCode::UnknownObject, "this org has no object Task: define it"));
        return;
    };
    let stamp = draft.stamp();
    let mut candidates = Candidates::new();
    let mut put = |object: &ObjectSchema, field: &str, value: Value| {
        if let Some(field) = object.field(field) {
            candidates.insert(field.name.clone(), Candidate::local(value, stamp));
        }
    };
    for (field, value) in defaults(object) {
        put(object, field.as_str(), value.clone());
    }
    let subject = tell::filled(subject, record);
    let subject: String = subject.chars().take(LABEL_CHARS_MAX).collect();
    put(object, "Subject", Value::text(&subject));
    put(object, about(&record.object), Value::Reference(touched.record));
    let due = due_in_days.and_then(|days| Date::from_days(Date::of(draft.now)?.days() + i32::from(days)));
    if let Some(due) = due {
        put(object, "ActivityDate", Value::Date(due));
    }
    let refused = refusals(draft.state, object, None, &candidates, draft.now);
    if !refused.is_empty() {
        reasons.extend(refused);
        return;
    }
    let owner = owner.clone().map_or_else(
        || match &record.owner {
            Owner::User(user) => Owner::User(user.clone()),
            Owner::Queue(_) if draft.actor.is_system() => Owner::User(UserName::connection_user()),
            Owner::Queue(_) => Owner::User(draft.actor.clone()),
        },
        Owner::User,
    );
    let write = Write {
        id: RecordId(draft.draw()),
        object: name.clone(),
        action: RecordAction::Create,
        actor: draft.actor.clone(),
        owner: Some(owner),
        hops: 0,
    };
    let failed = compute(draft, object, None, &mut candidates);
    let (id, written) = (write.id, candidates.clone());
    let changed = record_changed(None, write, candidates, Vec::new());
    draft.emit(RecordChanged { rule: Some(rule.rule.name.clone()), ..changed });
    failed.note(draft, id, name);
    task::follow(draft, id, name, None, &written);
}
