//! Validation formulas of Salesforce, translated to rules.
//!
//! Both are true where a record is refused. The translation keeps the meaning or is not made: what
//! rules cannot say (another record, the value before the write, the user) is a reason, never a
//! guess. Whatever is made is checked by the core against the object before it is given out. What
//! differs between the two languages, and what is written for it:
//!
//! | formula | rule |
//! |---|---|
//! | a blank text is an empty text: `LEN(X) < 5` holds | `size(X == null ? "" : X) < 5` |
//! | a comparison with a blank number or date never holds, `<>` included | `X != null && X != 5` |
//! | a percentage of 12.5 is 0.125 | `X / 100` |
//! | `FALSE` is what an empty checkbox has | `!X` for `X = FALSE` |
//! | `REGEX` looks at the whole text, `\d` at ASCII alone | `X.matches("^(?:[0-9]+)$")` |
//! | names in any case of their letters | as the object writes them |
//!
//! Text is never evaluated here. Length and depth of a formula are bounded, and so is the rule that
//! it becomes, at each step: a formula can repeat an operand, and must not grow by that.

mod call;
mod lex;
mod parse;
mod pattern;
#[cfg(test)]
mod tests;
mod translate;

use std::collections::BTreeMap;

use tieline_core::expr::Expression;
use tieline_core::schema::{FieldSchema, ObjectSchema};

use translate::Translator;

/// What is wrong with the text of a formula, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it cannot be read at character {at}: {message}")]
pub(super) struct FormulaError {
    /// The character, from 1.
    at: usize,
    /// One sentence.
    message: String,
}

/// A formula as a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Translation {
    /// The condition in CEL; true refuses the record.
    pub(super) condition: String,
    /// What a person has to know of it.
    pub(super) notes: Vec<&'static str>,
}

/// Translates the formula of a field, which is computed from the records of `object`.
///
/// # Errors
/// Why it cannot be translated, as a sentence about the formula.
pub(super) fn compute(
    formula: &str,
    object: &ObjectSchema,
    left_out: &LeftOut,
    field: &FieldSchema,
    blank_as_zero: bool,
) -> Result<Translation, String> {
    let tree = parse::parse(formula).map_err(|error| error.to_string())?;
    let mut translator = Translator::new(object, left_out);
    translator.blank_as_zero = blank_as_zero;
    let condition = translator.value(&tree, field)?;
    match Expression::computed(&condition, object, field) {
        Ok(_) => Ok(Translation { condition, notes: translator.notes.into_iter().collect() }),
        Err(error) => Err(format!("as an expression, {condition}, it is refused: {}", error.message)),
    }
}

/// Why fields of an object are not there, by name in small letters.
pub(super) type LeftOut = BTreeMap<String, String>;

/// Translates a formula for the records of `object`.
///
/// # Errors
/// Why it cannot be translated, as a sentence about the formula.
pub(super) fn translate(
    formula: &str,
    object: &ObjectSchema,
    left_out: &LeftOut,
) -> Result<Translation, String> {
    let tree = parse::parse(formula).map_err(|error| error.to_string())?;
    let mut translator = Translator::new(object, left_out);
    let condition = translator.condition(&tree)?;
    match Expression::condition(&condition, object) {
        Ok(_) => Ok(Translation { condition, notes: translator.notes.into_iter().collect() }),
        Err(error) => Err(format!("as a rule, {condition}, it is refused: {}", error.message)),
    }
}
