//! Handing over what a person owns (OPS-19): connections one by one, records in slices.

use crate::command::{Refusal, Reply};
use crate::decide::automation::owner_named;
use crate::decide::draft::Draft;
use crate::decide::write::{Candidates, Write, record_changed};
use crate::decide::{connection, people};
use crate::event::{ConnectionOwnerSet, RecordAction};
use crate::limits::JOB_SLICE_MAX;
use crate::{AssignTo, ConnectionId, Owner, RecordId, UserName};

/// Most records that a slice looks at.
const LOOKED_AT_MAX: usize = 20_000;

pub(super) fn connection(
    draft: &mut Draft<'_>,
    id: ConnectionId,
    owner: &UserName,
) -> Result<Reply, Refusal> {
    let found = connection::find(draft.state, id)?;
    people::find_active(draft.state, owner)?;
    if found.owner == *owner {
        return Ok(Reply::Unchanged);
    }
    let actor = draft.actor.clone();
    draft.emit(ConnectionOwnerSet { connection: id, owner: owner.clone(), actor });
    Ok(Reply::Connection(id))
}

/// Gives the next records over; the answer says how many, and after which id to go on.
pub(super) fn records(
    draft: &mut Draft<'_>,
    from: &UserName,
    to: &Owner,
    shared: bool,
    after: Option<RecordId>,
) -> Result<Reply, Refusal> {
    use std::ops::Bound::{Excluded, Unbounded};
    if let Some(user) = to.user() {
        people::find_active(draft.state, user)?;
    }
    let to = AssignTo::Owner(to.clone());
    let state = draft.state;
    let start = after.map_or(Unbounded, Excluded);
    let (mut looked_at, mut done, mut last) = (0, 0, after);
    let mut rest = state.records.range((start, Unbounded));
    let mut more = true;
    while looked_at < LOOKED_AT_MAX && done < JOB_SLICE_MAX {
        let Some((id, record)) = rest.next() else {
            more = false;
            break;
        };
        (looked_at, last) = (looked_at + 1, Some(*id));
        if record.deleted || record.owner != *from || (shared && record.shares.is_empty()) {
            continue;
        }
        let owner = match owner_named(draft, &record.object, Some(&to), &Candidates::new()) {
            Ok(owner) => owner,
            // A queue takes some objects, and not others.
            Err(refusal) if refusal.code == "queue_takes_not" => continue,
            Err(refusal) => return Err(refusal),
        };
        done += 1;
        let write = Write {
            id: *id,
            object: record.object.clone(),
            action: RecordAction::Update,
            actor: draft.actor.clone(),
            owner: Some(owner),
            hops: 0,
        };
        draft.emit(record_changed(Some(record), write, Candidates::new(), Vec::new()));
    }
    Ok(Reply::HandedOver { records: done as u64, next: last.filter(|_| more) })
}
