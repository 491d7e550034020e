//! What the changes of one command cause, step by step, in the same group of the log.
//!
//! Before its events are folded, a change is noted ([`Run::note`]); after that each step is decided on
//! the state as it is then ([`Run::step`]), noted and folded itself, until nothing is left. An org
//! without queues and rules pays a look at an empty map.

use std::collections::VecDeque;

use crate::command::Context;
use crate::decide::draft::Draft;
use crate::decide::share;
use crate::event::{Event, RecordAction};
use crate::state::State;
use crate::{QueueName, RecordId, UserName};

/// What the changes of one command cause.
#[derive(Debug, Default)]
pub struct Run {
    todo: VecDeque<Step>,
}

/// One thing to look at.
#[derive(Debug)]
enum Step {
    /// A record came into a queue: its connections are offered it (S2S-42).
    Queued { record: RecordId, queue: QueueName, actor: UserName },
}

impl Run {
    /// Notes what is about to happen to a state.
    pub fn note(&mut self, state: &State, events: &[Event]) {
        if state.automation.is_idle() {
            return;
        }
        for event in events {
            if let Event::RecordChanged(changed) = event
                && changed.action != RecordAction::Delete
                && let Some(queue) = changed.owner.as_ref().and_then(|owner| owner.queue())
            {
                let (record, queue) = (changed.record, queue.clone());
                self.todo.push_back(Step::Queued { record, queue, actor: changed.actor.clone() });
            }
        }
    }

    /// The events of the next step; nothing if none is left.
    pub fn step(&mut self, state: &State, context: &Context) -> Option<Vec<Event>> {
        let step = self.todo.pop_front()?;
        let mut draft = Draft::new(state, context);
        match step {
            Step::Queued { record, queue, actor } => {
                draft.actor = actor;
                offer_to_members(&mut draft, record, &queue);
            }
        }
        Some(draft.finish())
    }
}

/// Offers a record to the connections of the queue that owns it, where its object is published and it
/// is not shared already.
fn offer_to_members(draft: &mut Draft<'_>, record: RecordId, queue: &QueueName) {
    let Some(queue) = draft.state.automation.queues.get(queue) else { return };
    for connection in &queue.connections {
        // What cannot be offered (not published, shared already, taken) stays in the queue all the same.
        drop(share::forward(draft, record, *connection));
    }
}
