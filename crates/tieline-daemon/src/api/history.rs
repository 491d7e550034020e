//! The history of one record: a walk back through the log, event by event, without an index.

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use tieline_core::event::Event;
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
    /// The events that created, changed or deleted it.
    events: Vec<EventView>,
    /// Where to read on; without it, the record's first event was reached.
    next: Option<u64>,
}

/// Walks back from `seq`.
fn walk(log: &LogReader, record: RecordId, mut seq: Seq, limit: usize) -> Result<HistoryPage, ReadError> {
    let mut page = HistoryPage { events: Vec::new(), next: None };
    while seq > Seq(0) {
        if page.events.len() == limit {
            page.next = Some(seq.0);
            break;
        }
        let Some(stored) = log.event(seq)? else { break };
        // A cursor that was made up leads to other events: they end the walk.
        let prev = match Event::decode(stored.kind, &stored.body) {
            Ok(Event::RecordChanged(changed)) if changed.record == record && changed.prev < seq => {
                changed.prev
            }
            _ => break,
        };
        page.events.push(EventView::of(stored.as_ref()));
        seq = prev;
    }
    Ok(page)
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
    let last = api.org.read(|state| {
        actor.reading(state).object(&name)?;
        let record = state.records.get(&id).filter(|record| record.object == name);
        Ok::<_, Problem>(record.map(|record| record.last))
    });
    let unknown =
        || Problem::new(ErrorCode::UnknownRecord, format!("there is no record {id} of object {name}"));
    let last = last.await?.ok_or_else(unknown)?;
    let from = query.cursor.map_or(last, |cursor| Seq(cursor).min(last));
    let (log, limit) = (api.org.log(), page_size(query.limit));
    let page = blocking(move || walk(&log, id, from, limit)).await?;
    page.map(Json).map_err(|error| super::log::unreadable(&error))
}
