//! Removing objects, users, groups, roles and mail templates. They go only when nothing stands on them:
//! records and what is shared are never taken along, and no setting is left that names what is gone. The
//! log keeps naming them.

use crate::automation::Action;
use crate::command::{Refusal, Reply};
use crate::decide::automation::TASK;
use crate::decide::draft::Draft;
use crate::decide::{people, record, roles};
use crate::event::{GroupRemoved, MailTemplateRemoved, ObjectRemoved, RoleRemoved, UserRemoved};
use crate::limits::USES_TOLD;
use crate::mail_template::MailPurpose;
use crate::people::Role;
use crate::report::Report;
use crate::state::{Connection, State};
use crate::view::Audience;
use crate::{GroupName, MailTemplateName, ObjectName, Owner, RoleName, UserName, ViewName};

/// Removes an object.
pub(super) fn object(draft: &mut Draft<'_>, name: &ObjectName) -> Result<Reply, Refusal> {
    record::object(draft.state, name)?;
    refuse_uses("object_in_use", &format!("the object {name}"), object_uses(draft.state, name))?;
    draft.emit(ObjectRemoved { object: name.clone(), actor: draft.actor.clone() });
    Ok(Reply::Done)
}

/// Removes a user.
pub(super) fn user(draft: &mut Draft<'_>, name: &UserName) -> Result<Reply, Refusal> {
    people::find(draft.state, name)?;
    if *name == draft.actor {
        let text = format!("{name} asks for this, and nobody removes themselves: let another user do it");
        return Err(Refusal::conflict("user_in_use", text));
    }
    refuse_uses("user_in_use", &format!("the user {name}"), user_uses(draft.state, name))?;
    roles::check_administered(draft.state, |other, has| has && other != name)?;
    draft.emit(UserRemoved { user: name.clone(), actor: draft.actor.clone() });
    Ok(Reply::Done)
}

/// Removes a group.
pub(super) fn group(draft: &mut Draft<'_>, name: &GroupName) -> Result<Reply, Refusal> {
    people::find_group(draft.state, name)?;
    refuse_uses("group_in_use", &format!("the group {name}"), group_uses(draft.state, name))?;
    draft.emit(GroupRemoved { group: name.clone(), actor: draft.actor.clone() });
    Ok(Reply::Done)
}

/// Removes a role.
pub(super) fn role(draft: &mut Draft<'_>, name: &RoleName) -> Result<Reply, Refusal> {
    roles::find(draft.state, name)?;
    if Role::is_built_in(name) {
        let text = format!("the role {name} is in every org and cannot be removed");
        return Err(Refusal::conflict("built_in_role", text));
    }
    refuse_uses("role_in_use", &format!("the role {name}"), role_uses(draft.state, name))?;
    draft.emit(RoleRemoved { role: name.clone(), actor: draft.actor.clone() });
    Ok(Reply::Done)
}

/// Removes a mail template of the org. One that is built in is there again, and nothing stands on its change.
pub(super) fn mail_template(draft: &mut Draft<'_>, name: &MailTemplateName) -> Result<Reply, Refusal> {
    if !draft.state.invitations.templates.contains_key(name) {
        let text = format!("there is no mail template {name} of this org's own: see `tieline mail list`");
        return Err(Refusal::not_found("unknown_mail_template", text));
    }
    if !MailPurpose::ALL.iter().any(|purpose| MailTemplateName::of(*purpose) == *name) {
        let uses = mail_template_uses(draft.state, name);
        refuse_uses("mail_template_in_use", &format!("the mail template {name}"), uses)?;
    }
    draft.emit(MailTemplateRemoved { name: name.clone(), actor: draft.actor.clone() });
    Ok(Reply::Done)
}

/// A refusal that names what stands on something: the first few, and how many there are.
pub(super) fn refuse_uses(code: &'static str, what: &str, uses: Vec<String>) -> Result<(), Refusal> {
    if uses.is_empty() {
        return Ok(());
    }
    let more = uses.len().saturating_sub(USES_TOLD);
    let mut told = uses.iter().take(USES_TOLD).map(String::as_str).collect::<Vec<_>>().join("; ");
    if more > 0 {
        told.push_str(&format!("; and {more} more"));
    }
    Err(Refusal::conflict(code, format!("{what} is in use: {told}; take it away there first")))
}

