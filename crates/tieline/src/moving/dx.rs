//! Metadata of a source tree: one file for each object, field, rule, record type and value set, or
//! one file for an object with all of them, as the older form has it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tieline_core::schema::PicklistValue;

use super::source::{Problem, Source, SourceField, SourceObject, SourceRecordType, SourceRule, SourceType};
use super::xml::{self, Element, FILE_BYTES_MAX};
use crate::error::{CliError, Result};

/// Deepest directory below the one that is named.
const DEPTH_MAX: usize = 24;
/// Most files and directories that are looked at.
const ENTRIES_MAX: usize = 500_000;

/// What a file of metadata is, by the end of its name.
const KINDS: [(&str, &str); 9] = [
    ("object", ".object-meta.xml"),
    ("object", ".object"),
    ("field", ".field-meta.xml"),
    ("rule", ".validationRule-meta.xml"),
    ("record_type", ".recordType-meta.xml"),
    ("global_set", ".globalValueSet-meta.xml"),
    ("global_set", ".globalValueSet"),
    ("standard_set", ".standardValueSet-meta.xml"),
    ("standard_set", ".standardValueSet"),
];

/// Which standard fields have the values of a standard value set.
const STANDARD_SETS: &[(&str, &str, &[&str])] = &[
    ("AccountType", "Type", &["Account"]),
    ("AccountRating", "Rating", &["Account", "Lead"]),
    ("CaseOrigin", "Origin", &["Case"]),
    ("CasePriority", "Priority", &["Case"]),
    ("CaseReason", "Reason", &["Case"]),
    ("CaseStatus", "Status", &["Case"]),
    ("CaseType", "Type", &["Case"]),
    ("Industry", "Industry", &["Account", "Lead"]),
    ("LeadSource", "LeadSource", &["Account", "Contact", "Lead", "Opportunity"]),
    ("LeadStatus", "Status", &["Lead"]),
    ("OpportunityStage", "StageName", &["Opportunity"]),
    ("OpportunityType", "Type", &["Opportunity"]),
    ("Salutation", "Salutation", &["Contact", "Lead"]),
    ("TaskPriority", "Priority", &["Task"]),
    ("TaskStatus", "Status", &["Task"]),
];

/// Reads every file of metadata below `dir`.
///
/// # Errors
/// The directory cannot be read. A file that cannot be is a problem of the source, and no error.
pub(super) fn read(dir: &Path) -> Result<Source> {
    let mut files = Vec::new();
    find(dir, 0, &mut 0, &mut files)?;
    // The order of a directory is that of the disk; ours is that of the names.
    files.sort();
    let mut source = Source::default();
    let (mut sets, mut standard) = (BTreeMap::new(), BTreeMap::new());
    for (file, kind, name) in &files {
        let root = match load(file) {
            Ok(root) => root,
            Err(problem) => {
                source.problems.push(problem);
                continue;
            }
        };
        match *kind {
            "object" => add_object(source.object(name), &root),
            "global_set" => drop(sets.insert(name.clone(), Values::of(&root, "customValue"))),
            "standard_set" => drop(standard.insert(name.clone(), Values::of(&root, "standardValue"))),
            kind => match owner(file) {
                Some(object) => add_part(source.object(&object), kind, name, &root),
                None => source.problems.push(Problem {
                    file: file.display().to_string(),
                    line: None,
                    message: "its directory does not say of which object it is; it stands in objects/NAME/…"
                        .to_owned(),
                }),
            },
        }
    }
    standard.into_iter().for_each(|(name, values)| add_standard(&mut source, &name, &values));
    for field in source.objects.iter_mut().flat_map(|object| &mut object.fields) {
        let set: Option<&Values> = field.value_set.as_ref().and_then(|set| sets.get(set));
        if let Some(set) = set {
            set.give(field);
        }
    }
    Ok(source)
}

fn find(
    dir: &Path,
    depth: usize,
    seen: &mut usize,
    files: &mut Vec<(PathBuf, &'static str, String)>,
) -> Result<()> {
    let unreadable = |error| crate::import::unreadable(&dir.display().to_string(), &error);
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        *seen += 1;
        if *seen > ENTRIES_MAX || depth > DEPTH_MAX {
            let text = format!("{} holds too many or too deep directories", dir.display());
            return Err(CliError::refused(text).hint("Name the directory that holds objects/"));
        }
        // Links are not followed: they may lead around in a circle, or out of the tree.
        let kind = entry.file_type().map_err(unreadable)?;
        if kind.is_dir() {
            find(&entry.path(), depth + 1, seen, files)?;
        } else if kind.is_file()
            && let Some(file_name) = entry.file_name().to_str()
            && let Some((kind, end)) = KINDS.iter().find(|(_, end)| file_name.ends_with(end))
        {
            let name = file_name.strip_suffix(end).unwrap_or_default().to_owned();
            files.push((entry.path(), kind, name));
        }
    }
    Ok(())
}

fn load(file: &Path) -> Result<Element, Problem> {
    let problem = |line, message: String| Problem { file: file.display().to_string(), line, message };
    let length = fs::metadata(file).map_err(|error| problem(None, error.to_string()))?.len();
    if length > FILE_BYTES_MAX {
        return Err(problem(None, format!("it has {length} bytes, more than {FILE_BYTES_MAX}")));
    }
    let text = fs::read_to_string(file).map_err(|error| problem(None, error.to_string()))?;
    xml::parse(&text).map_err(|error| problem(Some(error.line), error.message))
}

/// The object in whose directory a file of one of its parts stands: `objects/Lead/fields/…`.
fn owner(file: &Path) -> Option<String> {
    Some(file.parent()?.parent()?.file_name()?.to_str()?.to_owned())
}

