//! Which field each column is, found once before the first record is read.
//!
//! Names are taken in any case of their letters; `--map` says others. A column that no field has is
//! refused with the field that was meant, so that nothing of a file is lost by a slip of the pen;
//! `--ignore-unknown` drops such columns, and those that nobody can write, knowingly. A column with a
//! point refers to another record by a field of it, as `Account.Code__c`.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde_json::{Map, Value as Json};
use tieline_core::FieldName;
use tieline_core::schema::{FieldKind, FieldSchema, FieldType};
use tieline_core::value::{Date, Value};

use super::keys::{Key, Keys};
use super::tree::{References, referred};
use super::{Content, Fault};
use crate::commands::object::{Schema, is_writable};
use crate::error::{CliError, Result};
use crate::sheet::unguarded;

/// What a file with refused rows has besides the columns of its source. An import passes them over.
pub(crate) const REFUSAL_COLUMNS: [&str; 2] = ["tieline_line", "tieline_error"];

/// `HEADER=FIELD`: a column and the field that it is, or the relation and key, as `Account.Code__c`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rename {
    header: String,
    field: String,
}

impl FromStr for Rename {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A header may have an equals sign, a field name has none.
        let (header, field) = text.rsplit_once('=').ok_or("write it as Header=Field")?;
        for name in field.split('.') {
            name.parse::<FieldName>().map_err(|error| error.to_string())?;
        }
        Ok(Self { header: header.to_owned(), field: field.to_owned() })
    }
}

/// What a column is.
#[derive(Debug, Clone)]
struct Target {
    field: FieldSchema,
    /// By which the record is found that the field refers to, where no id stands in the column.
    key: Option<Key>,
}

/// What is known of records that a row may refer to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'k> {
    /// Records of this import by the names that its files give them.
    pub(crate) references: &'k References,
    /// Records of the org by the values of a field.
    pub(crate) keys: &'k Keys,
}

/// The field of each column.
#[derive(Debug)]
pub(crate) struct Columns {
    /// In the order of the file; columns that are passed over have no field.
    targets: Vec<(String, Option<Target>)>,
    /// Where a column stands in `targets`.
    by_name: BTreeMap<String, usize>,
    /// Whether a field that holds a date takes the day of a moment.
    times_as_dates: bool,
}

/// How a person wants columns and values to be read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reading {
    /// Columns that are other fields than their names say.
    pub(crate) renames: Vec<Rename>,
    /// Whether columns without a field are passed over.
    pub(crate) ignore_unknown: bool,
    /// Whether a field that holds a date takes the day of a moment.
    pub(crate) times_as_dates: bool,
}

impl Columns {
    /// Finds the fields of `headers`.
    ///
    /// # Errors
    /// Columns that no field has or that nobody can write, each with what was meant; two columns of
    /// one field; a rename of a column that is not there.
    pub(crate) fn find(headers: &[String], schema: &Schema, reading: &Reading) -> Result<Self> {
        let Reading { renames, ignore_unknown, times_as_dates } = reading;
        let mut targets = Vec::with_capacity(headers.len());
        let mut problems = Vec::new();
        for (at, header) in headers.iter().enumerate() {
            let renamed = renames.iter().find(|rename| rename.header.eq_ignore_ascii_case(header));
            match target(header, schema, renamed) {
                Ok(field) => targets.push((header.clone(), field)),
                // A rename that leads nowhere is a mistake, whatever else is ignored.
                Err(_) if *ignore_unknown && renamed.is_none() => targets.push((header.clone(), None)),
                Err(problem) if header.is_empty() => problems.push(format!("column {}: {problem}", at + 1)),
                Err(problem) => problems.push(problem),
            }
        }
        let has = |rename: &&Rename| headers.iter().any(|header| header.eq_ignore_ascii_case(&rename.header));
        problems.extend(
            renames
                .iter()
                .filter(|rename| !has(rename))
                .map(|rename| format!("--map names the column {}, which is not there", rename.header)),
        );
        problems.extend(twice(&targets));
        if problems.is_empty() {
            let by_name = targets.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect();
            return Ok(Self { targets, by_name, times_as_dates: *times_as_dates });
        }
        Err(CliError::refused(format!("The columns do not fit {}: {}", schema.name(), problems.join("; ")))
            .hint("Say which field a column is with --map Header=Field, or drop such columns with --ignore-unknown"))
    }

