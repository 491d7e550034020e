//! What a grant brings: the fields that a copy is created with, and those that follow at once. Neither is
//! an update by the partner: the record was so when it was shared.

use std::collections::{BTreeMap, BTreeSet};

use tieline_core::event::{Event, RecordAction, RecordChanged};
use tieline_core::{ConnectionId, Position};

/// The kind numbers of the events that say which message is decided: when it comes, and when it was held.
pub(super) const OF_MESSAGES: [u16; 2] = [50, 51];
/// The kind number of the message that makes a copy.
const GRANT: u16 = 2;
/// The kind number of the message that follows it, at the next position.
const SNAPSHOT: u16 = 3;
/// How many grants of one connection are known at a time: what follows one comes soon.
const GRANTS_MAX: usize = 10_000;

/// The grants that made copies.
#[derive(Debug, Default)]
pub(super) struct Brought {
    grants: BTreeMap<ConnectionId, BTreeSet<Position>>,
}

/// The message that a group is about, as its event stands in the log.
#[derive(Clone, Copy)]
pub(super) struct Message<'a> {
    pub(super) kind: u16,
    pub(super) body: &'a [u8],
}

impl Message<'_> {
    /// Its connection, its position, and whether it can be of a kind: of one that was held, that is not said.
    fn decoded(self, kind: u16) -> Option<(ConnectionId, Position, bool)> {
        match Event::decode(self.kind, self.body).ok()? {
            Event::Received(e) => Some((e.connection, e.position, e.kind == kind)),
            Event::MessageSettled(e) => Some((e.connection, e.position, true)),
            _ => None,
        }
    }
}

impl Brought {
    /// Whether a record was written with what follows the grant of its copy. Grants are learned from the
    /// copies that they make.
    pub(super) fn is_follow_up(&mut self, changed: &RecordChanged, message: Option<Message<'_>>) -> bool {
        let remote = changed.origin.is_some() || !changed.origins.is_empty();
        let Some(message) = message.filter(|_| remote) else { return false };
        match changed.action {
            RecordAction::Create => {
                if let Some((connection, position, true)) = message.decoded(GRANT) {
                    let grants = self.grants.entry(connection).or_default();
                    grants.insert(position);
                    if grants.len() > GRANTS_MAX {
                        grants.pop_first();
                    }
                }
                false
            }
            RecordAction::Update => {
                let Some((connection, position, true)) = message.decoded(SNAPSHOT) else { return false };
                let before = position.0.checked_sub(1).map(Position);
                let grants = self.grants.get(&connection);
                before.is_some_and(|before| grants.is_some_and(|grants| grants.contains(&before)))
            }
            RecordAction::Delete => false,
        }
    }
}
