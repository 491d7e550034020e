//! The owners of shared records, told to partners and taken from them (OPS-19).
//!
//! Either side tells the owner of a shared record, if its publish rule lets owners out: the origin before the
//! grant, so that the copy is created for the right one; both whenever the owner changes there. To whom a copy
//! is given when it is accepted is no such change, and neither is what followed the partner. Of two changes
//! that cross the later one stands, on both sides.

use crate::command::{Refusal, Reply};
use crate::decide::automation::{check_owner, known_owner};
use crate::decide::draft::Draft;
use crate::decide::share;
use crate::decide::write::{Candidates, Write, is_open, record_changed};
use crate::event::{
    Event, Origin, OwnerHeard, OwnerHeld, OwnerMapSet, OwnerTold, RecordAction, RecordChanged,
};
use crate::limits::{HOPS_MAX, OWNERS_MAPPED_MAX};
use crate::message::OwnerNotice;
use crate::owner_map::OwnerMap;
use crate::stamp::Stamp;
use crate::state::{Connection, Record, Share, ShareRole, ShareStatus, State};
use crate::{ConnectionId, ObjectName, Owner, RecordId, ShareId, UserName};

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

/// Whether owners of an object are told over a connection. A task has the owner of what it belongs to.
fn travels(connection: &Connection, share: &Share, object: &ObjectName) -> bool {
    share.parents.is_empty() && connection.publish.get(object).is_some_and(|rule| rule.owners)
}

/// Tells the owner of a record of this org as it is, if owners are published; whether that was so. Of a copy
/// only a change that was held back is told.
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
    let written = match share.role {
        ShareRole::Origin => share.owner_written().unwrap_or_default(),
        ShareRole::Copy if share.owners.as_ref().is_some_and(|known| known.held) => later(draft, share),
        ShareRole::Copy => return false,
    };
    emit(draft, connection, (id, generation), (&record.object, &record.owner), 0, written);
    true
}

/// Tells a change of the owner that was made here once more, as it was: the partner may have lost it.
pub(super) fn tell_again(draft: &mut Draft<'_>, connection: &Connection, id: ShareId, share: &Share) {
    let made_here = share.owner_written().filter(|written| written.org == draft.org().id);
    let record = share.record.and_then(|id| draft.state.record(id));
    let told = record.filter(|record| travels(connection, share, &record.object));
    let Some((written, record)) = made_here.zip(told) else { return };
    if !connection.holds_back(&record.object) {
        let (object, owner) = (&record.object, &record.owner);
        emit(draft, connection, (id, share.generation), (object, owner), 0, written);
    }
}

/// Tells the owner of a record that is about to be granted.
pub(super) fn tell_granted(
    draft: &mut Draft<'_>,
    connection: &Connection,
    share: (ShareId, u32),
    record: &Record,
) {
    if connection.publish.get(&record.object).is_some_and(|rule| rule.owners) {
        emit(draft, connection, share, (&record.object, &record.owner), 0, Stamp::default());
    }
}

/// A change of the owner that happens now: later than every one that is known.
fn later(draft: &Draft<'_>, share: &Share) -> Stamp {
    let (now, known) = (draft.stamp(), share.owner_written().unwrap_or_default());
    Stamp { time: now.time.max(known.time.plus_us(1)), ..now }
}

fn emit(
    draft: &mut Draft<'_>,
    connection: &Connection,
    (share, generation): (ShareId, u32),
    (object, owner): (&ObjectName, &Owner),
    hops: u8,
    written: Stamp,
) {
    let position = draft.position(connection);
    let (connection, object, owner) = (connection.id, object.clone(), owner.clone());
    let written = Some(written);
    draft.emit(OwnerTold { connection, share, generation, object, owner, hops, position, written });
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
            // What followed the partner does not go back.
            let came = event.origin.as_ref().is_some_and(|origin| origin.connection == *over);
            let connection = state.connections.get(over).filter(|c| c.is_active() && !came);
            let Some(connection) = connection else { continue };
            let Some(share) = connection.shares.get(id) else { continue };
            if share.status == ShareStatus::Active && travels(connection, share, &event.object) {
                told(draft, connection, (*id, share), (&event.object, owner), event.hops);
            }
        }
    }
}

