//! The configuration of a `nats-server` that carries Tieline (PROTOCOL §1).
//!
//! Two accounts per org and one hub, and nothing per connection: connections come and go without
//! touching the broker, and an org is added by two reloads: with the first one it connects and is reached, and
//! with the second one it reaches the others. nats-server (2.9 to 2.15) gives imports their subscriptions as it
//! starts, or when it reloads an account that it knew before, but not when a reload makes the account.
//!
//! What the accounts guarantee:
//!
//! - an org reads only what was sent to it, and only under the true name of the sender: the hub's
//!   `account_token_position` refuses a subject whose sender is not the account that publishes;
//! - a partner reaches an inbox by publishing alone: it can neither read, list, purge nor source a
//!   stream of another org. Replies of JetStream cannot be aimed at another account;
//! - `$JS.API.ACCOUNT.>` is denied to every user, because an unpatched 2.9 server purges the
//!   streams of any account that is named there (CVE-2025-30215).
//!
//! Everything written here is accepted by nats-server 2.9.10 and later; what needs a later server
//! is written only where the plan asks for it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use tieline_core::OrgName;

use crate::address::BrokerAddress;
use crate::keys::PublicKeys;
use crate::limits::BROKER_PAYLOAD_BYTES;

/// Most connections of one account: one daemon, its successor during a restart, and some tools.
const ACCOUNT_CONNECTIONS: u32 = 8;
/// Most subscriptions of one account: a reader for each connection and a handful beside.
const ACCOUNT_SUBSCRIPTIONS: u32 = 10_000;

/// What a broker is to be.
#[derive(Debug, Clone)]
pub struct BrokerPlan {
    /// Name that the server shows in its logs, without blanks; the default is `tieline`.
    pub server_name: String,
    /// Where clients connect.
    pub listen: BrokerAddress,
    /// Where the monitoring endpoint listens, if anywhere. It needs no password: keep it on
    /// loopback or behind a firewall.
    pub monitor: Option<BrokerAddress>,
    /// Directory of the rings. Losing it loses nothing: the orgs send again.
    pub store_dir: PathBuf,
    /// Most bytes that all rings may take on disk; the server reserves a ring's full size, which
    /// is a little more than two windows, when the ring is made.
    pub max_file_store: u64,
    /// Most connections that one org may have: each needs a ring of its own.
    pub org_connections_max: u32,
    /// Makes the broker fsync each message before it acknowledges it. Tieline does not need it
    /// (only receipts count) and it costs speed; needs nats-server 2.10.
    pub sync_always: bool,
    /// Who may use the broker.
    pub orgs: Vec<OrgAccess>,
}

/// One org at the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrgAccess {
    /// Its name: a token of subjects, and the name of its accounts.
    pub name: OrgName,
    /// Public nkey of the user that reads its inbox.
    pub inbox_public: String,
    /// Public nkey of the user that writes to partners.
    pub sender_public: String,
}

impl From<PublicKeys> for OrgAccess {
    fn from(keys: PublicKeys) -> Self {
        Self { name: keys.org, inbox_public: keys.inbox, sender_public: keys.sender }
    }
}

/// Why a plan makes no configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The server would refuse its own name.
    #[error("Server name {name:?} is not valid: use at least one character and no blanks")]
    InvalidServerName {
        /// The name.
        name: String,
    },
    /// Two orgs of one name would share an inbox.
    #[error("Org {name} is named twice: give each org one entry")]
    DuplicateOrg {
        /// The name.
        name: OrgName,
    },
    /// Two users of one key: the server could not tell them apart.
    #[error("Orgs {first} and {second} use the same key {key}: each needs two keys of its own")]
    DuplicateKey {
        /// The org that has the key first.
        first: OrgName,
        /// The org that has it again; the same org where its two users share one key.
        second: OrgName,
        /// The public key.
        key: String,
    },
    /// Not the public key of a NATS user.
    #[error(
        "Key {key:?} of org {org} is not the public nkey of a user (U…): copy it from the org's public.json"
    )]
    InvalidKey {
        /// The org.
        org: OrgName,
        /// The text, cut to 80 characters.
        key: String,
    },
}

