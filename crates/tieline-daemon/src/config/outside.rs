//! Settings of what the daemon sends outside: mails and webhooks.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The mail server, and who mails come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// Its name; empty if no mail is sent.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether it is spoken to in secret.
    pub tls: MailTls,
    /// The file of the authorities that it is trusted by; empty for the system's.
    pub tls_ca: PathBuf,
    /// Who logs in; empty if nobody does.
    pub user: String,
    /// The file of the password.
    pub password_file: PathBuf,
    /// The address that mails come from.
    pub from: String,
}

/// Whether a mail server is spoken to in secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailTls {
    /// From the first byte.
    Tls,
    /// After it was asked for; never without.
    Starttls,
    /// Not at all.
    None,
}

/// Webhooks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Networks of our own that they may reach.
    pub allow_networks: String,
    /// The file of the authorities that https addresses are trusted by; empty for the system's.
    pub tls_ca: PathBuf,
    /// How long one attempt may take.
    pub timeout_ms: u64,
}

/// What mails and webhooks have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outside {
    /// The first pause after a failed attempt.
    pub retry_after_ms: u64,
    /// When an effect is given up.
    pub give_up_after_s: u64,
}

impl Webhook {
    /// The networks that are allowed.
    ///
    /// # Errors
    /// One of them is not a network.
    pub fn networks(&self) -> Result<Vec<Network>, String> {
        let texts = self.allow_networks.split(',').map(str::trim).filter(|text| !text.is_empty());
        texts.map(str::parse).collect()
    }

    /// How long one attempt may take.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

/// A run of addresses that begin alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether an address is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                own.to_bits() & mask == other.to_bits() & mask
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                own.to_bits() & mask == other.to_bits() & mask
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || format!("{text:?} is not a network: write it as 10.1.0.0/16 or fd00::/8");
        let (address, bits) = text.split_once('/').ok_or_else(error)?;
        let address: IpAddr = address.parse().map_err(|_| error())?;
        let bits: u8 = bits.parse().map_err(|_| error())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        if bits <= most { Ok(Self { address, bits }) } else { Err(error()) }
    }
}

/// What types alone do not tell.
pub(super) fn check(config: &super::Config) -> Result<(), (&'static str, String)> {
    let super::Config { mail, webhook, outside, .. } = config;
    webhook.networks().map_err(|reason| ("webhook.allow_networks", reason))?;
    if webhook.timeout_ms == 0 {
        return Err(("webhook.timeout_ms", "it has to be at least 1".to_owned()));
    }
    if outside.retry_after_ms == 0 {
        return Err(("outside.retry_after_ms", "it has to be at least 1".to_owned()));
    }
    if mail.host.is_empty() {
        return Ok(());
    }
    if mail.from.parse::<lettre::Address>().is_err() {
        return Err(("mail.from", "it has to be an address as tieline@example.org".to_owned()));
    }
    if !mail.user.is_empty() && mail.password_file.as_os_str().is_empty() {
        return Err((
            "mail.password_file",
            "it is empty; name the file with the password of user".to_owned(),
        ));
    }
    if !mail.user.is_empty() && mail.tls == MailTls::None {
        return Err(("mail.tls", "it is none, and the password would be sent in the clear".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_and_contain_what_begins_alike() {
        let network = |text: &str| text.parse::<Network>();
        for (text, inside, outside) in [
            ("10.1.0.0/16", "10.1.255.255", "10.2.0.0"),
            ("127.0.0.1/32", "127.0.0.1", "127.0.0.2"),
            ("0.0.0.0/0", "8.8.8.8", "::1"),
            ("fd00::/8", "fdff::1", "fc00::1"),
            ("::/0", "2001:db8::1", "1.1.1.1"),
        ] {
            let network = network(text).unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{text} {inside}");
            assert!(!network.contains(outside.parse().unwrap()), "{text} {outside}");
        }
        for text in ["10.0.0.0", "10.0.0.0/33", "::/129", "x/8", "10.0.0.0/-1", ""] {
            assert!(network(text).is_err(), "{text}");
        }
    }
}
