//! Which daemon a command talks to, and as whom.
//!
//! `--api` names a daemon outright; otherwise the configuration in the data directory does. The
//! token is the one in `--token-file`, else `TIELINE_TOKEN`, else `admin.token` in the data
//! directory. Nothing is looked for anywhere else: a command never guesses an org.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use tieline_daemon::config::Config;

use crate::cli::Global;
use crate::client::{Client, read_token};
use crate::error::{CliError, Kind, Result};
use crate::output::Output;

/// The file with the first administrator's token, in the data directory.
pub(crate) const TOKEN_FILE: &str = "admin.token";
/// The configuration, in the data directory.
pub(crate) const CONFIG_FILE: &str = "tieline.toml";
/// Tells, in the data directory, that its log was imported: the next start begins a new life of it.
pub(crate) const IMPORTED_FILE: &str = "log.imported";

/// What every command is given: where its org is, and where its output goes.
pub(crate) struct Session {
    global: Global,
    /// The streams of the process.
    pub(crate) output: Output,
}

impl Session {
    /// A session with the options of the command line.
    pub(crate) fn new(global: Global) -> Self {
        let output = Output::new(global.json, global.quiet);
        Self { global, output }
    }

    /// A session that talks to nobody.
    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        Self::new(Global {
            data: None,
            api: None,
            token_file: None,
            ca_file: None,
            idempotency_key: None,
            json: false,
            quiet: true,
        })
    }

    /// The daemon that the options name.
    pub(crate) fn client(&self) -> Result<Client> {
        let mut ca_file = self.global.ca_file.clone();
        let base = match (&self.global.api, &self.global.data) {
            (Some(api), _) => api.clone(),
            (None, Some(_)) => {
                let http = self.config()?.http;
                let scheme = if http.tls().is_some() { "https" } else { "http" };
                ca_file = ca_file.or_else(|| Some(http.tls_ca).filter(|file| !file.as_os_str().is_empty()));
                format!("{scheme}://{}", reachable(http.listen))
            }
            (None, None) => return Err(no_org()),
        };
        Ok(Client::new(&base, self.token()?, ca_file.as_deref())?
            .with_key(self.global.idempotency_key.clone()))
    }

    /// The data directory, for what is done without a daemon.
    pub(crate) fn data_dir(&self) -> Result<&Path> {
        self.global.data.as_deref().ok_or_else(|| {
            CliError::usage("This command needs the data directory of an org")
                .hint("Name it with --data or TIELINE_DATA")
        })
    }

    /// The data directory, unless a daemon elsewhere is meant.
    pub(crate) fn local_data_dir(&self) -> Option<&Path> {
        self.global.data.as_deref().filter(|_| self.global.api.is_none())
    }

    /// The configuration file in the data directory.
    pub(crate) fn config_file(&self) -> Result<PathBuf> {
        let data = self.data_dir()?;
        let file = data.join(CONFIG_FILE);
        if file.is_file() {
            return Ok(file);
        }
        let message =
            format!("{} is not the data directory of an org: it has no {CONFIG_FILE}", data.display());
        Err(CliError::usage(message)
            .hint("Make an org there with tieline init, or name another directory with --data"))
    }

    /// The configuration in the data directory.
    pub(crate) fn config(&self) -> Result<Config> {
        load_config(&self.config_file()?)
    }

    fn token(&self) -> Result<Option<String>> {
        if let Some(file) = &self.global.token_file {
            return read_token(file).map(Some);
        }
        if let Some(token) = std::env::var_os("TIELINE_TOKEN").filter(|token| !token.is_empty()) {
            return Ok(token.into_string().ok());
        }
        // Without a token the daemon says what is missing.
        let file = self.global.data.as_ref().map(|data| data.join(TOKEN_FILE)).filter(|file| file.exists());
        file.map(|file| read_token(&file)).transpose()
    }
}

/// Reads a configuration file, with what the environment overrides.
pub(crate) fn load_config(file: &Path) -> Result<Config> {
    Config::load(Some(file)).map_err(|error| CliError::from_error(Kind::Usage, &error))
}

fn no_org() -> CliError {
    CliError::usage("It is not said which org this is about").hint(
        "Name its data directory with --data or TIELINE_DATA, or its daemon with --api and --token-file",
    )
}

/// Where a daemon that listens on `listen` is reached from this machine.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_on_every_address_is_reached_on_loopback() {
        for (listen, reached) in
            [("0.0.0.0:7400", "127.0.0.1:7400"), ("[::]:1", "[::1]:1"), ("192.0.2.1:7400", "192.0.2.1:7400")]
        {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), reached);
        }
    }
}
