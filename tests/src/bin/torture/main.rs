//! Torture: real daemons and a real broker under load, with faults drawn from a seed that is printed
//! first. `make torture MINUTES=…`.
//!
//! A run is a row of lives. Each is a pair of orgs of its own, on disks that can lose their power
//! where root allows, over proxies or over wires into a network namespace, under load from both sides. Faults come one after the other, and
//! both sides have to make progress after each; at the end of a life stands the standard check. A life
//! that failed is run again with `--seed` and `--lives 1`; since processes and disks are real, the
//! same faults come in the same order, but not at the same instant.

// Whatever is not as it has to be ends a life.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod life;
mod network;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tieline_tests::loaded::Sums;

const USAGE: &str = "torture [--seed N] [--minutes N | --lives N] [--faults N]";

struct Wanted {
    seed: u64,
    lives: u64,
    end: Option<Duration>,
    faults: usize,
}

fn wanted(mut arguments: impl Iterator<Item = String>) -> Result<Wanted, String> {
    let mut wanted = Wanted { seed: 1, lives: u64::MAX, end: Some(Duration::from_secs(60)), faults: 12 };
    while let Some(argument) = arguments.next() {
        let number = arguments.next().and_then(|text| text.parse::<u64>().ok());
        let number = number.ok_or_else(|| format!("{argument} needs a number"))?;
        match argument.as_str() {
            "--seed" => wanted.seed = number,
            "--minutes" => wanted.end = Some(Duration::from_secs(60 * number)),
            "--lives" => (wanted.lives, wanted.end) = (number, None),
            "--faults" => wanted.faults = usize::try_from(number).map_err(|e| e.to_string())?,
            other => return Err(format!("unknown argument {other:?}")),
        }
    }
    Ok(wanted)
}

fn main() -> ExitCode {
    let wanted = match wanted(std::env::args().skip(1)) {
        Ok(wanted) => wanted,
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    println!("seed {}", wanted.seed);
    let tools = life::Tools::look();
    println!("{tools}");
    let begun = Instant::now();
    let (mut lives, mut faults, mut failed) = (0, BTreeMap::<&str, u64>::new(), Vec::new());
    let mut sums = Sums::default();
    while lives < wanted.lives && wanted.end.is_none_or(|end| begun.elapsed() < end) {
        let (seed, count) = (wanted.seed.wrapping_add(lives), wanted.faults);
        lives += 1;
        let (told, listen) = std::sync::mpsc::channel();
        // A life that fails ends by a panic; the run goes on with the next one.
        let life = std::thread::spawn(move || life::live(seed, count, tools, &told));
        for kind in listen {
            *faults.entry(kind).or_default() += 1;
        }
        match life.join() {
            Ok(more) => {
                sums.rounds += more.rounds;
                sums.events += more.events;
                println!(
                    "seed {seed} held: {} events acknowledged, {:?} in all",
                    more.events,
                    begun.elapsed()
                );
            }
            Err(_) => failed.push(seed),
        }
    }
    println!("\n{lives} lives in {:?}", begun.elapsed());
    println!("{:>10} events acknowledged in {} requests", sums.events, sums.rounds);
    for (kind, count) in &faults {
        println!("{count:>10} {kind}");
    }
    println!("{:>10} faults in all", faults.values().sum::<u64>());
    if failed.is_empty() {
        println!("found nothing: what was acknowledged was there, once, on both sides");
        return ExitCode::SUCCESS;
    }
    println!(
        "{} lives failed: seeds {failed:?}; run one again with --seed {} --lives 1",
        failed.len(),
        failed[0]
    );
    ExitCode::FAILURE
}
