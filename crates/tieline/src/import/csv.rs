//! Comma-separated files.
//!
//! The grammar is that of the `csv` crate, which takes what RFC 4180 allows and what spreadsheets
//! write. It reads on to the end of the file when a quote is not closed, and counts lines as neither
//! CRLF nor blank lines have them; [`Watch`] looks at the same bytes, so that each row has the line
//! that an editor shows, and a row that swallowed the rest of the file is told with its quote.

use std::collections::VecDeque;
use std::io::{BufRead, Read};

use csv::{ByteRecord, ReaderBuilder};

use super::{Content, Fault, Item, Records};
use crate::error::{CliError, Result};

/// The rows of a CSV file.
pub(crate) struct Rows<R> {
    reader: csv::Reader<Watch<R>>,
    columns: Vec<String>,
    name: String,
}

impl<R: BufRead> Rows<R> {
    /// Reads the header of `input`, whose name for errors is `name`.
    ///
    /// # Errors
    /// There is no header, or it is not UTF-8.
    pub(crate) fn new(mut input: R, delimiter: u8, name: &str) -> Result<Self> {
        let front = input.fill_buf().map_err(|error| super::unreadable(name, &error))?;
        if front.starts_with(b"\xff\xfe") || front.starts_with(b"\xfe\xff") {
            return Err(CliError::refused(format!("{name} is UTF-16"))
                .hint("Save it as CSV in UTF-8 and import that"));
        }
        let mut reader = ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .from_reader(Watch::new(input, delimiter));
        let mut header = ByteRecord::new();
        let any = reader.read_byte_record(&mut header).map_err(|error| broken(name, &error))?;
        if !any {
            return Err(
                CliError::refused(format!("{name} is empty")).hint("Its first line must name the columns")
            );
        }
        reader.get_mut().rows.pop_front();
        if let Some(line) = reader.get_ref().open_within(0..reader.position().byte()) {
            return Err(CliError::refused(format!(
                "The quote in line {line} of {name}, in its header, is not closed"
            )));
        }
        let mut columns = Vec::with_capacity(header.len());
        for cell in &header {
            let column = std::str::from_utf8(cell).map_err(|_| {
                CliError::refused(format!(
                    "Column {} of {name} has a name that is not UTF-8",
                    columns.len() + 1
                ))
                .hint("Save the file as CSV in UTF-8 and import that")
            })?;
            columns.push(column.trim().to_owned());
        }
        Ok(Self { reader, columns, name: name.to_owned() })
    }

    fn fault(&self, row: &ByteRecord, bytes: std::ops::Range<u64>) -> Option<Fault> {
        if let Some(line) = self.reader.get_ref().open_within(bytes) {
            let message =
                format!("the quote in line {line} is not closed, so everything after it is in one cell");
            return Some(Fault::new(message));
        }
        let (cells, columns) = (row.len(), self.columns.len());
        if cells != columns {
            let message = format!(
                "it has {cells} cells and the header has {columns}; look for a comma or quote that is missing or too many"
            );
            return Some(Fault::new(message));
        }
        let (column, bad) = self.columns.iter().zip(row).find_map(|(column, cell)| {
            let error = std::str::from_utf8(cell).err()?;
            cell.get(error.valid_up_to()).map(|byte| (column, *byte))
        })?;
        let message = format!("byte 0x{bad:02x} is not UTF-8; save the file as CSV in UTF-8 and import that");
        Some(Fault::of_column(column, message))
    }
}

impl<R: BufRead> Records for Rows<R> {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn next(&mut self) -> Result<Option<Item>> {
        let mut row = ByteRecord::with_capacity(256, self.columns.len());
        let any = self.reader.read_byte_record(&mut row).map_err(|error| broken(&self.name, &error))?;
        if !any {
            return Ok(None);
        }
        let line = self.reader.get_mut().rows.pop_front().unwrap_or_default();
        let start = row.position().map_or(0, csv::Position::byte);
        let fault = self.fault(&row, start..self.reader.position().byte());
        row.set_position(None);
        Ok(Some(Item { line, content: Content::Cells(row), fault }))
    }

    fn position(&self) -> u64 {
        self.reader.position().byte()
    }
}

fn broken(name: &str, error: &csv::Error) -> CliError {
    CliError::refused(format!("{name} cannot be read further")).caused_by(error)
}

