//! Effects: queued, ended, tried again, dropped; and the secrets that sign them.

use serde::{Deserialize, Serialize};

use crate::effect::{Cause, Effect};
use crate::{EffectId, SecretName, UserName};

/// Something has to be done outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectQueued {
    /// Its id, which travels with it.
    pub id: EffectId,
    /// What has to be done.
    pub effect: Effect,
    /// What it comes from.
    #[serde(default)]
    pub cause: Cause,
}

/// It was done, or given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectEnded {
    /// The effect.
    pub id: EffectId,
    /// Whether it was done.
    pub sent: bool,
    /// How often it was tried.
    #[serde(default)]
    pub attempts: u32,
    /// Why it was given up, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
}

/// An effect that was given up is to be tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectRetried {
    /// The effect.
    pub id: EffectId,
    /// By whom.
    pub actor: UserName,
}

/// An effect that was given up is not wanted any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectDropped {
    /// The effect.
    pub id: EffectId,
    /// By whom.
    pub actor: UserName,
}

/// What was done with a secret that signs webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretChange {
    /// It was made.
    Made,
    /// Another one took its place.
    Rotated,
    /// It was removed.
    Removed,
}

/// A secret that signs webhooks is another. What it is stands in no log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookSecretChanged {
    /// Its name.
    pub name: SecretName,
    /// What was done.
    pub change: SecretChange,
    /// By whom.
    pub actor: UserName,
}
