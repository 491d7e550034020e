//! List views: saved choices of records.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json_};
use tieline_core::command::{Command, ViewCommand};
use tieline_core::limits::VIEW_SORTED_MAX;
use tieline_core::people::Permission;
use tieline_core::reason::quoted;
use tieline_core::state::{Record, State};
use tieline_core::value::Value;
use tieline_core::view::{Audience, OpenView, RecordView, Sort};
use tieline_core::{FieldName, GroupName, ObjectName, RecordId, RoleName, UserName, ViewName};
use utoipa::ToSchema;

use super::auth::Actor;
use super::problem::{ErrorCode, Problem};
use super::request::{Body, Params, Route, cursor, page_size};
use super::shares::LOOKED_AT_MAX;
use super::{Api, Done};
use crate::clock::now;

/// Most records or offers that one request for a count looks at.
pub(crate) const COUNTED_MAX: usize = 100_000;

/// Who may use a view: everybody if nobody is named.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AudienceBody {
    /// Users.
    #[schema(value_type = Vec<String>)]
    users: BTreeSet<UserName>,
    /// Groups.
    #[schema(value_type = Vec<String>)]
    groups: BTreeSet<GroupName>,
    /// Roles.
    #[schema(value_type = Vec<String>)]
    roles: BTreeSet<RoleName>,
}

/// The order in which a view shows what it chose.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SortBody {
    /// By the values of this field.
    #[schema(value_type = String)]
    field: FieldName,
    /// From the greatest to the least.
    #[serde(default)]
    descending: bool,
}

/// A list view: records of one object.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ViewBody {
    /// What people see.
    #[serde(default)]
    label: String,
    /// The object.
    #[schema(value_type = String)]
    object: ObjectName,
    /// A condition in CEL; without one, all records.
    filter: Option<String>,
    /// Only records that whoever looks owns.
    #[serde(default)]
    mine: bool,
    /// The fields that are shown; without any, the field that names the record.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    columns: Vec<FieldName>,
    /// The order; without it, that of the ids.
    sort: Option<SortBody>,
    /// Who may use it.
    #[serde(default)]
    audience: AudienceBody,
}

/// A list view with its name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ViewEntry {
    /// Its name.
    name: String,
    /// The definition.
    view: ViewBody,
}

/// List views.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ViewList {
    /// One entry for each, in the order of their names.
    views: Vec<ViewEntry>,
}

/// A record as a view shows it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ViewRow {
    /// The record.
    id: String,
    /// Who owns it.
    owner: String,
    /// The columns of the view.
    #[schema(value_type = Object)]
    values: Map<String, Json_>,
}

/// Some records of a view.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ViewPage {
    /// The columns, in their order.
    columns: Vec<String>,
    /// The records, in the order of the view.
    rows: Vec<ViewRow>,
    /// Where the next page begins; without it, this is the last. A page may be short and have one.
    next: Option<String>,
}

/// How much a view chooses.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ViewCount {
    /// So many.
    pub(crate) count: usize,
    /// Whether all were looked at; else there may be more.
    pub(crate) complete: bool,
}

/// A page of what a view chooses.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ViewQuery {
    /// Most rows of the page: 100 if not said, 1,000 at most.
    pub(crate) limit: Option<usize>,
    /// `next` of the page before.
    pub(crate) cursor: Option<String>,
}

impl From<AudienceBody> for Audience {
    fn from(body: AudienceBody) -> Self {
        let AudienceBody { users, groups, roles } = body;
        Self { users, groups, roles }
    }
}

impl From<&Audience> for AudienceBody {
    fn from(audience: &Audience) -> Self {
        let Audience { users, groups, roles } = audience.clone();
        Self { users, groups, roles }
    }
}

impl From<SortBody> for Sort {
    fn from(SortBody { field, descending }: SortBody) -> Self {
        Self { field, descending }
    }
}

