//! Reading groups: borrowed events out of one buffer whose lengths were checked once.
//!
//! The bytes come from a disk, so nothing here may panic or allocate by what they claim.

use std::iter::FusedIterator;

use crate::ids::{Seq, Timestamp};

/// One event as a log gives it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredEvent<'a> {
    /// Number of the event.
    pub seq: Seq,
    /// Time of its group.
    pub time: Timestamp,
    /// Kind number.
    pub kind: u16,
    /// MessagePack body.
    pub body: &'a [u8],
    /// Whether the group ends here.
    pub last_in_group: bool,
}

impl StoredEvent<'_> {
    /// The same event, independent of the buffer it was read into.
    #[must_use]
    pub fn to_buf(&self) -> StoredEventBuf {
        let Self { seq, time, kind, body, last_in_group } = *self;
        StoredEventBuf { seq, time, kind, body: body.to_vec(), last_in_group }
    }
}

/// The owned twin of [`StoredEvent`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEventBuf {
    /// Number of the event.
    pub seq: Seq,
    /// Time of its group.
    pub time: Timestamp,
    /// Kind number.
    pub kind: u16,
    /// MessagePack body.
    pub body: Vec<u8>,
    /// Whether the group ends here.
    pub last_in_group: bool,
}

impl StoredEventBuf {
    /// The same event, borrowed.
    #[must_use]
    pub fn as_ref(&self) -> StoredEvent<'_> {
        let Self { seq, time, kind, ref body, last_in_group } = *self;
        StoredEvent { seq, time, kind, body, last_in_group }
    }
}

/// One group among others that were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupRef<'a> {
    /// Number of its first event.
    pub first: Seq,
    /// Number of its last event.
    pub last: Seq,
    /// The time at which its command was decided.
    pub time: Timestamp,
    events: &'a [u8],
}

impl<'a> GroupRef<'a> {
    /// The events in order.
    #[must_use]
    pub fn events(self) -> GroupEvents<'a> {
        GroupEvents { group: self, next: self.first }
    }
}

/// Iterator over the events of one group.
#[derive(Debug, Clone)]
pub struct GroupEvents<'a> {
    // What is left of the group, and the number of its next event.
    group: GroupRef<'a>,
    next: Seq,
}

impl<'a> Iterator for GroupEvents<'a> {
    type Item = StoredEvent<'a>;

    fn next(&mut self) -> Option<StoredEvent<'a>> {
        let (len, rest) = take_u32(self.group.events)?;
        let (event, rest) = rest.split_at_checked(len)?;
        let (kind, body) = event.split_first_chunk()?;
        let (seq, GroupRef { last, time, .. }) = (self.next, self.group);
        self.group.events = rest;
        self.next = seq.next();
        Some(StoredEvent { seq, time, kind: u16::from_le_bytes(*kind), body, last_in_group: seq == last })
    }
}

impl FusedIterator for GroupEvents<'_> {}

/// Whole groups without a gap, as read from a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    bytes: Vec<u8>,
    // The first group begins here: groups before the wanted one are passed over, not moved.
    start: usize,
    first: Seq,
    next: Seq,
}

/// Bytes that are not a run of whole groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the group at seq {at} is not encoded as a group")]
pub struct MalformedGroup {
    /// Number of the first event of that group.
    pub at: Seq,
}

impl Groups {
    /// No groups; the next would begin with event `next`.
    #[must_use]
    pub fn empty(next: Seq) -> Self {
        Self { bytes: Vec::new(), start: 0, first: next, next }
    }

    /// Takes encoded groups whose first event is `first`. Each length and count is checked here,
    /// once, so that iterating cannot fail.
    ///
    /// # Errors
    /// A group is cut off, empty, or its lengths contradict each other.
    pub fn parse(first: Seq, bytes: Vec<u8>) -> Result<Self, MalformedGroup> {
        let (mut rest, mut next) = (bytes.as_slice(), first);
        while !rest.is_empty() {
            let malformed = MalformedGroup { at: next };
            let (group, behind) = take_group(next, rest).ok_or(malformed)?;
            let mut events = group.events();
            let last = events.by_ref().last().ok_or(malformed)?;
            if last.seq != group.last || !events.group.events.is_empty() {
                return Err(malformed);
            }
            (rest, next) = (behind, group.last.next());
        }
        Ok(Self { bytes, start: 0, first, next })
    }

