//! Rest after healing: that it comes, and that both sides of everything agree then (DESIGN §8.7).

use tieline_core::event::PendingValue;
use tieline_core::mapping::SubscribeRule;
use tieline_core::message::ShareStage;
use tieline_core::reference::target;
use tieline_core::schema::{FieldSchema, FieldType};
use tieline_core::state::{
    Connection, ConnectionStatus, FieldState, Record, Share, ShareRole, ShareStatus, State,
};
use tieline_core::value::Value;
use tieline_core::{ConnectionId, FieldName, ObjectName, RecordId, ShareId, Timestamp};

use super::Broken;
use super::audit::Audit;
use super::features::flag;
use super::world::World;

/// Rest has to come within this time: clocks that were wrong by minutes have to be waited for.
const REST_US_MAX: i64 = 40 * 60 * 1_000_000;
/// The longest step while nothing is under way.
const STEP_US_MAX: i64 = 500_000;

/// One connection, seen from both sides.
pub(super) struct Pair<'a> {
    pub(super) here: Side<'a>,
    pub(super) there: Side<'a>,
}

/// One side of a connection.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    /// The number of the org.
    at: usize,
    name: &'a str,
    pub(super) state: &'a State,
    pub(super) connection: &'a Connection,
    audit: &'a Audit,
}

impl World {
    /// Goes on without work and faults until nothing has to be done any more, and compares.
    pub(super) fn rest(&mut self, when: &'static str) -> Result<(), Broken> {
        let begun = self.out.now;
        loop {
            self.step_to_rest()?;
            let Some(unrest) = self.unrest() else { break };
            if self.out.now.since_us(begun) > REST_US_MAX {
                return Err(Broken::new("everything comes to rest", format!("{when}: {unrest}")));
            }
        }
        self.out.trace.note(self.out.now, "world", when);
        self.compare()
    }

    fn step_to_rest(&mut self) -> Result<(), Broken> {
        let soon = self.out.now.plus_us(1_000);
        let late = self.out.now.plus_us(STEP_US_MAX);
        let busy = self.orgs.iter().any(|org| !org.state().jobs.is_empty());
        let next = self.orgs.iter().filter_map(super::org::SimOrg::heartbeat_at);
        let next = next.chain(self.out.bus.next_arrival()).min().unwrap_or(late);
        self.out.now = if busy { soon } else { next.clamp(soon, late) };
        self.deliver(1_000)?;
        for org in &mut self.orgs {
            org.turn(true, &mut self.out)?;
        }
        self.resume()
    }

    /// What still has to be done, if anything.
    fn unrest(&self) -> Option<String> {
        if !self.out.bus.is_idle() {
            return Some("packets are under way".to_owned());
        }
        if let Some(org) = self.orgs.iter().find(|org| !org.is_settled()) {
            return Some(format!("{} has something to do: {:?}", org.name, org.state().jobs));
        }
        self.connections.iter().find_map(|(connection, one, two)| {
            let pair = self.pair(*connection, *one, *two)?;
            pair.unrest().or_else(|| pair.turned().unrest())
        })
    }

    fn pair(&self, connection: ConnectionId, one: usize, two: usize) -> Option<Pair<'_>> {
        let side = |at: usize| {
            let org = self.orgs.get(at)?;
            let connection = org.state().connections.get(&connection)?;
            let (name, state, audit) = (org.name.as_str(), org.state(), &org.audit);
            Some(Side { at, name, state, connection, audit })
        };
        Some(Pair { here: side(one)?, there: side(two)? })
    }

    /// Compares both sides of every connection.
    fn compare(&mut self) -> Result<(), Broken> {
        let connections = self.connections.clone();
        let mut totals = self.out.totals;
        for (connection, one, two) in connections {
            let Some(pair) = self.pair(connection, one, two) else { continue };
            for pair in [&pair, &pair.turned()] {
                pair.compare(self.overridden, self.out.now, &mut totals)?;
            }
        }
        self.out.totals = totals;
        self.compare_features()
    }

    /// With all rules relaxed nothing waits any more, except for approval.
    pub(super) fn compare_relaxed(&self) -> Result<(), Broken> {
        for org in &self.orgs {
            for (id, record) in &org.state().records {
                let waits =
                    record.pending.iter().find(|(_, p)| !p.approval && still_maps(org.state(), record, p));
                if let Some((field, pending)) = waits {
                    let text = format!("{} still waits with {field} of {id}: {pending:?}", org.name);
                    return Err(Broken::new("what was refused comes through once it may", text));
                }
            }
            for connection in org.state().connections.values().filter(|c| c.is_active()) {
                let granted = connection.shares.iter().find(|(_, s)| s.status == ShareStatus::Granted);
                if let Some((id, share)) = granted
                    && creatable(org.state(), connection, share)
                {
                    let text = format!("{} has not created {id}: {share:?}", org.name);
                    return Err(Broken::new("what was refused comes through once it may", text));
                }
            }
        }
        Ok(())
    }
}

