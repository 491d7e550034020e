//! Validation rules of an object, compiled once and run on every write.
//!
//! A rule that cannot be evaluated refuses the write with its own reason: it never lets a record
//! through unchecked, and never stops anything but that write.

use crate::expr::Expression;
use crate::reason::{Reason, ReasonCode};
use crate::schema::ObjectSchema;
use crate::value::Value;
use crate::{FieldName, Timestamp};

/// The active rules of one object, and the fields without which it cannot be.
#[derive(Debug)]
pub struct CompiledRules {
    rules: Vec<CompiledRule>,
    required: Vec<FieldName>,
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
        Self { rules: rules.collect(), required: required.map(|field| field.name.clone()).collect() }
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
