//! Publish and subscribe rules as files say them: in the words of the API.
//!
//! The source of a mapping stands beside its other keys (`from`, `constant`, …), and values are written
//! as the local field reads them.

use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use super::without_nulls;
use crate::mapping::{FieldMapping, Source, SubscribeRule};
use crate::publish::PublishRule;
use crate::reason::{Reason, ReasonCode, quoted};
use crate::schema::ObjectSchema;
use crate::value::Value;
use crate::{FieldName, ObjectName, Owner};

/// What is published of an object.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenPublish {
    /// These fields.
    pub(super) fields: Option<Vec<FieldName>>,
    /// Every field that may be published now.
    #[serde(default)]
    pub(super) all: bool,
    /// Whether the owner is told, too.
    #[serde(default)]
    pub(super) owners: bool,
}

pub(super) fn show_publish(rule: &PublishRule) -> Json {
    let PublishRule { object: _, fields, owners, version: _ } = rule;
    without_nulls(json!({ "fields": fields, "owners": owners.then_some(true) }))
}

/// What is taken of a partner's object.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenSubscribe {
    pub(super) local: ObjectName,
    #[serde(default)]
    auto_accept: bool,
    #[serde(default)]
    accept_whole: bool,
    owner: Option<Owner>,
    /// Tables: what they say is read by the fields that they name.
    #[serde(default)]
    #[expect(dead_code, reason = "only that they are tables counts")]
    fields: Vec<toml::Table>,
}

pub(super) fn show_subscribe(rule: &SubscribeRule) -> Json {
    let SubscribeRule { remote: _, local, auto_accept, accept_whole, owner, fields, version: _ } = rule;
    let fields: Json = fields.iter().map(show_mapping).collect();
    without_nulls(json!({
        "local": local, "auto_accept": auto_accept, "accept_whole": accept_whole, "owner": owner, "fields": fields,
    }))
}

fn show_mapping(mapping: &FieldMapping) -> Json {
    let mut shown = match serde_json::to_value(mapping) {
        Ok(Json::Object(shown)) => shown,
        _ => Map::new(),
    };
    match shown.remove("source") {
        Some(Json::Object(source)) => shown.extend(source),
        Some(Json::String(kind)) => drop(shown.insert(kind, true.into())),
        _ => {}
    }
    // What a computed mapping reads is found out again when the rule is saved.
    shown.remove("inputs");
    for (key, written) in [("field", "from"), ("computed", "expression")] {
        if let Some(source) = shown.remove(key) {
            shown.insert(written.to_owned(), source);
        }
    }
    if let Source::Constant(value) = &mapping.source {
        shown.insert("constant".to_owned(), value.to_json());
    }
    if let Some(default) = &mapping.default {
        shown.insert("default".to_owned(), default.to_json());
    }
    if !mapping.approval {
        shown.remove("approval");
    }
    // Noted when the rule is saved.
    shown.remove("inputs");
    Json::Object(shown)
}

impl WrittenSubscribe {
    /// The rule that this is for the object `local`; `written` is the whole of it.
    pub(super) fn rule(
        self,
        remote: ObjectName,
        local: &ObjectSchema,
        written: &Json,
    ) -> Result<SubscribeRule, Vec<Reason>> {
        let (mut fields, mut reasons) = (Vec::new(), Vec::new());
        for written in written.get("fields").and_then(Json::as_array).into_iter().flatten() {
            match mapping(written, local) {
                Ok(mapping) => fields.push(mapping),
                Err(reason) => reasons.push(reason),
            }
        }
        if !reasons.is_empty() {
            return Err(reasons);
        }
        Ok(SubscribeRule {
            remote,
            local: self.local,
            auto_accept: self.auto_accept,
            accept_whole: self.accept_whole,
            owner: self.owner,
            fields,
            version: 0,
        })
    }
}

/// A mapping from its table; what is no key of a mapping is a source.
fn mapping(written: &Json, local: &ObjectSchema) -> Result<FieldMapping, Reason> {
    let entries = written.as_object().cloned().unwrap_or_default();
    let name = entries.get("local").and_then(Json::as_str).unwrap_or_default();
    let Some(field) = local.field_named(name) else {
        return Err(no_field(local, name));
    };
    // Values are read as the local field reads them, and kept as the log keeps them.
    let value = |json: &Json| -> Result<Json, Reason> {
        let value = Value::from_json(field, json)?;
        Ok(serde_json::to_value(value).unwrap_or_default())
    };
    let (mut kept, mut sources) = (Map::new(), Vec::new());
    for (key, entry) in entries {
        match key.as_str() {
            "local" => drop(kept.insert(key, json!(field.name))),
            "default" => drop(kept.insert(key, value(&entry)?)),
            "picklist" | "approval" | "approval_task" => drop(kept.insert(key, entry)),
            "from" => sources.push(("field".to_owned(), entry)),
            "expression" => sources.push(("computed".to_owned(), entry)),
            "constant" => sources.push((key, value(&entry)?)),
            _ => sources.push((key, entry)),
        }
    }
    let about = |text: String| Reason::new(ReasonCode::SecondSource, text).on_field(&field.name);
    let [source] = <[_; 1]>::try_from(sources).map_err(|sources| {
        let named: Vec<String> = sources.into_iter().map(|(key, _)| key).collect();
        let has = if named.is_empty() { "none".to_owned() } else { named.join(" and ") };
        about(format!("{} needs one source, as from or constant, and has {has}", field.name))
    })?;
    kept.insert("source".to_owned(), Json::Object(Map::from_iter([source])));
    serde_json::from_value(Json::Object(kept)).map_err(|error| {
        Reason::new(ReasonCode::Malformed, format!("the mapping of {}: {error}", field.name))
            .on_field(&field.name)
    })
}

fn no_field(local: &ObjectSchema, name: &str) -> Reason {
    if name.is_empty() {
        let text = format!("each mapping names the field of {} that it writes: add local", local.name);
        return Reason::new(ReasonCode::UnknownField, text);
    }
    let meant = local.suggest(name).map_or_else(
        || "add the field to the object first".to_owned(),
        |known| format!("did you mean {known}?"),
    );
    Reason::new(ReasonCode::UnknownField, format!("{} has no field {}; {meant}", local.name, quoted(name)))
}
