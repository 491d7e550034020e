//! The bus: frames between orgs over NATS, sealed end to end.
//!
//! This crate knows NATS and sealing. It decides nothing and remembers nothing: it knows no log,
//! takes the clear header of a frame as opaque bytes, and never looks into a body. The broker is a
//! pipe, never a memory, so nothing here may be taken as proof that a partner has something: a
//! publish acknowledgement only paces the sender (PROTOCOL §1), and only a receipt inside a frame
//! moves it on.
//!
//! | module | one line |
//! |---|---|
//! | [`keys`] | the secrets of an org: two broker users and one X25519 key, as files |
//! | [`broker_config`] | the `nats-server` configuration for a set of orgs (PROTOCOL §1) |
//! | [`invitation`] | the connection URL and the secret in it (S2S-09) |
//! | [`seal`] | frames and handshake messages, sealed and opened (PROTOCOL §2, §3) |
//! | [`bus`] | the two client connections: inboxes, frames, heartbeats, hellos |
//! | [`limits`] | what the wire may carry, in one file |
//!
//! Invariants:
//! - An org reads only subjects under `tl.<itself>.` and writes only under `to.`; the accounts of
//!   the broker enforce it, [`broker_config`] writes them, and `tests/bus` tries to break them.
//! - Sizes are checked before anything is decoded, decrypted or decompressed.
//! - Secrets are wiped when dropped and never appear in `Debug` output or in an error.

pub mod address;
pub mod broker_config;
pub mod bus;
pub mod invitation;
pub mod keys;
pub mod limits;
pub mod seal;
mod subjects;

pub use address::BrokerAddress;
pub use bus::{Bus, BusConfig, BusError, Recovery};
pub use bytes::Bytes;
pub use invitation::{ConnectionUrl, SecretHash};
pub use keys::{ConnectionKeys, OrgKeys, PublicKeys};
pub use seal::{DirectionKeys, FrameError, FrameKey};
