//! The HTTP API of a real daemon: what it takes, what it refuses, and with which words.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends at the first thing that is not as it has to be"
)]

mod access;
mod bad_input;
mod config;
mod history;
mod kit;
mod mapping;
mod once;
mod owners;
mod queues;
mod records;
mod rules;
mod secrets;
mod sharing;
mod surface;
mod views;
