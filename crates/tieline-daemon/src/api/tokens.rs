//! API tokens: issued once, stored as a hash.

use axum::Json;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tieline_core::UserName;
use tieline_core::command::Command;
use utoipa::ToSchema;

use super::Api;
use super::auth::{Actor, Permission};
use super::problem::Problem;
use super::request::Body;
use crate::init::{new_token, token_hash};

/// For whom a token is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenRequest {
    /// The user; added if new.
    #[schema(value_type = String)]
    user: UserName,
    /// Whether a new user may do everything. It changes nothing for a known user.
    #[serde(default)]
    admin: bool,
}

/// A token. It is shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Token {
    /// Whose it is.
    user: String,
    /// To be sent as `Authorization: Bearer …`.
    token: String,
}

/// Issues a token.
#[utoipa::path(post, path = "/v1/tokens", tag = "org", request_body = TokenRequest,
    responses((status = 201, body = Token)))]
pub(crate) async fn issue(
    Extract(api): Extract<Api>,
    actor: Actor,
    Body(request): Body<TokenRequest>,
) -> Result<(StatusCode, Json<Token>), Problem> {
    actor.require(Permission::ManageUsers)?;
    let token = new_token().map_err(|error| Problem::internal("drawing a token", &error))?;
    let TokenRequest { user, admin } = request;
    let command = Command::IssueToken { user: user.clone(), admin, token_hash: token_hash(&token) };
    api.org.execute(command, &actor.user).await?;
    Ok((StatusCode::CREATED, Json(Token { user: user.to_string(), token })))
}
