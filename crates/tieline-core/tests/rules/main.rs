//! The rules of the core by tables, properties and golden bytes, through its public API alone.
//!
//! One binary, so that it is linked once. Nothing here knows a clock, sleeps or draws a random
//! number that a failing case would not show again.

// A test ends where something is not as it has to be.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod accounts;
mod adoption;
mod automation;
mod bombs;
mod computed;
mod config;
mod conflicts;
mod convert;
mod drift;
mod first_acceptance;
mod follow;
mod golden;
mod interleavings;
mod invitations;
mod keys;
mod kit;
mod leaving;
mod narrowing;
mod outcomes;
mod outside;
mod owners;
mod pairing;
mod pauses;
mod queues;
mod references;
mod removal;
mod restores;
mod sharing;
mod stamps;
mod tasks;
mod templates;
mod waiting;
mod writes;
