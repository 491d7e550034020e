//! Records by the value of a field, as files of other systems name them: `--upsert` finds the record
//! that a row is of, and a column such as `Account.Code__c` finds the record that it refers to.
//!
//! The values of a field are asked of the daemon once, before the first row, and kept up with what
//! the import itself writes: a row finds the record of any row before it. What others write meanwhile
//! is not seen.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};
use tieline_core::schema::FieldSchema;
use tieline_core::value::Value;
use tieline_core::{FieldName, ObjectName};

use crate::client::Client;
use crate::commands::object::Schema;
use crate::commands::record::page::Pages;
use crate::error::{CliError, Result};
use crate::output::plain;

/// A field by whose values records of an object are found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// The object.
    pub(crate) object: ObjectName,
    /// The field.
    pub(crate) field: FieldName,
}

/// The records with one value of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    One(String),
    Several,
}

/// The records of an import's keys.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    keys: BTreeMap<Key, Values>,
}

/// The records by the values of one field.
#[derive(Debug)]
struct Values {
    field: FieldSchema,
    records: BTreeMap<String, Found>,
    /// The value of each record, so that a changed one is not found by what it was.
    values: BTreeMap<String, String>,
}

impl Keys {
    /// Asks the daemon for the values of a key, unless they are known.
    ///
    /// # Errors
    /// The object or the field is not there, or the daemon does not answer.
    pub(crate) fn load(&mut self, client: &Client, key: &Key) -> Result<()> {
        if self.keys.contains_key(key) {
            return Ok(());
        }
        let schema = Schema::fetch(client, key.object.as_str())?;
        let field = schema
            .field(key.field.as_str())
            .ok_or_else(|| CliError::refused(schema.unknown(key.field.as_str())))?;
        self.begin(key.clone(), field.clone());
        Pages::new(client, &key.object, &[]).each(|page| {
            for record in page {
                if let (Some(Json::Object(fields)), Some(id)) =
                    (record.get("fields"), record.get("id").and_then(Json::as_str))
                {
                    self.learn(&key.object, fields, id);
                }
            }
            Ok(())
        })
    }

    fn begin(&mut self, key: Key, field: FieldSchema) {
        self.keys.insert(key, Values { field, records: BTreeMap::new(), values: BTreeMap::new() });
    }

    /// Whether a key is of this object: what is written to it may be looked for later.
    pub(crate) fn has(&self, object: &str) -> bool {
        self.keys.keys().any(|key| key.object.as_str() == object)
    }

    /// Notes the values of a record that was written.
    pub(crate) fn learn(&mut self, object: &ObjectName, fields: &Map<String, Json>, id: &str) {
        for (key, values) in self.keys.iter_mut().filter(|(key, _)| key.object == *object) {
            let Some(text) = fields.get(key.field.as_str()).map(plain).filter(|text| !text.is_empty()) else {
                continue;
            };
            values.learn(normal(&values.field, &text), id);
        }
    }

    /// The record with this value; none if there is none.
    ///
    /// # Errors
    /// Several records have it: a sentence.
    pub(crate) fn find(&self, key: &Key, text: &str) -> Result<Option<&str>, String> {
        let Some(values) = self.keys.get(key) else { return Ok(None) };
        match values.records.get(&normal(&values.field, text)) {
            None => Ok(None),
            Some(Found::One(id)) => Ok(Some(id)),
            Some(Found::Several) => {
                let Key { object, field } = key;
                Err(format!("several records of {object} have {field} {text}; make it distinct first"))
            }
        }
    }
}

impl Values {
    fn learn(&mut self, text: String, id: &str) {
        match self.values.insert(id.to_owned(), text.clone()) {
            Some(before) if before == text => return,
            Some(before) if self.records.get(&before) == Some(&Found::One(id.to_owned())) => {
                self.records.remove(&before);
            }
            _ => {}
        }
        let found = match self.records.contains_key(&text) {
            true => Found::Several,
            false => Found::One(id.to_owned()),
        };
        self.records.insert(text, found);
    }
}

/// The one text of a value, as `7` for `07` in a field of whole numbers.
fn normal(field: &FieldSchema, text: &str) -> String {
    Value::from_text(field, text).map_or_else(|_| text.to_owned(), |value| value.to_text())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tieline_core::schema::FieldType;

    use super::*;

    fn keys(field_type: FieldType) -> (Keys, Key) {
        let key = Key { object: "Account".parse().unwrap(), field: "Code__c".parse().unwrap() };
        let mut keys = Keys::default();
        keys.begin(key.clone(), FieldSchema::new(key.field.clone(), field_type));
        (keys, key)
    }

    fn learn(keys: &mut Keys, key: &Key, value: Json, id: &str) {
        let Json::Object(fields) = json!({ "Code__c": value, "Name": "x" }) else { panic!() };
        keys.learn(&key.object, &fields, id);
    }

    #[test]
    fn records_are_found_by_value() {
        let (mut keys, key) = keys(FieldType::Integer);
        learn(&mut keys, &key, json!(7), "a");
        learn(&mut keys, &key, json!(null), "b");
        assert_eq!(keys.find(&key, "07"), Ok(Some("a")));
        assert_eq!(keys.find(&key, "8"), Ok(None));
        assert_eq!(keys.find(&key, ""), Ok(None));
    }

    #[test]
    fn one_value_of_two_records_finds_neither() {
        let (mut keys, key) = keys(FieldType::Text);
        learn(&mut keys, &key, json!("x"), "a");
        learn(&mut keys, &key, json!("x"), "a");
        assert_eq!(keys.find(&key, "x"), Ok(Some("a")));
        learn(&mut keys, &key, json!("x"), "b");
        assert!(keys.find(&key, "x").unwrap_err().contains("several records of Account have Code__c x"));
        assert_eq!(keys.find(&key, "X"), Ok(None), "case counts");
    }

    #[test]
    fn a_changed_record_is_found_by_what_it_is() {
        let (mut keys, key) = keys(FieldType::Text);
        learn(&mut keys, &key, json!("x"), "a");
        learn(&mut keys, &key, json!("y"), "a");
        learn(&mut keys, &key, json!("x"), "b");
        assert_eq!((keys.find(&key, "y"), keys.find(&key, "x")), (Ok(Some("a")), Ok(Some("b"))));
    }
}
