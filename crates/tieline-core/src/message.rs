//! The messages between two orgs, with their numbers (`docs/protocol.md` §6).
//!
//! Kinds below 64 are counted: each ends as exactly one outcome at the receiver. Kinds from 64 on
//! are control: positioned, so never lost, but never answered by an outcome, so nothing can
//! ping-pong. Field names are always those of the sender. A wire type never contains itself.

use serde::{Deserialize, Serialize};

use crate::codec::numbered_kinds;
use crate::content::Content;
use crate::outcome::Outcome;
use crate::publish::CatalogueObject;
use crate::reason::ReasonCode;
use crate::stamp::Stamp;
use crate::value::Value;
use crate::vecmap::VecMap;
use crate::{FieldName, ObjectName, Owner, Position, RecordId, Seq, ShareId, Timestamp, UserName};

/// The first kind number that is not counted.
pub const FIRST_CONTROL_KIND: u16 = 64;

/// Whether a message of `kind` ends as an outcome.
#[must_use]
pub const fn is_counted(kind: u16) -> bool {
    kind < FIRST_CONTROL_KIND
}

/// Whether a message of `kind` only tells how others ended: nothing at its receiver waits for it.
#[must_use]
pub const fn is_outcome_report(kind: u16) -> bool {
    kind == OutcomeReport::KIND
}

numbered_kinds! {
    /// What one position of a connection carries.
    Message {
        1 Offer,
        2 Grant,
        3 Snapshot,
        4 Change by_hand,
        5 ShareEnded,
        6 Void,
        15 ChildGrant,
        64 Catalogue,
        65 SubscriptionNotice,
        66 AcceptOffer,
        67 DeclineOffer,
        68 Refuse,
        69 ReturnGrant,
        70 OutcomeReport,
        71 Settled,
        72 ShareStates,
        73 ReconcileRequest,
        74 KeyAnnounced,
        95 ValueDecided,
        100 PauseNotice,
        105 Profile,
        110 OwnerNotice,
    }
}

/// What an org tells of itself (S2S-14).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The company that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company: Option<String>,
}

/// Who owns a shared record at its sender, if that is published (OPS-19).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerNotice {
    /// The share.
    pub share: ShareId,
    /// Its generation.
    pub generation: u32,
    /// The user or queue there; nothing if that may not be told any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// How many orgs have passed the owner on.
    #[serde(default, skip_serializing_if = "is_none")]
    pub hops: u8,
    /// When the owner was changed there last; all zero if it was not since the record is shared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<Stamp>,
}

/// A record offered: it waits in the partner's inbox (S2S-41).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The share.
    pub share: ShareId,
    /// Its generation: one higher each time that the record is offered again.
    pub generation: u32,
    /// The object, by the origin's name.
    pub object: ObjectName,
    /// The origin's record, so that a holder can help an origin that lost it.
    pub record: RecordId,
    /// The published view fields.
    pub preview: VecMap<FieldName, Value>,
    /// How many orgs have offered it on by a rule.
    #[serde(default, skip_serializing_if = "is_none")]
    pub hops: u8,
    /// Its published references to what is shared over the connection, too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<ParentLink>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
const fn is_none(count: &u8) -> bool {
    *count == 0
}

/// The partner may have the record: the create set, to be created or linked (S2S-48).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The share.
    pub share: ShareId,
    /// Its generation.
    pub generation: u32,
    /// The object, by the origin's name.
    pub object: ObjectName,
    /// The origin's record.
    pub record: RecordId,
    /// The fields that the copy is created with.
    pub content: Content,
}

/// What a record belongs to, by the share that both sides know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParentLink {
    /// The sender's reference.
    pub field: FieldName,
    /// The share of the record that it names.
    pub share: ShareId,
}

/// A task that follows what it belongs to: it needs no acceptance (S2S-44).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildGrant {
    /// The share.
    pub share: ShareId,
    /// Its generation.
    pub generation: u32,
    /// The object, by the origin's name.
    pub object: ObjectName,
    /// The origin's record.
    pub record: RecordId,
    /// All its fields.
    pub content: Content,
    /// What it belongs to.
    pub parents: Vec<ParentLink>,
}

