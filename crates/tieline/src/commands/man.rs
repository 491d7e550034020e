//! `tieline man`: a manual page for each command.

use std::fs;
use std::path::PathBuf;

use clap::{Args, CommandFactory};

use crate::cli::Cli;
use crate::dirs;
use crate::error::Result;
use crate::session::Session;

/// Write a manual page for each command into a directory.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// The directory, as /usr/local/share/man/man1; pages that are there are replaced
    dir: PathBuf,
}

impl Man {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let dir = &self.dir;
        fs::create_dir_all(dir).map_err(dirs::failed("create", dir))?;
        clap_mangen::generate_to(Cli::command(), dir).map_err(dirs::failed("write", dir))?;
        session.output.status(&format!("The manual pages are in {}", dir.display()));
        Ok(())
    }
}
