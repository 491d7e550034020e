//! What people and scripts see.
//!
//! Results go to standard output, everything else to standard error: status lines, hints, progress
//! and errors. People get plain aligned tables; `--json` gives the daemon's answer as it came. Hints
//! and progress are for terminals, and are left out when the output is piped.
//!
//! This is the only module that writes to either stream, so that a closed pipe ends a command
//! quietly and no control character of a partner's value reaches a terminal.

use std::io::{self, IsTerminal, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value as Json;
use tieline_core::Timestamp;

use crate::error::{CliError, Kind, Result};
use crate::sheet::{Cell, Sheet};

/// One column of a table, or one line of a list of facts.
pub(crate) struct Column {
    heading: &'static str,
    path: &'static str,
    cell: fn(&Json) -> String,
}

/// A column with what the JSON pointer `path` leads to.
pub(crate) const fn text(heading: &'static str, path: &'static str) -> Column {
    Column { heading, path, cell: plain }
}

/// A column with a moment, to the second.
pub(crate) const fn time(heading: &'static str, path: &'static str) -> Column {
    Column { heading, path, cell: moment }
}

/// A column whose cell is made by a function.
pub(crate) const fn with(heading: &'static str, path: &'static str, cell: fn(&Json) -> String) -> Column {
    Column { heading, path, cell }
}

impl Column {
    /// The cell of a row.
    fn of(&self, row: &Json) -> String {
        row.pointer(self.path).map_or_else(String::new, self.cell)
    }

    /// The cell of a row in CSV: what is plain stays as it is, in full.
    fn cell_of(&self, row: &Json) -> Cell {
        match row.pointer(self.path) {
            Some(value @ (Json::Array(_) | Json::Object(_))) if value.get(0).is_none_or(Json::is_object) => {
                Cell::Text((self.cell)(value))
            }
            Some(value) => Cell::of(value),
            None => Cell::Plain(String::new()),
        }
    }
}

/// The streams of this process, and how to write to them.
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    terminal: bool,
    error_terminal: bool,
    colour: bool,
}

