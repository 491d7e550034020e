//! The newest groups of the log, kept in memory for those who send them on.
//!
//! A publisher that keeps up never reads the disk; one that lags reads the log.

use std::collections::VecDeque;
use std::sync::{PoisonError, RwLock};

use tieline_core::event::Event;
use tieline_core::log::{Group, StoredEvent};
use tieline_core::{Seq, Timestamp};
use tieline_store::LogReader;

/// Most bytes of groups that are kept.
const TAIL_BYTES_MAX: usize = 8 << 20;

#[derive(Default)]
struct Kept {
    groups: VecDeque<(Seq, Group)>,
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

    /// Keeps groups that have become durable; the first event of the first one is `first`.
    pub(crate) fn keep(&self, mut first: Seq, groups: Vec<Group>) {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        for group in groups {
            let next = Seq(first.0 + group.len() as u64);
            kept.bytes += group.bytes().len();
            kept.groups.push_back((first, group));
            first = next;
        }
        while kept.bytes > TAIL_BYTES_MAX {
            let Some((_, oldest)) = kept.groups.pop_front() else { break };
            kept.bytes -= oldest.bytes().len();
        }
    }

    /// Gives the events `seqs`, which rise, to `take`, until it returns false.
    pub(crate) fn events(
        &self,
        seqs: &[Seq],
        mut take: impl FnMut(Seq, Timestamp, &Event) -> bool,
    ) -> Result<(), TailError> {
        let mut decoded: Option<(Seq, Timestamp, Event)> = None;
        for seq in seqs {
            // Grant and follow-up are two messages of one event.
            if decoded.as_ref().is_none_or(|(known, ..)| known != seq) {
                decoded = Some(self.event(*seq)?);
            }
            if let Some((seq, time, event)) = &decoded
                && !take(*seq, *time, event)
            {
                break;
            }
        }
        Ok(())
    }

    fn event(&self, seq: Seq) -> Result<(Seq, Timestamp, Event), TailError> {
        let decode = |stored: StoredEvent<'_>| -> Result<(Seq, Timestamp, Event), TailError> {
            Ok((seq, stored.time, Event::decode(stored.kind, stored.body)?))
        };
        {
            let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
            let at = kept.groups.partition_point(|(first, _)| *first <= seq);
            if let Some((first, group)) = at.checked_sub(1).and_then(|at| kept.groups.get(at))
                && let Some(stored) = group.events(*first).find(|event| event.seq == seq)
            {
                return decode(stored);
            }
        }
        let stored = self.log.event(seq)?.ok_or(TailError::Missing(seq))?;
        decode(stored.as_ref())
    }
}
