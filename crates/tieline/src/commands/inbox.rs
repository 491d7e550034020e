//! `tieline inbox`: what partners offer (S2S-46, S2S-47).

use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};
use tieline_core::{ObjectName, Owner, RecordId, ShareId, ViewName};

use super::share::{more, results};
use super::{body, list};
use crate::client::path;
use crate::error::{CliError, Result};
use crate::output::{Column, plain, reasons, text, time, with};
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
    #[arg(long, value_name = "OWNER")]
    owner: Option<Owner>,
    /// Let the assignment rules say who will own the records; you, if they name nobody
    #[arg(long, conflicts_with = "owner")]
    assign: bool,
    /// Accept nothing: show which accounts would be matched or made
    #[arg(long, conflicts_with = "all")]
    preview: bool,
    /// The type of the records, where it is chosen: Account, Contact and Opportunity
    #[arg(long, value_name = "TYPE", conflicts_with = "all")]
    record_type: Option<String>,
    /// Wait at most so many seconds for what comes of it
    #[arg(long, value_name = "SECONDS", default_value_t = 5, conflicts_with = "all")]
    wait: u64,
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
    with("PROBLEM", "", problem),
];

/// Why an offer is not a record yet: what refused it, or what it waits for.
fn problem(offer: &Json) -> String {
    let refused = offer.pointer("/problem/reasons").map(reasons).unwrap_or_default();
    if refused.is_empty() { offer.get("waits_for").map(plain).unwrap_or_default() } else { refused }
}

const PREVIEWS: &[Column] = &[
    text("SHARE", "/share"),
    text("ACCOUNT", "/account"),
    text("RECORD", "/record"),
    text("NAME", "/name"),
    text("MATCHES", "/found"),
];

const OUTCOMES: &[Column] = &[
    text("SHARE", "/share"),
    text("STATUS", "/status"),
    text("RECORD", "/record"),
    text("CAUSE", "/cause"),
    with("WHY", "", why),
];

/// Rules, fields and values if there are any, else the sentence about the cause.
fn why(outcome: &Json) -> String {
    let named = outcome.get("reasons").map(reasons).unwrap_or_default();
    if named.is_empty() { outcome.get("detail").map(plain).unwrap_or_default() } else { named }
}

/// Shows what came of each acceptance. If any was refused, the command fails after all are shown; one
/// that waits for the partner is not refused.
fn outcomes(session: &Session, answer: &Json) -> Result<()> {
    let rows = list(answer, "outcomes");
    session.output.show(answer, |output| output.table(OUTCOMES, rows))?;
    let waits = |row: &&Json| {
        let cause = row.get("cause").and_then(Json::as_str);
        matches!(cause, None | Some("not_reachable" | "not_answered"))
    };
    let refused = rows.len() - rows.iter().filter(waits).count();
    if refused == 0 {
        return Ok(());
    }
    Err(CliError::refused(format!("{refused} of {} did not become records", rows.len())))
}

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
                    output.list(OFFERS, list(&answer, "offers"))?;
                    more(output, &answer);
                    Ok(())
                })
            }
            Self::Accept(Accept { preview: true, connection, shares, .. }) => {
                let body = json!({ "connection": connection, "shares": shares });
                let answer = client.post(&path(["inbox", "preview"]), &body)?;
                session.output.show(&answer, |output| output.table(PREVIEWS, list(&answer, "previews")))
            }
            Self::Accept(Accept {
                connection,
                shares,
                all,
                object,
                owner,
                assign,
                record_type,
                wait,
                into,
                ..
            }) => {
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
                    ("record_type", json!(record_type)),
                    ("wait_s", if all { Json::Null } else { json!(wait) }),
                    ("assign", json!(assign)),
                    ("into", into),
                ]);
                let answer = client.post(&path(["inbox", "accept"]), &body)?;
                if list(&answer, "outcomes").is_empty() {
                    results(session, &answer, "SHARE", &shares)
                } else {
                    outcomes(session, &answer)
                }
            }
            Self::Decline(Decline { connection, shares }) => {
                let body = json!({ "connection": connection, "shares": shares });
                let answer = client.post(&path(["inbox", "decline"]), &body)?;
                results(session, &answer, "SHARE", &shares)
            }
        }
    }
}
