//! `tieline record import`: creates and updates records from files.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use serde_json::json;
use tieline_core::{FieldName, ObjectName};

use crate::client::Client;
use crate::commands::object::Schema;
use crate::error::{CliError, Result};
use crate::import::columns::{Columns, Reading, Rename};
use crate::import::keys::Key;
use crate::import::load::{Loader, Source};
use crate::import::tree::{Step, read_plan};
use crate::import::{self, Format};
use crate::session::Session;

/// Create records from a CSV, JSON or tree file.
///
/// Columns are matched with fields in any case of their letters. A malformed or refused row is told
/// with its line and column, and the others go on; the exit code is then 3.
///
/// An import that broke off can be run again as it was, within a day, with the --idempotency-key that it
/// names then or was given: records that were created are not created again.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The object of the records
    #[arg(required_unless_present = "plan")]
    object: Option<ObjectName>,
    /// The file; - is standard input
    #[arg(required_unless_present = "plan")]
    file: Option<PathBuf>,
    /// A plan of several tree files, imported in its order so that references are found
    #[arg(long, value_name = "FILE", conflicts_with_all = ["object", "file", "format", "renames", "errors", "from_line"])]
    plan: Option<PathBuf>,
    /// How the file is written, if its name does not tell
    #[arg(long)]
    format: Option<Format>,
    /// What stands between the cells of a CSV file
    #[arg(long, value_name = "CHARACTER", default_value = ",", value_parser = delimiter)]
    delimiter: u8,
    /// A column and the field that it is, as Surname=LastName, or a key of the record that it refers to,
    /// as AccountId=Account.Code__c; may be repeated
    #[arg(long = "map", value_name = "HEADER=FIELD")]
    renames: Vec<Rename>,
    /// Update the record that has the row's value of this field, and create one where there is none
    #[arg(long, value_name = "FIELD", conflicts_with = "plan")]
    upsert: Option<FieldName>,
    /// Drop columns that no field has, or that nobody can write
    #[arg(long)]
    ignore_unknown: bool,
    /// Take the day, in UTC, of a date and time where a field holds a date
    #[arg(long)]
    times_as_dates: bool,
    /// Write refused rows with their reasons to this CSV file, to be mended and imported again
    #[arg(long, value_name = "FILE")]
    errors: Option<PathBuf>,
    /// Pass over the records of lines before this one
    #[arg(long, value_name = "LINE", default_value_t = 1)]
    from_line: u64,
}

impl Import {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let client = named(session.client()?);
        let steps = self.steps()?;
        let bytes = steps.iter().map(|step| import::length(&step.file)).sum();
        let bar = session.output.progress(bytes);
        let mut loader = Loader::new(&client, &session.output, bar.clone(), self.from_line);
        if let Some(errors) = &self.errors {
            loader.write_refused(errors)?;
        }
        for step in &steps {
            self.load(session, &client, &mut loader, step)?;
        }
        bar.finish_and_clear();
        let tally = loader.tally;
        let answer = json!({
            "read": tally.read, "created": tally.created, "updated": tally.updated, "refused": tally.refused,
            "refusals": tally.refusals,
        });
        session.output.show(&answer, |output| {
            let updated =
                self.upsert.as_ref().map_or_else(String::new, |_| format!(", {} updated", tally.updated));
            output.line(&format!(
                "{} records read, {} created{updated}, {} refused",
                tally.read, tally.created, tally.refused
            ))
        })?;
        if tally.refused == 0 {
            return Ok(());
        }
        let refused = CliError::refused(format!("{} of {} records were refused", tally.refused, tally.read));
        Err(match &self.errors {
            Some(errors) => refused.hint(format!("Mend them in {} and import that file", errors.display())),
            None if self.plan.is_some() => {
                refused.hint("Import the files that have them one by one, with --errors FILE")
            }
            None => refused
                .hint("Pass --errors FILE to have them with their reasons in a file that can be mended"),
        })
    }

    fn steps(&self) -> Result<Vec<Step>> {
        match (&self.plan, &self.object, &self.file) {
            (Some(plan), ..) => read_plan(plan),
            (None, Some(object), Some(file)) => {
                Ok(vec![Step { object: object.to_string(), file: file.clone() }])
            }
            // The definition of the arguments rules it out.
            _ => Err(CliError::usage("Name the object and the file to import")),
        }
    }

    fn load(&self, session: &Session, client: &Client, loader: &mut Loader<'_>, step: &Step) -> Result<()> {
        let name = step.file.display().to_string();
        let schema = Schema::fetch(client, &step.object)?;
        let mut records = import::open(&step.file, self.format, self.delimiter)?;
        let reading = Reading {
            renames: self.renames.clone(),
            ignore_unknown: self.ignore_unknown,
            times_as_dates: self.times_as_dates,
        };
        let columns = Columns::find(records.columns(), &schema, &reading).map_err(|error| {
            let error = error.about(&name);
            match other_delimiter(records.columns()) {
                Some(other) => error.hint(format!(
                    "The cells look separated by another character: try --delimiter '{other}'"
                )),
                None => error,
            }
        })?;
        let ignored: Vec<&str> = columns.ignored().collect();
        if !ignored.is_empty() {
            session.output.warn(&format!("{name}: the columns {} are dropped", ignored.join(", ")));
        }
        let upsert = self.upsert.clone().map(|field| Key { object: schema.name().clone(), field });
        loader.load(&mut Source {
            upsert: upsert.as_ref(),
            object: schema.name(),
            name: self.plan.is_some().then_some(name.as_str()),
            columns: &columns,
            records: records.as_mut(),
        })
    }
}

/// Names the changes of an import that was not given a key, so that it can be taken up again.
fn named(client: Client) -> Client {
    if client.key().is_some() {
        return client;
    }
    // No two imports of a user begin in the same process at the same moment.
    let begun = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    let key = format!("import-{begun}-{}", std::process::id());
    client.with_key(key.parse().ok())
}

/// What a header of one column looks separated by instead.
fn other_delimiter(columns: &[String]) -> Option<&'static str> {
    let [only] = columns else { return None };
    [(';', ";"), ('\t', "tab"), ('|', "|"), (',', ",")]
        .into_iter()
        .find(|(c, _)| only.contains(*c))
        .map(|(_, name)| name)
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text {
        "tab" | "\\t" => Ok(b'\t'),
        _ => match text.as_bytes() {
            [byte] if byte.is_ascii() && !byte.is_ascii_alphanumeric() && !b"\"\r\n".contains(byte) => {
                Ok(*byte)
            }
            _ => Err("write one character, as ; or |, or tab".to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_delimiter_is_noticed() {
        let guess =
            |columns: &[&str]| other_delimiter(&columns.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>());
        assert_eq!(guess(&["LastName;Company"]), Some(";"));
        assert_eq!(guess(&["LastName\tCompany"]), Some("tab"));
        assert_eq!(guess(&["LastName"]), None);
        assert_eq!(guess(&["LastName;", "Company"]), None);
    }

    #[test]
    fn delimiters_are_one_character() {
        for (text, byte) in
            [(",", b','), (";", b';'), ("tab", b'\t'), ("\\t", b'\t'), ("\t", b'\t'), ("|", b'|')]
        {
            assert_eq!(delimiter(text), Ok(byte));
        }
        for text in ["", "a", "\"", "\n", ";;", "ü"] {
            assert!(delimiter(text).is_err(), "{text:?}");
        }
    }
}
