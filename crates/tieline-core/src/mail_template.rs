//! Mail templates: what an invitation or an inquiry says, with merge fields (S2S-08).
//!
//! A template is text, and HTML if it is wanted, with fields as `{{org}}`. It is checked when it is
//! saved: a field that is not known is refused, and so is a template without the one thing that
//! the mail is for. What is merged into HTML is escaped, and nothing merged can be a field again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::codes::codes;
use crate::command::Refusal;
use crate::effect::{CONNECTION_URL_MARK, one_line};
use crate::limits::{LABEL_CHARS_MAX, MAIL_TEMPLATE_BYTES_MAX};
use crate::reason::quoted;
use crate::{FieldName, MailTemplateName};

codes! {
    /// What the mail of a template is for.
    pub enum MailPurpose: "purpose of a mail template" {
        /// It invites a contact to a connection.
        Invitation = 1 "invitation",
        /// It asks a contact whether a connection is possible (S2S-17).
        Inquiry = 2 "inquiry",
        /// A workflow rule tells something about a record (S2S-70).
        Workflow = 3 "workflow",
    }
}

/// What a mail says, with merge fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailTemplate {
    /// Its name; the ones called `invitation` and `inquiry` are used where no other is named.
    pub name: MailTemplateName,
    /// What its mails are for.
    pub purpose: MailPurpose,
    /// The subject.
    pub subject: String,
    /// The text.
    pub text: String,
    /// The same as HTML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
}

/// A mail as it would be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedMail {
    /// The subject.
    pub subject: String,
    /// The text.
    pub text: String,
    /// The same as HTML.
    pub html: Option<String>,
}

/// The values of the fields; one that is not there is empty.
pub type MergeFields = BTreeMap<&'static str, String>;

/// The fields of both kinds of mail.
const COMMON: &[&str] =
    &["org", "sender", "sender_email", "contact", "contact_first_name", "contact_email", "account"];
/// The fields of a mail about a record, beside those of the record.
pub(crate) const OF_RULE: &[&str] = &["org", "object", "record", "owner", "rule"];
/// The field that holds the connection URL.
pub const CONNECTION_URL: &str = "connection_url";
/// The field that holds the code of an inquiry.
pub const ANSWER_CODE: &str = "answer_code";

const INVITATION_TEXT: &str = "\
Dear {{contact}},

{{sender}} of {{org}} invites you to connect your records with ours over Tieline.

Whoever manages connections in your organisation can answer with this connection URL, once, until
{{expires}}:

{{connection_url}}

It can be forwarded to your administrator. To see who sent it, to accept, to decline, or to decide
later:

    tieline connection inspect 'URL'
    tieline connection accept 'URL'
    tieline connection decline 'URL'
    tieline connection later 'URL'

A connection alone shares nothing: each side chooses what the other gets.

If you do not know {{sender}}, ask before you answer.
";

const INQUIRY_TEXT: &str = "\
Dear {{contact}},

{{sender}} of {{org}} would like to connect records with your organisation over Tieline, and asks
whether that is possible.

Please answer this mail with yes or no, the name of your org if it has Tieline, and whether it may be
listed in our directory of partners. Name this code: {{answer_code}}
";

const WORKFLOW_TEXT: &str = "\
The rule {{rule}} of {{org}} tells that something happened to {{object}} {{record}}, which {{owner}} owns.
";

impl MailPurpose {
    /// The fields that its templates may have.
    #[must_use]
    pub fn fields(self) -> Vec<&'static str> {
        let own: &[&str] = match self {
            Self::Workflow => return OF_RULE.to_vec(),
            Self::Inquiry => &[ANSWER_CODE],
            Self::Invitation | Self::Unknown => &[CONNECTION_URL, "expires", "label"],
        };
        own.iter().chain(COMMON).copied().collect()
    }

    /// The field that its templates must have, if there is one.
    #[must_use]
    pub const fn needed(self) -> Option<&'static str> {
        match self {
            Self::Workflow => None,
            Self::Inquiry => Some(ANSWER_CODE),
            Self::Invitation | Self::Unknown => Some(CONNECTION_URL),
        }
    }

    /// The template that is used where no other is named.
    ///
    /// # Panics
    /// Never: the names of purposes are names of templates, which a test looks at.
    #[must_use]
    pub fn built_in(self) -> MailTemplate {
        let (subject, text) = match self {
            Self::Workflow => ("{{object}} {{record}} of {{org}}", WORKFLOW_TEXT),
            Self::Inquiry => ("{{org}} asks: can we connect?", INQUIRY_TEXT),
            Self::Invitation | Self::Unknown => {
                ("{{sender}} of {{org}} invites you to connect", INVITATION_TEXT)
            }
        };
        MailTemplate {
            name: MailTemplateName::of(self),
            purpose: self,
            subject: subject.to_owned(),
            text: text.to_owned(),
            html: None,
        }
    }
}

