//! Where a broker listens: a host and a port, as both sides write it down.

use std::fmt;
use std::str::FromStr;

/// Host and port of a broker, as `broker.example:4222` or `[::1]:4222`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BrokerAddress {
    host: String,
    port: u16,
}

/// An address that does not parse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Broker address {text:?} is not valid: write host:port, as broker.example:4222 or [::1]:4222")]
pub struct InvalidAddress {
    text: String,
}

impl BrokerAddress {
    /// The host name or IP address, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The address as the NATS client wants it.
    #[must_use]
    pub fn nats_url(&self) -> String {
        format!("nats://{self}")
    }
}

impl FromStr for BrokerAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let invalid = || InvalidAddress { text: text.chars().take(80).collect() };
        let (host, port) = text.rsplit_once(':').ok_or_else(invalid)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(invalid)?;
        let bracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let valid = match bracketed {
            Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                (1..=253).contains(&host.len())
                    && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
            }
        };
        if !valid {
            return Err(invalid());
        }
        Ok(Self { host: bracketed.unwrap_or(host).to_owned(), port })
    }
}

impl fmt::Display for BrokerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_their_form() {
        for text in ["broker.example:4222", "127.0.0.1:1", "[::1]:4222", "a_b-c:65535"] {
            assert_eq!(text.parse::<BrokerAddress>().unwrap().to_string(), text);
        }
        for text in
            ["", "broker", ":4222", "b:0", "b:65536", "::1:4222", "[x]:1", "a b:1", "a/b:1", "nats://b:1"]
        {
            assert!(text.parse::<BrokerAddress>().is_err(), "{text:?}");
        }
    }
}
