//! Test kit: real servers and daemons, and the simulator of the core.

// A kit for tests: whatever is not as it has to be ends the test.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

pub mod forge;
pub mod live;
pub mod load;
pub mod nats;
pub mod outside;
pub mod process;
pub mod sim;
