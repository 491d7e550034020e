//! `tieline connection`: the agreed links with partners.

pub(crate) mod audit;
mod invite;
mod saved;

use std::io::Read;

use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};
use tieline_core::{ConnectionTemplateName, ObjectName, UserName};

use super::{body, list, saved};
use crate::client::path;
use crate::error::{CliError, Result};
use crate::output::{Column, Output, text, time, with};
use crate::session::Session;
use invite::{ContactSearch, Invite};
use saved::{Amend, Saved};

/// Invite partners, answer invitations, see and end connections.
///
/// A CONNECTION is its id, or the partner's name or the label where that is distinct.
#[derive(Debug, Subcommand)]
pub(crate) enum Connection {
    /// Invite: print a connection URL, or mail one to each of some contacts
    Invite(Invite),
    /// List the contacts that can be invited: those with an address
    Contacts(ContactSearch),
    /// Send invitations that were saved
    Send(Saved),
    /// Show an invitation that was saved, or change it
    Amend(Amend),
    /// Discard an invitation that was saved
    Discard(One),
    /// Show what an invitation says and who sent it, without answering it
    Inspect(Url),
    /// Accept an invitation
    Accept(Answer),
    /// Decline an invitation
    Decline(Url),
    /// Decide on an invitation later: the inviter is told, and nothing is used up
    Later(Url),
    /// List the connections, sent and received, with those that are saved or postponed
    List(List),
    /// Show everything about a connection
    Show(Show),
    /// Take an invitation back that was not answered
    Revoke(One),
    /// End a connection for good: both sides keep their records, nothing flows any more
    Deactivate(Deactivate),
    /// Let a suspended connection go on
    Resume(One),
    /// Pause a connection or one object of it: nothing flows until it goes on, and nothing is lost
    Pause(Part),
    /// Let a paused connection, or one object of it, go on
    Unpause(Part),
    /// Compare all shares with the partner and repair what differs
    Reconcile(One),
    /// Give a connection to another user, or call it something else here
    Set(Set),
    /// Make a new key for a connection: it is used once the partner has taken it
    RotateKey(One),
    /// Show what changed under the mappings, on both sides, and which values came without a mapping
    Drift(One),
    /// Show every action on a connection and everything that was refused
    Audit(audit::Audit),
}

/// List connections.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only those that stand so: pending, active, declined, revoked, deactivated, saved or postponed
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,
    /// Only those that were sent (inviter) or received (invited)
    #[arg(long, value_name = "SIDE")]
    side: Option<String>,
    /// Only those that this user manages here
    #[arg(long, value_name = "USER")]
    owner: Option<String>,
    /// Only those with this partner
    #[arg(long, value_name = "ORG")]
    partner: Option<String>,
    /// Only those with this contact: id, name or address
    #[arg(long, value_name = "CONTACT")]
    contact: Option<String>,
    /// Only those for this account: id or name
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// Only those whose label, partner, contact or account contains this
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
}

/// An invitation.
#[derive(Debug, Args)]
pub(crate) struct Url {
    /// The connection URL, or the id of an invitation that was postponed; - reads it from standard input
    url: String,
}

/// Accept an invitation.
#[derive(Debug, Args)]
pub(crate) struct Answer {
    #[command(flatten)]
    url: Url,
    /// Who manages the connection here, instead of you
    #[arg(long, value_name = "USER")]
    owner: Option<UserName>,
    /// What the connection is called here
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
    /// A template that the connection gets as soon as it is active
    #[arg(long, value_name = "NAME")]
    template: Option<ConnectionTemplateName>,
}

/// A connection.
#[derive(Debug, Args)]
pub(crate) struct One {
    /// Id, partner or label of the connection
    connection: String,
}

/// Show a connection.
#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    one: One,
    /// Show it as it was after this event, or at this moment, as 2026-01-31T09:30:00Z
    #[arg(long, value_name = "SEQ|TIME")]
    at: Option<String>,
}

/// Give a connection to another user, or call it something else here.
#[derive(Debug, Args)]
pub(crate) struct Set {
    #[command(flatten)]
    one: One,
    /// Who manages it from now on
    #[arg(long, value_name = "USER", required_unless_present = "label", conflicts_with = "label")]
    owner: Option<UserName>,
    /// What it is called here from now on; an empty label is none
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
}

/// A connection, or one object of it.
#[derive(Debug, Args)]
pub(crate) struct Part {
    #[command(flatten)]
    one: One,
    /// Only this object here
    #[arg(long, value_name = "OBJECT")]
    object: Option<ObjectName>,
}

