//! `tieline inbox`: what partners offer (S2S-46, S2S-47).

use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};
use tieline_core::{ObjectName, Owner, RecordId, ShareId, ViewName};

use super::share::{more, results};
use super::{body, list};
use crate::client::path;
use crate::error::{CliError, Result};
use crate::output::{Column, reasons, text, time, with};
use crate::session::Session;

/// See and answer what partners offer.
#[derive(Debug, Subcommand)]
pub(crate) enum Inbox {
    /// List the offers that wait
    List(List),
    /// Accept offers: a copy of each record is made here
    Accept(Accept),
    /// Decline offers
    Decline(Decline),
}

/// List the offers that wait.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only those of this connection
    #[arg(long, value_name = "CONNECTION")]
    connection: Option<String>,
    /// Only those of this object of the partner
    #[arg(long, value_name = "OBJECT")]
    object: Option<ObjectName>,
    /// Only what this inbox view chooses, with its columns
    #[arg(long, value_name = "VIEW", conflicts_with_all = ["connection", "object"])]
    view: Option<ViewName>,
    /// At most so many
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Go on where an earlier list ended
    #[arg(long)]
    cursor: Option<String>,
}

/// Accept offers.
#[derive(Debug, Args)]
pub(crate) struct Accept {
    /// Id, partner or label of the connection
    connection: String,
    /// The offers
    #[arg(required_unless_present = "all")]
    shares: Vec<ShareId>,
    /// Every offer of the connection; it goes on as a job
    #[arg(long, conflicts_with = "shares")]
    all: bool,
    /// With --all, only offers of this object of the partner
    #[arg(long, value_name = "OBJECT", requires = "all")]
    object: Option<ObjectName>,
    /// Who will own the records, instead of you: a user, or queue:NAME
    #[arg(long, value_name = "OWNER", conflicts_with = "all")]
    owner: Option<Owner>,
    /// Let the assignment rules say who will own the records; you, if they name nobody
    #[arg(long, conflicts_with_all = ["all", "owner"])]
    assign: bool,
    /// The record of this org that becomes the copy, for one offer; else a copy is created
    #[arg(long, value_name = "RECORD", conflicts_with_all = ["all", "owner", "assign"])]
    into: Option<RecordId>,
}

/// Decline offers.
#[derive(Debug, Args)]
pub(crate) struct Decline {
    /// Id, partner or label of the connection
    connection: String,
    /// The offers
    #[arg(required = true)]
    shares: Vec<ShareId>,
}

const OFFERS: &[Column] = &[
    text("SHARE", "/share"),
    text("PARTNER", "/partner"),
    text("OBJECT", "/object"),
    text("STATUS", "/status"),
    time("SENT", "/offered"),
    with("PREVIEW", "/preview", super::record::values),
    with("PROBLEM", "/problem/reasons", reasons),
];

impl Inbox {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let client = session.client()?;
        match self {
            Self::List(List { view: Some(view), limit, cursor, .. }) => {
                super::view::open(session, &view, true, limit, cursor)
            }
            Self::List(List { connection, object, limit, cursor, .. }) => {
                let query = [
                    ("connection", connection),
                    ("object", object.map(|object| object.to_string())),
                    ("limit", Some(limit.to_string())),
                    ("cursor", cursor),
                ];
                let answer = client.get(&path(["inbox"]), &query)?;
                session.output.show(&answer, |output| {
                    output.table(OFFERS, list(&answer, "offers"))?;
                    more(output, &answer);
                    Ok(())
                })
            }
            Self::Accept(Accept { connection, shares, all, object, owner, assign, into }) => {
                let into = match (&shares[..], into) {
                    (_, None) => Json::Null,
                    ([share], Some(record)) => json!({ share.to_string(): record }),
                    (_, Some(_)) => {
                        let text = "--into goes with one offer: its record is the copy of one";
                        return Err(CliError::usage(text).hint("Accept the offers one by one"));
                    }
                };
                let chosen = if all { ("all", json!(true)) } else { ("shares", json!(shares)) };
                let body = body([
                    ("connection", json!(connection)),
                    chosen,
                    ("object", json!(object)),
                    ("owner", json!(owner)),
                    ("assign", json!(assign)),
                    ("into", into),
                ]);
                let answer = client.post(&path(["inbox", "accept"]), &body)?;
                results(session, &answer, "SHARE", &shares)
            }
            Self::Decline(Decline { connection, shares }) => {
                let body = json!({ "connection": connection, "shares": shares });
                let answer = client.post(&path(["inbox", "decline"]), &body)?;
                results(session, &answer, "SHARE", &shares)
            }
        }
    }
}
