//! `tieline webhook-secret`: the secrets that sign webhooks.

use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};
use tieline_core::SecretName;

use super::list;
use crate::client::path;
use crate::error::Result;
use crate::output::{Column, text, time};
use crate::session::Session;

/// Make, see, rotate and remove the secrets that sign webhooks.
#[derive(Debug, Subcommand)]
pub(crate) enum WebhookSecret {
    /// Make a secret; it is shown once
    Create(One),
    /// List the secrets and what signs with them; never what they are
    List,
    /// Make another secret in the place of one; it is shown once, and both sign for a day
    Rotate(One),
    /// Remove a secret that nothing signs with
    Remove(One),
}

/// A secret.
#[derive(Debug, Args)]
pub(crate) struct One {
    /// Its name, as webhooks call it
    name: SecretName,
}

const COLUMNS: &[Column] = &[
    text("SECRET", "/name"),
    time("SINCE", "/since"),
    time("FORMER SIGNS UNTIL", "/former_until"),
    text("USED BY", "/used_by"),
];

const MISSING: &[Column] = &[text("MISSING", "/name"), text("USED BY", "/used_by")];

impl WebhookSecret {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let client = session.client()?;
        let shown = |answer: &Json, what: &str| {
            session.output.show(answer, |output| {
                output.line(answer.get("secret").and_then(Json::as_str).unwrap_or_default())?;
                output.status(what);
                Ok(())
            })
        };
        match self {
            Self::Create(One { name }) => {
                let answer = client.post(&path(["webhook-secrets"]), &json!({ "name": name }))?;
                shown(&answer, &format!("This is the secret {name}; it is not shown again"))
            }
            Self::List => {
                let answer = client.get(&path(["webhook-secrets"]), &[])?;
                session.output.show(&answer, |output| {
                    output.table(COLUMNS, list(&answer, "secrets"))?;
                    let missing = list(&answer, "missing");
                    if missing.is_empty() { Ok(()) } else { output.table(MISSING, missing) }
                })
            }
            Self::Rotate(One { name }) => {
                let route = path(["webhook-secrets", name.as_str(), "rotate"]);
                let answer = client.post(&route, &json!({}))?;
                let told = format!(
                    "This is the secret {name} from now on; it is not shown again. The former one signs as \
                     well for a day"
                );
                shown(&answer, &told)
            }
            Self::Remove(One { name }) => {
                let answer = client.delete(&path(["webhook-secrets", name.as_str()]))?;
                session.output.show(&answer, |output| {
                    output.status(&format!("The secret {name} was removed"));
                    Ok(())
                })
            }
        }
    }
}
