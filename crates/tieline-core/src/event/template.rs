//! Connection templates.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::template::{ConnectionTemplate, RuleFate};
use crate::{ConnectionId, ConnectionTemplateName, UserName};

/// A connection template was defined or changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateSet {
    /// The definition.
    pub template: ConnectionTemplate,
    /// By whom.
    pub actor: UserName,
}

/// A connection template was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateRemoved {
    /// The template.
    pub template: ConnectionTemplateName,
    /// By whom.
    pub actor: UserName,
}

/// A template was given to a connection. What it set stands in the events before this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateGiven {
    /// The connection.
    pub connection: ConnectionId,
    /// The template.
    pub template: ConnectionTemplateName,
    /// What became of its rules; none as long as the connection is not active.
    #[serde(default)]
    pub rules: BTreeMap<String, RuleFate>,
    /// By whom.
    pub actor: UserName,
}
