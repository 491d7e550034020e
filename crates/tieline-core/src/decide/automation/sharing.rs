//! What is offered by itself: to the connections of a queue, and by sharing rules (S2S-42, S2S-43).
//!
//! What a partner has declined, and what somebody has stopped, no rule offers again: a rule offers a
//! record over a connection only if it was never shared there, if a rule itself ended that, or if another one
//! was faster.

use crate::automation::{Facts, RuleKind, SharingRule};
use crate::command::Refusal;
use crate::decide::automation::run::{Touched, failed};
use crate::decide::automation::workflow::tell_hops;
use crate::decide::draft::Draft;
use crate::decide::share;
use crate::decide::write::is_open;
use crate::event::{RuleFailed, RuleShared};
use crate::limits::HOPS_MAX;
use crate::message::EndReason;
use crate::reason::{Reason, ReasonCode};
use crate::sharing::Forwarding;
use crate::state::{Connection, Record, ShareRole, ShareStatus};
use crate::{ConnectionId, FieldName, QueueName, RecordId, RuleName, ShareId};

/// Offers a record to the connections of the queue that owns it. What cannot be offered (it is not
/// published, shared already, or taken) stays in the queue all the same.
pub(super) fn offer_to_members(draft: &mut Draft<'_>, touched: &Touched, queue: &QueueName) {
    let state = draft.state;
    let Some(queue) = state.automation.queues.get(queue) else { return };
    for over in &queue.connections {
        if touched.by_person {
            // Whoever puts it there means the members, also those that had it before.
            if let Err(refusal) = share::forward(draft, touched.record, *over, queue.how()) {
                not_offered(draft, touched.record, &queue.name, *over, &refusal);
            }
            continue;
        }
        let Some((connection, record)) = state.connections.get(over).zip(state.record(touched.record)) else {
            continue;
        };
        if may_offer(connection, record) {
            // The name of the queue stands for the rule that gave the record to it.
            let rule = queue.name.as_str().parse::<RuleName>();
            if let Ok(rule) = rule
                && let Err(refusal) = offer(draft, touched.record, record, *over, &rule, queue.how())
            {
                not_offered(draft, touched.record, &queue.name, *over, &refusal);
            }
        }
    }
}

/// A member of a queue is not offered what came into it: whoever put it there is told, and others see it
/// among the failures. A member that has it already misses nothing.
fn not_offered(
    draft: &mut Draft<'_>,
    record: RecordId,
    queue: &QueueName,
    over: ConnectionId,
    refusal: &Refusal,
) {
    let code = match refusal.code {
        "already_shared" => return,
        "not_published" => ReasonCode::NotPublished,
        "taken" => ReasonCode::Taken,
        "paused" => ReasonCode::Paused,
        "connection_not_active" => ReasonCode::NotActive,
        _ => ReasonCode::BadRule,
    };
    draft.emit(RuleFailed {
        kind: RuleKind::Sharing,
        rule: format!("queue:{queue}"),
        record: Some(record),
        connection: Some(over),
        reasons: vec![Reason::new(code, refusal.to_string())],
    });
}

/// Whether a rule may offer the record over the connection: it did not yet, it ended that itself, or another
/// was faster then.
fn may_offer(connection: &Connection, record: &Record) -> bool {
    let known = record.share_over(connection.id).and_then(|share| connection.shares.get(&share));
    known.is_none_or(|share| {
        share.role == ShareRole::Origin
            && !is_open(share)
            && share.rule.as_ref().is_some_and(|by| by.ended || share.status == ShareStatus::Taken)
    })
}

/// Offers a record by a rule, one org further than it came.
fn offer(
    draft: &mut Draft<'_>,
    id: RecordId,
    record: &Record,
    over: ConnectionId,
    rule: &RuleName,
    how: Forwarding,
) -> Result<Option<ShareId>, Refusal> {
    let hops = record.hops + 1;
    if hops > HOPS_MAX {
        tell_hops(draft, rule, id);
        return Ok(None);
    }
    share::forward(draft, id, over, how)?;
    Ok(draft.amend_offer(hops))
}

