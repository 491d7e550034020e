//! What can be asked about questions to contacts.

use crate::inquiry::InquiryReply;
use crate::{InquiryId, MailTemplateName, OrgName, RecordId};

/// One thing asked about questions to contacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InquiryCommand {
    /// Asks a contact by mail whether a connection is possible.
    Ask {
        /// The contact.
        contact: RecordId,
        /// What the mail says; the template `inquiry` if none is named.
        template: Option<MailTemplateName>,
        /// Also if the contact was asked before.
        again: bool,
    },
    /// Records what a contact answered.
    Record {
        /// Which question.
        id: InquiryId,
        /// What was said.
        reply: InquiryReply,
        /// The org of the contact.
        org: Option<OrgName>,
        /// Whether that org agreed to be listed in the directory.
        listed: bool,
        /// What else was said.
        note: String,
    },
}
