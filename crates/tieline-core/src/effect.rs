//! Effects: what has to be done outside, once it is durable that it has to.
//!
//! A rule of the domain queues an effect as an event, in the group of what caused it. The daemon's
//! courier does it, as often as it takes, and says as another event how it ended. So an effect is
//! done at least once; its id travels with it, and whoever gets it twice can tell. Replay does
//! nothing outside: it only folds that the effect was queued and how it ended.

use serde::{Deserialize, Serialize};

use crate::codes::codes;
use crate::limits::{EFFECT_BODY_BYTES_MAX, LABEL_CHARS_MAX};
use crate::{ConnectionId, RecordId, SecretName, UserName};

/// What stands in the text of a mail in the place of a connection URL, whose secret neither log nor
/// state may hold. The courier puts the URL there as it sends, if the mail is an invitation.
pub const CONNECTION_URL_MARK: &str = "{{connection_url}}";

codes! {
    /// What an effect is for.
    pub enum Purpose: "purpose of an effect" {
        /// It tells a user of a notice.
        Notice = 1 "notice",
        /// It tells a user of several notices.
        Digest = 2 "digest",
        /// It invites somebody to a connection.
        Invitation = 3 "invitation",
        /// It asks somebody whether a connection is possible.
        Inquiry = 4 "inquiry",
        /// A rule or workflow asked for it.
        Rule = 5 "rule",
    }
}

/// What an effect comes from, so that people can find it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Cause {
    /// What it is for.
    pub purpose: Purpose,
    /// The connection that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// The record that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<RecordId>,
    /// The rule that asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The user for whom or by whom it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserName>,
}

impl Cause {
    /// A cause of which no more is known than what it is for.
    #[must_use]
    pub fn of(purpose: Purpose) -> Self {
        Self { purpose, ..Self::default() }
    }

    /// A rule or workflow of this name.
    #[must_use]
    pub fn rule(name: &str) -> Self {
        Self { rule: Some(name.to_owned()), ..Self::of(Purpose::Rule) }
    }

    /// The same, about a record.
    #[must_use]
    pub fn on_record(self, record: RecordId) -> Self {
        Self { record: Some(record), ..self }
    }

    /// The same, about a connection.
    #[must_use]
    pub fn on_connection(self, connection: ConnectionId) -> Self {
        Self { connection: Some(connection), ..self }
    }

    /// The same, for or by a user.
    #[must_use]
    pub fn by(self, user: &UserName) -> Self {
        Self { user: Some(user.clone()), ..self }
    }
}

/// Something that has to be done outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// A mail has to be sent.
    Mail(Mail),
    /// A web address has to be told.
    Webhook(Webhook),
}

/// A mail. What it says is bounded and holds no control characters, so that nothing in it can
/// become a header.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Mail {
    /// To whom.
    pub to: String,
    /// Who is named as the sender; the address is that of the daemon.
    pub from_name: String,
    /// To whom an answer goes, if not to the daemon's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// The subject.
    pub subject: String,
    /// The text for those who read no HTML.
    pub text: String,
    /// The same as HTML.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    /// The connection whose URL stands where [`CONNECTION_URL_MARK`] does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invitation: Option<ConnectionId>,
}

/// A message to a web address, sent by POST as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// The address.
    pub url: String,
    /// What is sent, as JSON.
    pub body: String,
    /// The secret that signs it; its value lies beside the keys of the org.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretName>,
}

impl Effect {
    /// `mail` or `webhook`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Mail(_) => "mail",
            Self::Webhook(_) => "webhook",
        }
    }

    /// To whom: an address of either kind.
    #[must_use]
    pub fn recipient(&self) -> &str {
        match self {
            Self::Mail(mail) => &mail.to,
            Self::Webhook(webhook) => &webhook.url,
        }
    }

    /// What it is about, in a few words.
    #[must_use]
    pub fn subject(&self) -> &str {
        match self {
            Self::Mail(mail) => &mail.subject,
            Self::Webhook(_) => "",
        }
    }

    /// What it takes in memory, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Mail(mail) => mail.text.len() + mail.html.as_ref().map_or(0, String::len) + 512,
            Self::Webhook(webhook) => webhook.body.len() + webhook.url.len() + 256,
        }
    }
}

/// One line: no control characters, no more than a label has.
#[must_use]
pub fn one_line(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() || is_line_break(c) { ' ' } else { c });
    plain.take(LABEL_CHARS_MAX).collect::<String>().trim().to_owned()
}

/// Several lines: no control characters but line breaks and tabs, no more than an effect may have.
#[must_use]
pub fn lines(text: &str) -> String {
    let mut kept = String::with_capacity(text.len().min(EFFECT_BODY_BYTES_MAX));
    for c in text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')) {
        if kept.len() + c.len_utf8() > EFFECT_BODY_BYTES_MAX {
            break;
        }
        kept.push(c);
    }
    kept
}

/// Characters that some mail programs take for the end of a line.
const fn is_line_break(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_one_line_can_begin_another() {
        assert_eq!(one_line("Hi\r\nBcc: eve@example.org\u{2028}x"), "Hi  Bcc: eve@example.org x");
        assert_eq!(one_line(&"x".repeat(1_000)).len(), LABEL_CHARS_MAX);
    }

    #[test]
    fn text_is_bounded_at_a_character() {
        let long = lines(&"ä".repeat(EFFECT_BODY_BYTES_MAX));
        assert!(long.len() <= EFFECT_BODY_BYTES_MAX && long.chars().all(|c| c == 'ä'));
        assert_eq!(lines("a\r\nb\u{0}\tc"), "a\nb\tc");
    }
}