impl Part {
    fn act(&self, session: &Session, verb: &str, done: &str) -> Result<()> {
        let route = path(["connections", &self.one.connection, verb]);
        let answer = session.client()?.post(&route, &body([("object", json!(self.object))]))?;
        let object = self.object.as_ref().map_or_else(String::new, |object| format!("{object} of "));
        saved(session, &answer, &format!("{object}connection {} is {done}", self.one.connection))
    }
}

/// End a connection.
#[derive(Debug, Args)]
pub(crate) struct Deactivate {
    #[command(flatten)]
    one: One,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

const BROKEN: &[Column] =
    &[text("OBJECT", "/object"), text("FIELD", "/field"), text("WHY", "/reason/message")];

const CHANGES: &[Column] = &[
    time("TIME", "/time"),
    text("SIDE", "/side"),
    text("OBJECT", "/object"),
    text("FIELD", "/field"),
    text("CHANGE", "/message"),
];

const UNMAPPED: &[Column] = &[
    text("OBJECT", "/object"),
    text("FIELD", "/field"),
    text("VALUE", "/value"),
    text("COUNT", "/count"),
    time("LAST", "/last"),
];

/// What changed, in up to three tables.
fn drift(output: &Output, answer: &Json) -> Result<()> {
    let tables = [
        ("Mappings that take nothing", "broken", BROKEN),
        ("Changes", "changes", CHANGES),
        ("Values without a mapping", "unmapped", UNMAPPED),
    ];
    let mut quiet = true;
    for (title, key, columns) in tables {
        let rows = list(answer, key);
        if !rows.is_empty() {
            output.line(title)?;
            output.table(columns, rows)?;
            quiet = false;
        }
    }
    if quiet {
        output.status("Nothing has changed under the mappings of this connection");
    }
    Ok(())
}

impl Connection {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::Invite(invite) => invite.run(session),
            Self::Inspect(url) => {
                let answer = session
                    .client()?
                    .post(&path(["invitations", "inspect"]), &json!({ "url": url.read()? }))?;
                session.output.show(&answer, |output| output.facts(INVITATION, &answer))
            }
            Self::Accept(answer) => {
                let body = body([
                    ("url", json!(answer.url.read()?)),
                    ("accept", json!(true)),
                    ("owner", json!(answer.owner)),
                    ("label", json!(answer.label)),
                    ("template", json!(answer.template)),
                ]);
                self::answer(session, &body)
            }
            Self::Decline(url) => answer(session, &json!({ "url": url.read()?, "accept": false })),
            Self::Later(url) => {
                let said = json!({ "url": url.read()? });
                let answer = session.client()?.post(&path(["invitations", "later"]), &said)?;
                session.output.show(&answer, |output| {
                    let id = answer.get("connection").and_then(Json::as_str).unwrap_or_default();
                    output.line(id)?;
                    output.status("The inviter is told as soon as it can be reached");
                    output.hint(&format!("Answer it with tieline connection accept {id}, or decline"));
                    Ok(())
                })
            }
            Self::Contacts(search) => search.run(session),
            Self::Send(saved) => saved.send(session),
            Self::Amend(amend) => amend.run(session),
            Self::Discard(one) => {
                let answer = session.client()?.delete(&path(["invitations", "saved", &one.connection]))?;
                saved(session, &answer, "The invitation was discarded")
            }
            Self::List(List { status, side, owner, partner, contact, account, search }) => {
                let query = [
                    ("status", status),
                    ("side", side),
                    ("owner", owner),
                    ("partner", partner),
                    ("contact", contact),
                    ("account", account),
                    ("search", search),
                ];
                let answer = session.client()?.get(&path(["connections"]), &query)?;
                session.output.show(&answer, |output| {
                    output.list(LIST, list(&answer, "connections"))?;
                    let licences = answer.get("licences").map(super::org::licences).unwrap_or_default();
                    output.status(&format!("Connection licences: {licences}"));
                    Ok(())
                })
            }
            Self::Show(Show { one, at }) => {
                let route = path(["connections", &one.connection]);
                let answer = session.client()?.get(&route, &[super::when(at)])?;
                session.output.show(&answer, |output| show(output, &answer))
            }
            Self::Drift(one) => {
                let answer = session.client()?.get(&path(["connections", &one.connection, "drift"]), &[])?;
                session.output.show(&answer, |output| drift(output, &answer))
            }
            Self::Revoke(one) => one.act(session, "revoke", "revoked"),
            Self::Deactivate(deactivate) => {
                deactivate.confirm(session)?;
                deactivate.one.act(session, "deactivate", "deactivated")
            }
            Self::Resume(one) => one.act(session, "resume", "resumed"),
            Self::Pause(part) => part.act(session, "pause", "paused"),
            Self::Unpause(part) => part.act(session, "unpause", "not paused any more"),
            Self::Reconcile(one) => one.act(session, "reconcile", "being compared with the partner"),
            Self::Set(Set { one: One { connection }, owner, label }) => {
                let change = body([("owner", json!(owner)), ("label", json!(label))]);
                let answer = session.client()?.patch(&path(["connections", &connection]), &change)?;
                let done = match (owner, label) {
                    (Some(owner), _) => format!("{owner} manages connection {connection} now"),
                    (None, label) => {
                        format!("Connection {connection} is called {:?} now", label.unwrap_or_default())
                    }
                };
                saved(session, &answer, &done)
            }
            Self::RotateKey(one) => one.act(session, "rotate-key", "getting a new key"),
            Self::Audit(audit) => audit.run(session),
        }
    }
}

