//! Inviting: a connection URL to be handed on, or mails to contacts.

use clap::Args;
use serde_json::{Value as Json, json};
use tieline_core::{ConnectionTemplateName, MailTemplateName, RecordId, UserName};

use super::seconds;
use crate::client::path;
use crate::commands::contact::{Contacts, results};
use crate::commands::{body, list};
use crate::error::Result;
use crate::output::{Column, text};
use crate::session::Session;

/// Make an invitation.
#[derive(Debug, Args)]
pub(crate) struct Invite {
    /// What the connection is called here
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
    /// How long the invitation can be answered: minutes, hours or days, as 90m, 12h or 7d; at most 30d
    #[arg(long, value_name = "TIME", default_value = "1d", value_parser = seconds)]
    expires: u64,
    /// Who manages the connection here, instead of you
    #[arg(long, value_name = "USER")]
    owner: Option<UserName>,
    /// A template that the connection gets as soon as it is active
    #[arg(long, value_name = "NAME")]
    template: Option<ConnectionTemplateName>,
    #[command(flatten)]
    contacts: Contacts,
    #[command(flatten)]
    by_mail: ByMail,
}

/// What is said of an invitation that is mailed.
#[derive(Debug, Args)]
pub(crate) struct ByMail {
    /// The account that the connection is for, instead of the contact's own
    #[arg(long, value_name = "ACCOUNT", requires = "Contacts")]
    account: Option<RecordId>,
    /// What the mail says: see tieline mail list
    #[arg(long, value_name = "TEMPLATE", requires = "Contacts")]
    mail: Option<MailTemplateName>,
    /// Also contacts that have an open invitation or an active connection
    #[arg(long, requires = "Contacts")]
    again: bool,
    /// Save the invitations, to send them later
    #[arg(long, requires = "Contacts")]
    save: bool,
    /// Show what would be sent, and send nothing
    #[arg(long, requires = "Contacts", conflicts_with = "save")]
    preview: bool,
}

/// List contacts.
#[derive(Debug, Args)]
pub(crate) struct ContactSearch {
    /// Only those whose name, address or account contains this
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
}

const CONTACTS: &[Column] = &[
    text("CONTACT", "/contact"),
    text("NAME", "/name"),
    text("E-MAIL", "/email"),
    text("ACCOUNT", "/account_name"),
    text("CONNECTION", "/connection"),
    text("ASKED", "/inquiry"),
];

impl Invite {
    pub(super) fn run(self, session: &Session) -> Result<()> {
        if !self.contacts.is_empty() {
            return self.by_mail(session);
        }
        let body = body([
            ("label", json!(self.label)),
            ("expires_in_s", json!(self.expires)),
            ("owner", json!(self.owner)),
            ("template", json!(self.template)),
        ]);
        let answer = session.client()?.post(&path(["invitations"]), &body)?;
        session.output.show(&answer, |output| {
            output.line(answer.get("url").and_then(Json::as_str).unwrap_or_default())?;
            let facts = |pointer| answer.pointer(pointer).map(crate::output::moment).unwrap_or_default();
            output.status(&format!(
                "Connection {} waits for an answer until {}",
                facts("/connection"),
                facts("/expires")
            ));
            output.hint(
                "Whoever holds the URL can answer once: send it to the partner over a channel that you trust",
            );
            Ok(())
        })
    }
}

impl Invite {
    /// Mails an invitation to each contact.
    fn by_mail(&self, session: &Session) -> Result<()> {
        let ByMail { account, mail, again, save, preview } = &self.by_mail;
        let request = body([
            ("contacts", self.contacts.body()),
            ("account", json!(account)),
            ("owner", json!(self.owner)),
            ("label", json!(self.label)),
            ("mail_template", json!(mail)),
            ("template", json!(self.template)),
            ("expires_in_s", json!(self.expires)),
            ("again", json!(again)),
            ("save", json!(save)),
            ("preview", json!(preview)),
        ]);
        let answer = session.client()?.post(&path(["invitations", "contacts"]), &request)?;
        let done = match (save, preview) {
            (true, _) => "were saved",
            (_, true) => "would be invited",
            _ => "were invited",
        };
        results(session, &answer, done)
    }
}

impl ContactSearch {
    pub(super) fn run(self, session: &Session) -> Result<()> {
        let answer = session.client()?.get(&path(["invitations", "contacts"]), &[("search", self.search)])?;
        session.output.show(&answer, |output| output.list(CONTACTS, list(&answer, "contacts")))
    }
}
