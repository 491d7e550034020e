//! A second bookkeeper: it reads what is durable in the log of each org and holds it against the
//! protocol, without asking the code that wrote it.
//!
//! It keeps, for all orgs together, what was truly given out at each position, so that a message
//! that was taken twice, passed over or made up is found at once.

use std::collections::{BTreeMap, BTreeSet};

use tieline_core::apply::apply;
use tieline_core::event::{Event, Received, RecordAction, ShareGranted};
use tieline_core::log::{Log, MemLog, StoredEvent};
use tieline_core::message::is_counted;
use tieline_core::outcome::Outcome;
use tieline_core::state::{ShareRole, ShareStatus, State};
use tieline_core::{
    ConnectionId, FieldName, Incarnation, OrgName, Position, RecordId, Seq, Stamp, Timestamp,
};

use super::Broken;
use super::features::steps;

/// One direction of a connection in one pair of incarnations: the sender, and both lives.
type Direction = (ConnectionId, OrgName, Incarnation, Incarnation);

/// What all orgs have given out, over all their lives.
#[derive(Debug, Clone, Default)]
pub(super) struct Truth {
    /// The event and its time behind a position. A restored org gives a position out again before
    /// it learns that it was restored, so there may be several.
    given: BTreeMap<(Direction, Position), Vec<(Seq, Timestamp)>>,
    /// Messages given out in all.
    pub(super) messages: u64,
    /// Outcomes in all.
    pub(super) outcomes: u64,
}

/// The bookkeeper of one org.
#[derive(Debug, Clone, Default)]
pub(super) struct Audit {
    /// The state that the durable events make.
    pub(super) shadow: State,
    heads: BTreeMap<ConnectionId, u64>,
    /// Counted messages that are held.
    held: BTreeMap<(ConnectionId, Position), ()>,
    /// Writes of rules that were not sent, because too many rules stand before them.
    pub(super) unsent: BTreeSet<(RecordId, FieldName, Stamp)>,
}

fn broken(invariant: &'static str, detail: String) -> Broken {
    Broken { invariant, detail }
}

impl Audit {
    /// Reads what has become durable since the last time.
    pub(super) fn read(&mut self, log: &MemLog, truth: &mut Truth) -> Result<(), Broken> {
        let from = self.shadow.seq.next();
        let groups =
            log.read_from(from, usize::MAX).map_err(|e| broken("the log is readable", e.to_string()))?;
        for group in groups.groups() {
            // What one message or command did stands in one group.
            let events: Vec<StoredEvent<'_>> = group.events().collect();
            let decoded = events.iter().map(|e| Event::decode(e.kind, e.body)).collect::<Result<Vec<_>, _>>();
            let decoded = decoded.map_err(|e| broken("the log is readable", e.to_string()))?;
            self.group(&decoded, truth)?;
            for (stored, event) in events.iter().zip(&decoded) {
                self.event(stored.seq, stored.time, event, truth)?;
                steps::check(&self.shadow, event)?;
                let waiting = steps::approvals(&self.shadow, event);
                apply(&mut self.shadow, stored.time, event);
                if let Some(waiting) = &waiting {
                    steps::none_is_lost(&self.shadow, event, waiting)?;
                }
            }
        }
        Ok(())
    }

    fn group(&self, events: &[Event], _truth: &mut Truth) -> Result<(), Broken> {
        let remote = events.iter().any(|event| matches!(event, Event::Received(_)));
        let deletes =
            |event: &&Event| matches!(event, Event::RecordChanged(e) if e.action == RecordAction::Delete);
        if remote && let Some(event) = events.iter().find(deletes) {
            return Err(broken("no remote act deletes a local record", format!("{event:?}")));
        }
        let taken = events.iter().filter(|event| matches!(event, Event::Received(_))).count();
        if taken > 1 {
            return Err(broken("one received message is one group", format!("{taken} in one group")));
        }
        Ok(())
    }

    fn direction(&self, connection: ConnectionId, inbound: bool) -> Option<Direction> {
        let (org, known) = (self.shadow.org.as_ref()?, self.shadow.connections.get(&connection)?);
        let (ours, theirs) = (org.incarnation, known.partner_incarnation);
        Some(if inbound {
            (connection, known.partner.clone()?, theirs, ours)
        } else {
            (connection, org.name.clone(), ours, theirs)
        })
    }

    fn event(&mut self, seq: Seq, time: Timestamp, event: &Event, truth: &mut Truth) -> Result<(), Broken> {
        if seq != self.shadow.seq.next() {
            return Err(broken("seqs are dense", format!("{seq} after {}", self.shadow.seq)));
        }
        for (connection, position) in positions(event) {
            let head = self.heads.entry(connection).or_default();
            *head += 1;
            if position.0 != *head {
                let text = format!("position {position} of {connection} where {head} was due, by {event:?}");
                return Err(broken("positions are dense", text));
            }
            let Some(direction) = self.direction(connection, false) else { continue };
            truth.given.entry((direction, position)).or_default().push((seq, time));
            truth.messages += 1;
        }
        match event {
            Event::IncarnationStarted(_) => self.heads.clear(),
            Event::PartnerReincarnated(e) => {
                let known = self.shadow.connections.get(&e.connection).map(|c| c.partner_incarnation);
                if known != Some(Incarnation::default()) {
                    self.heads.remove(&e.connection);
                }
            }
            Event::Received(e) => self.received(e, truth)?,
            Event::MessageSettled(e)
                if !e.recovered && self.held.remove(&(e.connection, e.position)).is_none() =>
            {
                return Err(broken("a held message settles once", format!("{e:?}")));
            }
            Event::ShareGranted(e) => self.granted(e)?,
            Event::RecordChanged(e) if steps::is_last_hop(e) => {
                let unsent = e.content.iter().map(|(field, _, stamp)| (e.record, field.clone(), stamp));
                self.unsent.extend(unsent);
            }
            _ => {}
        }
        if matches!(event, Event::IncarnationStarted(_)) {
            self.held.clear();
        }
        if let Event::PartnerReincarnated(e) = event {
            self.held.retain(|(connection, _), ()| *connection != e.connection);
        }
        Ok(())
    }

