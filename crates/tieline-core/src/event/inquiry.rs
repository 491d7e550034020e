//! Questions to contacts whether a connection is possible.

use serde::{Deserialize, Serialize};

use crate::inquiry::InquiryAnswer;
use crate::invitation::InvitedContact;
use crate::{InquiryId, UserName};

/// A contact was asked whether a connection is possible (S2S-17).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InquirySent {
    /// Its id, which the mail names as the code of the answer.
    pub id: InquiryId,
    /// Who was asked.
    pub contact: InvitedContact,
    /// By whom.
    pub actor: UserName,
}

/// What a contact answered was recorded; the last answer holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InquiryAnswered {
    /// Which question.
    pub id: InquiryId,
    /// The answer.
    pub answer: InquiryAnswer,
}
