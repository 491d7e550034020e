//! A batch as most programs write it, read straight off its text.
//!
//! Texts without escapes, whole numbers, true, false and null, in objects of the shape of a batch with
//! any white space. Whatever else there is, a mistake above all, is for serde, which reads every form
//! and says what is wrong and where: nothing is refused here, and what is taken is what serde takes.

use smol_str::SmolStr;
use tieline_core::limits::{BATCH_RECORDS_MAX, OBJECT_FIELDS_MAX};

use super::{Batch, Id, Op, Operation};
use crate::api::values::{Fields, Given};

/// Most digits of a number that is read here: what 64 bits hold for certain.
const DIGITS_MAX: usize = 18;
/// How many words of eight bytes are looked at before a search that takes longer to set out.
const SHORT_WORDS: usize = 4;

/// The batch that `text` says, if all of it is plain.
pub(super) fn read(text: &str) -> Option<Batch> {
    let mut from = Text { text, at: 0 };
    let mut operations = None;
    from.object(|from, key| {
        (key == "operations" && operations.is_none()).then_some(())?;
        let mut read = Vec::with_capacity(64);
        from.list(|from| {
            (read.len() < BATCH_RECORDS_MAX).then_some(())?;
            read.push(from.operation()?);
            Some(())
        })?;
        operations = Some(read);
        Some(())
    })?;
    from.white();
    (from.at == text.len()).then_some(Batch { operations: operations? })
}

/// Where the first quote, backslash or control character stands, if that is soon: names and most values
/// are short.
fn soon(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    const HIGHS: u64 = ONES << 7;
    // The high bit of each byte of `word` that is below `limit`. A borrow may set it for a byte behind one
    // that is, never for one before it.
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGHS;
    let is = |word: u64, byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    let (words, _) = bytes.as_chunks::<8>();
    words.iter().take(SHORT_WORDS).enumerate().find_map(|(at, word)| {
        let word = u64::from_le_bytes(*word);
        let found = is(word, b'"') | is(word, b'\\') | below(word, u64::from(b' '));
        (found != 0).then(|| at * 8 + found.trailing_zeros() as usize / 8)
    })
}

