//! Computed mappings: a local value from an expression over the partner's fields (S2S-28).

use super::{FieldMapping, Source, SubscribeRule};
use crate::content::Content;
use crate::expr::Expression;
use crate::publish::CatalogueObject;
use crate::reason::{Reason, ReasonCode};
use crate::schema::{FieldType, ObjectSchema, PicklistValue};
use crate::stamp::Stamp;
use crate::value::Value;
use crate::{FieldName, Timestamp};

/// The computed mappings of one rule, ready to run. Derived from the rule and the catalogue.
#[derive(Debug, Default)]
pub struct ComputedMappings(Vec<ComputedMapping>);

#[derive(Debug)]
struct ComputedMapping {
    local: FieldName,
    /// Why it cannot run any more, if the partner's catalogue has changed.
    expression: Result<Expression, String>,
}

impl CatalogueObject {
    /// The partner's object as an expression sees it, if it has a field. References name nothing that can be
    /// computed with.
    #[must_use]
    pub fn schema(&self) -> Option<ObjectSchema> {
        let fields = self.fields.iter().filter(|field| field.field_type != FieldType::Reference);
        let mut schema = ObjectSchema {
            name: self.object.clone(),
            label: self.label.clone(),
            name_field: self.fields.first()?.name.clone(),
            fields: fields
                .map(|field| crate::schema::FieldSchema {
                    values: field.values.iter().map(|value| PicklistValue::new(value.clone())).collect(),
                    restricted: field.restricted,
                    ..crate::schema::FieldSchema::new(field.name.clone(), field.field_type)
                })
                .collect(),
            rules: Vec::new(),
            create_set: Vec::new(),
            view_fields: Vec::new(),
            record_types: Vec::new(),
            sharing_by_hand: true,
            version: 0,
        };
        schema.sort();
        Some(schema)
    }
}

impl SubscribeRule {
    /// The mappings that are computed.
    pub fn computed(&self) -> impl Iterator<Item = (&FieldMapping, &str)> {
        self.fields.iter().filter_map(|mapping| match &mapping.source {
            Source::Computed(text) => Some((mapping, text.as_str())),
            Source::Field(_) | Source::Constant(_) => None,
        })
    }

    /// Notes with each computed mapping what it reads of the partner's object.
    pub(crate) fn note_inputs(&mut self, catalogue: Option<&CatalogueObject>) {
        let schema = catalogue.and_then(CatalogueObject::schema);
        for mapping in &mut self.fields {
            let inputs = match (&mapping.source, &schema) {
                (Source::Computed(text), Some(schema)) => Expression::compile(text, schema)
                    .map_or_else(|_| Vec::new(), |expression| expression.fields().to_vec()),
                _ => Vec::new(),
            };
            mapping.inputs = inputs;
        }
    }
}

impl ComputedMappings {
    /// Compiles the computed mappings of a rule for what the partner publishes now.
    #[must_use]
    pub fn compile(rule: &SubscribeRule, catalogue: Option<&CatalogueObject>) -> Self {
        let mut computed = rule.computed().peekable();
        if computed.peek().is_none() {
            return Self::default();
        }
        let schema = catalogue.and_then(CatalogueObject::schema);
        let compile = |(mapping, text): (&FieldMapping, &str)| ComputedMapping {
            local: mapping.local.clone(),
            expression: match &schema {
                Some(schema) => Expression::compile(text, schema).map_err(|error| error.to_string()),
                None => Err(format!("the partner does not publish {} any more", rule.remote)),
            },
        };
        Self(computed.map(compile).collect())
    }

    /// Whether nothing is computed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Why a mapping cannot run, if it cannot.
    #[must_use]
    pub fn broken(&self, local: &FieldName) -> Option<&str> {
        let mapping = self.0.iter().find(|mapping| mapping.local == *local)?;
        mapping.expression.as_ref().err().map(String::as_str)
    }

    /// What a mapping gives for the partner's values in `inputs`.
    ///
    /// # Errors
    /// `field_drifted` if it does not fit the partner's catalogue any more, `rule_failed` if it cannot
    /// be evaluated.
    pub fn value(&self, mapping: &FieldMapping, inputs: &Content, now: Timestamp) -> Result<Value, Reason> {
        let about = |reason: Reason| {
            let text = format!("{} cannot be computed: {}", mapping.local, reason.message);
            Reason::new(reason.code, text).on_field(&mapping.local)
        };
        let known = self.0.iter().find(|known| known.local == mapping.local);
        match known.map(|known| &known.expression) {
            Some(Ok(expression)) => expression.evaluate(|name| inputs.values.get(name), now).map_err(about),
            Some(Err(error)) => Err(about(Reason::new(ReasonCode::FieldDrifted, error))),
            None => Err(about(Reason::new(ReasonCode::FieldDrifted, "its mapping is not there"))),
        }
    }
}

impl FieldMapping {
    /// The greatest stamp of what a computed mapping reads, as far as it came.
    #[must_use]
    pub fn stamp_of_inputs(&self, inputs: &Content) -> Option<Stamp> {
        let came = self.inputs.iter().filter(|name| inputs.values.contains_key(*name));
        came.map(|name| inputs.stamp_of(name)).max_by_key(|stamp| (stamp.write(), stamp.revision()))
    }
}