/// Whether the message that brought a pending value would be taken whole by the rules of today.
fn still_maps(state: &State, record: &Record, pending: &PendingValue) -> bool {
    let Some(connection) = state.connections.get(&pending.origin.connection) else { return false };
    let Some(object) = state.object(&record.object) else { return false };
    let share = record.share_over(connection.id).and_then(|id| connection.shares.get(&id));
    let active = connection.is_active() && share.is_some_and(|share| share.status == ShareStatus::Active);
    let Some(rule) = connection.subscribe.values().find(|rule| rule.local == record.object) else {
        return false;
    };
    let maps = |local: &FieldName, value: &PendingValue| {
        rule.mapping_of(local).is_some_and(|mapping| {
            let field = object.field(local.as_str());
            mapping.remote() == Some(&value.remote)
                && field.is_some_and(|field| {
                    is_here(connection, &value.incoming, field)
                        && rule.map_value(mapping, &value.incoming, field).is_ok()
                })
        })
    };
    let same_message = |other: &PendingValue| {
        (other.origin.connection, other.position) == (pending.origin.connection, pending.position)
    };
    active
        && record
            .pending
            .iter()
            .filter(|(_, other)| same_message(other))
            .all(|(local, other)| maps(local, other))
}

/// Whether the record that an incoming reference names is here; what is none needs none.
fn is_here(connection: &Connection, value: &Value, field: &FieldSchema) -> bool {
    let named = target(value).filter(|_| field.field_type == FieldType::Reference);
    named.is_none_or(|share| {
        let share = connection.shares.get(&share);
        share.is_some_and(|share| share.status == ShareStatus::Active && share.record.is_some())
    })
}

/// Whether the mappings take everything that came for a copy, and nothing required is missing.
fn creatable(state: &State, connection: &Connection, share: &Share) -> bool {
    let Some(rule) = connection.subscribe.get(&share.object) else { return false };
    let Some(object) = state.object(&rule.local) else { return false };
    let Some(kept) = &share.kept else { return false };
    let maps = kept.iter().all(|(name, value, _)| {
        rule.takes(name).all(|mapping| {
            let field = object.field(mapping.local.as_str());
            field.is_some_and(|field| {
                (!field.required || is_here(connection, value, field))
                    && rule.map_value(mapping, value, field).is_ok()
            })
        })
    });
    let comes = |field: &FieldName| {
        rule.mapping_of(field).and_then(|m| m.remote()).is_some_and(|remote| kept.values.contains_key(remote))
    };
    maps && object.fields.iter().filter(|f| f.required && f.default.is_none()).all(|f| comes(&f.name))
}

impl Side<'_> {
    /// Whether a message of a share waits for the record of another.
    fn waits(&self, id: ShareId) -> bool {
        let held = self.connection.inbound.held.values();
        held.into_iter().any(|held| held.share == Some(id) && held.parent.is_some())
    }
}

impl<'a> Pair<'a> {
    /// The same connection from the other side.
    const fn turned(&self) -> Self {
        Self { here: self.there, there: self.here }
    }

    pub(super) fn broken(&self, invariant: &'static str, detail: impl std::fmt::Display) -> Broken {
        Broken::new(invariant, format!("{} and {}: {detail}", self.here.name, self.there.name))
    }

    fn is_active(&self) -> bool {
        [self.here, self.there].iter().all(|side| side.connection.is_active())
    }

    /// What is not at rest in the direction from here to there.
    fn unrest(&self) -> Option<String> {
        let (here, there) = (self.here.connection, self.there.connection);
        let names = format!("{} to {}", self.here.name, self.there.name);
        if here.status == ConnectionStatus::Deactivated && there.status == ConnectionStatus::Deactivated {
            return None;
        }
        if !self.is_active() {
            return Some(format!("{names}: {:?} and {:?}", here.status, there.status));
        }
        if Some(here.partner_incarnation) != self.there.state.org.as_ref().map(|org| org.incarnation) {
            return Some(format!("{names}: another incarnation is known"));
        }
        if here.outbox.head() != there.inbound.received {
            return Some(format!(
                "{names}: {:?} sent, {:?} received",
                here.outbox.head(),
                there.inbound.received
            ));
        }
        if here.reconciling {
            return Some(format!("{names}: reconciling"));
        }
        // What waits for a record may wait for good.
        let timed = here.inbound.held.values().filter(|held| held.parent.is_none()).count();
        if timed > 0 {
            return Some(format!("{names}: {timed} held"));
        }
        None
    }

