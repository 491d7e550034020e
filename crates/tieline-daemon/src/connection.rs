//! One task per connection: it drives the link, and owns what is volatile of it.
//!
//! Frames that arrive are opened, heard and handed to the writer; what the log has for the partner
//! is sent; heartbeats leave when they are due. The rules are in `tieline_core::link`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tieline_bus::bus::{Heartbeat, InboxEvent, InboxReader, InboxSpec};
use tieline_core::limits::WINDOW_BYTES_MAX;
use tieline_core::link::Link;
use tieline_core::state::{Connection, ConnectionStatus, Org, State};
use tieline_core::{ConnectionId, OrgName, Position, Timestamp};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::clock::now;
use crate::keyring::{Keyring, Wanted};
use crate::org::{FrameTaken, LinkStatus, OrgHandle};

/// Most frames of one connection that wait for the writer.
const FRAMES_QUEUED_MAX: usize = 8;
/// A receipt is logged at most so often.
const RECEIPT_NOTED_US: i64 = 1_000_000;
/// A connection that was deactivated goes on telling so for this long, then its ring is removed.
const LINGER_US: i64 = 24 * 3_600 * 1_000_000;
/// A pause when the broker does not take what is to be sent.
const BROKER_PAUSE: Duration = Duration::from_millis(200);

/// What a connection's task works with.
pub(crate) struct Line {
    pub(crate) org: OrgHandle,
    pub(crate) id: ConnectionId,
    pub(crate) partner: OrgName,
    pub(crate) keys: Keyring,
    /// The last frame that came named a key that is not known here.
    pub(crate) unknown_key: bool,
    pub(crate) link: Link,
    /// Frames that the writer works on, in order.
    pub(crate) taking: VecDeque<oneshot::Receiver<FrameTaken>>,
    /// Nothing is handed to the broker before this.
    pub(crate) send_not_before: tokio::time::Instant,
    /// What was last said of the connection itself: how often it was paused, and whether it is deactivated.
    pub(crate) said: (u32, bool),
    noted: (Position, Timestamp),
}

/// The connection as the state has it, while it is locked.
pub(crate) fn with_connection<T>(
    state: &State,
    id: ConnectionId,
    use_it: impl FnOnce(&Org, &Connection) -> T,
) -> Option<T> {
    Some(use_it(state.org.as_ref()?, state.connections.get(&id)?))
}

/// Runs a connection until it is over or the daemon stops.
pub(crate) async fn run(mut line: Line, mut heartbeats: mpsc::Receiver<Heartbeat>, stop: CancellationToken) {
    let spec = InboxSpec {
        partner: line.partner.clone(),
        connection: line.id,
        window_bytes: WINDOW_BYTES_MAX as u64,
    };
    let mut inbox = line.org.shared.bus.read_inbox(spec);
    let mut durable = line.org.durable();
    let mut broker = line.org.shared.bus.status();
    tracing::info!(connection = %line.id, partner = %line.partner, "connection opened");
    loop {
        line.begin_anew();
        let upto = *durable.borrow_and_update();
        // After that look, so that an announcement leaves only when its key opens here.
        line.renew_keys().await;
        line.send_all(upto).await;
        line.note_receipt();
        line.show();
        let (room, due) = (line.taking.len() < FRAMES_QUEUED_MAX, line.until_due());
        tokio::select! {
            () = stop.cancelled() => break,
            changed = durable.changed() => if changed.is_err() { break },
            changed = broker.changed() => {
                if changed.is_err() { break }
                line.link.say_soon();
            }
            taken = first_taken(&mut line.taking) => line.taken(taken),
            event = next_event(&mut inbox, room) => match event {
                None => break,
                Some(event) => line.inbox_event(event).await,
            },
            Some(heartbeat) = heartbeats.recv() => line.heartbeat_came(&heartbeat).await,
            () = tokio::time::sleep(due) => {}
        }
        if line.is_over().await {
            break;
        }
    }
    tracing::info!(connection = %line.id, partner = %line.partner, "connection closed");
}