fn add_object(object: &mut SourceObject, root: &Element) {
    object.label = root.child("label").map(str::to_owned);
    if root.first("customSettingsType").is_some() {
        object.unfit = Some("a custom setting holds settings of the org and no records");
    }
    if let Some(name) = root.first("nameField") {
        object.name_field = Some("Name".to_owned());
        let mut field = field("Name", name);
        // A name of one's own text is always needed.
        field.required = field.field_type == SourceType::Text;
        field.length = field.length.or(Some(80));
        object.fields.insert(0, field);
    }
    for (kind, tag) in [("field", "fields"), ("rule", "validationRules"), ("record_type", "recordTypes")] {
        for part in root.all(tag) {
            let name = part.child("fullName").unwrap_or_default().to_owned();
            add_part(object, kind, &name, part);
        }
    }
}

fn add_part(object: &mut SourceObject, kind: &str, name: &str, root: &Element) {
    // The file name of a part may have characters escaped; what it says itself counts.
    let name = root.child("fullName").unwrap_or(name);
    match kind {
        "field" => object.fields.push(field(name, root)),
        "rule" => object.rules.push(SourceRule {
            name: name.to_owned(),
            formula: root.child("errorConditionFormula").unwrap_or_default().to_owned(),
            message: root.child("errorMessage").unwrap_or_default().to_owned(),
            field: root.child("errorDisplayField").map(str::to_owned),
            active: root.flag("active"),
        }),
        _ => object.record_types.push(record_type(name, root)),
    }
}

fn record_type(name: &str, root: &Element) -> SourceRecordType {
    let picklist = |part: &Element| {
        let values = part.all("values").filter_map(|value| value.child("fullName").map(plain));
        Some((part.child("picklist")?.to_owned(), values.collect()))
    };
    SourceRecordType {
        name: name.to_owned(),
        label: root.child("label").unwrap_or_default().to_owned(),
        active: root.child("active") != Some("false"),
        default: false,
        picklists: root.all("picklistValues").filter_map(picklist).collect(),
    }
}

/// A value of a record type, which is written as in a URL: `R%26D`.
fn plain(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = tail.first_chunk::<2>().filter(|_| *first == b'%');
        let byte = escaped.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        out.push(byte.unwrap_or(*first));
        rest = tail.get(if byte.is_some() { 2 } else { 0 }..).unwrap_or_default();
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

/// The values of a standard picklist, which are kept beside the objects.
fn add_standard(source: &mut Source, name: &str, values: &Values) {
    let Some((_, field, objects)) = STANDARD_SETS.iter().find(|(set, ..)| *set == name) else { return };
    for object in *objects {
        let fields = &mut source.object(object).fields;
        if let Some(known) = fields.iter_mut().find(|known| known.name == *field) {
            known.field_type = SourceType::Picklist;
            values.give(known);
        } else {
            let mut known = SourceField { name: (*field).to_owned(), ..SourceField::default() };
            known.field_type = SourceType::Picklist;
            values.give(&mut known);
            fields.push(known);
        }
    }
}

fn field(name: &str, root: &Element) -> SourceField {
    let text = |tag| root.child(tag).filter(|text| !text.is_empty()).map(str::to_owned);
    let mut field = SourceField {
        name: name.to_owned(),
        label: text("label"),
        field_type: root.child("type").map_or(SourceType::Unsaid, SourceType::named),
        is_formula: root.first("formula").is_some(),
        formula: text("formula"),
        blank_as_zero: root.child("formulaTreatBlanksAs") != Some("BlankAsBlank"),
        length: root.child("length").and_then(|length| length.parse().ok()),
        precision: root.child("precision").and_then(|digits| digits.parse().ok()),
        scale: root.child("scale").and_then(|digits| digits.parse().ok()),
        // A master-detail is always needed.
        required: root.flag("required") || root.child("type") == Some("MasterDetail"),
        default: text("defaultValue"),
        external_id: root.flag("externalId"),
        unique: root.flag("unique"),
        tracked: root.flag("trackHistory"),
        references: root.texts("referenceTo").map(str::to_owned).collect(),
        ..SourceField::default()
    };
    if root.first("lookupFilter").is_some() {
        field.notes.push("its lookup filter is dropped".to_owned());
    }
    if let Some(set) = root.first("valueSet") {
        field.restricted = set.flag("restricted");
        field.value_set = set.child("valueSetName").map(str::to_owned);
        if let Some(other) = set.child("controllingField") {
            field.notes.push(format!("all its values are taken, whatever {other} is"));
        }
        if let Some(definition) = set.first("valueSetDefinition") {
            Values::of(definition, "value").give(&mut field);
        }
    } else if let Some(list) = root.first("picklist") {
        // The form of older versions.
        field.restricted = list.flag("restrictedPicklist");
        Values::of(list, "picklistValues").give(&mut field);
    }
    field
}

/// The values of a picklist, and the one that a new record gets.
#[derive(Debug, Clone)]
struct Values {
    list: Vec<PicklistValue>,
    default: Option<String>,
}

impl Values {
    fn of(root: &Element, tag: &str) -> Self {
        let name = |value: &Element| value.child("fullName").unwrap_or_default().to_owned();
        let list = root.all(tag).map(|value| {
            let name = name(value);
            let label = value.child("label").filter(|label| *label != name).unwrap_or_default();
            let active = value.child("isActive") != Some("false");
            PicklistValue { label: label.into(), active, ..PicklistValue::new(name) }
        });
        let default = root.all(tag).find(|value| value.flag("default")).map(name);
        Self { list: list.collect(), default }
    }

    fn give(&self, field: &mut SourceField) {
        field.values.clone_from(&self.list);
        field.default.clone_from(&self.default);
    }
}
