//! `tieline failure`: what was refused, here and at partners, and why (S2S-53, S2S-54).

use clap::{Args, Subcommand};
use serde_json::Value as Json;

use super::list;
use crate::client::path;
use crate::error::Result;
use crate::output::{Column, plain, reasons, text, time, with};
use crate::session::Session;

/// See what was refused.
#[derive(Debug, Subcommand)]
pub(crate) enum Failure {
    /// List the newest failures in both directions
    List(List),
}

/// List the newest failures.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only those of this connection
    #[arg(long, value_name = "CONNECTION")]
    connection: Option<String>,
}

const COLUMNS: &[Column] = &[
    time("TIME", "/time"),
    text("PARTNER", "/partner"),
    with("REFUSED", "/direction", refused),
    text("OUTCOME", "/outcome"),
    with("NOW", "/mended", now),
    text("RECORD", "/record"),
    with("WHY", "", why),
];

impl Failure {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let Self::List(List { connection }) = self;
        let answer = session.client()?.get(&path(["failures"]), &[("connection", connection)])?;
        session.output.show(&answer, |output| output.table(COLUMNS, list(&answer, "failures")))
    }
}

/// Who refused: we the partner's change, or the partner ours.
fn refused(direction: &Json) -> String {
    match direction.as_str() {
        Some("in") => "here".to_owned(),
        Some("out") => "by the partner".to_owned(),
        _ => plain(direction),
    }
}

/// Whether it is still to be looked at.
fn now(mended: &Json) -> String {
    if *mended == Json::Bool(true) { "mended".to_owned() } else { "open".to_owned() }
}

/// The sentences where they are known, else the codes and fields that the partner told.
fn why(failure: &Json) -> String {
    let said = failure.get("messages").map(plain).unwrap_or_default();
    if said.is_empty() { failure.get("reasons").map(reasons).unwrap_or_default() } else { said }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_failure_says_why_as_far_as_it_is_known() {
        let here = json!({"messages": ["too old"], "reasons": [{"code": "rule_refused", "field": "Age"}]});
        let there = json!({"messages": [], "reasons": [{"code": "rule_refused", "field": "Age"}, {"code": "taken", "field": null}]});
        assert_eq!(why(&here), "too old");
        assert_eq!(why(&there), "rule_refused (Age); taken");
        assert_eq!([refused(&json!("in")), refused(&json!("out"))], ["here", "by the partner"]);
    }
}
