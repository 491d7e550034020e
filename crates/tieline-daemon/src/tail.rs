//! The newest groups of the log, kept in memory for those who send them on.
//!
//! A publisher that keeps up never reads the disk; one that lags reads the log.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock};

use tieline_core::event::Event;
use tieline_core::log::Group;
use tieline_core::{Seq, Timestamp};
use tieline_store::LogReader;

/// Most bytes of groups that are kept.
const TAIL_BYTES_MAX: usize = 8 << 20;

/// The events of one group, as they were decided.
struct KeptGroup {
    first: Seq,
    time: Timestamp,
    events: Vec<Event>,
    /// What they take in the log: a measure of what they take here.
    bytes: usize,
}

#[derive(Default)]
struct Kept {
    groups: VecDeque<Arc<KeptGroup>>,
    bytes: usize,
}

/// Durable events by their number: from memory if they are new, else from the log.
pub(crate) struct Tail {
    kept: RwLock<Kept>,
    log: LogReader,
}

/// An event that is in the log and cannot be read or understood: the log is damaged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TailError {
    #[error("the log cannot be read")]
    Read(#[from] tieline_store::ReadError),
    #[error("an event of the log cannot be decoded")]
    Decode(#[from] tieline_core::codec::DecodeError),
    #[error("event {0} is not in the log")]
    Missing(Seq),
}

impl Tail {
    pub(crate) fn new(log: LogReader) -> Self {
        Self { kept: RwLock::default(), log }
    }

    /// Keeps the events of groups that have become durable; the first one is `first`.
    pub(crate) fn keep(&self, mut first: Seq, groups: &[Group], events: Vec<Vec<Event>>) {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        for (group, events) in groups.iter().zip(events) {
            let next = Seq(first.0 + events.len() as u64);
            let bytes = group.bytes().len();
            kept.bytes += bytes;
            kept.groups.push_back(Arc::new(KeptGroup { first, time: group.time(), events, bytes }));
            first = next;
        }
        while kept.bytes > TAIL_BYTES_MAX {
            let Some(oldest) = kept.groups.pop_front() else { break };
            kept.bytes -= oldest.bytes;
        }
    }

    /// Gives the events `seqs`, which rise, to `take`, until it returns false.
    pub(crate) fn events(
        &self,
        seqs: &[Seq],
        mut take: impl FnMut(Seq, Timestamp, &Event) -> bool,
    ) -> Result<(), TailError> {
        let mut read: Option<(Seq, Timestamp, Event)> = None;
        for seq in seqs {
            if let Some(group) = self.kept(*seq) {
                let at = usize::try_from(seq.0 - group.first.0).unwrap_or(usize::MAX);
                let event = group.events.get(at).ok_or(TailError::Missing(*seq))?;
                if !take(*seq, group.time, event) {
                    break;
                }
                continue;
            }
            // Grant and follow-up are two messages of one event.
            if read.as_ref().is_none_or(|(known, ..)| known != seq) {
                read = Some(self.read(*seq)?);
            }
            if let Some((seq, time, event)) = &read
                && !take(*seq, *time, event)
            {
                break;
            }
        }
        Ok(())
    }

    /// The group in memory that holds an event.
    fn kept(&self, seq: Seq) -> Option<Arc<KeptGroup>> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let at = kept.groups.partition_point(|group| group.first <= seq).checked_sub(1)?;
        let group = kept.groups.get(at)?;
        // The last group of all may end before an event that is not durable yet.
        (seq.0 < group.first.0 + group.events.len() as u64).then(|| group.clone())
    }

    fn read(&self, seq: Seq) -> Result<(Seq, Timestamp, Event), TailError> {
        let stored = self.log.event(seq)?.ok_or(TailError::Missing(seq))?;
        Ok((seq, stored.time, Event::decode(stored.kind, &stored.body)?))
    }
}
