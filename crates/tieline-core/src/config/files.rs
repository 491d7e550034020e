//! Files, read into items: which setting, of which connection, and what the file says of it.
//!
//! A file is an object (`object = …` or `extends = …`), a connection (`connection = …` and then its
//! nouns), or a document in which each table is a noun. The order of files and items counts nothing,
//! and no item may stand twice.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, ValueDeserializer};

use super::nouns::{self, Noun};
use super::{Fault, Place, Source};
use crate::UserName;
use crate::limits::CONFIG_ITEMS_MAX;
use crate::reason::quoted;
use crate::schema::{ObjectFile, SchemaError};
use crate::state::{NotSelected, State};

/// What a file says of one setting.
#[derive(Debug)]
pub(super) struct Item<'t> {
    pub(super) noun: &'static Noun,
    /// The connection, as the file names it.
    pub(super) connection: Option<String>,
    /// Its name among those of its noun; empty where there is only one.
    pub(super) name: String,
    /// Whether connections that are not here are left out of what it names.
    pub(super) skip_missing: bool,
    /// Who asks.
    pub(super) actor: Option<UserName>,
    source: &'t Source,
    span: Range<usize>,
    place: Place,
    value: Spanned<DeValue<'t>>,
}

/// What files say.
#[derive(Debug, Default)]
pub(super) struct Read<'t> {
    pub(super) items: Vec<Item<'t>>,
    /// The nouns that the files name, also where they name no item of them.
    pub(super) named: BTreeSet<(Option<String>, &'static str)>,
    /// The nouns that the files manage: what they do not have of them, goes.
    pub(super) managed: BTreeSet<(Option<String>, &'static str)>,
    pub(super) faults: Vec<Fault>,
}

/// Reads files.
pub(super) fn read(sources: &[Source]) -> Read<'_> {
    let mut read = Read::default();
    for source in sources {
        match DeTable::parse(&source.text) {
            Ok(table) => {
                let newlines = source.text.match_indices('\n').map(|(at, _)| at).collect();
                Reader { read: &mut read, source, newlines }.document(table);
            }
            Err(error) => {
                let SchemaError { line, column, message } = SchemaError::of(&source.text, &error);
                let place = Place { file: source.name.clone(), line, column };
                read.faults.push(Fault { item: String::new(), place, code: "bad_config", message });
            }
        }
    }
    read.items.sort_by(|a, b| {
        (nouns::order(a.noun), &a.connection, &a.name).cmp(&(nouns::order(b.noun), &b.connection, &b.name))
    });
    read.refuse_twice();
    if read.items.len() > CONFIG_ITEMS_MAX {
        let text = format!(
            "the files have {} settings and may have {CONFIG_ITEMS_MAX} at a time: apply them in parts",
            read.items.len()
        );
        let place = Place::default();
        read.faults.push(Fault { item: String::new(), place, code: "limit_reached", message: text });
        read.items.clear();
    }
    read
}

impl Read<'_> {
    /// An item that stands twice is a question that no order may answer.
    fn refuse_twice(&mut self) {
        let mut seen: BTreeMap<String, Place> = BTreeMap::new();
        for item in &self.items {
            if let Some(first) = seen.get(&item.label()) {
                let text = format!("{} stands in {first}, too: keep one of both", item.label());
                self.faults.push(item.fault("duplicate_item", text));
            } else {
                seen.insert(item.label(), item.place());
            }
            if item.noun.name == nouns::RECORD_TYPES.name
                && let Some(first) = seen.get(&format!("{}.{}", nouns::OBJECTS.name, item.name))
            {
                let text = format!("{} stands in {first} already: keep its record types there", item.name);
                self.faults.push(item.fault("duplicate_item", text));
            }
        }
    }
}

struct Reader<'r, 't> {
    read: &'r mut Read<'t>,
    source: &'t Source,
    /// Where its lines end.
    newlines: Vec<usize>,
}

/// A key or a value, with where it stands.
type At<T> = Spanned<T>;

