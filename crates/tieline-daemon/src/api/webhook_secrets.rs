//! The secrets that sign webhooks: made and rotated here, shown that once, and never told again.

use axum::Json;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tieline_core::SecretName;
use tieline_core::automation::Action;
use tieline_core::command::{Command, EffectCommand};
use tieline_core::event::SecretChange;
use tieline_core::state::State;
use utoipa::ToSchema;

use super::Api;
use super::auth::Actor;
use super::problem::{ErrorCode, Problem};
use super::request::{Body, Route};
use crate::secrets::{KnownSecret, SecretError};

/// A secret to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSecret {
    /// What webhooks call it.
    #[schema(value_type = String)]
    name: SecretName,
}

/// A secret that was made. It is shown this once.
#[derive(Serialize, ToSchema)]
pub(crate) struct MadeSecret {
    /// Its name.
    name: String,
    /// What it is: the key of the HMAC, as it stands here.
    secret: String,
}

/// A secret, of which no more is told.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SecretView {
    /// Its name.
    name: String,
    /// Since when it signs.
    since: String,
    /// Until when the one before it signs as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    former_until: Option<String>,
    /// What signs with it.
    used_by: Vec<String>,
}

/// The secrets that sign webhooks.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SecretList {
    /// One entry for each that is there, or that something names.
    secrets: Vec<SecretView>,
    /// Secrets that something names and that are not there: nothing is sent with them.
    missing: Vec<MissingSecret>,
}

/// A secret that is not there.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MissingSecret {
    /// Its name.
    name: String,
    /// What would sign with it.
    used_by: Vec<String>,
}

/// A secret that was removed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RemovedSecret {
    /// Its name.
    name: String,
}

/// What signs with secrets, with their names.
fn uses(state: &State) -> Vec<(SecretName, String)> {
    let mut uses = Vec::new();
    for rule in state.automation.workflow.values() {
        let secrets = rule.actions.iter().filter_map(|action| match action {
            Action::Webhook { secret, .. } => secret.clone(),
            _ => None,
        });
        uses.extend(secrets.map(|secret| (secret, format!("workflow rule {}", rule.name))));
    }
    let hook = |settings: &tieline_core::notice::NoticeSettings| settings.webhook.as_ref()?.secret.clone();
    let all = state.notices.settings.as_ref().and_then(hook);
    uses.extend(all.map(|secret| (secret, "the notices of everybody".to_owned())));
    for (user, settings) in state.notices.own_settings() {
        uses.extend(hook(settings).map(|secret| (secret, format!("the notices of {user}"))));
    }
    uses
}

fn used_by(uses: &[(SecretName, String)], name: &SecretName) -> Vec<String> {
    uses.iter().filter(|(used, _)| used == name).map(|(_, by)| by.clone()).collect()
}

fn refused(name: &SecretName, error: SecretError) -> Problem {
    let (code, detail) = match error {
        SecretError::Known => (
            ErrorCode::SecretExists,
            format!(
                "there is a secret {name} already: rotate it with `tieline webhook-secret rotate {name}`"
            ),
        ),
        SecretError::Unknown => (
            ErrorCode::UnknownSecret,
            format!("there is no secret {name}: make it with `tieline webhook-secret create {name}`"),
        ),
        SecretError::TooMany => {
            (ErrorCode::LimitReached, "there are too many secrets: remove one first".to_owned())
        }
        SecretError::Io(error) => return Problem::internal("keeping a secret", &error),
    };
    Problem::new(code, detail)
}

/// Lets the log say what was done with a secret, and by whom; never what it is.
async fn note(api: &Api, actor: &Actor, name: &SecretName, change: SecretChange) -> Result<(), Problem> {
    let command = Command::Effect(EffectCommand::NoteSecret { name: name.clone(), change });
    api.org.execute(command, &actor.user).await?;
    Ok(())
}

/// Lists the secrets that sign webhooks, and those that are named and are not there; never what they are.
#[utoipa::path(get, path = "/v1/webhook-secrets", tag = "operations",
    responses((status = 200, body = SecretList)))]
pub(crate) async fn list(Extract(api): Extract<Api>, _actor: Actor) -> Result<Json<SecretList>, Problem> {
    let known =
        api.org.webhook_secrets().map_err(|error| Problem::internal("looking at the secrets", &error))?;
    super::read(&api, |state| {
        let uses = uses(state);
        let mut missing: Vec<&SecretName> = uses.iter().map(|(name, _)| name).collect();
        missing.retain(|name| !known.iter().any(|known| known.name == **name));
        missing.sort();
        missing.dedup();
        let missing = missing
            .into_iter()
            .map(|name| MissingSecret { name: name.to_string(), used_by: used_by(&uses, name) });
        let view = |KnownSecret { name, since, former_until }: &KnownSecret| SecretView {
            name: name.to_string(),
            since: since.to_string(),
            former_until: former_until.map(|until| until.to_string()),
            used_by: used_by(&uses, name),
        };
        Ok(SecretList { secrets: known.iter().map(view).collect(), missing: missing.collect() })
    })
    .await
}

/// Makes a secret that signs webhooks. It is shown this once.
#[utoipa::path(post, path = "/v1/webhook-secrets", tag = "operations", request_body = NewSecret,
    responses((status = 201, body = MadeSecret)))]
pub(crate) async fn make(
    Extract(api): Extract<Api>,
    actor: Actor,
    Body(NewSecret { name }): Body<NewSecret>,
) -> Result<(StatusCode, Json<MadeSecret>), Problem> {
    let secret = api.org.make_webhook_secret(&name).map_err(|error| refused(&name, error))?;
    note(&api, &actor, &name, SecretChange::Made).await?;
    Ok((StatusCode::CREATED, Json(MadeSecret { name: name.to_string(), secret })))
}

/// Makes another secret in the place of one, and shows it this once. For a day, webhooks are signed with
/// both.
#[utoipa::path(post, path = "/v1/webhook-secrets/{name}/rotate", tag = "operations",
    params(("name" = String, Path, description = "The secret.")),
    responses((status = 200, body = MadeSecret)))]
pub(crate) async fn rotate(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(name): Route<SecretName>,
) -> Result<Json<MadeSecret>, Problem> {
    let secret = api.org.rotate_webhook_secret(&name).map_err(|error| refused(&name, error))?;
    note(&api, &actor, &name, SecretChange::Rotated).await?;
    Ok(Json(MadeSecret { name: name.to_string(), secret }))
}

/// Removes a secret that nothing signs with.
#[utoipa::path(delete, path = "/v1/webhook-secrets/{name}", tag = "operations",
    params(("name" = String, Path, description = "The secret.")),
    responses((status = 200, body = RemovedSecret)))]
pub(crate) async fn remove(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(name): Route<SecretName>,
) -> Result<Json<RemovedSecret>, Problem> {
    let used = api.org.read(|state| used_by(&uses(state), &name)).await;
    if let Some(by) = used.first() {
        let detail = format!("the secret {name} is in use: {by} signs with it; take it away there first");
        return Err(Problem::new(ErrorCode::SecretInUse, detail));
    }
    api.org.remove_webhook_secret(&name).map_err(|error| refused(&name, error))?;
    note(&api, &actor, &name, SecretChange::Removed).await?;
    Ok(Json(RemovedSecret { name: name.to_string() }))
}
