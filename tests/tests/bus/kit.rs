//! A server, its orgs, and how to wait for them.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tieline_bus::Bytes;
use tieline_bus::broker_config::OrgAccess;
use tieline_bus::bus::{Arrived, BrokerStatus, InboxEvent, InboxReader, InboxSpec, RestartCause, Timeouts};
use tieline_bus::{Bus, BusConfig, OrgKeys};
use tieline_core::ConnectionId;
use tieline_tests::nats::{Edition, NatsServer};
use tokio::sync::watch;

/// Long enough for the slowest machine: reaching it means that something hangs.
const DEADLINE: Duration = Duration::from_secs(30);
/// The window of the rings in these tests, unless a test says otherwise.
pub(crate) const WINDOW_BYTES: u64 = 4 << 20;
pub(crate) const CONNECTION: ConnectionId = ConnectionId(42);

/// Runs a case on one edition of the server, with as many threads as a daemon has.
pub(crate) fn run<F: Future<Output = ()>>(edition: Edition, case: impl FnOnce(World) -> F) {
    let Some(server) = NatsServer::prepare(edition, vec![]).unwrap() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { within("the whole case", case(World { edition, server })).await });
}

/// Awaits `what`, but not for ever.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let limit = if what == "the whole case" { DEADLINE * 3 } else { DEADLINE };
    match tokio::time::timeout(limit, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

pub(crate) struct World {
    pub(crate) edition: Edition,
    pub(crate) server: NatsServer,
}

impl World {
    /// Adds an org to the server's plan; it counts from the next start or reload.
    pub(crate) fn org(&mut self, name: &str) -> Org {
        let keys = Arc::new(OrgKeys::generate(name.parse().unwrap()).unwrap());
        self.server.plan.orgs.push(OrgAccess::from(keys.public()));
        Org { url: self.server.url(), keys }
    }

    /// Starts the server with two orgs that are connected to it.
    pub(crate) async fn alpha_and_beta(&mut self) -> (Bus, Bus) {
        let (alpha, beta) = (self.org("alpha"), self.org("beta"));
        self.server.restart().unwrap();
        (alpha.connected().await, beta.connected().await)
    }
}

pub(crate) struct Org {
    pub(crate) url: String,
    pub(crate) keys: Arc<OrgKeys>,
}

impl Org {
    /// A bus that notices silence soon.
    pub(crate) fn config(&self) -> BusConfig {
        let timeouts = Timeouts {
            ack: Duration::from_secs(2),
            idle_heartbeat: Duration::from_millis(500),
            ping: Duration::from_millis(500),
            ..Timeouts::default()
        };
        BusConfig { timeouts, ..BusConfig::new(&self.url, self.keys.clone()) }
    }

    pub(crate) async fn start(&self) -> Bus {
        Bus::start(self.config()).await.unwrap()
    }

    pub(crate) async fn connected(&self) -> Bus {
        let bus = self.start().await;
        status(&bus, "a connection", |status| status.connected).await;
        bus
    }

    /// The two accounts of this org through a plain NATS client: what an attacker who runs an org
    /// can do. First the inbox account, then the sender account.
    pub(crate) async fn raw(&self) -> (async_nats::Client, async_nats::Client) {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("keys");
        self.keys.save(&dir).unwrap();
        let connect = async |file: &str| {
            let seed = std::fs::read_to_string(dir.join(file)).unwrap().trim().to_owned();
            let options =
                async_nats::ConnectOptions::with_nkey(seed).request_timeout(Some(Duration::from_secs(1)));
            options.connect(&self.url).await.unwrap()
        };
        (connect("inbox.nk").await, connect("sender.nk").await)
    }
}

/// Waits until the status of `bus` is as wanted, and returns it.
pub(crate) async fn status(bus: &Bus, what: &str, wanted: impl FnMut(&BrokerStatus) -> bool) -> BrokerStatus {
    let mut status: watch::Receiver<BrokerStatus> = bus.status();
    within(what, status.wait_for(wanted)).await.unwrap().clone()
}

pub(crate) fn spec(partner: &Bus) -> InboxSpec {
    InboxSpec { partner: partner.org().clone(), connection: CONNECTION, window_bytes: WINDOW_BYTES }
}

/// A reader of the frames from `partner`, past its first restart.
pub(crate) async fn reader(bus: &Bus, partner: &Bus) -> InboxReader {
    let mut reader = bus.read_inbox(spec(partner));
    assert_eq!(restarted(&mut reader).await, RestartCause::Opened);
    reader
}

/// The next frame, whatever restarts come before it.
pub(crate) async fn arrived(reader: &mut InboxReader) -> Arrived {
    loop {
        match within("a frame", reader.next()).await {
            Some(InboxEvent::Arrived(arrived)) => return arrived,
            Some(InboxEvent::Restarted { .. }) => {}
            None => panic!("the reader has ended"),
        }
    }
}

/// The next restart, whatever frames come before it.
pub(crate) async fn restarted(reader: &mut InboxReader) -> RestartCause {
    loop {
        match within("a restart", reader.next()).await {
            Some(InboxEvent::Restarted { cause, .. }) => return cause,
            Some(InboxEvent::Arrived(_)) => {}
            None => panic!("the reader has ended"),
        }
    }
}

/// Publishes one frame and waits for the broker's word.
pub(crate) async fn publish(from: &Bus, to: &Bus, frame: impl Into<Bytes>) -> Result<u64, &'static str> {
    let ack = from.publish_frame(to.org(), CONNECTION, frame.into()).await.unwrap();
    within("an acknowledgement", ack.outcome()).await.map(|ack| ack.ring_seq).map_err(|error| error.code())
}

/// Bytes that do not compress, told apart by `mark`.
pub(crate) fn noise(bytes: usize, mark: u64) -> Bytes {
    let mut state = mark.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut noise = mark.to_be_bytes().to_vec();
    while noise.len() < bytes {
        noise.extend_from_slice(&next());
    }
    noise.truncate(bytes.max(8));
    noise.into()
}