/// A piece of a template.
enum Piece<'a> {
    Text(&'a str),
    Field(&'a str),
    /// `{{` without its end.
    Open,
}

/// The pieces of a template, in order.
fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    let mut field = None;
    std::iter::from_fn(move || {
        if let Some(name) = field.take() {
            return Some(Piece::Field(name));
        }
        if rest.is_empty() {
            return None;
        }
        let Some((before, after)) = rest.split_once("{{") else {
            return Some(Piece::Text(std::mem::take(&mut rest)));
        };
        let Some((name, after)) = after.split_once("}}") else {
            rest = "";
            return Some(Piece::Open);
        };
        rest = after;
        field = Some(name.trim());
        Some(Piece::Text(before))
    })
}

impl MailTemplate {
    /// Whether it may be saved.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), Refusal> {
        let bad = |text: String| Err(Refusal::invalid("bad_mail_template", text));
        if self.purpose == MailPurpose::Unknown {
            return bad("purpose is invitation, inquiry or workflow".to_owned());
        }
        if self.subject.trim().is_empty() || self.subject.chars().count() > LABEL_CHARS_MAX {
            return bad(format!("the subject has from 1 to {LABEL_CHARS_MAX} characters"));
        }
        if self.subject.chars().any(char::is_control) {
            return bad("the subject is one line, without control characters".to_owned());
        }
        let parts =
            [("subject", Some(&self.subject)), ("text", Some(&self.text)), ("html", self.html.as_ref())];
        for (part, text) in parts {
            let Some(text) = text else { continue };
            if text.len() > MAIL_TEMPLATE_BYTES_MAX {
                return bad(format!("{part} has {} bytes: at most {MAIL_TEMPLATE_BYTES_MAX}", text.len()));
            }
            self.check_fields(part, text)?;
        }
        Ok(())
    }

    fn check_fields(&self, part: &str, text: &str) -> Result<(), Refusal> {
        let bad = |text: String| Err(Refusal::invalid("bad_mail_template", text));
        let (known, needed) = (self.purpose.fields(), self.purpose.needed());
        let mut found = false;
        for piece in pieces(text) {
            match piece {
                Piece::Text(_) => {}
                Piece::Open => return bad(format!("{part} has {{{{ without }}}}: close it")),
                Piece::Field(name) if needed == Some(name) && part == "subject" => {
                    return bad(format!(
                        "the subject may not have {{{{{name}}}}}: subjects are seen by many"
                    ));
                }
                Piece::Field(name) if known.contains(&name) => found |= needed == Some(name),
                // Whether the record has it is looked at with the rule.
                Piece::Field(name) if self.is_of_record(name) => {}
                Piece::Field(name) => {
                    let known = known.join(", ");
                    return bad(format!("{part} has the field {}: use one of {known}", quoted(name)));
                }
            }
        }
        match needed.filter(|_| !found && part != "subject") {
            Some(needed) => {
                bad(format!("{part} lacks {{{{{needed}}}}}: without it nobody can answer the mail"))
            }
            None => Ok(()),
        }
    }

    /// Whether a name in it is that of a field of the record.
    fn is_of_record(&self, name: &str) -> bool {
        self.purpose == MailPurpose::Workflow && name.parse::<FieldName>().is_ok()
    }

    /// The fields of a record that it names.
    pub fn record_fields(&self) -> impl Iterator<Item = &str> {
        let parts = [Some(&self.subject), Some(&self.text), self.html.as_ref()];
        let pieces = parts.into_iter().flatten().flat_map(|text| pieces(text));
        pieces.filter_map(|piece| match piece {
            Piece::Field(name) if !OF_RULE.contains(&name) => Some(name),
            _ => None,
        })
    }

    /// The mail with the fields merged. The connection URL is left to whoever sends it.
    #[must_use]
    pub fn render(&self, fields: &MergeFields) -> RenderedMail {
        self.render_with(&|name| fields.get(name).cloned())
    }

    /// The same with fields that are looked up.
    #[must_use]
    pub fn render_with(&self, fields: &dyn Fn(&str) -> Option<String>) -> RenderedMail {
        RenderedMail {
            subject: one_line(&merge(&self.subject, fields, one_line)),
            text: merge(&self.text, fields, ToOwned::to_owned),
            html: self.html.as_ref().map(|html| merge(html, fields, escaped)),
        }
    }
}

