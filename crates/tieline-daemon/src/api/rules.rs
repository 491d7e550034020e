//! Rules by kind: sharing, assignment, escalation, workflow. Each is set as a whole, shown as it was set,
//! and can be tried on the records that are there.

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json_, json};
use tieline_core::automation::{AssignmentRule, EscalationRule, Rule, RuleKind, SharingRule, WorkflowRule};
use tieline_core::command::{AutomationCommand, Command, Reply};
use tieline_core::decide::meets_now;
use tieline_core::people::Permission;
use tieline_core::reason::quoted;
use tieline_core::state::{RuleFailure, State};
use tieline_core::{ConnectionId, RecordId, RuleName};
use utoipa::ToSchema;

use super::auth::Actor;
use super::problem::{ErrorCode, Problem, ReasonView};
use super::queues::JobBegun;
use super::request::{Body, Params, Route, cursor};
use super::{Api, Done, select};
use crate::clock::now;

/// Most records that one request to try a rule looks at.
const TRIED_MAX: usize = 20_000;

/// The rules of a kind.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleList {
    /// One entry for each, sorted by name.
    #[schema(value_type = Vec<serde_json::Value>)]
    rules: Vec<Json_>,
}

/// What a rule could not do.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleFailureList {
    /// How often, since the org was made.
    failed: u64,
    /// The newest first, at most 500; the log keeps all.
    failures: Vec<RuleFailureView>,
    /// How often a computed field was empty because it could not be computed, since the org was made.
    not_computed: u64,
    /// The fields that could not be computed since they were defined as they are.
    computed: Vec<ComputationView>,
}

/// A computed field that could not be computed; the records stand, with the field empty.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ComputationView {
    /// The object.
    object: String,
    /// The field.
    field: String,
    /// How often.
    count: u64,
    /// The first time.
    first: String,
    /// The last time.
    last: String,
    /// The record, the last time.
    record: String,
    /// Why, the last time.
    reason: ReasonView,
}

/// Something that a rule could not do; what triggered it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleFailureView {
    /// When.
    time: String,
    /// The kind of the rule.
    kind: &'static str,
    /// Its name, or the object that has it.
    rule: String,
    /// The record.
    record: Option<String>,
    /// Why.
    reasons: Vec<ReasonView>,
}

/// Which records of the object meet the criteria of a rule now. Nothing happens to them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Tried {
    /// How many of those that were looked at.
    met: usize,
    /// How many were looked at.
    looked_at: usize,
    /// How many could not be asked, as after a division by zero.
    failed: usize,
    /// The first of those that meet them.
    records: Vec<String>,
    /// Where to go on; without it, all were looked at.
    next: Option<String>,
}

/// Where to go on.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TryQuery {
    /// `next` of the answer before.
    cursor: Option<String>,
}

/// The kind of rules that an address names.
fn kind(name: &str) -> Result<RuleKind, Problem> {
    match name {
        "sharing" => Ok(RuleKind::Sharing),
        "assignment" => Ok(RuleKind::Assignment),
        "escalation" => Ok(RuleKind::Escalation),
        "workflow" => Ok(RuleKind::Workflow),
        _ => {
            let name = quoted(name);
            let detail = format!(
                "there are no rules of the kind {name}: sharing, assignment, escalation and workflow are known"
            );
            Err(Problem::new(ErrorCode::NotFound, detail))
        }
    }
}

/// A rule as it is set: connections by name.
fn shown(state: &State, rule: &Rule) -> Json_ {
    let mut body = match rule {
        Rule::Sharing(rule) => json!(rule),
        Rule::Assignment(rule) => json!(rule),
        Rule::Escalation(rule) => json!(rule),
        Rule::Workflow(rule) => json!(rule),
    };
    if let (Rule::Sharing(rule), Json_::Object(body)) = (rule, &mut body) {
        let names: Vec<String> = rule.connections.iter().map(|id| select::name_of(state, *id)).collect();
        body.insert("connections".to_owned(), json!(names));
    }
    body
}

