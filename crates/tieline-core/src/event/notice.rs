//! Notices: raised, read, sent together, and how users want them.

use serde::{Deserialize, Serialize};

use crate::notice::{NoticeKind, NoticeSettings};
use crate::{ConnectionId, NoticeId, RecordId, UserName};

/// A user is told something (S2S-74).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeRaised {
    /// Its id.
    pub id: NoticeId,
    /// To whom.
    pub user: UserName,
    /// What it is about.
    pub kind: NoticeKind,
    /// The connection that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// The record that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<RecordId>,
    /// One sentence.
    pub text: String,
    /// Whether it waits to be sent with others; else it was sent at once, or is only listed.
    #[serde(default)]
    pub waits: bool,
}

/// A user has seen notices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticesRead {
    /// Whose they are.
    pub user: UserName,
    /// Which; none named means all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<NoticeId>,
}

/// The notices of these kinds that waited for a user were sent together, or would have been.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigestMade {
    /// Whose they are.
    pub user: UserName,
    /// The kinds.
    pub kinds: Vec<NoticeKind>,
}

/// How a user is told of notices was set; nothing means as the org says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeSettingsSet {
    /// The user; nobody means everybody who has no settings of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserName>,
    /// What holds from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<NoticeSettings>,
    /// By whom.
    pub actor: UserName,
}
