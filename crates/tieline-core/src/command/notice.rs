//! What can be asked about notices.

use crate::notice::NoticeSettings;
use crate::{NoticeId, UserName};

/// One thing asked about notices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoticeCommand {
    /// Makes the digests whose time has come.
    MakeDigests,
    /// The actor has seen notices.
    Read {
        /// Which; none named means all.
        ids: Vec<NoticeId>,
    },
    /// Sets how a user is told, or everybody who has no settings of their own.
    Set {
        /// The user; nobody means the org.
        user: Option<UserName>,
        /// What is to hold; nothing takes the settings away.
        settings: Option<NoticeSettings>,
    },
}