impl BrokerPlan {
    /// A plan with the usual limits: 10 GiB of rings, 1,000 connections per org, no monitoring.
    #[must_use]
    pub fn new(listen: BrokerAddress, store_dir: PathBuf) -> Self {
        Self {
            server_name: "tieline".into(),
            listen,
            monitor: None,
            store_dir,
            max_file_store: 10 << 30,
            org_connections_max: 1_000,
            sync_always: false,
            orgs: Vec::new(),
        }
    }

    /// Writes the configuration file. The same plan gives the same text, whatever the order of
    /// its orgs.
    ///
    /// # Errors
    /// [`PlanError`] for a name or key that is there twice, and for text that is none.
    pub fn render(&self) -> Result<String, PlanError> {
        if self.server_name.is_empty() || self.server_name.contains(char::is_whitespace) {
            return Err(PlanError::InvalidServerName { name: self.server_name.clone() });
        }
        let orgs = self.checked_orgs()?;
        let mut out = String::with_capacity(512 + orgs.len() * 1_024);
        // Writing to a String cannot fail, so the results below carry nothing.
        self.server(&mut out).ok();
        hub(&mut out, &orgs).ok();
        for org in orgs.values() {
            self.accounts(&mut out, org).ok();
        }
        out.push_str("}\n");
        Ok(out)
    }

    fn checked_orgs(&self) -> Result<BTreeMap<&OrgName, &OrgAccess>, PlanError> {
        let mut orgs = BTreeMap::new();
        let mut owners: BTreeMap<&str, &OrgName> = BTreeMap::new();
        for org in &self.orgs {
            if orgs.insert(&org.name, org).is_some() {
                return Err(PlanError::DuplicateOrg { name: org.name.clone() });
            }
            for key in [&org.inbox_public, &org.sender_public] {
                if !key.starts_with('U') || nkeys::from_public_key(key).is_err() {
                    let key = key.chars().take(80).collect();
                    return Err(PlanError::InvalidKey { org: org.name.clone(), key });
                }
                if let Some(first) = owners.insert(key, &org.name) {
                    let (first, second) = (first.clone(), org.name.clone());
                    return Err(PlanError::DuplicateKey { first, second, key: key.clone() });
                }
            }
        }
        Ok(orgs)
    }

    fn server(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "# Written by tieline. Write it again when orgs come or go, then reload the server twice:"
        )?;
        writeln!(out, "# it connects accounts that are new to the others with the second reload alone.")?;
        writeln!(out, "server_name: {}", quoted(&self.server_name))?;
        writeln!(out, "listen: {}", quoted(&self.listen.to_string()))?;
        if let Some(monitor) = &self.monitor {
            writeln!(out, "http: {}", quoted(&monitor.to_string()))?;
        }
        writeln!(out, "max_payload: {BROKER_PAYLOAD_BYTES}")?;
        writeln!(out, "jetstream {{")?;
        writeln!(out, "  store_dir: {}", quoted(&self.store_dir.to_string_lossy()))?;
        writeln!(out, "  max_file_store: {}", self.max_file_store)?;
        if self.sync_always {
            writeln!(out, "  sync_interval: always")?;
        }
        writeln!(out, "}}")
    }

    fn accounts(&self, out: &mut String, org: &OrgAccess) -> std::fmt::Result {
        let OrgAccess { name, inbox_public, sender_public } = org;
        // A ring has one reader; a second exists for a while when the reader starts over.
        let (streams, consumers) = (self.org_connections_max, self.org_connections_max.saturating_mul(8));
        let limits = format!(
            "limits: {{ max_connections: {ACCOUNT_CONNECTIONS}, max_subscriptions: {ACCOUNT_SUBSCRIPTIONS} }}"
        );
        write!(
            out,
            r#"  "in_{name}" {{
    jetstream: {{ max_streams: {streams}, max_consumers: {consumers} }}
    {limits}
    users: [ {{ nkey: "{inbox_public}", permissions: {{ publish: {{ deny: ["$JS.API.ACCOUNT.>"] }} }} }} ]
    exports: [ {{ service: "tl.{name}.*.>", accounts: ["HUB"] }} ]
  }}
  "{name}" {{
    {limits}
    users: [ {{ nkey: "{sender_public}", permissions: {{ publish: ["to.>"], subscribe: ["_INBOX.>"] }} }} ]
    imports: [ {{ service: {{ account: "HUB", subject: "tl.*.{name}.>" }}, to: "to.*.>" }} ]
  }}