impl From<&Sort> for SortBody {
    fn from(sort: &Sort) -> Self {
        Self { field: sort.field.clone(), descending: sort.descending }
    }
}

impl ViewBody {
    fn view(self, name: ViewName) -> RecordView {
        let Self { label, object, filter, mine, columns, sort, audience } = self;
        let (sort, audience) = (sort.map(Sort::from), audience.into());
        RecordView { name, label, object, filter, mine, columns, sort, audience }
    }
}

impl From<&RecordView> for ViewEntry {
    fn from(view: &RecordView) -> Self {
        let RecordView { name, label, object, filter, mine, columns, sort, audience } = view;
        let view = ViewBody {
            label: label.clone(),
            object: object.clone(),
            filter: filter.clone(),
            mine: *mine,
            columns: columns.clone(),
            sort: sort.as_ref().map(SortBody::from),
            audience: audience.into(),
        };
        Self { name: name.to_string(), view }
    }
}

pub(crate) fn texts(columns: &[FieldName]) -> Vec<String> {
    columns.iter().map(ToString::to_string).collect()
}

/// Refuses a view that is for others. Its definition is no secret to who may do everything.
pub(crate) fn check_for(
    actor: &Actor,
    state: &State,
    audience: &Audience,
    name: &ViewName,
) -> Result<(), Problem> {
    if state.belongs(&actor.user, audience) || actor.reading(state).may(Permission::ModifyAllData) {
        return Ok(());
    }
    let detail = format!(
        "the view {} is for others than {}: ask for one of your own",
        quoted(name.as_str()),
        actor.user
    );
    Err(Problem::new(ErrorCode::NoPermission, detail))
}

/// A list view that the actor may use.
pub(crate) fn opened<'a>(
    actor: &Actor,
    state: &'a State,
    name: &ViewName,
) -> Result<(&'a RecordView, OpenView), Problem> {
    let (view, open) = state.open_view(name)?;
    check_for(actor, state, &view.audience, name)?;
    actor.reading(state).object(&view.object)?;
    Ok((view, open))
}

/// One page of what was put in order: the cursor is how many came before.
pub(crate) fn sorted_page<T>(
    mut rows: Vec<(Value, T)>,
    open: &OpenView,
    after: usize,
    limit: usize,
) -> (Vec<T>, Option<String>) {
    rows.sort_by(|(a, _), (b, _)| open.order(a, b));
    let next = after.saturating_add(limit);
    let more = (next < rows.len()).then(|| next.to_string());
    (rows.into_iter().skip(after).take(limit).map(|(_, row)| row).collect(), more)
}

pub(crate) fn too_many() -> Problem {
    let detail = format!(
        "the view chooses more than {VIEW_SORTED_MAX}, which is more than can be put in order: narrow its filter, \
         or leave its order out"
    );
    Problem::new(ErrorCode::LimitReached, detail)
}

/// Lists the list views that the actor may use.
#[utoipa::path(get, path = "/v1/views", tag = "views", responses((status = 200, body = ViewList)))]
pub(crate) async fn list(Extract(api): Extract<Api>, actor: Actor) -> Result<Json<ViewList>, Problem> {
    super::read(&api, |state| {
        let reading = actor.reading(state);
        let all = reading.may(Permission::ModifyAllData);
        let views = state.views.records.values().filter(|view| {
            all || reading.may(Permission::Read(&view.object)) && state.belongs(&actor.user, &view.audience)
        });
        Ok(ViewList { views: views.map(ViewEntry::from).collect() })
    })
    .await
}

/// Shows a list view.
#[utoipa::path(get, path = "/v1/views/{view}", tag = "views",
    params(("view" = String, Path, description = "The view.")),
    responses((status = 200, body = ViewEntry)))]
pub(crate) async fn show(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(name): Route<ViewName>,
) -> Result<Json<ViewEntry>, Problem> {
    super::read(&api, |state| Ok(opened(&actor, state, &name)?.0.into())).await
}

