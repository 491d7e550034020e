//! The HTTP API: `/v1`, JSON, with an OpenAPI document that is made from the handlers.
//!
//! One file per noun; a handler parses, asks the org, and shows. Rules of the domain are in the
//! core, and nothing here decides what may happen to a record or a connection. Whatever a handler
//! answers is durable: it reads through `OrgHandle::read`, or answers what a command answered.
//!
//! | module | paths |
//! |---|---|
//! | `status`, `state_hash`, `health` | `/v1/status`, `/v1/state-hash`, `/healthz`, `/readyz`, `/metrics` |
//! | `org`, `users`, `roles` | `/v1/org`, `/v1/users`, `/v1/roles`, `/v1/groups` |
//! | `objects` | `/v1/objects` |
//! | `config`, `check` | `/v1/config`, `/v1/check` |
//! | `invitations`, `saved_invitations`, `contacts`, `mail` | `/v1/invitations`, `/v1/mail-templates` |
//! | `connections`, `audit` | `/v1/connections` |
//! | `finder` | `/v1/finder`, `/v1/directory` |
//! | `templates` | `/v1/templates`, `/v1/connections/{c}/template` |
//! | `publish`, `subscribe` | `/v1/connections/{c}/publish`, `…/subscribe` |
//! | `queues`, `rules` | `/v1/queues`, `/v1/rules/{kind}`, `/v1/rule-failures` |
//! | `records`, `batch`, `history`, `field_history` | `/v1/records`, `/v1/batch` |
//! | `shares`, `inbox` | `/v1/shares`, `/v1/connections/{c}/shares`, `/v1/inbox` |
//! | `views`, `inbox_views` | `/v1/views`, `/v1/inbox-views` |
//! | `accounts` | `/v1/connections/{c}/subscribe/{remote}/account`, `/v1/inbox/preview` |
//! | `owners` | `/v1/connections/{c}/owners`, `…/owners/apply` |
//! | `convert` | `/v1/records/Lead/{id}/convert`, `/v1/conversion` |
//! | `approvals` | `/v1/approvals` |
//! | `effects`, `notices` | `/v1/effects`, `/v1/notices`, `/v1/notice-settings` |
//! | `changes`, `reports` | `/v1/changes`, `/v1/reports` |
//! | `jobs`, `log`, `export` | `/v1/jobs`, `/v1/failures`, `/v1/alarms`, `/v1/log` |
//!
//! `{c}` is the id of a connection, its partner or its label (`select`). Errors are problem details
//! with a code of a closed list ([`ErrorCode`]). Who may ask what stands in one table, `access`.

mod access;
mod accounts;
mod approvals;
mod as_of;
mod audit;
mod auth;
mod batch;
mod changes;
mod check;
mod config;
mod connection_view;
mod connections;
mod contacts;
mod convert;
mod drift;
mod effects;
mod event_view;
mod explain;
mod export;
mod field_history;
mod field_view;
mod finder;
mod handover;
mod health;
mod history;
mod inbox;
mod inbox_views;
mod invitations;
mod jobs;
mod log;
mod mail;
mod notices;
mod objects;
mod offers;
mod once;
mod openapi;
mod org;
mod owners;
mod pairing;
mod past;
mod problem;
mod publish;
mod queues;
mod records;
mod replay;
mod reports;
mod request;
mod roles;
mod rules;
mod saved_invitations;
mod scrape;
mod select;
mod share_view;
mod shares;
mod state_hash;
mod status;
mod subscribe;
mod templates;
mod trace;
mod users;
mod values;
mod views;
mod webhook_secrets;

use std::any::Any;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{DefaultBodyLimit, Request, State as Extract};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde::Serialize;
use tieline_core::ConnectionId;
use tieline_core::command::{Command, Reply};
use tieline_core::limits::REQUEST_BODY_BYTES_MAX;
use tieline_core::state::State;
use tokio::sync::{Mutex, Semaphore};
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use batch::batch_commands;
pub(crate) use history::step as history_step;
pub use log::log_page;
pub use openapi::document;
pub use problem::ErrorCode;

use crate::metrics::Metric;
use crate::org::{Executed, OrgHandle};
use auth::Actor;
use problem::Problem;

/// What all handlers share.
#[derive(Clone)]
pub(crate) struct Api(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) org: OrgHandle,
    /// Streams end when this is cancelled, or they would keep the daemon from stopping.
    stopping: CancellationToken,
    started: Instant,
    /// Held while an object, or the org's settings, are read, extended and saved: the API is their
    /// only writer.
    defining: Mutex<()>,
    /// Held while the log is verified or folded: one such reader of the whole log is enough.
    verifying: Arc<Mutex<()>>,
    /// Room for those who follow changes.
    following: Arc<Semaphore>,
    /// Room for exports of the log.
    exporting: Arc<Semaphore>,
}

