//! Golden bytes: what this version writes is what it always wrote, and what older ones wrote can
//! still be read.
//!
//! `events.txt` and `messages.txt` hold lines of kind number, name, what the line is, and the body
//! in hexadecimal digits. `full` is a body with every field, as this version writes it; `least` has
//! only the fields that stood in the kind from the beginning; `usual` is one without what is seldom
//! there, where that is written otherwise, with places instead of names; `former` is a `full` of an
//! older version. `TIELINE_WRITE_GOLDEN=1` adds what is missing and turns a `full` that has changed into a
//! `former`. It never takes a line away, for a log that holds such a body has to stay readable.

mod automation;
mod events;
mod history;
mod map;
mod messages;
mod outside;
mod people;
mod sharing;

use std::fmt::{Debug, Write as _};
use std::path::PathBuf;

use data_encoding::HEXLOWER;
use tieline_core::codec::DecodeError;
use tieline_core::event::Event;
use tieline_core::message::{Message, is_counted, is_outcome_report};

/// Events or messages, as far as the tests tell them apart.
trait Kinds: Debug + Clone + PartialEq + Sized {
    const FILE: &'static str;
    fn samples() -> Vec<Self>;
    fn usual() -> Vec<Self>;
    fn kind(&self) -> u16;
    fn name(kind: u16) -> &'static str;
    fn encode(&self) -> Vec<u8>;
    fn decode(kind: u16, body: &[u8]) -> Result<Self, DecodeError>;
}

macro_rules! kinds {
    ($enum:ident, $file:literal, $samples:path, $usual:expr) => {
        impl Kinds for $enum {
            const FILE: &'static str = $file;
            fn samples() -> Vec<Self> {
                $samples()
            }
            fn usual() -> Vec<Self> {
                $usual
            }
            fn kind(&self) -> u16 {
                Self::kind(self)
            }
            fn name(kind: u16) -> &'static str {
                Self::kind_name(kind)
            }
            fn encode(&self) -> Vec<u8> {
                let mut body = Vec::new();
                self.encode_body(&mut body);
                body
            }
            fn decode(kind: u16, body: &[u8]) -> Result<Self, DecodeError> {
                Self::decode(kind, body)
            }
        }
    };
}
kinds!(Event, "events.txt", events::samples, events::usual());
kinds!(Message, "messages.txt", messages::samples, Vec::new());

/// One line of a golden file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    kind: u16,
    what: String,
    body: Vec<u8>,
}

fn path<K: Kinds>() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/rules/golden").join(K::FILE)
}

#[expect(clippy::disallowed_methods, reason = "golden bytes are a file; the core itself reads none")]
fn read<K: Kinds>() -> Vec<Line> {
    parse::<K>(&std::fs::read_to_string(path::<K>()).unwrap())
}

/// Adds what is missing, if that is asked for. Tests run beside each other: the file changes at once.
#[expect(clippy::disallowed_methods, reason = "golden bytes are a file; the core itself writes none")]
fn renew_if_asked<K: Kinds>() {
    if std::env::var_os("TIELINE_WRITE_GOLDEN").is_some() {
        let lines = path::<K>().exists().then(read::<K>).unwrap_or_default();
        let aside = path::<K>().with_extension("new");
        std::fs::write(&aside, print::<K>(&renewed::<K>(lines))).unwrap();
        std::fs::rename(aside, path::<K>()).unwrap();
    }
}

fn parse<K: Kinds>(text: &str) -> Vec<Line> {
    let lines = text.lines().map(|line| {
        let [kind, name, what, hex] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let kind = kind.parse().unwrap();
        assert_eq!(name, K::name(kind), "the number of a kind is never used for another");
        Line { kind, what: what.to_owned(), body: HEXLOWER.decode(hex.as_bytes()).unwrap() }
    });
    lines.collect()
}

fn print<K: Kinds>(lines: &[Line]) -> String {
    let mut text = String::new();
    for Line { kind, what, body } in lines {
        writeln!(text, "{kind} {} {what} {}", K::name(*kind), HEXLOWER.encode(body)).unwrap();
    }
    text
}

