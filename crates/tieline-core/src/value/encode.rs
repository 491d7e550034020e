//! The one encoding of a value, for the log and the wire.
//!
//! Plain kinds are themselves: nil, boolean, integer, string. The others are a pair of a small
//! number and the content: `[1, "12.5"]`. The numbers are never reused. Nothing nests deeper than
//! a list of strings in a pair, so a decoder cannot be made to recurse.

use std::fmt;

use rust_decimal::Decimal;
use serde::de::{Error, SeqAccess, Unexpected, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::SmolStr;

use super::{Date, Value, number};
use crate::{RecordId, Timestamp};

/// The number in front of the content of a pair.
pub(crate) mod tag {
    pub(crate) const DECIMAL: u8 = 1;
    pub(crate) const DATE: u8 = 2;
    pub(crate) const DATE_TIME: u8 = 3;
    pub(crate) const PICKLIST: u8 = 4;
    pub(crate) const MULTI_PICKLIST: u8 = 5;
    pub(crate) const REFERENCE: u8 = 6;
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => s.serialize_unit(),
            Self::Text(text) => s.serialize_str(text),
            Self::Boolean(truth) => s.serialize_bool(*truth),
            Self::Integer(number) => s.serialize_i64(*number),
            Self::Decimal(decimal) => pair(s, tag::DECIMAL, &number::decimal_text(decimal)),
            Self::Date(date) => pair(s, tag::DATE, &date.days()),
            Self::DateTime(time) => pair(s, tag::DATE_TIME, &time.0),
            Self::Picklist(value) => pair(s, tag::PICKLIST, value),
            Self::MultiPicklist(values) => pair(s, tag::MULTI_PICKLIST, values),
            Self::Reference(record) => pair(s, tag::REFERENCE, record),
        }
    }
}

fn pair<S: Serializer, T: Serialize + ?Sized>(s: S, number: u8, content: &T) -> Result<S::Ok, S::Error> {
    let mut pair = s.serialize_tuple(2)?;
    pair.serialize_element(&number)?;
    pair.serialize_element(content)?;
    pair.end()
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field value: nil, boolean, integer, string, or a pair of kind number and content")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Boolean(truth))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Integer(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        let number =
            i64::try_from(number).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))?;
        Ok(Value::Integer(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<Value, A::Error> {
        fn content<'de, A: SeqAccess<'de>, T: Deserialize<'de>>(pair: &mut A) -> Result<T, A::Error> {
            pair.next_element()?.ok_or_else(|| A::Error::invalid_length(1, &ValueVisitor))
        }
        let number: u8 = pair.next_element()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
        let value = match number {
            tag::DECIMAL => Value::Decimal(decimal(&content::<A, SmolStr>(&mut pair)?)?),
            tag::DATE => {
                let days = content(&mut pair)?;
                Value::Date(Date::from_days(days).ok_or_else(|| {
                    A::Error::custom(format_args!("day {days} is outside the years 1 to 9999"))
                })?)
            }
            tag::DATE_TIME => Value::DateTime(Timestamp(content(&mut pair)?)),
            tag::PICKLIST => Value::picklist(content(&mut pair)?),
            tag::MULTI_PICKLIST => Value::multi_picklist(content::<A, Vec<SmolStr>>(&mut pair)?),
            tag::REFERENCE => Value::Reference(content::<A, RecordId>(&mut pair)?),
            unknown => {
                return Err(A::Error::custom(format_args!(
                    "value of the unknown kind {unknown}; it was written by a newer version of Tieline"
                )));
            }
        };
        match pair.next_element::<serde::de::IgnoredAny>()? {
            None => Ok(value),
            Some(_) => Err(A::Error::invalid_length(3, &self)),
        }
    }
}

fn decimal<E: Error>(text: &str) -> Result<Decimal, E> {
    number::parse_decimal(text).map_err(|problem| {
        E::custom(format_args!("{:?} is no decimal: {problem}", text.chars().take(40).collect::<String>()))
    })
}
