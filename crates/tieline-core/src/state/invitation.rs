//! Invitations as the state keeps them, besides the connections that they have made.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::invitation::{InvitationDetails, ReceivedInvitation};
use crate::mail_template::{MailPurpose, MailTemplate};
use crate::{ConnectionId, MailTemplateName, OrgName, Timestamp, UserName};

/// Saved invitations, those of others that wait for a decision, and what mails say.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Invitations {
    /// Saved and not sent.
    pub saved: BTreeMap<ConnectionId, SavedInvitation>,
    /// Of other orgs, to be decided on later.
    pub postponed: BTreeMap<ConnectionId, PostponedInvitation>,
    /// Mail templates.
    pub templates: BTreeMap<MailTemplateName, MailTemplate>,
}

/// An invitation that was saved and not sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedInvitation {
    /// What it is to be.
    pub details: InvitationDetails,
    /// When it was saved first.
    pub created: Timestamp,
    /// By whom it was saved last.
    pub actor: UserName,
}

/// An invitation of another org that will be decided on later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostponedInvitation {
    /// The invitation.
    pub invitation: ReceivedInvitation,
    /// When that was said.
    pub time: Timestamp,
    /// By whom.
    pub actor: UserName,
}

/// What an invited org told of an invitation of ours that it did not answer yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Postponement {
    /// When it was heard.
    pub time: Timestamp,
    /// The org.
    pub partner: OrgName,
    /// Who of it.
    pub user: UserName,
}

impl Invitations {
    /// The template of this name, or the one for a purpose if none is named.
    #[must_use]
    pub fn template(&self, name: Option<&MailTemplateName>, purpose: MailPurpose) -> Option<MailTemplate> {
        let standard = MailTemplateName::of(purpose);
        let name = name.unwrap_or(&standard);
        let built_in = || MailPurpose::ALL.iter().map(|purpose| purpose.built_in()).find(|t| t.name == *name);
        self.templates.get(name).cloned().or_else(built_in)
    }
}
