//! `tieline check`: what will go wrong, before it does (OPS-13).

use clap::Args;

use super::list;
use crate::client::path;
use crate::error::{CliError, Kind, Result};
use crate::output::{Column, text};
use crate::session::Session;

/// Tell what will go wrong with the present rules, mappings and catalogues.
///
/// The exit code is 0 if nothing will, and 8 if something will. What files would change is told by
/// tieline plan.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Only this connection: its id, partner or label
    connection: Option<String>,
}

const COLUMNS: &[Column] = &[
    text("CONNECTION", "/connection"),
    text("SETTING", "/item"),
    text("ABOUT", "/detail"),
    text("CODE", "/code"),
    text("CONCERNS", "/count"),
    text("WHAT WILL GO WRONG", "/message"),
];

impl Check {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let answer = session.client()?.get(&path(["check"]), &[("connection", self.connection)])?;
        let findings = list(&answer, "findings");
        session.output.show(&answer, |output| {
            if findings.is_empty() {
                output.status("Nothing will go wrong that is known");
                return Ok(());
            }
            output.table(COLUMNS, findings)
        })?;
        if findings.is_empty() {
            Ok(())
        } else {
            Err(CliError::new(Kind::Differs, "Something will go wrong"))
        }
    }
}
