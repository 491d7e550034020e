//! What a range of the log would come to today (OPS-02): what a partner sent, by the mappings of now, held
//! against the records of now. A comparison, and no history: nothing is written.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json_;
use tieline_core::content::Content;
use tieline_core::event::Event;
use tieline_core::message::Message;
use tieline_core::state::{Connection, State};
use tieline_core::{ConnectionId, ObjectName, RecordId, Seq, ShareId};
use tieline_store::{LogReader, ReadError};
use utoipa::ToSchema;

use super::auth::Actor;
use super::log::{blocking, unreadable};
use super::problem::{Problem, ReasonView};
use super::request::{Params, Route, page_size};
use super::{Api, select};

/// The kind number of what came from partners: others are not decoded.
const RECEIVED: u16 = 50;
/// Most events that one replay goes through.
const EVENTS_MAX: u64 = 2_000_000;
/// Most shares that one replay keeps.
const SHARES_MAX: usize = 20_000;

/// Which part of the log.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReplayQuery {
    /// The first event; 1 if not said.
    from: Option<u64>,
    /// The last event; the last of all if not said.
    to: Option<u64>,
    /// Only this object here.
    #[param(value_type = Option<String>)]
    object: Option<ObjectName>,
    /// Only this record here.
    #[param(value_type = Option<String>)]
    record: Option<RecordId>,
    /// Most differences that are listed: 100 if not said, 1,000 at most.
    limit: Option<usize>,
}

/// What a replay found.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Replayed {
    /// Messages with fields that came in that part of the log.
    messages: u64,
    /// Fields that are as they would be.
    same: u64,
    /// Fields that were written later, here or by somebody else: that write stands.
    later: u64,
    /// Fields that would be otherwise.
    differ: u64,
    /// Fields that would be refused.
    refused: u64,
    /// Fields that are not taken now, or whose share has no record here.
    passed_over: u64,
    /// What differs or would be refused, as many as were asked for.
    differences: Vec<Difference>,
    /// Whether there was more than one replay goes through.
    truncated: bool,
}

/// A field that would be otherwise.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Difference {
    /// The record.
    record: String,
    /// The field.
    field: String,
    /// What it is.
    #[schema(value_type = serde_json::Value)]
    now: Json_,
    /// What it would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    replayed: Option<Json_>,
    /// Why it would be refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<ReasonView>,
}

/// What came over a connection, by share: of each field the latest write.
#[derive(Default)]
struct Came {
    shares: BTreeMap<ShareId, Content>,
    messages: u64,
    truncated: bool,
}

fn read(log: &LogReader, connection: ConnectionId, from: Seq, to: Seq) -> Result<Came, ReadError> {
    let mut came = Came::default();
    let end = Seq(to.0.min(from.0.saturating_add(EVENTS_MAX)));
    let mut cursor = log.cursor(from);
    while cursor.next_seq() <= end {
        let Some(groups) = cursor.next_groups()? else { break };
        let meant = groups.events().filter(|e| e.kind == RECEIVED && e.seq >= from && e.seq <= end);
        for stored in meant {
            let Ok(Event::Received(received)) = Event::decode(stored.kind, stored.body) else { continue };
            if received.connection != connection {
                continue;
            }
            let (share, content) = match Message::decode(received.kind, &received.body) {
                Ok(Message::Grant(m)) => (m.share, m.content),
                Ok(Message::Snapshot(m)) => (m.share, m.content),
                Ok(Message::Change(m)) => (m.share, m.content),
                _ => continue,
            };
            came.messages += 1;
            if came.shares.len() == SHARES_MAX && !came.shares.contains_key(&share) {
                came.truncated = true;
                continue;
            }
            let known = came.shares.remove(&share).unwrap_or_default();
            came.shares.insert(share, if known.is_empty() { content } else { known.absorbing(&content) });
        }
    }
    came.truncated |= end < to && end < log.head().seq;
    Ok(came)
}

fn compare(state: &State, connection: &Connection, query: &ReplayQuery, came: &Came) -> Replayed {
    let limit = page_size(query.limit);
    let mut out = Replayed { messages: came.messages, truncated: came.truncated, ..Replayed::default() };
    for (id, content) in &came.shares {
        let share = connection.shares.get(id);
        let record = share.and_then(|share| Some((share.record?, state.record(share.record?)?)));
        let rule = connection.local_object(*id, None);
        let rule = rule.and_then(|local| connection.subscribe.values().find(|rule| rule.local == *local));
        let Some(((record_id, record), rule)) = record.zip(rule) else {
            out.passed_over += content.values.len() as u64;
            continue;
        };
        let meant = query.object.as_ref().is_none_or(|object| *object == record.object)
            && query.record.is_none_or(|record| record == record_id);
        if !meant {
            continue;
        }
        for (name, value, stamp) in content.iter() {
            if !rule.subscribes(name) {
                out.passed_over += 1;
            }
            for mapping in rule.takes(name) {
                let schema = state.object(&record.object).and_then(|object| object.field(&mapping.local));
                let Some(schema) = schema else { continue };
                let present = record.fields.get(&mapping.local);
                if present.is_some_and(|field| field.stamp.write() > stamp.write()) {
                    out.later += 1;
                    continue;
                }
                let now = record.value(&mapping.local);
                let (replayed, reason) = match rule.map_value(mapping, value, schema) {
                    Ok(replayed) if replayed == *now => {
                        out.same += 1;
                        continue;
                    }
                    Ok(replayed) => {
                        out.differ += 1;
                        (Some(replayed.to_json()), None)
                    }
                    Err(reason) => {
                        out.refused += 1;
                        (None, Some(ReasonView::from(&reason)))
                    }
                };
                if out.differences.len() < limit {
                    let (record, field) = (record_id.to_string(), mapping.local.to_string());
                    out.differences.push(Difference { record, field, now: now.to_json(), replayed, reason });
                }
            }
        }
    }
    out
}

/// Compares what a partner sent in a part of the log, by the mappings of now, with the records of now.
/// Nothing is written (OPS-02).
#[utoipa::path(get, path = "/v1/connections/{c}/replay", tag = "log",
    params(("c" = String, Path, description = "Id, partner or label."), ReplayQuery),
    responses((status = 200, body = Replayed)))]
pub(crate) async fn replay(
    Extract(api): Extract<Api>,
    _actor: Actor,
    Route(selector): Route<String>,
    Params(query): Params<ReplayQuery>,
) -> Result<Json<Replayed>, Problem> {
    let (connection, head) =
        api.org.read(|state| Ok::<_, Problem>((select::connection(state, &selector)?.id, state.seq))).await?;
    let from = Seq(query.from.unwrap_or(1).max(1));
    let to = query.to.map_or(head, |to| Seq(to).min(head));
    // Reading much of the log takes turns.
    let turn = api.verifying.clone().lock_owned().await;
    let log = api.org.log();
    let came = blocking(move || {
        let _turn = turn;
        read(&log, connection, from, to)
    });
    let came = came.await?.map_err(|error| unreadable(&error))?;
    super::read(&api, |state| {
        let connection = select::connection(state, &connection.to_string())?;
        Ok(compare(state, connection, &query, &came))
    })
    .await
}
