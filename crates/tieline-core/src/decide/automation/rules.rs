//! Rules as people define them: set, checked, removed.

use crate::automation::{Action, Rule, RuleKind};
use crate::command::{Refusal, Reply};
use crate::decide::automation::assign::check_owner;
use crate::decide::automation::tell;
use crate::decide::draft::Draft;
use crate::decide::notice::check_url;
use crate::decide::{people, record, share};
use crate::event::{AssignmentRuleSet, EscalationRuleSet, RuleRemoved, SharingRuleSet, WorkflowRuleSet};
use crate::expr::Expression;
use crate::limits::{
    ESCALATION_MINUTES_MAX, LABEL_CHARS_MAX, OBJECT_AUTOMATION_RULES_MAX, RULE_CONNECTIONS_MAX,
    RULE_ENTRIES_MAX,
};
use crate::reason::{Reason, ReasonCode, quoted};
use crate::schema::{FieldKind, ObjectSchema};
use crate::state::State;
use crate::value::{Value, cast};
use crate::{ConnectionId, FieldName};

/// The object of the tasks that workflow rules create.
pub(in crate::decide) const TASK: &str = "Task";

/// Sets a rule.
pub(super) fn set(draft: &mut Draft<'_>, rule: &Rule) -> Result<Reply, Refusal> {
    let state = draft.state;
    let known = state.automation.rule(rule.kind(), rule.key());
    if known.as_ref() == Some(rule) {
        return Ok(Reply::Unchanged);
    }
    let object = record::object(state, rule.object())?;
    let others = state.automation.rules(rule.kind());
    if known.is_none()
        && others.iter().filter(|other| other.object() == rule.object()).count()
            >= OBJECT_AUTOMATION_RULES_MAX
    {
        return Err(people::limit("rules of one kind for one object", OBJECT_AUTOMATION_RULES_MAX));
    }
    check(state, object, known.as_ref(), rule)?;
    let actor = draft.actor.clone();
    match rule.clone() {
        Rule::Sharing(rule) => draft.emit(SharingRuleSet { rule, actor }),
        Rule::Assignment(rule) => draft.emit(AssignmentRuleSet { rule, actor }),
        Rule::Escalation(rule) => draft.emit(EscalationRuleSet { rule, actor }),
        Rule::Workflow(rule) => draft.emit(WorkflowRuleSet { rule, actor }),
    }
    Ok(Reply::Done)
}

pub(super) fn remove(draft: &mut Draft<'_>, kind: RuleKind, key: &str) -> Result<Reply, Refusal> {
    find(draft.state, kind, key)?;
    draft.emit(RuleRemoved { kind, rule: key.to_owned(), actor: draft.actor.clone() });
    Ok(Reply::Done)
}

pub(super) fn find(state: &State, kind: RuleKind, key: &str) -> Result<Rule, Refusal> {
    state.automation.rule(kind, key).ok_or_else(|| {
        let kind = kind.as_str();
        let noun = if kind == "sharing" || kind == "assignment" { "-rule" } else { "" };
        let text = format!(
            "there is no {kind} rule {}: see the rules with `tieline {kind}{noun} list`",
            quoted(key)
        );
        Refusal::not_found("unknown_rule", text)
    })
}

/// Whether a rule can be saved; all reasons against its conditions and values at once.
fn check(state: &State, object: &ObjectSchema, known: Option<&Rule>, rule: &Rule) -> Result<(), Refusal> {
    rule.owners().try_for_each(|owner| check_owner(state, &object.name, owner))?;
    let mut reasons = Vec::new();
    match rule {
        Rule::Sharing(rule) => {
            criteria(object, &rule.criteria, rule.name.as_str(), &mut reasons);
            let old = match known {
                Some(Rule::Sharing(known)) => Some(&known.connections),
                _ => None,
            };
            let new = |id: &&ConnectionId| old.is_none_or(|old| !old.contains(id));
            rule.connections.iter().filter(new).try_for_each(|id| share::active(state, *id).map(|_| ()))?;
            bounded(rule.connections.len(), RULE_CONNECTIONS_MAX, "connections of one rule")?;
        }
        Rule::Assignment(rule) => {
            bounded(rule.entries.len(), RULE_ENTRIES_MAX, "entries of one rule")?;
            for entry in &rule.entries {
                criteria(object, &entry.criteria, rule.object.as_str(), &mut reasons);
            }
        }
        Rule::Escalation(rule) => {
            bounded(rule.entries.len(), RULE_ENTRIES_MAX, "entries of one rule")?;
            for (at, entry) in rule.entries.iter().enumerate() {
                criteria(object, &entry.criteria, entry.name.as_str(), &mut reasons);
                let twice = rule.entries.iter().take(at).any(|other| other.name == entry.name);
                if twice {
                    let text = format!("two steps are called {}: give each its own name", entry.name);
                    reasons.push(Reason::new(ReasonCode::Duplicate, text).by_rule(entry.name.as_str()));
                }
                if !(1..=ESCALATION_MINUTES_MAX).contains(&entry.after_minutes) {
                    let text = format!("after_minutes is a number from 1 to {ESCALATION_MINUTES_MAX}");
                    reasons.push(Reason::new(ReasonCode::OutOfRange, text).by_rule(entry.name.as_str()));
                }
                if entry.owner.is_none() && entry.notify.is_empty() {
                    let text =
                        format!("the step {} does nothing: name an owner, or whom to notify", entry.name);
                    reasons.push(Reason::new(ReasonCode::BadRule, text).by_rule(entry.name.as_str()));
                }
                entry.notify.iter().try_for_each(|user| people::find_active(state, user).map(|_| ()))?;
            }
        }
        Rule::Workflow(rule) => {
            bounded(rule.actions.len(), RULE_ENTRIES_MAX, "actions of one rule")?;
            criteria(object, &rule.criteria, rule.name.as_str(), &mut reasons);
            if rule.actions.is_empty() {
                let text = format!("the rule {} does nothing: give it an action", rule.name);
                reasons.push(Reason::new(ReasonCode::BadRule, text).by_rule(rule.name.as_str()));
            }
            for action in &rule.actions {
                if let Err(reason) = check_action(state, object, action)? {
                    reasons.push(reason.by_rule(rule.name.as_str()));
                }
            }
        }
    }
    if reasons.is_empty() { Ok(()) } else { Err(Refusal::record(reasons)) }
}

