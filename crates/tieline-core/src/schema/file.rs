//! Objects as people write them: one TOML file for one object.
//!
//! A file either defines an object (`object = "Fund__c"`) or extends a known one
//! (`extends = "Lead"`). An extension adds fields and rules and changes what it names of existing
//! ones; what it does not name stays. Unknown keys are refused: a slip of the pen must not be a
//! setting that silently does nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde::Deserialize;
use smol_str::SmolStr;
use toml::Spanned;
use toml::de::DeTable;

use super::place::in_literal;
use super::{FieldKind, FieldSchema, FieldType, ObjectSchema, PicklistValue, RecordType, ValidationRule};
use crate::expr::Expression;
use crate::reason::{Reason, ReasonCode, quoted};
use crate::value::Value;
use crate::{FieldName, ObjectName, RoleName};

/// Why a file of an object is refused, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct SchemaError {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// One sentence: what is wrong, and the remedy.
    pub message: String,
}

impl SchemaError {
    /// What is wrong with the form of a text.
    pub(crate) fn of(text: &str, error: &toml::de::Error) -> Self {
        Self::at(text, error.span(), error.message().to_owned())
    }

    /// What is wrong at a place of a text.
    pub(crate) fn at(text: &str, span: Option<Range<usize>>, message: String) -> Self {
        let before = text.get(..span.map_or(0, |s| s.start)).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        Self { line: before.matches('\n').count() + 1, column, message }
    }
}

/// What is wrong with a rule, and where in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFault {
    /// The place.
    pub place: SchemaError,
    /// The reason, which names the place, too.
    pub reason: Reason,
}

/// One parsed file; [`ObjectFile::build`] makes it an object.
#[derive(Debug, Clone)]
pub struct ObjectFile {
    text: String,
    parsed: File,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    object: Option<Spanned<ObjectName>>,
    extends: Option<Spanned<ObjectName>>,
    label: Option<String>,
    name_field: Option<FieldName>,
    #[serde(default)]
    fields: BTreeMap<FieldName, Spanned<FieldPatch>>,
    #[serde(default)]
    rules: BTreeMap<String, Spanned<RulePatch>>,
    create_set: Option<Vec<FieldName>>,
    view_fields: Option<Vec<FieldName>>,
    sharing_by_hand: Option<bool>,
    #[serde(default)]
    record_types: BTreeMap<SmolStr, RecordTypePatch>,
}

/// What a file says of a field; what it does not say stays, or is the default of the type.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldPatch {
    label: Option<String>,
    #[serde(rename = "type")]
    field_type: Option<FieldType>,
    kind: Option<FieldKind>,
    length: Option<u32>,
    precision: Option<u8>,
    scale: Option<u8>,
    required: Option<bool>,
    updatable: Option<bool>,
    default: Option<toml::Value>,
    values: Option<Vec<PicklistEntry>>,
    /// Values after those that the field has already.
    #[serde(default)]
    add_values: Vec<PicklistEntry>,
    restricted: Option<bool>,
    tracked: Option<bool>,
    references: Option<ObjectName>,
    external_id: Option<bool>,
    parent: Option<SmolStr>,
    expression: Option<String>,
}

/// A picklist value: a text, or a table with its label and whether it is active.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "a text, or a table with value, label and active")]
enum PicklistEntry {
    Plain(SmolStr),
    Full(PicklistTable),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct PicklistTable {
    value: SmolStr,
    #[serde(default)]
    label: SmolStr,
    #[serde(default = "super::yes")]
    active: bool,
}

/// A record type, whole.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordTypePatch {
    #[serde(default)]
    label: SmolStr,
    #[serde(default = "super::yes")]
    active: bool,
    #[serde(default)]
    default: bool,
    #[serde(default)]
    roles: BTreeSet<RoleName>,
    #[serde(default)]
    picklists: BTreeMap<FieldName, BTreeSet<SmolStr>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RulePatch {
    condition: Option<Spanned<String>>,
    message: Option<String>,
    field: Option<FieldName>,
    active: Option<bool>,
}

impl ObjectSchema {
    /// Reads the file of an object.
    ///
    /// # Errors
    /// What is wrong with its syntax, keys or names, with line and column.
    pub fn from_toml(text: &str) -> Result<ObjectFile, SchemaError> {
        let table = DeTable::parse(text).map_err(|error| SchemaError::of(text, &error))?;
        ObjectFile::from_table(text, table)
    }
}

impl ObjectFile {
    /// Reads the part of `text` that `table` is.
    pub(crate) fn from_table(text: &str, table: Spanned<DeTable<'_>>) -> Result<Self, SchemaError> {
        let parsed = File::deserialize(toml::de::Deserializer::from(table));
        let parsed = parsed.map_err(|error| SchemaError::of(text, &error))?;
        let file = Self { text: text.to_owned(), parsed };
        match (&file.parsed.object, &file.parsed.extends) {
            (Some(_), None) | (None, Some(_)) => Ok(file),
            (None, None) => {
                let message = "neither object nor extends; name the object that the file defines or extends";
                Err(SchemaError::at(text, None, message.to_owned()))
            }
            (Some(_), Some(extends)) => {
                let message = "object and extends at once; keep one of them".to_owned();
                Err(SchemaError::at(text, Some(extends.span()), message))
            }
        }
    }

