//! What is wrong with a subscribe rule, and what will go wrong with it, before it is saved.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{FieldMapping, PicklistMapping, Source, SubscribeRule, Unmapped};
use crate::FieldName;
use crate::codes::codes;
use crate::expr::{Expression, ExpressionError};
use crate::limits::{COMPUTED_MAPPINGS_MAX, RULE_MAPPINGS_MAX, RULE_PICKLIST_VALUES_MAX};
use crate::publish::{CatalogueField, CatalogueObject};
use crate::reason::{Reason, ReasonCode, quoted};
use crate::schema::{FieldKind, FieldSchema, ObjectSchema, compatible, narrowing, supported};
use crate::value::{Value, cast};

codes! {
    /// What a warning is about.
    pub enum WarningCode: "warning code" {
        /// Values of the partner may be too long or too exact for the local field.
        Narrowing = 1 "narrowing",
        /// Picklist values of the partner have no mapping.
        PicklistUnmapped = 2 "picklist_unmapped",
        /// Different picklist values become one, so the way back is not the same.
        PicklistLossy = 3 "picklist_lossy",
        /// The table has values that the partner's picklist does not have.
        PicklistUnknown = 4 "picklist_unknown",
        /// A required local field gets no value when a copy is created.
        CreateSet = 5 "create_set",
    }
}

/// Something that a rule may be saved with, and that will go wrong for some records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// What it is about.
    pub code: WarningCode,
    /// The local field.
    pub field: FieldName,
    /// One sentence for people.
    pub message: String,
}

impl SubscribeRule {
    /// Whether the rule can be saved for the object `local` and what the partner publishes now.
    ///
    /// # Errors
    /// Every reason against it: other objects, unknown or unwritable fields, incompatible types,
    /// a second source of a field, constants and defaults that the field does not take.
    pub fn check(
        &self,
        local: &ObjectSchema,
        catalogue: &CatalogueObject,
    ) -> Result<Vec<Warning>, Vec<Reason>> {
        let mut reasons = Vec::new();
        let mut warnings = Vec::new();
        reasons.extend(supported(&local.name).err());
        reasons.extend(self.check_objects(local, catalogue).err());
        if self.fields.len() > RULE_MAPPINGS_MAX {
            let text = format!("{} has more than {RULE_MAPPINGS_MAX} field mappings", self.local);
            return Err(vec![Reason::new(ReasonCode::LimitReached, text)]);
        }
        if self.computed().nth(COMPUTED_MAPPINGS_MAX).is_some() {
            let text = format!("{} has more than {COMPUTED_MAPPINGS_MAX} computed mappings", self.local);
            return Err(vec![Reason::new(ReasonCode::LimitReached, text)]);
        }
        let tables = self.fields.iter().filter_map(|mapping| mapping.picklist.as_ref());
        if tables.map(|table| table.values.len()).sum::<usize>() > RULE_PICKLIST_VALUES_MAX {
            let text = format!(
                "{} maps more than {RULE_PICKLIST_VALUES_MAX} picklist values; leave out those that stay as they are",
                self.local
            );
            return Err(vec![Reason::new(ReasonCode::LimitReached, text)]);
        }
        let mut written = BTreeSet::new();
        for mapping in &self.fields {
            if !written.insert(&mapping.local) {
                let text =
                    format!("{}.{} has a second source; keep one mapping of it", self.local, mapping.local);
                reasons.push(Reason::new(ReasonCode::SecondSource, text).on_field(&mapping.local));
            }
            match mapping.check(local, catalogue) {
                Ok(found) => warnings.extend(found),
                Err(reason) => reasons.push(reason),
            }
        }
        warnings.extend(local.fields.iter().filter_map(|field| self.check_required(field, catalogue)));
        if reasons.is_empty() { Ok(warnings) } else { Err(reasons) }
    }

