//! A subscribe rule from the options of the command line.
//!
//! The options are read into types when the command line is parsed, so that a slip of the pen is a
//! usage error that names the option. What they say of fields that the rule does not have is
//! refused here; everything else is the daemon's to judge.

use std::str::FromStr;

use serde_json::{Map, Value as Json, json};
use tieline_core::FieldName;

use crate::commands::object::Schema;
use crate::error::{CliError, Result};

/// `REMOTE=LOCAL`, or one name for both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldPair {
    pub(super) remote: FieldName,
    pub(super) local: FieldName,
}

impl FromStr for FieldPair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (remote, local) = text.split_once('=').unwrap_or((text, text));
        Ok(Self { remote: name(remote)?, local: name(local)? })
    }
}

/// `LOCAL=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assignment {
    field: FieldName,
    value: String,
}

impl FromStr for Assignment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (field, value) = text.split_once('=').ok_or("write it as Field=value")?;
        Ok(Self { field: name(field)?, value: value.to_owned() })
    }
}

/// `FIELD:VALUE=VALUE,…`; a backslash takes the meaning from a comma, an equals sign or itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Picklist {
    field: FieldName,
    values: Vec<(String, String)>,
}

impl FromStr for Picklist {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORM: &str = "write it as Field:Theirs=Ours,Theirs=Ours, with \\, and \\= inside a value";
        let (field, table) = text.split_once(':').ok_or(FORM)?;
        let pair = |entry: String| -> Result<(String, String), String> {
            match split(&entry, '=').as_slice() {
                [theirs, ours] => Ok((plain(theirs), plain(ours))),
                _ => Err(FORM.to_owned()),
            }
        };
        let values = split(table, ',').into_iter().map(pair).collect::<Result<_, _>>()?;
        Ok(Self { field: name(field)?, values })
    }
}

/// `[FIELD:]keep|reject|default=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Policy {
    field: Option<FieldName>,
    policy: Json,
}

impl FromStr for Policy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A colon behind an equals sign belongs to the value.
        let before_value = text.split('=').next().unwrap_or_default();
        let (field, policy) = match before_value.find(':') {
            Some(colon) => (Some(name(&text[..colon])?), &text[colon + 1..]),
            None => (None, text),
        };
        let policy = match policy.split_once('=') {
            Some(("default", value)) => json!({ "default": value }),
            None if policy == "keep" || policy == "reject" => json!(policy),
            _ => {
                return Err(
                    "write keep, reject or default=VALUE, with Field: before it for one field".to_owned()
                );
            }
        };
        Ok(Self { field, policy })
    }
}

/// A rule that is being put together: one entry for each field here, as the API takes it.
#[derive(Debug, Default)]
pub(crate) struct Rule {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    pub(super) local: FieldName,
    remote: Option<FieldName>,
    picklist: Option<Map<String, Json>>,
    rest: Map<String, Json>,
}

impl Entry {
    fn new(local: FieldName, remote: Option<FieldName>) -> Self {
        Self { local, remote, picklist: None, rest: Map::new() }
    }

    fn picklist(&mut self) -> &mut Map<String, Json> {
        self.picklist.get_or_insert_default()
    }
}

impl Rule {
    pub(crate) fn new(pairs: Vec<FieldPair>) -> Self {
        Self { entries: pairs.into_iter().map(|pair| Entry::new(pair.local, Some(pair.remote))).collect() }
    }

    /// Adds every published field that can be written here under its own name, unless it is mapped
    /// already.
    pub(crate) fn add_same(&mut self, published: &[FieldName], schema: &Schema) {
        for field in published {
            let mapped = self.entries.iter().any(|e| e.local == *field || e.remote.as_ref() == Some(field));
            if !mapped && schema.writable(field.as_str()) {
                self.entries.push(Entry::new(field.clone(), Some(field.clone())));
            }
        }
    }

    pub(crate) fn constants(&mut self, constants: Vec<Assignment>, schema: &Schema) -> Result<()> {
        for Assignment { field, value } in constants {
            let value = schema.value(field.as_str(), &value)?;
            let mut entry = Entry::new(field, None);
            entry.rest.insert("constant".to_owned(), value);
            self.entries.push(entry);
        }
        Ok(())
    }

