//! Records: create, read, change, delete, list.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json_};
use tieline_core::command::{AutomationCommand, Command, Reply};
use tieline_core::event::PendingValue;
use tieline_core::job::JobKind;
use tieline_core::people::Permission;
use tieline_core::reason::{ReasonCode, quoted};
use tieline_core::reference::NOT_SHARED;
use tieline_core::schema::{ObjectSchema, supported};
use tieline_core::state::{AwaitedLink, Record, ShareRole, ShareStatus, State};
use tieline_core::value::Value;
use tieline_core::{AssignTo, FieldName, InvalidId, ObjectName, Owner, RecordId, ViewName};
use utoipa::ToSchema;

use super::auth::{Actor, Reading};
use super::offers::{RecordOffer, offers_of};
use super::once::Keyed;
use super::problem::{ErrorCode, Problem, ReasonView};
use super::queues::JobBegun;
use super::request::{Body, Params, Route, cursor, page_size};
use super::share_view::ShareView;
use super::values::{Fields, field, fields_json};
use super::{Api, Done};
use crate::clock::now;
use crate::org::Executed;

/// Most records that one request for a filtered page looks at; the page may then be short.
const LOOKED_AT_MAX: usize = 20_000;

/// A record to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRecord {
    /// Its fields; names in any case of their letters.
    #[schema(value_type = Object)]
    fields: Fields,
    /// Who owns it, a user or `queue:` with the name of a queue; without one, whoever asks.
    #[schema(value_type = Option<String>)]
    owner: Option<Owner>,
    /// Whether the assignment rules of the object say who owns it (S2S-47).
    #[serde(default)]
    assign: bool,
}

/// To whom a record is given: to an owner, or to whom the assignment rules name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Assignment {
    /// A user, or `queue:` with the name of a queue.
    #[schema(value_type = Option<String>)]
    owner: Option<Owner>,
    /// Whether the assignment rules of the object say to whom.
    #[serde(default)]
    rules: bool,
}

/// To whom records of an object are given.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AssignmentOfAll {
    /// A user, or `queue:` and the name of a queue.
    #[schema(value_type = Option<String>)]
    owner: Option<Owner>,
    /// To whom the assignment rules name, instead.
    #[serde(default)]
    rules: bool,
    /// Every record of the object.
    #[serde(default)]
    all: bool,
    /// What this list view chooses.
    #[schema(value_type = Option<String>)]
    view: Option<ViewName>,
}

/// To whom a body says that a record is given.
pub(crate) fn assign_to(owner: Option<Owner>, rules: bool) -> Result<Option<AssignTo>, Problem> {
    match (owner, rules) {
        (Some(_), true) => {
            let detail = "name an owner, or let the rules say who it is: not both";
            Err(Problem::new(ErrorCode::BadBody, detail))
        }
        (Some(owner), false) => Ok(Some(owner.into())),
        (None, true) => Ok(Some(AssignTo::Rules)),
        (None, false) => Ok(None),
    }
}

/// Fields of a record to be written.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordChange {
    /// The fields; null takes a value away.
    #[schema(value_type = Object)]
    fields: Fields,
}

/// A record that was created.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Created {
    /// Its id.
    id: String,
    /// The last event of the log when it was created.
    seq: u64,
    /// To whom queues and rules offered it, and to whom not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    offers: Vec<RecordOffer>,
}

/// What the change of a record answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Changed {
    /// The last event of the log when it was decided.
    seq: u64,
    /// Whether anything changed.
    changed: bool,
    /// To whom queues and rules offered it, and to whom not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    offers: Vec<RecordOffer>,
}

impl Changed {
    async fn of(api: &Api, record: RecordId, executed: &Executed) -> Result<Json<Self>, Problem> {
        let changed = executed.reply != Reply::Unchanged;
        let offers = offers_of(api, record, executed).await?;
        Ok(Json(Self { seq: executed.seq.0, changed, offers }))
    }
}

