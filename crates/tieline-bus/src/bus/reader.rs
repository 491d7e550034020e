//! Reading a ring: from its start, without acknowledgements, for ever.
//!
//! A consumer of the broker is a loan: it goes with the broker's memory, its disk, a deletion or a
//! silence. So nothing depends on it. At every reconnect, missing sign of life, gap or error the
//! ring is made again if need be, a new consumer starts at the first frame that the ring holds,
//! and the caller, who skips what it has by the frames' headers, gets an
//! [`InboxEvent::Restarted`].
//!
//! A waiting reader has a request under way at all times, so a frame that arrives is pushed to it:
//! there is no polling interval. What is read ahead is bounded, to twice
//! [`crate::limits::READ_AHEAD_BYTES`].

use std::time::Duration;

use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::consumer::pull::MessagesErrorKind;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy};
use bytes::Bytes;
use futures_util::StreamExt;
use tieline_core::{ConnectionId, OrgName};
use tokio::sync::watch;
use tokio::time::Instant;

use super::{BrokerStatus, Bus, BusError, InboxInfo, InboxSpec, backoff};
use crate::limits::{READ_AHEAD_BYTES, READ_AHEAD_FRAMES};
use crate::subjects;

/// The broker forgets a consumer that nobody has asked for anything this long: it is how those of
/// an earlier start, or of a reader whose caller is stuck, go away.
const CONSUMER_IDLE: Duration = Duration::from_secs(30);
/// A reader that worked this long starts over without delay.
const HEALTHY_AFTER: Duration = Duration::from_secs(30);
/// How long one request for frames stands at the broker before the client renews it.
const REQUEST_EXPIRES: Duration = Duration::from_secs(30);

/// One frame out of a ring, as it lay there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    /// Who sent it, by the word of the broker: compare the header with it.
    pub from: OrgName,
    /// The connection whose ring it was in: compare the header with it.
    pub connection: ConnectionId,
    /// The sealed frame.
    pub bytes: Bytes,
    /// Its number in the ring. It starts again at 1 when the broker loses its disk.
    pub ring_seq: u64,
    /// Frames that the ring held after this one when it was sent.
    pub waiting: u64,
}

/// What a reader has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InboxEvent {
    /// A frame.
    Arrived(Arrived),
    /// Reading begins, or begins again, at the first frame of the ring: frames that were taken
    /// already come once more, and frames may be missing between the last one and the next.
    Restarted {
        /// Why.
        cause: RestartCause,
        /// What the ring holds.
        inbox: InboxInfo,
    },
}

/// Why a reader starts at the front of its ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartCause {
    /// It is the first time.
    Opened,
    /// The connection was lost and is back.
    Reconnected,
    /// The broker went silent.
    MissedHeartbeat,
    /// The broker has no such consumer any more.
    ConsumerLost,
    /// The broker skipped a frame of the ring, or the client dropped one.
    Gap,
    /// The broker or the client reported something else; it is in the log.
    Failed,
}

impl RestartCause {
    /// The stable name of this cause, for metrics and logs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Reconnected => "reconnected",
            Self::MissedHeartbeat => "missed_heartbeat",
            Self::ConsumerLost => "consumer_lost",
            Self::Gap => "gap",
            Self::Failed => "failed",
        }
    }
}

/// Reads one ring.
pub struct InboxReader {
    bus: Bus,
    spec: InboxSpec,
    subject: String,
    status: watch::Receiver<BrokerStatus>,
    stopped: watch::Receiver<bool>,
    pull: Option<Pull>,
    cause: RestartCause,
    /// Tries in a row that led to nothing.
    failures: u32,
    retry_at: Instant,
}

/// An open consumer.
struct Pull {
    frames: pull::Stream,
    /// The connect in which it was opened: another number means that it is gone.
    connects: u64,
    /// Number of the last delivery of this consumer.
    delivered: u64,
    opened_at: Instant,
}

impl Bus {
    /// Reads the ring of a connection. Nothing happens before the first [`InboxReader::next`].
    #[must_use]
    pub fn read_inbox(&self, spec: InboxSpec) -> InboxReader {
        InboxReader {
            subject: subjects::frames_in(&self.inner.org, &spec.partner, spec.connection),
            status: self.status(),
            stopped: self.inner.stopped.subscribe(),
            bus: self.clone(),
            spec,
            pull: None,
            cause: RestartCause::Opened,
            failures: 0,
            retry_at: Instant::now(),
        }
    }
}

impl InboxReader {
    /// The next thing that happens on the ring; `None` once the bus is stopped. It waits as long
    /// as it takes, for a frame as for a broker, and never fails.
    ///
    /// Cancel safe: a frame is either returned or comes again.
    pub async fn next(&mut self) -> Option<InboxEvent> {
        let mut stopped = self.stopped.clone();
        tokio::select! {
            biased;
            // The sender lives in the bus, which this reader keeps alive.
            _ = stopped.wait_for(|stopped| *stopped) => None,
            event = self.step() => Some(event),
        }
    }

