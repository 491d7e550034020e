//! Connection templates: what is published and subscribed, saved under a name (S2S-13).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::mapping::SubscribeRule;
use crate::publish::PublishRule;
use crate::{ConnectionTemplateName, ObjectName, Timestamp, UserName};

/// Settings that can be given to any connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectionTemplate {
    /// Its name.
    pub name: ConnectionTemplateName,
    /// What is published, by object.
    #[serde(default)]
    pub publish: BTreeMap<ObjectName, PublishRule>,
    /// What is taken, by the partner's object.
    #[serde(default)]
    pub subscribe: BTreeMap<ObjectName, SubscribeRule>,
}

/// A template given to a connection, and what became of each of its rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenTemplate {
    /// Which.
    pub template: ConnectionTemplateName,
    /// By whom: with what they may do it is applied.
    pub actor: UserName,
    /// When.
    pub given: Timestamp,
    /// The rules, as `publish.Lead`; none before the connection is active.
    #[serde(default)]
    pub rules: BTreeMap<String, RuleFate>,
}

/// What became of a rule of a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleFate {
    /// It holds.
    Applied,
    /// It waits until the partner publishes the object, with all fields that the rule takes.
    Waits,
    /// It was refused, with the reason.
    Refused(String),
}

impl RuleFate {
    /// The fate in API and CLI.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Waits => "waits",
            Self::Refused(_) => "refused",
        }
    }
}

impl GivenTemplate {
    /// Whether something of it is still to be applied.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.rules.is_empty() || self.rules.values().any(|fate| *fate == RuleFate::Waits)
    }
}
