//! Objects: list, show, define and extend.

use axum::Json;
use axum::extract::State as Extract;
use serde::Serialize;
use tieline_core::command::{Command, Reply};
use tieline_core::people::Permission;
use tieline_core::schema::{ObjectSchema, RuleFault, SchemaError};
use tieline_core::{ObjectName, Seq, check, drift};
use utoipa::ToSchema;

use super::auth::Actor;
use super::drift::ChangeView;
use super::field_view::ObjectView;
use super::problem::{ErrorCode, Problem};
use super::request::{Route, Text};
use super::{Api, Done, records};

/// The objects of the org.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ObjectList {
    /// One entry for each, sorted by name.
    objects: Vec<ObjectSummary>,
}

/// An object in short.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ObjectSummary {
    /// The API name.
    name: String,
    /// What people see.
    label: String,
    /// How many fields it has.
    fields: usize,
    /// How many validation rules it has.
    rules: usize,
    /// How many records there are.
    records: usize,
    /// Rises by one with each saved change.
    version: u32,
}

/// An object that was defined or extended.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Defined {
    /// Its API name.
    object: String,
    /// Its version now.
    version: u32,
    /// The last event of the log when it was saved.
    seq: u64,
    /// Whether anything changed.
    changed: bool,
    /// What partners take and will not get as before (S2S-31).
    drift: Vec<ChangeView>,
    /// Rules, views and reports that name what is gone.
    breaks: Vec<BreakView>,
}

/// What a file of an object would change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Checked {
    /// The object.
    object: String,
    /// Whether anything would change.
    changed: bool,
    /// What partners take and would not get as before (S2S-31).
    drift: Vec<ChangeView>,
    /// Rules, views and reports that would name what is gone.
    breaks: Vec<BreakView>,
}

/// A setting that does not fit its object any more.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BreakView {
    /// The setting, as `workflow_rules.late`.
    setting: String,
    /// Why.
    message: String,
}

/// What the file of an object comes to.
struct Meant {
    schema: ObjectSchema,
    /// Whether it differs from what is there.
    differs: bool,
    drift: Vec<ChangeView>,
    breaks: Vec<BreakView>,
}

fn in_file(error: &SchemaError) -> Problem {
    let SchemaError { line, column, message } = error;
    let detail = format!("the file of the object is not valid at line {line}, column {column}: {message}");
    Problem::new(ErrorCode::BadObjectFile, detail).at(*line, *column)
}

/// Rules that are none, with the place of the first in its file.
fn rules_in_file(faults: Vec<RuleFault>) -> Problem {
    let first = faults.first().map_or((1, 1), |fault| (fault.place.line, fault.place.column));
    Problem::refused(faults.into_iter().map(|fault| fault.reason).collect()).at(first.0, first.1)
}

/// Lists the objects whose records the user may read.
#[utoipa::path(get, path = "/v1/objects", tag = "objects", responses((status = 200, body = ObjectList)))]
pub(crate) async fn list(Extract(api): Extract<Api>, actor: Actor) -> Result<Json<ObjectList>, Problem> {
    super::read(&api, |state| {
        let reading = actor.reading(state);
        let objects = state.objects.values().filter(|object| reading.may(Permission::Read(&object.name)));
        let objects = objects.map(|object| ObjectSummary {
            name: object.name.to_string(),
            label: object.label.clone(),
            fields: object.fields.len(),
            rules: object.rules.len(),
            records: state.count_of(&object.name),
            version: object.version,
        });
        Ok(ObjectList { objects: objects.collect() })
    })
    .await
}

/// Shows an object with its fields and rules.
#[utoipa::path(get, path = "/v1/objects/{object}", tag = "objects",
    params(("object" = String, Path, description = "The object.")),
    responses((status = 200, body = ObjectView)))]
