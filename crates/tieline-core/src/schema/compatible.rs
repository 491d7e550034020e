//! Which types convert into which, and what gets lost on the way (S2S-28).

use super::{FieldSchema, FieldType};
use crate::publish::CatalogueField;
use crate::reason::{Reason, ReasonCode};

/// Whether a field of type `from` can be mapped to one of type `to`.
///
/// Single values may still be refused when they arrive: a text that is no e-mail address, a
/// decimal that is no whole number.
///
/// # Errors
/// `incompatible_types`, with both types and what can be done.
pub fn compatible(from: FieldType, to: FieldType) -> Result<(), Reason> {
    use FieldType as T;
    let converts = match to {
        T::Unknown => false,
        _ if from == to => true,
        T::Text | T::LongText => !matches!(from, T::Reference | T::Unknown),
        T::Email | T::Phone | T::Url => matches!(from, T::Text | T::LongText),
        T::Integer => from.is_decimal(),
        T::Decimal | T::Currency | T::Percent => from.is_decimal() || from == T::Integer,
        T::Date => from == T::DateTime,
        T::DateTime => from == T::Date,
        T::Picklist => from == T::Text,
        T::MultiPicklist => from == T::Picklist,
        T::Boolean | T::Reference => false,
    };
    if converts {
        return Ok(());
    }
    let remedy = if matches!(from, T::Unknown) || matches!(to, T::Unknown) {
        "upgrade Tieline, which does not know one of the types".to_owned()
    } else if from == T::Text {
        "choose a local field of type text".to_owned()
    } else {
        format!("choose a local field of type {from} or text")
    };
    Err(Reason::new(ReasonCode::IncompatibleTypes, format!("{from} does not convert to {to}; {remedy}")))
}

/// What values of `from` can lose or be refused for in `to`, although the types are compatible.
#[must_use]
pub fn narrowing(from: &CatalogueField, to: &FieldSchema) -> Option<String> {
    let source = shape(from);
    let (a, b) = (from.field_type, to.field_type);
    if a == FieldType::DateTime && b == FieldType::Date {
        return Some(format!(
            "{} has a time of day, of which {} keeps only the day in UTC",
            from.name, to.name
        ));
    }
    if a == FieldType::MultiPicklist && b != a {
        return Some(format!("{} has several values, which {} keeps as one text", from.name, to.name));
    }
    let is_texty = |t: FieldType| t.is_text() || t.is_picklist();
    if is_texty(a) && is_texty(b) && source.max_chars() > to.max_chars() {
        return Some(format!(
            "{} has up to {} characters and {} keeps {}; longer values will be refused",
            from.name,
            source.max_chars(),
            to.name,
            to.max_chars()
        ));
    }
    let is_number = |t: FieldType| t.is_decimal() || t == FieldType::Integer;
    if is_number(a) && is_number(b) {
        let ((whole, fraction), (kept_whole, kept_fraction)) = (source.max_digits(), to.max_digits());
        if whole > kept_whole || fraction > kept_fraction {
            return Some(format!(
                "{} has up to {whole} digits before the point and {fraction} after it, {} keeps {kept_whole} and {kept_fraction}; other values will be refused",
                from.name, to.name
            ));
        }
    }
    None
}

/// The partner's field as a field of our own, for its sizes.
fn shape(field: &CatalogueField) -> FieldSchema {
    FieldSchema {
        length: field.length,
        precision: field.precision,
        scale: field.scale,
        ..FieldSchema::new(field.name.clone(), field.field_type)
    }
}
