//! `tieline approval`: values of partners that a person approves or refuses (S2S-58).

use clap::{Args, Subcommand};
use serde_json::json;
use tieline_core::{FieldName, RecordId};

use super::share::more;
use super::{list, saved};
use crate::client::path;
use crate::error::Result;
use crate::output::{Column, text, time, with};
use crate::session::Session;

/// See, approve and refuse values of partners that wait for a person.
#[derive(Debug, Subcommand)]
pub(crate) enum Approval {
    /// List the values that wait
    List(List),
    /// Write a value
    Approve(One),
    /// Refuse a value: the partner is told
    Reject(One),
}

/// List the values that wait.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only those of records that you own
    #[arg(long)]
    mine: bool,
    /// At most so many
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Go on where an earlier list ended
    #[arg(long)]
    cursor: Option<String>,
}

/// A value.
#[derive(Debug, Args)]
pub(crate) struct One {
    /// The record
    record: RecordId,
    /// The field
    field: FieldName,
}

const LIST: &[Column] = &[
    text("RECORD", "/record"),
    text("OBJECT", "/object"),
    text("NAME", "/name"),
    text("FIELD", "/field"),
    text("NOW", "/present"),
    with("WAITS", "/value", super::record::pending),
    text("PARTNER", "/partner"),
    text("OWNER", "/owner"),
    time("WRITTEN", "/written"),
];

impl Approval {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let client = session.client()?;
        let (One { record, field }, approve) = match self {
            Self::List(List { mine, limit, cursor }) => {
                let query = [
                    ("mine", mine.then(|| "true".to_owned())),
                    ("limit", Some(limit.to_string())),
                    ("cursor", cursor),
                ];
                let answer = client.get(&path(["approvals"]), &query)?;
                return session.output.show(&answer, |output| {
                    output.table(LIST, list(&answer, "approvals"))?;
                    more(output, &answer);
                    Ok(())
                });
            }
            Self::Approve(one) => (one, true),
            Self::Reject(one) => (one, false),
        };
        let body = json!({ "record": record, "field": field, "approve": approve });
        let answer = client.post(&path(["approvals"]), &body)?;
        let done = if approve { "written" } else { "refused" };
        saved(session, &answer, &format!("{field} of {record} was {done}"))
    }
}
