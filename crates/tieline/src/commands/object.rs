//! `tieline object`: types of records, and what the importer and others need to know of them.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::Value as Json;
use tieline_core::schema::{FieldKind, FieldSchema, FieldType, ObjectSchema};
use tieline_core::value::Value;
use tieline_core::{FieldName, ObjectName};

use super::{list, saved};
use crate::client::{Client, path};
use crate::error::{CliError, Kind, Result};
use crate::output::{Column, Output, text, with};
use crate::session::Session;

/// See and define objects.
#[derive(Debug, Subcommand)]
pub(crate) enum Object {
    /// List the objects
    List,
    /// Show the fields and rules of an object
    Show(Show),
    /// Define an object, or extend one, from a TOML file
    Apply(Apply),
    /// Remove an object on which nothing stands: no record, no rule, no other setting
    Remove(Show),
}

/// An object.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The object
    object: ObjectName,
}

/// Define or extend objects.
#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// Files with one object each
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Only show what would change, above all for partners that take the fields
    #[arg(long)]
    check: bool,
}

const LIST: &[Column] = &[
    text("OBJECT", "/name"),
    text("LABEL", "/label"),
    text("RECORDS", "/records"),
    text("FIELDS", "/fields"),
    text("RULES", "/rules"),
    text("VERSION", "/version"),
];

const APPLIED: &[Column] =
    &[text("OBJECT", "/object"), text("VERSION", "/version"), text("CHANGED", "/changed")];

const DRIFT: &[Column] =
    &[text("PARTNER", "/partner"), text("FIELD", "/field"), text("WHAT IT TAKES", "/message")];

const BREAKS: &[Column] = &[text("SETTING", "/setting"), text("WHAT IT NAMES IS GONE", "/message")];

const FIELDS: &[Column] = &[
    text("FIELD", "/name"),
    text("TYPE", "/type"),
    text("KIND", "/kind"),
    text("REQUIRED", "/required"),
    text("LENGTH", "/length"),
    with("VALUES", "/values", values),
];

const RULES: &[Column] = &[
    text("RULE", "/name"),
    text("ACTIVE", "/active"),
    text("REFUSES IF", "/condition"),
    text("MESSAGE", "/message"),
];

impl Object {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let client = session.client()?;
        match self {
            Self::List => {
                let answer = client.get(&path(["objects"]), &[])?;
                session.output.show(&answer, |output| output.list(LIST, list(&answer, "objects")))
            }
            Self::Show(Show { object }) => {
                let answer = client.get(&path(["objects", object.as_str()]), &[])?;
                session.output.show(&answer, |output| show(output, &answer))
            }
            Self::Remove(Show { object }) => {
                let answer = client.delete(&path(["objects", object.as_str()]))?;
                saved(session, &answer, &format!("{object} was removed"))
            }
            Self::Apply(Apply { files, check }) => files.iter().try_for_each(|file| {
                let name = file.display().to_string();
                let text = std::fs::read_to_string(file)
                    .map_err(|error| crate::import::unreadable(&name, &error))?;
                let answer = if check {
                    client.post_toml(&path(["check", "object"]), &text)
                } else {
                    client.put_toml(&path(["objects"]), &text)
                };
                let answer = answer.map_err(|error| error.about(&name).excerpt(&text))?;
                session.output.show(&answer, |output| {
                    output.table(APPLIED, std::slice::from_ref(&answer))?;
                    for (columns, part) in [(DRIFT, "drift"), (BREAKS, "breaks")] {
                        let rows = list(&answer, part);
                        if !rows.is_empty() {
                            output.table(columns, rows)?;
                        }
                    }
                    Ok(())
                })
            }),
        }
    }
}

fn show(output: &Output, object: &Json) -> Result<()> {
    let facts = [
        text("Object", "/name"),
        text("Label", "/label"),
        text("Version", "/version"),
        text("Name field", "/name_field"),
        text("Create set", "/create_set"),
        text("View fields", "/view_fields"),
    ];
    output.facts(&facts, object)?;
    output.line("")?;
    output.table(FIELDS, list(object, "fields"))?;
    if list(object, "rules").is_empty() {
        return Ok(());
    }
    output.line("")?;
    output.table(RULES, list(object, "rules"))
}

