//! A daemon from start to stop: log, state, writer, broker, API.
//!
//! Start: open and heal the log, rebuild the state, then let anything out. Stop: take nothing more
//! in, drain, flush, leave. The daemon runs without a broker; only partners are not reached then.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use tieline_bus::{Bus, BusConfig, BusError, ConnectionKeys, OrgKeys};
use tieline_core::command::Command;
use tieline_core::event::IncarnationCause;
use tieline_core::state::{STATE_FORMAT, StateHash};
use tieline_core::{Incarnation, Seq, UserName};
use tieline_store::{LogReader, OpenError, SledLog, SnapshotStore, SpaceGuard};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::clock::now;
use crate::config::Config;
use crate::connection::{Lines, route_heartbeats};
use crate::intake::Intake;
use crate::metrics::{Metrics, UPKEEP_EVERY};
use crate::observer::Observer;
use crate::org::{OrgHandle, Shared};
use crate::replay::{ReplayError, rebuild};
use crate::storage::Storage;
use crate::tail::Tail;
use crate::tls::{TlsListener, server_config};
use crate::{courier, escalation, handshake, jobs, writer};

/// Batches that wait while one is made durable.
const BATCHES_QUEUED: usize = 1;
/// The part of the free space that is kept back which the log itself may use up, as a divisor.
const LOG_SHARE_OF_RESERVE: u64 = 4;
/// Snapshots that are kept.
const SNAPSHOTS_KEPT: usize = 2;
/// How long stopping waits for requests, and for the broker to take the last frames.
const FAREWELL: Duration = Duration::from_secs(5);

