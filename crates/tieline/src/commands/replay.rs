//! `tieline replay`: what a part of the log would come to today.

use clap::Args;
use tieline_core::{ObjectName, RecordId};

use super::list;
use crate::client::path;
use crate::error::{CliError, Result};
use crate::output::{Column, text, with};
use crate::session::Session;

/// Compare what a partner sent, by the mappings of now, with the records of now: nothing is written.
#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// Id, partner or label of the connection
    connection: String,
    /// Say that nothing is to be written; what differs comes through with tieline connection reconcile
    #[arg(long)]
    dry_run: bool,
    /// The first event
    #[arg(long, value_name = "SEQ")]
    from: Option<u64>,
    /// The last event
    #[arg(long, value_name = "SEQ")]
    to: Option<u64>,
    /// Only this object here
    #[arg(long, value_name = "OBJECT")]
    object: Option<ObjectName>,
    /// Only this record here
    #[arg(long, value_name = "RECORD")]
    record: Option<RecordId>,
    /// List at most so many differences
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

const COUNTS: &[Column] = &[
    text("Messages", "/messages"),
    text("Same", "/same"),
    text("Written later", "/later"),
    text("Different", "/differ"),
    text("Refused", "/refused"),
    text("Passed over", "/passed_over"),
    text("More than was read", "/truncated"),
];

const DIFFERENCES: &[Column] = &[
    text("RECORD", "/record"),
    text("FIELD", "/field"),
    with("NOW", "/now", super::record::pending),
    with("REPLAYED", "/replayed", super::record::pending),
    text("WHY", "/reason/message"),
];

impl Replay {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        if !self.dry_run {
            return Err(CliError::usage("A replay writes nothing: say so with --dry-run")
                .hint("What differs comes through with tieline connection reconcile"));
        }
        let query = [
            ("from", self.from.map(|from| from.to_string())),
            ("to", self.to.map(|to| to.to_string())),
            ("object", self.object.as_ref().map(ToString::to_string)),
            ("record", self.record.map(|record| record.to_string())),
            ("limit", Some(self.limit.to_string())),
        ];
        let answer = session.client()?.get(&path(["connections", &self.connection, "replay"]), &query)?;
        session.output.show(&answer, |output| {
            output.facts(COUNTS, &answer)?;
            let rows = list(&answer, "differences");
            if rows.is_empty() {
                return Ok(());
            }
            output.line("")?;
            output.table(DIFFERENCES, rows)
        })
    }
}