/// The values of a picklist, the first few.
fn values(values: &Json) -> String {
    const SHOWN: usize = 5;
    let values = values.as_array().map_or(&[][..], Vec::as_slice);
    let shown = values
        .iter()
        .take(SHOWN)
        .map(|value| value.get("value").map_or_else(String::new, crate::output::plain));
    let rest = if values.len() > SHOWN { vec![format!("… {} more", values.len() - SHOWN)] } else { vec![] };
    shown.chain(rest).collect::<Vec<_>>().join(", ")
}

/// An object of the org, as far as texts have to be read for it.
pub(crate) struct Schema(ObjectSchema);

/// An object as the API shows it, as far as it is needed here.
#[derive(Deserialize)]
struct View {
    name: ObjectName,
    name_field: FieldName,
    view_fields: Vec<FieldName>,
    fields: Vec<FieldView>,
}

#[derive(Deserialize)]
struct FieldView {
    name: FieldName,
    #[serde(rename = "type")]
    field_type: FieldType,
    kind: FieldKind,
    updatable: bool,
    references: Option<ObjectName>,
}

impl View {
    fn schema(self) -> Schema {
        let field = |FieldView { name, field_type, kind, updatable, references }: FieldView| FieldSchema {
            kind,
            updatable,
            references,
            ..FieldSchema::new(name, field_type)
        };
        Schema::of(ObjectSchema {
            label: self.name.to_string(),
            name: self.name,
            name_field: self.name_field,
            fields: self.fields.into_iter().map(field).collect(),
            rules: vec![],
            create_set: vec![],
            view_fields: self.view_fields,
            record_types: Vec::new(),
            sharing_by_hand: true,
            version: 0,
        })
    }
}

impl Schema {
    /// Asks the daemon for an object.
    pub(crate) fn fetch(client: &Client, object: &str) -> Result<Self> {
        let answer = client.get(&path(["objects", object]), &[])?;
        serde_json::from_value::<View>(answer).map(View::schema).map_err(|error| {
            CliError::new(
                Kind::Internal,
                format!("The daemon describes {object} in a way that this version does not read"),
            )
            .caused_by(&error)
            .hint("Use the version of tieline that the daemon has")
        })
    }

    /// An object that is known.
    pub(crate) fn of(mut schema: ObjectSchema) -> Self {
        schema.sort();
        Self(schema)
    }

    /// The name of the object.
    pub(crate) const fn name(&self) -> &ObjectName {
        &self.0.name
    }

    /// The whole object.
    pub(crate) const fn object(&self) -> &ObjectSchema {
        &self.0
    }

    /// The field of this name in any case of its letters.
    pub(crate) fn field(&self, name: &str) -> Option<&FieldSchema> {
        self.0.field_named(name)
    }

    /// Whether the field of exactly this name is there and can be written.
    pub(crate) fn writable(&self, name: &str) -> bool {
        self.0.field(name).is_some_and(is_writable)
    }

    /// The value that a text says for a field, as the API takes it.
    pub(crate) fn value(&self, name: &str, text: &str) -> Result<Json> {
        let Some(field) = self.field(name) else {
            return Err(CliError::refused(self.unknown(name)));
        };
        let value = Value::from_text(field, text).map_err(|reason| CliError::refused(reason.message))?;
        Ok(value.to_json())
    }

    /// A sentence that a field is not there, with the one that was meant.
    pub(crate) fn unknown(&self, name: &str) -> String {
        let object = &self.0.name;
        match self.0.suggest(name) {
            Some(meant) => format!("{object} has no field {name}; did you mean {meant}?"),
            None => format!("{object} has no field {name}"),
        }
    }
}

/// Whether anybody can write a field.
pub(crate) fn is_writable(field: &FieldSchema) -> bool {
    field.kind == FieldKind::Data && field.updatable
}
