//! What the runtime does, made visible: each happening moves its metric, and lags are kept for
//! people, too. One place for all of it, so that nothing is counted twice or not at all.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::{Counter, Histogram};
use tieline_core::event::Received;
use tieline_core::message::FIRST_CONTROL_KIND;
use tieline_core::outcome::{Counts, Outcome};
use tieline_core::state::{Connection, State};
use tieline_core::{ConnectionId, ObjectName, Timestamp};

use crate::clock::now;
use crate::lag::{LagKind, Lags};
use crate::metrics::{Direction, Metric, Metrics, connection_label};

/// The kind number of changes. The other kinds are first copies and their follow-ups.
const CHANGE_KIND: u16 = 4;

/// One change that has ended, for its lag.
pub(crate) struct EndedChange {
    object: Option<ObjectName>,
    committed: Timestamp,
    kind: u16,
    outcome: Outcome,
}

impl EndedChange {
    /// The change of a received message; nothing for control messages.
    pub(crate) fn of(state: &State, received: &Received) -> Option<Self> {
        let outcome = received.outcome.filter(|_| received.kind < FIRST_CONTROL_KIND)?;
        let object = received.record.and_then(|id| Some(state.records.get(&id)?.object.clone()));
        Some(Self { object, committed: received.time, kind: received.kind, outcome })
    }

    /// Whether another one, that is durable at the same moment, has the same lag.
    fn has_lag_of(&self, other: &Self) -> bool {
        self.committed == other.committed && self.kind == other.kind && self.object == other.object
    }
}

/// Handles of one connection, made once.
struct PerConnection {
    label: String,
    frames_in: Counter,
    frames_out: Counter,
    bytes_in: Counter,
    bytes_out: Counter,
    lags: BTreeMap<ObjectName, (Histogram, Histogram)>,
    /// What of the partner's outcomes has been counted.
    told: Counts,
}

/// The metrics and lags of a running org.
pub struct Observer {
    metrics: Metrics,
    lags: Lags,
    flush: Histogram,
    batch_events: Histogram,
    log_events: Counter,
    connections: Mutex<BTreeMap<ConnectionId, Arc<Mutex<PerConnection>>>>,
}

impl Observer {
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self {
            flush: metrics.histogram(Metric::Flush, &[]),
            batch_events: metrics.histogram(Metric::BatchEvents, &[]),
            log_events: metrics.counter(Metric::LogEvents, &[]),
            lags: Lags::default(),
            connections: Mutex::default(),
            metrics,
        }
    }

    /// The metrics.
    #[must_use]
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The lags since the daemon started.
    #[must_use]
    pub const fn lags(&self) -> &Lags {
        &self.lags
    }

    /// Makes the handles of a connection.
    pub(crate) fn open(&self, connection: &Connection) {
        let label = connection_label(connection);
        let counter =
            |metric, direction: Direction| self.metrics.counter(metric, &[&label, direction.as_str()]);
        let handles = PerConnection {
            frames_in: counter(Metric::Frames, Direction::In),
            frames_out: counter(Metric::Frames, Direction::Out),
            bytes_in: counter(Metric::FrameBytes, Direction::In),
            bytes_out: counter(Metric::FrameBytes, Direction::Out),
            lags: BTreeMap::new(),
            told: connection.outbox.outcomes,
            label,
        };
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.insert(connection.id, Arc::new(Mutex::new(handles)));
    }

    fn with(&self, id: ConnectionId, use_it: impl FnOnce(&mut PerConnection)) {
        let known = self.connections.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        if let Some(known) = known {
            use_it(&mut known.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// A frame or heartbeat was handed to the broker.
    pub(crate) fn frame_sent(&self, id: ConnectionId, bytes: usize) {
        self.with(id, |known| {
            known.frames_out.increment(1);
            known.bytes_out.increment(bytes as u64);
        });
    }

    /// A frame or heartbeat came.
    pub(crate) fn frame_received(&self, id: ConnectionId, bytes: usize) {
        self.with(id, |known| {
            known.frames_in.increment(1);
            known.bytes_in.increment(bytes as u64);
        });
    }

    /// A frame or heartbeat was thrown away.
    pub(crate) fn frame_refused(&self, id: ConnectionId, code: &str) {
        let known = self.connections.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        let label = known.map(|known| known.lock().unwrap_or_else(PoisonError::into_inner).label.clone());
        let label = label.as_deref().unwrap_or("unknown");
        self.metrics.counter(Metric::FramesRefused, &[label, code]).increment(1);
    }

    /// The messages of a frame are durable.
    pub(crate) fn frame_taken(&self, id: ConnectionId, ended: &[EndedChange]) {
        let now = now();
        self.with(id, |known| {
            let mut counts = Counts::default();
            ended.iter().for_each(|change| counts.take(change.outcome, 1));
            // What was committed together has one lag.
            for together in ended.chunk_by(EndedChange::has_lag_of) {
                let (Some(change), times) = (together.first(), together.len()) else { continue };
                let lag_us = now.since_us(change.committed);
                let kind = if change.kind == CHANGE_KIND { LagKind::Propagation } else { LagKind::FollowUp };
                self.lags.record(id, kind, lag_us, times as u64);
                let Some(object) = &change.object else { continue };
                if !known.lags.contains_key(object) {
                    let histogram = |metric| self.metrics.histogram(metric, &[&known.label, object.as_str()]);
                    let both = (histogram(Metric::PropagationLag), histogram(Metric::FollowUpLag));
                    known.lags.insert(object.clone(), both);
                }
                if let Some((change_lag, follow_up_lag)) = known.lags.get(object) {
                    let seconds = Duration::from_micros(u64::try_from(lag_us).unwrap_or(0)).as_secs_f64();
                    let lag = if kind == LagKind::FollowUp { follow_up_lag } else { change_lag };
                    lag.record_many(seconds, times);
                }
            }
            self.count(&known.label, Direction::In, &Counts::default(), &counts);
        });
    }

    /// What the partner told of ours, as far as the state knows it.
    pub(crate) fn partner_told(&self, id: ConnectionId, outcomes: &Counts) {
        self.with(id, |known| {
            self.count(&known.label, Direction::Out, &known.told, outcomes);
            known.told = *outcomes;
        });
    }

    fn count(&self, label: &str, direction: Direction, before: &Counts, after: &Counts) {
        for outcome in Outcome::ALL {
            let moved = after.of(outcome).saturating_sub(before.of(outcome));
            if moved > 0 {
                let labels = [label, direction.as_str(), outcome.as_str()];
                self.metrics.counter(Metric::Outcomes, &labels).increment(moved);
            }
        }
    }

    /// A batch is durable.
    pub(crate) fn flushed(&self, took: Duration, events: u64) {
        self.flush.record(took.as_secs_f64());
        self.batch_events.record(events as f64);
        self.log_events.increment(events);
    }
}
