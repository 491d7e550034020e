//! The whole path: changes enter at A's API, and count when B has durably applied them.

use tieline_tests::process::cpu_seconds;

use crate::report::Report;
use crate::world::{CHANGE_BYTES, Pair, requests};
use crate::{Sizes, log, raw};

/// Leads that are changed in turn.
pub(crate) const RECORDS: usize = 1_000;

/// Throughput and CPU beside the raw pipe, the lag beside its floor, and the rebuild of B's state.
pub(crate) fn run(report: &mut Report, sizes: &Sizes) {
    let mut pair = Pair::new(3, RECORDS);
    let keys = pair.b.home.path().join("keys").to_string_lossy().into_owned();
    lag(report, &mut pair, &keys, sizes);
    for round in 0..sizes.rounds {
        throughput(report, &pair, sizes.changes, round, "");
        let broker_before = cpu_seconds(&pair.broker.pid().to_string());
        let raw = raw::round(&pair.broker.url(), &keys, sizes.changes, CHANGE_BYTES);
        let broker = cpu_seconds(&pair.broker.pid().to_string()) - broker_before;
        report.sample("raw changes/s", sizes.changes as f64 / raw.seconds);
        report.sample("raw cpu", (raw.cpu_seconds + broker) / sizes.changes as f64 * 1e6);
    }
    disk(report, &pair, sizes);
    rebuild(report, pair);
    lines(report);
}

fn lines(report: &mut Report) {
    let raw = Some(("raw changes/s", "raw pipe"));
    report.line("changes/s, A's API to durable apply at B", "changes/s", "1/s", raw, "2 × raw pipe");
    report.line("raw JetStream pipe, one message per event", "raw changes/s", "1/s", None, "");
    report.line("CPU per change, A + broker + B", "cpu", "µs", Some(("raw cpu", "raw pipe")), "under 12 µs");
    report.line("of which A", "cpu a", "µs", None, "");
    report.line("of which B", "cpu b", "µs", None, "");
    report.line("of which broker", "cpu broker", "µs", None, "");
    report.line("CPU per message of the raw pipe", "raw cpu", "µs", None, "");
    report.line("CPU per change of the load generator", "cpu load", "µs", None, "not counted");
    let floor = Some(("latency floor", "raw latency + 2 fdatasync"));
    report.line("lag at 100 changes/s, p50", "lag p50 100", "µs", floor, "1.5 × floor");
    report.line("lag at 100 changes/s, p99", "lag p99 100", "µs", None, "");
    report.line("lag at 100 changes/s, p99.9", "lag p999 100", "µs", None, "");
    report.line("lag at 1,000 changes/s, p50", "lag p50 1000", "µs", floor, "");
    report.line("lag at 1,000 changes/s, p99", "lag p99 1000", "µs", None, "");
    report.line("lag at 1,000 changes/s, p99.9", "lag p999 1000", "µs", None, "");
    report.line("raw JetStream latency, p50", "raw latency", "µs", None, "");
    report.line("fdatasync, median", "fdatasync", "µs", None, "");
    report.line("log of A on disk per change", "disk a", "bytes", None, "");
    report.line("log of B on disk per change", "disk b", "bytes", None, "");
    report.line("state rebuilt from the log", "rebuild", "1/s", None, "500,000/s");
}

/// One round; the figures bear `suffix`.
pub(crate) fn throughput(report: &mut Report, pair: &Pair, changes: usize, round: usize, suffix: &str) {
    let bodies = requests(&pair.records, changes, round + 1);
    let before = pair.cpu();
    let seconds = pair.run(&bodies);
    let after = pair.cpu();
    let per_change = |i: usize| (after[i] - before[i]) / changes as f64 * 1e6;
    let mut sample = |figure: &str, value| report.sample(&format!("{figure}{suffix}"), value);
    sample("changes/s", changes as f64 / seconds);
    sample("cpu", per_change(0) + per_change(1) + per_change(2));
    sample("cpu a", per_change(0));
    sample("cpu b", per_change(1));
    sample("cpu broker", per_change(2));
    sample("cpu load", per_change(3));
    eprintln!("round {}{suffix}: {:.0} changes/s", round + 1, changes as f64 / seconds);
}

/// Lag of single changes, beside its floor: the raw pipe's latency and a durable write on each side.
fn lag(report: &mut Report, pair: &mut Pair, keys: &str, sizes: &Sizes) {
    for rate in [100, 1_000] {
        pair.forget_lags();
        pair.trickle(rate, sizes.seconds);
        let lags = pair.lags();
        eprintln!("lag at {rate}/s: p50 {:.0} µs, p99 {:.0} µs", lags[0], lags[1]);
        for (name, lag) in ["p50", "p99", "p999"].into_iter().zip(lags) {
            report.sample(&format!("lag {name} {rate}"), lag);
        }
        let shares = [50.0, 99.0, 99.9].into_iter().zip(lags.map(|us| us / 1_000.0));
        report.curve("lag", &format!("{rate} changes/s"), shares.collect());
    }
    let count = 100 * sizes.seconds;
    let raw = raw::latencies(&pair.broker.url(), keys, 100, count, CHANGE_BYTES);
    let at = |share: f64| raw[((raw.len() as f64 * share) as usize).min(raw.len() - 1)];
    let shares = [(50.0, at(0.5)), (99.0, at(0.99)), (99.9, at(0.999))];
    report.curve("lag", "raw pipe", shares.map(|(share, us)| (share, us / 1_000.0)).to_vec());
    let (raw_p50, sync) = (at(0.5), log::fdatasync_us());
    report.sample("raw latency", raw_p50);
    report.sample("fdatasync", sync);
    report.sample("latency floor", 2.0f64.mul_add(sync, raw_p50));
}

/// What one change takes on both disks.
fn disk(report: &mut Report, pair: &Pair, sizes: &Sizes) {
    let logs = || [&pair.a, &pair.b].map(|org| org.disk_bytes("log"));
    let before = logs();
    pair.run(&requests(&pair.records, sizes.changes, 99));
    let after = logs();
    for (figure, i) in [("disk a", 0), ("disk b", 1)] {
        report.sample(figure, (after[i] - before[i]) as f64 / sizes.changes as f64);
    }
}

/// How fast B's state is rebuilt from its log, without a snapshot.
fn rebuild(report: &mut Report, mut pair: Pair) {
    pair.b.stop();
    let log = tieline_daemon::run::read_log(pair.b.home.path()).expect("a log");
    let begun = std::time::Instant::now();
    let rebuilt = tieline_daemon::replay::rebuild(&log, None).expect("a state");
    report.sample("rebuild", rebuilt.replayed as f64 / begun.elapsed().as_secs_f64());
}
