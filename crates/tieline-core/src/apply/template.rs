//! Folds what happens to connection templates.

use crate::Timestamp;
use crate::event::{TemplateGiven, TemplateRemoved, TemplateSet};
use crate::state::State;
use crate::template::GivenTemplate;

pub(super) fn set(state: &mut State, event: &TemplateSet) {
    state.templates.insert(event.template.name.clone(), event.template.clone());
}

pub(super) fn removed(state: &mut State, event: &TemplateRemoved) {
    state.templates.remove(&event.template);
}

pub(super) fn given(state: &mut State, time: Timestamp, event: &TemplateGiven) {
    let Some(connection) = state.connections.get_mut(&event.connection) else { return };
    connection.template = Some(GivenTemplate {
        template: event.template.clone(),
        actor: event.actor.clone(),
        given: time,
        rules: event.rules.clone(),
    });
}
