//! A value of one type as a value of another (S2S-28).
//!
//! A cast keeps the value or refuses it. The two exceptions lose what the target cannot say and
//! are reported when the mapping is saved (`schema::narrowing`): a moment becomes its day in UTC,
//! and a multi-select value becomes its text.

use rust_decimal::Decimal;
use smol_str::SmolStr;

use super::{Date, Value, text};
use crate::reason::{Reason, ReasonCode};
use crate::schema::{FieldSchema, FieldType};

/// `value` as a field of the type of `local` keeps it. Whether the field takes it, length and
/// picklist, is for [`Value::check`].
///
/// # Errors
/// `incompatible_types` if the types do not convert, else what is wrong with this one value.
pub fn cast(value: &Value, local: &FieldSchema) -> Result<Value, Reason> {
    let to = local.field_type;
    if value.fits(to) {
        return Ok(value.clone());
    }
    let refuse = |code, text: String| Err(Reason::new(code, text).on_field(&local.name));
    match (value, to) {
        (_, FieldType::Text | FieldType::LongText) if !matches!(value, Value::Reference(_)) => {
            Ok(Value::text(&value.to_text()))
        }
        (Value::Text(value), FieldType::Picklist) => Ok(Value::Picklist(value.clone())),
        (Value::Picklist(value), FieldType::MultiPicklist) => {
            Ok(Value::multi_picklist([SmolStr::clone(value)]))
        }
        (Value::Integer(integer), to) if to.is_decimal() => Ok(Value::Decimal(Decimal::from(*integer))),
        (Value::Decimal(_), FieldType::Integer) => match text::integer(&value.to_text()) {
            Ok(integer) => Ok(Value::Integer(integer)),
            Err((code, problem)) => {
                refuse(code, format!("{} got {}, which is {problem}", local.name, value.to_text()))
            }
        },
        (Value::Date(date), FieldType::DateTime) => Ok(Value::DateTime(date.start())),
        (Value::DateTime(moment), FieldType::Date) => match Date::of(*moment) {
            Some(date) => Ok(Value::Date(date)),
            None => refuse(
                ReasonCode::OutOfRange,
                format!("{} got a moment outside the years 1 to 9999", local.name),
            ),
        },
        _ => refuse(
            ReasonCode::IncompatibleTypes,
            format!("{} is a {to} field and got {}, which does not convert", local.name, value.kind()),
        ),
    }
}
