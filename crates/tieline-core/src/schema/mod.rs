//! Objects, fields and validation rules: what a record of this org may hold.
//!
//! Schemas are written by people as TOML files (`file`), checked before they are saved (`check`),
//! and stored in the log as named maps, so that an added attribute never makes an old log
//! unreadable. Nothing here looks at a record; `value` checks single values against a field.

mod check;
mod compatible;
mod file;
mod place;
mod record_type;
mod standard;
#[cfg(test)]
mod tests;
mod write;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::codes::codes;
use crate::limits::{DECIMAL_DIGITS_MAX, INTEGER_DIGITS_MAX, LONG_TEXT_CHARS_MAX, TEXT_CHARS_MAX};
use crate::reason::{Reason, ReasonCode};
use crate::value::Value;
use crate::{FieldName, FieldText, ObjectName};

pub(crate) use check::order;
pub use compatible::{compatible, narrowing};
pub use file::{ObjectFile, RuleFault, SchemaError};
pub use record_type::{RecordType, record_type_field};
pub use standard::{standard_objects, standard_sources, supported};

codes! {
    /// The type of a field: which values it keeps.
    pub enum FieldType: "field type" {
        /// Text of at most 255 characters.
        Text = 1 "text",
        /// Text of at most 131,072 characters.
        LongText = 2 "long_text",
        /// An e-mail address.
        Email = 3 "email",
        /// A telephone number, as people write it.
        Phone = 4 "phone",
        /// A web address.
        Url = 5 "url",
        /// True or false.
        Boolean = 6 "boolean",
        /// A whole number of 64 bits.
        Integer = 7 "integer",
        /// An exact decimal number.
        Decimal = 8 "decimal",
        /// An amount of money: an exact decimal number.
        Currency = 9 "currency",
        /// A percentage: 12.5 is twelve and a half per cent.
        Percent = 10 "percent",
        /// A day without a time zone.
        Date = 11 "date",
        /// A moment in UTC, to the microsecond.
        DateTime = 12 "date_time",
        /// One value of a list.
        Picklist = 13 "picklist",
        /// Any number of values of a list.
        MultiPicklist = 14 "multi_picklist",
        /// Another record of the org.
        Reference = 15 "reference",
    }
}

codes! {
    /// Where the values of a field come from.
    pub enum FieldKind: "field kind" {
        /// People and interfaces write it.
        Data = 1 "data",
        /// It is computed from other fields of the record.
        Formula = 2 "formula",
        /// It is computed from child records.
        RollUp = 3 "roll_up",
        /// The org counts it up.
        AutoNumber = 4 "auto_number",
        /// The org notes who did what and when.
        Audit = 5 "audit",
        /// It is a field of the record that a reference names.
        Parent = 16 "parent",
    }
}

impl FieldType {
    /// Whether its values are one text.
    #[must_use]
    pub const fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::LongText | Self::Email | Self::Phone | Self::Url)
    }

    /// Whether its values are exact decimals.
    #[must_use]
    pub const fn is_decimal(self) -> bool {
        matches!(self, Self::Decimal | Self::Currency | Self::Percent)
    }

    /// Whether its values come from a list.
    #[must_use]
    pub const fn is_picklist(self) -> bool {
        matches!(self, Self::Picklist | Self::MultiPicklist)
    }
}

/// One value of a picklist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PicklistValue {
    /// What is stored, mapped and sent. Case counts.
    pub value: SmolStr,
    /// What people see; if it is empty, the value.
    #[serde(skip_serializing_if = "SmolStr::is_empty")]
    pub label: SmolStr,
    /// Whether new values may be this one. A record keeps an inactive value that it has.
    pub active: bool,
}

impl Default for PicklistValue {
    fn default() -> Self {
        Self { value: SmolStr::default(), label: SmolStr::default(), active: true }
    }
}

impl PicklistValue {
    /// An active value whose label is itself.
    #[must_use]
    pub fn new(value: impl Into<SmolStr>) -> Self {
        Self { value: value.into(), ..Self::default() }
    }
}

