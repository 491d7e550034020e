//! The history of the tracked fields of a record: what each was and became, who did it, when, and over
//! which connection (S2S-71); and the values that were lost (S2S-51).
//!
//! The log holds every value; what is shown of it are the fields whose tracking is on. It is read back
//! from the record's last event, so what a field was before stands further on in the walk.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json_;
use tieline_core::event::{ConflictNoted, Event, Loser, RecordAction, RecordChanged};
use tieline_core::state::State;
use tieline_core::{ConnectionId, FieldName, ObjectName, Position, RecordId, Seq};
use tieline_store::{LogReader, ReadError};
use utoipa::ToSchema;

use super::Api;
use super::auth::Actor;
use super::history::{last_event, step};
use super::log::blocking;
use super::problem::Problem;
use super::request::{Params, Route, page_size};
use super::values::field;

/// Most events that one page walks over.
const LOOKED_AT_MAX: usize = 20_000;

/// Which entries.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FieldHistoryQuery {
    /// Only this field.
    field: Option<String>,
    /// Only values that were lost, of all fields.
    conflicts: Option<bool>,
    /// About so many entries: 100 if not said, 1,000 at most. What one event did is never parted.
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<u64>,
}

/// What the tracked fields of a record were, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FieldHistoryPage {
    /// The fields whose history is kept.
    tracked: Vec<String>,
    /// What happened to them.
    entries: Vec<FieldEntry>,
    /// Where to read on; without it, the record's first event was reached.
    next: Option<u64>,
}

/// What happened to one field.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FieldEntry {
    /// The event.
    pub(crate) seq: u64,
    /// When it was decided.
    pub(crate) time: String,
    /// `create`, `update`, or `conflict`: a value was lost against one that its writer had not seen.
    pub(crate) action: &'static str,
    /// The field.
    pub(crate) field: String,
    /// What it was; null if it had no value. Not there if the walk was too long to find it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    pub(crate) old: Option<Json_>,
    /// What it became; not there for a conflict, which changes nothing by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    pub(crate) new: Option<Json_>,
    /// The value that was lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    pub(crate) lost: Option<Json_>,
    /// Whose value was lost: `ours` or `theirs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) loser: Option<&'static str>,
    /// Who did it: `connection.user` for a partner.
    pub(crate) actor: String,
    /// The connection that it came over.
    pub(crate) connection: Option<String>,
    /// The partner, or the label of that connection.
    pub(crate) partner: Option<String>,
}

/// What is looked for.
struct Wanted {
    fields: BTreeSet<FieldName>,
    changes: bool,
}

/// A walk and what it has found.
struct Found {
    entries: Vec<FieldEntry>,
    next: Option<u64>,
    /// The entries that wait for what their field was before.
    waiting: BTreeMap<FieldName, usize>,
    /// The entries whose lost value is in the event of one of our messages.
    lost: Vec<(ConnectionId, Position, usize)>,
}

impl Found {
    /// Reads back from `seq`.
    fn walk(
        log: &LogReader,
        record: RecordId,
        mut seq: Seq,
        wanted: &Wanted,
        limit: usize,
    ) -> Result<Self, ReadError> {
        let mut found = Self { entries: Vec::new(), next: None, waiting: BTreeMap::new(), lost: Vec::new() };
        let mut looked_at = 0;
        while seq > Seq(0) && looked_at < LOOKED_AT_MAX {
            let Some(step) = step(log, record, seq)? else { break };
            looked_at += step.events.len();
            for (stored, event) in step.events {
                if found.next.is_none() && found.entries.len() >= limit {
                    found.next = Some(stored.seq.0);
                }
                let at = (stored.seq, stored.time.to_string());
                match event {
                    Event::RecordChanged(changed) => found.changed(&at, &changed, wanted),
                    Event::ConflictNoted(conflict) => found.conflict(&at, &conflict, wanted),
                    _ => {}
                }
            }
            if found.next.is_some() && found.waiting.is_empty() && found.lost.is_empty() {
                return Ok(found);
            }
            seq = step.prev;
        }
        if seq == Seq(0) {
            found.had_none();
        } else if found.next.is_none() && looked_at >= LOOKED_AT_MAX {
            found.next = Some(seq.0);
        }
        Ok(found)
    }

    /// What still waits had no value before.
    fn had_none(&mut self) {
        for index in std::mem::take(&mut self.waiting).into_values() {
            if let Some(entry) = self.entries.get_mut(index) {
                entry.old = Some(Json_::Null);
            }
        }
    }

