//! `tieline record history`: what the tracked fields of a record were, and what it lost.

use clap::Args;
use serde_json::{Value as Json, json};
use tieline_core::{ObjectName, RecordId};

use crate::client::path;
use crate::commands::list;
use crate::error::Result;
use crate::output::{Column, text, time, with};
use crate::session::Session;

/// Entries of one request when all are asked for.
const PAGE: usize = 1_000;

/// Show what the tracked fields of a record were: old and new value, by whom, when, over which connection.
#[derive(Debug, Args)]
pub(crate) struct History {
    /// The object
    object: ObjectName,
    /// The record
    id: RecordId,
    /// Only this field
    #[arg(long, value_name = "FIELD")]
    field: Option<String>,
    /// Only values that were lost against others that their writers had not seen, of all fields
    #[arg(long)]
    conflicts: bool,
    /// About so many entries
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
    text("FIELD", "/field"),
    with("OLD", "/old", value),
    with("NEW", "/new", value),
    with("LOST", "/lost", value),
    text("WHOSE", "/loser"),
    text("BY", "/actor"),
    text("CONNECTION", "/partner"),
];

impl History {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let client = session.client()?;
        let route = path(["records", self.object.as_str(), &self.id.to_string(), "field-history"]);
        let page = |limit: usize, cursor: Option<u64>| {
            let query = [
                ("field", self.field.clone()),
                ("conflicts", self.conflicts.then(|| "true".to_owned())),
                ("limit", Some(limit.to_string())),
                ("cursor", cursor.map(|cursor| cursor.to_string())),
            ];
            client.get(&route, &query)
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

/// Every page of a list whose cursor is a number, as one.
pub(crate) fn all(key: &str, page: impl Fn(Option<u64>) -> Result<Json>) -> Result<Json> {
    let (mut rows, mut cursor) = (Vec::new(), None);
    loop {
        let answer = page(cursor)?;
        rows.extend_from_slice(list(&answer, key));
        cursor = answer.get("next").and_then(Json::as_u64);
        if cursor.is_none() {
            return Ok(json!({ key: rows, "next": null }));
        }
    }
}

/// Tells how to go on, if there is more.
pub(crate) fn more(output: &crate::output::Output, answer: &Json) {
    if let Some(next) = answer.get("next").and_then(Json::as_u64) {
        output.status(&format!("There is more: go on with --cursor {next}, or take --all"));
    }
}

/// A value; one that takes a value away has a word of its own.
fn value(value: &Json) -> String {
    super::pending(value)
}
