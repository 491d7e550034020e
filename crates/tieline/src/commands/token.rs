//! `tieline token`: API tokens.

use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};
use tieline_core::UserName;

use crate::client::path;
use crate::error::Result;
use crate::session::Session;

/// Make API tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Make a token for a user, who is added if new; it is shown once
    Create(Create),
}

/// Make a token.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// The user
    user: UserName,
    /// A new user may do everything
    #[arg(long)]
    admin: bool,
}

impl Token {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let Self::Create(Create { user, admin }) = self;
        let answer = session.client()?.post(&path(["tokens"]), &json!({ "user": user, "admin": admin }))?;
        session.output.show(&answer, |output| {
            output.line(answer.get("token").and_then(Json::as_str).unwrap_or_default())?;
            output.status(&format!("This is the token of {user}; it is not shown again"));
            Ok(())
        })
    }
}