    /// The object that the file defines or extends.
    #[must_use]
    pub fn object(&self) -> Option<&ObjectName> {
        self.parsed.object.as_ref().or(self.parsed.extends.as_ref()).map(Spanned::get_ref)
    }

    /// Whether the file extends an object that is already there.
    #[must_use]
    pub const fn extends(&self) -> bool {
        self.parsed.extends.is_some()
    }

    /// The object that the file defines, or `base` with what the file adds and changes. The
    /// version is that of `base`; [`ObjectSchema::check`] says whether it can be saved.
    ///
    /// # Errors
    /// What the file says that does not fit, with line and column.
    pub fn build(&self, base: Option<&ObjectSchema>) -> Result<ObjectSchema, SchemaError> {
        let error = |span, message| SchemaError::at(&self.text, span, message);
        let mut object = self.start(base)?;
        if let Some(label) = &self.parsed.label {
            object.label.clone_from(label);
        }
        if let Some(name) = &self.parsed.name_field {
            object.name_field = name.clone();
        }
        if let Some(set) = &self.parsed.create_set {
            object.create_set.clone_from(set);
        }
        if let Some(set) = &self.parsed.view_fields {
            object.view_fields.clone_from(set);
        }
        for (name, patch) in &self.parsed.record_types {
            let known = RecordType {
                name: name.clone(),
                label: patch.label.clone(),
                active: patch.active,
                default: patch.default,
                roles: patch.roles.clone(),
                picklists: patch.picklists.clone(),
            };
            match object.record_types.iter_mut().find(|known| known.name == *name) {
                Some(place) => *place = known,
                None => object.record_types.push(known),
            }
        }
        object.add_record_type_field();
        object.sharing_by_hand = self.parsed.sharing_by_hand.unwrap_or(object.sharing_by_hand);
        for (name, patch) in &self.parsed.fields {
            let patched = patch.get_ref().patch(name, object.field(name.as_str()));
            let field = patched.map_err(|message| error(Some(patch.span()), message))?;
            match object.fields.binary_search_by(|f| f.name.cmp(name)) {
                Ok(at) => object.fields.splice(at..=at, [field]).for_each(drop),
                Err(at) => object.fields.insert(at, field),
            }
        }
        for (name, patch) in &self.parsed.rules {
            let known = object.rules.iter_mut().find(|rule| rule.name == *name);
            match (known, patch.get_ref().to_rule(name)) {
                (Some(known), _) => patch.get_ref().change(known),
                (None, Some(rule)) => object.rules.push(rule),
                (None, None) => {
                    let message = format!("the rule {name:?} is new and needs a condition and a message");
                    return Err(error(Some(patch.span()), message));
                }
            }
        }
        if let Some(base) = base {
            // A whole definition says its rules in the order of their names: those that are known keep theirs.
            let place = |name: &str| base.rules.iter().position(|rule| rule.name == name);
            object.rules.sort_by_key(|rule| place(&rule.name).unwrap_or(usize::MAX));
        }
        Ok(object)
    }

