//! Invitations by mail: saved, sent, discarded; those of others, to be decided on later; templates.

use std::collections::BTreeMap;

use crate::automation::{Action, WorkflowRule};
use crate::command::{InvitationCommand, Refusal, Reply};
use crate::decide::automation::check_named;
use crate::decide::draft::Draft;
use crate::decide::{connection, org, people, template};
use crate::effect::{Cause, Mail, Purpose};
use crate::event::{
    InvitationDiscarded, InvitationPostponed, InvitationSaved, InvitationSent, MailTemplateSet,
    PostponementHeard, TemplateGiven,
};
use crate::invitation::{InvitationDetails, InvitedContact, ReceivedInvitation};
use crate::limits::{INVITATIONS_KEPT_MAX, LABEL_CHARS_MAX, MAIL_TEMPLATES_MAX};
use crate::mail_template::{MailPurpose, MailTemplate, MergeFields};
use crate::state::{Connection, ConnectionStatus, Record, State};
use crate::value::{Value, is_email};
use crate::{ConnectionId, FieldName, MailTemplateName, ObjectName, OrgName, RecordId, Timestamp, UserName};

/// The object whose records are invited, and the one that they belong to.
const CONTACT: &str = "Contact";
const ACCOUNT: &str = "Account";

pub(super) fn run(draft: &mut Draft<'_>, command: &InvitationCommand) -> Result<Reply, Refusal> {
    match command {
        InvitationCommand::Send { details, secret_hash, expires, again } => {
            send(draft, None, details, *secret_hash, *expires, *again)
        }
        InvitationCommand::Save { connection, details } => save(draft, *connection, details),
        InvitationCommand::SendSaved { connection, secret_hash, expires } => {
            let details = saved(draft.state, *connection)?.clone();
            send(draft, Some(*connection), &details, *secret_hash, *expires, true)
        }
        InvitationCommand::Discard { connection } => {
            saved(draft.state, *connection)?;
            draft.emit(InvitationDiscarded { connection: *connection, actor: draft.actor.clone() });
            Ok(Reply::Done)
        }
        InvitationCommand::Postpone { invitation } => postpone(draft, invitation),
        InvitationCommand::TakePostponement { connection, from, user } => {
            take_postponement(draft, *connection, from, user)
        }
        InvitationCommand::SetTemplate { template } => set_template(draft, template),
        InvitationCommand::RemoveTemplate { name } => super::removal::mail_template(draft, name),
    }
}

fn saved(state: &State, id: ConnectionId) -> Result<&InvitationDetails, Refusal> {
    state.invitations.saved.get(&id).map(|saved| &saved.details).ok_or_else(|| {
        let text = format!("there is no saved invitation {id}: see `tieline connection list --status saved`");
        Refusal::not_found("unknown_invitation", text)
    })
}

/// The name of a record, as its object has it; empty if it has none.
fn record_name(state: &State, record: &Record) -> String {
    let name = state.object(&record.object).map(|schema| record.value(&schema.name_field));
    match name {
        Some(Value::Text(name)) => name.to_string(),
        _ => String::new(),
    }
}

fn text_of(record: &Record, field: &str) -> String {
    let value = field.parse::<FieldName>().ok().map(|field| record.value(&field));
    match value {
        Some(Value::Text(text)) => text.to_string(),
        _ => String::new(),
    }
}

fn find<'a>(state: &'a State, id: RecordId, object: &str) -> Result<&'a Record, Refusal> {
    let record = state.record(id).filter(|record| record.object.as_str() == object);
    record.ok_or_else(|| Refusal::not_found("unknown_record", format!("there is no {object} {id}")))
}

