//! Many changes of records in one request: the way in for imports and interfaces.
//!
//! Each operation is decided for itself, in order, with its own group in the log; a bad one never
//! stops the others. All of them are one entry of the writer's queue and are answered when the last
//! is durable.

use std::str::FromStr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize};
use smol_str::SmolStr;
use tieline_core::command::{Command, Reply};
use tieline_core::limits::BATCH_RECORDS_MAX;
use tieline_core::schema::ObjectSchema;
use tieline_core::state::State;
use tieline_core::{AssignTo, InvalidId, Owner, RecordId, UserName};
use utoipa::ToSchema;

mod plain;

use super::Api;
use super::auth::{Actor, Reading};
use super::once::Keyed;
use super::problem::{ErrorCode, Problem, ReasonView};
use super::records;
use super::request::{self, Parse, ParsedBody};
use super::values::Fields;
use crate::org::Executed;

/// What is to be done, in order.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Batch {
    /// At most 1,000 operations.
    operations: Vec<Operation>,
}

/// One change of one record.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Operation {
    /// What is to be done.
    op: Op,
    // Names and ids are read one by one: a bad one refuses its operation and no other.
    /// The object of the record.
    #[schema(value_type = String)]
    object: SmolStr,
    /// The record; not for create.
    #[schema(value_type = Option<String>)]
    id: Option<Id>,
    /// The fields; not for delete.
    #[schema(value_type = Option<Object>)]
    fields: Option<Fields>,
    /// Who owns it; only for create.
    #[schema(value_type = Option<String>)]
    owner: Option<SmolStr>,
}

/// The id of a record, read as it comes by: a text that is none is kept as what is wrong with it.
#[derive(Debug, Clone)]
struct Id(Result<RecordId, InvalidId>);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Id;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E>(self, text: &str) -> Result<Id, E> {
                Ok(Id(text.parse()))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

/// What is to be done with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Op {
    /// Create it.
    Create,
    /// Write fields of it.
    Update,
    /// Delete it here.
    Delete,
}

/// How the operations ended, in their order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatchResult {
    /// How many were done, those that changed nothing included.
    done: usize,
    /// How many were refused.
    refused: usize,
    /// One result for each operation.
    results: Vec<ItemResult>,
}

/// How one item of a request ended.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ItemResult {
    /// Whether it was done.
    ok: bool,
    /// The record or share that it made or changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// Whether anything changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<bool>,
    /// The code of the refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// The thing, the reason and the remedy.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// Reasons per field or rule.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<ReasonView>,
}

impl ItemResult {
    const NONE: Self =
        Self { ok: false, id: None, changed: None, code: None, detail: None, reasons: Vec::new() };

    pub(crate) fn done(executed: &Executed, id: Option<String>) -> Self {
        let id = match &executed.reply {
            Reply::Record(id) => Some(id.to_string()),
            Reply::Share(id) => Some(id.to_string()),
            _ => id,
        };
        Self { ok: true, id, changed: Some(executed.reply != Reply::Unchanged), ..Self::NONE }
    }

    pub(crate) fn refused(problem: Problem) -> Self {
        Self {
            code: Some(problem.code.as_str()),
            detail: Some(problem.detail),
            reasons: problem.reasons,
            ..Self::NONE
        }
    }

    /// Something that was not done and refuses nothing else: the code of the reason.
    pub(crate) fn not_done(code: &'static str, detail: String) -> Self {
        Self { code: Some(code), detail: Some(detail), ..Self::NONE }
    }

    /// Something that was done in the course of a command.
    pub(crate) fn done_with(id: String) -> Self {
        Self { ok: true, id: Some(id), changed: Some(true), ..Self::NONE }
    }

    pub(crate) fn of(result: Result<Executed, Problem>, id: Option<String>) -> Self {
        match result {
            Ok(executed) => Self::done(&executed, id),
            Err(problem) => Self::refused(problem),
        }
    }
}

