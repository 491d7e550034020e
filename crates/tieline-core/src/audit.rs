//! What belongs to an audit (S2S-73): to that of a connection every action on it and everything that was
//! refused, and not the changes that went through; to that of the org whatever changes settings and rights.
//!
//! The state keeps, for each of them, which pages of the log hold such an event: four bytes for a
//! page of a thousand events, so that an audit of a long log reads only where there is something.

use crate::event::Event;
use crate::outcome::Outcome;
use crate::{ConnectionId, Seq};

/// Events of one page of the log.
pub const PAGE_EVENTS: u64 = 1_024;

/// The page of the log that an event lies in.
#[must_use]
pub fn page_of(seq: Seq) -> u32 {
    u32::try_from(seq.0 / PAGE_EVENTS).unwrap_or(u32::MAX)
}

/// The first event of a page.
#[must_use]
pub const fn first_of(page: u32) -> Seq {
    Seq(page as u64 * PAGE_EVENTS)
}

/// In whose audit an event stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In that of a connection.
    Connection(ConnectionId),
    /// In that of the org: it changes a setting, or what somebody may do or has.
    Org,
    /// In none: it follows from another, or is what goes on all the time.
    Nowhere,
}

/// In whose audit an event stands. Every kind is named here, so that a new one cannot be forgotten. What a
/// partner told about our messages is not asked here: only who reads the report knows whether it tells of a
/// failure.
#[must_use]
pub fn place_of(event: &Event) -> Place {
    Place::Connection(match event {
        // What comes and goes all the time stands first.
        Event::RecordChanged(_) | Event::ReceiptNoted(_) | Event::OutcomesReported(_) => {
            return Place::Nowhere;
        }
        Event::Received(e) if e.outcome == Some(Outcome::Rejected) => e.connection,
        Event::Received(_) => return Place::Nowhere,

        Event::InvitationPostponed(e) => e.invitation.connection,
        Event::JobAdvanced(e) => {
            let Some(ended) = &e.ended else { return Place::Nowhere };
            return ended.connection.map_or(Place::Org, Place::Connection);
        }
        Event::JobStarted(e) => return e.kind.connection().map_or(Place::Org, Place::Connection),
        Event::AlarmRaised(e) => return e.connection.map_or(Place::Org, Place::Connection),
        Event::InvitationSent(e) => e.connection,
        Event::InvitationAnswered(e) => e.connection,
        Event::PostponementHeard(e) => e.connection,
        Event::ConnectionEstablished(e) => e.connection,
        Event::ConnectionDeclined(e) => e.connection,
        Event::InvitationRevoked(e) => e.connection,
        Event::ConnectionDeactivated(e) => e.connection,
        Event::PartnerReincarnated(e) => e.connection,
        Event::ConnectionSuspended(e) => e.connection,
        Event::ReconcileAsked(e) => e.connection,
        Event::KeyAnnounced(e) => e.connection,
        Event::KeyConfirmed(e) => e.connection,
        Event::PartnerKeyChanged(e) => e.connection,
        Event::PublishRuleSet(e) => e.connection,
        Event::SubscribeRuleSet(e) => e.connection,
        Event::ShareOffered(e) => e.connection,
        Event::ChildGranted(e) => e.connection,
        Event::DecisionSent(e) => e.connection,
        Event::AccountRuleSet(e) => e.connection,
        Event::OwnerMapSet(e) => e.connection,
        Event::OfferReceived(e) => e.connection,
        Event::OfferAnswered(e) => e.connection,
        Event::ShareGranted(e) => e.connection,
        Event::ShareRefused(e) => e.connection,
        Event::ShareLinked(e) => e.connection,
        Event::ShareClosed(e) => e.connection,
        Event::ShareRestored(e) => e.connection,
        Event::MessageSettled(e) => e.connection,
        Event::ConflictNoted(e) => e.connection,
        Event::ConnectionOwnerSet(e) => e.connection,
        Event::ConnectionLabelled(e) => e.connection,
        Event::TemplateGiven(e) => e.connection,
        Event::InvitationSaved(e) => e.connection,
        Event::InvitationDiscarded(e) => e.connection,
        Event::PauseSet(e) => e.connection,
        Event::PauseHeard(e) => e.connection,

        Event::OrgCreated(_)
        | Event::IncarnationStarted(_)
        | Event::UserAdded(_)
        | Event::TokenIssued(_)
        | Event::ObjectDefined(_)
        | Event::ObjectRemoved(_)
        | Event::SharingEnabled(_)
        | Event::OrgSettingsSet(_)
        | Event::UserSet(_)
        | Event::UserRemoved(_)
        | Event::RoleSet(_)
        | Event::RoleRemoved(_)
        | Event::GroupSet(_)
        | Event::GroupRemoved(_)
        | Event::TokenCreated(_)
        | Event::TokenRevoked(_)
        | Event::QueueSet(_)
        | Event::QueueRemoved(_)
        | Event::SharingRuleSet(_)
        | Event::AssignmentRuleSet(_)
        | Event::EscalationRuleSet(_)
        | Event::WorkflowRuleSet(_)
        | Event::RuleRemoved(_)
        | Event::RecordViewSet(_)
        | Event::RecordViewRemoved(_)
        | Event::InboxViewSet(_)
        | Event::InboxViewRemoved(_)
        | Event::NoticeSettingsSet(_)
        | Event::MailTemplateSet(_)
        | Event::MailTemplateRemoved(_)
        | Event::ReportSet(_)
        | Event::ReportRemoved(_)
        | Event::ConfigApplied(_)
        | Event::TemplateSet(_)
        | Event::TemplateRemoved(_)
        | Event::CompanySet(_)
        | Event::ConversionMapSet(_)
        | Event::EffectRetried(_)
        | Event::EffectDropped(_)
        | Event::WebhookSecretChanged(_) => return Place::Org,

        Event::CatalogueSent(_)
        | Event::SubscriptionSent(_)
        | Event::ValuesPending(_)
        | Event::SnapshotSent(_)
        | Event::GrantRequested(_)
        | Event::ShareStatesSent(_)
        | Event::ShareHeard(_)
        | Event::SettledSent(_)
        | Event::RequestAnswered(_)
        | Event::RuleShared(_)
        | Event::RuleFailed(_)
        | Event::Escalated(_)
        | Event::EscalationAdvanced(_)
        | Event::LinksAwaited(_)
        | Event::HoldChanged(_)
        | Event::InputsKept(_)
        | Event::DriftNoted(_)
        | Event::UnmappedSeen(_)
        | Event::EffectQueued(_)
        | Event::EffectEnded(_)
        | Event::NoticeRaised(_)
        | Event::NoticesRead(_)
        | Event::DigestMade(_)
        | Event::InquirySent(_)
        | Event::InquiryAnswered(_)
        | Event::PauseTold(_)
        | Event::ProfileSent(_)
        | Event::OwnerTold(_)
        | Event::OwnerHeard(_)
        | Event::ComputationFailed(_)
        | Event::ShareHeldBack(_)
        | Event::OwnerHeld(_)
        | Event::Unknown { .. } => return Place::Nowhere,
    })
}

/// The connection in whose audit an event stands.
#[must_use]
pub fn connection_of(event: &Event) -> Option<ConnectionId> {
    match place_of(event) {
        Place::Connection(connection) => Some(connection),
        Place::Org | Place::Nowhere => None,
    }
}

/// Notes among the pages of an audit that the event `seq` belongs to it.
pub(crate) fn note(pages: &mut Vec<u32>, seq: Seq) {
    let page = page_of(seq);
    if pages.last() != Some(&page) {
        pages.push(page);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_cover_the_log() {
        for (seq, page, first) in [(1, 0, 0), (1_023, 0, 0), (1_024, 1, 1_024), (5_000, 4, 4_096)] {
            assert_eq!((page_of(Seq(seq)), first_of(page)), (page, Seq(first)));
        }
    }
}
