//! Files of records, as CRM tools export them.
//!
//! | module | reads |
//! |---|---|
//! | [`csv`] | comma-separated files: byte order mark, CRLF, quoted line breaks, quoted everything |
//! | [`json`] | a list of objects, or one object in each line |
//! | [`tree`] | `{"records": […]}` with references between records, and plans of several such files |
//! | [`columns`] | finds the field of each column, once, before the first record is read |
//! | [`keys`] | finds records by the value of a field |
//! | [`load`] | sends records in batches and says what became of each |
//!
//! A reader gives one [`Item`] for each record, malformed or not, with the line where it begins: a
//! bad record never hides the ones after it. Only what makes the rest unreadable (a quote that is
//! not closed, JSON whose brackets do not match) ends a file early, and that is said. CSV is read
//! as a stream; JSON files are held in memory.

pub(crate) mod columns;
pub(crate) mod csv;
#[cfg(test)]
mod fuzz;
pub(crate) mod json;
pub(crate) mod keys;
pub(crate) mod load;
pub(crate) mod tree;

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use ::csv::ByteRecord;
use clap::ValueEnum;
use serde_json::{Map, Value as Json};

use crate::error::{CliError, Kind, Result};

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Comma-separated values with a header
    Csv,
    /// A list of objects, one object a line, or {"records": […]}
    Json,
}

/// One record of a file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Item {
    /// Where it begins, from 1.
    pub(crate) line: u64,
    /// What it says.
    pub(crate) content: Content,
    /// What is wrong with how it is written.
    pub(crate) fault: Option<Fault>,
}

/// What a record says, as it came.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    /// Cells in the order of the columns.
    Cells(ByteRecord),
    /// Values by column, and the name by which other records of the import refer to this one.
    Fields {
        /// The values.
        fields: Map<String, Json>,
        /// The name.
        reference: Option<String>,
    },
}

/// Why a record cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The column that it is about.
    pub(crate) column: Option<String>,
    /// A sentence.
    pub(crate) message: String,
}

impl Fault {
    /// A fault of a whole record.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { column: None, message: message.into() }
    }

    /// A fault of one column.
    pub(crate) fn of_column(column: &str, message: impl Into<String>) -> Self {
        Self { column: Some(column.to_owned()), message: message.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.column {
            Some(column) => write!(f, "column {column}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// A file of records that is being read.
pub(crate) trait Records {
    /// The columns: the header of a CSV file, the keys of all JSON records.
    fn columns(&self) -> &[String];

    /// The next record.
    ///
    /// # Errors
    /// The file cannot be read further.
    fn next(&mut self) -> Result<Option<Item>>;

    /// How many bytes were read, for progress.
    fn position(&self) -> u64;
}

impl Content {
    /// The cells as they are written for a person who mends them, in the order of `columns`.
    pub(crate) fn to_cells(&self, columns: &[String]) -> ByteRecord {
        match self {
            Self::Cells(cells) => {
                let mut cells = cells.clone();
                // A row that is too short is filled up, so that what follows stands in its column.
                (cells.len()..columns.len()).for_each(|_| cells.push_field(b""));
                cells
            }
            Self::Fields { fields, .. } => {
                let cell = |column: &String| match fields.get(column) {
                    None | Some(Json::Null) => String::new(),
                    Some(Json::String(text)) => text.clone(),
                    Some(other) => other.to_string(),
                };
                columns.iter().map(cell).collect::<Vec<_>>().into()
            }
        }
    }
}

/// Opens a file of records; `-` is standard input.
pub(crate) fn open(path: &Path, format: Option<Format>, delimiter: u8) -> Result<Box<dyn Records>> {
    let mut input: Box<dyn Read> =
        if path == Path::new("-") { Box::new(io::stdin()) } else { Box::new(open_file(path)?) };
    let name = path.display().to_string();
    match format.or_else(|| format_of(path)) {
        Some(Format::Csv) => {
            let rows = csv::Rows::new(BufReader::with_capacity(1 << 16, input), delimiter, &name)?;
            Ok(Box::new(rows))
        }
        Some(Format::Json) => {
            let mut bytes = Vec::new();
            input.read_to_end(&mut bytes).map_err(|error| unreadable(&name, &error))?;
            Ok(Box::new(json::Objects::new(bytes, &name)?))
        }
        None => Err(CliError::usage(format!("The name of {name} does not tell its format"))
            .hint("Say it with --format csv or --format json")),
    }
}

/// How many bytes a file has, if it is one.
pub(crate) fn length(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|metadata| metadata.len())
}

fn open_file(path: &Path) -> Result<File> {
    File::open(path).map_err(|error| unreadable(&path.display().to_string(), &error))
}

fn format_of(path: &Path) -> Option<Format> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    match extension.as_str() {
        "csv" | "tsv" | "txt" => Some(Format::Csv),
        "json" | "jsonl" | "ndjson" => Some(Format::Json),
        _ => None,
    }
}

/// A file that is not there or cannot be read.
pub(crate) fn unreadable(name: &str, error: &io::Error) -> CliError {
    let kind = if error.kind() == io::ErrorKind::NotFound { Kind::NotFound } else { Kind::Internal };
    CliError::new(kind, format!("{name} cannot be read")).caused_by(error)
}
