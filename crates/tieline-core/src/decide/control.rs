//! Control messages: they are never answered by an outcome, so nothing can ping-pong.

use crate::command::{Refusal, Reply};
use crate::decide::draft::Draft;
use crate::decide::receive::overruled;
use crate::decide::share;
use crate::decide::write::is_open;
use crate::decide::{connection, copy, jobs, key, notice, owner, pause, reconcile, settle};
use crate::drift::{self, Change};
use crate::event::{
    AlarmRaised, Closing, ConflictNoted, DriftNoted, Loser, LostValue, OfferReceived, PendingValue,
};
use crate::job::JobKind;
use crate::mapping::SubscribeRule;
use crate::message::{
    Catalogue, EndReason, Message, Offer, OutcomeDetail, Refuse, ReturnGrant, SubscriptionNotice,
};
use crate::outcome::Outcome;
use crate::reason::{Reason, ReasonCode};
use crate::state::{AwaitedLink, Connection, Record, Share, ShareRole, ShareStatus, State};
use crate::vecmap::VecMap;
use crate::{ConnectionId, FieldName, ObjectName, Position, ShareId};

/// Decides what a control message does. What only tells something is folded as it came.
pub(super) fn take(draft: &mut Draft<'_>, connection: &Connection, message: &Message) {
    match message {
        Message::SubscriptionNotice(notice) => {
            tell_contradictions(draft, connection, notice);
            backfill_new(draft, connection, notice);
        }
        Message::AcceptOffer(accept) => {
            share::take_acceptance(draft, connection, accept.share, accept.generation, accept.whole);
        }
        Message::DeclineOffer(decline) => {
            if let Some(share) = ours(connection, decline.share, decline.generation) {
                match share.status {
                    ShareStatus::Offered | ShareStatus::Accepting => {
                        share::close(draft, connection, decline.share, share, Closing::Declined, false);
                    }
                    // A restored holder has forgotten that it accepted, and does not want it now.
                    ShareStatus::Active => take_back(draft, connection, decline.share, share),
                    _ => {}
                }
            }
        }
        Message::Refuse(refuse) => take_refusal(draft, connection, refuse),
        Message::ReturnGrant(returned) => take_return(draft, connection, returned),
        Message::KeyAnnounced(announced) => key::take(draft, connection, announced),
        Message::ShareStates(states) => reconcile::compare(draft, connection, states),
        Message::ReconcileRequest(_) => {
            jobs::begin(draft, JobKind::Reconcile { connection: connection.id });
        }
        Message::Catalogue(catalogue) => take_catalogue(draft, connection, catalogue),
        Message::OutcomeReport(report) => {
            for detail in &report.details {
                note_conflict(draft, connection, detail);
            }
            notice::told_by_partner(draft, connection, message);
        }
        Message::Settled(settled) => {
            note_conflict(draft, connection, &settled.detail);
            notice::told_by_partner(draft, connection, message);
        }
        Message::PauseNotice(notice) => pause::take(draft, connection, notice),
        Message::OwnerNotice(notice) => owner::take(draft, connection, notice),
        Message::ValueDecided(decided) => notice::told_of_decision(draft, connection, decided),
        Message::Profile(_)
        | Message::Unknown { .. }
        // Counted kinds are not decided here.
        | Message::Offer(_)
        | Message::Grant(_)
        | Message::ChildGrant(_)
        | Message::Snapshot(_)
        | Message::Change(_)
        | Message::ShareEnded(_)
        | Message::Void(_) => {}
    }
}

/// The partner passed over values of ours that were written without seeing those that are there.
fn note_conflict(draft: &mut Draft<'_>, connection: &Connection, detail: &OutcomeDetail) {
    if !detail.reasons.iter().any(|reason| reason.code == ReasonCode::Conflict) {
        return;
    }
    let share = detail.share.and_then(|id| Some((id, connection.shares.get(&id)?.record?)));
    let Some((share, id)) = share else { return };
    let state = draft.state;
    let found = state.record(id).and_then(|record| Some((record, state.object(&record.object)?)));
    let Some((record, object)) = found else { return };
    let lost = detail.reasons.iter().filter(|reason| reason.code == ReasonCode::Conflict);
    let known =
        lost.filter_map(|reason| reason.field.as_ref().filter(|field| object.field(*field).is_some()));
    let fields: VecMap<FieldName, Option<LostValue>> = known.map(|field| (field.clone(), None)).collect();
    if !fields.is_empty() {
        draft.emit(ConflictNoted {
            record: id,
            object: record.object.clone(),
            prev: record.last,
            connection: connection.id,
            share,
            position: detail.position,
            loser: Loser::Ours,
            fields,
        });
    }
}