fn live(state: &State) -> impl Iterator<Item = &Connection> {
    state.connections.values().filter(|connection| connection.is_live())
}

/// What stands on an object.
fn object_uses(state: &State, name: &ObjectName) -> Vec<String> {
    let mut uses = Vec::new();
    let records = state.count_of(name);
    if records > 0 {
        uses.push(format!("{records} records are of it: delete them"));
    }
    for connection in live(state) {
        let partner = connection.display_name();
        if connection.publish.contains_key(name) {
            uses.push(format!("it is published to {partner}"));
        }
        let taken = connection.subscribe.values().filter(|rule| rule.local == *name);
        uses.extend(taken.map(|rule| format!("{} of {partner} becomes it", rule.remote)));
    }
    for other in state.objects.values().filter(|other| other.name != *name) {
        let fields = other.fields.iter().filter(|field| field.references.as_ref() == Some(name));
        uses.extend(fields.map(|field| format!("{}.{} refers to it", other.name, field.name)));
    }
    let roles = state.roles.values().filter(|role| role.objects.contains_key(name));
    uses.extend(roles.map(|role| format!("role {} names it", role.name)));
    let automation = &state.automation;
    let queues = automation.queues.values().filter(|queue| queue.objects.contains(name));
    uses.extend(queues.map(|queue| format!("queue {} takes it", queue.name)));
    let sharing = automation.sharing.values().filter(|rule| rule.object == *name);
    uses.extend(sharing.map(|rule| format!("sharing rule {} is about it", rule.name)));
    let makes = |action: &Action| name.as_str() == TASK && matches!(action, Action::Task { .. });
    let workflow = automation.workflow.values();
    let workflow = workflow.filter(|rule| rule.object == *name || rule.actions.iter().any(makes));
    uses.extend(workflow.map(|rule| format!("workflow rule {} is about it", rule.name)));
    if automation.assignment.contains_key(name) {
        uses.push("it has an assignment rule".to_owned());
    }
    if automation.escalation.contains_key(name) {
        uses.push("it has an escalation rule".to_owned());
    }
    let views = state.views.records.values().filter(|view| view.object == *name).map(|view| &view.name);
    let inbox = state.views.inbox.values().filter(|view| view.object == *name).map(|view| &view.name);
    uses.extend(views.chain(inbox).map(|view| format!("view {view} shows it")));
    let about = |report: &&Report| report.object == *name || report.parents(&state.objects).contains(name);
    let reports = state.reports.values().filter(about);
    uses.extend(reports.map(|report| format!("report {} is about it", report.name)));
    let templates = state.templates.values().filter(|template| {
        template.publish.contains_key(name) || template.subscribe.values().any(|rule| rule.local == *name)
    });
    uses.extend(templates.map(|template| format!("template {} names it", template.name)));
    uses
}

