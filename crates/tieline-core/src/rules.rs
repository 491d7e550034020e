//! Validation rules of an object, compiled once and run on every write.
//!
//! A rule that cannot be evaluated refuses the write with its own reason: it never lets a record
//! through unchecked, and never stops anything but that write.

use std::collections::BTreeMap;

use crate::expr::Expression;
use crate::reason::{Reason, ReasonCode};
use crate::schema::{FieldKind, FieldSchema, ObjectSchema, order};
use crate::value::{Value, cast};
use crate::{FieldName, Timestamp};

/// The active rules of one object, and the fields without which it cannot be.
#[derive(Debug)]
pub struct CompiledRules {
    rules: Vec<CompiledRule>,
    required: Vec<FieldName>,
    /// Computed fields, each after those that it reads.
    computed: Vec<ComputedField>,
}

/// A field whose value is computed from others of its record (S2S-24).
#[derive(Debug)]
pub struct ComputedField {
    field: FieldSchema,
    expression: Expression,
}

#[derive(Debug)]
struct CompiledRule {
    name: String,
    message: String,
    field: Option<FieldName>,
    /// What is wrong with the text, if it does not compile (a log of another version).
    expression: Result<Expression, String>,
}

impl CompiledRules {
    /// Compiles the active rules of `schema`.
    #[must_use]
    pub fn compile(schema: &ObjectSchema) -> Self {
        let rules = schema.rules.iter().filter(|rule| rule.active).map(|rule| CompiledRule {
            name: rule.name.clone(),
            message: rule.message.clone(),
            field: rule.field.clone(),
            expression: Expression::condition(&rule.condition, schema).map_err(|error| error.to_string()),
        });
        let required = schema.fields.iter().filter(|field| field.required);
        let required = required.map(|field| field.name.clone()).collect();
        Self { rules: rules.collect(), required, computed: computed(schema) }
    }

    /// The computed fields, each after those that it reads.
    #[must_use]
    pub fn computed(&self) -> &[ComputedField] {
        &self.computed
    }

    /// The fields that need a value.
    #[must_use]
    pub fn required(&self) -> &[FieldName] {
        &self.required
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The reasons for which the rules refuse a record with the values of `lookup`.
    pub fn refusals<'v>(
        &self,
        lookup: impl Fn(&FieldName) -> Option<&'v Value>,
        now: Timestamp,
    ) -> Vec<Reason> {
        self.rules.iter().filter_map(|rule| rule.refusal(&lookup, now)).collect()
    }
}

/// What does not compile, in a log of another version, is not computed.
fn computed(schema: &ObjectSchema) -> Vec<ComputedField> {
    let compile = |(field, text): (&FieldSchema, &str)| {
        let expression = Expression::computed(text, schema, field).ok()?;
        Some((field.name.clone(), ComputedField { field: field.clone(), expression }))
    };
    let mut compiled: BTreeMap<FieldName, ComputedField> = schema
        .computed_fields()
        .filter(|(field, _)| field.kind == FieldKind::Formula)
        .filter_map(compile)
        .collect();
    let reads = compiled.iter().map(|(name, field)| (name, field.expression.fields().to_vec())).collect();
    let ordered: Vec<FieldName> = order(&reads).into_iter().cloned().collect();
    ordered.iter().filter_map(|name| compiled.remove(name)).collect()
}

impl ComputedField {
    /// The field.
    #[must_use]
    pub const fn name(&self) -> &FieldName {
        &self.field.name
    }

    /// The fields that it is computed from.
    #[must_use]
    pub fn inputs(&self) -> &[FieldName] {
        self.expression.fields()
    }

    /// Its value.
    ///
    /// # Errors
    /// The expression fails, or gives what the field does not keep: then the field is empty.
    pub fn value<'v>(
        &self,
        lookup: impl Fn(&FieldName) -> Option<&'v Value>,
        now: Timestamp,
    ) -> Result<Value, Reason> {
        let value = self.expression.evaluate(lookup, now).and_then(|value| cast(&value, &self.field));
        let value = value.and_then(|value| value.check(&self.field).map(|()| value));
        value.map_err(|reason| {
            let text = format!("{} cannot be computed: {}", self.field.name, reason.message);
            Reason::new(reason.code, text).on_field(&self.field.name)
        })
    }
}

impl CompiledRule {
    fn refusal<'v>(
        &self,
        lookup: &impl Fn(&FieldName) -> Option<&'v Value>,
        now: Timestamp,
    ) -> Option<Reason> {
        let verdict = match &self.expression {
            Ok(expression) => expression.holds(lookup, now).map_err(|reason| reason.message),
            Err(error) => Err(error.clone()),
        };
        let reason = match verdict {
            Ok(false) => return None,
            Ok(true) => Reason::new(ReasonCode::RuleRefused, &self.message),
            Err(error) => Reason::new(
                ReasonCode::RuleFailed,
                format!("rule {} could not be evaluated: {error}", self.name),
            ),
        };
        let reason = reason.by_rule(&self.name);
        Some(match &self.field {
            Some(field) => reason.on_field(field),
            None => reason,
        })
    }
}
