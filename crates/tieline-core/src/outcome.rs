//! How a received change ends: exactly one outcome, counted, known on both sides.
//!
//! received = applied + unchanged + superseded + filtered + rejected + held now, always, per
//! connection and pair of incarnations. Only `Counts::take` and `Counts::settle` move a counter.

use serde::{Deserialize, Serialize};

/// The end of one received change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// At least one field was written, or the share took its new status.
    Applied,
    /// What came is what was here.
    Unchanged,
    /// A later value was here.
    Superseded,
    /// Not subscribed, not shared any more, or withheld by the sender.
    Filtered,
    /// It cannot be tried yet; it settles later, once.
    Held,
    /// Refused, with reasons.
    Rejected,
}

impl Outcome {
    /// All outcomes, in the order in which they are shown.
    pub const ALL: [Self; 6] =
        [Self::Applied, Self::Unchanged, Self::Superseded, Self::Filtered, Self::Held, Self::Rejected];

    /// The outcome in metrics, API and CLI.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Unchanged => "unchanged",
            Self::Superseded => "superseded",
            Self::Filtered => "filtered",
            Self::Held => "held",
            Self::Rejected => "rejected",
        }
    }
}

/// How many changes came over one direction, and how they ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Counted messages whose outcome is known.
    pub received: u64,
    /// Ended applied.
    pub applied: u64,
    /// Ended unchanged.
    pub unchanged: u64,
    /// Ended superseded.
    pub superseded: u64,
    /// Ended filtered.
    pub filtered: u64,
    /// Held now.
    pub held: u64,
    /// Ended rejected.
    pub rejected: u64,
}

impl Counts {
    const fn slot(&mut self, outcome: Outcome) -> &mut u64 {
        match outcome {
            Outcome::Applied => &mut self.applied,
            Outcome::Unchanged => &mut self.unchanged,
            Outcome::Superseded => &mut self.superseded,
            Outcome::Filtered => &mut self.filtered,
            Outcome::Held => &mut self.held,
            Outcome::Rejected => &mut self.rejected,
        }
    }

    /// How many ended (or are held) so.
    #[must_use]
    pub const fn of(mut self, outcome: Outcome) -> u64 {
        *self.slot(outcome)
    }

    /// Counts `count` changes that ended so.
    pub const fn take(&mut self, outcome: Outcome, count: u64) {
        self.received += count;
        *self.slot(outcome) += count;
    }

    /// Moves one held change to its end.
    pub const fn settle(&mut self, outcome: Outcome) {
        self.held = self.held.saturating_sub(1);
        *self.slot(outcome) += 1;
    }

    /// Whether the outcomes add up to what was received.
    #[must_use]
    pub const fn balanced(&self) -> bool {
        self.received
            == self.applied + self.unchanged + self.superseded + self.filtered + self.held + self.rejected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_always_add_up() {
        let mut counts = Counts::default();
        for outcome in Outcome::ALL {
            counts.take(outcome, 3);
            assert!(counts.balanced());
        }
        counts.settle(Outcome::Superseded);
        assert!(counts.balanced());
        assert_eq!((counts.held, counts.superseded, counts.received), (2, 4, 18));
    }
}
