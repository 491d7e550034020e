//! The configuration as files: what is there, what a set of files would change, and doing so (OPS-12).

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json_;
use tieline_core::ConnectionId;
use tieline_core::command::{Command, ConfigCommand, Context, Reply};
use tieline_core::config::{
    self, Action, Change, ConfigHash, Fault, FieldChange, Member, Options, Passed, Place, Plan, Source, Touch,
};
use tieline_core::people::Permission;
use tieline_core::state::State;
use utoipa::ToSchema;

use super::Api;
use super::auth::Actor;
use super::past::AsOf;
use super::problem::{ErrorCode, Problem, ReasonView};
use super::request::{Body, Params};
use crate::clock::now;
use crate::org::{ExecuteError, Executed};

/// Most records that are looked at under one lock.
const SLICE: usize = 1_000;
/// How often files are planned anew because the configuration changed meanwhile.
const ATTEMPTS_MAX: usize = 5;

/// A file of settings.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileBody {
    /// What it is called: its path.
    name: String,
    /// What it holds, as TOML.
    text: String,
}

/// Files, and how they are to be taken.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FilesBody {
    /// The files, in any order.
    files: Vec<FileBody>,
    /// Whether settings that the files do not have are removed, of the nouns that the files name.
    #[serde(default)]
    prune: bool,
    /// Whether settings of connections that are not here, and what takes objects that the partner does not
    /// publish yet, are passed over; else they are refused.
    #[serde(default)]
    skip_missing: bool,
    /// The hash of the configuration that a plan was made for: it is applied to no other.
    based_on: Option<String>,
}

/// The configuration of the org.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConfigView {
    /// The hash of everything that can be set.
    hash: String,
    /// The files that would set it.
    files: Vec<FileBody>,
}

/// Where something stands in a file.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlaceView {
    /// The file; nothing for what stands in none.
    #[serde(skip_serializing_if = "String::is_empty")]
    file: String,
    /// The line, from 1.
    line: usize,
    /// The column, from 1.
    column: usize,
}

/// What changes of an item.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FieldChangeView {
    /// Where, as `fields.Region__c.length`; empty for the whole.
    path: String,
    /// What is there now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    before: Option<Json_>,
    /// What will be.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    after: Option<Json_>,
}

/// An item that changes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangeView {
    /// The item, as `roles.sales`.
    item: String,
    /// `create`, `change` or `remove`.
    action: &'static str,
    /// Where it stands.
    place: PlaceView,
    /// What changes of it.
    fields: Vec<FieldChangeView>,
    /// The kinds of jobs that it begins.
    jobs: Vec<String>,
}

/// Why an item is refused, or passed over.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FaultView {
    /// The item; empty for a file as a whole.
    item: String,
    /// Where it stands.
    place: PlaceView,
    /// A stable code; nothing if it is passed over.
    #[serde(skip_serializing_if = "str::is_empty")]
    code: &'static str,
    /// The thing, the reason and the remedy.
    message: String,
}

/// What a change touches beside the settings.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TouchView {
    /// The item.
    item: String,
    /// `shares`, `backfill` (records that are sent), `tried_again`, `owners_differ` (copies whose owner is not
    /// whom the table names: they stay until it is applied to them), `value_dropped`, or the reason for which
    /// records would be refused.
    code: &'static str,
    /// The rule or field that it is about.
    #[serde(skip_serializing_if = "String::is_empty")]
    detail: String,
    /// How many records or shares.
    count: u64,
}

/// What files would change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlanView {
    /// The hash of the configuration that it begins with.
    based_on: String,
    /// What changes.
    changes: Vec<ChangeView>,
    /// Items that are as they should be.
    unchanged: usize,
    /// What is touched beside the settings.
    touches: Vec<TouchView>,
    /// Why the files cannot be applied.
    faults: Vec<FaultView>,
    /// What is passed over.
    passed: Vec<FaultView>,
}

/// What files have changed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AppliedView {
    /// The last event of the log when it was decided.
    seq: u64,
    /// Whether anything changed.
    changed: bool,
    /// What was done.
    plan: PlanView,
}

impl From<Source> for FileBody {
    fn from(Source { name, text }: Source) -> Self {
        Self { name, text }
    }
}

