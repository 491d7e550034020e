//! Sends records to the daemon, in batches, and says what became of each.
//!
//! One bad record stops nothing but itself. If the daemon is lost on the way, what was sent last may
//! or may not have been taken: the error names those lines, and the key with which the same import
//! can be run again without taking anything twice.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use csv::{ByteRecord, Writer};
use indicatif::ProgressBar;
use serde_json::{Map, Value as Json, json};
use tieline_core::ObjectName;

use super::columns::{Columns, Known, REFUSAL_COLUMNS};
use super::keys::{Key, Keys};
use super::tree::{self, References};
use super::{Content, Fault, Item, Records};
use crate::client::{Client, path};
use crate::commands::list;
use crate::error::{CliError, Kind, Result};
use crate::output::{Output, plain};

/// Records of one request.
const BATCH_RECORDS: usize = 200;
/// Bytes of a request after which no record is added: far below what the daemon takes, and above
/// any single record.
const BATCH_BYTES: usize = 1 << 20;
/// Refusals that are told one by one; the file of refused rows has all.
const TOLD_MAX: u64 = 50;

/// The record that a row is of, if it is there, and the fields of the row.
type Change = (Option<String>, Map<String, Json>);

/// What became of an import.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Records read.
    pub(crate) read: u64,
    /// Records created.
    pub(crate) created: u64,
    /// Records that were there and were written to.
    pub(crate) updated: u64,
    /// Records refused, here or by the daemon.
    pub(crate) refused: u64,
    /// The first refusals, for machines.
    pub(crate) refusals: Vec<Json>,
}

/// An import of one file, or of the files of a plan one after the other.
pub(crate) struct Loader<'a> {
    client: &'a Client,
    output: &'a Output,
    bar: ProgressBar,
    refused: Option<Writer<BufWriter<File>>>,
    references: References,
    keys: Keys,
    /// Records of lines before this one are passed over.
    from_line: u64,
    pub(crate) tally: Tally,
}

/// One file of an import.
pub(crate) struct Source<'a> {
    /// The object of its records.
    pub(crate) object: &'a ObjectName,
    /// Its name, where several files are imported.
    pub(crate) name: Option<&'a str>,
    /// The field of each column.
    pub(crate) columns: &'a Columns,
    /// By which a row finds the record that it is of; without it, each row is a new record.
    pub(crate) upsert: Option<&'a Key>,
    /// The records.
    pub(crate) records: &'a mut dyn Records,
}

/// Records that are sent together. Those with a fault are not sent, and wait here for their turn to
/// be told, so that everything is told in the order of the file.
#[derive(Default)]
struct Batch {
    items: Vec<Item>,
    operations: Vec<Json>,
    bytes: usize,
}

impl<'a> Loader<'a> {
    pub(crate) fn new(client: &'a Client, output: &'a Output, bar: ProgressBar, from_line: u64) -> Self {
        let (references, keys, tally) = (References::new(), Keys::default(), Tally::default());
        Self { client, output, bar, refused: None, references, keys, from_line, tally }
    }

    /// Writes refused rows to a CSV file, with their line and what is wrong.
    pub(crate) fn write_refused(&mut self, path: &Path) -> Result<()> {
        let file = File::create(path).map_err(|error| unwritable(path, &error))?;
        self.refused = Some(csv::WriterBuilder::new().flexible(true).from_writer(BufWriter::new(file)));
        Ok(())
    }

    /// Imports a file.
    ///
    /// # Errors
    /// The file cannot be read, or the daemon is lost. Refused records are no error.
    pub(crate) fn load(&mut self, source: &mut Source<'_>) -> Result<()> {
        let header = source.records.columns().to_vec();
        // Line and reason come first, so that a row with too many cells does not move them.
        self.write_row(&REFUSAL_COLUMNS.into_iter().chain(header.iter().map(String::as_str)).collect())?;
        for key in source.columns.keys().chain(source.upsert) {
            self.keys.load(self.client, key)?;
        }
        let mut batch = Batch::default();
        while let Some(item) = source.records.next()? {
            if item.line < self.from_line {
                continue;
            }
            self.tally.read += 1;
            self.take(source, &mut batch, item)?;
            self.bar.set_position(source.records.position());
        }
        self.send(source, &mut batch)?;
        self.refused.as_mut().map_or(Ok(()), |file| Ok(file.flush()?))
    }