    /// The keys by which columns refer to records.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.targets.iter().filter_map(|(_, target)| target.as_ref()?.key.as_ref())
    }

    /// The columns that are passed over.
    pub(crate) fn ignored(&self) -> impl Iterator<Item = &str> {
        let ignored = self.targets.iter().filter(|(name, field)| field.is_none() && !is_refusal(name));
        ignored.map(|(name, _)| name.as_str())
    }

    /// The fields that a record says, as the API takes them. Empty cells are left out, so that the
    /// field's default holds.
    ///
    /// # Errors
    /// The first column whose value is none of its field.
    pub(crate) fn fields(&self, content: &Content, known: Known<'_>) -> Result<Map<String, Json>, Fault> {
        let mut out = Map::new();
        match content {
            Content::Cells(cells) => {
                for ((column, target), cell) in self.targets.iter().zip(cells) {
                    let Some(target) = target.as_ref().filter(|_| !cell.is_empty()) else { continue };
                    let text =
                        std::str::from_utf8(cell).map_err(|_| Fault::of_column(column, "it is not UTF-8"))?;
                    out.insert(target.field.name.to_string(), self.value(column, target, text, known)?);
                }
            }
            Content::Fields { fields, .. } => {
                for (key, value) in fields {
                    let Some((column, target)) = self.by_name.get(key).and_then(|at| self.targets.get(*at))
                    else {
                        continue;
                    };
                    let Some(target) = target.as_ref().filter(|_| !value.is_null()) else { continue };
                    let field = &target.field;
                    let value = match value.as_str() {
                        Some(text) if matches!(field.field_type, FieldType::Reference | FieldType::Date) => {
                            self.value(column, target, text, known)?
                        }
                        _ => value.clone(),
                    };
                    out.insert(field.name.to_string(), value);
                }
            }
        }
        Ok(out)
    }

    /// The value that a text says for a field.
    fn value(
        &self,
        column: &str,
        Target { field, key }: &Target,
        text: &str,
        known: Known<'_>,
    ) -> Result<Json, Fault> {
        if let Some(key) = key {
            let found = known.keys.find(key, text).map_err(|problem| Fault::of_column(column, problem))?;
            return found.map(Json::from).ok_or_else(|| {
                let Key { object, field } = key;
                let message =
                    format!("no record of {object} has {field} {text}; import the one that has it first");
                Fault::of_column(column, message)
            });
        }
        if field.field_type == FieldType::Reference
            && let Some(name) = referred(text)
        {
            return known.references.get(name).map(|id| id.as_str().into()).ok_or_else(|| {
                let message =
                    format!("no record of this import is called {name}; import the file that has it first, with --plan");
                Fault::of_column(column, message)
            });
        }
        let typed = field.field_type.is_text() || field.field_type.is_picklist();
        let text = if typed { unguarded(text) } else { text };
        let reason = match Value::from_text(field, text) {
            Ok(value) => return Ok(value.to_json()),
            Err(reason) => reason.message,
        };
        match day_of(field, text).filter(|_| field.field_type == FieldType::Date) {
            Some(day) if self.times_as_dates => Ok(day),
            Some(_) => Err(Fault::of_column(column, format!("{reason}; --times-as-dates takes its day"))),
            None => Err(Fault::of_column(column, reason)),
        }
    }
}

/// The field that a column is; none for a column that the importer wrote itself.
fn target(header: &str, schema: &Schema, renamed: Option<&Rename>) -> Result<Option<Target>, String> {
    let name = renamed.map_or(header, |rename| rename.field.as_str());
    if let Some((relation, key)) = name.split_once('.') {
        return related(relation, key, schema).map(Some);
    }
    if header.is_empty() {
        return Err("it has no name".to_owned());
    }
    if renamed.is_none() && is_refusal(header) {
        return Ok(None);
    }
    let field = schema.field(name).ok_or_else(|| schema.unknown(name))?;
    if is_writable(field) {
        return Ok(Some(Target { field: field.clone(), key: None }));
    }
    let kind = match field.kind {
        FieldKind::Data => "cannot be written".to_owned(),
        kind => format!("is written by the org itself ({kind})"),
    };
    Err(format!("{} {kind}", field.name))
}

/// The reference that a relation is, as `AccountId` for `Account` and `Fund__c` for `Fund__r`, found by
/// a field of the record that it refers to.
fn related(relation: &str, key: &str, schema: &Schema) -> Result<Target, String> {
    let own = relation.strip_suffix("__r").map(|stem| format!("{stem}__c"));
    let names = [own, Some(format!("{relation}Id")), Some(relation.to_owned())];
    let is_reference = |field: &&FieldSchema| field.field_type == FieldType::Reference && is_writable(field);
    let field = names.iter().flatten().find_map(|name| schema.field(name).filter(is_reference));
    let field = field.ok_or_else(|| format!("{} has no reference called {relation}", schema.name()))?;
    let object = field.references.clone().ok_or_else(|| {
        format!("{} refers to any object, so {relation}.{key} does not say of which", field.name)
    })?;
    let key = key.parse().map_err(|error: tieline_core::InvalidId| error.to_string())?;
    Ok(Target { field: field.clone(), key: Some(Key { object, field: key }) })
}