/// Passes bytes on, and notes where rows begin and where a quote was opened that is not closed.
struct Watch<R> {
    input: R,
    delimiter: u8,
    state: State,
    /// How many bytes were seen, and how many lines were begun.
    byte: u64,
    line: u64,
    /// Whether the last byte was a carriage return: a line feed then ends the same line.
    returned: bool,
    /// The lines where rows begin that were seen and not taken yet: as many as fit a buffer.
    rows: VecDeque<u64>,
    /// Byte and line of the last quote that opened a cell.
    opened: (u64, u64),
}

/// Where in a row the last byte was.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before its first cell.
    Row,
    /// Before another cell.
    Cell,
    Plain,
    Quoted,
    /// A quote inside quotes: the end, or the first of two.
    Maybe,
}

impl<R> Watch<R> {
    const fn new(input: R, delimiter: u8) -> Self {
        Self {
            input,
            delimiter,
            state: State::Row,
            byte: 0,
            line: 1,
            returned: false,
            rows: VecDeque::new(),
            opened: (0, 0),
        }
    }

    fn look(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let ends = byte == b'\n' || byte == b'\r';
            // The byte order mark stands before the first cell and is no part of it.
            let mark = self.byte < 3 && matches!(byte, 0xef | 0xbb | 0xbf);
            if self.state == State::Row && !ends && !mark {
                self.rows.push_back(self.line);
            }
            self.state = match (self.state, byte) {
                (State::Row, _) if mark => State::Row,
                (State::Row | State::Cell, b'"') => {
                    self.opened = (self.byte, self.line);
                    State::Quoted
                }
                (State::Quoted, b'"') => State::Maybe,
                (State::Quoted, _) | (State::Maybe, b'"') => State::Quoted,
                _ if ends => State::Row,
                _ if byte == self.delimiter => State::Cell,
                _ => State::Plain,
            };
            self.line += u64::from(byte == b'\r' || byte == b'\n' && !self.returned);
            self.returned = byte == b'\r';
            self.byte += 1;
        }
    }

    /// The line of a quote among `bytes` that was never closed. It is the last quote of the file,
    /// and the reader has then met the end.
    fn open_within(&self, bytes: std::ops::Range<u64>) -> Option<u64> {
        let (byte, line) = self.opened;
        (self.state == State::Quoted && bytes.contains(&byte)).then_some(line)
    }
}

