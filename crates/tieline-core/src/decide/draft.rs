//! A draft: the events of one command while they are being decided.

use crate::command::Context;
use crate::event::{Event, RecordChanged};
use crate::ids::first_128;
use crate::stamp::Stamp;
use crate::state::{Connection, Org, State};
use crate::vecmap::VecMap;
use crate::{ConnectionId, Position, RecordId, ShareId, Timestamp, UserName};

/// The events so far, and the positions that they have taken.
pub(crate) struct Draft<'a> {
    /// The state before the command.
    pub(crate) state: &'a State,
    /// The wall clock.
    pub(crate) now: Timestamp,
    /// Who asks.
    pub(crate) actor: UserName,
    entropy: [u8; 32],
    drawn: u64,
    heads: VecMap<ConnectionId, Position>,
    events: Vec<Event>,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(state: &'a State, context: &Context) -> Self {
        Self {
            state,
            now: context.now,
            actor: context.actor.clone(),
            entropy: context.entropy,
            drawn: 0,
            heads: VecMap::new(),
            // What came and what it changed: most drafts have no more.
            events: Vec::with_capacity(2),
        }
    }

    /// Adds an event.
    pub(crate) fn emit(&mut self, event: impl Into<Event>) {
        self.events.push(event.into());
    }

    /// Puts an event in front of those so far: what came stands before what it did.
    pub(crate) fn emit_first(&mut self, event: impl Into<Event>) {
        self.events.insert(0, event.into());
    }

    /// Whether a grant to this connection was asked for.
    pub(crate) fn requests_grant(&self, id: ConnectionId) -> bool {
        self.events.iter().any(|event| matches!(event, Event::GrantRequested(e) if e.connection == id))
    }

    /// The record that a share was given by this command.
    pub(crate) fn linked(&self, connection: ConnectionId, share: ShareId) -> Option<RecordId> {
        self.events.iter().rev().find_map(|event| match event {
            Event::ShareLinked(e) if e.connection == connection && e.share == share => e.record,
            _ => None,
        })
    }

    /// The share that this command gave a record.
    pub(crate) fn linked_by(&self, connection: ConnectionId, record: RecordId) -> Option<ShareId> {
        self.events.iter().rev().find_map(|event| match event {
            Event::ShareLinked(e) if e.connection == connection && e.record == Some(record) => Some(e.share),
            _ => None,
        })
    }

    /// What was last written to a record.
    pub(crate) fn written(&self, record: RecordId) -> Option<&RecordChanged> {
        self.events.iter().rev().find_map(|event| match event {
            Event::RecordChanged(written) if written.record == record => Some(written),
            _ => None,
        })
    }

    /// The events so far.
    pub(crate) fn events(&self) -> &[Event] {
        &self.events
    }

    /// Notes on the offer that was emitted last how far the record has come by rules.
    pub(crate) fn amend_offer(&mut self, hops: u8) -> Option<ShareId> {
        self.events.iter_mut().rev().find_map(|event| match event {
            Event::ShareOffered(offered) => {
                offered.hops = hops;
                Some(offered.share)
            }
            // A task is granted at once, and goes no further by its parent's rule.
            Event::ChildGranted(granted) => Some(granted.share),
            _ => None,
        })
    }

    /// The events, and what people are told of them.
    pub(crate) fn finish(mut self) -> Vec<Event> {
        super::owner::derive(&mut self);
        super::follow::derive(&mut self);
        super::notice::derive(&mut self);
        self.events
    }

    /// Takes the next position of a connection.
    pub(crate) fn position(&mut self, connection: &Connection) -> Position {
        let head =
            self.heads.get(&connection.id).copied().unwrap_or_else(|| connection.outbox.head().position);
        let position = head.next();
        self.heads.insert(connection.id, position);
        position
    }

    /// Begins the positions of a connection anew, as a new pair of incarnations does.
    pub(crate) fn restart_positions(&mut self, connection: ConnectionId) {
        self.heads.insert(connection, Position::default());
    }

    /// A number that nobody can guess, another each time: also for the messages of one frame,
    /// which share their entropy and differ in the seq that they are decided at.
    pub(crate) fn draw(&mut self) -> u128 {
        self.drawn += 1;
        let place = (u128::from(self.state.seq.0) << 64) | u128::from(self.drawn);
        first_128(&blake3::keyed_hash(&self.entropy, &place.to_be_bytes()))
    }

    /// The org. Commands before its creation are refused, so there is one.
    pub(crate) fn org(&self) -> &'a Org {
        // `decide` lets only `CreateOrg` through while the state has no org.
        #[expect(clippy::expect_used)]
        self.state.org.as_ref().expect("an org is created before anything is decided")
    }

    /// The stamp of what this command writes here.
    pub(crate) fn stamp(&self) -> Stamp {
        Stamp::new(self.state.clock.next(self.now), self.org().id)
    }
}
