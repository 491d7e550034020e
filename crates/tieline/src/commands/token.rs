//! `tieline token`: API tokens.

use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};
use tieline_core::{TokenId, UserName};

use super::{body, list, saved};
use crate::client::path;
use crate::error::Result;
use crate::output::{Column, text, time};
use crate::session::Session;

/// Make, see and revoke API tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Make a token for a user; it is shown once
    Create(Create),
    /// List the tokens of a user
    List(List),
    /// Revoke a token: it opens nothing from that moment on
    Revoke(Revoke),
}

/// Make a token.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// The user
    user: UserName,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
    /// How long it opens anything: minutes, hours or days, as 90m, 12h or 365d; without it, for ever
    #[arg(long, value_name = "TIME", value_parser = lifetime)]
    expires: Option<u64>,
}

/// The tokens of a user.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// The user
    user: UserName,
}

/// Revoke a token.
#[derive(Debug, Args)]
pub(crate) struct Revoke {
    /// The user
    user: UserName,
    /// The id of the token, as tieline token list shows it
    token: TokenId,
}

const COLUMNS: &[Column] = &[
    text("TOKEN", "/token"),
    text("LABEL", "/label"),
    text("ENDS IN", "/hint"),
    text("STATUS", "/status"),
    time("SINCE", "/created"),
    time("EXPIRES", "/expires"),
    time("REVOKED", "/revoked"),
];

fn lifetime(text: &str) -> Result<u64, String> {
    super::seconds(text, 3_650)
}

impl Token {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let client = session.client()?;
        match self {
            Self::Create(Create { user, label, expires }) => {
                let new = body([("label", json!(label)), ("expires_in_s", json!(expires))]);
                let answer = client.post(&path(["users", user.as_str(), "tokens"]), &new)?;
                session.output.show(&answer, |output| {
                    output.line(answer.get("token").and_then(Json::as_str).unwrap_or_default())?;
                    output.status(&format!("This is the token of {user}; it is not shown again"));
                    Ok(())
                })
            }
            Self::List(List { user }) => {
                let answer = client.get(&path(["users", user.as_str(), "tokens"]), &[])?;
                session.output.show(&answer, |output| output.list(COLUMNS, list(&answer, "tokens")))
            }
            Self::Revoke(Revoke { user, token }) => {
                let answer = client.delete(&path(["users", user.as_str(), "tokens", &token.to_string()]))?;
                saved(session, &answer, "The token was revoked")
            }
        }
    }
}
