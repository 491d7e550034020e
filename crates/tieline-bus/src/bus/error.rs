//! What can go wrong on the bus, and what to do about it.

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{CreateStreamError, CreateStreamErrorKind};
use async_nats::jetstream::context::{DeleteStreamError, DeleteStreamErrorKind};
use async_nats::{RequestError, RequestErrorKind};
use tieline_core::OrgName;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a call on the bus failed.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// No connection; it is being tried again in the background.
    #[error("The broker is not connected ({reason}); the daemon keeps trying")]
    Disconnected {
        /// The last thing that went wrong.
        reason: String,
    },
    /// The broker does not know the org's keys.
    #[error(
        "The broker refuses the keys of org {org}: add the org's public.json to the broker's configuration"
    )]
    Denied {
        /// The org.
        org: OrgName,
    },
    /// No answer in time: nobody knows whether it happened.
    #[error("The broker gave no answer to the request to {what}")]
    Timeout {
        /// What was tried.
        what: &'static str,
    },
    /// The broker says that nobody is there to answer.
    #[error(
        "Nobody answers the request to {what}: the partner's daemon is not connected, the org does not exist, or \
         this org is new at the broker, which has to be reloaded once more"
    )]
    NoResponders {
        /// What was tried.
        what: &'static str,
    },
    /// More bytes than the bus or the broker carries.
    #[error("{bytes} bytes are more than the {limit} that can be sent to {what}")]
    TooLarge {
        /// What was tried.
        what: &'static str,
        /// The size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The broker's JetStream said no.
    #[error("The broker refused to {what}")]
    Refused {
        /// What was tried.
        what: &'static str,
        /// JetStream's code and words.
        #[source]
        source: async_nats::jetstream::Error,
    },
    /// JetStream is not there for this account.
    #[error("The broker offers no storage to org {org}: enable JetStream in its configuration")]
    NoStorage {
        /// The org.
        org: OrgName,
    },
    /// The URL of the broker is not one.
    #[error("Broker URL {url:?} is not valid: write nats://host:port")]
    Config {
        /// The URL.
        url: String,
        /// What the client made of it.
        #[source]
        source: Source,
    },
    /// The NATS client failed in another way.
    #[error("The NATS client could not {what}")]
    Client {
        /// What was tried.
        what: &'static str,
        /// Why.
        #[source]
        source: Source,
    },
    /// [`super::Bus::stop`] was called.
    #[error("The bus is stopped")]
    Stopped,
}

/// What a failed call asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// Try again after a while; nothing else has to change.
    Retry,
    /// Try again when [`super::BrokerStatus`] says connected.
    Reconnect,
    /// It will fail again until a person changes something.
    Fatal,
}

impl BusError {
    /// What to do about it.
    #[must_use]
    pub const fn recovery(&self) -> Recovery {
        match self {
            Self::Disconnected { .. } => Recovery::Reconnect,
            Self::Timeout { .. } | Self::NoResponders { .. } | Self::Refused { .. } | Self::Client { .. } => {
                Recovery::Retry
            }
            Self::Denied { .. }
            | Self::TooLarge { .. }
            | Self::NoStorage { .. }
            | Self::Config { .. }
            | Self::Stopped => Recovery::Fatal,
        }
    }

    /// The stable name of this error, for metrics and logs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Disconnected { .. } => "disconnected",
            Self::Denied { .. } => "denied",
            Self::Timeout { .. } => "timeout",
            Self::NoResponders { .. } => "no_responders",
            Self::TooLarge { .. } => "too_large",
            Self::Refused { .. } => "refused",
            Self::NoStorage { .. } => "no_storage",
            Self::Config { .. } => "config",
            Self::Client { .. } => "client",
            Self::Stopped => "stopped",
        }
    }

    /// What JetStream said, if it was JetStream that said no.
    pub(super) fn jetstream_code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { source, .. } => Some(source.error_code()),
            _ => None,
        }
    }

    pub(super) fn from_create(what: &'static str, org: &OrgName, error: CreateStreamError) -> Self {
        match error.kind() {
            CreateStreamErrorKind::TimedOut => Self::Timeout { what },
            CreateStreamErrorKind::JetStreamUnavailable => Self::NoStorage { org: org.clone() },
            CreateStreamErrorKind::JetStream(source) => Self::Refused { what, source },
            _ => Self::Client { what, source: Box::new(error) },
        }
    }

    pub(super) fn from_delete(what: &'static str, error: DeleteStreamError) -> Self {
        match error.kind() {
            DeleteStreamErrorKind::JetStream(source) => Self::Refused { what, source },
            _ => Self::Client { what, source: Box::new(error) },
        }
    }

    pub(super) fn from_request(what: &'static str, error: RequestError) -> Self {
        match error.kind() {
            RequestErrorKind::TimedOut => Self::Timeout { what },
            RequestErrorKind::NoResponders => Self::NoResponders { what },
            _ => Self::Client { what, source: Box::new(error) },
        }
    }
}
