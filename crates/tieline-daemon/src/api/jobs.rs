//! What goes on and what went wrong: jobs, failures, alarms.

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use tieline_core::JobId;
use tieline_core::job::{Job, JobKind};
use tieline_core::limits::PAGE_MAX;
use tieline_core::people::Permission;
use tieline_core::state::{Alarm, Connection, Failure};
use utoipa::ToSchema;

use super::auth::Actor;
use super::problem::Problem;
use super::request::Params;
use super::{Api, select};

/// The jobs that are not done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobList {
    /// One entry for each.
    jobs: Vec<JobView>,
}

/// A job.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobView {
    /// Its id.
    job: String,
    /// `forward`, `accept`, `backfill`, `reconcile`, `grant`, `retry`, `share_queue`, `apply_sharing`,
    /// `catch_up`, `close`, `hand_over`, `assign`, `stop`, `map_owners`, `tell_owners`, `follow_parent` and
    /// others.
    kind: &'static str,
    /// The connection that it works for, if it is for one.
    connection: Option<String>,
    /// The object that it works on, if it is one.
    object: Option<String>,
    /// For whom.
    actor: String,
    /// Since when.
    started: String,
    /// Items done so far.
    done: u64,
    /// Items passed over so far.
    skipped: u64,
    /// The first few reasons for passing over.
    reasons: Vec<String>,
}

/// Of which connection.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FailureQuery {
    /// Only failures of this connection: id, partner or label.
    connection: Option<String>,
}

/// What did not go through, the newest first: at most 1,000, of at most 500 per connection that are
/// at hand. The log keeps all.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FailureList {
    /// One entry for each.
    failures: Vec<FailureView>,
}

/// Something that did not go through (S2S-54).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FailureView {
    /// When it was noticed here.
    time: String,
    /// The connection.
    connection: String,
    /// The partner, or the label of the connection.
    partner: String,
    /// `out` if the partner refused what this org sent, `in` if this org refused the partner's.
    direction: &'static str,
    /// The position of the message.
    position: u64,
    /// How it ended.
    outcome: &'static str,
    /// Whether the share stands without this problem now: what was refused came through later, or was
    /// replaced.
    mended: bool,
    /// The share that it was for.
    share: Option<String>,
    /// The record here, where there is one.
    record: Option<String>,
    /// Why: codes, and the fields by the names of whoever sent them.
    reasons: Vec<FailureReason>,
    /// Why in words; not known of what the partner refused.
    messages: Vec<String>,
}

/// A reason as both sides know it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FailureReason {
    /// A stable code.
    code: &'static str,
    /// The field.
    field: Option<String>,
}

/// What a person has to know about, the newest first. The log keeps all; at hand are 100.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlarmList {
    /// One entry for each.
    alarms: Vec<AlarmView>,
}

/// Something that a person has to know about.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlarmView {
    /// When it was raised.
    time: String,
    /// The connection that it is about.
    connection: Option<String>,
    /// A stable code.
    code: String,
    /// What happened and what to do.
    message: String,
}

impl JobView {
    fn of(id: JobId, job: &Job) -> Self {
        let object = match &job.kind {
            JobKind::Forward { object, .. }
            | JobKind::Backfill { object, .. }
            | JobKind::TellOwners { object, .. }
            | JobKind::Stop { object, .. }
            | JobKind::Assign { object, .. }
            | JobKind::Compute { object } => Some(object),
            JobKind::Accept { object, .. } => object.as_ref(),
            JobKind::Reconcile { .. }
            | JobKind::Tasks { .. }
            | JobKind::MapOwners { .. }
            | JobKind::FillLinks { .. }
            | JobKind::TellLinks { .. }
            | JobKind::HandOver { .. }
            | JobKind::FollowParent { .. }
            | JobKind::Grant { .. }
            | JobKind::Retry { .. }
            | JobKind::ShareQueue { .. }
            | JobKind::CatchUp { .. }
            | JobKind::ApplySharing { .. }
            | JobKind::Close { .. } => None,
        };
        Self {
            job: id.to_string(),
            kind: job.kind.as_str(),
            connection: job.kind.connection().map(|connection| connection.to_string()),
            object: object.map(ToString::to_string),
            actor: job.actor.to_string(),
            started: job.started.to_string(),
            done: job.done,
            skipped: job.skipped,
            reasons: job.reasons.clone(),
        }
    }
}

