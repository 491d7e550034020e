//! Folds what happens to the keys of a connection.

use super::take_position;
use crate::event::{KeyAnnounced, KeyConfirmed, PartnerKeyChanged};
use crate::state::{Connection, Former, OwnKey, State};
use crate::{Seq, Timestamp};

pub(super) fn announced(state: &mut State, seq: Seq, time: Timestamp, event: &KeyAnnounced) {
    take_position(state, event.connection, event.position, seq, time);
    let Some(connection) = state.connections.get_mut(&event.connection) else { return };
    let keys = &mut connection.own_keys;
    // The present key is told again after a restore.
    if event.number > keys.number() {
        keys.announced = Some(OwnKey { number: event.number, public_key: event.public_key.into() });
    }
}

pub(super) fn confirmed(state: &mut State, event: &KeyConfirmed) {
    let Some(connection) = state.connections.get_mut(&event.connection) else { return };
    let keys = &mut connection.own_keys;
    keys.former = Some(Former { key: keys.present, until: event.until });
    keys.present = Some(OwnKey { number: event.number, public_key: event.public_key.into() });
    keys.announced = keys.announced.filter(|announced| announced.number > event.number);
}

pub(super) fn partner_changed(state: &mut State, event: &PartnerKeyChanged) {
    let Some(connection) = state.connections.get_mut(&event.connection) else { return };
    let key = connection.partner_key.replace(event.public_key.into());
    connection.former_partner_key = key.map(|key| Former { key, until: event.until });
}

/// A partner that was restored may know only the key before the present one: within the overlap we
/// seal with that one again, until the partner has sealed for the newer one once more.
pub(super) fn partner_may_have_forgotten(connection: &mut Connection, time: Timestamp) {
    let keys = &mut connection.own_keys;
    let Some(before) = keys.former.and_then(|former| former.at(time)) else { return };
    keys.announced = keys.newest();
    keys.present = before;
    keys.former = None;
}
