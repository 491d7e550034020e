//! Every metric of the daemon: one enum holds each name with its type, unit, help and labels.
//!
//! Names are `tieline_<noun>_<unit>[_total]` in base units. Labels are `connection`, `object`,
//! `direction`, `outcome` and `code`, and nothing else: never an id of a record, a user, a value or
//! the text of an error. `schemas/metrics.json` is written from the enum, dashboards and alerts are
//! tested against it, and nothing can be recorded under a name that is not in it.
//!
//! Metrics belong to one org, not to the process: several orgs in one process (tests) do not mix.
//! Handles are cheap to use and are made once; [`Metrics::upkeep`] has to run every few seconds, or
//! the samples of histograms pile up until somebody scrapes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Level, Metadata, Recorder, Unit};
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use serde::Serialize;
use tieline_core::state::Connection;

/// How often [`Metrics::upkeep`] has to run.
pub const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Upper bounds of the buckets of every histogram of seconds: 1 ms to 60 s.
const SECONDS_BUCKETS: [f64; 15] =
    [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0];
/// Upper bounds of the buckets of every histogram of counts.
const COUNT_BUCKETS: [f64; 10] = [1.0, 2.0, 5.0, 10.0, 50.0, 100.0, 500.0, 1_000.0, 5_000.0, 20_000.0];

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It only rises, or begins anew with the process.
    Counter,
    /// It is as it is now.
    Gauge,
    /// It is distributed over buckets.
    Histogram,
}

/// The label names that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    /// A connection, as [`connection_label`] names it.
    Connection,
    /// An object of this org.
    Object,
    /// `in` or `out`, as this org sees it.
    Direction,
    /// How a change ended.
    Outcome,
    /// A stable code: of a refusal, or an HTTP status.
    Code,
}

impl Label {
    /// The name in the exposition.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Object => "object",
            Self::Direction => "direction",
            Self::Outcome => "outcome",
            Self::Code => "code",
        }
    }
}

/// Which way messages go, as this org sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the partner to this org.
    In,
    /// From this org to the partner.
    Out,
}

impl Direction {
    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

macro_rules! metrics {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $kind:ident, $unit:literal, [$($label:ident),*], $help:literal;)+) => {
        /// One metric.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Metric {
            $(#[doc = $help] $name,)+
        }

        impl Metric {
            /// Every metric, in the order in which they are documented.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The whole name, with its unit and, for counters, `_total`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// How it behaves.
            #[must_use]
            pub const fn kind(self) -> Kind {
                match self { $(Self::$name => Kind::$kind,)+ }
            }

            /// Its unit; `1` for a yes or no.
            #[must_use]
            pub const fn unit(self) -> &'static str {
                match self { $(Self::$name => $unit,)+ }
            }

            /// The labels that each of its series has, in this order.
            #[must_use]
            pub const fn labels(self) -> &'static [Label] {
                match self { $(Self::$name => &[$(Label::$label),*],)+ }
            }

            /// One sentence: what it counts or measures.
            #[must_use]
            pub const fn help(self) -> &'static str {
                match self { $(Self::$name => $help,)+ }
            }
        }
    };
}

