//! `tieline broker`: the configuration of the NATS server that carries the frames.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use tieline_bus::broker_config::{BrokerPlan, OrgAccess};
use tieline_bus::{BrokerAddress, PublicKeys};

use crate::error::{CliError, Kind, Result};
use crate::session::Session;

/// Write the configuration of the broker.
#[derive(Debug, Subcommand)]
pub(crate) enum Broker {
    /// Print a nats-server configuration for a set of orgs
    Config(BrokerConfig),
}

/// Print a nats-server configuration.
#[derive(Debug, Args)]
pub(crate) struct BrokerConfig {
    /// The keys directory of an org, or its public.json; once for each org
    #[arg(long, required = true, value_name = "DIR")]
    org_keys: Vec<PathBuf>,
    /// Where the broker listens for the orgs
    #[arg(long, value_name = "HOST:PORT")]
    listen: BrokerAddress,
    /// Directory in which the broker keeps what is under way
    #[arg(long, value_name = "DIR")]
    store_dir: PathBuf,
    /// Where the broker's own monitoring listens; it has no password
    #[arg(long, value_name = "HOST:PORT")]
    monitor: Option<BrokerAddress>,
    /// Most bytes that the broker may keep on disk
    #[arg(long, value_name = "BYTES")]
    max_file_store: Option<u64>,
    /// Name of the server in its logs
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
    /// Sync every message to disk; Tieline does not need it. From nats-server 2.10 on
    #[arg(long)]
    sync_always: bool,
}

impl Broker {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let Self::Config(config) = self;
        let mut plan = BrokerPlan::new(config.listen, config.store_dir);
        plan.monitor = config.monitor;
        plan.sync_always = config.sync_always;
        plan.max_file_store = config.max_file_store.unwrap_or(plan.max_file_store);
        plan.server_name = config.server_name.unwrap_or(plan.server_name);
        for path in config.org_keys {
            let file = if path.is_dir() { path.join("public.json") } else { path };
            let keys =
                PublicKeys::load(&file).map_err(|error| CliError::from_error(Kind::Refused, &error))?;
            plan.orgs.push(OrgAccess::from(keys));
        }
        let text = plan.render().map_err(|error| CliError::from_error(Kind::Refused, &error))?;
        session.output.line(text.trim_end())?;
        session
            .output
            .hint("Write this to a file and start nats-server --config FILE; when orgs are added, reload it twice: the second time lets them reach the others");
        Ok(())
    }
}
