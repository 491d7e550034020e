//! What a change of a record made queues and sharing rules offer, to whom, and what not (S2S-40, S2S-42).
//!
//! It is read from the group of the log that the change made, so that a request that is repeated is answered
//! as the first time.

use std::collections::BTreeMap;

use serde::Serialize;
use tieline_core::command::Reply;
use tieline_core::event::Event;
use tieline_core::state::State;
use tieline_core::{ConnectionId, QueueName, RecordId, Seq};
use tieline_store::{LogReader, ReadError};
use utoipa::ToSchema;

use super::Api;
use super::batch::ItemResult;
use super::log::{blocking, unreadable};
use super::problem::Problem;
use crate::org::Executed;

/// An offer of a record, or why there is none.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecordOffer {
    /// The connection.
    connection: String,
    /// The partner, or the label of the connection.
    partner: String,
    /// How it ended; its id is that of the share.
    result: ItemResult,
}

/// What the group of a change says about offers of its record.
#[derive(Debug, Default)]
struct Caused {
    offers: BTreeMap<ConnectionId, ItemResult>,
    /// The queue that was given the record.
    queue: Option<QueueName>,
}

/// To whom a record was offered because of a change, and to whom not.
pub(crate) async fn offers_of(
    api: &Api,
    record: RecordId,
    executed: &Executed,
) -> Result<Vec<RecordOffer>, Problem> {
    if executed.reply == Reply::Unchanged || !api.org.peek(|state| may_offer(state, record)) {
        return Ok(Vec::new());
    }
    let (log, seq) = (api.org.log(), executed.seq);
    let caused = blocking(move || caused(&log, record, seq)).await?.map_err(|error| unreadable(&error))?;
    Ok(api.org.peek(|state| told(state, record, caused)))
}

/// Whether something offers records like this one by itself: most changes ask no more than that.
fn may_offer(state: &State, id: RecordId) -> bool {
    let Some(record) = state.record(id) else { return false };
    let queue = record.owner.queue().and_then(|queue| state.automation.queues.get(queue));
    queue.is_some_and(|queue| !queue.connections.is_empty())
        || state.automation.sharing.values().any(|rule| rule.active && rule.object == record.object)
}

/// What stands in the group of an event about offers of a record.
fn caused(log: &LogReader, record: RecordId, seq: Seq) -> Result<Caused, ReadError> {
    let mut out = Caused::default();
    let groups = log.read_from(seq, 0)?;
    let group = groups.groups().find(|group| group.first <= seq && seq <= group.last);
    for stored in group.into_iter().flat_map(|group| group.events()) {
        match Event::decode(stored.kind, stored.body) {
            Ok(Event::RecordChanged(e)) if e.record == record => {
                let queue = e.owner.as_ref().and_then(|owner| owner.queue());
                out.queue = queue.cloned().or(out.queue);
            }
            Ok(Event::ShareOffered(e)) if e.record == record => {
                out.offers.insert(e.connection, ItemResult::done_with(e.share.to_string()));
            }
            Ok(Event::RuleFailed(e)) if e.record == Some(record) => {
                if let (Some(connection), Some(reason)) = (e.connection, e.reasons.first()) {
                    let result = ItemResult::not_done(reason.code.as_str(), reason.message.clone());
                    out.offers.insert(connection, result);
                }
            }
            _ => {}
        }
    }
    Ok(out)
}

/// The same with the members of the queue that were passed over, for they have the record already.
fn told(state: &State, id: RecordId, caused: Caused) -> Vec<RecordOffer> {
    let Caused { mut offers, queue } = caused;
    let queue = queue.and_then(|queue| state.automation.queues.get(&queue));
    for member in queue.iter().flat_map(|queue| &queue.connections) {
        let share = state.connections.get(member).zip(state.record(id).and_then(|r| r.share_over(*member)));
        let share = share.and_then(|(connection, share)| Some((connection, connection.shares.get(&share)?)));
        if let Some((connection, share)) = share {
            offers.entry(*member).or_insert_with(|| {
                let (status, name) = (share.status.label(), connection.display_name());
                ItemResult::not_done("already_shared", format!("record {id} is already {status} to {name}"))
            });
        }
    }
    let offer = |(connection, result): (ConnectionId, ItemResult)| RecordOffer {
        connection: connection.to_string(),
        partner: state
            .connections
            .get(&connection)
            .map_or_else(|| connection.to_string(), |connection| connection.display_name().to_owned()),
        result,
    };
    offers.into_iter().map(offer).collect()
}