/// A record.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecordView {
    /// Its id.
    id: String,
    /// Its object.
    object: String,
    /// Who owns it: a user, or `queue:` with the name of a queue.
    owner: String,
    /// When it was created here.
    created: String,
    /// When it was last changed here.
    modified: String,
    /// In whose name it was last changed; `connection.user` for a partner's changes.
    modified_by: String,
    /// The fields that have or had a value.
    #[schema(value_type = Object)]
    fields: Map<String, Json_>,
    /// Values of partners that are known and not applied.
    pending: Vec<PendingView>,
    /// Why computed fields are empty that cannot be computed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_computed: Vec<ReasonView>,
    /// The partners that have accepted it (S2S-70).
    sent_to: Vec<String>,
    /// The partner that it came from (S2S-70).
    received_from: Option<String>,
    /// References that are empty because the partner's record is not here (S2S-24).
    waiting: Vec<WaitingView>,
    /// With whom it is shared (S2S-59).
    shares: Vec<ShareView>,
}

/// A partner's value that is known and not applied.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PendingView {
    /// The local field.
    field: String,
    /// The value as it came.
    #[schema(value_type = serde_json::Value)]
    value: Json_,
    /// The connection that it came over.
    connection: String,
    /// When it was written, at its origin.
    written: String,
    /// Whether it waits for a person's approval.
    approval: bool,
    /// Whether a person refused it.
    rejected: bool,
    /// Why it is not applied.
    reasons: Vec<ReasonView>,
}

/// A reference that is empty because the partner's record is not here.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WaitingView {
    /// The local field.
    field: String,
    /// The connection that it came over.
    connection: String,
    /// The share of the record that it names; none if the partner does not share that.
    share: Option<String>,
    /// `target_not_shared`, or `awaiting_parent` if the record may still come.
    reason: &'static str,
}

impl WaitingView {
    fn of(field: &FieldName, link: &AwaitedLink) -> Self {
        let share = (link.share != NOT_SHARED).then(|| link.share.to_string());
        let reason = if share.is_some() { ReasonCode::AwaitingParent } else { ReasonCode::TargetNotShared };
        Self {
            field: field.to_string(),
            connection: link.connection.to_string(),
            share,
            reason: reason.as_str(),
        }
    }
}

/// Some records of an object.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecordPage {
    /// The records, in the order of their ids.
    records: Vec<RecordView>,
    /// Where the next page begins; without it, this is the last.
    next: Option<String>,
}

/// Which records of an object. Any other parameter is a field and the value that it has to have.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it documents what `Filter` reads")]
pub(crate) struct RecordQuery {
    /// Most records of the page: 100 if not said, 1,000 at most.
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Only those of this owner: a user, or `queue:` with the name of a queue.
    owner: Option<String>,
}

/// Which tasks of a record.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TaskQuery {
    /// Most tasks of the page: 100 if not said, 1,000 at most.
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// The parsed query of a list.
struct Filter {
    limit: usize,
    after: Option<RecordId>,
    owner: Option<Owner>,
    wanted: Vec<(FieldName, Value)>,
}

impl Filter {
    fn parse(pairs: &[(String, String)], object: &ObjectSchema) -> Result<Self, Problem> {
        let mut filter = Self { limit: page_size(None), after: None, owner: None, wanted: Vec::new() };
        for (name, text) in pairs {
            match name.as_str() {
                "limit" => {
                    let number = text.parse().map_err(|_| {
                        Problem::new(ErrorCode::BadQuery, "limit has to be a whole number: 1 to 1000")
                    })?;
                    filter.limit = page_size(Some(number));
                }
                "owner" => {
                    let owner = text
                        .parse()
                        .map_err(|error: InvalidId| Problem::new(ErrorCode::BadQuery, error.to_string()))?;
                    filter.owner = Some(owner);
                }
                "cursor" => filter.after = cursor(Some(text))?,
                name => {
                    let field = field(object, name).map_err(|reason| Problem::refused(vec![reason]))?;
                    let value = Value::from_text(field, text);
                    filter.wanted.push((field.name.clone(), value.map_err(|r| Problem::refused(vec![r]))?));
                }
            }
        }
        Ok(filter)
    }

    fn takes(&self, record: &Record) -> bool {
        self.owner.as_ref().is_none_or(|owner| record.owner == *owner)
            && self.wanted.iter().all(|(name, value)| record.value(name) == value)
    }

    fn page(&self, state: &State, object: &ObjectName) -> RecordPage {
        let all = self.wanted.is_empty() && self.owner.is_none();
        let looked_at_max = if all { usize::MAX } else { LOOKED_AT_MAX };
        let mut page = RecordPage { records: Vec::new(), next: None };
        let mut last = None;
        for (looked_at, (id, record)) in state.records_of(object, self.after).enumerate() {
            if page.records.len() == self.limit || looked_at == looked_at_max {
                page.next = last.map(|id: RecordId| id.to_string());
                break;
            }
            last = Some(id);
            if self.takes(record) {
                page.records.push(RecordView::of(state, id, record));
            }
        }
        page
    }
}

