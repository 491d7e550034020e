//! Queues and rules as the state keeps them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::QueueName;
use crate::automation::Queue;

/// What happens by itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Automation {
    /// The queues.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub queues: BTreeMap<QueueName, Queue>,
}

impl Automation {
    /// Whether nothing can happen by itself.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.queues.is_empty()
    }
}