impl Url {
    fn read(&self) -> Result<String> {
        read_url(&self.url)
    }
}

/// A connection URL from the command line, or from standard input if it is `-`.
pub(super) fn read_url(url: &str) -> Result<String> {
    if url != "-" {
        return Ok(url.to_owned());
    }
    let mut text = String::new();
    let read = std::io::stdin().take(4096).read_to_string(&mut text);
    read.map_err(|error| CliError::refused("There is no URL on standard input").caused_by(&error))?;
    Ok(text.trim().to_owned())
}

impl One {
    fn act(&self, session: &Session, verb: &str, done: &str) -> Result<()> {
        let answer = session.client()?.post(&path(["connections", &self.connection, verb]), &json!({}))?;
        saved(session, &answer, &format!("Connection {} is {done}", self.connection))
    }
}

impl Deactivate {
    fn confirm(&self, session: &Session) -> Result<()> {
        let connection = &self.one.connection;
        let warning = format!("Connection {connection} ends for good.");
        super::confirm(session, self.yes, &warning, &format!("Connection {connection} was not ended"))
    }
}

fn answer(session: &Session, body: &Json) -> Result<()> {
    let answer = session.client()?.post(&path(["invitations", "answer"]), body)?;
    session.output.show(&answer, |output| {
        output.line(answer.get("connection").and_then(Json::as_str).unwrap_or_default())?;
        output.status("The invitation was answered; the inviter is told as soon as it can be reached");
        Ok(())
    })
}

fn show(output: &Output, connection: &Json) -> Result<()> {
    output.facts(FACTS, connection)?;
    for (title, key, columns) in [
        ("Published", "publish", RULES),
        ("Subscribed", "subscribe", SUBSCRIPTIONS),
        ("Offered by the partner", "catalogue", CATALOGUE),
        ("Taken by the partner", "taken", TAKEN),
    ] {
        let rows = list(connection, key);
        if !rows.is_empty() {
            output.line(&format!("\n{title}"))?;
            output.table(columns, rows)?;
        }
    }
    let given = connection.get("template").filter(|template| !template.is_null());
    if let Some(template) = given {
        let name = template.get("template").and_then(Json::as_str).unwrap_or_default();
        output.line(&format!("\nTemplate {name}"))?;
        output.table(super::template::FATES, list(template, "rules"))?;
    }
    Ok(())
}

/// How long an invitation holds.
fn seconds(text: &str) -> Result<u64, String> {
    super::seconds(text, 30)
}

const LIST: &[Column] = &[
    text("CONNECTION", "/id"),
    text("PARTNER", "/partner"),
    text("LABEL", "/label"),
    text("COMPANY", "/partner_company"),
    text("SAME COMPANY", "/same_company"),
    text("STATUS", "/status"),
    text("SIDE", "/side"),
    text("CONTACT", "/contact_name"),
    text("ACCOUNT", "/account_name"),
    text("OWNER", "/owner"),
    text("SHARES", "/shares"),
    time("MADE", "/created"),
    time("EXPIRES", "/expires"),
    time("ANSWERED", "/answered"),
    time("ENDED", "/ended"),
    with("PAUSED", "/pauses", pauses),
    text("PROBLEM", "/cause"),
];

const INVITATION: &[Column] = &[
    text("Inviter", "/inviter"),
    text("Connection", "/connection"),
    text("Broker", "/broker"),
    time("Expires", "/expires"),
    text("Expired", "/expired"),
    text("Status here", "/status"),
    text("Verified with the inviter", "/verified"),
    text("Can be answered", "/open"),
    text("Because it was", "/closed"),
    text("Sent by", "/sender"),
    text("Address of the sender", "/sender_email"),
    text("Addressed to", "/contact"),
];