/// Fields of a shared record as they are: follow-up, backfill, reconcile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The share.
    pub share: ShareId,
    /// Its generation.
    pub generation: u32,
    /// The fields with their stamps.
    pub content: Content,
    /// Set when the holder sees that the origin has lost the record: its object and id there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recreate: Option<Recreate>,
    /// What was written from here on was held back and never told before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseen_from: Option<Timestamp>,
}

/// What an origin needs to create a lost record again under its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recreate {
    /// The origin's name of the object.
    pub object: ObjectName,
    /// The id that the record had.
    pub record: RecordId,
    /// What it belongs to, if it is a task.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<ParentLink>,
}

/// Fields that changed (S2S-50).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The share.
    pub share: ShareId,
    /// Its generation.
    pub generation: u32,
    /// The fields with their stamps.
    pub content: Content,
    /// How many rules that remote changes triggered stand behind it.
    #[serde(default)]
    pub hops: u8,
}

impl Change {
    /// The number of its kind.
    pub(crate) const KIND: u16 = 4;
}

/// Why a share ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// Somebody stopped sharing the record (S2S-57).
    Stopped,
    /// One side deleted its record (S2S-55).
    Deleted,
    /// One side converted its lead (S2S-56).
    Converted,
    /// The connection was deactivated (S2S-12).
    Deactivated,
    /// The offer or the record is gone after a restore.
    Withdrawn,
    /// The receiver gave the grant back.
    Returned,
}

/// No update flows any more; both sides keep their records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareEnded {
    /// The share.
    pub share: ShareId,
    /// Its generation.
    pub generation: u32,
    /// Why.
    pub reason: EndReason,
}

/// A message whose content may not leave any more: it keeps the position, and is counted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Void {}

/// What the sender publishes (S2S-20, S2S-22).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Catalogue {
    /// Whether this is all of it; else only what changed.
    pub full: bool,
    /// Objects as they are published now.
    pub objects: Vec<CatalogueObject>,
    /// Objects that are not published any more.
    pub removed: Vec<ObjectName>,
}

/// What the sender takes of the receiver's catalogue (S2S-21).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SubscriptionNotice {
    /// Whether this is all of it; else only what changed.
    pub full: bool,
    /// Objects taken.
    pub objects: Vec<Subscription>,
    /// Objects of the receiver that are not taken any more.
    pub removed: Vec<ObjectName>,
}

/// What a partner takes of one of our objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Our object.
    pub object: ObjectName,
    /// The partner's object that it is mapped to (S2S-26).
    pub local: ObjectName,
    /// Our fields that are taken.
    pub fields: Vec<FieldName>,
    /// The version of the partner's mapping: a newer one asks for the values again.
    #[serde(default)]
    pub version: u32,
}

/// The partner accepts an offer and asks for the grant (S2S-45).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptOffer {
    /// The share.
    pub share: ShareId,
    /// Its generation.
    pub generation: u32,
    /// Whether the record is to be created with all fields in one.
    #[serde(default)]
    pub whole: bool,
}

/// The partner declines an offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclineOffer {
    /// The share.
    pub share: ShareId,
    /// Its generation.
    pub generation: u32,
}

/// The offer is gone. It never says who took the record (S2S-45).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refuse {
    /// The share.
    pub share: ShareId,
    /// Its generation.
    pub generation: u32,
    /// `taken`, or why else nothing is granted.
    pub code: ReasonCode,
}

/// The receiver could not create the record and gives the grant back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnGrant {
    /// The share.
    pub share: ShareId,
    /// Its generation.
    pub generation: u32,
}

/// How the receiver's positions up to `upto` ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct OutcomeReport {
    /// Everything counted up to here is told.
    pub upto: Position,
    /// Runs of counted positions with one outcome.
    pub runs: Vec<OutcomeRun>,
    /// Reasons of what was not simply applied.
    pub details: Vec<OutcomeDetail>,
}

