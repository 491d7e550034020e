//! Mail templates: what invitations and inquiries say (S2S-08).

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use tieline_core::command::{Command, InvitationCommand};
use tieline_core::decide::{contact_of, invitation_fields, require};
use tieline_core::invitation::InvitedContact;
use tieline_core::mail_template::{ANSWER_CODE, MailPurpose, MailTemplate};
use tieline_core::people::Permission;
use tieline_core::{InquiryId, MailTemplateName, RecordId};
use utoipa::ToSchema;

use super::auth::Actor;
use super::contacts::MailPreview;
use super::problem::{ErrorCode, Problem};
use super::request::{Body, Route};
use super::{Api, Done};
use crate::clock::now;

/// The mail templates, those of this org and those that are built in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MailTemplateList {
    /// One entry for each.
    templates: Vec<MailTemplateView>,
}

/// A mail template.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MailTemplateView {
    /// Its name; `invitation` and `inquiry` are used where no other is named.
    name: String,
    /// Whether it is the one that Tieline brings along.
    built_in: bool,
    /// What it says.
    template: MailTemplateBody,
    /// The fields that it may have.
    fields: Vec<&'static str>,
}

/// What a mail says, with merge fields as `{{org}}`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MailTemplateBody {
    /// `invitation` or `inquiry`.
    #[schema(value_type = String)]
    purpose: MailPurpose,
    /// The subject.
    subject: String,
    /// The text. One of an invitation has `{{connection_url}}`, one of an inquiry `{{answer_code}}`.
    text: String,
    /// The same as HTML, with the same field.
    #[serde(default)]
    html: Option<String>,
}

/// For whom a template is shown.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PreviewFor {
    /// A contact; without one, somebody made up.
    #[schema(value_type = Option<String>)]
    contact: Option<RecordId>,
    /// A template to be tried, instead of the saved one.
    template: Option<MailTemplateBody>,
}

impl MailTemplateBody {
    fn named(self, name: MailTemplateName) -> MailTemplate {
        let Self { purpose, subject, text, html } = self;
        MailTemplate { name, purpose, subject, text, html }
    }
}

impl MailTemplateView {
    fn of(template: MailTemplate, built_in: bool) -> Self {
        let MailTemplate { name, purpose, subject, text, html } = template;
        Self {
            name: name.to_string(),
            built_in,
            template: MailTemplateBody { purpose, subject, text, html },
            fields: purpose.fields(),
        }
    }
}

fn unknown(name: &MailTemplateName) -> Problem {
    let detail = format!("there is no mail template {name}: see `tieline mail list`");
    Problem::new(ErrorCode::UnknownMailTemplate, detail)
}

/// Lists the mail templates.
#[utoipa::path(get, path = "/v1/mail-templates", tag = "invitations",
    responses((status = 200, body = MailTemplateList)))]
pub(crate) async fn list(
    Extract(api): Extract<Api>,
    _actor: Actor,
) -> Result<Json<MailTemplateList>, Problem> {
    super::read(&api, |state| {
        let own = &state.invitations.templates;
        let built_in = MailPurpose::ALL.iter().map(|purpose| purpose.built_in());
        let built_in = built_in.filter(|template| !own.contains_key(&template.name));
        let built_in = built_in.map(|template| MailTemplateView::of(template, true));
        let own = own.values().map(|template| MailTemplateView::of(template.clone(), false));
        Ok(MailTemplateList { templates: built_in.chain(own).collect() })
    })
    .await
}

/// Shows a mail template.
#[utoipa::path(get, path = "/v1/mail-templates/{name}", tag = "invitations",
    params(("name" = String, Path, description = "Name of the template.")),
    responses((status = 200, body = MailTemplateView)))]
pub(crate) async fn show(
    Extract(api): Extract<Api>,
    _actor: Actor,
    Route(name): Route<MailTemplateName>,
) -> Result<Json<MailTemplateView>, Problem> {
    super::read(&api, |state| {
        let built_in = !state.invitations.templates.contains_key(&name);
        let template = state.invitations.template(Some(&name), MailPurpose::Invitation);
        template.map(|template| MailTemplateView::of(template, built_in)).ok_or_else(|| unknown(&name))
    })
    .await
}

/// Defines a mail template, or changes it.
#[utoipa::path(put, path = "/v1/mail-templates/{name}", tag = "invitations",
    params(("name" = String, Path, description = "Name of the template.")), request_body = MailTemplateBody,
    responses((status = 200, body = Done)))]
pub(crate) async fn set(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(name): Route<MailTemplateName>,
    Body(body): Body<MailTemplateBody>,
) -> Result<Json<Done>, Problem> {
    let template = Box::new(body.named(name));
    api.change(&actor, Command::Invitation(InvitationCommand::SetTemplate { template })).await
}

/// Removes a mail template; a built-in one of its name holds again.
#[utoipa::path(delete, path = "/v1/mail-templates/{name}", tag = "invitations",
    params(("name" = String, Path, description = "Name of the template.")),
    responses((status = 200, body = Done)))]
pub(crate) async fn remove(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(name): Route<MailTemplateName>,
) -> Result<Json<Done>, Problem> {
    api.change(&actor, Command::Invitation(InvitationCommand::RemoveTemplate { name })).await
}

/// Shows the mail that a template makes; nothing is sent.
#[utoipa::path(post, path = "/v1/mail-templates/{name}/preview", tag = "invitations",
    params(("name" = String, Path, description = "Name of the template.")), request_body = PreviewFor,
    responses((status = 200, body = MailPreview)))]
pub(crate) async fn preview(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(name): Route<MailTemplateName>,
    Body(request): Body<PreviewFor>,
) -> Result<Json<MailPreview>, Problem> {
    super::read(&api, |state| {
        let template = match request.template {
            Some(body) => body.named(name),
            None => {
                let known = state.invitations.template(Some(&name), MailPurpose::Invitation);
                known.ok_or_else(|| unknown(&name))?
            }
        };
        template.check()?;
        let contact = match request.contact {
            Some(contact) => {
                if let Some(object) = tieline_core::decide::contact_object() {
                    require(state, &actor.user, Permission::Read(&object))?;
                }
                contact_of(state, contact, None)?
            }
            None => InvitedContact {
                name: "Pat Sample".to_owned(),
                email: "pat@example.org".to_owned(),
                account_name: "Example".to_owned(),
                ..InvitedContact::default()
            },
        };
        let expires = now().plus_us(86_400_000_000);
        let mut fields = invitation_fields(state, &actor.user, &contact, &contact.account_name, expires);
        fields.insert(ANSWER_CODE, InquiryId::default().to_string());
        Ok(template.render(&fields).into())
    })
    .await
}
