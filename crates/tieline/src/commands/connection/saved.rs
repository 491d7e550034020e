//! Invitations that were saved: shown, changed, sent.

use clap::Args;
use serde_json::{Map, Value as Json, json};
use tieline_core::RecordId;

use super::seconds;
use crate::client::path;
use crate::commands::contact::results;
use crate::error::Result;
use crate::output::{Column, text};
use crate::session::Session;

/// Invitations that were saved.
#[derive(Debug, Args)]
pub(crate) struct Saved {
    /// Ids of the invitations
    #[arg(required = true)]
    connections: Vec<String>,
}

/// Show a saved invitation, or change it.
#[derive(Debug, Args)]
pub(crate) struct Amend {
    /// Id of the invitation; without an option it is shown
    connection: String,
    /// Another contact
    #[arg(long, value_name = "CONTACT")]
    contact: Option<RecordId>,
    /// The account that the connection is for; '' is the contact's own
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// Who manages the connection here; '' is whoever sends it
    #[arg(long, value_name = "USER")]
    owner: Option<String>,
    /// What the connection is called here; '' is the name of account or contact
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
    /// What the mail says: see tieline mail list; '' is the usual
    #[arg(long, value_name = "TEMPLATE")]
    mail: Option<String>,
    /// The template that the connection gets as soon as it is active; '' is none
    #[arg(long, value_name = "NAME")]
    template: Option<String>,
    /// How long it can be answered once it is sent: minutes, hours or days, as 90m, 12h or 7d
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    expires: Option<u64>,
}

const INVITATION: &[Column] = &[
    text("Connection", "/connection"),
    text("Contact", "/contact"),
    text("Name", "/name"),
    text("E-mail", "/email"),
    text("Account", "/account"),
    text("Owner", "/owner"),
    text("Label", "/label"),
    text("Mail", "/mail_template"),
    text("Template", "/template"),
    text("Seconds", "/expires_in_s"),
];

impl Amend {
    /// What is to be changed: an empty text takes away.
    fn body(&self) -> Json {
        let some = |text: &Option<String>| {
            text.as_ref().map(|text| if text.is_empty() { Json::Null } else { json!(text) })
        };
        let changes = [
            ("contact", self.contact.map(|contact| json!(contact))),
            ("account", some(&self.account)),
            ("owner", some(&self.owner)),
            ("label", self.label.as_ref().map(|label| json!(label))),
            ("mail_template", some(&self.mail)),
            ("template", some(&self.template)),
            ("expires_in_s", self.expires.map(|seconds| json!(seconds))),
        ];
        let named = changes.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        named.collect::<Map<String, Json>>().into()
    }

    pub(super) fn run(self, session: &Session) -> Result<()> {
        let (client, route) = (session.client()?, path(["invitations", "saved", &self.connection]));
        let body = self.body();
        let is_change = body.as_object().is_some_and(|changes| !changes.is_empty());
        let answer = if is_change { client.patch(&route, &body)? } else { client.get(&route, &[])? };
        session.output.show(&answer, |output| output.facts(INVITATION, &answer))
    }
}

impl Saved {
    /// Sends each for itself: one that cannot be sent stops none of the others.
    pub(super) fn send(&self, session: &Session) -> Result<()> {
        let client = session.client()?;
        let send = |id: &String| client.post(&path(["invitations", "saved", id, "send"]), &json!({}));
        let sent: Vec<Json> = match self.connections.as_slice() {
            [one] => vec![send(one)?],
            several => several
                .iter()
                .map(|id| {
                    send(id).unwrap_or_else(|error| {
                        let told = &error.to_json()["error"];
                        json!({ "connection": id, "code": told["code"], "detail": told["message"] })
                    })
                })
                .collect(),
        };
        let failed = sent.iter().filter(|answer| answer.get("code").is_some_and(|code| !code.is_null()));
        let failed = failed.count();
        let rows = json!({ "results": sent, "done": sent.len() - failed, "failed": failed });
        results(session, &rows, "were invited")
    }
}
