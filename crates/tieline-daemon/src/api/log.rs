//! The log of the org: read it, follow it, verify it (OPS-01, OPS-18).

use std::collections::VecDeque;
use std::convert::Infallible;

use axum::Json;
use axum::extract::State as Extract;
use axum::http::HeaderMap;
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use serde::{Deserialize, Serialize};
use tieline_core::people::Permission;
use tieline_core::{ConnectionId, RecordId, Seq};
use tieline_store::{LogReader, ReadError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::Api;
use super::auth::Actor;
use super::event_view::{About, EventView};
use super::problem::{ErrorCode, Problem};
use super::request::{Params, page_size};

/// Bytes of the log that are read in one go.
const RUN_BYTES: usize = 256 * 1024;
/// Most events that one request for a filtered page looks at; the page may then be short.
const LOOKED_AT_MAX: usize = 50_000;
/// Most events that a follower reads ahead.
const AHEAD_MAX: usize = 500;

/// Which events.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LogQuery {
    /// The first event; 1 if not said.
    from: Option<u64>,
    /// Most events of the page: 100 if not said, 1,000 at most.
    limit: Option<usize>,
    /// Only events about this connection: id, partner or label.
    connection: Option<String>,
    /// Only events about this record.
    #[param(value_type = Option<String>)]
    record: Option<RecordId>,
}

/// Some events of the log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LogPage {
    /// The events, in order.
    events: Vec<EventView>,
    /// Where to read on; without it, the end of the log was reached. A page may be short and have one.
    next: Option<u64>,
}

/// From where the log is followed.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StreamQuery {
    /// The first event; without it, the next one that happens. The header `Last-Event-ID`, as
    /// clients send it after a lost connection, comes before it.
    from: Option<u64>,
}

/// What verifying the log found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Verified {
    /// Whether the whole log is right.
    ok: bool,
    /// Events that are right.
    events: u64,
    /// Groups that are right.
    groups: u64,
    /// Blocks that are right.
    blocks: u64,
    /// The last event that is right.
    seq: u64,
    /// The chain hash there.
    hash: String,
    /// The first thing that is wrong.
    damage: Option<String>,
}

pub(crate) fn unreadable(error: &ReadError) -> Problem {
    tracing::error!(error = error as &dyn std::error::Error, "the log cannot be read");
    Problem::new(ErrorCode::LogUnreadable, format!("{error}: run `tieline log verify`"))
}

/// Runs what reads the disk where it may wait.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Problem::internal("reading the log", &error))
}

/// Reads durable events from `from` on, up to the end or as many as there is room for.
fn read_page(log: &LogReader, from: Seq, limit: usize, about: About) -> Result<LogPage, ReadError> {
    let mut page = LogPage { events: Vec::new(), next: None };
    let (mut next, mut looked_at) = (from.max(Seq(1)), 0);
    loop {
        let groups = log.read_from(next, RUN_BYTES)?;
        let mut read_any = false;
        for event in groups.events().filter(|event| event.seq >= from) {
            if page.events.len() == limit || looked_at == LOOKED_AT_MAX {
                page.next = Some(event.seq.0);
                return Ok(page);
            }
            read_any = true;
            looked_at += 1;
            next = event.seq.next();
            let view = EventView::of(event);
            if view.is_about(about) {
                page.events.push(view);
            }
        }
        if !read_any {
            return Ok(page);
        }
    }
}

/// The page that `GET /v1/log` answers, read from a log that no daemon serves.
///
/// # Errors
/// A block is missing or broken.
pub fn log_page(
    log: &LogReader,
    from: Seq,
    limit: usize,
    connection: Option<ConnectionId>,
    record: Option<RecordId>,
) -> Result<serde_json::Value, ReadError> {
    let page = read_page(log, from, page_size(Some(limit)), About { connection, record })?;
    Ok(serde_json::to_value(page).unwrap_or_default())
}

/// Reads events of the log, in order.
#[utoipa::path(get, path = "/v1/log", tag = "log", params(LogQuery),
    responses((status = 200, body = LogPage)))]
