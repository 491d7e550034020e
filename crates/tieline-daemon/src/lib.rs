//! The running org: everything that does I/O around the core, and no rule of the domain.
//!
//! ```text
//! HTTP API ─┐                 ┌─ storage thread: append, flush, release
//! frames  ──┼─▶ intake ─▶ writer                     │ durable
//! jobs    ──┘    (decide, apply)                     ▼
//!                              replies · publishers · receipts · event streams
//! ```
//!
//! - [`run`]: from start to stop. [`org`]: the handle that everything else works with.
//! - The writer and what is around it: `intake`, `writer`, `storage`, `tail`; [`replay`], [`init`], [`seed`].
//! - One task per connection: `connection`, with `publisher`, `subscriber` and [`keyring`]; `handshake`; `jobs`.
//! - Outside: `courier` (mails, webhooks, digests), `invitation_secrets`.
//! - Surfaces: [`api`], [`metrics`], [`lag`], `observer`, [`config`], [`telemetry`], [`tls`].
//!
//! Nothing becomes visible outside before its events are durable: replies, frames, receipts and
//! whatever is read wait for the storage thread.

pub mod api;
pub mod clock;
pub mod config;
mod connection;
mod courier;
#[cfg(test)]
mod drift;
mod escalation;
mod handshake;
pub mod init;
mod intake;
mod invitation_secrets;
mod jobs;
pub mod keyring;
pub mod lag;
pub mod metrics;
#[cfg(test)]
#[expect(unreachable_pub, reason = "it is a file of the test kit, too")]
#[path = "../../../tests/src/fuzz/mutate.rs"]
mod mutate;
mod observer;
pub mod org;
mod publisher;
pub mod replay;
mod report;
pub mod run;
mod secrets;
pub mod seed;
mod storage;
mod subscriber;
mod tail;
pub mod telemetry;
pub mod tls;
mod writer;

use std::path::{Path, PathBuf};

pub use observer::Observer;
pub use run::{Daemon, StartError};

/// The exit code of a process whose log failed.
pub const EXIT_LOG_FAILED: i32 = 70;

/// Where the log of an org lies.
#[must_use]
pub fn log_dir(data: &Path) -> PathBuf {
    data.join("log")
}

/// Where the keys of an org lie.
#[must_use]
pub fn keys_dir(data: &Path) -> PathBuf {
    data.join("keys")
}

/// Where the snapshots of an org lie.
#[must_use]
pub fn snapshots_dir(data: &Path) -> PathBuf {
    data.join("snapshots")
}
