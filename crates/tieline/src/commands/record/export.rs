//! `tieline record export`: the records of an object as CSV or JSON lines.
//!
//! Cells of text fields that a spreadsheet would run as formulas are guarded ([`crate::sheet`]), unless
//! `--raw` asks for the bytes as they are. An import takes the guard away again.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value as Json, json};
use tieline_core::schema::{FieldKind, FieldSchema, FieldType};
use tieline_core::{FieldName, ObjectName};

use super::page::Pages;
use crate::commands::object::Schema;
use crate::error::{CliError, Kind, Result};
use crate::import::Format;
use crate::session::Session;
use crate::sheet::{Cell, Sheet};

/// Write the records of an object to standard output or a file.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The object
    object: ObjectName,
    /// How the records are written: CSV with a header, or one JSON object a line
    #[arg(long, default_value = "csv")]
    format: Format,
    /// The fields to write; without it all, with Id and Owner
    #[arg(long, value_name = "FIELD", value_delimiter = ',')]
    fields: Vec<FieldName>,
    /// Write cells that a spreadsheet would run as formulas as they are
    #[arg(long)]
    raw: bool,
    /// The file to write, instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Export {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let client = session.client()?;
        let schema = Schema::fetch(&client, self.object.as_str())?;
        let fields = self.chosen(&schema)?;
        let bare = !self.fields.is_empty();
        let out: Box<dyn Write> = match &self.output {
            Some(path) => Box::new(File::create(path).map_err(|error| {
                CliError::new(Kind::Internal, format!("{} cannot be written", path.display()))
                    .caused_by(&error)
            })?),
            None => Box::new(std::io::stdout().lock()),
        };
        let mut out = BufWriter::new(out);
        let mut count = 0;
        let pages = Pages::new(&client, &self.object, &[]);
        match self.format {
            Format::Csv => {
                let mut sheet = Sheet::new(&mut out);
                let owned = if bare { &[][..] } else { &["Id", "Owner"] };
                let names = owned.iter().copied().chain(fields.iter().map(|field| field.name.as_str()));
                sheet.row(names.map(|name| Cell::Plain(name.to_owned())))?;
                pages.each(|records| {
                    count += records.len();
                    records.iter().try_for_each(|record| {
                        let text =
                            |key: &str| record.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
                        let own = if bare { vec![] } else { vec![text("id"), text("owner")] };
                        let cells = fields.iter().map(|field| self.cell(record, field));
                        sheet.row(own.into_iter().map(Cell::Plain).chain(cells))
                    })
                })?;
                sheet.finish()?;
            }
            Format::Json => pages.each(|records| {
                count += records.len();
                records.iter().try_for_each(|record| Ok(writeln!(out, "{}", object(record, &fields, bare))?))
            })?,
        }
        out.flush()?;
        session.output.status(&format!("{count} records of {} were written", self.object));
        Ok(())
    }

    fn chosen<'a>(&self, schema: &'a Schema) -> Result<Vec<&'a FieldSchema>> {
        if self.fields.is_empty() {
            return Ok(schema.object().fields.iter().filter(|field| field.kind == FieldKind::Data).collect());
        }
        let find = |name: &FieldName| {
            schema.field(name.as_str()).ok_or_else(|| CliError::refused(schema.unknown(name.as_str())))
        };
        self.fields.iter().map(find).collect()
    }

    fn cell(&self, record: &Json, field: &FieldSchema) -> Cell {
        let value = record.pointer(&format!("/fields/{}", field.name)).unwrap_or(&Json::Null);
        let text = match value {
            Json::Null => String::new(),
            Json::String(text) => text.clone(),
            Json::Array(items) => items.iter().filter_map(Json::as_str).collect::<Vec<_>>().join(";"),
            other => other.to_string(),
        };
        if self.raw || !is_text(field.field_type) { Cell::Plain(text) } else { Cell::Text(text) }
    }
}

/// Whether a person writes what is in the cells of a type. Numbers and dates are not formulas.
const fn is_text(field_type: FieldType) -> bool {
    field_type.is_text() || field_type.is_picklist()
}

fn object(record: &Json, fields: &[&FieldSchema], bare: bool) -> Json {
    let mut object = serde_json::Map::new();
    if !bare {
        object.insert("Id".to_owned(), json!(record.get("id")));
        object.insert("Owner".to_owned(), json!(record.get("owner")));
    }
    for field in fields {
        let value = record.pointer(&format!("/fields/{}", field.name)).cloned().unwrap_or_default();
        object.insert(field.name.to_string(), value);
    }
    Json::Object(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_writes_is_text() {
        assert!(is_text(FieldType::Phone) && is_text(FieldType::MultiPicklist));
        assert!(!is_text(FieldType::Currency) && !is_text(FieldType::Date));
    }

    #[test]
    fn records_are_written_field_by_field() {
        let text = "object = \"L\"\nname_field = \"Name\"\n[fields]\nName = { type = \"text\" }\n\
                    Amount = { type = \"currency\" }\nTags = { type = \"multi_picklist\", values = [\"a\"] }\n";
        let schema = tieline_core::schema::ObjectSchema::from_toml(text).unwrap().build(None).unwrap();
        let record =
            json!({"id": "1", "owner": "ann", "fields": {"Name": "=x", "Amount": "-5", "Tags": ["a", "b"]}});
        let export = |raw| Export {
            object: "L".parse().unwrap(),
            format: Format::Csv,
            fields: vec![],
            raw,
            output: None,
        };
        let cells = |raw| {
            let mut out = Vec::new();
            let mut sheet = Sheet::new(&mut out);
            sheet.row(schema.fields.iter().map(|field| export(raw).cell(&record, field))).unwrap();
            sheet.finish().unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(cells(false), "-5,'=x,a;b\n");
        assert_eq!(cells(true), "-5,=x,a;b\n");
        let fields: Vec<&FieldSchema> = schema.fields.iter().collect();
        assert_eq!(object(&record, &fields[..1], true), json!({"Amount": "-5"}));
        assert_eq!(
            object(&record, &fields, false),
            json!({"Id": "1", "Owner": "ann", "Amount": "-5", "Name": "=x", "Tags": ["a", "b"]})
        );
    }
}
