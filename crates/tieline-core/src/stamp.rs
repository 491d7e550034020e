//! Stamps: which of two values of a field is the later one, on every org the same (S2S-51).
//!
//! A stamp is (time, org, rev, reviser). Time is a hybrid logical clock: the wall clock, but
//! always later than any stamp that was written or accepted before. `rev` tells versions of the
//! same write apart that mapping produced; it never makes an older write win.

use serde::{Deserialize, Serialize};

use crate::{OrgId, Timestamp};

/// The version of one field value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Stamp {
    /// When the value was written, by the hybrid logical clock of `org`.
    pub time: Timestamp,
    /// The org where a person or a rule wrote it.
    pub org: OrgId,
    /// How often the same write was recomputed or mapped anew.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rev: u32,
    /// The org that did so last.
    #[serde(default, skip_serializing_if = "is_nobody")]
    pub reviser: OrgId,
}

// serde hands references to these.
#[expect(clippy::trivially_copy_pass_by_ref)]
const fn is_zero(rev: &u32) -> bool {
    *rev == 0
}

#[expect(clippy::trivially_copy_pass_by_ref)]
const fn is_nobody(org: &OrgId) -> bool {
    org.0 == 0
}

impl Stamp {
    /// A new write of `org` at `time`.
    #[must_use]
    pub const fn new(time: Timestamp, org: OrgId) -> Self {
        Self { time, org, rev: 0, reviser: OrgId(0) }
    }

    /// What decides between two writes.
    #[must_use]
    pub const fn write(&self) -> (Timestamp, OrgId) {
        (self.time, self.org)
    }

    /// The same write, computed or mapped anew by `org`: its revision is above both.
    #[must_use]
    pub fn revised(self, present: Self, org: OrgId) -> Self {
        Self { rev: self.rev.max(present.rev) + 1, reviser: org, ..self }
    }

    /// What tells versions of the same write apart.
    #[must_use]
    pub const fn revision(&self) -> (u32, OrgId) {
        (self.rev, self.reviser)
    }
}

/// A hybrid logical clock. It is fed by accepted stamps only: a heartbeat cannot move it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HybridClock(Timestamp);

impl HybridClock {
    /// The time of the next write at wall clock `now`: never earlier, and later than any stamp seen.
    #[must_use]
    pub fn next(self, now: Timestamp) -> Timestamp {
        now.max(self.0.plus_us(1))
    }

    /// Takes note of a stamp that was written or accepted here.
    pub fn observe(&mut self, time: Timestamp) {
        self.0 = self.0.max(time);
    }

    /// Passes over the times that a lost tail of the log may have given to writes. Only a clock that
    /// ran ahead of the wall clock would give them again: each write takes a microsecond then.
    pub fn pass_over_lost(&mut self) {
        self.0 = self.0.plus_us(LOST_TIMES_US);
    }
}

/// The times that a clock passes over after a restore: a million writes while it ran ahead.
const LOST_TIMES_US: i64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_never_runs_backwards() {
        let mut clock = HybridClock::default();
        clock.observe(Timestamp(100));
        assert_eq!(clock.next(Timestamp(50)), Timestamp(101));
        assert_eq!(clock.next(Timestamp(500)), Timestamp(500));
    }

    #[test]
    fn a_restored_clock_gives_no_time_that_it_lost() {
        let mut clock = HybridClock::default();
        clock.observe(Timestamp(100));
        clock.pass_over_lost();
        assert_eq!(clock.next(Timestamp(50)), Timestamp(101 + LOST_TIMES_US), "it ran ahead");
        let now = Timestamp(10 * LOST_TIMES_US);
        assert_eq!(clock.next(now), now, "the wall clock is later");
    }

    #[test]
    fn a_revision_never_beats_a_later_write() {
        let revised = Stamp { rev: 9, reviser: OrgId(9), ..Stamp::new(Timestamp(1), OrgId(1)) };
        assert!(Stamp::new(Timestamp(1), OrgId(2)).write() > revised.write());
        assert_eq!(Stamp::new(Timestamp(1), OrgId(1)).write(), revised.write());
    }
}
