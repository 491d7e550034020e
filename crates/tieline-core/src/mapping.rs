//! How a partner's objects, fields and values become local ones: subscribe rules (S2S-21 to S2S-30).
//!
//! A mapping is settings, not a program: rename, constant, default, picklist table and cast. It
//! never sees a record, so the same incoming value gives the same local value on every machine and
//! at every time. What it gives has been checked against the local field.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::reason::{Reason, ReasonCode, quoted};
use crate::schema::{FieldSchema, ObjectSchema};
use crate::value::{Value, cast};
use crate::{FieldName, ObjectName, Owner};

mod check;
mod computed;
#[cfg(test)]
mod tests;

pub use check::{Warning, WarningCode};
pub use computed::ComputedMappings;

/// What one side takes of one object over one connection, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscribeRule {
    /// The partner's object.
    pub remote: ObjectName,
    /// The object of this org.
    pub local: ObjectName,
    /// Whether offers are accepted without a person (S2S-30).
    #[serde(default)]
    pub auto_accept: bool,
    /// Whether a copy is created with all fields at once instead of the create set (S2S-48).
    #[serde(default)]
    pub accept_whole: bool,
    /// Who owns what is auto-accepted, a user or a queue; without it, the owner of the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// One mapping for each local field that is written, sorted by local name.
    #[serde(default)]
    pub fields: Vec<FieldMapping>,
    /// Rises by one with each saved change.
    #[serde(default)]
    pub version: u32,
}

/// Where the value of one local field comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldMapping {
    /// The local field.
    pub local: FieldName,
    /// Where its value comes from.
    pub source: Source,
    /// What an incoming null becomes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// How picklist values become local ones (S2S-29).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picklist: Option<PicklistMapping>,
    /// Whether a person approves each incoming value before it is written (S2S-58).
    #[serde(default)]
    pub approval: bool,
    /// Whether a value that waits is also a task for the owner of the record.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub approval_task: bool,
    /// The partner's fields that a computed mapping reads; noted when the rule is saved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<FieldName>,
}

/// The source of a mapping. In files and in the log: `{ field = "Name" }` or `{ constant = … }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A field of the partner's object.
    Field(FieldName),
    /// The same value for every record, written when the copy is created.
    Constant(Value),
    /// An expression in CEL over the partner's fields, computed anew with each of them (S2S-28).
    Computed(String),
}

/// Picklist values of the partner and what they are here.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PicklistMapping {
    /// From the partner's value to the local one. Case counts.
    #[serde(default)]
    pub values: BTreeMap<SmolStr, SmolStr>,
    /// What becomes of a value that the table does not have.
    #[serde(default)]
    pub unmapped: Unmapped,
}

/// What becomes of an incoming picklist value without a mapping.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unmapped {
    /// It is taken as it is, if the local field takes it.
    #[default]
    Keep,
    /// It becomes this local value.
    Default(SmolStr),
    /// The field is refused with `picklist_unmapped`.
    Reject,
}

impl FieldMapping {
    /// A mapping from one field to another, without more.
    #[must_use]
    pub const fn rename(remote: FieldName, local: FieldName) -> Self {
        let source = Source::Field(remote);
        Self {
            local,
            source,
            default: None,
            picklist: None,
            approval: false,
            approval_task: false,
            inputs: Vec::new(),
        }
    }

    /// The partner's field that it takes as it is.
    #[must_use]
    pub const fn remote(&self) -> Option<&FieldName> {
        match &self.source {
            Source::Field(name) => Some(name),
            Source::Constant(_) | Source::Computed(_) => None,
        }
    }

    /// The partner's fields that it reads.
    pub fn reads(&self) -> impl Iterator<Item = &FieldName> {
        self.remote().into_iter().chain(&self.inputs)
    }
}

impl SubscribeRule {
    /// The mappings that read a field of the partner; several local fields may take the same one.
    pub fn takes<'a>(&'a self, remote: &'a FieldName) -> impl Iterator<Item = &'a FieldMapping> {
        self.fields.iter().filter(move |mapping| mapping.remote() == Some(remote))
    }

