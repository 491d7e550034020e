//! A value as JSON, as the API reads and shows it.

use serde_json::Value as Json;
use smol_str::SmolStr;

use super::Value;
use crate::reason::{Reason, ReasonCode, quoted};
use crate::schema::{FieldSchema, FieldType};

/// Most digits that a number keeps on its way through the binary floating point of JSON readers.
const FLOAT_DIGITS: usize = 15;

impl Value {
    /// The value that JSON says for `field`. Null and an empty text are no value.
    ///
    /// Numbers may be JSON numbers of up to 15 digits or texts of up to 28: more digits in a JSON
    /// number may be rounded before they arrive here, and are refused as far as that shows. Dates and moments are
    /// texts; a multi-select value is a list, or a text with `;`. Other types are not converted:
    /// a number is no text. What is read is not checked against length or picklist:
    /// [`Value::check`] does that.
    ///
    /// # Errors
    /// What is wrong with the JSON, and how it is written.
    pub fn from_json(field: &FieldSchema, json: &Json) -> Result<Self, Reason> {
        match (field.field_type, json) {
            (_, Json::Null) => Ok(Self::Null),
            (FieldType::Boolean, Json::Bool(truth)) => Ok(Self::Boolean(*truth)),
            // In JSON "yes" and "1" are texts: only CSV, which has no booleans, says them so.
            (FieldType::Boolean, Json::String(_)) => Err(wrong_type(field, json)),
            (_, Json::String(text)) => Self::from_text(field, text),
            (FieldType::MultiPicklist, Json::Array(items)) => items
                .iter()
                .map(|item| item.as_str().map(SmolStr::new).ok_or_else(|| wrong_type(field, item)))
                .collect::<Result<Vec<_>, _>>()
                .map(Self::multi_picklist),
            (t, Json::Number(written)) if t == FieldType::Integer || t.is_decimal() => {
                let plain = written.to_string();
                if written.is_f64() && significant_digits(&plain) > FLOAT_DIGITS {
                    let text = format!(
                        "{} is {}, a JSON number of more than {FLOAT_DIGITS} digits, which may have been rounded on its way; write it as a text",
                        field.name,
                        quoted(&plain)
                    );
                    return Err(Reason::new(ReasonCode::BadNumber, text).on_field(&field.name));
                }
                Self::from_text(field, &plain)
            }
            _ => Err(wrong_type(field, json)),
        }
    }

    /// The same for a JSON text, which is kept without a copy where the field keeps texts.
    ///
    /// # Errors
    /// As [`Value::from_json`].
    pub fn from_json_text(field: &FieldSchema, text: SmolStr) -> Result<Self, Reason> {
        match field.field_type {
            FieldType::Boolean => Err(wrong_type(field, &Json::String(text.into()))),
            _ if text.is_empty() => Ok(Self::Null),
            t if t.is_text() => Ok(Self::Text(text)),
            FieldType::Picklist => Ok(Self::Picklist(text)),
            _ => Self::from_text(field, &text),
        }
    }

    /// The value as JSON. Decimals are texts, so that no reader turns money into floating point;
    /// multi-select values are lists.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Boolean(truth) => Json::Bool(*truth),
            Self::Integer(integer) => Json::from(*integer),
            Self::MultiPicklist(values) => values.iter().map(SmolStr::as_str).collect(),
            Self::Text(_)
            | Self::Decimal(_)
            | Self::Date(_)
            | Self::DateTime(_)
            | Self::Picklist(_)
            | Self::Reference(_) => Json::String(self.to_text()),
        }
    }
}

/// How many digits of a number are not zeros at one of its ends.
fn significant_digits(number: &str) -> usize {
    let mantissa = number.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').len()
}

fn wrong_type(field: &FieldSchema, json: &Json) -> Reason {
    let got = match json {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a text",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    };
    let text = format!("{} is a {} field and cannot hold {got}", field.name, field.field_type);
    Reason::new(ReasonCode::WrongType, text).on_field(&field.name)
}
