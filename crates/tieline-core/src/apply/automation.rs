//! Folds queues and rules, and what they did.

use crate::event::Event;
use crate::state::State;

/// Folds an event of automation; any other changes nothing here.
pub(super) fn happened(state: &mut State, event: &Event) {
    match event {
        Event::QueueSet(e) => {
            state.automation.queues.insert(e.queue.name.clone(), e.queue.clone());
        }
        Event::QueueRemoved(e) => {
            state.automation.queues.remove(&e.queue);
        }
        _ => {}
    }
}