fn merge(text: &str, fields: &dyn Fn(&str) -> Option<String>, shown: impl Fn(&str) -> String) -> String {
    let mut merged = String::with_capacity(text.len() + 256);
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => merged.push_str(text),
            Piece::Field(CONNECTION_URL) => merged.push_str(CONNECTION_URL_MARK),
            Piece::Field(name) => {
                // What is merged is no field, whatever it holds.
                let value = fields(name).unwrap_or_default().replace("{{", "{ {");
                merged.push_str(&shown(&value));
            }
            Piece::Open => {}
        }
    }
    merged
}

/// Text as it stands in HTML, also between quotes.
fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(subject: &str, text: &str, html: Option<&str>) -> MailTemplate {
        MailTemplate {
            name: "branded".parse().unwrap(),
            purpose: MailPurpose::Invitation,
            subject: subject.to_owned(),
            text: text.to_owned(),
            html: html.map(ToOwned::to_owned),
        }
    }

    #[test]
    fn the_built_in_templates_are_good() {
        for purpose in MailPurpose::ALL {
            assert_eq!(purpose.built_in().check(), Ok(()), "{purpose}");
            assert_eq!(purpose.built_in().name.as_str(), purpose.as_str());
        }
    }

    #[test]
    fn a_template_without_the_connection_url_is_refused() {
        for (subject, text, html, part) in [
            ("hi", "no url", None, "text lacks {{connection_url}}"),
            ("hi", "{{connection_url}}", Some("<p>none</p>"), "html lacks {{connection_url}}"),
            ("{{connection_url}}", "{{connection_url}}", None, "the subject may not have"),
            ("hi", "{{connection_url}} {{colour}}", None, "field \"colour\""),
            ("hi", "{{connection_url}} {{org", None, "without }}"),
            ("hi\r\nBcc: eve@example.org", "{{connection_url}}", None, "one line"),
            ("", "{{connection_url}}", None, "from 1 to"),
        ] {
            let refusal = template(subject, text, html).check().unwrap_err();
            assert_eq!(refusal.code, "bad_mail_template");
            assert!(refusal.message.contains(part), "{refusal}");
        }
        assert_eq!(
            template("hi {{ org }}", "{{connection_url}}", Some("{{connection_url}}")).check(),
            Ok(())
        );
    }

    #[test]
    fn what_is_merged_is_escaped_and_is_no_field_and_no_header() {
        let fields = MergeFields::from([
            ("contact", "<b>\"Pat\" & 'Co'</b> {{connection_url}}".to_owned()),
            ("org", "acme\r\nBcc: eve@example.org".to_owned()),
        ]);
        let html = "<a title=\"{{contact}}\" href=\"{{connection_url}}\">{{sender}}</a>";
        let mail = template("{{org}}", "{{contact}} {{connection_url}}", Some(html)).render(&fields);
        assert_eq!(mail.subject, "acme  Bcc: eve@example.org");
        assert_eq!(mail.text.matches(CONNECTION_URL_MARK).count(), 1);
        let html = mail.html.unwrap();
        assert!(html.contains("title=\"&lt;b&gt;&quot;Pat&quot; &amp; &#39;Co&#39;&lt;/b&gt; { {"), "{html}");
        assert!(html.ends_with("></a>"), "{html}");
    }
}