impl Output {
    /// Writes JSON if `json`, and no status lines if `quiet`.
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        let error_terminal = io::stderr().is_terminal();
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            json,
            quiet,
            terminal: io::stdout().is_terminal(),
            error_terminal,
            colour: error_terminal && !no_colour,
        }
    }

    /// Whether results are for machines.
    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }

    /// Shows an answer of the daemon: as it came, or as `people` shows it.
    pub(crate) fn show(&self, answer: &Json, people: impl FnOnce(&Self) -> Result<()>) -> Result<()> {
        if self.json { self.answer(answer) } else { people(self) }
    }

    /// Writes JSON: in one line for a pipe, indented for a terminal.
    pub(crate) fn answer(&self, answer: &Json) -> Result<()> {
        self.line(&if self.terminal { format!("{answer:#}") } else { answer.to_string() })
    }

    /// Writes a line of the result.
    pub(crate) fn line(&self, text: &str) -> Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.write_all(b"\n")?;
        Ok(out.flush()?)
    }

    /// Writes a table with one row for each of `rows`; without rows, nothing on standard output.
    pub(crate) fn table(&self, columns: &[Column], rows: &[Json]) -> Result<()> {
        let headings: Vec<&str> = columns.iter().map(|column| column.heading).collect();
        self.grid(&headings, rows.iter().map(|row| columns.iter().map(|column| column.of(row)).collect()))
    }

    /// Writes the things that there are, as a table whose first column names each; if `quiet`, that
    /// column alone, for scripts.
    pub(crate) fn list(&self, columns: &[Column], rows: &[Json]) -> Result<()> {
        let headings: Vec<&str> = columns.iter().map(|column| column.heading).collect();
        self.named(&headings, rows.iter().map(|row| columns.iter().map(|column| column.of(row)).collect()))
    }

    /// The same for columns that are known only now.
    pub(crate) fn named(&self, headings: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Result<()> {
        if !self.quiet {
            return self.grid(headings, rows);
        }
        rows.into_iter()
            .filter_map(|row| row.into_iter().next())
            .try_for_each(|name| self.line(&clean(&name)))
    }

    /// Writes rows as CSV with a header.
    pub(crate) fn sheet(&self, columns: &[Column], rows: &[Json]) -> Result<()> {
        let mut sheet = Sheet::new(io::stdout().lock());
        sheet.row(columns.iter().map(|column| Cell::Plain(column.heading.to_owned())))?;
        for row in rows {
            sheet.row(columns.iter().map(|column| column.cell_of(row)))?;
        }
        sheet.finish()
    }

    /// Writes rows whose cells are plain JSON as CSV, under headings that are known only now.
    pub(crate) fn raw_sheet(&self, headings: &[&str], rows: &[Json]) -> Result<()> {
        let mut sheet = Sheet::new(io::stdout().lock());
        sheet.row(headings.iter().map(|heading| Cell::Plain((*heading).to_owned())))?;
        for row in rows {
            sheet.row(row.as_array().into_iter().flatten().map(Cell::of))?;
        }
        sheet.finish()
    }

    /// Writes one row without a table, for rows that come one by one.
    pub(crate) fn row(&self, columns: &[Column], row: &Json) -> Result<()> {
        let cells: Vec<String> = columns.iter().map(|column| column.of(row)).collect();
        self.line(cells.join("  ").trim_end())
    }

    /// Writes a table whose columns are known only now. Columns without any cell are left out.
    pub(crate) fn grid(&self, headings: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Result<()> {
        let rows: Vec<Vec<String>> = rows.into_iter().collect();
        if rows.is_empty() {
            self.status("Nothing to show");
            return Ok(());
        }
        let filled = |at: usize| rows.iter().any(|row| row.get(at).is_some_and(|cell| !cell.is_empty()));
        let filled: Vec<bool> = (0..headings.len()).map(filled).collect();
        let keep = |cells: &mut dyn Iterator<Item = String>| -> Vec<String> {
            cells.zip(&filled).filter(|(_, filled)| **filled).map(|(cell, _)| clean(&cell)).collect()
        };
        let mut table = self.empty_table();
        table.set_header(keep(&mut headings.iter().map(|heading| (*heading).to_owned())));
        for row in &rows {
            table.add_row(keep(&mut row.iter().cloned()));
        }
        self.print(table)
    }

    /// Writes facts about one thing, a line each; facts that are not there are left out.
    pub(crate) fn facts(&self, facts: &[Column], thing: &Json) -> Result<()> {
        let pairs = facts.iter().map(|fact| (fact.heading.to_owned(), fact.of(thing)));
        self.pairs(pairs.filter(|(_, value)| !value.is_empty()))
    }

    /// Writes names and values, a line each.
    pub(crate) fn pairs(&self, pairs: impl IntoIterator<Item = (String, String)>) -> Result<()> {
        let mut table = self.empty_table();
        table.add_rows(pairs.into_iter().map(|(name, value)| [clean(&name), clean(&value)]));
        if table.row_count() == 0 { Ok(()) } else { self.print(table) }
    }

    /// Tells on standard error how far the command is.
    pub(crate) fn status(&self, text: &str) {
        if !self.quiet && !self.json {
            self.note(text);
        }
    }

    /// Tells a part of the result that is not for standard output; in JSON the result has it.
    pub(crate) fn tell(&self, text: &str) {
        if !self.json {
            self.note(&clean(text));
        }
    }

    /// Tells a person on a terminal what could be done next.
    pub(crate) fn hint(&self, text: &str) {
        if self.terminal && self.error_terminal {
            self.status(&format!("Hint: {text}"));
        }
    }

    /// Tells something on standard error that must not be missed.
    pub(crate) fn warn(&self, text: &str) {
        self.note(&format!("{} {text}", self.word("Warning:", "33")));
    }

    /// Tells why the command failed.
    pub(crate) fn error(&self, error: &CliError) {
        match error.kind {
            Kind::ClosedPipe | Kind::Differs => {}
            _ if self.json => self.note(&error.to_json().to_string()),
            _ => self.note(&format!("{} {}", self.word("Error:", "1;31"), lines(&error.to_string()))),
        }
    }

    /// A bar that shows how much of `total` bytes is done; hidden when nobody looks.
    pub(crate) fn progress(&self, total: Option<u64>) -> ProgressBar {
        if !self.error_terminal || self.quiet || self.json {
            return ProgressBar::hidden();
        }
        let (bar, template) = match total {
            Some(total) => (ProgressBar::new(total), "{wide_bar} {percent:>3} % {msg} {eta}"),
            None => (ProgressBar::no_length(), "{spinner} {msg}"),
        };
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(5));
        // A template that does not parse would only cost the look of the bar.
        bar.with_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
        )
    }

    fn note(&self, text: &str) {
        // There is nobody left to tell that standard error is closed.
        drop(writeln!(io::stderr().lock(), "{text}"));
    }

    fn word(&self, word: &str, colour: &str) -> String {
        if self.colour { format!("\u{1b}[{colour}m{word}\u{1b}[0m") } else { word.to_owned() }
    }

    fn empty_table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(NOTHING);
        let width = terminal_size::terminal_size().map(|(width, _)| width.0);
        if let Some(width) = width.filter(|_| self.terminal) {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        }
        table
    }

    fn print(&self, mut table: Table) -> Result<()> {
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        self.line(&table.trim_fmt())
    }
}

