//! Contacts that are written to: invited, or asked whether they can connect (S2S-06, S2S-07, S2S-17).
//!
//! Many are written to in one request; each for itself, with a result per row: one that cannot be
//! does not stop the others.

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use tieline_core::command::{Command, InvitationCommand, Refusal, Reply};
use tieline_core::decide::{
    contact_object, contact_of, invitation_fields, is_invited, label_of, require, template_of,
};
use tieline_core::expr::Expression;
use tieline_core::invitation::InvitationDetails;
use tieline_core::limits::{CONTACTS_AT_ONCE_MAX, PAGE_MAX};
use tieline_core::mail_template::{MailPurpose, RenderedMail};
use tieline_core::people::Permission;
use tieline_core::state::State;
use tieline_core::{
    ConnectionId, ConnectionTemplateName, MailTemplateName, RecordId, Timestamp, UserName, ViewName,
};
use utoipa::ToSchema;

use super::Api;
use super::auth::Actor;
use super::invitations::{a_day, check_duration};
use super::problem::{ErrorCode, Problem};
use super::request::{Body, Params};
use crate::clock::now;

/// Contacts: named, or all for which a condition holds.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Contacts {
    /// Ids of contacts.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    ids: Vec<RecordId>,
    /// A saved list view of contacts: all that it chooses for whoever asks, and that have an address.
    #[schema(value_type = Option<String>)]
    view: Option<ViewName>,
    /// A condition on contacts, as `MailingCity == 'Oslo'`: all for which it holds and that have an
    /// address.
    condition: Option<String>,
}

/// Contacts to be invited by mail.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ContactInvitations {
    /// Which contacts; each gets an invitation of its own.
    contacts: Contacts,
    /// The account that the connection is for, if it is another than the contact's own.
    #[schema(value_type = Option<String>)]
    account: Option<RecordId>,
    /// Who manages the connection here; without one, whoever asks.
    #[schema(value_type = Option<String>)]
    owner: Option<UserName>,
    /// What the connection is called here; without it, as the account or the contact.
    #[serde(default)]
    label: String,
    /// What the mail says: see `/v1/mail-templates`.
    #[schema(value_type = Option<String>)]
    mail_template: Option<MailTemplateName>,
    /// The connection template that is applied once the connection is active.
    #[schema(value_type = Option<String>)]
    template: Option<ConnectionTemplateName>,
    /// Seconds until it ends: 60 to 2,592,000; a day if not said.
    #[serde(default = "a_day")]
    expires_in_s: u32,
    /// Also contacts that have an open invitation or an active connection.
    #[serde(default)]
    again: bool,
    /// Save the invitations, to send them later; they take no licence until then.
    #[serde(default)]
    save: bool,
    /// Show what would be sent, and send nothing.
    #[serde(default)]
    preview: bool,
}

/// What became of each contact.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ContactResults {
    /// One entry for each contact, in the order of the request.
    results: Vec<ContactResult>,
    /// How many went well.
    done: usize,
    /// How many did not.
    failed: usize,
}

/// What became of one contact.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ContactResult {
    /// The contact.
    contact: String,
    /// Its name.
    name: Option<String>,
    /// Its address.
    email: Option<String>,
    /// The connection that it was invited to, or will be.
    connection: Option<String>,
    /// The mail, if only that was asked for.
    mail: Option<MailPreview>,
    /// Why nothing was sent, as a stable code.
    code: Option<&'static str>,
    /// The same in words.
    detail: Option<String>,
}

/// A mail as it would be sent. Where the connection URL will stand, it shows the field.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MailPreview {
    /// The subject.
    subject: String,
    /// The text.
    text: String,
    /// The same as HTML.
    html: Option<String>,
}

/// Which contacts can be written to.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ContactQuery {
    /// Only those whose name, address or account contains this.
    search: Option<String>,
}

/// Contacts with an address, at most 1,000.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ContactList {
    /// One entry for each, in the order of their ids.
    contacts: Vec<ContactView>,
}

/// A contact that can be written to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ContactView {
    /// The contact.
    contact: String,
    /// Its name.
    name: String,
    /// Its address.
    email: String,
    /// Its account.
    account: Option<String>,
    /// The name of the account.
    account_name: String,
    /// Its open invitation or active connection.
    connection: Option<String>,
    /// What it answered when it was asked whether it can connect; `asked` if it did not.
    inquiry: Option<&'static str>,
}

impl From<RenderedMail> for MailPreview {
    fn from(mail: RenderedMail) -> Self {
        Self { subject: mail.subject, text: mail.text, html: mail.html }
    }
}

