//! Drives jobs: the next slice of each, while its connection has room, and held messages whose
//! time has come. What a slice does is decided in core.

use std::collections::BTreeMap;
use std::time::Duration;

use tieline_core::command::{Command, Reply};
use tieline_core::limits::{JOB_OUTBOX_BYTES_MAX, JOB_SLICE_MAX};
use tieline_core::state::{Connection, State};
use tieline_core::{ConnectionId, JobId, Position, UserName};
use tokio_util::sync::CancellationToken;

use crate::clock::now;
use crate::org::OrgHandle;

/// How often held messages, and jobs that wait for room, are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Runs for as long as the daemon does.
pub(crate) async fn run(org: OrgHandle, stop: CancellationToken) {
    let mut durable = org.durable();
    loop {
        let moved = advance_all(&org).await | try_held(&org).await;
        if moved && !stop.is_cancelled() {
            continue;
        }
        durable.borrow_and_update();
        // Receipts are many, and only jobs wait for the room that they make.
        let waits = org.peek(|state| !state.jobs.is_empty());
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = org.shared.room.notified(), if waits => {}
            changed = durable.changed() => if changed.is_err() { return },
        }
    }
}

/// A job with the figures that its allowance depends on.
struct Waiting {
    job: JobId,
    actor: UserName,
    /// The connections that it sends to, each with the last position given out.
    over: Vec<(ConnectionId, Position)>,
}

fn waiting(state: &State) -> Vec<Waiting> {
    let jobs = state.jobs.iter().filter_map(|(id, job)| {
        let head = |connection: &Connection| (connection.id, connection.outbox.head().position);
        let over = match job.kind.connection() {
            Some(connection) => vec![head(state.connections.get(&connection)?)],
            // A job of the whole org may send to everybody.
            None => state.connections.values().filter(|c| c.is_active()).map(head).collect(),
        };
        Some(Waiting { job: *id, actor: job.actor.clone(), over })
    });
    jobs.collect()
}

/// Does one slice of each job that has room; whether one moved.
async fn advance_all(org: &OrgHandle) -> bool {
    let mut moved = false;
    let mut room: BTreeMap<ConnectionId, usize> = BTreeMap::new();
    for waiting in org.peek(waiting) {
        let left = |(connection, head): &(ConnectionId, Position)| {
            *room.entry(*connection).or_insert_with(|| allowance(org, *connection, *head))
        };
        let allowance = waiting.over.iter().map(left).min().unwrap_or(JOB_SLICE_MAX).min(JOB_SLICE_MAX);
        if allowance == 0 {
            continue;
        }
        for (connection, _) in &waiting.over {
            if let Some(room) = room.get_mut(connection) {
                *room -= allowance;
            }
        }
        let command = Command::AdvanceJob { job: waiting.job, allowance };
        match org.execute(command, &waiting.actor).await {
            Ok(executed) => moved |= matches!(executed.reply, Reply::Job(_)),
            Err(error) => tracing::warn!(job = %waiting.job, %error, "a slice of a job was not done"),
        }
    }
    moved
}

/// How many messages a job may add: live changes must never wait behind it.
fn allowance(org: &OrgHandle, connection: ConnectionId, head: Position) -> usize {
    let Some(link) = org.link(connection) else { return JOB_SLICE_MAX };
    if link.in_flight_bytes >= JOB_OUTBOX_BYTES_MAX {
        return 0;
    }
    let without_receipt = head.0.saturating_sub(link.confirmed.0);
    let most = link.job_messages.max(JOB_SLICE_MAX);
    let room = most.saturating_sub(usize::try_from(without_receipt).unwrap_or(usize::MAX));
    // Each slice is a group, a frame and a receipt: many small ones cost more than they carry.
    if room < JOB_SLICE_MAX / 2 { 0 } else { room }
}

/// Tries the held messages whose time has come; whether there was one.
async fn try_held(org: &OrgHandle) -> bool {
    let due: Vec<(ConnectionId, Position)> = org.peek(|state| {
        let now = now();
        state.connections.values().filter_map(|c| Some((c.id, c.due(now)?))).collect()
    });
    for (connection, position) in &due {
        let command = Command::TryHeld { connection: *connection, position: *position };
        if let Err(error) = org.execute(command, &UserName::connection_user()).await {
            tracing::warn!(%connection, %error, "a held message was not tried");
            return false;
        }
    }
    !due.is_empty()
}
