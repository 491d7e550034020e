//! Queues: set, remove, and offering what is in them to a connection that came later.

use crate::automation::Queue;
use crate::command::{Refusal, Reply};
use crate::decide::draft::Draft;
use crate::decide::{connection, jobs, people, record, roles, share};
use crate::event::{QueueRemoved, QueueSet};
use crate::job::JobKind;
use crate::limits::{QUEUE_MEMBERS_MAX, QUEUES_MAX};
use crate::state::State;
use crate::{ConnectionId, Owner, QueueName};

pub(super) fn find<'a>(state: &'a State, name: &QueueName) -> Result<&'a Queue, Refusal> {
    state.automation.queues.get(name).ok_or_else(|| {
        let text = format!("there is no queue {name}: see the queues with `tieline queue list`");
        Refusal::not_found("unknown_queue", text)
    })
}

pub(super) fn set(draft: &mut Draft<'_>, queue: &Queue) -> Result<Reply, Refusal> {
    let state = draft.state;
    let known = state.automation.queues.get(&queue.name);
    if known == Some(queue) {
        return Ok(Reply::Unchanged);
    }
    if known.is_none() && state.automation.queues.len() >= QUEUES_MAX {
        return Err(people::limit("queues", QUEUES_MAX));
    }
    if queue.members() > QUEUE_MEMBERS_MAX {
        return Err(people::limit("members of a queue", QUEUE_MEMBERS_MAX));
    }
    if queue.objects.is_empty() {
        let text = format!("the queue {} takes no object: name those whose records it is for", queue.name);
        return Err(Refusal::invalid("bad_queue", text));
    }
    connection::check_label(&queue.label)?;
    queue.objects.iter().try_for_each(|object| record::object(state, object).map(|_| ()))?;
    queue.users.iter().try_for_each(|user| people::find_active(state, user).map(|_| ()))?;
    queue.groups.iter().try_for_each(|group| people::find_group(state, group).map(|_| ()))?;
    queue.roles.iter().try_for_each(|role| roles::find(state, role).map(|_| ()))?;
    // One that has ended since may stay; a new member has to be there.
    let new = |id: &&ConnectionId| known.is_none_or(|known| !known.connections.contains(id));
    queue.connections.iter().filter(new).try_for_each(|id| share::active(state, *id).map(|_| ()))?;
    draft.emit(QueueSet { queue: queue.clone(), actor: draft.actor.clone() });
    Ok(Reply::Done)
}

pub(super) fn remove(draft: &mut Draft<'_>, name: &QueueName) -> Result<Reply, Refusal> {
    let queue = find(draft.state, name)?;
    let owner = Owner::Queue(name.clone());
    let owned = |object| draft.state.records_of(object, None).find(|(_, record)| record.owner == owner);
    if let Some((id, record)) = queue.objects.iter().find_map(owned) {
        let text = format!(
            "the queue {name} owns records, as the {} {id}: give them to somebody else with `tieline record assign`",
            record.object
        );
        return Err(Refusal::conflict("queue_in_use", text));
    }
    if let Some(rule) = draft.state.automation.rule_naming(&owner) {
        let text = format!(
            "the {} rule {} gives records to the queue {name}: change that rule first",
            rule.kind().as_str(),
            rule.key()
        );
        return Err(Refusal::conflict("queue_in_use", text));
    }
    draft.emit(QueueRemoved { queue: name.clone(), actor: draft.actor.clone() });
    Ok(Reply::Done)
}

/// Offers what the queue owns to a member that came later: only when asked for.
pub(super) fn share(draft: &mut Draft<'_>, name: &QueueName, over: ConnectionId) -> Result<Reply, Refusal> {
    let queue = find(draft.state, name)?;
    let connection = share::active(draft.state, over)?;
    if !queue.connections.contains(&over) {
        let text = format!(
            "{} is not a member of the queue {name}: add it with `tieline queue set {name} --connection …`",
            connection.display_name()
        );
        return Err(Refusal::conflict("not_a_member", text));
    }
    Ok(Reply::Job(jobs::begin(draft, JobKind::ShareQueue { connection: over, queue: name.clone() })))
}
