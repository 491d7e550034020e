//! A record as it was at an event or a moment (OPS-04): read back from its events, without the state of
//! that time.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json_};
use tieline_core::event::{Event, RecordAction};
use tieline_core::{ObjectName, RecordId, Seq, Timestamp};
use tieline_store::{LogReader, ReadError};
use utoipa::ToSchema;

use super::Api;
use super::audit::moment;
use super::auth::Actor;
use super::history::{last_event, step};
use super::log::{blocking, unreadable};
use super::problem::{ErrorCode, Problem};
use super::request::{Params, Route};

/// When.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AsOfQuery {
    /// After this event.
    seq: Option<u64>,
    /// At this moment: RFC 3339, or a day.
    time: Option<String>,
}

/// A record as it was.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AsOfView {
    /// Its id.
    id: String,
    /// Its object.
    object: String,
    /// Its last event until then.
    seq: u64,
    /// When that was.
    modified: String,
    /// Who did it.
    modified_by: String,
    /// Who owned it.
    owner: Option<String>,
    /// Whether it was deleted by then.
    deleted: bool,
    /// The fields that had or had had a value.
    #[schema(value_type = Object)]
    fields: Map<String, Json_>,
}

/// Up to when.
#[derive(Debug, Clone, Copy)]
struct Until {
    seq: Option<Seq>,
    time: Option<Timestamp>,
}

impl Until {
    fn takes(self, seq: Seq, time: Timestamp) -> bool {
        self.seq.is_none_or(|until| seq <= until) && self.time.is_none_or(|until| time <= until)
    }
}

fn read(
    log: &LogReader,
    object: &ObjectName,
    record: RecordId,
    last: Seq,
    until: Until,
) -> Result<Option<AsOfView>, ReadError> {
    let (mut view, mut values, mut seq): (Option<AsOfView>, BTreeMap<String, Json_>, _) =
        (None, BTreeMap::new(), last);
    'walk: while seq > Seq(0) {
        let Some(step) = step(log, record, seq)? else { break };
        for (stored, event) in step.events.iter().filter(|(stored, _)| until.takes(stored.seq, stored.time)) {
            let Event::RecordChanged(changed) = event else { continue };
            let view = view.get_or_insert_with(|| AsOfView {
                id: record.to_string(),
                object: object.to_string(),
                seq: stored.seq.0,
                modified: stored.time.to_string(),
                modified_by: changed.actor.to_string(),
                owner: None,
                deleted: changed.action == RecordAction::Delete,
                fields: Map::new(),
            });
            if view.owner.is_none() {
                view.owner = changed.owner.as_ref().map(ToString::to_string);
            }
            for (name, value) in changed.content.values.iter() {
                values.entry(name.to_string()).or_insert_with(|| value.to_json());
            }
            if changed.action == RecordAction::Create {
                // What came before belongs to a record that was created again under its id.
                break 'walk;
            }
        }
        seq = step.prev;
    }
    Ok(view.map(|view| AsOfView { fields: values.into_iter().collect(), ..view }))
}

/// Reads a record as it was after an event or at a moment (OPS-04).
#[utoipa::path(get, path = "/v1/records/{object}/{id}/as-of", tag = "records",
    params(("object" = String, Path, description = "The object."),
        ("id" = String, Path, description = "The record."), AsOfQuery),
    responses((status = 200, body = AsOfView)))]
pub(crate) async fn as_of(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route((name, id)): Route<(ObjectName, RecordId)>,
    Params(query): Params<AsOfQuery>,
) -> Result<Json<AsOfView>, Problem> {
    let until = Until { seq: query.seq.map(Seq), time: moment("time", query.time.as_deref())? };
    if until.seq.is_none() && until.time.is_none() {
        return Err(Problem::new(ErrorCode::BadQuery, "say when: name a seq or a time"));
    }
    let last = last_event(&api, &actor, &name, id).await?;
    let (log, object) = (api.org.log(), name.clone());
    let found = blocking(move || read(&log, &object, id, last, until)).await?;
    let unknown =
        || Problem::new(ErrorCode::UnknownRecord, format!("record {id} was not there yet: see its history"));
    found.map_err(|error| unreadable(&error))?.map(Json).ok_or_else(unknown)
}
