//! A field of the source as a field of ours, or why it is none.

use tieline_core::limits::{LONG_TEXT_CHARS_MAX, PICKLIST_VALUES_MAX, TEXT_CHARS_MAX};
use tieline_core::reason::quoted;
use tieline_core::schema::{FieldKind, FieldSchema, FieldType, PicklistValue};
use tieline_core::value::Value;
use tieline_core::{FieldName, ObjectName};

use super::source::{SourceField, SourceType};

/// What became of a field: what is kept of it, and what a person has to know.
#[derive(Debug, Default)]
pub(super) struct Converted {
    /// The fields of ours: one, or the parts of a location.
    pub(super) fields: Vec<FieldSchema>,
    /// What differs, each as a sentence.
    pub(super) notes: Vec<String>,
}

/// Fields that every record has, and that no object defines.
const SYSTEM: &[(&str, &str)] = &[
    ("OwnerId", "every record has an owner, who is no field"),
    ("CreatedById", "each org notes its own dates and users"),
    ("CreatedDate", "each org notes its own dates and users"),
    ("LastModifiedById", "each org notes its own dates and users"),
    ("LastModifiedDate", "each org notes its own dates and users"),
    ("SystemModstamp", "each org notes its own dates and users"),
    ("LastViewedDate", "each org notes its own dates and users"),
    ("LastReferencedDate", "each org notes its own dates and users"),
    ("LastActivityDate", "each org notes its own dates and users"),
    ("IsDeleted", "a deleted record is not there"),
    ("RecordTypeId", "record types are kept by name in RecordType"),
];

/// Objects of users, whose ids are texts here.
const USERS: &[&str] = &["User", "Group", "Queue", "Profile", "UserRole"];
/// Objects of a reference to several that are told by name.
const OBJECTS_SHOWN: usize = 4;
/// Most characters that a formula gives.
const FORMULA_CHARS: u32 = 1_300;
/// Characters of an id of the reference system.
const ID_CHARS: u32 = 18;

/// The field for `source`; `base` is the field of this name that a standard object has already.
///
/// # Errors
/// Why it is left out, as a sentence.
pub(super) fn convert(source: &SourceField, base: Option<&FieldSchema>) -> Result<Converted, String> {
    if let Some(base) = base {
        return Ok(over(base, source));
    }
    if let Some((_, reason)) = SYSTEM.iter().find(|(name, _)| *name == source.name) {
        return Err((*reason).to_owned());
    }
    let name: FieldName = source.name.parse().map_err(|error: tieline_core::InvalidId| error.to_string())?;
    let mut notes = source.notes.clone();
    let mut field = typed(name, source, &mut notes)?;
    if let Some(label) = &source.label {
        field.label.clone_from(label);
    }
    describe(&mut field, source, &mut notes);
    let fields = if source.field_type == SourceType::Location { location(&field)? } else { vec![field] };
    Ok(Converted { fields, notes })
}

/// The field with its type and what belongs to the type.
fn typed(name: FieldName, source: &SourceField, notes: &mut Vec<String>) -> Result<FieldSchema, String> {
    use SourceType as S;
    if source.is_formula {
        return Err("it is a formula, and the source does not say which".to_owned());
    }
    let new = |field_type| FieldSchema::new(name.clone(), field_type);
    let text = |length: u32| FieldSchema { length: Some(length), ..new(FieldType::Text) };
    Ok(match source.field_type {
        S::Text | S::TextArea | S::LongText | S::RichText | S::Encrypted | S::Combobox => {
            match source.field_type {
                S::RichText => notes.push("its markup is kept as text".to_owned()),
                S::Encrypted => notes.push("its values are not encrypted in the log".to_owned()),
                S::Combobox => notes.push("became a text: it takes values beside its list".to_owned()),
                _ => {}
            }
            any_text(&name, source, notes)
        }
        S::Email => new(FieldType::Email),
        S::Phone => new(FieldType::Phone),
        S::Url => new(FieldType::Url),
        S::Checkbox => new(FieldType::Boolean),
        S::Number if source.scale.unwrap_or_default() == 0 => {
            FieldSchema { precision: source.precision, ..new(FieldType::Integer) }
        }
        S::Number => number(new(FieldType::Decimal), source),
        S::Currency => number(new(FieldType::Currency), source),
        S::Percent => number(new(FieldType::Percent), source),
        S::Date => new(FieldType::Date),
        S::DateTime => new(FieldType::DateTime),
        S::Time => {
            notes.push("became a text, as 09:30:00.000Z: no type keeps a time alone".to_owned());
            text(ID_CHARS)
        }
        S::Picklist => listed(new(FieldType::Picklist), source, notes)?,
        S::MultiPicklist => listed(new(FieldType::MultiPicklist), source, notes)?,
        S::Reference if source.references.iter().any(|object| USERS.contains(&object.as_str())) => {
            notes.push("became a text with the id: users are no records".to_owned());
            text(ID_CHARS)
        }
        S::Reference => reference(new(FieldType::Reference), source, notes),
        S::Location => FieldSchema { scale: source.scale, ..new(FieldType::Decimal) },
        S::AutoNumber => {
            notes.push("became a text: nothing counts it up, and imports may write it".to_owned());
            text(30)
        }
        S::Unsaid => return Err("its file names no type, and our object has no such field".to_owned()),
        S::Compound => return Err("it is put together from other fields, which are there".to_owned()),
        S::Id => return Err("the id of a record is kept in Salesforce_Id__c".to_owned()),
        S::RollUp => return Err("it is a roll-up of child records; nothing is computed here".to_owned()),
        S::Other => return Err("no type of ours keeps its values".to_owned()),
    })
}

