//! `tieline alarm`: what a person has to look at.

use clap::Subcommand;

use super::list;
use crate::client::path;
use crate::error::Result;
use crate::output::{text, time};
use crate::session::Session;

/// See what a person has to look at.
#[derive(Debug, Subcommand)]
pub(crate) enum Alarm {
    /// List the alarms
    List,
}

impl Alarm {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let Self::List = self;
        let answer = session.client()?.get(&path(["alarms"]), &[])?;
        let columns = [
            time("TIME", "/time"),
            text("ALARM", "/code"),
            text("CONNECTION", "/connection"),
            text("MESSAGE", "/message"),
        ];
        session.output.show(&answer, |output| output.table(&columns, list(&answer, "alarms")))
    }
}
