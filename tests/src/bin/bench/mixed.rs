//! Other loads on two orgs: both directions, more rules, large texts.

use std::time::{Duration, Instant};

use crate::Sizes;
use crate::pipe::{RECORDS, throughput};
use crate::report::Report;
use crate::world::{self, BATCH, Pair, agree, concluded, create, post, request, requests, send, share_all};

/// Bytes of one large text: as long as a description may be.
const LARGE_BYTES: usize = 30 * 1024;
const MIB: usize = 1 << 20;

/// Both orgs change leads of their own at once; what both take together counts.
pub(crate) fn both(report: &mut Report, sizes: &Sizes) {
    let pair = Pair::new(3, RECORDS);
    agree(&pair.b.api, &pair.a.api, &pair.connection);
    let back = create(&pair.b.api, RECORDS);
    share_all(&pair.b.api, &pair.connection);
    world::wait("all copies of A", || (world::leads(&pair.a.api) >= 2 * RECORDS).then_some(()));
    for round in 0..sizes.rounds {
        throughput(report, &pair, sizes.changes, round, " (beside both)");
        let (there, here) = (
            requests(&pair.records, sizes.changes / 2, 50 + round),
            requests(&back, sizes.changes / 2, 50 + round),
        );
        let count = (there.len() * BATCH) as u64;
        let at = |api| concluded(api, &pair.connection) + count;
        let (at_a, at_b) = (at(&pair.a.api), at(&pair.b.api));
        let (before, begun) = (pair.cpu(), Instant::now());
        std::thread::scope(|scope| {
            scope.spawn(|| send(&pair.a.api, &there));
            scope.spawn(|| send(&pair.b.api, &here));
        });
        pair.b_concluded(at_b);
        world::wait("all changes", || (concluded(&pair.a.api, &pair.connection) >= at_a).then_some(()));
        let seconds = begun.elapsed().as_secs_f64();
        let spent: f64 = pair.cpu().iter().zip(before).take(3).map(|(after, before)| after - before).sum();
        report.sample("both", (2 * count) as f64 / seconds);
        report.sample("both cpu", spent / (2 * count) as f64 * 1e6);
    }
    let one = Some(("changes/s (beside both)", "one direction"));
    report.line("changes/s in both directions at once, together", "both", "1/s", one, "");
    report.line("CPU per change in both directions", "both cpu", "µs", None, "");
}

/// Five validation rules and a picklist table, beside none.
pub(crate) fn rules(report: &mut Report, sizes: &Sizes) {
    let pair = Pair::new(0, RECORDS);
    for round in 0..sizes.rounds {
        world::define_rules(&pair.b.api, 0);
        throughput(report, &pair, sizes.changes, round, " (no rules)");
        world::define_rules(&pair.b.api, 5);
        throughput(report, &pair, sizes.changes, sizes.rounds + round, " (five rules)");
    }
    let none = Some(("changes/s (no rules)", "without rules"));
    report.line("changes/s with five rules at B", "changes/s (five rules)", "1/s", none, "");
    let none = Some(("cpu b (no rules)", "without rules"));
    report.line("CPU per change at B with five rules", "cpu b (five rules)", "µs", none, "");
}

/// Large texts at a fixed rate: whether they keep up, what they take, and how late they are.
pub(crate) fn large(report: &mut Report, sizes: &Sizes) {
    let mut pair = Pair::new(3, 100);
    for mib in [1, 10] {
        pair.forget_lags();
        let count = mib * MIB * sizes.seconds / LARGE_BYTES;
        let target = concluded(&pair.b.api, &pair.connection) + count as u64;
        let (before, begun) = (pair.cpu(), Instant::now());
        for i in 0..count {
            let due = Duration::from_secs_f64(i as f64 / count as f64 * sizes.seconds as f64);
            std::thread::sleep(due.saturating_sub(begun.elapsed()));
            post(&pair.a.api, &request(&pair.records, i, 1, mib * 1_000_000 + i, LARGE_BYTES));
        }
        pair.b_concluded(target);
        let seconds = begun.elapsed().as_secs_f64();
        let spent: f64 = pair.cpu().iter().zip(before).take(3).map(|(after, before)| after - before).sum();
        let sent = (count * LARGE_BYTES) as f64 / MIB as f64;
        report.sample(&format!("large {mib}"), sent / seconds);
        report.sample(&format!("large cpu {mib}"), spent / sent * 1e3);
        let [p50, p99, _] = pair.lags();
        report.sample(&format!("large p50 {mib}"), p50);
        report.sample(&format!("large p99 {mib}"), p99);
        let line = |what: &str| format!("texts of 30 KiB at {mib} MiB/s: {what}");
        report.line(&line("rate"), &format!("large {mib}"), "MiB/s", None, "");
        report.line(&line("CPU, A + broker + B"), &format!("large cpu {mib}"), "ms/MiB", None, "");
        report.line(&line("lag p50"), &format!("large p50 {mib}"), "µs", None, "");
        report.line(&line("lag p99"), &format!("large p99 {mib}"), "µs", None, "");
    }
}
