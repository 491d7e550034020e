//! `tieline record`: reads, writes, imports and exports records.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Map, Value as Json, json};
use tieline_core::{ObjectName, Owner, RecordId, UserName, ViewName};

use super::{body, list, saved};
use crate::client::{Client, path};
use crate::commands::object::Schema;
use crate::error::{CliError, Result};
use crate::output::{Column, Output, plain, reasons, text, time, with};
use crate::session::Session;

mod export;
pub(crate) mod history;
mod import;
pub(crate) mod page;

use export::Export;
use history::History;
use import::Import;
use page::List;

/// Read, write, import and export records.
#[derive(Debug, Subcommand)]
pub(crate) enum Record {
    /// Create a record
    Create(Create),
    /// Show a record: fields, pending values, shares
    Get(Get),
    /// Show what the tracked fields of a record were, by whom, when, over which connection
    History(History),
    /// Write fields of a record
    Update(Update),
    /// Delete a record here: partners keep their copies
    Delete(Delete),
    /// Give records to another owner: a user, a queue, or whom the assignment rules name
    Assign(Assign),
    /// List records of an object
    List(List),
    /// List the tasks of a record, each with its sharing
    Tasks(Tasks),
    /// Make an account, a contact and an opportunity of a lead
    Convert(Convert),
    /// Create records from a CSV, JSON or tree file
    Import(Import),
    /// Write the records of an object to standard output or a file
    Export(Export),
}

/// Fields of a record on the command line.
#[derive(Debug, Args)]
struct Fields {
    /// A field and its value as text, as Status=Open; Field:=JSON for JSON; Field= takes a value away
    #[arg(value_name = "FIELD=VALUE", required_unless_present = "file", value_parser = assignment)]
    fields: Vec<(String, Given)>,
    /// A file with the fields as a JSON object; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "fields")]
    file: Option<PathBuf>,
}

/// A value as it is given on the command line.
#[derive(Debug, Clone, PartialEq)]
enum Given {
    Text(String),
    Json(Json),
}

/// Create a record.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// The object
    object: ObjectName,
    #[command(flatten)]
    fields: Fields,
    /// Who owns it, instead of you: a user, or queue:NAME
    #[arg(long, value_name = "OWNER")]
    owner: Option<Owner>,
    /// Let the assignment rules of the object say who owns it
    #[arg(long, conflicts_with = "owner")]
    assign: bool,
}

/// Show a record.
#[derive(Debug, Args)]
pub(crate) struct Get {
    /// The object
    object: ObjectName,
    /// The record
    id: RecordId,
    /// Show its events instead: all that was written to it
    #[arg(long)]
    history: bool,
    /// Show it as it was after this event, or at this moment, as 2026-01-31T09:30:00Z
    #[arg(long, value_name = "SEQ|TIME", conflicts_with = "history")]
    at: Option<String>,
}

/// Convert a lead. What it becomes has its values; partners that had it see it inactive (converted).
#[derive(Debug, Args)]
pub(crate) struct Convert {
    /// The lead
    lead: RecordId,
    /// The account that it joins, instead of a new one
    #[arg(long, value_name = "RECORD")]
    account: Option<RecordId>,
    /// The contact that it is, instead of a new one
    #[arg(long, value_name = "RECORD")]
    contact: Option<RecordId>,
    /// Make an opportunity of this name, too
    #[arg(long, value_name = "NAME")]
    opportunity: Option<String>,
    /// A field of the opportunity, as Amount=1000; may be repeated
    #[arg(long = "with", value_name = "FIELD=VALUE", value_parser = assignment, requires = "opportunity")]
    fields: Vec<(String, Given)>,
    /// Who owns what is created, instead of the owner of the lead
    #[arg(long, value_name = "USER")]
    owner: Option<UserName>,
    /// Offer what it became to the connections that had the lead
    #[arg(long)]
    share_back: bool,
}

/// List the tasks of a record.
#[derive(Debug, Args)]
pub(crate) struct Tasks {
    /// The object of the record
    object: ObjectName,
    /// The record
    id: RecordId,
    /// At most so many
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Go on where an earlier list ended
    #[arg(long)]
    cursor: Option<String>,
}

