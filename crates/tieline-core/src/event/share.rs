//! Shares: offers, answers, grants, ends.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::account::AccountRule;
use crate::content::Content;
use crate::conversion::ConversionMap;
use crate::event::Delivery;
use crate::message::{EndReason, Offer, ParentLink, Recreate, ShareStates, ValueDecided};
use crate::reason::ReasonCode;
use crate::reference::Links;
use crate::sharing::Forwarding;
use crate::value::Value;
use crate::vecmap::VecMap;
use crate::{
    AssignTo, ConnectionId, FieldName, ObjectName, Position, RecordId, ShareId, Timestamp, UserName,
};

/// A record was offered to a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareOffered {
    /// The connection.
    pub connection: ConnectionId,
    /// The share.
    pub share: ShareId,
    /// Its new generation.
    pub generation: u32,
    /// The record.
    pub record: RecordId,
    /// Its object.
    pub object: ObjectName,
    /// The view fields as they are.
    pub preview: VecMap<FieldName, Value>,
    /// The position of the message.
    pub position: Position,
    /// By whom.
    pub actor: UserName,
    /// With how many, and with which tasks.
    #[serde(default, skip_serializing_if = "Forwarding::is_plain")]
    pub how: Forwarding,
    /// How many orgs have offered it on by a rule, this one included.
    #[serde(default, skip_serializing_if = "is_none")]
    pub hops: u8,
    /// Its references to what is shared over the connection, too.
    #[serde(default, skip_serializing_if = "Links::is_empty")]
    pub links: Links,
}

/// A task was shared with a connection that has what it belongs to (S2S-44).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildGranted {
    /// The connection.
    pub connection: ConnectionId,
    /// The share.
    pub share: ShareId,
    /// Its generation.
    pub generation: u32,
    /// The record.
    pub record: RecordId,
    /// Its object.
    pub object: ObjectName,
    /// The published fields as they are.
    pub content: Content,
    /// What it belongs to.
    pub parents: Vec<ParentLink>,
    /// The position of the message.
    pub position: Position,
    /// The shares of the records that its references name.
    #[serde(default, skip_serializing_if = "VecMap::is_empty")]
    pub links: Links,
    /// By whom.
    pub actor: UserName,
}

/// The partner is told what a person decided about a value of its (S2S-58).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionSent {
    /// The connection.
    pub connection: ConnectionId,
    /// The position of the message.
    pub position: Position,
    /// The message.
    pub decided: ValueDecided,
    /// By whom; this stays here.
    pub actor: UserName,
}

/// How the accounts of accepted records are found changed; no rule means that they are not (S2S-49).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRuleSet {
    /// The connection.
    pub connection: ConnectionId,
    /// The partner's object.
    pub object: ObjectName,
    /// The rule.
    pub rule: Option<AccountRule>,
    /// By whom.
    pub actor: UserName,
}

/// Which fields of a lead become which of what it becomes was set (S2S-56).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversionMapSet {
    /// All of it; what it does not say is as everywhere.
    pub map: ConversionMap,
    /// By whom.
    pub actor: UserName,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
const fn is_none(count: &u8) -> bool {
    *count == 0
}

/// An offer came and waits in the inbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferReceived {
    /// The connection.
    pub connection: ConnectionId,
    /// The share.
    pub share: ShareId,
    /// Its generation.
    pub generation: u32,
    /// The partner's object.
    pub object: ObjectName,
    /// The partner's record.
    pub record: RecordId,
    /// The partner's view fields.
    pub preview: VecMap<FieldName, Value>,
    /// What it belongs to: then it is no offer, and was granted at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<ParentLink>,
    /// How many orgs have offered it on by a rule.
    #[serde(default, skip_serializing_if = "is_none")]
    pub hops: u8,
    /// The partner's references to what is shared, too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<ParentLink>,
}

impl OfferReceived {
    /// An offer as it came.
    pub(crate) fn of(connection: ConnectionId, offer: &Offer) -> Self {
        Self {
            connection,
            share: offer.share,
            generation: offer.generation,
            object: offer.object.clone(),
            record: offer.record,
            preview: offer.preview.clone(),
            parents: Vec::new(),
            hops: offer.hops,
            links: offer.links.clone(),
        }
    }
}

