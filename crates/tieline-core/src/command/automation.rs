//! Queues and rules, and who owns a record.

use crate::automation::{Queue, Rule, RuleKind};
use crate::{AssignTo, ConnectionId, QueueName, RecordId, RuleName};

/// What is asked of queues and rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AutomationCommand {
    /// Defines a queue, or changes it (S2S-42).
    SetQueue {
        /// The whole definition.
        queue: Box<Queue>,
    },
    /// Removes a queue that owns nothing.
    RemoveQueue {
        /// The queue.
        queue: QueueName,
    },
    /// Offers what a queue owns already to one of its connections, as a job.
    ShareQueue {
        /// The queue.
        queue: QueueName,
        /// The connection.
        connection: ConnectionId,
    },
    /// Gives a record to another owner.
    Assign {
        /// The record.
        record: RecordId,
        /// To whom.
        to: AssignTo,
    },
    /// Defines a sharing, assignment, escalation or workflow rule, or changes it.
    SetRule {
        /// The whole definition.
        rule: Box<Rule>,
    },
    /// Removes a rule.
    RemoveRule {
        /// Its kind.
        kind: RuleKind,
        /// Its name, or the object that has it.
        rule: String,
    },
    /// Lets a sharing rule look at all records of its object, as a job for each of its connections.
    ApplySharing {
        /// The rule.
        rule: RuleName,
    },
    /// Looks at the records whose time has come for an escalation; the daemon's clock says it.
    Escalate,
}
