//! Writing a group: events encoded one behind the other into one buffer.
//!
//! What is encoded here is what the log keeps, for good: the layout may only ever grow a second
//! version beside it.
//!
//! An encoded group, all numbers little endian:
//!
//! | bytes | meaning |
//! |---|---|
//! | 4 | bytes of the events that follow the head of the group |
//! | 4 | number of events, at least 1 |
//! | 8 | time of the group, microseconds |
//! | … | for each event: 4 bytes length of what follows, 2 bytes kind, MessagePack body |

use crate::ids::{Seq, Timestamp};
use crate::log::StoredEvent;
use crate::log::groups::take_group;

/// A group that no log takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GroupRefused {
    /// A command without events has nothing to append.
    #[error("A group without events cannot be appended to the log")]
    Empty,
    /// One group is read back in one piece, so its size is bounded.
    #[error(
        "A group of {bytes} bytes is larger than the {} that the log takes; do the work in slices",
        Group::BYTES_MAX
    )]
    TooLarge {
        /// Size of the encoded group.
        bytes: usize,
    },
}

/// Bytes of the head of a group: length, count, time.
const GROUP_HEAD: usize = 16;

/// The events of one command, encoded one behind the other in one buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    // Head and events; the head is kept right after each push.
    bytes: Vec<u8>,
    time: Timestamp,
    len: u32,
}

impl Group {
    /// Most bytes of one encoded group: several slices of the largest job.
    pub const BYTES_MAX: usize = 64 << 20;

    /// A group without events, of the command that was decided at `time`.
    #[must_use]
    pub fn new(time: Timestamp) -> Self {
        Self::with_room(time, 0)
    }

    /// The same, with room for an encoded group of so many bytes: a larger one grows, and moves.
    #[must_use]
    pub fn with_room(time: Timestamp, bytes: usize) -> Self {
        let mut bytes = Vec::with_capacity(bytes.max(GROUP_HEAD));
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&time.0.to_le_bytes());
        Self { bytes, time, len: 0 }
    }

    /// Appends an event whose body is encoded already.
    pub fn push(&mut self, kind: u16, body: &[u8]) {
        self.push_with(kind, |out| out.extend_from_slice(body));
    }

    /// Appends an event whose body `encode` writes straight into the buffer of the group. It may
    /// only append to the buffer.
    pub fn push_with(&mut self, kind: u16, encode: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_le_bytes());
        encode(&mut self.bytes);
        debug_assert!(self.bytes.len() >= start + 6, "an event was encoded over the ones before it");
        self.len += 1;
        let end = self.bytes.len();
        put_u32(&mut self.bytes, start, end - start - 4);
        put_u32(&mut self.bytes, 0, end - GROUP_HEAD);
        put_u32(&mut self.bytes, 4, self.len as usize);
    }

    /// The time at which the command was decided.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// Number of events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether the group has no events yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The encoded group.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The events, numbered from `first`.
    pub fn events(&self, first: Seq) -> impl Iterator<Item = StoredEvent<'_>> {
        take_group(first, &self.bytes).into_iter().flat_map(|(group, _)| group.events())
    }

    /// Whether a log can take this group.
    ///
    /// # Errors
    /// The group is empty or larger than [`Group::BYTES_MAX`].
    pub fn check(&self) -> Result<(), GroupRefused> {
        match self.bytes.len() {
            _ if self.is_empty() => Err(GroupRefused::Empty),
            bytes if bytes > Self::BYTES_MAX => Err(GroupRefused::TooLarge { bytes }),
            _ => Ok(()),
        }
    }
}

/// Writes `value` at `at`, which the caller has just made. A value over 32 bits is cut short: its
/// group is over [`Group::BYTES_MAX`] by far, and no log takes it.
fn put_u32(bytes: &mut [u8], at: usize, value: usize) {
    if let Some(place) = bytes.get_mut(at..at + 4) {
        place.copy_from_slice(&(value as u32).to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::ChainHash;

    fn group(time: i64, bodies: &[&[u8]]) -> Group {
        let mut group = Group::new(Timestamp(time));
        for body in bodies {
            group.push(body.len() as u16, body);
        }
        group
    }

    #[test]
    fn the_encoding_is_pinned() {
        let group = group(-2, &[b"", b"abc"]);
        let golden = b"\x0f\0\0\0\x02\0\0\0\xfe\xff\xff\xff\xff\xff\xff\xff\
                       \x02\0\0\0\0\0\x05\0\0\0\x03\0abc";
        assert_eq!(group.bytes(), golden);
        let hash = ChainHash::START.link(&[group.bytes()]);
        assert_eq!(hash.to_string(), blake3::hash(&[&[0; 32], &golden[..]].concat()).to_string());
        assert_eq!(hash, ChainHash::START.link(&[&golden[..7], &golden[7..]]));
    }

    #[test]
    fn a_group_is_checked_for_size() {
        assert_eq!(group(1, &[]).check(), Err(GroupRefused::Empty));
        let body = vec![0; Group::BYTES_MAX];
        assert!(matches!(group(1, &[&body]).check(), Err(GroupRefused::TooLarge { .. })));
        assert_eq!(group(1, &[b""]).check(), Ok(()));
    }
}