impl<'t> Reader<'_, 't> {
    fn document(&mut self, table: At<DeTable<'t>>) {
        let text_of = |key: &str| {
            let (_, value) = table.get_ref().iter().find(|(found, _)| found.get_ref() == key)?;
            value.get_ref().as_str().map(|text| (text.to_owned(), value.span()))
        };
        if let Some((name, span)) = text_of("object").or_else(|| text_of("extends")) {
            let whole = table.span();
            let value = Spanned::new(whole, DeValue::Table(table.into_inner()));
            self.item(&nouns::OBJECTS, None, name, span, value);
            return;
        }
        if let Some((connection, _)) = text_of("connection") {
            let rest = table.into_inner().into_iter().filter(|(key, _)| key.get_ref() != "connection");
            rest.for_each(|(key, value)| self.of_connection(&connection, key.get_ref(), key.span(), value));
            return;
        }
        for (key, value) in table.into_inner() {
            self.noun(key.get_ref(), key.span(), value);
        }
    }

    fn noun(&mut self, key: &str, span: Range<usize>, value: At<DeValue<'t>>) {
        match key {
            "manages" => self.manages(None, value),
            "record_types" => {
                self.read.named.insert((None, nouns::RECORD_TYPES.name));
                for (name, types) in self.entries(key, value) {
                    let (span, whole) = (name.span(), types.span());
                    let mut file = DeTable::new();
                    let word = DeValue::String(name.get_ref().clone());
                    file.insert(
                        Spanned::new(span.clone(), "extends".into()),
                        Spanned::new(span.clone(), word),
                    );
                    file.insert(Spanned::new(span.clone(), key.to_owned().into()), types);
                    let value = Spanned::new(whole, DeValue::Table(file));
                    self.item(&nouns::RECORD_TYPES, None, name.into_inner().into_owned(), span, value);
                }
            }
            "connections" => {
                for (connection, nouns) in self.entries(key, value) {
                    for (noun, items) in self.entries(connection.get_ref(), nouns) {
                        self.of_connection(connection.get_ref(), noun.get_ref(), noun.span(), items);
                    }
                }
            }
            "objects" | "extends" => {
                let word = if key == "objects" { "object" } else { "extends" };
                self.read.named.insert((None, nouns::OBJECTS.name));
                for (name, mut value) in self.entries(key, value) {
                    if let DeValue::Table(table) = value.get_mut() {
                        let name = Spanned::new(name.span(), DeValue::String(name.get_ref().clone()));
                        table.insert(Spanned::new(name.span(), word.into()), name);
                    }
                    let (name, span) = (name.get_ref().clone().into_owned(), name.span());
                    self.item(&nouns::OBJECTS, None, name, span, value);
                }
            }
            _ => match nouns::of_org(key) {
                Some(noun) => self.items(noun, None, span, value),
                None => self.unknown(key, span, nouns::names(false)),
            },
        }
    }

    fn of_connection(&mut self, connection: &str, key: &str, span: Range<usize>, value: At<DeValue<'t>>) {
        if key == "manages" {
            self.manages(Some(connection), value);
            return;
        }
        match nouns::of_connection(key) {
            Some(noun) => self.items(noun, Some(connection), span, value),
            None => self.unknown(key, span, nouns::names(true)),
        }
    }

    /// The nouns that the files manage, as a list.
    fn manages(&mut self, connection: Option<&str>, value: At<DeValue<'t>>) {
        let span = value.span();
        let DeValue::Array(nouns) = value.into_inner() else {
            let text = "manages is a list of what the files have all of: write manages = [\"users\"]";
            return self.fault(span, "bad_config", text.to_owned());
        };
        for name in nouns {
            let text = name.get_ref().as_str().unwrap_or_default().to_owned();
            let noun = if connection.is_some() { nouns::of_connection(&text) } else { nouns::of_org(&text) };
            match noun.filter(|noun| !noun.single) {
                Some(noun) => {
                    self.read.managed.insert((connection.map(ToOwned::to_owned), noun.name));
                }
                None => self.unknown(&text, name.span(), nouns::names(connection.is_some())),
            }
        }
    }

    fn items(
        &mut self,
        noun: &'static Noun,
        connection: Option<&str>,
        span: Range<usize>,
        value: At<DeValue<'t>>,
    ) {
        self.read.named.insert((connection.map(ToOwned::to_owned), noun.name));
        if noun.single {
            self.item(noun, connection, String::new(), span, value);
            return;
        }
        for (name, value) in self.entries(noun.name, value) {
            let span = name.span();
            self.item(noun, connection, name.into_inner().into_owned(), span, value);
        }
    }

    fn item(
        &mut self,
        noun: &'static Noun,
        connection: Option<&str>,
        name: String,
        span: Range<usize>,
        value: At<DeValue<'t>>,
    ) {
        self.read.named.insert((connection.map(ToOwned::to_owned), noun.name));
        let connection = connection.map(ToOwned::to_owned);
        let place = self.place(&span);
        self.read.items.push(Item {
            noun,
            connection,
            name,
            skip_missing: false,
            actor: None,
            source: self.source,
            span,
            place,
            value,
        });
    }

    /// The place of a span, without going through the text before it: files have many items.
    fn place(&self, span: &Range<usize>) -> Place {
        let lines = self.newlines.partition_point(|newline| *newline < span.start);
        let line_start = lines.checked_sub(1).and_then(|at| self.newlines.get(at)).map_or(0, |at| at + 1);
        let before = self.source.text.get(line_start..span.start).unwrap_or_default();
        Place { file: self.source.name.clone(), line: lines + 1, column: before.chars().count() + 1 }
    }

    /// The entries of a table; anything else is refused.
    fn entries(&mut self, what: &str, value: At<DeValue<'t>>) -> DeTable<'t> {
        let span = value.span();
        match value.into_inner() {
            DeValue::Table(table) => table,
            _ => {
                let text = format!("{what} is a table with one entry for each item: write [{what}.NAME]");
                self.fault(span, "bad_config", text);
                DeTable::new()
            }
        }
    }

    fn unknown(&mut self, key: &str, span: Range<usize>, known: Vec<&'static str>) {
        let near = crate::suggest::nearest(key, known.iter(), |name| name);
        let remedy = near.map_or_else(
            || format!("use one of {}", known.join(", ")),
            |name| format!("did you mean {name}?"),
        );
        self.fault(span, "bad_config", format!("{} is nothing that can be set here: {remedy}", quoted(key)));
    }

    fn fault(&mut self, span: Range<usize>, code: &'static str, message: String) {
        let place = self.place(&span);
        self.read.faults.push(Fault { item: String::new(), place, code, message });
    }
}

