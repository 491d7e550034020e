//! What people define: sharing, assignment, escalation and workflow rules.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::sharing::TaskChoice;
use crate::{ConnectionId, FieldName, MailTemplateName, ObjectName, Owner, RuleName, SecretName, UserName};

const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
const fn is_yes(truth: &bool) -> bool {
    *truth
}

/// Offers the records that meet its criteria to connections (S2S-43).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharingRule {
    /// Its name.
    pub name: RuleName,
    /// The object whose records it is about.
    pub object: ObjectName,
    /// Whether it is in force.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub active: bool,
    /// Which records, as a condition; every one if it is empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub criteria: String,
    /// To which connections.
    pub connections: BTreeSet<ConnectionId>,
    /// Whether a record that meets the criteria no more is shared no more: only what this rule shared.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unshare: bool,
    /// The tasks that follow once a record is accepted (S2S-44).
    #[serde(default, skip_serializing_if = "TaskChoice::is_none")]
    pub tasks: TaskChoice,
    /// Such tasks follow also when they are made later.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub new_tasks: bool,
    /// Whether everybody who accepts has the record; else the first (S2S-45).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub several: bool,
}

/// One line of an assignment rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssignmentEntry {
    /// Which records, as a condition; every one if it is empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub criteria: String,
    /// Who gets them.
    pub owner: Owner,
}

/// Who gets the records of an object: the first entry whose criteria a record meets says it (S2S-47).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssignmentRule {
    /// The object; it has one rule.
    pub object: ObjectName,
    /// Whether it is in force.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub active: bool,
    /// The entries, in the order in which they are tried.
    pub entries: Vec<AssignmentEntry>,
}

/// One step of an escalation rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EscalationEntry {
    /// Its name, distinct within the rule.
    pub name: RuleName,
    /// Which records, as a condition; every one if it is empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub criteria: String,
    /// After so many minutes without a change.
    pub after_minutes: u32,
    /// Who gets them then; a queue with a connection as member is thereby offered them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Who is told.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub notify: BTreeSet<UserName>,
}

/// What happens to records of an object that nobody has changed for a while (S2S-75).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EscalationRule {
    /// The object; it has one rule.
    pub object: ObjectName,
    /// Whether it is in force.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub active: bool,
    /// The steps.
    pub entries: Vec<EscalationEntry>,
}

/// When a workflow rule looks at a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// When it is created.
    Created,
    /// When it is created or changed, each time that it meets the criteria.
    Every,
    /// When it is created or changed, and begins to meet the criteria.
    #[default]
    Starts,
}

/// What a workflow rule does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Writes a field of the record.
    Set {
        /// The field.
        field: FieldName,
        /// The value as text; an empty one takes the value away.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<String>,
        /// An expression that gives the value, instead.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        formula: Option<String>,
    },
    /// Gives the record to another owner.
    Assign {
        /// To whom: a user or a queue.
        to: Owner,
    },
    /// Creates a task for the record.
    Task {
        /// What is to be done.
        subject: String,
        /// Days from now on until it is due.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due_in_days: Option<u16>,
        /// Who has to do it; without one, who owns the record, or changed it if that is a queue.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<UserName>,
    },
    /// Tells users of it, each as that user has set it.
    Notify {
        /// Whom.
        users: BTreeSet<UserName>,
        /// What they are told; `{{Field}}` is the value of a field.
        message: String,
    },
    /// Sends a mail.
    Mail {
        /// To whom: an address, or the field that holds it.
        to: String,
        /// A mail template for this purpose, instead of subject and text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        template: Option<MailTemplateName>,
        /// The subject; `{{Field}}` is the value of a field.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        subject: String,
        /// The text, with values of fields likewise.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        text: String,
    },
    /// Calls a web address with the record's id and some of its fields.
    Webhook {
        /// The address.
        url: String,
        /// The fields that are sent.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        fields: BTreeSet<FieldName>,
        /// The secret that signs the call.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        secret: Option<SecretName>,
    },
}

/// Does something when a record is created or changed, here or by a partner (S2S-70).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkflowRule {
    /// Its name; the rules of an object are looked at in the order of their names.
    pub name: RuleName,
    /// The object whose records it is about.
    pub object: ObjectName,
    /// Whether it is in force.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub active: bool,
    /// When it looks at a record.
    #[serde(default)]
    pub when: When,
    /// Which records, as a condition; every one if it is empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub criteria: String,
    /// What it does, in this order.
    pub actions: Vec<Action>,
}

/// A kind of rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleKind {
    /// A sharing rule.
    Sharing,
    /// The assignment rule of an object.
    Assignment,
    /// The escalation rule of an object.
    Escalation,
    /// A workflow rule.
    Workflow,
}

impl RuleKind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[Self::Sharing, Self::Assignment, Self::Escalation, Self::Workflow];

    /// The kind as the command line and the API name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sharing => "sharing",
            Self::Assignment => "assignment",
            Self::Escalation => "escalation",
            Self::Workflow => "workflow",
        }
    }
}

/// A rule of any kind, as it is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// A sharing rule.
    Sharing(SharingRule),
    /// The assignment rule of an object.
    Assignment(AssignmentRule),
    /// The escalation rule of an object.
    Escalation(EscalationRule),
    /// A workflow rule.
    Workflow(WorkflowRule),
}

impl Rule {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> RuleKind {
        match self {
            Self::Sharing(_) => RuleKind::Sharing,
            Self::Assignment(_) => RuleKind::Assignment,
            Self::Escalation(_) => RuleKind::Escalation,
            Self::Workflow(_) => RuleKind::Workflow,
        }
    }

    /// Whether it is switched on.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        match self {
            Self::Sharing(rule) => rule.active,
            Self::Assignment(rule) => rule.active,
            Self::Escalation(rule) => rule.active,
            Self::Workflow(rule) => rule.active,
        }
    }

    /// What it is called: its name, or that of the object which has but one of its kind.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Sharing(rule) => rule.name.as_str(),
            Self::Assignment(rule) => rule.object.as_str(),
            Self::Escalation(rule) => rule.object.as_str(),
            Self::Workflow(rule) => rule.name.as_str(),
        }
    }

    /// The object whose records it is about.
    #[must_use]
    pub const fn object(&self) -> &ObjectName {
        match self {
            Self::Sharing(rule) => &rule.object,
            Self::Assignment(rule) => &rule.object,
            Self::Escalation(rule) => &rule.object,
            Self::Workflow(rule) => &rule.object,
        }
    }

    /// The owners to whom it gives records.
    pub fn owners<'a>(&'a self) -> impl Iterator<Item = &'a Owner> {
        let (entries, steps, actions): (&[AssignmentEntry], &[EscalationEntry], &[Action]) = match self {
            Self::Sharing(_) => (&[], &[], &[]),
            Self::Assignment(rule) => (&rule.entries, &[], &[]),
            Self::Escalation(rule) => (&[], &rule.entries, &[]),
            Self::Workflow(rule) => (&[], &[], &rule.actions),
        };
        let assigned = |action: &'a Action| match action {
            Action::Assign { to } => Some(to),
            _ => None,
        };
        let named = entries.iter().map(|entry| &entry.owner);
        named
            .chain(steps.iter().filter_map(|step| step.owner.as_ref()))
            .chain(actions.iter().filter_map(assigned))
    }
}