    fn compare(&self, overridden: bool, now: Timestamp, totals: &mut super::Totals) -> Result<(), Broken> {
        if !self.is_active() {
            return self.compare_ended();
        }
        self.compare_counts()?;
        for (id, share) in &self.here.connection.shares {
            self.compare_share(*id, share, overridden)?;
            if let (Some(ours), Some(theirs)) = (self.shared(*id, share), self.turned().other(*id)) {
                totals.shares += 1;
                self.compare_fields(*id, ours, theirs, totals)?;
                self.compare_computed(*id, ours.1, theirs.1, now)?;
            }
        }
        Ok(())
    }

    /// After a deactivation both sides have ended every share.
    fn compare_ended(&self) -> Result<(), Broken> {
        let open = |(_, share): &(&ShareId, &Share)| share.status.stage() != ShareStage::Ended;
        match self.here.connection.shares.iter().find(open) {
            Some((id, share)) => {
                Err(self.broken("a deactivated connection shares nothing", format!("{id} {share:?}")))
            }
            None => Ok(()),
        }
    }

    /// Everything counted that was sent was received, and its outcome is known on both sides. A
    /// loss on a field that is not published back is told as filtered instead of superseded, so
    /// those two are compared as a sum.
    fn compare_counts(&self) -> Result<(), Broken> {
        let (sent, told) = (self.here.connection.outbox.counted, self.here.connection.outbox.outcomes);
        let ended = self.there.connection.inbound.counts;
        if sent != ended.received || sent != told.received {
            let text = format!("{sent} sent, {} received, {} told", ended.received, told.received);
            return Err(self.broken("everything sent is received and has one outcome on both sides", text));
        }
        let kinds = |c: tieline_core::outcome::Counts| {
            (c.applied, c.unchanged, c.superseded + c.filtered, c.held, c.rejected)
        };
        if kinds(told) != kinds(ended) || told.superseded > ended.superseded {
            let text = format!("told {told:?}, ended {ended:?}");
            return Err(self.broken("everything sent is received and has one outcome on both sides", text));
        }
        Ok(())
    }

    /// Both sides agree on the generation and stage of a share.
    fn compare_share(&self, id: ShareId, share: &Share, overridden: bool) -> Result<(), Broken> {
        let rule = "both sides agree on every share";
        let Some(other) = self.there.connection.shares.get(&id) else {
            let ended = share.status.stage() == ShareStage::Ended;
            return if ended || self.there.waits(id) {
                Ok(())
            } else {
                Err(self.broken(rule, format!("{id} {share:?} is unknown there")))
            };
        };
        let (mine, theirs) = ((share.generation, share.status), (other.generation, other.status));
        let same = mine.0 == theirs.0 && mine.1.stage() == theirs.1.stage();
        if !same && (self.here.waits(id) || self.there.waits(id)) {
            // What would bring them together is held for a record that is not here.
            return Ok(());
        }
        if !same {
            return Err(self.broken(rule, format!("{id} is {share:?} here and {other:?} there")));
        }
        if share.role == other.role && share.status.stage() != ShareStage::Ended {
            return Err(self.broken(rule, format!("{id} is {:?} on both sides", share.role)));
        }
        if share.status == ShareStatus::Accepting && !overridden && !self.here.waits(id) {
            return Err(self.broken("an acceptance is answered", format!("{id} is still being accepted")));
        }
        if share.role == ShareRole::Origin && share.status == ShareStatus::Granted {
            return Err(self.broken(rule, format!("{id} is granted at its origin")));
        }
        Ok(())
    }

    /// The record of a share that is active here.
    fn shared(&self, _id: ShareId, share: &Share) -> Option<(RecordId, &'a Record)> {
        let record = share.record.filter(|_| share.status == ShareStatus::Active)?;
        Some((record, self.here.state.record(record)?))
    }

    /// The record of a share that is active here, by its id.
    fn other(&self, id: ShareId) -> Option<(RecordId, &'a Record)> {
        self.shared(id, self.here.connection.shares.get(&id)?)
    }