/// The field that a formula is computed into; its expression is added when it is known.
///
/// # Errors
/// No type of ours keeps its values.
pub(super) fn formula(source: &SourceField) -> Result<FieldSchema, String> {
    let name: FieldName = source.name.parse().map_err(|error: tieline_core::InvalidId| error.to_string())?;
    let mut notes = Vec::new();
    let plain = SourceField { is_formula: false, ..source.clone() };
    let mut field = match source.field_type {
        // A formula gives up to 1,300 characters.
        SourceType::Text => {
            FieldSchema { length: Some(FORMULA_CHARS), ..FieldSchema::new(name, FieldType::LongText) }
        }
        _ => typed(name, &plain, &mut notes)?,
    };
    if let Some(label) = &source.label {
        field.label.clone_from(label);
    }
    Ok(FieldSchema { kind: FieldKind::Formula, updatable: false, ..field })
}

fn any_text(name: &FieldName, source: &SourceField, notes: &mut Vec<String>) -> FieldSchema {
    let is_long = matches!(source.field_type, SourceType::LongText | SourceType::RichText);
    let length = source.length.unwrap_or(if is_long { 32_768 } else { TEXT_CHARS_MAX as u32 });
    let field_type =
        if is_long || length as usize > TEXT_CHARS_MAX { FieldType::LongText } else { FieldType::Text };
    let clipped = length.min(LONG_TEXT_CHARS_MAX as u32);
    if clipped < length {
        notes.push(format!("its length of {length} was clipped to {clipped}"));
    }
    FieldSchema { length: Some(clipped), ..FieldSchema::new(name.clone(), field_type) }
}

fn number(field: FieldSchema, source: &SourceField) -> FieldSchema {
    FieldSchema { precision: source.precision, scale: source.scale, ..field }
}

fn listed(field: FieldSchema, source: &SourceField, notes: &mut Vec<String>) -> Result<FieldSchema, String> {
    match (&source.values[..], &source.value_set) {
        ([], Some(set)) => {
            return Err(format!("its values are in the global value set {set}, which is not there"));
        }
        ([], None) => return Err("it is a picklist without values".to_owned()),
        (values, _) if values.len() > PICKLIST_VALUES_MAX => {
            return Err(format!("it has {} values, more than {PICKLIST_VALUES_MAX}", values.len()));
        }
        _ => {}
    }
    // The same value twice is one; the first counts, as it does for who picks.
    let mut values: Vec<PicklistValue> = Vec::with_capacity(source.values.len());
    for value in &source.values {
        if values.iter().any(|known| known.value == value.value) {
            notes.push(format!("its value {} stood twice", quoted(&value.value)));
        } else {
            values.push(value.clone());
        }
    }
    Ok(FieldSchema { values, restricted: source.restricted, ..field })
}

fn reference(field: FieldSchema, source: &SourceField, notes: &mut Vec<String>) -> FieldSchema {
    let references = match &source.references[..] {
        [one] => one.parse::<ObjectName>().ok(),
        [] => None,
        several => {
            let shown = several.get(..OBJECTS_SHOWN).unwrap_or(several).join(", ");
            let more = if several.len() > OBJECTS_SHOWN { ", …" } else { "" };
            notes.push(format!("refers to a record of any object, and not only of {shown}{more}"));
            None
        }
    };
    FieldSchema { references, ..field }
}

/// A location as two numbers, which files of records have as columns of their own.
fn location(field: &FieldSchema) -> Result<Vec<FieldSchema>, String> {
    let stem = field.name.as_str().strip_suffix("__c").unwrap_or(field.name.as_str());
    let part = |part: &str| -> Result<FieldSchema, String> {
        let name = format!("{stem}__{part}__s");
        let name: FieldName = name.parse().map_err(|error: tieline_core::InvalidId| error.to_string())?;
        Ok(FieldSchema { label: format!("{} ({part})", field.label), name, ..field.clone() })
    };
    Ok(vec![part("Latitude")?, part("Longitude")?])
}