/// Executes a command that the protocol asks for, in the name of the Connection User.
async fn learn(org: &OrgHandle, id: ConnectionId, command: tieline_core::command::Command) -> bool {
    let result = org.execute(command, &tieline_core::UserName::connection_user()).await;
    if let Err(error) = &result {
        tracing::warn!(connection = %id, %error, "what the partner told could not be logged");
    }
    result.is_ok()
}

/// The oldest frame that the writer works on has been taken. Waits for ever if there is none.
async fn first_taken(taking: &mut VecDeque<oneshot::Receiver<FrameTaken>>) -> Option<FrameTaken> {
    let Some(first) = taking.front_mut() else { return std::future::pending().await };
    let taken = first.await.ok();
    taking.pop_front();
    taken
}

/// The next thing on the ring, while there is room for a frame.
async fn next_event(inbox: &mut InboxReader, room: bool) -> Option<InboxEvent> {
    if !room {
        return std::future::pending().await;
    }
    inbox.next().await
}

impl Line {
    pub(crate) fn new(org: OrgHandle, id: ConnectionId, partner: OrgName, keys: Keyring, link: Link) -> Self {
        let noted = (link.confirmed(), now());
        Self {
            org,
            id,
            partner,
            keys,
            unknown_key: false,
            link,
            taking: VecDeque::new(),
            send_not_before: tokio::time::Instant::now(),
            said: (0, false),
            noted,
        }
    }

    /// Begins a new link when one of the two logs has begun a new life.
    pub(crate) fn begin_anew(&mut self) {
        let (id, link) = (self.id, &self.link);
        let fresh = self.org.peek(|state| {
            with_connection(state, id, |org, connection| {
                (!link.fits(org, connection)).then(|| Link::new(org, connection, now()))
            })
        });
        if let Some(Some(fresh)) = fresh {
            self.taking.clear();
            self.noted = (fresh.confirmed(), now());
            self.link = fresh;
        }
    }

    /// Takes the keys that the state wants now. They are durable before the partner sees them used:
    /// it stops using the former ones then.
    async fn renew_keys(&mut self) {
        let id = self.id;
        let wanted = |state: &State| with_connection(state, id, |o, c| Wanted::of(o, c, now())).flatten();
        if self.org.peek(wanted).is_none_or(|wanted| wanted == self.keys.wanted) {
            return;
        }
        let Some(wanted) = self.org.read(wanted).await else { return };
        let shared = &self.org.shared;
        match Keyring::load(wanted.clone(), &shared.keys, &shared.connection_keys) {
            Ok(keys) => self.keys = keys,
            Err(error) => {
                tracing::error!(connection = %id, %error, "the keys of a connection cannot be renewed");
                // It is tried again when the keys change once more, or at the next start.
                self.keys.wanted = wanted;
            }
        }
    }

    /// A frame is durable, or was thrown away.
    fn taken(&mut self, taken: Option<FrameTaken>) {
        use tieline_core::engine::FrameEnd;
        let Some(taken) = taken else { return };
        match taken.end {
            FrameEnd::Taken(_) => self.link.durable_upto(taken.received, taken.told, now()),
            FrameEnd::Gap => {
                self.refuse("gap");
                self.link.thrown_away(true);
            }
            FrameEnd::Fork => {
                self.refuse("wrong_chain");
                self.link.thrown_away(false);
            }
            FrameEnd::Stale => self.refuse("older_incarnation"),
            FrameEnd::Paused => {}
        }
    }

    /// Logs, once a second at most, how far the partner has come. Nothing waits for it.
    fn note_receipt(&mut self) {
        use tieline_core::command::Command;
        let confirmed = self.link.confirmed();
        let (noted, at) = self.noted;
        if confirmed <= noted || now().since_us(at) < RECEIPT_NOTED_US {
            return;
        }
        self.noted = (confirmed, now());
        let (org, id) = (self.org.clone(), self.id);
        let command = Command::NoteReceipt { connection: id, position: confirmed };
        tokio::spawn(async move { learn(&org, id, command).await });
    }

