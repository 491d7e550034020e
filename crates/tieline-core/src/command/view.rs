//! Saved views.

use crate::ViewName;
use crate::view::{InboxView, RecordView};

/// What can be asked about saved views.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ViewCommand {
    /// Defines a list view, or changes it.
    Set {
        /// The whole definition.
        view: Box<RecordView>,
    },
    /// Removes a list view.
    Remove {
        /// The view.
        view: ViewName,
    },
    /// Defines an inbox view, or changes it (S2S-46).
    SetInbox {
        /// The whole definition.
        view: Box<InboxView>,
    },
    /// Removes an inbox view.
    RemoveInbox {
        /// The view.
        view: ViewName,
    },
}
