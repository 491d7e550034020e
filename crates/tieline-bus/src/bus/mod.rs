//! The two client connections of a running org, and what goes over them.
//!
//! A daemon of org X is two users at the broker (PROTOCOL §1): one reads the inbox (account
//! `in_X`), one writes to partners (account `X`). A [`Bus`] holds both, keeps them connected for
//! ever, and starts without a broker. Cloning it is cheap: all clones are the same bus.
//!
//! | verb | over | answered by |
//! |---|---|---|
//! | [`Bus::ensure_inbox`], [`Bus::remove_inbox`] | JetStream of the own account | the broker |
//! | [`Bus::read_inbox`] | a pull consumer without acknowledgements | never |
//! | [`Bus::publish_frame`] | a message into the partner's ring | the broker; it proves nothing |
//! | [`Bus::heartbeat`], [`Bus::heartbeats`] | a message without storage | never |
//! | [`Bus::hello`], [`Bus::hellos`] | a request | the inviter's daemon |
//! | [`Bus::echo`] | a message to itself | itself |
//!
//! Invariants:
//! - No call waits for a broker that is away: it fails with [`BusError::Disconnected`] at once, or
//!   within a timeout when the connection breaks meanwhile. Only readers and listeners wait.
//! - No queue is unbounded: see [`crate::limits`].
//! - What arrives keeps its bytes; who sent it is told by the subject, which the broker wrote.

mod ack;
mod error;
mod inbox;
mod listen;
mod publish;
mod reader;
mod status;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, ConnectOptions, ServerAddr, jetstream};
use bytes::Bytes;
use futures_util::StreamExt;
use tieline_core::OrgName;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::address::BrokerAddress;
use crate::keys::OrgKeys;
use crate::limits::SUBSCRIPTION_MESSAGES_MAX;
use crate::subjects;
use ack::Replies;
use status::Link;

pub use ack::{AckError, FrameAck, PubAck};
pub use error::{BusError, Recovery};
pub use inbox::{InboxInfo, InboxSpec};
pub use listen::{Heartbeat, Heartbeats, Hello, Hellos};
pub use reader::{Arrived, InboxEvent, InboxReader, RestartCause};
pub use status::BrokerStatus;

/// How a [`Bus`] connects.
#[derive(Debug, Clone)]
pub struct BusConfig {
    /// The broker, as `nats://host:port` or `tls://host:port`; several, separated by commas, for
    /// a cluster.
    pub url: String,
    /// The keys of the org, which also name it.
    pub keys: Arc<OrgKeys>,
    /// What the broker shows for the two connections, followed by `inbox` or `sender`.
    pub client_name: String,
    /// Copies that the broker keeps of each ring: 1, or 3 in a cluster.
    pub replicas: usize,
    /// How long each kind of call waits.
    pub timeouts: Timeouts,
}

impl BusConfig {
    /// A bus with the usual settings.
    #[must_use]
    pub fn new(url: impl Into<String>, keys: Arc<OrgKeys>) -> Self {
        let client_name = format!("tieline {}", keys.org());
        Self { url: url.into(), keys, client_name, replicas: 1, timeouts: Timeouts::default() }
    }
}

/// How long calls wait, and how soon silence is noticed.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For an answer of the broker about a ring.
    pub request: Duration,
    /// For a place in the client's queue, when the connection is slower than its caller.
    pub enqueue: Duration,
    /// For the broker's acknowledgement of a frame.
    pub ack: Duration,
    /// Between signs of life that a waiting reader asks the broker for. A reader starts over when
    /// two of them are missing.
    pub idle_heartbeat: Duration,
    /// Between pings; a connection without an answer to two of them is dropped.
    pub ping: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            request: Duration::from_secs(5),
            enqueue: Duration::from_secs(1),
            ack: Duration::from_secs(5),
            idle_heartbeat: Duration::from_secs(5),
            ping: Duration::from_secs(5),
        }
    }
}

/// A running org's access to the broker.
#[derive(Clone)]
pub struct Bus {
    inner: Arc<Inner>,
}

struct Inner {
    org: OrgName,
    replicas: usize,
    timeouts: Timeouts,
    /// Account `in_<org>`.
    inbox: Client,
    js: jetstream::Context,
    /// Account `<org>`.
    sender: Client,
    inbox_link: watch::Receiver<Link>,
    sender_link: watch::Receiver<Link>,
    status: watch::Receiver<BrokerStatus>,
    replies: Arc<Replies>,
    stopped: watch::Sender<bool>,
    /// The tasks end with the last clone of the bus.
    _tasks: JoinSet<()>,
}

