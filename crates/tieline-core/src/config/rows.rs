//! Rows of the table of nouns whose items are whole definitions: where they are, how one is set, how one
//! is removed. And what a connection has beside its rules: its owner, and what of it is paused.

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::nouns::{Noun, shown, shown_linked, stays, texts};
use super::without_nulls;
use crate::automation::{Rule, RuleKind};
use crate::command::{
    AutomationCommand, Command, Handover, InvitationCommand, NoticeCommand, Pause, ProfileCommand,
    ReportChange, SharingCommand, ViewCommand,
};
use crate::conversion::ConversionMap;
use crate::owner_map::OwnerMap;
use crate::state::Connection;
use crate::{ObjectName, UserName};

/// A row of whole definitions: the noun, the key by which a definition knows its own name, the map of
/// those that are there, the command that sets one, the command that removes one.
macro_rules! whole {
    ($row:ident, $noun:literal, $key:literal, $state:ident => $map:expr, $set:expr, $id:ident => $remove:expr) => {
        pub(super) static $row: Noun = Noun {
            name: $noun,
            of_connection: false,
            single: false,
            guarded: false,
            names: |$state, _| texts($map.keys()),
            show: |$state, _, name| shown_linked($state, $map.get(name), $key),
            set: |item, state, _| {
                let set = $set;
                Ok(vec![set(item.linked($key, state)?)])
            },
            remove: |_, _, $id| Some($remove),
        };
    };
}

/// The command that sets a rule of any kind.
fn set_rule(rule: Rule) -> Command {
    Command::Automation(AutomationCommand::SetRule { rule: Box::new(rule) })
}

/// The command that removes a rule.
fn remove_rule(kind: RuleKind, name: &str) -> Command {
    Command::Automation(AutomationCommand::RemoveRule { kind, rule: name.to_owned() })
}

whole!(QUEUES, "queues", "name", state => state.automation.queues,
    |queue| Command::Automation(AutomationCommand::SetQueue { queue: Box::new(queue) }),
    name => Command::Automation(AutomationCommand::RemoveQueue { queue: name.parse().ok()? }));
whole!(SHARING_RULES, "sharing_rules", "name", state => state.automation.sharing,
    |rule| set_rule(Rule::Sharing(rule)), name => remove_rule(RuleKind::Sharing, name));
whole!(ASSIGNMENT_RULES, "assignment_rules", "object", state => state.automation.assignment,
    |rule| set_rule(Rule::Assignment(rule)), name => remove_rule(RuleKind::Assignment, name));
whole!(ESCALATION_RULES, "escalation_rules", "object", state => state.automation.escalation,
    |rule| set_rule(Rule::Escalation(rule)), name => remove_rule(RuleKind::Escalation, name));
whole!(WORKFLOW_RULES, "workflow_rules", "name", state => state.automation.workflow,
    |rule| set_rule(Rule::Workflow(rule)), name => remove_rule(RuleKind::Workflow, name));
whole!(VIEWS, "views", "name", state => state.views.records,
    |view| Command::View(ViewCommand::Set { view: Box::new(view) }),
    name => Command::View(ViewCommand::Remove { view: name.parse().ok()? }));
whole!(INBOX_VIEWS, "inbox_views", "name", state => state.views.inbox,
    |view| Command::View(ViewCommand::SetInbox { view: Box::new(view) }),
    name => Command::View(ViewCommand::RemoveInbox { view: name.parse().ok()? }));
whole!(MAIL_TEMPLATES, "mail_templates", "name", state => state.invitations.templates,
    |template| Command::Invitation(InvitationCommand::SetTemplate { template: Box::new(template) }),
    name => Command::Invitation(InvitationCommand::RemoveTemplate { name: name.parse().ok()? }));

/// A report names a connection as people do, so nothing of it is to be linked.
pub(super) static REPORTS: Noun = Noun {
    name: "reports",
    of_connection: false,
    single: false,
    guarded: false,
    names: |state, _| texts(state.reports.keys()),
    show: |state, _, name| shown(state.reports.get(name), "name"),
    set: |item, _, _| {
        let report = Box::new(item.named("name")?);
        Ok(vec![Command::Report(ReportChange::Set { report })])
    },
    remove: |_, _, name| Some(Command::Report(ReportChange::Remove { report: name.parse().ok()? })),
};

/// How everybody is told who has no settings of their own.
pub(super) static NOTICES: Noun = Noun {
    name: "notices",
    of_connection: false,
    single: true,
    guarded: false,
    names: |state, _| state.notices.settings.iter().map(|_| String::new()).collect(),
    show: |state, _, _| shown(state.notices.settings.as_ref(), ""),
    set: |item, _, _| {
        let settings = Some(item.parse()?);
        Ok(vec![Command::Notice(NoticeCommand::Set { user: None, settings })])
    },
    remove: stays,
};

/// How single users are told.
pub(super) static USER_NOTICES: Noun = Noun {
    name: "user_notices",
    of_connection: false,
    single: false,
    guarded: false,
    names: |state, _| texts(state.notices.own_settings().map(|(user, _)| user)),
    show: |state, _, name| {
        let own = state.notices.own_settings().find(|(user, _)| user.as_str() == name);
        shown(own.map(|(_, settings)| settings), "")
    },
    set: |item, _, _| {
        let (user, settings) = (Some(item.id()?), Some(item.parse()?));
        Ok(vec![Command::Notice(NoticeCommand::Set { user, settings })])
    },
    remove: |_, _, name| {
        Some(Command::Notice(NoticeCommand::Set { user: Some(name.parse().ok()?), settings: None }))
    },
};