fn ours(connection: &Connection, id: ShareId, generation: u32) -> Option<&Share> {
    let share = connection.shares.get(&id)?;
    (share.role == ShareRole::Origin && share.generation == generation).then_some(share)
}

/// What the partner publishes has changed: what that does to the mappings here is noted, and what waited
/// for it is tried again (S2S-31).
fn take_catalogue(draft: &mut Draft<'_>, connection: &Connection, catalogue: &Catalogue) {
    let listed = |name: &ObjectName| catalogue.objects.iter().find(|object| object.object == *name);
    for (name, rule) in &connection.subscribe {
        let Some(known) = connection.catalogue.get(name) else { continue };
        let now = listed(name);
        let gone = catalogue.removed.contains(name) || (catalogue.full && now.is_none());
        if now.is_none() && !gone {
            continue;
        }
        let changes = drift::changes(known, now, |field| rule.subscribes(field));
        if changes.is_empty() {
            continue;
        }
        let loses = changes.iter().filter(|change| !matches!(change.change, Change::Values { .. }));
        let loses: Vec<String> = loses.map(ToString::to_string).collect();
        if !loses.is_empty() {
            let message = format!(
                "{} changed {name}, which is taken here: {}; look at `tieline connection drift {0}`",
                connection.display_name(),
                loses.join("; ")
            );
            let code = "schema_drift".to_owned();
            draft.emit(AlarmRaised { connection: Some(connection.id), code, message });
        }
        draft.emit(DriftNoted { connection: connection.id, object: name.clone(), ours: false, changes });
    }
    if connection.shares.values().any(|share| waits(draft.state, connection, share)) {
        jobs::begin(draft, JobKind::Retry { connection: connection.id });
    }
}

/// Two rules that crossed contradict each other (S2S-26): the owner is told which one stands.
fn tell_contradictions(draft: &mut Draft<'_>, connection: &Connection, notice: &SubscriptionNotice) {
    for taken in &notice.objects {
        let known = connection.taken.get(&taken.object).is_some_and(|known| known.local == taken.local);
        let contradicts =
            |rule: &&SubscribeRule| (taken.object == rule.local) != (taken.local == rule.remote);
        let Some(rule) = connection.subscribe.values().find(contradicts).filter(|_| !known) else { continue };
        let message = if connection.stands() {
            format!(
                "{} mapped our {} to its {} at the same time as its {} was mapped to {} here: ours stands, and \
                 theirs takes nothing new until it is changed",
                connection.display_name(),
                taken.object,
                taken.local,
                rule.remote,
                rule.local
            )
        } else {
            overruled(connection, rule, taken)
        };
        let code = "mapping_conflict".to_owned();
        draft.emit(AlarmRaised { connection: Some(connection.id), code, message });
    }
}

/// The partner takes more than before, or maps anew: it gets the values.
fn backfill_new(draft: &mut Draft<'_>, connection: &Connection, notice: &SubscriptionNotice) {
    for subscription in &notice.objects {
        let known = connection.taken.get(&subscription.object);
        let remapped = known.is_some_and(|known| known.version != subscription.version);
        let is_new = |field: &&FieldName| remapped || known.is_none_or(|known| !known.fields.contains(field));
        let fields: Vec<FieldName> = subscription.fields.iter().filter(is_new).cloned().collect();
        if !fields.is_empty() && !connection.shares.is_empty() {
            let object = subscription.object.clone();
            jobs::begin(draft, JobKind::Backfill { connection: connection.id, object, fields });
        }
    }
}

/// The offer is gone. So is ours of the same generation, if the two crossed: the partner took our
/// offer for the answer to its own, and had given its record away.
fn take_refusal(draft: &mut Draft<'_>, connection: &Connection, refuse: &Refuse) {
    let closing = match refuse.code {
        ReasonCode::Taken => Closing::Taken,
        ReasonCode::RecordDeleted => Closing::Ended(EndReason::Deleted),
        _ => Closing::Ended(EndReason::Withdrawn),
    };
    if let Some((position, offer)) = held_offer(connection, refuse) {
        return refuse_held(draft, connection, position, &offer, closing);
    }
    let Some(share) = connection.shares.get(&refuse.share) else { return };
    // The offer of a later generation may be lost with the positions of a former life.
    let is_news =
        share.generation < refuse.generation || share.generation == refuse.generation && is_open(share);
    if is_news {
        let refused = Share { generation: refuse.generation, ..share.clone() };
        share::close(draft, connection, refuse.share, &refused, closing, false);
    }
}

