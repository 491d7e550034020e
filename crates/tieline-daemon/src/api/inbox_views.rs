//! Inbox views: saved choices of what partners offer (S2S-46).

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json_};
use tieline_core::check::unseen_in_offers;
use tieline_core::command::{Command, ViewCommand};
use tieline_core::decide::answering;
use tieline_core::limits::VIEW_SORTED_MAX;
use tieline_core::people::Permission;
use tieline_core::state::State;
use tieline_core::value::Value;
use tieline_core::vecmap::VecMap;
use tieline_core::view::{InboxView, OpenView, Sort};
use tieline_core::{FieldName, ObjectName, ViewName};
use utoipa::ToSchema;

use super::auth::{Actor, Reading};
use super::inbox::{OfferView, Place, shares_after, waits};
use super::problem::Problem;
use super::request::{Body, Params, Route, cursor, page_size};
use super::shares::LOOKED_AT_MAX;
use super::views::{
    AudienceBody, COUNTED_MAX, SortBody, ViewCount, ViewQuery, check_for, sorted_page, texts, too_many,
};
use super::{Api, Done};
use crate::clock::now;

/// An inbox view: offers that would become records of one object.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InboxViewBody {
    /// What people see.
    #[serde(default)]
    label: String,
    /// The object of this org that the records would be of.
    #[schema(value_type = String)]
    object: ObjectName,
    /// A condition in CEL on `ConnectionName`, `SentDate` and the fields of the offer as they would be
    /// here; without one, every offer.
    filter: Option<String>,
    /// What is shown; without any, the connection, the date and the view fields of the object.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    columns: Vec<FieldName>,
    /// The order; without it, that of connections and shares.
    sort: Option<SortBody>,
    /// Who may use it.
    #[serde(default)]
    audience: AudienceBody,
}

/// An inbox view with its name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InboxViewEntry {
    /// Its name.
    name: String,
    /// The definition.
    view: InboxViewBody,
}

/// Inbox views.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InboxViewList {
    /// One entry for each, in the order of their names.
    views: Vec<InboxViewEntry>,
}

/// Some offers of an inbox view.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InboxViewPage {
    /// The columns, in their order.
    columns: Vec<String>,
    /// The offers, in the order of the view.
    rows: Vec<InboxViewRow>,
    /// Where the next page begins; without it, this is the last. A page may be short and have one.
    next: Option<String>,
}

/// An offer as an inbox view shows it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InboxViewRow {
    /// The offer.
    offer: OfferView,
    /// The columns of the view, by the names of this org.
    #[schema(value_type = Object)]
    values: Map<String, Json_>,
}

/// What the change of an inbox view answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InboxViewSaved {
    /// The last event of the log when it was decided.
    seq: u64,
    /// Whether anything changed.
    changed: bool,
    /// What the view reads and offers of partners do not carry, a sentence for each connection.
    warnings: Vec<String>,
}

/// Which inbox views.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct InboxViewsQuery {
    /// All of them, for who administers them; else those that show something to whoever asks.
    #[serde(default)]
    all: bool,
}

impl InboxViewBody {
    fn view(self, name: ViewName) -> InboxView {
        let Self { label, object, filter, columns, sort, audience } = self;
        let (sort, audience) = (sort.map(Sort::from), audience.into());
        InboxView { name, label, object, filter, columns, sort, audience }
    }
}

impl From<&InboxView> for InboxViewEntry {
    fn from(view: &InboxView) -> Self {
        let InboxView { name, label, object, filter, columns, sort, audience } = view;
        let view = InboxViewBody {
            label: label.clone(),
            object: object.clone(),
            filter: filter.clone(),
            columns: columns.clone(),
            sort: sort.as_ref().map(SortBody::from),
            audience: audience.into(),
        };
        Self { name: name.to_string(), view }
    }
}

/// Whether an inbox view shows something to a user at all: some connection subscribes its object, and
/// the user may read and create records of it (S2S-46).
fn is_shown(reading: Reading<'_>, state: &State, view: &InboxView) -> bool {
    let subscribed = state.connections.values().any(|connection| {
        connection.is_active() && connection.subscribe.values().any(|rule| rule.local == view.object)
    });
    subscribed && reading.may(Permission::Read(&view.object)) && reading.may(Permission::Create(&view.object))
}

fn opened<'a>(
    actor: &Actor,
    state: &'a State,
    name: &ViewName,
) -> Result<(&'a InboxView, OpenView), Problem> {
    let (view, open) = state.open_inbox_view(name)?;
    check_for(actor, state, &view.audience, name)?;
    let reading = actor.reading(state);
    reading.object(&view.object)?;
    reading.require(Permission::Create(&view.object))?;
    Ok((view, open))
}

/// Lists the inbox views that show something to whoever asks; with `all`, all of them.
#[utoipa::path(get, path = "/v1/inbox-views", tag = "views", params(InboxViewsQuery),
    responses((status = 200, body = InboxViewList)))]