    /// Executes a command that the protocol asks for, in the name of the Connection User.
    pub(crate) async fn learn(&self, command: tieline_core::command::Command) -> bool {
        learn(&self.org, self.id, command).await
    }

    /// How long until a heartbeat, a receipt or another try of the broker is due.
    fn until_due(&self) -> Duration {
        let due = self.link.heartbeat_at().since_us(now());
        let due = Duration::from_micros(u64::try_from(due).unwrap_or(0));
        let pause = self.send_not_before.saturating_duration_since(tokio::time::Instant::now());
        let mut wait = due.max(pause);
        if self.link.confirmed() > self.noted.0 {
            wait = wait.min(Duration::from_micros(RECEIPT_NOTED_US.unsigned_abs()));
        }
        wait
    }

    /// The broker does not take anything: it is tried again after a pause.
    pub(crate) fn pause(&mut self) {
        self.send_not_before = tokio::time::Instant::now() + BROKER_PAUSE;
    }

    fn show(&self) {
        let broker = self.org.broker();
        let heard = self.link.heard();
        let silent = heard.is_none_or(|at| now().since_us(at) > 5 * tieline_core::link::HEARTBEAT_US);
        let cause = if !broker.connected {
            Some("the broker is not connected".to_owned())
        } else if silent && self.unknown_key {
            Some(format!(
                "{} seals with a key that is not known here: if the data of this org was put back, put the keys \
                 directory of before it in place and run `tieline serve --recover`; else deactivate the connection \
                 and invite anew",
                self.partner
            ))
        } else if silent {
            Some(format!("{} has not been heard: is its daemon running?", self.partner))
        } else {
            None
        };
        self.org.shared.set_link(
            self.id,
            LinkStatus {
                heard,
                confirmed: self.link.confirmed(),
                in_flight_bytes: self.link.in_flight_bytes(),
                job_messages: self.link.job_messages(),
                inbox_depth: self.link.inbox_depth(),
                clock_offset_us: self.link.clock_offset_us(),
                cause,
            },
        );
    }

    /// Whether both sides have long deactivated the connection; then its ring is removed.
    async fn is_over(&self) -> bool {
        let over = self.org.peek(|state| {
            state.connections.get(&self.id).is_none_or(|connection| {
                connection.status == ConnectionStatus::Deactivated
                    && connection.ended.is_some_and(|ended| now().since_us(ended) > LINGER_US)
            })
        });
        if over && let Err(error) = self.org.shared.bus.remove_inbox(self.id).await {
            tracing::warn!(connection = %self.id, %error, "the ring of an ended connection was not removed");
        }
        over
    }
}

/// Derives keys and link of a connection that both sides have agreed to.
pub(crate) fn line(org: &OrgHandle, id: ConnectionId) -> Option<Line> {
    let parts = org.peek(|state| {
        with_connection(state, id, |own, connection| {
            let wanted = Wanted::of(own, connection, now())?;
            Some((wanted, connection.partner.clone()?, Link::new(own, connection, now())))
        })
    });
    let (wanted, partner, link) = parts??;
    match Keyring::load(wanted, &org.shared.keys, &org.shared.connection_keys) {
        Ok(keys) => Some(Line::new(org.clone(), id, partner, keys, link)),
        Err(error) => {
            tracing::error!(connection = %id, %error, "the connection cannot be opened");
            let cause = Some(format!("it cannot be opened: {error}"));
            org.shared.set_link(id, LinkStatus { cause, ..LinkStatus::default() });
            None
        }
    }
}

/// The tasks of all connections.
#[derive(Default)]
pub(crate) struct Lines {
    tasks: tokio::task::JoinSet<ConnectionId>,
    heartbeats: Arc<std::sync::Mutex<std::collections::BTreeMap<ConnectionId, mpsc::Sender<Heartbeat>>>>,
}

impl Lines {
    /// Where heartbeats are handed to the tasks.
    pub(crate) fn router(&self) -> HeartbeatRouter {
        HeartbeatRouter(self.heartbeats.clone())
    }

