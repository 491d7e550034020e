//! The change feed (OPS-18): other software follows what happens to the records of an org, live, from
//! any position of the log.
//!
//! A change is stable JSON and not an event as it is kept. Its `seq` numbers it for good: whoever has
//! taken everything up to one asks for what comes after it, and so misses nothing and gets nothing
//! twice, whatever breaks in between. Only a restore sets a log back, and gives numbers anew: a position
//! beyond the end, or of another life of the log, is refused and never waited at. Only durable changes are
//! told, of objects that the user may read at that moment. A follower that does not read is dropped with a
//! last word that says where to go on.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::extract::State as Extract;
use axum::http::HeaderMap;
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use futures_util::stream::{self, Stream, StreamExt};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json_, json};
use tieline_core::event::{Event, RecordAction, RecordChanged};
use tieline_core::log::StoredEvent;
use tieline_core::people::Permission;
use tieline_core::state::State;
use tieline_core::{ConnectionId, Incarnation, ObjectName, Seq};
use tieline_store::{LogReader, ReadError};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use utoipa::ToSchema;

use super::auth::Actor;
use super::log::{blocking, unreadable};
use super::problem::{ErrorCode, Problem};
use super::request::{Params, page_size};
use super::values::values_json;
use super::{Api, select};

/// The kind number of record events: others are not decoded.
const RECORD_CHANGED: u16 = 30;
/// Most events that one look goes through.
const LOOKED_AT_MAX: usize = 20_000;
/// Most changes that one look takes.
const TAKEN_MAX: usize = 500;
/// Changes that wait for a follower that is slow.
const QUEUED_MAX: usize = 256;
/// A follower that takes nothing for so long is dropped.
const PATIENCE: Duration = Duration::from_secs(30);
/// Without a change for so many events, a follower is told how far it is.
const POSITION_EVERY: u64 = 5_000;
/// Most followers at a time.
pub(super) const FOLLOWERS_MAX: usize = 64;
/// The longest that a page waits for a change.
const WAIT_S_MAX: u64 = 60;

/// Which changes.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ChangesQuery {
    /// Changes after this one: `seq` of the last that was taken; 0 if not said.
    after: Option<u64>,
    /// The life of the log that `after` is of, as a page said: refused with `log_set_back` if a restore
    /// has begun another one since.
    life: Option<String>,
    /// Only of this object.
    object: Option<String>,
    /// Only what came over this connection: id, partner or label.
    connection: Option<String>,
    /// Most changes of the page: 100 if not said, 1,000 at most.
    limit: Option<usize>,
    /// Wait so many seconds for a change if there is none: 60 at most.
    wait: Option<u64>,
}

/// From where changes are followed.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FollowQuery {
    /// Changes after this one; without it, those that happen from now on. The header `Last-Event-ID`,
    /// as clients send it after a lost connection, comes before it.
    after: Option<u64>,
    /// The life of the log that `after` is of: refused with `log_set_back` if there is another one now.
    life: Option<String>,
    /// Only of this object.
    object: Option<String>,
    /// Only what came over this connection: id, partner or label.
    connection: Option<String>,
}

/// What happened to a record.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ChangeView {
    /// Its number: it rises, and is never given twice in one life of the log.
    seq: u64,
    /// When it was decided.
    time: String,
    /// `create`, `update` or `delete`.
    action: &'static str,
    /// The object.
    object: String,
    /// The record.
    record: String,
    /// The fields that were written.
    #[schema(value_type = Object)]
    fields: Map<String, Json_>,
    /// The owner from now on, if that changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    /// Who did it; `connection.user` for a partner.
    actor: String,
    /// The connection that it came over.
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<String>,
}

/// Changes, in order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangesPage {
    /// The changes.
    changes: Vec<ChangeView>,
    /// What to ask for next, as `after`.
    next: u64,
    /// The last durable event: with `next` here, everything was told.
    head: u64,
    /// The life of the log: another one begins when it is set back by a restore.
    life: String,
}