impl From<Place> for PlaceView {
    fn from(Place { file, line, column }: Place) -> Self {
        Self { file, line, column }
    }
}

impl From<Change> for ChangeView {
    fn from(Change { item, place, action, fields, jobs }: Change) -> Self {
        let field = |FieldChange { path, before, after }| FieldChangeView { path, before, after };
        let fields = fields.into_iter().map(field).collect();
        Self { item, action: action.as_str(), place: place.into(), fields, jobs }
    }
}

impl From<Fault> for FaultView {
    fn from(Fault { item, place, code, message }: Fault) -> Self {
        Self { item, place: place.into(), code, message }
    }
}

impl From<Passed> for FaultView {
    fn from(Passed { item, place, message }: Passed) -> Self {
        Self { item, place: place.into(), code: "", message }
    }
}

impl From<Touch> for TouchView {
    fn from(Touch { item, code, detail, count }: Touch) -> Self {
        Self { item, code, detail, count }
    }
}

impl PlanView {
    fn of(plan: Plan, touches: Vec<Touch>) -> Self {
        Self {
            based_on: plan.based_on.to_string(),
            changes: plan.changes.into_iter().map(ChangeView::from).collect(),
            unchanged: plan.unchanged,
            touches: touches.into_iter().map(TouchView::from).collect(),
            faults: plan.faults.into_iter().map(FaultView::from).collect(),
            passed: plan.passed.into_iter().map(FaultView::from).collect(),
        }
    }
}

impl FilesBody {
    fn sources(&mut self) -> Vec<Source> {
        let files = std::mem::take(&mut self.files);
        files.into_iter().map(|FileBody { name, text }| Source { name, text }).collect()
    }

    const fn options(&self) -> Options {
        Options { prune: self.prune, skip_missing: self.skip_missing }
    }

    fn based_on(&self) -> Result<Option<ConfigHash>, Problem> {
        let parse = |text: &String| text.parse().map_err(|error| Problem::new(ErrorCode::BadBody, error));
        self.based_on.as_ref().map(parse).transpose()
    }
}

/// The plan of files for a user, as the state is now.
fn plan(api: &Api, actor: &Actor, sources: &[Source], options: Options) -> Plan {
    // What is decided here is thrown away: the ids that it draws need not be secret.
    let context = Context { now: now(), actor: actor.user.clone(), entropy: [0; 32] };
    api.org.peek(|state| config::plan(state, sources, options, &context))
}

/// Asks every record, in slices: the writer waits for none of them for long.
async fn touches(api: &Api, plan: &mut Plan) -> Vec<Touch> {
    let mut touches = std::mem::take(&mut plan.touches);
    for mut question in std::mem::take(&mut plan.share_questions) {
        let mut after = None;
        loop {
            after = api.org.peek(|state| question.ask(state, after, SLICE));
            if after.is_none() {
                break;
            }
            tokio::task::yield_now().await;
        }
        touches.extend(question.touches());
    }
    for mut question in std::mem::take(&mut plan.questions) {
        let mut after = None;
        loop {
            after = api.org.peek(|state| question.ask(state, after, SLICE, now()));
            if after.is_none() {
                break;
            }
            tokio::task::yield_now().await;
        }
        touches.extend(question.touches());
    }
    touches
}

/// Shows everything that can be set, as files: as it is, or as it was (OPS-04).
#[utoipa::path(get, path = "/v1/config", tag = "config", params(AsOf),
    responses((status = 200, body = ConfigView)))]
pub(crate) async fn show(
    Extract(api): Extract<Api>,
    _actor: Actor,
    Params(when): Params<AsOf>,
) -> Result<Json<ConfigView>, Problem> {
    let view = |state: &State| {
        let files = config::export(state).into_iter().map(FileBody::from).collect();
        Ok(ConfigView { hash: ConfigHash::of(state).to_string(), files })
    };
    when.show(&api, view).await.map(Json)
}

/// Tells what files would change, and how many records that touches. Nothing is changed.
#[utoipa::path(post, path = "/v1/config/plan", tag = "config", request_body = FilesBody,
    responses((status = 200, body = PlanView)))]
