//! Sharing records: forward, stop, list, try again (S2S-41, S2S-57, S2S-59).

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use tieline_core::command::{Command, Reply, SharingCommand};
use tieline_core::job::JobKind;
use tieline_core::message::EndReason;
use tieline_core::sharing::{Forwarding, TaskChoice};
use tieline_core::state::State;
use tieline_core::{ConnectionId, ObjectName, RecordId, ShareId, ViewName};
use utoipa::ToSchema;

use super::auth::Actor;
use super::batch::{ItemResult, check_count};
use super::once::Keyed;
use super::past::AsOf;
use super::problem::{ErrorCode, Problem};
use super::request::{Body, Params, Route, cursor, page_size};
use super::share_view::{ShareView, status};
use super::{Api, Done, records, select, views};
use crate::org::Executed;

/// Up to so many offers are made at once and answered one by one; more become a job.
const AT_ONCE_MAX: usize = 100;
/// Most shares that one request for a filtered page looks at; the page may then be short.
pub(crate) const LOOKED_AT_MAX: usize = 20_000;
/// The statuses that a list can be asked for.
const STATUSES: [&str; 7] = ["offered", "accepting", "granted", "active", "declined", "taken", "inactive"];

/// Records to be offered: `records`, or `all`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForwardBody {
    /// To which connections: ids, partners or labels.
    connections: Vec<String>,
    /// The object of the records.
    #[schema(value_type = String)]
    object: ObjectName,
    /// These records; at most 1,000.
    #[schema(value_type = Option<Vec<String>>)]
    records: Option<Vec<RecordId>>,
    /// Every record of the object.
    #[serde(default)]
    all: bool,
    /// The records that this list view chooses.
    #[schema(value_type = Option<String>)]
    view: Option<ViewName>,
    /// How many may have each of them.
    #[serde(default)]
    acceptors: Acceptors,
    /// Which tasks follow once they are accepted.
    #[serde(default)]
    tasks: Tasks,
    /// Whether such tasks follow also when they are made later.
    #[serde(default)]
    new_tasks: bool,
}

/// How many may have a record that is offered to several connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Acceptors {
    /// The first that accepts.
    #[default]
    First,
    /// Everybody who accepts.
    All,
}

/// Which tasks of a record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Tasks {
    /// None of them.
    #[default]
    None,
    /// Those that are not done.
    Open,
    /// Those that are done.
    Closed,
    /// All of them.
    All,
}

/// What became of a request to forward: `results`, or `jobs` if there was much to do.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Forwarded {
    /// One result for each record and connection.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    results: Vec<ForwardResult>,
    /// One job for each connection.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    jobs: Vec<StartedJob>,
}

/// How the forwarding of one record ended.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ForwardResult {
    /// The connection.
    connection: String,
    /// The record.
    record: String,
    /// How it ended; its id is that of the share.
    result: ItemResult,
}

/// A job that was started, or why it was not.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StartedJob {
    /// The connection that it works for.
    connection: String,
    /// The job: see `/v1/jobs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<String>,
    /// Why it was not started.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<ItemResult>,
}

/// Records that are not to be shared any more: `records`, or an `object` with `all` or `view`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StopBody {
    /// With which connection: id, partner or label.
    connection: String,
    /// The records; at most 1,000.
    #[schema(value_type = Option<Vec<String>>)]
    records: Option<Vec<RecordId>>,
    /// The object of the records, unless they are named.
    #[schema(value_type = Option<String>)]
    object: Option<ObjectName>,
    /// Every record of the object.
    #[serde(default)]
    all: bool,
    /// The records that this list view chooses.
    #[schema(value_type = Option<String>)]
    view: Option<ViewName>,
}

/// What became of a request to stop: `results`, or `job` if records were not named.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Stopped {
    /// One result for each record that was named, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    results: Vec<ItemResult>,
    /// The job that goes on with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<StartedJob>,
}

