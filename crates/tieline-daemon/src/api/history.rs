//! The history of one record: a walk back through the log, event by event, without an index.

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use tieline_core::event::Event;
use tieline_core::log::StoredEventBuf;
use tieline_core::{ObjectName, RecordId, Seq};
use tieline_store::{LogReader, ReadError};
use utoipa::ToSchema;

use super::Api;
use super::auth::Actor;
use super::event_view::EventView;
use super::log::blocking;
use super::problem::{ErrorCode, Problem};
use super::request::{Params, Route, page_size};

/// How far back.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct HistoryQuery {
    /// Most events of the page: 100 if not said, 1,000 at most.
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<u64>,
}

/// What happened to a record, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HistoryPage {
    /// The events that created, changed or deleted it, and values that it lost.
    events: Vec<EventView>,
    /// Where to read on; without it, the record's first event was reached.
    next: Option<u64>,
}

/// The events of a record in one group, the newest first.
pub(crate) struct Step {
    pub(crate) events: Vec<(StoredEventBuf, Event)>,
    /// The record's event before the group; zero if there is none.
    pub(crate) prev: Seq,
}

/// The record's events up to `seq` in the group of that event; nothing if there are none. A command
/// may write a record several times: all of that stands in one group, and each event names the one
/// before the group or before itself.
pub(crate) fn step(log: &LogReader, record: RecordId, seq: Seq) -> Result<Option<Step>, ReadError> {
    let groups = log.read_from(seq, 0)?;
    let Some(group) = groups.groups().find(|group| group.first <= seq && seq <= group.last) else {
        return Ok(None);
    };
    let (mut events, mut prev) = (Vec::new(), None);
    for stored in group.events().filter(|stored| stored.seq <= seq) {
        let before = match Event::decode(stored.kind, stored.body) {
            Ok(Event::RecordChanged(e)) if e.record == record => {
                let before = e.prev;
                events.push((stored.to_buf(), Event::RecordChanged(e)));
                before
            }
            Ok(Event::ConflictNoted(e)) if e.record == record => {
                let before = e.prev;
                events.push((stored.to_buf(), Event::ConflictNoted(e)));
                before
            }
            _ => continue,
        };
        if before < group.first {
            prev = prev.max(Some(before));
        }
    }
    events.reverse();
    // A cursor that was made up leads to other events: they end the walk.
    Ok((!events.is_empty()).then(|| Step { events, prev: prev.unwrap_or_default() }))
}

/// Walks back from `seq`.
fn walk(log: &LogReader, record: RecordId, mut seq: Seq, limit: usize) -> Result<HistoryPage, ReadError> {
    let mut page = HistoryPage { events: Vec::new(), next: None };
    while seq > Seq(0) {
        let Some(step) = step(log, record, seq)? else { break };
        for (stored, _) in &step.events {
            if page.events.len() == limit {
                page.next = Some(stored.seq.0);
                return Ok(page);
            }
            page.events.push(EventView::of(stored.as_ref()));
        }
        seq = step.prev;
    }
    Ok(page)
}

/// The last event of a record that the actor may read, deleted ones included while a share knows them.
pub(crate) async fn last_event(
    api: &Api,
    actor: &Actor,
    name: &ObjectName,
    id: RecordId,
) -> Result<Seq, Problem> {
    let last = api.org.read(|state| {
        actor.reading(state).object(name)?;
        let record = state.records.get(&id).filter(|record| record.object == *name);
        Ok::<_, Problem>(record.map(|record| record.last))
    });
    let unknown =
        || Problem::new(ErrorCode::UnknownRecord, format!("there is no record {id} of object {name}"));
    last.await?.ok_or_else(unknown)
}

/// Shows the history of a record, deleted ones included while a share knows them.
#[utoipa::path(get, path = "/v1/records/{object}/{id}/history", tag = "records",
    params(("object" = String, Path, description = "The object."),
        ("id" = String, Path, description = "The record."), HistoryQuery),
    responses((status = 200, body = HistoryPage)))]
pub(crate) async fn history(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route((name, id)): Route<(ObjectName, RecordId)>,
    Params(query): Params<HistoryQuery>,
) -> Result<Json<HistoryPage>, Problem> {
    let last = last_event(&api, &actor, &name, id).await?;
    let from = query.cursor.map_or(last, |cursor| Seq(cursor).min(last));
    let (log, limit) = (api.org.log(), page_size(query.limit));
    let page = blocking(move || walk(&log, id, from, limit)).await?;
    page.map(Json).map_err(|error| super::log::unreadable(&error))
}