/// A contact that can be written to: one with a valid address (S2S-06).
///
/// # Errors
/// There is no such contact, or it has no address.
pub fn contact_of(
    state: &State,
    contact: RecordId,
    account: Option<RecordId>,
) -> Result<InvitedContact, Refusal> {
    let record = find(state, contact, CONTACT)?;
    let name = [text_of(record, "FirstName"), text_of(record, "LastName")];
    let name =
        name.iter().map(|part| part.trim()).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    let email = text_of(record, "Email");
    if !is_email(&email) {
        let text = format!(
            "contact {name} ({contact}) has no e-mail address, and cannot be written to: give it one"
        );
        return Err(Refusal::invalid("no_address", text));
    }
    let own = "AccountId".parse::<FieldName>().ok().and_then(|field| match record.value(&field) {
        Value::Reference(account) => state.record(*account).map(|_| *account),
        _ => None,
    });
    let account_name = match account {
        Some(account) => record_name(state, find(state, account, ACCOUNT)?),
        None => {
            own.and_then(|id| state.record(id)).map(|record| record_name(state, record)).unwrap_or_default()
        }
    };
    Ok(InvitedContact { record: contact, name, email, account: account.or(own), account_name })
}

/// What contacts are records of.
#[must_use]
pub fn contact_object() -> Option<ObjectName> {
    CONTACT.parse().ok()
}

/// Whether somebody was invited already, and the invitation or connection still is one.
#[must_use]
pub fn is_invited(state: &State, contact: RecordId, now: Timestamp) -> Option<&Connection> {
    state.connections.values().find(|connection| {
        let open = match connection.status {
            ConnectionStatus::Active => true,
            ConnectionStatus::Pending => connection.expires.is_none_or(|expires| expires > now),
            _ => false,
        };
        open && connection.contact.as_ref().is_some_and(|invited| invited.record == contact)
    })
}

/// What an invitation needs to be saved as well as sent; the contact and the owner.
fn checked(draft: &Draft<'_>, details: &InvitationDetails) -> Result<(InvitedContact, UserName), Refusal> {
    connection::check_label(&details.label)?;
    if let Some(owner) = &details.owner {
        people::find_active(draft.state, owner)?;
    }
    let contact = contact_of(draft.state, details.contact, details.account)?;
    template_of(draft.state, details.mail_template.as_ref(), MailPurpose::Invitation)?;
    if let Some(name) = &details.template {
        template::find(draft.state, name)?;
    }
    Ok((contact, details.owner.clone().unwrap_or_else(|| draft.actor.clone())))
}

/// A mail template for a purpose.
///
/// # Errors
/// There is none of this name, or it is for something else.
pub fn template_of(
    state: &State,
    name: Option<&MailTemplateName>,
    purpose: MailPurpose,
) -> Result<MailTemplate, Refusal> {
    let standard = MailTemplateName::of(purpose);
    let shown = name.unwrap_or(&standard);
    let Some(template) = state.invitations.template(name, purpose) else {
        let text = format!("there is no mail template {shown}: see `tieline mail list`");
        return Err(Refusal::not_found("unknown_mail_template", text));
    };
    if template.purpose == purpose {
        return Ok(template);
    }
    let text =
        format!("the mail template {shown} is for another purpose, {}: name another one", template.purpose);
    Err(Refusal::invalid("bad_mail_template", text))
}

/// The merge fields that both kinds of mail have.
#[must_use]
pub fn common_fields(state: &State, sender: &UserName, contact: &InvitedContact) -> MergeFields {
    let email = state.users.get(sender).and_then(|user| user.email.clone()).unwrap_or_default();
    let first = contact.name.split(' ').next().unwrap_or_default().to_owned();
    MergeFields::from([
        ("org", state.org.as_ref().map(|org| org.name.to_string()).unwrap_or_default()),
        ("sender", sender.to_string()),
        ("sender_email", email),
        ("contact", contact.name.clone()),
        ("contact_first_name", first),
        ("contact_email", contact.email.clone()),
        ("account", contact.account_name.clone()),
    ])
}

