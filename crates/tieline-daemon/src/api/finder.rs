//! The partner finder: contacts are asked whether they can connect, answers are recorded, and the
//! directory lists the orgs that agreed to be listed (S2S-17).

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use tieline_core::command::{Command, InquiryCommand, Refusal};
use tieline_core::decide::{common_fields, contact_of, template_of};
use tieline_core::effect::Purpose;
use tieline_core::inquiry::InquiryReply;
use tieline_core::limits::PAGE_MAX;
use tieline_core::mail_template::{ANSWER_CODE, MailPurpose};
use tieline_core::state::{FailedEffect, Inquiry, OpenEffect, State};
use tieline_core::{InquiryId, MailTemplateName, OrgName};
use utoipa::ToSchema;

use super::auth::Actor;
use super::contacts::{ContactResult, ContactResults, Contacts};
use super::problem::Problem;
use super::request::{Body, Params, Route};
use super::{Api, Done};
use crate::org::ExecuteError;

/// Contacts to be asked whether they can connect.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asking {
    /// Which contacts.
    contacts: Contacts,
    /// What the mail says: see `/v1/mail-templates`.
    #[schema(value_type = Option<String>)]
    mail_template: Option<MailTemplateName>,
    /// Also contacts that were asked before.
    #[serde(default)]
    again: bool,
    /// Show what would be sent, and send nothing.
    #[serde(default)]
    preview: bool,
}

/// Which questions.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct InquiryQuery {
    /// Only those with this answer: `yes`, `no`, `later`, or `none` for those without one.
    answer: Option<String>,
}

/// The questions to contacts, the newest first: at most 1,000.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InquiryList {
    /// One entry for each.
    inquiries: Vec<InquiryView>,
}

/// A question to a contact whether a connection is possible.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InquiryView {
    /// Its id, which the mail names as the code of the answer.
    id: String,
    /// Who was asked.
    contact: String,
    /// The name of the contact.
    name: String,
    /// Its address.
    email: String,
    /// The name of its account.
    account_name: String,
    /// When it was asked.
    asked: String,
    /// Why its mail could not be sent, if it was given up: see `/v1/effects`.
    #[serde(skip_serializing_if = "Option::is_none")]
    mail_failed: Option<String>,
    /// By whom.
    asked_by: String,
    /// `yes`, `no` or `later`; nothing while there is no answer.
    answer: Option<&'static str>,
    /// The org of the contact.
    org: Option<String>,
    /// Whether that org agreed to be listed.
    listed: bool,
    /// What else was said.
    note: String,
    /// When the answer was recorded.
    answered: Option<String>,
    /// By whom.
    recorded_by: Option<String>,
}

/// What a contact answered.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InquiryAnswerBody {
    /// `yes`, `no` or `later`.
    #[schema(value_type = String)]
    answer: InquiryReply,
    /// The org of the contact, if it has one.
    #[schema(value_type = Option<String>)]
    org: Option<OrgName>,
    /// Whether that org agreed to be listed in the directory.
    #[serde(default)]
    listed: bool,
    /// What else was said.
    #[serde(default)]
    note: String,
}

/// The orgs that agreed to be listed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Directory {
    /// One entry for each, in the order of their names.
    orgs: Vec<DirectoryEntry>,
}

/// An org that agreed to be listed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DirectoryEntry {
    /// Its name.
    org: String,
    /// The contact that spoke for it.
    contact: String,
    /// The name of the contact.
    name: String,
    /// The name of its account.
    account_name: String,
    /// Whether it can connect: `yes` or `later`.
    answer: &'static str,
    /// When it said so.
    answered: Option<String>,
    /// The connection with it, if there is an active one.
    connection: Option<String>,
}

/// Why the mail of a question was given up, if it was.
fn mail_failed(state: &State, inquiry: &Inquiry) -> Option<String> {
    let of_it = |failed: &&FailedEffect| {
        let OpenEffect { time, cause, .. } = &failed.open;
        (cause.purpose, cause.record, *time)
            == (Purpose::Inquiry, Some(inquiry.contact.record), inquiry.asked)
    };
    state.effects.failed().values().find(of_it).map(|failed| failed.error.clone())
}

impl InquiryView {
    fn of(state: &State, id: InquiryId, inquiry: &Inquiry) -> Self {
        let answer = inquiry.answer.as_ref();
        Self {
            id: id.to_string(),
            contact: inquiry.contact.record.to_string(),
            name: inquiry.contact.name.clone(),
            email: inquiry.contact.email.clone(),
            account_name: inquiry.contact.account_name.clone(),
            asked: inquiry.asked.to_string(),
            mail_failed: mail_failed(state, inquiry),
            asked_by: inquiry.actor.to_string(),
            answer: answer.map(|answer| answer.reply.as_str()),
            org: answer.and_then(|answer| answer.org.as_ref()).map(ToString::to_string),
            listed: answer.is_some_and(|answer| answer.listed),
            note: answer.map(|answer| answer.note.clone()).unwrap_or_default(),
            answered: inquiry.answered.map(|time| time.to_string()),
            recorded_by: answer.map(|answer| answer.actor.to_string()),
        }
    }
}

