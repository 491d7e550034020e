//! What the daemon tells while it runs: structured lines on standard error.
//!
//! Values of records, tokens and secrets are never told at info or above; connection, position and
//! seq are, so that a line can be found again in the log of the org.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{LevelFilter, ParseError};
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Log, LogFormat};

/// Why a level is none.
#[derive(Debug, thiserror::Error)]
pub enum LevelError {
    /// A word that is neither a level nor a directive.
    #[error(
        "{0:?} is no level: write error, warn, info, debug or trace, or directives as info,tieline_bus=debug"
    )]
    Word(String),
    /// A directive that cannot be parsed.
    #[error(transparent)]
    Directive(#[from] ParseError),
}

/// Why nothing can be told.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level is none.
    #[error("log.level cannot be used")]
    Level(#[from] LevelError),
    /// Somebody else in this process listens already.
    #[error("the process has a logger already: start it once")]
    Started(#[from] tracing_subscriber::util::TryInitError),
}

/// The filter that `level` describes.
pub(crate) fn filter(level: &str) -> Result<EnvFilter, LevelError> {
    // A bare word would be taken for the name of a module, and everything else would be silent.
    let mut words = level.split(',').map(str::trim).filter(|part| !part.contains(['=', '[']));
    if let Some(word) = words.find(|word| word.parse::<LevelFilter>().is_err()) {
        return Err(LevelError::Word(word.to_owned()));
    }
    Ok(EnvFilter::builder().parse(level)?)
}

/// Begins to tell, for the whole process.
///
/// # Errors
/// The level cannot be parsed, or the process has a logger already.
pub fn start(log: &Log) -> Result<(), TelemetryError> {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter(&log.level)?)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match log.format {
        LogFormat::Text => lines.with_target(false).finish().try_init()?,
        LogFormat::Json => lines.json().flatten_event(true).finish().try_init()?,
    }
    Ok(())
}