    async fn step(&mut self) -> InboxEvent {
        loop {
            let Some(pull) = &mut self.pull else {
                if let Some(event) = self.reopen().await {
                    return event;
                }
                continue;
            };
            let connects = pull.connects;
            let next = tokio::select! {
                // A reconnect comes first: what an old consumer still holds is in the ring again.
                biased;
                _ = self.status.wait_for(|status| status.connects != connects) => Err(RestartCause::Reconnected),
                next = pull.next(&self.subject, &self.spec) => next,
            };
            match next {
                Ok(arrived) => {
                    self.failures = 0;
                    return InboxEvent::Arrived(arrived);
                }
                Err(cause) => self.close(cause),
            }
        }
    }

    fn close(&mut self, cause: RestartCause) {
        let healthy = self.pull.take().is_some_and(|pull| pull.opened_at.elapsed() >= HEALTHY_AFTER);
        // The connection has a backoff of its own.
        if healthy || cause == RestartCause::Reconnected {
            self.failures = 0;
        }
        self.cause = cause;
        self.wait_before_next_try();
        tracing::debug!(org = %self.bus.org(), connection = %self.spec.connection, cause = cause.code(), "inbox restarts");
    }

    fn wait_before_next_try(&mut self) {
        // A moment that is kept, not a sleep: a caller that cancels `next` does not prolong it.
        self.retry_at =
            Instant::now() + if self.failures == 0 { Duration::ZERO } else { backoff(self.failures) };
        self.failures = self.failures.saturating_add(1);
    }

    /// Makes the ring and a consumer; `None` after a failure that will be tried again.
    async fn reopen(&mut self) -> Option<InboxEvent> {
        tokio::time::sleep_until(self.retry_at).await;
        // An error means that the client is gone for good; then the bus is stopped as well.
        // The borrow of the status must not be held over an await.
        let connected = self.status.wait_for(|status| status.connected).await.map(|status| status.connects);
        let Ok(connects) = connected else { return std::future::pending().await };
        match self.bus.while_connected(self.open(connects)).await {
            Ok((pull, inbox)) => {
                self.pull = Some(pull);
                Some(InboxEvent::Restarted { cause: self.cause, inbox })
            }
            Err(error) => {
                // Nobody would see a debug line, and a warning each time would drown the log.
                if self.failures.is_power_of_two() {
                    tracing::warn!(
                        org = %self.bus.org(), connection = %self.spec.connection, code = error.code(), %error,
                        tries = self.failures, "the inbox cannot be opened"
                    );
                }
                self.wait_before_next_try();
                None
            }
        }
    }

    async fn open(&self, connects: u64) -> Result<(Pull, InboxInfo), BusError> {
        let failed = |source| BusError::Client { what: "open an inbox", source };
        let inbox = self.bus.make_ring(&self.spec).await?;
        let consumer = self.bus.inner.js.create_consumer_on_stream(consumer(), &inbox.stream);
        let consumer = consumer.await.map_err(|e| failed(Box::new(e)))?;
        let frames = consumer
            .stream()
            .max_messages_per_batch(READ_AHEAD_FRAMES)
            .max_bytes_per_batch(READ_AHEAD_BYTES)
            .expires(REQUEST_EXPIRES)
            .heartbeat(self.bus.inner.timeouts.idle_heartbeat)
            .messages();
        let frames = frames.await.map_err(|e| failed(Box::new(e)))?;
        Ok((Pull { frames, connects, delivered: 0, opened_at: Instant::now() }, inbox))
    }
}

/// A consumer for one reader: in memory, without acknowledgements, from the first frame.
fn consumer() -> pull::Config {
    pull::Config {
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::None,
        inactive_threshold: CONSUMER_IDLE,
        memory_storage: true,
        num_replicas: 1,
        ..pull::Config::default()
    }
}

impl Pull {
    async fn next(&mut self, subject: &str, spec: &InboxSpec) -> Result<Arrived, RestartCause> {
        loop {
            let message = match self.frames.next().await {
                Some(Ok(message)) => message,
                Some(Err(error)) => return Err(cause(&error)),
                None => return Err(RestartCause::ConsumerLost),
            };
            let Ok(info) = message.info() else {
                return Err(RestartCause::Failed);
            };
            if info.consumer_sequence != self.delivered + 1 {
                return Err(RestartCause::Gap);
            }
            self.delivered = info.consumer_sequence;
            let (ring_seq, waiting) = (info.stream_sequence, info.pending);
            if message.subject.as_str() != subject {
                // Somebody gave the ring another subject; `ensure_inbox` takes it back next time.
                tracing::warn!(subject = %message.subject, "a message that does not belong into this inbox");
                continue;
            }
            let (from, connection) = (spec.partner.clone(), spec.connection);
            return Ok(Arrived { from, connection, bytes: message.message.payload, ring_seq, waiting });
        }
    }
}

fn cause(error: &pull::MessagesError) -> RestartCause {
    match error.kind() {
        MessagesErrorKind::MissingHeartbeat => RestartCause::MissedHeartbeat,
        MessagesErrorKind::ConsumerDeleted | MessagesErrorKind::NoResponders => RestartCause::ConsumerLost,
        MessagesErrorKind::Pull
        | MessagesErrorKind::PushBasedConsumer
        | MessagesErrorKind::RequestLimitExceeded
        | MessagesErrorKind::Other => {
            tracing::warn!(%error, "reading an inbox failed");
            RestartCause::Failed
        }
    }
}