/// Asks contacts by mail whether they can connect, or shows what would be sent.
#[utoipa::path(post, path = "/v1/finder", tag = "finder", request_body = Asking,
    responses((status = 200, body = ContactResults)))]
pub(crate) async fn ask(
    Extract(api): Extract<Api>,
    actor: Actor,
    Body(request): Body<Asking>,
) -> Result<Json<ContactResults>, Problem> {
    let contacts = api.org.read(|state| request.contacts.find(state, &actor)).await?;
    let mut results = Vec::with_capacity(contacts.len());
    for contact in contacts {
        let row = api.org.read(|state| ContactResult::of(state, contact)).await;
        if request.preview {
            let mail = api.org.read(|state| {
                let known = contact_of(state, contact, None)?;
                let template = template_of(state, request.mail_template.as_ref(), MailPurpose::Inquiry)?;
                let mut fields = common_fields(state, &actor.user, &known);
                fields.insert(ANSWER_CODE, InquiryId::default().to_string());
                Ok::<_, Refusal>(template.render(&fields))
            });
            results.push(match mail.await {
                Ok(mail) => row.shown(mail),
                Err(refusal) => row.refused(&refusal),
            });
            continue;
        }
        let (template, again) = (request.mail_template.clone(), request.again);
        let command = Command::Inquiry(InquiryCommand::Ask { contact, template, again });
        results.push(match api.org.execute(command, &actor.user).await {
            Ok(_) => row,
            Err(ExecuteError::Refused(refusal)) => row.refused(&refusal),
            Err(error) => return Err(error.into()),
        });
    }
    Ok(Json(results.into()))
}

/// Lists the questions to contacts, with the answers.
#[utoipa::path(get, path = "/v1/finder", tag = "finder", params(InquiryQuery),
    responses((status = 200, body = InquiryList)))]
pub(crate) async fn list(
    Extract(api): Extract<Api>,
    _actor: Actor,
    Params(query): Params<InquiryQuery>,
) -> Result<Json<InquiryList>, Problem> {
    super::read(&api, |state| {
        let wanted = |inquiry: &Inquiry| {
            let answer = inquiry.answer.as_ref().map_or("none", |answer| answer.reply.as_str());
            query.answer.as_ref().is_none_or(|wanted| wanted == answer)
        };
        let mut found: Vec<_> = state.inquiries.all().iter().filter(|(_, inquiry)| wanted(inquiry)).collect();
        found.sort_by_key(|(_, inquiry)| std::cmp::Reverse(inquiry.seq));
        let views =
            found.into_iter().take(PAGE_MAX).map(|(id, inquiry)| InquiryView::of(state, *id, inquiry));
        Ok(InquiryList { inquiries: views.collect() })
    })
    .await
}

/// Records what a contact answered; the last answer holds.
#[utoipa::path(post, path = "/v1/finder/{id}/answer", tag = "finder",
    params(("id" = String, Path, description = "Id of the question: the code in its mail.")),
    request_body = InquiryAnswerBody, responses((status = 200, body = Done)))]
pub(crate) async fn record(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(id): Route<InquiryId>,
    Body(body): Body<InquiryAnswerBody>,
) -> Result<Json<Done>, Problem> {
    let InquiryAnswerBody { answer: reply, org, listed, note } = body;
    api.change(&actor, Command::Inquiry(InquiryCommand::Record { id, reply, org, listed, note })).await
}

/// Lists the orgs that agreed to be listed.
#[utoipa::path(get, path = "/v1/directory", tag = "finder", responses((status = 200, body = Directory)))]
pub(crate) async fn directory(Extract(api): Extract<Api>, _actor: Actor) -> Result<Json<Directory>, Problem> {
    super::read(&api, |state| {
        let entries = state.inquiries.directory().into_iter().map(|(org, inquiry)| {
            let connection = state
                .connections
                .values()
                .find(|connection| connection.partner.as_ref() == Some(org) && connection.is_active());
            DirectoryEntry {
                org: org.to_string(),
                contact: inquiry.contact.record.to_string(),
                name: inquiry.contact.name.clone(),
                account_name: inquiry.contact.account_name.clone(),
                answer: inquiry.answer.as_ref().map_or("none", |answer| answer.reply.as_str()),
                answered: inquiry.answered.map(|time| time.to_string()),
                connection: connection.map(|connection| connection.id.to_string()),
            }
        });
        Ok(Directory { orgs: entries.collect() })
    })
    .await
}
