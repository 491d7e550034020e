//! Record types: kinds of records of one object, with values of picklists of their own (S2S-47).
//!
//! The type of a record is an ordinary picklist field, `RecordType`, whose values are the names of the
//! types: so it can be read by rules and views, published, mapped, and written by a workflow.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{FieldSchema, FieldType, ObjectSchema, PicklistValue};
use crate::reason::{Reason, ReasonCode, quoted};
use crate::value::Value;
use crate::{FieldName, RoleName};

/// The field that holds the type of a record.
const FIELD: &str = "RecordType";
/// The objects whose type is chosen when an offer is accepted; others get the user's default.
const CHOSEN: [&str; 3] = ["Account", "Contact", "Opportunity"];

/// A kind of records of one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordType {
    /// Its name.
    pub name: SmolStr,
    /// What people see.
    #[serde(default, skip_serializing_if = "SmolStr::is_empty")]
    pub label: SmolStr,
    /// Whether new records may be of it.
    #[serde(default = "super::yes")]
    pub active: bool,
    /// Whether it is what records get if nothing else is said.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub default: bool,
    /// The roles whose users get it, before the default.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub roles: BTreeSet<RoleName>,
    /// The values that its records take of a picklist; a picklist that is not named takes all its values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub picklists: BTreeMap<FieldName, BTreeSet<SmolStr>>,
}

/// The field that holds the type of a record.
#[must_use]
pub fn record_type_field() -> FieldName {
    // A constant, and a test creates a record with it.
    #[expect(clippy::unwrap_used)]
    FIELD.parse().unwrap()
}

impl ObjectSchema {
    /// Whether the type of a record is chosen when its offer is accepted.
    #[must_use]
    pub fn chooses_record_type(&self) -> bool {
        CHOSEN.contains(&self.name.as_str())
    }

    /// The type that a user of a role gives new records.
    #[must_use]
    pub fn record_type_for(&self, role: Option<&RoleName>) -> Option<&RecordType> {
        let active = || self.record_types.iter().filter(|known| known.active);
        let own = role.and_then(|role| active().find(|known| known.roles.contains(role)));
        own.or_else(|| active().find(|known| known.default))
    }

    /// Puts the field of the record types in place, if there are any.
    pub fn add_record_type_field(&mut self) {
        if self.record_types.is_empty() {
            return;
        }
        let name = record_type_field();
        let values = self.record_types.iter().map(|known| PicklistValue {
            value: known.name.clone(),
            label: known.label.clone(),
            active: known.active,
        });
        let values = values.collect();
        match self.fields.iter_mut().find(|field| field.name == name) {
            Some(field) => field.values = values,
            None => {
                let field = FieldSchema {
                    label: "Record Type".to_owned(),
                    values,
                    restricted: true,
                    ..FieldSchema::new(name, FieldType::Picklist)
                };
                self.fields.push(field);
                self.sort();
            }
        }
    }

    /// What is wrong with the record types.
    pub(super) fn check_record_types(&self) -> Vec<Reason> {
        let mut reasons = Vec::new();
        let mut names = BTreeSet::new();
        let about = |code, text: String| Reason::new(code, text).on_field(&record_type_field());
        for known in &self.record_types {
            let shown = quoted(&known.name);
            if !names.insert(&known.name) {
                let text = format!("{} has the record type {shown} twice; rename one", self.name);
                reasons.push(about(ReasonCode::Duplicate, text));
            }
            for (field, values) in &known.picklists {
                let Some(schema) = self.field(field).filter(|field| field.field_type.is_picklist()) else {
                    let text = format!(
                        "the record type {shown} limits {field}, which is no picklist of {}",
                        self.name
                    );
                    reasons.push(about(ReasonCode::UnknownField, text));
                    continue;
                };
                if let Some(value) = values.iter().find(|value| schema.picklist_value(value).is_none()) {
                    let text = format!(
                        "the record type {shown} has {} for {field}, which is not in its list",
                        quoted(value)
                    );
                    reasons.push(about(ReasonCode::NotInPicklist, text));
                }
            }
        }
        if self.record_types.iter().filter(|known| known.default).count() > 1 {
            let text = format!("{} has several record types that are the default; leave one", self.name);
            reasons.push(about(ReasonCode::Duplicate, text));
        }
        if !self.record_types.is_empty()
            && self.field(FIELD).is_none_or(|field| !field.field_type.is_picklist())
        {
            let text =
                format!("{} has record types and no picklist {FIELD}; define it from a file", self.name);
            reasons.push(about(ReasonCode::UnknownField, text));
        }
        reasons
    }

    /// Why values do not fit the type of their record.
    pub(crate) fn record_type_refusals<'a>(
        &self,
        kind: &Value,
        written: impl Iterator<Item = (&'a FieldName, &'a Value)>,
    ) -> Vec<Reason> {
        let known = self
            .record_types
            .iter()
            .find(|known| matches!(kind, Value::Picklist(name) if *name == known.name));
        let Some(known) = known else { return Vec::new() };
        let refused = |(name, value): (&FieldName, &Value)| {
            let allowed = known.picklists.get(name)?;
            let bad = match value {
                Value::Picklist(value) => Some(value).filter(|value| !allowed.contains(*value)),
                Value::MultiPicklist(values) => values.iter().find(|value| !allowed.contains(*value)),
                _ => None,
            }?;
            let text = format!(
                "{name} is {}, which records of the type {} do not take: choose another value, or type",
                quoted(bad),
                quoted(&known.name)
            );
            Some(Reason::new(ReasonCode::NotInPicklist, text).on_field(name))
        };
        written.filter_map(refused).collect()
    }
}
