//! What of a connection is paused, on which side, since when and by whom (OPS-15).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::frame::PauseWord;
use crate::message::PausedObject;
use crate::{ObjectName, Timestamp, UserName};

/// Since when something is paused, and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Since when.
    pub since: Timestamp,
    /// By whom.
    pub by: UserName,
}

/// The pauses of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Pauses {
    /// The whole connection, by us.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ours: Option<Pause>,
    /// How often we have paused it or let it go on: a later word of ours has a greater number.
    pub rev: u32,
    /// Objects here, by us.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub objects: BTreeMap<ObjectName, Pause>,
    /// The whole connection, by the partner.
    pub partner: PauseWord,
    /// Objects, by the partner.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub partner_objects: Vec<PausedObject>,
}

impl Pauses {
    /// Whether the whole connection is paused, on either side.
    #[must_use]
    pub const fn whole(&self) -> bool {
        self.ours.is_some() || self.partner.since.is_some()
    }

    /// Whether anything is paused, on either side.
    #[must_use]
    pub fn any(&self) -> bool {
        self.whole() || !self.objects.is_empty() || !self.partner_objects.is_empty()
    }

    /// What our header says.
    #[must_use]
    pub fn word(&self) -> PauseWord {
        PauseWord {
            rev: self.rev,
            since: self.ours.as_ref().map(|pause| pause.since),
            by: self.ours.as_ref().map(|pause| pause.by.clone()),
        }
    }
}
