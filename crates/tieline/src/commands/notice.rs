//! `tieline notice`: what a user is told, and how.

use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};
use tieline_core::notice::NoticeKind;
use tieline_core::{NoticeId, SecretName, UserName};

use super::{list, saved};
use crate::client::path;
use crate::error::{CliError, Result};
use crate::output::{Column, text, time};
use crate::session::Session;

/// See what you are told, and set how.
#[derive(Debug, Subcommand)]
pub(crate) enum Notice {
    /// List your notices
    List(List),
    /// Mark notices as read
    Read(Read),
    /// Show how notices are sent, to a user or to all who have no settings of their own
    Settings(Who),
    /// Set how notices are sent; what is not named stays
    Set(Set),
    /// Take the settings of a user away: those of the org hold
    Reset(Reset),
}

/// List notices.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only those that you have not read
    #[arg(long)]
    unread: bool,
}

/// Mark notices as read.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Read {
    /// Ids of the notices
    ids: Vec<NoticeId>,
    /// All of them
    #[arg(long)]
    all: bool,
}

/// Whose settings.
#[derive(Debug, Args)]
pub(crate) struct Who {
    /// The user, instead of all who have no settings of their own
    #[arg(long, value_name = "USER")]
    user: Option<UserName>,
}

/// Set how notices are sent.
#[derive(Debug, Args)]
pub(crate) struct Set {
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    change: Change,
}

/// What is to be changed.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct Change {
    /// By mail: true or false
    #[arg(long, value_name = "BOOL")]
    mail: Option<bool>,
    /// To a web address; an empty one takes it away
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
    /// The secret that signs what goes to the web address
    #[arg(long, value_name = "NAME", requires = "webhook")]
    secret: Option<SecretName>,
    /// Minutes within which notices of one kind come together, after the first one
    #[arg(long, value_name = "MINUTES")]
    digest: Option<u32>,
    /// Kinds that are listed and not sent, with commas between them; an empty text sends all
    #[arg(long, value_name = "KINDS")]
    mute: Option<String>,
}

/// Take settings away.
#[derive(Debug, Args)]
pub(crate) struct Reset {
    /// The user
    user: UserName,
}

const COLUMNS: &[Column] = &[
    text("NOTICE", "/id"),
    time("TIME", "/time"),
    text("KIND", "/kind"),
    text("PARTNER", "/partner"),
    text("RECORD", "/record"),
    text("READ", "/read"),
    text("TEXT", "/text"),
];

const SETTINGS: &[Column] = &[
    text("Mail", "/settings/mail"),
    text("Webhook", "/settings/webhook/url"),
    text("Secret", "/settings/webhook/secret"),
    text("Digest minutes", "/settings/digest_minutes"),
    text("Not sent", "/settings/muted"),
    text("Inherited", "/inherited"),
];

impl Who {
    fn path(&self) -> String {
        match &self.user {
            Some(user) => path(["users", user.as_str(), "notice-settings"]),
            None => path(["notice-settings"]),
        }
    }
}

impl Notice {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let client = session.client()?;
        match self {
            Self::List(List { unread }) => {
                let unread = unread.then(|| "true".to_owned());
                let answer = client.get(&path(["notices"]), &[("unread", unread)])?;
                session.output.show(&answer, |output| {
                    output.list(COLUMNS, list(&answer, "notices"))?;
                    let unread = answer.get("unread").and_then(Json::as_u64).unwrap_or_default();
                    output.status(&format!("Not read: {unread}"));
                    Ok(())
                })
            }
            Self::Read(Read { ids, all: _ }) => {
                let answer = client.post(&path(["notices", "read"]), &json!({ "ids": ids }))?;
                saved(session, &answer, "They are marked as read")
            }
            Self::Settings(who) => {
                let answer = client.get(&who.path(), &[])?;
                session.output.show(&answer, |output| output.facts(SETTINGS, &answer))
            }
            Self::Set(Set { who, change }) => {
                let known = client.get(&who.path(), &[])?;
                let mut settings = known.get("settings").cloned().unwrap_or_else(|| json!({}));
                change.apply(&mut settings)?;
                let answer = client.put(&who.path(), &settings)?;
                saved(session, &answer, "The settings were saved")
            }
            Self::Reset(Reset { user }) => {
                let answer = client.delete(&path(["users", user.as_str(), "notice-settings"]))?;
                saved(session, &answer, "The settings of the org hold")
            }
        }
    }
}

impl Change {
    fn apply(self, settings: &mut Json) -> Result<()> {
        if let Some(mail) = self.mail {
            settings["mail"] = json!(mail);
        }
        if let Some(url) = self.webhook {
            settings["webhook"] =
                if url.is_empty() { Json::Null } else { json!({ "url": url, "secret": self.secret }) };
        }
        if let Some(minutes) = self.digest {
            settings["digest_minutes"] = json!(minutes);
        }
        if let Some(kinds) = self.mute {
            let kinds = kinds.split(',').map(str::trim).filter(|kind| !kind.is_empty());
            let kinds: Vec<NoticeKind> = kinds
                .map(|kind| kind.parse().map_err(|error| CliError::usage(format!("{error}"))))
                .collect::<Result<_>>()?;
            settings["muted"] = json!(kinds);
        }
        Ok(())
    }
}