/// A field of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldSchema {
    /// The API name.
    pub name: FieldName,
    /// What people see.
    #[serde(default)]
    pub label: String,
    /// Which values it keeps.
    #[serde(default)]
    pub field_type: FieldType,
    /// Where its values come from.
    #[serde(default)]
    pub kind: FieldKind,
    /// Most characters of a text; the default depends on the type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u32>,
    /// Most digits of a number, on both sides of the point together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<u8>,
    /// Most digits of a number after the point. A value with more is refused, never rounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<u8>,
    /// Whether a record needs a value.
    #[serde(default)]
    pub required: bool,
    /// Whether anybody may write it.
    #[serde(default = "yes")]
    pub updatable: bool,
    /// The value that a new record gets if none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// The values of a picklist, in the order in which people see them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<PicklistValue>,
    /// Whether only the active values of the list are taken.
    #[serde(default)]
    pub restricted: bool,
    /// Whether the history of its values is kept (S2S-71).
    #[serde(default)]
    pub tracked: bool,
    /// The object of a reference; without it, a record of any object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub references: Option<ObjectName>,
    /// Whether its value names the record in another system, so that it is distinct in the org.
    #[serde(default)]
    pub external_id: bool,
    /// The field that it is, of the record that a reference names: `AccountId.Name` (S2S-49).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<SmolStr>,
    /// What a formula field is computed from, in CEL; without it, its values come from elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
}

const fn yes() -> bool {
    true
}

impl FieldSchema {
    /// A writable data field with the defaults of its type.
    #[must_use]
    pub fn new(name: FieldName, field_type: FieldType) -> Self {
        Self {
            label: name.as_str().to_owned(),
            name,
            field_type,
            kind: FieldKind::Data,
            length: None,
            precision: None,
            scale: None,
            required: false,
            updatable: true,
            default: None,
            values: Vec::new(),
            restricted: false,
            tracked: false,
            references: None,
            external_id: false,
            parent: None,
            expression: None,
        }
    }

    /// Most characters of its text; of each value, for a picklist.
    #[must_use]
    pub fn max_chars(&self) -> usize {
        let most = Self::most_chars(self.field_type);
        self.length.map_or(most, |length| (length as usize).min(most))
    }

    /// Most characters that a text field of a type can be given.
    pub(crate) const fn most_chars(field_type: FieldType) -> usize {
        if matches!(field_type, FieldType::LongText) { LONG_TEXT_CHARS_MAX } else { TEXT_CHARS_MAX }
    }

    /// Most digits of its number before and after the point.
    #[must_use]
    pub fn max_digits(&self) -> (u8, u8) {
        let integer = self.field_type == FieldType::Integer;
        let most = if integer { INTEGER_DIGITS_MAX } else { DECIMAL_DIGITS_MAX };
        let precision = self.precision.unwrap_or(most).min(most);
        // Without a scale a decimal keeps as many fraction digits as its precision leaves.
        let free = self.scale.is_none() && !integer;
        let scale = if integer { 0 } else { self.scale.unwrap_or(precision).min(precision) };
        (if free { precision } else { precision - scale }, scale)
    }

    /// The value of the list that is `value`, active or not.
    #[must_use]
    pub fn picklist_value(&self, value: &str) -> Option<&PicklistValue> {
        self.values.iter().find(|known| known.value == value)
    }
}

/// A validation rule: a condition under which a record is refused (S2S-53).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidationRule {
    /// The name, distinct within the object.
    pub name: String,
    /// The expression in CEL: true refuses the record.
    pub condition: String,
    /// What people are told: reason and remedy.
    pub message: String,
    /// The field beside which the message is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<FieldName>,
    /// Whether the rule is in force.
    #[serde(default = "yes")]
    pub active: bool,
}

