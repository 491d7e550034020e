//! Invitations that were saved, to be sent later: shown, changed, sent, discarded (S2S-06).

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Deserializer, Serialize};
use tieline_core::command::{Command, InvitationCommand};
use tieline_core::decide::{contact_object, require};
use tieline_core::invitation::InvitationDetails;
use tieline_core::people::Permission;
use tieline_core::state::State;
use tieline_core::{ConnectionId, ConnectionTemplateName, MailTemplateName, RecordId, UserName};
use utoipa::ToSchema;

use super::auth::Actor;
use super::contacts::{ContactResult, send};
use super::invitations::check_duration;
use super::problem::{ErrorCode, Problem};
use super::request::{Body, Route};
use super::{Api, Done};
use crate::clock::now;

/// An invitation that was saved.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SavedInvitation {
    /// The connection that it will offer.
    connection: String,
    /// To whom it will go.
    contact: String,
    /// The name of the contact; none if it is not there any more, or has no address.
    name: Option<String>,
    /// Its address, to which the mail goes.
    email: Option<String>,
    /// The account that the connection will be for, if it is another than the contact's own.
    account: Option<String>,
    /// Who will manage the connection here; without one, whoever sends it.
    owner: Option<String>,
    /// What the connection will be called here; without it, as the account or the contact.
    label: String,
    /// What the mail says; without it, the usual.
    mail_template: Option<String>,
    /// The connection template that is applied once the connection is active.
    template: Option<String>,
    /// Seconds for which it will hold once it is sent.
    expires_in_s: u32,
}

/// What is to be changed of a saved invitation; what is not named stays, and null takes away.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SavedChange {
    /// Another contact.
    #[schema(value_type = Option<String>)]
    contact: Option<RecordId>,
    /// The account that the connection is for.
    #[serde(deserialize_with = "named")]
    #[schema(value_type = Option<String>)]
    account: Option<Option<RecordId>>,
    /// Who manages the connection here.
    #[serde(deserialize_with = "named")]
    #[schema(value_type = Option<String>)]
    owner: Option<Option<UserName>>,
    /// What the connection is called here; an empty label is none.
    label: Option<String>,
    /// What the mail says.
    #[serde(deserialize_with = "named")]
    #[schema(value_type = Option<String>)]
    mail_template: Option<Option<MailTemplateName>>,
    /// The connection template.
    #[serde(deserialize_with = "named")]
    #[schema(value_type = Option<String>)]
    template: Option<Option<ConnectionTemplateName>>,
    /// Seconds until it ends once it is sent: 60 to 2,592,000.
    expires_in_s: Option<u32>,
}

/// What stands there, null included.
fn named<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

impl SavedChange {
    fn apply(self, to: InvitationDetails) -> InvitationDetails {
        let Self { contact, account, owner, label, mail_template, template, expires_in_s } = self;
        InvitationDetails {
            contact: contact.unwrap_or(to.contact),
            account: account.unwrap_or(to.account),
            owner: owner.unwrap_or(to.owner),
            label: label.unwrap_or(to.label),
            mail_template: mail_template.unwrap_or(to.mail_template),
            template: template.unwrap_or(to.template),
            expires_in_s: expires_in_s.unwrap_or(to.expires_in_s),
        }
    }
}

impl SavedInvitation {
    fn of(state: &State, id: ConnectionId, details: &InvitationDetails) -> Self {
        let (name, email) = ContactResult::of(state, details.contact).known();
        Self {
            connection: id.to_string(),
            contact: details.contact.to_string(),
            name,
            email,
            account: details.account.map(|account| account.to_string()),
            owner: details.owner.as_ref().map(ToString::to_string),
            label: details.label.clone(),
            mail_template: details.mail_template.as_ref().map(ToString::to_string),
            template: details.template.as_ref().map(ToString::to_string),
            expires_in_s: details.expires_in_s,
        }
    }
}

fn find(state: &State, id: ConnectionId) -> Result<&InvitationDetails, Problem> {
    state.invitations.saved.get(&id).map(|saved| &saved.details).ok_or_else(|| {
        let detail =
            format!("there is no saved invitation {id}: see `tieline connection list --status saved`");
        Problem::new(ErrorCode::UnknownInvitation, detail)
    })
}

/// Refuses whoever may not read contacts, whom invitations name.
fn reads_contacts(state: &State, actor: &Actor) -> Result<(), Problem> {
    let object = contact_object();
    Ok(object.map_or(Ok(()), |object| require(state, &actor.user, Permission::Read(&object)))?)
}

/// Shows a saved invitation.
#[utoipa::path(get, path = "/v1/invitations/saved/{id}", tag = "invitations",
    params(("id" = String, Path, description = "Id of the connection that it will offer.")),
    responses((status = 200, body = SavedInvitation)))]
pub(crate) async fn show(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(id): Route<ConnectionId>,
) -> Result<Json<SavedInvitation>, Problem> {
    super::read(&api, |state| {
        reads_contacts(state, &actor)?;
        Ok(SavedInvitation::of(state, id, find(state, id)?))
    })
    .await
}

/// Changes a saved invitation.
#[utoipa::path(patch, path = "/v1/invitations/saved/{id}", tag = "invitations", request_body = SavedChange,
    params(("id" = String, Path, description = "Id of the connection that it will offer.")),
    responses((status = 200, body = SavedInvitation)))]
pub(crate) async fn change(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(id): Route<ConnectionId>,
    Body(change): Body<SavedChange>,
) -> Result<Json<SavedInvitation>, Problem> {
    if let Some(seconds) = change.expires_in_s {
        check_duration(seconds)?;
    }
    let details = api.org.peek(|state| {
        reads_contacts(state, &actor)?;
        Ok::<_, Problem>(Box::new(change.apply(find(state, id)?.clone())))
    })?;
    let command = InvitationCommand::Save { connection: Some(id), details };
    api.org.execute(Command::Invitation(command), &actor.user).await?;
    super::read(&api, |state| Ok(SavedInvitation::of(state, id, find(state, id)?))).await
}

/// Sends a saved invitation.
#[utoipa::path(post, path = "/v1/invitations/saved/{id}/send", tag = "invitations",
    params(("id" = String, Path, description = "Id of the connection that it will offer.")),
    responses((status = 200, body = ContactResult)))]
pub(crate) async fn send_saved(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(id): Route<ConnectionId>,
) -> Result<Json<ContactResult>, Problem> {
    let known = api.org.read(|state| {
        let details = find(state, id)?;
        Ok::<_, Problem>((ContactResult::of(state, details.contact), details.expires_in_s))
    });
    let (row, seconds) = known.await?;
    let expires = now().plus_us(check_duration(seconds)?);
    let command = |secret_hash| InvitationCommand::SendSaved { connection: id, secret_hash, expires };
    send(&api, &actor, row, command).await.map(Json)
}

/// Discards a saved invitation.
#[utoipa::path(delete, path = "/v1/invitations/saved/{id}", tag = "invitations",
    params(("id" = String, Path, description = "Id of the connection that it would have offered.")),
    responses((status = 200, body = Done)))]
pub(crate) async fn discard(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(id): Route<ConnectionId>,
) -> Result<Json<Done>, Problem> {
    api.change(&actor, Command::Invitation(InvitationCommand::Discard { connection: id })).await
}
