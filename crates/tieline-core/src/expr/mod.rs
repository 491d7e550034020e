//! Expressions: validation rules, criteria, conditions and computed values, written in CEL.
//!
//! The grammar is that of the Common Expression Language and is parsed by the crate `cel`. What
//! the parser gives is checked against the object and lowered to a small typed tree of our own,
//! which is evaluated over our own values. That is a choice, for four reasons:
//!
//! - **Money is decimal.** CEL knows integers and binary floating point, and a program that was
//!   given decimals as an extension would still read `0.1` as floating point. Here all numbers are
//!   one type, exact decimals: `0.1 + 0.2 == 0.3`, `7 / 2` is `3.5`, `1 == 1.0`. A quotient has 28
//!   digits; a sum or product that needs more is an error.
//! - **Types are checked when a rule is saved.** An unknown field, a text compared with a number
//!   or a picklist value that does not exist is refused then, not found in production.
//! - **Cost is bounded.** 225 bytes of CEL can take 14 s and 1 GB. Here length, depth, nodes and
//!   lists are bounded, a walk over a list contains no other walk and no growing text, and an
//!   evaluation stops after a fixed number of steps.
//! - **Nothing is converted.** Only fields that the expression names are looked up, and their
//!   texts are borrowed.
//!
//! Fields are named alone (`Amount > 1000`). **Null** is what an empty field has: it is equal to
//! null alone; any order with it is false; arithmetic and text functions give null; where true or
//! false is needed it counts as false. So a rule does not fail because a field is empty. `&&` and
//! `||` take an error on one side only if the other side does not decide.
//!
//! | written | means |
//! |---|---|
//! | `== != < <= > >= in && \|\| ! ?:` | as in CEL; both sides are of one type |
//! | `+ - * / %` | numbers; `+` joins texts, outside walks; date ± days, date − date in days |
//! | `date("2026-01-31")`, `timestamp("2026-01-31T09:00:00Z")`, `dec("12.50")` | constants |
//! | `date(x)` | the day in UTC of a moment |
//! | `today()`, `now()` | day in UTC and moment of the event, never of the machine |
//! | `isBlank(x)` | null, empty, or only white space |
//! | `size(x)` | characters of a text, values of a list |
//! | `contains startsWith endsWith matches` | methods of texts; the pattern of `matches` is a literal |
//! | `lowerAscii upperAscii trim` | methods of texts |
//! | `abs(x)`, `round(x, digits)`, `string(x)` | rounding is commercial: half away from zero |
//! | `all exists exists_one filter map` | walks over a list, as `Tags__c.exists(t, t.startsWith("x"))` |
//!
//! A criterion of sharing, assignment, escalation or workflow reads more than fields, unless the object
//! has a field of that name:
//!
//! | written | means |
//! |---|---|
//! | `old.Status` | what the field was before the change; null if the record is new |
//! | `changed(Status)` | whether it is something else now |
//! | `is_new` | whether the record was created by the change |
//! | `owner` | the name of a user, or `queue:` and the name of a queue |
//! | `sent_to` | the partners that have accepted the record, joined by `, ` |
//! | `received_from` | the partner that it came from; empty if it is of this org |
//! | `last_modified_by`, `by_connection_user` | in whose name it was changed, and whether by a partner |
//!
//! The filter of a report reads columns of its rows besides fields, by the names that the report has for
//! them: `share.status == 'active' && AccountId.Name != null`.
//!
//! The same expression, values and time give the same result on every machine.

mod beside;
mod call;
mod eval;
mod lower;
mod node;
mod syntax;
#[cfg(test)]
mod tests;

use cel::Env;

use crate::limits::{EXPRESSION_BYTES_MAX, EXPRESSION_DEPTH_MAX};
use crate::reason::{Reason, ReasonCode};
use crate::schema::{FieldSchema, FieldType, ObjectSchema, compatible};
use crate::value::Value;
use crate::{FieldName, Timestamp};

use beside::Scope;
pub use beside::{Beside, ColumnType, Columns, Fact};
use eval::{Evaluation, Fault};
use lower::Lowering;
use node::{Node, Type};

/// Why an expression is refused, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct ExpressionError {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// One sentence: what is wrong, and the remedy.
    pub message: String,
}

/// An expression that was checked against its object. It is immutable and can be shared.
#[derive(Debug)]
pub struct Expression {
    root: Node,
    result: Type,
    fields: Vec<FieldName>,
    beside: Vec<Beside>,
    reads_time: bool,
}

