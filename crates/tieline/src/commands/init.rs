//! `tieline init`: makes an org, all of it or nothing.
//!
//! Keys, log, token and configuration are made beside the data directory, which is then renamed: a
//! failure leaves nothing that would be in the way of another try.

use std::net::SocketAddr;
use std::path::Path;

use clap::Args;
use serde_json::json;
use tieline_bus::{BrokerAddress, OrgKeys};
use tieline_core::{OrgName, UserName};
use tieline_daemon::config::Config;
use tieline_daemon::init::{create_org, new_token, token_hash};

use crate::dirs;
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
        let data = dirs::absolute(session.data_dir()?)?;
        dirs::refuse_full(&data, "an org is never overwritten")?;
        let mut config = Config::defaults().map_err(|error| internal(&error))?;
        config.data_dir.clone_from(&data);
        config.broker.url = self.broker.unwrap_or(config.broker.url);
        config.http.listen = self.listen.unwrap_or(config.http.listen);

        let token = new_token().map_err(|error| internal(&error))?;
        let keys = dirs::make(&data, |aside| {
            make(aside, &self.org, &self.admin, &token, &config.to_documented_toml())
        })?;
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

/// Makes everything of an org in `dir`.
fn make(dir: &Path, org: &OrgName, admin: &UserName, token: &str, config: &str) -> Result<OrgKeys> {
    let keys = OrgKeys::generate(org.clone()).map_err(|error| internal(&error))?;
    keys.save(&tieline_daemon::keys_dir(dir)).map_err(|error| internal(&error))?;
    create_org(dir, org.clone(), admin.clone(), token_hash(token)).map_err(|error| internal(&error))?;
    dirs::write(&dir.join(TOKEN_FILE), dirs::PRIVATE, format!("{token}\n").as_bytes())?;
    dirs::write(&dir.join(CONFIG_FILE), dirs::READABLE, config.as_bytes())?;
    Ok(keys)
}

fn internal(error: &dyn std::error::Error) -> CliError {
    CliError::from_error(Kind::Internal, error)
}
