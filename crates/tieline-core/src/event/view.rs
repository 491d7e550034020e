//! Saved views.

use serde::{Deserialize, Serialize};

use crate::view::{InboxView, RecordView};
use crate::{UserName, ViewName};

/// A list view was defined or changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordViewSet {
    /// The definition.
    pub view: RecordView,
    /// By whom.
    pub actor: UserName,
}

/// A list view was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordViewRemoved {
    /// The view.
    pub view: ViewName,
    /// By whom.
    pub actor: UserName,
}

/// An inbox view was defined or changed (S2S-46).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboxViewSet {
    /// The definition.
    pub view: InboxView,
    /// By whom.
    pub actor: UserName,
}

/// An inbox view was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboxViewRemoved {
    /// The view.
    pub view: ViewName,
    /// By whom.
    pub actor: UserName,
}
