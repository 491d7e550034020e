//! Benchmarks: two daemons and a broker as processes, durable on both sides, beside a raw pipe.
//!
//! Every figure is a ratio within one run: rounds of Tieline and of a raw JetStream pipe with one
//! message per event alternate on the same server, and medians are compared. The load generator's
//! CPU counts apart. `make bench` prints the table and writes it as JSON.

// A benchmark ends where something is not as it has to be.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod log;
mod pipe;
mod raw;
mod report;

use report::Report;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    match arguments.first().map(String::as_str) {
        // The raw pipe's two ends run as processes of their own, so that their CPU can be told.
        Some("raw-publisher") => return raw::publisher(&arguments[1..]),
        Some("raw-consumer") => return raw::consumer(&arguments[1..]),
        _ => {}
    }
    let rounds = argument("--rounds").and_then(|n| n.parse().ok()).unwrap_or(5);
    let changes = argument("--changes").and_then(|n| n.parse().ok()).unwrap_or(60_000);
    let lag_seconds = argument("--lag-seconds").and_then(|n| n.parse().ok()).unwrap_or(20);
    println!("{rounds} rounds of {changes} changes of 300 bytes; lag at 100 changes/s for {lag_seconds} s\n");

    let mut report = Report::default();
    pipe::run(&mut report, rounds, changes, lag_seconds);
    println!("{}", report.table());
    let path = argument("--json").unwrap_or_else(|| "target/bench.json".to_owned());
    std::fs::write(&path, report.json()).expect("a report");
    println!("written to {path}");
}