/// Write fields of a record.
#[derive(Debug, Args)]
pub(crate) struct Update {
    /// The object
    object: ObjectName,
    /// The record
    id: RecordId,
    #[command(flatten)]
    fields: Fields,
}

/// Delete a record.
#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// The object
    object: ObjectName,
    /// The record
    id: RecordId,
}

/// Give records to another owner.
#[derive(Debug, Args)]
pub(crate) struct Assign {
    /// The object
    object: ObjectName,
    /// The records
    #[arg(required_unless_present_any = ["all", "view"])]
    ids: Vec<RecordId>,
    /// Every record of the object; it goes on as a job
    #[arg(long, conflicts_with_all = ["ids", "view"])]
    all: bool,
    /// What this list view chooses; it goes on as a job
    #[arg(long, value_name = "VIEW", conflicts_with = "ids")]
    view: Option<ViewName>,
    /// To whom: a user, or queue:NAME
    #[arg(long, value_name = "OWNER", required_unless_present = "rules", conflicts_with = "rules")]
    owner: Option<Owner>,
    /// To whom the assignment rules of the object name
    #[arg(long)]
    rules: bool,
}

const FACTS: &[Column] = &[
    text("Record", "/id"),
    text("Object", "/object"),
    text("Owner", "/owner"),
    time("Created", "/created"),
    time("Modified", "/modified"),
    text("By", "/modified_by"),
];

const PENDING: &[Column] = &[
    text("FIELD", "/field"),
    with("VALUE", "/value", pending),
    text("APPROVAL", "/approval"),
    with("WHY", "/reasons", reasons),
];

const WAITING: &[Column] = &[text("FIELD", "/field"), text("WHY", "/reason"), text("SHARE", "/share")];

const HISTORY: &[Column] = &[
    text("SEQ", "/seq"),
    time("TIME", "/time"),
    text("ACTION", "/body/action"),
    text("BY", "/body/actor"),
    with("VALUES", "/body/content/values", values),
];

pub(super) const SHARES: &[Column] = &[
    text("PARTNER", "/partner"),
    text("DIRECTION", "/direction"),
    with("STATUS", "", super::share::status),
    text("BY", "/actor"),
    time("UPDATED", "/updated"),
    with("PROBLEM", "/problem/reasons", reasons),
    text("SHARE", "/share"),
];

impl Record {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::Create(create) => create.run(session),
            Self::Get(get) => get.run(session),
            Self::Update(Update { object, id, fields }) => {
                let client = session.client()?;
                let fields = fields.to_json(&client, &object)?;
                let route = path(["records", object.as_str(), &id.to_string()]);
                let answer = client.patch(&route, &json!({ "fields": fields }))?;
                saved(session, &answer, &format!("Record {id} was changed"))?;
                tell_offers(session, &answer);
                Ok(())
            }
            Self::Delete(Delete { object, id }) => {
                let answer =
                    session.client()?.delete(&path(["records", object.as_str(), &id.to_string()]))?;
                saved(session, &answer, &format!("Record {id} was deleted"))
            }
            Self::Assign(assign) => assign.run(session),
            Self::History(history) => history.run(session),
            Self::List(list) => list.run(session),
            Self::Tasks(tasks) => tasks.run(session),
            Self::Convert(convert) => convert.run(session),
            Self::Import(import) => import.run(session),
            Self::Export(export) => export.run(session),
        }
    }
}

const CONVERTED: &[Column] = &[
    text("Account", "/account"),
    text("Contact", "/contact"),
    text("Opportunity", "/opportunity"),
    text("Shares that ended", "/ended_shares"),
];