    /// Passes over the groups that end before `from`.
    #[must_use]
    pub fn skip_to(mut self, from: Seq) -> Self {
        while let Some((group, rest)) = take_group(self.first, self.left()) {
            if group.last >= from {
                break;
            }
            let (first, left) = (group.last.next(), rest.len());
            (self.first, self.start) = (first, self.bytes.len() - left);
        }
        self
    }

    /// Number of the first event.
    #[must_use]
    pub fn first_seq(&self) -> Seq {
        self.first
    }

    /// Number of the event that follows these groups: where to read on.
    #[must_use]
    pub fn next_seq(&self) -> Seq {
        self.next
    }

    /// Whether there is nothing here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first == self.next
    }

    /// The groups in order.
    pub fn groups(&self) -> impl Iterator<Item = GroupRef<'_>> {
        let mut left = (self.first, self.left());
        std::iter::from_fn(move || {
            let (group, rest) = take_group(left.0, left.1)?;
            left = (group.last.next(), rest);
            Some(group)
        })
    }

    /// The events of all groups in order.
    pub fn events(&self) -> impl Iterator<Item = StoredEvent<'_>> {
        self.groups().flat_map(GroupRef::events)
    }

    /// The event `seq`, if it is among these.
    #[must_use]
    pub fn event(&self, seq: Seq) -> Option<StoredEvent<'_>> {
        let group = self.groups().find(|group| group.last >= seq)?;
        group.events().find(|event| event.seq == seq)
    }

    /// The buffer, to be used again.
    #[must_use]
    pub fn into_buffer(mut self) -> Vec<u8> {
        self.bytes.clear();
        self.bytes
    }

    fn left(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }
}

/// The first group of `bytes`, whose first event is `first`, and what follows it.
pub(super) fn take_group(first: Seq, bytes: &[u8]) -> Option<(GroupRef<'_>, &[u8])> {
    let (len, rest) = take_u32(bytes)?;
    let (count, rest) = take_u32(rest)?;
    let (time, rest) = rest.split_first_chunk()?;
    let (events, rest) = rest.split_at_checked(len)?;
    let last = Seq(first.0.checked_add(count as u64)?.checked_sub(1)?);
    let time = Timestamp(i64::from_le_bytes(*time));
    (count > 0).then_some((GroupRef { first, last, time, events }, rest))
}

fn take_u32(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_le_bytes(*number) as usize, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Group;

    fn group(time: i64, bodies: &[&[u8]]) -> Group {
        let mut group = Group::new(Timestamp(time));
        for body in bodies {
            group.push(body.len() as u16, body);
        }
        group
    }

    #[test]
    fn groups_give_back_what_was_pushed() {
        let (one, two) = (group(7, &[b"x"]), group(9, &[b"yy", b"", b"zzz"]));
        let bytes = [one.bytes(), two.bytes()].concat();
        let groups = Groups::parse(Seq(5), bytes).unwrap();
        let seen: Vec<_> =
            groups.events().map(|e| (e.seq.0, e.time.0, e.kind, e.body, e.last_in_group)).collect();
        let expected: [(u64, i64, u16, &[u8], bool); 4] =
            [(5, 7, 1, b"x", true), (6, 9, 2, b"yy", false), (7, 9, 0, b"", false), (8, 9, 3, b"zzz", true)];
        assert_eq!(seen, expected);
        assert_eq!(two.events(Seq(6)).collect::<Vec<_>>(), groups.events().skip(1).collect::<Vec<_>>());
        assert_eq!(groups.next_seq(), Seq(9));
        assert_eq!(groups.event(Seq(7)).map(|e| e.body), Some(&b""[..]));
        assert_eq!(groups.event(Seq(9)), None);
        let later = groups.clone().skip_to(Seq(7));
        assert_eq!((later.first_seq(), later.groups().count()), (Seq(6), 1));
        assert!(groups.skip_to(Seq(9)).is_empty());
    }

    #[test]
    fn damaged_bytes_are_refused_and_never_panic() {
        let whole = [group(7, &[b"x"]).bytes(), group(9, &[b"yy", b"zzz"]).bytes()].concat();
        let boundary = group(7, &[b"x"]).bytes().len();
        for len in (1..whole.len()).filter(|&len| len != boundary) {
            assert!(Groups::parse(Seq(1), whole[..len].to_vec()).is_err(), "cut after {len} bytes");
        }
        // The lengths and counts; the times, kinds and bodies may be anything.
        let meaning = [0..8, 16..20, boundary..boundary + 8, boundary + 16..boundary + 20];
        for at in meaning.into_iter().flatten() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            assert!(Groups::parse(Seq(1), bytes).is_err(), "changed byte {at}");
        }
    }
}
