//! Decoders of what comes from outside, each with a corpus, for the mutator of [`mutate`].
//!
//! Whatever a decoder takes is used a little: encoded again, built, evaluated.

pub mod mutate;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use tieline_bus::seal::{DirectionKeys, hello_connection, seal_frame, split};
use tieline_bus::{ConnectionUrl, OrgKeys, PublicKeys};
use tieline_core::engine::Engine;
use tieline_core::event::Event;
use tieline_core::expr::Expression;
use tieline_core::frame::{BodyWriter, Chain, Figure, FrameHeader, read_body};
use tieline_core::log::{Group, Groups};
use tieline_core::message::{Envelope, Message};
use tieline_core::schema::{ObjectSchema, standard_objects};
use tieline_core::state::State;
use tieline_core::value::Value;
use tieline_core::{ConnectionId, Incarnation, Position, Seq, Timestamp};

/// A decoder with what it is tried with first.
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Its corpus.
    pub inputs: fn() -> Vec<Vec<u8>>,
    /// What is tried.
    pub decode: fn(&[u8]),
}

/// All of them. Files of records and metadata are decoded by the command line, which has its own.
pub const TARGETS: [Target; 11] = [
    Target { name: "frame", inputs: frames, decode: frame },
    Target { name: "header", inputs: headers, decode: header },
    Target { name: "body", inputs: bodies, decode: body },
    Target { name: "message", inputs: messages, decode: message },
    Target { name: "event", inputs: events, decode: event },
    Target { name: "groups", inputs: groups, decode: log_groups },
    Target { name: "state", inputs: states, decode: state },
    Target { name: "object", inputs: || text("object"), decode: object },
    Target { name: "expression", inputs: || text("expression"), decode: expression },
    Target { name: "url", inputs: || text("url"), decode: url },
    Target { name: "values", inputs: || text("values"), decode: values },
];

/// Where the corpora lie.
#[must_use]
pub fn corpus_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

fn text(name: &str) -> Vec<Vec<u8>> {
    mutate::corpus(&corpus_dir(), name)
}

/// What lies in the corpus of a target, besides what is made here.
fn and_found(name: &str, mut made: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    made.extend(text(name));
    made
}

/// The golden bytes of events or messages, each behind its kind.
fn golden(file: &str) -> Vec<(u16, Vec<u8>)> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/tieline-core/tests/rules/golden").join(file);
    let lines = std::fs::read_to_string(path).expect("golden bytes");
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let kind = words.next()?.parse().ok()?;
        Some((kind, HEXLOWER.decode(words.last()?.as_bytes()).ok()?))
    };
    lines.lines().filter_map(line).collect()
}

fn with_kind((kind, body): (u16, Vec<u8>)) -> Vec<u8> {
    [kind.to_le_bytes().to_vec(), body].concat()
}

fn kind_and_rest(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (kind, rest) = bytes.split_first_chunk::<2>()?;
    Some((u16::from_le_bytes(*kind), rest))
}

fn messages() -> Vec<Vec<u8>> {
    and_found("message", golden("messages.txt").into_iter().map(with_kind).collect())
}

fn message(bytes: &[u8]) {
    let Some((kind, body)) = kind_and_rest(bytes) else { return };
    if let Ok(message) = Message::decode(kind, body) {
        let mut again = Vec::new();
        message.encode_body(&mut again);
        assert_eq!(Message::decode(kind, &again).as_ref(), Ok(&message), "what was decoded is encoded");
        drop(message.to_json());
    }
}

fn events() -> Vec<Vec<u8>> {
    and_found("event", golden("events.txt").into_iter().map(with_kind).collect())
}

fn event(bytes: &[u8]) {
    let Some((kind, body)) = kind_and_rest(bytes) else { return };
    if let Ok(event) = Event::decode(kind, body) {
        let mut again = Vec::new();
        event.encode_body(&mut again);
        assert_eq!(Event::decode(kind, &again).as_ref(), Ok(&event), "what was decoded is encoded");
        drop(event.to_json());
    }
}

fn sample_header(count: u32) -> FrameHeader {
    let name = |text: &str| text.parse().expect("a name");
    FrameHeader {
        version: 1,
        connection: ConnectionId(42),
        from: name("acme"),
        to: name("globex"),
        key: 7,
        from_incarnation: Incarnation(1),
        to_incarnation: Incarnation(2),
        first: Position(1),
        count,
        chain_before: Chain(5),
        chain_after: Chain(6),
        received: Figure { position: Position(3), chain: Chain(4) },
        receipt: Position(2),
        head: Position(9),
        told: (Position(1), Position(1)),
        gap: false,
        deactivated: false,
        clock: Timestamp(8),
        pause: tieline_core::frame::PauseWord::default(),
        pause_heard: 0,
        trace: None,
    }
}

fn envelopes() -> Vec<Envelope> {
    golden("messages.txt")
        .into_iter()
        .zip(1..)
        .map(|((kind, body), n)| Envelope { seq: Seq(n), time: Timestamp(7), kind, body })
        .collect()
}