impl Bus {
    /// Starts both connections in the background and returns at once, broker or not.
    ///
    /// # Errors
    /// [`BusError::Config`], when the URL does not parse. Nothing else fails here: a broker that
    /// is away or refuses the keys shows in [`Bus::status`].
    pub async fn start(config: BusConfig) -> Result<Self, BusError> {
        let BusConfig { url, keys, client_name, replicas, timeouts } = config;
        let org = keys.org().clone();
        let servers = parse_servers(&url)?;
        let connect = async |seed: String, role: &str, link: watch::Sender<Link>| {
            let options = options(seed, format!("{client_name} {role}"), timeouts, link);
            let client = options.connect(servers.as_slice()).await;
            client.map_err(|source| BusError::Config { url: url.clone(), source: Box::new(source) })
        };
        let (inbox_seen, inbox_link) = watch::channel(Link::default());
        let (sender_seen, sender_link) = watch::channel(Link::default());
        let inbox = connect(keys.inbox_seed(), "inbox", inbox_seen).await?;
        let sender = connect(keys.sender_seed(), "sender", sender_seen).await?;
        let js = jetstream::ContextBuilder::new().timeout(timeouts.request).build(inbox.clone());

        let mut tasks = JoinSet::new();
        let (shown, status) = watch::channel(BrokerStatus::default());
        let links = status::Links { inbox: inbox_link.clone(), sender: sender_link.clone() };
        tasks.spawn(status::watch(org.clone(), inbox.clone(), links, shown));
        let replies = Arc::new(Replies::new(sender.new_inbox()));
        tasks.spawn(ack::collect(sender.clone(), replies.clone()));

        let stopped = watch::Sender::new(false);
        Ok(Self {
            inner: Arc::new(Inner {
                org,
                replicas,
                timeouts,
                inbox,
                js,
                sender,
                inbox_link,
                sender_link,
                status,
                replies,
                stopped,
                _tasks: tasks,
            }),
        })
    }

    /// The org whose bus this is.
    #[must_use]
    pub fn org(&self) -> &OrgName {
        &self.inner.org
    }

    /// The state of the connection, now and at each change.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<BrokerStatus> {
        self.inner.status.clone()
    }

    /// Sends a message to itself, out of the sender account, through the hub, into the inbox
    /// account: proves that both connections, both accounts and what lies between them work, and
    /// that the broker has handled all that was handed to the bus before.
    ///
    /// # Errors
    /// [`BusError::Disconnected`] and [`BusError::Denied`] at once, [`BusError::Timeout`] after
    /// [`Timeouts::request`].
    pub async fn echo(&self) -> Result<(), BusError> {
        self.while_connected(self.send_echo()).await
    }

    async fn send_echo(&self) -> Result<(), BusError> {
        const ECHO: &str = "send a message to itself";
        let Inner { org, inbox, sender, timeouts, .. } = &*self.inner;
        let (out, back) = subjects::echo(org);
        let echoed = async {
            let mut echo = self.enqueue(inbox.subscribe(back), ECHO).await?;
            // The broker answers after it has taken the subscription, and all else before it.
            let barrier = inbox.request("$JS.API.INFO", Bytes::new()).await;
            barrier.map_err(|error| BusError::from_request(ECHO, error))?;
            self.enqueue(sender.publish(out, Bytes::new()), ECHO).await?;
            echo.next().await;
            Ok(())
        };
        tokio::time::timeout(timeouts.request, echoed).await.unwrap_or(Err(BusError::Timeout { what: ECHO }))
    }

    /// Stops the bus: what was handed to it is given to the broker, then both connections are
    /// closed. Readers and listeners end, other calls fail with [`BusError::Stopped`]. Returns
    /// after `within` at the latest; whatever the broker has not taken by then is lost, and sent
    /// again by whoever holds the log.
    pub async fn stop(&self, within: Duration) {
        self.inner.stopped.send_replace(true);
        let Inner { org, inbox, sender, inbox_link, sender_link, .. } = &*self.inner;
        let up = self.inner.status.borrow().connected;
        let farewell = async {
            // Written is not arrived: a socket that is closed while acknowledgements wait in it
            // takes back what the broker has not read. After an echo it has read everything.
            let heard = if up { self.send_echo().await } else { Ok(()) };
            tokio::join!(close(sender, sender_link.clone()), close(inbox, inbox_link.clone()));
            heard
        };
        match tokio::time::timeout(within, farewell).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%org, code = error.code(), "the last messages may be lost"),
            Err(_) => tracing::warn!(%org, "the last messages may be lost: the broker is too slow"),
        }
    }

    fn refuse_stopped(&self) -> Result<(), BusError> {
        if *self.inner.stopped.borrow() { Err(BusError::Stopped) } else { Ok(()) }
    }

    /// Refuses a call that would have to wait for a broker that is away; returns which connect
    /// this is.
    fn connected(&self) -> Result<u64, BusError> {
        self.refuse_stopped()?;
        let status = self.inner.status.borrow();
        if status.connected {
            return Ok(status.connects);
        }
        if status.denied {
            return Err(BusError::Denied { org: self.inner.org.clone() });
        }
        let reason = status.last_error.clone().unwrap_or_else(|| "no connection yet".into());
        Err(BusError::Disconnected { reason })
    }

    /// Awaits an answer, but not beyond the connection that it was asked for on: it never comes
    /// over another one.
    async fn while_connected<T>(
        &self,
        asked: impl Future<Output = Result<T, BusError>>,
    ) -> Result<T, BusError> {
        let connects = self.connected()?;
        let mut status = self.status();
        tokio::select! {
            answer = asked => answer,
            _ = status.wait_for(|status| !status.is_connect(connects)) => {
                Err(BusError::Disconnected { reason: "the connection was lost".into() })
            }
        }
    }

    /// Waits for a place in the client's queue, but not for long.
    async fn enqueue<T, E>(
        &self,
        done: impl Future<Output = Result<T, E>>,
        what: &'static str,
    ) -> Result<T, BusError>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        match tokio::time::timeout(self.inner.timeouts.enqueue, done).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(source)) => Err(BusError::Client { what, source: Box::new(source) }),
            Err(_) => Err(BusError::Disconnected { reason: format!("the connection is too slow to {what}") }),
        }
    }
}

