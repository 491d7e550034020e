//! `tieline connection audit`: every action on a connection, and everything that was refused.

use clap::Args;

use crate::client::path;
use crate::commands::list;
use crate::commands::record::history::{all, more};
use crate::error::Result;
use crate::output::{Column, reasons, text, time, with};
use crate::session::Session;

/// Entries of one request when all are asked for.
const PAGE: usize = 1_000;

/// Show every action on a connection and everything that was refused, the newest first.
#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// Id, partner or label of the connection
    connection: String,
    #[command(flatten)]
    entries: Entries,
}

/// Which entries of an audit.
#[derive(Debug, Args)]
pub(crate) struct Entries {
    /// Only this action, as the list names it; failures is all that was refused
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// Only what this user did
    #[arg(long, value_name = "USER")]
    actor: Option<String>,
    /// Only from this moment on, as 2026-01-31 or 2026-01-31T09:30:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only before this moment
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// All of them
    #[arg(long, conflicts_with_all = ["limit", "cursor"])]
    all: bool,
    /// Go on where an earlier list ended
    #[arg(long)]
    cursor: Option<u64>,
    /// Write CSV
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

const ENTRIES: &[Column] = &[
    text("SEQ", "/seq"),
    time("TIME", "/time"),
    text("ACTION", "/action"),
    text("BY", "/actor"),
    text("OBJECT", "/object"),
    text("RECORD", "/record"),
    text("DETAIL", "/detail"),
    with("WHY", "/reasons", reasons),
    text("SHARE", "/share"),
    text("POSITION", "/position"),
];

impl Audit {
    pub(super) fn run(self, session: &Session) -> Result<()> {
        self.entries.show(session, &path(["connections", &self.connection, "audit"]))
    }
}

impl Entries {
    /// Shows the entries of the audit that `route` names.
    pub(crate) fn show(self, session: &Session, route: &str) -> Result<()> {
        let client = session.client()?;
        let page = |limit: usize, cursor: Option<u64>| {
            let query = [
                ("action", self.action.clone()),
                ("actor", self.actor.clone()),
                ("since", self.since.clone()),
                ("until", self.until.clone()),
                ("limit", Some(limit.to_string())),
                ("cursor", cursor.map(|cursor| cursor.to_string())),
            ];
            client.get(route, &query)
        };
        let answer = if self.all {
            all("entries", |cursor| page(PAGE, cursor))?
        } else {
            page(self.limit, self.cursor)?
        };
        if self.csv {
            return session.output.sheet(ENTRIES, list(&answer, "entries"));
        }
        session.output.show(&answer, |output| {
            output.table(ENTRIES, list(&answer, "entries"))?;
            more(output, &answer);
            Ok(())
        })
    }
}