impl Deref for Api {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// What a change answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Done {
    /// The last event of the log when it was decided.
    seq: u64,
    /// Whether anything changed.
    changed: bool,
}

impl From<&Executed> for Done {
    fn from(executed: &Executed) -> Self {
        Self { seq: executed.seq.0, changed: executed.reply != Reply::Unchanged }
    }
}

impl Shared {
    /// Executes a command that answers no more than that it is done.
    async fn change(&self, actor: &Actor, command: Command) -> Result<Json<Done>, Problem> {
        let executed = self.org.execute(command, &actor.user).await?;
        Ok(Json(Done::from(&executed)))
    }

    /// The id of the connection that `selector` names.
    fn connection_id(&self, selector: &str) -> Result<ConnectionId, Problem> {
        self.org.peek(|state| select::connection(state, selector).map(|connection| connection.id))
    }
}

/// An answer of the core that does not belong to its command: a defect, told as such.
fn unexpected(reply: &Reply) -> Problem {
    tracing::error!(?reply, "a command answered something else than it should");
    Problem::new(ErrorCode::Internal, "the command was done, and its answer is not what it should be")
}

/// The API of a running org. Streams end when `stopping` is cancelled.
pub fn router(org: OrgHandle, stopping: CancellationToken) -> Router {
    let api = Api(Arc::new(Shared {
        org,
        stopping,
        started: Instant::now(),
        defining: Mutex::new(()),
        verifying: Arc::default(),
        following: Arc::new(Semaphore::new(changes::FOLLOWERS_MAX)),
        exporting: Arc::new(Semaphore::new(export::EXPORTS_MAX)),
    }));
    let (router, _) = documented().split_for_parts();
    router
        .merge(undocumented())
        .fallback(nothing_here)
        .method_not_allowed_fallback(other_method)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(axum::middleware::from_fn(request::tell_of_unread))
        .layer(axum::middleware::from_fn_with_state(api.clone(), timed))
        .layer(DefaultBodyLimit::max(REQUEST_BODY_BYTES_MAX))
        .with_state(api)
}

/// Everything that the OpenAPI document names.
fn documented() -> OpenApiRouter<Api> {
    let other = other().route_layer(axum::middleware::from_fn(once::refuse));
    let keyed = keyed().route_layer(axum::middleware::from_fn(once::take));
    OpenApiRouter::with_openapi(openapi::head()).merge(other).merge(keyed)
}

/// What may be sent again with the same `Idempotency-Key`.
fn keyed() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(records::list, records::create))
        .routes(routes!(records::show, records::change, records::delete))
        .routes(routes!(records::assign))
        .routes(routes!(records::assign_all))
        .routes(routes!(batch::batch))
        .routes(routes!(convert::convert))
        .routes(routes!(convert::show, convert::set, convert::reset))
        .routes(routes!(shares::forward))
        .routes(routes!(shares::stop))
        .routes(routes!(shares::retry))
        .routes(routes!(inbox::accept))
        .routes(routes!(inbox::decline))
        .routes(routes!(invitations::invite))
        .routes(routes!(users::tokens, users::issue))
}