impl ContactResult {
    pub(crate) fn of(state: &State, contact: RecordId) -> Self {
        let known = contact_of(state, contact, None).ok();
        Self {
            contact: contact.to_string(),
            name: known.as_ref().map(|known| known.name.clone()),
            email: known.map(|known| known.email),
            connection: None,
            mail: None,
            code: None,
            detail: None,
        }
    }

    /// The name and the address of the contact, if it can be written to.
    pub(crate) fn known(self) -> (Option<String>, Option<String>) {
        (self.name, self.email)
    }

    pub(crate) fn shown(self, mail: RenderedMail) -> Self {
        Self { mail: Some(mail.into()), ..self }
    }

    fn connected(self, connection: ConnectionId) -> Self {
        Self { connection: Some(connection.to_string()), ..self }
    }

    pub(crate) fn refused(self, refusal: &Refusal) -> Self {
        Self { code: Some(ErrorCode::of(refusal).as_str()), detail: Some(refusal.message.clone()), ..self }
    }
}

impl From<Vec<ContactResult>> for ContactResults {
    fn from(results: Vec<ContactResult>) -> Self {
        let failed = results.iter().filter(|result| result.code.is_some()).count();
        Self { done: results.len() - failed, failed, results }
    }
}

impl Contacts {
    /// The contacts that are meant. Whoever asks has to be allowed to read contacts.
    pub(crate) fn find(&self, state: &State, actor: &Actor) -> Result<Vec<RecordId>, Problem> {
        let bad = |text: String| Problem::new(ErrorCode::BadBody, text);
        let object = contact_object().ok_or_else(|| bad("there are no contacts".to_owned()))?;
        require(state, &actor.user, Permission::Read(&object))?;
        let found: Vec<RecordId> = match (&self.view, &self.condition, self.ids.is_empty()) {
            (None, None, true) => return Err(bad("name contacts by ids, a view or a condition".to_owned())),
            (None, None, false) => {
                let mut ids = self.ids.clone();
                let mut seen = std::collections::BTreeSet::new();
                ids.retain(|id| seen.insert(*id));
                ids
            }
            (Some(view), None, true) => {
                let (view, open) = super::views::opened(actor, state, view)?;
                if view.object != object {
                    return Err(bad(format!(
                        "the view {} is of {}, not of {object}",
                        view.name, view.object
                    )));
                }
                let all = state.view_records((view, &open), None, &actor.user, now());
                addressed(state, all.map(|(id, _)| id))
            }
            (None, Some(condition), true) => {
                let schema =
                    state.object(&object).ok_or_else(|| bad("this org has no object Contact".to_owned()))?;
                let expression =
                    Expression::condition(condition, schema).map_err(|error| bad(error.to_string()))?;
                let holds = |record: &tieline_core::state::Record| {
                    expression
                        .holds(|field| record.fields.get(field).map(|state| &state.value), now())
                        .unwrap_or(false)
                };
                let all = state.records_of(&object, None).filter(|(_, record)| holds(record));
                addressed(state, all.map(|(id, _)| id))
            }
            _ => return Err(bad("name contacts by ids, a view or a condition, by one of them".to_owned())),
        };
        if found.len() > CONTACTS_AT_ONCE_MAX {
            return Err(bad(format!(
                "more than {CONTACTS_AT_ONCE_MAX} contacts are meant: name fewer at once"
            )));
        }
        Ok(found)
    }
}

/// Those that have an address, up to one more than may be meant.
fn addressed(state: &State, ids: impl Iterator<Item = RecordId>) -> Vec<RecordId> {
    let found = ids.filter(|id| contact_of(state, *id, None).is_ok());
    found.take(CONTACTS_AT_ONCE_MAX + 1).collect()
}

impl ContactInvitations {
    fn details(&self, contact: RecordId) -> InvitationDetails {
        InvitationDetails {
            contact,
            account: self.account,
            owner: self.owner.clone(),
            label: self.label.clone(),
            mail_template: self.mail_template.clone(),
            template: self.template.clone(),
            expires_in_s: self.expires_in_s,
        }
    }
}

/// What would be sent to a contact.
fn preview(
    state: &State,
    actor: &Actor,
    details: &InvitationDetails,
    expires: Timestamp,
) -> Result<RenderedMail, Refusal> {
    let contact = contact_of(state, details.contact, details.account)?;
    let template = template_of(state, details.mail_template.as_ref(), MailPurpose::Invitation)?;
    let label = label_of(details, &contact);
    Ok(template.render(&invitation_fields(state, &actor.user, &contact, &label, expires)))
}

