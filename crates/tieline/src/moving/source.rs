//! What metadata says of objects, whatever file it came from, before it is made one of ours.

use std::collections::BTreeMap;

use tieline_core::schema::PicklistValue;

/// An object.
#[derive(Debug, Default, Clone)]
pub(super) struct SourceObject {
    /// The API name.
    pub(super) name: String,
    /// What people see.
    pub(super) label: Option<String>,
    /// The field by which people tell records apart, if the object is known to have one.
    pub(super) name_field: Option<String>,
    /// The fields, in the order of the source.
    pub(super) fields: Vec<SourceField>,
    /// The validation rules.
    pub(super) rules: Vec<SourceRule>,
    /// The record types.
    pub(super) record_types: Vec<SourceRecordType>,
    /// Why it is no object that keeps records; none for one that does.
    pub(super) unfit: Option<&'static str>,
}

/// A type of field, under whatever name a source calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum SourceType {
    /// The source does not say: it only adds to a standard field.
    #[default]
    Unsaid,
    Text,
    TextArea,
    LongText,
    RichText,
    Encrypted,
    Email,
    Phone,
    Url,
    Checkbox,
    Number,
    Currency,
    Percent,
    Date,
    DateTime,
    Time,
    Picklist,
    MultiPicklist,
    Combobox,
    Reference,
    /// A place, whose parts are two numbers.
    Location,
    /// A value whose parts are fields of their own.
    Compound,
    Id,
    AutoNumber,
    RollUp,
    Other,
}

impl SourceType {
    /// The type that metadata or a describe calls `name`.
    pub(super) fn named(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "text" | "string" => Self::Text,
            "textarea" => Self::TextArea,
            "longtextarea" => Self::LongText,
            "html" => Self::RichText,
            "encryptedtext" | "encryptedstring" => Self::Encrypted,
            "email" => Self::Email,
            "phone" => Self::Phone,
            "url" => Self::Url,
            "checkbox" | "boolean" => Self::Checkbox,
            "number" | "double" | "int" | "long" => Self::Number,
            "currency" => Self::Currency,
            "percent" => Self::Percent,
            "date" => Self::Date,
            "datetime" => Self::DateTime,
            "time" => Self::Time,
            "picklist" => Self::Picklist,
            "multiselectpicklist" | "multipicklist" => Self::MultiPicklist,
            "combobox" => Self::Combobox,
            "lookup" | "masterdetail" | "hierarchy" | "reference" => Self::Reference,
            "location" => Self::Location,
            "address" => Self::Compound,
            "id" => Self::Id,
            "autonumber" => Self::AutoNumber,
            "summary" => Self::RollUp,
            _ => Self::Other,
        }
    }
}

/// A field.
#[derive(Debug, Default, Clone)]
pub(super) struct SourceField {
    /// The API name.
    pub(super) name: String,
    /// What people see.
    pub(super) label: Option<String>,
    /// Which values it keeps.
    pub(super) field_type: SourceType,
    /// Whether it is computed from other fields.
    pub(super) is_formula: bool,
    /// What it is computed by, if the source says it.
    pub(super) formula: Option<String>,
    /// Whether the formula takes an empty number as zero.
    pub(super) blank_as_zero: bool,
    /// Most characters of a text.
    pub(super) length: Option<u32>,
    /// Most digits of a number.
    pub(super) precision: Option<u8>,
    /// Most digits of a number after the point.
    pub(super) scale: Option<u8>,
    /// Whether a record needs a value.
    pub(super) required: bool,
    /// What a new record gets, as it is written.
    pub(super) default: Option<String>,
    /// Whether it names the record in another system.
    pub(super) external_id: bool,
    /// Whether no two records may have one value.
    pub(super) unique: bool,
    /// Whether the history of its values is kept.
    pub(super) tracked: bool,
    /// The values of a picklist.
    pub(super) values: Vec<PicklistValue>,
    /// Whether only these values are taken.
    pub(super) restricted: bool,
    /// The global value set whose values it has.
    pub(super) value_set: Option<String>,
    /// The objects that it may refer to.
    pub(super) references: Vec<String>,
    /// What the source says and nothing of ours keeps, each as a sentence.
    pub(super) notes: Vec<String>,
}

/// A record type.
#[derive(Debug, Default, Clone)]
pub(super) struct SourceRecordType {
    /// The developer name.
    pub(super) name: String,
    /// What people see.
    pub(super) label: String,
    /// Whether new records may be of it.
    pub(super) active: bool,
    /// Whether records get it if nothing else is said.
    pub(super) default: bool,
    /// The values that its records take of a picklist, by the API name of that.
    pub(super) picklists: BTreeMap<String, Vec<String>>,
}

/// A validation rule.
#[derive(Debug, Default, Clone)]
pub(super) struct SourceRule {
    /// Its name.
    pub(super) name: String,
    /// The formula that refuses a record.
    pub(super) formula: String,
    /// What people are told.
    pub(super) message: String,
    /// The field beside which the message is shown.
    pub(super) field: Option<String>,
    /// Whether it is in force.
    pub(super) active: bool,
}

/// A file that could not be taken, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// The file.
    pub(super) file: String,
    /// The line, where one is known.
    pub(super) line: Option<usize>,
    /// A sentence.
    pub(super) message: String,
}

/// What a source says: its objects by name, and what of it could not be read.
#[derive(Debug, Default)]
pub(super) struct Source {
    pub(super) objects: Vec<SourceObject>,
    pub(super) problems: Vec<Problem>,
}

impl Source {
    /// The object of this name, which is added if it is new.
    pub(super) fn object(&mut self, name: &str) -> &mut SourceObject {
        let at = self.objects.iter().position(|object| object.name == name).unwrap_or_else(|| {
            self.objects.push(SourceObject { name: name.to_owned(), ..SourceObject::default() });
            self.objects.len() - 1
        });
        // The position is that of an object that was found or has just been added.
        #[expect(clippy::indexing_slicing, reason = "the position is valid")]
        &mut self.objects[at]
    }
}
