//! What is published over a connection (S2S-20, S2S-22).

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use tieline_core::command::Command;
use tieline_core::drift::changes_taken;
use tieline_core::people::Permission;
use tieline_core::publish::{PublishRule, catalogue_object};
use tieline_core::reason::Reason;
use tieline_core::schema::ObjectSchema;
use tieline_core::{ConnectionId, FieldName, ObjectName};
use utoipa::ToSchema;

use super::auth::Actor;
use super::drift::ChangeView;
use super::field_view::names;
use super::problem::{ErrorCode, Problem};
use super::request::{Body, Route};
use super::values::field;
use super::{Api, Done, records, select};

/// What is to be published of an object: `fields`, or `all`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PublishBody {
    /// These fields; names in any case of their letters.
    fields: Option<Vec<String>>,
    /// Every field that may be published. A field that is added later is not.
    #[serde(default)]
    all: bool,
    /// Whether the partner is told who owns each shared record; as before if it is left out, at first not.
    owners: Option<bool>,
    /// Only say what would change.
    #[serde(default)]
    check: bool,
}

/// A publish rule that was saved, or looked at.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Published {
    /// The last event of the log when it was saved; none if it was only looked at.
    seq: Option<u64>,
    /// Whether anything changed, or would change.
    changed: bool,
    /// What the partner takes and does not get any more (S2S-31).
    drift: Vec<ChangeView>,
}

/// What is published of an object.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PublishView {
    /// The object.
    object: String,
    /// The published fields.
    fields: Vec<String>,
    /// Whether the partner is told who owns each shared record.
    owners: bool,
    /// Rises by one with each saved change.
    version: u32,
}

/// What is published over a connection.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PublishList {
    /// One entry for each object.
    publish: Vec<PublishView>,
}

impl From<&PublishRule> for PublishView {
    fn from(rule: &PublishRule) -> Self {
        let PublishRule { object, fields, owners, version } = rule;
        Self { object: object.to_string(), fields: names(fields), owners: *owners, version: *version }
    }
}

impl PublishBody {
    /// The fields meant: all are those that the user may edit (S2S-03).
    fn fields(
        &self,
        object: &ObjectSchema,
        may_edit: impl Fn(&FieldName) -> bool,
    ) -> Result<Vec<FieldName>, Problem> {
        match (&self.fields, self.all) {
            (Some(named), false) => named_fields(object, named).map_err(Problem::refused),
            (None, true) => {
                let publishable = object.fields.iter().map(|field| &field.name);
                let offered = publishable.filter(|name| object.publishable(name).is_ok() && may_edit(name));
                Ok(offered.cloned().collect())
            }
            _ => {
                let detail = "name the fields to publish, or set all to true: one of both";
                Err(Problem::new(ErrorCode::BadBody, detail))
            }
        }
    }
}

fn named_fields(object: &ObjectSchema, named: &[String]) -> Result<Vec<FieldName>, Vec<Reason>> {
    let mut fields = Vec::with_capacity(named.len());
    let mut reasons = Vec::new();
    for name in named {
        match field(object, name) {
            Ok(field) => fields.push(field.name.clone()),
            Err(reason) => reasons.push(reason),
        }
    }
    if reasons.is_empty() { Ok(fields) } else { Err(reasons) }
}

fn no_rule(object: &ObjectName) -> Problem {
    Problem::new(ErrorCode::UnknownRule, format!("{object} is not published over this connection"))
}

/// Lists what is published over a connection.
#[utoipa::path(get, path = "/v1/connections/{c}/publish", tag = "rules",
    params(("c" = String, Path, description = "Id, partner or label.")),
    responses((status = 200, body = PublishList)))]
pub(crate) async fn list(
    Extract(api): Extract<Api>,
    _actor: Actor,
    Route(selector): Route<String>,
) -> Result<Json<PublishList>, Problem> {
    super::read(&api, |state| {
        let connection = select::connection(state, &selector)?;
        Ok(PublishList { publish: connection.publish.values().map(PublishView::from).collect() })
    })
    .await
}

/// Shows what is published of an object.
#[utoipa::path(get, path = "/v1/connections/{c}/publish/{object}", tag = "rules",
    params(("c" = String, Path, description = "Id, partner or label."),
        ("object" = String, Path, description = "The object.")),
    responses((status = 200, body = PublishView)))]