impl Expression {
    /// Checks an expression of any type against the object whose records it will read.
    ///
    /// # Errors
    /// The first thing that is wrong with it: syntax, a limit, an unknown name, a type.
    pub fn compile(text: &str, object: &ObjectSchema) -> Result<Self, ExpressionError> {
        Self::compiled(text, object, Scope::Record)
    }

    /// The same for what is asked when a record has changed: it may read what the record was, and
    /// facts that are no fields.
    ///
    /// # Errors
    /// As [`Expression::compile`].
    pub fn of_change(text: &str, object: &ObjectSchema) -> Result<Self, ExpressionError> {
        Self::compiled(text, object, Scope::Change)
    }

    fn compiled(text: &str, object: &ObjectSchema, scope: Scope<'_>) -> Result<Self, ExpressionError> {
        let start = |message: String| ExpressionError { line: 1, column: 1, message };
        if text.len() > EXPRESSION_BYTES_MAX {
            let length = text.len();
            return Err(start(format!(
                "the expression has {length} bytes and may have {EXPRESSION_BYTES_MAX}; split it into several rules"
            )));
        }
        // No macros: a walk stays the call that was written, and is bounded as such.
        let parser = Env::default()
            .with_optional_support(false)
            .parser()
            .max_recursion_depth(EXPRESSION_DEPTH_MAX as u16)
            .error_recovery_limit(0);
        let (tree, source) = parser.parse_with_source_info(text).map_err(|errors| {
            syntax::explain(text, errors.errors.iter().map(|error| (error.pos, error.msg.as_str())))
        })?;
        let mut lowering = Lowering::new(object, scope);
        let (root, result) = lowering.lower(&tree, 0).map_err(|fault| {
            let offset = source.offset_for(fault.at).map_or(0, |(start, _)| start as usize);
            let before: String = text.chars().take(offset).collect();
            let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
            ExpressionError {
                line: before.matches('\n').count() + 1,
                column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
                message: fault.message,
            }
        })?;
        let Lowering { fields, beside, reads_time, .. } = lowering;
        Ok(Self { root, result, fields, beside, reads_time })
    }

    /// Checks an expression that is true or false.
    ///
    /// # Errors
    /// As [`Expression::compile`], and an expression of another type.
    pub fn condition(text: &str, object: &ObjectSchema) -> Result<Self, ExpressionError> {
        Self::compile(text, object)?.conditional()
    }

    /// The same for what is asked when a record has changed.
    ///
    /// # Errors
    /// As [`Expression::condition`].
    pub fn criterion(text: &str, object: &ObjectSchema) -> Result<Self, ExpressionError> {
        Self::of_change(text, object)?.conditional()
    }

    /// The same for a row: it may read columns that are no fields.
    ///
    /// # Errors
    /// As [`Expression::condition`].
    pub fn of_row(text: &str, object: &ObjectSchema, columns: &dyn Columns) -> Result<Self, ExpressionError> {
        Self::compiled(text, object, Scope::Row(columns))?.conditional()
    }

    fn conditional(self) -> Result<Self, ExpressionError> {
        let expression = self;
        if expression.result == Type::Boolean {
            return Ok(expression);
        }
        let message = format!(
            "the condition gives {} and not true or false; compare it with something",
            expression.result.name()
        );
        Err(ExpressionError { line: 1, column: 1, message })
    }

    /// The fields that it reads. Its result changes only with them and, if it reads it, with time.
    #[must_use]
    pub fn fields(&self) -> &[FieldName] {
        &self.fields
    }

    /// What it reads besides the fields.
    #[must_use]
    pub fn beside(&self) -> &[Beside] {
        &self.beside
    }