/// A text, and how far it was read.
struct Text<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Text<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn white(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Passes over white space and this byte; whether it stood there.
    fn passes(&mut self, byte: u8) -> bool {
        self.white();
        let is_here = self.peek() == Some(byte);
        self.at += usize::from(is_here);
        is_here
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.passes(byte).then_some(())
    }

    /// Reads an object, entry by entry.
    fn object(&mut self, mut entry: impl FnMut(&mut Self, &'a str) -> Option<()>) -> Option<()> {
        self.expect(b'{')?;
        if self.passes(b'}') {
            return Some(());
        }
        loop {
            let key = self.string()?;
            self.expect(b':')?;
            entry(self, key)?;
            if !self.passes(b',') {
                return self.expect(b'}');
            }
        }
    }

    /// Reads a list, item by item.
    fn list(&mut self, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.expect(b'[')?;
        if self.passes(b']') {
            return Some(());
        }
        loop {
            item(self)?;
            if !self.passes(b',') {
                return self.expect(b']');
            }
        }
    }

    /// A text without escapes.
    fn string(&mut self) -> Option<&'a str> {
        self.expect(b'"')?;
        let rest = self.text.get(self.at..)?;
        let bytes = rest.as_bytes();
        let end = match soon(bytes) {
            Some(end) => end,
            None => {
                let end = memchr::memchr2(b'"', b'\\', bytes)?;
                // No branch: it, too, looks at many bytes at a time.
                let odd = bytes.get(..end)?.iter().fold(false, |odd, byte| odd | (*byte < b' '));
                (!odd).then_some(end)?
            }
        };
        (bytes.get(end) == Some(&b'"')).then_some(())?;
        self.at += end + 1;
        rest.get(..end)
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.text.get(self.at..)?.starts_with(word).then_some(())?;
        self.at += word.len();
        Some(())
    }

    fn given(&mut self) -> Option<Given> {
        self.white();
        Some(match self.peek()? {
            b'"' => Given::Text(SmolStr::new(self.string()?)),
            b'n' => self.word("null").map(|()| Given::Other(serde_json::Value::Null))?,
            b't' => self.word("true").map(|()| Given::Other(true.into()))?,
            b'f' => self.word("false").map(|()| Given::Other(false.into()))?,
            b'1'..=b'9' => self.number()?,
            _ => return None,
        })
    }

    /// A whole number without sign, point or exponent.
    fn number(&mut self) -> Option<Given> {
        let rest = self.text.get(self.at..)?;
        let end = rest.bytes().position(|byte| !byte.is_ascii_digit())?;
        let is_plain =
            end <= DIGITS_MAX && matches!(rest.as_bytes().get(end), Some(b',' | b'}' | b' ' | b'\n'));
        is_plain.then_some(())?;
        self.at += end;
        Some(Given::Other(rest.get(..end)?.parse::<u64>().ok()?.into()))
    }

    fn operation(&mut self) -> Option<Operation> {
        let (mut op, mut object, mut id, mut fields, mut owner) = (None, None, None, None, None);
        self.object(|from, key| {
            // A key that stands twice is a mistake.
            match key {
                "op" if op.is_none() => op = Some(Op::of(from.string()?)?),
                "object" if object.is_none() => object = Some(SmolStr::new(from.string()?)),
                "id" if id.is_none() => id = Some(Id(from.string()?.parse())),
                "fields" if fields.is_none() => fields = Some(from.fields()?),
                "owner" if owner.is_none() => owner = Some(SmolStr::new(from.string()?)),
                _ => return None,
            }
            Some(())
        })?;
        Some(Operation { op: op?, object: object?, id, fields, owner })
    }

    fn fields(&mut self) -> Option<Fields> {
        let mut fields = Vec::with_capacity(8);
        self.object(|from, name| {
            (fields.len() < OBJECT_FIELDS_MAX).then_some(())?;
            fields.push((SmolStr::new(name), from.given()?));
            Some(())
        })?;
        Some(Fields(fields))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Whether a text is read here; then serde makes the same of it.
    pub(super) fn is_plain(text: &str) -> bool {
        let Some(read) = read(text) else { return false };
        let by_serde = serde_json::from_str::<Batch>(text);
        let by_serde = by_serde.unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(format!("{read:?}"), format!("{by_serde:?}"), "{text}");
        true
    }

    #[test]
    fn what_programs_write_is_read_here() {
        let operations = json!([
            { "op": "update", "object": "Lead", "id": "06fvzvr5d8x2a4s0sq3r8m8n4c", "fields": {
                "City": "Zürich", "Empty": "", "NumberOfEmployees": 7, "Website": null, "Hot": true } },
            { "op": "create", "object": "Lead", "fields": {}, "owner": "ann" },
            { "op": "delete", "object": "Lead", "id": "no id" },
        ]);
        let batch = json!({ "operations": operations });
        for text in [batch.to_string(), serde_json::to_string_pretty(&batch).unwrap()] {
            assert!(is_plain(&text), "{text}");
        }
        for text in ["{\"operations\":[]}", " { \"operations\" : [ ] } \n"] {
            assert!(is_plain(text), "{text}");
        }
    }

    #[test]
    fn everything_else_is_left_to_serde() {
        let operation = |fields: &str| {
            format!("{{\"operations\":[{{\"op\":\"create\",\"object\":\"Lead\",\"fields\":{fields}}}]}}")
        };
        let odd = [
            r#"{"City":"a\"b"}"#,
            r#"{"City":"tab	tab"}"#,
            r#"{"n":-1}"#,
            r#"{"n":1.5}"#,
            r#"{"n":01}"#,
            r#"{"n":12345678901234567890}"#,
            r#"{"n":[1]}"#,
            r#"{"n":nul}"#,
            r#"{"n":1,}"#,
            "null",
        ];
        for fields in odd {
            assert!(read(&operation(fields)).is_none(), "{fields}");
        }
        for text in [
            "",
            "[]",
            "{}",
            "{\"operations\":[]} x",
            "{\"operations\":[],\"operations\":[]}",
            "{\"operations\":[{\"op\":\"upsert\",\"object\":\"Lead\"}]}",
            "{\"operations\":[{\"op\":\"create\",\"object\":\"Lead\",\"op\":\"create\"}]}",
            "{\"operations\":[{\"op\":\"create\",\"object\":\"Lead\",\"colour\":\"red\"}]}",
        ] {
            assert!(read(text).is_none(), "{text}");
        }
    }

    /// Where a text is looked at by words, where by the long way, and where it begins to be.
    #[test]
    fn texts_of_any_length_end_where_they_end() {
        let batch = |text: &str| {
            format!(r#"{{"operations":[{{"op":"create","object":"Lead","fields":{{"City":"{text}"}}}}]}}"#)
        };
        for (before, after) in (0..=72).flat_map(|before| (0..=2).map(move |after| (before, after * 36))) {
            let text = |middle: &str| "x".repeat(before) + middle + &"y".repeat(after);
            assert!(is_plain(&batch(&text(""))) && is_plain(&batch(&text("ü"))));
            for odd in [r#"\""#, "\t", "\u{1f}"] {
                assert!(read(&batch(&text(odd))).is_none(), "{before} {after} {odd:?}");
            }
        }
    }

    #[test]
    fn whatever_one_byte_is_altered_to_nothing_is_taken_that_serde_takes_otherwise() {
        let text = r#"{"operations":[{"op":"update","object":"Lead","id":"06fvzvr5d8x2a4s0sq3r8m8n4c","fields":{"City":"Oslo","n":12,"b":true,"x":null}}]}"#;
        assert!(is_plain(text));
        let mut plain = 0;
        for (at, byte) in (0..text.len()).flat_map(|at| (0x09..0x7f).map(move |byte| (at, byte))) {
            let mut altered = text.as_bytes().to_vec();
            altered[at] = byte;
            plain += usize::from(is_plain(std::str::from_utf8(&altered).unwrap()));
        }
        assert!(plain > text.len(), "other letters in names and values are plain, too: {plain}");
    }
}

/// Batches that were changed by chance.
#[cfg(test)]
mod fuzz {
    use std::path::Path;

    use super::tests::is_plain;
    use crate::mutate::{corpus, drive};

    #[test]
    fn batches_that_were_changed_are_read_as_serde_reads_them() {
        let inputs = corpus(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus"), "batch");
        drive("batch", &inputs, |bytes| {
            std::str::from_utf8(bytes).map(is_plain).ok();
        });
    }
}
