//! Connection templates: what is published and subscribed, under a name (S2S-13).

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use tieline_core::command::{Command, TemplateCommand};
use tieline_core::mapping::FieldMapping;
use tieline_core::state::{Connection, State};
use tieline_core::template::{ConnectionTemplate, GivenTemplate, RuleFate};
use tieline_core::{ConnectionId, ConnectionTemplateName, FieldName};
use utoipa::ToSchema;

use super::auth::Actor;
use super::problem::{ErrorCode, Problem};
use super::publish::PublishView;
use super::request::{Body, Route};
use super::subscribe::SubscribeView;
use super::{Api, Done, Shared, select};

/// From where a template is saved.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SaveTemplate {
    /// The connection whose publish and subscribe rules it gets: id, partner or label.
    from: String,
}

/// Which template a connection is given.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GiveTemplate {
    /// The template.
    #[schema(value_type = String)]
    template: ConnectionTemplateName,
}

/// A connection template.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TemplateView {
    /// Its name.
    name: String,
    /// What is published.
    publish: Vec<PublishView>,
    /// What is taken.
    subscribe: Vec<SubscribeView>,
    /// The connections that were given it last.
    connections: Vec<String>,
}

/// The connection templates.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TemplateList {
    /// One entry for each, in the order of their names.
    templates: Vec<TemplateView>,
}

/// The template that a connection was given last, and what became of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GivenTemplateView {
    /// The template.
    template: String,
    /// By whom.
    user: String,
    /// When it was last applied.
    time: String,
    /// Whether something of it still waits: for the connection to be active, or for what the partner
    /// publishes.
    waits: bool,
    /// Its rules; none as long as the connection is not active.
    rules: Vec<RuleFateView>,
}

/// What became of a rule of a template.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleFateView {
    /// The rule, as `publish.Lead`.
    rule: String,
    /// `applied`, `waits` (for the partner to publish what it takes) or `refused`.
    fate: &'static str,
    /// Why it was refused, or what it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl TemplateView {
    fn of(state: &State, template: &ConnectionTemplate) -> Self {
        let given = state.connections.values().filter(|connection| {
            connection.template.as_ref().is_some_and(|given| given.template == template.name)
        });
        Self {
            name: template.name.to_string(),
            publish: template.publish.values().map(PublishView::from).collect(),
            subscribe: template.subscribe.values().map(SubscribeView::from).collect(),
            connections: given.map(|connection| state.selector(connection)).collect(),
        }
    }
}

/// What the partner has to publish before a rule is applied; nothing if it is not that which it waits for.
fn awaited(state: &State, connection: &Connection, given: &GivenTemplate, rule: &str) -> Option<String> {
    let object = rule.strip_prefix("subscribe.")?;
    let rule = state.templates.get(&given.template)?.subscribe.get(object)?;
    let Some(catalogue) = connection.catalogue.get(object) else {
        return Some(format!("{} does not publish {object} yet", connection.display_name()));
    };
    let fields = rule.fields.iter().flat_map(FieldMapping::reads);
    let missing: Vec<&str> =
        fields.filter(|name| catalogue.field(name).is_none()).map(FieldName::as_str).collect();
    let partner = connection.display_name();
    (!missing.is_empty())
        .then(|| format!("{partner} does not publish {} of {object} yet", missing.join(", ")))
}

impl GivenTemplateView {
    /// What became of the template that a connection was given.
    pub(crate) fn of(state: &State, connection: &Connection, given: &GivenTemplate) -> Self {
        let rules = given.rules.iter().map(|(rule, fate)| RuleFateView {
            rule: rule.clone(),
            fate: fate.as_str(),
            reason: match fate {
                RuleFate::Refused(reason) => Some(reason.clone()),
                RuleFate::Waits => awaited(state, connection, given, rule),
                RuleFate::Applied => None,
            },
        });
        Self {
            template: given.template.to_string(),
            user: given.actor.to_string(),
            time: given.given.to_string(),
            waits: given.waits(),
            rules: rules.collect(),
        }
    }
}

