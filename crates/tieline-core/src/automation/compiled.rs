//! The rules of one object, compiled once: what runs when one of its records changes.

use super::facts::Criteria;
use super::rules::{Action, AssignmentRule, EscalationRule, SharingRule, WorkflowRule};
use crate::expr::Expression;
use crate::schema::ObjectSchema;
use crate::{Owner, RuleName};

/// The active rules of one object.
#[derive(Debug, Default)]
pub(crate) struct CompiledAutomation {
    /// Workflow rules, in the order of their names.
    pub(crate) workflow: Vec<CompiledWorkflow>,
    /// Sharing rules, in the order of their names.
    pub(crate) sharing: Vec<(SharingRule, Criteria)>,
    /// The entries of the assignment rule.
    pub(crate) assignment: Vec<(Criteria, Owner)>,
    /// The steps of the escalation rule.
    pub(crate) escalation: Vec<(crate::automation::EscalationEntry, Criteria)>,
}

/// A workflow rule with its condition and formulas.
#[derive(Debug)]
pub(crate) struct CompiledWorkflow {
    pub(crate) rule: WorkflowRule,
    pub(crate) criteria: Criteria,
    /// For each action, its formula if it has one.
    pub(crate) formulas: Vec<Option<Result<Expression, String>>>,
}

impl CompiledAutomation {
    /// The rules of an object, from all rules of the org.
    pub(crate) fn compile<'a>(
        object: &ObjectSchema,
        workflow: impl Iterator<Item = &'a WorkflowRule>,
        sharing: impl Iterator<Item = &'a SharingRule>,
        assignment: Option<&AssignmentRule>,
        escalation: Option<&EscalationRule>,
    ) -> Self {
        let name = &object.name;
        let criteria = |text: &str| Criteria::compile(text, object);
        let workflow = workflow.filter(|rule| rule.active && rule.object == *name).map(|rule| {
            let formula = |action: &Action| match action {
                Action::Set { formula: Some(formula), .. } => {
                    Some(Expression::of_change(formula, object).map_err(|error| error.to_string()))
                }
                _ => None,
            };
            CompiledWorkflow {
                criteria: criteria(&rule.criteria),
                formulas: rule.actions.iter().map(formula).collect(),
                rule: rule.clone(),
            }
        });
        let sharing = sharing.filter(|rule| rule.active && rule.object == *name);
        let sharing = sharing.map(|rule| (rule.clone(), criteria(&rule.criteria)));
        let assignment = assignment.filter(|rule| rule.active).map_or(&[][..], |rule| &rule.entries);
        let assignment = assignment.iter().map(|entry| (criteria(&entry.criteria), entry.owner.clone()));
        let escalation = escalation.filter(|rule| rule.active).map_or(&[][..], |rule| &rule.entries);
        let escalation = escalation.iter().map(|entry| (entry.clone(), criteria(&entry.criteria)));
        Self {
            workflow: workflow.collect(),
            sharing: sharing.collect(),
            assignment: assignment.collect(),
            escalation: escalation.collect(),
        }
    }

    /// Whether there is no rule at all.
    pub(crate) const fn is_empty(&self) -> bool {
        self.workflow.is_empty()
            && self.sharing.is_empty()
            && self.assignment.is_empty()
            && self.escalation.is_empty()
    }

    /// Whether a change of a record has to be looked at.
    pub(crate) const fn watches(&self) -> bool {
        !self.workflow.is_empty() || !self.sharing.is_empty()
    }

    /// The sharing rule of this name.
    pub(crate) fn sharing_rule(&self, name: &RuleName) -> Option<&(SharingRule, Criteria)> {
        self.sharing.iter().find(|(rule, _)| rule.name == *name)
    }
}
