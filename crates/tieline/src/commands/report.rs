//! `tieline report`: what is listed of records, shares, updates by connections, and connections.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};
use tieline_core::ReportName;

use super::{list, saved};
use crate::client::path;
use crate::error::{CliError, Result};
use crate::output::{Column, moment, plain, text, with};
use crate::session::Session;

/// Rows of one request when all are asked for.
const PAGE: usize = 50_000;

/// See, define and run reports.
#[derive(Debug, Subcommand)]
pub(crate) enum Report {
    /// List the reports: those that every org has, and those that were defined
    List,
    /// Show the definition of a report as JSON
    Show(One),
    /// Define a report, or change it, by a file
    Set(Set),
    /// Remove a report
    Remove(One),
    /// Run a report: a table, CSV or JSON
    Run(Run),
}

/// A report.
#[derive(Debug, Args)]
pub(crate) struct One {
    /// The report
    report: ReportName,
}

/// Define a report.
#[derive(Debug, Args)]
pub(crate) struct Set {
    /// The report
    report: ReportName,
    /// A TOML or JSON file: object, rows, columns, and as needed filter, connection, connected, since,
    /// until, last_days, group_by, summaries, sort, label; - is standard input
    file: PathBuf,
}

/// Run a report.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The report
    report: ReportName,
    /// At most so many rows
    #[arg(long, default_value_t = 1_000)]
    limit: usize,
    /// All of them
    #[arg(long, conflicts_with_all = ["limit", "offset"])]
    all: bool,
    /// Pass over so many rows
    #[arg(long, value_name = "ROWS")]
    offset: Option<usize>,
    /// Of updates: only those from this moment on, as 2026-01-31 or 2026-01-31T09:30:00Z; the times
    /// of a run replace those of the definition
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Of updates: only those before this moment
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Write CSV
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

const REPORTS: &[Column] =
    &[
        text("REPORT", "/definition/name"),
        text("LABEL", "/definition/label"),
        text("OBJECT", "/definition/object"),
        text("ROWS", "/definition/rows"),
        with("", "/built_in", |built_in| {
            if *built_in == json!(true) { "in every org".to_owned() } else { String::new() }
        }),
    ];

impl Report {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::List => {
                let answer = session.client()?.get(&path(["reports"]), &[])?;
                session.output.show(&answer, |output| output.list(REPORTS, list(&answer, "reports")))
            }
            Self::Show(One { report }) => {
                let answer = session.client()?.get(&path(["reports", report.as_str()]), &[])?;
                let definition = answer.get("definition").cloned().unwrap_or_default();
                session.output.show(&answer, |output| output.answer(&definition))
            }
            Self::Set(set) => set.run(session),
            Self::Remove(One { report }) => {
                let answer = session.client()?.delete(&path(["reports", report.as_str()]))?;
                saved(session, &answer, &format!("Report {report} was removed"))
            }
            Self::Run(run) => run.run(session),
        }
    }
}

impl Set {
    fn run(self, session: &Session) -> Result<()> {
        let name = self.file.display().to_string();
        let text = if self.file == std::path::Path::new("-") {
            std::io::read_to_string(std::io::stdin())
        } else {
            std::fs::read_to_string(&self.file)
        };
        let text = text.map_err(|error| crate::import::unreadable(&name, &error))?;
        let definition = definition(&name, &text)?;
        let answer = session.client()?.put(&path(["reports", self.report.as_str()]), &definition)?;
        saved(session, &answer, &format!("Report {} was saved", self.report))
    }
}

/// The definition that a file holds.
fn definition(name: &str, text: &str) -> Result<Json> {
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|error| {
            CliError::refused(format!("{name} does not hold one JSON object")).caused_by(&error)
        });
    }
    toml::from_str(text).map_err(|error| CliError::refused(format!("{name} is not TOML")).caused_by(&error))
}

impl Run {
    fn run(self, session: &Session) -> Result<()> {
        let query = [
            ("limit", Some(if self.all { PAGE } else { self.limit }.to_string())),
            ("offset", self.offset.map(|offset| offset.to_string())),
            ("since", self.since.clone()),
            ("until", self.until.clone()),
        ];
        let answer = session.client()?.get(&path(["reports", self.report.as_str(), "run"]), &query)?;
        let columns: Vec<&str> = list(&answer, "columns").iter().filter_map(Json::as_str).collect();
        let rows = list(&answer, "rows");
        if answer.get("truncated").and_then(Json::as_bool) == Some(true) {
            session.output.warn(
                "There is more than one run of a report takes: filter it, or name a time with --since and --until",
            );
        }
        if self.csv {
            return session.output.raw_sheet(&columns, rows);
        }
        session.output.show(&answer, |output| {
            let headings: Vec<String> = columns.iter().map(|column| column.to_uppercase()).collect();
            let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
            let cells = |row: &Json| {
                let cells = row.as_array().into_iter().flatten().zip(&columns);
                cells.map(|(cell, column)| if is_time(column) { moment(cell) } else { plain(cell) }).collect()
            };
            output.grid(&headings, rows.iter().map(cells))?;
            if let Some(next) = answer.get("next").and_then(Json::as_u64) {
                output.status(&format!("There is more: go on with --offset {next}, or take --all"));
            }
            Ok(())
        })
    }
}

fn is_time(column: &str) -> bool {
    const TIMES: [&str; 6] = [
        "record.created",
        "record.modified",
        "share.offered",
        "share.updated",
        "connection.since",
        "update.time",
    ];
    TIMES.contains(&column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_toml_or_json() {
        let expected = json!({"object": "Lead", "rows": "shares", "columns": ["Company"]});
        for text in [
            "object = \"Lead\"\nrows = \"shares\"\ncolumns = [\"Company\"]\n",
            r#" {"object": "Lead", "rows": "shares", "columns": ["Company"]}"#,
        ] {
            assert_eq!(definition("f", text).unwrap(), expected);
        }
        assert!(definition("f", "{").is_err() && definition("f", "object").is_err());
    }
}