const FACTS: &[Column] = &[
    text("Connection", "/summary/id"),
    text("Partner", "/summary/partner"),
    text("Label", "/summary/label"),
    text("Status", "/summary/status"),
    text("Suspended", "/summary/suspended"),
    with("Paused", "/summary/pauses", pauses),
    text("Problem", "/summary/cause"),
    text("Side", "/summary/side"),
    text("Owner", "/summary/owner"),
    text("Partner's owner", "/summary/partner_owner"),
    text("Answered by", "/summary/answered_by"),
    text("Contact", "/summary/contact_name"),
    text("Contact's address", "/summary/contact_email"),
    text("Account", "/summary/account_name"),
    text("Template", "/summary/template"),
    text("To be decided by", "/summary/postponed_by"),
    text("Declined", "/declined"),
    time("Created", "/summary/created"),
    time("Expires", "/summary/expires"),
    time("Answered", "/summary/answered"),
    time("Ended", "/summary/ended"),
    text("Shares", "/summary/shares"),
    with("Received", "/summary/received", counts),
    with("Sent", "/summary/sent", counts),
    with("Lag", "/summary/lag", lag),
    with("Follow-up lag", "/summary/follow_up_lag", lag),
    text("Key", "/key/number"),
    text("Key announced", "/key/announced"),
    time("Former key until", "/key/former_until"),
    text("Outbox", "/summary/outbox_messages"),
    text("Inbox", "/summary/inbox_messages"),
    text("Failures", "/summary/failures"),
    with("Conflicts", "/summary/conflicts", counts),
];

const RULES: &[Column] = &[text("OBJECT", "/object"), text("FIELDS", "/fields")];

const SUBSCRIPTIONS: &[Column] = &[
    text("OBJECT", "/remote"),
    text("AS", "/local"),
    text("AUTO-ACCEPT", "/auto_accept"),
    with("FIELDS", "/fields", super::subscribe::mappings),
];

const TAKEN: &[Column] = &[text("OBJECT", "/object"), text("AS", "/local"), text("FIELDS", "/fields")];

const CATALOGUE: &[Column] = &[text("OBJECT", "/object"), with("FIELDS", "/fields", names)];

/// What is paused, in one line.
pub(super) fn pauses(pauses: &Json) -> String {
    let one = |pause: &Json| {
        let text = |key: &str| pause.get(key).map(crate::output::plain).unwrap_or_default();
        let side = if text("side") == "us" { "you" } else { "partner" };
        let object = Some(text("object")).filter(|object| !object.is_empty());
        let object = object.map_or_else(String::new, |object| format!("{object} "));
        let since = pause.get("since").map(crate::output::moment).unwrap_or_default();
        format!("{object}paused by {side} ({}) since {since}", text("by"))
    };
    pauses.as_array().into_iter().flatten().map(one).collect::<Vec<_>>().join("; ")
}

/// Counters in one line, those that are zero left out.
pub(super) fn counts(counts: &Json) -> String {
    let Json::Object(counts) = counts else { return String::new() };
    let some = counts.iter().filter(|(_, count)| count.as_u64() != Some(0));
    let counted = |(name, count): (&String, &Json)| match (count.as_u64(), name.strip_suffix('s')) {
        (Some(1), Some(one)) => format!("1 {one}"),
        _ => format!("{count} {name}"),
    };
    some.map(counted).collect::<Vec<_>>().join(", ")
}

/// A lag in one line; nothing if none was measured.
pub(super) fn lag(lag: &Json) -> String {
    let ms = |key: &str| lag.get(key).and_then(Json::as_f64).unwrap_or_default();
    match lag.get("count").and_then(Json::as_u64) {
        None | Some(0) => String::new(),
        Some(count) => format!("p50 {:.1} ms, p99 {:.1} ms, of {count}", ms("p50_ms"), ms("p99_ms")),
    }
}

/// The names of fields that come with their types.
fn names(fields: &Json) -> String {
    let names =
        fields.as_array().into_iter().flatten().filter_map(|field| field.get("name").and_then(Json::as_str));
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, expected) in
            [("1m", 60), ("90m", 5_400), ("12h", 43_200), ("7d", 604_800), ("30d", 2_592_000)]
        {
            assert_eq!(seconds(text), Ok(expected));
        }
        for text in ["", "7", "d", "0m", "31d", "1w", "-1d", "1.5h", "99999999999999999999d", "1ü"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn counters_fit_a_line() {
        assert_eq!(
            counts(&json!({"received": 3, "applied": 2, "held": 0, "rejected": 1})),
            "3 received, 2 applied, 1 rejected"
        );
        assert_eq!(counts(&json!(null)), "");
        assert_eq!(
            lag(&json!({"count": 7, "p50_ms": 3.21, "p99_ms": 12.0})),
            "p50 3.2 ms, p99 12.0 ms, of 7"
        );
        assert_eq!(lag(&json!({"count": 0, "p50_ms": null, "p99_ms": null})), "");
    }
}
