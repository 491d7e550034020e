//! What can be asked about effects.

use crate::event::SecretChange;
use crate::{EffectId, SecretName};

/// One thing asked about effects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EffectCommand {
    /// The courier is done with an effect, one way or the other.
    End {
        /// The effect.
        id: EffectId,
        /// Whether it was done.
        sent: bool,
        /// How often it was tried.
        attempts: u32,
        /// Why it was given up.
        error: String,
    },
    /// Tries an effect again that was given up.
    Retry {
        /// The effect.
        id: EffectId,
    },
    /// Forgets an effect that was given up.
    Drop {
        /// The effect.
        id: EffectId,
    },
    /// A secret that signs webhooks was made, rotated or removed, which is no part of the log.
    NoteSecret {
        /// Its name.
        name: SecretName,
        /// What was done.
        change: SecretChange,
    },
}