/// The offer that is refused, if it is held here: control messages overtake what is held.
fn held_offer(connection: &Connection, refuse: &Refuse) -> Option<(Position, Offer)> {
    let of_share = (refuse.share, Position(0))..=(refuse.share, Position(u64::MAX));
    let mut positions = connection.held_by_share.range(of_share).map(|((_, position), _)| *position);
    positions.find_map(|position| {
        let held = connection.inbound.held.get(&position)?;
        match Message::decode(held.kind, &held.body) {
            Ok(Message::Offer(offer)) if offer.generation == refuse.generation => Some((position, offer)),
            _ => None,
        }
    })
}

/// An offer that is held and gone already: it is known, as both sides know it, and waits for nothing.
fn refuse_held(
    draft: &mut Draft<'_>,
    connection: &Connection,
    position: Position,
    offer: &Offer,
    closing: Closing,
) {
    settle::report(draft, connection);
    // The record may have been offered again from here before the offer came: that stands.
    let known = connection.shares.get(&offer.share);
    if known.is_none_or(|known| known.generation <= offer.generation) {
        let bare = OfferReceived {
            preview: VecMap::new(),
            links: Vec::new(),
            ..OfferReceived::of(connection.id, offer)
        };
        draft.emit(bare);
        let gone = Share {
            generation: offer.generation,
            ..Share::new(ShareRole::Copy, offer.object.clone(), offer.record, draft.now)
        };
        share::close(draft, connection, offer.share, &gone, closing, false);
    }
    let reason = Reason::new(ReasonCode::Taken, "the offer was taken back while it was held");
    settle::settle_held(draft, connection, position, Outcome::Filtered, Some(offer.share), vec![reason]);
}

/// The holder could not create the record.
fn take_return(draft: &mut Draft<'_>, connection: &Connection, returned: &ReturnGrant) {
    if let Some(share) = ours(connection, returned.share, returned.generation)
        && share.status == ShareStatus::Active
    {
        take_back(draft, connection, returned.share, share);
    }
}

/// Takes a grant back: the others get another chance.
fn take_back(draft: &mut Draft<'_>, connection: &Connection, id: ShareId, share: &Share) {
    share::close(draft, connection, id, share, Closing::Ended(EndReason::Returned), false);
    let state = draft.state;
    let Some((id, record)) = share.record.and_then(|id| Some((id, state.record(id)?))) else { return };
    for (other, lost) in state.shares_of(record) {
        let again = other.id != connection.id && lost.status == ShareStatus::Taken && other.is_active();
        if again && let Some(share) = record.share_over(other.id) {
            share::offer(draft, other, share, lost.generation + 1, id, record, lost.how);
        }
    }
}

/// Whether something waits on a share: the creation of its copy, or values that were refused.
pub(super) fn waits(state: &State, connection: &Connection, share: &Share) -> bool {
    let refused = |pending: &PendingValue| !pending.approval && pending.origin.connection == connection.id;
    let record = share.record.and_then(|id| state.record(id));
    let is_here = |link: &AwaitedLink| {
        let target = (link.connection == connection.id).then(|| connection.shares.get(&link.share)).flatten();
        target.is_some_and(|target| target.status == ShareStatus::Active && target.record.is_some())
    };
    let waits = |record: &Record| record.pending.values().any(refused) || record.links.values().any(is_here);
    share.status == ShareStatus::Granted || record.is_some_and(waits)
}

/// Tries what waits on a share again, because a person asks.
pub(super) fn retry(draft: &mut Draft<'_>, over: ConnectionId, id: ShareId) -> Result<Reply, Refusal> {
    let connection = connection::find(draft.state, over)?;
    let Some(share) = connection.shares.get(&id) else {
        let text = format!("connection {} has no share {id}", connection.display_name());
        return Err(Refusal::not_found("unknown_share", text));
    };
    if !waits(draft.state, connection, share) {
        return Ok(Reply::Unchanged);
    }
    let end = copy::retry(draft, connection, id, share);
    match end.outcome {
        Outcome::Applied => Ok(Reply::Share(id)),
        _ => Err(Refusal::record(end.reasons)),
    }
}