/// The merge fields of an invitation.
#[must_use]
pub fn invitation_fields(
    state: &State,
    sender: &UserName,
    contact: &InvitedContact,
    label: &str,
    expires: Timestamp,
) -> MergeFields {
    let mut fields = common_fields(state, sender, contact);
    fields.insert("label", label.to_owned());
    // A person reads it: to the second.
    let second = Timestamp(expires.0.div_euclid(1_000_000) * 1_000_000);
    fields.insert("expires", second.to_string());
    fields
}

/// What the connection is called: as somebody said, else by its account or contact.
#[must_use]
pub fn label_of(details: &InvitationDetails, contact: &InvitedContact) -> String {
    let found = [details.label.as_str(), contact.account_name.as_str(), contact.name.as_str()];
    let label = found.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
    label.chars().filter(|c| !c.is_control()).take(LABEL_CHARS_MAX).collect()
}

/// The mail to a contact, from whoever asks for it.
pub(super) fn mail_to(
    draft: &Draft<'_>,
    contact: &InvitedContact,
    template: &MailTemplate,
    fields: &MergeFields,
) -> Mail {
    let rendered = template.render(fields);
    Mail {
        to: contact.email.clone(),
        from_name: format!("{} of {}", draft.actor, draft.org().name),
        reply_to: draft.state.users.get(&draft.actor).and_then(|user| user.email.clone()),
        subject: rendered.subject,
        text: rendered.text,
        html: rendered.html,
        invitation: None,
    }
}

/// Too much waits: nothing is half done.
pub(super) fn no_room() -> Refusal {
    let text =
        "too many mails wait to be sent: see `tieline effect list`, and try again when there are fewer";
    Refusal::conflict("effects_full", text)
}

fn send(
    draft: &mut Draft<'_>,
    saved: Option<ConnectionId>,
    details: &InvitationDetails,
    secret_hash: [u8; 32],
    expires: Timestamp,
    again: bool,
) -> Result<Reply, Refusal> {
    org::check_invitation(draft)?;
    let (contact, owner) = checked(draft, details)?;
    if expires <= draft.now {
        return Err(Refusal::invalid("already_expired", "the invitation would end before it begins"));
    }
    if let Some(known) = is_invited(draft.state, details.contact, draft.now).filter(|_| !again) {
        let text = format!(
            "{} was invited already: connection {} is {}; say --again to invite once more",
            contact.name,
            known.id,
            known.status.as_str()
        );
        return Err(Refusal::conflict("already_invited", text));
    }
    let template = template_of(draft.state, details.mail_template.as_ref(), MailPurpose::Invitation)?;
    let id = saved.unwrap_or_else(|| ConnectionId(draft.draw()));
    let label = label_of(details, &contact);
    let fields = invitation_fields(draft.state, &draft.actor, &contact, &label, expires);
    let mail = Mail { invitation: Some(id), ..mail_to(draft, &contact, &template, &fields) };
    let cause = Cause::of(Purpose::Invitation).on_connection(id).on_record(contact.record).by(&draft.actor);
    draft.emit(InvitationSent {
        connection: id,
        secret_hash,
        expires,
        owner,
        label,
        contact: Some(contact),
        actor: Some(draft.actor.clone()),
    });
    if let Some(template) = details.template.clone() {
        let actor = draft.actor.clone();
        draft.emit(TemplateGiven { connection: id, template, rules: BTreeMap::new(), actor });
    }
    draft.queue_mail(mail, cause).ok_or_else(no_room)?;
    Ok(Reply::Connection(id))
}

fn save(
    draft: &mut Draft<'_>,
    connection: Option<ConnectionId>,
    details: &InvitationDetails,
) -> Result<Reply, Refusal> {
    org::check_sharing(draft)?;
    checked(draft, details)?;
    let id = match connection {
        Some(id) => {
            if saved(draft.state, id)? == details {
                return Ok(Reply::Unchanged);
            }
            id
        }
        None if draft.state.invitations.saved.len() >= INVITATIONS_KEPT_MAX => {
            let text = format!("at most {INVITATIONS_KEPT_MAX} invitations are saved: send or discard some");
            return Err(Refusal::invalid("limit_reached", text));
        }
        None => ConnectionId(draft.draw()),
    };
    let actor = draft.actor.clone();
    draft.emit(InvitationSaved { connection: id, details: details.clone(), actor });
    Ok(Reply::Connection(id))
}

