//! `tieline effect`: mails and webhooks that wait, failed or were sent.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use tieline_core::EffectId;

use super::{list, saved};
use crate::client::path;
use crate::error::Result;
use crate::output::{Column, text, time};
use crate::session::Session;

/// See mails and webhooks, and try those again that failed.
#[derive(Debug, Subcommand)]
pub(crate) enum Effect {
    /// List mails and webhooks: those that wait, failed or were sent
    List(List),
    /// Try one again that was given up
    Retry(One),
    /// Forget one that was given up
    Drop(One),
}

/// List effects.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only those that stand so
    #[arg(long, value_enum)]
    status: Option<Status>,
}

/// How an effect stands.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Status {
    /// It waits, or is being tried
    Open,
    /// It was given up
    Failed,
    /// It was done
    Sent,
}

/// An effect.
#[derive(Debug, Args)]
pub(crate) struct One {
    /// Id of the effect
    effect: EffectId,
}

const COLUMNS: &[Column] = &[
    text("EFFECT", "/id"),
    text("KIND", "/kind"),
    text("STATUS", "/status"),
    text("TO", "/recipient"),
    text("SUBJECT", "/subject"),
    text("FOR", "/purpose"),
    time("QUEUED", "/queued"),
    time("ENDED", "/ended"),
    text("ATTEMPTS", "/attempts"),
    text("ERROR", "/error"),
];

impl Effect {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let client = session.client()?;
        match self {
            Self::List(List { status }) => {
                let status = status.map(|status| match status {
                    Status::Open => "open".to_owned(),
                    Status::Failed => "failed".to_owned(),
                    Status::Sent => "sent".to_owned(),
                });
                let answer = client.get(&path(["effects"]), &[("status", status)])?;
                session.output.show(&answer, |output| output.list(COLUMNS, list(&answer, "effects")))
            }
            Self::Retry(One { effect }) => {
                let answer = client.post(&path(["effects", &effect.to_string(), "retry"]), &json!({}))?;
                saved(session, &answer, "It is tried again")
            }
            Self::Drop(One { effect }) => {
                let answer = client.delete(&path(["effects", &effect.to_string()]))?;
                saved(session, &answer, "It is forgotten")
            }
        }
    }
}