    /// Every received message is the next one, is one that the partner gave out, and ends once.
    fn received(&mut self, event: &Received, truth: &mut Truth) -> Result<(), Broken> {
        let known = self.shadow.connections.get(&event.connection);
        let before = known.map(|c| c.inbound.received.position).unwrap_or_default();
        if event.position != before.next() {
            let text = format!("position {} of {} after {before}", event.position, event.connection);
            return Err(broken("each position is taken once, in order", text));
        }
        if let Some(direction) = self.direction(event.connection, true) {
            let given = truth.given.get(&(direction, event.position));
            if !given.is_some_and(|given| given.contains(&(event.seq, event.time))) {
                let text = format!(
                    "position {} came as event {} of {}, but was given out as {given:?}",
                    event.position, event.seq, event.time.0
                );
                return Err(broken("what is taken is what was given out", text));
            }
        }
        if is_counted(event.kind) != event.outcome.is_some() {
            return Err(broken("counted messages end as one outcome", format!("{event:?}")));
        }
        if event.outcome.is_some() {
            truth.outcomes += 1;
        }
        if event.outcome == Some(Outcome::Held) {
            self.held.insert((event.connection, event.position), ());
        }
        Ok(())
    }

    /// Of several connections that accept a record exactly one gets it.
    fn granted(&self, event: &ShareGranted) -> Result<(), Broken> {
        // A grant that is said again to who holds the record takes it from nobody: of a record that was offered with
        // several acceptors, a restored origin may know the holders alone, by their words.
        let known = self.shadow.share(event.connection, event.share);
        if known.is_some_and(|s| s.status == ShareStatus::Active && s.generation == event.generation) {
            return Ok(());
        }
        match active_elsewhere(&self.shadow, event.record, event.connection) {
            Some(other) => {
                let text = format!("{} is granted to {} and {other}", event.record, event.connection);
                Err(broken("the first acceptance wins", text))
            }
            None => Ok(()),
        }
    }

    /// Counters add up, and the outbox is what was given out.
    pub(super) fn balances(&self) -> Result<(), Broken> {
        for connection in self.shadow.connections.values() {
            if !connection.inbound.counts.balanced() || !connection.outbox.outcomes.balanced() {
                let text = format!("{:?}, told {:?}", connection.inbound.counts, connection.outbox.outcomes);
                return Err(broken("counters balance", text));
            }
            if connection.inbound.counts.held != connection.inbound.held.len() as u64 {
                let text = format!(
                    "{} held, {} kept",
                    connection.inbound.counts.held,
                    connection.inbound.held.len()
                );
                return Err(broken("counters balance", text));
            }
            let head = self.heads.get(&connection.id).copied().unwrap_or_default();
            if connection.outbox.head().position.0 != head {
                let text = format!("{} in the outbox, {head} given out", connection.outbox.head().position);
                return Err(broken("positions are dense", text));
            }
        }
        Ok(())
    }
}

/// The other connection over which a record of this org is granted.
fn active_elsewhere(state: &State, record: RecordId, besides: ConnectionId) -> Option<ConnectionId> {
    let record = state.records.get(&record)?;
    // Of those to whom it was offered with several acceptors, all may have it.
    let many = record.share_over(besides).and_then(|id| state.share(besides, id)).is_some_and(|s| s.how.many);
    state
        .shares_of(record)
        .find(|(connection, share)| {
            let granted = share.role == ShareRole::Origin && share.status == ShareStatus::Active;
            connection.id != besides && granted && !(many && share.how.many)
        })
        .map(|(connection, _)| connection.id)
}

/// The positions that an event gives out.
pub(super) fn positions(event: &Event) -> Vec<(ConnectionId, Position)> {
    match event {
        Event::RecordChanged(e) => e.deliveries.iter().map(|d| (d.connection, d.position)).collect(),
        Event::ShareOffered(e) => vec![(e.connection, e.position)],
        Event::ShareGranted(e) => {
            [Some(e.grant), e.follow_up].into_iter().flatten().map(|p| (e.connection, p)).collect()
        }
        Event::SnapshotSent(e) => vec![(e.delivery.connection, e.delivery.position)],
        Event::ChildGranted(e) => vec![(e.connection, e.position)],
        Event::DecisionSent(e) => vec![(e.connection, e.position)],
        Event::ShareClosed(e) => e.position.map(|position| (e.connection, position)).into_iter().collect(),
        Event::CatalogueSent(e) => vec![(e.connection, e.position)],
        Event::SubscriptionSent(e) => vec![(e.connection, e.position)],
        Event::OfferAnswered(e) => vec![(e.connection, e.position)],
        Event::ShareRefused(e) => vec![(e.connection, e.position)],
        Event::ShareStatesSent(e) => vec![(e.connection, e.position)],
        Event::OutcomesReported(e) => vec![(e.connection, e.position)],
        Event::SettledSent(e) => vec![(e.connection, e.position)],
        Event::ReconcileAsked(e) => vec![(e.connection, e.position)],
        Event::PauseTold(e) => vec![(e.connection, e.position)],
        _ => Vec::new(),
    }
}
