//! Queues (S2S-42).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::sharing::Forwarding;
use crate::{ConnectionId, GroupName, ObjectName, QueueName, RoleName, UserName};

/// Where records wait for somebody to take them up, with its members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    /// Its name.
    pub name: QueueName,
    /// What people see; if it is empty, the name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub label: String,
    /// The objects whose records it takes.
    pub objects: BTreeSet<ObjectName>,
    /// Users who work on it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub users: BTreeSet<UserName>,
    /// Groups whose users do.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<GroupName>,
    /// Roles whose users do.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub roles: BTreeSet<RoleName>,
    /// Connections to which its records are offered.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub connections: BTreeSet<ConnectionId>,
    /// Whether each of those that accept has the record; else the first (S2S-45).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub several: bool,
}

impl Queue {
    /// A queue without members.
    #[must_use]
    pub const fn new(name: QueueName, objects: BTreeSet<ObjectName>) -> Self {
        Self {
            name,
            label: String::new(),
            objects,
            users: BTreeSet::new(),
            groups: BTreeSet::new(),
            roles: BTreeSet::new(),
            connections: BTreeSet::new(),
            several: false,
        }
    }

    /// How its records are offered.
    #[must_use]
    pub fn how(&self) -> Forwarding {
        Forwarding { many: self.several, ..Forwarding::default() }
    }

    /// How many members it names.
    #[must_use]
    pub fn members(&self) -> usize {
        self.users.len() + self.groups.len() + self.roles.len() + self.connections.len()
    }
}
