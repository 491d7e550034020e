//! What files can set: one row for each kind of setting.
//!
//! A row says how the items are listed, shown and set, and how one is removed. The order of the rows is
//! that in which items are tried first; one that needs another which comes later is tried again.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value as Json, json};

use super::files::Item;
use super::mapping::{WrittenPublish, WrittenSubscribe, show_publish, show_subscribe};
use super::{Fault, rows, without_nulls};
use crate::command::{Command, ProfileCommand, TemplateCommand};
use crate::mapping::SubscribeRule;
use crate::people::{Edition, Group, OrgSettings, Permission, Role};
use crate::publish::PublishRule;
use crate::reason::Reason;
use crate::schema::ObjectSchema;
use crate::state::{Connection, State};
use crate::template::ConnectionTemplate;
use crate::{ConnectionId, ObjectName, RoleName, UserName};

/// The commands that an item takes, or what is wrong with it.
type Commands = Result<Vec<Command>, Vec<Fault>>;

/// A kind of setting.
#[derive(Debug)]
pub(super) struct Noun {
    /// As files call it.
    pub(super) name: &'static str,
    /// Whether its items belong to a connection.
    pub(super) of_connection: bool,
    /// Whether there is one item alone, which has no name.
    pub(super) single: bool,
    /// Whether an item goes only if a file says that it manages them.
    pub(super) guarded: bool,
    /// The items that are there.
    pub(super) names: fn(&State, Option<&Connection>) -> Vec<String>,
    /// An item as files say it.
    pub(super) show: fn(&State, Option<&Connection>, &str) -> Option<Json>,
    /// The commands that make an item what the file says.
    pub(super) set: fn(&Item<'_>, &State, Option<&Connection>) -> Commands,
    /// The command that removes an item; nothing if it can only stay.
    pub(super) remove: fn(&State, Option<&Connection>, &str) -> Option<Command>,
}

/// The rows.
static NOUNS: &[&Noun] = &[
    &ORG,
    &OBJECTS,
    &ROLES,
    &RECORD_TYPES,
    &USERS,
    &GROUPS,
    &rows::QUEUES,
    &rows::VIEWS,
    &rows::INBOX_VIEWS,
    &rows::MAIL_TEMPLATES,
    &rows::CONVERSION,
    &rows::REPORTS,
    &rows::NOTICES,
    &rows::USER_NOTICES,
    &TEMPLATES,
    &rows::SETTINGS,
    &PUBLISH,
    &SUBSCRIBE,
    &rows::ACCOUNTS,
    &rows::OWNERS,
    &rows::PAUSE,
    // What happens by itself comes last: it needs what is published.
    &rows::SHARING_RULES,
    &rows::ASSIGNMENT_RULES,
    &rows::ESCALATION_RULES,
    &rows::WORKFLOW_RULES,
];

/// The place of a noun in the table.
pub(super) fn order(noun: &Noun) -> usize {
    NOUNS.iter().position(|row| row.name == noun.name).unwrap_or(usize::MAX)
}

/// The noun of the org with this name.
pub(super) fn of_org(name: &str) -> Option<&'static Noun> {
    NOUNS.iter().copied().find(|noun| noun.name == name && !noun.of_connection)
}

/// The noun of a connection with this name.
pub(super) fn of_connection(name: &str) -> Option<&'static Noun> {
    NOUNS.iter().copied().find(|noun| noun.name == name && noun.of_connection)
}

/// What can be set of the org, or of a connection.
pub(super) fn names(of_connection: bool) -> Vec<&'static str> {
    let names = NOUNS.iter().filter(|noun| noun.of_connection == of_connection).map(|noun| noun.name);
    let others: &[&str] = if of_connection { &["manages"] } else { &["extends", "connections", "manages"] };
    names.chain(others.iter().copied()).collect()
}

/// The nouns of a connection, or of the org.
pub(super) fn nouns(of_connection: bool) -> impl Iterator<Item = &'static Noun> {
    NOUNS.iter().copied().filter(move |noun| noun.of_connection == of_connection)
}

