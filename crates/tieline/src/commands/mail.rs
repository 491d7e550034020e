//! `tieline mail`: what invitations and inquiries say.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};
use tieline_core::mail_template::MailPurpose;
use tieline_core::{MailTemplateName, RecordId};

use super::{body, list, saved};
use crate::client::path;
use crate::error::{CliError, Result};
use crate::output::{Column, Output, text};
use crate::session::Session;

/// See and define mail templates.
#[derive(Debug, Subcommand)]
pub(crate) enum Mail {
    /// List the mail templates
    List,
    /// Show a mail template
    Show(One),
    /// Define a mail template: its subject, text and HTML
    Set(Set),
    /// Remove a mail template; a built-in one of its name holds again
    Remove(One),
    /// Show the mail that a template makes, and send nothing
    Preview(Preview),
}

/// A mail template.
#[derive(Debug, Args)]
pub(crate) struct One {
    /// Name of the template
    template: MailTemplateName,
}

/// Define a mail template.
#[derive(Debug, Args)]
pub(crate) struct Set {
    #[command(flatten)]
    one: One,
    /// What its mails are for: invitation or inquiry
    #[arg(long, value_name = "PURPOSE", default_value = "invitation")]
    purpose: MailPurpose,
    /// The subject
    #[arg(long, value_name = "TEXT")]
    subject: String,
    /// File with the text; it needs {{connection_url}}, or {{answer_code}} for an inquiry
    #[arg(long, value_name = "FILE")]
    text: PathBuf,
    /// File with the same as HTML
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// Show a mail.
#[derive(Debug, Args)]
pub(crate) struct Preview {
    #[command(flatten)]
    one: One,
    /// To whom it would go, instead of somebody made up
    #[arg(long, value_name = "CONTACT")]
    contact: Option<RecordId>,
}

const COLUMNS: &[Column] = &[
    text("TEMPLATE", "/name"),
    text("PURPOSE", "/template/purpose"),
    text("SUBJECT", "/template/subject"),
    text("BUILT IN", "/built_in"),
    text("FIELDS", "/fields"),
];

fn read(file: &PathBuf) -> Result<String> {
    std::fs::read_to_string(file)
        .map_err(|error| CliError::refused(format!("{} cannot be read", file.display())).caused_by(&error))
}

/// A mail, part by part.
pub(super) fn show(output: &Output, mail: &Json) -> Result<()> {
    let part = |key: &str| mail.get(key).and_then(Json::as_str).unwrap_or_default();
    output.line(&format!("Subject: {}\n", part("subject")))?;
    output.line(part("text"))?;
    if !part("html").is_empty() {
        output.line(&format!("\nHTML:\n\n{}", part("html")))?;
    }
    Ok(())
}

impl Mail {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let client = session.client()?;
        match self {
            Self::List => {
                let answer = client.get(&path(["mail-templates"]), &[])?;
                session.output.show(&answer, |output| output.list(COLUMNS, list(&answer, "templates")))
            }
            Self::Show(One { template }) => {
                let answer = client.get(&path(["mail-templates", template.as_str()]), &[])?;
                let shown = answer.get("template").cloned().unwrap_or_default();
                session.output.show(&answer, |output| show(output, &shown))
            }
            Self::Set(Set { one: One { template }, purpose, subject, text, html }) => {
                let new = body([
                    ("purpose", json!(purpose)),
                    ("subject", json!(subject)),
                    ("text", json!(read(&text)?)),
                    ("html", json!(html.as_ref().map(read).transpose()?)),
                ]);
                let answer = client.put(&path(["mail-templates", template.as_str()]), &new)?;
                saved(session, &answer, &format!("The mail template {template} was saved"))
            }
            Self::Remove(One { template }) => {
                let answer = client.delete(&path(["mail-templates", template.as_str()]))?;
                saved(session, &answer, &format!("The mail template {template} was removed"))
            }
            Self::Preview(Preview { one: One { template }, contact }) => {
                let request = body([("contact", json!(contact))]);
                let answer =
                    client.post(&path(["mail-templates", template.as_str(), "preview"]), &request)?;
                session.output.show(&answer, |output| show(output, &answer))
            }
        }
    }
}