impl Convert {
    fn run(self, session: &Session) -> Result<()> {
        let client = session.client()?;
        let opportunity = match self.opportunity {
            Some(name) => {
                let schema = Schema::fetch(&client, "Opportunity")?;
                let mut fields = given(&schema, &self.fields)?;
                fields.insert("Name".to_owned(), json!(name));
                Json::Object(fields)
            }
            None => Json::Null,
        };
        let body = body([
            ("account", json!(self.account)),
            ("contact", json!(self.contact)),
            ("opportunity", opportunity),
            ("owner", json!(self.owner)),
            ("share_back", json!(self.share_back)),
        ]);
        let answer = client.post(&path(["records", "Lead", &self.lead.to_string(), "convert"]), &body)?;
        session.output.show(&answer, |output| output.facts(CONVERTED, &answer))?;
        if list(&answer, "results").is_empty() {
            return Ok(());
        }
        super::share::results::<RecordId>(session, &answer, "RECORD", &[])
    }
}

const TASKS: &[Column] = &[
    text("TASK", "/id"),
    text("SUBJECT", "/fields/Subject"),
    text("STATUS", "/fields/Status"),
    text("DUE", "/fields/ActivityDate"),
    text("OWNER", "/owner"),
    with("SHARED WITH", "/shares", shared_with),
];

/// With whom a record is shared, and how that stands, in one line.
fn shared_with(shares: &Json) -> String {
    let shares = shares.as_array().into_iter().flatten();
    let one = |share: &Json| {
        let partner = share.get("partner").map(plain).unwrap_or_default();
        format!("{partner}: {}", super::share::status(share))
    };
    shares.map(one).collect::<Vec<_>>().join(", ")
}

impl Tasks {
    fn run(self, session: &Session) -> Result<()> {
        let query = [("limit", Some(self.limit.to_string())), ("cursor", self.cursor)];
        let route = path(["records", self.object.as_str(), &self.id.to_string(), "tasks"]);
        let answer = session.client()?.get(&route, &query)?;
        session.output.show(&answer, |output| {
            output.table(TASKS, list(&answer, "records"))?;
            super::share::more(output, &answer);
            Ok(())
        })
    }
}

impl Create {
    fn run(self, session: &Session) -> Result<()> {
        let client = session.client()?;
        let fields = self.fields.to_json(&client, &self.object)?;
        let body =
            body([("fields", fields.into()), ("owner", json!(self.owner)), ("assign", json!(self.assign))]);
        let answer = client.post(&path(["records", self.object.as_str()]), &body)?;
        session.output.show(&answer, |output| {
            output.line(answer.get("id").and_then(Json::as_str).unwrap_or_default())
        })?;
        tell_offers(session, &answer);
        Ok(())
    }
}

/// Says to whom queues and rules offered a record, and to whom not.
fn tell_offers(session: &Session, answer: &Json) {
    for offer in list(answer, "offers") {
        let partner = offer.get("partner").map(plain).unwrap_or_default();
        if offer.pointer("/result/ok") == Some(&json!(true)) {
            session.output.status(&format!("It was offered to {partner}"));
        } else {
            let why = offer.pointer("/result/detail").map(plain).unwrap_or_default();
            session.output.warn(&format!("It was not offered to {partner}: {why}"));
        }
    }
}

impl Assign {
    fn run(self, session: &Session) -> Result<()> {
        let client = session.client()?;
        if self.all || self.view.is_some() {
            let all = [
                ("owner", json!(self.owner)),
                ("rules", json!(self.rules)),
                ("all", json!(self.all)),
                ("view", json!(self.view)),
            ];
            let answer = client.post(&path(["records", self.object.as_str(), "assign"]), &body(all))?;
            let job = answer.get("job").map(plain).unwrap_or_default();
            return saved(
                session,
                &answer,
                &format!("Job {job} goes on with it; see it with tieline job list"),
            );
        }
        let body = body([("owner", json!(self.owner)), ("rules", json!(self.rules))]);
        for id in &self.ids {
            let route = path(["records", self.object.as_str(), &id.to_string(), "assign"]);
            let answer = client.post(&route, &body)?;
            saved(session, &answer, &format!("Record {id} was assigned"))?;
            tell_offers(session, &answer);
        }
        Ok(())
    }
}

