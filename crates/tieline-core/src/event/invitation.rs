//! Invitations by mail, those that are not answered yet, and mail templates.

use serde::{Deserialize, Serialize};

use crate::invitation::{InvitationDetails, ReceivedInvitation};
use crate::mail_template::MailTemplate;
use crate::{ConnectionId, MailTemplateName, OrgName, UserName};

/// A mail template was defined or changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailTemplateSet {
    /// The definition.
    pub template: MailTemplate,
    /// By whom.
    pub actor: UserName,
}

/// A mail template was removed; a built-in one of its name holds again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailTemplateRemoved {
    /// Its name.
    pub name: MailTemplateName,
    /// By whom.
    pub actor: UserName,
}

/// An invitation was saved, to be sent later: it takes no licence, and nobody can answer it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationSaved {
    /// The connection that it will offer.
    pub connection: ConnectionId,
    /// What it is to be.
    pub details: InvitationDetails,
    /// By whom.
    pub actor: UserName,
}

/// A saved invitation is not wanted any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationDiscarded {
    /// The connection that it would have offered.
    pub connection: ConnectionId,
    /// By whom.
    pub actor: UserName,
}

/// An invitation of another org will be decided on later (S2S-10): it is not used up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationPostponed {
    /// The invitation.
    pub invitation: ReceivedInvitation,
    /// By whom.
    pub actor: UserName,
}

/// An invited org told that it decides later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostponementHeard {
    /// The connection.
    pub connection: ConnectionId,
    /// The org.
    pub partner: OrgName,
    /// Who of it.
    pub user: UserName,
}
