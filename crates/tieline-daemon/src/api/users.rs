//! Users, and their API tokens: issued once, stored as a hash.

use axum::Json;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tieline_core::command::{Command, NewToken, Reply};
use tieline_core::state::{State, Token, User};
use tieline_core::{RoleName, TokenId, UserName};
use utoipa::ToSchema;

use super::auth::Actor;
use super::handover::Owned;
use super::once::{Keyed, answer_gone};
use super::problem::{ErrorCode, Problem};
use super::request::{Body, Route};
use super::{Api, Done};
use crate::clock::now;
use crate::init::{token_hash, token_hint, token_of};

/// A user.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserView {
    /// The login name.
    user: String,
    /// The e-mail address, if it is known.
    email: Option<String>,
    /// What the user may do: see `/v1/roles`. The Connection User has no role.
    role: Option<String>,
    /// Whether the user may do anything at all.
    active: bool,
    /// The Connection User: it makes remote changes, and nobody can log in as it.
    system: bool,
    /// The groups that the user belongs to, by name or by role.
    groups: Vec<String>,
    /// How many tokens open something now.
    tokens: usize,
}

/// The users of the org.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserList {
    /// One entry for each, in the order of their names.
    users: Vec<UserView>,
}

/// A user to be added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUser {
    /// The login name.
    #[schema(value_type = String)]
    user: UserName,
    /// The e-mail address.
    email: Option<String>,
    /// What the user may do; `standard` if not said.
    #[schema(value_type = Option<String>)]
    role: Option<RoleName>,
}

/// What is to be changed of a user; what is not named stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserChange {
    /// The e-mail address; an empty one takes it away.
    email: Option<String>,
    /// What the user may do.
    #[schema(value_type = Option<String>)]
    role: Option<RoleName>,
    /// Whether the user may do anything at all: without it, no token of the user opens anything.
    active: Option<bool>,
}

/// A token as it is known.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenView {
    /// Its id.
    token: String,
    /// What it is for.
    label: String,
    /// Its last characters, to know it by.
    hint: String,
    /// When it was issued.
    created: String,
    /// When it ends; without one, never.
    expires: Option<String>,
    /// When it was revoked.
    revoked: Option<String>,
    /// `valid`, `expired` or `revoked`.
    status: &'static str,
}

/// The tokens of a user.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenList {
    /// One entry for each, in the order of their ids; revoked ones are remembered for a while.
    tokens: Vec<TokenView>,
}

/// What a token is for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenRequest {
    /// What it is for.
    #[serde(default)]
    label: String,
    /// Seconds until it ends; without it, it does not end.
    expires_in_s: Option<u32>,
}

/// A token that was issued. It is shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IssuedToken {
    /// Its id.
    id: String,
    /// Whose it is.
    user: String,
    /// To be sent as `Authorization: Bearer …`.
    token: String,
    /// When it ends; without one, never.
    expires: Option<String>,
}

fn status(token: &Token) -> &'static str {
    match (token.revoked, token.expires) {
        (Some(_), _) => "revoked",
        (None, Some(expires)) if expires <= now() => "expired",
        (None, _) => "valid",
    }
}

impl UserView {
    fn of(state: &State, name: &UserName, user: &User) -> Self {
        let system = name.is_connection_user();
        let belongs = |group: &&tieline_core::people::Group| {
            group.users.contains(name) || !system && group.roles.contains(&user.role)
        };
        Self {
            user: name.to_string(),
            email: user.email.clone(),
            role: (!system).then(|| user.role.to_string()),
            active: user.active,
            system,
            groups: state.groups.values().filter(belongs).map(|group| group.name.to_string()).collect(),
            tokens: user.tokens.values().filter(|token| status(token) == "valid").count(),
        }
    }
}

impl TokenView {
    fn of(id: TokenId, token: &Token) -> Self {
        Self {
            token: id.to_string(),
            label: token.label.clone(),
            hint: token.hint.clone(),
            created: token.created.to_string(),
            expires: token.expires.map(|time| time.to_string()),
            revoked: token.revoked.map(|time| time.to_string()),
            status: status(token),
        }
    }
}

/// A user, for the user and for those with Modify All Data.
pub(crate) fn find<'a>(state: &'a State, actor: &Actor, name: &UserName) -> Result<&'a User, Problem> {
    actor.reading(state).own(name)?;
    state.users.get(name).ok_or_else(|| {
        let detail = format!("there is no user {name}: see the users with `tieline user list`");
        Problem::new(ErrorCode::UnknownUser, detail)
    })
}

/// Lists the users.
#[utoipa::path(get, path = "/v1/users", tag = "people", responses((status = 200, body = UserList)))]
pub(crate) async fn list(Extract(api): Extract<Api>, _actor: Actor) -> Result<Json<UserList>, Problem> {
    super::read(&api, |state| {
        let users = state.users.iter().map(|(name, user)| UserView::of(state, name, user));
        Ok(UserList { users: users.collect() })
    })
    .await
}

/// Shows a user; everybody may see themselves.
#[utoipa::path(get, path = "/v1/users/{user}", tag = "people",
    params(("user" = String, Path, description = "The login name.")),
    responses((status = 200, body = UserView)))]
