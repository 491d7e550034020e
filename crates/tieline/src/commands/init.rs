//! `tieline init`: makes an org, all of it or nothing.
//!
//! Keys, log, token and configuration are made beside the data directory, which is then renamed: a
//! failure leaves nothing that would be in the way of another try.

use std::net::SocketAddr;
use std::path::Path;

use clap::Args;
use serde_json::json;
use tieline_bus::{BrokerAddress, OrgKeys};
use tieline_core::people::{Edition, OrgSettings};
use tieline_core::{OrgName, UserName};
use tieline_daemon::config::Config;
use tieline_daemon::init::{InitError, NewOrg, create_org, new_token};

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
    /// personal, group, team, professional, enterprise, unlimited, developer, trial or demo
    #[arg(long, value_name = "EDITION", default_value = "enterprise")]
    edition: Edition,
    /// How many invitations of the org may be pending or accepted at a time [default: 2]
    #[arg(long, value_name = "NUMBER")]
    connection_licences: Option<u32>,
    /// Leave sharing off; tieline org enable turns it on, for good
    #[arg(long)]
    without_sharing: bool,
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
        let new = NewOrg {
            name: self.org.clone(),
            admin: self.admin.clone(),
            settings: OrgSettings { edition: self.edition, connection_licences: self.connection_licences },
            sharing: !self.without_sharing,
        };
        let keys = dirs::make(&data, |aside| make(aside, new, &token, &config.to_documented_toml()))?;
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
fn make(dir: &Path, new: NewOrg, token: &str, config: &str) -> Result<OrgKeys> {
    let keys = OrgKeys::generate(new.name.clone()).map_err(|error| internal(&error))?;
    keys.save(&tieline_daemon::keys_dir(dir)).map_err(|error| internal(&error))?;
    create_org(dir, new, token).map_err(|error| not_created(&error))?;
    dirs::write(&dir.join(TOKEN_FILE), dirs::PRIVATE, format!("{token}\n").as_bytes())?;
    dirs::write(&dir.join(CONFIG_FILE), dirs::READABLE, config.as_bytes())?;
    Ok(keys)
}

/// An org that the core refuses, as one of an edition that takes no part in sharing.
fn not_created(error: &InitError) -> CliError {
    let kind = if matches!(error, InitError::Refused(_)) { Kind::Refused } else { Kind::Internal };
    let told = CliError::from_error(kind, error);
    match error {
        InitError::Refused(refusal) if refusal.code == "edition_cannot_share" => {
            told.hint("Make it with --without-sharing, or with another --edition")
        }
        _ => told,
    }
}

fn internal(error: &dyn std::error::Error) -> CliError {
    CliError::from_error(Kind::Internal, error)
}