    fn take(&mut self, source: &Source<'_>, batch: &mut Batch, mut item: Item) -> Result<()> {
        // A record may refer to one that waits in the same batch, or be it.
        let waits = match &item.content {
            Content::Fields { fields, .. } => tree::unresolved(fields, &self.references),
            Content::Cells(_) => false,
        };
        if item.fault.is_none() {
            let mut change = self.change(source, &item);
            if waits || self.is_open(source, batch, &change) {
                self.send(source, batch)?;
                change = self.change(source, &item);
            }
            match change {
                Ok((record, fields)) => batch.add(source.object, record, fields),
                Err(fault) => item.fault = Some(fault),
            }
        }
        batch.items.push(item);
        if batch.is_full() { self.send(source, batch) } else { Ok(()) }
    }

    /// What a record says: the one that it is of, if it is there, and its fields.
    fn change(&self, source: &Source<'_>, item: &Item) -> Result<Change, Fault> {
        let known = Known { references: &self.references, keys: &self.keys };
        let fields = source.columns.fields(&item.content, known)?;
        let Some(key) = source.upsert else { return Ok((None, fields)) };
        let field = key.field.as_str();
        let Some(value) = fields.get(field).map(plain).filter(|value| !value.is_empty()) else {
            return Err(Fault::of_column(field, "it has no value, and records are found by it"));
        };
        let found = self.keys.find(key, &value).map_err(|problem| Fault::of_column(field, problem))?;
        Ok((found.map(str::to_owned), fields))
    }

    /// Whether the answer to the records of the batch could make another change of this one: it was
    /// not found by its key, or what it refers to was not.
    fn is_open(&self, source: &Source<'_>, batch: &Batch, change: &Result<Change, Fault>) -> bool {
        let not_found = match change {
            Ok((record, fields)) => {
                let value = source.upsert.and_then(|key| fields.get(key.field.as_str()));
                record.is_none() && value.is_some_and(|value| batch.holds(source.upsert, value))
            }
            Err(_) => source.columns.keys().any(|key| key.object == *source.object),
        };
        not_found && !batch.operations.is_empty()
    }

    fn send(&mut self, source: &Source<'_>, batch: &mut Batch) -> Result<()> {
        let Batch { items, operations, .. } = std::mem::take(batch);
        let (Some(first), Some(last)) = (items.first(), items.last()) else { return Ok(()) };
        let mut results = Vec::new();
        let sent = operations.len();
        if sent > 0 {
            let answer = self.client.post(&path(["batch"]), &json!({ "operations": &operations }));
            let answer = answer.map_err(|error| self.lost(error, first.line, last.line))?;
            results.extend_from_slice(list(&answer, "results"));
        }
        if results.len() != sent {
            let message = format!("The daemon answered {} of {sent} records", results.len());
            return Err(CliError::new(Kind::Internal, message));
        }
        let mut results = results.iter().zip(&operations);
        for mut item in items {
            let fault = item.fault.take().or_else(|| {
                let (result, operation) = results.next()?;
                self.written(source.object, &item, operation, result)
            });
            if let Some(fault) = fault {
                self.refuse(source, &item, &fault)?;
            }
        }
        self.bar.set_message(format!("{} created, {} refused", self.tally.created, self.tally.refused));
        Ok(())
    }

    /// Counts a record that was written, and notes how others refer to it; else says what is wrong.
    fn written(
        &mut self,
        object: &ObjectName,
        item: &Item,
        operation: &Json,
        result: &Json,
    ) -> Option<Fault> {
        if result.get("ok").and_then(Json::as_bool) != Some(true) {
            return Some(fault_of(result));
        }
        let known = operation.get("id").and_then(Json::as_str);
        if known.is_some() {
            self.tally.updated += 1;
        } else {
            self.tally.created += 1;
        }
        let id = known.or_else(|| result.get("id").and_then(Json::as_str))?;
        if let Content::Fields { reference: Some(name), .. } = &item.content {
            self.references.insert(name.clone(), id.to_owned());
        }
        if self.keys.has(object.as_str())
            && let Some(fields) = operation.get("fields").and_then(Json::as_object)
        {
            self.keys.learn(object, fields, id);
        }
        None
    }

    /// Counts, tells and writes down a record that was refused.
    fn refuse(&mut self, source: &Source<'_>, item: &Item, fault: &Fault) -> Result<()> {
        self.tally.refused += 1;
        let within = source.name.map_or_else(String::new, |name| format!("{name}, "));
        let text = fault.to_string();
        match self.tally.refused {
            ..=TOLD_MAX => {
                let line = format!("{within}line {}: {text}", item.line);
                self.bar.suspend(|| self.output.tell(&line));
                self.tally.refusals.push(json!({
                    "file": source.name, "line": item.line, "column": fault.column, "message": fault.message,
                }));
            }
            n if n == TOLD_MAX + 1 => {
                self.bar.suspend(|| self.output.tell("More rows are refused, and not told one by one"));
            }
            _ => {}
        }
        let mut row = ByteRecord::from(vec![item.line.to_string(), text]);
        row.extend(&item.content.to_cells(source.records.columns()));
        self.write_row(&row)
    }

