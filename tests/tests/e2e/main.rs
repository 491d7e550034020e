//! `tieline serve` as people run it, over a real nats-server, driven through the HTTP API alone:
//! the story, bad input, bad frames, kills, a broker that fails, data directories put back.

// A test ends where something is not as it has to be.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, missing_docs)]

mod accepting;
mod agreement;
mod broker;
mod explain;
mod frames;
mod inbox;
mod input;
mod kill;
mod kit;
mod narrow;
mod objects;
mod owners;
mod people;
mod reports;
mod restore;
mod sealed;
mod story;
mod texts;
mod versions;