/// Why a value waits; one that is good itself waits for another of its message.
fn why_pending(record: &Record, pending: &PendingValue) -> Vec<ReasonView> {
    if !pending.reasons.is_empty() {
        return pending.reasons.iter().map(ReasonView::from).collect();
    }
    let came = |other: &PendingValue| (other.origin.connection, other.position);
    let refused = record
        .pending
        .iter()
        .filter(|(_, other)| came(other) == came(pending) && !other.approval && !other.reasons.is_empty());
    let refused: Vec<&str> = refused.map(|(name, _)| name.as_str()).collect();
    if refused.is_empty() {
        return Vec::new();
    }
    let text = format!("it came in one change with {}, which is refused", refused.join(", "));
    vec![ReasonView { code: ReasonCode::RuleRefused.as_str(), field: None, rule: None, message: text }]
}

impl RecordView {
    fn of(state: &State, id: RecordId, record: &Record) -> Self {
        Self {
            id: id.to_string(),
            object: record.object.to_string(),
            owner: record.owner.to_string(),
            created: record.created.to_string(),
            modified: record.modified.to_string(),
            modified_by: record.modified_by.to_string(),
            fields: fields_json(record),
            pending: record
                .pending
                .iter()
                .map(|(field, pending)| PendingView {
                    field: field.to_string(),
                    value: pending.incoming.to_json(),
                    connection: pending.origin.connection.to_string(),
                    written: pending.stamp.time.to_string(),
                    approval: pending.approval,
                    rejected: pending.rejected,
                    reasons: why_pending(record, pending),
                })
                .collect(),
            not_computed: not_computed(state, record),
            sent_to: accepted(state, record, ShareRole::Origin).collect(),
            received_from: accepted(state, record, ShareRole::Copy).next(),
            waiting: record.links.iter().map(|(field, link)| WaitingView::of(field, link)).collect(),
            shares: record
                .shares
                .iter()
                .filter_map(|(connection, share)| {
                    let connection = state.connections.get(connection)?;
                    Some(ShareView::of(connection, *share, connection.shares.get(share)?))
                })
                .collect(),
        }
    }
}

/// Why computed fields of a record are empty: those that cannot be computed from it as it is.
fn not_computed(state: &State, record: &Record) -> Vec<ReasonView> {
    let fields = state.rules(&record.object).map(|rules| rules.computed()).unwrap_or_default();
    let empty = fields.iter().filter(|field| record.value(field.name()).is_null());
    let read = |name: &FieldName| record.fields.get(name).map(|field| &field.value);
    let failed = empty.filter_map(|field| field.value(read, now()).err());
    failed.map(|reason| ReasonView::from(&reason)).collect()
}

/// The partners with whom a record is shared actively, of those that this org is the `role` of.
fn accepted<'a>(
    state: &'a State,
    record: &'a Record,
    role: ShareRole,
) -> impl Iterator<Item = String> + use<'a> {
    let shares = state.shares_of(record);
    let accepted = shares.filter(move |(_, share)| share.role == role && share.status == ShareStatus::Active);
    accepted.map(|(connection, _)| connection.display_name().to_owned())
}

/// The object of this name, if the actor may read its records; or a problem that says how to see which
/// objects there are.
pub(crate) fn object<'a>(
    state: &'a State,
    reading: Reading<'_>,
    name: &str,
) -> Result<&'a Arc<ObjectSchema>, Problem> {
    let object = state.objects.get(name).ok_or_else(|| {
        // What cannot be shared at all is refused by its name, with what to do instead.
        let why = name.parse::<ObjectName>().ok().and_then(|name| supported(&name).err());
        let why = why.map_or_else(String::new, |reason| format!("; {}", reason.message));
        let name = quoted(name);
        let detail = format!("there is no object {name}: see the objects with `tieline object list`{why}");
        Problem::new(ErrorCode::UnknownObject, detail)
    })?;
    reading.object(&object.name)?;
    Ok(object)
}

