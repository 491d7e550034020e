//! JSON files: a list of objects, one object a line, or the answer of a query `{"records": […]}`.
//!
//! The file is split into its records without decoding them, so that each keeps the line where it
//! begins. In a file of one object a line, a bad line is a bad record; brackets that do not match in
//! a list make the whole file unreadable, and then nothing of it is imported.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json};

use super::{Content, Fault, Item, Records};
use crate::error::{CliError, Result};

/// The records of a JSON file.
#[derive(Debug)]
pub(crate) struct Objects {
    columns: Vec<String>,
    items: std::vec::IntoIter<(u64, Item)>,
    position: u64,
}

/// The form in which Salesforce writes records: the answer of a query, and a tree file.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    records: Vec<&'a RawValue>,
}

impl Objects {
    /// Reads a file whose name for errors is `name`.
    ///
    /// # Errors
    /// It is not JSON, or another document.
    pub(crate) fn new(bytes: Vec<u8>, name: &str) -> Result<Self> {
        let text = String::from_utf8(bytes).map_err(|error| {
            let line =
                1 + count_lines(error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default());
            CliError::refused(format!("Line {line} of {name} is not UTF-8"))
                .hint("Save the file in UTF-8 and import that")
        })?;
        let text = text.trim_start_matches('\u{feff}');
        let records = split(text).map_err(|error| not_json(name, &error))?;
        let mut line = 1;
        let mut seen = 0;
        let mut items = Vec::with_capacity(records.len());
        for record in records {
            line += count_lines(text.as_bytes().get(seen..record.start).unwrap_or_default());
            seen = record.start;
            items.push((record.start as u64, item(line, record.text)));
        }
        refuse_plan(&items, name)?;
        Ok(Self { columns: columns(&items), items: items.into_iter(), position: 0 })
    }
}

impl Records for Objects {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn next(&mut self) -> Result<Option<Item>> {
        let next = self.items.next();
        Ok(next.map(|(position, item)| {
            self.position = position;
            item
        }))
    }

    fn position(&self) -> u64 {
        self.position
    }
}

/// The text of one record, and where it begins in the file.
struct Record<'a> {
    start: usize,
    text: &'a str,
}

fn split(text: &str) -> Result<Vec<Record<'_>>, serde_json::Error> {
    let within = |part: &str| part.as_ptr() as usize - text.as_ptr() as usize;
    let of_list = |records: Vec<&'_ RawValue>| {
        records.into_iter().map(RawValue::get).map(|text| (within(text), text.to_owned())).collect::<Vec<_>>()
    };
    let listed = if text.trim_start().starts_with('[') {
        Some(of_list(serde_json::from_str(text)?))
    } else {
        match serde_json::from_str::<Answer<'_>>(text) {
            Ok(answer) => Some(of_list(answer.records)),
            // One document that is broken, unless its first line stands for itself.
            Err(error) if !first_line_is_whole(text) => return Err(error),
            Err(_) => None,
        }
    };
    if let Some(listed) = listed {
        return Ok(listed
            .into_iter()
            .filter_map(|(start, t)| Some(Record { start, text: text.get(start..start + t.len())? }))
            .collect());
    }
    let lines = text.lines().map(|line| Record { start: within(line), text: line.trim() });
    Ok(lines.filter(|record| !record.text.is_empty()).collect())
}

fn first_line_is_whole(text: &str) -> bool {
    let first = text.lines().find(|line| !line.trim().is_empty());
    first.is_none_or(|line| {
        serde_json::from_str::<&RawValue>(line.trim()).is_ok_and(|v| v.get().starts_with('{'))
    })
}

fn item(line: u64, text: &str) -> Item {
    let (fields, fault) = match serde_json::from_str::<Json>(text) {
        Ok(Json::Object(fields)) => (fields, None),
        Ok(_) => (Map::new(), Some(Fault::new("it is not an object, so it names no fields"))),
        Err(error) => (Map::new(), Some(Fault::new(format!("it is not JSON: {error}")))),
    };
    let mut item = Item { line, content: Content::Fields { fields, reference: None }, fault };
    super::tree::take_attributes(&mut item);
    item
}

/// The keys of all records, in the order in which they come first.
fn columns(items: &[(u64, Item)]) -> Vec<String> {
    let mut known = BTreeSet::new();
    let mut columns = Vec::new();
    for (_, item) in items {
        let Content::Fields { fields, .. } = &item.content else { continue };
        for key in fields.keys() {
            if known.insert(key.as_str()) {
                columns.push(key.clone());
            }
        }
    }
    columns
}

