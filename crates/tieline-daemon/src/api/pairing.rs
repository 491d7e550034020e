//! What may be published and mapped, and why not (S2S-24, S2S-26, S2S-27).

use axum::Json;
use axum::extract::State as Extract;
use serde::Serialize;
use tieline_core::pairing::{self, Suggestion};
use tieline_core::people::Permission;
use tieline_core::schema::{FieldSchema, ObjectSchema, supported};
use utoipa::ToSchema;

use super::auth::Actor;
use super::problem::{Problem, ReasonView};
use super::request::Route;
use super::{Api, records, select};

/// The fields of an object, and which of them may be published.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PublishableList {
    /// The object.
    object: String,
    /// Why nothing of the object can be shared, if nothing can.
    reason: Option<ReasonView>,
    /// Its fields, sorted by name.
    fields: Vec<PublishableView>,
}

/// Whether a field may be published.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PublishableView {
    /// The field.
    field: String,
    /// Which values it keeps.
    #[serde(rename = "type")]
    field_type: &'static str,
    /// Where its values come from.
    kind: &'static str,
    /// Whether the user may publish it.
    publishable: bool,
    /// Why not.
    reason: Option<ReasonView>,
    /// Partners that it is published to.
    published_to: Vec<String>,
}

/// What the objects of a partner may be mapped to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SuggestionList {
    /// One entry for each object that the partner publishes.
    suggestions: Vec<SuggestionView>,
}

/// What an object of a partner may be mapped to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SuggestionView {
    /// The partner's object.
    remote: String,
    /// The object that it is mapped to already.
    mapped: Option<String>,
    /// The objects that it may be mapped to, those with the most fields in common first.
    candidates: Vec<CandidateView>,
}

/// An object that a partner's object may be mapped to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CandidateView {
    /// The object of this org.
    local: String,
    /// Fields of the same name whose types fit.
    fields: Vec<SameField>,
}

/// A field of the partner and one of this org.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SameField {
    /// The partner's field.
    from: String,
    /// The field here.
    local: String,
}

impl From<&Suggestion> for SuggestionView {
    fn from(suggestion: &Suggestion) -> Self {
        let candidates = suggestion.candidates.iter().map(|candidate| CandidateView {
            local: candidate.local.to_string(),
            fields: candidate
                .fields
                .iter()
                .map(|(from, local)| SameField { from: from.to_string(), local: local.to_string() })
                .collect(),
        });
        Self {
            remote: suggestion.remote.to_string(),
            mapped: suggestion.mapped.as_ref().map(ToString::to_string),
            candidates: candidates.collect(),
        }
    }
}

/// Shows what each object of a partner may be mapped to. What is mapped already is offered for nothing
/// else.
#[utoipa::path(get, path = "/v1/connections/{c}/suggestions", tag = "rules",
    params(("c" = String, Path, description = "Id, partner or label.")),
    responses((status = 200, body = SuggestionList)))]
pub(crate) async fn suggestions(
    Extract(api): Extract<Api>,
    _actor: Actor,
    Route(selector): Route<String>,
) -> Result<Json<SuggestionList>, Problem> {
    super::read(&api, |state| {
        let connection = select::connection(state, &selector)?;
        let suggestions = pairing::suggestions(state, connection);
        Ok(SuggestionList { suggestions: suggestions.iter().map(SuggestionView::from).collect() })
    })
    .await
}

/// Lists the fields of an object: which may be published, and why the others may not.
#[utoipa::path(get, path = "/v1/objects/{object}/publishable", tag = "objects",
    params(("object" = String, Path, description = "The object.")),
    responses((status = 200, body = PublishableList)))]
pub(crate) async fn publishable(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(object): Route<String>,
) -> Result<Json<PublishableList>, Problem> {
    super::read(&api, |state| {
        let reading = actor.reading(state);
        let schema: &ObjectSchema = records::object(state, reading, &object)?;
        let unsupported = supported(&schema.name).err();
        let view = |field: &FieldSchema| {
            let why = unsupported.clone().or_else(|| schema.publishable(&field.name).err());
            let needed = Permission::WriteField(&schema.name, &field.name);
            let missing = (why.is_none() && !reading.may(needed)).then(|| not_editable(schema, field));
            let reason = why.or(missing);
            let rules = state.connections.values().filter(|connection| connection.is_active());
            let published = rules.filter(|connection| {
                connection.publish.get(&schema.name).is_some_and(|rule| rule.publishes(&field.name))
            });
            PublishableView {
                field: field.name.to_string(),
                field_type: field.field_type.as_str(),
                kind: field.kind.as_str(),
                publishable: reason.is_none(),
                reason: reason.as_ref().map(ReasonView::from),
                published_to: published.map(|connection| connection.display_name().to_owned()).collect(),
            }
        };
        Ok(PublishableList {
            object: schema.name.to_string(),
            reason: unsupported.as_ref().map(ReasonView::from),
            fields: schema.fields.iter().map(view).collect(),
        })
    })
    .await
}

fn not_editable(object: &ObjectSchema, field: &FieldSchema) -> tieline_core::reason::Reason {
    use tieline_core::reason::{Reason, ReasonCode};
    let text = format!(
        "{}.{} is published by whoever may edit it: ask for the right to edit the field",
        object.name, field.name
    );
    Reason::new(ReasonCode::NoPermission, text).on_field(&field.name)
}