pub(crate) async fn show(
    Extract(api): Extract<Api>,
    _actor: Actor,
    Route((selector, object)): Route<(String, ObjectName)>,
) -> Result<Json<PublishView>, Problem> {
    super::read(&api, |state| {
        let connection = select::connection(state, &selector)?;
        connection.publish.get(&object).map(PublishView::from).ok_or_else(|| no_rule(&object))
    })
    .await
}

/// Sets what is published of an object, and says what the partner takes of it and does not get any more.
/// The answer comes when nothing more than that can leave. With `check` it is only looked at.
#[utoipa::path(put, path = "/v1/connections/{c}/publish/{object}", tag = "rules", request_body = PublishBody,
    params(("c" = String, Path, description = "Id, partner or label."),
        ("object" = String, Path, description = "The object.")),
    responses((status = 200, body = Published)))]
pub(crate) async fn set(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route((selector, object)): Route<(String, ObjectName)>,
    Body(body): Body<PublishBody>,
) -> Result<Json<Published>, Problem> {
    let (connection, rule, differs, drift) = api.org.peek(|state| {
        let connection = select::connection(state, &selector)?;
        let reading = actor.reading(state);
        let schema = records::object(state, reading, object.as_str())?;
        let may_edit = |field: &FieldName| reading.may(Permission::WriteField(&object, field));
        let known = connection.publish.get(&object);
        let owners = body.owners.unwrap_or_else(|| known.is_some_and(|known| known.owners));
        let rule = PublishRule::new(object.clone(), body.fields(schema, may_edit)?, 0).with_owners(owners);
        rule.check(schema).map_err(Problem::refused)?;
        let changes = known.zip(connection.taken.get(&object)).map(|(known, taken)| {
            let (old, new) = (catalogue_object(schema, known), catalogue_object(schema, &rule));
            changes_taken(&old, Some(&new), taken)
        });
        let view = |change| ChangeView::ours(connection, object.as_str(), change);
        let drift: Vec<ChangeView> = changes.unwrap_or_default().iter().map(view).collect();
        let differs = known.is_none_or(|known| known.fields != rule.fields || known.owners != owners);
        Ok::<_, Problem>((connection.id, rule, differs, drift))
    })?;
    if body.check {
        return Ok(Json(Published { seq: None, changed: differs, drift }));
    }
    let Json(Done { seq, changed }) = publish(&api, &actor, connection, object, Some(rule)).await?;
    Ok(Json(Published { seq: Some(seq), changed, drift }))
}

/// Publishes nothing more of an object.
#[utoipa::path(delete, path = "/v1/connections/{c}/publish/{object}", tag = "rules",
    params(("c" = String, Path, description = "Id, partner or label."),
        ("object" = String, Path, description = "The object.")),
    responses((status = 200, body = Done)))]
pub(crate) async fn remove(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route((selector, object)): Route<(String, ObjectName)>,
) -> Result<Json<Done>, Problem> {
    let connection = api.connection_id(&selector)?;
    publish(&api, &actor, connection, object, None).await
}

async fn publish(
    api: &Api,
    actor: &Actor,
    connection: ConnectionId,
    object: ObjectName,
    rule: Option<PublishRule>,
) -> Result<Json<Done>, Problem> {
    let done = api.change(actor, Command::Publish { connection, object, rule }).await?;
    api.org.narrowed(connection).await;
    Ok(done)
}

#[cfg(test)]
mod tests {
    use tieline_core::schema::standard_objects;

    use super::*;

    fn fields(body: &str) -> Result<Vec<String>, Problem> {
        let lead = standard_objects().into_iter().find(|object| object.name.as_str() == "Lead").unwrap();
        serde_json::from_str::<PublishBody>(body)
            .unwrap()
            .fields(&lead, |name| name.as_str() != "City")
            .map(|fields| names(&fields))
    }

    #[test]
    fn fields_are_named_or_all() {
        assert_eq!(fields(r#"{"fields": ["status", "EMAIL"]}"#).unwrap(), ["Status", "Email"]);
        let all = fields(r#"{"all": true}"#).unwrap();
        let has = |name: &str| all.iter().any(|field| field == name);
        assert!(has("LastName") && !has("CreatedDate") && !has("City"), "{all:?}");
        for body in ["{}", r#"{"all": true, "fields": []}"#] {
            assert_eq!(fields(body).unwrap_err().code, ErrorCode::BadBody, "{body}");
        }
        let problem = fields(r#"{"fields": ["Stauts", "Emial"]}"#).unwrap_err();
        assert_eq!(problem.reasons.len(), 2, "{problem:?}");
    }
}
