//! What can be asked about invitations by mail and about those that wait for a decision.

use crate::invitation::{InvitationDetails, ReceivedInvitation};
use crate::mail_template::MailTemplate;
use crate::{ConnectionId, MailTemplateName, OrgName, Timestamp, UserName};

/// One thing asked about invitations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvitationCommand {
    /// Invites a contact by mail (S2S-06).
    Send {
        /// What it is to be.
        details: Box<InvitationDetails>,
        /// The hash of the one-time secret.
        secret_hash: [u8; 32],
        /// When it ends.
        expires: Timestamp,
        /// Also if the contact has an invitation or connection already.
        again: bool,
    },
    /// Saves an invitation, to be sent later, or changes a saved one.
    Save {
        /// The saved one.
        connection: Option<ConnectionId>,
        /// What it is to be.
        details: Box<InvitationDetails>,
    },
    /// Sends a saved invitation.
    SendSaved {
        /// The saved one.
        connection: ConnectionId,
        /// The hash of the one-time secret.
        secret_hash: [u8; 32],
        /// When it ends.
        expires: Timestamp,
    },
    /// Forgets a saved invitation.
    Discard {
        /// The saved one.
        connection: ConnectionId,
    },
    /// Another org's invitation will be decided on later (S2S-10).
    Postpone {
        /// The invitation, from the URL.
        invitation: ReceivedInvitation,
    },
    /// An invited org told that it decides later.
    TakePostponement {
        /// The connection.
        connection: ConnectionId,
        /// The org.
        from: OrgName,
        /// Who of it.
        user: UserName,
    },
    /// Defines a mail template, or changes it (S2S-08).
    SetTemplate {
        /// The whole definition.
        template: Box<MailTemplate>,
    },
    /// Removes a mail template.
    RemoveTemplate {
        /// Its name.
        name: MailTemplateName,
    },
}