fn other() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(status::status))
        .routes(routes!(pairing::suggestions))
        .routes(routes!(drift::show))
        .routes(routes!(objects::check))
        .routes(routes!(pairing::publishable))
        .routes(routes!(state_hash::state_hash))
        .routes(routes!(org::show, org::change))
        .routes(routes!(org::enable))
        .routes(routes!(users::list, users::add))
        .routes(routes!(users::show, users::change, users::remove))
        .routes(routes!(users::revoke))
        .routes(routes!(handover::hand_over))
        .routes(routes!(roles::list))
        .routes(routes!(roles::show, roles::set, roles::remove))
        .routes(routes!(roles::list_groups))
        .routes(routes!(roles::show_group, roles::set_group, roles::remove_group))
        .routes(routes!(invitations::inspect))
        .routes(routes!(invitations::answer))
        .routes(routes!(invitations::later))
        .routes(routes!(contacts::list, contacts::invite))
        .routes(routes!(saved_invitations::show, saved_invitations::change, saved_invitations::discard))
        .routes(routes!(saved_invitations::send_saved))
        .routes(routes!(mail::list))
        .routes(routes!(mail::show, mail::set, mail::remove))
        .routes(routes!(mail::preview))
        .routes(routes!(finder::list, finder::ask))
        .routes(routes!(finder::record))
        .routes(routes!(finder::directory))
        .routes(routes!(connections::list))
        .routes(routes!(connections::show, connections::change))
        .routes(routes!(connections::revoke))
        .routes(routes!(connections::deactivate))
        .routes(routes!(connections::resume))
        .routes(routes!(connections::pause))
        .routes(routes!(connections::unpause))
        .routes(routes!(connections::reconcile))
        .routes(routes!(connections::rotate_key))
        .routes(routes!(templates::list))
        .routes(routes!(templates::show, templates::save, templates::remove))
        .routes(routes!(templates::give))
        .routes(routes!(check::check))
        .routes(routes!(publish::list))
        .routes(routes!(publish::show, publish::set, publish::remove))
        .routes(routes!(subscribe::list))
        .routes(routes!(subscribe::show, subscribe::set, subscribe::remove))
        .routes(routes!(objects::list, objects::define))
        .routes(routes!(objects::show, objects::remove))
        .routes(routes!(config::show))
        .routes(routes!(config::plan_files))
        .routes(routes!(config::apply_files))
        .routes(routes!(history::history))
        .routes(routes!(records::tasks))
        .routes(routes!(approvals::list))
        .routes(routes!(approvals::decide))
        .routes(routes!(field_history::field_history))
        .routes(routes!(as_of::as_of))
        .routes(routes!(explain::of_record))
        .routes(routes!(explain::event))
        .routes(routes!(trace::trace))
        .routes(routes!(audit::audit))
        .routes(routes!(audit::of_org))
        .routes(routes!(replay::replay))
        .routes(routes!(shares::list))
        .routes(routes!(inbox::list))
        .routes(routes!(queues::list))
        .routes(routes!(queues::show, queues::set, queues::remove))
        .routes(routes!(queues::share))
        .routes(routes!(accounts::preview_offers))
        .routes(routes!(accounts::show, accounts::set, accounts::remove))
        .routes(routes!(owners::show, owners::set, owners::remove))
        .routes(routes!(owners::apply))
        .routes(routes!(views::list))
        .routes(routes!(views::show, views::set, views::remove))
        .routes(routes!(views::rows))
        .routes(routes!(views::count))
        .routes(routes!(inbox_views::list))
        .routes(routes!(inbox_views::show, inbox_views::set, inbox_views::remove))
        .routes(routes!(inbox_views::offers))
        .routes(routes!(inbox_views::count))
        .routes(routes!(rules::list))
        .routes(routes!(rules::show, rules::set, rules::remove))
        .routes(routes!(rules::try_out))
        .routes(routes!(rules::apply))
        .routes(routes!(rules::failures))
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::failures))
        .routes(routes!(jobs::alarms))
        .routes(routes!(webhook_secrets::list, webhook_secrets::make))
        .routes(routes!(webhook_secrets::rotate))
        .routes(routes!(webhook_secrets::remove))
        .routes(routes!(effects::list))
        .routes(routes!(effects::retry))
        .routes(routes!(effects::drop_it))
        .routes(routes!(notices::list))
        .routes(routes!(notices::read))
        .routes(routes!(notices::show_org, notices::set_org))
        .routes(routes!(notices::show_user, notices::set_user, notices::unset_user))
        .routes(routes!(reports::list))
        .routes(routes!(reports::show, reports::set, reports::remove))
        .routes(routes!(reports::run))
        .routes(routes!(changes::list))
        .routes(routes!(changes::stream))
        .routes(routes!(log::list))
        .routes(routes!(log::stream))
        .routes(routes!(log::verify))
        .routes(routes!(export::export))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(health::metrics))
}

/// The document itself.
fn undocumented() -> Router<Api> {
    Router::new().route("/v1/openapi.json", axum::routing::get(openapi::serve))
}

async fn nothing_here(request: Request) -> Problem {
    let detail = format!(
        "there is nothing at {}: see the addresses in /v1/openapi.json",
        tieline_core::reason::quoted(request.uri().path())
    );
    Problem::new(ErrorCode::NotFound, detail)
}

async fn other_method(request: Request) -> Problem {
    let detail = format!("{} does not take {}: see /v1/openapi.json", request.uri().path(), request.method());
    Problem::new(ErrorCode::MethodNotAllowed, detail)
}

/// Measures each request by its status.
async fn timed(Extract(api): Extract<Api>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let response = next.run(request).await;
    let metrics = api.org.observer().metrics();
    metrics
        .histogram(Metric::HttpRequest, &[response.status().as_str()])
        .record(begun.elapsed().as_secs_f64());
    response
}

/// A handler panicked: that is a defect, told as such, and nothing of it leaves.
fn panicked(_: Box<dyn Any + Send>) -> Response {
    Problem::new(ErrorCode::Internal, "the daemon failed: its log says why").into_response()
}

/// Objects, connections and the like, as `state` has them when that is durable.
async fn read<T: Send>(
    api: &Api,
    view: impl FnOnce(&State) -> Result<T, Problem> + Send,
) -> Result<Json<T>, Problem> {
    api.org.read(view).await.map(Json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_of_a_panic_leaves() {
        let response = panicked(Box::new("secret"));
        assert_eq!(response.status(), 500);
        let body = axum::body::to_bytes(response.into_body(), 1_000).await.unwrap();
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            (&json["code"], &json["detail"]),
            (&"internal".into(), &"the daemon failed: its log says why".into())
        );
    }
}