/// What is wrong with a rule that is there, if its object is as `object` says.
pub(crate) fn trouble(state: &State, object: &ObjectSchema, rule: &Rule) -> Vec<Reason> {
    match check(state, object, Some(rule), rule) {
        Ok(()) => Vec::new(),
        Err(refusal) if refusal.reasons.is_empty() => {
            vec![Reason::new(ReasonCode::BadRule, refusal.message)]
        }
        Err(refusal) => refusal.reasons,
    }
}

fn bounded(count: usize, max: usize, what: &str) -> Result<(), Refusal> {
    if count <= max { Ok(()) } else { Err(people::limit(what, max)) }
}

fn criteria(object: &ObjectSchema, text: &str, rule: &str, reasons: &mut Vec<Reason>) {
    if !text.trim().is_empty()
        && let Err(error) = Expression::criterion(text, object)
    {
        reasons.push(Reason::new(ReasonCode::BadExpression, error.to_string()).by_rule(rule));
    }
}

/// Whether an action can be done: a reason, or the refusal of something that it names.
fn check_action(
    state: &State,
    object: &ObjectSchema,
    action: &Action,
) -> Result<Result<(), Reason>, Refusal> {
    let bad = |text: &str| Ok(Err(Reason::new(ReasonCode::BadRule, text)));
    match action {
        Action::Set { value: Some(_), formula: Some(_), .. } => {
            bad("set takes a value or a formula, not both")
        }
        Action::Set { field, value, formula: None } => {
            Ok(writable(object, field).and_then(|()| constant(object, field, value.as_deref()).map(|_| ())))
        }
        Action::Set { field, formula: Some(formula), .. } => {
            let compiled = Expression::of_change(formula, object);
            let compiled = compiled
                .map(|_| ())
                .map_err(|error| Reason::new(ReasonCode::BadExpression, error.to_string()).on_field(field));
            Ok(writable(object, field).and(compiled))
        }
        // Who can own a record was looked at before.
        Action::Assign { .. } => Ok(Ok(())),
        Action::Task { subject, owner, .. } => {
            if !state.objects.contains_key(TASK) {
                return bad("this org has no object Task: define it first");
            }
            if let Some(owner) = owner {
                people::find_active(state, owner)?;
            }
            if subject.trim().is_empty() || subject.chars().count() > LABEL_CHARS_MAX {
                return bad("the subject of a task is a text of 1 to 255 characters");
            }
            Ok(tell::check_template(object, subject))
        }
        Action::Notify { users, message } => {
            users.iter().try_for_each(|user| people::find_active(state, user).map(|_| ()))?;
            if users.is_empty() || message.trim().is_empty() {
                return bad("notify needs users, and a message");
            }
            Ok(tell::check_template(object, message))
        }
        Action::Mail { to, template, subject, text } => {
            tell::check_mail(state, object, to, template.as_ref(), subject, text)
        }
        Action::Webhook { url, fields, .. } => {
            check_url(url)?;
            Ok(fields.iter().try_for_each(|field| object.require(field).map(|_| ())))
        }
    }
}

fn writable(object: &ObjectSchema, field: &FieldName) -> Result<(), Reason> {
    let schema = object.require(field)?;
    if schema.kind == FieldKind::Data && schema.updatable {
        return Ok(());
    }
    let text = format!("{}.{field} is set by the system: no rule can write it", object.name);
    Err(Reason::new(ReasonCode::NotUpdatable, text).on_field(field))
}

/// The constant of an action, as its field keeps it.
pub(super) fn constant(
    object: &ObjectSchema,
    field: &FieldName,
    text: Option<&str>,
) -> Result<Value, Reason> {
    let schema = object.require(field)?;
    let value = Value::from_text(schema, text.unwrap_or_default())?;
    value.check(schema).map(|()| value)
}

/// What a formula gave, as its field keeps it.
pub(super) fn computed(object: &ObjectSchema, field: &FieldName, value: &Value) -> Result<Value, Reason> {
    let schema = object.require(field)?;
    let value = cast(value, schema)?;
    value.check(schema).map(|()| value)
}