impl ChangeView {
    fn of(stored: StoredEvent<'_>, changed: &RecordChanged) -> Self {
        Self {
            seq: stored.seq.0,
            time: stored.time.to_string(),
            action: match changed.action {
                RecordAction::Create => "create",
                RecordAction::Update => "update",
                RecordAction::Delete => "delete",
            },
            object: changed.object.to_string(),
            record: changed.record.to_string(),
            fields: values_json(&changed.content.values),
            owner: changed.owner.as_ref().map(ToString::to_string),
            actor: changed.actor.to_string(),
            connection: changed.origin.map(|origin| origin.connection.to_string()),
        }
    }
}

/// What is looked for.
#[derive(Debug, Clone)]
struct Wanted {
    /// The objects that may be read, or the one that is meant.
    objects: BTreeSet<ObjectName>,
    connection: Option<ConnectionId>,
}

impl Wanted {
    fn of(
        state: &State,
        actor: &Actor,
        object: Option<&str>,
        connection: Option<&str>,
    ) -> Result<Self, Problem> {
        let reading = actor.reading(state);
        let objects = match object {
            Some(name) => BTreeSet::from([super::records::object(state, reading, name)?.name.clone()]),
            None => {
                state.objects.keys().filter(|name| reading.may(Permission::Read(name))).cloned().collect()
            }
        };
        let connection = connection.map(|selector| Ok::<_, Problem>(select::connection(state, selector)?.id));
        Ok(Self { objects, connection: connection.transpose()? })
    }

    fn takes(&self, changed: &RecordChanged) -> bool {
        let came = |id| {
            changed.origin.is_some_and(|origin| origin.connection == id)
                || changed.origins.values().flatten().any(|origin| origin.connection == id)
        };
        self.objects.contains(&changed.object) && self.connection.is_none_or(came)
    }
}

/// Changes after `after`, and how far was looked.
fn look(
    log: &LogReader,
    after: Seq,
    limit: usize,
    wanted: &Wanted,
) -> Result<(Vec<ChangeView>, Seq), ReadError> {
    let (mut changes, mut at, mut looked_at) = (Vec::new(), after, 0);
    let mut cursor = log.cursor(after.next());
    while changes.len() < limit && looked_at < LOOKED_AT_MAX {
        let Some(groups) = cursor.next_groups()? else { break };
        for stored in groups.events().filter(|stored| stored.seq > after) {
            if changes.len() == limit {
                return Ok((changes, at));
            }
            (at, looked_at) = (stored.seq, looked_at + 1);
            if stored.kind == RECORD_CHANGED
                && let Ok(Event::RecordChanged(changed)) = Event::decode(stored.kind, stored.body)
                && wanted.takes(&changed)
            {
                changes.push(ChangeView::of(stored, &changed));
            }
        }
    }
    Ok((changes, at))
}

/// Reads changes of records after a position, in order; waits for one if asked to.
#[utoipa::path(get, path = "/v1/changes", tag = "changes", params(ChangesQuery),
    responses((status = 200, body = ChangesPage)))]
pub(crate) async fn list(
    Extract(api): Extract<Api>,
    actor: Actor,
    Params(query): Params<ChangesQuery>,
) -> Result<Json<ChangesPage>, Problem> {
    let (object, connection) = (query.object.as_deref(), query.connection.as_deref());
    let wanted = api.org.peek(|state| Wanted::of(state, &actor, object, connection))?;
    let present = check_position(&api, query.after, query.life.as_deref())?;
    let limit = page_size(query.limit);
    let wait = Duration::from_secs(query.wait.unwrap_or(0).min(WAIT_S_MAX));
    let end = tokio::time::Instant::now() + wait;
    let mut durable = api.org.durable();
    let mut after = Seq(query.after.unwrap_or(0));
    loop {
        let head = *durable.borrow_and_update();
        let (log, seen) = (api.org.log(), wanted.clone());
        let looked = blocking(move || look(&log, after, limit, &seen)).await?;
        let (changes, at) = looked.map_err(|error| unreadable(&error))?;
        after = after.max(at);
        if !changes.is_empty() || tokio::time::Instant::now() >= end {
            let (next, head) = (after.0, head.0.max(after.0));
            return Ok(Json(ChangesPage { changes, next, head, life: present.to_string() }));
        }
        if after >= head {
            tokio::select! {
                changed = durable.changed() => if changed.is_err() { return Err(stopping()) },
                () = tokio::time::sleep_until(end) => {}
                () = api.stopping.cancelled() => return Err(stopping()),
            }
        }
    }
}

