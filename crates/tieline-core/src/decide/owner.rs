//! The owners of shared records, told to partners and taken from them (OPS-19).
//!
//! Whoever shares a record tells its owner, if the publish rule lets owners out: before the grant, so that
//! the copy is created for the right one, and whenever the owner changes. Copies tell nothing back.

use crate::command::{Refusal, Reply};
use crate::decide::automation::{check_owner, known_owner};
use crate::decide::draft::Draft;
use crate::decide::share;
use crate::decide::write::{Candidates, Write, is_open, record_changed};
use crate::event::{Event, Origin, OwnerHeard, OwnerMapSet, OwnerTold, RecordAction, RecordChanged};
use crate::limits::{HOPS_MAX, OWNERS_MAPPED_MAX};
use crate::message::OwnerNotice;
use crate::owner_map::OwnerMap;
use crate::state::{Connection, Record, Share, ShareRole, ShareStatus, State};
use crate::{ConnectionId, ObjectName, Owner, ShareId, UserName};

/// Sets who owns here what the partner's users own.
pub(super) fn set(draft: &mut Draft<'_>, over: ConnectionId, map: &OwnerMap) -> Result<Reply, Refusal> {
    let connection = share::active(draft.state, over)?;
    if connection.owners == *map {
        return Ok(Reply::Unchanged);
    }
    if !map.fits() {
        let text =
            format!("at most {OWNERS_MAPPED_MAX} users of a partner are mapped: name fewer, and a default");
        return Err(Refusal::invalid("limit_reached", text));
    }
    for owner in map.users.values().chain(&map.default) {
        known_owner(draft.state, owner)?;
    }
    draft.emit(OwnerMapSet { connection: over, owners: map.clone(), actor: draft.actor.clone() });
    Ok(Reply::Connection(over))
}

/// Whether the owner of a record of this org is told over a connection.
fn travels(connection: &Connection, share: &Share, object: &ObjectName) -> bool {
    share.role == ShareRole::Origin
        && share.parents.is_empty()
        && connection.publish.get(object).is_some_and(|rule| rule.owners)
}

/// Tells the owner of a shared record, if owners are published; whether that was so.
pub(super) fn tell(
    draft: &mut Draft<'_>,
    connection: &Connection,
    id: ShareId,
    share: &Share,
    generation: u32,
) -> bool {
    let record = share.record.and_then(|id| draft.state.record(id));
    let Some(record) = record.filter(|record| travels(connection, share, &record.object)) else {
        return false;
    };
    emit(draft, connection, (id, generation), record.object.clone(), record.owner.clone(), 0);
    true
}

/// Tells the owner of a record that is about to be granted.
pub(super) fn tell_granted(
    draft: &mut Draft<'_>,
    connection: &Connection,
    share: (ShareId, u32),
    record: &Record,
) {
    if connection.publish.get(&record.object).is_some_and(|rule| rule.owners) {
        emit(draft, connection, share, record.object.clone(), record.owner.clone(), 0);
    }
}

fn emit(
    draft: &mut Draft<'_>,
    connection: &Connection,
    (share, generation): (ShareId, u32),
    object: ObjectName,
    owner: Owner,
    hops: u8,
) {
    let position = draft.position(connection);
    draft.emit(OwnerTold { connection: connection.id, share, generation, object, owner, hops, position });
}

/// Tells partners of the owners that the events of a draft change. Few drafts change any.
pub(super) fn derive(draft: &mut Draft<'_>) {
    let changes = |event: &Event| matches!(event, Event::RecordChanged(e) if e.owner.is_some());
    if !draft.events().iter().any(changes) {
        return;
    }
    let changed: Vec<RecordChanged> = draft
        .events()
        .iter()
        .filter_map(|event| match event {
            Event::RecordChanged(e) if e.owner.is_some() && e.action == RecordAction::Update => {
                Some(e.clone())
            }
            _ => None,
        })
        .collect();
    let state = draft.state;
    for event in changed {
        let (Some(owner), Some(record)) = (&event.owner, state.record(event.record)) else { continue };
        if record.owner == *owner || event.hops > HOPS_MAX {
            continue;
        }
        for (over, id) in &record.shares {
            let Some(connection) = state.connections.get(over).filter(|c| c.is_active()) else { continue };
            let Some(share) = connection.shares.get(id) else { continue };
            let told = share.status == ShareStatus::Active
                && travels(connection, share, &event.object)
                // What is paused is caught up with later.
                && !connection.holds_back(&event.object);
            if told {
                let object = event.object.clone();
                emit(draft, connection, (*id, share.generation), object, owner.clone(), event.hops);
            }
        }
    }
}

/// The partner says who owns a record there: the copy here follows, as the table says.
pub(super) fn take(draft: &mut Draft<'_>, connection: &Connection, notice: &OwnerNotice) {
    let (id, state) = (notice.share, draft.state);
    let Some(theirs) = &notice.owner else { return };
    let known = connection.shares.get(&id);
    let meant = |share: &&Share| {
        share.role == ShareRole::Copy && share.generation == notice.generation && is_open(share)
    };
    let Some(share) = known.filter(meant) else { return };
    let map = &connection.owners;
    let unmapped = !map.is_empty() && !map.users.contains_key(theirs);
    draft.emit(OwnerHeard { connection: connection.id, share: id, owner: theirs.clone(), unmapped });
    if share.partner_owner.as_deref() == Some(theirs) || share.status != ShareStatus::Active {
        return;
    }
    let Some((record_id, record)) = share.record.and_then(|id| Some((id, state.record(id)?))) else { return };
    let Some(owner) = mapped(state, connection, theirs, &record.object) else { return };
    let hops = notice.hops.saturating_add(1);
    if owner == record.owner || hops > HOPS_MAX {
        return;
    }
    let write = Write {
        id: record_id,
        object: record.object.clone(),
        action: RecordAction::Update,
        actor: UserName::connection_user(),
        owner: Some(owner),
        hops,
    };
    let mut event = record_changed(Some(record), write, Candidates::new(), Vec::new());
    event.origin = Some(Origin { connection: connection.id, mapping: 0 });
    draft.emit(event);
}

/// Who has here what `theirs` owns there; nothing if the table does not say, or whom it names can have no
/// record of the object.
pub(super) fn mapped(
    state: &State,
    connection: &Connection,
    theirs: &Owner,
    object: &ObjectName,
) -> Option<Owner> {
    connection.owners.of(theirs).find(|owner| check_owner(state, object, owner).is_ok()).cloned()
}
