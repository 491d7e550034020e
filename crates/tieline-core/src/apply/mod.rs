//! Folds events into the state. It cannot fail and never evaluates a rule: an event that names
//! something that is not there changes nothing but the counters of the log.

mod automation;
mod connection;
mod history;
mod invitation;
mod key;
mod message;
mod pause;
mod people;
mod record;
mod share;
mod template;
mod view;

use crate::audit::{self, Place, place_of};
use crate::event::Event;
use crate::state::State;
use crate::{Position, Seq, Timestamp};

/// Folds one event; `time` is that of its group.
pub fn apply(state: &mut State, time: Timestamp, event: &Event) {
    state.seq = state.seq.next();
    state.time = time;
    let seq = state.seq;
    match event {
        Event::OrgCreated(e) => people::org_created(state, e),
        Event::SharingEnabled(_) => people::sharing_enabled(state),
        Event::OrgSettingsSet(e) => people::settings_set(state, e),
        Event::UserAdded(e) => people::user_added(state, e),
        Event::UserSet(e) => people::user_set(state, e),
        Event::UserRemoved(e) => state.remove_user(&e.user),
        Event::RoleSet(e) => {
            state.roles.insert(e.role.name.clone(), e.role.clone());
        }
        Event::RoleRemoved(e) => {
            state.roles.remove(&e.role);
        }
        Event::GroupSet(e) => {
            state.groups.insert(e.group.name.clone(), e.group.clone());
        }
        Event::GroupRemoved(e) => {
            state.groups.remove(&e.group);
        }
        Event::TokenIssued(e) => people::token_issued(state, time, e),
        Event::TokenCreated(e) => people::token_created(state, time, e),
        Event::TokenRevoked(e) => people::token_revoked(state, time, e),
        Event::ObjectDefined(e) => state.set_object(e.schema.clone()),
        Event::ObjectRemoved(e) => state.remove_object(&e.object),
        Event::AlarmRaised(e) => state.raise(time, e.clone()),

        Event::IncarnationStarted(e) => connection::incarnation_started(state, time, e),
        Event::InvitationSent(e) => connection::invitation_sent(state, time, e),
        Event::InvitationAnswered(e) => connection::invitation_answered(state, time, e),
        Event::ConnectionEstablished(e) => connection::established(state, time, e),
        Event::ConnectionDeclined(e) => connection::declined(state, time, e),
        Event::InvitationRevoked(e) => connection::revoked(state, time, e),
        Event::ConnectionDeactivated(e) => connection::deactivated(state, time, e),
        Event::ConnectionSuspended(e) => connection::suspended(state, e),
        Event::PartnerReincarnated(e) => connection::partner_reincarnated(state, time, e),
        Event::ReceiptNoted(e) => connection::receipt_noted(state, e),
        Event::PublishRuleSet(e) => connection::publish_rule_set(state, e),
        Event::SubscribeRuleSet(e) => connection::subscribe_rule_set(state, e),
        Event::CatalogueSent(e) => take_position(state, e.connection, e.position, seq, time),
        Event::SubscriptionSent(e) => take_position(state, e.connection, e.position, seq, time),
        Event::ReconcileAsked(e) => connection::reconcile_asked(state, seq, time, e),
        Event::KeyAnnounced(e) => key::announced(state, seq, time, e),
        Event::KeyConfirmed(e) => key::confirmed(state, e),
        Event::PartnerKeyChanged(e) => key::partner_changed(state, e),

        Event::RecordChanged(e) => record::changed(state, seq, time, e),
        Event::ValuesPending(e) => record::values_pending(state, e),
        Event::LinksAwaited(e) => record::links_awaited(state, e),
        Event::HoldChanged(e) => message::hold_changed(state, e),
        Event::InputsKept(e) => share::inputs_kept(state, e),
        Event::DriftNoted(e) => {
            if let Some(connection) = state.connections.get_mut(&e.connection) {
                connection.note_drift(time, e);
            }
        }
        Event::UnmappedSeen(e) => {
            if let Some(connection) = state.connections.get_mut(&e.connection) {
                connection.note_unmapped(time, e);
            }
        }

        Event::ShareOffered(e) => share::offered(state, seq, time, e),
        Event::ChildGranted(e) => share::child_granted(state, seq, time, e),
        Event::AccountRuleSet(e) => share::account_rule_set(state, e),
        Event::DecisionSent(e) => take_position(state, e.connection, e.position, seq, time),
        Event::OfferReceived(e) => share::offer_received(state, time, e),
        Event::OfferAnswered(e) => share::offer_answered(state, seq, time, e),
        Event::GrantRequested(e) => share::grant_requested(state, time, e),
        Event::ShareGranted(e) => share::granted(state, seq, time, e),
        Event::ShareRefused(e) => share::refused(state, seq, time, e),
        Event::ShareHeard(e) => share::heard(state, e),
        Event::ShareRestored(e) => share::restored(state, time, e),
        Event::ShareLinked(e) => share::linked(state, time, e),
        Event::ShareClosed(e) => share::closed(state, seq, time, e),
        Event::SnapshotSent(e) => share::snapshot_sent(state, seq, time, e),
        Event::ShareStatesSent(e) => take_position(state, e.connection, e.position, seq, time),

        Event::ConflictNoted(e) => history::conflict_noted(state, seq, e),
        Event::ConnectionOwnerSet(e) => {
            if let Some(connection) = state.connections.get_mut(&e.connection) {
                connection.owner = e.owner.clone();
            }
        }
        Event::OwnerTold(e) => connection::owner_told(state, seq, time, e),
        Event::OwnerHeld(e) => connection::owner_held(state, e),
        Event::OwnerHeard(e) => connection::owner_heard(state, time, e),
        Event::OwnerMapSet(e) => connection::owner_map_set(state, e),
        Event::ConversionMapSet(e) => state.conversion = e.map.clone(),
        Event::ConnectionLabelled(e) => {
            if let Some(connection) = state.connections.get_mut(&e.connection) {
                connection.label.clone_from(&e.label);
            }
        }
        Event::ReportSet(e) => {
            state.reports.insert(e.report.name.clone(), e.report.clone());
        }
        Event::ReportRemoved(e) => {
            state.reports.remove(&e.report);
        }
        Event::PauseSet(e) => pause::set(state, time, e),
        Event::PauseHeard(e) => pause::heard(state, e),
        Event::PauseTold(e) => pause::told(state, seq, time, e),
        Event::ShareHeldBack(e) => pause::held_back(state, time, e),

        Event::Received(e) => message::received(state, seq, time, e),
        Event::MessageSettled(e) => message::settled(state, e),
        Event::OutcomesReported(e) => message::outcomes_reported(state, seq, time, e),
        Event::SettledSent(e) => take_position(state, e.connection, e.position, seq, time),

        Event::JobStarted(e) => {
            let job = crate::job::Job {
                kind: e.kind.clone(),
                actor: e.actor.clone(),
                started: time,
                cursor: None,
                done: 0,
                skipped: 0,
                reasons: Vec::new(),
            };
            state.jobs.insert(e.job, job);
        }
        Event::JobAdvanced(e) => job_advanced(state, e),
        Event::RecordViewSet(e) => view::set(state, e),
        Event::RecordViewRemoved(e) => view::removed(state, e),
        Event::InboxViewSet(e) => view::inbox_set(state, e),
        Event::InboxViewRemoved(e) => view::inbox_removed(state, e),

        Event::EffectQueued(e) => state.effects.queued(seq, time, e),
        Event::EffectEnded(e) => state.effects.ended(time, e),
        Event::EffectRetried(e) => state.effects.retried(seq, time, e.id),
        Event::EffectDropped(e) => state.effects.dropped(e.id),
        Event::NoticeRaised(e) => state.notices.raised(time, e),
        Event::NoticesRead(e) => state.notices.read(e),
        Event::DigestMade(e) => state.notices.digest_made(time, e),
        Event::NoticeSettingsSet(e) => state.notices.settings_set(e),
        Event::MailTemplateSet(e) => {
            state.invitations.templates.insert(e.template.name.clone(), e.template.clone());
        }
        Event::MailTemplateRemoved(e) => {
            state.invitations.templates.remove(&e.name);
        }
        Event::InvitationSaved(e) => invitation::saved(state, time, e),
        Event::InvitationDiscarded(e) => {
            state.invitations.saved.remove(&e.connection);
        }
        Event::InvitationPostponed(e) => invitation::postponed(state, time, e),
        Event::PostponementHeard(e) => invitation::heard(state, time, e),
        Event::InquirySent(e) => state.inquiries.sent(seq, time, e),
        Event::InquiryAnswered(e) => state.inquiries.answered(time, e),
        Event::RequestAnswered(e) => state.requests.answered(seq, time, e),
        Event::QueueSet(_)
        | Event::QueueRemoved(_)
        | Event::SharingRuleSet(_)
        | Event::AssignmentRuleSet(_)
        | Event::EscalationRuleSet(_)
        | Event::WorkflowRuleSet(_)
        | Event::RuleRemoved(_)
        | Event::RuleShared(_)
        | Event::RuleFailed(_)
        | Event::ComputationFailed(_)
        | Event::Escalated(_)
        | Event::EscalationAdvanced(_) => automation::happened(state, time, event),
        Event::CompanySet(e) => people::company_set(state, e),
        Event::ProfileSent(e) => take_position(state, e.connection, e.position, seq, time),
        Event::TemplateSet(e) => template::set(state, e),
        Event::TemplateRemoved(e) => template::removed(state, e),
        Event::TemplateGiven(e) => template::given(state, time, e),
        // What files changed is said by the events before it.
        Event::ConfigApplied(_) | Event::WebhookSecretChanged(_) | Event::Unknown { .. } => {}
    }
    match place_of(event) {
        Place::Nowhere => {}
        Place::Org => audit::note(&mut state.audit_pages, seq),
        Place::Connection(id) => {
            if let Some(connection) = state.connections.get_mut(&id) {
                connection.note_audit(seq);
            }
        }
    }
}

