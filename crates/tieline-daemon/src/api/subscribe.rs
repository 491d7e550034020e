//! What is taken of a partner's objects, and how it is mapped (S2S-21, S2S-25 to S2S-30).

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json_;
use smol_str::SmolStr;
use tieline_core::check::not_in_offers;
use tieline_core::command::{Command, Reply};
use tieline_core::mapping::{FieldMapping, PicklistMapping, Source, SubscribeRule, Unmapped, Warning};
use tieline_core::publish::CatalogueObject;
use tieline_core::reason::{Reason, ReasonCode, quoted};
use tieline_core::schema::{FieldSchema, ObjectSchema};
use tieline_core::state::Connection;
use tieline_core::value::Value;
use tieline_core::{FieldName, ObjectName, Owner};
use utoipa::ToSchema;

use super::auth::Actor;
use super::problem::{ErrorCode, Problem};
use super::request::{Body, Route};
use super::values::field;
use super::{Api, Done, records, select};

/// What is to be taken of a partner's object.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SubscribeBody {
    /// The object of this org that it becomes.
    #[schema(value_type = String)]
    local: ObjectName,
    /// Whether offers are accepted without a person.
    #[serde(default)]
    auto_accept: bool,
    /// Whether a copy is created with all fields at once instead of the create set.
    #[serde(default)]
    accept_whole: bool,
    /// Who owns what is auto-accepted: a user, or `queue:NAME`; without one, the owner of the connection.
    #[schema(value_type = Option<String>)]
    owner: Option<Owner>,
    /// One mapping for each local field that is written.
    fields: Vec<MappingBody>,
}

/// Where the value of one local field comes from: `from` a field of the partner, a `constant`, or an
/// `expression` over the partner's fields.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MappingBody {
    /// The local field; in any case of its letters.
    local: String,
    /// The partner's field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// The same value for every record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    constant: Option<Json_>,
    /// An expression in CEL over the partner's fields; its value is computed with each change of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expression: Option<String>,
    /// What an incoming null becomes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    default: Option<Json_>,
    /// How picklist values become local ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    picklist: Option<PicklistBody>,
    /// Whether a person approves each incoming value before it is written.
    #[serde(default)]
    approval: bool,
    /// Whether a value that waits is also a task for the owner of the record; it goes with `approval`.
    #[serde(default)]
    approval_task: bool,
}

/// Picklist values of the partner and what they are here.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PicklistBody {
    /// From the partner's value to the local one. Case counts.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    values: BTreeMap<SmolStr, SmolStr>,
    /// What becomes of other values: `"keep"`, `"reject"` or `{"default": "…"}`; keep if not said.
    #[serde(default)]
    #[schema(value_type = serde_json::Value)]
    unmapped: Unmapped,
}

/// What is taken of a partner's object.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SubscribeView {
    /// The partner's object.
    remote: String,
    /// The object of this org.
    local: String,
    /// Whether offers are accepted without a person.
    auto_accept: bool,
    /// Whether a copy is created with all fields at once.
    accept_whole: bool,
    /// Who owns what is auto-accepted.
    owner: Option<String>,
    /// One mapping for each local field that is written.
    fields: Vec<MappingBody>,
    /// Rises by one with each saved change.
    version: u32,
    /// The partner's mapping that it contradicts, and that stands: then it takes nothing new (S2S-26).
    #[serde(skip_serializing_if = "Option::is_none")]
    overruled_by: Option<String>,
}

/// What is taken over a connection.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SubscribeList {
    /// One entry for each object of the partner.
    subscribe: Vec<SubscribeView>,
}

/// A rule that was saved.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Subscribed {
    /// The last event of the log when it was saved.
    seq: u64,
    /// Whether anything changed.
    changed: bool,
    /// What will go wrong for some records.
    warnings: Vec<WarningView>,
}

/// Something that a rule was saved with, and that will go wrong for some records.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WarningView {
    /// A stable code.
    code: &'static str,
    /// The local field.
    field: String,
    /// One sentence for people.
    message: String,
}

