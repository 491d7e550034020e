//! The wall clock of a daemon: microseconds, and never backwards within one life of the process.

use std::time::{SystemTime, UNIX_EPOCH};

use tieline_core::Timestamp;

/// A clock that stands still when the system's is set back.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    last: Timestamp,
}

impl Clock {
    /// The time, not earlier than what was said before.
    pub(crate) fn now(&mut self) -> Timestamp {
        self.last = self.last.max(now());
        self.last
    }
}

/// The time as the system has it; a clock before 1970 counts as 1970.
#[must_use]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
