//! The configuration that an org has, as files: applied elsewhere, they give the same.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::{Source, nouns};
use crate::state::State;

/// The files of everything that can be set. Connections are those that are agreed or may be.
#[must_use]
pub fn export(state: &State) -> Vec<Source> {
    let mut files: BTreeMap<String, Map<String, Json>> = BTreeMap::new();
    nouns::for_each(state, |connection, noun, name, shown| {
        let (file, head) = match connection {
            Some(connection) => {
                let selector = state.selector(connection);
                let stem = connection.partner.as_ref().filter(|partner| partner.as_str() == selector);
                let stem = stem.map_or_else(|| connection.id.to_string(), ToString::to_string);
                (format!("connections/{stem}.toml"), Some(("connection", selector)))
            }
            None if noun.name == nouns::OBJECTS.name => {
                (format!("objects/{name}.toml"), Some(("object", name.to_owned())))
            }
            None => (format!("{}.toml", noun.name), None),
        };
        let entries = files.entry(file).or_default();
        if let Some((key, value)) = head {
            entries.insert(key.to_owned(), value.into());
        }
        match shown {
            Json::Object(shown) if noun.name == nouns::OBJECTS.name => entries.extend(shown),
            shown if noun.single => drop(entries.insert(noun.name.to_owned(), shown)),
            shown => {
                let items = entries.entry(noun.name).or_insert_with(|| Map::new().into());
                if let Json::Object(items) = items {
                    items.insert(name.to_owned(), shown);
                }
            }
        }
    });
    files.into_iter().map(|(name, entries)| Source { name, text: text(entries) }).collect()
}

fn text(entries: Map<String, Json>) -> String {
    let table: toml::Table =
        entries.into_iter().filter_map(|(key, value)| Some((key, toml_of(value)?))).collect();
    // A table of texts, numbers and tables is always TOML.
    toml::to_string_pretty(&table).unwrap_or_default()
}

/// JSON as TOML, which has no null.
fn toml_of(json: Json) -> Option<toml::Value> {
    Some(match json {
        Json::Null => return None,
        Json::Bool(truth) => truth.into(),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => integer.into(),
            None => number.as_f64()?.into(),
        },
        Json::String(text) => text.into(),
        Json::Array(items) => toml::Value::Array(items.into_iter().filter_map(toml_of).collect()),
        Json::Object(entries) => {
            let entries = entries.into_iter().filter_map(|(key, value)| Some((key, toml_of(value)?)));
            toml::Value::Table(entries.collect())
        }
    })
}