impl WarningView {
    /// A field that inbox views show here and that offers do not have (S2S-46).
    fn not_in_offers(connection: &Connection, field: &FieldName, remote: &FieldName) -> Self {
        let partner = connection.display_name();
        let message = format!(
            "{field} is shown of offers here, and offers of {partner} do not carry {remote}: ask {partner} for it among \
             the view_fields of its object"
        );
        Self { code: "not_in_offers", field: field.to_string(), message }
    }
}

impl From<&Warning> for WarningView {
    fn from(warning: &Warning) -> Self {
        Self {
            code: warning.code.as_str(),
            field: warning.field.to_string(),
            message: warning.message.clone(),
        }
    }
}

impl SubscribeView {
    pub(crate) fn of(connection: &Connection, rule: &SubscribeRule) -> Self {
        let overruled = connection.overrules(rule);
        let overruled_by = overruled.map(|taken| format!("{} as {}", taken.object, taken.local));
        Self { overruled_by, ..Self::from(rule) }
    }
}

impl From<&SubscribeRule> for SubscribeView {
    fn from(rule: &SubscribeRule) -> Self {
        Self {
            overruled_by: None,
            remote: rule.remote.to_string(),
            local: rule.local.to_string(),
            auto_accept: rule.auto_accept,
            accept_whole: rule.accept_whole,
            owner: rule.owner.as_ref().map(ToString::to_string),
            fields: rule.fields.iter().map(MappingBody::from).collect(),
            version: rule.version,
        }
    }
}

impl From<&FieldMapping> for MappingBody {
    fn from(mapping: &FieldMapping) -> Self {
        let (from, constant, expression) = match &mapping.source {
            Source::Field(name) => (Some(name.to_string()), None, None),
            Source::Constant(value) => (None, Some(value.to_json()), None),
            Source::Computed(text) => (None, None, Some(text.clone())),
        };
        Self {
            local: mapping.local.to_string(),
            from,
            constant,
            expression,
            default: mapping.default.as_ref().map(Value::to_json),
            picklist: mapping.picklist.as_ref().map(PicklistBody::from),
            approval: mapping.approval,
            approval_task: mapping.approval_task,
        }
    }
}

impl From<&PicklistMapping> for PicklistBody {
    fn from(table: &PicklistMapping) -> Self {
        Self { values: table.values.clone(), unmapped: table.unmapped.clone() }
    }
}

impl From<PicklistBody> for PicklistMapping {
    fn from(body: PicklistBody) -> Self {
        Self { values: body.values, unmapped: body.unmapped }
    }
}

impl SubscribeBody {
    /// The rule that this is for the object `local`; `catalogue` is what the partner publishes.
    fn rule(
        &self,
        remote: &ObjectName,
        local: &ObjectSchema,
        catalogue: Option<&CatalogueObject>,
    ) -> Result<SubscribeRule, Vec<Reason>> {
        let mut fields = Vec::with_capacity(self.fields.len());
        let mut reasons = Vec::new();
        for mapping in &self.fields {
            match mapping.mapping(local, catalogue) {
                Ok(mapping) => fields.push(mapping),
                Err(reason) => reasons.push(reason),
            }
        }
        if !reasons.is_empty() {
            return Err(reasons);
        }
        Ok(SubscribeRule {
            remote: remote.clone(),
            local: self.local.clone(),
            auto_accept: self.auto_accept,
            accept_whole: self.accept_whole,
            owner: self.owner.clone(),
            fields,
            version: 0,
        })
    }
}