metrics! {
    PropagationLag = "tieline_propagation_lag_seconds", Histogram, "seconds", [Connection, Object],
        "Time from the commit of a change at its origin to its durable apply here.";
    FollowUpLag = "tieline_follow_up_lag_seconds", Histogram, "seconds", [Connection, Object],
        "Time from the commit of a follow-up at its origin to its durable apply here.";
    OldestUnappliedChange = "tieline_oldest_unapplied_change_seconds", Gauge, "seconds", [Connection],
        "Age of the oldest message to the partner that the partner has not confirmed; 0 if there is none.";
    OutboxMessages = "tieline_outbox_messages", Gauge, "messages", [Connection],
        "Messages to the partner that the partner has not confirmed.";
    InboxMessages = "tieline_inbox_messages", Gauge, "messages", [Connection],
        "Messages that the partner has given out and that were not received here.";
    MappingsBroken = "tieline_mappings_broken", Gauge, "mappings", [Connection],
        "Mappings that take nothing, because the partner's field has changed.";
    HeldMessages = "tieline_held_messages", Gauge, "messages", [Connection],
        "Received messages that cannot be tried yet.";
    Outcomes = "tieline_outcomes_total", Counter, "changes", [Connection, Direction, Outcome],
        "Changes by how they ended at first; out is what the partner told of ours.";
    Conflicts = "tieline_conflicts_total", Counter, "values", [Connection, Object, Direction],
        "Values lost against others that their writers had not seen; in is the partner's lost here, out is ours lost there.";
    OwnersUnmapped = "tieline_owners_unmapped", Gauge, "owners", [Connection],
        "Owners that the partner told and that the table of owners does not have.";
    FramesRefused = "tieline_frames_refused_total", Counter, "frames", [Connection, Code],
        "Received frames and heartbeats that were thrown away.";
    Frames = "tieline_frames_total", Counter, "frames", [Connection, Direction],
        "Frames and heartbeats that were taken or handed to the broker.";
    FrameBytes = "tieline_frame_bytes_total", Counter, "bytes", [Connection, Direction],
        "Sealed bytes of frames and heartbeats that were taken or handed to the broker.";
    HeartbeatAge = "tieline_heartbeat_age_seconds", Gauge, "seconds", [Connection],
        "Time since the partner was last heard.";
    PartnerClockOffset = "tieline_partner_clock_offset_seconds", Gauge, "seconds", [Connection],
        "The partner's clock less ours when it was last heard, network time included.";
    ConnectionReady = "tieline_connection_ready", Gauge, "1", [Connection],
        "0 if the connection is active and /readyz names a cause why nothing flows, else 1.";
    ConnectionPaused = "tieline_connection_paused", Gauge, "1", [Connection],
        "1 if the connection or an object of it is paused, on either side, else 0.";
    BrokerUp = "tieline_broker_up", Gauge, "1", [],
        "1 if both connections to the broker are up.";
    LogEvents = "tieline_log_events_total", Counter, "events", [],
        "Events that were made durable since the daemon started.";
    LogBytes = "tieline_log_bytes", Gauge, "bytes", [],
        "Bytes of the log on disk.";
    Flush = "tieline_flush_seconds", Histogram, "seconds", [],
        "Time of one append and flush of the log, with its fdatasync.";
    BatchEvents = "tieline_batch_events", Histogram, "events", [],
        "Events that one flush made durable.";
    DiskFree = "tieline_disk_free_bytes", Gauge, "bytes", [],
        "Free bytes on the disk of the log; writes are refused below store.min_free_bytes.";
    Records = "tieline_records", Gauge, "records", [Object],
        "Records of the org.";
    ApprovalsWaiting = "tieline_approvals_waiting", Gauge, "values", [],
        "Values of partners that wait for a person's approval.";
    Effects = "tieline_effects_total", Counter, "effects", [Code, Outcome],
        "Mails and webhooks that ended, sent or failed; the code says which.";
    EffectsOpen = "tieline_open_effects", Gauge, "effects", [Code],
        "Mails and webhooks that wait to be sent; the code says which.";
    RuleFailures = "tieline_rule_failures_total", Counter, "failures", [],
        "Times that a sharing, assignment, escalation or workflow rule could not do what it is for.";
    NotComputed = "tieline_failed_computations_total", Counter, "computations", [],
        "Times that a computed field was empty because it could not be computed.";
    Jobs = "tieline_jobs", Gauge, "jobs", [],
        "Jobs that are not done.";
    HttpRequest = "tieline_http_request_seconds", Histogram, "seconds", [Code],
        "Time to answer a request of the HTTP API, by status.";
}

impl Metric {
    /// Upper bounds of the buckets of a histogram; nothing for other kinds.
    #[must_use]
    pub fn buckets(self) -> &'static [f64] {
        match (self.kind(), self.unit()) {
            (Kind::Histogram, "seconds") => &SECONDS_BUCKETS,
            (Kind::Histogram, _) => &COUNT_BUCKETS,
            (Kind::Counter | Kind::Gauge, _) => &[],
        }
    }
}

/// The value of the label `connection`: the partner and the first letters of the connection's id,
/// so that it can be read, and two connections with one partner are told apart.
#[must_use]
pub fn connection_label(connection: &Connection) -> String {
    const ID_LETTERS: usize = 8;
    let id: String = connection.id.to_string().chars().take(ID_LETTERS).collect();
    let partner = connection.partner.as_ref().map_or("unanswered", |partner| partner.as_str());
    format!("{partner}:{id}")
}

