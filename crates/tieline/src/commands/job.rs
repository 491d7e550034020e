//! `tieline job`: wide work that goes on in slices.

use clap::Subcommand;

use super::list;
use crate::client::path;
use crate::error::Result;
use crate::output::{text, time};
use crate::session::Session;

/// See wide work.
#[derive(Debug, Subcommand)]
pub(crate) enum Job {
    /// List the jobs that are not done
    List,
}

impl Job {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let Self::List = self;
        let answer = session.client()?.get(&path(["jobs"]), &[])?;
        let columns = [
            text("JOB", "/job"),
            text("KIND", "/kind"),
            text("CONNECTION", "/connection"),
            text("OBJECT", "/object"),
            text("DONE", "/done"),
            text("SKIPPED", "/skipped"),
            text("FOR", "/actor"),
            time("SINCE", "/started"),
            text("REASONS", "/reasons"),
        ];
        session.output.show(&answer, |output| output.table(&columns, list(&answer, "jobs")))
    }
}
