//! `tieline config`: the configuration of a daemon, without one.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use tieline_bus::OrgKeys;
use tieline_daemon::config::DEFAULT_TOML;

use crate::error::{CliError, Kind, Result};
use crate::session::{Session, load_config};

/// Check and show the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Check the configuration and the keys, and print every setting as it is in force
    Check(Check),
}

/// Check the configuration.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The configuration file, instead of the one in the data directory
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Print the documented defaults instead
    #[arg(long, conflicts_with = "file")]
    defaults: bool,
}

impl Config {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let Self::Check(Check { file, defaults }) = self;
        if defaults {
            return session.output.line(DEFAULT_TOML.trim_end());
        }
        let file = file.map_or_else(|| session.config_file(), Ok)?;
        let config = load_config(&file)?;
        let keys = OrgKeys::load(&tieline_daemon::keys_dir(&config.data_dir))
            .map_err(|error| CliError::from_error(Kind::Refused, &error))?;
        let answer = json!({ "file": file, "org": keys.org(), "config": config });
        session.output.show(&answer, |output| output.line(config.to_documented_toml().trim_end()))?;
        session.output.status(&format!("{} is valid; the keys are those of {}", file.display(), keys.org()));
        Ok(())
    }
}