/// A cell with any JSON.
pub(crate) fn plain(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::Bool(truth) => if *truth { "yes" } else { "no" }.to_owned(),
        Json::Number(number) => number.to_string(),
        Json::String(text) => clean(text),
        Json::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Json::Object(_) => clean(&value.to_string()),
    }
}

/// A cell with a moment: RFC 3339 to the second.
pub(crate) fn moment(value: &Json) -> String {
    let shown = value.as_i64().map_or_else(|| plain(value), |us| Timestamp(us).to_string());
    match shown.split_once('.') {
        Some((seconds, fraction)) if fraction.ends_with('Z') => format!("{seconds}Z"),
        _ => shown,
    }
}

/// A cell with reasons: their sentences, or their codes where a partner told no more.
pub(crate) fn reasons(reasons: &Json) -> String {
    let text = |reason: &Json, key: &str| reason.get(key).map(plain).filter(|text| !text.is_empty());
    let shown = |reason: &Json| {
        let field = text(reason, "field").map_or_else(String::new, |field| format!(" ({field})"));
        text(reason, "message").unwrap_or_else(|| text(reason, "code").unwrap_or_default() + &field)
    };
    reasons.as_array().into_iter().flatten().map(shown).collect::<Vec<_>>().join("; ")
}

/// `text` in one line and without control characters: a partner's value must not move the cursor.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// `text` without control characters but line ends.
fn lines(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_are_plain() {
        for (value, shown) in [
            (json!(null), ""),
            (json!(true), "yes"),
            (json!(1.5), "1.5"),
            (json!("a\u{1b}[31m\r\nb"), "a [31m  b"),
            (json!(["a", null, 2]), "a, , 2"),
            (json!({"a": "\u{1b}"}), r#"{"a":"\u001b"}"#),
        ] {
            assert_eq!(plain(&value), shown);
        }
    }

    #[test]
    fn moments_are_shown_to_the_second() {
        assert_eq!(moment(&json!("2026-01-31T09:30:00.123456Z")), "2026-01-31T09:30:00Z");
        assert_eq!(moment(&json!("2026-01-31T09:30:00Z")), "2026-01-31T09:30:00Z");
        assert_eq!(moment(&json!(1_500_000)), "1970-01-01T00:00:01Z");
        assert_eq!(moment(&json!(null)), "");
    }

    #[test]
    fn a_column_finds_its_cell() {
        let row = json!({"a": {"b": 7}});
        assert_eq!(text("B", "/a/b").of(&row), "7");
        assert_eq!(text("C", "/a/c").of(&row), "");
    }
}
