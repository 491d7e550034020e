//! Pauses (OPS-15): a connection or one object of it does nothing for a while, on either side, and
//! nothing is lost.
//!
//! Changes meanwhile make no messages: the share is marked, and one snapshot of the record catches up
//! later, so that neither outbox nor log grows by what is written again and again. What a share begins
//! or ends with keeps its place in the outbox. A paused connection sends and takes no frame but
//! heartbeats, which tell the partner; of a paused object the partner is told by a message, and what it
//! had sent before it knew is held here, as it came, until the object goes on.

use crate::command::{Refusal, Reply};
use crate::decide::draft::Draft;
use crate::decide::share::{active, send_unseen};
use crate::decide::write::{carried, shared_content};
use crate::decide::{connection, jobs, owner, record};
use crate::event::{AlarmRaised, PauseHeard, PauseSet, PauseTold, ShareHeldBack};
use crate::frame::PauseWord;
use crate::job::JobKind;
use crate::message::{Message, PauseNotice, PausedObject};
use crate::reason::ReasonCode;
use crate::state::{Connection, Pause, Share, ShareRole, ShareStatus};
use crate::{ConnectionId, ObjectName, ShareId};

pub(super) fn set(
    draft: &mut Draft<'_>,
    id: ConnectionId,
    object: Option<&ObjectName>,
    paused: bool,
) -> Result<Reply, Refusal> {
    let found = active(draft.state, id)?;
    let already = match object {
        None => found.pauses.ours.is_some(),
        Some(name) => found.pauses.objects.contains_key(name),
    };
    if already == paused {
        return Ok(Reply::Unchanged);
    }
    if let Some(name) = object.filter(|_| paused) {
        record::object(draft.state, name)?;
    }
    let actor = draft.actor.clone();
    draft.emit(PauseSet { connection: id, object: object.cloned(), paused, actor });
    if paused && object.is_none() {
        tell_grants_wait(draft, std::iter::once(found));
    }
    if let Some(name) = object {
        let mut objects = found.pauses.objects.clone();
        if paused {
            objects.insert(name.clone(), Pause { since: draft.now, by: draft.actor.clone() });
        } else {
            objects.remove(name);
        }
        tell(draft, found, objects.iter());
    }
    if !paused {
        go_on(draft, found);
    }
    Ok(Reply::Connection(id))
}

/// Tells the partner which objects are paused here.
fn tell<'a>(
    draft: &mut Draft<'_>,
    connection: &Connection,
    objects: impl Iterator<Item = (&'a ObjectName, &'a Pause)>,
) {
    let theirs = |name: &ObjectName| {
        let subscribed = connection.subscribe.values().find(|rule| rule.local == *name);
        let taken = connection.taken.get(name).map(|taken| &taken.local);
        subscribed.map(|rule| &rule.remote).or(taken).cloned()
    };
    let objects = objects.map(|(name, pause)| PausedObject {
        object: name.clone(),
        theirs: theirs(name),
        since: pause.since,
        by: pause.by.clone(),
    });
    let objects = objects.collect();
    let position = draft.position(connection);
    draft.emit(PauseTold { connection: connection.id, position, objects });
}

/// After a restore the partner is told again.
pub(super) fn tell_again(draft: &mut Draft<'_>, connection: &Connection) {
    if !connection.pauses.objects.is_empty() {
        tell(draft, connection, connection.pauses.objects.iter());
    }
}

/// The partner has paused the connection, or lets it go on.
pub(super) fn heard(draft: &mut Draft<'_>, id: ConnectionId, word: &PauseWord) -> Result<Reply, Refusal> {
    let found = connection::find(draft.state, id)?;
    if word.rev <= found.pauses.partner.rev {
        return Ok(Reply::Unchanged);
    }
    draft.emit(PauseHeard { connection: id, word: word.clone() });
    if word.since.is_none() {
        go_on(draft, found);
    }
    Ok(Reply::Done)
}

/// The partner has told which of its objects are paused.
pub(super) fn take(draft: &mut Draft<'_>, connection: &Connection, notice: &PauseNotice) {
    let before = &connection.pauses.partner_objects;
    if before.iter().any(|known| !notice.objects.iter().any(|object| object.object == known.object)) {
        go_on(draft, connection);
    }
}

