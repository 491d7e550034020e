//! Handing over what a user owns, and telling what that is (OPS-19).

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use tieline_core::command::{Command, Handover, Reply};
use tieline_core::state::{ConnectionStatus, State};
use tieline_core::{ConnectionId, Owner, UserName};
use utoipa::ToSchema;

use super::Api;
use super::auth::Actor;
use super::problem::{ErrorCode, Problem};
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

/// What was handed over.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct HandedOver {
    /// How many connections.
    connections: u64,
    /// How many records.
    records: u64,
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

/// Gives what a user owns to another one, in slices: what a broken request has done stays done, and the
/// same request does the rest.
#[utoipa::path(post, path = "/v1/users/{user}/hand-over", tag = "people", request_body = HandOver,
    params(("user" = String, Path, description = "Whose it is.")),
    responses((status = 200, body = HandedOver)))]
pub(crate) async fn hand_over(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(from): Route<UserName>,
    Body(HandOver { to, connections, records }): Body<HandOver>,
) -> Result<Json<HandedOver>, Problem> {
    let mut done = HandedOver::default();
    let owned = api.org.peek(|state| {
        let known = state.users.contains_key(&from).then(|| connections_of(state, &from));
        known.ok_or_else(|| Problem::new(ErrorCode::UnknownUser, format!("there is no user {from}")))
    })?;
    let manager = to.user().cloned();
    if connections == Some(true) && manager.is_none() {
        let detail = "a queue cannot manage connections: hand them over to a user";
        return Err(Problem::new(ErrorCode::Invalid, detail));
    }
    if let Some(owner) = manager.filter(|_| connections != Some(false)) {
        for connection in owned {
            let command = Command::Handover(Handover::Connection { connection, owner: owner.clone() });
            api.org.execute(command, &actor.user).await?;
            done.connections += 1;
        }
    }
    let (mut after, mut more) = (None, records != Which::None);
    while more {
        let shared = records == Which::Shared;
        let (from, to) = (from.clone(), to.clone());
        let command = Command::Handover(Handover::Records { from, to, shared, after });
        let reply = api.org.execute(command, &actor.user).await?.reply;
        let Reply::HandedOver { records, next } = reply else { return Err(super::unexpected(&reply)) };
        done.records += records;
        (after, more) = (next, next.is_some());
    }
    Ok(Json(done))
}
