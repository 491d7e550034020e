//! What rules tell people and other systems: notices, mails, webhooks. They are queued as effects in the
//! group of the change, and never keep it waiting.

use serde_json::{Map, json};

use crate::automation::Action;
use crate::command::Refusal;
use crate::decide::draft::Draft;
use crate::decide::invitation::template_of;
use crate::effect::{Cause, Mail, Webhook};
use crate::limits::{EFFECT_BODY_BYTES_MAX, LABEL_CHARS_MAX};
use crate::mail_template::{MailPurpose, MailTemplate};
use crate::notice::{Notice, NoticeKind};
use crate::reason::{Reason, ReasonCode, quoted};
use crate::schema::{FieldType, ObjectSchema};
use crate::state::{Record, State};
use crate::value::is_email;
use crate::{MailTemplateName, RecordId, RuleName};

/// Does an action that tells somebody something.
pub(super) fn tell(
    draft: &mut Draft<'_>,
    rule: &RuleName,
    id: RecordId,
    record: &Record,
    action: &Action,
    reasons: &mut Vec<Reason>,
) {
    let cause = Cause::rule(rule.as_str()).on_record(id);
    let not_sent = |what: &str| {
        Reason::new(
            ReasonCode::LimitReached,
            format!("{what} was not queued: too much waits, or it is too large"),
        )
    };
    match action {
        Action::Notify { users, message } => {
            let notice = Notice::new(NoticeKind::Rule, filled(message, record)).on_record(id);
            for user in users {
                draft.notify(user, notice.clone());
            }
        }
        Action::Mail { to, template, subject, text } => {
            let address = if is_email(to) { to.clone() } else { filled(&format!("{{{{{to}}}}}"), record) };
            if address.is_empty() {
                // Nobody is there to be told.
                return;
            }
            let from_name = format!("Tieline of {}", draft.org().name);
            let mail = match template {
                None => {
                    Mail { subject: filled(subject, record), text: filled(text, record), ..Mail::default() }
                }
                Some(name) => match template_of(draft.state, Some(name), MailPurpose::Workflow) {
                    Ok(template) => merged(draft, &template, rule, id, record),
                    Err(refusal) => {
                        reasons.push(Reason::new(ReasonCode::BadRule, refusal.message));
                        return;
                    }
                },
            };
            let mail = Mail { to: address, from_name, ..mail };
            if draft.queue_mail(mail, cause).is_none() {
                reasons.push(not_sent("the mail"));
            }
        }
        Action::Webhook { url, fields, secret } => {
            let values: Map<_, _> =
                fields.iter().map(|name| (name.to_string(), record.value(name).to_json())).collect();
            let body = json!({
                "event": "workflow",
                "org": draft.org().name,
                "rule": rule,
                "object": record.object,
                "record": id,
                "owner": record.owner,
                "time": draft.now.to_string(),
                "fields": values,
            });
            let webhook = Webhook { url: url.clone(), body: body.to_string(), secret: secret.clone() };
            if draft.queue_webhook(webhook, cause).is_none() {
                reasons.push(not_sent("the call"));
            }
        }
        Action::Set { .. } | Action::Assign { .. } | Action::Task { .. } => {}
    }
}

/// A template with the values of a record.
fn merged(
    draft: &Draft<'_>,
    template: &MailTemplate,
    rule: &RuleName,
    id: RecordId,
    record: &Record,
) -> Mail {
    let rendered = template.render_with(&|name| match name {
        "org" => Some(draft.org().name.to_string()),
        "object" => Some(record.object.to_string()),
        "record" => Some(id.to_string()),
        "owner" => Some(record.owner.to_string()),
        "rule" => Some(rule.to_string()),
        field => record.fields.get(field).map(|field| field.value.to_text()),
    });
    Mail { subject: rendered.subject, text: rendered.text, html: rendered.html, ..Mail::default() }
}

/// Whether every field that a template names is one of an object.
pub(in crate::decide) fn check_named(object: &ObjectSchema, template: &MailTemplate) -> Result<(), Reason> {
    let unknown = template.record_fields().find(|name| object.field(*name).is_none());
    unknown.map_or(Ok(()), |name| {
        let text = format!(
            "the mail template {} names {}, and {} has no such field",
            template.name,
            quoted(name),
            object.name
        );
        Err(Reason::new(ReasonCode::UnknownField, text))
    })
}

/// Whether a mail can be sent: to an address, or to one that a field holds; as a template says it, or as
/// subject and text do.
pub(super) fn check_mail(
    state: &State,
    object: &ObjectSchema,
    to: &str,
    template: Option<&MailTemplateName>,
    subject: &str,
    text: &str,
) -> Result<Result<(), Reason>, Refusal> {
    if let Err(reason) = check_address(object, to) {
        return Ok(Err(reason));
    }
    let Some(name) = template else { return Ok(check_inline(object, subject, text)) };
    if !subject.is_empty() || !text.is_empty() {
        let text = "a mail has a template, or a subject and a text: leave one of both out";
        return Ok(Err(Reason::new(ReasonCode::BadRule, text)));
    }
    let template = template_of(state, Some(name), MailPurpose::Workflow)?;
    Ok(check_named(object, &template))
}

fn check_address(object: &ObjectSchema, to: &str) -> Result<(), Reason> {
    let is_field = object.field(to).is_some_and(|field| field.field_type == FieldType::Email);
    if !is_email(to) && !is_field {
        let text =
            format!("{} is neither an address nor a field of {} that holds one", quoted(to), object.name);
        return Err(Reason::new(ReasonCode::BadEmail, text));
    }
    Ok(())
}

fn check_inline(object: &ObjectSchema, subject: &str, text: &str) -> Result<(), Reason> {
    if subject.trim().is_empty() || subject.chars().count() > LABEL_CHARS_MAX {
        return Err(Reason::new(
            ReasonCode::BadRule,
            "the subject of a mail is a text of 1 to 255 characters",
        ));
    }
    check_template(object, subject).and_then(|()| check_template(object, text))
}

/// Whether every `{{Field}}` of a text is a field.
pub(super) fn check_template(object: &ObjectSchema, text: &str) -> Result<(), Reason> {
    if text.len() > EFFECT_BODY_BYTES_MAX / 4 {
        return Err(Reason::new(ReasonCode::TooLong, "the text is too long for a mail: shorten it"));
    }
    for (_, name) in parts(text) {
        let Some(name) = name else { continue };
        if object.field(name).is_none() {
            let text = format!(
                "{} has no field {}: write {{{{Field}}}} with one that it has",
                object.name,
                quoted(name)
            );
            return Err(Reason::new(ReasonCode::UnknownField, text));
        }
    }
    Ok(())
}

/// A text with the values of the fields that it names.
pub(super) fn filled(text: &str, record: &Record) -> String {
    let mut out = String::with_capacity(text.len());
    for (plain, name) in parts(text) {
        out.push_str(plain);
        let value = name.and_then(|name| record.fields.get(name)).map(|field| field.value.to_text());
        out.push_str(&value.unwrap_or_default());
    }
    out
}

/// A text as plain parts, each with the name that follows it in double braces.
fn parts(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let found = text.split_once("{{").and_then(|(plain, more)| {
            let (name, after) = more.split_once("}}")?;
            Some((plain, name.trim(), after))
        });
        let Some((plain, name, after)) = found else {
            rest = None;
            return Some((text, None));
        };
        rest = Some(after);
        Some((plain, Some(name)))
    })
}
