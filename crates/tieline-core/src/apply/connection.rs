//! Folds what happens to connections: the agreement, the rules, incarnations, receipts.

use std::collections::BTreeMap;

use super::take_position;
use crate::event::{
    ConnectionDeactivated, ConnectionDeclined, ConnectionEstablished, ConnectionSuspended, IncarnationCause,
    IncarnationStarted, InvitationAnswered, InvitationRevoked, InvitationSent, OwnerHeard, OwnerHeld,
    OwnerMapSet, OwnerTold, PartnerReincarnated, PublishRuleSet, ReceiptNoted, ReconcileAsked,
    SubscribeRuleSet,
};
use crate::frame::Figure;
use crate::owner_map::{self, OwnerMap};
use crate::stamp::Stamp;
use crate::state::{Bulk, Connection, ConnectionStatus, Inbound, Outbox, OwnKeys, SharedOwner, Side, State};
use crate::{ConnectionId, Incarnation, Seq, Timestamp, UserName};

fn new_connection(
    id: ConnectionId,
    side: Side,
    owner: &UserName,
    label: &str,
    secret_hash: [u8; 32],
    created: Timestamp,
) -> Connection {
    Connection {
        id,
        side,
        status: ConnectionStatus::Pending,
        label: label.to_owned(),
        partner: None,
        partner_key: None,
        former_partner_key: None,
        own_keys: OwnKeys::default(),
        secret_hash: secret_hash.into(),
        owner: owner.clone(),
        partner_company: None,
        partner_owner: None,
        answer: None,
        declined: None,
        created,
        expires: None,
        answered: None,
        contact: None,
        answered_by: None,
        postponed: None,
        ended: None,
        suspended: false,
        partner_incarnation: Incarnation::default(),
        tail_lost: None,
        recovering: false,
        reconciling: false,
        publish: BTreeMap::new(),
        subscribe: BTreeMap::new(),
        template: None,
        mapping_version: 0,
        accounts: BTreeMap::new(),
        owners: OwnerMap::default(),
        unmapped_owners: BTreeMap::new(),
        catalogue: BTreeMap::new(),
        taken: BTreeMap::new(),
        outbox: Outbox::default(),
        inbound: Inbound::default(),
        shares: Bulk::default(),
        heard: Bulk::default(),
        drift: Vec::new(),
        unmapped: BTreeMap::new(),
        computed: crate::state::Compiled::default(),
        failures: std::collections::VecDeque::new(),
        pauses: crate::state::Pauses::default(),
        conflicts: BTreeMap::new(),
        audit_pages: Vec::new(),
        held_by_time: Bulk::default(),
        held_by_share: Bulk::default(),
        children: BTreeMap::new(),
        held_by_parent: Bulk::default(),
    }
}

pub(super) fn invitation_sent(state: &mut State, time: Timestamp, event: &InvitationSent) {
    let mut connection =
        new_connection(event.connection, Side::Inviter, &event.owner, &event.label, event.secret_hash, time);
    connection.expires = Some(event.expires);
    connection.contact.clone_from(&event.contact);
    state.invitations.saved.remove(&event.connection);
    state.connections.insert(event.connection, connection);
}

pub(super) fn invitation_answered(state: &mut State, time: Timestamp, event: &InvitationAnswered) {
    let mut connection =
        new_connection(event.connection, Side::Invited, &event.owner, &event.label, event.secret_hash, time);
    connection.partner = Some(event.inviter.clone());
    connection.partner_key = Some(event.public_key.into());
    connection.answer = Some(event.accept);
    connection.answered_by = Some(event.actor.as_ref().unwrap_or(&event.owner).clone());
    state.invitations.postponed.remove(&event.connection);
    if !event.accept {
        connection.status = ConnectionStatus::Declined;
        connection.declined = Some("declined".to_owned());
    }
    state.connections.insert(event.connection, connection);
}

