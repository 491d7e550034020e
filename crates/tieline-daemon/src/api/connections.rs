//! Connections: list, show, revoke, deactivate, resume, reconcile, change a key.

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use tieline_core::command::{Command, Handover, Pause, ProfileCommand};
use tieline_core::state::State;
use tieline_core::{ConnectionId, ObjectName, UserName};
use utoipa::ToSchema;

use super::auth::Actor;
use super::connection_view::{ConnectionSummary, ConnectionView};
use super::org::LicencesView;
use super::past::AsOf;
use super::problem::{ErrorCode, Problem};
use super::request::{Body, Params, Route};
use super::{Api, Done, select};
use crate::clock::now;

/// Which connections.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ConnectionQuery {
    /// Only those that stand so: `pending`, `active`, `declined`, `revoked`, `deactivated`, `saved` or
    /// `postponed`.
    pub(super) status: Option<String>,
    /// Only those that were sent (`inviter`) or received (`invited`).
    pub(super) side: Option<String>,
    /// Only those that this user manages here.
    pub(super) owner: Option<String>,
    /// Only those with this partner.
    pub(super) partner: Option<String>,
    /// Only those with this contact: id, name or address.
    pub(super) contact: Option<String>,
    /// Only those for this account: id or name.
    pub(super) account: Option<String>,
    /// Only those whose label, partner, contact or account contains this.
    pub(super) search: Option<String>,
}

/// The connections of the org, sent and received (S2S-18).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConnectionList {
    /// One entry for each, in the order of their ids; then invitations that are saved, and those of others
    /// that will be decided on later.
    connections: Vec<ConnectionSummary>,
    /// The connection licences of the org (S2S-04).
    licences: LicencesView,
}

/// Lists the connections, with those that are none yet.
#[utoipa::path(get, path = "/v1/connections", tag = "connections", params(ConnectionQuery),
    responses((status = 200, body = ConnectionList)))]
pub(crate) async fn list(
    Extract(api): Extract<Api>,
    _actor: Actor,
    Params(query): Params<ConnectionQuery>,
) -> Result<Json<ConnectionList>, Problem> {
    super::read(&api, |state| {
        let connections = state.connections.values().map(|c| ConnectionSummary::of(&api, state, c));
        let invitations = &state.invitations;
        let saved = invitations.saved.iter().map(|(id, saved)| ConnectionSummary::saved(state, *id, saved));
        let postponed = invitations.postponed.iter().map(|(id, p)| ConnectionSummary::postponed(*id, p));
        let all = connections.chain(saved).chain(postponed);
        Ok(ConnectionList {
            connections: all.filter(|connection| connection.is_meant(&query)).collect(),
            licences: state.licences(now()).into(),
        })
    })
    .await
}

/// Shows a connection with its rules, catalogue and figures, as it is or as it was (OPS-04).
#[utoipa::path(get, path = "/v1/connections/{c}", tag = "connections",
    params(("c" = String, Path, description = "Id, partner or label."), AsOf),
    responses((status = 200, body = ConnectionView)))]
pub(crate) async fn show(
    Extract(api): Extract<Api>,
    _actor: Actor,
    Route(selector): Route<String>,
    Params(when): Params<AsOf>,
) -> Result<Json<ConnectionView>, Problem> {
    let (of, shown) = (api.clone(), selector);
    let view = move |state: &State| Ok(ConnectionView::of(&of, state, select::connection(state, &shown)?));
    when.show(&api, view).await.map(Json)
}

/// Does something with the connection that `selector` names.
async fn act(
    api: &Api,
    actor: &Actor,
    selector: &str,
    command: impl FnOnce(ConnectionId) -> Command,
) -> Result<Json<Done>, Problem> {
    let connection = api.connection_id(selector)?;
    api.change(actor, command(connection)).await
}

/// Takes a pending invitation back.
#[utoipa::path(post, path = "/v1/connections/{c}/revoke", tag = "connections",
    params(("c" = String, Path, description = "Id, partner or label.")),
    responses((status = 200, body = Done)))]
pub(crate) async fn revoke(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(selector): Route<String>,
) -> Result<Json<Done>, Problem> {
    act(&api, &actor, &selector, |connection| Command::Revoke { connection }).await
}

/// Ends a connection: nothing is sent or received over it any more (S2S-12).
#[utoipa::path(post, path = "/v1/connections/{c}/deactivate", tag = "connections",
    params(("c" = String, Path, description = "Id, partner or label.")),
    responses((status = 200, body = Done)))]