    /// Whether any mapping reads a field of the partner.
    #[must_use]
    pub fn subscribes(&self, remote: &FieldName) -> bool {
        self.fields.iter().any(|mapping| mapping.reads().any(|name| name == remote))
    }

    /// The mapping that writes a local field.
    #[must_use]
    pub fn mapping_of(&self, local: &FieldName) -> Option<&FieldMapping> {
        self.fields.iter().find(|mapping| mapping.local == *local)
    }

    /// The local values that are the same for every record, checked when the rule was saved.
    pub fn constants(&self) -> impl Iterator<Item = (&FieldName, &Value)> {
        self.fields.iter().filter_map(|mapping| match &mapping.source {
            Source::Constant(value) => Some((&mapping.local, value)),
            Source::Field(_) | Source::Computed(_) => None,
        })
    }

    /// The same as the fields of `local` keep them now; one whose field is gone or has changed stops no record.
    pub fn constants_for<'a>(
        &'a self,
        local: &'a ObjectSchema,
    ) -> impl Iterator<Item = (&'a FieldName, Value)> + 'a {
        self.constants().filter_map(|(name, value)| {
            let field = local.field(name)?;
            let value = cast(value, field).ok()?;
            value.check(field).is_ok().then_some((name, value))
        })
    }

    /// The local value that `incoming` becomes: picklist table, cast, default for null, check.
    ///
    /// # Errors
    /// Why the local field cannot hold it; the reason names the local field.
    pub fn map_value(
        &self,
        mapping: &FieldMapping,
        incoming: &Value,
        local: &FieldSchema,
    ) -> Result<Value, Reason> {
        let incoming = match &mapping.source {
            Source::Field(_) | Source::Computed(_) => incoming,
            Source::Constant(constant) => constant,
        };
        let translated = match &mapping.picklist {
            Some(table) => Cow::Owned(table.translate(incoming, mapping)?),
            None => Cow::Borrowed(incoming),
        };
        let value = match &mapping.default {
            Some(default) if translated.is_null() => cast(default, local)?,
            _ => cast(&translated, local)?,
        };
        value.check(local)?;
        Ok(value)
    }
}

impl PicklistMapping {
    /// The values of the partner that the table does not have.
    pub fn missing<'a>(&self, incoming: &'a Value) -> impl Iterator<Item = &'a SmolStr> {
        let values = match incoming {
            Value::Picklist(value) | Value::Text(value) => std::slice::from_ref(value),
            Value::MultiPicklist(values) => values.as_slice(),
            _ => &[],
        };
        values.iter().filter(|value| !self.values.contains_key(*value))
    }

    fn translate(&self, incoming: &Value, mapping: &FieldMapping) -> Result<Value, Reason> {
        match incoming {
            Value::Picklist(value) => self.local(value, mapping).map(Value::picklist),
            Value::Text(value) => self.local(value, mapping).map(|local| Value::text(&local)),
            Value::MultiPicklist(values) => values
                .iter()
                .map(|value| self.local(value, mapping))
                .collect::<Result<Vec<_>, _>>()
                .map(Value::multi_picklist),
            other => Ok(other.clone()),
        }
    }

    /// The local value of one value of the partner.
    fn local(&self, value: &SmolStr, mapping: &FieldMapping) -> Result<SmolStr, Reason> {
        if let Some(local) = self.values.get(value) {
            return Ok(local.clone());
        }
        match &self.unmapped {
            Unmapped::Keep => Ok(value.clone()),
            Unmapped::Default(local) => Ok(local.clone()),
            Unmapped::Reject => {
                let text = format!(
                    "{} got the picklist value {}, which has no mapping; map it or choose keep or a default for unmapped values",
                    mapping.local,
                    quoted(value)
                );
                Err(Reason::new(ReasonCode::PicklistUnmapped, text).on_field(&mapping.local))
            }
        }
    }
}