fn job_advanced(state: &mut State, event: &crate::event::JobAdvanced) {
    let Some(job) = state.jobs.get_mut(&event.job) else { return };
    if event.cursor.is_none() {
        state.jobs.remove(&event.job);
        return;
    }
    job.cursor = event.cursor;
    job.done += event.done;
    job.skipped += event.skipped;
    let room = crate::limits::JOB_REASONS_MAX.saturating_sub(job.reasons.len());
    job.reasons.extend(event.reasons.iter().take(room).cloned());
}

/// Gives a message its place in the outbox of its connection.
fn take_position(
    state: &mut State,
    connection: crate::ConnectionId,
    position: Position,
    seq: Seq,
    time: Timestamp,
) {
    let Some(connection) = state.connections.get_mut(&connection) else { return };
    let outbox = &mut connection.outbox;
    let head = outbox.head();
    debug_assert_eq!(head.position.next(), position, "positions are dense");
    outbox.entries.push_back(crate::state::OutboxEntry { seq, chain: head.chain.then(position, seq, time) });
}

/// The same for a counted message.
fn take_counted_position(
    state: &mut State,
    connection: crate::ConnectionId,
    position: Position,
    seq: Seq,
    time: Timestamp,
) {
    take_position(state, connection, position, seq, time);
    if let Some(connection) = state.connections.get_mut(&connection) {
        connection.outbox.counted += 1;
    }
}