/// The metrics of one org. Cloning is cheap: all clones are the same metrics.
#[derive(Clone)]
pub struct Metrics {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

const METADATA: Metadata<'_> = Metadata::new("tieline", Level::INFO, None);

impl Metrics {
    /// Metrics that begin at nothing, every one of them described.
    ///
    /// # Errors
    /// A histogram has no buckets, which a test rules out.
    pub fn new() -> Result<Self, BuildError> {
        let mut builder = PrometheusBuilder::new();
        for metric in Metric::ALL.iter().filter(|metric| metric.kind() == Kind::Histogram) {
            let name = Matcher::Full(metric.name().to_owned());
            builder = builder.set_buckets_for_metric(name, metric.buckets())?;
        }
        let recorder = builder.build_recorder();
        for metric in Metric::ALL {
            let (name, unit) = (KeyName::from_const_str(metric.name()), unit_of(*metric));
            match metric.kind() {
                Kind::Counter => recorder.describe_counter(name, unit, metric.help().into()),
                Kind::Gauge => recorder.describe_gauge(name, unit, metric.help().into()),
                Kind::Histogram => recorder.describe_histogram(name, unit, metric.help().into()),
            }
        }
        Ok(Self { handle: recorder.handle(), recorder: Arc::new(recorder) })
    }

    /// The counter of `metric` for these label values, in the order of [`Metric::labels`].
    pub fn counter(&self, metric: Metric, labels: &[&str]) -> Counter {
        debug_assert_eq!(metric.kind(), Kind::Counter, "{}", metric.name());
        self.recorder.register_counter(&key(metric, labels), &METADATA)
    }

    /// The gauge of `metric` for these label values, in the order of [`Metric::labels`].
    pub fn gauge(&self, metric: Metric, labels: &[&str]) -> Gauge {
        debug_assert_eq!(metric.kind(), Kind::Gauge, "{}", metric.name());
        self.recorder.register_gauge(&key(metric, labels), &METADATA)
    }

    /// The histogram of `metric` for these label values, in the order of [`Metric::labels`].
    pub fn histogram(&self, metric: Metric, labels: &[&str]) -> Histogram {
        debug_assert_eq!(metric.kind(), Kind::Histogram, "{}", metric.name());
        self.recorder.register_histogram(&key(metric, labels), &METADATA)
    }

    /// Moves the samples of histograms into their buckets; to be run every [`UPKEEP_EVERY`].
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    /// All metrics in the text format of Prometheus.
    #[must_use]
    pub fn render(&self) -> String {
        self.handle.render()
    }
}

fn unit_of(metric: Metric) -> Option<Unit> {
    match metric.unit() {
        "seconds" => Some(Unit::Seconds),
        "bytes" => Some(Unit::Bytes),
        "1" => None,
        _ => Some(Unit::Count),
    }
}

fn key(metric: Metric, values: &[&str]) -> Key {
    let names = metric.labels();
    debug_assert_eq!(names.len(), values.len(), "{} has other labels", metric.name());
    let labels = names.iter().zip(values);
    let labels = labels.map(|(name, value)| metrics::Label::new(name.as_str(), (*value).to_owned()));
    Key::from_parts(metric.name(), labels.collect::<Vec<_>>())
}

/// The list of all metrics, as it is kept in `schemas/metrics.json`.
#[must_use]
pub fn catalogue() -> String {
    #[derive(Serialize)]
    struct Entry {
        name: &'static str,
        kind: Kind,
        unit: &'static str,
        labels: &'static [Label],
        help: &'static str,
        #[serde(skip_serializing_if = "<[f64]>::is_empty")]
        buckets: &'static [f64],
    }
    let entries: Vec<Entry> = Metric::ALL
        .iter()
        .map(|metric| Entry {
            name: metric.name(),
            kind: metric.kind(),
            unit: metric.unit(),
            labels: metric.labels(),
            help: metric.help(),
            buckets: metric.buckets(),
        })
        .collect();
    // A list of texts and finite numbers is always JSON.
    let mut text = serde_json::to_string_pretty(&entries).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests;