/// Tells one partner of a change of the owner. What is paused is caught up with later.
fn told(
    draft: &mut Draft<'_>,
    connection: &Connection,
    (id, share): (ShareId, &Share),
    (object, owner): (&ObjectName, &Owner),
    hops: u8,
) {
    if !connection.holds_back(object) {
        let written = later(draft, share);
        emit(draft, connection, (id, share.generation), (object, owner), hops, written);
    } else if share.role == ShareRole::Copy {
        draft.emit(OwnerHeld { connection: connection.id, share: id });
    }
}

/// The partner says who owns a record there: the record here follows, as the table says.
pub(super) fn take(draft: &mut Draft<'_>, connection: &Connection, notice: &OwnerNotice) {
    let (id, state) = (notice.share, draft.state);
    let Some(theirs) = &notice.owner else { return };
    let known = connection.shares.get(&id);
    let Some(share) = known.filter(|share| share.generation == notice.generation && is_open(share)) else {
        return;
    };
    let map = &connection.owners;
    let unmapped = !map.is_empty() && !map.users.contains_key(theirs);
    let (written, have) = (notice.written, share.owner_written());
    // A partner of an earlier version says nothing of when.
    let earlier = written.is_some_and(|written| have.is_some_and(|have| written < have));
    let dated = written.filter(|written| *written != Stamp::default() && !earlier);
    let (over, owner) = (connection.id, theirs.clone());
    draft.emit(OwnerHeard { connection: over, share: id, owner, unmapped, written: dated });
    let news = dated > have || share.partner_owner() != Some(theirs);
    if earlier || !news || share.status != ShareStatus::Active {
        return;
    }
    let Some((record_id, record)) = share.record.and_then(|id| Some((id, state.record(id)?))) else { return };
    let owner = match share.role {
        ShareRole::Copy => mapped(state, map, theirs, &record.object),
        // Of a record of this org nobody is the owner whom the table does not name.
        ShareRole::Origin => {
            map.users.get(theirs).filter(|owner| check_owner(state, &record.object, owner).is_ok()).cloned()
        }
    };
    let Some(owner) = owner else { return };
    let hops = notice.hops.saturating_add(1);
    if owner != record.owner && hops <= HOPS_MAX {
        give(draft, connection, (record_id, record), owner, (UserName::connection_user(), hops));
    }
}

/// Gives a record to another owner, as its partner's is mapped.
fn give(
    draft: &mut Draft<'_>,
    connection: &Connection,
    (id, record): (RecordId, &Record),
    owner: Owner,
    (actor, hops): (UserName, u8),
) {
    let (object, action) = (record.object.clone(), RecordAction::Update);
    let write = Write { id, object, action, actor, owner: Some(owner), hops };
    let mut event = record_changed(Some(record), write, Candidates::new(), Vec::new());
    event.origin = Some(Origin { connection: connection.id, mapping: 0 });
    draft.emit(event);
}

/// Gives the copy of a share to whom the table names now; whether that is somebody else.
pub(super) fn map_again(draft: &mut Draft<'_>, connection: &Connection, share: &Share) -> bool {
    let Some(owner) = would_own(draft.state, &connection.owners, share) else { return false };
    let Some((id, record)) = share.record.and_then(|id| Some((id, draft.state.record(id)?))) else {
        return false;
    };
    let actor = draft.actor.clone();
    give(draft, connection, (id, record), owner, (actor, 0));
    true
}

/// To whom a table would give the copy of a share, if that is somebody else.
pub(crate) fn would_own(state: &State, map: &OwnerMap, share: &Share) -> Option<Owner> {
    if share.role != ShareRole::Copy || share.status != ShareStatus::Active {
        return None;
    }
    let record = state.record(share.record?)?;
    mapped(state, map, share.partner_owner()?, &record.object).filter(|owner| *owner != record.owner)
}

/// Who has here what `theirs` owns there; nothing if the table does not say, or whom it names can have no
/// record of the object.
pub(super) fn mapped(state: &State, map: &OwnerMap, theirs: &Owner, object: &ObjectName) -> Option<Owner> {
    map.of(theirs).find(|owner| check_owner(state, object, owner).is_ok()).cloned()
}