impl MappingBody {
    fn mapping(
        &self,
        local: &ObjectSchema,
        catalogue: Option<&CatalogueObject>,
    ) -> Result<FieldMapping, Reason> {
        let target = field(local, &self.local)?;
        let value = |json: &Json_| Value::from_json(target, json);
        let source = match (&self.from, &self.constant, &self.expression) {
            (Some(from), None, None) => Source::Field(remote_field(from, target, catalogue)?),
            (None, Some(constant), None) => Source::Constant(value(constant)?),
            (None, None, Some(text)) => Source::Computed(text.clone()),
            _ => {
                let text =
                    format!("{} needs a source: from, constant or expression, one of them", target.name);
                return Err(Reason::new(ReasonCode::SecondSource, text).on_field(&target.name));
            }
        };
        Ok(FieldMapping {
            local: target.name.clone(),
            source,
            default: self.default.as_ref().map(value).transpose()?,
            picklist: self.picklist.clone().map(PicklistMapping::from),
            approval: self.approval,
            approval_task: self.approval_task,
            inputs: Vec::new(),
        })
    }
}

/// The partner's field that `name` means, by its catalogue if that has it.
fn remote_field(
    name: &str,
    target: &FieldSchema,
    catalogue: Option<&CatalogueObject>,
) -> Result<FieldName, Reason> {
    let published = catalogue.into_iter().flat_map(|object| &object.fields);
    let mut same = published.filter(|field| field.name.as_str().eq_ignore_ascii_case(name));
    if let Some(field) = same.next() {
        return Ok(field.name.clone());
    }
    name.parse().map_err(|_| {
        let text = format!(
            "{} comes from {}, which is no name of a field: see the partner's catalogue with `tieline connection show`",
            target.name,
            quoted(name)
        );
        Reason::new(ReasonCode::UnknownField, text).on_field(&target.name)
    })
}

fn no_rule(remote: &ObjectName) -> Problem {
    let detail = format!("nothing of the partner's {remote} is subscribed over this connection");
    Problem::new(ErrorCode::UnknownRule, detail)
}

/// Lists what is taken over a connection.
#[utoipa::path(get, path = "/v1/connections/{c}/subscribe", tag = "rules",
    params(("c" = String, Path, description = "Id, partner or label.")),
    responses((status = 200, body = SubscribeList)))]
pub(crate) async fn list(
    Extract(api): Extract<Api>,
    _actor: Actor,
    Route(selector): Route<String>,
) -> Result<Json<SubscribeList>, Problem> {
    super::read(&api, |state| {
        let connection = select::connection(state, &selector)?;
        let view = |rule| SubscribeView::of(connection, rule);
        Ok(SubscribeList { subscribe: connection.subscribe.values().map(view).collect() })
    })
    .await
}

/// Shows what is taken of a partner's object.
#[utoipa::path(get, path = "/v1/connections/{c}/subscribe/{remote}", tag = "rules",
    params(("c" = String, Path, description = "Id, partner or label."),
        ("remote" = String, Path, description = "The partner's object.")),
    responses((status = 200, body = SubscribeView)))]
pub(crate) async fn show(
    Extract(api): Extract<Api>,
    _actor: Actor,
    Route((selector, remote)): Route<(String, ObjectName)>,
) -> Result<Json<SubscribeView>, Problem> {
    super::read(&api, |state| {
        let connection = select::connection(state, &selector)?;
        let rule = connection.subscribe.get(&remote).ok_or_else(|| no_rule(&remote))?;
        Ok(SubscribeView::of(connection, rule))
    })
    .await
}

/// Sets what is taken of a partner's object, and tells what will go wrong with it.
#[utoipa::path(put, path = "/v1/connections/{c}/subscribe/{remote}", tag = "rules",
    request_body = SubscribeBody,
    params(("c" = String, Path, description = "Id, partner or label."),
        ("remote" = String, Path, description = "The partner's object.")),
    responses((status = 200, body = Subscribed)))]
