//! Objects and fields as the API shows them: those of this org, and those of a partner's catalogue.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value as Json;
use tieline_core::FieldName;
use tieline_core::publish::{CatalogueField, CatalogueObject};
use tieline_core::schema::{FieldKind, FieldSchema, ObjectSchema, PicklistValue, RecordType, ValidationRule};
use utoipa::ToSchema;

/// An object of this org.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ObjectView {
    /// The API name.
    name: String,
    /// What people see.
    label: String,
    /// The field by which people tell records apart.
    name_field: String,
    /// Rises by one with each saved change.
    version: u32,
    /// The fields a copy of a shared record is created with (S2S-48).
    create_set: Vec<String>,
    /// The fields that the inbox lists (S2S-46).
    view_fields: Vec<String>,
    /// Kinds of its records (S2S-47).
    record_types: Vec<RecordTypeView>,
    /// Whether people share its records; else only queues and rules do (S2S-41).
    sharing_by_hand: bool,
    /// The fields, sorted by name.
    fields: Vec<FieldView>,
    /// The validation rules, in the order in which they are tried.
    rules: Vec<RuleView>,
}

/// A kind of records of one object.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecordTypeView {
    /// Its name: the value of the field `RecordType`.
    name: String,
    /// What people see.
    label: String,
    /// Whether new records may be of it.
    active: bool,
    /// Whether it is what records get if nothing else is said.
    default: bool,
    /// The roles whose users get it, before the default.
    roles: Vec<String>,
    /// The values that its records take of a picklist, by field.
    picklists: BTreeMap<String, Vec<String>>,
}

impl From<&RecordType> for RecordTypeView {
    fn from(known: &RecordType) -> Self {
        let values = |(field, values): (&FieldName, &BTreeSet<_>)| {
            (field.to_string(), values.iter().map(ToString::to_string).collect())
        };
        Self {
            name: known.name.to_string(),
            label: known.label.to_string(),
            active: known.active,
            default: known.default,
            roles: known.roles.iter().map(ToString::to_string).collect(),
            picklists: known.picklists.iter().map(values).collect(),
        }
    }
}

/// A field.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FieldView {
    /// The API name.
    name: String,
    /// What people see.
    label: String,
    /// Which values it keeps: `text`, `picklist`, `currency` and so on.
    #[serde(rename = "type")]
    field_type: &'static str,
    /// Where its values come from: `data`, or `formula`, `roll_up`, `auto_number`, `audit`.
    kind: &'static str,
    /// Most characters of its text, or of each of its values.
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<u32>,
    /// Most digits of its number.
    #[serde(skip_serializing_if = "Option::is_none")]
    precision: Option<u8>,
    /// Most digits of its number after the point.
    #[serde(skip_serializing_if = "Option::is_none")]
    scale: Option<u8>,
    /// Whether a record needs a value.
    required: bool,
    /// Whether the user may write it; not known of a partner's field.
    #[serde(skip_serializing_if = "Option::is_none")]
    updatable: Option<bool>,
    /// What a new record gets if no value is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    default: Option<Json>,
    /// The values of its picklist.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    values: Vec<PicklistValueView>,
    /// Whether only the values of the list are taken.
    restricted: bool,
    /// Whether the history of its values is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    tracked: Option<bool>,
    /// The object of a reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    references: Option<String>,
    /// Whether its value names the record in another system.
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<bool>,
    /// What it is computed from.
    #[serde(skip_serializing_if = "Option::is_none")]
    expression: Option<String>,
}

/// A value of a picklist.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PicklistValueView {
    /// What is stored and sent.
    value: String,
    /// What people see.
    label: String,
    /// Whether new values may be this one.
    active: bool,
}

/// A validation rule.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleView {
    /// Its name.
    name: String,
    /// The expression; true refuses the record.
    condition: String,
    /// What people are told.
    message: String,
    /// The field beside which the message is shown.
    field: Option<String>,
    /// Whether it is in force.
    active: bool,
}

/// An object that a partner publishes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CatalogueView {
    /// The API name at the partner.
    object: String,
    /// What people see at the partner.
    label: String,
    /// The fields that come with the grant; the others follow at once after it.
    create_set: Vec<String>,
    /// The published fields.
    fields: Vec<FieldView>,
}

pub(crate) fn names<T: ToString>(names: &[T]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

impl ObjectView {
    /// An object for somebody who may write the fields that `may_write` says.
    pub(crate) fn of(object: &ObjectSchema, may_write: impl Fn(&FieldName) -> bool) -> Self {
        let field = |field: &FieldSchema| FieldView {
            updatable: Some(field.updatable && may_write(&field.name)),
            ..FieldView::from(field)
        };
        Self {
            name: object.name.to_string(),
            label: object.label.clone(),
            name_field: object.name_field.to_string(),
            version: object.version,
            create_set: names(&object.create_set),
            view_fields: names(&object.view_fields),
            record_types: object.record_types.iter().map(RecordTypeView::from).collect(),
            sharing_by_hand: object.sharing_by_hand,
            fields: object.fields.iter().map(field).collect(),
            rules: object.rules.iter().map(RuleView::from).collect(),
        }
    }
}

impl From<&FieldSchema> for FieldView {
    fn from(field: &FieldSchema) -> Self {
        Self {
            name: field.name.to_string(),
            label: field.label.clone(),
            field_type: field.field_type.as_str(),
            kind: field.kind.as_str(),
            length: field.length,
            precision: field.precision,
            scale: field.scale,
            required: field.required,
            updatable: Some(field.updatable),
            default: field.default.as_ref().map(tieline_core::value::Value::to_json),
            values: field.values.iter().map(PicklistValueView::from).collect(),
            restricted: field.restricted,
            tracked: Some(field.tracked),
            references: field.references.as_ref().map(ToString::to_string),
            external_id: Some(field.external_id),
            expression: field.expression.clone(),
        }
    }
}

impl From<&CatalogueField> for FieldView {
    fn from(field: &CatalogueField) -> Self {
        let value = |value: &smol_str::SmolStr| PicklistValueView::from(&PicklistValue::new(value.clone()));
        Self {
            name: field.name.to_string(),
            label: field.label.clone(),
            field_type: field.field_type.as_str(),
            // Nothing else can be published.
            kind: FieldKind::Data.as_str(),
            length: field.length,
            precision: field.precision,
            scale: field.scale,
            required: field.required,
            updatable: None,
            default: None,
            values: field.values.iter().map(value).collect(),
            restricted: field.restricted,
            tracked: None,
            references: field.references.as_ref().map(ToString::to_string),
            external_id: None,
            expression: None,
        }
    }
}

impl From<&PicklistValue> for PicklistValueView {
    fn from(value: &PicklistValue) -> Self {
        let label = if value.label.is_empty() { &value.value } else { &value.label };
        Self { value: value.value.to_string(), label: label.to_string(), active: value.active }
    }
}

impl From<&ValidationRule> for RuleView {
    fn from(rule: &ValidationRule) -> Self {
        Self {
            name: rule.name.clone(),
            condition: rule.condition.clone(),
            message: rule.message.clone(),
            field: rule.field.as_ref().map(ToString::to_string),
            active: rule.active,
        }
    }
}

impl From<&CatalogueObject> for CatalogueView {
    fn from(object: &CatalogueObject) -> Self {
        Self {
            object: object.object.to_string(),
            label: object.label.clone(),
            create_set: names(&object.create_set),
            fields: object.fields.iter().map(FieldView::from).collect(),
        }
    }
}