pub(crate) async fn plan_files(
    Extract(api): Extract<Api>,
    actor: Actor,
    Body(mut body): Body<FilesBody>,
) -> Result<Json<PlanView>, Problem> {
    let sources = body.sources();
    let mut plan = plan(&api, &actor, &sources, body.options());
    let touches = touches(&api, &mut plan).await;
    // Counts of records are for those who may see them.
    let may_count = api.org.peek(|state| state.may(&actor.user, Permission::ModifyAllData));
    let touches = if may_count { touches } else { Vec::new() };
    let view = PlanView::of(plan, touches);
    super::read(&api, |_| Ok(view)).await
}

/// Makes the configuration what the files say: all of it, as one group in the log, or nothing.
#[utoipa::path(post, path = "/v1/config/apply", tag = "config", request_body = FilesBody,
    responses((status = 200, body = AppliedView)))]
pub(crate) async fn apply_files(
    Extract(api): Extract<Api>,
    actor: Actor,
    Body(mut body): Body<FilesBody>,
) -> Result<Json<AppliedView>, Problem> {
    let (sources, based_on) = (body.sources(), body.based_on()?);
    let _defining = api.defining.lock().await;
    let mut attempts = 0;
    let (plan, executed, narrowed) = loop {
        let mut plan = plan(&api, &actor, &sources, body.options());
        if !plan.faults.is_empty() {
            return Err(refused(&plan.faults));
        }
        unasked(&plan, body.prune)?;
        let members = std::mem::take(&mut plan.members);
        let narrowed = narrowed(&members);
        let command = ConfigCommand::Apply { members, based_on: Some(based_on.unwrap_or(plan.based_on)) };
        attempts += 1;
        match api.org.execute(Command::Config(command), &actor.user).await {
            Err(ExecuteError::Refused(refusal))
                if refusal.code == "plan_outdated" && based_on.is_none() && attempts < ATTEMPTS_MAX => {}
            result => break (plan, result?, narrowed),
        }
    };
    for connection in narrowed {
        api.org.narrowed(connection).await;
    }
    let Executed { seq, reply } = executed;
    Ok(Json(AppliedView {
        seq: seq.0,
        changed: reply != Reply::Unchanged,
        plan: PlanView::of(plan, Vec::new()),
    }))
}

/// What files do not name any more goes only if that was asked for.
fn unasked(plan: &Plan, prune: bool) -> Result<(), Problem> {
    let removed = |change: &&Change| change.action == Action::Remove;
    let items: Vec<&str> = plan.changes.iter().filter(removed).map(|change| change.item.as_str()).collect();
    let Some((first, rest)) = items.split_first().filter(|_| !prune) else { return Ok(()) };
    let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
    let detail = format!(
        "the files manage what they do not name any more, so that {first}{more} would go: add them, or apply \
         with --prune"
    );
    Err(Problem::new(ErrorCode::RemovalNotAsked, detail))
}

/// The connections whose publish rules change: the answer comes when no more than them can leave.
fn narrowed(members: &[Member]) -> Vec<ConnectionId> {
    let of = |member: &Member| match &member.command {
        Command::Publish { connection, .. } => Some(*connection),
        _ => None,
    };
    let mut connections: Vec<ConnectionId> = members.iter().filter_map(of).collect();
    connections.sort_unstable();
    connections.dedup();
    connections
}

/// Files that cannot be applied: every reason with its place, and the first as the place of the problem.
fn refused(faults: &[Fault]) -> Problem {
    let detail = match faults {
        [one] => format!("the files were not applied: {}", told(one)),
        [first, rest @ ..] => {
            format!("the files were not applied for {} reasons, the first: {}", rest.len() + 1, told(first))
        }
        [] => "the files were not applied".to_owned(),
    };
    let lacks_permission = faults.iter().all(|fault| fault.code == "no_permission");
    let code = if lacks_permission { ErrorCode::NoPermission } else { ErrorCode::ConfigRefused };
    let reasons = faults.iter().map(|fault| ReasonView {
        code: fault.code,
        field: None,
        rule: None,
        message: told(fault),
    });
    let mut problem = Problem::new(code, detail);
    problem.reasons = reasons.collect();
    match faults.first() {
        Some(Fault { place, .. }) if place.line > 0 => problem.at(place.line, place.column),
        _ => problem,
    }
}

fn told(Fault { item, place, message, .. }: &Fault) -> String {
    if item.is_empty() { format!("{place}: {message}") } else { format!("{place}: {item}: {message}") }
}
