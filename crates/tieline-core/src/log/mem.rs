//! The log in memory: the twin of the store for tests and simulation, crashes included.
//!
//! It keeps the contract of [`Log`] to the letter: what was not flushed is not read, and a crash
//! may lose it. It links every group into the chain, where a store may link blocks of many, so a
//! hash is comparable between logs of this type only.

use crate::ids::Seq;
use crate::log::{Group, GroupRefused, Groups, Head, Log};

/// A log in memory. A clone is an old copy to which a simulated disk can be rolled back.
#[derive(Debug, Clone, Default)]
pub struct MemLog {
    bytes: Vec<u8>,
    groups: Vec<Placed>,
    // Number of groups that are durable.
    flushed: usize,
}

/// Where a group ends, in bytes and in the chain.
#[derive(Debug, Clone, Copy)]
struct Placed {
    end: usize,
    head: Head,
}

impl MemLog {
    /// An empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Loses everything that was appended after the last flush, as a power cut may.
    pub fn crash(&mut self) {
        self.crash_keeping(0);
    }

    /// Loses what was appended after the last flush except its first `groups` groups, which become
    /// durable: whatever reached the disk whole is found again, though nobody was told.
    pub fn crash_keeping(&mut self, groups: usize) {
        self.groups.truncate(self.flushed.saturating_add(groups));
        self.flushed = self.groups.len();
        self.bytes.truncate(self.end_of(self.flushed));
    }

    /// End of the first `count` groups in bytes.
    fn end_of(&self, count: usize) -> usize {
        count.checked_sub(1).and_then(|last| self.groups.get(last)).map_or(0, |placed| placed.end)
    }

    fn head_of(groups: &[Placed]) -> Head {
        groups.last().map_or(Head::START, |placed| placed.head)
    }

    fn durable(&self) -> &[Placed] {
        self.groups.get(..self.flushed).unwrap_or_default()
    }
}

impl Log for MemLog {
    type Error = GroupRefused;

    fn append(&mut self, groups: &[Group]) -> Result<Seq, GroupRefused> {
        groups.iter().try_for_each(Group::check)?;
        let mut head = Self::head_of(&self.groups);
        for group in groups {
            self.bytes.extend_from_slice(group.bytes());
            head.seq = Seq(head.seq.0 + group.len() as u64);
            head.hash = head.hash.link(&[group.bytes()]);
            self.groups.push(Placed { end: self.bytes.len(), head });
        }
        Ok(head.seq)
    }

    fn flush(&mut self) -> Result<(), GroupRefused> {
        self.flushed = self.groups.len();
        Ok(())
    }

    fn read_from(&self, from: Seq, max_bytes: usize) -> Result<Groups, GroupRefused> {
        let durable = self.durable();
        let begin = durable.partition_point(|placed| placed.head.seq < from);
        if begin == durable.len() {
            return Ok(Groups::empty(from.max(Seq(1))));
        }
        let first = Self::head_of(durable.get(..begin).unwrap_or_default()).seq.next();
        let start = self.end_of(begin);
        let reached = durable.iter().skip(begin).find(|placed| placed.end - start >= max_bytes);
        let end = reached.or_else(|| durable.last()).map_or(start, |placed| placed.end);
        let bytes = self.bytes.get(start..end).unwrap_or_default();
        #[expect(
            clippy::expect_used,
            reason = "what was appended are whole groups, and they end where they are cut here"
        )]
        Ok(Groups::parse(first, bytes.to_vec()).expect("groups that were appended"))
    }

    fn head(&self) -> Head {
        Self::head_of(self.durable())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Timestamp;

    fn group(events: u64) -> Group {
        let mut group = Group::new(Timestamp(1));
        (0..events).for_each(|n| group.push(1, &n.to_be_bytes()));
        group
    }

    fn seqs(log: &MemLog, from: u64, max_bytes: usize) -> Vec<u64> {
        log.read_from(Seq(from), max_bytes).unwrap().events().map(|event| event.seq.0).collect()
    }

    #[test]
    fn only_what_is_flushed_is_read_and_survives() {
        let mut log = MemLog::new();
        assert_eq!(log.append(&[group(2), group(3)]), Ok(Seq(5)));
        assert_eq!((log.head(), seqs(&log, 0, 1 << 20)), (Head::START, vec![]));
        log.flush().unwrap();
        let durable = log.head();
        assert_eq!((durable.seq, seqs(&log, 0, 1 << 20)), (Seq(5), vec![1, 2, 3, 4, 5]));

        assert_eq!(log.append(&[group(1), group(1), group(1)]), Ok(Seq(8)));
        let mut other = log.clone();
        log.crash();
        assert_eq!((log.head(), seqs(&log, 6, 1 << 20)), (durable, vec![]));
        other.crash_keeping(2);
        assert_eq!((other.head().seq, seqs(&other, 6, 1 << 20)), (Seq(7), vec![6, 7]));

        // The seqs that were lost are given again, and the chain tells the two lives apart.
        log.append(&[group(2)]).unwrap();
        log.flush().unwrap();
        assert_eq!(log.head().seq, other.head().seq);
        assert_ne!(log.head().hash, other.head().hash);
    }

    #[test]
    fn reading_is_by_whole_groups_and_bounded() {
        let mut log = MemLog::new();
        log.append(&[group(2), group(3), group(1)]).unwrap();
        log.flush().unwrap();
        assert_eq!(seqs(&log, 4, 0), [3, 4, 5]);
        assert_eq!(seqs(&log, 4, group(3).bytes().len() + 1), [3, 4, 5, 6]);
        assert_eq!(seqs(&log, 7, 1 << 20), [0; 0]);
        assert_eq!(log.read_from(Seq(9), 1).unwrap().next_seq(), Seq(9));
    }

    #[test]
    fn a_batch_with_an_empty_group_is_refused_whole() {
        let mut log = MemLog::new();
        assert_eq!(log.append(&[group(1), group(0)]), Err(GroupRefused::Empty));
        log.flush().unwrap();
        assert_eq!(log.head(), Head::START);
    }
}