/// A record of this object that is not deleted.
pub(crate) fn record<'a>(state: &'a State, name: &ObjectName, id: RecordId) -> Result<&'a Record, Problem> {
    match state.records.get(&id).filter(|record| record.object == *name) {
        Some(record) if !record.deleted => Ok(record),
        Some(_) => Err(Problem::new(ErrorCode::RecordDeleted, format!("record {id} was deleted"))),
        None => {
            Err(Problem::new(ErrorCode::UnknownRecord, format!("there is no record {id} of object {name}")))
        }
    }
}

/// Creates a record.
#[utoipa::path(post, path = "/v1/records/{object}", tag = "records", request_body = NewRecord,
    params(("object" = String, Path, description = "The object.")),
    responses((status = 201, body = Created)))]
pub(crate) async fn create(
    Extract(api): Extract<Api>,
    actor: Actor,
    keyed: Keyed,
    Route(name): Route<ObjectName>,
    Body(new): Body<NewRecord>,
) -> Result<Response, Problem> {
    let object = api.org.peek(|state| {
        let reading = actor.reading(state);
        reading.require(Permission::Create(&name))?;
        object(state, reading, name.as_str()).cloned()
    });
    let values = object.and_then(|object| new.fields.into_values(&object).map_err(Problem::refused));
    let owner = assign_to(new.owner, new.assign)?;
    let command = values.map(|values| Command::CreateRecord { object: name.clone(), values, owner });
    let executed = api.execute_one(command, &actor, &keyed).await?;
    let Reply::Record(id) = executed.reply else { return Err(super::unexpected(&executed.reply)) };
    let offers = offers_of(&api, id, &executed).await?;
    let created = Created { id: id.to_string(), seq: executed.seq.0, offers };
    let mut response = (StatusCode::CREATED, Json(created)).into_response();
    if let Ok(location) = HeaderValue::try_from(format!("/v1/records/{name}/{id}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Lists records of an object.
#[utoipa::path(get, path = "/v1/records/{object}", tag = "records",
    params(("object" = String, Path, description = "The object."), RecordQuery),
    responses((status = 200, body = RecordPage)))]
pub(crate) async fn list(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(name): Route<ObjectName>,
    Params(pairs): Params<Vec<(String, String)>>,
) -> Result<Json<RecordPage>, Problem> {
    let page = api.org.read(|state| {
        let object = object(state, actor.reading(state), name.as_str())?;
        Ok(Filter::parse(&pairs, object)?.page(state, &name))
    });
    page.await.map(Json)
}

/// Reads a record with its pending values and its shares.
#[utoipa::path(get, path = "/v1/records/{object}/{id}", tag = "records",
    params(("object" = String, Path, description = "The object."), ("id" = String, Path, description = "The record.")),
    responses((status = 200, body = RecordView)))]
pub(crate) async fn show(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route((name, id)): Route<(ObjectName, RecordId)>,
) -> Result<Json<RecordView>, Problem> {
    let view = api.org.read(|state| {
        actor.reading(state).object(&name)?;
        Ok(RecordView::of(state, id, record(state, &name, id)?))
    });
    view.await.map(Json)
}

/// Lists the tasks of a record, each with its sharing (S2S-44).
#[utoipa::path(get, path = "/v1/records/{object}/{id}/tasks", tag = "records",
    params(("object" = String, Path, description = "The object."), ("id" = String, Path, description = "The record."),
        TaskQuery),
    responses((status = 200, body = RecordPage)))]
pub(crate) async fn tasks(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route((name, id)): Route<(ObjectName, RecordId)>,
    Params(query): Params<TaskQuery>,
) -> Result<Json<RecordPage>, Problem> {
    let after: Option<RecordId> = cursor(query.cursor.as_deref())?;
    let limit = page_size(query.limit);
    super::read(&api, |state| {
        let reading = actor.reading(state);
        reading.object(&name)?;
        record(state, &name, id)?;
        object(state, reading, tieline_core::sharing::TASK)?;
        let mut page = RecordPage { records: Vec::new(), next: None };
        let mut last = None;
        for (task, found) in state.tasks_of(id, after).filter_map(|task| Some((task, state.record(task)?))) {
            if page.records.len() == limit {
                page.next = last.map(|id: RecordId| id.to_string());
                break;
            }
            last = Some(task);
            page.records.push(RecordView::of(state, task, found));
        }
        Ok(page)
    })
    .await
}

