//! The stages, each in a function of its own that the counter can name.
//!
//! They call what the daemon calls and do nothing besides. They are never inlined, or valgrind would
//! not find them; and where A and B do the same, each names its side, or the compiler would make one
//! function of the two.

use std::hint::black_box;

use tieline_bus::seal::{FrameKey, seal_frame, split};
use tieline_core::apply::apply;
use tieline_core::command::{Command, Context};
use tieline_core::decide::{decide, decide_message, decide_report};
use tieline_core::event::Event;
use tieline_core::frame::{BodyWriter, Chain, FrameHeader, read_body};
use tieline_core::link::Run;
use tieline_core::log::{Group, Log};
use tieline_core::message::Envelope;
use tieline_core::outbox::{self, PublishRules};
use tieline_core::state::State;
use tieline_core::{ConnectionId, Position, Timestamp, UserName};
use tieline_store::SledLog;

/// Every stage in the order in which a change goes through them, and what it is.
pub(crate) const STAGES: [(&str, &str); 13] = [
    ("intake", "JSON of a batch to commands"),
    ("decide_a", "a command to events"),
    ("encode_a", "events to a group of the log"),
    ("apply_a", "events into the state"),
    ("append_a", "groups into blocks, and into sled"),
    ("messages", "events to the body of a frame"),
    ("seal", "compressed and encrypted"),
    ("open", "decrypted, decompressed, taken apart"),
    ("decide_b", "a message to events"),
    ("encode_b", "events to a group of the log"),
    ("apply_b", "events into the state"),
    ("append_b", "groups into blocks, and into sled"),
    ("forget", "commands, messages, events and groups given back"),
];

#[inline(never)]
pub(crate) fn intake(body: &[u8], state: &State, user: &UserName) -> Vec<Command> {
    tieline_daemon::api::batch_commands(body, state, user)
}

#[inline(never)]
pub(crate) fn decide_a(state: &State, command: &Command, context: &Context) -> Vec<Event> {
    decide(state, command, context).expect("a command that is not refused").events
}

#[inline(never)]
pub(crate) fn encode_a(now: Timestamp, events: &[Event]) -> Group {
    black_box('a');
    encode(now, events)
}

#[inline(never)]
pub(crate) fn encode_b(now: Timestamp, events: &[Event]) -> Group {
    black_box('b');
    encode(now, events)
}

fn encode(now: Timestamp, events: &[Event]) -> Group {
    let mut group = Group::new(now);
    for event in events {
        group.push_with(event.kind(), |body| event.encode_body(body));
    }
    group
}

#[inline(never)]
pub(crate) fn apply_a(state: &mut State, now: Timestamp, events: &[Event]) {
    black_box('a');
    events.iter().for_each(|event| apply(state, now, event));
}

#[inline(never)]
pub(crate) fn apply_b(state: &mut State, now: Timestamp, events: &[Event]) {
    black_box('b');
    events.iter().for_each(|event| apply(state, now, event));
}

#[inline(never)]
pub(crate) fn append_a(log: &mut SledLog, groups: &[Group]) {
    black_box('a');
    append(log, groups);
}

#[inline(never)]
pub(crate) fn append_b(log: &mut SledLog, groups: &[Group]) {
    black_box('b');
    append(log, groups);
}

fn append(log: &mut SledLog, groups: &[Group]) {
    log.append(groups).expect("appended");
}

/// The body of the next frame, and how many messages it has.
#[inline(never)]
pub(crate) fn messages<'e>(
    id: ConnectionId,
    run: &Run,
    rules: &PublishRules,
    now: Timestamp,
    event: impl Fn(tieline_core::Seq) -> &'e Event,
) -> (u32, Vec<u8>) {
    let mut writer = BodyWriter::with_room_for(run.entries.len());
    let mut position = run.first;
    for entry in &run.entries {
        let event = event(entry.seq);
        if !writer.push_with(entry.seq, now, |body| outbox::write(event, id, position, rules, body)) {
            break;
        }
        position = position.next();
    }
    (writer.count(), writer.finish())
}

#[inline(never)]
pub(crate) fn seal(key: &FrameKey, header: &FrameHeader, body: &[u8]) -> Vec<u8> {
    seal_frame(key, &header.encode(), body).expect("sealed")
}

#[inline(never)]
pub(crate) fn open(key: &FrameKey, frame: &[u8]) -> (FrameHeader, Vec<Envelope>) {
    let sealed = split(frame).expect("a frame");
    let header = FrameHeader::decode(sealed.header).expect("a header");
    let body = sealed.open(key).expect("a seal");
    let messages = read_body(&body, header.count).expect("a body");
    (header, messages)
}

#[inline(never)]
pub(crate) fn decide_b(
    state: &State,
    id: ConnectionId,
    position: Position,
    chain: Chain,
    envelope: &Envelope,
    context: &Context,
) -> Vec<Event> {
    decide_message(state, id, position, chain, envelope, context)
}

/// The outcomes, once per frame: its share of each stage at B is not worth a stage.
pub(crate) fn report(state: &State, id: ConnectionId, context: &Context) -> Vec<Event> {
    decide_report(state, id, context)
}

#[inline(never)]
pub(crate) fn forget<T>(things: T) {
    drop(things);
}