/// Defines a list view, or changes it. One for oneself alone takes read on the object; one for others,
/// Modify All Data.
#[utoipa::path(put, path = "/v1/views/{view}", tag = "views", request_body = ViewBody,
    params(("view" = String, Path, description = "The view.")),
    responses((status = 200, body = Done)))]
pub(crate) async fn set(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(name): Route<ViewName>,
    Body(body): Body<ViewBody>,
) -> Result<Json<Done>, Problem> {
    let view = Box::new(body.view(name));
    api.change(&actor, Command::View(ViewCommand::Set { view })).await
}

/// Removes a list view.
#[utoipa::path(delete, path = "/v1/views/{view}", tag = "views",
    params(("view" = String, Path, description = "The view.")),
    responses((status = 200, body = Done)))]
pub(crate) async fn remove(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(view): Route<ViewName>,
) -> Result<Json<Done>, Problem> {
    api.change(&actor, Command::View(ViewCommand::Remove { view })).await
}

fn row(id: RecordId, record: &Record, columns: &[FieldName]) -> ViewRow {
    let values = columns.iter().map(|name| (name.to_string(), record.value(name).to_json()));
    ViewRow { id: id.to_string(), owner: record.owner.to_string(), values: values.collect() }
}

/// Lists the records that a view chooses.
#[utoipa::path(get, path = "/v1/views/{view}/records", tag = "views",
    params(("view" = String, Path, description = "The view."), ViewQuery),
    responses((status = 200, body = ViewPage)))]
pub(crate) async fn rows(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(name): Route<ViewName>,
    Params(query): Params<ViewQuery>,
) -> Result<Json<ViewPage>, Problem> {
    let (limit, now) = (page_size(query.limit), now());
    super::read(&api, |state| {
        let (view, open) = opened(&actor, state, &name)?;
        let columns = texts(&open.columns);
        if let Some(field) = open.sorted_by() {
            let after: usize = cursor(query.cursor.as_deref())?.unwrap_or(0);
            let mut found = Vec::new();
            for (id, record) in state.view_records((view, &open), None, &actor.user, now) {
                if found.len() == VIEW_SORTED_MAX {
                    return Err(too_many());
                }
                found.push((record.value(field).clone(), (id, record)));
            }
            let (chosen, next) = sorted_page(found, &open, after, limit);
            let rows = chosen.into_iter().map(|(id, record)| row(id, record, &open.columns)).collect();
            return Ok(ViewPage { columns, rows, next });
        }
        let after: Option<RecordId> = cursor(query.cursor.as_deref())?;
        let mut page = ViewPage { columns, rows: Vec::new(), next: None };
        let mut last = None;
        for (looked_at, (id, record)) in state.records_of(&view.object, after).enumerate() {
            if page.rows.len() == limit || looked_at == LOOKED_AT_MAX {
                page.next = last.map(|id: RecordId| id.to_string());
                break;
            }
            last = Some(id);
            if state.view_matches((view, &open), record, &actor.user, now) {
                page.rows.push(row(id, record, &open.columns));
            }
        }
        Ok(page)
    })
    .await
}

/// Counts the records that a view chooses.
#[utoipa::path(get, path = "/v1/views/{view}/count", tag = "views",
    params(("view" = String, Path, description = "The view.")),
    responses((status = 200, body = ViewCount)))]
pub(crate) async fn count(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(name): Route<ViewName>,
) -> Result<Json<ViewCount>, Problem> {
    let now = now();
    super::read(&api, |state| {
        let (view, open) = opened(&actor, state, &name)?;
        let all = state.records_of(&view.object, None);
        let chosen = all
            .take(COUNTED_MAX)
            .filter(|(_, record)| state.view_matches((view, &open), record, &actor.user, now));
        Ok(ViewCount { count: chosen.count(), complete: state.count_of(&view.object) <= COUNTED_MAX })
    })
    .await
}