fn place(source: &Source, span: Range<usize>) -> Place {
    let SchemaError { line, column, .. } = SchemaError::at(&source.text, Some(span), String::new());
    Place { file: source.name.clone(), line, column }
}

impl Item<'_> {
    /// The item as people are told of it.
    pub(super) fn label(&self) -> String {
        label(self.connection.as_deref(), self.noun, &self.name)
    }

    /// Where it stands.
    pub(super) fn place(&self) -> Place {
        self.place.clone()
    }

    /// Why it cannot be as it is.
    pub(super) fn fault(&self, code: &'static str, message: impl Into<String>) -> Fault {
        Fault { item: self.label(), place: self.place(), code, message: message.into() }
    }

    /// It names an object that is not there.
    pub(super) fn no_object(&self, object: &impl std::fmt::Display) -> Fault {
        let text = format!("there is no object {object}: see the objects with `tieline object list`");
        self.fault("unknown_object", text)
    }

    /// A fault at a place of its file.
    pub(super) fn fault_at(&self, error: SchemaError) -> Fault {
        let SchemaError { line, column, message } = error;
        let place = Place { file: self.source.name.clone(), line, column };
        Fault { item: self.label(), place, code: "bad_config", message }
    }

    /// What the file says, as a definition.
    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, Vec<Fault>> {
        self.deserialized(self.value.clone())
    }

    /// The same for a definition that knows its own name as `key`.
    pub(super) fn named<T: DeserializeOwned>(&self, key: &'static str) -> Result<T, Vec<Fault>> {
        let mut value = self.value.clone();
        if let DeValue::Table(table) = value.get_mut() {
            if let Some((found, _)) = table.iter().find(|(found, _)| found.get_ref() == key) {
                let message = format!("{key} stands in the heading already: leave it out here");
                return Err(vec![self.fault_at(SchemaError::at(
                    &self.source.text,
                    Some(found.span()),
                    message,
                ))]);
            }
            let name = DeValue::String(self.name.clone().into());
            table.insert(Spanned::new(self.span.clone(), key.into()), Spanned::new(self.span.clone(), name));
        }
        self.deserialized(value)
    }

    /// The same for a definition that names connections: files say partners and labels, definitions ids.
    pub(super) fn linked<T: DeserializeOwned>(
        &self,
        key: &'static str,
        state: &State,
    ) -> Result<T, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut value = self.value.clone();
        self.link(value.get_mut(), state, &mut faults);
        if !faults.is_empty() {
            return Err(faults);
        }
        Item {
            value,
            connection: self.connection.clone(),
            name: self.name.clone(),
            place: self.place.clone(),
            actor: self.actor.clone(),
            span: self.span.clone(),
            ..*self
        }
        .named(key)
    }

    fn link(&self, value: &mut DeValue<'_>, state: &State, faults: &mut Vec<Fault>) {
        match value {
            DeValue::Table(table) => {
                for (key, value) in table.iter_mut() {
                    let span = value.span();
                    match (key.get_ref().as_ref(), value.get_mut()) {
                        ("connection", DeValue::String(name)) => {
                            if let Some(id) = self.connection_id(name, span, state, faults) {
                                *name = id.into();
                            }
                        }
                        ("connections", DeValue::Array(names)) => {
                            let mut linked = DeArray::new();
                            for mut one in std::mem::replace(names, DeArray::new()) {
                                let span = one.span();
                                if let DeValue::String(name) = one.get_mut() {
                                    let Some(id) = self.connection_id(name, span, state, faults) else {
                                        continue;
                                    };
                                    *name = id.into();
                                }
                                linked.push(one);
                            }
                            *names = linked;
                        }
                        (_, value) => self.link(value, state, faults),
                    }
                }
            }
            DeValue::Array(items) => {
                items.iter_mut().for_each(|item| self.link(item.get_mut(), state, faults));
            }
            _ => {}
        }
    }

    fn connection_id(
        &self,
        name: &str,
        span: Range<usize>,
        state: &State,
        faults: &mut Vec<Fault>,
    ) -> Option<String> {
        match state.select(name) {
            Ok(connection) => Some(connection.id.to_string()),
            Err(NotSelected::Unknown(_)) if self.skip_missing => None,
            Err(error) => {
                let fault = self.fault("unknown_connection", error.to_string());
                faults.push(Fault { place: place(self.source, span), ..fault });
                None
            }
        }
    }

    /// Its name, as the type that names have.
    pub(super) fn id<T: std::str::FromStr<Err: std::fmt::Display>>(&self) -> Result<T, Vec<Fault>> {
        self.name.parse().map_err(|error: T::Err| vec![self.fault("bad_config", error.to_string())])
    }

    /// What the file says, as JSON. Dates become texts.
    pub(super) fn json(&self) -> Json {
        json(self.value.get_ref())
    }

    /// What the file says of an object.
    pub(super) fn object_file(&self) -> Result<ObjectFile, Vec<Fault>> {
        let DeValue::Table(table) = self.value.get_ref().clone() else {
            return Err(vec![self.fault("bad_config", "an object is a table of keys and values")]);
        };
        let table = Spanned::new(self.value.span(), table);
        ObjectFile::from_table(&self.source.text, table).map_err(|error| vec![self.fault_at(error)])
    }

    fn deserialized<T: DeserializeOwned>(&self, value: Spanned<DeValue<'_>>) -> Result<T, Vec<Fault>> {
        T::deserialize(ValueDeserializer::from(value))
            .map_err(|error| vec![self.fault_at(SchemaError::of(&self.source.text, &error))])
    }
}

/// An item as people are told of it: `roles.sales`, `connections.globex.publish.Lead`.
pub(super) fn label(connection: Option<&str>, noun: &Noun, name: &str) -> String {
    let of = connection.map(|connection| format!("connections.{connection}.")).unwrap_or_default();
    let name = if noun.single { String::new() } else { format!(".{name}") };
    format!("{of}{}{name}", noun.name)
}

fn json(value: &DeValue<'_>) -> Json {
    match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| number.to_string().into(), Json::from),
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or(Json::Null, Json::from),
        DeValue::Boolean(truth) => (*truth).into(),
        DeValue::Datetime(moment) => moment.to_string().into(),
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect(),
        DeValue::Table(table) => {
            table.iter().map(|(key, value)| (key.get_ref().to_string(), json(value.get_ref()))).collect()
        }
    }
}
