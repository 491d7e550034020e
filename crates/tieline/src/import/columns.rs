//! Which field each column is, found once before the first record is read.
//!
//! Names are taken in any case of their letters; `--map` says others. A column that no field has is
//! refused with the field that was meant, so that nothing of a file is lost by a slip of the pen;
//! `--ignore-unknown` drops such columns, and those that nobody can write, knowingly.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde_json::{Map, Value as Json};
use tieline_core::FieldName;
use tieline_core::schema::{FieldKind, FieldSchema, FieldType};
use tieline_core::value::{Date, Value};

use super::tree::{References, referred};
use super::{Content, Fault};
use crate::commands::object::{Schema, is_writable};
use crate::error::{CliError, Result};

/// What a file with refused rows has besides the columns of its source. An import passes them over.
pub(crate) const REFUSAL_COLUMNS: [&str; 2] = ["tieline_line", "tieline_error"];

/// `HEADER=FIELD`: a column and the field that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rename {
    header: String,
    field: FieldName,
}

impl FromStr for Rename {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A header may have an equals sign, a field name has none.
        let (header, field) = text.rsplit_once('=').ok_or("write it as Header=Field")?;
        let field = field.parse().map_err(|error: tieline_core::InvalidId| error.to_string())?;
        Ok(Self { header: header.to_owned(), field })
    }
}

/// The field of each column.
#[derive(Debug)]
pub(crate) struct Columns {
    /// In the order of the file; columns that are passed over have no field.
    targets: Vec<(String, Option<FieldSchema>)>,
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
    pub(crate) fn fields(
        &self,
        content: &Content,
        references: &References,
    ) -> Result<Map<String, Json>, Fault> {
        let mut out = Map::new();
        match content {
            Content::Cells(cells) => {
                for ((column, field), cell) in self.targets.iter().zip(cells) {
                    let Some(field) = field.as_ref().filter(|_| !cell.is_empty()) else { continue };
                    let text =
                        std::str::from_utf8(cell).map_err(|_| Fault::of_column(column, "it is not UTF-8"))?;
                    out.insert(field.name.to_string(), self.value(column, field, text, references)?);
                }
            }
            Content::Fields { fields, .. } => {
                for (key, value) in fields {
                    let Some((column, field)) = self.by_name.get(key).and_then(|at| self.targets.get(*at))
                    else {
                        continue;
                    };
                    let Some(field) = field.as_ref().filter(|_| !value.is_null()) else { continue };
                    let value = match value.as_str() {
                        Some(text) if matches!(field.field_type, FieldType::Reference | FieldType::Date) => {
                            self.value(column, field, text, references)?
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
        field: &FieldSchema,
        text: &str,
        references: &References,
    ) -> Result<Json, Fault> {
        if field.field_type == FieldType::Reference
            && let Some(name) = referred(text)
        {
            return references.get(name).map(|id| id.as_str().into()).ok_or_else(|| {
                let message =
                    format!("no record of this import is called {name}; import the file that has it first, with --plan");
                Fault::of_column(column, message)
            });
        }
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
fn target(header: &str, schema: &Schema, renamed: Option<&Rename>) -> Result<Option<FieldSchema>, String> {
    let name = renamed.map_or(header, |rename| rename.field.as_str());
    if header.is_empty() {
        return Err("it has no name".to_owned());
    }
    if renamed.is_none() && is_refusal(header) {
        return Ok(None);
    }
    let field = schema.field(name).ok_or_else(|| schema.unknown(name))?;
    if is_writable(field) {
        return Ok(Some(field.clone()));
    }
    let kind = match field.kind {
        FieldKind::Data => "cannot be written".to_owned(),
        kind => format!("is written by the org itself ({kind})"),
    };
    Err(format!("{} {kind}", field.name))
}

fn is_refusal(header: &str) -> bool {
    REFUSAL_COLUMNS.contains(&header)
}

/// Fields that two columns are.
fn twice(targets: &[(String, Option<FieldSchema>)]) -> Vec<String> {
    let mut seen: BTreeMap<&FieldName, &str> = BTreeMap::new();
    let fields = targets.iter().filter_map(|(column, field)| Some((column, &field.as_ref()?.name)));
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
        let cells = |cells: &[&str]| columns.fields(&Content::Cells(ByteRecord::from(cells)), &references);
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
            let both = [cells, json].map(|content| columns.fields(&content, &References::new()));
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
            Json::from(columns.fields(&content, &references).unwrap()),
            json!({"LastName": "@A1", "Hot": "yes", "Amount": 5, "AccountId": "0000000000000000000000001a"})
        );
    }
}
