//! Makes the log of a new org: its first group creates it, with its administrator and objects.

use std::path::Path;

use tieline_core::command::{Command, Context, Refusal};
use tieline_core::engine::Engine;
use tieline_core::log::Log;
use tieline_core::schema::standard_objects;
use tieline_core::{Incarnation, OrgName, UserName};
use tieline_store::{Config, LogError, OpenError, SledLog};

use crate::clock::now;

/// Why an org could not be made. Nothing is left that would be in the way of another try.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The log could not be opened.
    #[error("the log cannot be made")]
    Open(#[from] OpenError),
    /// The log could not be written.
    #[error("the log cannot be written")]
    Log(#[from] LogError),
    /// There is an org already.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The operating system gave no randomness.
    #[error("the operating system gave no randomness")]
    Entropy,
    /// The log holds events already.
    #[error("{0} already holds a log: choose another data directory")]
    NotEmpty(String),
}

/// The hash under which an API token is known: tokens themselves are never stored.
#[must_use]
pub fn token_hash(token: &str) -> [u8; 32] {
    blake3::derive_key("tieline api token 1", token.as_bytes())
}

/// A new API token: 256 random bits.
///
/// # Errors
/// The operating system gave no randomness.
pub fn new_token() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(format!("tl_{}", data_encoding::BASE64URL_NOPAD.encode(&bytes)))
}

/// Creates the org `name` in a new log under `data`, durably.
///
/// # Errors
/// There is a log already, or it cannot be made.
pub fn create_org(
    data: &Path,
    name: OrgName,
    admin: UserName,
    token_hash: [u8; 32],
) -> Result<(), InitError> {
    let config = Config::new(crate::log_dir(data));
    let mut log = SledLog::open(&config, Incarnation::default())?;
    if log.head().seq.0 > 0 {
        return Err(InitError::NotEmpty(data.display().to_string()));
    }
    let mut entropy = [0; 32];
    getrandom::fill(&mut entropy).map_err(|_| InitError::Entropy)?;
    let context = Context { now: now(), actor: admin.clone(), entropy };
    let command = Command::CreateOrg { name, admin, token_hash, objects: standard_objects() };
    let mut engine = Engine::default();
    let (group, _) = engine.execute(&command, &context)?;
    log.append(&[group])?;
    log.flush()?;
    if let Some(org) = &engine.state().org {
        log.begin_incarnation(org.incarnation)?;
    }
    Ok(log.close()?)
}