pub(crate) async fn list(
    Extract(api): Extract<Api>,
    actor: Actor,
    Params(query): Params<InboxViewsQuery>,
) -> Result<Json<InboxViewList>, Problem> {
    super::read(&api, |state| {
        let reading = actor.reading(state);
        if query.all {
            reading.require(Permission::ManageConnections)?;
        }
        let views = state.views.inbox.values().filter(|view| {
            query.all || is_shown(reading, state, view) && state.belongs(&actor.user, &view.audience)
        });
        Ok(InboxViewList { views: views.map(InboxViewEntry::from).collect() })
    })
    .await
}

/// Shows an inbox view.
#[utoipa::path(get, path = "/v1/inbox-views/{view}", tag = "views",
    params(("view" = String, Path, description = "The view.")),
    responses((status = 200, body = InboxViewEntry)))]
pub(crate) async fn show(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(name): Route<ViewName>,
) -> Result<Json<InboxViewEntry>, Problem> {
    super::read(&api, |state| {
        if actor.reading(state).may(Permission::ManageConnections) {
            return Ok(state.open_inbox_view(&name)?.0.into());
        }
        Ok(opened(&actor, state, &name)?.0.into())
    })
    .await
}

/// Defines an inbox view, or changes it.
#[utoipa::path(put, path = "/v1/inbox-views/{view}", tag = "views", request_body = InboxViewBody,
    params(("view" = String, Path, description = "The view.")),
    responses((status = 200, body = InboxViewSaved)))]
pub(crate) async fn set(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(name): Route<ViewName>,
    Body(body): Body<InboxViewBody>,
) -> Result<Json<InboxViewSaved>, Problem> {
    let view = Box::new(body.view(name));
    let command = Command::View(ViewCommand::SetInbox { view: view.clone() });
    let Done { seq, changed } = Done::from(&api.org.execute(command, &actor.user).await?);
    super::read(&api, |state| Ok(InboxViewSaved { seq, changed, warnings: unseen_in_offers(state, &view) }))
        .await
}

/// Removes an inbox view.
#[utoipa::path(delete, path = "/v1/inbox-views/{view}", tag = "views",
    params(("view" = String, Path, description = "The view.")),
    responses((status = 200, body = Done)))]
pub(crate) async fn remove(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(view): Route<ViewName>,
) -> Result<Json<Done>, Problem> {
    api.change(&actor, Command::View(ViewCommand::RemoveInbox { view })).await
}

fn shown(values: &VecMap<FieldName, Value>, columns: &[FieldName]) -> Map<String, Json_> {
    let value = |name: &FieldName| values.get(name).unwrap_or(&Value::Null).to_json();
    columns.iter().map(|name| (name.to_string(), value(name))).collect()
}

/// Lists the offers that an inbox view chooses.
#[utoipa::path(get, path = "/v1/inbox-views/{view}/offers", tag = "views",
    params(("view" = String, Path, description = "The view."), ViewQuery),
    responses((status = 200, body = InboxViewPage)))]
pub(crate) async fn offers(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(name): Route<ViewName>,
    Params(query): Params<ViewQuery>,
) -> Result<Json<InboxViewPage>, Problem> {
    let (limit, now) = (page_size(query.limit), now());
    super::read(&api, |state| {
        let (view, open) = opened(&actor, state, &name)?;
        let reading = actor.reading(state);
        let sorted = open.sorted_by();
        let (mut after, mut skip) = (None, 0);
        match sorted {
            Some(_) => skip = cursor(query.cursor.as_deref())?.unwrap_or(0),
            None => after = cursor::<Place>(query.cursor.as_deref())?,
        }
        let (mut found, mut last, mut next) = (Vec::new(), None, None);
        for (looked_at, (connection, id, share)) in shares_after(state, None, after).enumerate() {
            if sorted.is_none() && (found.len() == limit || looked_at == LOOKED_AT_MAX) {
                next = last.map(|place: Place| place.to_string());
                break;
            }
            last = Some(Place(connection.id, id));
            if !waits(share) || !reading.may(answering(connection, share)) {
                continue;
            }
            if let Some(values) = state.inbox_view_matches((view, &open), connection, share, now) {
                if found.len() == VIEW_SORTED_MAX {
                    return Err(too_many());
                }
                let by = sorted.and_then(|field| values.get(field)).cloned().unwrap_or_default();
                let values = shown(&values, &open.columns);
                found.push((by, InboxViewRow { offer: OfferView::of(connection, id, share), values }));
            }
        }
        let columns = texts(&open.columns);
        if sorted.is_some() {
            let (rows, next) = sorted_page(found, &open, skip, limit);
            return Ok(InboxViewPage { columns, rows, next });
        }
        Ok(InboxViewPage { columns, rows: found.into_iter().map(|(_, row)| row).collect(), next })
    })
    .await
}

/// Counts the offers that an inbox view chooses.
#[utoipa::path(get, path = "/v1/inbox-views/{view}/count", tag = "views",
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
        let reading = actor.reading(state);
        let (mut count, mut complete) = (0, true);
        for (looked_at, (connection, _, share)) in shares_after(state, None, None).enumerate() {
            if looked_at == COUNTED_MAX {
                complete = false;
                break;
            }
            let meant = waits(share)
                && reading.may(answering(connection, share))
                && state.inbox_view_matches((view, &open), connection, share, now).is_some();
            count += usize::from(meant);
        }
        Ok(ViewCount { count, complete })
    })
    .await
}