fn unknown(name: &ConnectionTemplateName) -> Problem {
    let detail = format!("there is no template {name}: see the templates with `tieline template list`");
    Problem::new(ErrorCode::UnknownTemplate, detail)
}

/// Refuses a template that is not there, before something is done that would have it.
pub(crate) fn require(api: &Shared, name: Option<&ConnectionTemplateName>) -> Result<(), Problem> {
    match name {
        Some(name) if !api.org.peek(|state| state.templates.contains_key(name)) => Err(unknown(name)),
        _ => Ok(()),
    }
}

/// Gives a template to a connection that was just made, if one is named.
pub(crate) async fn give_to(
    api: &Shared,
    actor: &Actor,
    connection: ConnectionId,
    name: Option<ConnectionTemplateName>,
) -> Result<(), Problem> {
    if let Some(name) = name {
        api.org.execute(Command::Template(TemplateCommand::Give { name, connection }), &actor.user).await?;
        api.org.narrowed(connection).await;
    }
    Ok(())
}

/// Lists the connection templates.
#[utoipa::path(get, path = "/v1/templates", tag = "templates", responses((status = 200, body = TemplateList)))]
pub(crate) async fn list(Extract(api): Extract<Api>, _actor: Actor) -> Result<Json<TemplateList>, Problem> {
    super::read(&api, |state| {
        let templates = state.templates.values().map(|template| TemplateView::of(state, template));
        Ok(TemplateList { templates: templates.collect() })
    })
    .await
}

/// Shows a connection template.
#[utoipa::path(get, path = "/v1/templates/{template}", tag = "templates",
    params(("template" = String, Path, description = "The template.")),
    responses((status = 200, body = TemplateView)))]
pub(crate) async fn show(
    Extract(api): Extract<Api>,
    _actor: Actor,
    Route(name): Route<ConnectionTemplateName>,
) -> Result<Json<TemplateView>, Problem> {
    super::read(&api, |state| {
        let template = state.templates.get(&name).ok_or_else(|| unknown(&name))?;
        Ok(TemplateView::of(state, template))
    })
    .await
}

/// Saves what a connection has as a template; a template of this name is replaced. By file:
/// `/v1/config/apply`.
#[utoipa::path(put, path = "/v1/templates/{template}", tag = "templates", request_body = SaveTemplate,
    params(("template" = String, Path, description = "The template.")),
    responses((status = 200, body = Done)))]
pub(crate) async fn save(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(name): Route<ConnectionTemplateName>,
    Body(SaveTemplate { from }): Body<SaveTemplate>,
) -> Result<Json<Done>, Problem> {
    let connection = api.connection_id(&from)?;
    api.change(&actor, Command::Template(TemplateCommand::Save { name, connection })).await
}

/// Removes a template. Connections keep the rules that they got from it.
#[utoipa::path(delete, path = "/v1/templates/{template}", tag = "templates",
    params(("template" = String, Path, description = "The template.")),
    responses((status = 200, body = Done)))]
pub(crate) async fn remove(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(name): Route<ConnectionTemplateName>,
) -> Result<Json<Done>, Problem> {
    api.change(&actor, Command::Template(TemplateCommand::Remove { name })).await
}

/// Gives a template to a connection: its rules take the place of those for the same objects, at once or
/// as soon as the connection is active and the partner publishes what is to be taken.
#[utoipa::path(post, path = "/v1/connections/{c}/template", tag = "templates", request_body = GiveTemplate,
    params(("c" = String, Path, description = "Id, partner or label.")),
    responses((status = 200, body = GivenTemplateView)))]
pub(crate) async fn give(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(selector): Route<String>,
    Body(GiveTemplate { template }): Body<GiveTemplate>,
) -> Result<Json<GivenTemplateView>, Problem> {
    let connection = api.connection_id(&selector)?;
    give_to(&api, &actor, connection, Some(template.clone())).await?;
    super::read(&api, |state| {
        let connection = select::connection(state, &connection.to_string())?;
        let given = connection.template.as_ref().ok_or_else(|| unknown(&template))?;
        Ok(GivenTemplateView::of(state, connection, given))
    })
    .await
}
