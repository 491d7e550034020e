//! What tree files add to JSON: `attributes` with the object and the name of a record, values that
//! refer to other records by that name (`@AccountRef1`), and plans of several files.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::{Content, Fault, Item};
use crate::error::{CliError, Result};

/// One file of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// The object of its records.
    pub(crate) object: String,
    /// The file.
    pub(crate) file: PathBuf,
}

/// An entry of a plan. `saveRefs` and `resolveRefs` are not asked: names are always kept.
#[derive(Deserialize)]
struct Entry {
    sobject: String,
    files: Vec<PathBuf>,
}

/// The files of a plan, in the order in which they are imported.
///
/// # Errors
/// The plan cannot be read.
pub(crate) fn read_plan(path: &Path) -> Result<Vec<Step>> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| super::unreadable(&name, &error))?;
    let entries: Vec<Entry> = serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| {
        CliError::refused(format!("{name} is not a plan"))
            .caused_by(&error)
            .hint(r#"A plan is a list of {"sobject": "Account", "files": ["Accounts.json"]}"#)
    })?;
    let beside = path.parent().unwrap_or_else(|| Path::new(""));
    let steps = entries.into_iter().flat_map(|entry| {
        let step = move |file: PathBuf| Step { object: entry.sobject.clone(), file: beside.join(file) };
        entry.files.into_iter().map(step)
    });
    Ok(steps.collect())
}

/// Moves `attributes` out of the fields of a record: the name by which others refer to it is kept,
/// and nested records, which would be lost, are a fault.
pub(crate) fn take_attributes(item: &mut Item) {
    let Content::Fields { fields, reference } = &mut item.content else { return };
    if let Some(Json::Object(attributes)) = fields.shift_remove("attributes") {
        *reference = attributes.get("referenceId").and_then(Json::as_str).map(str::to_owned);
    }
    let nested = fields.iter().find(|(_, value)| value.get("records").is_some_and(Json::is_array));
    if let Some((relation, _)) = nested {
        let message = "it holds records of its own, which are not taken; export them as files of a plan";
        item.fault = Some(Fault::of_column(relation, message));
    }
}

/// The name that a value refers to, as `AccountRef1` for `@AccountRef1`.
pub(crate) fn referred(text: &str) -> Option<&str> {
    text.strip_prefix('@').filter(|name| !name.is_empty())
}

/// The records of an import by the names that the file gives them.
pub(crate) type References = std::collections::BTreeMap<String, String>;

/// Whether `fields` refers to a record that is not in `references` yet.
pub(crate) fn unresolved(fields: &Map<String, Json>, references: &References) -> bool {
    fields.values().filter_map(Json::as_str).filter_map(referred).any(|name| !references.contains_key(name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn item(fields: Json) -> Item {
        let Json::Object(fields) = fields else { panic!() };
        let mut item = Item { line: 1, content: Content::Fields { fields, reference: None }, fault: None };
        take_attributes(&mut item);
        item
    }

    #[test]
    fn attributes_are_no_field() {
        let item = item(json!({"attributes": {"type": "Lead", "referenceId": "LeadRef1"}, "Name": "x"}));
        let Content::Fields { fields, reference } = item.content else { panic!() };
        assert_eq!(reference.as_deref(), Some("LeadRef1"));
        assert_eq!(Json::Object(fields), json!({"Name": "x"}));
        assert_eq!(item.fault, None);
    }

    #[test]
    fn nested_records_are_not_lost_silently() {
        let item = item(json!({"Name": "x", "Contacts": {"records": [{"LastName": "y"}]}}));
        assert_eq!(item.fault.unwrap().column.as_deref(), Some("Contacts"));
    }

    #[test]
    fn plans_list_their_files_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let plan = dir.path().join("plan.json");
        let text = r#"[{"sobject": "A", "saveRefs": true, "files": ["1.json", "2.json"]},
                       {"sobject": "B", "resolveRefs": true, "files": ["/b.json"]}]"#;
        std::fs::write(&plan, text).unwrap();
        let step = |object: &str, file: PathBuf| Step { object: object.to_owned(), file };
        assert_eq!(
            read_plan(&plan).unwrap(),
            [
                step("A", dir.path().join("1.json")),
                step("A", dir.path().join("2.json")),
                step("B", "/b.json".into())
            ]
        );
        std::fs::write(&plan, r#"{"records": []}"#).unwrap();
        assert!(read_plan(&plan).unwrap_err().message().ends_with("is not a plan"));
    }
}