/// A request that a job goes on with.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OneJob {
    /// The job.
    job: StartedJob,
}

/// How the items of a request ended, in their order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ItemResults {
    /// One result for each.
    pub(crate) results: Vec<ItemResult>,
}

/// Which shares.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ShareQuery {
    /// Only shares of this status.
    status: Option<String>,
    /// Most shares of the page: 100 if not said, 1,000 at most.
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// As they were after this event.
    seq: Option<u64>,
    /// As they were at this moment: RFC 3339, or a day.
    time: Option<String>,
}

/// Some shares of a connection.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SharePage {
    /// The shares, in the order of their ids.
    shares: Vec<ShareView>,
    /// Where the next page begins; without it, this is the last. A page may be short and have one.
    next: Option<String>,
}

impl ForwardResult {
    pub(crate) fn new(connection: ConnectionId, record: RecordId, result: ItemResult) -> Self {
        Self { connection: connection.to_string(), record: record.to_string(), result }
    }
}

impl ForwardBody {
    fn how(&self) -> Forwarding {
        let tasks = match self.tasks {
            Tasks::None => TaskChoice::None,
            Tasks::Open => TaskChoice::Open,
            Tasks::Closed => TaskChoice::Closed,
            Tasks::All => TaskChoice::All,
        };
        Forwarding { many: self.acceptors == Acceptors::All, tasks, new_tasks: self.new_tasks }
    }

    fn check(&self) -> Result<(), Problem> {
        if self.connections.is_empty() {
            return Err(Problem::new(ErrorCode::BadBody, "connections is empty: name at least one"));
        }
        check_count("connections", self.connections.len())?;
        match (&self.records, self.all, &self.view) {
            (Some(records), false, None) => check_count("records", records.len()),
            (None, true, None) | (None, false, Some(_)) => Ok(()),
            _ => {
                let detail = "name records, or a view, or set all to true: one of the three";
                Err(Problem::new(ErrorCode::BadBody, detail))
            }
        }
    }
}

/// Offers records to connections.
#[utoipa::path(post, path = "/v1/shares", tag = "shares", request_body = ForwardBody,
    responses((status = 200, body = Forwarded)))]
pub(crate) async fn forward(
    Extract(api): Extract<Api>,
    actor: Actor,
    keyed: Keyed,
    Body(body): Body<ForwardBody>,
) -> Result<Json<Forwarded>, Problem> {
    body.check()?;
    let connections = api.org.peek(|state| {
        records::object(state, actor.reading(state), body.object.as_str())?;
        if let Some(view) = &body.view {
            check_view(state, &actor, &body.object, view)?;
        }
        let named = body.connections.iter().map(|selector| select::connection(state, selector));
        named.map(|found| found.map(|connection| connection.id)).collect::<Result<Vec<_>, _>>()
    })?;
    let how = body.how();
    let forwarded = match body.records {
        Some(records) if records.len() * connections.len() <= AT_ONCE_MAX => {
            let pairs = connections.iter().flat_map(|over| records.iter().map(|record| (*over, *record)));
            let results = forward_now(&api, &actor, &keyed, &body.object, pairs.collect(), how).await?;
            Forwarded { results, jobs: Vec::new() }
        }
        records => {
            let kinds = connections.into_iter().map(|connection| JobKind::Forward {
                connection,
                object: body.object.clone(),
                records: records.clone(),
                view: body.view.clone(),
                how,
            });
            Forwarded { results: Vec::new(), jobs: start_jobs(&api, &actor, &keyed, kinds).await? }
        }
    };
    Ok(Json(forwarded))
}