/// The life of the log; there are no changes without an org.
fn life_of(state: &State) -> Incarnation {
    state.org.as_ref().map(|org| org.incarnation).unwrap_or_default()
}

/// Whether there can be changes after a position; the life that the log is in.
fn check_position(api: &Api, after: Option<u64>, life: Option<&str>) -> Result<Incarnation, Problem> {
    let head = *api.org.durable().borrow();
    let now = api.org.peek(life_of);
    let refuse = |detail| Err(Problem::new(ErrorCode::LogSetBack, detail));
    if let Some(life) = life.filter(|life| *life != now.to_string()) {
        return refuse(format!(
            "the position is of life {life} of the log, and this is life {now}: the log was set back by a restore, \
             or is another one; read the records anew, then go on from {head} of life {now}"
        ));
    }
    if let Some(after) = after.filter(|after| *after > head.0) {
        return refuse(format!(
            "there is no event {after}: the log ends at {head}. It was set back by a restore, or is another one; \
             read the records anew, then go on from {head} of life {now}"
        ));
    }
    Ok(now)
}

fn stopping() -> Problem {
    Problem::new(
        ErrorCode::Stopping,
        "the daemon is stopping: ask again when it is back, with the same `after`",
    )
}

/// One thing that a follower is told.
enum Told {
    Change(Box<ChangeView>),
    /// Nothing of what was asked for happened up to here.
    Position(Seq),
    /// The stream ends; it goes on after this.
    Last(&'static str, Seq),
}

/// Reads the log for one who follows it.
struct Feed {
    api: Api,
    actor: Actor,
    object: Option<String>,
    connection: Option<String>,
    life: Incarnation,
    after: Seq,
    /// The last number that the follower was told.
    told: Seq,
    queue: mpsc::Sender<Told>,
    _room: OwnedSemaphorePermit,
}

impl Feed {
    /// Goes on until the follower is gone or too slow, the daemon stops, or the right is lost.
    async fn run(mut self) {
        // There is always room for the last word.
        let Ok(last) = self.queue.clone().reserve_owned().await else { return };
        let Err(why) = self.feed().await;
        if let Some(why) = why {
            last.send(Told::Last(why, self.told));
        }
    }

    /// Hands one thing on; the error is why that is the end, or nothing if nobody listens any more.
    async fn tell(&mut self, seq: Seq, told: Told) -> Result<(), Option<&'static str>> {
        match self.queue.send_timeout(told, PATIENCE).await {
            Ok(()) => {
                self.told = seq;
                Ok(())
            }
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => Err(Some("too_slow")),
            Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(None),
        }
    }

