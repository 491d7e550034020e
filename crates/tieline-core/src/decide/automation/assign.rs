//! Who owns a record: by name, or as the assignment rules of its object say.

use crate::command::{Refusal, Reply};
use crate::decide::automation::queue;
use crate::decide::draft::Draft;
use crate::decide::write::{Candidates, Write, record_changed};
use crate::decide::{people, record};
use crate::event::RecordAction;
use crate::state::State;
use crate::{AssignTo, ObjectName, Owner, RecordId};

/// Whether an owner can be given a record of this object.
pub(super) fn check_owner(state: &State, object: &ObjectName, owner: &Owner) -> Result<(), Refusal> {
    match owner {
        Owner::User(user) => people::find_active(state, user).map(|_| ()),
        Owner::Queue(name) if queue::find(state, name)?.objects.contains(object) => Ok(()),
        Owner::Queue(name) => {
            let text = format!(
                "the queue {name} does not take {object}: add the object with `tieline queue set {name} --object …`"
            );
            Err(Refusal::conflict("queue_takes_not", text))
        }
    }
}

/// The owner of a new record: the one that is named, else the actor.
pub(in crate::decide) fn owner_named(
    draft: &Draft<'_>,
    object: &ObjectName,
    to: Option<&AssignTo>,
) -> Result<Owner, Refusal> {
    match to {
        None | Some(AssignTo::Rules) => Ok(draft.actor.clone().into()),
        Some(AssignTo::Owner(owner)) => check_owner(draft.state, object, owner).map(|()| owner.clone()),
    }
}

/// Gives a record to another owner.
pub(super) fn assign(draft: &mut Draft<'_>, id: RecordId, to: &AssignTo) -> Result<Reply, Refusal> {
    let record = record::find(draft.state, id)?;
    let owner = match to {
        AssignTo::Owner(owner) => owner.clone(),
        AssignTo::Rules => record.owner.clone(),
    };
    if record.owner == owner {
        return Ok(Reply::Unchanged);
    }
    check_owner(draft.state, &record.object, &owner)?;
    let write = Write {
        id,
        object: record.object.clone(),
        action: RecordAction::Update,
        actor: draft.actor.clone(),
        owner: Some(owner),
        hops: 0,
    };
    draft.emit(record_changed(Some(record), write, Candidates::new(), Vec::new()));
    Ok(Reply::Done)
}