pub(super) fn established(state: &mut State, time: Timestamp, event: &ConnectionEstablished) {
    let Some(connection) = state.connections.get_mut(&event.connection) else { return };
    connection.status = ConnectionStatus::Active;
    connection.partner = Some(event.partner.clone());
    connection.partner_key = Some(event.public_key.into());
    connection.partner_incarnation = event.incarnation;
    connection.partner_owner = Some(event.partner_owner.clone());
    if connection.side == Side::Inviter {
        connection.answered_by = Some(event.answered_by.as_ref().unwrap_or(&event.partner_owner).clone());
        connection.postponed = None;
    }
    connection.answered = Some(time);
}

pub(super) fn declined(state: &mut State, time: Timestamp, event: &ConnectionDeclined) {
    let Some(connection) = state.connections.get_mut(&event.connection) else { return };
    connection.status = ConnectionStatus::Declined;
    connection.declined = Some(event.code.clone());
    connection.answered = Some(time);
    if let Some(partner) = &event.partner {
        connection.partner = Some(partner.clone());
    }
    if let Some(key) = event.public_key {
        connection.partner_key = Some(key.into());
    }
}

pub(super) fn revoked(state: &mut State, time: Timestamp, event: &InvitationRevoked) {
    let Some(connection) = state.connections.get_mut(&event.connection) else { return };
    connection.status = ConnectionStatus::Revoked;
    connection.ended = Some(time);
}

/// The outbox is dropped and nothing is positioned after it; the header flag tells the partner.
pub(super) fn deactivated(state: &mut State, time: Timestamp, event: &ConnectionDeactivated) {
    let Some(connection) = state.connections.get_mut(&event.connection) else { return };
    connection.status = ConnectionStatus::Deactivated;
    connection.ended = Some(time);
    connection.reconciling = false;
    connection.outbox.receipt = connection.outbox.head();
    connection.outbox.entries.clear();
    connection.inbound.unreported.clear();
}

pub(super) fn suspended(state: &mut State, event: &ConnectionSuspended) {
    if let Some(connection) = state.connections.get_mut(&event.connection) {
        connection.suspended = event.suspended;
        // A person who lets it go on overrides the wait for its share states, too.
        connection.reconciling &= event.suspended;
        if !event.suspended {
            // Somebody has looked at both logs: the next finding is believed again.
            connection.tail_lost = None;
        }
    }
}

/// A new life of our log: every connection begins its positions anew, both ways.
pub(super) fn incarnation_started(state: &mut State, time: Timestamp, event: &IncarnationStarted) {
    if let Some(org) = &mut state.org {
        org.incarnation = event.incarnation;
    }
    state.clock.pass_over_lost();
    for connection in state.connections.values_mut() {
        restart(connection);
        connection.recovering = true;
        if event.cause == IncarnationCause::TailLost && event.connection == Some(connection.id) {
            connection.tail_lost = Some(time);
        }
    }
}

pub(super) fn partner_reincarnated(state: &mut State, time: Timestamp, event: &PartnerReincarnated) {
    let Some(connection) = state.connections.get_mut(&event.connection) else { return };
    if connection.partner_incarnation == Incarnation::default() {
        // The first word of a partner whose incarnation the handshake did not tell.
        connection.partner_incarnation = event.incarnation;
        return;
    }
    connection.partner_incarnation = event.incarnation;
    // It tells anew what it has paused.
    connection.pauses.partner = crate::frame::PauseWord::default();
    super::key::partner_may_have_forgotten(connection, time);
    restart(connection);
    // What would have shown that our own tail is lost, too, went with the old positions.
    connection.recovering = true;
    // The partner may have lost what waits here: once it is written it goes to the partner, too.
    for record in connection.shares.values().filter_map(|share| share.record) {
        super::share::orphan(&mut state.records, record, event.connection);
    }
}

/// Begins a new pair of incarnations: outboxes are discarded, positions and counters start anew,
/// held messages are dropped (what they brought comes again), and both sides reconcile.
fn restart(connection: &mut Connection) {
    connection.pauses.partner_objects.clear();
    connection.outbox = Outbox::default();
    connection.inbound = Inbound::default();
    connection.derive();
    connection.reconciling = connection.status == ConnectionStatus::Active;
}