async fn forward_now(
    api: &Api,
    actor: &Actor,
    keyed: &Keyed,
    object: &ObjectName,
    pairs: Vec<(ConnectionId, RecordId)>,
    how: Forwarding,
) -> Result<Vec<ForwardResult>, Problem> {
    let commands = api.org.peek(|state| {
        let commands = pairs.iter().map(|(connection, record)| {
            records::record(state, object, *record)?;
            let (record, connection) = (*record, *connection);
            Ok(Command::Sharing(SharingCommand::Forward { record, connection, how }))
        });
        commands.collect()
    });
    let executed = api.execute_items(commands, actor, keyed).await?;
    let results = pairs.iter().zip(executed).map(|((connection, record), result)| ForwardResult {
        connection: connection.to_string(),
        record: record.to_string(),
        result: ItemResult::of(result, None),
    });
    Ok(results.collect())
}

/// Starts one job for each kind. If none of them can be started, that is a problem.
pub(crate) async fn start_jobs(
    api: &Api,
    actor: &Actor,
    keyed: &Keyed,
    kinds: impl Iterator<Item = JobKind>,
) -> Result<Vec<StartedJob>, Problem> {
    let kinds: Vec<JobKind> = kinds.collect();
    let connections: Vec<Option<ConnectionId>> = kinds.iter().map(JobKind::connection).collect();
    let commands = kinds.into_iter().map(|kind| Ok(Command::StartJob { kind })).collect();
    let results = api.execute_items(commands, actor, keyed).await?;
    if !results.iter().any(Result::is_ok)
        && let Some(Err(problem)) = results.first()
    {
        return Err(problem.clone());
    }
    let jobs = connections.into_iter().zip(results).map(|(connection, result)| {
        let (job, refused) = match result {
            Ok(Executed { reply: Reply::Job(job), .. }) => (Some(job.to_string()), None),
            other => (None, Some(ItemResult::of(other, None))),
        };
        // What a person starts is for a connection.
        let connection = connection.map(|connection| connection.to_string()).unwrap_or_default();
        StartedJob { connection, job, refused }
    });
    Ok(jobs.collect())
}

/// Starts one job.
pub(crate) async fn start_job(
    api: &Api,
    actor: &Actor,
    keyed: &Keyed,
    kind: JobKind,
) -> Result<OneJob, Problem> {
    let connection = kind.connection().map(|connection| connection.to_string()).unwrap_or_default();
    let executed = api.execute_one(Ok(Command::StartJob { kind }), actor, keyed).await?;
    let Reply::Job(job) = executed.reply else { return Err(super::unexpected(&executed.reply)) };
    Ok(OneJob { job: StartedJob { connection, job: Some(job.to_string()), refused: None } })
}

/// Fails unless the view is of this object.
fn check_view(state: &State, actor: &Actor, object: &ObjectName, view: &ViewName) -> Result<(), Problem> {
    let of = &views::opened(actor, state, view)?.0.object;
    if of == object {
        return Ok(());
    }
    let detail = format!("the view {view} is of {of}, not of {object}: name that object");
    Err(Problem::new(ErrorCode::BadBody, detail))
}

/// Stops sharing records with a connection; both sides keep their copies. All of an object, or what a list
/// view chooses, goes on as a job.
#[utoipa::path(post, path = "/v1/shares/stop", tag = "shares", request_body = StopBody,
    responses((status = 200, body = Stopped)))]
pub(crate) async fn stop(
    Extract(api): Extract<Api>,
    actor: Actor,
    keyed: Keyed,
    Body(body): Body<StopBody>,
) -> Result<Json<Stopped>, Problem> {
    let StopBody { connection, records, object, all, view } = body;
    let connection = api.connection_id(&connection)?;
    match (records, object, all, view) {
        (Some(records), None, false, None) => {
            check_count("records", records.len())?;
            let end = |record| Ok(Command::EndShare { record, connection, reason: EndReason::Stopped });
            let results = api.execute_items(records.into_iter().map(end).collect(), &actor, &keyed).await?;
            let results = results.into_iter().map(|result| ItemResult::of(result, None)).collect();
            Ok(Json(Stopped { results, job: None }))
        }
        (None, Some(object), all, view) if all != view.is_some() => {
            api.org.peek(|state| {
                records::object(state, actor.reading(state), object.as_str())?;
                view.as_ref().map_or(Ok(()), |view| check_view(state, &actor, &object, view))
            })?;
            let kind = JobKind::Stop { connection, object, view };
            let OneJob { job } = start_job(&api, &actor, &keyed, kind).await?;
            Ok(Json(Stopped { results: Vec::new(), job: Some(job) }))
        }
        _ => {
            let detail = "name records, or an object with a view, or with all set to true: one of the three";
            Err(Problem::new(ErrorCode::BadBody, detail))
        }
    }
}

