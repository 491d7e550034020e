//! Runs the simulator over many seeds: `make sim SEED=1 RUNS=500`.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tieline_tests::sim::{self, Failed, Feature, Features, Options, Totals};

/// What the command line asks for.
struct Wanted {
    seed: u64,
    runs: u64,
    jobs: usize,
    /// Go on after a failure, and list all seeds that fail.
    all: bool,
    options: Options,
}

const USAGE: &str = "usage: sim [--seed N] [--runs N] [--orgs 2|3] [--steps N] [--jobs N] [--no-restores] [--no-disk-faults] [--adopts] [--features] [--feature NAME] [--all] [--verbose]";

fn wanted(mut arguments: impl Iterator<Item = String>) -> Result<Wanted, String> {
    let jobs = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut wanted = Wanted { seed: 1, runs: 1, jobs, all: false, options: Options::default() };
    while let Some(argument) = arguments.next() {
        let mut number = || {
            let text = arguments.next().ok_or_else(|| format!("{argument} needs a number"))?;
            text.parse::<u64>().map_err(|_| format!("{argument} needs a number, not {text:?}"))
        };
        match argument.as_str() {
            "--seed" => wanted.seed = number()?,
            "--runs" => wanted.runs = number()?,
            "--jobs" => wanted.jobs = number()?.clamp(1, 64) as usize,
            "--orgs" => match number()? {
                orgs @ 2..=3 => wanted.options.orgs = Some(orgs as usize),
                other => return Err(format!("--orgs is 2 or 3, not {other}")),
            },
            "--steps" => {
                wanted.options.steps =
                    u32::try_from(number()?).map_err(|_| "--steps is too large".to_owned())?;
            }
            "--all" => wanted.all = true,
            "--adopts" => wanted.options.adopts = true,
            "--features" => wanted.options.features = Features::all(),
            "--feature" => {
                let named = arguments.next().unwrap_or_default();
                let feature = Feature::ALL.into_iter().find(|feature| feature.name() == named);
                let feature = feature.ok_or_else(|| {
                    let known: Vec<&str> = Feature::ALL.iter().map(|feature| feature.name()).collect();
                    format!("--feature is one of {}, not {named:?}", known.join(", "))
                })?;
                wanted.options.features = wanted.options.features.with(feature);
                wanted.options.drawn = false;
            }
            "--no-disk-faults" => wanted.options.disks = false,
            "--no-restores" => wanted.options.restores = false,
            "--verbose" => wanted.options.verbose = true,
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
    println!("seeds {} to {}", wanted.seed, wanted.seed + wanted.runs.saturating_sub(1));
    if wanted.runs == 1 {
        println!("{}", sim::plan(wanted.seed, &wanted.options));
    }
    let (totals, mut failed) = run_all(&wanted);
    failed.sort_by_key(|failed| failed.seed);
    println!("{totals}{:>14} faults in all", totals.faults());
    let Some(first) = failed.first() else {
        println!("{} runs held", wanted.runs);
        return ExitCode::SUCCESS;
    };
    println!("{}", sim::plan(first.seed, &wanted.options));
    println!("{first}");
    println!("run it again with --seed {} --runs 1", first.seed);
    if wanted.all {
        for failed in &failed {
            println!("seed {}: {}", failed.seed, failed.broken.invariant);
        }
        println!("{} of {} runs failed", failed.len(), wanted.runs);
    }
    ExitCode::FAILURE
}

/// Runs all seeds on all processors; each seed is a world of its own. Stops at the first failure
/// unless all are wanted.
fn run_all(wanted: &Wanted) -> (Totals, Vec<Failed>) {
    let next = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let result = Mutex::new((Totals::default(), Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..wanted.jobs {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let run = next.fetch_add(1, Ordering::Relaxed);
                    if run >= wanted.runs {
                        break;
                    }
                    let outcome = sim::run(wanted.seed + run, &wanted.options);
                    let mut result = result.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    match outcome {
                        Ok(passed) => result.0.add(&passed.totals),
                        Err(failed) => {
                            stop.store(!wanted.all, Ordering::Relaxed);
                            result.1.push(*failed);
                        }
                    }
                }
            });
        }
    });
    result.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}