/// Says that another org's invitation is decided on later: nothing is used up.
fn postpone(draft: &mut Draft<'_>, invitation: &ReceivedInvitation) -> Result<Reply, Refusal> {
    org::check_sharing(draft)?;
    if invitation.inviter == draft.org().name {
        return Err(Refusal::invalid("own_invitation", "an org cannot answer its own invitation"));
    }
    if let Some(known) = draft.state.connections.get(&invitation.connection) {
        let text = format!("this invitation has been answered here already: it is {}", known.status.as_str());
        return Err(Refusal::conflict("already_answered", text));
    }
    if invitation.expires <= draft.now {
        let text = format!(
            "the invitation of {} ended at {}: ask for a new one",
            invitation.inviter, invitation.expires
        );
        return Err(Refusal::conflict("expired", text));
    }
    if draft.state.invitations.postponed.contains_key(&invitation.connection) {
        return Ok(Reply::Connection(invitation.connection));
    }
    if draft.state.invitations.postponed.len() >= INVITATIONS_KEPT_MAX {
        let text = format!("at most {INVITATIONS_KEPT_MAX} invitations wait for a decision: answer some");
        return Err(Refusal::invalid("limit_reached", text));
    }
    draft.emit(InvitationPostponed { invitation: invitation.clone(), actor: draft.actor.clone() });
    Ok(Reply::Connection(invitation.connection))
}

fn take_postponement(
    draft: &mut Draft<'_>,
    id: ConnectionId,
    from: &OrgName,
    user: &UserName,
) -> Result<Reply, Refusal> {
    let connection = connection::find(draft.state, id)?;
    connection::check_open(draft, connection)?;
    let known = connection.postponed.as_ref();
    if known.is_some_and(|known| known.partner == *from && known.user == *user) {
        return Ok(Reply::Unchanged);
    }
    draft.emit(PostponementHeard { connection: id, partner: from.clone(), user: user.clone() });
    Ok(Reply::Done)
}

fn set_template(draft: &mut Draft<'_>, template: &MailTemplate) -> Result<Reply, Refusal> {
    template.check()?;
    let built_in = MailPurpose::ALL.iter().find(|purpose| MailTemplateName::of(**purpose) == template.name);
    if let Some(purpose) = built_in.filter(|purpose| **purpose != template.purpose) {
        let text = format!("the template {} is the one for the purpose {purpose}", template.name);
        return Err(Refusal::invalid("bad_mail_template", text));
    }
    for rule in rules_with(draft.state, &template.name) {
        let fits = draft.state.object(&rule.object).map_or(Ok(()), |object| check_named(object, template));
        fits.map_err(|reason| Refusal::record(vec![reason.by_rule(rule.name.as_str())]))?;
    }
    let templates = &draft.state.invitations.templates;
    let known = templates.get(&template.name);
    if known == Some(template) {
        return Ok(Reply::Unchanged);
    }
    if known.is_none() && templates.len() >= MAIL_TEMPLATES_MAX {
        let text = format!("at most {MAIL_TEMPLATES_MAX} mail templates are kept: remove one first");
        return Err(Refusal::invalid("limit_reached", text));
    }
    draft.emit(MailTemplateSet { template: template.clone(), actor: draft.actor.clone() });
    Ok(Reply::Done)
}

/// The workflow rules that send mails by a template.
fn rules_with<'a>(state: &'a State, name: &'a MailTemplateName) -> impl Iterator<Item = &'a WorkflowRule> {
    let names =
        move |action: &Action| matches!(action, Action::Mail { template: Some(named), .. } if named == name);
    state.automation.workflow.values().filter(move |rule| rule.actions.iter().any(names))
}
