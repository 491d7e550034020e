//! Saved views: list views of records, and views of the inbox (S2S-46).

use crate::ViewName;
use crate::command::{Refusal, Reply, ViewCommand};
use crate::decide::draft::Draft;
use crate::decide::{permit, record};
use crate::event::{InboxViewRemoved, InboxViewSet, RecordViewRemoved, RecordViewSet};
use crate::limits::{GROUP_MEMBERS_MAX, VIEWS_MAX};
use crate::people::Permission;
use crate::state::State;
use crate::view::{Audience, InboxView, RecordView};

pub(super) fn decide(draft: &mut Draft<'_>, command: &ViewCommand) -> Result<Reply, Refusal> {
    match command {
        ViewCommand::Set { view } => set(draft, view),
        ViewCommand::Remove { view } => remove(draft, view),
        ViewCommand::SetInbox { view } => set_inbox(draft, view),
        ViewCommand::RemoveInbox { view } => remove_inbox(draft, view),
    }
}

/// A view for oneself alone is one's own affair; one for others is made by who may do everything.
fn own_or_all(draft: &Draft<'_>, audience: &Audience) -> Result<(), Refusal> {
    if audience.is_only(&draft.actor) {
        return Ok(());
    }
    permit::require(draft.state, &draft.actor, Permission::ModifyAllData)
}

fn check_audience(state: &State, audience: &Audience) -> Result<(), Refusal> {
    if audience.users.len() + audience.groups.len() + audience.roles.len() > GROUP_MEMBERS_MAX {
        let text = format!("a view is for at most {GROUP_MEMBERS_MAX} users, groups and roles: make a group");
        return Err(Refusal::invalid("limit_reached", text));
    }
    for user in &audience.users {
        super::people::find(state, user)?;
    }
    for role in &audience.roles {
        super::roles::find(state, role)?;
    }
    match audience.groups.iter().find(|group| !state.groups.contains_key(*group)) {
        Some(group) => {
            let text = format!("there is no group {group}: see the groups with `tieline group list`");
            Err(Refusal::not_found("unknown_group", text))
        }
        None => Ok(()),
    }
}

fn room(known: usize) -> Result<(), Refusal> {
    if known < VIEWS_MAX {
        return Ok(());
    }
    let text = format!("the org has {VIEWS_MAX} views, the most there may be: remove one");
    Err(Refusal::invalid("limit_reached", text))
}

fn set(draft: &mut Draft<'_>, view: &RecordView) -> Result<Reply, Refusal> {
    let state = draft.state;
    let known = state.views.records.get(&view.name);
    if let Some(known) = known {
        own_or_all(draft, &known.audience)?;
    }
    own_or_all(draft, &view.audience)?;
    if known == Some(view) {
        return Ok(Reply::Unchanged);
    }
    if known.is_none() {
        room(state.views.records.len())?;
    }
    check_audience(state, &view.audience)?;
    view.open(record::object(state, &view.object)?).map_err(Refusal::record)?;
    draft.emit(RecordViewSet { view: view.clone(), actor: draft.actor.clone() });
    Ok(Reply::Done)
}

fn remove(draft: &mut Draft<'_>, name: &ViewName) -> Result<Reply, Refusal> {
    let Some(known) = draft.state.views.records.get(name) else { return Ok(Reply::Unchanged) };
    own_or_all(draft, &known.audience)?;
    draft.emit(RecordViewRemoved { view: name.clone(), actor: draft.actor.clone() });
    Ok(Reply::Done)
}

fn set_inbox(draft: &mut Draft<'_>, view: &InboxView) -> Result<Reply, Refusal> {
    let state = draft.state;
    let known = state.views.inbox.get(&view.name);
    if known == Some(view) {
        return Ok(Reply::Unchanged);
    }
    if known.is_none() {
        room(state.views.inbox.len())?;
    }
    check_audience(state, &view.audience)?;
    view.open(record::object(state, &view.object)?).map_err(Refusal::record)?;
    draft.emit(InboxViewSet { view: view.clone(), actor: draft.actor.clone() });
    Ok(Reply::Done)
}

fn remove_inbox(draft: &mut Draft<'_>, name: &ViewName) -> Result<Reply, Refusal> {
    if !draft.state.views.inbox.contains_key(name) {
        return Ok(Reply::Unchanged);
    }
    draft.emit(InboxViewRemoved { view: name.clone(), actor: draft.actor.clone() });
    Ok(Reply::Done)
}