impl Get {
    fn run(self, session: &Session) -> Result<()> {
        let (client, id) = (session.client()?, self.id.to_string());
        if self.history {
            let answer = client.get(&path(["records", self.object.as_str(), &id, "history"]), &[])?;
            return session.output.show(&answer, |output| output.table(HISTORY, list(&answer, "events")));
        }
        if self.at.is_some() {
            let query = [super::when(self.at)];
            let answer = client.get(&path(["records", self.object.as_str(), &id, "as-of"]), &query)?;
            return session.output.show(&answer, |output| show(output, &answer));
        }
        let answer = client.get(&path(["records", self.object.as_str(), &id]), &[])?;
        session.output.show(&answer, |output| show(output, &answer))
    }
}

impl Fields {
    /// The fields as the API takes them.
    fn to_json(&self, client: &Client, object: &ObjectName) -> Result<Map<String, Json>> {
        if let Some(file) = &self.file {
            return read_fields(file);
        }
        // Texts are read for the field's type, as the cells of a CSV file are.
        given(&Schema::fetch(client, object.as_str())?, &self.fields)
    }
}

/// Fields as the API takes them, read for their types.
fn given(schema: &Schema, fields: &[(String, Given)]) -> Result<Map<String, Json>> {
    let value = |(field, given): &(String, Given)| {
        let value = match given {
            Given::Text(text) => schema.value(field, text)?,
            Given::Json(json) => json.clone(),
        };
        Ok((field.clone(), value))
    };
    fields.iter().map(value).collect()
}

fn read_fields(file: &std::path::Path) -> Result<Map<String, Json>> {
    let name = file.display().to_string();
    let text = if file == std::path::Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(file)
    };
    let text = text.map_err(|error| crate::import::unreadable(&name, &error))?;
    serde_json::from_str(&text).map_err(|error| {
        CliError::refused(format!("{name} does not hold one JSON object with the fields")).caused_by(&error)
    })
}

fn assignment(text: &str) -> Result<(String, Given), String> {
    let (field, value) = text.split_once('=').ok_or("write it as Field=value")?;
    if let Some(field) = field.strip_suffix(':') {
        let json = serde_json::from_str(value).map_err(|error| format!("{value} is not JSON: {error}"))?;
        return Ok((field.to_owned(), Given::Json(json)));
    }
    Ok((field.to_owned(), Given::Text(value.to_owned())))
}

fn show(output: &Output, record: &Json) -> Result<()> {
    output.facts(FACTS, record)?;
    let fields = record.get("fields").and_then(Json::as_object);
    let some = fields.into_iter().flatten().filter(|(_, value)| !value.is_null());
    output.line("")?;
    output.pairs(some.map(|(name, value)| (name.clone(), plain(value))))?;
    let tables =
        [("Pending", "pending", PENDING), ("Waiting", "waiting", WAITING), ("Shares", "shares", SHARES)];
    for (title, key, columns) in tables {
        let rows = list(record, key);
        if !rows.is_empty() {
            output.line(&format!("\n{title}"))?;
            output.table(columns, rows)?;
        }
    }
    Ok(())
}

/// A value that was not applied; one that takes a value away has a word of its own.
pub(super) fn pending(value: &Json) -> String {
    if value.is_null() { "(no value)".to_owned() } else { plain(value) }
}

/// Fields and values in one line.
pub(super) fn values(fields: &Json) -> String {
    let shown = |(name, value): (&String, &Json)| format!("{name}: {}", pending(value));
    fields.as_object().into_iter().flatten().map(shown).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read() {
        let text = |field: &str, text: &str| Ok((field.to_owned(), Given::Text(text.to_owned())));
        assert_eq!(assignment("Status=Open - Not Contacted"), text("Status", "Open - Not Contacted"));
        assert_eq!(assignment("Status="), text("Status", ""));
        assert_eq!(assignment("Formula=a=b"), text("Formula", "a=b"));
        assert_eq!(assignment("Hot:=true"), Ok(("Hot".to_owned(), Given::Json(json!(true)))));
        assert!(assignment("Hot").is_err());
        assert!(assignment("Hot:=yes").is_err());
    }
}