pub(crate) async fn list(
    Extract(api): Extract<Api>,
    _actor: Actor,
    Params(query): Params<LogQuery>,
) -> Result<Json<LogPage>, Problem> {
    let connection = query.connection.as_deref().map(|selector| api.connection_id(selector)).transpose()?;
    let about = About { connection, record: query.record };
    let (log, from, limit) = (api.org.log(), Seq(query.from.unwrap_or(1)), page_size(query.limit));
    let page = blocking(move || read_page(&log, from, limit, about)).await?;
    page.map(Json).map_err(|error| unreadable(&error))
}

/// One who follows the log.
struct Follower {
    api: Api,
    actor: Actor,
    log: LogReader,
    next: Seq,
    ready: VecDeque<EventView>,
    durable: watch::Receiver<Seq>,
    stopping: CancellationToken,
}

impl Follower {
    /// The next event, as soon as it is durable; nothing once the daemon stops, the log cannot be read
    /// or the user may not read it any more, which a client sees as a stream that ended.
    async fn next(&mut self) -> Option<EventView> {
        loop {
            // A stream may go on for days: who loses the right to it loses the stream.
            if !self.actor.still_may(&self.api, Permission::ModifyAllData) {
                return None;
            }
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let durable = *self.durable.borrow_and_update();
            if self.next > durable {
                tokio::select! {
                    () = self.stopping.cancelled() => return None,
                    changed = self.durable.changed() => changed.ok()?,
                }
                continue;
            }
            let (log, from) = (self.log.clone(), self.next);
            let run = blocking(move || read_page(&log, from, AHEAD_MAX, About::default()));
            match run.await {
                Ok(Ok(page)) => {
                    self.next = page.events.last().map_or(self.next, |event| Seq(event.seq).next());
                    self.ready.extend(page.events);
                }
                Ok(Err(error)) => {
                    unreadable(&error);
                    return None;
                }
                Err(_) => return None,
            }
        }
    }
}

/// Follows the log: durable events as they happen, as server-sent events whose id is the seq.
#[utoipa::path(get, path = "/v1/log/stream", tag = "log", params(StreamQuery),
    responses((status = 200, content_type = "text/event-stream", body = EventView)))]
pub(crate) async fn stream(
    Extract(api): Extract<Api>,
    actor: Actor,
    Params(query): Params<StreamQuery>,
    headers: HeaderMap,
) -> Sse<impl Stream<Item = Result<SseEvent, Infallible>>> {
    let durable = api.org.durable();
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let from = last.map(|seq: u64| seq.saturating_add(1)).or(query.from);
    let next = from.map_or_else(|| durable.borrow().next(), Seq).max(Seq(1));
    let stopping = api.stopping.clone();
    let log = api.org.log();
    let follower = Follower { api, actor, log, next, ready: VecDeque::new(), durable, stopping };
    let events = stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        Some((Ok(sse_event(&event)), follower))
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}

fn sse_event(event: &EventView) -> SseEvent {
    let data = serde_json::to_string(event).unwrap_or_default();
    SseEvent::default().id(event.seq.to_string()).event(event.name).data(data)
}

/// Verifies the whole log: every block, its hash, and where it ends.
#[utoipa::path(get, path = "/v1/log/verify", tag = "log", responses((status = 200, body = Verified)))]
pub(crate) async fn verify(Extract(api): Extract<Api>, _actor: Actor) -> Result<Json<Verified>, Problem> {
    let log = api.org.log();
    let turn = api.verifying.clone().lock_owned().await;
    let report = blocking(move || {
        // Held until the disk was read, also if nobody waits for the answer any more.
        let _turn = turn;
        log.verify(|_| {})
    })
    .await?;
    Ok(Json(Verified {
        ok: report.damage.is_none(),
        events: report.events,
        groups: report.groups,
        blocks: report.blocks,
        seq: report.head.seq.0,
        hash: report.head.hash.to_string(),
        damage: report.damage.map(|damage| damage.to_string()),
    }))
}