/// Why a daemon could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The log cannot be opened, or is not what it was.
    #[error("the log of this org cannot be opened")]
    Open(#[from] OpenError),
    /// The state cannot be rebuilt.
    #[error("the state cannot be rebuilt from the log")]
    Replay(#[from] ReplayError),
    /// The log holds no org.
    #[error("{0} holds no org: make one with `tieline init`")]
    NoOrg(String),
    /// The keys belong to another org.
    #[error("the keys are those of {keys}, the log is that of {log}: put the right keys beside the log")]
    OtherKeys {
        /// The org that the keys name.
        keys: String,
        /// The org of the log.
        log: String,
    },
    /// The keys cannot be read.
    #[error("the keys of this org cannot be read")]
    Keys(#[from] tieline_bus::keys::KeysError),
    /// The broker's URL is not one.
    #[error("the broker's URL cannot be used")]
    Bus(#[from] BusError),
    /// Snapshots cannot be kept.
    #[error("the snapshots cannot be kept")]
    Snapshots(#[source] tieline_store::FileError),
    /// The API cannot listen.
    #[error(
        "the API cannot listen on {address}: is another daemon running, or the address not of this machine?"
    )]
    Listen {
        /// Where.
        address: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The API cannot speak TLS.
    #[error("the API cannot speak TLS")]
    Tls(#[from] crate::tls::TlsError),
    /// The metrics cannot be made.
    #[error("the metrics cannot be made")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
}

/// A running daemon.
pub struct Daemon {
    handle: OrgHandle,
    address: SocketAddr,
    stop: CancellationToken,
    threads: Vec<JoinHandle<()>>,
    tasks: tokio::task::JoinSet<()>,
    api: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Daemon {
    /// Starts the daemon of the org in `config.data_dir`. With `recover`, a log that is shorter or
    /// other than its sentinel says is taken as it is, and a new incarnation begins.
    ///
    /// # Errors
    /// The log, the state, the keys or the address of the API are not as they have to be.
    pub async fn start(config: &Config, recover: bool) -> Result<Self, StartError> {
        let data = &config.data_dir;
        let keys = Arc::new(OrgKeys::load(&crate::keys_dir(data))?);
        let log = open_log(config, recover)?;
        let reader = log.reader();
        let snapshots = SnapshotStore::open(crate::snapshots_dir(data)).map_err(StartError::Snapshots)?;
        if recover {
            // They may be of the life whose end was lost.
            snapshots.prune(0).map_err(StartError::Snapshots)?;
        }
        let mut rebuilt = rebuild(&reader, Some(&snapshots))?;
        rebuilt.engine.collect();
        tracing::info!(seq = %rebuilt.engine.state().seq, snapshot = %rebuilt.snapshot,
            replayed = rebuilt.replayed, "state rebuilt");
        check_org(data, &rebuilt.engine, &keys)?;
        let snapshot = rebuilt.snapshot;
        let bus = Bus::start(BusConfig::new(config.broker.url.nats_url(), keys.clone())).await?;
        let shared = Arc::new(Shared {
            intake: Intake::new(),
            durable: watch::Sender::new(reader.head().seq),
            tail: Tail::new(reader.clone()),
            observer: Observer::new(Metrics::new()?),
            keys,
            keys_dir: crate::keys_dir(data),
            connection_keys: ConnectionKeys::in_dir(crate::keys_dir(data)),
            bus,
            broker: config.broker.url.clone(),
            space: SpaceGuard::new(data, config.store.min_free_bytes),
            space_threshold_bytes: config.store.min_free_bytes,
            agreements: Notify::new(),
            hellos: Notify::new(),
            links: Mutex::default(),
            trying: Mutex::default(),
            room: Notify::new(),
            sending: Mutex::default(),
            engine: RwLock::new(rebuilt.engine),
            log: reader,
            snapshots,
            past_events_max: config.store.past_events_max,
        });
        let handle = OrgHandle { shared: shared.clone() };
        let threads = start_threads(&shared, log);
        if recover {
            announce_restore(&handle).await;
        }
        let stop = CancellationToken::new();
        let mut tasks = start_tasks(&handle, &stop);
        tasks.spawn(courier::run(handle.clone(), config.clone(), stop.clone()));
        let every = config.store.snapshot_every_events;
        tasks.spawn(keep_snapshots(handle.clone(), snapshot, every, stop.clone()));
        let (address, api) = start_api(config, &handle, &stop).await?;
        tracing::info!(%address, org = %handle.shared.keys.org(), "serving");
        Ok(Self { handle, address, stop, threads, tasks, api })
    }

    /// Where the API listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The running org.
    #[must_use]
    pub const fn handle(&self) -> &OrgHandle {
        &self.handle
    }

    /// Stops: takes nothing more in, drains, flushes, writes a snapshot, leaves the broker.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if tokio::time::timeout(FAREWELL, &mut self.api).await.is_err() {
            tracing::warn!("some requests were not answered in time");
            self.api.abort();
        }
        while self.tasks.join_next().await.is_some() {}
        self.handle.shared.bus.stop(FAREWELL).await;
        self.handle.shared.intake.close();
        let (threads, handle) = (self.threads, self.handle);
        // Joining threads and writing a snapshot block.
        let last = tokio::task::spawn_blocking(move || {
            for thread in threads {
                if thread.join().is_err() {
                    tracing::error!("a thread of the log ended by a panic");
                }
            }
            let engine = handle.shared.engine.read().unwrap_or_else(PoisonError::into_inner);
            write_snapshot(&handle.shared.snapshots, engine.state());
        });
        if last.await.is_err() {
            tracing::error!("the last snapshot was not written: the next start replays more of the log");
        }
        tracing::info!("stopped");
    }
}

fn open_log(config: &Config, recover: bool) -> Result<SledLog, OpenError> {
    let mut store = tieline_store::Config::new(crate::log_dir(&config.data_dir));
    store.cache_bytes = config.store.cache_bytes;
    // Requests and frames are refused long before: what was decided meanwhile still finds room. A log
    // that has none left ends the process.
    store.free_bytes_min = config.store.min_free_bytes / LOG_SHARE_OF_RESERVE;
    if !recover {
        return SledLog::open(&store, Incarnation::default());
    }
    SledLog::recover(&store, Incarnation::begin(now(), 0))
}

fn check_org(data: &Path, engine: &tieline_core::engine::Engine, keys: &OrgKeys) -> Result<(), StartError> {
    let Some(org) = &engine.state().org else { return Err(StartError::NoOrg(data.display().to_string())) };
    if org.name == *keys.org() {
        return Ok(());
    }
    Err(StartError::OtherKeys { keys: keys.org().to_string(), log: org.name.to_string() })
}

fn write_snapshot(snapshots: &SnapshotStore, state: &tieline_core::state::State) {
    let bytes = state.to_bytes();
    let written = snapshots
        .write(state.seq, StateHash::of(&bytes).0, STATE_FORMAT, &bytes)
        .and_then(|()| snapshots.prune(SNAPSHOTS_KEPT));
    if let Err(error) = written {
        tracing::warn!(%error, "a snapshot was not written: the next start replays more of the log");
    }
}

fn start_threads(shared: &Arc<Shared>, log: SledLog) -> Vec<JoinHandle<()>> {
    let (sender, receiver) = mpsc::sync_channel(BATCHES_QUEUED);
    let storing = Arc::new(Storage::new(shared.clone(), log));
    let (deciding, storage) = (shared.clone(), storing.clone());
    vec![
        std::thread::spawn(move || writer::run(&deciding, &storage, &sender)),
        std::thread::spawn(move || storing.run(&receiver)),
    ]
}

/// A restored org says so before anything else happens.
async fn announce_restore(handle: &OrgHandle) {
    let command = Command::StartIncarnation {
        cause: IncarnationCause::Restored,
        connection: None,
        above: Incarnation::default(),
    };
    if let Err(error) = handle.execute(command, &UserName::connection_user()).await {
        tracing::error!(%error, "the new incarnation could not be begun");
    }
}

fn start_tasks(handle: &OrgHandle, stop: &CancellationToken) -> tokio::task::JoinSet<()> {
    let mut tasks = tokio::task::JoinSet::new();
    let lines = Lines::default();
    tasks.spawn(route_heartbeats(handle.clone(), lines.router(), stop.clone()));
    tasks.spawn(keep_lines(handle.clone(), lines, stop.clone()));
    tasks.spawn(handshake::answer_hellos(handle.clone(), stop.clone()));
    tasks.spawn(handshake::say_hellos(handle.clone(), stop.clone()));
    tasks.spawn(jobs::run(handle.clone(), stop.clone()));
    tasks.spawn(escalation::run(handle.clone(), stop.clone()));
    tasks.spawn(upkeep(handle.clone(), stop.clone()));
    tasks
}

/// Keeps one task for each connection that needs one.
async fn keep_lines(handle: OrgHandle, mut lines: Lines, stop: CancellationToken) {
    loop {
        lines.open_missing(&handle, &stop);
        tokio::select! {
            () = stop.cancelled() => break,
            () = handle.shared.agreements.notified() => {}
            () = lines.ended() => {}
        }
    }
    lines.join().await;
}

/// Writes a snapshot from time to time. Its state is replayed from the log beside the running one,
/// so nobody waits for it.
async fn keep_snapshots(handle: OrgHandle, mut last: Seq, every_events: u64, stop: CancellationToken) {
    let mut durable = handle.durable();
    loop {
        let due = Seq(last.0 + every_events);
        tokio::select! {
            () = stop.cancelled() => return,
            reached = durable.wait_for(|durable| *durable >= due) => if reached.is_err() { return },
        }
        let shared = handle.shared.clone();
        let written = tokio::task::spawn_blocking(move || {
            let rebuilt = rebuild(&shared.log, Some(&shared.snapshots))?;
            write_snapshot(&shared.snapshots, rebuilt.engine.state());
            Ok::<_, ReplayError>(rebuilt.engine.state().seq)
        });
        last = tokio::select! {
            () = stop.cancelled() => return,
            written = written => match written {
                Ok(Ok(seq)) => seq,
                Ok(Err(error)) => {
                    tracing::error!(%error, "the log cannot be replayed: verify it with `tieline log verify`");
                    due
                }
                Err(error) => {
                    tracing::error!(%error, "a snapshot was not written");
                    due
                }
            },
        };
    }
}

async fn upkeep(handle: OrgHandle, stop: CancellationToken) {
    while tokio::time::timeout(UPKEEP_EVERY, stop.cancelled()).await.is_err() {
        handle.observer().metrics().upkeep();
        handle.sweep_invitation_secrets();
        handle.sweep_secrets();
    }
}

async fn start_api(
    config: &Config,
    handle: &OrgHandle,
    stop: &CancellationToken,
) -> Result<(SocketAddr, tokio::task::JoinHandle<std::io::Result<()>>), StartError> {
    let listen_error = |source| StartError::Listen { address: config.http.listen.to_string(), source };
    let listener = tokio::net::TcpListener::bind(config.http.listen).await.map_err(listen_error)?;
    let address = listener.local_addr().map_err(listen_error)?;
    let router = crate::api::router(handle.clone(), stop.clone());
    let stop = stop.clone();
    let stopped = async move { stop.cancelled().await };
    let serving = match config.http.tls() {
        None => {
            let serve = axum::serve(listener, router).with_graceful_shutdown(stopped);
            tokio::spawn(async move { serve.await })
        }
        Some((certificate, key)) => {
            let listener =
                TlsListener::new(listener, server_config(certificate, key)?).map_err(listen_error)?;
            let serve = axum::serve(listener, router).with_graceful_shutdown(stopped);
            tokio::spawn(async move { serve.await })
        }
    };
    Ok((address, serving))
}

/// Reads a log that no daemon uses, for the commands that work without one.
///
/// # Errors
/// There is no log, or it is in use.
pub fn read_log(data: &Path) -> Result<LogReader, OpenError> {
    LogReader::open(&tieline_store::Config::new(crate::log_dir(data)))
}
