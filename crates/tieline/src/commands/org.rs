//! `tieline org`: the org's part in sharing, its edition and its connection licences.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};
use tieline_core::people::Edition;

use super::{body, saved};
use crate::client::path;
use crate::commands::connection::audit::Entries;
use crate::error::Result;
use crate::output::{Column, plain, text, with};
use crate::session::Session;

/// See and change the org: edition, sharing, connection licences.
#[derive(Debug, Subcommand)]
pub(crate) enum Org {
    /// Show the org
    Show,
    /// Change edition and licences
    Set(Set),
    /// Enable sharing, for good: without it, no invitation is sent or answered
    Enable(Enable),
    /// Which fields of a lead become which of the account, contact and opportunity
    Conversion(Conversion),
    /// Show every change of settings, people and what they may do, the newest first
    Audit(Entries),
}

/// Change the org.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct Set {
    /// personal, group, team, professional, enterprise, unlimited, developer, trial or demo
    #[arg(long, value_name = "EDITION")]
    edition: Option<Edition>,
    /// How many invitations of this org may be pending or accepted at a time
    #[arg(long, value_name = "NUMBER")]
    connection_licences: Option<u32>,
    /// The company that it belongs to, which partners are told; an empty one is told no more
    #[arg(long, value_name = "NAME")]
    company: Option<String>,
}

/// Enable sharing.
#[derive(Debug, Args)]
pub(crate) struct Enable {
    /// Do not ask: it cannot be taken back
    #[arg(long, short)]
    yes: bool,
}

/// Show which fields of a lead become which of what it becomes, or set them.
#[derive(Debug, Args)]
pub(crate) struct Conversion {
    /// A TOML or JSON file with account, contact and opportunity: tables from their fields to those of the
    /// lead; - is standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Convert leads as everywhere again
    #[arg(long, conflicts_with = "file")]
    reset: bool,
}

impl Conversion {
    fn run(self, session: &Session) -> Result<()> {
        let (client, route) = (session.client()?, path(["conversion"]));
        if self.reset {
            let answer = client.delete(&route)?;
            return saved(session, &answer, "Leads are converted as everywhere");
        }
        if let Some(file) = self.file {
            let answer = client.put(&route, &super::definition(&file)?)?;
            return saved(session, &answer, "How leads are converted is set");
        }
        let answer = client.get(&route, &[])?;
        let of = |part: &'static str| {
            let fields = answer.get(part).and_then(Json::as_object).into_iter().flatten();
            fields.map(move |(to, from)| vec![plain(from), part.to_owned(), to.clone()])
        };
        session.output.show(&answer, |output| {
            let rows = ["account", "contact", "opportunity"].into_iter().flat_map(of);
            output.grid(&["FIELD OF THE LEAD", "BECOMES", "FIELD"], rows)
        })
    }
}

const FACTS: &[Column] = &[
    text("Org", "/name"),
    text("Edition", "/edition"),
    text("Company", "/company"),
    text("Sharing enabled", "/sharing_enabled"),
    with("Connection licences", "/connection_licences", licences),
];

/// Licences in one line.
pub(super) fn licences(licences: &Json) -> String {
    let number = |key: &str| licences.get(key).and_then(Json::as_u64).unwrap_or_default();
    format!("{} of {} in use", number("used"), number("max"))
}

impl Org {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::Show => {
                let answer = session.client()?.get(&path(["org"]), &[])?;
                session.output.show(&answer, |output| output.facts(FACTS, &answer))
            }
            Self::Set(Set { edition, connection_licences, company }) => {
                let change = body([
                    ("edition", json!(edition)),
                    ("connection_licences", json!(connection_licences)),
                    ("company", json!(company)),
                ]);
                let answer = session.client()?.patch(&path(["org"]), &change)?;
                saved(session, &answer, "The org was changed")
            }
            Self::Conversion(conversion) => conversion.run(session),
            Self::Audit(entries) => entries.show(session, &path(["audit"])),
            Self::Enable(Enable { yes }) => {
                let warning = "Sharing cannot be disabled again once it is enabled.";
                super::confirm(session, yes, warning, "Sharing was not enabled")?;
                let answer = session.client()?.post(&path(["org", "enable"]), &json!({}))?;
                saved(session, &answer, "Sharing is enabled")
            }
        }
    }
}
