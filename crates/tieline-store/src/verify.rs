//! Verifying a log: the whole chain, block by block, with nothing kept in memory.

use std::fmt;

use tieline_core::Seq;
use tieline_core::log::Head;

use crate::error::{Mismatch, ReadError};
use crate::read::LogReader;
use crate::sentinel::Sentinel;

/// What verifying a log has found.
#[derive(Debug, Clone)]
pub struct Report {
    /// Blocks that are right.
    pub blocks: u64,
    /// Groups in them.
    pub groups: u64,
    /// Events in them.
    pub events: u64,
    /// How far the log is right.
    pub head: Head,
    /// The first thing that is wrong.
    pub damage: Option<Damage>,
}

/// What is wrong with a log.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Damage {
    /// A block is missing, changed, or cannot be decoded.
    #[error(transparent)]
    Block(#[from] ReadError),
    /// The blocks are right, and are not those that the sentinel names.
    #[error("The blocks hang together, but {0}")]
    Sentinel(Mismatch),
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { blocks, groups, events, head, damage } = self;
        write!(f, "{events} events in {groups} groups and {blocks} blocks are right, up to {head}")?;
        damage.iter().try_for_each(|damage| write!(f, "; {damage}"))
    }
}

impl LogReader {
    /// Walks the whole log: every block is there, has its hash, decodes to groups, and the sentinel
    /// names one of them. `progress` is told the last seq of each block. A log that is written
    /// meanwhile is verified up to where it is durable when the end is reached.
    pub fn verify(&self, mut progress: impl FnMut(Seq)) -> Report {
        // Read first: the sentinel only ever names what is durable already.
        let sentinel = Sentinel::read(&self.shared.place.sentinel());
        let named = sentinel.as_ref().map_or(Seq(0), |sentinel| sentinel.head.seq);
        let mut cursor = self.cursor(Seq(1));
        let mut report = Report { blocks: 0, groups: 0, events: 0, head: Head::START, damage: None };
        // The last block that does not end after the one that the sentinel names.
        let mut met = Head::START;
        loop {
            match cursor.next_groups() {
                Ok(Some(groups)) => {
                    report.groups += groups.groups().count() as u64;
                    report.events += groups.next_seq().0 - groups.first_seq().0;
                }
                Ok(None) => break,
                Err(error) => {
                    report.damage = Some(error.into());
                    return report;
                }
            }
            report.blocks = cursor.blocks();
            report.head = cursor.head().unwrap_or_default();
            if report.head.seq <= named {
                met = report.head;
            }
            progress(report.head.seq);
        }
        let found = report.head;
        let mismatch = match sentinel {
            Err(why) => Some(Mismatch::NoSentinel { found, why }),
            Ok(sentinel) if found.seq < sentinel.head.seq => Some(Mismatch::Shorter { found, sentinel }),
            Ok(sentinel) if met != sentinel.head => Some(Mismatch::OtherHash { found: met, sentinel }),
            Ok(_) => None,
        };
        Report { damage: mismatch.map(Damage::Sentinel), ..report }
    }
}
