//! `tieline share`: offers records to partners, and stops sharing them.

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use serde_json::{Value as Json, json};
use tieline_core::{ObjectName, RecordId, ShareId, ViewName};

use super::{body, list, saved};
use crate::client::path;
use crate::error::{CliError, Result};
use crate::output::{Column, Output, plain, reasons, text, time, with};
use crate::session::Session;

/// Offer records to partners.
#[derive(Debug, Subcommand)]
pub(crate) enum Share {
    /// Offer records to connections
    Forward(Forward),
    /// Stop sharing records: both sides keep their copies
    Stop(Stop),
    /// List the shares of a connection
    List(List),
    /// Try again what was refused on a share
    Retry(Retry),
}

/// Offer records.
#[derive(Debug, Args)]
pub(crate) struct Forward {
    /// The object of the records
    object: ObjectName,
    /// The records
    #[arg(required_unless_present_any = ["all", "view"])]
    records: Vec<RecordId>,
    /// What this list view chooses; it goes on as a job
    #[arg(long, value_name = "VIEW", conflicts_with_all = ["records", "all"])]
    view: Option<ViewName>,
    /// Every record of the object; it goes on as a job
    #[arg(long, conflicts_with = "records")]
    all: bool,
    /// To which connection; may be repeated: the first that accepts gets the record
    #[arg(long = "to", value_name = "CONNECTION", required = true)]
    connections: Vec<String>,
    /// Who may have each record: the first that accepts it, or all who do
    #[arg(long, value_name = "WHO", default_value = "first")]
    acceptors: Acceptors,
    /// Which tasks of each record follow once it is accepted
    #[arg(long, value_name = "WHICH", default_value = "none")]
    tasks: Tasks,
    /// Such tasks follow also when they are made later
    #[arg(long, requires = "tasks")]
    new_tasks: bool,
}

/// How many may have a record.
#[derive(Debug, Clone, Copy, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
enum Acceptors {
    First,
    All,
}

/// Which tasks of a record.
#[derive(Debug, Clone, Copy, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
enum Tasks {
    None,
    Open,
    Closed,
    All,
}

/// Stop sharing records.
#[derive(Debug, Args)]
pub(crate) struct Stop {
    /// The records
    #[arg(required_unless_present = "object")]
    records: Vec<RecordId>,
    /// Of this object: what --view chooses, or --all; it goes on as a job
    #[arg(long, value_name = "OBJECT", conflicts_with = "records")]
    object: Option<ObjectName>,
    /// What this list view chooses
    #[arg(long, value_name = "VIEW", requires = "object", conflicts_with = "all")]
    view: Option<ViewName>,
    /// Every record of the object
    #[arg(long, requires = "object", required_unless_present_any = ["records", "view"])]
    all: bool,
    /// With which connection
    #[arg(long = "to", value_name = "CONNECTION")]
    connection: String,
}

/// List shares.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Id, partner or label of the connection
    connection: String,
    /// Only those of this status
    #[arg(long)]
    status: Option<Status>,
    /// At most so many
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Go on where an earlier list ended
    #[arg(long)]
    cursor: Option<String>,
    /// Show them as they were after this event, or at this moment, as 2026-01-31T09:30:00Z
    #[arg(long, value_name = "SEQ|TIME")]
    at: Option<String>,
}

/// How a share stands.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Status {
    Offered,
    Accepting,
    Granted,
    Active,
    Declined,
    Taken,
    Inactive,
}

/// Try a share again.
#[derive(Debug, Args)]
pub(crate) struct Retry {
    /// Id, partner or label of the connection
    connection: String,
    /// The share
    share: ShareId,
}

const LIST: &[Column] = &[
    text("SHARE", "/share"),
    text("OBJECT", "/object"),
    text("RECORD", "/record"),
    text("DIRECTION", "/direction"),
    with("STATUS", "", status),
    text("BY", "/actor"),
    time("UPDATED", "/updated"),
    with("PROBLEM", "/problem/reasons", reasons),
];

impl Share {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let client = session.client()?;
        match self {
            Self::Forward(Forward {
                object,
                records,
                view,
                all,
                connections,
                acceptors,
                tasks,
                new_tasks,
            }) => {
                let chosen = match view {
                    Some(view) => ("view", json!(view)),
                    None if all => ("all", json!(true)),
                    None => ("records", json!(records)),
                };
                let body = body([
                    ("connections", json!(connections)),
                    ("object", json!(object)),
                    chosen,
                    ("acceptors", json!(acceptors)),
                    ("tasks", json!(tasks)),
                    ("new_tasks", json!(new_tasks)),
                ]);
                let answer = client.post(&path(["shares"]), &body)?;
                results::<RecordId>(session, &answer, "RECORD", &[])
            }
            Self::Stop(Stop { records, object, view, all, connection }) => {
                let chosen = match (object, view) {
                    (None, _) => vec![("records", json!(records))],
                    (Some(object), Some(view)) => vec![("object", json!(object)), ("view", json!(view))],
                    (Some(object), None) => vec![("object", json!(object)), ("all", json!(all))],
                };
                let body: serde_json::Map<String, Json> =
                    chosen.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
                let mut body = Json::Object(body);
                body["connection"] = json!(connection);
                let answer = client.post(&path(["shares", "stop"]), &body)?;
                results(session, &answer, "RECORD", &records)
            }
            Self::List(list) => list.run(session),
            Self::Retry(Retry { connection, share }) => {
                let route = path(["connections", &connection, "shares", &share.to_string(), "retry"]);
                let answer = client.post(&route, &json!({}))?;
                saved(session, &answer, &format!("Share {share} was tried again"))
            }
        }
    }
}

