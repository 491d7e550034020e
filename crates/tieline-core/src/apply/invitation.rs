//! Folds what happens to invitations besides the connections that they make.

use crate::Timestamp;
use crate::event::{InvitationPostponed, InvitationSaved, PostponementHeard};
use crate::state::{PostponedInvitation, Postponement, SavedInvitation, State};

pub(super) fn saved(state: &mut State, time: Timestamp, event: &InvitationSaved) {
    let created = state.invitations.saved.get(&event.connection).map_or(time, |known| known.created);
    let saved = SavedInvitation { details: event.details.clone(), created, actor: event.actor.clone() };
    state.invitations.saved.insert(event.connection, saved);
}

/// What has ended is forgotten when another one comes.
pub(super) fn postponed(state: &mut State, time: Timestamp, event: &InvitationPostponed) {
    let postponed = &mut state.invitations.postponed;
    postponed.retain(|_, known| known.invitation.expires > time);
    let invitation = event.invitation.clone();
    let kept = PostponedInvitation { invitation, time, actor: event.actor.clone() };
    postponed.insert(event.invitation.connection, kept);
}

pub(super) fn heard(state: &mut State, time: Timestamp, event: &PostponementHeard) {
    if let Some(connection) = state.connections.get_mut(&event.connection) {
        let (partner, user) = (event.partner.clone(), event.user.clone());
        connection.postponed = Some(Postponement { time, partner, user });
    }
}
