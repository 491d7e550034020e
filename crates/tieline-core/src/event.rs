//! The events of an org's log, with their numbers. An event is a fact: `apply` folds it and
//! cannot fail; nothing is ever decided again from it.
//!
//! Positions in an event say which messages it made: the message is built from the event each
//! time that it is sent (`outbox`), masked by the publish rules of that moment.

use serde::{Deserialize, Serialize};

use crate::codec::numbered_kinds;
use crate::content::Content;
use crate::frame::Chain;
use crate::job::JobKind;
use crate::mapping::SubscribeRule;
use crate::publish::PublishRule;
use crate::message::{
    Catalogue, EndReason, OutcomeDetail, OutcomeRun, Recreate, ShareStates, SubscriptionNotice,
};
use crate::outcome::Outcome;
use crate::reason::{Reason, ReasonCode};
use crate::schema::ObjectSchema;
use crate::stamp::Stamp;
use crate::value::Value;
use crate::vecmap::VecMap;
use crate::{
    ConnectionId, FieldName, Incarnation, JobId, ObjectName, OrgName, Position, RecordId, Seq, ShareId,
    Timestamp, UserName,
};

numbered_kinds! {
    /// One fact in the log.
    Event {
        1 OrgCreated,
        2 IncarnationStarted,
        3 UserAdded,
        4 TokenIssued,
        5 ObjectDefined,
        6 AlarmRaised,
        10 InvitationSent,
        11 InvitationAnswered,
        12 ConnectionEstablished,
        13 ConnectionDeclined,
        14 InvitationRevoked,
        15 ConnectionDeactivated,
        16 PartnerReincarnated,
        17 ReceiptNoted,
        18 ConnectionSuspended,
        20 PublishRuleSet,
        21 SubscribeRuleSet,
        22 CatalogueSent,
        23 SubscriptionSent,
        30 RecordChanged,
        31 ValuesPending,
        40 ShareOffered,
        41 OfferReceived,
        42 OfferAnswered,
        43 ShareGranted,
        44 ShareRefused,
        45 ShareLinked,
        46 ShareClosed,
        47 SnapshotSent,
        48 GrantRequested,
        49 ShareStatesSent,
        55 ShareRestored,
        50 Received,
        51 MessageSettled,
        52 OutcomesReported,
        53 SettledSent,
        54 ReconcileAsked,
        60 JobStarted,
        61 JobAdvanced,
    }
}

/// The org came to be; the first event of every log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrgCreated {
    /// Its name.
    pub name: OrgName,
    /// The first life of its log.
    pub incarnation: Incarnation,
}

/// Why a new life of the log began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncarnationCause {
    /// A person restored the data directory and said so, or the sentinel showed it.
    Restored,
    /// A partner held more of ours than we did.
    TailLost,
}

/// A new life: the tail of the log was lost (PROTOCOL §9).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncarnationStarted {
    /// The new, greater incarnation.
    pub incarnation: Incarnation,
    /// Why.
    pub cause: IncarnationCause,
    /// The connection whose partner showed it.
    #[serde(default)]
    pub connection: Option<ConnectionId>,
}

/// A user was added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserAdded {
    /// The login name.
    pub user: UserName,
    /// Whether the user may do everything.
    #[serde(default)]
    pub admin: bool,
}

/// An API token was issued; only its hash is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenIssued {
    /// Whose token it is.
    pub user: UserName,
    /// The BLAKE3 hash of the token.
    #[serde(with = "serde_bytes")]
    pub hash: [u8; 32],
}

/// An object was defined or changed; the whole definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectDefined {
    /// The definition.
    pub schema: ObjectSchema,
    /// By whom.
    pub actor: UserName,
}

/// Something that a person has to know about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmRaised {
    /// The connection that it is about.
    #[serde(default)]
    pub connection: Option<ConnectionId>,
    /// A stable code.
    pub code: String,
    /// What happened and what to do.
    pub message: String,
}

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
    /// Who answered, and manages the connection on this side.
    pub owner: UserName,
    /// What the connection is called here.
    #[serde(default)]
    pub label: String,
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

/// What happened to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordAction {
    /// It was created.
    Create,
    /// Fields were written.
    Update,
    /// It was deleted here.
    Delete,
}

/// The share that a remote value came over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The connection.
    pub connection: ConnectionId,
    /// The version of the mapping that it went through.
    #[serde(default)]
    pub mapping: u32,
}

/// One message that an event made for one share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The connection.
    pub connection: ConnectionId,
    /// The share.
    pub share: ShareId,
    /// Its generation.
    pub generation: u32,
    /// The position of the message.
    pub position: Position,
}

