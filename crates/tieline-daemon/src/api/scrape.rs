//! Gauges that are read when somebody asks: depths, ages, free space. Nothing of it costs anything
//! between two scrapes.

use std::path::Path;

use tieline_core::drift;
use tieline_core::state::{Connection, ConnectionStatus, State};
use tieline_core::{ConnectionId, Seq, Timestamp};
use tieline_store::LogReader;

use super::Api;
use super::connection_view::{cause, outbox_messages};
use super::log::blocking;
use crate::clock::now;
use crate::metrics::{Direction, Metric, connection_label};

/// What of a connection has to be asked of the log.
struct Oldest {
    label: String,
    /// The event of the oldest message that the partner has not confirmed.
    seq: Option<Seq>,
}

/// Sets every gauge to what is true now.
pub(super) async fn observe(api: &Api) {
    let metrics = api.org.observer().metrics();
    metrics.gauge(Metric::BrokerUp, &[]).set(f64::from(u8::from(api.org.broker().connected)));
    metrics.gauge(Metric::DiskFree, &[]).set(api.org.space().free_bytes as f64);
    let oldest = api.org.read(|state| {
        org(api, state);
        let linked = state.connections.values().filter(|connection| connection.is_linked());
        linked.map(|connection| connection_gauges(api, state, connection)).collect::<Vec<_>>()
    });
    let (oldest, log) = (oldest.await, api.org.log());
    let asked = blocking(move || {
        let ages =
            oldest.into_iter().map(|oldest| (oldest.label, age_s(&log, oldest.seq))).collect::<Vec<_>>();
        (ages, dir_bytes(log.dir()))
    });
    // A task that failed was logged; its gauges stay as they were.
    let Ok((ages, bytes)) = asked.await else { return };
    metrics.gauge(Metric::LogBytes, &[]).set(bytes as f64);
    for (label, age) in ages {
        metrics.gauge(Metric::OldestUnappliedChange, &[&label]).set(age);
    }
}

fn org(api: &Api, state: &State) {
    let metrics = api.org.observer().metrics();
    metrics.gauge(Metric::Jobs, &[]).set(state.jobs.len() as f64);
    metrics.gauge(Metric::ApprovalsWaiting, &[]).set(state.approvals_waiting() as f64);
    metrics.counter(Metric::RuleFailures, &[]).absolute(state.automation.failed);
    metrics.counter(Metric::NotComputed, &[]).absolute(state.automation.not_computed);
    for kind in ["mail", "webhook"] {
        let open = state.effects.open().values().filter(|open| open.effect.kind() == kind).count();
        metrics.gauge(Metric::EffectsOpen, &[kind]).set(open as f64);
    }
    for name in state.objects.keys() {
        metrics.gauge(Metric::Records, &[name.as_str()]).set(state.count_of(name) as f64);
    }
}

fn connection_gauges(api: &Api, state: &State, connection: &Connection) -> Oldest {
    let metrics = api.org.observer().metrics();
    let label = connection_label(connection);
    let set = |metric, value: f64| metrics.gauge(metric, &[&label]).set(value);
    let link_now = api.org.link(connection.id).unwrap_or_default();
    set(Metric::OutboxMessages, outbox_messages(connection, &link_now) as f64);
    set(Metric::HeldMessages, connection.inbound.counts.held as f64);
    set(Metric::MappingsBroken, drift::broken(state, connection).count() as f64);
    set(Metric::OwnersUnmapped, connection.unmapped_owners.len() as f64);
    set(Metric::ConnectionReady, f64::from(u8::from(cause(api, connection).is_none())));
    set(Metric::ConnectionPaused, f64::from(u8::from(connection.pauses.any())));
    for (object, conflicts) in &connection.conflicts {
        for (direction, count) in [(Direction::In, conflicts.theirs), (Direction::Out, conflicts.ours)] {
            let labels = [label.as_str(), object.as_str(), direction.as_str()];
            metrics.counter(Metric::Conflicts, &labels).absolute(count);
        }
    }
    // Of a connection that has ended nothing more is heard, and that is no alarm.
    if connection.status == ConnectionStatus::Active {
        link(api, connection.id, set);
    }
    Oldest { seq: unconfirmed(api, connection), label }
}

fn link(api: &Api, connection: ConnectionId, set: impl Fn(Metric, f64)) {
    let Some(link) = api.org.link(connection) else { return };
    set(Metric::InboxMessages, link.inbox_depth as f64);
    set(Metric::PartnerClockOffset, seconds(link.clock_offset_us));
    if let Some(heard) = link.heard {
        set(Metric::HeartbeatAge, seconds(now().since_us(heard)));
    }
}

/// The event of the oldest message that the partner has not confirmed. What the log knows of its
/// receipts lags behind by a second; the link knows better.
fn unconfirmed(api: &Api, connection: &Connection) -> Option<Seq> {
    let logged = connection.outbox.receipt.position;
    let confirmed = api.org.link(connection.id).map_or(logged, |link| link.confirmed.max(logged));
    connection.outbox.entry(confirmed.next()).map(|entry| entry.seq)
}

fn age_s(log: &LogReader, seq: Option<Seq>) -> f64 {
    let committed: Option<Timestamp> = seq.and_then(|seq| Some(log.event(seq).ok()??.time));
    committed.map_or(0.0, |time| seconds(now().since_us(time)).max(0.0))
}

const fn seconds(us: i64) -> f64 {
    us as f64 / 1_000_000.0
}

/// Bytes of the files under `dir`. What cannot be read counts as nothing.
fn dir_bytes(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => dir_bytes(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_measured_with_what_is_in_them() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("inner")).unwrap();
        std::fs::write(dir.path().join("a"), [0; 10]).unwrap();
        std::fs::write(dir.path().join("inner/b"), [0; 5]).unwrap();
        assert_eq!(dir_bytes(dir.path()), 15);
        assert_eq!(dir_bytes(&dir.path().join("nowhere")), 0);
    }
}
