//! The configuration of a daemon: defaults built in, then a file, then the environment.
//!
//! Keys that nobody knows are refused, wherever they stand: a slip of the pen must not be a setting
//! that silently does nothing. The defaults are a documented file, `default.toml`, which is part of
//! the program and the only place where a default is written down.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ::config::{Config as Layers, ConfigError as LayersError, Environment, File, FileFormat};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tieline_bus::BrokerAddress;

pub use outside::{Mail, MailTls, Network, Outside, Webhook};

/// The documented defaults.
pub const DEFAULT_TOML: &str = include_str!("../default.toml");
/// What the names of environment variables begin with.
const ENV_PREFIX: &str = "TIELINE";
/// Between the parts of a key in the name of an environment variable.
const ENV_SEPARATOR: &str = "__";

/// The smallest useful cache of the log.
const CACHE_BYTES_MIN: u64 = 1 << 20;
/// More often than this, snapshots would cost more than the work between them.
const SNAPSHOT_EVENTS_MIN: u64 = 100;
/// The smallest reserve on the disk: one batch and what the log needs to write it.
const FREE_BYTES_MIN: u64 = 16 << 20;

/// The configuration of a daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Directory of the org: its log, snapshots and keys.
    pub data_dir: PathBuf,
    /// The broker.
    pub broker: Broker,
    /// The HTTP API.
    pub http: Http,
    /// What the daemon tells.
    pub log: Log,
    /// The log of the org.
    pub store: Store,
    /// Mails.
    pub mail: Mail,
    /// Webhooks.
    pub webhook: Webhook,
    /// What mails and webhooks have in common.
    pub outside: Outside,
}

/// The broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Broker {
    /// Its address, as partners reach it, too.
    #[serde(serialize_with = "shown", deserialize_with = "broker_address")]
    pub url: BrokerAddress,
}

/// The HTTP API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The file of its certificate chain; empty without TLS.
    pub tls_certificate: PathBuf,
    /// The file of its private key; empty without TLS.
    pub tls_key: PathBuf,
    /// The file of the authorities that commands on this machine trust; empty for the system's.
    pub tls_ca: PathBuf,
    /// Whether it may listen beyond loopback without TLS.
    pub allow_plaintext: bool,
}

impl Http {
    /// The files of the certificate and its key, if the API speaks TLS.
    #[must_use]
    pub fn tls(&self) -> Option<(&Path, &Path)> {
        let files = (self.tls_certificate.as_path(), self.tls_key.as_path());
        Some(files).filter(|(certificate, _)| !certificate.as_os_str().is_empty())
    }

    /// What types alone do not tell.
    fn check(&self) -> Result<(), (&'static str, String)> {
        let empty = |path: &Path| path.as_os_str().is_empty();
        match (empty(&self.tls_certificate), empty(&self.tls_key)) {
            (false, true) => Err(("http.tls_key", "it is empty; name the key of tls_certificate".to_owned())),
            (true, false) => {
                Err(("http.tls_certificate", "it is empty; name the certificate of tls_key".to_owned()))
            }
            (true, true) if !self.listen.ip().is_loopback() && !self.allow_plaintext => {
                let reason = "it is not loopback, and tokens would be sent in the clear; set tls_certificate and \
                     tls_key, or allow_plaintext = true behind a proxy with TLS";
                Err(("http.listen", reason.to_owned()))
            }
            _ => Ok(()),
        }
    }
}

/// What the daemon tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// A level, or directives per module.
    pub level: String,
    /// How a line looks.
    pub format: LogFormat,
}

/// How a line of what the daemon tells looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For log collectors.
    Json,
}

