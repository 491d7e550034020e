//! The one binary `tieline`: the daemon, and the commands for people.
//!
//! | module | one line |
//! |---|---|
//! | [`cli`] | the command line: nouns, then verbs |
//! | [`commands`] | one file for each noun |
//! | [`session`], [`client`] | which daemon is meant, and requests to its HTTP API |
//! | [`import`] | files of records, as CRM tools export them |
//! | [`moving`] | metadata of another system, as object files of ours |
//! | [`output`], [`sheet`], [`error`] | what people and scripts see; CSV; exit codes |
//!
//! Everything but `serve`, `init`, `sandbox`, `trial` and what is marked as offline goes through the HTTP API, as any
//! other program would: nothing can be done here that cannot be done there. While a daemon runs,
//! this program opens neither its log nor the broker.

mod cli;
mod client;
mod commands;
mod dirs;
mod error;
mod import;
mod moving;
#[cfg(test)]
#[expect(unreachable_pub, reason = "it is a file of the test kit, too")]
#[path = "../../../tests/src/fuzz/mutate.rs"]
mod mutate;
mod output;
mod session;
mod sheet;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;
use crate::session::Session;

/// A daemon takes and gives back small pieces of memory all day.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // clap prints help and usage errors itself, and ends with 0 or 2.
    let Cli { global, command } = Cli::parse();
    let session = Session::new(global);
    match commands::run(command, &session) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            session.output.error(&error);
            ExitCode::from(error.kind.exit_code())
        }
    }
}