"#
        )
    }
}

fn hub(out: &mut String, orgs: &BTreeMap<&OrgName, &OrgAccess>) -> std::fmt::Result {
    writeln!(out, "accounts {{\n  \"HUB\" {{\n    imports: [")?;
    for name in orgs.keys() {
        writeln!(out, r#"      {{ service: {{ account: "in_{name}", subject: "tl.{name}.*.>" }} }}"#)?;
    }
    writeln!(out, "    ]\n    exports: [ {{ service: \"tl.*.*.>\", account_token_position: 3 }} ]\n  }}")
}

/// A string of the configuration language. Unquoted text could be read as a number, a size or a
/// variable.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::OrgKeys;

    fn access(name: &str) -> OrgAccess {
        OrgKeys::generate(name.parse().unwrap()).unwrap().public().into()
    }

    fn plan(orgs: Vec<OrgAccess>) -> BrokerPlan {
        BrokerPlan { orgs, ..BrokerPlan::new("127.0.0.1:4222".parse().unwrap(), "/var/lib/broker".into()) }
    }

    #[test]
    fn an_org_gets_two_accounts_and_a_place_in_the_hub() {
        let alpha = access("alpha");
        let text = plan(vec![alpha.clone()]).render().unwrap();
        for part in [
            r#"{ service: { account: "in_alpha", subject: "tl.alpha.*.>" } }"#,
            r#"exports: [ { service: "tl.*.*.>", account_token_position: 3 } ]"#,
            r#"exports: [ { service: "tl.alpha.*.>", accounts: ["HUB"] } ]"#,
            r#"imports: [ { service: { account: "HUB", subject: "tl.*.alpha.>" }, to: "to.*.>" } ]"#,
            r#"permissions: { publish: ["to.>"], subscribe: ["_INBOX.>"] }"#,
            r#"permissions: { publish: { deny: ["$JS.API.ACCOUNT.>"] } }"#,
            &alpha.inbox_public,
            &alpha.sender_public,
        ] {
            assert_eq!(text.matches(part).count(), 1, "{part} in\n{text}");
        }
        assert!(!text.contains("sync_interval"), "2.9 does not know it");
    }

    #[test]
    fn the_order_of_orgs_does_not_matter() {
        let (a, b) = (access("a"), access("b"));
        let forth = plan(vec![a.clone(), b.clone()]).render();
        assert_eq!(forth, plan(vec![b, a]).render());
    }

    #[test]
    fn what_two_orgs_may_not_share_is_refused() {
        let (a, b) = (access("a"), access("b"));
        let twice = plan(vec![a.clone(), OrgAccess { name: a.name.clone(), ..b.clone() }]).render();
        assert_eq!(twice, Err(PlanError::DuplicateOrg { name: a.name.clone() }));
        let shared = OrgAccess { sender_public: a.inbox_public.clone(), ..b.clone() };
        let expected = PlanError::DuplicateKey {
            first: a.name.clone(),
            second: b.name.clone(),
            key: a.inbox_public.clone(),
        };
        assert_eq!(plan(vec![a, shared]).render(), Err(expected));
        for key in ["", "UABC", "x\" } evil: {", &"U".repeat(56)] {
            let bad = OrgAccess { inbox_public: key.into(), ..b.clone() };
            assert!(matches!(plan(vec![bad]).render(), Err(PlanError::InvalidKey { .. })), "{key}");
        }
    }

    #[test]
    fn a_server_name_has_no_blanks() {
        for name in ["", "two words", "line\n"] {
            let plan = BrokerPlan { server_name: name.into(), ..plan(vec![]) };
            assert_eq!(plan.render(), Err(PlanError::InvalidServerName { name: name.into() }));
        }
    }

    #[test]
    fn text_is_quoted() {
        assert_eq!(quoted("a\"b\\c\n"), r#""a\"b\\c\n""#);
    }
}