/// Calls `see` with every item that there is: its connection, noun, name and definition.
pub(super) fn for_each(state: &State, mut see: impl FnMut(Option<&Connection>, &'static Noun, &str, Json)) {
    let mut of = |connection: Option<&Connection>| {
        for noun in nouns(connection.is_some()) {
            for name in (noun.names)(state, connection) {
                if let Some(shown) = (noun.show)(state, connection, &name) {
                    see(connection, noun, &name, shown);
                }
            }
        }
    };
    of(None);
    state.connections.values().filter(|connection| connection.is_live()).for_each(|c| of(Some(c)));
}

/// A definition without its name, which stands in the heading.
pub(super) fn shown<T: Serialize>(definition: Option<&T>, name: &str) -> Option<Json> {
    let mut json = without_nulls(serde_json::to_value(definition?).ok()?);
    if let Json::Object(entries) = &mut json {
        entries.remove(name);
    }
    Some(json)
}

/// The same for a definition that names connections, by the names that people have for them.
pub(super) fn shown_linked<T: Serialize>(state: &State, definition: Option<&T>, name: &str) -> Option<Json> {
    let mut json = shown(definition, name)?;
    name_connections(state, &mut json);
    Some(json)
}

fn name_connections(state: &State, json: &mut Json) {
    let named = |json: &mut Json| {
        let id = json.as_str().and_then(|text| text.parse::<ConnectionId>().ok());
        if let Some(connection) = id.and_then(|id| state.connections.get(&id)) {
            *json = state.selector(connection).into();
        }
    };
    match json {
        Json::Object(entries) => {
            for (key, value) in entries.iter_mut() {
                match (key.as_str(), value) {
                    ("connection", value) => named(value),
                    ("connections", Json::Array(values)) => values.iter_mut().for_each(named),
                    (_, value) => name_connections(state, value),
                }
            }
        }
        Json::Array(items) => items.iter_mut().for_each(|item| name_connections(state, item)),
        _ => {}
    }
}

pub(super) fn texts<T: ToString>(names: impl Iterator<Item = T>) -> Vec<String> {
    names.map(|name| name.to_string()).collect()
}

pub(super) const fn stays(_: &State, _: Option<&Connection>, _: &str) -> Option<Command> {
    None
}

static ORG: Noun = Noun {
    name: "org",
    of_connection: false,
    single: true,
    guarded: false,
    names: |_, _| vec![String::new()],
    show: |state, _, _| {
        let org = state.org.as_ref()?;
        let OrgSettings { edition, connection_licences } = org.settings;
        let json = json!({
            "edition": edition, "connection_licences": connection_licences, "company": org.company,
            "sharing": state.sharing_enabled(),
        });
        Some(without_nulls(json))
    },
    set: |item, state, _| {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Written {
            edition: Option<Edition>,
            connection_licences: Option<u32>,
            company: Option<String>,
            sharing: Option<bool>,
        }
        let written: Written = item.parse()?;
        let known = state.org.as_ref().map(|org| org.settings).unwrap_or_default();
        let settings = OrgSettings {
            edition: written.edition.unwrap_or(known.edition),
            connection_licences: written.connection_licences.or(known.connection_licences),
        };
        let mut commands = Vec::new();
        if settings != known {
            commands.push(Command::SetOrg { settings });
        }
        if let Some(company) = written.company {
            commands.push(Command::Profile(ProfileCommand::SetCompany { company }));
        }
        match (written.sharing, state.sharing_enabled()) {
            (Some(true), false) => commands.push(Command::EnableSharing),
            (Some(false), true) => {
                let text =
                    "sharing is enabled, and that cannot be taken back: say sharing = true, or nothing";
                return Err(vec![item.fault("conflict", text)]);
            }
            _ => {}
        }
        Ok(commands)
    },
    remove: stays,
};

pub(super) static OBJECTS: Noun = Noun {
    name: "objects",
    of_connection: false,
    single: false,
    guarded: true,
    names: |state, _| texts(state.objects.keys()),
    show: |state, _, name| Some(state.objects.get(name)?.to_written()),
    set: |item, state, _| {
        let file = item.object_file()?;
        let base = file.object().and_then(|name| state.object(name));
        let schema = file.build(base.map(AsRef::as_ref)).map_err(|error| vec![item.fault_at(error)])?;
        file.check_rules(&schema).map_err(|faults| {
            faults.into_iter().map(|fault| item.fault_at(fault.place)).collect::<Vec<_>>()
        })?;
        Ok(vec![Command::DefineObject { schema: Box::new(schema) }])
    },
    remove: |_, _, name| Some(Command::RemoveObject { object: name.parse().ok()? }),
};

/// Record types of an object, all of them: objects that are there already need not be repeated for them.
/// An export has them in its objects.
pub(super) static RECORD_TYPES: Noun = Noun {
    name: "record_types",
    of_connection: false,
    single: false,
    guarded: false,
    names: |_, _| Vec::new(),
    show: |state, _, name| state.objects.get(name)?.to_written().get("record_types").cloned(),
    set: |item, state, _| {
        let file = item.object_file()?;
        let Some(base) = file.object().and_then(|name| state.object(name)) else {
            return Err(vec![item.no_object(&item.name)]);
        };
        let base = ObjectSchema { record_types: Vec::new(), ..base.as_ref().clone() };
        let schema = file.build(Some(&base)).map_err(|error| vec![item.fault_at(error)])?;
        Ok(vec![Command::DefineObject { schema: Box::new(schema) }])
    },
    remove: stays,
};

static ROLES: Noun = Noun {
    name: "roles",
    of_connection: false,
    single: false,
    guarded: false,
    names: |state, _| texts(state.roles.keys().filter(|name| **name != RoleName::administrator())),
    show: |state, _, name| shown(state.roles.get(name), "name"),
    set: |item, _, _| item.named::<Role>("name").map(|role| vec![Command::SetRole { role: Box::new(role) }]),
    remove: |_, _, name| {
        let role: RoleName = name.parse().ok()?;
        (!Role::is_built_in(&role)).then_some(Command::RemoveRole { role })
    },
};

static USERS: Noun = Noun {
    name: "users",
    of_connection: false,
    single: false,
    guarded: true,
    names: |state, _| texts(state.users.keys().filter(|name| !name.is_connection_user())),
    show: |state, _, name| {
        let user = state.users.get(name)?;
        Some(without_nulls(json!({ "email": user.email, "role": user.role, "active": user.active })))
    },
    set: |item, state, _| {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Written {
            role: RoleName,
            email: Option<String>,
            #[serde(default = "yes")]
            active: bool,
        }
        let Written { role, email, active } = item.parse()?;
        let user: UserName = item.id()?;
        if !state.users.contains_key(&user) {
            let add = Command::AddUser { user: user.clone(), email, role };
            let deactivate = (!active).then_some(Command::ChangeUser {
                user,
                email: None,
                role: None,
                active: Some(false),
            });
            return Ok(std::iter::once(add).chain(deactivate).collect());
        }
        let email = Some(email.unwrap_or_default());
        Ok(vec![Command::ChangeUser { user, email, role: Some(role), active: Some(active) }])
    },
    remove: |_, _, name| Some(Command::RemoveUser { user: name.parse().ok()? }),
};

const fn yes() -> bool {
    true
}

static GROUPS: Noun = Noun {
    name: "groups",
    of_connection: false,
    single: false,
    guarded: false,
    names: |state, _| texts(state.groups.keys()),
    show: |state, _, name| shown(state.groups.get(name), "name"),
    set: |item, _, _| item.named::<Group>("name").map(|group| vec![Command::SetGroup { group }]),
    remove: |_, _, name| Some(Command::RemoveGroup { group: name.parse().ok()? }),
};

static TEMPLATES: Noun = Noun {
    name: "templates",
    of_connection: false,
    single: false,
    guarded: false,
    names: |state, _| texts(state.templates.keys()),
    show: |state, _, name| {
        let template = state.templates.get(name)?;
        let publish: Map<String, Json> =
            template.publish.iter().map(|(name, rule)| (name.to_string(), show_publish(rule))).collect();
        let subscribe: Map<String, Json> =
            template.subscribe.iter().map(|(name, rule)| (name.to_string(), show_subscribe(rule))).collect();
        Some(json!({ "publish": publish, "subscribe": subscribe }))
    },
    set: |item, state, _| {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Written {
            #[serde(default)]
            publish: BTreeMap<ObjectName, WrittenPublish>,
            #[serde(default)]
            subscribe: BTreeMap<ObjectName, WrittenSubscribe>,
        }
        let (written, json): (Written, Json) = (item.parse()?, item.json());
        let mut template =
            ConnectionTemplate { name: item.id()?, publish: BTreeMap::new(), subscribe: BTreeMap::new() };
        for (name, rule) in written.publish {
            template.publish.insert(name.clone(), publish_rule(item, state, rule, name)?);
        }
        for (name, rule) in written.subscribe {
            let table = json.pointer(&format!("/subscribe/{name}")).unwrap_or(&Json::Null);
            template.subscribe.insert(name.clone(), subscribe_rule(item, state, rule, name, table)?);
        }
        Ok(vec![Command::Template(TemplateCommand::Set { template: Box::new(template) })])
    },
    remove: |_, _, name| Some(Command::Template(TemplateCommand::Remove { name: name.parse().ok()? })),
};

/// A publish rule of a file; all fields are those that whoever asks may edit (S2S-03).
fn publish_rule(
    item: &Item<'_>,
    state: &State,
    written: WrittenPublish,
    object: ObjectName,
) -> Result<PublishRule, Vec<Fault>> {
    let fields = match (written.fields, written.all) {
        (Some(fields), false) => fields,
        (None, true) => {
            let Some(schema) = state.object(&object) else { return Err(vec![item.no_object(&object)]) };
            let actor = item.actor.as_ref();
            let may =
                |field| actor.is_none_or(|actor| state.may(actor, Permission::WriteField(&object, field)));
            let names = schema.fields.iter().map(|field| &field.name);
            names.filter(|name| schema.publishable(name).is_ok() && may(name)).cloned().collect()
        }
        _ => {
            let text = "name the fields to publish, or say all = true: one of both";
            return Err(vec![item.fault("bad_config", text)]);
        }
    };
    Ok(PublishRule::new(object, fields, 0).with_owners(written.owners))
}

/// A subscribe rule of a file, with the values as the local fields read them.
fn subscribe_rule(
    item: &Item<'_>,
    state: &State,
    written: WrittenSubscribe,
    remote: ObjectName,
    table: &Json,
) -> Result<SubscribeRule, Vec<Fault>> {
    let Some(local) = state.object(&written.local) else {
        return Err(vec![item.no_object(&written.local)]);
    };
    written.rule(remote, local, table).map_err(|reasons| {
        let fault = |reason: Reason| item.fault(reason.code.as_str(), reason.message);
        reasons.into_iter().map(fault).collect()
    })
}

static PUBLISH: Noun = Noun {
    name: "publish",
    of_connection: true,
    single: false,
    guarded: false,
    names: |_, connection| connection.map(|c| texts(c.publish.keys())).unwrap_or_default(),
    show: |_, connection, name| connection?.publish.get(name).map(show_publish),
    set: |item, state, connection| {
        let Some(connection) = connection else { return Ok(Vec::new()) };
        let rule = Some(publish_rule(item, state, item.parse()?, item.id()?)?);
        Ok(vec![Command::Publish { connection: connection.id, object: item.id()?, rule }])
    },
    remove: |_, connection, name| {
        Some(Command::Publish { connection: connection?.id, object: name.parse().ok()?, rule: None })
    },
};

static SUBSCRIBE: Noun = Noun {
    name: "subscribe",
    of_connection: true,
    single: false,
    guarded: false,
    names: |_, connection| connection.map(|c| texts(c.subscribe.keys())).unwrap_or_default(),
    show: |_, connection, name| connection?.subscribe.get(name).map(show_subscribe),
    set: |item, state, connection| {
        let Some(connection) = connection else { return Ok(Vec::new()) };
        let rule = subscribe_rule(item, state, item.parse()?, item.id()?, &item.json())?;
        Ok(vec![Command::Subscribe { connection: connection.id, object: item.id()?, rule: Some(rule) }])
    },
    remove: |_, connection, name| {
        Some(Command::Subscribe { connection: connection?.id, object: name.parse().ok()?, rule: None })
    },
};