/// Who manages a connection here, and what it is called.
pub(super) static SETTINGS: Noun = Noun {
    name: "settings",
    of_connection: true,
    single: true,
    guarded: false,
    names: |_, connection| connection.iter().map(|_| String::new()).collect(),
    show: |_, connection, _| {
        let Connection { owner, label, .. } = connection?;
        Some(without_nulls(json!({ "owner": owner, "label": Some(label).filter(|label| !label.is_empty()) })))
    },
    set: |item, _, connection| {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Written {
            owner: Option<UserName>,
            label: Option<String>,
        }
        let Written { owner, label } = item.parse()?;
        let Some(connection) = connection else { return Ok(Vec::new()) };
        let id = connection.id;
        let owner = owner.map(|owner| Command::Handover(Handover::Connection { connection: id, owner }));
        let label = label.map(|label| Command::Profile(ProfileCommand::SetLabel { connection: id, label }));
        Ok(owner.into_iter().chain(label).collect())
    },
    remove: stays,
};

/// How the accounts of accepted records are found or made, by the partner's object.
pub(super) static ACCOUNTS: Noun = Noun {
    name: "accounts",
    of_connection: true,
    single: false,
    guarded: false,
    names: |_, connection| connection.map(|c| texts(c.accounts.keys())).unwrap_or_default(),
    show: |_, connection, name| shown(connection?.accounts.get(name), ""),
    set: |item, _, connection| {
        let Some(connection) = connection.map(|connection| connection.id) else { return Ok(Vec::new()) };
        let (object, rule) = (item.id()?, Some(item.parse()?));
        Ok(vec![Command::Sharing(SharingCommand::SetAccountRule { connection, object, rule })])
    },
    remove: |_, connection, name| {
        let (connection, object) = (connection?.id, name.parse().ok()?);
        Some(Command::Sharing(SharingCommand::SetAccountRule { connection, object, rule: None }))
    },
};

/// Who owns here what a partner's users own.
pub(super) static OWNERS: Noun = Noun {
    name: "owners",
    of_connection: true,
    single: true,
    guarded: false,
    names: |_, connection| {
        connection.filter(|c| !c.owners.is_empty()).map(|_| String::new()).into_iter().collect()
    },
    show: |_, connection, _| shown(Some(&connection?.owners).filter(|owners| !owners.is_empty()), ""),
    set: |item, _, connection| {
        let Some(connection) = connection.map(|connection| connection.id) else { return Ok(Vec::new()) };
        let owners = item.parse()?;
        Ok(vec![Command::Sharing(SharingCommand::SetOwnerMap { connection, owners })])
    },
    remove: |_, connection, _| {
        let (connection, owners) = (connection?.id, OwnerMap::default());
        Some(Command::Sharing(SharingCommand::SetOwnerMap { connection, owners }))
    },
};

/// Which fields of a lead become which of what it becomes.
pub(super) static CONVERSION: Noun = Noun {
    name: "conversion",
    of_connection: false,
    single: true,
    guarded: false,
    names: |state, _| {
        let is_set = state.conversion != ConversionMap::default();
        is_set.then(String::new).into_iter().collect()
    },
    show: |state, _, _| shown(Some(&state.conversion), ""),
    set: |item, _, _| Ok(vec![Command::Sharing(SharingCommand::SetConversionMap { map: item.parse()? })]),
    remove: |_, _, _| {
        Some(Command::Sharing(SharingCommand::SetConversionMap { map: ConversionMap::default() }))
    },
};

/// What of a connection is paused.
pub(super) static PAUSE: Noun = Noun {
    name: "pause",
    of_connection: true,
    single: true,
    guarded: false,
    names: |_, connection| paused(connection).map(|_| String::new()).into_iter().collect(),
    show: |_, connection, _| paused(connection),
    set: |item, _, connection| {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Written {
            #[serde(default)]
            all: bool,
            #[serde(default)]
            objects: Vec<ObjectName>,
        }
        let Written { all, objects } = item.parse()?;
        let Some(connection) = connection else { return Ok(Vec::new()) };
        let (id, pauses) = (connection.id, &connection.pauses);
        let set = |object, paused| Command::Pause(Pause::Set { connection: id, object, paused });
        let mut commands = Vec::new();
        if all != pauses.ours.is_some() {
            commands.push(set(None, all));
        }
        let begin = objects.iter().filter(|object| !pauses.objects.contains_key(*object));
        commands.extend(begin.map(|object| set(Some(object.clone()), true)));
        let end = pauses.objects.keys().filter(|object| !objects.contains(object));
        commands.extend(end.map(|object| set(Some(object.clone()), false)));
        Ok(commands)
    },
    remove: stays,
};

/// What this org has paused, if anything.
fn paused(connection: Option<&Connection>) -> Option<Json> {
    let pauses = &connection?.pauses;
    let objects: Vec<&ObjectName> = pauses.objects.keys().collect();
    let any = pauses.ours.is_some() || !objects.is_empty();
    any.then(|| json!({ "all": pauses.ours.is_some(), "objects": objects }))
}
