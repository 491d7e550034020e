//! Values of partners that wait for a person's approval (S2S-58).

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json_;
use tieline_core::command::{Command, SharingCommand};
use tieline_core::people::Permission;
use tieline_core::state::{Record, State};
use tieline_core::{FieldName, RecordId};
use utoipa::ToSchema;

use super::auth::Actor;
use super::problem::Problem;
use super::request::{Body, Params, cursor, page_size};
use super::{Api, Done};

/// A value that waits.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApprovalView {
    /// The record.
    record: String,
    /// Its object.
    object: String,
    /// What people call it.
    name: String,
    /// Who owns it.
    owner: String,
    /// The field.
    field: String,
    /// The value that it has.
    #[schema(value_type = serde_json::Value)]
    present: Json_,
    /// The value as it came.
    #[schema(value_type = serde_json::Value)]
    value: Json_,
    /// The partner, or the label of the connection.
    partner: String,
    /// The connection that it came over.
    connection: String,
    /// When it was written, at its origin.
    written: String,
}

/// Some values that wait.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApprovalPage {
    /// The values, in the order of the ids of their records.
    approvals: Vec<ApprovalView>,
    /// Where the next page begins; without it, this is the last. A page may be a little longer than asked
    /// for: the values of a record stand together.
    next: Option<String>,
}

/// Which values.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ApprovalQuery {
    /// Only those of records that whoever asks owns.
    #[serde(default)]
    mine: bool,
    /// Most values of the page: 100 if not said, 1,000 at most.
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// A decision about one value.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DecisionBody {
    /// The record.
    #[schema(value_type = String)]
    record: RecordId,
    /// The field.
    #[schema(value_type = String)]
    field: FieldName,
    /// Whether the value is written; else it is refused, and the partner told.
    approve: bool,
}

fn views(state: &State, id: RecordId, record: &Record) -> Vec<ApprovalView> {
    let waiting = record.pending.iter().filter(|(_, pending)| pending.approval && !pending.rejected);
    let named = state.object(&record.object).map(|object| record.value(&object.name_field).to_json());
    let name = match named {
        Some(Json_::String(name)) => name,
        _ => String::new(),
    };
    let view = |(field, pending): (&FieldName, &tieline_core::event::PendingValue)| {
        let connection = pending.origin.connection;
        let partner = state.connections.get(&connection).map(|c| c.display_name().to_owned());
        ApprovalView {
            record: id.to_string(),
            object: record.object.to_string(),
            name: name.clone(),
            owner: record.owner.to_string(),
            field: field.to_string(),
            present: record.value(field).to_json(),
            value: pending.incoming.to_json(),
            partner: partner.unwrap_or_default(),
            connection: connection.to_string(),
            written: pending.stamp.time.to_string(),
        }
    };
    waiting.map(view).collect()
}

/// Lists the values that wait for approval, of records that whoever asks may edit.
#[utoipa::path(get, path = "/v1/approvals", tag = "approvals", params(ApprovalQuery),
    responses((status = 200, body = ApprovalPage)))]
pub(crate) async fn list(
    Extract(api): Extract<Api>,
    actor: Actor,
    Params(query): Params<ApprovalQuery>,
) -> Result<Json<ApprovalPage>, Problem> {
    let after: Option<RecordId> = cursor(query.cursor.as_deref())?;
    let limit = page_size(query.limit);
    super::read(&api, |state| {
        let reading = actor.reading(state);
        let mut page = ApprovalPage { approvals: Vec::new(), next: None };
        let mut last = None;
        for (id, record) in state.approvals(after) {
            if page.approvals.len() >= limit {
                page.next = last.map(|id: RecordId| id.to_string());
                break;
            }
            last = Some(id);
            let meant = !query.mine || record.owner == actor.user;
            if meant && reading.may(Permission::Edit(&record.object)) {
                page.approvals.extend(views(state, id, record));
            }
        }
        Ok(page)
    })
    .await
}

/// Approves a value, or refuses it. It takes edit on the record and its field.
#[utoipa::path(post, path = "/v1/approvals", tag = "approvals", request_body = DecisionBody,
    responses((status = 200, body = Done)))]
pub(crate) async fn decide(
    Extract(api): Extract<Api>,
    actor: Actor,
    Body(DecisionBody { record, field, approve }): Body<DecisionBody>,
) -> Result<Json<Done>, Problem> {
    let decision = if approve {
        SharingCommand::Approve { record, field }
    } else {
        SharingCommand::Reject { record, field }
    };
    api.change(&actor, Command::Sharing(decision)).await
}