fn refuse_plan(items: &[(u64, Item)], name: &str) -> Result<()> {
    let is_plan = items.first().is_some_and(|(_, item)| match &item.content {
        Content::Fields { fields, .. } => fields.contains_key("sobject") && fields.contains_key("files"),
        Content::Cells(_) => false,
    });
    if !is_plan {
        return Ok(());
    }
    Err(CliError::usage(format!("{name} is a plan, which names files of records"))
        .hint(format!("Import all of them with tieline record import --plan {name}")))
}

fn not_json(name: &str, error: &serde_json::Error) -> CliError {
    CliError::refused(format!("{name} is not JSON, so nothing of it was imported"))
        .caused_by(error)
        .hint("It must hold a list of objects, one object a line, or {\"records\": […]}")
}

fn count_lines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The records as `line: fields` or `line! fault`.
    fn read(text: &str) -> Vec<String> {
        let mut objects = Objects::new(text.as_bytes().to_vec(), "f.json").unwrap();
        let mut seen = Vec::new();
        while let Some(item) = objects.next().unwrap() {
            let Content::Fields { fields, .. } = item.content else { panic!() };
            seen.push(match item.fault {
                None => format!("{}: {}", item.line, Json::Object(fields)),
                Some(fault) => format!("{}! {fault}", item.line),
            });
        }
        seen
    }

    #[test]
    fn files_as_tools_write_them() {
        for (text, expected) in [
            ("[]", vec![]),
            ("", vec![]),
            ("[{\"a\": 1}, {\"a\": 2}]", vec![r#"1: {"a":1}"#, r#"1: {"a":2}"#]),
            ("\u{feff}\r\n[\r\n{\"a\":\r\n1},\r\n{}\r\n]\r\n", vec![r#"3: {"a":1}"#, "5: {}"]),
            ("{\"a\": 1}\n\n{\"a\": 2}\r\n", vec![r#"1: {"a":1}"#, r#"3: {"a":2}"#]),
            ("{\"totalSize\": 1,\n\"records\": [\n {\"a\": 1}]}", vec![r#"3: {"a":1}"#]),
            ("{\n \"records\": [\n  {\n   \"a\": null\n  }\n ]\n}", vec![r#"3: {"a":null}"#]),
        ] {
            assert_eq!(read(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_bad_record_is_named_and_the_others_go_on() {
        assert_eq!(
            read("{\"a\": 1}\n{\"a\": }\n[1]\n{\"a\": 4}\n"),
            [
                r#"1: {"a":1}"#,
                "2! it is not JSON: expected value at line 1 column 7",
                "3! it is not an object, so it names no fields",
                r#"4: {"a":4}"#
            ]
        );
        assert_eq!(read("[1,\n{}]"), ["1! it is not an object, so it names no fields", "2: {}"]);
    }

    #[test]
    fn a_file_that_is_no_json_is_refused() {
        for text in ["[{\"a\": 1}, {", "name,age\n1,2\n", "{\n \"a\": \n}", "[1] [2]", "\"x\""] {
            let error = Objects::new(text.as_bytes().to_vec(), "f.json").unwrap_err();
            assert!(error.message().starts_with("f.json is not JSON"), "{text}: {error}");
        }
        let error = Objects::new(b"[\n{\"a\":\"\xe9\"}]".to_vec(), "f.json").unwrap_err();
        assert_eq!(error.message(), "Line 2 of f.json is not UTF-8");
        let deep = format!("[{}]", "[".repeat(200_000));
        assert!(Objects::new(deep.into_bytes(), "f.json").is_err());
    }

    #[test]
    fn columns_are_the_keys_of_all_records() {
        let text = r#"[{"b": 1, "attributes": {"type": "Lead"}}, {"a": 1, "b": 2}, 7]"#;
        assert_eq!(Objects::new(text.as_bytes().to_vec(), "f").unwrap().columns(), ["b", "a"]);
    }

    #[test]
    fn a_plan_is_told_apart() {
        let text = r#"[{"sobject": "Account", "files": ["Accounts.json"]}]"#;
        let error = Objects::new(text.as_bytes().to_vec(), "plan.json").unwrap_err();
        assert!(error.to_string().contains("--plan plan.json"), "{error}");
    }
}