/// The log of the org.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// Memory for pages of the log.
    pub cache_bytes: u64,
    /// Writes are refused while less than this is free on the disk.
    pub min_free_bytes: u64,
    /// A snapshot of the state is written after so many events.
    pub snapshot_every_events: u64,
    /// Most events that are read anew for one answer about the past.
    pub past_events_max: u64,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration file {} cannot be read: name another one, or make one with `tieline init`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("the configuration file {} is not TOML: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        reason: String,
    },
    /// A key that nobody knows.
    #[error("{origin} sets {key}, which is not a setting: use one of {known}")]
    UnknownKey {
        /// The key.
        key: String,
        /// The file, or the environment.
        origin: String,
        /// The keys that are known.
        known: String,
    },
    /// A key with a value that it cannot have.
    #[error("{key} in {origin} is not valid: {reason}")]
    Value {
        /// The key.
        key: String,
        /// The file, the environment or the defaults.
        origin: String,
        /// What is wrong with its value.
        reason: String,
    },
}

impl Config {
    /// The defaults, then the file at `path` if one is named, then the environment.
    ///
    /// # Errors
    /// The file cannot be read or parsed, or a setting is unknown or not valid.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        Self::load_with(path, environment()?)
    }

    /// The defaults, then the file at `path`, whatever the environment says: what a file alone means.
    ///
    /// # Errors
    /// The file cannot be read or parsed, or a setting is unknown or not valid.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        Self::load_with(Some(path), BTreeMap::new())
    }

    /// The documented defaults.
    ///
    /// # Errors
    /// Never: a test loads them.
    pub fn defaults() -> Result<Self, ConfigError> {
        Self::load_with(None, BTreeMap::new())
    }

    fn load_with(path: Option<&Path>, environment: BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let file = path.map(|path| read(path).map(|text| (path, text))).transpose()?;
        let origins = Origins::new(file.as_ref().map(|(path, text)| (*path, text.as_str())), &environment)?;
        let mut layers = Layers::builder().add_source(File::from_str(DEFAULT_TOML, FileFormat::Toml));
        if let Some((_, text)) = &file {
            layers = layers.add_source(File::from_str(text, FileFormat::Toml));
        }
        let environment = Environment::with_prefix(ENV_PREFIX)
            .prefix_separator(ENV_SEPARATOR)
            .separator(ENV_SEPARATOR)
            .try_parsing(true)
            .source(Some(environment.into_iter().collect()));
        let merged = layers.add_source(environment).build().and_then(Layers::try_deserialize::<Self>);
        let config = merged.map_err(|error| origins.explain(&error))?;
        config.check().map_err(|(key, reason)| ConfigError::Value {
            key: key.to_owned(),
            origin: origins.of(key),
            reason,
        })?;
        Ok(config)
    }

    /// What types alone do not tell.
    fn check(&self) -> Result<(), (&'static str, String)> {
        if self.data_dir.as_os_str().is_empty() {
            return Err(("data_dir", "it is empty; name a directory".to_owned()));
        }
        self.http.check()?;
        outside::check(self)?;
        if let Err(reason) = crate::telemetry::filter(&self.log.level) {
            return Err(("log.level", reason.to_string()));
        }
        if self.store.cache_bytes < CACHE_BYTES_MIN {
            return Err(("store.cache_bytes", format!("it has to be at least {CACHE_BYTES_MIN}")));
        }
        if self.store.snapshot_every_events < SNAPSHOT_EVENTS_MIN {
            return Err((
                "store.snapshot_every_events",
                format!("it has to be at least {SNAPSHOT_EVENTS_MIN}"),
            ));
        }
        if self.store.min_free_bytes < FREE_BYTES_MIN {
            return Err(("store.min_free_bytes", format!("it has to be at least {FREE_BYTES_MIN}")));
        }
        Ok(())
    }

    /// This configuration as a file: the documented defaults with its values in them.
    #[must_use]
    pub fn to_documented_toml(&self) -> String {
        let values = serde_json::to_value(self).unwrap_or_default();
        let mut section = String::new();
        let mut text = String::with_capacity(DEFAULT_TOML.len());
        for line in DEFAULT_TOML.lines() {
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = format!("/{name}");
            }
            let set = line.split_once(" = ").filter(|_| !line.starts_with('#'));
            match set.and_then(|(key, _)| Some((key, values.pointer(&format!("{section}/{key}"))?))) {
                Some((key, value)) => text.push_str(&format!("{key} = {}", toml_value(value))),
                None => text.push_str(line),
            }
            text.push('\n');
        }
        text
    }
}

