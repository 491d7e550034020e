//! What differs between two definitions, key by key.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};

/// The names by which entries of a list are told apart, where they have one.
const NAMES: [&str; 3] = ["local", "name", "value"];

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldChange {
    /// Where, as `fields.Region__c.length`; empty for the whole.
    pub path: String,
    /// What is there now.
    pub before: Option<Json>,
    /// What will be.
    pub after: Option<Json>,
}

/// Every difference, in the order of the paths.
pub(super) fn diff(before: Option<&Json>, after: Option<&Json>) -> Vec<FieldChange> {
    let mut found = Vec::new();
    compare("", before, after, &mut found);
    found
}

fn compare(path: &str, before: Option<&Json>, after: Option<&Json>, found: &mut Vec<FieldChange>) {
    if before == after {
        return;
    }
    let named = |json: Option<&Json>| match json {
        Some(Json::Object(entries)) => Some(entries.clone()),
        Some(Json::Array(items)) => by_name(items),
        _ => None,
    };
    match (named(before), named(after)) {
        (Some(was), Some(becomes)) => {
            let keys: BTreeSet<&String> = was.keys().chain(becomes.keys()).collect();
            let known = found.len();
            for key in keys {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                compare(&path, was.get(key), becomes.get(key), found);
            }
            if known == found.len() {
                // The entries are the same, in another order.
                found.push(change(path, before, after));
            }
        }
        _ => found.push(change(path, before, after)),
    }
}

fn change(path: &str, before: Option<&Json>, after: Option<&Json>) -> FieldChange {
    FieldChange { path: path.to_owned(), before: before.cloned(), after: after.cloned() }
}

/// A list of tables that each have a name, by that name.
fn by_name(items: &[Json]) -> Option<Map<String, Json>> {
    let named = |item: &Json| {
        let name = NAMES.iter().find_map(|key| item.get(key)?.as_str())?;
        Some((name.to_owned(), item.clone()))
    };
    let map: Option<Map<String, Json>> = items.iter().map(named).collect();
    map.filter(|map| map.len() == items.len() && !map.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn differences_are_told_where_they_are() {
        let before = json!({"label": "Lead", "fields": {"A": {"type": "text"}, "B": {"type": "text"}},
            "list": [{"local": "X", "from": "Y"}, {"local": "Z", "from": "Z"}], "set": ["a", "b"]});
        let after = json!({"label": "Lead", "fields": {"A": {"type": "text", "length": 3}, "C": {"type": "date"}},
            "list": [{"local": "X", "from": "W"}, {"local": "Z", "from": "Z"}], "set": ["b", "a"]});
        let found = diff(Some(&before), Some(&after));
        let paths: Vec<&str> = found.iter().map(|change| change.path.as_str()).collect();
        assert_eq!(paths, ["fields.A.length", "fields.B", "fields.C", "list.X.from", "set"]);
        assert_eq!((&found[0].before, &found[0].after), (&None, &Some(json!(3))));
        assert_eq!(diff(None, Some(&before)).len(), 1);
        assert_eq!(diff(Some(&before), Some(&before)), []);
        let (one, other) = (json!([{"local": "A"}, {"local": "B"}]), json!([{"local": "B"}, {"local": "A"}]));
        assert_eq!(diff(Some(&one), Some(&other)).len(), 1, "an order is a difference, too");
    }
}
