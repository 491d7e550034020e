//! What happens by itself: queues and rules as people set them, and (in `run`) what a change of a record
//! causes.

mod assign;
mod assignment;
mod escalate;
mod queue;
mod rules;
mod run;
mod sharing;
mod tell;
mod workflow;

use crate::automation::{Criteria, Facts, Rule, RuleKind, Was};
use crate::command::{AutomationCommand, Refusal, Reply};
use crate::decide::draft::Draft;
use crate::decide::{jobs, share};
use crate::job::JobKind;
use crate::reason::Reason;
use crate::state::{Record, State};
use crate::{FieldName, RuleName, Timestamp};

pub(super) use assign::{check_owner, give, known_owner, owner_by_rules, owner_named, owner_of_copy};
pub use escalate::is_escalation_due;
pub(super) use rules::TASK;
pub(crate) use rules::trouble as rule_trouble;
pub use run::Run;
pub(super) use sharing::on_demand as share_on_demand;
pub(super) use tell::check_named;

/// Decides a command about queues and rules.
pub(super) fn decide(draft: &mut Draft<'_>, command: &AutomationCommand) -> Result<Reply, Refusal> {
    match command {
        AutomationCommand::SetQueue { queue } => queue::set(draft, queue),
        AutomationCommand::RemoveQueue { queue } => queue::remove(draft, queue),
        AutomationCommand::ShareQueue { queue, connection } => queue::share(draft, queue, *connection),
        AutomationCommand::Assign { record, to } => assign::assign(draft, *record, to),
        AutomationCommand::SetRule { rule } => rules::set(draft, rule),
        AutomationCommand::RemoveRule { kind, rule } => rules::remove(draft, *kind, rule),
        AutomationCommand::ApplySharing { rule } => apply_sharing(draft, rule),
        AutomationCommand::Escalate => escalate::escalate(draft),
    }
}

/// Lets a sharing rule look at all records of its object: a job for each of its connections.
fn apply_sharing(draft: &mut Draft<'_>, name: &RuleName) -> Result<Reply, Refusal> {
    let Rule::Sharing(rule) = rules::find(draft.state, RuleKind::Sharing, name.as_str())? else {
        return Ok(Reply::Unchanged);
    };
    if !rule.active {
        let text = format!("the rule {name} is not active: set it with active = true");
        return Err(Refusal::conflict("rule_inactive", text));
    }
    for connection in &rule.connections {
        share::active(draft.state, *connection)?;
    }
    let mut first = None;
    for connection in rule.connections {
        let kind = JobKind::ApplySharing { connection, rule: name.clone() };
        let job = jobs::begin(draft, kind);
        first.get_or_insert(job);
    }
    Ok(first.map_or(Reply::Unchanged, Reply::Job))
}

/// Which condition of a rule a record meets now, for those who try a rule out: the rule itself, the
/// entry by its number from 1, or the step by its name.
///
/// # Errors
/// A condition cannot be evaluated.
pub fn meets_now(state: &State, rule: &Rule, record: &Record, now: Timestamp) -> Result<bool, Reason> {
    let Some(object) = state.object(rule.object()) else { return Ok(false) };
    let facts = Facts::of(state, record, false);
    let lookup = |name: &FieldName| record.fields.get(name).map(|field| &field.value);
    let texts: Vec<&str> = match rule {
        Rule::Sharing(rule) => vec![&rule.criteria],
        Rule::Workflow(rule) => vec![&rule.criteria],
        Rule::Assignment(rule) => rule.entries.iter().map(|entry| entry.criteria.as_str()).collect(),
        Rule::Escalation(rule) => rule.entries.iter().map(|entry| entry.criteria.as_str()).collect(),
    };
    for text in texts {
        if Criteria::compile(text, object).hold(lookup, Was::Same, &facts, now)? {
            return Ok(true);
        }
    }
    Ok(false)
}
