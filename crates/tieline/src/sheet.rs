//! Tables as CSV that no spreadsheet runs: the one writer of CSV.
//!
//! A spreadsheet runs a cell that begins with `=`, `+`, `-`, `@`, tab or carriage return as a formula.
//! A text that begins so is written with a `'` before it; so that nothing is ambiguous, one that begins
//! with any number of `'` and then such a character gets one `'` more. `tieline record import` takes
//! that one away again, so what is exported comes back as it was. Numbers and dates are not formulas
//! and are written as they are.

use std::io::Write;

use serde_json::Value as Json;

use crate::error::{CliError, Kind, Result};

/// A table that is written row by row.
pub(crate) struct Sheet<W: Write> {
    csv: csv::Writer<W>,
}

/// One cell.
pub(crate) enum Cell {
    /// What a person may have written.
    Text(String),
    /// A number, a moment, an id: never a formula.
    Plain(String),
}

impl<W: Write> Sheet<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { csv: csv::Writer::from_writer(out) }
    }

    /// Writes a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) -> Result<()> {
        let cells = cells.into_iter().map(|cell| match cell {
            Cell::Text(text) => guarded(text),
            Cell::Plain(text) => text,
        });
        self.csv.write_record(cells).map_err(|error| match error.into_kind() {
            csv::ErrorKind::Io(error) => error.into(),
            other => CliError::new(Kind::Internal, format!("The rows cannot be written as CSV: {other:?}")),
        })
    }

    /// Writes what is left.
    pub(crate) fn finish(mut self) -> Result<()> {
        Ok(self.csv.flush()?)
    }
}

impl Cell {
    /// The cell of a value as JSON has it. Texts that are numbers, as amounts of money are, stay so.
    pub(crate) fn of(value: &Json) -> Self {
        match value {
            Json::Null => Self::Plain(String::new()),
            Json::Bool(_) | Json::Number(_) => Self::Plain(value.to_string()),
            Json::String(text) if is_number(text) => Self::Plain(text.clone()),
            Json::String(text) => Self::Text(text.clone()),
            Json::Array(items) => {
                let items =
                    items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), Into::into));
                Self::Text(items.collect::<Vec<String>>().join(";"))
            }
            Json::Object(_) => Self::Text(value.to_string()),
        }
    }
}

/// Whether a text is a plain number: digits, one point at most, a sign before it at most.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || c == '.')
        && digits.matches('.').count() <= 1
}

/// Whether a spreadsheet would run a text, but for apostrophes before it.
fn is_run(text: &str) -> bool {
    text.trim_start_matches('\'').starts_with(['=', '+', '-', '@', '\t', '\r'])
}

/// `text` so that no spreadsheet runs it.
fn guarded(text: String) -> String {
    if is_run(&text) { format!("'{text}") } else { text }
}

/// The text that a guarded cell stands for.
pub(crate) fn unguarded(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|text| is_run(text)).unwrap_or(cell)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn formulas_are_made_harmless_and_come_back_as_they_were() {
        for (text, cell) in [
            ("=1+1", "'=1+1"),
            ("+49 30", "'+49 30"),
            ("-1E02", "'-1E02"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\tx", "'\tx"),
            ("\rx", "'\rx"),
            ("'=x", "''=x"),
            ("''@", "'''@"),
            ("a=1", "a=1"),
            ("", ""),
            ("'x", "'x"),
            ("'", "'"),
        ] {
            assert_eq!(guarded(text.to_owned()), cell);
            assert_eq!(unguarded(cell), text);
        }
    }

    #[test]
    fn numbers_stay_numbers() {
        let shown = |value: &Json| {
            let mut sheet = Sheet::new(Vec::new());
            sheet.row([Cell::of(value)]).unwrap();
            String::from_utf8(sheet.csv.into_inner().unwrap()).unwrap()
        };
        for (value, cell) in [
            (json!("-5.20"), "-5.20\n"),
            (json!(-3), "-3\n"),
            (json!("-5-2"), "'-5-2\n"),
            (json!("-1E02"), "'-1E02\n"),
            (json!(["=a", "b"]), "'=a;b\n"),
            (json!(null), "\"\"\n"),
            (json!("a\"b,c"), "\"a\"\"b,c\"\n"),
        ] {
            assert_eq!(shown(&value), cell, "{value}");
        }
    }
}