    fn write_row(&mut self, row: &ByteRecord) -> Result<()> {
        let Some(file) = &mut self.refused else { return Ok(()) };
        file.write_byte_record(row).map_err(|error| {
            CliError::new(Kind::Internal, "The file of refused rows cannot be written").caused_by(&error)
        })
    }

    /// What to tell when a batch got no answer.
    fn lost(&self, error: CliError, first: u64, last: u64) -> CliError {
        let Tally { created, updated, refused, .. } = self.tally;
        let certain = match updated {
            0 => format!("{created} records were created and {refused} refused before"),
            _ => format!("{created} records were created, {updated} updated and {refused} refused before"),
        };
        if error.kind == Kind::NotReachable {
            let unknown = format!("whether lines {first} to {last} were taken is not known");
            let hint = self.client.key().map_or_else(
                || format!("Look whether the record of line {first} is there; then go on with --from-line"),
                |key| {
                    format!(
                        "Run the same import again within a day with --idempotency-key {key}: what was taken is \
                         not taken twice"
                    )
                },
            );
            error.also(format!("{certain}; {unknown}")).hint(hint)
        } else {
            error
                .also(format!("{certain}; lines {first} to {last} were not taken"))
                .hint(format!("Go on with --from-line {first} when the cause is mended"))
        }
    }
}

impl Batch {
    /// Adds a change of `record`, or a new record.
    fn add(&mut self, object: &ObjectName, record: Option<String>, fields: Map<String, Json>) {
        // Names and values, and the punctuation between them: an estimate is enough.
        let values = fields.iter().map(|(name, value)| name.len() + value.as_str().map_or(16, str::len) + 8);
        self.bytes += values.sum::<usize>() + 64;
        self.operations.push(match record {
            None => json!({ "op": "create", "object": object, "fields": fields }),
            Some(id) => json!({ "op": "update", "object": object, "id": id, "fields": fields }),
        });
    }

    /// Whether a record of the batch has this value of the key.
    fn holds(&self, key: Option<&Key>, value: &Json) -> bool {
        let has =
            |operation: &Json, key: &Key| operation.pointer(&format!("/fields/{}", key.field)) == Some(value);
        key.is_some_and(|key| self.operations.iter().any(|operation| has(operation, key)))
    }

    const fn is_full(&self) -> bool {
        self.items.len() >= BATCH_RECORDS || self.bytes >= BATCH_BYTES
    }
}

/// What the daemon says of a record that it refused.
fn fault_of(result: &Json) -> Fault {
    let text = |value: &Json, key: &str| value.get(key).and_then(Json::as_str).map(str::to_owned);
    let reasons = list(result, "reasons");
    match reasons {
        [one] => Fault { column: text(one, "field"), message: text(one, "message").unwrap_or_default() },
        _ => Fault::new(text(result, "detail").unwrap_or_else(|| "the daemon refused it".to_owned())),
    }
}

fn unwritable(path: &Path, error: &std::io::Error) -> CliError {
    CliError::new(Kind::Internal, format!("{} cannot be written", path.display())).caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_full_by_records_or_by_bytes() {
        let item = || Item { line: 1, content: Content::Cells(ByteRecord::new()), fault: None };
        let mut batch = Batch::default();
        (1..BATCH_RECORDS).for_each(|_| batch.items.push(item()));
        assert!(!batch.is_full());
        batch.items.push(item());
        assert!(batch.is_full());
        let mut batch = Batch::default();
        batch.add(
            &"Lead".parse().unwrap(),
            None,
            Map::from_iter([("a".to_owned(), "x".repeat(BATCH_BYTES).into())]),
        );
        assert!(batch.is_full());
    }

    #[test]
    fn what_the_daemon_refuses_is_said_of_its_column() {
        let one = json!({"ok": false, "detail": "Email is bad", "reasons": [{"code": "bad_email", "field": "Email", "message": "Email is bad"}]});
        assert_eq!(fault_of(&one), Fault::of_column("Email", "Email is bad"));
        let two = json!({"ok": false, "detail": "a; b", "reasons": [{"message": "a"}, {"message": "b"}]});
        assert_eq!(fault_of(&two), Fault::new("a; b"));
        assert_eq!(fault_of(&json!({"ok": false})), Fault::new("the daemon refused it"));
    }
}