pub(crate) async fn show(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(name): Route<UserName>,
) -> Result<Json<UserView>, Problem> {
    super::read(&api, |state| find(state, &actor, &name).map(|user| UserView::of(state, &name, user))).await
}

/// Adds a user.
#[utoipa::path(post, path = "/v1/users", tag = "people", request_body = NewUser,
    responses((status = 201, body = Done)))]
pub(crate) async fn add(
    Extract(api): Extract<Api>,
    actor: Actor,
    Body(new): Body<NewUser>,
) -> Result<(StatusCode, Json<Done>), Problem> {
    let role = new.role.unwrap_or_else(RoleName::standard);
    let done = api.change(&actor, Command::AddUser { user: new.user, email: new.email, role }).await?;
    Ok((StatusCode::CREATED, done))
}

/// What a change of a user answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserChanged {
    /// The last event of the log when it was decided.
    seq: u64,
    /// Whether anything changed.
    changed: bool,
    /// What the user still owns, of one who is not active any more: it can be handed over.
    #[serde(skip_serializing_if = "Option::is_none")]
    owns: Option<Owned>,
}

/// Changes a user. One who is not active any more can do nothing from that moment on.
#[utoipa::path(patch, path = "/v1/users/{user}", tag = "people", request_body = UserChange,
    params(("user" = String, Path, description = "The login name.")),
    responses((status = 200, body = UserChanged)))]
pub(crate) async fn change(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(user): Route<UserName>,
    Body(change): Body<UserChange>,
) -> Result<Json<UserChanged>, Problem> {
    let UserChange { email, role, active } = change;
    let command = Command::ChangeUser { user: user.clone(), email, role, active };
    let Json(Done { seq, changed }) = api.change(&actor, command).await?;
    let owns =
        if active == Some(false) { Some(api.org.read(|state| Owned::of(state, &user)).await) } else { None };
    Ok(Json(UserChanged { seq, changed, owns: owns.filter(|owned| !owned.is_nothing()) }))
}

/// Removes a user on whom nothing stands, with all tokens. The log keeps naming the user.
#[utoipa::path(delete, path = "/v1/users/{user}", tag = "people",
    params(("user" = String, Path, description = "The login name.")),
    responses((status = 200, body = Done)))]
pub(crate) async fn remove(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(user): Route<UserName>,
) -> Result<Json<Done>, Problem> {
    api.change(&actor, Command::RemoveUser { user }).await
}

/// Lists the tokens of a user; everybody may see their own.
#[utoipa::path(get, path = "/v1/users/{user}/tokens", tag = "people",
    params(("user" = String, Path, description = "The login name.")),
    responses((status = 200, body = TokenList)))]
pub(crate) async fn tokens(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(name): Route<UserName>,
) -> Result<Json<TokenList>, Problem> {
    super::read(&api, |state| {
        let tokens = find(state, &actor, &name)?.tokens.iter();
        Ok(TokenList { tokens: tokens.map(|(id, token)| TokenView::of(*id, token)).collect() })
    })
    .await
}

/// Issues a token to a user.
#[utoipa::path(post, path = "/v1/users/{user}/tokens", tag = "people", request_body = TokenRequest,
    params(("user" = String, Path, description = "The login name.")),
    responses((status = 201, body = IssuedToken)))]
pub(crate) async fn issue(
    Extract(api): Extract<Api>,
    actor: Actor,
    keyed: Keyed,
    Route(user): Route<UserName>,
    Body(request): Body<TokenRequest>,
) -> Result<(StatusCode, Json<IssuedToken>), Problem> {
    let token = token_of(&keyed.secret(&api, &actor)?);
    let expires = request.expires_in_s.map(|seconds| now().plus_us(i64::from(seconds) * 1_000_000));
    let kept = NewToken { hash: token_hash(&token), hint: token_hint(&token), label: request.label, expires };
    let command = Command::IssueToken { user: user.clone(), token: kept };
    let executed = api.execute_one(Ok(command), &actor, &keyed).await?;
    let Reply::Token(id) = executed.reply else { return Err(super::unexpected(&executed.reply)) };
    // One that was issued before ends when it did then.
    let issued = api.org.read(|state| {
        let issued = state.users.get(&user)?.tokens.get(&id)?;
        Some((*issued.hash, issued.expires))
    });
    let (hash, expires) = issued.await.ok_or_else(|| answer_gone("the token"))?;
    if hash != token_hash(&token) {
        return Err(answer_gone("the token"));
    }
    let expires = expires.map(|time| time.to_string());
    Ok((
        StatusCode::CREATED,
        Json(IssuedToken { id: id.to_string(), user: user.to_string(), token, expires }),
    ))
}

/// Revokes a token; everybody may revoke their own.
#[utoipa::path(delete, path = "/v1/users/{user}/tokens/{token}", tag = "people",
    params(("user" = String, Path, description = "The login name."),
        ("token" = String, Path, description = "The id of the token.")),
    responses((status = 200, body = Done)))]
pub(crate) async fn revoke(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route((user, token)): Route<(UserName, TokenId)>,
) -> Result<Json<Done>, Problem> {
    api.change(&actor, Command::RevokeToken { user, token }).await
}