    async fn feed(&mut self) -> Result<Infallible, Option<&'static str>> {
        let mut durable = self.api.org.durable();
        loop {
            let head = *durable.borrow_and_update();
            // A stream may go on for days: who loses the right to an object loses its changes.
            let (object, connection) = (self.object.as_deref(), self.connection.as_deref());
            let (wanted, life) = self
                .api
                .org
                .peek(|state| (Wanted::of(state, &self.actor, object, connection), life_of(state)));
            if life != self.life {
                return Err(Some("log_set_back"));
            }
            if !self.actor.still_admitted(&self.api) {
                return Err(Some("no_permission"));
            }
            let Ok(wanted) = wanted else { return Err(Some("no_permission")) };
            let (log, after) = (self.api.org.log(), self.after);
            let looked = blocking(move || look(&log, after, TAKEN_MAX, &wanted)).await;
            let (changes, at) = match looked {
                Ok(Ok(looked)) => looked,
                Ok(Err(error)) => {
                    unreadable(&error);
                    return Err(Some("log_unreadable"));
                }
                Err(_) => return Err(Some("internal")),
            };
            for change in changes {
                self.tell(Seq(change.seq), Told::Change(Box::new(change))).await?;
            }
            self.after = self.after.max(at);
            if self.after.0 >= self.told.0 + POSITION_EVERY {
                self.tell(self.after, Told::Position(self.after)).await?;
            }
            if self.after >= head {
                tokio::select! {
                    () = self.api.stopping.cancelled() => return Err(Some("stopping")),
                    () = self.queue.closed() => return Err(None),
                    changed = durable.changed() => changed.map_err(|_| Some("stopping"))?,
                }
            }
        }
    }
}

/// Follows changes of records as they happen, as server-sent events whose id names their `seq` and the
/// life of the log. It begins with the position that it stands at, and ends with an event `last`, which says why and after which number to go on.
#[utoipa::path(get, path = "/v1/changes/stream", tag = "changes", params(FollowQuery),
    responses((status = 200, content_type = "text/event-stream", body = ChangeView)))]
pub(crate) async fn stream(
    Extract(api): Extract<Api>,
    actor: Actor,
    Params(query): Params<FollowQuery>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<SseEvent, Infallible>>>, Problem> {
    let (object, connection) = (query.object.as_deref(), query.connection.as_deref());
    api.org.peek(|state| Wanted::of(state, &actor, object, connection).map(drop))?;
    let Ok(room) = api.following.clone().try_acquire_owned() else {
        let detail = format!("{FOLLOWERS_MAX} others follow the changes: try again when one of them is gone");
        return Err(Problem::new(ErrorCode::Overloaded, detail));
    };
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(event_id);
    let (after, life) = last.unwrap_or((query.after, query.life));
    let life = check_position(&api, after, life.as_deref())?;
    let head = *api.org.durable().borrow();
    let after = after.map_or(head, Seq);
    // One more than wait: the last word has a place of its own.
    let (queue, told) = mpsc::channel(QUEUED_MAX + 1);
    let (object, connection) = (query.object, query.connection);
    let feed = Feed { api, actor, object, connection, life, after, told: after, queue, _room: room };
    tokio::spawn(feed.run());
    let begun = stream::once(async move { Ok(sse_event(life, &Told::Position(after))) });
    let events = stream::unfold(told, move |mut told| async move {
        let event = told.recv().await?;
        Some((Ok(sse_event(life, &event)), told))
    });
    Ok(Sse::new(begun.chain(events)).keep_alive(KeepAlive::default()))
}

/// The position that an id of an event names: its number, and the life of the log.
fn event_id(id: &str) -> Option<(Option<u64>, Option<String>)> {
    let (seq, life) = id.split_once('.').map_or((id, None), |(seq, life)| (seq, Some(life.to_owned())));
    Some((Some(seq.parse().ok()?), life))
}

fn sse_event(life: Incarnation, told: &Told) -> SseEvent {
    let event = SseEvent::default();
    let id = |seq: u64| format!("{seq}.{life}");
    let position = |seq: Seq| json!({ "after": seq.0, "life": life.to_string() });
    match told {
        Told::Change(change) => {
            let data = serde_json::to_string(change).unwrap_or_default();
            event.id(id(change.seq)).event("change").data(data)
        }
        Told::Position(seq) => event.id(id(seq.0)).event("position").data(position(*seq).to_string()),
        Told::Last(why, seq) => event.event("last").data(json!({ "code": why, "after": seq.0 }).to_string()),
    }
}
