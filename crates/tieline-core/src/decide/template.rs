//! Connection templates: saved, given to connections, applied as far as they can be (S2S-13).
//!
//! A template that is given to a connection that is not active yet waits for that; a subscribe rule waits
//! until the partner publishes its object, with all fields that it takes. Both come by events, after which
//! [`Following`] is asked step by step, as rules are (`automation::Run`). Each rule is decided as if it came alone, for the user who gave
//! the template, on the state as the rules before it leave it, and in the same group.

use std::collections::BTreeMap;

use super::draft::Draft;
use super::removal::refuse_uses;
use super::{Decision, connection, decide};
use crate::command::{Command, Context, Refusal, Reply, TemplateCommand};
use crate::event::{Event, TemplateGiven, TemplateRemoved, TemplateSet};
use crate::limits::{CONNECTION_TEMPLATES_MAX, MSGPACK_DEPTH_MAX, MSGPACK_NODES_MAX};
use crate::msgpack::scan_msgpack;
use crate::reason::{Reason, ReasonCode};
use crate::state::{Connection, ConnectionStatus, State};
use crate::template::{ConnectionTemplate, RuleFate};
use crate::{ConnectionId, ConnectionTemplateName, Timestamp};

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
            let what = format!("the template {name}");
            refuse_uses("template_in_use", &what, uses(draft.state, name, draft.now))?;
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

/// Invitations that a template was given to and that wait: sent, or saved to be sent.
fn uses(state: &State, name: &ConnectionTemplateName, now: Timestamp) -> Vec<String> {
    let given = |connection: &Connection| {
        let given = connection.template.as_ref().filter(|given| given.template == *name);
        let open = connection.expires.is_none_or(|expires| expires > now);
        connection.status == ConnectionStatus::Pending && open && given.is_some()
    };
    let pending = state.connections.iter().filter(|(_, connection)| given(connection));
    let pending = pending.map(|(id, connection)| {
        format!("the invitation {id} ({}) is given it once it is accepted", connection.display_name())
    });
    let saved = state.invitations.saved.iter();
    let saved = saved.filter(|(_, saved)| saved.details.template.as_ref() == Some(name));
    pending.chain(saved.map(|(id, _)| format!("the saved invitation {id} is to be given it"))).collect()
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

/// The connection that an event may let go on with its template: that it was given, that the connection is
/// active, that the partner publishes more.
pub(super) fn awaited(state: &State, event: &Event) -> Option<ConnectionId> {
    let waits = |id: ConnectionId| {
        let given = state.connections.get(&id).and_then(|connection| connection.template.as_ref());
        given.is_some_and(|given| given.waits()).then_some(id)
    };
    match event {
        // What became of its rules is said by the same event, and lets nothing go on.
        Event::TemplateGiven(given) => given.rules.is_empty().then_some(given.connection),
        Event::ConnectionEstablished(established) => waits(established.connection),
        Event::Received(received) if received.kind == CATALOGUE => waits(received.connection),
        _ => None,
    }
}

/// Whether nothing stands against a rule but that the partner does not publish what it takes, yet.
pub(super) fn is_not_published(refusal: &Refusal) -> bool {
    let missing = |reason: &Reason| reason.code == ReasonCode::NotPublished;
    refusal.code == "not_in_catalogue" || !refusal.reasons.is_empty() && refusal.reasons.iter().all(missing)
}

/// A template that is being applied to its connection, as far as it can be applied.
#[derive(Debug)]
pub(super) struct Following {
    connection: ConnectionId,
    /// How many of its rules were looked at.
    looked_at: usize,
    /// What became of them so far.
    fates: Option<BTreeMap<String, RuleFate>>,
}

impl Following {
    pub(super) const fn new(connection: ConnectionId) -> Self {
        Self { connection, looked_at: 0, fates: None }
    }

    /// The events of its next rule that does something, then what became of all; nothing once that is said.
    pub(super) fn step(&mut self, state: &State, context: &Context) -> Option<Vec<Event>> {
        let id = self.connection;
        let connection = state.connections.get(&id).filter(|connection| connection.is_active())?;
        let given = connection.template.as_ref()?;
        let template = state.templates.get(&given.template)?;
        let context = Context { actor: given.actor.clone(), ..context.clone() };
        let fates = self.fates.get_or_insert_with(|| given.rules.clone());
        let publish = template.publish.keys().map(|object| (format!("publish.{object}"), object, true));
        let subscribe =
            template.subscribe.keys().map(|object| (format!("subscribe.{object}"), object, false));
        for (name, object, publishes) in publish.chain(subscribe).skip(self.looked_at) {
            self.looked_at += 1;
            if fates.get(&name).is_some_and(|fate| *fate != RuleFate::Waits) {
                continue;
            }
            let object = object.clone();
            let command = if publishes {
                let rule = template.publish.get(&object).cloned();
                Command::Publish { connection: id, object, rule }
            } else {
                let rule = template.subscribe.get(&object).cloned();
                Command::Subscribe { connection: id, object, rule }
            };
            let (fate, events) = match decide(state, &command, &context) {
                Ok(Decision { events, .. }) => (RuleFate::Applied, events),
                Err(refusal) if is_not_published(&refusal) => (RuleFate::Waits, Vec::new()),
                Err(refusal) => (RuleFate::Refused(refusal.message), Vec::new()),
            };
            fates.insert(name, fate);
            if !events.is_empty() {
                return Some(events);
            }
        }
        if *fates == given.rules {
            return None;
        }
        let (template, actor) = (given.template.clone(), given.actor.clone());
        Some(vec![TemplateGiven { connection: id, template, rules: fates.clone(), actor }.into()])
    }
}
