//! Telling the partner how its messages ended: outcomes once per frame, and later ends one by one.

use crate::decide::draft::Draft;
use crate::decide::write::Candidates;
use crate::event::{Event, MessageSettled, OutcomesReported, SettledSent};
use crate::message::{OutcomeDetail, OutcomeRun, WireReason};
use crate::outcome::Outcome;
use crate::reason::{Reason, ReasonCode};
use crate::state::{Connection, Record, Share, ShareRole, ShareStatus};
use crate::{FieldName, Position, ShareId};

/// Tells the partner all outcomes that it does not know.
pub(super) fn report(draft: &mut Draft<'_>, connection: &Connection) {
    if connection.inbound.unreported.is_empty() || !connection.is_active() {
        return;
    }
    // Several ends of one draft tell them once.
    let is_told =
        |event: &Event| matches!(event, Event::OutcomesReported(e) if e.connection == connection.id);
    if draft.events().iter().any(is_told) {
        return;
    }
    let mut runs: Vec<OutcomeRun> = Vec::new();
    let mut details = Vec::new();
    for unreported in &connection.inbound.unreported {
        let (outcome, detail) = told(connection, unreported.outcome, unreported.detail.as_ref());
        match runs.iter_mut().find(|run| run.outcome == outcome) {
            Some(run) => run.count += 1,
            None => runs.push(OutcomeRun { outcome, count: 1 }),
        }
        details.extend(detail.filter(|detail| !has_come_through(connection, detail)));
    }
    let upto = connection.inbound.received.position;
    let position = draft.position(connection);
    draft.emit(OutcomesReported { connection: connection.id, position, upto, runs, details });
}

/// Whether what was refused has come through since, before the partner heard of the refusal: told as one, it
/// would stand there as a failure that nothing mends.
fn has_come_through(connection: &Connection, detail: &OutcomeDetail) -> bool {
    let share = detail.share.and_then(|id| connection.shares.get(&id));
    detail.outcome == Outcome::Rejected
        && share.is_some_and(|share| share.status == ShareStatus::Active && share.problem.is_none())
}

/// The outcome and its reasons as the partner may know them: its own field names, and a loss on a
/// field that we do not publish as filtered (PROTOCOL §6).
fn told(
    connection: &Connection,
    outcome: Outcome,
    detail: Option<&OutcomeDetail>,
) -> (Outcome, Option<OutcomeDetail>) {
    let Some(detail) = detail else { return (outcome, None) };
    // Without a rule nothing here has a name at the partner, and nothing is published back.
    let rule =
        detail.share.and_then(|id| connection.shares.get(&id)).and_then(|share| rule_of(connection, share));
    let published = rule.and_then(|rule| connection.publish.get(&rule.local));
    let hidden = |reason: &WireReason| {
        matches!(reason.code, ReasonCode::OlderStamp | ReasonCode::Conflict)
            && reason.field.as_ref().is_none_or(|field| published.is_none_or(|rule| !rule.publishes(field)))
    };
    let outcome = if outcome == Outcome::Superseded && detail.reasons.iter().all(hidden) {
        Outcome::Filtered
    } else {
        outcome
    };
    let name_there = |field: &FieldName| rule?.mapping_of(field)?.reads().next().cloned();
    let reasons = detail
        .reasons
        .iter()
        .filter(|reason| !hidden(reason))
        .map(|reason| WireReason { code: reason.code, field: reason.field.as_ref().and_then(name_there) });
    let told = OutcomeDetail { outcome, reasons: reasons.collect(), ..detail.clone() };
    (outcome, Some(told))
}

/// The subscribe rule that a share's messages go through.
pub(super) fn rule_of<'a>(
    connection: &'a Connection,
    share: &Share,
) -> Option<&'a crate::mapping::SubscribeRule> {
    match share.role {
        ShareRole::Copy => connection.subscribe.get(&share.object),
        ShareRole::Origin => connection.subscribe.values().find(|rule| rule.local == share.object),
    }
}

/// A held message came to its end.
pub(super) fn settle_held(
    draft: &mut Draft<'_>,
    connection: &Connection,
    position: Position,
    outcome: Outcome,
    share: Option<ShareId>,
    reasons: Vec<Reason>,
) {
    let wire = reasons.iter().map(WireReason::from).collect();
    let detail = OutcomeDetail { position, outcome, share, reasons: wire };
    draft.emit(MessageSettled {
        connection: connection.id,
        position,
        outcome,
        recovered: false,
        share,
        reasons,
    });
    tell_settled(draft, connection, outcome, detail, false);
}

/// A message that was refused has come through after all, or its value has been replaced.
pub(super) fn recovered(draft: &mut Draft<'_>, connection: &Connection, id: ShareId, share: &Share) {
    let Some(problem) = share.problem.as_ref().filter(|problem| !problem.at_partner) else { return };
    let (position, outcome) = (problem.position, Outcome::Applied);
    let share = Some(id);
    draft.emit(MessageSettled {
        connection: connection.id,
        position,
        outcome,
        recovered: true,
        share,
        reasons: Vec::new(),
    });
    let detail = OutcomeDetail { position, outcome, share, reasons: Vec::new() };
    tell_settled(draft, connection, outcome, detail, true);
}

fn tell_settled(
    draft: &mut Draft<'_>,
    connection: &Connection,
    outcome: Outcome,
    detail: OutcomeDetail,
    recovered: bool,
) {
    if connection.is_active() {
        let (outcome, told) = told(connection, outcome, Some(&detail));
        let detail = OutcomeDetail { outcome, ..told.unwrap_or(detail) };
        let position = draft.position(connection);
        draft.emit(SettledSent { connection: connection.id, position, detail, recovered });
    }
}

/// Reports the shares whose last pending value `written` resolves.
pub(super) fn settle_recovered(draft: &mut Draft<'_>, record: &Record, written: &Candidates) {
    if record.pending.is_empty() {
        return;
    }
    let state = draft.state;
    for (connection, share) in &record.shares {
        let waits = |resolved: bool| {
            record
                .pending
                .iter()
                .filter(|(_, pending)| pending.origin.connection == *connection)
                .any(|(name, _)| written.contains_key(name) == resolved)
        };
        if waits(true)
            && !waits(false)
            && let Some(connection) = state.connections.get(connection)
            && let Some(known) = connection.shares.get(share)
        {
            recovered(draft, connection, *share, known);
        }
    }
}