impl FailureView {
    fn of(connection: &Connection, failure: &Failure) -> Self {
        let detail = &failure.detail;
        let reasons = detail.reasons.iter().map(|reason| FailureReason {
            code: reason.code.as_str(),
            field: reason.field.as_ref().map(ToString::to_string),
        });
        let share = detail.share.and_then(|id| connection.shares.get(&id));
        let stands = |problem: &tieline_core::state::Problem| {
            problem.at_partner == failure.at_partner && problem.position == detail.position
        };
        let mended = share.is_some_and(|share| !share.problem.as_deref().is_some_and(stands));
        Self {
            time: failure.time.to_string(),
            connection: connection.id.to_string(),
            partner: connection.display_name().to_owned(),
            direction: if failure.at_partner { "out" } else { "in" },
            position: detail.position.0,
            outcome: detail.outcome.as_str(),
            mended,
            share: detail.share.map(|id| id.to_string()),
            record: failure.record.map(|id| id.to_string()),
            reasons: reasons.collect(),
            messages: failure.messages.clone(),
        }
    }
}

impl From<&Alarm> for AlarmView {
    fn from(raised: &Alarm) -> Self {
        Self {
            time: raised.time.to_string(),
            connection: raised.alarm.connection.map(|id| id.to_string()),
            code: raised.alarm.code.clone(),
            message: raised.alarm.message.clone(),
        }
    }
}

/// Lists the jobs that are not done: those of the user, or all to those who manage connections.
#[utoipa::path(get, path = "/v1/jobs", tag = "operations", responses((status = 200, body = JobList)))]
pub(crate) async fn list(Extract(api): Extract<Api>, actor: Actor) -> Result<Json<JobList>, Problem> {
    super::read(&api, |state| {
        let all = actor.reading(state).may(Permission::ManageConnections);
        let jobs = state.jobs.iter().filter(|(_, job)| all || job.actor == actor.user);
        Ok(JobList { jobs: jobs.map(|(id, job)| JobView::of(*id, job)).collect() })
    })
    .await
}

/// Lists what did not go through, in both directions, with its reasons.
#[utoipa::path(get, path = "/v1/failures", tag = "operations", params(FailureQuery),
    responses((status = 200, body = FailureList)))]
pub(crate) async fn failures(
    Extract(api): Extract<Api>,
    _actor: Actor,
    Params(query): Params<FailureQuery>,
) -> Result<Json<FailureList>, Problem> {
    super::read(&api, |state| {
        let connections = match &query.connection {
            Some(selector) => vec![select::connection(state, selector)?],
            None => state.connections.values().collect(),
        };
        let failures = connections.iter().flat_map(|connection| {
            connection.failures.iter().map(|failure| (failure.time, FailureView::of(connection, failure)))
        });
        let mut failures: Vec<_> = failures.collect();
        failures.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
        let newest = failures.into_iter().take(PAGE_MAX).map(|(_, failure)| failure);
        Ok(FailureList { failures: newest.collect() })
    })
    .await
}

/// Lists what a person has to know about.
#[utoipa::path(get, path = "/v1/alarms", tag = "operations", responses((status = 200, body = AlarmList)))]
pub(crate) async fn alarms(Extract(api): Extract<Api>, _actor: Actor) -> Result<Json<AlarmList>, Problem> {
    super::read(&api, |state| {
        Ok(AlarmList { alarms: state.alarms.iter().rev().map(AlarmView::from).collect() })
    })
    .await
}
