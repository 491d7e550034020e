//! An object as its file says it, as JSON: what is exported, and what changes are told by.
//!
//! Each attribute is named here once more, so that one that is added to an object and forgotten does not
//! compile.

use serde_json::{Map, Value as Json, json};

use super::{FieldKind, FieldSchema, ObjectSchema, PicklistValue, RecordType, ValidationRule};

impl ObjectSchema {
    /// The keys of the object's file, but for the name of the object; its version is nobody's to set.
    #[must_use]
    pub fn to_written(&self) -> Json {
        let Self {
            name: _,
            label,
            name_field,
            fields,
            rules,
            create_set,
            view_fields,
            record_types,
            sharing_by_hand,
            version: _,
        } = self;
        let record_types: Map<String, Json> =
            record_types.iter().map(|kind| (kind.name.to_string(), kind.to_written())).collect();
        let fields: Map<String, Json> =
            fields.iter().map(|field| (field.name.to_string(), field.to_written())).collect();
        let rules: Map<String, Json> =
            rules.iter().map(|rule| (rule.name.clone(), rule.to_written())).collect();
        let mut written = Map::new();
        written.insert("label".to_owned(), json!(label));
        written.insert("name_field".to_owned(), json!(name_field));
        written.insert("create_set".to_owned(), json!(create_set));
        written.insert("view_fields".to_owned(), json!(view_fields));
        if !record_types.is_empty() {
            written.insert("record_types".to_owned(), record_types.into());
        }
        if !sharing_by_hand {
            written.insert("sharing_by_hand".to_owned(), json!(sharing_by_hand));
        }
        written.insert("fields".to_owned(), fields.into());
        written.insert("rules".to_owned(), rules.into());
        Json::Object(written)
    }
}

impl FieldSchema {
    /// What is said of the field, without what goes without saying.
    fn to_written(&self) -> Json {
        let Self {
            name,
            label,
            field_type,
            kind,
            length,
            precision,
            scale,
            required,
            updatable,
            default,
            values,
            restricted,
            tracked,
            references,
            external_id,
            expression,
            parent,
        } = self;
        let usual = Self::new(name.clone(), *field_type);
        let updatable_usually = *kind == FieldKind::Data;
        let mut written = Map::new();
        let mut say = |differs: bool, key: &str, value: Json| {
            if differs {
                written.insert(key.to_owned(), value);
            }
        };
        say(true, "type", json!(field_type));
        say(*label != usual.label, "label", json!(label));
        say(*kind != usual.kind, "kind", json!(kind));
        say(length.is_some(), "length", json!(length));
        say(precision.is_some(), "precision", json!(precision));
        say(scale.is_some(), "scale", json!(scale));
        say(*required, "required", json!(required));
        say(*updatable != updatable_usually, "updatable", json!(updatable));
        if let Some(default) = default.as_ref().filter(|value| !value.is_null()) {
            say(true, "default", default.to_json());
        }
        say(!values.is_empty(), "values", values.iter().map(PicklistValue::to_written).collect());
        say(*restricted, "restricted", json!(restricted));
        say(*tracked, "tracked", json!(tracked));
        say(references.is_some(), "references", json!(references));
        say(*external_id, "external_id", json!(external_id));
        say(expression.is_some(), "expression", json!(expression));
        say(parent.is_some(), "parent", json!(parent));
        Json::Object(written)
    }
}

impl RecordType {
    fn to_written(&self) -> Json {
        let Self { name: _, label, active, default, roles, picklists } = self;
        json!({
            "label": label,
            "active": active,
            "default": default,
            "roles": roles,
            "picklists": picklists,
        })
    }
}

impl PicklistValue {
    fn to_written(&self) -> Json {
        let Self { value, label, active } = self;
        match (label.is_empty(), active) {
            (true, true) => json!(value),
            (true, false) => json!({ "value": value, "active": false }),
            (false, true) => json!({ "value": value, "label": label }),
            (false, false) => json!({ "value": value, "label": label, "active": false }),
        }
    }
}

impl ValidationRule {
    fn to_written(&self) -> Json {
        let Self { name: _, condition, message, field, active } = self;
        let mut written = Map::new();
        written.insert("condition".to_owned(), json!(condition));
        written.insert("message".to_owned(), json!(message));
        if let Some(field) = field {
            written.insert("field".to_owned(), json!(field));
        }
        if !active {
            written.insert("active".to_owned(), json!(false));
        }
        Json::Object(written)
    }
}