pub(crate) async fn show(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(name): Route<ObjectName>,
) -> Result<Json<ObjectView>, Problem> {
    super::read(&api, |state| {
        let reading = actor.reading(state);
        let object = records::object(state, reading, name.as_str())?;
        let writes = reading.may(Permission::Create(&name)) || reading.may(Permission::Edit(&name));
        Ok(ObjectView::of(object, |field| writes && reading.may(Permission::WriteField(&name, field))))
    })
    .await
}

/// Removes an object on which nothing stands: no record, no rule, no other setting.
#[utoipa::path(delete, path = "/v1/objects/{object}", tag = "objects",
    params(("object" = String, Path, description = "The object.")),
    responses((status = 200, body = Done)))]
pub(crate) async fn remove(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(object): Route<ObjectName>,
) -> Result<Json<Done>, Problem> {
    let _defining = api.defining.lock().await;
    api.change(&actor, Command::RemoveObject { object }).await
}

/// Defines an object, or extends a known one, from its file.
#[utoipa::path(put, path = "/v1/objects", tag = "objects",
    request_body(content = String, content_type = "application/toml", description = "The file of the object."),
    responses((status = 200, body = Defined)))]
pub(crate) async fn define(
    Extract(api): Extract<Api>,
    actor: Actor,
    Text(text): Text,
) -> Result<Json<Defined>, Problem> {
    let _defining = api.defining.lock().await;
    let Meant { schema, drift, breaks, .. } = read(&api, &text)?;
    let name = schema.name.clone();
    let executed = api.org.execute(Command::DefineObject { schema: Box::new(schema) }, &actor.user).await?;
    let version = api.org.peek(|state| state.object(&name).map_or(0, |object| object.version));
    let (Seq(seq), changed) = (executed.seq, executed.reply != Reply::Unchanged);
    Ok(Json(Defined { object: name.to_string(), version, seq, changed, drift, breaks }))
}

/// The object of a file, whether it differs from what is there, and what it changes for partners and rules.
fn read(api: &Api, text: &str) -> Result<Meant, Problem> {
    let file = ObjectSchema::from_toml(text).map_err(|error| in_file(&error))?;
    let base = api.org.peek(|state| file.object().and_then(|name| state.object(name)).cloned());
    let schema = file.build(base.as_deref()).map_err(|error| in_file(&error))?;
    file.check_rules(&schema).map_err(rules_in_file)?;
    let differs = base.as_deref() != Some(&schema);
    let (drift, breaks) = api.org.peek(|state| {
        let all = drift::of_object(state, &schema);
        let drift = all.flat_map(|(connection, changes)| {
            let view = |change| ChangeView::ours(connection, schema.name.as_str(), change);
            changes.iter().map(view).collect::<Vec<_>>()
        });
        let breaks = check::breaks(state, state, &schema)
            .into_iter()
            .map(|unfit| BreakView { setting: unfit.item, message: unfit.reason.message });
        (drift.collect(), breaks.collect())
    });
    Ok(Meant { schema, differs, drift, breaks })
}

/// Says what a file of an object would change, above all for partners that take its fields, and changes
/// nothing.
#[utoipa::path(post, path = "/v1/check/object", tag = "objects",
    request_body(content = String, content_type = "application/toml", description = "The file of the object."),
    responses((status = 200, body = Checked)))]
pub(crate) async fn check(
    Extract(api): Extract<Api>,
    _actor: Actor,
    Text(text): Text,
) -> Result<Json<Checked>, Problem> {
    let Meant { schema, differs, drift, breaks } = read(&api, &text)?;
    schema.check().map_err(Problem::refused)?;
    Ok(Json(Checked { object: schema.name.to_string(), changed: differs, drift, breaks }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_in_a_file_has_its_place() {
        let text = "extends = \"Lead\"\n[fields.Region__c]\ntyp = \"text\"\n";
        let problem = in_file(&ObjectSchema::from_toml(text).unwrap_err());
        let json = serde_json::to_value(problem.body()).unwrap();
        assert_eq!((json["code"].as_str(), json["line"].as_u64()), (Some("bad_object_file"), Some(3)));
        assert!(problem.detail.contains("line 3") && problem.detail.contains("typ"), "{}", problem.detail);
    }
}
