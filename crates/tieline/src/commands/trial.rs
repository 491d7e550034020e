//! `tieline trial`: an org for somebody who was invited and has none (S2S-16).
//!
//! The invitation says which broker both would use, so nothing else has to be known. Making the org uses
//! nothing of the invitation up: the answer does, whoever gives it first.

use clap::{Args, Subcommand};
use serde_json::json;
use tieline_bus::{ConnectionUrl, OrgKeys};
use tieline_core::command::Command;
use tieline_core::people::{Edition, OrgSettings};
use tieline_core::{OrgName, UserName};
use tieline_daemon::clock::now;
use tieline_daemon::config::Config;
use tieline_daemon::init::{NewOrg, create_seeded, new_token};
use tieline_daemon::seed::Seed;

use crate::commands::serve::Serve;
use crate::dirs;
use crate::error::{CliError, Kind, Result};
use crate::output::text;
use crate::session::{CONFIG_FILE, Session, TOKEN_FILE};

/// Begin with an org of your own, because you were invited.
#[derive(Debug, Subcommand)]
pub(crate) enum Trial {
    /// Make a trial org in the data directory, and accept the invitation with it
    Start(Start),
}

/// Make a trial org.
///
/// The org is known to the broker once its operator has added DIR/keys/public.json, which holds no secret:
/// send it to whoever invited you. Until then the daemon waits, and the answer with it.
#[derive(Debug, Args)]
pub(crate) struct Start {
    /// The connection URL that you were sent; - reads it from standard input
    #[arg(long, value_name = "URL")]
    url: String,
    /// Name of your org: 1 to 40 of a-z, 0-9 and -
    #[arg(long, value_name = "NAME")]
    org: OrgName,
    /// Your user name: the first administrator
    #[arg(long, value_name = "USER", default_value = "admin")]
    admin: UserName,
    /// What the connection is called here
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
    /// Where the API of the daemon will listen
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<std::net::SocketAddr>,
    /// Do not answer the invitation yet
    #[arg(long)]
    decide_later: bool,
    /// Run the daemon at once, in the foreground
    #[arg(long)]
    serve: bool,
}

impl Trial {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let Self::Start(start) = self;
        start.run(session)
    }
}

impl Start {
    fn run(self, session: &Session) -> Result<()> {
        let data = dirs::absolute(session.data_dir()?)?;
        dirs::refuse_full(&data, "an org is never overwritten")?;
        let url = super::connection::read_url(&self.url)?;
        let url: ConnectionUrl =
            url.trim().parse().map_err(|error| CliError::from_error(Kind::Refused, &error))?;
        if url.expires <= now() {
            let text = format!("The invitation of {} ended at {}", url.inviter, url.expires);
            return Err(CliError::new(Kind::Conflict, text).hint("Ask for a new one; nothing was made"));
        }
        if url.inviter == self.org {
            return Err(CliError::usage(format!("{} is the name of the org that invites you", self.org))
                .hint("Give your org another name with --org"));
        }
        let mut config = Config::defaults().map_err(|error| internal(&error))?;
        config.data_dir.clone_from(&data);
        config.broker.url = url.broker.clone();
        config.http.listen = self.listen.unwrap_or(config.http.listen);
        let token = new_token().map_err(|error| internal(&error))?;
        let new = NewOrg {
            name: self.org.clone(),
            admin: self.admin.clone(),
            settings: OrgSettings { edition: Edition::Trial, ..OrgSettings::default() },
            sharing: true,
        };
        let answer = Command::Answer {
            connection: url.connection,
            inviter: url.inviter.clone(),
            public_key: url.inviter_public_key,
            secret_hash: *url.secret_hash().as_bytes(),
            expires: url.expires,
            accept: true,
            owner: None,
            label: self.label.clone().unwrap_or_default(),
        };
        let seed = Seed { answer: (!self.decide_later).then_some(answer), ..Seed::default() };
        let keys = OrgKeys::generate(self.org.clone()).map_err(|error| internal(&error))?;
        dirs::make(&data, |aside| {
            keys.save(&tieline_daemon::keys_dir(aside)).map_err(|error| internal(&error))?;
            create_seeded(aside, new, &token, seed)
                .map_err(|error| CliError::from_error(Kind::Refused, &error))?;
            dirs::write(&aside.join(TOKEN_FILE), dirs::PRIVATE, format!("{token}\n").as_bytes())?;
            dirs::write(&aside.join(CONFIG_FILE), dirs::READABLE, config.to_documented_toml().as_bytes())
        })?;
        self.told(session, &data, &url)?;
        if self.serve {
            return Serve::of(data.join(CONFIG_FILE)).run(session);
        }
        Ok(())
    }

    fn told(&self, session: &Session, data: &std::path::Path, url: &ConnectionUrl) -> Result<()> {
        let answer = json!({
            "org": self.org, "edition": Edition::Trial, "data": data, "inviter": url.inviter,
            "connection": url.connection, "answered": !self.decide_later, "expires": url.expires.to_string(),
            "broker": url.broker.to_string(), "public_keys": data.join("keys/public.json"),
            "token_file": data.join(TOKEN_FILE),
        });
        session.output.show(&answer, |output| {
            let facts = [
                text("Org", "/org"),
                text("Edition", "/edition"),
                text("Invited by", "/inviter"),
                text("Connection", "/connection"),
                text("Answered", "/answered"),
                text("Until", "/expires"),
                text("Broker", "/broker"),
                text("Public keys", "/public_keys"),
            ];
            output.facts(&facts, &answer)?;
            output.status(&format!(
                "Send {} to {}: the operator of the broker adds it with tieline broker config --org-keys",
                data.join("keys/public.json").display(),
                url.inviter
            ));
            let data = data.display();
            if !self.serve {
                output.status(&format!("Then start your daemon: tieline serve --data {data}"));
            }
            if self.decide_later {
                output.status(&format!("And answer: tieline --data {data} connection accept URL"));
            }
            Ok(())
        })
    }
}

fn internal(error: &dyn std::error::Error) -> CliError {
    CliError::from_error(Kind::Internal, error)
}