/// Something goes on: what was held back is sent, and grants that waited are made. What is still
/// paused is passed over, and comes when that goes on.
fn go_on(draft: &mut Draft<'_>, connection: &Connection) {
    let state = draft.state;
    let begun = |kind: &JobKind| state.jobs.values().any(|job| job.kind == *kind && job.cursor.is_none());
    let id = connection.id;
    let catch_up = JobKind::CatchUp { connection: id };
    if connection.shares.values().any(|share| share.held_back.is_some()) && !begun(&catch_up) {
        jobs::begin(draft, catch_up);
    }
    let waits = |share: &Share| share.role == ShareRole::Origin && share.status == ShareStatus::Accepting;
    let reconciled = !state.connections.values().any(|connection| connection.reconciling);
    if reconciled && connection.shares.values().any(waits) {
        jobs::begin(draft, JobKind::Grant { connection: id });
    }
}

/// What partners accept is granted once all connections have compared their shares after a restore, and one
/// that is paused does not: somebody has to know, within a while once.
pub(super) fn tell_grants_wait<'a>(draft: &mut Draft<'_>, paused: impl Iterator<Item = &'a Connection>) {
    const CODE: &str = "grants_wait";
    const AGAIN_AFTER_US: i64 = 3_600 * 1_000_000;
    for connection in paused.filter(|connection| connection.reconciling) {
        let id = connection.id;
        let recent = draft.state.alarms.iter().any(|known| {
            let same = known.alarm.code == CODE && known.alarm.connection == Some(id);
            same && draft.now.since_us(known.time) < AGAIN_AFTER_US
        });
        if !recent {
            let message = format!(
                "what partners accept waits for the connection {}, which has to compare its shares after a restore \
                 and is paused: let it go on with `tieline connection unpause {id}`, or grant without it with \
                 `tieline connection resume {id}`",
                connection.display_name()
            );
            draft.emit(AlarmRaised { connection: Some(id), code: CODE.to_owned(), message });
        }
    }
}

/// Something of a share is held back that is no change of its record; whether that is new.
pub(super) fn hold_back(draft: &mut Draft<'_>, connection: &Connection, id: ShareId, share: &Share) -> bool {
    let is_new = share.held_back.is_none();
    if is_new {
        draft.emit(ShareHeldBack { connection: connection.id, share: id });
    }
    is_new
}

/// Sends what was held back of a share; whether there was something.
pub(super) fn catch_up(draft: &mut Draft<'_>, connection: &Connection, id: ShareId, share: &Share) -> bool {
    let Some(since) = share.held_back.filter(|_| share.status == ShareStatus::Active) else { return false };
    let Some(record) = share.record.and_then(|record| draft.state.record(record)) else { return false };
    owner::tell(draft, connection, id, share, share.generation);
    let mut content = shared_content(connection, record, false, |_| true);
    if share.role == ShareRole::Origin {
        for (name, value, stamp) in carried(draft.state, connection, record) {
            content.set(name.clone(), value, stamp);
        }
    }
    send_unseen(draft, connection, id, share.generation, &record.object, content, Some(since))
}

/// Refuses what would begin something with an object that is paused.
pub(super) fn check_object(connection: &Connection, object: &ObjectName) -> Result<(), Refusal> {
    if !connection.object_paused(object) {
        return Ok(());
    }
    let by = if connection.pauses.objects.contains_key(object) { "here" } else { "by the partner" };
    let text = format!(
        "{object} is paused {by} on the connection {}: let it go on with `tieline connection unpause {} --object \
         {object}`",
        connection.display_name(),
        connection.id
    );
    Err(Refusal::conflict("paused", text))
}

/// Whether a message is of an object that is paused here: then it is held, as it came.
pub(super) fn holds(connection: &Connection, message: &Message) -> bool {
    if connection.pauses.objects.is_empty() {
        return false;
    }
    let (share, object) = match message {
        Message::Offer(offer) => (offer.share, Some(&offer.object)),
        Message::Grant(grant) => (grant.share, Some(&grant.object)),
        Message::Snapshot(snapshot) => (snapshot.share, None),
        Message::Change(change) => (change.share, None),
        Message::ShareEnded(ended) => (ended.share, None),
        _ => return false,
    };
    let local = connection.local_object(share, object);
    local.is_some_and(|object| connection.pauses.objects.contains_key(object))
}

/// The code of what is held so.
pub(super) const HELD: ReasonCode = ReasonCode::Paused;
