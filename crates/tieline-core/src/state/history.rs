//! How often values were lost.

use serde::{Deserialize, Serialize};

use crate::event::Loser;

/// Values that lost against others that their writers had not seen (S2S-51).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Conflicts {
    /// Values of the partner that lost here.
    pub theirs: u64,
    /// Values of ours that lost at the partner, as far as it told.
    pub ours: u64,
}

impl Conflicts {
    pub(crate) const fn add(&mut self, loser: Loser, fields: u64) {
        match loser {
            Loser::Theirs => self.theirs += fields,
            Loser::Ours => self.ours += fields,
        }
    }
}