/// What stands on a user.
fn user_uses(state: &State, name: &UserName) -> Vec<String> {
    let mut uses = Vec::new();
    let owns = |owner: Option<&Owner>| owner.and_then(Owner::user) == Some(name);
    let records = state.records.values().filter(|record| !record.deleted && record.owner == *name).count();
    if records > 0 {
        uses.push(format!("{records} records are owned by it: `tieline user hand-over {name}`"));
    }
    for connection in live(state) {
        let partner = connection.display_name();
        if connection.owner == *name {
            uses.push(format!("it manages the connection {partner}: `tieline user hand-over {name}`"));
        }
        let taken = connection.subscribe.values().filter(|rule| owns(rule.owner.as_ref()));
        uses.extend(taken.map(|rule| format!("{} of {partner} is given to it", rule.remote)));
        let mapped = connection.owners.users.values().chain(&connection.owners.default);
        if mapped.into_iter().any(|owner| owns(Some(owner))) {
            uses.push(format!("what users of {partner} own is given to it"));
        }
    }
    let groups = state.groups.values().filter(|group| group.users.contains(name));
    uses.extend(groups.map(|group| format!("group {} names it", group.name)));
    let automation = &state.automation;
    let queues = automation.queues.values().filter(|queue| queue.users.contains(name));
    uses.extend(queues.map(|queue| format!("queue {} names it", queue.name)));
    let assignment = automation.assignment.values();
    let assignment = assignment.filter(|rule| rule.entries.iter().any(|entry| owns(Some(&entry.owner))));
    uses.extend(assignment.map(|rule| format!("the assignment rule of {} names it", rule.object)));
    let escalation = automation.escalation.values().filter(|rule| {
        rule.entries.iter().any(|entry| owns(entry.owner.as_ref()) || entry.notify.contains(name))
    });
    uses.extend(escalation.map(|rule| format!("the escalation rule of {} names it", rule.object)));
    let named = |action: &Action| match action {
        Action::Assign { to } => owns(Some(to)),
        Action::Task { owner, .. } => owner.as_ref() == Some(name),
        Action::Notify { users, .. } => users.contains(name),
        Action::Set { .. } | Action::Mail { .. } | Action::Webhook { .. } => false,
    };
    let workflow = automation.workflow.values().filter(|rule| rule.actions.iter().any(named));
    uses.extend(workflow.map(|rule| format!("workflow rule {} names it", rule.name)));
    let views = audiences(state).filter(|(_, audience)| audience.users.contains(name));
    uses.extend(views.map(|(view, _)| format!("view {view} names it")));
    let templates = state.templates.values();
    let templates = templates.filter(|one| one.subscribe.values().any(|rule| owns(rule.owner.as_ref())));
    uses.extend(templates.map(|template| format!("template {} names it", template.name)));
    let jobs = state.jobs.values().filter(|job| job.actor == *name).count();
    if jobs > 0 {
        uses.push(format!("{jobs} jobs work for it: wait for them"));
    }
    uses
}

/// For whom the views are, of records and of offers.
fn audiences(state: &State) -> impl Iterator<Item = (&ViewName, &Audience)> {
    let views = state.views.records.values().map(|view| (&view.name, &view.audience));
    views.chain(state.views.inbox.values().map(|view| (&view.name, &view.audience)))
}

/// What stands on a group.
fn group_uses(state: &State, name: &GroupName) -> Vec<String> {
    let queues = state.automation.queues.values().filter(|queue| queue.groups.contains(name));
    let queues = queues.map(|queue| format!("queue {} names it", queue.name));
    let views = audiences(state).filter(|(_, audience)| audience.groups.contains(name));
    queues.chain(views.map(|(view, _)| format!("view {view} names it"))).collect()
}

/// What stands on a role.
fn role_uses(state: &State, name: &RoleName) -> Vec<String> {
    let users = state.users.iter().filter(|(_, user)| user.role == *name);
    let mut uses: Vec<_> = users.map(|(user, _)| format!("user {user} has it")).collect();
    let groups = state.groups.values().filter(|group| group.roles.contains(name));
    uses.extend(groups.map(|group| format!("group {} names it", group.name)));
    let queues = state.automation.queues.values().filter(|queue| queue.roles.contains(name));
    uses.extend(queues.map(|queue| format!("queue {} names it", queue.name)));
    let views = audiences(state).filter(|(_, audience)| audience.roles.contains(name));
    uses.extend(views.map(|(view, _)| format!("view {view} names it")));
    for object in state.objects.values() {
        let types = object.record_types.iter().filter(|kind| kind.roles.contains(name));
        uses.extend(types.map(|kind| format!("record type {} of {} is for it", kind.name, object.name)));
    }
    uses
}

/// What stands on a mail template.
fn mail_template_uses(state: &State, name: &MailTemplateName) -> Vec<String> {
    let sends =
        |action: &Action| matches!(action, Action::Mail { template: Some(named), .. } if named == name);
    let rules = state.automation.workflow.values().filter(|rule| rule.actions.iter().any(sends));
    let mut uses: Vec<_> = rules.map(|rule| format!("workflow rule {} sends by it", rule.name)).collect();
    let saved = state.invitations.saved.iter();
    let saved = saved.filter(|(_, saved)| saved.details.mail_template.as_ref() == Some(name));
    uses.extend(saved.map(|(id, _)| format!("the saved invitation {id} is to be sent by it")));
    uses
}