impl OutcomeReport {
    /// The number of its kind.
    pub(crate) const KIND: u16 = 70;
}

/// So many counted messages ended so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeRun {
    /// The outcome.
    pub outcome: Outcome,
    /// How many.
    pub count: u64,
}

/// Why one message ended as it did: codes and the reader's own field names, never values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeDetail {
    /// The message.
    pub position: Position,
    /// Its outcome.
    pub outcome: Outcome,
    /// The share that it was for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<ShareId>,
    /// The reasons.
    pub reasons: Vec<WireReason>,
}

/// A reason as it may leave the org.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireReason {
    /// The code of the closed list.
    pub code: ReasonCode,
    /// The reader's field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<FieldName>,
}

/// The end of a held message, or the recovery of a rejected one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// The message and its end.
    pub detail: OutcomeDetail,
    /// Whether a rejection recovered, which moves no counter.
    #[serde(default)]
    pub recovered: bool,
}

/// The shares that the sender knows, a run of them in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ShareStates {
    /// The run begins after this id; nothing means at the first.
    pub after: Option<ShareId>,
    /// The run ends with this id; nothing means that it is the last.
    pub upto: Option<ShareId>,
    /// Every share of the sender in the run.
    pub entries: Vec<ShareEntry>,
}

/// How far a share has come; a greater one wins within a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShareStage {
    /// Offered, not answered.
    Offered,
    /// Accepted, not granted.
    Accepting,
    /// Granted.
    Active,
    /// Declined, taken or inactive.
    Ended,
}

/// One share as the sender knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareEntry {
    /// The share.
    pub share: ShareId,
    /// Its generation.
    pub generation: u32,
    /// How far it has come.
    pub stage: ShareStage,
    /// Whether the sender offered this generation.
    #[serde(default)]
    pub origin: bool,
    /// The sender's record, if it offered this generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<RecordId>,
    /// What a task belongs to, if the receiver offered this generation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<ParentLink>,
    /// Why it ended, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<EndReason>,
    /// The versions that the sender holds of the reader's fields, by the reader's names.
    #[serde(default)]
    pub taken: VecMap<FieldName, Stamp>,
}

/// A person decided about a value that waited for approval (S2S-58).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValueDecided {
    /// The share.
    pub share: ShareId,
    /// The message that brought the value.
    pub position: Position,
    /// The reader's field.
    pub field: FieldName,
    /// Whether it was approved.
    pub approved: bool,
}

/// Asks the partner for its `ShareStates`, to find and repair drift (OPS-17).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReconcileRequest {}

/// The sender has a new X25519 key for this connection: seal for it from now on. Frames of the sender
/// may come under either key for an overlap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyAnnounced {
    /// The key.
    #[serde(with = "serde_bytes")]
    pub public_key: [u8; 32],
}

/// Which objects the sender has paused: all of them, so that a later notice replaces an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PauseNotice {
    /// The objects.
    pub objects: Vec<PausedObject>,
}

/// An object that one side has paused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PausedObject {
    /// Its name at that side.
    pub object: ObjectName,
    /// Its name at the other side, if it is mapped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub theirs: Option<ObjectName>,
    /// Since when.
    pub since: Timestamp,
    /// By whom.
    pub by: UserName,
}

/// A message on its way: its kind and body as bytes, and what the chain is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The number of the event at the origin.
    pub seq: Seq,
    /// When the origin committed it.
    pub time: Timestamp,
    /// The kind number of the body.
    pub kind: u16,
    /// The body, a MessagePack map.
    pub body: Vec<u8>,
}

impl Envelope {
    /// Wraps `message`.
    #[must_use]
    pub fn new(seq: Seq, time: Timestamp, message: &Message) -> Self {
        // Most messages fit: growing a buffer from nothing costs more than the room.
        let mut body = Vec::with_capacity(512);
        message.encode_body(&mut body);
        Self { seq, time, kind: message.kind(), body }
    }
}