    fn changed(&mut self, at: &(Seq, String), changed: &RecordChanged, wanted: &Wanted) {
        self.lost_in(changed);
        for (name, value) in changed.content.values.iter() {
            if let Some(entry) = self.waiting.remove(name).and_then(|index| self.entries.get_mut(index)) {
                entry.old = Some(value.to_json());
            }
            if self.next.is_some() || !wanted.changes || !wanted.fields.contains(name) {
                continue;
            }
            self.waiting.insert(name.clone(), self.entries.len());
            let connection = changed.origin_of(name).map(|origin| origin.connection.to_string());
            self.entries.push(FieldEntry {
                action: if changed.action == RecordAction::Create { "create" } else { "update" },
                new: Some(value.to_json()),
                connection,
                ..entry(at, name, changed.actor.to_string())
            });
        }
        if changed.action == RecordAction::Create {
            self.had_none();
        }
    }

    /// Finds the values that our messages lost in the event that made them.
    fn lost_in(&mut self, changed: &RecordChanged) {
        if self.lost.is_empty() {
            return;
        }
        let made = |connection, position| {
            changed.deliveries.iter().any(|d| d.connection == connection && d.position == position)
        };
        let entries = &mut self.entries;
        self.lost.retain(|(connection, position, index)| {
            let here = made(*connection, *position);
            if here && let Some(entry) = entries.get_mut(*index) {
                entry.lost = changed.content.values.get(entry.field.as_str()).map(|value| value.to_json());
            }
            !here
        });
    }

    fn conflict(&mut self, at: &(Seq, String), conflict: &ConflictNoted, wanted: &Wanted) {
        for (name, value) in conflict.fields.iter() {
            if self.next.is_some() || !wanted.fields.contains(name) {
                continue;
            }
            if value.is_none() {
                self.lost.push((conflict.connection, conflict.position, self.entries.len()));
            }
            self.entries.push(FieldEntry {
                action: "conflict",
                lost: value.as_ref().map(|lost| lost.value.to_json()),
                loser: Some(match conflict.loser {
                    Loser::Ours => "ours",
                    Loser::Theirs => "theirs",
                }),
                connection: Some(conflict.connection.to_string()),
                ..entry(at, name, tieline_core::UserName::connection_user().to_string())
            });
        }
    }
}

fn entry(at: &(Seq, String), name: &FieldName, actor: String) -> FieldEntry {
    FieldEntry {
        seq: at.0.0,
        time: at.1.clone(),
        action: "update",
        field: name.to_string(),
        old: None,
        new: None,
        lost: None,
        loser: None,
        actor,
        connection: None,
        partner: None,
    }
}

/// Names the partners of the connections.
fn name_partners(state: &State, entries: &mut [FieldEntry]) {
    for entry in entries {
        let id = entry.connection.as_ref().and_then(|id| id.parse::<ConnectionId>().ok());
        let connection = id.and_then(|id| state.connections.get(&id));
        entry.partner = connection.map(|connection| connection.display_name().to_owned());
    }
}

/// Shows what the tracked fields of a record were, by whom and over which connection they changed, and
/// which values were lost.
#[utoipa::path(get, path = "/v1/records/{object}/{id}/field-history", tag = "records",
    params(("object" = String, Path, description = "The object."),
        ("id" = String, Path, description = "The record."), FieldHistoryQuery),
    responses((status = 200, body = FieldHistoryPage)))]
pub(crate) async fn field_history(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route((name, id)): Route<(ObjectName, RecordId)>,
    Params(query): Params<FieldHistoryQuery>,
) -> Result<Json<FieldHistoryPage>, Problem> {
    let last = last_event(&api, &actor, &name, id).await?;
    let conflicts = query.conflicts == Some(true);
    let (tracked, wanted) = api.org.peek(|state| {
        let object = super::records::object(state, actor.reading(state), name.as_str())?;
        let all = object.fields.iter();
        let tracked: BTreeSet<FieldName> =
            all.clone().filter(|field| field.tracked).map(|field| field.name.clone()).collect();
        // A lost value is kept whether or not its field is tracked: nobody chose to lose it.
        let mut fields =
            if conflicts { all.map(|field| field.name.clone()).collect() } else { tracked.clone() };
        if let Some(name) = &query.field {
            let one = field(object, name).map_err(|reason| Problem::refused(vec![reason]))?;
            fields.retain(|name| *name == one.name);
        }
        Ok::<_, Problem>((tracked, Wanted { fields, changes: !conflicts }))
    })?;
    let from = query.cursor.map_or(last, |cursor| Seq(cursor).min(last));
    let (log, limit) = (api.org.log(), page_size(query.limit));
    let found = blocking(move || Found::walk(&log, id, from, &wanted, limit)).await?;
    let mut found = found.map_err(|error| super::log::unreadable(&error))?;
    api.org.peek(|state| name_partners(state, &mut found.entries));
    Ok(Json(FieldHistoryPage {
        tracked: tracked.iter().map(ToString::to_string).collect(),
        entries: found.entries,
        next: found.next,
    }))
}