    /// The type of its result as a field has it; none for null alone, which every field takes.
    ///
    /// # Errors
    /// No field keeps such a result: a list of anything but texts.
    pub fn result(&self) -> Result<Option<FieldType>, &'static str> {
        Ok(Some(match self.result {
            Type::Null | Type::List(node::Element::None) => return Ok(None),
            Type::Boolean => FieldType::Boolean,
            Type::Number => FieldType::Decimal,
            Type::Text => FieldType::Text,
            Type::Date => FieldType::Date,
            Type::Moment => FieldType::DateTime,
            Type::Reference => FieldType::Reference,
            Type::List(node::Element::Text) => FieldType::MultiPicklist,
            Type::List(_) => return Err("a list"),
        }))
    }

    /// Checks an expression whose result a field of `target` keeps, and which changes only with what it
    /// reads.
    ///
    /// # Errors
    /// As [`Expression::compile`], and: a result that does not convert, the clock, no field at all.
    pub fn computed(
        text: &str,
        object: &ObjectSchema,
        target: &FieldSchema,
    ) -> Result<Self, ExpressionError> {
        let expression = Self::compile(text, object)?;
        let refuse = |message: String| Err(ExpressionError { line: 1, column: 1, message });
        if expression.reads_time {
            return refuse("it reads the clock, so its value would change without a change".to_owned());
        }
        if expression.fields.is_empty() {
            return refuse("it reads no field; write a constant or a default instead".to_owned());
        }
        match expression.result() {
            Err(kind) => refuse(format!("it gives {kind}, which no field keeps")),
            Ok(Some(result)) => match compatible(result, target.field_type) {
                Ok(()) => Ok(expression),
                Err(reason) => refuse(format!(
                    "it gives {}, and {} is a {} field: {}",
                    expression.result.name(),
                    target.name,
                    target.field_type,
                    reason.message
                )),
            },
            Ok(None) => Ok(expression),
        }
    }

    /// Whether it reads `now()` or `today()`.
    #[must_use]
    pub const fn reads_time(&self) -> bool {
        self.reads_time
    }

    /// The value for one record at the time of one event. `lookup` gives the value of a field by
    /// name; none is null. Numbers are decimals and texts are texts: `value::cast` makes them what
    /// a field keeps.
    ///
    /// # Errors
    /// `rule_failed`: a number beyond 28 digits, a division by zero, a text or list beyond its
    /// limit, too many steps.
    pub fn evaluate<'a>(
        &self,
        lookup: impl Fn(&FieldName) -> Option<&'a Value>,
        now: Timestamp,
    ) -> Result<Value, Reason> {
        self.evaluate_beside(lookup, |_| None, now)
    }

    /// The same; `beside` gives what it reads besides the fields.
    ///
    /// # Errors
    /// As [`Expression::evaluate`].
    pub fn evaluate_beside<'a>(
        &self,
        lookup: impl Fn(&FieldName) -> Option<&'a Value>,
        beside: impl Fn(&Beside) -> Option<&'a Value>,
        now: Timestamp,
    ) -> Result<Value, Reason> {
        self.conclude(lookup, beside, now, |item| item.into_value())
    }

    /// What `made` makes of the result.
    fn conclude<'a, T>(
        &self,
        lookup: impl Fn(&FieldName) -> Option<&'a Value>,
        beside: impl Fn(&Beside) -> Option<&'a Value>,
        now: Timestamp,
        made: impl FnOnce(node::Item<'_>) -> Result<T, Fault>,
    ) -> Result<T, Reason> {
        let read = |field: usize| self.fields.get(field).and_then(&lookup);
        let besides = |at: usize| self.beside.get(at).and_then(&beside);
        let item = Evaluation::new(&read, &besides, now).evaluate(&self.root);
        item.and_then(made).map_err(|fault| Reason::new(ReasonCode::RuleFailed, fault.to_string()))
    }

    /// Whether the condition holds for one record at the time of one event; null is false.
    ///
    /// # Errors
    /// As [`Expression::evaluate`], and `rule_failed` if the result is neither true nor false.
    pub fn holds<'a>(
        &self,
        lookup: impl Fn(&FieldName) -> Option<&'a Value>,
        now: Timestamp,
    ) -> Result<bool, Reason> {
        self.holds_beside(lookup, |_| None, now)
    }

    /// The same; `beside` gives what it reads besides the fields.
    ///
    /// # Errors
    /// As [`Expression::holds`].
    pub fn holds_beside<'a>(
        &self,
        lookup: impl Fn(&FieldName) -> Option<&'a Value>,
        beside: impl Fn(&Beside) -> Option<&'a Value>,
        now: Timestamp,
    ) -> Result<bool, Reason> {
        // Asked of every rule for every write: true and false need not become values first.
        let truth = |item: node::Item<'_>| match item {
            node::Item::Boolean(truth) => Ok(Ok(truth)),
            node::Item::Null => Ok(Ok(false)),
            other => other.into_value().map(Err),
        };
        self.conclude(lookup, beside, now, truth)?.map_err(|other| {
            let text = format!("the condition gave {} and not true or false", other.kind());
            Reason::new(ReasonCode::RuleFailed, text)
        })
    }
}