/// What an operation is about.
struct Place {
    object: Arc<ObjectSchema>,
    record: Option<RecordId>,
}

impl Op {
    /// The operation of this name.
    fn of(name: &str) -> Option<Self> {
        match name {
            "create" => Some(Self::Create),
            "update" => Some(Self::Update),
            "delete" => Some(Self::Delete),
            _ => None,
        }
    }
}

impl Parse for Batch {
    fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        let text = request::utf8(bytes)?;
        plain::read(text).map_or_else(|| request::parse_text(text), Ok)
    }
}

impl Batch {
    /// What each operation is about.
    fn places(&self, state: &State, reading: Reading<'_>) -> Vec<Result<Place, Problem>> {
        self.operations.iter().map(|operation| operation.place(state, reading)).collect()
    }

    /// The command of each operation, or why there is none.
    fn commands(self, places: Vec<Result<Place, Problem>>) -> Vec<Result<Command, Problem>> {
        let operations = self.operations.into_iter().zip(places);
        operations.map(|(operation, place)| operation.command(&place?)).collect()
    }
}

/// The commands of a batch as `POST /v1/batch` reads it, without those that it would refuse: for
/// tools that measure what reading costs.
#[must_use]
pub fn batch_commands(body: &[u8], state: &State, user: &UserName) -> Vec<Command> {
    let Ok(batch) = Batch::parse(body) else { return Vec::new() };
    let places = batch.places(state, Reading::of(user, state));
    batch.commands(places).into_iter().flatten().collect()
}

/// A name or id of an operation.
fn read<T>(read: Option<Result<T, InvalidId>>) -> Result<Option<T>, Problem> {
    read.transpose().map_err(|error| Problem::new(ErrorCode::BadBody, error.to_string()))
}

impl Operation {
    fn id(&self) -> Result<Option<RecordId>, Problem> {
        read(self.id.as_ref().map(|id| id.0.clone()))
    }

    /// The object that the operation is about, and its record if there has to be one already. Runs
    /// under the lock of the state: values are read after it.
    fn place(&self, state: &State, reading: Reading<'_>) -> Result<Place, Problem> {
        let object = records::object(state, reading, &self.object)?.clone();
        let record = self.id()?;
        if let Some(id) = record.filter(|_| self.op != Op::Create) {
            records::record(state, &object.name, id)?;
        }
        Ok(Place { object, record })
    }

    /// The command that the operation is.
    fn command(self, place: &Place) -> Result<Command, Problem> {
        let Place { object, record } = place;
        let bad = |detail: &str| Err(Problem::new(ErrorCode::BadBody, detail));
        let values =
            |fields: Option<Fields>| fields.unwrap_or_default().into_values(object).map_err(Problem::refused);
        match (self.op, *record) {
            (Op::Create, Some(_)) => bad("create takes no id: the new record is given one"),
            (Op::Update | Op::Delete, None) => bad("the operation has no id: name the record"),
            (Op::Update | Op::Delete, _) if self.owner.is_some() => bad("only create takes an owner"),
            (Op::Delete, _) if self.fields.is_some() => bad("delete takes no fields"),
            (Op::Create, None) => Ok(Command::CreateRecord {
                object: object.name.clone(),
                values: values(self.fields)?,
                owner: read(self.owner.as_deref().map(Owner::from_str))?.map(AssignTo::from),
            }),
            (Op::Update, Some(record)) => Ok(Command::UpdateRecord { record, values: values(self.fields)? }),
            (Op::Delete, Some(record)) => Ok(Command::DeleteRecord { record }),
        }
    }
}

/// Most items of one request, told apart from a body that is too large.
pub(crate) fn check_count(what: &str, count: usize) -> Result<(), Problem> {
    if count <= BATCH_RECORDS_MAX {
        return Ok(());
    }
    let text = format!("the request has {count} {what} and may have {BATCH_RECORDS_MAX}: split it");
    Err(Problem::new(ErrorCode::LimitReached, text))
}