fn is_refusal(header: &str) -> bool {
    REFUSAL_COLUMNS.contains(&header)
}

/// Fields that two columns are.
fn twice(targets: &[(String, Option<Target>)]) -> Vec<String> {
    let mut seen: BTreeMap<&FieldName, &str> = BTreeMap::new();
    let fields = targets.iter().filter_map(|(column, field)| Some((column, &field.as_ref()?.field.name)));
    fields
        .filter_map(|(column, field)| {
            let first = seen.insert(field, column)?;
            Some(format!("{first} and {column} are both the field {field}"))
        })
        .collect()
}

/// The day in UTC of a moment.
fn day_of(field: &FieldSchema, text: &str) -> Option<Json> {
    let moment = FieldSchema::new(field.name.clone(), FieldType::DateTime);
    match Value::from_text(&moment, text) {
        Ok(Value::DateTime(moment)) => Some(Value::Date(Date::of(moment)?).to_json()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use csv::ByteRecord;
    use serde_json::json;
    use tieline_core::schema::ObjectSchema;

    use super::*;

    fn schema() -> Schema {
        let text = "object = \"Lead\"\nname_field = \"LastName\"\n[fields]\n\
                    LastName = { type = \"text\" }\nHot = { type = \"boolean\" }\nAmount = { type = \"currency\" }\n\
                    Tags = { type = \"multi_picklist\", values = [\"a\", \"b\"] }\n\
                    AccountId = { type = \"reference\", references = \"Account\" }\n\
                    Due = { type = \"date\" }\nCreatedDate = { type = \"date_time\", kind = \"audit\" }\n";
        Schema::of(ObjectSchema::from_toml(text).unwrap().build(None).unwrap())
    }

    fn find(headers: &[&str], renames: &[&str], ignore: bool) -> Result<Columns> {
        let headers: Vec<String> = headers.iter().map(|h| (*h).to_owned()).collect();
        let renames: Vec<Rename> = renames.iter().map(|r| r.parse().unwrap()).collect();
        let reading = Reading { renames, ignore_unknown: ignore, times_as_dates: false };
        Columns::find(&headers, &schema(), &reading)
    }

    fn known<'k>(references: &'k References, keys: &'k Keys) -> Known<'k> {
        Known { references, keys }
    }

    #[test]
    fn columns_with_a_point_refer_by_a_key() {
        for (header, rename) in
            [("Account.Code__c", None), ("accountid.Code__c", None), ("Konto", Some("Konto=Account.Code__c"))]
        {
            let columns = find(&[header], rename.as_slice(), false).unwrap();
            let key = Key { object: "Account".parse().unwrap(), field: "Code__c".parse().unwrap() };
            assert_eq!(columns.keys().collect::<Vec<_>>(), [&key], "{header}");
            let content = Content::Cells(ByteRecord::from(vec!["A1"]));
            let fault = columns.fields(&content, known(&References::new(), &Keys::default())).unwrap_err();
            assert!(fault.to_string().contains("no record of Account has Code__c A1"), "{fault}");
        }
        for (header, problem) in [
            ("Owner.Code__c", "Lead has no reference called Owner"),
            ("LastName.Code__c", "no reference called LastName"),
            ("Account.", "field name \"\" is not valid"),
        ] {
            let error = find(&[header], &[], false).unwrap_err();
            assert!(error.message().contains(problem), "{header}: {error}");
        }
    }

    #[test]
    fn columns_find_their_fields() {
        for (headers, renames, ignore) in [
            (&["lastname", "HOT"][..], &[][..], false),
            (&["Sur=name"], &["sur=Name=LastName"], false),
            (&["LastName", "Id", "CreatedDate", ""], &[], true),
            (&["LastName", "tieline_line", "tieline_error"], &[], false),
        ] {
            assert!(find(headers, renames, ignore).is_ok(), "{headers:?}");
        }
        let columns = find(&["LastName", "Id", "tieline_error"], &[], true).unwrap();
        assert_eq!(columns.ignored().collect::<Vec<_>>(), ["Id"]);
    }

    #[test]
    fn columns_that_do_not_fit_are_all_named() {
        for (headers, renames, ignore, problem) in [
            (
                &["Lastnam", "Id"][..],
                &[][..],
                false,
                "Lead has no field Lastnam; did you mean LastName?; Lead has no field Id",
            ),
            (&["LastName", ""], &[], false, "column 2: it has no name"),
            (&["CreatedDate"], &[], false, "CreatedDate is written by the org itself (audit)"),
            (&["LastName", "lastname"], &[], false, "LastName and lastname are both the field LastName"),
            (
                &["LastName"],
                &["Surname=LastName"],
                false,
                "--map names the column Surname, which is not there",
            ),
            (&["Surname"], &["Surname=Elsewhere"], true, "Lead has no field Elsewhere"),
        ] {
            let error = find(headers, renames, ignore).unwrap_err();
            assert_eq!(error.message(), format!("The columns do not fit Lead: {problem}"), "{headers:?}");
        }
    }

    #[test]
    fn cells_become_values_of_their_fields() {
        let columns = find(&["lastname", "hot", "amount", "tags", "accountid", "id"], &[], true).unwrap();
        let references = References::from([("A1".to_owned(), "0000000000000000000000001a".to_owned())]);
        let keys = Keys::default();
        let cells = |cells: &[&str]| {
            columns.fields(&Content::Cells(ByteRecord::from(cells)), known(&references, &keys))
        };
        assert_eq!(
            Json::from(cells(&["=1+1", "yes", "1e3", "b;a", "@A1", "7"]).unwrap()),
            json!({"LastName": "=1+1", "Hot": true, "Amount": "1000", "Tags": ["a", "b"],
                   "AccountId": "0000000000000000000000001a"})
        );
        assert_eq!(Json::from(cells(&["x", "", "", "", "", ""]).unwrap()), json!({"LastName": "x"}));
        for (row, column, problem) in [
            (["x", "maybe", "", "", "", ""], "hot", "Hot is \"maybe\""),
            (["x", "", "1,000", "", "", ""], "amount", "Amount is \"1,000\""),
            (["x", "", "", "", "@A2", ""], "accountid", "no record of this import is called A2"),
            (["x", "", "", "", "@", ""], "accountid", "AccountId is \"@\""),
        ] {
            let fault = cells(&row).unwrap_err();
            assert_eq!(fault.column.as_deref(), Some(column));
            assert!(fault.message.starts_with(problem), "{fault}");
        }
    }

    #[test]
    fn a_date_takes_the_day_of_a_moment_when_asked() {
        let fields = |times_as_dates, text: &str| {
            let reading = Reading { times_as_dates, ..Reading::default() };
            let columns = Columns::find(&["Due".to_owned()], &schema(), &reading).unwrap();
            let cells = Content::Cells(ByteRecord::from(vec![text]));
            let Json::Object(json) = json!({ "Due": text }) else { panic!() };
            let json = Content::Fields { fields: json, reference: None };
            let both = [cells, json]
                .map(|content| columns.fields(&content, known(&References::new(), &Keys::default())));
            assert_eq!(both[0], both[1]);
            both[0].clone().map(Json::from)
        };
        assert_eq!(fields(false, "2020-12-22"), Ok(json!({"Due": "2020-12-22"})));
        assert_eq!(fields(true, "2020-12-22T21:16:01Z"), Ok(json!({"Due": "2020-12-22"})));
        assert_eq!(fields(true, "2020-12-22T23:00:00.000-0200"), Ok(json!({"Due": "2020-12-23"})));
        let fault = fields(false, "2020-12-22T21:16:01Z").unwrap_err().to_string();
        assert!(fault.ends_with("; --times-as-dates takes its day"), "{fault}");
        assert!(!fields(true, "22.12.2020").unwrap_err().to_string().contains("--times"));
    }

    #[test]
    fn json_is_passed_on_and_references_are_found() {
        let columns = find(&["lastName", "Hot", "Amount", "AccountId"], &[], false).unwrap();
        let references = References::from([("A1".to_owned(), "0000000000000000000000001a".to_owned())]);
        let Json::Object(fields) =
            json!({"lastName": "@A1", "Hot": "yes", "Amount": 5, "AccountId": "@A1", "Nothing": null})
        else {
            panic!()
        };
        let content = Content::Fields { fields, reference: None };
        // Only a reference refers: a text may begin with @. What is wrong with a type the daemon says.
        assert_eq!(
            Json::from(columns.fields(&content, known(&references, &Keys::default())).unwrap()),
            json!({"LastName": "@A1", "Hot": "yes", "Amount": 5, "AccountId": "0000000000000000000000001a"})
        );
    }
}
