//! Frames: a run of consecutive messages with a header that tells what the sender durably has.
//!
//! The header travels in clear, authenticated by the seal of the body; this module knows nothing
//! of sealing. The chain is folded over (position, seq, time) and never over content, so that
//! masking a message does not change it.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::codec::{decode_body, encode_body};
use crate::limits::{FRAME_BODY_BYTES_MAX, FRAME_MESSAGES_MAX, MESSAGE_BYTES_MAX};
use crate::message::Envelope;
use crate::{ConnectionId, Incarnation, OrgName, Position, Seq, Timestamp, UserName};

/// The version of the frame format that this code writes.
pub const FRAME_VERSION: u16 = 1;

/// A fingerprint of all positions up to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Chain(pub u64);

impl Chain {
    /// The chain after one more position.
    #[must_use]
    pub fn then(self, position: Position, seq: Seq, time: Timestamp) -> Self {
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&position.0.to_le_bytes());
        bytes[8..16].copy_from_slice(&seq.0.to_le_bytes());
        bytes[16..].copy_from_slice(&time.0.to_le_bytes());
        Self(xxh3_64_with_seed(&bytes, self.0))
    }
}

/// A position and the chain up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Figure {
    /// The position.
    pub position: Position,
    /// The chain up to and with it.
    pub chain: Chain,
}

/// What one side says of its pause of the connection.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PauseWord {
    /// How often it has paused the connection or let it go on: the greatest is the latest word.
    pub rev: u32,
    /// Since when it is paused; nothing if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// By whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<UserName>,
}

impl PauseWord {
    /// Whether nothing was ever paused.
    #[must_use]
    pub const fn is_never(&self) -> bool {
        self.rev == 0
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// What a frame says in clear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameHeader {
    /// The frame format.
    pub version: u16,
    /// The connection.
    pub connection: ConnectionId,
    /// The sender.
    pub from: OrgName,
    /// The receiver.
    pub to: OrgName,
    /// Which key sealed the body.
    #[serde(default)]
    pub key: u64,
    /// The life of the sender's log.
    pub from_incarnation: Incarnation,
    /// The life of the receiver's log as the sender knows it; zero if it knows none.
    pub to_incarnation: Incarnation,
    /// The first position in the body; meaningless when `count` is zero.
    pub first: Position,
    /// How many messages the body holds; zero in a heartbeat.
    pub count: u32,
    /// The chain before the first message.
    pub chain_before: Chain,
    /// The chain after the last message.
    pub chain_after: Chain,
    /// What the sender durably has from the receiver.
    pub received: Figure,
    /// The highest position for which the sender holds a receipt of the receiver.
    pub receipt: Position,
    /// The last position that the sender has given to a message.
    #[serde(default)]
    pub head: Position,
    /// Outcomes of the receiver's positions up to the first are told among the sender's positions
    /// up to the second.
    #[serde(default)]
    pub told: (Position, Position),
    /// The sender saw a gap: send again from what it received.
    #[serde(default)]
    pub gap: bool,
    /// The sender has deactivated the connection.
    #[serde(default)]
    pub deactivated: bool,
    /// Whether the sender has paused the connection.
    #[serde(default, skip_serializing_if = "PauseWord::is_never")]
    pub pause: PauseWord,
    /// How often the receiver has paused the connection or let it go on, as the sender has heard: more than
    /// the receiver knows of itself, and the receiver's log has lost its tail.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub pause_heard: u32,
    /// The sender's wall clock.
    pub clock: Timestamp,
    /// The trace of whoever asked for this, if tracing is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

impl FrameHeader {
    /// The header as bytes, to be sent and sealed as they are.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        encode_body(self, &mut out);
        out
    }

    /// Reads a header.
    ///
    /// # Errors
    /// The bytes are no header, or one of a version that this code does not know.
    pub fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        let header: Self = decode_body(0, "FrameHeader", bytes).map_err(|e| FrameError::Header(e.reason))?;
        if header.version != FRAME_VERSION {
            return Err(FrameError::Version(header.version));
        }
        if header.count as usize > FRAME_MESSAGES_MAX {
            return Err(FrameError::TooMany(header.count));
        }
        Ok(header)
    }

    /// The last position in the body; the one before `first` when there is none.
    #[must_use]
    pub const fn last(&self) -> Position {
        Position((self.first.0 + self.count as u64).saturating_sub(1))
    }
}

/// A frame that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The header is not readable.
    #[error("the frame header cannot be read: {0}")]
    Header(String),
    /// A later format.
    #[error("frame version {0} is not known here (this is version {FRAME_VERSION}); upgrade this daemon")]
    Version(u16),
    /// More messages than a frame may hold.
    #[error("the frame claims {0} messages, more than {FRAME_MESSAGES_MAX}")]
    TooMany(u32),
    /// The body is not the messages that the header announces.
    #[error("the frame body is not {expected} whole messages")]
    Body {
        /// The number announced.
        expected: u32,
    },
}

impl FrameError {
    /// The stable code in logs and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Header(_) => "bad_header",
            Self::Version(_) => "version",
            Self::TooMany(_) | Self::Body { .. } => "bad_body",
        }
    }
}

/// Bytes in front of each message in a body: length, kind, seq, time.
const ENVELOPE_BYTES: usize = 4 + 2 + 8 + 8;

/// What a change of some fields takes, with its envelope.
const MESSAGE_BYTES_USUAL: usize = 512;