    /// A standard object maps to itself alone, a custom one to any custom one (S2S-25).
    fn check_objects(&self, local: &ObjectSchema, catalogue: &CatalogueObject) -> Result<(), Reason> {
        let refuse = |text: String| Err(Reason::new(ReasonCode::IncompatibleObjects, text));
        if self.local != local.name || self.remote != catalogue.object {
            return refuse(format!(
                "the subscribe rule maps {} to {}, not {} to {}",
                self.remote, self.local, catalogue.object, local.name
            ));
        }
        if self.local != self.remote && !(self.local.is_custom() && self.remote.is_custom()) {
            return refuse(format!(
                "{} cannot be mapped to {}; a standard object maps to the same standard object, a custom one to any custom one",
                self.remote, self.local
            ));
        }
        Ok(())
    }

    /// Whether a copy can be created without a value for `field` (S2S-48).
    fn check_required(&self, field: &FieldSchema, catalogue: &CatalogueObject) -> Option<Warning> {
        let has_default = field.default.as_ref().is_some_and(|value| !value.is_blank());
        if !field.required || field.kind != FieldKind::Data || has_default {
            return None;
        }
        let problem = match self.mapping_of(&field.name) {
            None => "has no mapping; map it, or give it a constant or a default".to_owned(),
            Some(mapping) => {
                let remote = mapping.remote()?;
                let source = catalogue.field(remote)?;
                if !self.accept_whole && !catalogue.create_set.contains(remote) {
                    format!(
                        "comes from {remote}, which is not in the create set; accept with all fields in one"
                    )
                } else if !source.required && mapping.default.is_none() {
                    format!("comes from {remote}, which may be empty; give the mapping a default")
                } else {
                    return None;
                }
            }
        };
        let message =
            format!("copies of {} may be refused: {} is required and {problem}", self.remote, field.name);
        Some(Warning { code: WarningCode::CreateSet, field: field.name.clone(), message })
    }
}

impl FieldMapping {
    fn check(&self, local: &ObjectSchema, catalogue: &CatalogueObject) -> Result<Vec<Warning>, Reason> {
        let field = local.require(&self.local)?;
        if field.kind != FieldKind::Data || !field.updatable {
            let text = format!(
                "{}.{} cannot be written: it is of kind {} or not updatable; map to another field",
                local.name, self.local, field.kind
            );
            return Err(Reason::new(ReasonCode::NotUpdatable, text).on_field(&self.local));
        }
        let about = |reason: Reason| {
            let text = format!("{}.{}: {}", local.name, self.local, reason.message);
            Reason::new(reason.code, text).on_field(&self.local)
        };
        let settled = |value: &Value| cast(value, field).and_then(|value| value.check(field)).map_err(about);
        if let Some(default) = &self.default {
            settled(default)?;
        }
        let remote = match &self.source {
            Source::Constant(constant) => return settled(constant).map(|()| Vec::new()),
            Source::Computed(text) => {
                let schema = catalogue.schema().ok_or_else(|| {
                    let text = format!("the partner publishes no field of {}", catalogue.object);
                    about(Reason::new(ReasonCode::NotPublished, text))
                })?;
                let computed = Expression::computed(text, &schema, field);
                let refuse = |error: ExpressionError| {
                    about(Reason::new(
                        ReasonCode::BadExpression,
                        format!("the expression cannot be taken: {error}"),
                    ))
                };
                return computed.map(|_| Vec::new()).map_err(refuse);
            }
            Source::Field(name) => published(catalogue, name).map_err(about)?,
        };
        compatible(remote.field_type, field.field_type).map_err(|reason| {
            let text = format!(
                "{}.{} cannot be mapped to {}.{}: {}",
                catalogue.object, remote.name, local.name, field.name, reason.message
            );
            Reason::new(reason.code, text).on_field(&self.local)
        })?;
        let mut warnings: Vec<Warning> = narrowing(remote, field)
            .map(|message| Warning { code: WarningCode::Narrowing, field: self.local.clone(), message })
            .into_iter()
            .collect();
        let empty = PicklistMapping::default();
        let table = self.picklist.as_ref().unwrap_or(&empty);
        table.check(field).map_err(about)?;
        warnings.extend(table.warnings(remote, field));
        Ok(warnings)
    }
}

