//! Many changes of records in one request: the way in for imports and interfaces.
//!
//! Each operation is decided for itself, in order, with its own group in the log; a bad one never
//! stops the others. All of them are one entry of the writer's queue and are answered when the last
//! is durable.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use tieline_core::command::{Command, Refusal, Reply};
use tieline_core::limits::BATCH_RECORDS_MAX;
use tieline_core::reason::{Reason, ReasonCode};
use tieline_core::schema::ObjectSchema;
use tieline_core::state::State;
use tieline_core::{ObjectName, RecordId, UserName};
use utoipa::ToSchema;

use super::Api;
use super::auth::{Actor, Permission};
use super::problem::{ErrorCode, Problem, ReasonView};
use super::records;
use super::request::Body;
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
    /// The object of the record.
    #[schema(value_type = String)]
    object: ObjectName,
    /// The record; not for create.
    #[schema(value_type = Option<String>)]
    id: Option<RecordId>,
    /// The fields; not for delete.
    #[schema(value_type = Option<Object>)]
    fields: Option<Fields>,
    /// Who owns it; only for create.
    #[schema(value_type = Option<String>)]
    owner: Option<UserName>,
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

    pub(crate) fn of(result: Result<Executed, Refusal>, id: Option<String>) -> Self {
        match result {
            Ok(executed) => Self::done(&executed, id),
            Err(refusal) => Self::refused(refusal.into()),
        }
    }
}

/// Finds each object once: an import has one or two.
struct Objects<'a> {
    state: &'a State,
    last: Option<&'a Arc<ObjectSchema>>,
}

impl<'a> Objects<'a> {
    fn get(&mut self, name: &ObjectName) -> Result<&'a ObjectSchema, Problem> {
        match self.last {
            Some(last) if last.name == *name => Ok(last),
            _ => {
                self.last = self.state.object(name);
                records::object(self.state, name)
            }
        }
    }
}

impl Operation {
    /// The command that the operation is.
    fn command(self, objects: &mut Objects<'_>) -> Result<Command, Problem> {
        let Self { op, object: name, id, fields, owner } = self;
        let object = objects.get(&name)?;
        let surplus = match op {
            Op::Create if id.is_some() => Some("id: a new record is given one"),
            Op::Update if owner.is_some() => Some("owner: only create has one"),
            Op::Delete if fields.is_some() || owner.is_some() => Some("fields and owner: delete has none"),
            _ => None,
        };
        if let Some(surplus) = surplus {
            return Err(Problem::new(ErrorCode::BadBody, format!("leave out {surplus}")));
        }
        let mut known = || {
            let missing = || Problem::new(ErrorCode::BadBody, "the operation has no id: name the record");
            let id = id.ok_or_else(missing)?;
            records::record(objects.state, &name, id).map(|_| id)
        };
        match op {
            Op::Delete => Ok(Command::DeleteRecord { record: known()? }),
            Op::Update => {
                let record = known()?;
                let values = fields.unwrap_or_default().values(object).map_err(Problem::refused)?;
                Ok(Command::UpdateRecord { record, values })
            }
            Op::Create => {
                let values = fields.unwrap_or_default().values(object).map_err(Problem::refused)?;
                Ok(Command::CreateRecord { object: name, values, owner })
            }
        }
    }
}

/// Most items of one request, told apart from a body that is too large.
pub(crate) fn check_count(what: &str, count: usize) -> Result<(), Problem> {
    if count <= BATCH_RECORDS_MAX {
        return Ok(());
    }
    let text = format!("the request has {count} {what} and may have {BATCH_RECORDS_MAX}: split it");
    let reason = Reason::new(ReasonCode::LimitReached, &text);
    Err(Problem { reasons: vec![(&reason).into()], ..Problem::new(ErrorCode::LimitReached, text) })
}

/// Creates, changes and deletes many records, each for itself.
#[utoipa::path(post, path = "/v1/batch", tag = "records", request_body = Batch,
    responses((status = 200, body = BatchResult)))]
pub(crate) async fn batch(
    Extract(api): Extract<Api>,
    actor: Actor,
    Body(batch): Body<Batch>,
) -> Result<Json<BatchResult>, Problem> {
    actor.require(Permission::EditRecords)?;
    check_count("operations", batch.operations.len())?;
    let ids: Vec<Option<RecordId>> = batch.operations.iter().map(|operation| operation.id).collect();
    let prepared: Vec<Result<Command, Problem>> = api.org.peek(|state| {
        let mut objects = Objects { state, last: None };
        batch.operations.into_iter().map(|operation| operation.command(&mut objects)).collect()
    });
    let mut commands = Vec::with_capacity(prepared.len());
    let mut outcomes: Vec<Option<Problem>> = Vec::with_capacity(prepared.len());
    for command in prepared {
        match command {
            Ok(command) => {
                commands.push(command);
                outcomes.push(None);
            }
            Err(problem) => outcomes.push(Some(problem)),
        }
    }
    let executed = if commands.is_empty() {
        Vec::new()
    } else {
        api.org.execute_batch(commands, &actor.user).await?
    };
    let mut executed = executed.into_iter();
    let results: Vec<ItemResult> = outcomes
        .into_iter()
        .zip(ids)
        .filter_map(|(problem, id)| match problem {
            Some(problem) => Some(ItemResult::refused(problem)),
            None => Some(ItemResult::of(executed.next()?, id.map(|id| id.to_string()))),
        })
        .collect();
    let done = results.iter().filter(|result| result.ok).count();
    Ok(Json(BatchResult { done, refused: results.len() - done, results }))
}