impl<R: Read> Read for Watch<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.look(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: impl AsRef<[u8]>) -> Rows<std::io::Cursor<Vec<u8>>> {
        Rows::new(std::io::Cursor::new(text.as_ref().to_vec()), b',', "f.csv").unwrap()
    }

    /// The rows as `line: cells` or `line! fault`.
    fn read(text: impl AsRef<[u8]>) -> Vec<String> {
        let mut rows = rows(text);
        let mut seen = Vec::new();
        while let Some(item) = rows.next().unwrap() {
            let Content::Cells(cells) = &item.content else { panic!() };
            let cells: Vec<_> = cells.iter().map(String::from_utf8_lossy).collect();
            seen.push(match item.fault {
                None => format!("{}: {}", item.line, cells.join("|")),
                Some(fault) => format!("{}! {fault}", item.line),
            });
        }
        seen
    }

    #[test]
    fn files_as_tools_write_them() {
        for (text, expected) in [
            ("a,b\n1,2\n3,4\n", vec!["2: 1|2", "3: 3|4"]),
            ("\u{feff}a,b\r\n1,2\r\n3,4", vec!["2: 1|2", "3: 3|4"]),
            ("\u{feff}\"a\",\"b\"\r\n\"1\",\"2\"\r\n", vec!["2: 1|2"]),
            ("a,b\n\"x\ny\",2\n3,4\n", vec!["2: x\ny|2", "4: 3|4"]),
            ("a,b\n\"x\r\ny\r\nz\",2\n3,4\n", vec!["2: x\r\ny\r\nz|2", "5: 3|4"]),
            ("a,b\n\"say \"\"hi\"\"\",\"{\"\"k\"\": [1, 2]}\"\n", vec!["2: say \"hi\"|{\"k\": [1, 2]}"]),
            ("a,b\n5\" pipe,\"\"\n", vec!["2: 5\" pipe|"]),
            ("a,b\n1,2\n\n\n3,4\n", vec!["2: 1|2", "5: 3|4"]),
            ("a,b\r\n1,2\r\n\r\n\"x\r\ny\",4\r\n5,6\r\n", vec!["2: 1|2", "4: x\r\ny|4", "6: 5|6"]),
            ("a,b\r1,2\r3,4", vec!["2: 1|2", "3: 3|4"]),
            ("\n\na,b\n1,2\n", vec!["4: 1|2"]),
            ("a,b\n=1+1,-1E02\n", vec!["2: =1+1|-1E02"]),
            ("a\n", vec![]),
        ] {
            assert_eq!(read(text), expected, "{text:?}");
        }
        assert_eq!(rows("\u{feff}a, b ,\"c d\"\n").columns(), ["a", "b", "c d"]);
    }

    #[test]
    fn a_malformed_row_is_named_and_the_others_go_on() {
        let uneven = |cells| {
            format!(
                "it has {cells} cells and the header has 2; look for a comma or quote that is missing or too many"
            )
        };
        assert_eq!(
            read("a,b\n1\n3,4\n\"x\ny\",2,3\n5,6\n"),
            [format!("2! {}", uneven(1)), "3: 3|4".into(), format!("4! {}", uneven(3)), "6: 5|6".into()]
        );
        assert_eq!(
            read(b"a,b\n1,2\nMall\xe9,x\n5,caf\xe9\n7,8\n"),
            [
                "2: 1|2",
                "3! column a: byte 0xe9 is not UTF-8; save the file as CSV in UTF-8 and import that",
                "4! column b: byte 0xe9 is not UTF-8; save the file as CSV in UTF-8 and import that",
                "5: 7|8"
            ]
        );
    }

    #[test]
    fn a_quote_that_is_not_closed_is_named() {
        let open =
            |line| format!("the quote in line {line} is not closed, so everything after it is in one cell");
        for (text, expected) in [
            ("a,b\n1,2\n3,\"x\n5,6\n", vec!["2: 1|2".to_owned(), format!("3! {}", open(3))]),
            ("a,b\n\"x\ny\",\"z\n5,6\n", vec![format!("2! {}", open(3))]),
            ("a,b\n1,\"2", vec![format!("2! {}", open(2))]),
            ("a,b\n1,\"2\"\"", vec![format!("2! {}", open(2))]),
            // A closed quote at the end of the file, and a quote in the middle of a cell.
            ("a,b\n1,\"2\"", vec!["2: 1|2".to_owned()]),
            ("a,b\n1,2\"", vec!["2: 1|2\"".to_owned()]),
        ] {
            assert_eq!(read(text), expected, "{text:?}");
        }
    }

    /// Files larger than any buffer: positions and lines have to hold beyond the first read.
    #[test]
    fn large_files_keep_their_lines() {
        let mut text = "a,b\n".to_owned();
        for _ in 0..20_000 {
            text.push_str("\"one\ntwo\",\"x\"\n");
        }
        text.push_str("short\nlast,\"open\n");
        let seen = read(&text);
        assert_eq!(seen.len(), 20_002);
        assert_eq!(seen[19_999], "40000: one\ntwo|x");
        assert!(seen[20_000].starts_with("40002! it has 1 cells"), "{}", seen[20_000]);
        assert!(seen[20_001].starts_with("40003! the quote in line 40003"), "{}", seen[20_001]);
    }

    #[test]
    fn files_without_columns_are_refused() {
        let new = |bytes: &[u8]| {
            Rows::new(std::io::Cursor::new(bytes.to_vec()), b',', "f.csv").err().unwrap().to_string()
        };
        assert_eq!(new(b""), "f.csv is empty\nHint: Its first line must name the columns");
        assert!(new(b"\xff\xfea\0,\0b\0").starts_with("f.csv is UTF-16"));
        assert!(new(b"a,n\xe4me\n1,2\n").starts_with("Column 2 of f.csv has a name that is not UTF-8"));
        assert_eq!(new(b"a,\"b\n1,2\n"), "The quote in line 1 of f.csv, in its header, is not closed");
    }

    #[test]
    fn other_delimiters_are_told() {
        let text = std::io::Cursor::new(b"a;b\n1,5;\"x;y\"\n".to_vec());
        let mut rows = Rows::new(text, b';', "f.csv").unwrap();
        assert_eq!(rows.columns(), ["a", "b"]);
        let item = rows.next().unwrap().unwrap();
        assert_eq!(item.content, Content::Cells(ByteRecord::from(vec!["1,5", "x;y"])));
    }
}