pub(super) fn receipt_noted(state: &mut State, event: &ReceiptNoted) {
    let Some(connection) = state.connections.get_mut(&event.connection) else { return };
    let outbox = &mut connection.outbox;
    let Some(chain) = outbox.chain_at(event.position) else { return };
    let confirmed = event.position.0 - outbox.receipt.position.0;
    let known = outbox.entries.len();
    outbox.entries.drain(..usize::try_from(confirmed).unwrap_or(usize::MAX).min(known));
    outbox.receipt = Figure { position: event.position, chain };
}

pub(super) fn publish_rule_set(state: &mut State, event: &PublishRuleSet) {
    let Some(connection) = state.connections.get_mut(&event.connection) else { return };
    match &event.rule {
        Some(rule) => drop(connection.publish.insert(event.object.clone(), rule.clone())),
        None => drop(connection.publish.remove(&event.object)),
    }
}

pub(super) fn subscribe_rule_set(state: &mut State, event: &SubscribeRuleSet) {
    let Some(connection) = state.connections.get_mut(&event.connection) else { return };
    let given = event.rule.as_ref().map_or(0, |rule| rule.version);
    connection.mapping_version = connection.mapping_version.max(given);
    match &event.rule {
        Some(rule) => drop(connection.subscribe.insert(event.object.clone(), rule.clone())),
        None => drop(connection.subscribe.remove(&event.object)),
    }
    connection.compile(&event.object);
    connection.forget_drift(&event.object, false);
    connection.forget_mapped(&event.object, event.rule.as_ref());
    for held in connection.inbound.held.values_mut() {
        // What its object was is not known any more: it is tried, and ends as it then has to.
        let known =
            |object: &crate::ObjectName| connection.subscribe.values().any(|rule| rule.local == *object);
        held.object = held.object.take().filter(known);
    }
    if !connection.inbound.held.is_empty() {
        connection.derive();
    }
}

pub(super) fn reconcile_asked(state: &mut State, seq: Seq, time: Timestamp, event: &ReconcileAsked) {
    take_position(state, event.connection, event.position, seq, time);
    if let Some(connection) = state.connections.get_mut(&event.connection) {
        connection.reconciling = true;
    }
}

/// A partner said who owns a record there.
pub(super) fn owner_heard(state: &mut State, time: Timestamp, event: &OwnerHeard) {
    let Some(connection) = state.connections.get_mut(&event.connection) else { return };
    if event.unmapped {
        owner_map::note(&mut connection.unmapped_owners, time, &event.owner);
    }
    if let Some(share) = connection.shares.get_mut(&event.share) {
        let known = share.owners_mut();
        known.theirs = Some(event.owner.clone());
        if event.written.is_some() {
            *known = SharedOwner { written: event.written, held: false, ..known.clone() };
        }
    }
}

/// A partner was told who owns a record here.
pub(super) fn owner_told(state: &mut State, seq: Seq, time: Timestamp, event: &OwnerTold) {
    take_position(state, event.connection, event.position, seq, time);
    let Some(written) = event.written.filter(|written| *written != Stamp::default()) else { return };
    let Some(connection) = state.connections.get_mut(&event.connection) else { return };
    if let Some(share) = connection.shares.get_mut(&event.share) {
        let known = share.owners_mut();
        *known = SharedOwner { written: Some(written), held: false, ..known.clone() };
    }
}

/// The owner of a copy was changed during a pause.
pub(super) fn owner_held(state: &mut State, event: &OwnerHeld) {
    let Some(connection) = state.connections.get_mut(&event.connection) else { return };
    if let Some(share) = connection.shares.get_mut(&event.share) {
        share.owners_mut().held = true;
    }
}

pub(super) fn owner_map_set(state: &mut State, event: &OwnerMapSet) {
    let Some(connection) = state.connections.get_mut(&event.connection) else { return };
    connection.owners = event.owners.clone();
    connection.unmapped_owners.retain(|owner, _| !event.owners.users.contains_key(owner));
}
