//! Whether a field may hold a value. Whatever is written anywhere passes here first.

use rust_decimal::Decimal;

use super::{Date, Value, number};
use crate::limits::{PICKLIST_VALUE_CHARS_MAX, PICKLIST_VALUES_MAX, VALUE_BYTES_MAX};
use crate::reason::{Reason, ReasonCode, quoted};
use crate::schema::{FieldSchema, FieldType};

impl Value {
    /// Whether `field` may hold this value: type, length, digits, range, characters, membership of
    /// a restricted picklist, and a value at all if the field is required.
    ///
    /// # Errors
    /// The first reason against it.
    pub fn check(&self, field: &FieldSchema) -> Result<(), Reason> {
        let refuse = |code, text: String| Err(Reason::new(code, text).on_field(&field.name));
        if field.required && self.is_blank() {
            let text = format!("{} is required and has no value; give it one", field.name);
            return refuse(ReasonCode::RequiredMissing, text);
        }
        if !self.fits(field.field_type) {
            let text =
                format!("{} is a {} field and cannot hold {}", field.name, field.field_type, self.kind());
            return refuse(ReasonCode::WrongType, text);
        }
        let checked = match self {
            Self::Null | Self::Boolean(_) | Self::Date(_) | Self::Reference(_) => Ok(()),
            Self::Text(text) => check_text(text, field),
            Self::Integer(integer) => check_integer(*integer, field),
            Self::Decimal(decimal) => check_decimal(decimal, field),
            Self::DateTime(moment) if Date::of(*moment).is_some() => Ok(()),
            Self::DateTime(_) => Err((ReasonCode::OutOfRange, "lies outside the years 1 to 9999".to_owned())),
            Self::Picklist(value) => check_picklist_value(value, field),
            Self::MultiPicklist(values) if values.len() > PICKLIST_VALUES_MAX => {
                Err((ReasonCode::TooLong, format!("has more than {PICKLIST_VALUES_MAX} values")))
            }
            Self::MultiPicklist(values) => values.iter().try_for_each(|v| check_picklist_value(v, field)),
        };
        checked.or_else(|(code, problem)| refuse(code, format!("{} {problem}", field.name)))
    }
}

/// A code, and a predicate to put after the name of the field.
type Checked = Result<(), (ReasonCode, String)>;

fn check_text(text: &str, field: &FieldSchema) -> Checked {
    check_characters(text)?;
    let max = field.max_chars();
    // A text of n bytes has at most n characters: most texts are never counted.
    let length = if text.len() <= max { text.len() } else { text.chars().count() };
    if length > max {
        return Err((ReasonCode::TooLong, format!("has {length} characters and may have {max}; shorten it")));
    }
    if text.len() > VALUE_BYTES_MAX {
        let problem = format!("takes {} bytes and may take {VALUE_BYTES_MAX}; shorten it", text.len());
        return Err((ReasonCode::TooLong, problem));
    }
    if field.field_type == FieldType::Email && !is_email(text) {
        let problem =
            format!("is {}, which is no e-mail address; write it as name@example.com", quoted(text));
        return Err((ReasonCode::BadEmail, problem));
    }
    Ok(())
}

/// Control characters break terminals, CSV files and logs; tab and line breaks are text.
fn check_characters(text: &str) -> Checked {
    // Nearly every text has none, and a look at each byte without a branch says so: the others
    // beyond ASCII are U+0080 to U+009F, which begin with 0xC2 in UTF-8, as some letters do.
    let suspicious = |byte: u8| (byte < b' ') | (byte == 0x7f) | (byte == 0xc2);
    if !text.bytes().fold(false, |found, byte| found | suspicious(byte)) {
        return Ok(());
    }
    match text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        None => Ok(()),
        Some(c) => {
            let problem = format!("contains the control character U+{:04X}; remove it", u32::from(c));
            Err((ReasonCode::ControlCharacter, problem))
        }
    }
}

/// One `@` with something on both sides and a dot or more after it, nothing that mail headers
/// would read as several addresses. Whether it exists, only sending tells.
pub(crate) fn is_email(text: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c.is_control() || "<>()[],;:\\\"".contains(c);
    text.split_once('@').is_some_and(|(name, domain)| {
        let labels = || domain.split('.');
        !name.is_empty()
            && !domain.contains('@')
            && labels().count() >= 2
            && labels().all(|label| !label.is_empty())
            && !text.contains(odd)
    })
}

fn check_integer(integer: i64, field: &FieldSchema) -> Checked {
    let digits = integer.unsigned_abs().checked_ilog10().map_or(0, |log| log + 1);
    let (max, _) = field.max_digits();
    if digits > u32::from(max) {
        return Err((ReasonCode::OutOfRange, format!("is {integer} and keeps {max} digits")));
    }
    Ok(())
}

fn check_decimal(decimal: &Decimal, field: &FieldSchema) -> Checked {
    let (whole, fraction) = number::digits_of(decimal);
    let (max_whole, max_fraction) = field.max_digits();
    let shown = number::decimal_text(decimal);
    if fraction > u32::from(max_fraction) {
        let problem = format!(
            "is {shown} and keeps {max_fraction} digits after the point; round it first, nothing is rounded here"
        );
        return Err((ReasonCode::BadNumber, problem));
    }
    if whole > u32::from(max_whole) {
        return Err((
            ReasonCode::OutOfRange,
            format!("is {shown} and keeps {max_whole} digits before the point"),
        ));
    }
    Ok(())
}

fn check_picklist_value(value: &str, field: &FieldSchema) -> Checked {
    check_characters(value)?;
    if value.chars().nth(PICKLIST_VALUE_CHARS_MAX).is_some() {
        let problem = format!("has a picklist value of more than {PICKLIST_VALUE_CHARS_MAX} characters");
        return Err((ReasonCode::TooLong, problem));
    }
    if field.field_type == FieldType::MultiPicklist && value.contains(';') {
        let problem = format!("has the value {}; a ; separates values and cannot be in one", quoted(value));
        return Err((ReasonCode::NotInPicklist, problem));
    }
    if !field.restricted {
        return Ok(());
    }
    match field.picklist_value(value) {
        Some(known) if known.active => Ok(()),
        Some(_) => Err((
            ReasonCode::NotInPicklist,
            format!("takes no new {}: that value of its list is inactive", quoted(value)),
        )),
        None => Err((
            ReasonCode::NotInPicklist,
            format!("is {}, which is not a value of its list; use one of the list or add it", quoted(value)),
        )),
    }
}
