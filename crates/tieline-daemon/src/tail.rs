//! The newest events of the log that may leave, kept in memory for those who send them on.
//!
//! A publisher that keeps up never reads the disk; one that lags reads the log.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock};

use tieline_core::engine::Leaving;
use tieline_core::event::Event;
use tieline_core::{Seq, Timestamp};
use tieline_store::LogReader;

/// Most bytes of memory that the kept events take, about.
const TAIL_BYTES_MAX: usize = 8 << 20;

#[derive(Default)]
struct Kept {
    /// With their numbers, which rise, beside them: a search touches no event.
    events: VecDeque<(Seq, Arc<Leaving>)>,
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

    /// Keeps events that have become durable.
    pub(crate) fn keep(&self, events: Vec<Arc<Leaving>>) {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += events.iter().map(|event| event.bytes).sum::<usize>();
        kept.events.extend(events.into_iter().map(|event| (event.seq, event)));
    }

    /// Forgets the oldest events beyond the bound. The thread that made them calls it: an allocator
    /// takes back its own thread's memory more cheaply than that of another.
    pub(crate) fn trim(&self) {
        let mut forgotten = Vec::new();
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        while kept.bytes > TAIL_BYTES_MAX {
            let Some((_, oldest)) = kept.events.pop_front() else { break };
            kept.bytes -= oldest.bytes;
            forgotten.push(oldest);
        }
        // Whoever reads the tail does not wait for the giving back.
        drop(kept);
    }

    /// Gives the events `seqs`, which never fall, to `take`, until it returns false.
    pub(crate) fn events(
        &self,
        seqs: &[Seq],
        mut take: impl FnMut(Seq, Timestamp, &Event) -> bool,
    ) -> Result<(), TailError> {
        let mut read: Option<(Seq, Timestamp, Event)> = None;
        for (seq, kept) in seqs.iter().zip(self.kept(seqs)) {
            if let Some(kept) = kept {
                if !take(*seq, kept.time, &kept.event) {
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

    /// Which of the events are in memory.
    fn kept(&self, seqs: &[Seq]) -> Vec<Option<Arc<Leaving>>> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let find = |seq: &Seq| {
            let at = kept.events.binary_search_by_key(seq, |(seq, _)| *seq).ok()?;
            kept.events.get(at).map(|(_, event)| event.clone())
        };
        seqs.iter().map(find).collect()
    }

    fn read(&self, seq: Seq) -> Result<(Seq, Timestamp, Event), TailError> {
        let stored = self.log.event(seq)?.ok_or(TailError::Missing(seq))?;
        Ok((seq, stored.time, Event::decode(stored.kind, &stored.body)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tieline_core::Incarnation;
    use tieline_core::event::GroupRemoved;
    use tieline_core::log::{Group, Log};
    use tieline_store::{Config, SledLog};

    const EVENTS: u64 = 20;

    #[test]
    fn what_is_forgotten_beyond_the_bound_is_read_from_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { free_bytes_min: 0, ..Config::new(dir.path().join("log")) };
        let mut log = SledLog::open(&config, Incarnation(1)).unwrap();
        let event = |n: u64| {
            Event::from(GroupRemoved {
                group: format!("g{n}").parse().unwrap(),
                actor: "ann".parse().unwrap(),
            })
        };
        let groups = (1..=EVENTS).map(|n| {
            let mut group = Group::new(Timestamp(n as i64));
            group.push_with(event(n).kind(), |out| event(n).encode_body(out));
            group
        });
        log.append(&groups.collect::<Vec<_>>()).unwrap();
        log.flush().unwrap();

        let tail = Tail::new(log.reader());
        let bytes = TAIL_BYTES_MAX / 8;
        let leaving = |n| Leaving { seq: Seq(n), time: Timestamp(n as i64), event: event(n), bytes };
        // Each second one may leave.
        tail.keep((1..=EVENTS).filter(|n| n % 2 == 0).map(|n| Arc::new(leaving(n))).collect());
        tail.trim();
        let seqs: Vec<Seq> = (1..=EVENTS).map(Seq).collect();
        let kept: Vec<u64> = tail.kept(&seqs).iter().flatten().map(|kept| kept.seq.0).collect();
        assert_eq!(kept, [6, 8, 10, 12, 14, 16, 18, 20], "the newest that fit");
        let mut given = Vec::new();
        let all = |seq: Seq, time: Timestamp, found: &Event| {
            assert_eq!((time, found), (Timestamp(seq.0 as i64), &event(seq.0)));
            given.push(seq);
            true
        };
        tail.events(&seqs, all).unwrap();
        assert_eq!(given, seqs);
        assert!(matches!(tail.events(&[Seq(EVENTS + 1)], |_, _, _| true), Err(TailError::Missing(_))));
    }
}
