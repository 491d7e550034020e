//! Connections: the agreement, the rules, what the partner was told about them.

use serde::{Deserialize, Serialize};

use crate::invitation::InvitedContact;
use crate::mapping::SubscribeRule;
use crate::message::{Catalogue, SubscriptionNotice};
use crate::publish::PublishRule;
use crate::{ConnectionId, Incarnation, ObjectName, OrgName, Position, Timestamp, UserName};

/// An invitation was made (S2S-06).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationSent {
    /// The connection.
    pub connection: ConnectionId,
    /// The hash of the one-time secret.
    #[serde(with = "serde_bytes")]
    pub secret_hash: [u8; 32],
    /// When the invitation ends.
    pub expires: Timestamp,
    /// Who manages the connection on this side.
    pub owner: UserName,
    /// What the connection is called here.
    #[serde(default)]
    pub label: String,
    /// The contact that it was mailed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<InvitedContact>,
    /// By whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<UserName>,
}

/// An invitation of another org was answered here (S2S-10).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationAnswered {
    /// The connection.
    pub connection: ConnectionId,
    /// The inviting org.
    pub inviter: OrgName,
    /// Its public key, from the connection URL.
    #[serde(with = "serde_bytes")]
    pub public_key: [u8; 32],
    /// The hash of the one-time secret.
    #[serde(with = "serde_bytes")]
    pub secret_hash: [u8; 32],
    /// The answer.
    pub accept: bool,
    /// Who manages the connection on this side.
    pub owner: UserName,
    /// What the connection is called here.
    #[serde(default)]
    pub label: String,
    /// Who answered; the owner if nobody is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<UserName>,
}

/// Both sides have agreed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionEstablished {
    /// The connection.
    pub connection: ConnectionId,
    /// The partner.
    pub partner: OrgName,
    /// The partner's public key.
    #[serde(with = "serde_bytes")]
    pub public_key: [u8; 32],
    /// The life of the partner's log.
    pub incarnation: Incarnation,
    /// The user of the partner who manages the connection there (S2S-11).
    pub partner_owner: UserName,
    /// The user of the partner who accepted, where that was told (S2S-11).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<UserName>,
}

/// The invited org declined, or the inviter refused the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionDeclined {
    /// The connection.
    pub connection: ConnectionId,
    /// The org that answered, where it is known.
    #[serde(default)]
    pub partner: Option<OrgName>,
    /// Its public key, so that the same answer gets the same reply.
    #[serde(default, with = "serde_bytes")]
    pub public_key: Option<[u8; 32]>,
    /// `declined`, or the code of the refusal.
    pub code: String,
}

/// The inviter took the invitation back (S2S-09).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationRevoked {
    /// The connection.
    pub connection: ConnectionId,
    /// By whom.
    pub actor: UserName,
}

/// Sharing over the connection has ended (S2S-12).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionDeactivated {
    /// The connection.
    pub connection: ConnectionId,
    /// Who did it here; nobody if the partner did.
    #[serde(default)]
    pub actor: Option<UserName>,
}

/// The partner's log has a new life: positions begin anew both ways.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartnerReincarnated {
    /// The connection.
    pub connection: ConnectionId,
    /// The new, greater incarnation.
    pub incarnation: Incarnation,
}

/// The partner durably has our positions up to here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptNoted {
    /// The connection.
    pub connection: ConnectionId,
    /// The position.
    pub position: Position,
}

/// The connection is stopped until a person looks at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionSuspended {
    /// The connection.
    pub connection: ConnectionId,
    /// Whether it is stopped now.
    pub suspended: bool,
    /// By whom, if a person did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<UserName>,
}

/// What is published of one object changed; no rule means nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishRuleSet {
    /// The connection.
    pub connection: ConnectionId,
    /// The object.
    pub object: ObjectName,
    /// The rule.
    pub rule: Option<PublishRule>,
    /// By whom.
    pub actor: UserName,
}

/// What is taken of one of the partner's objects changed; no rule means nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscribeRuleSet {
    /// The connection.
    pub connection: ConnectionId,
    /// The partner's object.
    pub object: ObjectName,
    /// The rule.
    pub rule: Option<SubscribeRule>,
    /// By whom.
    pub actor: UserName,
}

/// The partner is told what we publish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogueSent {
    /// The connection.
    pub connection: ConnectionId,
    /// The position of the message.
    pub position: Position,
    /// The message.
    pub catalogue: Catalogue,
}

/// The partner is told what we take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionSent {
    /// The connection.
    pub connection: ConnectionId,
    /// The position of the message.
    pub position: Position,
    /// The message.
    pub notice: SubscriptionNotice,
}

/// The partner was asked for its share states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcileAsked {
    /// The connection.
    pub connection: ConnectionId,
    /// The position of the message.
    pub position: Position,
    /// By whom, if a person did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<UserName>,
}