/// A JSON text is a TOML one, but for a character that TOML wants escaped.
fn toml_value(value: &serde_json::Value) -> String {
    value.to_string().replace('\u{7f}', "\\u007F")
}

/// The environment variables that may be settings; others are not looked at.
fn environment() -> Result<BTreeMap<String, String>, ConfigError> {
    let mut variables = BTreeMap::new();
    for (name, value) in std::env::vars_os() {
        let Some(name) = name.to_str().filter(|name| name.starts_with(ENV_PREFIX)) else { continue };
        let Some(value) = value.to_str() else {
            let (key, origin) = (name.to_owned(), "the environment".to_owned());
            return Err(ConfigError::Value { key, origin, reason: "it is not UTF-8".to_owned() });
        };
        variables.insert(name.to_owned(), value.to_owned());
    }
    Ok(variables)
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })
}

/// Who set what, so that an error can name the place.
struct Origins {
    file: Option<(PathBuf, Layers)>,
    environment: BTreeMap<String, String>,
}

impl Origins {
    fn new(file: Option<(&Path, &str)>, environment: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let prefix = format!("{ENV_PREFIX}{ENV_SEPARATOR}");
        let environment = environment.keys().filter_map(|name| {
            let key = name.strip_prefix(&prefix)?.to_lowercase().replace(ENV_SEPARATOR, ".");
            Some((key, name.clone()))
        });
        let file = file.map(|(path, text)| {
            let parsed = Layers::builder().add_source(File::from_str(text, FileFormat::Toml)).build();
            parsed.map(|layers| (path.to_owned(), layers)).map_err(|error| ConfigError::Syntax {
                path: path.to_owned(),
                reason: one_line(&error.to_string()),
            })
        });
        Ok(Self { file: file.transpose()?, environment: environment.collect() })
    }

    /// The place that set `key` last.
    fn of(&self, key: &str) -> String {
        if let Some(name) = self.environment.get(key) {
            return format!("the environment variable {name}");
        }
        match &self.file {
            Some((path, layers)) if layers.get::<::config::Value>(key).is_ok() => path.display().to_string(),
            _ => "the defaults".to_owned(),
        }
    }

    fn explain(&self, error: &LayersError) -> ConfigError {
        let (key, message) = match error {
            LayersError::At { error, key, .. } => (key.clone().unwrap_or_default(), error.to_string()),
            LayersError::Type { key, unexpected, expected, .. } => {
                (key.clone().unwrap_or_default(), format!("it is {unexpected}, not {expected}"))
            }
            other => (String::new(), other.to_string()),
        };
        // serde says it in words only: unknown field `x`, expected one of `a`, `b`
        let unknown = message.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`'));
        let Some((name, known)) = unknown else {
            return ConfigError::Value { origin: self.of(&key), key, reason: one_line(&message) };
        };
        let full = if key.is_empty() || key == name { name.to_owned() } else { format!("{key}.{name}") };
        let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
        ConfigError::UnknownKey { origin: self.of(&full), key: full, known: known.join(", ") }
    }
}

/// The first line of a message that shows a piece of the file below it, without its colon.
fn one_line(message: &str) -> String {
    message.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

fn broker_address<'de, D: Deserializer<'de>>(d: D) -> Result<BrokerAddress, D::Error> {
    let text = String::deserialize(d)?;
    text.strip_prefix("nats://").unwrap_or(&text).parse().map_err(serde::de::Error::custom)
}

fn shown<S: Serializer>(address: &BrokerAddress, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(address)
}

mod outside;
#[cfg(test)]
mod tests;