fn bodies() -> Vec<Vec<u8>> {
    let mut made = Vec::new();
    for some in envelopes().chunks(5) {
        let mut writer = BodyWriter::default();
        for envelope in some {
            assert!(writer.push(envelope), "five messages fit");
        }
        let count = u16::try_from(some.len()).expect("five");
        made.push([count.to_le_bytes().to_vec(), writer.finish()].concat());
    }
    and_found("body", made)
}

fn body(bytes: &[u8]) {
    let Some((count, body)) = kind_and_rest(bytes) else { return };
    if let Ok(messages) = read_body(body, u32::from(count)) {
        assert_eq!(messages.len(), usize::from(count), "as many as the header says");
    }
}

fn headers() -> Vec<Vec<u8>> {
    and_found("header", (0..3).map(|count| sample_header(count).encode()).collect())
}

fn header(bytes: &[u8]) {
    if let Ok(header) = FrameHeader::decode(bytes) {
        let again = FrameHeader::decode(&header.encode()).expect("what was encoded");
        assert_eq!(again, header);
    }
}

fn keys() -> DirectionKeys {
    let keys = |name: &str| OrgKeys::generate(name.parse().expect("a name")).expect("keys");
    let (ours, theirs) = (keys("acme"), keys("globex"));
    let (from, to) = ("acme".parse().expect("a name"), "globex".parse().expect("a name"));
    let secret = tieline_bus::SecretHash::of(&[7; 32]);
    DirectionKeys::derive(ours.x25519_secret(), theirs.x25519_public(), &secret, ConnectionId(42), &from, &to)
        .expect("keys")
}

fn frames() -> Vec<Vec<u8>> {
    let keys = keys();
    let sealed = bodies().into_iter().map(|body| {
        seal_frame(&keys.sending, &sample_header(1).encode(), body.get(2..).unwrap_or_default())
            .expect("sealed")
    });
    and_found("frame", sealed.collect())
}

fn frame(bytes: &[u8]) {
    thread_local!(static KEYS: DirectionKeys = keys());
    if let Ok(sealed) = split(bytes) {
        header(sealed.header);
        // Nothing that was changed opens.
        KEYS.with(|keys| drop(sealed.open(&keys.receiving)));
    }
    hello_connection(bytes).ok();
}

fn groups() -> Vec<Vec<u8>> {
    let events = golden("events.txt");
    let group = |some: &[(u16, Vec<u8>)]| {
        let mut group = Group::new(Timestamp(9));
        some.iter().for_each(|(kind, body)| group.push(*kind, body));
        group.bytes().to_vec()
    };
    and_found("groups", events.chunks(4).map(group).collect())
}

fn log_groups(bytes: &[u8]) {
    if let Ok(groups) = Groups::parse(Seq(5), bytes.to_vec()) {
        let events = groups.events().count() as u64;
        assert_eq!(groups.next_seq().0, 5 + events, "events are numbered without gaps");
        groups.events().for_each(|event| drop(Event::decode(event.kind, event.body)));
    }
}

fn states() -> Vec<Vec<u8>> {
    and_found("state", vec![State::default().to_bytes(), Engine::default().state().to_bytes()])
}

fn state(bytes: &[u8]) {
    if let Ok(state) = State::from_bytes(bytes) {
        let again = State::from_bytes(&state.to_bytes()).expect("what was written");
        assert_eq!(again.hash(), state.hash());
    }
}

fn lead() -> ObjectSchema {
    let objects = standard_objects();
    objects.into_iter().find(|object| object.name.as_str() == "Lead").expect("leads")
}

fn object(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(file) = ObjectSchema::from_toml(text)
        && let Ok(built) = file.build(Some(&lead()))
    {
        drop(file.check_rules(&built));
    }
}

fn expression(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    thread_local!(static LEAD: ObjectSchema = lead());
    LEAD.with(|lead| {
        if let Ok(expression) = Expression::compile(text, lead) {
            let long = Value::text(&"ab ".repeat(10_000));
            drop(expression.evaluate(|_| None, Timestamp(0)));
            drop(expression.evaluate(|_| Some(&long), Timestamp(i64::MAX)));
        }
    });
}

fn url(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(url) = text.parse::<ConnectionUrl>() {
        assert_eq!(
            url.to_string().parse::<ConnectionUrl>().expect("what was written").connection,
            url.connection
        );
    }
    drop(serde_json::from_str::<PublicKeys>(text));
}

/// Values of every field of a lead, as the API takes them.
fn values(bytes: &[u8]) {
    let Ok(json) = serde_json::from_slice::<serde_json::Value>(bytes) else { return };
    thread_local!(static LEAD: ObjectSchema = lead());
    LEAD.with(|lead| {
        for field in &lead.fields {
            if let Ok(value) = Value::from_json(field, &json) {
                drop(value.to_json());
            }
        }
    });
}
