//! Queues, and who owns a record.

use crate::automation::Queue;
use crate::{AssignTo, ConnectionId, QueueName, RecordId};

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
}
