//! Queues: list, show, define, remove, and offering what is in one to a member that came later.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use tieline_core::automation::Queue;
use tieline_core::command::{AutomationCommand, Command, Reply};
use tieline_core::state::State;
use tieline_core::{GroupName, JobId, ObjectName, QueueName, RoleName, Seq, UserName};
use utoipa::ToSchema;

use super::auth::Actor;
use super::problem::{ErrorCode, Problem};
use super::request::{Body, Route};
use super::{Api, Done, select};

/// The queues of the org.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QueueList {
    /// One entry for each, sorted by name.
    queues: Vec<QueueView>,
}

/// A queue.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QueueView {
    /// Its name.
    name: String,
    /// What it is.
    #[serde(flatten)]
    queue: QueueBody,
    /// How many records it owns.
    records: usize,
}

/// What a queue takes, and who works on it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct QueueBody {
    /// What people see; if it is empty, the name.
    #[serde(default)]
    label: String,
    /// The objects whose records it takes.
    #[schema(value_type = Vec<String>)]
    objects: BTreeSet<ObjectName>,
    /// Users who work on it.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    users: BTreeSet<UserName>,
    /// Groups whose users do.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    groups: BTreeSet<GroupName>,
    /// Roles whose users do.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    roles: BTreeSet<RoleName>,
    /// Connections to which its records are offered: id, partner or label.
    #[serde(default)]
    connections: Vec<String>,
    /// Whether each of those that accept has the record; else the first.
    #[serde(default)]
    several: bool,
}

/// To whom the records of a queue are offered.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct QueueShare {
    /// A connection that is a member: id, partner or label.
    connection: String,
}

/// A job that was started.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobBegun {
    /// Its id.
    job: String,
    /// The last event of the log when it was started.
    seq: u64,
}

impl JobBegun {
    pub(crate) fn new(job: JobId, seq: Seq) -> Self {
        Self { job: job.to_string(), seq: seq.0 }
    }
}

impl QueueView {
    fn of(state: &State, queue: &Queue) -> Self {
        let connections = queue.connections.iter().map(|id| select::name_of(state, *id)).collect();
        // Queues are few and small: what waits in them is counted when somebody looks.
        let owned = queue.objects.iter().flat_map(|object| state.records_of(object, None));
        let records = owned.filter(|(_, record)| record.owner.queue() == Some(&queue.name)).count();
        let queue_body = QueueBody {
            label: queue.label.clone(),
            objects: queue.objects.clone(),
            users: queue.users.clone(),
            groups: queue.groups.clone(),
            roles: queue.roles.clone(),
            connections,
            several: queue.several,
        };
        Self { name: queue.name.to_string(), queue: queue_body, records }
    }
}

fn find<'a>(state: &'a State, name: &QueueName) -> Result<&'a Queue, Problem> {
    state.automation.queues.get(name).ok_or_else(|| {
        let detail = format!("there is no queue {name}: see the queues with `tieline queue list`");
        Problem::new(ErrorCode::UnknownQueue, detail)
    })
}

/// Lists the queues.
#[utoipa::path(get, path = "/v1/queues", tag = "automation", responses((status = 200, body = QueueList)))]
pub(crate) async fn list(Extract(api): Extract<Api>, _actor: Actor) -> Result<Json<QueueList>, Problem> {
    super::read(&api, |state| {
        let queues = state.automation.queues.values().map(|queue| QueueView::of(state, queue));
        Ok(QueueList { queues: queues.collect() })
    })
    .await
}

/// Shows a queue.
#[utoipa::path(get, path = "/v1/queues/{queue}", tag = "automation",
    params(("queue" = String, Path, description = "The queue.")),
    responses((status = 200, body = QueueView)))]
pub(crate) async fn show(
    Extract(api): Extract<Api>,
    _actor: Actor,
    Route(name): Route<QueueName>,
) -> Result<Json<QueueView>, Problem> {
    super::read(&api, |state| Ok(QueueView::of(state, find(state, &name)?))).await
}

/// Defines a queue, or changes it: what the body leaves out, the queue does not have.
#[utoipa::path(put, path = "/v1/queues/{queue}", tag = "automation", request_body = QueueBody,
    params(("queue" = String, Path, description = "The queue.")),
    responses((status = 200, body = Done)))]
pub(crate) async fn set(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(name): Route<QueueName>,
    Body(body): Body<QueueBody>,
) -> Result<Json<Done>, Problem> {
    let connections = body.connections.iter().map(|selector| api.connection_id(selector));
    let queue = Queue {
        name,
        label: body.label,
        objects: body.objects,
        users: body.users,
        groups: body.groups,
        roles: body.roles,
        connections: connections.collect::<Result<_, _>>()?,
        several: body.several,
    };
    api.change(&actor, Command::Automation(AutomationCommand::SetQueue { queue: Box::new(queue) })).await
}

/// Removes a queue that owns nothing.
#[utoipa::path(delete, path = "/v1/queues/{queue}", tag = "automation",
    params(("queue" = String, Path, description = "The queue.")),
    responses((status = 200, body = Done)))]
pub(crate) async fn remove(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(queue): Route<QueueName>,
) -> Result<Json<Done>, Problem> {
    api.change(&actor, Command::Automation(AutomationCommand::RemoveQueue { queue })).await
}

/// Offers what a queue owns already to a connection that became a member later, as a job.
#[utoipa::path(post, path = "/v1/queues/{queue}/share", tag = "automation", request_body = QueueShare,
    params(("queue" = String, Path, description = "The queue.")),
    responses((status = 200, body = JobBegun)))]
pub(crate) async fn share(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(queue): Route<QueueName>,
    Body(body): Body<QueueShare>,
) -> Result<Json<JobBegun>, Problem> {
    let connection = api.connection_id(&body.connection)?;
    let command = Command::Automation(AutomationCommand::ShareQueue { queue, connection });
    let executed = api.org.execute(command, &actor.user).await?;
    let Reply::Job(job) = executed.reply else { return Err(super::unexpected(&executed.reply)) };
    Ok(Json(JobBegun::new(job, executed.seq)))
}
