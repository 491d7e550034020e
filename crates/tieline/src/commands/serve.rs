//! `tieline serve`: the daemon of an org, in the foreground.

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::Args;
use tieline_daemon::config::Config;
use tieline_daemon::{Daemon, StartError};
use tieline_store::OpenError;
use tokio::signal::unix::{SignalKind, signal};

use crate::error::{CliError, Kind, Result};
use crate::session::{IMPORTED_FILE, Session, load_config};

/// Run the daemon of an org until SIGTERM or Ctrl-C.
///
/// It runs in the foreground and tells on standard error what it does. If its log fails (a disk
/// error, a full disk that was not seen in time) it ends with exit code 70; start it again, and
/// nothing that was acknowledged is missing.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The configuration file, instead of the one in the data directory
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Take a log that is shorter or other than it should be as it is, and begin a new life of the
    /// org: its partners then compare everything with it
    #[arg(long)]
    recover: bool,
}

impl Serve {
    /// With this configuration file.
    pub(crate) const fn of(config: PathBuf) -> Self {
        Self { config: Some(config), recover: false }
    }

    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let file = self.config.map_or_else(|| session.config_file(), Ok)?;
        let config = load_config(&file)?;
        tieline_daemon::telemetry::start(&config.log)
            .map_err(|error| CliError::from_error(Kind::Internal, &error))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .thread_name("tieline")
            .build()
            .map_err(|error| CliError::from_error(Kind::Internal, &error))?;
        runtime.block_on(serve(&config, self.recover))
    }
}

async fn serve(config: &Config, recover: bool) -> Result<()> {
    // Before anything is opened: a signal that comes early stops the daemon as one that comes late.
    let signals =
        signal(SignalKind::terminate()).and_then(|term| Ok((term, signal(SignalKind::interrupt())?)));
    let (mut terminate, mut interrupt) =
        signals.map_err(|error| CliError::from_error(Kind::Internal, &error))?;

    let imported = config.data_dir.join(IMPORTED_FILE);
    let daemon =
        Daemon::start(config, recover || imported.exists()).await.map_err(|error| start_failed(&error))?;
    match fs::remove_file(&imported) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            // The next start begins another life, which costs a reconcile and nothing else.
            tracing::warn!(path = %imported.display(), %error, "the mark of an imported log was not removed");
        }
        _ => {}
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    daemon.stop().await;
    Ok(())
}

fn start_failed(error: &StartError) -> CliError {
    let failed = |kind| CliError::new(kind, "The daemon did not start").caused_by(error);
    match error {
        StartError::Open(OpenError::Recovery(_)) => failed(Kind::Conflict).hint(
            "Restore the data directory from a backup; or go on with what is there with tieline serve --recover",
        ),
        StartError::Open(OpenError::Locked { .. }) | StartError::Listen { .. } => failed(Kind::Conflict),
        StartError::NoOrg(_) => failed(Kind::NotFound),
        StartError::Keys(_) | StartError::OtherKeys { .. } => failed(Kind::Refused),
        _ => failed(Kind::Internal),
    }
}
