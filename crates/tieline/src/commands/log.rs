//! `tieline log`: what happened to the org, event by event.
//!
//! `show`, `verify` and `export` ask the daemon if it runs, and else read the log in the data
//! directory themselves: without rebuilding the state, so that history can be read when replay fails.
//! `import` makes a log where there is none.

pub(crate) mod transfer;

use std::io::BufRead;

use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};
use tieline_core::{RecordId, Seq};
use tieline_daemon::run::read_log;
use tieline_store::{LogReader, OpenError};

use super::list;
use crate::client::path;
use crate::error::{CliError, Kind, Result};
use crate::output::{Column, text, time, with};
use crate::session::Session;
use transfer::{Export, Import};

/// Read, follow, verify, export and import the log.
#[derive(Debug, Subcommand)]
pub(crate) enum Log {
    /// Show events; without a daemon, from the data directory
    Show(Show),
    /// Follow the log: show events as they happen, until Ctrl-C
    Tail(Tail),
    /// Check every block of the log and its chain; without a daemon, in the data directory
    Verify,
    /// Write the whole log to a file, while the daemon runs or without it
    Export(Export),
    /// Read an exported log into a data directory that has none
    Import(Import),
}

/// Show events.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The first event
    #[arg(long, value_name = "SEQ", default_value_t = 1)]
    from: u64,
    /// At most so many
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Only those of this connection
    #[arg(long, value_name = "CONNECTION")]
    connection: Option<String>,
    /// Only those of this record
    #[arg(long)]
    record: Option<RecordId>,
}

/// Follow the log.
#[derive(Debug, Args)]
pub(crate) struct Tail {
    /// The first event; without it, the next that happens
    #[arg(long, value_name = "SEQ")]
    from: Option<u64>,
}

/// An event in a table.
const EVENTS: &[Column] =
    &[text("SEQ", "/seq"), time("TIME", "/time"), text("EVENT", "/name"), with("", "/body", gist)];

impl Log {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::Show(show) => show.run(session),
            Self::Tail(tail) => tail.run(session),
            Self::Verify => verify(session),
            Self::Export(export) => export.run(session),
            Self::Import(import) => import.run(session),
        }
    }
}

impl Show {
    fn run(self, session: &Session) -> Result<()> {
        let online = || {
            let query = [
                ("from", Some(self.from.to_string())),
                ("limit", Some(self.limit.to_string())),
                ("connection", self.connection.clone()),
                ("record", self.record.map(|record| record.to_string())),
            ];
            session.client()?.get(&path(["log"]), &query)
        };
        let answer = online_or(session, online, |log| self.read(log))?;
        session.output.show(&answer, |output| {
            output.table(EVENTS, list(&answer, "events"))?;
            if let Some(next) = answer.get("next").and_then(Json::as_u64) {
                output.status(&format!("There is more: go on with --from {next}"));
            }
            Ok(())
        })
    }

    fn read(&self, log: &LogReader) -> Result<Json> {
        let connection = self.connection.as_deref().map(str::parse).transpose();
        let connection = connection.map_err(|error: tieline_core::InvalidId| {
            CliError::from_error(Kind::Usage, &error).hint("Without a daemon a connection is named by its id")
        })?;
        tieline_daemon::api::log_page(log, Seq(self.from), self.limit, connection, self.record)
            .map_err(|error| CliError::from_error(Kind::Internal, &error))
    }
}

impl Tail {
    fn run(self, session: &Session) -> Result<()> {
        let query = [("from", self.from.map(|from| from.to_string()))];
        let stream = session.client()?.lines(&path(["log", "stream"]), &query)?;
        for line in stream.lines() {
            let line = line.map_err(|error| {
                CliError::new(Kind::NotReachable, "The daemon does not send any more").caused_by(&error)
            })?;
            // Of a server-sent event only the data is wanted: it names its seq and kind itself.
            let Some(data) = line.strip_prefix("data:").map(str::trim_start) else { continue };
            if session.output.is_json() {
                session.output.line(data)?;
            } else {
                let event: Json = serde_json::from_str(data).unwrap_or_default();
                session.output.row(EVENTS, &event)?;
            }
        }
        Err(CliError::new(Kind::NotReachable, "The daemon has ended the stream")
            .hint("See whether it still runs"))
    }
}

fn verify(session: &Session) -> Result<()> {
    let online = || session.client()?.get(&path(["log", "verify"]), &[]);
    let answer = online_or(session, online, |log| {
        let report = log.verify(|_| {});
        Ok(json!({
            "ok": report.damage.is_none(), "events": report.events, "groups": report.groups, "blocks": report.blocks,
            "seq": report.head.seq.0, "hash": report.head.hash.to_string(),
            "damage": report.damage.map(|damage| damage.to_string()),
        }))
    })?;
    session.output.show(&answer, |output| {
        let facts = [
            text("Events", "/events"),
            text("Groups", "/groups"),
            text("Blocks", "/blocks"),
            text("Right up to", "/seq"),
            text("Hash", "/hash"),
            text("Damage", "/damage"),
        ];
        output.facts(&facts, &answer)
    })?;
    if answer.get("ok").and_then(Json::as_bool) == Some(true) {
        return Ok(());
    }
    Err(CliError::refused("The log is damaged").hint(
        "Keep a copy of the data directory; then import a backup of the log into an empty one, or let partners \
         send again what they know after tieline serve --recover",
    ))
}

/// What the daemon answers; if none runs, what its log says.
fn online_or<T>(
    session: &Session,
    online: impl FnOnce() -> Result<T>,
    read: impl FnOnce(&LogReader) -> Result<T>,
) -> Result<T> {
    match online() {
        Err(error) if error.kind == Kind::NotReachable && session.local_data_dir().is_some() => {
            let log = offline(session)?;
            session.output.status("No daemon runs: reading the log in the data directory");
            read(&log)
        }
        answer => answer,
    }
}

/// The log in the data directory, which no daemon may use.
fn offline(session: &Session) -> Result<LogReader> {
    let config = session.config()?;
    read_log(&config.data_dir).map_err(|error| match error {
        OpenError::Locked { .. } => CliError::new(Kind::Conflict, "The log is in use")
            .caused_by(&error)
            .hint("Stop the daemon first; while it runs, only it can read its log"),
        OpenError::NoLog { .. } => CliError::from_error(Kind::NotFound, &error),
        _ => CliError::from_error(Kind::Internal, &error),
    })
}

/// What an event is about, in one line: the ids and names in its body, without its content.
fn gist(body: &Json) -> String {
    const SHOWN: [&str; 10] = [
        "object",
        "record",
        "action",
        "actor",
        "user",
        "connection",
        "share",
        "position",
        "outcome",
        "reasons",
    ];
    let shown = |key: &&str| {
        let value = body.get(*key).filter(|value| !value.is_null() && **value != json!([]))?;
        Some(format!("{key}={}", crate::output::plain(value)))
    };
    SHOWN.iter().filter_map(shown).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gist_of_an_event_is_what_it_is_about() {
        let body = json!({"record": "r", "object": "Lead", "content": {"values": {"Name": "x"}}, "share": null, "reasons": []});
        assert_eq!(gist(&body), "object=Lead record=r");
        assert_eq!(gist(&json!(null)), "");
    }
}
