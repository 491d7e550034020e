//! Reports (S2S-72): those that every org has, those that were defined, and what they come to.

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json_;
use tieline_core::command::{Command, ReportChange};
use tieline_core::limits::REPORT_ROWS_MAX;
use tieline_core::people::Permission;
use tieline_core::report::{COLUMNS, NO_RANGE, Report, Rows, ready_made};
use tieline_core::state::State;
use tieline_core::{ConnectionId, FieldName, ReportName};
use utoipa::ToSchema;

use super::audit::moment;
use super::auth::Actor;
use super::log::{blocking, unreadable};
use super::problem::{ErrorCode, Problem};
use super::request::{Body, Params, Route};
use super::{Api, Done, select};
use crate::clock::now;
use crate::replay::rebuild;
use crate::report::{Gathered, Run, Sought, updates};

/// Records of an object up to which a report is read from the running state.
const READ_IN_PLACE_MAX: usize = 20_000;
/// Rows of a page unless a number is named.
const ROWS_DEFAULT: usize = 1_000;

/// The reports.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReportList {
    /// One entry for each, in the order of their names.
    reports: Vec<ReportView>,
    /// What a report can list besides the fields of its object.
    columns: Vec<&'static str>,
}

/// A report.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReportView {
    /// Whether every org has it.
    built_in: bool,
    /// Its whole definition.
    #[schema(value_type = Object)]
    definition: Report,
}

/// The definition of a report; its name is that of the path.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Object)]
pub(crate) struct Definition(serde_json::Map<String, Json_>);

/// What of a report.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RunQuery {
    /// Most rows: 1,000 if not said, 50,000 at most.
    limit: Option<usize>,
    /// So many rows are passed over.
    offset: Option<usize>,
    /// Of updates: only those from this moment on. A time that is named here, or `until`, replaces those of
    /// the definition.
    since: Option<String>,
    /// Of updates: only those before this moment.
    until: Option<String>,
}

/// What a report comes to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReportTable {
    /// The report.
    report: String,
    /// The last event of the state that it was read from.
    seq: u64,
    /// The names of the columns.
    columns: Vec<String>,
    /// The cells of each row, in the order of the columns.
    #[schema(value_type = Vec<Vec<serde_json::Value>>)]
    rows: Vec<Vec<Json_>>,
    /// How many rows there are in all.
    total: usize,
    /// Whether there were more records or updates than one run takes: filter the report, or name a time.
    truncated: bool,
    /// What to pass as `offset` for the rows after these.
    next: Option<usize>,
}

/// The report of this name.
fn find(state: &State, name: &ReportName) -> Result<(bool, Report), Problem> {
    if let Some(report) = state.reports.get(name) {
        return Ok((false, report.clone()));
    }
    let ready = ready_made(state).into_iter().find(|report| report.name == *name);
    let unknown = || {
        let detail = format!("there is no report {name}: see the reports with `tieline report list`");
        Problem::new(ErrorCode::UnknownReport, detail)
    };
    ready.map(|report| (true, report)).ok_or_else(unknown)
}

/// Lists the reports on objects that the user may read.
#[utoipa::path(get, path = "/v1/reports", tag = "reports", responses((status = 200, body = ReportList)))]
pub(crate) async fn list(Extract(api): Extract<Api>, actor: Actor) -> Result<Json<ReportList>, Problem> {
    super::read(&api, |state| {
        let reading = actor.reading(state);
        let ready = ready_made(state).into_iter().map(|definition| ReportView { built_in: true, definition });
        let own = state.reports.values();
        let own = own.map(|definition| ReportView { built_in: false, definition: definition.clone() });
        let may = |report: &ReportView| reading.may(Permission::Read(&report.definition.object));
        let mut reports: Vec<ReportView> = ready.chain(own).filter(may).collect();
        reports.sort_by(|a, b| a.definition.name.cmp(&b.definition.name));
        Ok(ReportList { reports, columns: COLUMNS.iter().map(|(name, ..)| *name).collect() })
    })
    .await
}

/// Shows the definition of a report.
#[utoipa::path(get, path = "/v1/reports/{report}", tag = "reports",
    params(("report" = String, Path, description = "The report.")),
    responses((status = 200, body = ReportView)))]
pub(crate) async fn show(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(name): Route<ReportName>,
) -> Result<Json<ReportView>, Problem> {
    super::read(&api, |state| {
        let (built_in, definition) = find(state, &name)?;
        actor.reading(state).object(&definition.object)?;
        Ok(ReportView { built_in, definition })
    })
    .await
}

/// Defines a report, or changes it.
#[utoipa::path(put, path = "/v1/reports/{report}", tag = "reports", request_body = Definition,
    params(("report" = String, Path, description = "The report.")),
    responses((status = 200, body = Done)))]
pub(crate) async fn set(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(name): Route<ReportName>,
    Body(Definition(mut definition)): Body<Definition>,
) -> Result<Json<Done>, Problem> {
    definition.insert("name".to_owned(), name.to_string().into());
    let report: Report = serde_json::from_value(definition.into()).map_err(|error| {
        Problem::new(ErrorCode::BadBody, format!("this is no definition of a report: {error}"))
    })?;
    api.change(&actor, Command::Report(ReportChange::Set { report: Box::new(report) })).await
}