/// Closes a client. One without a connection ends with the last clone of its bus.
async fn close(client: &Client, mut link: watch::Receiver<Link>) {
    if client.connection_state() == State::Connected && client.drain().await.is_ok() {
        // The sender of the link lives in the client's callback: an error means closed as well.
        link.wait_for(|link| link.closed).await.ok();
    }
}

fn parse_servers(url: &str) -> Result<Vec<ServerAddr>, BusError> {
    let parse = |one: &str| {
        // The client would take nearly anything for an address, and then never connect.
        let address = one.strip_prefix("nats://").or_else(|| one.strip_prefix("tls://")).unwrap_or(one);
        address.parse::<BrokerAddress>()?;
        Ok(one.parse::<ServerAddr>()?)
    };
    let parsed: Result<Vec<ServerAddr>, _> = url.split(',').map(|one| parse(one.trim())).collect();
    parsed.map_err(|source| BusError::Config { url: url.to_owned(), source })
}

fn options(seed: String, name: String, timeouts: Timeouts, link: watch::Sender<Link>) -> ConnectOptions {
    let link = Arc::new(link);
    ConnectOptions::with_nkey(seed)
        .name(name)
        .retry_on_initial_connect()
        .max_reconnects(None)
        .ping_interval(timeouts.ping)
        .request_timeout(Some(timeouts.request))
        .subscription_capacity(SUBSCRIPTION_MESSAGES_MAX)
        .reconnect_delay_callback(|attempt| backoff(attempt as u32))
        .event_callback(move |event| {
            let link = link.clone();
            async move { link.send_modify(|link| link.see(&event)) }
        })
}

/// How long to wait before the `attempt`-th try in a row, counted from 1: 50 ms, doubled each time
/// up to 4 s, of which a random half is waived, so that a thousand orgs do not return at once.
fn backoff(attempt: u32) -> Duration {
    const FIRST_MS: u64 = 50;
    const MOST_MS: u64 = 4_000;
    let whole = FIRST_MS.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(MOST_MS);
    // Without randomness all wait the longest time, which is still right.
    let waived = getrandom::u64().map_or(0, |random| random % (whole / 2));
    Duration::from_millis(whole - waived)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_grows_to_four_seconds_and_never_past() {
        for (attempt, whole) in
            [(0, 50), (1, 50), (2, 100), (4, 400), (7, 3_200), (8, 4_000), (u32::MAX, 4_000)]
        {
            for _ in 0..50 {
                let ms = backoff(attempt).as_millis();
                assert!((whole / 2..=whole).contains(&ms), "attempt {attempt}: {ms} ms");
            }
        }
    }

    /// A daemon spawns these: each has to be `Send`. Only its compilation is the test.
    #[expect(dead_code, reason = "it is compiled, never run")]
    fn calls_can_be_spawned(bus: &Bus, spec: &InboxSpec, org: &OrgName) {
        fn spawned(_: impl Future + Send) {}
        let mut reader = bus.read_inbox(spec.clone());
        spawned(async move { reader.next().await });
        spawned(bus.ensure_inbox(spec));
        spawned(bus.publish_frame(org, spec.connection, Bytes::new()));
        spawned(bus.hello(org, Bytes::new(), Duration::ZERO));
        spawned(async move {
            bus.hellos().await?.next().await.ok_or(BusError::Stopped)?.reply(Bytes::new()).await
        });
        spawned(bus.echo());
        spawned(bus.stop(Duration::ZERO));
    }

    #[tokio::test]
    async fn a_url_that_is_none_is_refused_by_name() {
        let keys = Arc::new(OrgKeys::generate("alpha".parse().unwrap()).unwrap());
        for url in
            ["", "nats://", "nats://h", "http://h:4222", "nats://h:99999", "nats://h:1,", "nats://a:1 b:2"]
        {
            let refused = Bus::start(BusConfig::new(url, keys.clone())).await.err().unwrap();
            assert_eq!(refused.code(), "config", "{url}");
            assert_eq!(refused.recovery(), Recovery::Fatal);
        }
    }
}
