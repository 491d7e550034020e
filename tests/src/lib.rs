//! Test kit: real servers and daemons, and the simulator of the core.

// A kit for tests: whatever is not as it has to be ends the test.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

pub mod crash;
pub mod disk;
pub mod forge;
pub mod fuzz;
pub mod live;
pub mod load;
pub mod loaded;
pub mod nats;
pub mod outside;
pub mod pages;
pub mod pair;
pub mod process;
pub mod proxy;
pub mod sim;
pub mod wire;