    /// Opens a task for each connection that needs one and has none.
    pub(crate) fn open_missing(&mut self, org: &OrgHandle, stop: &CancellationToken) {
        let linked = org.peek(|state| {
            let wanted = state.connections.values().filter(|connection| needs_task(connection));
            wanted.map(|connection| connection.id).collect::<Vec<_>>()
        });
        for id in linked {
            let mut known = self.heartbeats.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if known.contains_key(&id) {
                continue;
            }
            let Some(line) = line(org, id) else { continue };
            org.peek(|state| state.connections.get(&id).map(|connection| org.observer().open(connection)));
            let (sender, receiver) = mpsc::channel(64);
            known.insert(id, sender);
            let stop = stop.clone();
            self.tasks.spawn(async move {
                run(line, receiver, stop).await;
                id
            });
        }
    }

    /// A task has ended; its connection may be opened again.
    pub(crate) async fn ended(&mut self) {
        match self.tasks.join_next().await {
            Some(Ok(id)) => {
                self.heartbeats.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(&id);
            }
            Some(Err(error)) => tracing::error!(%error, "the task of a connection failed"),
            None => std::future::pending().await,
        }
    }

    /// Waits until all tasks have ended.
    pub(crate) async fn join(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Connections over which frames may come or go: agreed ones, and those that we have accepted and
/// whose inviter has not confirmed yet.
fn needs_task(connection: &Connection) -> bool {
    let lingers = connection.ended.is_none_or(|ended| now().since_us(ended) <= LINGER_US);
    let awaits_welcome = connection.status == ConnectionStatus::Pending && connection.answer == Some(true);
    connection.is_linked() && lingers || awaits_welcome
}

/// Hands heartbeats to the tasks of their connections.
#[derive(Clone)]
pub(crate) struct HeartbeatRouter(
    Arc<std::sync::Mutex<std::collections::BTreeMap<ConnectionId, mpsc::Sender<Heartbeat>>>>,
);

impl HeartbeatRouter {
    /// Routes one heartbeat, or says why it is dropped.
    pub(crate) fn route(&self, heartbeat: Heartbeat) -> Result<(), &'static str> {
        let senders = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let sender = senders.get(&heartbeat.connection).ok_or("unknown_connection")?;
        sender.try_send(heartbeat).map_err(|error| match error {
            // It is followed by the next one.
            mpsc::error::TrySendError::Full(_) => "queue_full",
            // The task has just ended, and with it the connection.
            mpsc::error::TrySendError::Closed(_) => "unknown_connection",
        })
    }
}

/// Follows the broker's heartbeats for as long as the bus runs.
pub(crate) async fn route_heartbeats(org: OrgHandle, router: HeartbeatRouter, stop: CancellationToken) {
    let mut status: watch::Receiver<_> = org.shared.bus.status();
    loop {
        match org.shared.bus.heartbeats().await {
            Ok(mut heartbeats) => {
                while let Some(heartbeat) = tokio::select! {
                    () = stop.cancelled() => None,
                    next = heartbeats.next() => next,
                } {
                    let connection = heartbeat.connection;
                    if let Err(code) = router.route(heartbeat) {
                        org.observer().frame_refused(connection, code);
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "heartbeats cannot be heard yet"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = status.changed() => if changed.is_err() { return },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_without_room_is_told_apart_from_one_of_nobody() {
        let (sender, receiver) = mpsc::channel(1);
        let known = [(ConnectionId(1), sender)].into_iter().collect();
        let router = HeartbeatRouter(Arc::new(std::sync::Mutex::new(known)));
        let route = |connection| {
            let from = "acme".parse().unwrap();
            router.route(Heartbeat { from, connection: ConnectionId(connection), bytes: Default::default() })
        };
        let routed = [route(1), route(1), route(2)];
        assert_eq!(routed, [Ok(()), Err("queue_full"), Err("unknown_connection")]);
        drop(receiver);
        assert_eq!(route(1), Err("unknown_connection"));
    }
}
