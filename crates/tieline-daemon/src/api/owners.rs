//! Who owns here what a partner's users own (OPS-19).

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use tieline_core::Owner;
use tieline_core::command::{Command, SharingCommand};
use tieline_core::job::JobKind;
use tieline_core::owner_map::OwnerMap;
use tieline_core::state::Connection;
use utoipa::ToSchema;

use super::auth::Actor;
use super::once::Keyed;
use super::problem::Problem;
use super::request::{Body, Route};
use super::shares::{OneJob, start_job};
use super::{Api, Done, select};

/// The partner's users and queues, and who has what they own here.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OwnersBody {
    /// From the partner's user, or `queue:` and its queue, to a user or queue here.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    users: BTreeMap<Owner, Owner>,
    /// Who has what everybody else owns there; without one, it goes to whom it would go anyway.
    #[schema(value_type = Option<String>)]
    default: Option<Owner>,
}

/// The same, with those of the partner that it does not have.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OwnersView {
    /// From the partner's user or queue to a user or queue here.
    users: BTreeMap<String, String>,
    /// Who has what everybody else owns there.
    default: Option<String>,
    /// Owners that the partner told and that the table does not have.
    unmapped: Vec<UnmappedOwner>,
}

/// An owner that the table does not have.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UnmappedOwner {
    /// The partner's user or queue.
    owner: String,
    /// How often it was told.
    count: u64,
    /// The first time.
    first: String,
    /// The last time.
    last: String,
}

impl From<&Connection> for OwnersView {
    fn from(connection: &Connection) -> Self {
        let OwnerMap { users, default } = &connection.owners;
        let unmapped = connection.unmapped_owners.iter().map(|(owner, seen)| UnmappedOwner {
            owner: owner.to_string(),
            count: seen.count,
            first: seen.first.to_string(),
            last: seen.last.to_string(),
        });
        Self {
            users: users.iter().map(|(theirs, ours)| (theirs.to_string(), ours.to_string())).collect(),
            default: default.as_ref().map(ToString::to_string),
            unmapped: unmapped.collect(),
        }
    }
}

/// Shows who owns here what the partner's users own, and which of them are not mapped.
#[utoipa::path(get, path = "/v1/connections/{c}/owners", tag = "subscribe",
    params(("c" = String, Path, description = "Id, partner or label.")),
    responses((status = 200, body = OwnersView)))]
pub(crate) async fn show(
    Extract(api): Extract<Api>,
    _actor: Actor,
    Route(selector): Route<String>,
) -> Result<Json<OwnersView>, Problem> {
    super::read(&api, |state| Ok(OwnersView::from(select::connection(state, &selector)?))).await
}

/// Sets who owns here what the partner's users own: used when a copy is created, unless whoever accepts
/// names an owner, and when the owner changes there.
#[utoipa::path(put, path = "/v1/connections/{c}/owners", tag = "subscribe", request_body = OwnersBody,
    params(("c" = String, Path, description = "Id, partner or label.")),
    responses((status = 200, body = Done)))]
pub(crate) async fn set(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(selector): Route<String>,
    Body(OwnersBody { users, default }): Body<OwnersBody>,
) -> Result<Json<Done>, Problem> {
    let connection = api.connection_id(&selector)?;
    let owners = OwnerMap { users, default };
    api.change(&actor, Command::Sharing(SharingCommand::SetOwnerMap { connection, owners })).await
}

/// Gives the copies that are here to whom the table names now, as a job: a change of the table alone leaves
/// them where they are.
#[utoipa::path(post, path = "/v1/connections/{c}/owners/apply", tag = "subscribe",
    params(("c" = String, Path, description = "Id, partner or label.")),
    responses((status = 200, body = OneJob)))]
pub(crate) async fn apply(
    Extract(api): Extract<Api>,
    actor: Actor,
    keyed: Keyed,
    Route(selector): Route<String>,
) -> Result<Json<OneJob>, Problem> {
    let connection = api.connection_id(&selector)?;
    start_job(&api, &actor, &keyed, JobKind::MapOwners { connection }).await.map(Json)
}

/// Takes no notice of the partner's owners any more.
#[utoipa::path(delete, path = "/v1/connections/{c}/owners", tag = "subscribe",
    params(("c" = String, Path, description = "Id, partner or label.")),
    responses((status = 200, body = Done)))]
pub(crate) async fn remove(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(selector): Route<String>,
) -> Result<Json<Done>, Problem> {
    let connection = api.connection_id(&selector)?;
    let owners = OwnerMap::default();
    api.change(&actor, Command::Sharing(SharingCommand::SetOwnerMap { connection, owners })).await
}
