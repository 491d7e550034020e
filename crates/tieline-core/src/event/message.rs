//! Messages of partners: as they came, and how they ended.

use serde::{Deserialize, Serialize};

use crate::frame::Chain;
use crate::message::{OutcomeDetail, OutcomeRun};
use crate::outcome::Outcome;
use crate::reason::Reason;
use crate::{ConnectionId, Position, RecordId, Seq, ShareId, Timestamp};

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
    /// The share whose record it waits for, if it is held for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<ShareId>,
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
