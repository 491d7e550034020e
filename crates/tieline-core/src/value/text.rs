//! A value as one plain text: a cell of a CSV file, a constant in a file of settings.

use rust_decimal::prelude::ToPrimitive;
use smol_str::SmolStr;

use super::{Date, Value, number};
use crate::reason::{Reason, ReasonCode, quoted};
use crate::schema::{FieldSchema, FieldType};
use crate::{RecordId, Timestamp};

impl Value {
    /// The value that a cell says for `field`. An empty cell is no value.
    ///
    /// Text is taken byte for byte. Booleans are true/false, yes/no or 1/0. Dates are
    /// `YYYY-MM-DD`, moments are ISO 8601 with their offset (`Z`, `+02:00` or `+0000`); numbers
    /// have a point and no separators of thousands; multi-select values are separated by `;`.
    /// What is read is not checked against length or picklist: [`Value::check`] does that.
    ///
    /// # Errors
    /// What is wrong with the text, and how it is written.
    pub fn from_text(field: &FieldSchema, text: &str) -> Result<Self, Reason> {
        if text.is_empty() {
            return Ok(Self::Null);
        }
        let plain = text.trim();
        let parsed = match field.field_type {
            t if t.is_text() => Ok(Self::text(text)),
            FieldType::Picklist => Ok(Self::Picklist(SmolStr::new(text))),
            FieldType::MultiPicklist => Ok(Self::multi_picklist(text.split(';').map(SmolStr::new))),
            FieldType::Boolean => boolean(plain),
            FieldType::Integer => integer(plain).map(Self::Integer),
            FieldType::Decimal | FieldType::Currency | FieldType::Percent => decimal(plain),
            FieldType::Date => {
                plain.parse::<Date>().map(Self::Date).map_err(|e| (ReasonCode::BadDate, e.to_string()))
            }
            FieldType::DateTime => moment(plain),
            FieldType::Reference => plain.parse::<RecordId>().map(Self::Reference).map_err(|_| {
                (
                    ReasonCode::BadReference,
                    "not the id of a record, which has 26 letters and digits".to_owned(),
                )
            }),
            _ => Err((
                ReasonCode::WrongType,
                "for a type that this version does not know; upgrade Tieline".to_owned(),
            )),
        };
        parsed.map_err(|(code, problem)| {
            Reason::new(code, format!("{} is {}, which is {problem}", field.name, quoted(text)))
                .on_field(&field.name)
        })
    }

    /// The value as [`Value::from_text`] reads it; no value is an empty text.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Text(text) | Self::Picklist(text) => text.to_string(),
            Self::Boolean(truth) => truth.to_string(),
            Self::Integer(integer) => integer.to_string(),
            Self::Decimal(decimal) => number::decimal_text(decimal),
            Self::Date(date) => date.to_string(),
            Self::DateTime(moment) => moment.to_string(),
            Self::MultiPicklist(values) => values.join(";"),
            Self::Reference(record) => record.to_string(),
        }
    }
}

/// A code, and what is wrong, to put after "which is".
type Parsed<T> = Result<T, (ReasonCode, String)>;

fn boolean(text: &str) -> Parsed<Value> {
    let any = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if any(&["true", "yes", "1"]) {
        Ok(Value::Boolean(true))
    } else if any(&["false", "no", "0"]) {
        Ok(Value::Boolean(false))
    } else {
        Err((ReasonCode::WrongType, "no boolean; write true or false".to_owned()))
    }
}

pub(super) fn integer(text: &str) -> Parsed<i64> {
    let number =
        number::parse_decimal(text).map_err(|e| (ReasonCode::BadNumber, format!("no whole number: {e}")))?;
    if number.normalize().scale() != 0 {
        return Err((
            ReasonCode::BadNumber,
            "no whole number; round it first, nothing is rounded here".to_owned(),
        ));
    }
    number.to_i64().ok_or_else(|| (ReasonCode::OutOfRange, "beyond the whole numbers of 64 bits".to_owned()))
}

pub(super) fn decimal(text: &str) -> Parsed<Value> {
    number::parse_decimal(text)
        .map(Value::Decimal)
        .map_err(|e| (ReasonCode::BadNumber, format!("no number that can be kept exactly: {e}")))
}

fn moment(text: &str) -> Parsed<Value> {
    parse_moment(text).map(Value::DateTime).map_err(|problem| (ReasonCode::BadDate, problem))
}

/// The moment that an ISO 8601 text with its offset says, or what is wrong, to put after "which is".
pub(crate) fn parse_moment(text: &str) -> Result<Timestamp, String> {
    const FORM: &str = "no date and time; write it as 2026-01-31T09:30:00Z or with an offset as +01:00";
    // A zone in brackets would be looked up in a table of the machine.
    if text.contains('[') {
        return Err(FORM.to_owned());
    }
    let parsed: jiff::Timestamp = text.parse().map_err(|_| FORM.to_owned())?;
    if parsed.subsec_nanosecond() % 1_000 != 0 {
        return Err("finer than a microsecond; round it first, nothing is rounded here".to_owned());
    }
    let moment = Timestamp(parsed.as_microsecond());
    Date::of(moment).map(|_| moment).ok_or_else(|| "outside the years 1 to 9999".to_owned())
}