/// Lets the sharing rules look at a record that was created or changed.
pub(super) fn look_at(draft: &mut Draft<'_>, touched: &Touched) {
    let state = draft.state;
    let Some(record) = state.record(touched.record) else { return };
    let Some(rules) = state.automation.rules_of(&record.object) else { return };
    let facts = touched.facts(state, record);
    let mut connections: Vec<ConnectionId> =
        rules.sharing.iter().flat_map(|(rule, _)| rule.connections.iter().copied()).collect();
    connections.sort_unstable();
    connections.dedup();
    for over in connections {
        if let Err((rule, reason)) = one(draft, touched.record, record, over, touched, &facts) {
            failed(draft, RuleKind::Sharing, rule.as_str(), Some(touched.record), vec![reason]);
        }
    }
}

/// Offers a record over a connection if a rule says so, or ends what a rule began.
fn one(
    draft: &mut Draft<'_>,
    id: RecordId,
    record: &Record,
    over: ConnectionId,
    touched: &Touched,
    facts: &Facts,
) -> Result<bool, (RuleName, Reason)> {
    let state = draft.state;
    let Some(rules) = state.automation.rules_of(&record.object) else { return Ok(false) };
    let lookup = |name: &FieldName| record.fields.get(name).map(|field| &field.value);
    let mut wanted = None;
    let mut problem = None;
    for (rule, criteria) in rules.sharing.iter().filter(|(rule, _)| rule.connections.contains(&over)) {
        match criteria.hold(lookup, touched.was(), facts, draft.now) {
            Ok(true) => {
                wanted = Some(rule);
                break;
            }
            Ok(false) => {}
            Err(reason) => problem = Some((rule.name.clone(), reason)),
        }
    }
    let done = match (wanted, &problem) {
        (Some(rule), _) => offer_by(draft, id, record, over, rule),
        (None, None) => unshare(draft, id, record, over),
        // What cannot be told is left as it is.
        (None, Some(_)) => false,
    };
    problem.filter(|_| wanted.is_none()).map_or(Ok(done), Err)
}

/// Offers a record because a rule says so; whether it did. What cannot be offered now (it is not
/// published, or another connection has it) is looked at again with the next change.
fn offer_by(
    draft: &mut Draft<'_>,
    id: RecordId,
    record: &Record,
    over: ConnectionId,
    rule: &SharingRule,
) -> bool {
    let Some(connection) = draft.state.connections.get(&over) else { return false };
    if !connection.is_active() || !may_offer(connection, record) {
        return false;
    }
    let how = Forwarding { many: rule.several, tasks: rule.tasks, new_tasks: rule.new_tasks };
    match offer(draft, id, record, over, &rule.name, how) {
        Ok(Some(share)) => {
            draft.emit(RuleShared { connection: over, share, rule: rule.name.clone(), ended: false });
            true
        }
        Ok(None) | Err(_) => false,
    }
}

/// Ends a share that a rule began, if that rule says so: the record meets no rule's criteria.
fn unshare(draft: &mut Draft<'_>, id: RecordId, record: &Record, over: ConnectionId) -> bool {
    let state = draft.state;
    let Some(connection) = state.connections.get(&over) else { return false };
    let share = record.share_over(over).and_then(|share| Some((share, connection.shares.get(&share)?)));
    let Some((share_id, share)) = share.filter(|(_, share)| is_open(share)) else { return false };
    let Some(shared) = share.rule.as_ref().filter(|shared| !shared.ended) else { return false };
    let rules = state.automation.rules_of(&record.object);
    let ends = rules.and_then(|rules| rules.sharing_rule(&shared.rule)).is_some_and(|(rule, _)| rule.unshare);
    if !ends || share::end(draft, id, over, EndReason::Stopped).is_err() {
        return false;
    }
    draft.emit(RuleShared { connection: over, share: share_id, rule: shared.rule.clone(), ended: true });
    true
}

/// Lets the sharing rules look at a record for one connection, on demand; whether something was done.
pub(in crate::decide) fn on_demand(
    draft: &mut Draft<'_>,
    id: RecordId,
    record: &Record,
    over: ConnectionId,
) -> Result<bool, Refusal> {
    let touched = Touched::as_it_is(id, draft.actor.clone());
    let facts = touched.facts(draft.state, record);
    one(draft, id, record, over, &touched, &facts)
        .map_err(|(rule, reason)| Refusal::record(vec![reason.by_rule(rule.as_str())]))
}