/// A rule from its body: its name comes from the address, connections may be named.
fn read(
    kind: RuleKind,
    key: &str,
    mut body: Map<String, Json_>,
    connection: impl Fn(&str) -> Result<ConnectionId, Problem>,
) -> Result<Rule, Problem> {
    let named = matches!(kind, RuleKind::Sharing | RuleKind::Workflow);
    let place = if named { "name" } else { "object" };
    match body.get(place) {
        Some(Json_::String(name)) if name == key => {}
        None => drop(body.insert(place.to_owned(), json!(key))),
        Some(_) => {
            let detail = format!("the {place} of the body is not {}, as the address says", quoted(key));
            return Err(Problem::new(ErrorCode::BadBody, detail));
        }
    }
    if kind == RuleKind::Sharing
        && let Some(Json_::Array(names)) = body.get_mut("connections")
    {
        for name in names {
            if let Json_::String(text) = name {
                *name = json!(connection(text)?);
            }
        }
    }
    // The body is written and read again, so that what is wrong with it is told as for every other.
    let text = Json_::Object(body).to_string();
    let bytes = text.as_bytes();
    Ok(match kind {
        RuleKind::Sharing => Rule::Sharing(super::request::parse::<SharingRule>(bytes)?),
        RuleKind::Assignment => Rule::Assignment(super::request::parse::<AssignmentRule>(bytes)?),
        RuleKind::Escalation => Rule::Escalation(super::request::parse::<EscalationRule>(bytes)?),
        RuleKind::Workflow => Rule::Workflow(super::request::parse::<WorkflowRule>(bytes)?),
    })
}

fn find(state: &State, kind: RuleKind, key: &str) -> Result<Rule, Problem> {
    state.automation.rule(kind, key).ok_or_else(|| {
        let (kind, key) = (kind.as_str(), quoted(key));
        Problem::new(ErrorCode::UnknownRule, format!("there is no {kind} rule {key}"))
    })
}

/// Lists the rules of a kind: `sharing`, `assignment`, `escalation` or `workflow`.
#[utoipa::path(get, path = "/v1/rules/{kind}", tag = "automation",
    params(("kind" = String, Path, description = "The kind.")),
    responses((status = 200, body = RuleList)))]
pub(crate) async fn list(
    Extract(api): Extract<Api>,
    _actor: Actor,
    Route(name): Route<String>,
) -> Result<Json<RuleList>, Problem> {
    super::read(&api, |state| {
        let rules = state.automation.rules(kind(&name)?);
        Ok(RuleList { rules: rules.iter().map(|rule| shown(state, rule)).collect() })
    })
    .await
}

/// Shows a rule.
#[utoipa::path(get, path = "/v1/rules/{kind}/{rule}", tag = "automation",
    params(("kind" = String, Path, description = "The kind."),
        ("rule" = String, Path, description = "Its name; of assignment and escalation rules, the object.")),
    responses((status = 200, body = serde_json::Value)))]
pub(crate) async fn show(
    Extract(api): Extract<Api>,
    _actor: Actor,
    Route((name, key)): Route<(String, String)>,
) -> Result<Json<Json_>, Problem> {
    super::read(&api, |state| Ok(shown(state, &find(state, kind(&name)?, &key)?))).await
}

/// Defines a rule, or changes it: the whole of it.
#[utoipa::path(put, path = "/v1/rules/{kind}/{rule}", tag = "automation", request_body = serde_json::Value,
    params(("kind" = String, Path, description = "The kind."),
        ("rule" = String, Path, description = "Its name; of assignment and escalation rules, the object.")),
    responses((status = 200, body = Done)))]
pub(crate) async fn set(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route((name, key)): Route<(String, String)>,
    Body(body): Body<Map<String, Json_>>,
) -> Result<Json<Done>, Problem> {
    let rule = read(kind(&name)?, &key, body, |selector| api.connection_id(selector))?;
    api.change(&actor, Command::Automation(AutomationCommand::SetRule { rule: Box::new(rule) })).await
}

/// Removes a rule. What it shared stays shared.
#[utoipa::path(delete, path = "/v1/rules/{kind}/{rule}", tag = "automation",
    params(("kind" = String, Path, description = "The kind."),
        ("rule" = String, Path, description = "Its name; of assignment and escalation rules, the object.")),
    responses((status = 200, body = Done)))]
