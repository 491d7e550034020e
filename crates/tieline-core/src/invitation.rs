//! Invitations by mail: whom they go to and what is kept of them (S2S-06), and invitations of other
//! orgs that are not answered yet (S2S-10).

use serde::{Deserialize, Serialize};

use crate::{ConnectionId, ConnectionTemplateName, MailTemplateName, OrgName, RecordId, Timestamp, UserName};

/// What an invitation by mail is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationDetails {
    /// To whom it goes: a contact with an address.
    pub contact: RecordId,
    /// The account that the connection is for; the contact's own if none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<RecordId>,
    /// Who manages the connection here; the actor if nobody is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<UserName>,
    /// What the connection is called here; the name of account or contact if nothing is said.
    #[serde(default)]
    pub label: String,
    /// What the mail says; the template `invitation` if none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail_template: Option<MailTemplateName>,
    /// The connection template that is applied once the connection is active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<ConnectionTemplateName>,
    /// How long it holds once it is sent.
    pub expires_in_s: u32,
}

/// Whom an invitation went to, as the contact was then.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct InvitedContact {
    /// The contact.
    pub record: RecordId,
    /// Its name.
    pub name: String,
    /// Its address.
    pub email: String,
    /// The account that the connection is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<RecordId>,
    /// The name of the account.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub account_name: String,
}

/// An invitation of another org, as its connection URL has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedInvitation {
    /// The connection that it offers.
    pub connection: ConnectionId,
    /// The inviting org.
    pub inviter: OrgName,
    /// Its public key.
    #[serde(with = "serde_bytes")]
    pub public_key: [u8; 32],
    /// The hash of the one-time secret.
    #[serde(with = "serde_bytes")]
    pub secret_hash: [u8; 32],
    /// When it ends.
    pub expires: Timestamp,
}
