//! What belongs to the audit of a connection (S2S-73): every action on it and everything that was
//! refused, and not the changes that went through.
//!
//! The state keeps, for each connection, which pages of the log hold such an event: four bytes for a
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

/// The connection in whose audit an event stands. What a partner told about our messages is not asked
/// here: only who reads the report knows whether it tells of a failure.
#[must_use]
pub fn connection_of(event: &Event) -> Option<ConnectionId> {
    Some(match event {
        // What comes and goes all the time stands first.
        Event::RecordChanged(_) | Event::ReceiptNoted(_) | Event::OutcomesReported(_) => return None,
        Event::Received(e) if e.outcome == Some(Outcome::Rejected) => e.connection,
        Event::Received(_) => return None,

        Event::InvitationSent(e) => e.connection,
        Event::InvitationAnswered(e) => e.connection,
        Event::InvitationPostponed(e) => e.invitation.connection,
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
        Event::InvitationDiscarded(e) => e.connection,
        Event::PauseSet(e) => e.connection,
        Event::PauseHeard(e) => e.connection,
        Event::JobStarted(e) => return e.kind.connection(),
        Event::AlarmRaised(e) => return e.connection,
        _ => return None,
    })
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
