//! The partner finder: contacts are asked whether they can connect, and what they answer is kept
//! (S2S-17). The directory lists only orgs that agreed to be listed.

use serde::{Deserialize, Serialize};

use crate::codes::codes;
use crate::{OrgName, UserName};

codes! {
    /// What a contact said.
    pub enum InquiryReply: "answer to an inquiry" {
        /// It has Tieline and can connect.
        Yes = 1 "yes",
        /// It cannot, or does not want to.
        No = 2 "no",
        /// Not now.
        Later = 3 "later",
    }
}

/// What a contact answered, as a user recorded it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InquiryAnswer {
    /// What it said.
    pub reply: InquiryReply,
    /// The org of the contact, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<OrgName>,
    /// Whether that org agreed to be listed in the directory.
    #[serde(default)]
    pub listed: bool,
    /// What else was said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// Who recorded it.
    pub actor: UserName,
}
