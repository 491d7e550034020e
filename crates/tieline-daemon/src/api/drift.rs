//! What changed under a connection's mappings: fields, types, values; and values without a mapping
//! (S2S-29, S2S-31).

use axum::Json;
use axum::extract::State as Extract;
use serde::Serialize;
use tieline_core::drift::{self, Broken, Change, FieldChange};
use tieline_core::state::{Connection, NotedDrift, State};
use utoipa::ToSchema;

use super::auth::Actor;
use super::problem::{Problem, ReasonView};
use super::request::Route;
use super::{Api, select};

/// What changed under the mappings of a connection.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DriftView {
    /// Mappings that take nothing now.
    broken: Vec<BrokenView>,
    /// Changes of published fields that are taken, of either side, since the rule was last saved: the
    /// newest last.
    changes: Vec<ChangeView>,
    /// Picklist values that came without a mapping.
    unmapped: Vec<UnmappedView>,
}

/// A mapping that takes nothing, because the partner's field has changed. Other fields go on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BrokenView {
    /// The partner's object.
    object: String,
    /// The local field.
    field: String,
    /// Why, and what to do.
    reason: ReasonView,
}

/// A change of a published field that is taken.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangeView {
    /// When it was noticed here; none for what is only asked about.
    time: Option<String>,
    /// The partner.
    partner: String,
    /// The object, by its publisher's name.
    object: String,
    /// `ours` if this org publishes it, else `theirs`.
    side: &'static str,
    /// The field, by its publisher's name.
    field: String,
    /// `removed`, `type` or `values`.
    change: &'static str,
    /// A new field that may be the one that was removed, under another name.
    like: Option<String>,
    /// In a sentence.
    message: String,
}

/// A picklist value that came without a mapping.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UnmappedView {
    /// The partner's object.
    object: String,
    /// The local field.
    field: String,
    /// The partner's value.
    value: String,
    /// How often it came.
    count: u64,
    /// When it came first.
    first: String,
    /// When it came last.
    last: String,
}

impl From<Broken> for BrokenView {
    fn from(broken: Broken) -> Self {
        Self {
            object: broken.remote.to_string(),
            field: broken.local.to_string(),
            reason: ReasonView::from(&broken.reason),
        }
    }
}

impl ChangeView {
    /// A change that this org makes, or would make, to what a partner takes.
    pub(crate) fn ours(connection: &Connection, object: &str, change: &FieldChange) -> Self {
        let (name, like) = match &change.change {
            Change::Removed { like } => ("removed", like.as_ref().map(ToString::to_string)),
            Change::Type { .. } => ("type", None),
            Change::Values { .. } => ("values", None),
        };
        Self {
            time: None,
            partner: connection.display_name().to_owned(),
            object: object.to_owned(),
            side: "ours",
            field: change.field.to_string(),
            change: name,
            like,
            message: change.to_string(),
        }
    }

    fn noted(connection: &Connection, noted: &NotedDrift) -> Self {
        Self {
            time: Some(noted.time.to_string()),
            side: if noted.ours { "ours" } else { "theirs" },
            ..Self::ours(connection, noted.object.as_str(), &noted.change)
        }
    }
}

fn unmapped(connection: &Connection) -> Vec<UnmappedView> {
    let fields = connection
        .unmapped
        .iter()
        .flat_map(|(object, fields)| fields.iter().map(move |(field, values)| (object, field, values)));
    let view = fields.flat_map(|(object, field, values)| {
        values.iter().map(move |(value, seen)| UnmappedView {
            object: object.to_string(),
            field: field.to_string(),
            value: value.to_string(),
            count: seen.count,
            first: seen.first.to_string(),
            last: seen.last.to_string(),
        })
    });
    view.collect()
}

fn view(state: &State, connection: &Connection) -> DriftView {
    DriftView {
        broken: drift::broken(state, connection).map(BrokenView::from).collect(),
        changes: connection.drift.iter().map(|noted| ChangeView::noted(connection, noted)).collect(),
        unmapped: unmapped(connection),
    }
}

/// Shows what changed under the mappings of a connection, on both sides, and which values came without a
/// mapping.
#[utoipa::path(get, path = "/v1/connections/{c}/drift", tag = "rules",
    params(("c" = String, Path, description = "Id, partner or label.")),
    responses((status = 200, body = DriftView)))]
pub(crate) async fn show(
    Extract(api): Extract<Api>,
    _actor: Actor,
    Route(selector): Route<String>,
) -> Result<Json<DriftView>, Problem> {
    super::read(&api, |state| Ok(view(state, select::connection(state, &selector)?))).await
}
