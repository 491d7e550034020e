//! The OpenAPI document: made from the handlers, served, and kept in `schemas/openapi.json`.

use std::sync::LazyLock;

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use utoipa::OpenApi as _;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::Type;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, ObjectBuilder, OpenApi, Ref, Required, ResponseBuilder};

use super::access::{self, Access};
use super::problem::{ProblemBody, ReasonView};

/// The name of the security scheme in the document.
const TOKEN: &str = "token";
/// What an operation says of who may ask it: `open`, `user`, `manage_connections` or `modify_all_data`.
const NEEDS: &str = "x-needs";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Tieline",
        description = "The API of one org: its records, connections and log.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    components(schemas(ProblemBody<'_>, ReasonView))
)]
struct Head;

/// The document before its paths are added.
pub(super) fn head() -> OpenApi {
    Head::openapi()
}

/// The OpenAPI document, as it is kept in `schemas/openapi.json`.
#[must_use]
pub fn document() -> String {
    let (_, mut openapi) = super::documented().split_for_parts();
    let (_, keyed) = super::keyed().split_for_parts();
    if let Some(components) = &mut openapi.components {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        components.add_security_scheme(TOKEN, scheme);
    }
    for (path, item) in &mut openapi.paths.paths {
        let operations = [
            ("get", &mut item.get),
            ("put", &mut item.put),
            ("post", &mut item.post),
            ("delete", &mut item.delete),
            ("patch", &mut item.patch),
        ];
        for (method, operation) in operations {
            if let Some(operation) = operation {
                complete(method, path, operation);
                if method != "get" && keyed.paths.paths.contains_key(path) {
                    operation.parameters.get_or_insert_default().push(key().into());
                }
            }
        }
    }
    // The document is made of texts and lists: it is always JSON.
    let mut text = openapi.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// Adds what every operation has: an id of its own, the token that it needs, and the problems that
/// it may answer.
fn complete(method: &str, path: &str, operation: &mut Operation) {
    let words = path.split(['/', '-']).map(|word| word.trim_matches(['{', '}']));
    let words: Vec<&str> = words.filter(|word| !word.is_empty() && *word != "v1").collect();
    operation.operation_id = Some(format!("{method}_{}", words.join("_")));
    let Some(access) = access::of(method, path) else { return };
    operation.extensions = Some(Extensions::builder().add(NEEDS, access.as_str()).build());
    if access == Access::Open {
        return;
    }
    operation.security = Some(vec![SecurityRequirement::new(TOKEN, Vec::<String>::new())]);
    let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let response = ResponseBuilder::new()
        .description("Why it failed; the code says what of.")
        .content("application/problem+json", problem)
        .build();
    operation.responses.responses.insert("default".to_owned(), response.into());
}

/// The header of what may be sent again.
fn key() -> Parameter {
    let text = ObjectBuilder::new().schema_type(Type::String).max_length(Some(128)).build();
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "What the client calls the request, 1 to 128 visible ASCII characters: sent again by the same user \
             with the same key and body within 24 hours, what was done is answered and not done again.",
        ))
        .schema(Some(text))
        .build()
}

/// Serves the document.
pub(super) async fn serve() -> impl IntoResponse {
    static DOCUMENT: LazyLock<String> = LazyLock::new(document);
    ([(CONTENT_TYPE, "application/json")], DOCUMENT.as_str())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::drift::assert_current;

    #[test]
    fn the_document_is_current() {
        assert_current("openapi.json", &document());
    }

    #[test]
    fn every_operation_is_described_and_guarded() {
        let json: serde_json::Value = serde_json::from_str(&document()).unwrap();
        let schemas = json["components"]["schemas"].as_object().unwrap();
        let mut operations = BTreeSet::new();
        for (path, item) in json["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let name = format!("{method} {path}");
                assert!(operation["summary"].is_string(), "{name} has no summary");
                let needs = operation[NEEDS].as_str();
                assert!(needs.is_some(), "{name} is not in the table of access: nobody may ask it");
                assert_eq!(operation["security"].is_array(), needs != Some("open"), "{name}");
                assert!(
                    operation["responses"].as_object().unwrap().len() > usize::from(path.starts_with("/v1")),
                    "{name}"
                );
                assert!(
                    operations.insert(operation["operationId"].to_string()),
                    "{name} has the id of another"
                );
            }
        }
        assert!(operations.contains("\"get_connections_c_publish_object\""), "{operations:?}");
        let text = document();
        for reference in text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next())
        {
            assert!(schemas.contains_key(reference), "{reference} is not defined");
        }
    }

    #[test]
    fn every_schema_and_property_is_described() {
        let json: serde_json::Value = serde_json::from_str(&document()).unwrap();
        for (name, schema) in json["components"]["schemas"].as_object().unwrap() {
            assert!(schema["description"].is_string(), "{name} has no description");
            for (property, found) in schema["properties"].as_object().into_iter().flatten() {
                let described =
                    found["description"].is_string() || found["oneOf"][0]["description"].is_string();
                assert!(described, "{name}.{property} has no description: {found}");
            }
        }
    }
}
