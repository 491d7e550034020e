//! Shares as one side keeps them.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::content::Content;
use crate::message::{EndReason, ParentLink, ShareStage};
use crate::outcome::Outcome;
use crate::reason::Reason;
use crate::sharing::{Forwarding, TaskChoice};
use crate::stamp::Stamp;
use crate::value::Value;
use crate::vecmap::VecMap;
use crate::{AssignTo, FieldName, ObjectName, Owner, Position, RecordId, RuleName, Timestamp, UserName};

/// Whose record it was at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShareRole {
    /// Ours; the partner holds a copy.
    Origin,
    /// The partner's; we hold a copy, or may.
    Copy,
}

/// How a share stands on this side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShareStatus {
    /// Offered; on the copy's side it waits in the inbox.
    Offered,
    /// Accepted; the grant is awaited, or (at the origin) waits for other connections to reconcile.
    Accepting,
    /// Granted, but the copy could not be created yet. Only on the copy's side.
    Granted,
    /// Updates flow.
    Active,
    /// The offer was declined.
    Declined,
    /// Another connection took the record.
    Taken,
    /// It ended.
    Inactive(EndReason),
}

impl ShareStatus {
    /// Every status.
    pub const ALL: &'static [Self] = &[
        Self::Offered,
        Self::Accepting,
        Self::Granted,
        Self::Active,
        Self::Declined,
        Self::Taken,
        Self::Inactive(EndReason::Stopped),
        Self::Inactive(EndReason::Deleted),
        Self::Inactive(EndReason::Converted),
        Self::Inactive(EndReason::Deactivated),
        Self::Inactive(EndReason::Withdrawn),
        Self::Inactive(EndReason::Returned),
    ];

    /// The status in API and CLI, as `inactive (stopped)`.
    #[must_use]
    pub fn label(self) -> String {
        match self {
            Self::Offered => "offered".into(),
            Self::Accepting => "accepting".into(),
            Self::Granted => "granted (not created)".into(),
            Self::Active => "active".into(),
            Self::Declined => "declined".into(),
            Self::Taken => "taken".into(),
            Self::Inactive(reason) => format!("inactive ({})", reason.as_str()),
        }
    }

    /// The stage that both sides compare.
    #[must_use]
    pub const fn stage(self) -> ShareStage {
        match self {
            Self::Offered => ShareStage::Offered,
            Self::Accepting => ShareStage::Accepting,
            Self::Granted | Self::Active => ShareStage::Active,
            Self::Declined | Self::Taken | Self::Inactive(_) => ShareStage::Ended,
        }
    }
}

impl EndReason {
    /// The reason as it is shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Deleted => "deleted",
            Self::Converted => "converted",
            Self::Deactivated => "deactivated",
            Self::Withdrawn => "withdrawn",
            Self::Returned => "returned",
        }
    }
}

/// The last thing that went wrong on a share and was not mended since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// When it was noticed here.
    pub time: Timestamp,
    /// Whether the partner refused ours; else we refused the partner's.
    pub at_partner: bool,
    /// The message.
    pub position: Position,
    /// How it ended.
    pub outcome: Outcome,
    /// Why.
    pub reasons: Vec<Reason>,
}

/// The sharing rule behind a share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedBy {
    /// The rule.
    pub rule: RuleName,
    /// Whether it also ended the share: then it may offer the record again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ended: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
const fn is_none(count: &u8) -> bool {
    *count == 0
}

/// One record shared over one connection (S2S-59).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Whose record it was at first.
    pub role: ShareRole,
    /// The object, by the origin's name.
    pub object: ObjectName,
    /// The record at its origin.
    pub origin_record: RecordId,
    /// The local record, once there is one.
    #[serde(default)]
    pub record: Option<RecordId>,
    /// Whether `record` was named by a person and not linked yet: the partner's record may have none
    /// of what came over the connection for another.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
    /// How often the record was offered.
    pub generation: u32,
    /// How it stands.
    pub status: ShareStatus,
    /// When it was offered.
    pub offered: Timestamp,
    /// Who offered it, or accepted it here.
    #[serde(default)]
    pub actor: Option<UserName>,
    /// When something last came or went.
    pub updated: Timestamp,
    /// The partner's view fields, while the offer waits here.
    #[serde(default, skip_serializing_if = "VecMap::is_empty")]
    pub preview: VecMap<FieldName, Value>,
    /// The partner's references to what is shared, too, while the offer waits here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links: Option<Box<Vec<ParentLink>>>,
    /// Whether the copy is created with all fields in one.
    #[serde(default)]
    pub whole: bool,
    /// The partner's fields that came before the copy could be created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Box<Content>>,
    /// How many orgs have offered the record on by a rule.
    #[serde(default, skip_serializing_if = "is_none")]
    pub hops: u8,
    /// The sharing rule that offered it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Box<SharedBy>>,
    /// To whom the copy is given when it is created, if that is not the user who accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assign: Option<Box<AssignTo>>,
    /// The newest values of the partner's fields that mappings compute with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Box<Content>>,
    /// What went wrong last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Box<Problem>>,
    /// Since when changes were held back because of a pause, and not caught up with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_back: Option<Timestamp>,
    /// How it was offered here.
    #[serde(default, skip_serializing_if = "Forwarding::is_plain")]
    pub how: Forwarding,
    /// The type that was chosen for the copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_type: Option<SmolStr>,
    /// What is known of its owners, if anything was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owners: Option<Box<SharedOwner>>,
    /// What the record belongs to: it ends with the last of them (S2S-44).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<ParentLink>,
}

/// What the two sides told each other of who owns a shared record (OPS-19).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SharedOwner {
    /// Who owns it at the partner, if the partner says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub theirs: Option<Owner>,
    /// The latest change of the owner that was told, on either side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<Stamp>,
    /// Whether a change here has to be told after a pause.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
}

impl Share {
    /// Who owns it at the partner, if the partner says so.
    #[must_use]
    pub fn partner_owner(&self) -> Option<&Owner> {
        self.owners.as_ref()?.theirs.as_ref()
    }

    /// The latest change of the owner that was told, on either side.
    #[must_use]
    pub fn owner_written(&self) -> Option<Stamp> {
        self.owners.as_ref()?.written
    }

    /// What is known of its owners, to be changed.
    pub(crate) fn owners_mut(&mut self) -> &mut SharedOwner {
        self.owners.get_or_insert_default()
    }

    /// A share as it begins on one side.
    #[must_use]
    pub const fn new(role: ShareRole, object: ObjectName, origin_record: RecordId, time: Timestamp) -> Self {
        Self {
            role,
            object,
            origin_record,
            record: None,
            adopted: false,
            generation: 0,
            status: ShareStatus::Offered,
            offered: time,
            actor: None,
            updated: time,
            preview: VecMap::empty(),
            links: None,
            whole: false,
            kept: None,
            inputs: None,
            hops: 0,
            rule: None,
            assign: None,
            problem: None,
            held_back: None,
            how: Forwarding { many: false, tasks: TaskChoice::None, new_tasks: false },
            record_type: None,
            owners: None,
            parents: Vec::new(),
        }
    }

    /// Whether something may still come of it.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(
            self.status,
            ShareStatus::Offered | ShareStatus::Accepting | ShareStatus::Granted | ShareStatus::Active
        )
    }
}