/// Fields of a record were written, here or by a partner; or it was created or deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordChanged {
    /// The record.
    pub record: RecordId,
    /// Its object.
    pub object: ObjectName,
    /// What happened.
    pub action: RecordAction,
    /// The record's event before this one; zero for the first.
    #[serde(default)]
    pub prev: Seq,
    /// In whose name: the Connection User for remote changes (S2S-01).
    pub actor: UserName,
    /// The record's owner from now on, if that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<UserName>,
    /// The fields written.
    #[serde(default)]
    pub content: Content,
    /// Where the values came from; nothing means that they were written here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Values with another origin than `origin`: constants, pending values of other connections.
    #[serde(default, skip_serializing_if = "VecMap::is_empty")]
    pub origins: VecMap<FieldName, Option<Origin>>,
    /// The stamp that a value was received with, where it was stored with another.
    #[serde(default, skip_serializing_if = "VecMap::is_empty")]
    pub received: VecMap<FieldName, Stamp>,
    /// The messages that this makes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deliveries: Vec<Delivery>,
    /// How many rules that remote changes triggered stand behind it.
    #[serde(default)]
    pub hops: u8,
}

impl RecordChanged {
    /// Where the value of `field` came from.
    #[must_use]
    pub fn origin_of(&self, field: &FieldName) -> Option<Origin> {
        self.origins.get(field).copied().unwrap_or(self.origin)
    }
}

/// A remote value that is known but not applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingValue {
    /// The partner's field.
    pub remote: FieldName,
    /// The value as it came.
    pub incoming: Value,
    /// Its stamp.
    pub stamp: Stamp,
    /// Where it came from.
    pub origin: Origin,
    /// The message that brought it.
    pub position: Position,
    /// Why it is not applied.
    pub reasons: Vec<Reason>,
    /// Whether it waits for a person's approval.
    #[serde(default)]
    pub approval: bool,
}

/// Remote values wait on a record, or (`None`) one does so no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValuesPending {
    /// The record.
    pub record: RecordId,
    /// The values by the local field.
    pub values: VecMap<FieldName, Option<PendingValue>>,
}

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
    /// Who will own the record.
    pub owner: UserName,
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

/// A message came, as it came; and, if it is counted, how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// The connection.
    pub connection: ConnectionId,
    /// Its position.
    pub position: Position,
    /// Its event at the origin.
    pub seq: Seq,
    /// When the origin committed it.
    pub time: Timestamp,
    /// The chain after it.
    pub chain: Chain,
    /// Its kind.
    pub kind: u16,
    /// Its body.
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
    /// Its outcome; nothing for control messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// The share that it was for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<ShareId>,
    /// The local record that it was for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<RecordId>,
    /// Why it ended so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    /// When it is to be tried again, if it is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until: Option<Timestamp>,
}

/// A held message came to its end, or a rejected one recovered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageSettled {
    /// The connection.
    pub connection: ConnectionId,
    /// The message.
    pub position: Position,
    /// Its end.
    pub outcome: Outcome,
    /// Whether a rejection recovered, which moves no counter.
    #[serde(default)]
    pub recovered: bool,
    /// The share that it was for.
    #[serde(default)]
    pub share: Option<ShareId>,
    /// Why it ended so.
    #[serde(default)]
    pub reasons: Vec<Reason>,
}

/// The partner is told how its messages ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomesReported {
    /// The connection.
    pub connection: ConnectionId,
    /// The position of the message.
    pub position: Position,
    /// Everything counted up to this position of the partner is told.
    pub upto: Position,
    /// Runs of outcomes.
    pub runs: Vec<OutcomeRun>,
    /// What was not simply applied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<OutcomeDetail>,
}

/// The partner is told how a held or rejected message of its ended at last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettledSent {
    /// The connection.
    pub connection: ConnectionId,
    /// The position of the message.
    pub position: Position,
    /// The message.
    pub detail: OutcomeDetail,
    /// Whether a rejection recovered.
    #[serde(default)]
    pub recovered: bool,
}

/// The partner was asked for its share states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcileAsked {
    /// The connection.
    pub connection: ConnectionId,
    /// The position of the message.
    pub position: Position,
}

/// Wide work began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobStarted {
    /// The job.
    pub job: JobId,
    /// What is to be done.
    pub kind: JobKind,
    /// For whom.
    pub actor: UserName,
}

/// A slice of a job is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobAdvanced {
    /// The job.
    pub job: JobId,
    /// Everything up to this id is done; nothing means that the job is.
    pub cursor: Option<u128>,
    /// Items done in this slice.
    pub done: u64,
    /// Items passed over in this slice, with the first reasons.
    #[serde(default)]
    pub skipped: u64,
    /// The first few reasons for passing over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}
