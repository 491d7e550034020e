//! What has to be done outside: mails and webhooks that wait, failed or were sent.

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use tieline_core::EffectId;
use tieline_core::command::{Command, EffectCommand};
use tieline_core::effect::{Cause, Effect};
use tieline_core::limits::PAGE_MAX;
use tieline_core::state::{OpenEffect, SentEffect};
use utoipa::ToSchema;

use super::auth::Actor;
use super::problem::{ErrorCode, Problem};
use super::request::{Params, Route};
use super::{Api, Done};

/// Which effects.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EffectQuery {
    /// Only those that are `open`, `failed` or `sent`.
    status: Option<String>,
}

/// Effects, the newest first: at most 1,000. Of those that were sent, the last 200 are at hand; the
/// log keeps all.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EffectList {
    /// One entry for each.
    effects: Vec<EffectView>,
}

/// Something that has to be done outside, or was.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EffectView {
    /// Its id; it is in the Message-ID of a mail and in the Idempotency-Key of a webhook.
    id: String,
    /// `mail` or `webhook`.
    kind: String,
    /// `open`, `failed` or `sent`.
    status: &'static str,
    /// To whom: an address of either kind.
    recipient: String,
    /// What it is about.
    subject: String,
    /// What it is for: `notice`, `digest`, `invitation`, `inquiry` or `rule`.
    purpose: &'static str,
    /// The connection that it is about.
    connection: Option<String>,
    /// The record that it is about.
    record: Option<String>,
    /// The rule that asked for it.
    rule: Option<String>,
    /// The user for whom or by whom it is done.
    user: Option<String>,
    /// When it was queued.
    queued: String,
    /// When it was sent or given up.
    ended: Option<String>,
    /// How often it was tried; while it is open, since the daemon was started.
    attempts: Option<u32>,
    /// Why it was given up, or why the last attempt failed.
    error: Option<String>,
}

/// Where an address of a webhook holds a secret of its own, only its host is shown.
fn recipient(effect: &Effect) -> String {
    shown(effect.kind(), effect.recipient())
}

fn shown(kind: &str, recipient: &str) -> String {
    if kind == "mail" {
        return recipient.to_owned();
    }
    recipient.split(['?', '#']).next().unwrap_or_default().to_owned()
}

impl EffectView {
    fn new(id: EffectId, kind: &str, status: &'static str, cause: &Cause) -> Self {
        Self {
            id: id.to_string(),
            kind: kind.to_owned(),
            status,
            recipient: String::new(),
            subject: String::new(),
            purpose: cause.purpose.as_str(),
            connection: cause.connection.map(|id| id.to_string()),
            record: cause.record.map(|id| id.to_string()),
            rule: cause.rule.clone(),
            user: cause.user.as_ref().map(ToString::to_string),
            queued: String::new(),
            ended: None,
            attempts: None,
            error: None,
        }
    }

    fn open(id: EffectId, status: &'static str, open: &OpenEffect) -> Self {
        Self {
            recipient: recipient(&open.effect),
            subject: open.effect.subject().to_owned(),
            queued: open.time.to_string(),
            ..Self::new(id, open.effect.kind(), status, &open.cause)
        }
    }

    fn sent(sent: &SentEffect) -> Self {
        Self {
            recipient: shown(&sent.kind, &sent.recipient),
            subject: sent.subject.clone(),
            queued: sent.queued.to_string(),
            ended: Some(sent.time.to_string()),
            attempts: Some(sent.attempts),
            ..Self::new(sent.id, &sent.kind, "sent", &sent.cause)
        }
    }
}

/// Lists mails and webhooks that wait, failed or were sent; what they say is not shown.
#[utoipa::path(get, path = "/v1/effects", tag = "operations", params(EffectQuery),
    responses((status = 200, body = EffectList)))]
pub(crate) async fn list(
    Extract(api): Extract<Api>,
    _actor: Actor,
    Params(query): Params<EffectQuery>,
) -> Result<Json<EffectList>, Problem> {
    let wanted = match query.status.as_deref() {
        None => None,
        Some(status @ ("open" | "failed" | "sent")) => Some(status.to_owned()),
        Some(_) => {
            return Err(Problem::new(ErrorCode::BadQuery, "status is open, failed or sent"));
        }
    };
    super::read(&api, |state| {
        let effects = &state.effects;
        let open = effects.open().iter().map(|(id, open)| {
            let (attempts, error) = api.org.trying(*id).unzip();
            (open.time, EffectView { attempts, error, ..EffectView::open(*id, "open", open) })
        });
        let failed = effects.failed().iter().map(|(id, failed)| {
            let view = EffectView {
                ended: Some(failed.time.to_string()),
                attempts: Some(failed.attempts),
                error: Some(failed.error.clone()),
                ..EffectView::open(*id, "failed", &failed.open)
            };
            (failed.time, view)
        });
        let sent = effects.sent().iter().map(|sent| (sent.time, EffectView::sent(sent)));
        let mut all: Vec<_> = open.chain(failed).chain(sent).collect();
        all.retain(|(_, view)| wanted.as_deref().is_none_or(|status| status == view.status));
        all.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
        Ok(EffectList { effects: all.into_iter().take(PAGE_MAX).map(|(_, view)| view).collect() })
    })
    .await
}

/// Tries an effect again that was given up.
#[utoipa::path(post, path = "/v1/effects/{effect}/retry", tag = "operations",
    params(("effect" = String, Path, description = "Id of the effect.")),
    responses((status = 200, body = Done)))]
pub(crate) async fn retry(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(id): Route<EffectId>,
) -> Result<Json<Done>, Problem> {
    api.change(&actor, Command::Effect(EffectCommand::Retry { id })).await
}

/// Forgets an effect that was given up.
#[utoipa::path(delete, path = "/v1/effects/{effect}", tag = "operations",
    params(("effect" = String, Path, description = "Id of the effect.")),
    responses((status = 200, body = Done)))]
pub(crate) async fn drop_it(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(id): Route<EffectId>,
) -> Result<Json<Done>, Problem> {
    api.change(&actor, Command::Effect(EffectCommand::Drop { id })).await
}
