//! `tieline explain`: why an event or a record is as it is.

use clap::{Args, Subcommand};
use tieline_core::{ObjectName, RecordId};

use super::list;
use crate::client::path;
use crate::error::Result;
use crate::output::{Column, reasons, text, time, with};
use crate::session::Session;

/// Say why something is as it is.
#[derive(Debug, Subcommand)]
pub(crate) enum Explain {
    /// What the command or message behind an event did: what came, how it was mapped, refused, written
    Event(Event),
    /// Where each value of a record comes from, and what waits
    Record(Record),
}

/// An event.
#[derive(Debug, Args)]
pub(crate) struct Event {
    /// Its number
    seq: u64,
}

/// A record.
#[derive(Debug, Args)]
pub(crate) struct Record {
    /// The object
    object: ObjectName,
    /// The record
    id: RecordId,
}

const STEPS: &[Column] = &[
    text("SEQ", "/seq"),
    text("WHAT", "/what"),
    text("", "/text"),
    with("FROM", "/from", super::record::pending),
    with("TO", "/to", super::record::pending),
    with("WHY", "/reasons", reasons),
];

const FIELDS: &[Column] = &[
    text("FIELD", "/field"),
    text("VALUE", "/value"),
    time("WRITTEN", "/written"),
    text("ORG", "/org"),
    text("CAME FROM", "/partner"),
    text("MAPPING", "/mapping"),
];

impl Explain {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let client = session.client()?;
        match self {
            Self::Event(Event { seq }) => {
                let answer = client.get(&path(["explain", &seq.to_string()]), &[])?;
                session.output.show(&answer, |output| output.table(STEPS, list(&answer, "steps")))
            }
            Self::Record(Record { object, id }) => {
                let route = path(["records", object.as_str(), &id.to_string(), "explain"]);
                let answer = client.get(&route, &[])?;
                session.output.show(&answer, |output| {
                    output.table(FIELDS, list(&answer, "fields"))?;
                    for (title, key, columns) in
                        [("Waiting", "pending", STEPS), ("Shares", "shares", super::record::SHARES)]
                    {
                        let rows = list(&answer, key);
                        if !rows.is_empty() {
                            output.line(&format!("\n{title}"))?;
                            output.table(columns, rows)?;
                        }
                    }
                    Ok(())
                })
            }
        }
    }
}
