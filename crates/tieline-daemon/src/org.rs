//! The handle of a running org: what the API, the connections and the jobs may do with it.
//!
//! Whatever is read through it is durable before it is answered.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tieline_bus::bus::BrokerStatus;
use tieline_bus::{BrokerAddress, Bus, ConnectionKeys, ConnectionUrl, OrgKeys, SecretHash};
use tieline_core::command::{Command, Once, Refusal, Reply};
use tieline_core::engine::{Engine, FrameEnd};
use tieline_core::frame::Figure;
use tieline_core::state::State;
use tieline_core::{ConnectionId, EffectId, Position, Seq, Timestamp, UserName};
use tieline_store::{LogReader, SnapshotStore, SpaceGuard};
use tokio::sync::{Notify, watch};

use crate::intake::Intake;
use crate::observer::Observer;
use crate::tail::Tail;

/// A command that was decided, and is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executed {
    /// The last event when it was decided.
    pub seq: Seq,
    /// Its answer.
    pub reply: Reply,
}

/// Why a command was not decided, or was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExecuteError {
    /// It was refused; nothing happened.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The disk is nearly full.
    #[error("only {free_bytes} bytes are free on the disk of the log: free some space; nothing was written")]
    NoSpace {
        /// What is left.
        free_bytes: u64,
    },
    /// The writer is behind.
    #[error("too many commands wait for the writer: try again in a moment; nothing was written")]
    Overloaded,
    /// The daemon is stopping.
    #[error("the daemon is stopping: try again when it is back; nothing is known of the command")]
    Stopping,
}

/// What became of a frame, once that is durable.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameTaken {
    pub(crate) end: FrameEnd,
    pub(crate) received: Figure,
    pub(crate) told: (Position, Position),
}

/// The volatile side of a connection, for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkStatus {
    /// When the partner was last heard.
    pub heard: Option<Timestamp>,
    /// The partner durably has our positions up to here.
    pub confirmed: Position,
    /// Sealed bytes under way without a receipt.
    pub in_flight_bytes: usize,
    /// How many messages of wide work may be without a receipt.
    pub job_messages: usize,
    /// Messages that the partner has given out and we have not received.
    pub inbox_depth: u64,
    /// The partner's clock less ours, in µs.
    pub clock_offset_us: i64,
    /// Why nothing flows, if nothing does.
    pub cause: Option<String>,
}

/// Free space on the disk of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What is free.
    pub free_bytes: u64,
    /// Writes are refused below this.
    pub threshold_bytes: u64,
    /// Whether writes are taken.
    pub writable: bool,
}

/// What all parts of a running org share.
pub(crate) struct Shared {
    pub(crate) engine: RwLock<Engine>,
    pub(crate) intake: Intake,
    pub(crate) durable: watch::Sender<Seq>,
    pub(crate) tail: Tail,
    pub(crate) log: LogReader,
    pub(crate) snapshots: SnapshotStore,
    /// Most events that are read anew to show what was.
    pub(crate) past_events_max: u64,
    pub(crate) observer: Observer,
    pub(crate) keys: Arc<OrgKeys>,
    pub(crate) keys_dir: std::path::PathBuf,
    pub(crate) connection_keys: ConnectionKeys,
    pub(crate) bus: Bus,
    /// Where partners reach the broker, too.
    pub(crate) broker: BrokerAddress,
    pub(crate) space: SpaceGuard,
    pub(crate) space_threshold_bytes: u64,
    /// A connection may have begun or ended: its task is looked at.
    pub(crate) agreements: Notify,
    /// An invitation was answered here: its inviter is to be told.
    pub(crate) hellos: Notify,
    pub(crate) links: Mutex<BTreeMap<ConnectionId, LinkStatus>>,
    /// Effects that failed and are tried again: how often they were tried, and why the last attempt failed.
    pub(crate) trying: Mutex<BTreeMap<EffectId, (u32, String)>>,
    /// A partner has confirmed more: jobs may have room.
    pub(crate) room: Notify,
    /// Held by a publisher while it turns events into a frame and hands that to the broker.
    pub(crate) sending: Mutex<BTreeMap<ConnectionId, Arc<tokio::sync::Mutex<()>>>>,
}

/// A running org. Cloning it is cheap: all clones are the same org.
#[derive(Clone)]
pub struct OrgHandle {
    pub(crate) shared: Arc<Shared>,
}

impl OrgHandle {
    /// Decides a command and answers when it is durable.
    ///
    /// # Errors
    /// It was refused, or could not be taken now.
    pub async fn execute(&self, command: Command, actor: &UserName) -> Result<Executed, ExecuteError> {
        let results = self.execute_batch(vec![command], actor).await?;
        let result = results.into_iter().next().ok_or(ExecuteError::Stopping)?;
        Ok(result?)
    }

    /// Decides commands one by one, each for itself, and answers when all are durable.
    ///
    /// # Errors
    /// None of them could be taken now.
    pub async fn execute_batch(
        &self,
        commands: Vec<Command>,
        actor: &UserName,
    ) -> Result<Vec<Result<Executed, Refusal>>, ExecuteError> {
        self.execute_once(commands, Vec::new(), actor).await
    }