/// What is said of a field beside its type.
fn describe(field: &mut FieldSchema, source: &SourceField, notes: &mut Vec<String>) {
    field.tracked = source.tracked;
    field.external_id = source.external_id;
    if source.field_type == SourceType::Location {
        notes.push("became two numbers, its latitude and longitude".to_owned());
    }
    if source.unique && !source.external_id {
        notes.push("two records may have one value: only an external id is meant to be distinct".to_owned());
    }
    if source.required && field.field_type == FieldType::Reference {
        // What comes from a partner has no reference, and would be refused for good.
        notes.push("is not required, so that records can come from a partner".to_owned());
    } else {
        field.required = source.required;
    }
    if let Some(written) = &source.default {
        match default(field, written) {
            Some(value) => field.default = Some(value),
            None if field.field_type == FieldType::Percent => notes.push(format!(
                "its default {} was dropped: where 1 is a hundred per cent there, it is one per cent here",
                quoted(written)
            )),
            None => notes.push(format!("its default {} is computed and was dropped", quoted(written))),
        }
    }
}

/// A default that means the same here: what is in quotes, a number, true or false, a value of the list.
fn default(field: &FieldSchema, written: &str) -> Option<Value> {
    let quoted = ['"', '\''].iter().find_map(|quote| written.strip_prefix(*quote)?.strip_suffix(*quote));
    let is_text = field.field_type.is_text();
    let text = match quoted {
        Some(text) => text,
        // A text without quotes is the name of a field or a function.
        None if is_text || field.field_type == FieldType::Percent => return None,
        None => written,
    };
    let value = Value::from_text(field, text).ok()?;
    value.check(field).is_ok().then_some(value)
}

/// A standard field, with what the source adds. What the standard object says of it stays, where the
/// two disagree: partners rely on it.
fn over(base: &FieldSchema, source: &SourceField) -> Converted {
    let mut field = base.clone();
    let mut notes = Vec::new();
    let given = convert(&SourceField { default: None, ..source.clone() }, None);
    if base.kind == FieldKind::Data
        && let Ok(Converted { fields, notes: told }) = given
        && let [given] = &fields[..]
    {
        let family = |t: FieldType| match t {
            t if t.is_text() => 1,
            t if t.is_decimal() || t == FieldType::Integer => 2,
            other => 3 + other as u32,
        };
        if given.field_type == base.field_type {
            widen(&mut field, given);
            notes.extend(told);
        } else if family(given.field_type) == family(base.field_type) {
            widen_length(&mut field, given, &mut notes);
        } else {
            notes.push(format!("stays a {} field, and was a {} field", base.field_type, given.field_type));
        }
        field.required |= given.required;
        field.tracked |= given.tracked;
        field.external_id |= given.external_id;
        if let Some(written) = &source.default {
            field.default = default(&field, written).or(field.default);
        }
    }
    Converted { fields: vec![field], notes }
}

/// The values of the source, and the longer of two lengths: nothing that was valid becomes invalid.
fn widen(field: &mut FieldSchema, given: &FieldSchema) {
    if !given.values.is_empty() {
        field.values.clone_from(&given.values);
        field.restricted = given.restricted;
    }
    if let (Some(length), Some(given)) = (field.length, given.length) {
        field.length = Some(length.max(given));
    }
    let ((whole, scale), (given_whole, given_scale)) = (field.max_digits(), given.max_digits());
    if field.field_type.is_decimal()
        && (given_whole > whole || given_scale > scale)
        && given.precision.is_some()
    {
        let scale = scale.max(given_scale);
        field.precision = Some(whole.max(given_whole) + scale);
        field.scale = Some(scale);
    }
    if field.references.is_none() {
        field.references.clone_from(&given.references);
    }
}

/// A text of another type: its length, as far as the type of ours goes.
fn widen_length(field: &mut FieldSchema, given: &FieldSchema, notes: &mut Vec<String>) {
    if !field.field_type.is_text()
        || given.field_type != FieldType::Text && given.field_type != FieldType::LongText
    {
        return;
    }
    let wanted = given.max_chars();
    if let Some(length) = field.length.filter(|length| wanted > *length as usize) {
        let most = if field.field_type == FieldType::LongText { LONG_TEXT_CHARS_MAX } else { TEXT_CHARS_MAX };
        let taken = wanted.min(most);
        field.length = u32::try_from(taken).ok().or(Some(length));
        if taken < wanted {
            notes.push(format!("its length of {wanted} was clipped to {taken}"));
        }
    }
}