/// An object: a type of record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectSchema {
    /// The API name.
    pub name: ObjectName,
    /// What people see.
    #[serde(default)]
    pub label: String,
    /// The field by which people tell records apart.
    pub name_field: FieldName,
    /// The fields, sorted by name.
    #[serde(default)]
    pub fields: Vec<FieldSchema>,
    /// The validation rules, in the order in which they are tried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<ValidationRule>,
    /// The fields a copy of a shared record is created with (S2S-48).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub create_set: Vec<FieldName>,
    /// The fields that inbox views list and filter by (S2S-46).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub view_fields: Vec<FieldName>,
    /// Kinds of its records (S2S-47).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub record_types: Vec<RecordType>,
    /// Whether people share its records; else only queues and rules do (S2S-41).
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub sharing_by_hand: bool,
    /// Rises by one with each saved change.
    #[serde(default)]
    pub version: u32,
}

// serde hands references to this.
#[expect(clippy::trivially_copy_pass_by_ref)]
const fn is_yes(value: &bool) -> bool {
    *value
}

impl ObjectSchema {
    /// The field of exactly this name.
    #[must_use]
    pub fn field<N: FieldText + ?Sized>(&self, name: &N) -> Option<&FieldSchema> {
        // Every value of every change is looked up here, some more than once: halves are told apart by
        // one number, and few names have it in common.
        let start = name.start();
        let at = self.fields.partition_point(|field| field.name.start() < start);
        let alike = self.fields.get(at..)?.iter().take_while(|field| field.name.start() == start);
        alike.into_iter().find(|field| field.name.as_str() == name.text())
    }

    /// The field of this name in any case of its letters, as imports write it.
    #[must_use]
    pub fn field_named(&self, name: &str) -> Option<&FieldSchema> {
        let same = |field: &&FieldSchema| field.name.as_str().eq_ignore_ascii_case(name);
        self.field(name).or_else(|| self.fields.iter().find(same))
    }

    /// The field of exactly this name, or a reason that suggests the name that was meant.
    ///
    /// # Errors
    /// `unknown_field`.
    pub fn require(&self, name: &FieldName) -> Result<&FieldSchema, Reason> {
        self.field(name).ok_or_else(|| {
            let suggestion = self.suggest(name.as_str());
            let meant = suggestion.map_or_else(
                || "add the field to the object first".to_owned(),
                |known| format!("did you mean {known}?"),
            );
            Reason::new(ReasonCode::UnknownField, format!("{} has no field {name}; {meant}", self.name))
                .on_field(name)
        })
    }

    /// The name of a field that is written much like `name`.
    #[must_use]
    pub fn suggest(&self, name: &str) -> Option<&FieldName> {
        crate::suggest::nearest(name, self.fields.iter().map(|f| &f.name), FieldName::as_str)
    }

    /// The fields that are computed here, in the order of their names.
    pub fn computed_fields(&self) -> impl Iterator<Item = (&FieldSchema, &str)> {
        self.fields.iter().filter_map(|field| Some((field, field.expression.as_deref()?)))
    }

    /// Sorts the fields by name, as `field` needs them.
    pub fn sort(&mut self) {
        self.fields.sort_by(|a, b| a.name.cmp(&b.name));
    }

    /// Whether a field may be published over a connection (S2S-24).
    ///
    /// # Errors
    /// `unknown_field`, or `not_publishable` with the kind of the field and what to do instead.
    pub fn publishable(&self, name: &FieldName) -> Result<(), Reason> {
        let field = self.require(name)?;
        let refuse = |kind: &str, remedy: &str| {
            let text = format!("{}.{name} cannot be published: it is {kind}; {remedy}", self.name);
            Err(Reason::new(ReasonCode::NotPublishable, text).on_field(name))
        };
        match field.kind {
            FieldKind::Formula if field.expression.is_some() => Ok(()),
            FieldKind::Formula => refuse(
                "a formula field whose formula is not here",
                "give it an expression, and its value is computed here and published",
            ),
            FieldKind::RollUp => {
                refuse("a roll-up summary field", "publish a computed field that holds its value")
            }
            FieldKind::AutoNumber => refuse("an auto-number field", "each org numbers its own records"),
            FieldKind::Audit => refuse("an audit field", "each org notes its own dates and users"),
            FieldKind::Unknown => refuse("of a kind that this version does not know", "upgrade Tieline"),
            FieldKind::Data | FieldKind::Parent => Ok(()),
        }
    }
}
