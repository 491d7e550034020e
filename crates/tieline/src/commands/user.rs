//! `tieline user`: who works with the org, and as what.

use clap::{Args, Subcommand};
use serde_json::json;
use tieline_core::{Owner, RoleName, UserName};

use super::{body, list, saved};
use crate::client::path;
use crate::error::Result;
use crate::output::{Column, text};
use crate::session::Session;

/// See, add and change users.
#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// List the users
    List,
    /// Show a user
    Show(One),
    /// Add a user
    Add(Add),
    /// Change a user; what is not named stays
    Set(Set),
    /// Remove a user on whom nothing stands, with all tokens; the log keeps the name
    Remove(One),
    /// Give what a user owns to another one: connections and records
    HandOver(HandOver),
}

/// A user.
#[derive(Debug, Args)]
pub(crate) struct One {
    /// The user
    user: UserName,
}

/// Add a user.
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// The user
    user: UserName,
    /// E-mail address
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// What the user may do: see tieline role list
    #[arg(long, value_name = "ROLE", default_value = "standard")]
    role: RoleName,
}

/// Change a user.
#[derive(Debug, Args)]
pub(crate) struct Set {
    /// The user
    user: UserName,
    #[command(flatten)]
    change: Change,
}

/// What is to be changed.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct Change {
    /// E-mail address; an empty one takes it away
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// What the user may do: see tieline role list
    #[arg(long, value_name = "ROLE")]
    role: Option<RoleName>,
    /// Whether the user may do anything at all: true or false
    #[arg(long, value_name = "BOOL")]
    active: Option<bool>,
}

/// Give what a user owns to another one. Without an option, all of it.
#[derive(Debug, Args)]
pub(crate) struct HandOver {
    /// Whose it is
    user: UserName,
    /// To whom: a user, or for records queue:NAME
    #[arg(long, value_name = "OWNER")]
    to: Owner,
    /// The connections
    #[arg(long)]
    connections: bool,
    /// The records
    #[arg(long)]
    records: bool,
    /// The records that are or were shared
    #[arg(long, conflicts_with = "records")]
    shared_records: bool,
}

const COLUMNS: &[Column] = &[
    text("USER", "/user"),
    text("E-MAIL", "/email"),
    text("ROLE", "/role"),
    text("ACTIVE", "/active"),
    text("GROUPS", "/groups"),
    text("TOKENS", "/tokens"),
    text("SYSTEM", "/system"),
];

const FACTS: &[Column] = &[
    text("User", "/user"),
    text("E-mail", "/email"),
    text("Role", "/role"),
    text("Active", "/active"),
    text("Groups", "/groups"),
    text("Valid tokens", "/tokens"),
    text("System user", "/system"),
];

impl User {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let client = session.client()?;
        match self {
            Self::List => {
                let answer = client.get(&path(["users"]), &[])?;
                session.output.show(&answer, |output| output.list(COLUMNS, list(&answer, "users")))
            }
            Self::Show(One { user }) => {
                let answer = client.get(&path(["users", user.as_str()]), &[])?;
                session.output.show(&answer, |output| output.facts(FACTS, &answer))
            }
            Self::Add(Add { user, email, role }) => {
                let new = body([("user", json!(user)), ("email", json!(email)), ("role", json!(role))]);
                let answer = client.post(&path(["users"]), &new)?;
                saved(
                    session,
                    &answer,
                    &format!("{user} was added; tieline token create {user} makes a token"),
                )
            }
            Self::Set(Set { user, change: Change { email, role, active } }) => {
                let change =
                    body([("email", json!(email)), ("role", json!(role)), ("active", json!(active))]);
                let answer = client.patch(&path(["users", user.as_str()]), &change)?;
                if let Some(owns) = answer.get("owns").filter(|_| !session.output.is_json()) {
                    session.output.warn(&format!(
                        "{user} still owns {}: tieline user hand-over {user} --to USER gives it to somebody else",
                        super::connection::counts(owns)
                    ));
                }
                saved(session, &answer, &format!("{user} was changed"))
            }
            Self::Remove(One { user }) => {
                let answer = client.delete(&path(["users", user.as_str()]))?;
                saved(session, &answer, &format!("{user} was removed"))
            }
            Self::HandOver(HandOver { user, to, connections, records, shared_records }) => {
                let all = !connections && !records && !shared_records;
                let which = match (all || records, shared_records) {
                    (true, _) => "all",
                    (false, true) => "shared",
                    (false, false) => "none",
                };
                let body = json!({ "to": to, "connections": all || connections, "records": which });
                let answer = client.post(&path(["users", user.as_str(), "hand-over"]), &body)?;
                session.output.show(&answer, |output| {
                    let owned = answer.get("owned").map(super::connection::counts).unwrap_or_default();
                    let owned = if owned.is_empty() { "nothing".to_owned() } else { owned };
                    let job = answer.get("job").map(crate::output::plain).unwrap_or_default();
                    output.line(&format!(
                        "{user} owns {owned}; job {job} gives it to {to}: see it with tieline job list"
                    ))
                })
            }
        }
    }
}
