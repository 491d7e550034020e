//! Notices to users: listed, marked as read, and how users want to be told (S2S-74).

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use tieline_core::command::{Command, NoticeCommand};
use tieline_core::notice::{NoticeHook, NoticeKind, NoticeSettings};
use tieline_core::state::{KeptNotice, State};
use tieline_core::{NoticeId, SecretName, UserName};
use utoipa::ToSchema;

use super::auth::Actor;
use super::problem::Problem;
use super::request::{Body, Params, Route};
use super::{Api, Done, users};

/// Which notices.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct NoticeQuery {
    /// Only those that were not read.
    #[serde(default)]
    unread: bool,
}

/// The notices of whoever asks, the newest first: the last 500. The log keeps all.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NoticeList {
    /// One entry for each.
    notices: Vec<NoticeView>,
    /// How many of all were not read.
    unread: usize,
}

/// Something that a user is told.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NoticeView {
    /// Its id.
    id: String,
    /// When it was raised.
    time: String,
    /// What it is about, as `record_deleted`.
    kind: &'static str,
    /// The connection that it is about.
    connection: Option<String>,
    /// The partner, or the label of the connection.
    partner: Option<String>,
    /// The record that it is about.
    record: Option<String>,
    /// One sentence.
    text: String,
    /// Whether it was read.
    read: bool,
    /// Whether it waits to be sent with others of its kind.
    waits: bool,
}

/// Which notices were read.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoticesSeen {
    /// Their ids; none named means all of them.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    ids: Vec<NoticeId>,
}

/// How a user is told of notices, beside the list of them.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoticeSettingsBody {
    /// Whether by mail, to the address of the user.
    #[serde(default = "yes")]
    mail: bool,
    /// A web address that is told.
    #[serde(default)]
    webhook: Option<NoticeHookBody>,
    /// The first notice of a kind is sent at once, and those of the same kind that follow within so many
    /// minutes together: 1 to 10,080; 60 if not said.
    #[serde(default = "an_hour")]
    digest_minutes: u32,
    /// Kinds that are listed and not sent.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    muted: BTreeSet<NoticeKind>,
}

/// A web address that is told of notices.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoticeHookBody {
    /// The address.
    url: String,
    /// The name of the secret that signs what is sent.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    secret: Option<SecretName>,
}

/// The settings that hold.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NoticeSettingsView {
    /// Whether they are those of the org, or the defaults: the user has none.
    inherited: bool,
    /// What holds.
    settings: NoticeSettingsBody,
}

const fn yes() -> bool {
    true
}

const fn an_hour() -> u32 {
    tieline_core::limits::DIGEST_MINUTES_DEFAULT
}

impl From<NoticeSettingsBody> for NoticeSettings {
    fn from(body: NoticeSettingsBody) -> Self {
        let NoticeSettingsBody { mail, webhook, digest_minutes, muted } = body;
        let webhook = webhook.map(|NoticeHookBody { url, secret }| NoticeHook { url, secret });
        Self { mail, webhook, digest_minutes, muted }
    }
}

impl From<NoticeSettings> for NoticeSettingsBody {
    fn from(settings: NoticeSettings) -> Self {
        let NoticeSettings { mail, webhook, digest_minutes, muted } = settings;
        let webhook = webhook.map(|NoticeHook { url, secret }| NoticeHookBody { url, secret });
        Self { mail, webhook, digest_minutes, muted }
    }
}

impl NoticeView {
    fn of(state: &State, notice: &KeptNotice) -> Self {
        let connection = notice.connection.and_then(|id| state.connections.get(&id));
        Self {
            id: notice.id.to_string(),
            time: notice.time.to_string(),
            kind: notice.kind.as_str(),
            connection: notice.connection.map(|id| id.to_string()),
            partner: connection.map(|connection| connection.display_name().to_owned()),
            record: notice.record.map(|id| id.to_string()),
            text: notice.text.clone(),
            read: notice.read,
            waits: notice.waits,
        }
    }
}

/// Lists the notices of whoever asks.
#[utoipa::path(get, path = "/v1/notices", tag = "notices", params(NoticeQuery),
    responses((status = 200, body = NoticeList)))]