    pub(crate) fn computed(&mut self, computed: Vec<Assignment>) {
        for Assignment { field, value } in computed {
            let mut entry = Entry::new(field, None);
            entry.rest.insert("expression".to_owned(), value.into());
            self.entries.push(entry);
        }
    }

    pub(crate) fn defaults(&mut self, defaults: Vec<Assignment>, schema: &Schema) -> Result<()> {
        for Assignment { field, value } in defaults {
            let value = schema.value(field.as_str(), &value)?;
            self.entry("--default", &field)?.rest.insert("default".to_owned(), value);
        }
        Ok(())
    }

    pub(crate) fn picklists(&mut self, picklists: Vec<Picklist>) -> Result<()> {
        for Picklist { field, values } in picklists {
            let picklist = self.entry("--picklist", &field)?.picklist();
            let table = picklist.entry("values").or_insert_with(|| json!({}));
            if let Json::Object(table) = table {
                table.extend(values.into_iter().map(|(theirs, ours)| (theirs, ours.into())));
            }
        }
        Ok(())
    }

    /// Sets policies: those of a field go before those of all fields that have a picklist mapping.
    pub(crate) fn unmapped(&mut self, policies: Vec<Policy>) -> Result<()> {
        let (single, general): (Vec<_>, Vec<_>) =
            policies.into_iter().partition(|policy| policy.field.is_some());
        for Policy { policy, .. } in general {
            let mut any = false;
            for entry in self.entries.iter_mut().filter(|entry| entry.picklist.is_some()) {
                entry.picklist().insert("unmapped".to_owned(), policy.clone());
                any = true;
            }
            if !any {
                return Err(CliError::usage(
                    "--unmapped says what becomes of picklist values, and no field has a --picklist",
                )
                .hint("Name the field, as --unmapped Rating:reject"));
            }
        }
        for Policy { field, policy } in single {
            let Some(field) = field else { continue };
            self.entry("--unmapped", &field)?.picklist().insert("unmapped".to_owned(), policy);
        }
        Ok(())
    }

    pub(crate) fn approvals(&mut self, option: &str, fields: &[FieldName], keys: &[&str]) -> Result<()> {
        for field in fields {
            let entry = self.entry(option, field)?;
            entry.rest.extend(keys.iter().map(|key| ((*key).to_owned(), true.into())));
        }
        Ok(())
    }

    /// The mappings as the API takes them.
    pub(crate) fn into_json(self) -> Json {
        let json = |entry: Entry| {
            let mut field = Map::new();
            field.insert("local".to_owned(), json!(entry.local));
            if let Some(remote) = entry.remote {
                field.insert("from".to_owned(), json!(remote));
            }
            if let Some(picklist) = entry.picklist {
                field.insert("picklist".to_owned(), picklist.into());
            }
            field.extend(entry.rest);
            Json::Object(field)
        };
        self.entries.into_iter().map(json).collect()
    }

    /// The mapping that an option means: by the name here, else by the partner's.
    fn entry(&mut self, option: &str, field: &FieldName) -> Result<&mut Entry> {
        let at = self
            .entries
            .iter()
            .position(|entry| entry.local == *field)
            .or_else(|| self.entries.iter().position(|entry| entry.remote.as_ref() == Some(field)));
        at.and_then(|at| self.entries.get_mut(at)).ok_or_else(|| {
            CliError::usage(format!("{option} names {field}, which no --field maps"))
                .hint(format!("Add --field {field}, or --all for every published field"))
        })
    }
}

fn name(text: &str) -> Result<FieldName, String> {
    text.parse().map_err(|error: tieline_core::InvalidId| error.to_string())
}

/// Parts of `text` between separators that no backslash stands before; the backslashes stay.
fn split(text: &str, separator: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut escaped = false;
    for c in text.chars() {
        if c == separator && !escaped {
            parts.push(String::new());
        } else if let Some(last) = parts.last_mut() {
            last.push(c);
        }
        escaped = c == '\\' && !escaped;
    }
    parts
}

