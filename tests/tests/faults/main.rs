//! What machines and networks do to daemons and broker, as processes on real disks: power cuts,
//! crashes at each call, full and hanging disks, partitions, floods. `docs/reliability.md` says which
//! case is which; each ends with the standard check of `tieline_tests::loaded`.

// A test ends where something is not as it has to be.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, missing_docs)]

mod abuse;
mod crash;
mod flood;
mod full;
mod leak;
mod network;
mod power;
mod replay;
mod twin;
mod wire;