/// The lines with those that this version adds.
fn renewed<K: Kinds>(mut lines: Vec<Line>) -> Vec<Line> {
    for sample in K::samples() {
        let (kind, body) = (sample.kind(), sample.encode());
        if !lines.iter().any(|line| line.kind == kind && line.what == "least") {
            lines.push(Line { kind, what: "least".to_owned(), body: least::<K>(kind, &body) });
        }
        for line in lines.iter_mut().filter(|line| line.kind == kind && line.body != body) {
            if line.what == "full" {
                line.what = "former".to_owned();
            }
        }
        if !lines.iter().any(|line| line.kind == kind && line.body == body && line.what == "full") {
            lines.push(Line { kind, what: "full".to_owned(), body });
        }
    }
    for usual in K::usual() {
        let line = Line { kind: usual.kind(), what: "usual".to_owned(), body: usual.encode() };
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.sort();
    lines
}

/// The body without the fields that need not be there.
fn least<K: Kinds>(kind: u16, full: &[u8]) -> Vec<u8> {
    let all = map::entries(full);
    let needed = |key: &String| {
        let others: Vec<_> = all.iter().filter(|(other, _)| other != key).cloned().collect();
        K::decode(kind, &map::body(&others)).is_err()
    };
    map::body(&all.iter().filter(|(key, _)| needed(key)).cloned().collect::<Vec<_>>())
}

/// Every kind has a sample, and a line for what this version writes; that line decodes to it.
fn is_complete<K: Kinds>() {
    renew_if_asked::<K>();
    let (lines, samples) = (read::<K>(), K::samples());
    for kind in (0..=u16::MAX).filter(|kind| K::name(*kind) != "Unknown") {
        let name = K::name(kind);
        let sample = samples.iter().find(|sample| sample.kind() == kind);
        let sample = sample.unwrap_or_else(|| panic!("{name} has no sample: add one"));
        let full = lines.iter().find(|line| line.kind == kind && line.what == "full");
        let full = full.unwrap_or_else(|| panic!("{name} has no line: TIELINE_WRITE_GOLDEN=1 adds it"));
        assert_eq!(
            HEXLOWER.encode(&sample.encode()),
            HEXLOWER.encode(&full.body),
            "{name} is written differently: if older versions read that, TIELINE_WRITE_GOLDEN=1 notes it"
        );
        assert_eq!(K::decode(kind, &full.body).as_ref(), Ok(sample));
    }
    assert_eq!(lines.iter().filter(|line| line.what == "full").count(), samples.len());
}

/// What older versions wrote decodes, and keeps all that it says.
fn is_readable<K: Kinds>() {
    let lines = read::<K>();
    for line in &lines {
        let decoded = K::decode(line.kind, &line.body).unwrap_or_else(|e| panic!("{line:?}: {e}"));
        let written = decoded.encode();
        assert_eq!(K::decode(line.kind, &written).as_ref(), Ok(&decoded));
        if map::has_places(&written) != map::has_places(&line.body) {
            continue;
        }
        let kept = map::entries(&written);
        for entry in map::entries(&line.body) {
            assert!(kept.contains(&entry), "{} forgets {} of {line:?}", K::name(line.kind), entry.0);
        }
    }
    for sample in K::samples() {
        let least = lines.iter().filter(|line| line.kind == sample.kind() && line.what == "least").count();
        assert_eq!(least, 1, "{}", K::name(sample.kind()));
    }
}

/// A field that a later version adds, whatever it holds, changes nothing for this one.
fn passes_over_new_fields<K: Kinds>() {
    let later = ("zz_later".to_owned(), b"\xa8zz_later\x92\x81\xa1x\xc0\xc4\x01\x00".to_vec());
    for sample in K::samples() {
        let mut entries = map::entries(&sample.encode());
        entries.insert(0, later.clone());
        entries.push(("zz_last".to_owned(), b"\xa7zz_last\x07".to_vec()));
        assert_eq!(K::decode(sample.kind(), &map::body(&entries)), Ok(sample));
    }
}

#[test]
fn each_event_has_its_golden_bytes() {
    is_complete::<Event>();
}

#[test]
fn each_message_has_its_golden_bytes() {
    is_complete::<Message>();
}

#[test]
fn events_of_older_versions_are_readable() {
    is_readable::<Event>();
}

#[test]
fn messages_of_older_versions_are_readable() {
    is_readable::<Message>();
}

#[test]
fn what_passes_with_every_change_has_places_and_its_golden_bytes() {
    let lines = read::<Event>();
    for usual in Event::usual() {
        let body = Kinds::encode(&usual);
        assert!(map::has_places(&body), "{usual:?}");
        let line = Line { kind: usual.kind(), what: "usual".to_owned(), body };
        assert!(lines.contains(&line), "{usual:?} is written differently");
        assert_eq!(Event::decode(line.kind, &line.body), Ok(usual));
    }
}

/// Before, it had the names of its fields.
#[test]
fn a_change_with_names_says_the_same() {
    let samples = messages::samples();
    let change = samples.iter().find(|sample| matches!(sample, Message::Change(_))).unwrap();
    assert!(map::has_places(&Kinds::encode(change)));
    let lines = read::<Message>();
    let named = lines.iter().filter(|line| line.kind == change.kind() && !map::has_places(&line.body));
    let said: Vec<_> = named.map(|line| Message::decode(line.kind, &line.body).unwrap()).collect();
    assert!(said.contains(change), "{said:?}");
}

#[test]
fn fields_of_later_versions_are_passed_over() {
    passes_over_new_fields::<Event>();
    passes_over_new_fields::<Message>();
}

#[test]
fn kinds_of_later_versions_are_kept_as_they_came() {
    let body = b"\x81\xa1x\x01".to_vec();
    for kind in [0, 63, 9_999, u16::MAX] {
        let event = Event::decode(kind, &body).unwrap();
        assert_eq!(event, Event::Unknown { kind, body: body.clone() });
        assert_eq!((event.kind(), Kinds::encode(&event)), (kind, body.clone()));
        let message = Message::decode(kind, &body).unwrap();
        assert_eq!(message, Message::Unknown { kind, body: body.clone() });
        assert_eq!(is_counted(kind), kind < 64);
    }
}

#[test]
fn reports_of_outcomes_are_told_from_all_others() {
    for sample in messages::samples() {
        assert_eq!(
            is_outcome_report(sample.kind()),
            matches!(sample, Message::OutcomeReport(_)),
            "{sample:?}"
        );
    }
}

#[test]
fn a_body_that_is_not_one_whole_map_is_an_error() {
    for sample in messages::samples() {
        let body = Kinds::encode(&sample);
        let longer = [body.as_slice(), b"\xc0"].concat();
        for wrong in [&body[..body.len() - 1], &longer, b"\xc0", b"\x01", b""] {
            let error = Message::decode(sample.kind(), wrong).unwrap_err();
            assert_eq!((error.kind, error.name), (sample.kind(), Message::kind_name(sample.kind())));
        }
    }
}
