//! Connection templates: saved, given to connections, applied as far as they can be (S2S-13).
//!
//! A template that is given to a connection that is not active yet waits for that; a subscribe rule waits
//! until the partner publishes its object. Both come by events, so whoever decides those asks here
//! (`follow`) whether something waited for them. Each rule is decided as if it came alone, for the user
//! who gave the template, on a clone of the state as the rules before it leave it.

use std::collections::BTreeMap;

use super::draft::Draft;
use super::{Decision, connection, decide};
use crate::apply::apply;
use crate::command::{Command, Context, Refusal, Reply, TemplateCommand};
use crate::event::{Event, TemplateGiven, TemplateRemoved, TemplateSet};
use crate::limits::{CONNECTION_TEMPLATES_MAX, MSGPACK_DEPTH_MAX, MSGPACK_NODES_MAX};
use crate::msgpack::scan_msgpack;
use crate::state::{ConnectionStatus, State};
use crate::template::{ConnectionTemplate, RuleFate};
use crate::{ConnectionId, ConnectionTemplateName};

/// The kind of the message by which a partner tells what it publishes.
const CATALOGUE: u16 = 64;

pub(super) fn route(draft: &mut Draft<'_>, command: &TemplateCommand) -> Result<Reply, Refusal> {
    match command {
        TemplateCommand::Set { template } => set(draft, template),
        TemplateCommand::Save { name, connection } => {
            let connection = connection::find(draft.state, *connection)?;
            let (publish, subscribe) = (connection.publish.clone(), connection.subscribe.clone());
            set(draft, &ConnectionTemplate { name: name.clone(), publish, subscribe })
        }
        TemplateCommand::Remove { name } => {
            find(draft.state, name)?;
            draft.emit(TemplateRemoved { template: name.clone(), actor: draft.actor.clone() });
            Ok(Reply::Done)
        }
        TemplateCommand::Give { name, connection } => give(draft, name, *connection),
    }
}

pub(super) fn find<'a>(
    state: &'a State,
    name: &ConnectionTemplateName,
) -> Result<&'a ConnectionTemplate, Refusal> {
    state.templates.get(name).ok_or_else(|| {
        let text = format!("there is no template {name}: see the templates with `tieline template list`");
        Refusal::not_found("unknown_template", text)
    })
}

/// A template may name objects and fields that are not there yet: each connection says what it takes.
fn set(draft: &mut Draft<'_>, template: &ConnectionTemplate) -> Result<Reply, Refusal> {
    let mut template = template.clone();
    // The versions count what was saved on a connection: a template has none.
    for (object, rule) in &mut template.publish {
        rule.object = object.clone();
        rule.version = 0;
        rule.fields.sort_unstable();
        rule.fields.dedup();
    }
    for (object, rule) in &mut template.subscribe {
        rule.remote = object.clone();
        rule.version = 0;
        rule.fields.sort_by(|a, b| a.local.cmp(&b.local));
    }
    let known = draft.state.templates.get(&template.name);
    if known == Some(&template) {
        return Ok(Reply::Unchanged);
    }
    if known.is_none() && draft.state.templates.len() >= CONNECTION_TEMPLATES_MAX {
        let text = format!("at most {CONNECTION_TEMPLATES_MAX} templates are kept: remove one first");
        return Err(Refusal::invalid("limit_reached", text));
    }
    let event = Event::from(TemplateSet { template, actor: draft.actor.clone() });
    let mut body = Vec::new();
    event.encode_body(&mut body);
    if scan_msgpack(&body, MSGPACK_DEPTH_MAX, MSGPACK_NODES_MAX).is_err() {
        let text = "the template says more than one entry of the log may hold: make two of it";
        return Err(Refusal::invalid("limit_reached", text));
    }
    draft.emit(event);
    Ok(Reply::Done)
}

fn give(draft: &mut Draft<'_>, name: &ConnectionTemplateName, id: ConnectionId) -> Result<Reply, Refusal> {
    find(draft.state, name)?;
    let connection = connection::find(draft.state, id)?;
    if connection.status != ConnectionStatus::Active && connection.status != ConnectionStatus::Pending {
        let text = format!(
            "connection {} is {}: a template is given to one that is active or may be",
            connection.display_name(),
            connection.status.as_str()
        );
        return Err(Refusal::conflict("connection_not_active", text));
    }
    let (template, actor) = (name.clone(), draft.actor.clone());
    draft.emit(TemplateGiven { connection: id, template, rules: BTreeMap::new(), actor });
    Ok(Reply::Connection(id))
}

/// What follows from `events` for a connection that waits for something of its template: that it was
/// given, that the connection is active, that the partner publishes more.
pub(super) fn follow(state: &State, mut events: Vec<Event>, context: &Context) -> Vec<Event> {
    let Some(id) = events.iter().find_map(|event| awaited(state, event)) else { return events };
    let mut working = state.clone();
    events.iter().for_each(|event| apply(&mut working, context.now, event));
    events.extend(applied(working, id, context));
    events
}

/// The connection that an event may let go on.
fn awaited(state: &State, event: &Event) -> Option<ConnectionId> {
    let waits = |id: ConnectionId| {
        let given = state.connections.get(&id).and_then(|connection| connection.template.as_ref());
        given.is_some_and(|given| given.waits()).then_some(id)
    };
    match event {
        Event::TemplateGiven(given) => Some(given.connection),
        Event::ConnectionEstablished(established) => waits(established.connection),
        Event::Received(received) if received.kind == CATALOGUE => waits(received.connection),
        _ => None,
    }
}

/// The events that apply the template of a connection, as far as it can be applied in this state.
fn applied(mut working: State, id: ConnectionId, context: &Context) -> Vec<Event> {
    let Some(connection) = working.connections.get(&id).filter(|connection| connection.is_active()) else {
        return Vec::new();
    };
    let Some(given) = connection.template.clone() else { return Vec::new() };
    let Some(template) = working.templates.get(&given.template).cloned() else { return Vec::new() };
    let context = Context { actor: given.actor.clone(), ..context.clone() };
    let (mut rules, mut events) = (given.rules.clone(), Vec::new());
    let publish = template.publish.into_iter().map(|(object, rule)| {
        let command = Command::Publish { connection: id, object: object.clone(), rule: Some(rule) };
        (format!("publish.{object}"), command)
    });
    let subscribe = template.subscribe.into_iter().map(|(object, rule)| {
        let command = Command::Subscribe { connection: id, object: object.clone(), rule: Some(rule) };
        (format!("subscribe.{object}"), command)
    });
    for (name, command) in publish.chain(subscribe) {
        if rules.get(&name).is_some_and(|fate| *fate != RuleFate::Waits) {
            continue;
        }
        let fate = match decide(&working, &command, &context) {
            Ok(Decision { events: happened, .. }) => {
                happened.iter().for_each(|event| apply(&mut working, context.now, event));
                events.extend(happened);
                RuleFate::Applied
            }
            Err(refusal) if refusal.code == "not_in_catalogue" => RuleFate::Waits,
            Err(refusal) => RuleFate::Refused(refusal.message),
        };
        rules.insert(name, fate);
    }
    if rules != given.rules {
        let (template, actor) = (given.template, given.actor);
        events.push(TemplateGiven { connection: id, template, rules, actor }.into());
    }
    events
}
