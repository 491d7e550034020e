//! Handing over what a user owns, and telling what that is (OPS-19).

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use tieline_core::command::{Command, Reply};
use tieline_core::job::{HandedRecords, JobKind};
use tieline_core::state::{ConnectionStatus, State};
use tieline_core::{ConnectionId, Owner, UserName};
use utoipa::ToSchema;

use super::Api;
use super::auth::Actor;
use super::once::Keyed;
use super::problem::Problem;
use super::request::{Body, Route};

/// Which records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Which {
    /// None of them.
    None,
    /// Those that are or were shared.
    Shared,
    /// All of them.
    #[default]
    All,
}

/// What is to be handed over, and to whom.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HandOver {
    /// To whom: a user, or `queue:` and the name of a queue.
    #[schema(value_type = String)]
    to: Owner,
    /// The connections that the user manages here; yes if not said, unless they would go to a queue.
    connections: Option<bool>,
    /// The records that the user owns; all if not said.
    #[serde(default)]
    records: Which,
}

/// A job that hands over.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HandingOver {
    /// The job: see `/v1/jobs`.
    job: String,
    /// What the user owned when it began.
    owned: Owned,
}

/// What a user owns.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Owned {
    /// Connections that are pending or active.
    pub(crate) connections: usize,
    /// Records.
    pub(crate) records: usize,
}

impl Owned {
    pub(crate) fn of(state: &State, user: &UserName) -> Self {
        let records = state.records.values().filter(|record| !record.deleted && record.owner == *user);
        Self { connections: connections_of(state, user).len(), records: records.count() }
    }

    pub(crate) const fn is_nothing(&self) -> bool {
        self.connections == 0 && self.records == 0
    }
}

fn connections_of(state: &State, user: &UserName) -> Vec<ConnectionId> {
    let live = |status| matches!(status, ConnectionStatus::Pending | ConnectionStatus::Active);
    let owned = state.connections.values().filter(|c| c.owner == *user && live(c.status));
    owned.map(|connection| connection.id).collect()
}

/// Gives what a user owns to another one, as a job: it goes on after a crash, and puts what comes into a
/// queue before its connections.
#[utoipa::path(post, path = "/v1/users/{user}/hand-over", tag = "people", request_body = HandOver,
    params(("user" = String, Path, description = "Whose it is.")),
    responses((status = 200, body = HandingOver)))]
pub(crate) async fn hand_over(
    Extract(api): Extract<Api>,
    actor: Actor,
    keyed: Keyed,
    Route(from): Route<UserName>,
    Body(HandOver { to, connections, records }): Body<HandOver>,
) -> Result<Json<HandingOver>, Problem> {
    let owned = api.org.peek(|state| Owned::of(state, &from));
    let connections = connections.unwrap_or_else(|| to.user().is_some());
    let records = match records {
        Which::None => HandedRecords::None,
        Which::Shared => HandedRecords::Shared,
        Which::All => HandedRecords::All,
    };
    let kind = JobKind::HandOver { from, to, connections, records };
    let executed = api.execute_one(Ok(Command::StartJob { kind }), &actor, &keyed).await?;
    let Reply::Job(job) = executed.reply else { return Err(super::unexpected(&executed.reply)) };
    Ok(Json(HandingOver { job: job.to_string(), owned }))
}