/// Removes a report.
#[utoipa::path(delete, path = "/v1/reports/{report}", tag = "reports",
    params(("report" = String, Path, description = "The report.")),
    responses((status = 200, body = Done)))]
pub(crate) async fn remove(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(report): Route<ReportName>,
) -> Result<Json<Done>, Problem> {
    api.change(&actor, Command::Report(ReportChange::Remove { report })).await
}

/// What is known before anything is gathered.
struct Asked {
    report: Report,
    connection: Option<ConnectionId>,
    tracked: Vec<FieldName>,
    records: usize,
}

fn asked(state: &State, actor: &Actor, name: &ReportName) -> Result<Asked, Problem> {
    let (_, report) = find(state, name)?;
    let reading = actor.reading(state);
    let object = super::records::object(state, reading, report.object.as_str())?;
    if report.rows == Rows::Connections {
        reading.require(Permission::ManageConnections)?;
    }
    // The object may have changed since the report was saved.
    report.check(object, state).map_err(Problem::refused)?;
    for parent in report.parents(&state.objects) {
        reading.object(&parent)?;
    }
    let named = report.connection.as_deref();
    let connection = named.map(|selector| Ok::<_, Problem>(select::connection(state, selector)?.id));
    let tracked = object.fields.iter().filter(|field| field.tracked).map(|field| field.name.clone());
    let (connection, tracked) = (connection.transpose()?, tracked.collect());
    let records = state.count_of(&report.object);
    Ok(Asked { report, connection, tracked, records })
}

/// Runs a report: its rows, or its groups.
#[utoipa::path(get, path = "/v1/reports/{report}/run", tag = "reports",
    params(("report" = String, Path, description = "The report."), RunQuery),
    responses((status = 200, body = ReportTable)))]
pub(crate) async fn run(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(name): Route<ReportName>,
    Params(query): Params<RunQuery>,
) -> Result<Json<ReportTable>, Problem> {
    let (since, until) = (moment("since", query.since.as_deref())?, moment("until", query.until.as_deref())?);
    let asked = api.org.read(|state| asked(state, &actor, &name)).await?;
    let report = &asked.report;
    let named = since.is_some() || until.is_some();
    if named && report.rows != Rows::Updates {
        return Err(Problem::new(ErrorCode::BadQuery, NO_RANGE));
    }
    let (since, until) = if named { (since, until) } else { report.range(now()) };
    let (seq, gathered) = if report.rows == Rows::Updates {
        let sought = Sought {
            object: report.object.clone(),
            tracked: asked.tracked,
            connection: asked.connection,
            since,
            until,
        };
        let log = api.org.log();
        let found = blocking(move || updates(&log, &sought)).await?;
        let found = found.map_err(|error| unreadable(&error))?;
        let gathered = |state: &State| {
            let run = Run::new(report, state, asked.connection, now());
            (state.seq, run.of_updates(state, &found.updates, found.truncated))
        };
        api.org.read(gathered).await
    } else if asked.records <= READ_IN_PLACE_MAX {
        let gathered =
            |state: &State| (state.seq, Run::new(report, state, asked.connection, now()).of_state(state));
        api.org.read(gathered).await
    } else {
        beside(&api, report.clone(), asked.connection).await?
    };
    let Gathered { rows, truncated } = gathered;
    let table = report.table(rows);
    let (total, offset) = (table.rows.len(), query.offset.unwrap_or(0));
    let limit = query.limit.unwrap_or(ROWS_DEFAULT).clamp(1, REPORT_ROWS_MAX);
    let rows = table.rows.iter().skip(offset).take(limit);
    let rows: Vec<Vec<Json_>> = rows.map(|row| row.iter().map(|cell| cell.to_json()).collect()).collect();
    let next = offset + rows.len();
    Ok(Json(ReportTable {
        report: name.to_string(),
        seq: seq.0,
        columns: table.columns,
        rows,
        total,
        truncated,
        next: (next < total).then_some(next),
    }))
}

/// Gathers from a state that is built beside the running one, so that no write waits.
async fn beside(
    api: &Api,
    report: Report,
    connection: Option<ConnectionId>,
) -> Result<(tieline_core::Seq, Gathered), Problem> {
    let org = api.org.clone();
    // A second state is in memory meanwhile: one at a time.
    let turn = api.verifying.clone().lock_owned().await;
    let gathered = blocking(move || {
        let _turn = turn;
        let rebuilt = rebuild(&org.shared.log, Some(&org.shared.snapshots))?;
        let state = rebuilt.engine.state();
        let run = Run::new(&report, state, connection, now());
        Ok::<_, crate::replay::ReplayError>((state.seq, run.of_state(state)))
    });
    gathered.await?.map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "the log cannot be replayed");
        Problem::new(ErrorCode::LogUnreadable, format!("{error}: run `tieline log verify`"))
    })
}
