//! The typed tree of an expression, and the values that it computes with.

use std::borrow::Cow;

use rust_decimal::Decimal;
use smol_str::SmolStr;

use crate::limits::VALUE_BYTES_MAX;
use crate::schema::FieldType;
use crate::value::{Date, Value};
use crate::{RecordId, Timestamp};

use super::eval::Fault;

/// The type of an expression. All numbers are one type, and so are all texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Null,
    Boolean,
    Number,
    Text,
    Date,
    Moment,
    Reference,
    /// A list of items of one type. Lists of lists cannot be written.
    List(Element),
}

/// The type of the items of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    /// Of the empty list, which goes with every other.
    None,
    Boolean,
    Number,
    Text,
    Date,
    Moment,
}

impl Type {
    /// The type in words for errors.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "true or false",
            Self::Number => "a number",
            Self::Text => "a text",
            Self::Date => "a date",
            Self::Moment => "a date and time",
            Self::Reference => "a reference",
            Self::List(_) => "a list",
        }
    }

    /// The type of what a field holds; none for a type that this version does not know.
    pub(super) const fn of_field(field_type: FieldType) -> Option<Self> {
        use FieldType as F;
        Some(match field_type {
            F::Text | F::LongText | F::Email | F::Phone | F::Url | F::Picklist => Self::Text,
            F::Boolean => Self::Boolean,
            F::Integer | F::Decimal | F::Currency | F::Percent => Self::Number,
            F::Date => Self::Date,
            F::DateTime => Self::Moment,
            F::MultiPicklist => Self::List(Element::Text),
            F::Reference => Self::Reference,
            F::Unknown => return None,
        })
    }

    /// The one type of two branches or sides; null goes with every type.
    pub(super) fn join(self, other: Self) -> Option<Self> {
        match (self, other) {
            (a, b) if a == b => Some(a),
            (Self::Null, t) | (t, Self::Null) => Some(t),
            (Self::List(Element::None), list @ Self::List(_))
            | (list @ Self::List(_), Self::List(Element::None)) => Some(list),
            _ => None,
        }
    }

    /// The type as that of the items of a list; none if such lists cannot be written.
    pub(super) const fn element(self) -> Option<Element> {
        match self {
            Self::Boolean => Some(Element::Boolean),
            Self::Number => Some(Element::Number),
            Self::Text => Some(Element::Text),
            Self::Date => Some(Element::Date),
            Self::Moment => Some(Element::Moment),
            Self::Null | Self::Reference | Self::List(_) => None,
        }
    }
}

impl Element {
    /// The type of one item.
    pub(super) const fn item(self) -> Type {
        match self {
            Self::None => Type::Null,
            Self::Boolean => Type::Boolean,
            Self::Number => Type::Number,
            Self::Text => Type::Text,
            Self::Date => Type::Date,
            Self::Moment => Type::Moment,
        }
    }
}

/// How two sides are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What is done with two numbers, dates or texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// What a walk over a list asks of each item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Walk {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

/// A function of one or two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    IsBlank,
    Size,
    Abs,
    Round,
    String,
    DayOf,
    Contains,
    StartsWith,
    EndsWith,
    LowerAscii,
    UpperAscii,
    Trim,
}

/// A node of the typed tree. That its operands have the right types was checked when it was made.
#[derive(Debug)]
pub(super) enum Node {
    Constant(Item<'static>),
    /// The field of this index in the list of fields.
    Field(usize),
    /// What stands at this index in the list of what it reads besides.
    Beside(usize),
    /// The item of the walk around it.
    Variable,
    Now,
    Today,
    /// True if all are; a chain of `&&` is one node.
    And(Vec<Self>),
    /// True if any is; a chain of `||` is one node.
    Or(Vec<Self>),
    Not(Box<Self>),
    Negate(Box<Self>),
    If(Box<[Self; 3]>),
    Compare(Relation, Box<[Self; 2]>),
    Arithmetic(Operation, Box<[Self; 2]>),
    List(Vec<Self>),
    In(Box<[Self; 2]>),
    Walk(Walk, Box<[Self; 2]>),
    Call(Function, Vec<Self>),
    Matches(Box<Self>, regex::Regex),
}

/// A value during an evaluation; texts of the record are borrowed.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Item<'a> {
    Null,
    Boolean(bool),
    Number(Decimal),
    Text(Cow<'a, str>),
    Date(Date),
    Moment(Timestamp),
    Reference(RecordId),
    List(Vec<Self>),
}

impl<'a> Item<'a> {
    /// The value of a field.
    pub(super) fn of(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Boolean(truth) => Self::Boolean(*truth),
            Value::Integer(integer) => Self::Number(Decimal::from(*integer)),
            Value::Decimal(decimal) => Self::Number(*decimal),
            Value::Text(text) | Value::Picklist(text) => Self::Text(Cow::Borrowed(text.as_str())),
            Value::Date(date) => Self::Date(*date),
            Value::DateTime(moment) => Self::Moment(*moment),
            Value::MultiPicklist(values) => {
                Self::List(values.iter().map(|v| Self::Text(Cow::Borrowed(v.as_str()))).collect())
            }
            Value::Reference(record) => Self::Reference(*record),
        }
    }

    /// The same value with its text borrowed.
    pub(super) fn share(&'a self) -> Self {
        match self {
            Self::Text(text) => Self::Text(Cow::Borrowed(text)),
            other => other.clone(),
        }
    }

    /// The result of an evaluation as a value.
    pub(super) fn into_value(self) -> Result<Value, Fault> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Boolean(truth) => Value::Boolean(truth),
            Self::Number(number) => Value::Decimal(number.normalize()),
            Self::Text(text) if text.len() > VALUE_BYTES_MAX => return Err(Fault::TextTooLong),
            Self::Text(text) => Value::text(&text),
            Self::Date(date) => Value::Date(date),
            Self::Moment(moment) => Value::DateTime(moment),
            Self::Reference(record) => Value::Reference(record),
            Self::List(items) => {
                let texts = items.into_iter().map(|item| Ok(SmolStr::new(item.into_value()?.to_text())));
                Value::multi_picklist(texts.collect::<Result<Vec<_>, Fault>>()?)
            }
        })
    }
}
