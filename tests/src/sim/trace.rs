//! What happened, line by line: the last lines for people, and a hash of all of them, by which two
//! runs of one seed are compared.

use std::collections::VecDeque;
use std::fmt::Display;

use tieline_core::Timestamp;

/// How many lines a failure shows.
const KEPT: usize = 40;

/// The lines of one run.
#[derive(Debug, Clone)]
pub(super) struct Trace {
    last: VecDeque<String>,
    kept: usize,
    hash: u64,
}

impl Trace {
    /// No lines yet; `all` keeps every line instead of the last ones.
    #[must_use]
    pub(super) fn new(all: bool) -> Self {
        // The offset basis of FNV-1a.
        Self { last: VecDeque::new(), kept: if all { usize::MAX } else { KEPT }, hash: 0xcbf2_9ce4_8422_2325 }
    }

    /// Adds a line: when, who, what.
    pub(super) fn note(&mut self, now: Timestamp, who: &str, what: impl Display) {
        let line = format!("{:>12} {who} {what}", now.0);
        self.mix(line.as_bytes());
        if self.last.len() >= self.kept {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    /// Takes bytes into the hash that are not for people.
    pub(super) fn mix(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// The hash of everything so far.
    #[must_use]
    pub(super) const fn hash(&self) -> u64 {
        self.hash
    }

    /// Whether every line is kept, so that more of them are worth their while.
    #[must_use]
    pub(super) const fn is_verbose(&self) -> bool {
        self.kept == usize::MAX
    }

    /// The last lines, oldest first.
    #[must_use]
    pub(super) fn last(&self) -> Vec<String> {
        self.last.iter().cloned().collect()
    }
}