pub(crate) async fn set(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route((selector, remote)): Route<(String, ObjectName)>,
    Body(body): Body<SubscribeBody>,
) -> Result<Json<Subscribed>, Problem> {
    let (connection, rule, warnings) = api.org.peek(|state| {
        let connection = select::connection(state, &selector)?;
        let local = records::object(state, actor.reading(state), body.local.as_str())?;
        let catalogue = connection.catalogue.get(&remote);
        let rule = body.rule(&remote, local, catalogue).map_err(Problem::refused)?;
        // What is against the rule is for the core to say.
        let warnings = catalogue.and_then(|catalogue| rule.check(local, catalogue).ok()).unwrap_or_default();
        let mut warnings: Vec<WarningView> = warnings.iter().map(WarningView::from).collect();
        let unseen = not_in_offers(state, connection, &rule).into_iter();
        warnings
            .extend(unseen.map(|(field, remote)| WarningView::not_in_offers(connection, &field, &remote)));
        Ok::<_, Problem>((connection.id, rule, warnings))
    })?;
    let command = Command::Subscribe { connection, object: remote, rule: Some(rule) };
    let executed = api.org.execute(command, &actor.user).await?;
    Ok(Json(Subscribed { seq: executed.seq.0, changed: executed.reply != Reply::Unchanged, warnings }))
}

/// Takes nothing more of a partner's object.
#[utoipa::path(delete, path = "/v1/connections/{c}/subscribe/{remote}", tag = "rules",
    params(("c" = String, Path, description = "Id, partner or label."),
        ("remote" = String, Path, description = "The partner's object.")),
    responses((status = 200, body = Done)))]
pub(crate) async fn remove(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route((selector, remote)): Route<(String, ObjectName)>,
) -> Result<Json<Done>, Problem> {
    let connection = api.connection_id(&selector)?;
    api.change(&actor, Command::Subscribe { connection, object: remote, rule: None }).await
}

#[cfg(test)]
mod tests {
    use tieline_core::publish::{PublishRule, catalogue_object};
    use tieline_core::schema::standard_objects;

    use super::*;

    fn rule(body: &str) -> Result<SubscribeRule, Vec<Reason>> {
        let lead = standard_objects().into_iter().find(|object| object.name.as_str() == "Lead").unwrap();
        let fields = ["Status", "LastName"].map(|name| name.parse().unwrap()).to_vec();
        let catalogue = catalogue_object(&lead, &PublishRule::new(lead.name.clone(), fields, 1));
        let body: SubscribeBody = serde_json::from_str(body).unwrap();
        body.rule(&lead.name, &lead, Some(&catalogue))
    }

    #[test]
    fn a_body_becomes_a_rule_and_is_shown_as_it_was_written() {
        let body = r#"{"local": "Lead", "auto_accept": true, "owner": "ann", "fields": [
            {"local": "lastname", "from": "LASTNAME"},
            {"local": "Company", "constant": "Globex"},
            {"local": "Status", "from": "Status", "default": "Open - Not Contacted",
             "picklist": {"values": {"Hot": "Working - Contacted"}, "unmapped": {"default": "Open - Not Contacted"}},
             "approval": true}]}"#;
        let rule = rule(body).unwrap();
        assert_eq!(
            rule.fields[0],
            FieldMapping::rename("LastName".parse().unwrap(), "LastName".parse().unwrap())
        );
        assert_eq!(rule.fields[1].source, Source::Constant(Value::text("Globex")));
        let table = rule.fields[2].picklist.as_ref().unwrap();
        assert_eq!(table.unmapped, Unmapped::Default("Open - Not Contacted".into()));
        let view = serde_json::to_value(SubscribeView::from(&rule)).unwrap();
        assert_eq!(view["fields"][2]["picklist"]["unmapped"]["default"], "Open - Not Contacted");
        assert_eq!(view["fields"][1]["constant"], "Globex");
        assert_eq!(view["owner"], "ann");
    }

    #[test]
    fn every_mapping_that_is_wrong_is_named() {
        let body = r#"{"local": "Lead", "fields": [
            {"local": "Nmae", "from": "LastName"},
            {"local": "Status"},
            {"local": "Company", "from": "a", "constant": "b"},
            {"local": "NumberOfEmployees", "constant": "many"},
            {"local": "Email", "from": "no name"}]}"#;
        let codes: Vec<ReasonCode> = rule(body).unwrap_err().iter().map(|reason| reason.code).collect();
        use ReasonCode::{BadNumber, SecondSource, UnknownField};
        assert_eq!(codes, [UnknownField, SecondSource, SecondSource, BadNumber, UnknownField]);
    }
}