/// Collects consecutive messages into a frame body, within the limits.
#[derive(Debug, Default)]
pub struct BodyWriter {
    bytes: Vec<u8>,
    count: u32,
}

impl BodyWriter {
    /// A writer with room for so many messages of the usual size: it copies what it has once or not at all.
    #[must_use]
    pub fn with_room_for(messages: usize) -> Self {
        let bytes = messages.saturating_mul(MESSAGE_BYTES_USUAL).min(FRAME_BODY_BYTES_MAX);
        Self { bytes: Vec::with_capacity(bytes), count: 0 }
    }

    /// Appends a message, unless the frame is full. A first message always fits.
    #[must_use]
    pub fn push(&mut self, envelope: &Envelope) -> bool {
        self.push_with(envelope.seq, envelope.time, |out| {
            out.extend_from_slice(&envelope.body);
            envelope.kind
        })
    }

    /// The same for a message whose body `write` appends, giving its kind.
    #[must_use]
    pub fn push_with(&mut self, seq: Seq, time: Timestamp, write: impl FnOnce(&mut Vec<u8>) -> u16) -> bool {
        if self.count as usize >= FRAME_MESSAGES_MAX {
            return false;
        }
        let start = self.bytes.len();
        let mut head = [0; ENVELOPE_BYTES];
        self.bytes.extend_from_slice(&head);
        let kind = write(&mut self.bytes);
        if self.count > 0 && self.bytes.len() > FRAME_BODY_BYTES_MAX {
            self.bytes.truncate(start);
            return false;
        }
        // A message is at most `MESSAGE_BYTES_MAX` long, which fits 32 bits.
        let length = u32::try_from(self.bytes.len() - start - ENVELOPE_BYTES).unwrap_or(u32::MAX);
        head[..4].copy_from_slice(&length.to_le_bytes());
        head[4..6].copy_from_slice(&kind.to_le_bytes());
        head[6..14].copy_from_slice(&seq.0.to_le_bytes());
        head[14..].copy_from_slice(&time.0.to_le_bytes());
        if let Some(place) = self.bytes.get_mut(start..start + ENVELOPE_BYTES) {
            place.copy_from_slice(&head);
        }
        self.count += 1;
        true
    }

    /// How many messages it holds.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// How many bytes it holds.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it holds nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The body.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// Takes a body apart into the `expected` messages that its header announces.
///
/// # Errors
/// The bytes are not exactly so many messages, or one is longer than a message may be.
pub fn read_body(mut bytes: &[u8], expected: u32) -> Result<Vec<Envelope>, FrameError> {
    let error = || FrameError::Body { expected };
    let mut messages = Vec::with_capacity((expected as usize).min(FRAME_MESSAGES_MAX));
    for _ in 0..expected {
        let (head, rest) = bytes.split_first_chunk::<ENVELOPE_BYTES>().ok_or_else(error)?;
        let (length, head) = take(head);
        let (kind, head) = take(head);
        let (seq, head) = take(head);
        let (time, _) = take(head);
        let length = u32::from_le_bytes(length) as usize;
        if length > MESSAGE_BYTES_MAX || length > rest.len() {
            return Err(error());
        }
        let (body, rest) = rest.split_at(length);
        messages.push(Envelope {
            seq: Seq(u64::from_le_bytes(seq)),
            time: Timestamp(i64::from_le_bytes(time)),
            kind: u16::from_le_bytes(kind),
            body: body.to_vec(),
        });
        bytes = rest;
    }
    if bytes.is_empty() { Ok(messages) } else { Err(error()) }
}

/// The first `N` bytes of an envelope head whose size is a constant of this module.
fn take<const N: usize>(head: &[u8]) -> ([u8; N], &[u8]) {
    head.split_first_chunk::<N>().map_or(([0; N], head), |(first, rest)| (*first, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn envelope() -> impl Strategy<Value = Envelope> {
        (any::<u64>(), any::<i64>(), any::<u16>(), prop::collection::vec(any::<u8>(), 0..50))
            .prop_map(|(seq, time, kind, body)| Envelope { seq: Seq(seq), time: Timestamp(time), kind, body })
    }

    proptest! {
        #[test]
        fn a_body_survives_and_no_cut_of_it_does(messages in prop::collection::vec(envelope(), 0..20), cut in any::<prop::sample::Index>()) {
            let mut writer = BodyWriter::default();
            for message in &messages {
                prop_assert!(writer.push(message));
            }
            let (count, body) = (writer.count(), writer.finish());
            prop_assert_eq!(read_body(&body, count).unwrap(), messages);
            if !body.is_empty() {
                prop_assert!(read_body(&body[..cut.index(body.len())], count).is_err());
            }
            prop_assert!(read_body(&body, count + 1).is_err());
        }

        #[test]
        fn no_bytes_make_the_readers_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), count in 0..5u32) {
            drop(read_body(&bytes, count));
            drop(FrameHeader::decode(&bytes));
        }
    }

    #[test]
    fn the_chain_depends_on_each_part() {
        let base = Chain::default().then(Position(1), Seq(2), Timestamp(3));
        for other in [
            Chain(1).then(Position(1), Seq(2), Timestamp(3)),
            Chain::default().then(Position(2), Seq(2), Timestamp(3)),
            Chain::default().then(Position(1), Seq(3), Timestamp(3)),
            Chain::default().then(Position(1), Seq(2), Timestamp(4)),
        ] {
            assert_ne!(base, other);
        }
    }
}