/// Lists the shares of a connection, as they are or as they were (OPS-04).
#[utoipa::path(get, path = "/v1/connections/{c}/shares", tag = "shares",
    params(("c" = String, Path, description = "Id, partner or label."), ShareQuery),
    responses((status = 200, body = SharePage)))]
pub(crate) async fn list(
    Extract(api): Extract<Api>,
    _actor: Actor,
    Route(selector): Route<String>,
    Params(query): Params<ShareQuery>,
) -> Result<Json<SharePage>, Problem> {
    use std::ops::Bound::{Excluded, Unbounded};
    let wanted = query.status.as_deref();
    if let Some(other) = wanted.filter(|wanted| !STATUSES.contains(wanted)) {
        let detail = format!("status is {other:?}: use one of {}", STATUSES.join(", "));
        return Err(Problem::new(ErrorCode::BadQuery, detail));
    }
    let after: Option<ShareId> = cursor(query.cursor.as_deref())?;
    let (limit, start) = (page_size(query.limit), after.map_or(Unbounded, Excluded));
    let wanted = wanted.map(str::to_owned);
    let view = move |state: &State| {
        let connection = select::connection(state, &selector)?;
        let mut page = SharePage { shares: Vec::new(), next: None };
        let mut last = None;
        for (looked_at, (id, share)) in connection.shares.range((start, Unbounded)).enumerate() {
            if page.shares.len() == limit || looked_at == LOOKED_AT_MAX {
                page.next = last.map(|id: ShareId| id.to_string());
                break;
            }
            last = Some(*id);
            if wanted.as_deref().is_none_or(|wanted| status(share.status) == wanted) {
                page.shares.push(ShareView::of(connection, *id, share));
            }
        }
        Ok(page)
    };
    AsOf { seq: query.seq, time: query.time }.show(&api, view).await.map(Json)
}

/// Tries again what was refused on a share: pending values, or the creation of the copy.
#[utoipa::path(post, path = "/v1/connections/{c}/shares/{share}/retry", tag = "shares",
    params(("c" = String, Path, description = "Id, partner or label."),
        ("share" = String, Path, description = "The share.")),
    responses((status = 200, body = Done)))]
pub(crate) async fn retry(
    Extract(api): Extract<Api>,
    actor: Actor,
    keyed: Keyed,
    Route((selector, share)): Route<(String, ShareId)>,
) -> Result<Json<Done>, Problem> {
    let connection = api.connection_id(&selector)?;
    let executed = api.execute_one(Ok(Command::Retry { connection, share }), &actor, &keyed).await?;
    Ok(Json(Done::from(&executed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_named_or_all() {
        let id = RecordId(1);
        for (body, ok) in [
            (r#"{"connections": ["c"], "object": "Lead", "all": true}"#.to_owned(), true),
            (format!(r#"{{"connections": ["c"], "object": "Lead", "records": ["{id}"]}}"#), true),
            (
                format!(r#"{{"connections": ["c"], "object": "Lead", "records": ["{id}"], "all": true}}"#),
                false,
            ),
            (r#"{"connections": ["c"], "object": "Lead"}"#.to_owned(), false),
            (r#"{"connections": [], "object": "Lead", "all": true}"#.to_owned(), false),
        ] {
            let forward: ForwardBody = serde_json::from_str(&body).unwrap();
            assert_eq!(forward.check().is_ok(), ok, "{body}");
        }
    }
}
