//! Commands about the configuration as a whole.

use crate::config::{ConfigHash, Member};

/// One thing asked of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigCommand {
    /// Does the commands of a plan, all or none, as one group in the log (OPS-12).
    Apply {
        /// The commands, in the order in which each finds what it needs.
        members: Vec<Member>,
        /// The configuration that the plan was made for; nothing applies it to whatever there is.
        based_on: Option<ConfigHash>,
    },
}