    /// Whether the rules that the file writes down are conditions on `object`, which it has built.
    ///
    /// # Errors
    /// Each that is none, with its place in the file.
    pub fn check_rules(&self, object: &ObjectSchema) -> Result<(), Vec<RuleFault>> {
        let faults: Vec<RuleFault> = self
            .parsed
            .rules
            .iter()
            .filter_map(|(name, patch)| {
                let condition = patch.get_ref().condition.as_ref()?;
                let error = Expression::condition(condition.get_ref(), object).err()?;
                let span = condition.span();
                let literal = self.text.get(span.clone()).unwrap_or_default();
                let at = span.start + in_literal(literal, error.line, error.column);
                let message = format!("the rule {}: {}", quoted(name), error.message);
                let place = SchemaError::at(&self.text, Some(at..at), message);
                let reason = Reason::new(ReasonCode::BadExpression, place.to_string()).by_rule(name);
                Some(RuleFault { place, reason })
            })
            .collect();
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    /// The object before the file's fields and rules.
    fn start(&self, base: Option<&ObjectSchema>) -> Result<ObjectSchema, SchemaError> {
        let error = |span, message| Err(SchemaError::at(&self.text, span, message));
        match (&self.parsed.object, &self.parsed.extends, base) {
            (_, Some(extends), Some(base)) if *extends.get_ref() == base.name => Ok(base.clone()),
            (_, Some(extends), _) => {
                let message =
                    format!("extends {}, which is not there; define it with object = …", extends.get_ref());
                error(Some(extends.span()), message)
            }
            (Some(object), None, base) => {
                let Some(name_field) = self.parsed.name_field.clone() else {
                    let message = "name_field is missing; name the field by which people tell records apart";
                    return error(Some(object.span()), message.to_owned());
                };
                Ok(ObjectSchema {
                    name: object.get_ref().clone(),
                    label: object.get_ref().to_string(),
                    fields: Vec::new(),
                    rules: Vec::new(),
                    // S2S-46, S2S-48: of an object of one's own, the name.
                    create_set: vec![name_field.clone()],
                    view_fields: vec![name_field.clone()],
                    name_field,
                    record_types: Vec::new(),
                    sharing_by_hand: true,
                    version: base.map_or(0, |base| base.version),
                })
            }
            (None, None, _) => error(None, "neither object nor extends".to_owned()),
        }
    }
}

impl FieldPatch {
    /// The field after this patch, new or changed.
    fn patch(&self, name: &FieldName, known: Option<&FieldSchema>) -> Result<FieldSchema, String> {
        let mut field = match (known, self.field_type) {
            (Some(known), None) => known.clone(),
            (None, Some(field_type)) => FieldSchema::new(name.clone(), field_type),
            // Another type: what was said of the old one (length, list, default) does not hold.
            (Some(known), Some(field_type)) if known.field_type != field_type => {
                FieldSchema { label: known.label.clone(), ..FieldSchema::new(name.clone(), field_type) }
            }
            (Some(known), Some(_)) => known.clone(),
            (None, None) => return Err(format!("the field {name} is new and needs a type")),
        };
        fn set<T: Clone>(field: &mut T, patch: Option<&T>) {
            if let Some(value) = patch {
                field.clone_from(value);
            }
        }
        set(&mut field.label, self.label.as_ref());
        set(&mut field.kind, self.kind.as_ref());
        if self.expression.is_some() {
            field.expression.clone_from(&self.expression);
            if self.kind.is_none() {
                field.kind = FieldKind::Formula;
            }
        }
        // Nobody writes what the org computes.
        if field.kind != FieldKind::Data {
            field.updatable = false;
        }
        set(&mut field.required, self.required.as_ref());
        set(&mut field.updatable, self.updatable.as_ref());
        set(&mut field.restricted, self.restricted.as_ref());
        set(&mut field.tracked, self.tracked.as_ref());
        set(&mut field.external_id, self.external_id.as_ref());
        field.length = self.length.or(field.length);
        field.precision = self.precision.or(field.precision);
        field.scale = self.scale.or(field.scale);
        field.references = self.references.clone().or(field.references);
        field.parent = self.parent.clone().or(field.parent);
        if let Some(values) = &self.values {
            field.values = values.iter().map(PicklistEntry::to_value).collect();
        }
        for entry in &self.add_values {
            let value = entry.to_value();
            match field.values.iter_mut().find(|known| known.value == value.value) {
                Some(known) => *known = value,
                None => field.values.push(value),
            }
        }
        if let Some(written) = &self.default {
            let default = default_value(&field, written).map_err(|reason| reason.message)?;
            // An empty text is no default: so an extension takes one away.
            field.default = Some(default).filter(|value| !value.is_null());
        }
        Ok(field)
    }
}

/// A default as the field's type reads it: TOML says more types than a text does.
fn default_value(field: &FieldSchema, written: &toml::Value) -> Result<Value, Reason> {
    match written {
        toml::Value::String(text) => Value::from_text(field, text),
        toml::Value::Array(items) => {
            let texts: Vec<&str> = items.iter().filter_map(toml::Value::as_str).collect();
            Value::from_text(field, &texts.join(";"))
        }
        other => Value::from_text(field, &other.to_string()),
    }
}

impl PicklistEntry {
    fn to_value(&self) -> PicklistValue {
        match self {
            Self::Plain(value) => PicklistValue::new(value.clone()),
            Self::Full(PicklistTable { value, label, active }) => {
                PicklistValue { value: value.clone(), label: label.clone(), active: *active }
            }
        }
    }
}

impl RulePatch {
    /// The rule, if the patch says enough for a new one.
    fn to_rule(&self, name: &str) -> Option<ValidationRule> {
        Some(ValidationRule {
            name: name.to_owned(),
            condition: self.condition.clone()?.into_inner(),
            message: self.message.clone()?,
            field: self.field.clone(),
            active: self.active.unwrap_or(true),
        })
    }

    fn change(&self, rule: &mut ValidationRule) {
        if let Some(condition) = &self.condition {
            rule.condition.clone_from(condition.get_ref());
        }
        if let Some(message) = &self.message {
            rule.message.clone_from(message);
        }
        if self.field.is_some() {
            rule.field.clone_from(&self.field);
        }
        rule.active = self.active.unwrap_or(rule.active);
    }
}