/// `text` without the backslashes that take the meaning from what follows.
fn plain(text: &str) -> String {
    let mut escaped = false;
    let keep = |c: &char| {
        escaped = *c == '\\' && !escaped;
        !escaped
    };
    text.chars().filter(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse<T: FromStr>(texts: &[&str]) -> Vec<T>
    where
        T::Err: std::fmt::Debug,
    {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn schema() -> Schema {
        let text = "object = \"Lead\"\nname_field = \"LastName\"\n[fields]\nLastName = { type = \"text\" }\n\
                    Hot = { type = \"boolean\" }\nCompany = { type = \"text\" }\n\
                    CreatedDate = { type = \"date_time\", kind = \"audit\" }\n";
        Schema::of(tieline_core::schema::ObjectSchema::from_toml(text).unwrap().build(None).unwrap())
    }

    #[test]
    fn options_are_read() {
        let list: Picklist = r"Rating:Hot=Urgent,a\,b=c\=d\\,e=".parse().unwrap();
        let pairs: Vec<_> = list.values.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(pairs, [("Hot", "Urgent"), ("a,b", r"c=d\"), ("e", "")]);
        let policies: Vec<Policy> = parse(&["keep", "Rating:reject", "default=a:b=c", "Rating:default=x"]);
        assert_eq!(policies[1].field.as_ref().unwrap().as_str(), "Rating");
        assert_eq!(policies[2].policy, json!({"default": "a:b=c"}));
        assert_eq!(policies[2].field, None);
        assert_eq!(policies[3].policy, json!({"default": "x"}));
        for text in ["", "Rating", "Rating:Hot", "Rating:a=b=c", "1:a=b", "Rating:a=b,"] {
            assert!(text.parse::<Picklist>().is_err(), "{text}");
        }
        for text in ["", "perhaps", "Rating:", "keep=x", "default"] {
            assert!(text.parse::<Policy>().is_err(), "{text}");
        }
        for text in ["", "a b", "a=", "=b", "a=b=c"] {
            assert!(text.parse::<FieldPair>().is_err(), "{text}");
        }
    }

    #[test]
    fn options_make_a_rule() {
        let schema = schema();
        let mut rule = Rule::new(parse(&["Surname=LastName", "Rating=Priority__c", "Stage"]));
        rule.add_same(&parse(&["Surname", "Company", "CreatedDate", "Elsewhere", "Stage"]), &schema);
        rule.constants(parse(&["Hot=yes"]), &schema).unwrap();
        rule.defaults(parse(&["Company=-"]), &schema).unwrap();
        rule.picklists(parse(&["Rating:Hot=Urgent", "Priority__c:Cold=Later", "Stage:a=b"])).unwrap();
        rule.unmapped(parse(&["Stage:keep", "reject"])).unwrap();
        rule.approvals("--approval", &parse(&["LastName"]), &["approval"]).unwrap();
        assert_eq!(
            rule.into_json(),
            json!([
                {"local": "LastName", "from": "Surname", "approval": true},
                {"local": "Priority__c", "from": "Rating",
                 "picklist": {"values": {"Hot": "Urgent", "Cold": "Later"}, "unmapped": "reject"}},
                {"local": "Stage", "from": "Stage", "picklist": {"values": {"a": "b"}, "unmapped": "keep"}},
                {"local": "Company", "from": "Company", "default": "-"},
                {"local": "Hot", "constant": true},
            ])
        );
    }

    #[test]
    fn options_without_their_field_are_refused() {
        let mut rule = Rule::new(parse(&["LastName"]));
        let error = rule.picklists(parse(&["Rating:a=b"])).unwrap_err();
        assert!(error.message().contains("--picklist names Rating, which no --field maps"), "{error}");
        assert!(rule.unmapped(parse(&["keep"])).unwrap_err().message().starts_with("--unmapped says"));
        assert!(rule.unmapped(parse(&["Rating:keep"])).is_err());
        assert!(rule.approvals("--approval", &parse(&["Rating"]), &["approval"]).is_err());
        assert!(rule.defaults(parse(&["Company=x"]), &schema()).is_err());
        assert!(rule.constants(parse(&["Nothing=x"]), &schema()).is_err());
    }
}