fn published<'a>(catalogue: &'a CatalogueObject, name: &FieldName) -> Result<&'a CatalogueField, Reason> {
    catalogue.field(name).ok_or_else(|| {
        let near =
            crate::suggest::nearest(name.as_str(), catalogue.fields.iter(), |field| field.name.as_str());
        let remedy = near.map_or_else(
            || "choose a field of its catalogue or ask for it to be published".to_owned(),
            |field| format!("did you mean {}?", field.name),
        );
        let text = format!("the partner does not publish {}.{name}; {remedy}", catalogue.object);
        Reason::new(ReasonCode::NotPublished, text)
    })
}

impl PicklistMapping {
    /// Whether `local` takes every value that the table gives.
    fn check(&self, local: &FieldSchema) -> Result<(), Reason> {
        let fallback = match &self.unmapped {
            Unmapped::Default(value) => Some(value),
            Unmapped::Keep | Unmapped::Reject => None,
        };
        let mut targets = self.values.values().chain(fallback).filter(|value| !value.is_empty());
        targets.try_for_each(|value| cast(&Value::Picklist(value.clone()), local)?.check(local))
    }

    /// What the partner's values will meet: no mapping, one mapping for several, no such value.
    fn warnings(&self, remote: &CatalogueField, local: &FieldSchema) -> Vec<Warning> {
        if !remote.field_type.is_picklist() {
            return Vec::new();
        }
        let mut warnings = Vec::new();
        let mut warn = |code, values: &[&SmolStr], meaning: &str| {
            if !values.is_empty() {
                let message = format!("{}: {} {meaning}", remote.name, listed(values));
                warnings.push(Warning { code, field: local.name.clone(), message });
            }
        };
        let takes = |value: &SmolStr| {
            let value = cast(&Value::Picklist(value.clone()), local);
            value.is_ok_and(|value| value.check(local).is_ok())
        };
        let unmapped: Vec<&SmolStr> =
            remote.values.iter().filter(|v| !self.values.contains_key(*v)).collect();
        match &self.unmapped {
            Unmapped::Keep => {
                let refused: Vec<&SmolStr> = unmapped.into_iter().filter(|value| !takes(value)).collect();
                let meaning = format!("will be refused, because {} does not take it; map each", local.name);
                warn(WarningCode::PicklistUnmapped, &refused, &meaning);
            }
            Unmapped::Reject => {
                warn(WarningCode::PicklistUnmapped, &unmapped, "has no mapping and will be refused");
            }
            Unmapped::Default(value) if unmapped.len() > 1 => {
                let meaning =
                    format!("will become {} alike; the way back cannot tell them apart", quoted(value));
                warn(WarningCode::PicklistLossy, &unmapped, &meaning);
            }
            Unmapped::Default(_) => {}
        }
        let mut sources: BTreeMap<&SmolStr, Vec<&SmolStr>> = BTreeMap::new();
        for (from, to) in &self.values {
            sources.entry(to).or_default().push(from);
        }
        for (to, from) in sources.iter().filter(|(_, from)| from.len() > 1) {
            let meaning = format!("become {} alike; the way back cannot tell them apart", quoted(to));
            warn(WarningCode::PicklistLossy, from, &meaning);
        }
        let unknown: Vec<&SmolStr> =
            self.values.keys().filter(|value| !remote.values.contains(value)).collect();
        if !remote.values.is_empty() {
            warn(WarningCode::PicklistUnknown, &unknown, "is mapped and not in the partner's list");
        }
        warnings
    }
}

/// The first few of `values`, quoted, and how many more there are.
fn listed(values: &[&SmolStr]) -> String {
    const SHOWN: usize = 5;
    let mut text = values.iter().take(SHOWN).map(|value| quoted(value)).collect::<Vec<_>>().join(", ");
    if values.len() > SHOWN {
        text.push_str(&format!(" and {} more", values.len() - SHOWN));
    }
    text
}
