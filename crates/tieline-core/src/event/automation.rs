//! Queues and rules, and what they did.

use serde::{Deserialize, Serialize};

use crate::automation::Queue;
use crate::{QueueName, UserName};

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
