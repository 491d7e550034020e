//! Benchmarks: daemons and a broker as processes, durable on both sides, each beside its baseline.
//!
//! Every figure that has a baseline is a ratio within one run: rounds of both alternate on the same
//! machine, and medians are compared. The load generator's CPU counts apart. `make bench` prints the
//! table, writes it as JSON and draws the curves as SVG; `bench list` names the scenarios.

// A benchmark ends where something is not as it has to be.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod fan;
mod load;
mod log;
mod million;
mod mixed;
mod pipe;
mod postgres;
mod raw;
mod report;
mod svg;
mod world;

use report::Report;

/// How much is measured.
pub(crate) struct Sizes {
    /// Rounds of what alternates with its baseline.
    pub(crate) rounds: usize,
    /// Changes of one round.
    pub(crate) changes: usize,
    /// Seconds for which a lag is measured.
    pub(crate) seconds: usize,
    /// Records of an initial load, and of a large state.
    pub(crate) records: usize,
    /// Events that are replayed.
    pub(crate) events: usize,
    /// Most connections at once.
    pub(crate) connections: usize,
}

/// A scenario: its name, what it measures, and how.
type Scenario = (&'static str, &'static str, fn(&mut Report, &Sizes));

const SCENARIOS: [Scenario; 10] = [
    ("pipe", "throughput, CPU and lag beside the raw JetStream pipe; disk; rebuild", pipe::run),
    ("log", "the log alone beside one sled entry for each event", log::run),
    ("both", "both directions at once", mixed::both),
    ("rules", "five validation rules and a picklist table", mixed::rules),
    ("large", "large text fields at 1 and at 10 MiB/s", mixed::large),
    ("fan", "one org with 1, 10 and 100 connections", fan::run),
    ("load", "initial load, resumed after a kill; live changes beside it", load::run),
    ("million", "a large state: throughput, memory, start", million::run),
    ("replay", "replay and rebuild of a long log", million::replay),
    ("postgres", "logical replication of PostgreSQL, single-row transactions", postgres::run),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let number = |name: &str, usual: usize| match argument(name) {
        Some(text) => text.parse().unwrap_or_else(|_| panic!("{name} takes a number, not {text}")),
        None => usual,
    };
    match arguments.first().map(String::as_str) {
        // The raw pipe's two ends run as processes of their own, so that their CPU can be told.
        Some("raw-publisher") => return raw::publisher(&arguments[1..]),
        Some("raw-consumer") => return raw::consumer(&arguments[1..]),
        Some("list") => return SCENARIOS.iter().for_each(|(name, what, _)| println!("{name:10} {what}")),
        _ => {}
    }
    const NUMBERS: [&str; 6] =
        ["--rounds", "--changes", "--seconds", "--records", "--events", "--connections"];
    let known = |name: &String| {
        NUMBERS.contains(&name.as_str()) || ["--only", "--json", "--svg"].contains(&name.as_str())
    };
    // A long run for a word that is not known would be a bad answer.
    if let Some(unknown) = arguments.iter().step_by(2).find(|name| !known(name)) {
        eprintln!(
            "bench does not know {unknown}: it takes list, --only NAME,…, --json FILE, --svg DIR, {}",
            NUMBERS.join(" N, ")
        );
        std::process::exit(2);
    }
    let sizes = Sizes {
        rounds: number("--rounds", 5),
        changes: number("--changes", 60_000),
        seconds: number("--seconds", 20),
        records: number("--records", 1_000_000),
        events: number("--events", 10_000_000),
        connections: number("--connections", 100),
    };
    let only = argument("--only");
    let wanted: Vec<&str> = match &only {
        Some(names) => names.split(',').collect(),
        None => SCENARIOS.iter().map(|(name, ..)| *name).collect(),
    };
    for name in &wanted {
        assert!(SCENARIOS.iter().any(|(known, ..)| known == name), "no scenario {name}: see `bench list`");
    }
    let path = argument("--json").unwrap_or_else(|| "target/bench.json".to_owned());
    let drawings = argument("--svg").unwrap_or_else(|| "target".to_owned());
    let mut report = Report::default();
    for (name, what, run) in SCENARIOS.iter().filter(|(name, ..)| wanted.contains(name)) {
        eprintln!("{name}: {what}");
        run(&mut report, &sizes);
        // After each: a long run that is ended early has measured something.
        std::fs::write(&path, report.json()).expect("a report");
    }
    println!("{}", report.table());
    println!("written to {path}");
    std::fs::create_dir_all(&drawings).expect("a directory");
    for drawn in report.draw(&drawings) {
        println!("drawn to {drawn}");
    }
}
