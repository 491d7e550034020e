//! `tieline backup` and `tieline restore`: an org as one directory, and back (OPS-08).
//!
//! | file | what |
//! |---|---|
//! | `org.log` | the whole log, as `tieline log export` writes it: everything that the org knows |
//! | `tieline.toml` | the configuration |
//! | `keys/`, `admin.token` | only with `--with-keys`: whoever has them is the org |
//!
//! A backup is taken while the daemon runs, and is whole or not there. Snapshots are not part of it:
//! they are made again from the log.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use tieline_daemon::config::Config;
use tieline_daemon::keys_dir;

use super::log::transfer::{export_to, import_from, show};
use crate::dirs;
use crate::error::{CliError, Kind, Result};
use crate::output::text;
use crate::session::{CONFIG_FILE, Session, TOKEN_FILE};

/// The log in a backup.
const LOG_FILE: &str = "org.log";

/// Take a backup of the org, while its daemon runs or without it.
///
/// It is a directory with the log and the configuration. A backup without the keys of the org cannot
/// be served by whoever finds it; keep a copy of the keys elsewhere, or take them along with
/// --with-keys and guard the backup as the data directory.
#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The directory to make, which must not be there yet
    dir: PathBuf,
    /// Take the keys of the org and the administrator's token, too: whoever has them is the org
    #[arg(long)]
    with_keys: bool,
}

/// Make the data directory of an org from a backup.
///
/// The daemon that is started with it begins a new life of the org, and its partners then compare
/// everything with it. Make sure that the old daemon of the org is gone for good.
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The backup
    backup: PathBuf,
    /// Directory with the keys of the org, if the backup has none
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
}

impl Backup {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let (file, data) = (session.config_file()?, session.config()?.data_dir);
        let dir = dirs::absolute(&self.dir)?;
        dirs::refuse_full(&dir, "a backup is never overwritten")?;
        let head = dirs::make(&dir, |aside| {
            copy(&file, &aside.join(CONFIG_FILE), dirs::READABLE)?;
            if self.with_keys {
                dirs::copy_private(&keys_dir(&data), &keys_dir(aside))?;
                copy_token(&data, aside)?;
            }
            export_to(session, &aside.join(LOG_FILE))
        })?;
        let answer = json!({
            "backup": dir, "seq": head.seq, "hash": head.hash.to_string(), "keys": self.with_keys,
        });
        session.output.show(&answer, |output| {
            let facts = [
                text("Backup", "/backup"),
                text("Up to", "/seq"),
                text("Hash", "/hash"),
                text("With keys", "/keys"),
            ];
            output.facts(&facts, &answer)
        })
    }
}

impl Restore {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let data = dirs::absolute(session.data_dir()?)?;
        dirs::refuse_full(&data, "an org is never overwritten")?;
        let file = self.backup.join(CONFIG_FILE);
        let mut config =
            Config::from_file(&file).map_err(|error| CliError::from_error(Kind::Usage, &error))?;
        config.data_dir.clone_from(&data);
        let keys = self.keys.unwrap_or_else(|| keys_dir(&self.backup));
        if !keys.is_dir() {
            let message = format!("There are no keys of the org in {}", keys.display());
            return Err(CliError::new(Kind::NotFound, message)
                .hint("Name the directory with the keys of the org with --keys"));
        }
        let imported = dirs::make(&data, |aside| {
            dirs::copy_private(&keys, &keys_dir(aside))?;
            copy_token(&self.backup, aside)?;
            dirs::write(&aside.join(CONFIG_FILE), dirs::READABLE, config.to_documented_toml().as_bytes())?;
            import_from(&self.backup.join(LOG_FILE), aside, config.store.min_free_bytes)
        })?;
        show(session, &imported)
    }
}

/// Copies the administrator's token, which may have been moved elsewhere.
fn copy_token(from: &Path, to: &Path) -> Result<()> {
    let from = from.join(TOKEN_FILE);
    if !from.exists() {
        return Ok(());
    }
    copy(&from, &to.join(TOKEN_FILE), dirs::PRIVATE)
}

fn copy(from: &Path, to: &Path, mode: u32) -> Result<()> {
    dirs::write(to, mode, &fs::read(from).map_err(dirs::failed("read", from))?)
}
