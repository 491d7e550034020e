//! What comes without storage: heartbeats of partners, and hellos of orgs that were invited.
//!
//! Each listener has a task that takes messages from the client at once, drops what is too large
//! or has a strange subject, and hands the rest on through a short queue. The client's own queue
//! counts messages, not bytes; it stays empty, so a partner that floods fills only the short one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_nats::{Client, Message};
use bytes::Bytes;
use futures_util::StreamExt;
use tieline_core::{ConnectionId, OrgName};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::{Bus, BusError};
use crate::limits::{HEARTBEAT_BYTES_MAX, HELLO_BYTES_MAX, LISTEN_QUEUE_MAX};
use crate::subjects;

/// A heartbeat as it came: a sealed frame without a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// Who sent it, by the word of the broker.
    pub from: OrgName,
    /// The connection that it names in its subject; the sender can write any.
    pub connection: ConnectionId,
    /// The sealed frame.
    pub bytes: Bytes,
}

/// A sealed hello that waits for a reply.
pub struct Hello {
    /// Who sent it, by the word of the broker.
    pub from: OrgName,
    /// The sealed hello.
    pub bytes: Bytes,
    reply: async_nats::Subject,
    bus: Bus,
}

impl Hello {
    /// Sends the sealed reply. It may be lost; the acceptor then says hello again.
    ///
    /// # Errors
    /// [`BusError::Disconnected`] and [`BusError::TooLarge`].
    pub async fn reply(self, sealed: Bytes) -> Result<(), BusError> {
        self.bus.connected()?;
        let inbox = &self.bus.inner.inbox;
        let (bytes, limit) = (sealed.len(), HELLO_BYTES_MAX);
        if bytes > limit {
            return Err(BusError::TooLarge { what: "an acceptor as a welcome", bytes, limit });
        }
        self.bus.enqueue(inbox.publish(self.reply, sealed), "reply to a hello").await
    }
}

/// Listens to something; ends with the bus or when dropped.
struct Listener<T> {
    queue: mpsc::Receiver<T>,
    dropped: Arc<AtomicU64>,
    stopped: watch::Receiver<bool>,
    /// The task that fills the queue.
    _task: JoinSet<()>,
}

impl<T: Send + 'static> Listener<T> {
    async fn start(
        bus: &Bus,
        subject: String,
        parse: impl Fn(Message) -> Option<T> + Send + 'static,
    ) -> Result<Self, BusError> {
        bus.refuse_stopped()?;
        let client: &Client = &bus.inner.inbox;
        let mut arriving = bus.enqueue(client.subscribe(subject), "listen").await?;
        let (sender, queue) = mpsc::channel(LISTEN_QUEUE_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let mut task = JoinSet::new();
        let counter = dropped.clone();
        task.spawn(async move {
            while let Some(message) = arriving.next().await {
                let taken = parse(message).map(|item| sender.try_send(item));
                if !matches!(taken, Some(Ok(()))) {
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Ok(Self { queue, dropped, stopped: bus.inner.stopped.subscribe(), _task: task })
    }

    async fn next(&mut self) -> Option<T> {
        tokio::select! {
            biased;
            _ = self.stopped.wait_for(|stopped| *stopped) => None,
            item = self.queue.recv() => item,
        }
    }
}

/// The heartbeats of all partners.
pub struct Heartbeats(Listener<Heartbeat>);

impl Heartbeats {
    /// The next heartbeat; `None` once the bus is stopped. Cancel safe.
    pub async fn next(&mut self) -> Option<Heartbeat> {
        self.0.next().await
    }

    /// How many were dropped: too large, of a strange form, or more than the daemon could take.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }
}

/// The hellos of all orgs that answer an invitation of this one.
pub struct Hellos(Listener<Hello>);

impl Hellos {
    /// The next hello; `None` once the bus is stopped. Cancel safe.
    pub async fn next(&mut self) -> Option<Hello> {
        self.0.next().await
    }

    /// How many were dropped: too large, of a strange form, or more than the daemon could take.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }
}

impl Bus {
    /// Listens to the heartbeats of all partners, now and after every reconnect.
    ///
    /// # Errors
    /// [`BusError::Stopped`], and [`BusError::Disconnected`] when the client's queue is full.
    pub async fn heartbeats(&self) -> Result<Heartbeats, BusError> {
        let parse = |message: Message| {
            let small = message.payload.len() <= HEARTBEAT_BYTES_MAX;
            let (from, connection) = subjects::parse_heartbeat(&message.subject).filter(|_| small)?;
            Some(Heartbeat { from, connection, bytes: message.payload })
        };
        Listener::start(self, subjects::heartbeats_in(&self.inner.org), parse).await.map(Heartbeats)
    }

    /// Listens to the hellos of all orgs, now and after every reconnect.
    ///
    /// # Errors
    /// As [`Bus::heartbeats`].
    pub async fn hellos(&self) -> Result<Hellos, BusError> {
        let bus = self.clone();
        let parse = move |message: Message| {
            let small = message.payload.len() <= HELLO_BYTES_MAX;
            let from = subjects::parse_hello(&message.subject).filter(|_| small)?;
            Some(Hello { from, bytes: message.payload, reply: message.reply?, bus: bus.clone() })
        };
        Listener::start(self, subjects::hellos_in(&self.inner.org), parse).await.map(Hellos)
    }
}
