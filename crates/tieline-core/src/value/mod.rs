//! The value of one field, and its encodings.
//!
//! A value never loses anything on its way: text is kept byte for byte or refused, decimals are
//! exact and are never rounded, moments have microseconds. Nothing here knows a clock or a locale.
//!
//! There is one encoding of a value (`encode`), so equal values are equal bytes and the hash of the
//! state does not depend on who wrote a value: decimals drop trailing zeros, multi-select values
//! are sorted and distinct. Text and JSON are for people and interfaces and need the field's schema.

mod cast;
mod check;
mod date;
mod encode;
mod json;
mod number;
#[cfg(test)]
mod tests;
mod text;

use rust_decimal::Decimal;
use smol_str::SmolStr;

use crate::schema::FieldType;
use crate::{RecordId, Timestamp};

pub use cast::cast;
pub(crate) use check::is_email;
pub use date::{Date, InvalidDate};
pub(crate) use encode::tag;
pub(crate) use number::{decimal_text, parse_decimal};
pub(crate) use text::parse_moment;

/// The value of one field of one record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Value {
    /// No value. An empty text and an empty multi-select value are no value, too.
    #[default]
    Null,
    /// Text, long text, e-mail, phone and URL.
    Text(SmolStr),
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// An exact decimal: number, currency, per cent.
    Decimal(Decimal),
    /// A day without a time zone.
    Date(Date),
    /// A moment in UTC.
    DateTime(Timestamp),
    /// One value of a picklist: the value, not its label.
    Picklist(SmolStr),
    /// Values of a multi-select picklist, sorted and distinct.
    MultiPicklist(Vec<SmolStr>),
    /// Another record of this org.
    Reference(RecordId),
}

// A record of a hundred fields is a few KiB: the enum stays at two words more than its id.
const _: () = assert!(size_of::<Value>() <= 32);

impl Value {
    /// A text value; an empty text is `Null`.
    #[must_use]
    pub fn text(text: &str) -> Self {
        if text.is_empty() { Self::Null } else { Self::Text(SmolStr::new(text)) }
    }

    /// A picklist value; an empty one is `Null`.
    #[must_use]
    pub fn picklist(value: SmolStr) -> Self {
        if value.is_empty() { Self::Null } else { Self::Picklist(value) }
    }

    /// A multi-select value: sorted, each once, without empty ones; none at all is `Null`.
    #[must_use]
    pub fn multi_picklist(values: impl IntoIterator<Item = SmolStr>) -> Self {
        let mut values: Vec<SmolStr> = values.into_iter().filter(|v| !v.is_empty()).collect();
        values.sort_unstable();
        values.dedup();
        if values.is_empty() { Self::Null } else { Self::MultiPicklist(values) }
    }

    /// Whether there is no value.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Whether there is nothing to see: no value, or a text of white space.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        match self {
            Self::Null => true,
            // Most texts begin with what is there to see.
            Self::Text(text) | Self::Picklist(text) => {
                !text.as_bytes().first().is_some_and(u8::is_ascii_graphic) && text.trim().is_empty()
            }
            Self::MultiPicklist(values) => values.is_empty(),
            Self::Boolean(_)
            | Self::Integer(_)
            | Self::Decimal(_)
            | Self::Date(_)
            | Self::DateTime(_)
            | Self::Reference(_) => false,
        }
    }

    /// What kind of value this is, in words for errors.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "no value",
            Self::Text(_) => "a text",
            Self::Boolean(_) => "a boolean",
            Self::Integer(_) => "a whole number",
            Self::Decimal(_) => "a decimal number",
            Self::Date(_) => "a date",
            Self::DateTime(_) => "a date and time",
            Self::Picklist(_) => "a picklist value",
            Self::MultiPicklist(_) => "a multi-select value",
            Self::Reference(_) => "a reference",
        }
    }

    /// Whether a field of `field_type` keeps values of this kind. `Null` fits every type.
    #[must_use]
    pub const fn fits(&self, field_type: FieldType) -> bool {
        use FieldType as T;
        match self {
            Self::Null => true,
            Self::Text(_) => matches!(field_type, T::Text | T::LongText | T::Email | T::Phone | T::Url),
            Self::Boolean(_) => matches!(field_type, T::Boolean),
            Self::Integer(_) => matches!(field_type, T::Integer),
            Self::Decimal(_) => matches!(field_type, T::Decimal | T::Currency | T::Percent),
            Self::Date(_) => matches!(field_type, T::Date),
            Self::DateTime(_) => matches!(field_type, T::DateTime),
            Self::Picklist(_) => matches!(field_type, T::Picklist),
            Self::MultiPicklist(_) => matches!(field_type, T::MultiPicklist),
            Self::Reference(_) => matches!(field_type, T::Reference),
        }
    }

    /// About how many bytes the value takes in the log: never less than it does take.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        // The longest head of a MessagePack string, and the two bytes of a tagged pair.
        const HEAD: usize = 5;
        const PAIR: usize = 2;
        match self {
            Self::Null | Self::Boolean(_) => 1,
            Self::Integer(_) => 9,
            Self::Text(text) => HEAD + text.len(),
            Self::Picklist(text) => PAIR + HEAD + text.len(),
            // 28 digits, sign, point and head.
            Self::Decimal(_) => PAIR + HEAD + 31,
            Self::Date(_) => PAIR + 5,
            Self::DateTime(_) => PAIR + 9,
            Self::MultiPicklist(values) => PAIR + HEAD + values.iter().map(|v| HEAD + v.len()).sum::<usize>(),
            Self::Reference(_) => PAIR + 18,
        }
    }
}
