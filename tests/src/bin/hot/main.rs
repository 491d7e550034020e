//! Counts the instructions of the hot stages, one by one: a gauge without noise.
//!
//! Two orgs in one process share records over one picklist mapping and three validation rules, and
//! changes of 300 bytes go through each stage of the way from the batch endpoint of the one to the
//! log of the other. Valgrind counts the instructions that one stage at a time takes; the number
//! per change is compared with `tests/instructions.json`. Nothing here waits for a network or a
//! disk, and no clock is read: `make bench` does that.
//!
//! - `hot check` fails if a stage takes 10 % more or less than is written down.
//! - `hot write` writes down what it takes now.
//! - `hot run` only does the work, for a profiler of one's own.

// A gauge ends where something is not as it has to be.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod count;
mod org;
mod pair;
mod stages;

use std::process::ExitCode;

/// As in the binary that is gauged.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("check") => count::check(),
        Some("write") => count::write(),
        Some("run") => {
            pair::run();
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("usage: hot check | write | run");
            ExitCode::from(2)
        }
    }
}
