//! `tieline changes`: what happens to the records of the org, for other software.

use std::io::BufRead;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use serde_json::Value as Json;
use tieline_core::ObjectName;

use super::list;
use crate::client::path;
use crate::error::{CliError, Kind, Result};
use crate::output::{Column, text, time, with};
use crate::session::Session;

/// The pause between two tries to reach the daemon again.
const RETRY_EVERY: Duration = Duration::from_millis(200);

/// Follow what happens to the records of the org, from any position.
#[derive(Debug, Subcommand)]
pub(crate) enum Changes {
    /// List changes of records after a position
    List(List),
    /// Follow changes of records as they happen, until Ctrl-C
    Follow(Follow),
}

/// Which changes.
#[derive(Debug, Args)]
struct Filter {
    /// Only of this object
    #[arg(long, value_name = "OBJECT")]
    object: Option<ObjectName>,
    /// Only what came over this connection
    #[arg(long, value_name = "CONNECTION")]
    connection: Option<String>,
}

/// List changes.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Changes after this one
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    after: u64,
    /// The life of the log that the position is of: fails if a restore has begun another one
    #[arg(long, value_name = "LIFE")]
    life: Option<String>,
    #[command(flatten)]
    filter: Filter,
    /// At most so many
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Wait so many seconds for a change if there is none
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u64>,
}

/// Follow changes.
#[derive(Debug, Args)]
pub(crate) struct Follow {
    /// Changes after this one; without it, those that happen from now on
    #[arg(long, value_name = "SEQ")]
    after: Option<u64>,
    /// The life of the log that the position is of: fails if a restore has begun another one
    #[arg(long, value_name = "LIFE", requires = "after")]
    life: Option<String>,
    #[command(flatten)]
    filter: Filter,
    /// Try so many seconds to reach a daemon that has gone, and go on where the stream broke off
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    retry: u64,
}

const CHANGES: &[Column] = &[
    text("SEQ", "/seq"),
    time("TIME", "/time"),
    text("ACTION", "/action"),
    text("OBJECT", "/object"),
    text("RECORD", "/record"),
    text("BY", "/actor"),
    with("VALUES", "/fields", super::record::values),
];

impl Changes {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::List(list) => list.run(session),
            Self::Follow(follow) => follow.run(session),
        }
    }
}

impl Filter {
    fn object(&self) -> Option<String> {
        self.object.as_ref().map(ToString::to_string)
    }
}

impl List {
    fn run(self, session: &Session) -> Result<()> {
        let query = [
            ("after", Some(self.after.to_string())),
            ("life", self.life.clone()),
            ("object", self.filter.object()),
            ("connection", self.filter.connection.clone()),
            ("limit", Some(self.limit.to_string())),
            ("wait", self.wait.map(|wait| wait.to_string())),
        ];
        let answer = session.client()?.get(&path(["changes"]), &query)?;
        session.output.show(&answer, |output| {
            output.table(CHANGES, list(&answer, "changes"))?;
            if let Some((next, life)) = answer.get("next").zip(answer.get("life").and_then(Json::as_str)) {
                output.status(&format!("Go on with --after {next} --life {life}"));
            }
            Ok(())
        })
    }
}

/// How a stream ended.
enum End {
    /// The daemon went away, or stops.
    Gone(CliError),
    /// Nothing will make it go on.
    Over(CliError),
}

impl Follow {
    fn run(mut self, session: &Session) -> Result<()> {
        let patience = Duration::from_secs(self.retry);
        let mut reached = Instant::now();
        loop {
            let before = self.after;
            match self.once(session) {
                Ok(never) => match never {},
                Err(End::Over(error)) => return Err(error),
                Err(End::Gone(error)) => {
                    if self.after != before {
                        reached = Instant::now();
                    }
                    if reached.elapsed() >= patience {
                        let after = self.after.map_or_else(String::new, |after| format!(" --after {after}"));
                        let life =
                            self.life.as_ref().map_or_else(String::new, |life| format!(" --life {life}"));
                        return Err(error.hint(format!("Go on with tieline changes follow{after}{life}")));
                    }
                    std::thread::sleep(RETRY_EVERY);
                }
            }
        }
    }

    /// Follows one stream to its end; what was shown is remembered.
    fn once(&mut self, session: &Session) -> Result<std::convert::Infallible, End> {
        let gone = |error: CliError| match error.kind {
            Kind::NotReachable => End::Gone(error),
            _ => End::Over(error),
        };
        let query = [
            ("after", self.after.map(|after| after.to_string())),
            ("life", self.life.clone()),
            ("object", self.filter.object()),
            ("connection", self.filter.connection.clone()),
        ];
        let client = session.client().map_err(End::Over)?;
        let stream = client.lines(&path(["changes", "stream"]), &query).map_err(gone)?;
        let mut event = String::new();
        for line in stream.lines() {
            let line = line.map_err(|error| {
                let broke = CliError::new(Kind::NotReachable, "The daemon does not send any more");
                End::Gone(broke.caused_by(&error))
            })?;
            if let Some(name) = line.strip_prefix("event:") {
                event = name.trim().to_owned();
            } else if let Some(data) = line.strip_prefix("data:") {
                self.take(session, &event, data.trim_start())?;
            }
        }
        Err(End::Gone(CliError::new(Kind::NotReachable, "The daemon has ended the stream")))
    }

    fn take(&mut self, session: &Session, event: &str, data: &str) -> Result<(), End> {
        let told: Json = serde_json::from_str(data).unwrap_or_default();
        let number = |key: &str| told.get(key).and_then(Json::as_u64);
        match event {
            "change" => {
                let shown = if session.output.is_json() {
                    session.output.line(data)
                } else {
                    session.output.row(CHANGES, &told)
                };
                shown.map_err(End::Over)?;
                self.after = number("seq").or(self.after);
            }
            "position" => {
                self.after = number("after").or(self.after);
                self.life = told.get("life").and_then(Json::as_str).map(str::to_owned);
            }
            "last" => {
                self.after = number("after").or(self.after);
                let code = told.get("code").and_then(Json::as_str).unwrap_or_default();
                let text = format!("The daemon has ended the stream: {code}");
                return Err(match code {
                    "no_permission" => End::Over(CliError::new(Kind::NoPermission, text)),
                    "log_set_back" => End::Over(CliError::new(Kind::Conflict, text)),
                    _ => End::Gone(CliError::new(Kind::NotReachable, text)),
                });
            }
            _ => {}
        }
        Ok(())
    }
}