pub(crate) async fn deactivate(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(selector): Route<String>,
) -> Result<Json<Done>, Problem> {
    act(&api, &actor, &selector, |connection| Command::Deactivate { connection, by_partner: false }).await
}

/// Lets a suspended connection go on, or grant although it has not reconciled.
#[utoipa::path(post, path = "/v1/connections/{c}/resume", tag = "connections",
    params(("c" = String, Path, description = "Id, partner or label.")),
    responses((status = 200, body = Done)))]
pub(crate) async fn resume(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(selector): Route<String>,
) -> Result<Json<Done>, Problem> {
    act(&api, &actor, &selector, |connection| Command::Resume { connection }).await
}

/// What is to be changed of a connection.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConnectionChange {
    /// Who manages it here from now on.
    #[schema(value_type = Option<String>)]
    owner: Option<UserName>,
    /// What it is called here from now on; an empty label is none.
    label: Option<String>,
}

/// Gives a connection to another user (OPS-19), or calls it something else here.
#[utoipa::path(patch, path = "/v1/connections/{c}", tag = "connections", request_body = ConnectionChange,
    params(("c" = String, Path, description = "Id, partner or label.")),
    responses((status = 200, body = Done)))]
pub(crate) async fn change(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(selector): Route<String>,
    Body(change): Body<ConnectionChange>,
) -> Result<Json<Done>, Problem> {
    match change {
        ConnectionChange { owner: Some(owner), label: None } => {
            let give = |connection| Command::Handover(Handover::Connection { connection, owner });
            act(&api, &actor, &selector, give).await
        }
        ConnectionChange { owner: None, label: Some(label) } => {
            let call = |connection| Command::Profile(ProfileCommand::SetLabel { connection, label });
            act(&api, &actor, &selector, call).await
        }
        _ => Err(Problem::new(ErrorCode::BadBody, "name the owner or the label: one of both at a time")),
    }
}

/// What of a connection.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PausePart {
    /// One object here; without it, the whole connection.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    object: Option<ObjectName>,
}

async fn set_pause(
    api: &Api,
    actor: &Actor,
    selector: &str,
    part: PausePart,
    paused: bool,
) -> Result<Json<Done>, Problem> {
    let object = part.object;
    act(api, actor, selector, |connection| Command::Pause(Pause::Set { connection, object, paused })).await
}

/// Pauses a connection or one object of it: nothing flows until it goes on, and nothing is lost (OPS-15).
#[utoipa::path(post, path = "/v1/connections/{c}/pause", tag = "connections", request_body = PausePart,
    params(("c" = String, Path, description = "Id, partner or label.")),
    responses((status = 200, body = Done)))]
pub(crate) async fn pause(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(selector): Route<String>,
    Body(part): Body<PausePart>,
) -> Result<Json<Done>, Problem> {
    set_pause(&api, &actor, &selector, part, true).await
}

/// Lets a paused connection, or one object of it, go on: what was held back is sent (OPS-15).
#[utoipa::path(post, path = "/v1/connections/{c}/unpause", tag = "connections", request_body = PausePart,
    params(("c" = String, Path, description = "Id, partner or label.")),
    responses((status = 200, body = Done)))]
pub(crate) async fn unpause(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(selector): Route<String>,
    Body(part): Body<PausePart>,
) -> Result<Json<Done>, Problem> {
    set_pause(&api, &actor, &selector, part, false).await
}

/// Compares all shares with the partner and repairs what drifted (OPS-17).
#[utoipa::path(post, path = "/v1/connections/{c}/reconcile", tag = "connections",
    params(("c" = String, Path, description = "Id, partner or label.")),
    responses((status = 200, body = Done)))]
pub(crate) async fn reconcile(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(selector): Route<String>,
) -> Result<Json<Done>, Problem> {
    act(&api, &actor, &selector, |connection| Command::Reconcile { connection }).await
}

/// Makes a new key of this org for a connection. It is announced to the partner, and used once the
/// partner has taken it; the former one opens what the partner sealed for it for 24 hours more.
#[utoipa::path(post, path = "/v1/connections/{c}/rotate-key", tag = "connections",
    params(("c" = String, Path, description = "Id, partner or label.")),
    responses((status = 200, body = Done)))]
pub(crate) async fn rotate_key(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(selector): Route<String>,
) -> Result<Json<Done>, Problem> {
    let connection = api.connection_id(&selector)?;
    let executed = api.org.rotate_key(connection, &actor.user).await?;
    Ok(Json(Done::from(&executed)))
}