impl List {
    fn run(self, session: &Session) -> Result<()> {
        let query = [
            (
                "status",
                self.status.and_then(|status| Some(status.to_possible_value()?.get_name().to_owned())),
            ),
            ("limit", Some(self.limit.to_string())),
            ("cursor", self.cursor),
            super::when(self.at),
        ];
        let answer = session.client()?.get(&path(["connections", &self.connection, "shares"]), &query)?;
        session.output.show(&answer, |output| {
            output.list(LIST, list(&answer, "shares"))?;
            more(output, &answer);
            Ok(())
        })
    }
}

/// Shows what became of each of several things, or the jobs that go on with them. The answer names
/// the things, or has them in the order of `asked`. If any was refused, the command fails after all
/// are shown.
pub(super) fn results<T: ToString>(
    session: &Session,
    answer: &Json,
    heading: &str,
    asked: &[T],
) -> Result<()> {
    let rows = list(answer, "results");
    session.output.show(answer, |output| {
        for job in jobs(answer) {
            match job.get("job").and_then(Json::as_str) {
                Some(id) => output.status(&format!("Job {id} goes on with it; see it with tieline job list")),
                None => output.warn(&text_of(job.get("refused").unwrap_or(&Json::Null), "detail")),
            }
        }
        if rows.is_empty() {
            return Ok(());
        }
        output.grid(
            &[heading, "RESULT", "ID", "WHY NOT"],
            rows.iter().enumerate().map(|(at, row)| {
                let result = row.get("result").unwrap_or(row);
                let named = row.get("record").map(plain);
                let thing = named.or_else(|| asked.get(at).map(ToString::to_string)).unwrap_or_default();
                vec![thing, outcome(result).to_owned(), text_of(result, "id"), text_of(result, "detail")]
            }),
        )
    })?;
    let refused = rows.iter().map(|row| row.get("result").unwrap_or(row)).filter(|row| !is_ok(row)).count();
    let not_begun = jobs(answer).filter(|job| job.get("job").is_none()).count();
    match (refused, not_begun) {
        (0, 0) => Ok(()),
        (0, _) => Err(CliError::refused(format!("{not_begun} jobs were not begun"))),
        _ => Err(CliError::refused(format!("{refused} of {} were refused", rows.len()))),
    }
}

fn is_ok(result: &Json) -> bool {
    result.get("ok").and_then(Json::as_bool) == Some(true)
}

fn outcome(result: &Json) -> &'static str {
    match (is_ok(result), result.get("changed").and_then(Json::as_bool)) {
        (false, _) => "refused",
        (true, Some(false)) => "unchanged",
        (true, _) => "done",
    }
}

fn text_of(value: &Json, key: &str) -> String {
    value.get(key).map(plain).unwrap_or_default()
}

/// How a share stands, as `inactive (stopped)`.
pub(super) fn status(share: &Json) -> String {
    match text_of(share, "reason") {
        reason if reason.is_empty() => text_of(share, "status"),
        reason => format!("{} ({reason})", text_of(share, "status")),
    }
}

/// The jobs of an answer: one for each connection, or one for all.
fn jobs(answer: &Json) -> impl Iterator<Item = &Json> {
    list(answer, "jobs").iter().chain(answer.get("job"))
}

/// Says how to see the rest of a list.
pub(crate) fn more(output: &Output, answer: &Json) {
    if let Some(cursor) = answer.get("next").and_then(Json::as_str) {
        output.status(&format!("There is more: go on with --cursor {cursor}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit_code(answer: &Json) -> u8 {
        let session = Session::for_tests();
        results(&session, answer, "RECORD", &["a"]).map_or_else(|error| error.kind.exit_code(), |()| 0)
    }

    #[test]
    fn any_refusal_fails_the_command() {
        for (answer, code) in [
            (json!({"results": [{"ok": true, "id": "1", "changed": true}]}), 0),
            (json!({"results": [{"ok": true}, {"ok": false, "detail": "no"}]}), 3),
            (
                json!({"results": [{"connection": "c", "record": "r", "result": {"ok": false, "detail": "no"}}]}),
                3,
            ),
            (json!({"results": [{"connection": "c", "record": "r", "result": {"ok": true}}]}), 0),
            (json!({"jobs": [{"connection": "c", "job": "j"}]}), 0),
            (
                json!({"jobs": [{"connection": "c", "job": "j"}, {"connection": "d", "refused": {"ok": false}}]}),
                3,
            ),
            (json!({"job": {"connection": "c", "job": "j"}}), 0),
        ] {
            assert_eq!(exit_code(&answer), code, "{answer}");
        }
    }
}
