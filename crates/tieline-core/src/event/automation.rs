//! Queues and rules, and what they did.

use serde::{Deserialize, Serialize};

use crate::automation::{AssignmentRule, EscalationRule, Queue, RuleKind, SharingRule, WorkflowRule};
use crate::reason::Reason;
use crate::{ConnectionId, ObjectName, QueueName, RecordId, RuleName, ShareId, Timestamp, UserName};

/// A queue was defined or changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueSet {
    /// The definition.
    pub queue: Queue,
    /// By whom.
    pub actor: UserName,
}

/// A queue that owned nothing was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueRemoved {
    /// The queue.
    pub queue: QueueName,
    /// By whom.
    pub actor: UserName,
}

/// A sharing rule was defined or changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharingRuleSet {
    /// The definition.
    pub rule: SharingRule,
    /// By whom.
    pub actor: UserName,
}

/// The assignment rule of an object was defined or changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssignmentRuleSet {
    /// The definition.
    pub rule: AssignmentRule,
    /// By whom.
    pub actor: UserName,
}

/// The escalation rule of an object was defined or changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EscalationRuleSet {
    /// The definition.
    pub rule: EscalationRule,
    /// By whom.
    pub actor: UserName,
}

/// A workflow rule was defined or changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowRuleSet {
    /// The definition.
    pub rule: WorkflowRule,
    /// By whom.
    pub actor: UserName,
}

/// A rule was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleRemoved {
    /// Its kind.
    pub kind: RuleKind,
    /// Its name, or the object that had it.
    pub rule: String,
    /// By whom.
    pub actor: UserName,
}

/// A sharing rule offered a record, or ended what it had offered: stands after the offer or the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleShared {
    /// The connection.
    pub connection: ConnectionId,
    /// The share.
    pub share: ShareId,
    /// The rule.
    pub rule: RuleName,
    /// Whether the share has ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ended: bool,
}

/// A rule could not do, or could not even tell, what it is for. What triggered it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleFailed {
    /// Its kind.
    pub kind: RuleKind,
    /// Its name, or the object that has it.
    pub rule: String,
    /// The record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<RecordId>,
    /// The connection over which it could not be offered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// Why.
    pub reasons: Vec<Reason>,
}

/// Fields of a record could not be computed and are empty. The change of the record stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComputationFailed {
    /// The record.
    pub record: RecordId,
    /// Its object.
    pub object: ObjectName,
    /// Why, with the field of each.
    pub reasons: Vec<Reason>,
}

/// A record that nobody had changed for a while was escalated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escalated {
    /// The record.
    pub record: RecordId,
    /// Its object, whose rule it was.
    pub object: ObjectName,
    /// The step of the rule.
    pub entry: RuleName,
    /// Since when it had not been changed.
    pub since: Timestamp,
}

/// The records whose time had come for a step of an escalation rule were looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EscalationAdvanced {
    /// The object.
    pub object: ObjectName,
    /// The step of its rule.
    pub entry: RuleName,
    /// Everything that was last changed before this moment was looked at,
    pub since: Timestamp,
    /// and of those changed at this moment everything up to this record.
    pub record: RecordId,
}
