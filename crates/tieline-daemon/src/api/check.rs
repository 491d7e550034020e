//! What will go wrong with the present rules, mappings and catalogues, before it does (OPS-13).

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use tieline_core::RecordId;
use tieline_core::check::{Finding, check as core_check, questions};
use tieline_core::config::Touch;
use tieline_core::people::Permission;
use tieline_core::state::State;
use utoipa::ToSchema;

use super::Api;
use super::auth::Actor;
use super::problem::Problem;
use super::request::Params;
use super::select;
use crate::clock::now;

/// Most records that are looked at under one lock.
const SLICE: usize = 1_000;

/// What is to be checked.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CheckParams {
    /// Only this connection: id, partner or label. Without it, all of them, the org, and its records.
    connection: Option<String>,
}

/// Something that will go wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FindingView {
    /// The connection, by the name that selects it.
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<String>,
    /// The setting, as `subscribe.Lead` or `objects.Lead`.
    item: String,
    /// A stable code.
    code: &'static str,
    /// The local field or rule, if it is about one.
    #[serde(skip_serializing_if = "String::is_empty")]
    detail: String,
    /// The thing, the reason and the remedy.
    message: String,
    /// How many offers, shares or records it concerns now, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
}

/// What will go wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CheckView {
    /// One entry for each thing.
    findings: Vec<FindingView>,
    /// How many records were looked at.
    records: u64,
}

impl FindingView {
    fn of(state: &State, finding: Finding) -> Self {
        let Finding { connection, item, code, detail, message, count } = finding;
        let connection = connection.and_then(|id| state.connections.get(&id));
        Self { connection: connection.map(|c| state.selector(c)), item, code, detail, message, count }
    }
}

impl From<Touch> for FindingView {
    fn from(Touch { item, code, detail, count }: Touch) -> Self {
        let message = match code {
            "rule_refused" => {
                format!("{count} records would be refused by the rule {detail} if they were changed")
            }
            "rule_failed" => format!("the rule {detail} cannot be evaluated on {count} records"),
            _ => format!("{count} records have a {detail} that their object would refuse now"),
        };
        Self { connection: None, item, code, detail, message, count: Some(count) }
    }
}

/// Tells what will go wrong with the present rules, mappings and catalogues.
#[utoipa::path(get, path = "/v1/check", tag = "config", params(CheckParams),
    responses((status = 200, body = CheckView)))]
pub(crate) async fn check(
    Extract(api): Extract<Api>,
    actor: Actor,
    Params(params): Params<CheckParams>,
) -> Result<Json<CheckView>, Problem> {
    let (mut findings, asked) = api.org.peek(|state| {
        let only = params.connection.as_deref().map(|name| select::connection(state, name)).transpose()?;
        let found = core_check(state, only.map(|connection| connection.id), now());
        let found: Vec<FindingView> =
            found.into_iter().map(|finding| FindingView::of(state, finding)).collect();
        let reading = actor.reading(state);
        let asked = if only.is_none() { questions(state) } else { Vec::new() };
        let asked = asked.into_iter().filter(|question| reading.may(Permission::Read(&question.object)));
        Ok::<_, Problem>((found, asked.collect::<Vec<_>>()))
    })?;
    let mut records = 0;
    for mut question in asked {
        let mut after: Option<RecordId> = None;
        loop {
            after = api.org.peek(|state| question.ask(state, after, SLICE, now()));
            if after.is_none() {
                break;
            }
            tokio::task::yield_now().await;
        }
        records += question.looked_at();
        findings.extend(question.touches().into_iter().map(FindingView::from));
    }
    super::read(&api, |_| Ok(CheckView { findings, records })).await
}