/// Creates, changes and deletes many records, each for itself.
#[utoipa::path(post, path = "/v1/batch", tag = "records", request_body = Batch,
    responses((status = 200, body = BatchResult)))]
pub(crate) async fn batch(
    Extract(api): Extract<Api>,
    actor: Actor,
    keyed: Keyed,
    ParsedBody(batch): ParsedBody<Batch>,
) -> Result<Json<BatchResult>, Problem> {
    check_count("operations", batch.operations.len())?;
    let places = api.org.peek(|state| batch.places(state, actor.reading(state)));
    let ids: Vec<_> = batch.operations.iter().map(|operation| operation.id().ok().flatten()).collect();
    let executed = api.execute_items(batch.commands(places), &actor, &keyed).await?;
    let results: Vec<ItemResult> = executed
        .into_iter()
        .zip(ids)
        .map(|(result, id)| ItemResult::of(result, id.map(|id| id.to_string())))
        .collect();
    let done = results.iter().filter(|result| result.ok).count();
    Ok(Json(BatchResult { done, refused: results.len() - done, results }))
}

#[cfg(test)]
mod tests {
    use tieline_core::schema::standard_objects;

    use super::*;

    fn place(operation: &Operation) -> Place {
        let lead = standard_objects().into_iter().find(|object| object.name.as_str() == "Lead").unwrap();
        Place { object: Arc::new(lead), record: operation.id().unwrap() }
    }

    #[test]
    fn operations_that_contradict_themselves_are_refused() {
        let id = RecordId(1);
        let cases = [
            (r#"{"op":"create","object":"Lead","id":"ID","fields":{}}"#, "create takes no id"),
            (r#"{"op":"update","object":"Lead","fields":{}}"#, "has no id"),
            (r#"{"op":"update","object":"Lead","id":"ID","owner":"ann"}"#, "only create takes an owner"),
            (r#"{"op":"delete","object":"Lead","id":"ID","fields":{}}"#, "delete takes no fields"),
            (r#"{"op":"delete","object":"Lead"}"#, "has no id"),
        ];
        for (text, part) in cases {
            let text = text.replace("ID", &id.to_string());
            let operation: Operation = serde_json::from_str(&text).unwrap();
            let place = place(&operation);
            let problem = operation.command(&place).unwrap_err();
            assert!(
                problem.code == ErrorCode::BadBody && problem.detail.contains(part),
                "{text}: {problem:?}"
            );
        }
    }

    #[test]
    fn operations_become_commands() {
        let command = |text: &str| {
            let operation: Operation = serde_json::from_str(text).unwrap();
            let place = place(&operation);
            operation.command(&place).unwrap()
        };
        let text = r#"{"op":"create","object":"Lead","fields":{"lastname":"Ng"},"owner":"ann"}"#;
        let created = command(text);
        let Command::CreateRecord { values, owner, .. } = created else { panic!("{created:?}") };
        assert_eq!((values.len(), owner), (1, Some(AssignTo::Owner("ann".parse().unwrap()))));
        let id = RecordId(9);
        let text = format!(r#"{{"op":"delete","object":"Lead","id":"{id}"}}"#);
        assert_eq!(command(&text), Command::DeleteRecord { record: id });
        assert!(serde_json::from_str::<Operation>(r#"{"op":"upsert","object":"Lead"}"#).is_err());
    }

    #[test]
    fn the_number_of_items_is_bounded() {
        assert_eq!(check_count("operations", BATCH_RECORDS_MAX), Ok(()));
        let problem = check_count("operations", BATCH_RECORDS_MAX + 1).unwrap_err();
        assert_eq!(problem.code, ErrorCode::LimitReached);
        assert!(problem.detail.contains("1001 operations"), "{}", problem.detail);
    }
}
