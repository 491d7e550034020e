//! `tieline record list`: records of an object, as a table.

use clap::Args;
use serde_json::{Value as Json, json};
use tieline_core::{FieldName, ObjectName, Owner, ViewName};

use crate::client::{Client, path};
use crate::commands::list;
use crate::commands::object::Schema;
use crate::error::Result;
use crate::output::{Output, plain};
use crate::session::Session;

/// Columns of fields that are shown if none are named, after the name of the record.
const FIELDS_SHOWN: usize = 5;
/// Records of one request when all are asked for.
const PAGE: usize = 1_000;

/// List records of an object.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// The object
    object: ObjectName,
    /// Only those whose field has this value; may be repeated
    #[arg(long = "where", value_name = "FIELD=VALUE", value_parser = condition)]
    conditions: Vec<(String, String)>,
    /// Only those of this owner: a user, or queue:NAME
    #[arg(long, value_name = "OWNER")]
    owner: Option<Owner>,
    /// Only what this list view chooses, with its columns
    #[arg(long, value_name = "VIEW", conflicts_with_all = ["conditions", "fields", "all"])]
    view: Option<ViewName>,
    /// The fields to show
    #[arg(long, value_name = "FIELD", value_delimiter = ',')]
    fields: Vec<FieldName>,
    /// At most so many
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// All of them
    #[arg(long, conflicts_with_all = ["limit", "cursor"])]
    all: bool,
    /// Go on where an earlier list ended
    #[arg(long)]
    cursor: Option<String>,
}

impl List {
    pub(crate) fn run(mut self, session: &Session) -> Result<()> {
        // The API takes the owner beside the fields.
        self.conditions.extend(self.owner.take().map(|owner| ("owner".to_owned(), owner.to_string())));
        if let Some(view) = &self.view {
            return crate::commands::view::open(session, view, false, self.limit, self.cursor.clone());
        }
        let client = session.client()?;
        let answer = if self.all {
            let mut records = Vec::new();
            Pages::new(&client, &self.object, &self.conditions).each(|page| {
                records.extend_from_slice(page);
                Ok(())
            })?;
            json!({ "records": records, "next": null })
        } else {
            page(&client, &self.object, &self.conditions, self.limit, self.cursor.clone())?
        };
        session.output.show(&answer, |output| self.table(&client, output, &answer))
    }

    fn table(&self, client: &Client, output: &Output, answer: &Json) -> Result<()> {
        let records = list(answer, "records");
        if records.is_empty() {
            output.status("Nothing to show");
        } else {
            let fields = if self.fields.is_empty() {
                usual(&Schema::fetch(client, self.object.as_str())?)
            } else {
                self.fields.clone()
            };
            let names = fields.iter().map(FieldName::as_str);
            let headings: Vec<&str> = ["RECORD"].into_iter().chain(names).chain(["OWNER", "BY"]).collect();
            let cell = |record: &Json, pointer: &str| record.pointer(pointer).map(plain).unwrap_or_default();
            let rows = records.iter().map(|record| {
                let fields = fields.iter().map(|field| cell(record, &format!("/fields/{field}")));
                [cell(record, "/id")]
                    .into_iter()
                    .chain(fields)
                    .chain([cell(record, "/owner"), cell(record, "/modified_by")])
                    .collect()
            });
            output.named(&headings, rows)?;
        }
        crate::commands::share::more(output, answer);
        Ok(())
    }
}

/// The name of a record and the first few fields by which people tell records apart.
fn usual(schema: &Schema) -> Vec<FieldName> {
    let object = schema.object();
    let others = object.view_fields.iter().filter(|field| **field != object.name_field);
    [&object.name_field].into_iter().chain(others.take(FIELDS_SHOWN)).cloned().collect()
}

fn condition(text: &str) -> Result<(String, String), String> {
    let (field, value) = text.split_once('=').ok_or("write it as Field=value")?;
    Ok((field.to_owned(), value.to_owned()))
}

/// Every page of a list, one after the other.
pub(crate) struct Pages<'a> {
    client: &'a Client,
    object: &'a ObjectName,
    conditions: &'a [(String, String)],
}

impl<'a> Pages<'a> {
    pub(crate) const fn new(
        client: &'a Client,
        object: &'a ObjectName,
        conditions: &'a [(String, String)],
    ) -> Self {
        Self { client, object, conditions }
    }

    /// Calls `take` with the records of each page.
    pub(crate) fn each(&self, mut take: impl FnMut(&[Json]) -> Result<()>) -> Result<()> {
        let mut cursor = None;
        loop {
            let answer = page(self.client, self.object, self.conditions, PAGE, cursor)?;
            take(list(&answer, "records"))?;
            cursor = answer.get("next").and_then(Json::as_str).map(str::to_owned);
            if cursor.is_none() {
                return Ok(());
            }
        }
    }
}

fn page(
    client: &Client,
    object: &ObjectName,
    conditions: &[(String, String)],
    limit: usize,
    cursor: Option<String>,
) -> Result<Json> {
    let conditions = conditions.iter().map(|(field, value)| (field.as_str(), Some(value.clone())));
    let query: Vec<_> = conditions.chain([("limit", Some(limit.to_string())), ("cursor", cursor)]).collect();
    client.get(&path(["records", object.as_str()]), &query)
}
