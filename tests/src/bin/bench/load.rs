//! The initial load of a partner: how fast, whether a kill costs more than a slice, and whether a live
//! change waits behind it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::Sizes;
use crate::report::Report;
use crate::world::{CHANGE_BYTES, Pair, concluded, create, leads, post, request, share_all, wait};

/// Leads that are shared before, and changed while the others are loaded.
const LIVE: usize = 100;
/// Live changes a second.
const RATE: u64 = 100;

/// Loads `records` twice: with live changes beside it, and with a kill of A at 40 %.
pub(crate) fn run(report: &mut Report, sizes: &Sizes) {
    beside_live(report, sizes);
    killed(report, sizes);
}

fn beside_live(report: &mut Report, sizes: &Sizes) {
    let mut pair = Pair::new(3, LIVE);
    pair.forget_lags();
    pair.trickle(RATE as usize, sizes.seconds);
    let idle = pair.lags();
    create(&pair.a.api, sizes.records);
    pair.forget_lags();
    let (loaded, begun) = (AtomicBool::new(false), Instant::now());
    let mut seconds = 0.0;
    let before = pair.cpu();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut i = 0;
            while !loaded.load(Ordering::Relaxed) {
                post(&pair.a.api, &request(&pair.records, i, 1, 7_000_000 + i, CHANGE_BYTES));
                i += 1;
                let due = Duration::from_micros(i as u64 * 1_000_000 / RATE);
                std::thread::sleep(due.saturating_sub(begun.elapsed()));
            }
        });
        share_all(&pair.a.api, &pair.connection);
        pair.b_has(LIVE + sizes.records);
        seconds = begun.elapsed().as_secs_f64();
        loaded.store(true, Ordering::Relaxed);
    });
    let spent: f64 = pair.cpu().iter().zip(before).take(3).map(|(after, before)| after - before).sum();
    report.sample("load", sizes.records as f64 / seconds);
    report.sample("load cpu", spent / sizes.records as f64 * 1e6);
    let busy = pair.lags();
    for (name, i) in [("p50", 0), ("p99", 1)] {
        report.sample(&format!("idle {name}"), idle[i]);
        report.sample(&format!("busy {name}"), busy[i]);
    }
    let shares = [50.0, 99.0, 99.9];
    let points = |lags: [f64; 3]| shares.into_iter().zip(lags.map(|us| us / 1_000.0)).collect();
    report.curve("lag beside a load", "idle", points(idle));
    report.curve("lag beside a load", "while a partner is loaded", points(busy));
    report.line("initial load: records/s, offer to follow-up", "load", "1/s", None, "");
    report.line("initial load: CPU per record, A + broker + B", "load cpu", "µs", None, "");
    let line = "lag of live changes during the load";
    report.line(&format!("{line}, p50"), "busy p50", "µs", Some(("idle p50", "idle")), "2 × idle");
    report.line(&format!("{line}, p99"), "busy p99", "µs", Some(("idle p99", "idle")), "2 × idle");
}

fn killed(report: &mut Report, sizes: &Sizes) {
    let mut pair = Pair::new(3, LIVE);
    create(&pair.a.api, sizes.records);
    // Each record takes an offer, a grant and a follow-up, if it has more than the create set.
    let before = concluded(&pair.b.api, &pair.connection);
    let of_one = before as f64 / LIVE as f64;
    share_all(&pair.a.api, &pair.connection);
    let begun = Instant::now();
    let at = LIVE + sizes.records * 2 / 5;
    wait("40 % of the copies", || (leads(&pair.b.api) >= at).then_some(()));
    pair.a.kill9();
    let broken = Instant::now();
    pair.a.start(&pair.broker.url());
    report.sample("restart", broken.elapsed().as_secs_f64());
    pair.b_has(LIVE + sizes.records);
    report.sample("killed load", sizes.records as f64 / begun.elapsed().as_secs_f64());
    wait("the end of the job", || {
        let status = pair.a.api.get("/v1/status").expect("a status");
        (status["jobs"] == 0).then_some(())
    });
    let messages = (concluded(&pair.b.api, &pair.connection) - before) as f64;
    report.sample("repeated", (messages - of_one * sizes.records as f64).max(0.0));
    let whole = Some(("load", "without a kill"));
    report.line("initial load with A killed at 40 %: records/s", "killed load", "1/s", whole, "");
    report.line("messages that the kill had sent twice", "repeated", "", None, "one slice");
    report.line("start of A after the kill", "restart", "s", None, "");
}
