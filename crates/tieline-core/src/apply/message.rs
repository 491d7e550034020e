//! Folds what came from a partner, and what the partner was told about it.

use super::take_position;
use crate::event::{HoldChanged, MessageSettled, OutcomesReported, Received};
use crate::frame::Figure;
use crate::limits::LABEL_CHARS_MAX;
use crate::message::{
    Catalogue, Message, OutcomeDetail, OutcomeReport, SubscriptionNotice, ValueDecided, WireReason,
};
use crate::outcome::Outcome;
use crate::reason::{Reason, ReasonCode};
use crate::state::{Connection, Failure, HeldMessage, Problem, State, UnreportedOutcome};
use crate::{Seq, ShareId, Timestamp};

pub(super) fn received(state: &mut State, seq: Seq, time: Timestamp, event: &Received) {
    let Some(connection) = state.connections.get_mut(&event.connection) else { return };
    connection.inbound.received = Figure { position: event.position, chain: event.chain };
    match event.outcome {
        Some(outcome) => counted(connection, time, event, outcome),
        None => control(connection, seq, time, event),
    }
}

fn counted(connection: &mut Connection, time: Timestamp, event: &Received, outcome: Outcome) {
    connection.inbound.counts.take(outcome, 1);
    let detail = detail(event, outcome);
    if let Some(until) = event.held_until.filter(|_| outcome == Outcome::Held) {
        let object = held_object(connection, event).cloned();
        let (body, share, parent) = (event.body.clone(), event.share, event.parent);
        let held = HeldMessage { kind: event.kind, body, until, share, object, parent };
        connection.hold(event.position, held);
    }
    if let Some(share) = event.share.and_then(|share| connection.shares.get_mut(&share)) {
        share.updated = time;
        if outcome == Outcome::Rejected {
            share.problem = Some(Box::new(Problem {
                time,
                at_partner: false,
                position: event.position,
                outcome,
                reasons: event.reasons.clone(),
            }));
        }
    }
    if outcome == Outcome::Rejected {
        connection.note_failure(Failure {
            time,
            at_partner: false,
            detail: detail.clone().unwrap_or_else(|| bare_detail(event, outcome)),
            record: event.record,
            messages: event.reasons.iter().map(ToString::to_string).collect(),
        });
    }
    // A deactivated connection answers nothing (PROTOCOL §8).
    if connection.is_linked() && connection.ended.is_none() {
        connection.inbound.unreported.push(UnreportedOutcome { outcome, detail });
    }
}

/// The object here of a message that is held.
fn held_object<'a>(connection: &'a Connection, event: &Received) -> Option<&'a crate::ObjectName> {
    let remote = match Message::decode(event.kind, &event.body) {
        Ok(Message::Offer(offer)) => Some(offer.object),
        Ok(Message::Grant(grant)) => Some(grant.object),
        _ => None,
    };
    let known = connection.local_object(event.share?, None);
    known.or_else(|| connection.subscribe.get(&remote?).map(|rule| &rule.local))
}

fn bare_detail(event: &Received, outcome: Outcome) -> OutcomeDetail {
    OutcomeDetail { position: event.position, outcome, share: event.share, reasons: Vec::new() }
}

/// What the partner may learn: codes and its own field names.
fn detail(event: &Received, outcome: Outcome) -> Option<OutcomeDetail> {
    (!event.reasons.is_empty()).then(|| OutcomeDetail {
        reasons: event.reasons.iter().map(WireReason::from).collect(),
        ..bare_detail(event, outcome)
    })
}

impl From<&Reason> for WireReason {
    fn from(reason: &Reason) -> Self {
        Self { code: reason.code, field: reason.field.clone() }
    }
}

fn is_label(text: &str) -> bool {
    text.chars().count() <= LABEL_CHARS_MAX && !text.chars().any(char::is_control)
}

/// Control messages that only tell something are folded from what came, as it came.
fn control(connection: &mut Connection, seq: Seq, time: Timestamp, event: &Received) {
    match Message::decode(event.kind, &event.body) {
        Ok(Message::Profile(profile)) => {
            // It comes from outside: what a label may not be is not kept.
            let kept = profile.company.filter(|company| is_label(company));
            connection.partner_company = kept;
        }
        Ok(Message::Catalogue(catalogue)) => take_catalogue(connection, catalogue),
        Ok(Message::SubscriptionNotice(notice)) => take_subscription(connection, notice),
        Ok(Message::OutcomeReport(report)) => take_outcomes(connection, seq, time, report),
        Ok(Message::Settled(settled)) => {
            if settled.recovered {
                clear_problem(connection, settled.detail.share, settled.detail.position);
            } else {
                connection.outbox.outcomes.settle(settled.detail.outcome);
                partner_failure(connection, seq, time, settled.detail);
            }
        }
        Ok(Message::ValueDecided(decided)) => take_decision(connection, seq, time, &decided),
        Ok(Message::PauseNotice(notice)) => {
            connection.pauses.partner_objects = notice.objects;
            connection.pauses.partner_objects.truncate(crate::limits::OBJECTS_MAX);
        }
        Ok(Message::ShareStates(states)) if states.upto.is_none() => connection.reconciling = false,
        // The others have effects of their own in the same group; what cannot be read has none.
        _ => {}
    }
}

