//! A share as the API shows it: whose record, how it stands, what went wrong.

use serde::Serialize;
use tieline_core::ShareId;
use tieline_core::state::{Connection, Problem as ShareProblem, Share, ShareRole, ShareStatus};
use utoipa::ToSchema;

use super::problem::ReasonView;

/// One record shared over one connection (S2S-59).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShareView {
    /// Its id, the same on both sides.
    pub(crate) share: String,
    /// The connection.
    pub(crate) connection: String,
    /// The partner, or the label of the connection.
    pub(crate) partner: String,
    /// `sent` if the record is ours, `received` if it is the partner's.
    pub(crate) direction: &'static str,
    /// The object, by its name at the origin.
    pub(crate) object: String,
    /// The record here, once there is one.
    pub(crate) record: Option<String>,
    /// The record at its origin.
    pub(crate) origin_record: String,
    /// `offered`, `accepting`, `granted`, `active`, `declined`, `taken` or `inactive`.
    pub(crate) status: &'static str,
    /// Why it is inactive: `stopped`, `deleted`, `converted`, `deactivated`, `withdrawn`, `returned`.
    pub(crate) reason: Option<&'static str>,
    /// How often the record was offered.
    pub(crate) generation: u32,
    /// Whether several connections may have it.
    pub(crate) several: bool,
    /// The shares of what it belongs to, with which it ends.
    pub(crate) parents: Vec<String>,
    /// Who offered it, or accepted it here.
    pub(crate) actor: Option<String>,
    /// Who owns it at its origin, if the partner says so.
    pub(crate) partner_owner: Option<String>,
    /// When it was offered.
    pub(crate) offered: String,
    /// When something last came or went.
    pub(crate) updated: String,
    /// What went wrong last and was not mended since.
    pub(crate) problem: Option<ShareProblemView>,
}

/// What went wrong on a share.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShareProblemView {
    /// When it was noticed here.
    time: String,
    /// Whether the partner refused ours; else this org refused the partner's.
    at_partner: bool,
    /// The position of the message.
    position: u64,
    /// How the message ended.
    outcome: &'static str,
    /// Why; of what the partner refused, only codes and field names are known.
    reasons: Vec<ReasonView>,
}

impl ShareView {
    pub(crate) fn of(connection: &Connection, id: ShareId, share: &Share) -> Self {
        Self {
            share: id.to_string(),
            connection: connection.id.to_string(),
            partner: connection.display_name().to_owned(),
            direction: match share.role {
                ShareRole::Origin => "sent",
                ShareRole::Copy => "received",
            },
            object: share.object.to_string(),
            record: share.record.map(|id| id.to_string()),
            origin_record: share.origin_record.to_string(),
            status: status(share.status),
            reason: match share.status {
                ShareStatus::Inactive(reason) => Some(reason.as_str()),
                _ => None,
            },
            generation: share.generation,
            several: share.how.many,
            parents: share.parents.iter().map(|link| link.share.to_string()).collect(),
            actor: share.actor.as_ref().map(ToString::to_string),
            partner_owner: share.partner_owner().map(ToString::to_string),
            offered: share.offered.to_string(),
            updated: share.updated.to_string(),
            problem: share.problem.as_deref().map(ShareProblemView::from),
        }
    }
}

/// The status in one word.
pub(crate) const fn status(status: ShareStatus) -> &'static str {
    match status {
        ShareStatus::Offered => "offered",
        ShareStatus::Accepting => "accepting",
        ShareStatus::Granted => "granted",
        ShareStatus::Active => "active",
        ShareStatus::Declined => "declined",
        ShareStatus::Taken => "taken",
        ShareStatus::Inactive(_) => "inactive",
    }
}

impl From<&ShareProblem> for ShareProblemView {
    fn from(problem: &ShareProblem) -> Self {
        Self {
            time: problem.time.to_string(),
            at_partner: problem.at_partner,
            position: problem.position.0,
            outcome: problem.outcome.as_str(),
            reasons: problem.reasons.iter().map(ReasonView::from).collect(),
        }
    }
}
