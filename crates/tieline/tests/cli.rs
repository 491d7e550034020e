//! The binary as people and scripts meet it: help, exit codes, output, and a daemon of its own.
//!
//! The daemons here are real ones, without a broker: what an org does alone needs none.

// A test ends where something is not as it has to be.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

#[path = "cli/changes.rs"]
mod changes;
#[path = "cli/daemon.rs"]
mod daemon;
#[path = "cli/exit_codes.rs"]
mod exit_codes;
#[path = "cli/files.rs"]
mod files;
#[path = "cli/help.rs"]
mod help;
#[path = "cli/log.rs"]
mod log;
#[path = "cli/moving.rs"]
mod moving;
#[path = "cli/people.rs"]
mod people;
#[path = "cli/records.rs"]
mod records;
#[path = "cli/sheets.rs"]
mod sheets;
#[path = "cli/tls.rs"]
mod tls;