/// Invites contacts by mail, saves the invitations to be sent later, or shows what would be sent.
#[utoipa::path(post, path = "/v1/invitations/contacts", tag = "invitations", request_body = ContactInvitations,
    responses((status = 200, body = ContactResults)))]
pub(crate) async fn invite(
    Extract(api): Extract<Api>,
    actor: Actor,
    Body(request): Body<ContactInvitations>,
) -> Result<Json<ContactResults>, Problem> {
    let duration_us = check_duration(request.expires_in_s)?;
    let contacts = api.org.read(|state| request.contacts.find(state, &actor)).await?;
    let mut results = Vec::with_capacity(contacts.len());
    for contact in contacts {
        let details = request.details(contact);
        let (row, shown) = api
            .org
            .read(|state| {
                let row = ContactResult::of(state, contact);
                let expires = now().plus_us(duration_us);
                (row, request.preview.then(|| preview(state, &actor, &details, expires)))
            })
            .await;
        results.push(match shown {
            Some(Ok(mail)) => row.shown(mail),
            Some(Err(refusal)) => row.refused(&refusal),
            None if request.save => {
                let command = InvitationCommand::Save { connection: None, details: Box::new(details) };
                row_of(row, api.org.execute(Command::Invitation(command), &actor.user).await)?
            }
            None => {
                let expires = now().plus_us(duration_us);
                send(&api, &actor, row, |secret_hash| InvitationCommand::Send {
                    details: Box::new(details),
                    secret_hash,
                    expires,
                    again: request.again,
                })
                .await?
            }
        });
    }
    Ok(Json(results.into()))
}

/// Sends one invitation: its secret is kept before it is logged.
pub(crate) async fn send(
    api: &Api,
    actor: &Actor,
    row: ContactResult,
    command: impl FnOnce([u8; 32]) -> InvitationCommand,
) -> Result<ContactResult, Problem> {
    let (secret, hash) =
        api.org.new_secret().map_err(|error| Problem::internal("drawing a secret", &error))?;
    api.org
        .keep_invitation_secret(&secret)
        .map_err(|error| Problem::internal("keeping the secret of an invitation", &error))?;
    let executed = api.org.execute(Command::Invitation(command(hash)), &actor.user).await;
    if executed.is_err() {
        api.org.forget_invitation_secret(&secret);
    }
    row_of(row, executed)
}

/// A refusal is the end of its row alone; a daemon that takes nothing is the end of all.
fn row_of(
    row: ContactResult,
    executed: Result<crate::org::Executed, crate::org::ExecuteError>,
) -> Result<ContactResult, Problem> {
    match executed {
        Ok(executed) => match executed.reply {
            Reply::Connection(connection) => Ok(row.connected(connection)),
            reply => Err(super::unexpected(&reply)),
        },
        Err(crate::org::ExecuteError::Refused(refusal)) => Ok(row.refused(&refusal)),
        Err(error) => Err(error.into()),
    }
}

/// Lists the contacts that can be written to: those with an address.
#[utoipa::path(get, path = "/v1/invitations/contacts", tag = "invitations", params(ContactQuery),
    responses((status = 200, body = ContactList)))]
pub(crate) async fn list(
    Extract(api): Extract<Api>,
    actor: Actor,
    Params(query): Params<ContactQuery>,
) -> Result<Json<ContactList>, Problem> {
    let search = query.search.unwrap_or_default().to_lowercase();
    super::read(&api, |state| {
        let Some(object) = contact_object() else { return Ok(ContactList { contacts: Vec::new() }) };
        require(state, &actor.user, Permission::Read(&object))?;
        let known = state.records_of(&object, None).filter_map(|(id, _)| contact_of(state, id, None).ok());
        let found = known.filter(|contact| {
            let texts = [&contact.name, &contact.email, &contact.account_name];
            texts.iter().any(|text| text.to_lowercase().contains(&search))
        });
        let views = found.take(PAGE_MAX).map(|contact| ContactView {
            connection: is_invited(state, contact.record, now()).map(|connection| connection.id.to_string()),
            inquiry: state
                .inquiries
                .of(contact.record)
                .map(|inquiry| inquiry.answer.as_ref().map_or("asked", |answer| answer.reply.as_str())),
            contact: contact.record.to_string(),
            account: contact.account.map(|id| id.to_string()),
            account_name: contact.account_name,
            name: contact.name,
            email: contact.email,
        });
        Ok(ContactList { contacts: views.collect() })
    })
    .await
}
