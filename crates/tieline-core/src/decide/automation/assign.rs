//! Who owns a record: by name, or as the assignment rules of its object say.

use crate::automation::{Facts, Was};
use crate::command::{Refusal, Reply};
use crate::decide::automation::assignment::owner_for;
use crate::decide::automation::queue;
use crate::decide::draft::Draft;
use crate::decide::fields::Incoming;
use crate::decide::write::{Candidates, Write, record_changed};
use crate::decide::{owner, people, record, task};
use crate::event::RecordAction;
use crate::state::{Record, State};
use crate::{AssignTo, FieldName, ObjectName, Owner, RecordId, UserName};

/// Whether an owner can be given a record of this object.
pub(in crate::decide) fn check_owner(
    state: &State,
    object: &ObjectName,
    owner: &Owner,
) -> Result<(), Refusal> {
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

/// Whether somebody is there who can own records of some object.
pub(in crate::decide) fn known_owner(state: &State, owner: &Owner) -> Result<(), Refusal> {
    match owner {
        Owner::User(user) => people::find_active(state, user).map(|_| ()),
        Owner::Queue(name) => queue::find(state, name).map(|_| ()),
    }
}

/// The owner of a new record: the one that is named, or whom the assignment rule names; else the actor.
pub(in crate::decide) fn owner_named(
    draft: &mut Draft<'_>,
    object: &ObjectName,
    to: Option<&AssignTo>,
    candidates: &Candidates,
) -> Result<Owner, Refusal> {
    let actor = Owner::User(draft.actor.clone());
    match to {
        None => Ok(actor),
        Some(AssignTo::Owner(owner)) => check_owner(draft.state, object, owner).map(|()| owner.clone()),
        Some(AssignTo::Rules) => {
            let facts = Facts::about(&actor, &draft.actor, "", true);
            let lookup = |name: &FieldName| candidates.get(name).map(|candidate| &candidate.value);
            Ok(owner_for(draft, object, None, lookup, Was::Nothing, &facts).unwrap_or(actor))
        }
    }
}

/// The owner of a copy that a grant creates: as was said when it was accepted, else who accepted it.
/// What is accepted by itself goes to whom the assignment rule names, unless the subscription names
/// somebody (S2S-47).
pub(in crate::decide) fn owner_of_copy(
    draft: &mut Draft<'_>,
    incoming: &Incoming<'_>,
    candidates: &Candidates,
) -> Owner {
    let (connection, share, object) = (incoming.connection, incoming.share, &incoming.object.name);
    // Whoever owns what a task belongs to has the task.
    let of_parent = task::parents_here(draft.state, connection, share)
        .find_map(|(_, parent)| Some(draft.state.record(parent)?.owner.clone()));
    if let Some(owner) = of_parent {
        return owner;
    }
    // What nobody was named for here goes to whom the owner there is mapped to (OPS-19).
    let named = share.assign.is_some() && !incoming.rule.auto_accept;
    let theirs = share.partner_owner().filter(|_| !named);
    if let Some(owner) =
        theirs.and_then(|theirs| owner::mapped(draft.state, &connection.owners, theirs, object))
    {
        return owner;
    }
    let user = Owner::User(share.actor.as_ref().unwrap_or(&connection.owner).clone());
    match share.assign.as_deref() {
        None => user,
        // It may have been deactivated, or may take the object no more, since the offer was accepted.
        Some(AssignTo::Owner(owner)) => match check_owner(draft.state, object, owner) {
            Ok(()) => owner.clone(),
            Err(_) => user,
        },
        Some(AssignTo::Rules) => {
            let by = UserName::connection_user();
            let facts = Facts::about(&user, &by, connection.display_name(), true);
            let lookup = |name: &FieldName| candidates.get(name).map(|candidate| &candidate.value);
            owner_for(draft, object, None, lookup, Was::Nothing, &facts).unwrap_or(user)
        }
    }
}

/// Gives a record to another owner.
pub(super) fn assign(draft: &mut Draft<'_>, id: RecordId, to: &AssignTo) -> Result<Reply, Refusal> {
    let record = record::find(draft.state, id)?;
    let owner = match to {
        AssignTo::Owner(owner) => owner.clone(),
        // Without a rule that fits, the user who asks gets it (S2S-47).
        AssignTo::Rules => {
            owner_by_rules(draft, id, record).unwrap_or_else(|| Owner::User(draft.actor.clone()))
        }
    };
    if record.owner == owner {
        return Ok(Reply::Unchanged);
    }
    check_owner(draft.state, &record.object, &owner)?;
    give(draft, id, record, owner);
    Ok(Reply::Done)
}

/// The owner whom the assignment rule names for a record that is here.
pub(in crate::decide) fn owner_by_rules(
    draft: &mut Draft<'_>,
    id: RecordId,
    record: &Record,
) -> Option<Owner> {
    let facts = Facts::of(draft.state, record, false);
    let lookup = |name: &FieldName| record.fields.get(name).map(|field| &field.value);
    owner_for(draft, &record.object, Some(id), lookup, Was::Same, &facts)
}

/// Gives a record to an owner who may have it.
pub(in crate::decide) fn give(draft: &mut Draft<'_>, id: RecordId, record: &Record, owner: Owner) {
    let write = Write {
        id,
        object: record.object.clone(),
        action: RecordAction::Update,
        actor: draft.actor.clone(),
        owner: Some(owner),
        hops: 0,
    };
    draft.emit(record_changed(Some(record), write, Candidates::new(), Vec::new()));
}
