//! Folds queues and rules, and what they did.

use crate::Timestamp;
use crate::automation::Rule;
use crate::event::{Event, RuleShared};
use crate::state::SharedBy;
use crate::state::{Escalation, State};

/// Folds an event of automation; any other changes nothing here.
pub(super) fn happened(state: &mut State, time: Timestamp, event: &Event) {
    match event {
        Event::QueueSet(e) => {
            state.automation.queues.insert(e.queue.name.clone(), e.queue.clone());
        }
        Event::QueueRemoved(e) => {
            state.automation.queues.remove(&e.queue);
        }
        Event::SharingRuleSet(e) => set(state, Rule::Sharing(e.rule.clone())),
        Event::AssignmentRuleSet(e) => set(state, Rule::Assignment(e.rule.clone())),
        Event::EscalationRuleSet(e) => set(state, Rule::Escalation(e.rule.clone())),
        Event::WorkflowRuleSet(e) => set(state, Rule::Workflow(e.rule.clone())),
        Event::RuleRemoved(e) => state.set_rule(e.kind, &e.rule, None),
        Event::RuleShared(e) => shared(state, e),
        Event::ComputationFailed(e) => state.automation.note_computation(time, e),
        Event::RuleFailed(e) => state.automation.note_failure(time, e),
        Event::Escalated(e) => {
            if let Some(record) = state.records.get(&e.record) {
                // The assignment that stands before it was no change of its own.
                state.automation.wait_no_more(e.record, record);
                let escalation = Escalation { since: e.since, last: record.last };
                state.automation.escalated.insert(e.record, escalation);
                state.automation.wait(e.record, record, record.last, true);
            }
        }
        Event::EscalationAdvanced(e) => {
            let looked = state.automation.looked.entry(e.object.clone()).or_default();
            looked.insert(e.entry.clone(), (e.since, e.record));
        }
        _ => {}
    }
}

fn set(state: &mut State, rule: Rule) {
    state.set_rule(rule.kind(), rule.key(), Some(&rule));
}

fn shared(state: &mut State, event: &RuleShared) {
    let connection = state.connections.get_mut(&event.connection);
    if let Some(share) = connection.and_then(|connection| connection.shares.get_mut(&event.share)) {
        share.rule = Some(Box::new(SharedBy { rule: event.rule.clone(), ended: event.ended }));
    }
}