/// A person of the partner approved a value of ours, or refused it.
fn take_decision(connection: &mut Connection, seq: Seq, time: Timestamp, decided: &ValueDecided) {
    if decided.approved {
        return clear_problem(connection, Some(decided.share), decided.position);
    }
    let reason = WireReason { code: ReasonCode::ApprovalRefused, field: Some(decided.field.clone()) };
    let (position, share) = (decided.position, Some(decided.share));
    let detail = OutcomeDetail { position, outcome: Outcome::Rejected, share, reasons: vec![reason] };
    partner_failure(connection, seq, time, detail);
}

fn take_catalogue(connection: &mut Connection, catalogue: Catalogue) {
    if catalogue.full {
        connection.catalogue.clear();
    }
    for object in &catalogue.removed {
        connection.catalogue.remove(object);
        connection.compile(object);
    }
    for object in catalogue.objects {
        let name = object.object.clone();
        connection.catalogue.insert(name.clone(), object);
        connection.compile(&name);
    }
    if catalogue.full {
        connection.compile_all();
    }
}

fn take_subscription(connection: &mut Connection, notice: SubscriptionNotice) {
    if notice.full {
        connection.taken.clear();
    }
    for object in &notice.removed {
        connection.taken.remove(object);
    }
    for subscription in notice.objects {
        connection.forget_drift(&subscription.object, true);
        connection.taken.insert(subscription.object.clone(), subscription);
    }
}

fn take_outcomes(connection: &mut Connection, seq: Seq, time: Timestamp, report: OutcomeReport) {
    for run in &report.runs {
        connection.outbox.outcomes.take(run.outcome, run.count);
    }
    connection.outbox.told = connection.outbox.told.max(report.upto);
    for detail in report.details {
        partner_failure(connection, seq, time, detail);
    }
}

fn partner_failure(connection: &mut Connection, seq: Seq, time: Timestamp, detail: OutcomeDetail) {
    if detail.outcome != Outcome::Rejected {
        return;
    }
    connection.note_audit(seq);
    let share = detail.share.and_then(|share| connection.shares.get_mut(&share));
    let record = share.as_ref().and_then(|share| share.record);
    if let Some(share) = share {
        let reasons = detail.reasons.iter().map(Reason::from).collect();
        let (position, outcome) = (detail.position, detail.outcome);
        share.problem = Some(Box::new(Problem { time, at_partner: true, position, outcome, reasons }));
    }
    let messages = detail.reasons.iter().map(|reason| Reason::from(reason).to_string()).collect();
    connection.note_failure(Failure { time, at_partner: true, detail, record, messages });
}

impl From<&WireReason> for Reason {
    fn from(wire: &WireReason) -> Self {
        let text = match &wire.field {
            Some(field) => format!("the partner refused {field}: {}", wire.code),
            None => format!("the partner refused the change: {}", wire.code),
        };
        let reason = Self::new(wire.code, text);
        match &wire.field {
            Some(field) => reason.on_field(field),
            None => reason,
        }
    }
}

fn clear_problem(connection: &mut Connection, share: Option<ShareId>, position: crate::Position) {
    if let Some(share) = share.and_then(|share| connection.shares.get_mut(&share))
        && share.problem.as_ref().is_some_and(|problem| problem.position <= position)
    {
        share.problem = None;
    }
}

pub(super) fn settled(state: &mut State, event: &MessageSettled) {
    let Some(connection) = state.connections.get_mut(&event.connection) else { return };
    if event.recovered {
        clear_problem(connection, event.share, event.position);
        return;
    }
    if connection.let_go(event.position).is_some() {
        connection.inbound.counts.settle(event.outcome);
    }
}

/// Held messages are looked at again at another time.
pub(super) fn hold_changed(state: &mut State, event: &HoldChanged) {
    let Some(connection) = state.connections.get_mut(&event.connection) else { return };
    for position in &event.positions {
        if let Some(held) = connection.let_go(*position) {
            connection.hold(*position, HeldMessage { until: event.until, parent: event.parent, ..held });
        }
    }
}

pub(super) fn outcomes_reported(state: &mut State, seq: Seq, time: Timestamp, event: &OutcomesReported) {
    take_position(state, event.connection, event.position, seq, time);
    let Some(connection) = state.connections.get_mut(&event.connection) else { return };
    // A message that tells them in the middle of its own events has an outcome that it does not know.
    let told = event.runs.iter().map(|run| run.count as usize).sum::<usize>();
    let unreported = &mut connection.inbound.unreported;
    unreported.drain(..told.min(unreported.len()));
    connection.inbound.told = (event.upto, event.position);
}
