//! The configuration as a whole.

use serde::{Deserialize, Serialize};

use crate::UserName;

/// Files were applied: the events of this group, up to this one, are what they changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigApplied {
    /// How many commands had an effect.
    pub commands: u32,
    /// The hash of the configuration before.
    #[serde(with = "serde_bytes")]
    pub before: [u8; 32],
    /// The hash of the configuration after.
    #[serde(with = "serde_bytes")]
    pub after: [u8; 32],
    /// By whom.
    pub actor: UserName,
}
