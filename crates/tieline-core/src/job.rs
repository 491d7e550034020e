//! Jobs: wide work as one event plus slices with a cursor in the log.
//!
//! A slice takes positions only while the connection has room (`limits`), so that a live change
//! never waits behind a million others, and a crash repeats at most one slice.

use serde::{Deserialize, Serialize};

use crate::sharing::{Forwarding, TaskChoice};
use crate::{
    AssignTo, ConnectionId, FieldName, ObjectName, Owner, QueueName, RecordId, RuleName, ShareId, Timestamp,
    UserName, ViewName,
};

/// Which records are handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HandedRecords {
    /// None.
    None,
    /// Those that are or were shared.
    Shared,
    /// All.
    All,
}

/// What a job does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Offers records of an object to a connection.
    Forward {
        /// To which connection.
        connection: ConnectionId,
        /// Records of which object.
        object: ObjectName,
        /// These, in the order of their ids; nothing means all.
        records: Option<Vec<RecordId>>,
        /// Of all, only what this list view chooses for whoever asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        view: Option<ViewName>,
        /// How they are offered.
        #[serde(default, skip_serializing_if = "Forwarding::is_plain")]
        how: Forwarding,
    },
    /// Shares the tasks of a record that was accepted (S2S-44).
    Tasks {
        /// With which connection.
        connection: ConnectionId,
        /// What they belong to.
        record: RecordId,
        /// Which of them.
        choice: TaskChoice,
    },
    /// Accepts what waits in the inbox.
    Accept {
        /// Offers of which connection.
        connection: ConnectionId,
        /// Only offers of this object of the partner.
        object: Option<ObjectName>,
        /// To whom the records are given; to whoever asked if nobody is named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<AssignTo>,
    },
    /// Sends fields that became visible to the partner.
    Backfill {
        /// To which connection.
        connection: ConnectionId,
        /// Records of which object.
        object: ObjectName,
        /// Which fields.
        fields: Vec<FieldName>,
    },
    /// Tells the partner the states of all shares.
    Reconcile {
        /// To which connection.
        connection: ConnectionId,
    },
    /// Makes the grants that waited until every connection had reconciled.
    Grant {
        /// To which connection.
        connection: ConnectionId,
    },
    /// Tries again what was refused, after a rule or mapping changed.
    Retry {
        /// What came over which connection.
        connection: ConnectionId,
    },
    /// Offers what a queue owns to a connection that became a member later (S2S-42).
    ShareQueue {
        /// To which connection.
        connection: ConnectionId,
        /// Which queue.
        queue: QueueName,
    },
    /// Fills the references that waited for the record of a share.
    FillLinks {
        /// Over which connection.
        connection: ConnectionId,
        /// Of which share.
        share: ShareId,
    },
    /// Tells the references to a record that came to be shared.
    TellLinks {
        /// Over which connection.
        connection: ConnectionId,
        /// By which share.
        share: ShareId,
    },
    /// Computes fields of all records of an object anew, after their expressions changed.
    Compute {
        /// Records of which object.
        object: ObjectName,
    },
    /// Gives what a person leaves behind to somebody else (OPS-19).
    HandOver {
        /// Whose it is.
        from: UserName,
        /// Whose it becomes.
        to: Owner,
        /// Whether the connections go, too.
        connections: bool,
        /// Which records.
        records: HandedRecords,
    },
    /// Gives the records of an object to somebody, or to whom the assignment rules name.
    Assign {
        /// Records of which object.
        object: ObjectName,
        /// To whom.
        to: AssignTo,
        /// Only what this list view chooses for whoever asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        view: Option<ViewName>,
    },
    /// Tells the fields that records carry of one that has changed (S2S-49).
    FollowParent {
        /// The one that has changed.
        record: RecordId,
        /// What of it.
        fields: Vec<FieldName>,
        /// All that this record carries, for it refers to others than before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        only: Option<RecordId>,
    },
    /// Tells the owners of what is shared, after that came to be published (OPS-19).
    TellOwners {
        /// To which connection.
        connection: ConnectionId,
        /// Records of which object.
        object: ObjectName,
    },
    /// Gives copies to whom the table of owners names now (OPS-19).
    MapOwners {
        /// Of which connection.
        connection: ConnectionId,
    },
    /// Stops sharing records of an object with a connection (S2S-57).
    Stop {
        /// With which connection.
        connection: ConnectionId,
        /// Records of which object.
        object: ObjectName,
        /// Only what this list view chooses for whoever asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        view: Option<ViewName>,
    },
    /// Sends what was held back during a pause.
    CatchUp {
        /// To which connection.
        connection: ConnectionId,
    },
    /// Lets a sharing rule look at all records of its object (S2S-43).
    ApplySharing {
        /// For which connection.
        connection: ConnectionId,
        /// The rule.
        rule: RuleName,
    },
    /// Ends the shares of a deactivated connection.
    Close {
        /// Of which connection.
        connection: ConnectionId,
    },
}

impl JobKind {
    /// The name of its kind, as people see it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Forward { .. } => "forward",
            Self::Accept { .. } => "accept",
            Self::Tasks { .. } => "tasks",
            Self::Backfill { .. } => "backfill",
            Self::Reconcile { .. } => "reconcile",
            Self::Grant { .. } => "grant",
            Self::Retry { .. } => "retry",
            Self::ShareQueue { .. } => "share_queue",
            Self::FillLinks { .. } => "fill_links",
            Self::TellLinks { .. } => "tell_links",
            Self::TellOwners { .. } => "tell_owners",
            Self::HandOver { .. } => "hand_over",
            Self::Assign { .. } => "assign",
            Self::FollowParent { .. } => "follow_parent",
            Self::MapOwners { .. } => "map_owners",
            Self::Stop { .. } => "stop",
            Self::CatchUp { .. } => "catch_up",
            Self::ApplySharing { .. } => "apply_sharing",
            Self::Close { .. } => "close",
            Self::Compute { .. } => "compute",
        }
    }

    /// The connection that the job works for, if it is for one.
    #[must_use]
    pub const fn connection(&self) -> Option<ConnectionId> {
        Some(match self {
            Self::Compute { .. }
            | Self::HandOver { .. }
            | Self::Assign { .. }
            | Self::FollowParent { .. } => return None,
            Self::Forward { connection, .. }
            | Self::Accept { connection, .. }
            | Self::Tasks { connection, .. }
            | Self::Backfill { connection, .. }
            | Self::Reconcile { connection }
            | Self::Grant { connection }
            | Self::Retry { connection }
            | Self::ShareQueue { connection, .. }
            | Self::FillLinks { connection, .. }
            | Self::TellLinks { connection, .. }
            | Self::TellOwners { connection, .. }
            | Self::MapOwners { connection }
            | Self::Stop { connection, .. }
            | Self::CatchUp { connection }
            | Self::ApplySharing { connection, .. }
            | Self::Close { connection } => *connection,
        })
    }
}

/// A job that is not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// What it does.
    pub kind: JobKind,
    /// For whom.
    pub actor: UserName,
    /// Since when.
    pub started: Timestamp,
    /// Everything up to this id is done.
    pub cursor: Option<u128>,
    /// Items done so far.
    pub done: u64,
    /// Items passed over so far.
    pub skipped: u64,
    /// The first few reasons for passing over.
    pub reasons: Vec<String>,
}