pub(crate) async fn remove(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route((name, rule)): Route<(String, String)>,
) -> Result<Json<Done>, Problem> {
    let kind = kind(&name)?;
    api.change(&actor, Command::Automation(AutomationCommand::RemoveRule { kind, rule })).await
}

/// Tries the criteria of a rule on the records that are there: how many meet them now.
#[utoipa::path(get, path = "/v1/rules/{kind}/{rule}/try", tag = "automation",
    params(("kind" = String, Path, description = "The kind."),
        ("rule" = String, Path, description = "Its name; of assignment and escalation rules, the object."), TryQuery),
    responses((status = 200, body = Tried)))]
pub(crate) async fn try_out(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route((name, key)): Route<(String, String)>,
    Params(query): Params<TryQuery>,
) -> Result<Json<Tried>, Problem> {
    const SHOWN_MAX: usize = 20;
    let after: Option<RecordId> = cursor(query.cursor.as_deref())?;
    super::read(&api, |state| {
        let rule = find(state, kind(&name)?, &key)?;
        actor.reading(state).require(Permission::Read(rule.object()))?;
        let mut tried = Tried { met: 0, looked_at: 0, failed: 0, records: Vec::new(), next: None };
        let mut last = None;
        for (id, record) in state.records_of(rule.object(), after) {
            if tried.looked_at == TRIED_MAX {
                tried.next = last.map(|id: RecordId| id.to_string());
                break;
            }
            last = Some(id);
            tried.looked_at += 1;
            match meets_now(state, &rule, record, now()) {
                Ok(true) => {
                    tried.met += 1;
                    if tried.records.len() < SHOWN_MAX {
                        tried.records.push(id.to_string());
                    }
                }
                Ok(false) => {}
                Err(_) => tried.failed += 1,
            }
        }
        Ok(tried)
    })
    .await
}

/// Lets a sharing rule look at all records of its object, as jobs: one for each connection.
#[utoipa::path(post, path = "/v1/rules/sharing/{rule}/apply", tag = "automation",
    params(("rule" = String, Path, description = "The rule.")),
    responses((status = 200, body = JobBegun)))]
pub(crate) async fn apply(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(rule): Route<RuleName>,
) -> Result<Json<JobBegun>, Problem> {
    let command = Command::Automation(AutomationCommand::ApplySharing { rule });
    let executed = api.org.execute(command, &actor.user).await?;
    match executed.reply {
        Reply::Job(job) => Ok(Json(JobBegun::new(job, executed.seq))),
        Reply::Unchanged => {
            let detail = "the rule names no connection: there is nothing to do";
            Err(Problem::new(ErrorCode::Conflict, detail))
        }
        other => Err(super::unexpected(&other)),
    }
}

impl From<&RuleFailure> for RuleFailureView {
    fn from(noted: &RuleFailure) -> Self {
        let failure = &noted.failure;
        Self {
            time: noted.time.to_string(),
            kind: failure.kind.as_str(),
            rule: failure.rule.clone(),
            record: failure.record.map(|id| id.to_string()),
            reasons: failure.reasons.iter().map(ReasonView::from).collect(),
        }
    }
}

/// Lists what rules could not do.
#[utoipa::path(get, path = "/v1/rule-failures", tag = "automation",
    responses((status = 200, body = RuleFailureList)))]
pub(crate) async fn failures(
    Extract(api): Extract<Api>,
    _actor: Actor,
) -> Result<Json<RuleFailureList>, Problem> {
    super::read(&api, |state| {
        let failures = state.automation.failures.iter().rev().map(RuleFailureView::from);
        let fields = state.automation.computations.iter().flat_map(|(object, fields)| {
            fields.iter().map(move |(field, failed)| ComputationView {
                object: object.to_string(),
                field: field.to_string(),
                count: failed.count,
                first: failed.first.to_string(),
                last: failed.last.to_string(),
                record: failed.record.to_string(),
                reason: ReasonView::from(&failed.reason),
            })
        });
        Ok(RuleFailureList {
            failed: state.automation.failed,
            failures: failures.collect(),
            not_computed: state.automation.not_computed,
            computed: fields.collect(),
        })
    })
    .await
}