/// An offer was accepted or declined here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferAnswered {
    /// The connection.
    pub connection: ConnectionId,
    /// The share.
    pub share: ShareId,
    /// The generation answered.
    pub generation: u32,
    /// The answer.
    pub accept: bool,
    /// Whether the record is to be created with all fields in one.
    #[serde(default)]
    pub whole: bool,
    /// The record of this org that becomes the copy; without one, a copy is created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<RecordId>,
    /// The type of the copy, where it was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_type: Option<SmolStr>,
    /// Who accepted, and will own the record.
    pub owner: UserName,
    /// To whom the record is given instead, when it is created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assign: Option<AssignTo>,
    /// The position of the message.
    pub position: Position,
}

/// The partner accepted, but grants wait until every connection has reconciled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantRequested {
    /// The connection.
    pub connection: ConnectionId,
    /// The share.
    pub share: ShareId,
    /// Whether the copy is to be created with all fields in one.
    #[serde(default)]
    pub whole: bool,
}

/// A record was granted to the partner that accepted it first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareGranted {
    /// The connection.
    pub connection: ConnectionId,
    /// The share.
    pub share: ShareId,
    /// Its generation.
    pub generation: u32,
    /// The record.
    pub record: RecordId,
    /// Its object.
    pub object: ObjectName,
    /// The published fields as they are.
    pub content: Content,
    /// The fields of the create set among them.
    pub create_set: Vec<FieldName>,
    /// The position of the grant.
    pub grant: Position,
    /// The position of the follow-up, if there are more fields.
    #[serde(default)]
    pub follow_up: Option<Position>,
    /// The shares of the records that its references name.
    #[serde(default, skip_serializing_if = "VecMap::is_empty")]
    pub links: Links,
}

/// An acceptance came too late, or for nothing; the loser is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareRefused {
    /// The connection.
    pub connection: ConnectionId,
    /// The share.
    pub share: ShareId,
    /// Its generation.
    pub generation: u32,
    /// `taken`, or why else.
    pub code: ReasonCode,
    /// The position of the message.
    pub position: Position,
}

/// A grant was taken: with a record, or without one if it could not be created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareLinked {
    /// The connection.
    pub connection: ConnectionId,
    /// The share.
    pub share: ShareId,
    /// Its generation.
    pub generation: u32,
    /// The local record; nothing if it could not be created yet.
    #[serde(default)]
    pub record: Option<RecordId>,
    /// Fields that came and wait for the creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Content>,
}

/// The partner knows a share that we forgot: when we offer it again, we exceed its generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareHeard {
    /// The connection.
    pub connection: ConnectionId,
    /// The share.
    pub share: ShareId,
    /// The generation that the partner knows.
    pub generation: u32,
}

/// A restored origin takes over a share that only its holder still knew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareRestored {
    /// The connection.
    pub connection: ConnectionId,
    /// The share.
    pub share: ShareId,
    /// Its generation.
    pub generation: u32,
    /// Our object.
    pub object: ObjectName,
    /// The id that our record had.
    pub record: RecordId,
    /// What it belongs to, if it is a task.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<ParentLink>,
    /// How it was offered, as far as that is known.
    #[serde(default, skip_serializing_if = "Forwarding::is_plain")]
    pub how: Forwarding,
}

/// How a share came to its end, or went back to an earlier stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Closing {
    /// The partner declined the offer.
    Declined,
    /// The partner refused the acceptance: another took the record.
    Taken,
    /// It ended for this reason.
    Ended(EndReason),
}

/// A share ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareClosed {
    /// The connection.
    pub connection: ConnectionId,
    /// The share.
    pub share: ShareId,
    /// Its generation.
    pub generation: u32,
    /// How.
    pub closing: Closing,
    /// The position of the message, if the partner has to be told.
    #[serde(default)]
    pub position: Option<Position>,
    /// By whom; nobody if the partner did it.
    #[serde(default)]
    pub actor: Option<UserName>,
}

/// Fields of a shared record were sent as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotSent {
    /// The message.
    pub delivery: Delivery,
    /// The object, for masking.
    pub object: ObjectName,
    /// The fields.
    pub content: Content,
    /// Whether the origin is to recreate the record.
    #[serde(default)]
    pub recreate: Option<Recreate>,
    /// What was written from here on was held back and never told before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseen_from: Option<Timestamp>,
}

/// A run of our shares was told to the partner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareStatesSent {
    /// The connection.
    pub connection: ConnectionId,
    /// The position of the message.
    pub position: Position,
    /// The message.
    pub states: ShareStates,
}
