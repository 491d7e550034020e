//! `tieline finder`: which contacts can connect.

use clap::{Args, Subcommand};
use serde_json::json;
use tieline_core::inquiry::InquiryReply;
use tieline_core::{InquiryId, MailTemplateName, OrgName};

use super::contact::{Contacts, results};
use super::{body, list, saved};
use crate::client::path;
use crate::error::{CliError, Result};
use crate::output::{Column, text, time};
use crate::session::Session;

/// Find partners.
#[derive(Debug, Subcommand)]
pub(crate) enum Finder {
    /// Ask contacts by mail whether they can connect
    Ask(Ask),
    /// List who was asked, and what was answered
    List(List),
    /// Record what a contact answered
    Answer(Answer),
    /// List the orgs that agreed to be listed
    Directory,
}

/// Ask contacts.
#[derive(Debug, Args)]
pub(crate) struct Ask {
    #[command(flatten)]
    contacts: Contacts,
    /// What the mail says: see tieline mail list
    #[arg(long, value_name = "TEMPLATE")]
    mail: Option<MailTemplateName>,
    /// Also contacts that were asked before
    #[arg(long)]
    again: bool,
    /// Show what would be sent, and send nothing
    #[arg(long)]
    preview: bool,
}

/// List who was asked.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only those with this answer: yes, no, later or none
    #[arg(long, value_name = "ANSWER")]
    answer: Option<String>,
}

/// Record an answer.
#[derive(Debug, Args)]
pub(crate) struct Answer {
    /// The code in the mail
    inquiry: InquiryId,
    /// What was answered: yes, no or later
    answer: InquiryReply,
    /// The org of the contact
    #[arg(long, value_name = "ORG")]
    org: Option<OrgName>,
    /// That org agreed to be listed in the directory
    #[arg(long, requires = "org")]
    listed: bool,
    /// What else was said
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

const COLUMNS: &[Column] = &[
    text("CODE", "/id"),
    text("CONTACT", "/name"),
    text("E-MAIL", "/email"),
    text("ACCOUNT", "/account_name"),
    time("ASKED", "/asked"),
    text("MAIL NOT SENT", "/mail_failed"),
    text("ANSWER", "/answer"),
    text("ORG", "/org"),
    text("LISTED", "/listed"),
    text("NOTE", "/note"),
];

const DIRECTORY: &[Column] = &[
    text("ORG", "/org"),
    text("CONTACT", "/name"),
    text("ACCOUNT", "/account_name"),
    text("ANSWER", "/answer"),
    text("CONNECTION", "/connection"),
];

impl Finder {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let client = session.client()?;
        match self {
            Self::Ask(Ask { contacts, mail, again, preview }) => {
                if contacts.is_empty() {
                    return Err(CliError::usage("Nobody is named")
                        .hint("Name contacts with --contact, or a condition with --contacts"));
                }
                let request = body([
                    ("contacts", contacts.body()),
                    ("mail_template", json!(mail)),
                    ("again", json!(again)),
                    ("preview", json!(preview)),
                ]);
                let answer = client.post(&path(["finder"]), &request)?;
                results(session, &answer, "were asked")
            }
            Self::List(List { answer }) => {
                let found = client.get(&path(["finder"]), &[("answer", answer)])?;
                session.output.show(&found, |output| output.list(COLUMNS, list(&found, "inquiries")))
            }
            Self::Answer(Answer { inquiry, answer, org, listed, note }) => {
                let said = body([
                    ("answer", json!(answer)),
                    ("org", json!(org)),
                    ("listed", json!(listed)),
                    ("note", json!(note)),
                ]);
                let done = client.post(&path(["finder", &inquiry.to_string(), "answer"]), &said)?;
                saved(session, &done, "The answer is recorded")
            }
            Self::Directory => {
                let found = client.get(&path(["directory"]), &[])?;
                session.output.show(&found, |output| output.table(DIRECTORY, list(&found, "orgs")))
            }
        }
    }
}