/// Writes fields of a record.
#[utoipa::path(patch, path = "/v1/records/{object}/{id}", tag = "records", request_body = RecordChange,
    params(("object" = String, Path, description = "The object."), ("id" = String, Path, description = "The record.")),
    responses((status = 200, body = Changed)))]
pub(crate) async fn change(
    Extract(api): Extract<Api>,
    actor: Actor,
    keyed: Keyed,
    Route((name, id)): Route<(ObjectName, RecordId)>,
    Body(change): Body<RecordChange>,
) -> Result<Json<Changed>, Problem> {
    let object = api.org.peek(|state| {
        let reading = actor.reading(state);
        reading.require(Permission::Edit(&name))?;
        let object = object(state, reading, name.as_str())?;
        record(state, &name, id)?;
        Ok::<_, Problem>(object.clone())
    });
    let values = object.and_then(|object| change.fields.into_values(&object).map_err(Problem::refused));
    let command = values.map(|values| Command::UpdateRecord { record: id, values });
    let executed = api.execute_one(command, &actor, &keyed).await?;
    Changed::of(&api, id, &executed).await
}

/// Gives a record to another owner.
#[utoipa::path(post, path = "/v1/records/{object}/{id}/assign", tag = "records", request_body = Assignment,
    params(("object" = String, Path, description = "The object."), ("id" = String, Path, description = "The record.")),
    responses((status = 200, body = Changed)))]
pub(crate) async fn assign(
    Extract(api): Extract<Api>,
    actor: Actor,
    keyed: Keyed,
    Route((name, id)): Route<(ObjectName, RecordId)>,
    Body(body): Body<Assignment>,
) -> Result<Json<Changed>, Problem> {
    let to = assign_to(body.owner, body.rules)?
        .ok_or_else(|| Problem::new(ErrorCode::BadBody, "name an owner, or let the rules say who it is"))?;
    let known = api.org.peek(|state| {
        actor.reading(state).require(Permission::Edit(&name))?;
        record(state, &name, id).map(|_| ())
    });
    let command = known.map(|()| Command::Automation(AutomationCommand::Assign { record: id, to }));
    let executed = api.execute_one(command, &actor, &keyed).await?;
    Changed::of(&api, id, &executed).await
}

/// Gives records of an object to another owner, as a job: all, or what a view chooses. Those that no
/// assignment rule fits stay where they are.
#[utoipa::path(post, path = "/v1/records/{object}/assign", tag = "records", request_body = AssignmentOfAll,
    params(("object" = String, Path, description = "The object.")),
    responses((status = 200, body = JobBegun)))]
pub(crate) async fn assign_all(
    Extract(api): Extract<Api>,
    actor: Actor,
    keyed: Keyed,
    Route(object): Route<ObjectName>,
    Body(body): Body<AssignmentOfAll>,
) -> Result<Json<JobBegun>, Problem> {
    let to = assign_to(body.owner, body.rules)?
        .ok_or_else(|| Problem::new(ErrorCode::BadBody, "name an owner, or let the rules say who it is"))?;
    if body.all == body.view.is_some() {
        return Err(Problem::new(ErrorCode::BadBody, "name a view, or set all to true: one of both"));
    }
    let kind = JobKind::Assign { object, to, view: body.view };
    let executed = api.execute_one(Ok(Command::StartJob { kind }), &actor, &keyed).await?;
    let Reply::Job(job) = executed.reply else { return Err(super::unexpected(&executed.reply)) };
    Ok(Json(JobBegun::new(job, executed.seq)))
}

/// Deletes a record here; partners keep their copies (S2S-55).
#[utoipa::path(delete, path = "/v1/records/{object}/{id}", tag = "records",
    params(("object" = String, Path, description = "The object."), ("id" = String, Path, description = "The record.")),
    responses((status = 200, body = Done)))]
pub(crate) async fn delete(
    Extract(api): Extract<Api>,
    actor: Actor,
    keyed: Keyed,
    Route((name, id)): Route<(ObjectName, RecordId)>,
) -> Result<Json<Done>, Problem> {
    let known = api.org.peek(|state| {
        actor.reading(state).require(Permission::Edit(&name))?;
        record(state, &name, id).map(|_| ())
    });
    let command = known.map(|()| Command::DeleteRecord { record: id });
    let executed = api.execute_one(command, &actor, &keyed).await?;
    Ok(Json(Done::from(&executed)))
}
