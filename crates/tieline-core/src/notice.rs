//! Notices: what a user should know about a connection or a record.
//!
//! A notice stands in the log beside what caused it. Whether it is also sent by mail or webhook, at
//! once or with others, is decided as it is raised, from the settings of the user.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::codes::codes;
use crate::limits::DIGEST_MINUTES_DEFAULT;
use crate::{ConnectionId, RecordId, SecretName};

codes! {
    /// What a notice is about.
    pub enum NoticeKind: "kind of notice" {
        /// A partner accepted an invitation.
        ConnectionAccepted = 1 "connection_accepted",
        /// A partner declined an invitation, or an answer of this org was refused.
        ConnectionDeclined = 2 "connection_declined",
        /// A partner will decide on an invitation later.
        ConnectionPostponed = 3 "connection_postponed",
        /// A partner ended a connection.
        ConnectionDeactivated = 4 "connection_deactivated",
        /// A connection was stopped until a person looks at it.
        ConnectionSuspended = 5 "connection_suspended",
        /// A partner deleted its copy of a shared record.
        RecordDeleted = 6 "record_deleted",
        /// A partner converted its copy of a shared record.
        RecordConverted = 7 "record_converted",
        /// A partner stopped sharing a record, or gave it back.
        SharingStopped = 8 "sharing_stopped",
        /// A partner declined a record that was offered.
        OfferDeclined = 9 "offer_declined",
        /// An update of a partner was refused here.
        UpdateFailed = 10 "update_failed",
        /// An update of this org was refused by a partner.
        UpdateRefused = 11 "update_refused",
        /// An alarm was raised.
        Alarm = 12 "alarm",
        /// A record was given to the user.
        RecordAssigned = 13 "record_assigned",
        /// A rule or workflow tells the user something.
        Rule = 14 "rule",
        /// Something could not be sent.
        EffectFailed = 15 "effect_failed",
        /// A value of a partner waits for approval.
        ApprovalWaiting = 16 "approval_waiting",
        /// Wide work that the user asked for is done.
        JobDone = 17 "job_done",
        /// An offer of a partner went to another connection of its.
        OfferTaken = 18 "offer_taken",
    }
}

impl NoticeKind {
    /// What it is about, for people.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::ConnectionAccepted => "Connection accepted",
            Self::ConnectionDeclined => "Connection declined",
            Self::ConnectionPostponed => "Connection to be decided later",
            Self::ConnectionDeactivated => "Connection ended",
            Self::ConnectionSuspended => "Connection suspended",
            Self::RecordDeleted => "Shared record deleted by the partner",
            Self::RecordConverted => "Shared record converted by the partner",
            Self::SharingStopped => "Sharing ended by the partner",
            Self::OfferDeclined => "Offer declined",
            Self::UpdateFailed => "Update of a partner refused here",
            Self::UpdateRefused => "Update refused by a partner",
            Self::Alarm => "Alarm",
            Self::RecordAssigned => "Record assigned",
            Self::Rule => "Told by a rule",
            Self::EffectFailed => "Not sent",
            Self::ApprovalWaiting => "Approval needed",
            Self::JobDone => "Job done",
            Self::OfferTaken => "Offer taken by another",
            Self::Unknown => "Notice",
        }
    }
}

/// Something to be told to a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What it is about.
    pub kind: NoticeKind,
    /// The connection that it is about.
    pub connection: Option<ConnectionId>,
    /// The record that it is about.
    pub record: Option<RecordId>,
    /// One sentence.
    pub text: String,
}

impl Notice {
    /// A notice about no connection and no record.
    #[must_use]
    pub fn new(kind: NoticeKind, text: impl Into<String>) -> Self {
        Self { kind, connection: None, record: None, text: text.into() }
    }

    /// The same, about a connection.
    #[must_use]
    pub fn on_connection(self, connection: ConnectionId) -> Self {
        Self { connection: Some(connection), ..self }
    }

    /// The same, about a record.
    #[must_use]
    pub fn on_record(self, record: RecordId) -> Self {
        Self { record: Some(record), ..self }
    }
}

/// How a user is told of notices, beside the list of them (S2S-74).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NoticeSettings {
    /// Whether by mail, to the address of the user.
    pub mail: bool,
    /// A web address that is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<NoticeHook>,
    /// The first notice of a kind is sent at once, and those of the same kind that follow within so
    /// many minutes together.
    pub digest_minutes: u32,
    /// Kinds that are listed and not sent.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub muted: BTreeSet<NoticeKind>,
}

/// A web address that is told of notices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoticeHook {
    /// The address.
    pub url: String,
    /// The secret that signs what is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretName>,
}

impl Default for NoticeSettings {
    fn default() -> Self {
        Self { mail: true, webhook: None, digest_minutes: DIGEST_MINUTES_DEFAULT, muted: BTreeSet::new() }
    }
}

impl NoticeSettings {
    /// The time within which notices of one kind are sent together.
    #[must_use]
    pub const fn interval_us(&self) -> i64 {
        self.digest_minutes as i64 * 60 * 1_000_000
    }
}
