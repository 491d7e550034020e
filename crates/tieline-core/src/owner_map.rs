//! Who owns here what a user of the partner owns there (OPS-19).
//!
//! A partner says who owns its records only if it publishes that; the table here says what it means. What
//! stands in the table for nobody is counted, so that the table can be completed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Owner;
use crate::Timestamp;
use crate::limits::{OWNERS_MAPPED_MAX, UNMAPPED_VALUES_KEPT};
use crate::state::SeenValue;

/// The partner's users and queues, and who has what they own here.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnerMap {
    /// From the partner's user or queue to a user or queue here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub users: BTreeMap<Owner, Owner>,
    /// Who has what everybody else owns there; without one, it stays as if nothing were known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Owner>,
}

impl OwnerMap {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it is small enough to be kept.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.users.len() <= OWNERS_MAPPED_MAX
    }

    /// Who may have what `theirs` owns there, the one that is meant first.
    pub fn of<'a>(&'a self, theirs: &Owner) -> impl Iterator<Item = &'a Owner> {
        self.users.get(theirs).into_iter().chain(&self.default)
    }
}

/// Owners without an entry, and how often each was told.
pub type UnmappedOwners = BTreeMap<Owner, SeenValue>;

/// Counts an owner without an entry.
pub(crate) fn note(unmapped: &mut UnmappedOwners, time: Timestamp, owner: &Owner) {
    if let Some(seen) = unmapped.get_mut(owner) {
        *seen = SeenValue { count: seen.count + 1, last: time, ..*seen };
    } else if unmapped.len() < UNMAPPED_VALUES_KEPT {
        unmapped.insert(owner.clone(), SeenValue { count: 1, first: time, last: time });
    }
}
