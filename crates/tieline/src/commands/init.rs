//! `tieline init`: makes an org, all of it or nothing.
//!
//! Keys, log, token and configuration are made in a directory beside the data directory, which is
//! then renamed: a failure leaves nothing that would be in the way of another try.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use clap::Args;
use serde_json::json;
use tieline_bus::{BrokerAddress, OrgKeys};
use tieline_core::{OrgName, UserName};
use tieline_daemon::config::Config;
use tieline_daemon::init::{create_org, new_token, token_hash};

use crate::error::{CliError, Kind, Result};
use crate::output::text;
use crate::session::{CONFIG_FILE, Session, TOKEN_FILE};

/// Make a new org: data directory, keys, configuration, administrator.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Name of the org: 1 to 40 of a-z, 0-9 and -
    #[arg(long, value_name = "NAME")]
    org: OrgName,
    /// First administrator
    #[arg(long, value_name = "USER", default_value = "admin")]
    admin: UserName,
    /// Address of the broker, as partners reach it, too
    #[arg(long, value_name = "HOST:PORT")]
    broker: Option<BrokerAddress>,
    /// Where the API of the daemon will listen
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
}

impl Init {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let data =
            std::path::absolute(session.data_dir()?).map_err(|error| failed("find", session, &error))?;
        refuse_full(&data)?;
        let mut config = Config::defaults().map_err(|error| internal(&error))?;
        config.data_dir.clone_from(&data);
        config.broker.url = self.broker.unwrap_or(config.broker.url);
        config.http.listen = self.listen.unwrap_or(config.http.listen);

        let token = new_token().map_err(|error| internal(&error))?;
        let aside = data.with_added_extension(format!("new-{}", std::process::id()));
        let made =
            make(&aside, &self.org, &self.admin, &token, &config.to_documented_toml()).and_then(|keys| {
                fs::rename(&aside, &data).map(|()| keys).map_err(|error| failed("create", session, &error))
            });
        if made.is_err() {
            // Best effort: the error that matters is the one above.
            fs::remove_dir_all(&aside).ok();
        }
        let keys = made?;
        let answer = json!({
            "org": self.org, "admin": self.admin, "data": data, "config": data.join(CONFIG_FILE),
            "token": token, "token_file": data.join(TOKEN_FILE), "public_keys": keys.public(),
        });
        session.output.show(&answer, |output| {
            let facts = [
                text("Org", "/org"),
                text("Administrator", "/admin"),
                text("Token", "/token"),
                text("Token file", "/token_file"),
                text("Configuration", "/config"),
            ];
            output.facts(&facts, &answer)?;
            let data = data.display();
            output.hint(&format!(
                "Let the broker know the org: tieline broker config --org-keys {data}/keys …"
            ));
            output.hint(&format!("Then start its daemon: tieline serve --data {data}"));
            Ok(())
        })
    }
}

/// Makes everything of an org in `dir`, which must not exist.
fn make(dir: &Path, org: &OrgName, admin: &UserName, token: &str, config: &str) -> Result<OrgKeys> {
    let at = |doing: &'static str| {
        move |error: io::Error| {
            CliError::new(Kind::Internal, format!("{} cannot be {doing}", dir.display())).caused_by(&error)
        }
    };
    DirBuilder::new().mode(0o700).recursive(true).create(dir).map_err(at("created"))?;
    let keys = OrgKeys::generate(org.clone()).map_err(|error| internal(&error))?;
    keys.save(&tieline_daemon::keys_dir(dir)).map_err(|error| internal(&error))?;
    create_org(dir, org.clone(), admin.clone(), token_hash(token)).map_err(|error| internal(&error))?;
    write(&dir.join(TOKEN_FILE), 0o600, &format!("{token}\n")).map_err(at("written"))?;
    write(&dir.join(CONFIG_FILE), 0o644, config).map_err(at("written"))?;
    fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(at("synced"))?;
    Ok(keys)
}

fn write(path: &Path, mode: u32, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn refuse_full(data: &Path) -> Result<()> {
    let empty = match fs::read_dir(data) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    if empty {
        return Ok(());
    }
    Err(CliError::new(Kind::Conflict, format!("{} is there already and not empty", data.display()))
        .hint("Choose another data directory: an org is never overwritten"))
}

fn failed(doing: &str, session: &Session, error: &io::Error) -> CliError {
    let data = session.data_dir().map(|data| data.display().to_string()).unwrap_or_default();
    CliError::new(Kind::Internal, format!("Cannot {doing} the data directory {data}")).caused_by(error)
}

fn internal(error: &dyn std::error::Error) -> CliError {
    CliError::from_error(Kind::Internal, error)
}
