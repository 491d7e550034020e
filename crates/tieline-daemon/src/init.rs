//! Makes the log of a new org: its first group creates it, with its administrator and objects.

use std::path::Path;

use tieline_core::command::{Command, NewToken, Refusal};
use tieline_core::engine::Engine;
use tieline_core::log::Log;
use tieline_core::people::OrgSettings;
use tieline_core::schema::standard_objects;
use tieline_core::{Incarnation, OrgName, UserName};
use tieline_store::{Config, LogError, OpenError, SledLog};

use crate::seed::{Maker, Seed, Seeded};

/// Why an org could not be made. Nothing is left that would be in the way of another try.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The log could not be opened.
    #[error("the log cannot be made")]
    Open(#[from] OpenError),
    /// The log could not be written.
    #[error("the log cannot be written")]
    Log(#[from] LogError),
    /// The core refused it: there is an org already, or its edition takes no part in sharing.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The settings that it should begin with are not valid in it.
    #[error("the settings cannot be taken over: {0}")]
    Config(String),
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

/// The last characters of a token, to know it by; of 256 random bits they leave enough.
#[must_use]
pub fn token_hint(token: &str) -> String {
    let start = token.char_indices().rev().nth(3).map_or(0, |(at, _)| at);
    token.get(start..).unwrap_or_default().to_owned()
}

/// A new API token: 256 random bits.
///
/// # Errors
/// The operating system gave no randomness.
pub fn new_token() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(token_of(&bytes))
}

/// The token of 256 bits that nobody can guess.
pub(crate) fn token_of(bytes: &[u8; 32]) -> String {
    format!("tl_{}", data_encoding::BASE64URL_NOPAD.encode(bytes))
}

/// An org to be made.
#[derive(Debug, Clone)]
pub struct NewOrg {
    /// Its name.
    pub name: OrgName,
    /// Its first administrator.
    pub admin: UserName,
    /// Its edition and licences.
    pub settings: OrgSettings,
    /// Whether sharing is enabled from the beginning.
    pub sharing: bool,
}

impl NewOrg {
    /// An org of the default edition that shares.
    #[must_use]
    pub fn new(name: OrgName, admin: UserName) -> Self {
        Self { name, admin, settings: OrgSettings::default(), sharing: true }
    }
}

/// Creates an org in a new log under `data`, durably; `token` is its administrator's.
///
/// # Errors
/// There is a log already, or it cannot be made.
pub fn create_org(data: &Path, org: NewOrg, token: &str) -> Result<(), InitError> {
    create_seeded(data, org, token, Seed::default()).map(drop)
}

/// The same for an org that begins with more than its objects.
///
/// # Errors
/// There is a log already, it cannot be made, or the settings are not valid here.
pub fn create_seeded(data: &Path, org: NewOrg, token: &str, seed: Seed) -> Result<Seeded, InitError> {
    let NewOrg { name, admin, settings, sharing } = org;
    let config = Config::new(crate::log_dir(data));
    let log = SledLog::open(&config, Incarnation::default())?;
    if log.head().seq.0 > 0 {
        return Err(InitError::NotEmpty(data.display().to_string()));
    }
    let token = NewToken {
        hash: token_hash(token),
        hint: token_hint(token),
        label: "made with the org".to_owned(),
        expires: None,
    };
    let mut maker = Maker { log, engine: Engine::default(), actor: admin.clone() };
    maker.run(&Command::CreateOrg { name, admin, token, objects: standard_objects(), settings, sharing })?;
    let seeded = maker.seed(seed)?;
    let Maker { mut log, engine, .. } = maker;
    log.flush()?;
    if let Some(org) = &engine.state().org {
        log.begin_incarnation(org.incarnation)?;
    }
    log.close()?;
    Ok(seeded)
}