    /// What is written here has come through there, or is listed there as waiting.
    fn compare_fields(
        &self,
        id: ShareId,
        (record, ours): (RecordId, &Record),
        (copy, theirs): (RecordId, &Record),
        totals: &mut super::Totals,
    ) -> Result<(), Broken> {
        let Some(rule) = rule_for(self.there.connection, &ours.object, &theirs.object) else { return Ok(()) };
        for mapping in &rule.fields {
            let Some(remote) = mapping.remote() else { continue };
            if !publishes(self.here.connection, &ours.object, remote) {
                continue;
            }
            let Some(field) = ours.fields.get(remote) else { continue };
            totals.fields += 1;
            let there = theirs.fields.get(&mapping.local);
            let waits = theirs.pending.get(&mapping.local);
            totals.waiting += u64::from(waits.is_some());
            let two_way = self.inverts(&ours.object, remote, &theirs.object, &mapping.local);
            let context = || {
                format!(
                    "share {id}: {remote} of {record} is {field:?}, {} of {copy} is {there:?}, pending {waits:?}, \
                     pending here {:?}",
                    mapping.local,
                    ours.pending.get(remote)
                )
            };
            // What came from there does not go back (S2S-52); a field that took another field of the
            // partner before its mapping was changed keeps that until the new one is written.
            let source = field.source.as_ref().filter(|s| s.origin.connection == self.here.connection.id);
            let remapped = source.is_some_and(|source| {
                let back = rule_for(self.here.connection, &theirs.object, &ours.object);
                back.is_none_or(|rule| rule.version != source.origin.mapping)
            });
            let listed = waits.is_some_and(|w| w.stamp.write() >= field.stamp.write() || w.approval);
            let arrived = there.is_some_and(|there| there.stamp.write() >= field.stamp.write());
            // That a reference is empty for want of its target says nothing about it.
            if ours.links.contains_key(remote) {
                continue;
            }
            let sent = !self.here.audit.unsent.contains(&(record, remote.clone(), field.stamp));
            if !arrived
                && !listed
                && sent
                && !self.there.waits(id)
                && (source.is_none() || two_way && !remapped)
            {
                return Err(self.broken("every write comes through or is listed", context()));
            }
            if let Some(there) = there
                && waits.is_none()
            {
                totals.links += u64::from(matches!(field.value, Value::Reference(_)));
                self.compare_values(rule, mapping, field, there, theirs).map_err(|text| {
                    self.broken("the copy holds the mapped value", format!("{text}: {}", context()))
                })?;
            }
        }
        Ok(())
    }

    /// A value that came over this connection, by the mapping of today, is the mapped one.
    fn compare_values(
        &self,
        rule: &SubscribeRule,
        mapping: &tieline_core::mapping::FieldMapping,
        field: &FieldState,
        there: &FieldState,
        theirs: &Record,
    ) -> Result<(), String> {
        let Some(source) = &there.source else { return Ok(()) };
        let same_write = there.stamp.write() == field.stamp.write();
        // A copy that was made anew may have got back what it had given before: then either side
        // holds the mapped value of the other, and mappings need not invert.
        let both = field.came_over() == Some(self.here.connection.id);
        if !same_write || source.origin.connection != self.here.connection.id || both {
            return Ok(());
        }
        if source.origin.mapping != rule.version {
            // Remapping failed, or is not asked for: the value is that of the older mapping.
            return Ok(());
        }
        if let Value::Reference(target) = field.value {
            return self.compare_link(target, mapping, there, theirs);
        }
        let object = self.there.state.object(&theirs.object);
        let local = object.and_then(|o| o.field(mapping.local.as_str()));
        // What was mapped to a field of another type stays as it was.
        let Some(local) = local.filter(|local| local.name != flag(self.there.at)) else { return Ok(()) };
        match rule.map_value(mapping, &field.value, local) {
            Ok(mapped) if mapped == there.value => Ok(()),
            Ok(mapped) => Err(format!("{:?} instead of {mapped:?}", there.value)),
            Err(reason) => Err(format!("{:?} although {reason}", there.value)),
        }
    }

    /// Whether a pair of fields maps both ways.
    fn inverts(&self, ours: &ObjectName, remote: &FieldName, theirs: &ObjectName, local: &FieldName) -> bool {
        publishes(self.there.connection, theirs, local)
            && rule_for(self.here.connection, theirs, ours)
                .is_some_and(|rule| rule.takes(local).any(|mapping| mapping.local == *remote))
    }
}

fn publishes(connection: &Connection, object: &ObjectName, field: &FieldName) -> bool {
    connection.publish.get(object).is_some_and(|rule| rule.publishes(field))
}

/// The rule by which a side takes the partner's object into its own.
fn rule_for<'a>(
    connection: &'a Connection,
    remote: &ObjectName,
    local: &ObjectName,
) -> Option<&'a SubscribeRule> {
    connection.subscribe.get(remote).filter(|rule| rule.local == *local)
}