pub(crate) async fn list(
    Extract(api): Extract<Api>,
    actor: Actor,
    Params(query): Params<NoticeQuery>,
) -> Result<Json<NoticeList>, Problem> {
    super::read(&api, |state| {
        let all = || state.notices.of(&actor.user).into_iter().flat_map(|known| known.list.iter().rev());
        let wanted = all().filter(|notice| !query.unread || !notice.read);
        Ok(NoticeList {
            notices: wanted.map(|notice| NoticeView::of(state, notice)).collect(),
            unread: all().filter(|notice| !notice.read).count(),
        })
    })
    .await
}

/// Marks notices of whoever asks as read.
#[utoipa::path(post, path = "/v1/notices/read", tag = "notices", request_body = NoticesSeen,
    responses((status = 200, body = Done)))]
pub(crate) async fn read(
    Extract(api): Extract<Api>,
    actor: Actor,
    Body(seen): Body<NoticesSeen>,
) -> Result<Json<Done>, Problem> {
    api.change(&actor, Command::Notice(NoticeCommand::Read { ids: seen.ids })).await
}

/// Shows how everybody is told who has no settings of their own.
#[utoipa::path(get, path = "/v1/notice-settings", tag = "notices",
    responses((status = 200, body = NoticeSettingsView)))]
pub(crate) async fn show_org(
    Extract(api): Extract<Api>,
    _actor: Actor,
) -> Result<Json<NoticeSettingsView>, Problem> {
    super::read(&api, |state| {
        let own = state.notices.settings.clone();
        let inherited = own.is_none();
        Ok(NoticeSettingsView { inherited, settings: own.unwrap_or_default().into() })
    })
    .await
}

/// Sets how everybody is told who has no settings of their own.
#[utoipa::path(put, path = "/v1/notice-settings", tag = "notices", request_body = NoticeSettingsBody,
    responses((status = 200, body = Done)))]
pub(crate) async fn set_org(
    Extract(api): Extract<Api>,
    actor: Actor,
    Body(body): Body<NoticeSettingsBody>,
) -> Result<Json<Done>, Problem> {
    let settings = Some(body.into());
    api.change(&actor, Command::Notice(NoticeCommand::Set { user: None, settings })).await
}

/// Shows how a user is told: oneself, or anybody to those with Modify All Data.
#[utoipa::path(get, path = "/v1/users/{user}/notice-settings", tag = "notices",
    params(("user" = String, Path, description = "The user.")),
    responses((status = 200, body = NoticeSettingsView)))]
pub(crate) async fn show_user(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(user): Route<UserName>,
) -> Result<Json<NoticeSettingsView>, Problem> {
    super::read(&api, |state| {
        users::find(state, &actor, &user)?;
        let own = state.notices.of(&user).is_some_and(|known| known.settings.is_some());
        Ok(NoticeSettingsView { inherited: !own, settings: state.notices.settings_of(&user).into() })
    })
    .await
}

/// Sets how a user is told: oneself, or anybody by those with Modify All Data.
#[utoipa::path(put, path = "/v1/users/{user}/notice-settings", tag = "notices",
    params(("user" = String, Path, description = "The user.")), request_body = NoticeSettingsBody,
    responses((status = 200, body = Done)))]
pub(crate) async fn set_user(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(user): Route<UserName>,
    Body(body): Body<NoticeSettingsBody>,
) -> Result<Json<Done>, Problem> {
    let settings = Some(body.into());
    api.change(&actor, Command::Notice(NoticeCommand::Set { user: Some(user), settings })).await
}

/// Takes the settings of a user away: those of the org hold.
#[utoipa::path(delete, path = "/v1/users/{user}/notice-settings", tag = "notices",
    params(("user" = String, Path, description = "The user.")),
    responses((status = 200, body = Done)))]
pub(crate) async fn unset_user(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(user): Route<UserName>,
) -> Result<Json<Done>, Problem> {
    api.change(&actor, Command::Notice(NoticeCommand::Set { user: Some(user), settings: None })).await
}
