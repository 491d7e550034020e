//! `tieline explain`: why an event, a record, a message or a share is as it is.

use clap::{Args, Subcommand};
use serde_json::Value as Json;
use tieline_core::{ObjectName, RecordId, ShareId};

use super::list;
use crate::client::path;
use crate::error::Result;
use crate::output::{Column, Output, plain, reasons, text, time, with};
use crate::session::Session;

/// Say why something is as it is.
#[derive(Debug, Subcommand)]
pub(crate) enum Explain {
    /// What the command or message behind an event did: what came, how it was mapped, refused, written
    Event(Event),
    /// Where each value of a record comes from, and what waits
    Record(Record),
    /// What became of a message, stage by stage, and what would come of it today
    Message(Message),
    /// Everything that happened to a share, stage by stage, and what would come of it today
    Share(Share),
}

/// A message.
#[derive(Debug, Args)]
pub(crate) struct Message {
    /// Id, partner or label of the connection
    connection: String,
    /// Its position, as tieline failure list shows it
    position: u64,
    /// It is one that was sent; else it is one that came
    #[arg(long)]
    sent: bool,
}

/// A share.
#[derive(Debug, Args)]
pub(crate) struct Share {
    /// Id, partner or label of the connection
    connection: String,
    /// The share
    share: ShareId,
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

const ANSWERS: &[Column] = &[
    text("SEQ", "/seq"),
    time("WHEN", "/time"),
    text("ANSWER", "/text"),
    text("OUTCOME", "/outcome"),
    with("WHY", "/reasons", reasons),
];

const TODAY: &[Column] = &[
    text("FIELD", "/field"),
    with("THEN", "/then", super::record::pending),
    with("TODAY", "/today", super::record::pending),
];

/// Shows what happened to a message or a share.
fn trace(session: &Session, connection: &str, query: (&str, String)) -> Result<()> {
    let (key, value) = query;
    let route = path(["connections", connection, "explain"]);
    let answer = session.client()?.get(&route, &[(key, Some(value))])?;
    session.output.show(&answer, |output| {
        list(&answer, "stages").iter().try_for_each(|stage| show_stage(output, stage))
    })
}

fn show_stage(output: &Output, stage: &Json) -> Result<()> {
    let part = |of: &Json, key: &str| of.get(key).map(plain).unwrap_or_default();
    let (first, last) = (part(stage, "first"), part(stage, "last"));
    output.line(&format!("Events {first} to {last}, {}", part(stage, "time")))?;
    if let Some(rule) = stage.get("rule") {
        let (remote, local) = (part(rule, "remote"), part(rule, "local"));
        let now = rule.get("version_now").filter(|now| !now.is_null());
        let now = now.map_or_else(|| "not subscribed now".to_owned(), |now| format!("now {}", plain(now)));
        output.line(&format!("{remote} becomes {local} by mapping {} ({now})", part(rule, "version")))?;
    }
    output.table(STEPS, list(stage, "steps"))?;
    if !list(stage, "answers").is_empty() {
        output.table(ANSWERS, list(stage, "answers"))?;
    }
    let Some(today) = stage.get("today") else { return output.line("") };
    let same = today.get("same").and_then(Json::as_bool) == Some(true);
    let why = today.get("reasons").map(reasons).unwrap_or_default();
    let why = if why.is_empty() { why } else { format!(": {why}") };
    output.line(&match same {
        true => "By the rules of today it would end the same".to_owned(),
        false => format!("By the rules of today it would end {}{why}", part(today, "outcome")),
    })?;
    let differences = list(today, "differences");
    if !differences.is_empty() {
        output.table(TODAY, differences)?;
    }
    output.line("")
}

impl Explain {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::Event(Event { seq }) => {
                let answer = session.client()?.get(&path(["explain", &seq.to_string()]), &[])?;
                session.output.show(&answer, |output| output.table(STEPS, list(&answer, "steps")))
            }
            Self::Message(Message { connection, position, sent }) => {
                trace(session, &connection, (if sent { "sent" } else { "position" }, position.to_string()))
            }
            Self::Share(Share { connection, share }) => {
                trace(session, &connection, ("share", share.to_string()))
            }
            Self::Record(Record { object, id }) => {
                let route = path(["records", object.as_str(), &id.to_string(), "explain"]);
                let answer = session.client()?.get(&route, &[])?;
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
