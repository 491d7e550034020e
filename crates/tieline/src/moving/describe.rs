//! Metadata of a recorded describe: the JSON that the reference system answers of one object.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value as Json;
use tieline_core::schema::PicklistValue;

use super::source::{Problem, Source, SourceField, SourceObject, SourceRecordType, SourceType};
use super::xml::FILE_BYTES_MAX;

/// What is asked of a describe; the rest is passed over.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Described {
    name: String,
    label: Option<String>,
    #[serde(default)]
    custom_setting: bool,
    fields: Vec<DescribedField>,
    #[serde(default)]
    record_type_infos: Vec<DescribedType>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DescribedType {
    developer_name: Option<String>,
    #[serde(default)]
    name: String,
    #[serde(default)]
    active: bool,
    #[serde(default)]
    master: bool,
    #[serde(default)]
    default_record_type_mapping: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct DescribedField {
    name: String,
    label: Option<String>,
    #[serde(rename = "type")]
    field_type: String,
    calculated: bool,
    auto_number: bool,
    length: u32,
    precision: u8,
    scale: u8,
    digits: u8,
    nillable: bool,
    createable: bool,
    defaulted_on_create: bool,
    default_value: Json,
    default_value_formula: Option<String>,
    #[serde(default)]
    calculated_formula: Option<String>,
    #[serde(default)]
    formula_treat_null_number_as_zero: bool,
    external_id: bool,
    unique: bool,
    picklist_values: Vec<DescribedValue>,
    restricted_picklist: bool,
    controller_name: Option<String>,
    reference_to: Vec<String>,
    name_field: bool,
    extra_type_info: Option<String>,
}

#[derive(Deserialize)]
struct DescribedValue {
    value: Option<String>,
    label: Option<String>,
    #[serde(default)]
    active: bool,
}

/// Reads one describe into `source`. What is none of one object is a problem of the source.
pub(super) fn read(file: &Path, source: &mut Source) {
    match load(file) {
        Ok(described) => source.objects.push(object(described)),
        Err((line, message)) => {
            source.problems.push(Problem { file: file.display().to_string(), line, message });
        }
    }
}

fn load(file: &Path) -> Result<Described, (Option<usize>, String)> {
    let unreadable = |error: std::io::Error| (None, error.to_string());
    let length = std::fs::metadata(file).map_err(unreadable)?.len();
    if length > FILE_BYTES_MAX {
        return Err((None, format!("it has {length} bytes, more than {FILE_BYTES_MAX}")));
    }
    let text = std::fs::read_to_string(file).map_err(unreadable)?;
    serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| {
        let lists = serde_json::from_str::<Json>(&text).is_ok_and(|json| json.get("sobjects").is_some());
        let message = if lists {
            "it lists objects and describes none; record the describe of each object".to_owned()
        } else {
            format!("not the describe of an object: {error}")
        };
        (Some(error.line()), message)
    })
}

fn object(described: Described) -> SourceObject {
    let record_types = described.record_type_infos.into_iter().filter(|known| !known.master);
    SourceObject {
        label: described.label,
        // A name that is put together from others is no field of ours.
        name_field: described
            .fields
            .iter()
            .find(|field| field.name_field && field.extra_type_info.as_deref() != Some("personname"))
            .map(|field| field.name.clone()),
        unfit: described
            .custom_setting
            .then_some("a custom setting holds settings of the org and no records"),
        record_types: record_types
            .map(|known| SourceRecordType {
                name: known.developer_name.unwrap_or_else(|| known.name.replace(' ', "_")),
                label: known.name,
                active: known.active,
                default: known.active && known.default_record_type_mapping,
                picklists: BTreeMap::new(),
            })
            .collect(),
        fields: described.fields.into_iter().map(field).collect(),
        name: described.name,
        ..SourceObject::default()
    }
}

fn field(described: DescribedField) -> SourceField {
    let DescribedField { name_field, extra_type_info, .. } = &described;
    let is_text_area = described.field_type == "textarea" && described.length > 255;
    let field_type = match SourceType::named(&described.field_type) {
        _ if described.auto_number => SourceType::AutoNumber,
        _ if *name_field && extra_type_info.as_deref() == Some("personname") => SourceType::Compound,
        // Its parts are listed beside it.
        SourceType::Location => SourceType::Compound,
        SourceType::TextArea if extra_type_info.as_deref() == Some("richtextarea") => SourceType::RichText,
        SourceType::TextArea if is_text_area => SourceType::LongText,
        other => other,
    };
    let default = match &described.default_value {
        Json::Bool(truth) => Some(truth.to_string()),
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        _ => described.default_value_formula.clone(),
    };
    let some = |digits: u8| (digits > 0).then_some(digits);
    let mut field = SourceField {
        required: !described.nillable
            && described.createable
            && !described.defaulted_on_create
            && field_type != SourceType::Checkbox,
        length: (described.length > 0).then_some(described.length),
        // A whole number has digits and no precision.
        precision: some(described.precision).or_else(|| some(described.digits)),
        scale: Some(described.scale),
        is_formula: described.calculated,
        formula: described.calculated_formula,
        blank_as_zero: described.formula_treat_null_number_as_zero,
        values: described.picklist_values.into_iter().filter_map(value).collect(),
        restricted: described.restricted_picklist,
        references: described.reference_to,
        external_id: described.external_id,
        unique: described.unique,
        name: described.name,
        label: described.label,
        field_type,
        default,
        ..SourceField::default()
    };
    if let Some(other) = described.controller_name {
        field.notes.push(format!("all its values are taken, whatever {other} is"));
    }
    field
}

fn value(described: DescribedValue) -> Option<PicklistValue> {
    let value = described.value.filter(|value| !value.is_empty())?;
    let label = described.label.filter(|label| *label != value).unwrap_or_default();
    Some(PicklistValue { value: value.into(), label: label.into(), active: described.active })
}
