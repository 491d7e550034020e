//! What a run may know beyond plain records and shares. Which of it a run has is drawn from the seed,
//! and so is what is done with it, by numbers of its own: a run without any is what it was before.

pub(super) mod forge;
mod given;
mod rest;
mod rules;
pub(super) mod steps;
mod work;

use std::fmt::{self, Display};

use super::rng::Rng;

pub(super) use given::{extra_fields, extra_mappings, flag, parent, sum};

/// One thing that a run may know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// Records refer to others of their object, also in circles.
    Links,
    /// Records of a second object need one of the first.
    Parts,
    /// Fields that are computed, and mappings that compute.
    Computed,
    /// Fields change their types, and partners hear of it late.
    Drift,
    /// Tasks follow what they belong to.
    Tasks,
    /// Leads become accounts and contacts.
    Conversion,
    /// Values wait for approval, and people decide.
    Approvals,
    /// Accounts of contacts are matched or made.
    Accounts,
    /// Rules share records, and end that.
    Sharing,
    /// Queues offer what they own to their members.
    Queues,
    /// Rules write when something changes, in rings of orgs.
    Workflow,
}

impl Feature {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Links,
        Self::Parts,
        Self::Computed,
        Self::Drift,
        Self::Tasks,
        Self::Conversion,
        Self::Approvals,
        Self::Accounts,
        Self::Sharing,
        Self::Queues,
        Self::Workflow,
    ];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Links => "links",
            Self::Parts => "parts",
            Self::Computed => "computed",
            Self::Drift => "drift",
            Self::Tasks => "tasks",
            Self::Conversion => "conversion",
            Self::Approvals => "approvals",
            Self::Accounts => "accounts",
            Self::Sharing => "sharing",
            Self::Queues => "queues",
            Self::Workflow => "workflow",
        }
    }
}

/// A set of features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Features(u16);

impl Features {
    /// None: a run as it was before there were any.
    pub const NONE: Self = Self(0);

    /// Every feature.
    #[must_use]
    pub fn all() -> Self {
        Feature::ALL.into_iter().fold(Self::NONE, Self::with)
    }

    /// One more.
    #[must_use]
    pub const fn with(self, feature: Feature) -> Self {
        Self(self.0 | 1 << feature as u16)
    }

    /// Whether it has a feature.
    #[must_use]
    pub const fn has(self, feature: Feature) -> bool {
        self.0 & (1 << feature as u16) != 0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// About half of them.
    #[must_use]
    pub(super) fn drawn(self, rng: &mut Rng) -> Self {
        let chosen = Feature::ALL.into_iter().filter(|feature| self.has(*feature) && rng.chance(500));
        chosen.fold(Self::NONE, Self::with)
    }
}

impl Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> =
            Feature::ALL.iter().filter(|one| self.has(**one)).map(|one| one.name()).collect();
        f.write_str(if names.is_empty() { "none" } else { "" })?;
        f.write_str(&names.join(", "))
    }
}