    /// The same for a request that may come again: `once` has one entry for each command, or none
    /// at all. What was done before is answered as it was then.
    ///
    /// # Errors
    /// None of them could be taken now.
    pub async fn execute_once(
        &self,
        commands: Vec<Command>,
        once: Vec<Once>,
        actor: &UserName,
    ) -> Result<Vec<Result<Executed, Refusal>>, ExecuteError> {
        let space = self.space();
        if !space.writable {
            return Err(ExecuteError::NoSpace { free_bytes: space.free_bytes });
        }
        self.shared.intake.commands(commands, once, actor.clone()).await
    }

    /// Notes that an effect failed and is tried again, or that it has ended.
    pub(crate) fn note_trying(&self, id: EffectId, failed: Option<(u32, String)>) {
        let mut trying = self.shared.trying.lock().unwrap_or_else(PoisonError::into_inner);
        match failed {
            Some(failed) => drop(trying.insert(id, failed)),
            None => drop(trying.remove(&id)),
        }
    }

    /// How often an open effect was tried, and why the last attempt failed.
    pub(crate) fn trying(&self, id: EffectId) -> Option<(u32, String)> {
        self.shared.trying.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Reads the state under a brief lock, and answers when what was read is durable.
    pub async fn read<T: Send>(&self, read: impl FnOnce(&State) -> T + Send) -> T {
        let (seq, value) = self.peek(|state| (state.seq, read(state)));
        let mut durable = self.durable();
        // The sender lives as long as the org; if it ends, so does the process.
        durable.wait_for(|durable| *durable >= seq).await.ok();
        value
    }

    /// Reads the state as it is in memory. What is read may not leave the org before it is durable.
    pub(crate) fn peek<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        let engine = self.shared.engine.read().unwrap_or_else(PoisonError::into_inner);
        read(engine.state())
    }

    /// The last durable event, now and at each change.
    #[must_use]
    pub fn durable(&self) -> watch::Receiver<Seq> {
        self.shared.durable.subscribe()
    }

    /// The log.
    #[must_use]
    pub fn log(&self) -> LogReader {
        self.shared.log.clone()
    }

    /// The state of the broker as this org sees it.
    #[must_use]
    pub fn broker(&self) -> BrokerStatus {
        self.shared.bus.status().borrow().clone()
    }

    /// The volatile side of a connection; nothing if it has no task.
    #[must_use]
    pub fn link(&self, connection: ConnectionId) -> Option<LinkStatus> {
        self.shared.links.lock().unwrap_or_else(PoisonError::into_inner).get(&connection).cloned()
    }

    /// The counters and lags of this org.
    #[must_use]
    pub fn observer(&self) -> &Observer {
        &self.shared.observer
    }

    /// A new one-time secret and its hash.
    ///
    /// # Errors
    /// The operating system gave no randomness.
    pub fn new_secret(&self) -> Result<([u8; 32], [u8; 32]), getrandom::Error> {
        let secret = *ConnectionUrl::new_secret()?;
        Ok((secret, *SecretHash::of(&secret).as_bytes()))
    }

    /// The connection URL of an invitation of this org.
    #[must_use]
    pub fn invite_url(&self, connection: ConnectionId, secret: [u8; 32], expires: Timestamp) -> String {
        let url = ConnectionUrl {
            broker: self.shared.broker.clone(),
            inviter: self.shared.keys.org().clone(),
            connection,
            secret: secret.into(),
            inviter_public_key: self.shared.keys.x25519_public(),
            expires,
        };
        url.to_string()
    }

    /// Reads the connection URL of another org.
    ///
    /// # Errors
    /// It is damaged, or not one.
    pub fn parse_url(&self, text: &str) -> Result<ConnectionUrl, tieline_bus::invitation::UrlError> {
        text.trim().parse()
    }

    /// Waits until no frame is on its way that was built before this call: after it, publish
    /// rules that were narrowed before hold for everything that leaves.
    pub async fn narrowed(&self, connection: ConnectionId) {
        let sending = self.shared.sending(connection);
        drop(sending.lock().await);
    }

    /// Deletes the ring of a connection at the broker, as an administrator there could. It is made
    /// again, and what was in it is sent again.
    ///
    /// # Errors
    /// The broker is away, or refuses.
    pub async fn delete_ring(&self, connection: ConnectionId) -> Result<(), tieline_bus::BusError> {
        self.shared.bus.remove_inbox(connection).await
    }

    /// Free space on the disk of the log.
    #[must_use]
    pub fn space(&self) -> Space {
        let threshold_bytes = self.shared.space_threshold_bytes;
        // A disk that cannot be asked is not taken for a full one: the log itself will tell.
        let free_bytes = self.shared.space.free_bytes().unwrap_or(u64::MAX);
        Space { free_bytes, threshold_bytes, writable: free_bytes >= threshold_bytes }
    }
}

impl Shared {
    /// The lock that a connection's publisher holds while it sends.
    pub(crate) fn sending(&self, connection: ConnectionId) -> Arc<tokio::sync::Mutex<()>> {
        let mut sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        sending.entry(connection).or_default().clone()
    }

    pub(crate) fn set_link(&self, connection: ConnectionId, status: LinkStatus) {
        let confirmed = status.confirmed;
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let before = links.insert(connection, status);
        if before.is_none_or(|before| before.confirmed < confirmed) {
            self.room.notify_one();
        }
    }
}
