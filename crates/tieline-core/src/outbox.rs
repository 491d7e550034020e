//! From an event back to the messages that it made, masked by the publish rules of the moment.
//!
//! A position always carries what its event fixed; `publish::visible` masks it again at each send.
//! A counted message whose whole content may not leave any more travels as `Void`: it keeps its
//! position, and is counted.

use crate::event::{Closing, Event, RecordAction, RecordChanged, ShareGranted, SnapshotSent};
use crate::message::{
    AcceptOffer, Change, DeclineOffer, EndReason, Envelope, Grant, KeyAnnounced, Message, Offer,
    OutcomeReport, ReconcileRequest, Refuse, ReturnGrant, Settled, ShareEnded, Snapshot, Void,
};
use crate::publish::{self, PublishRule};
use crate::{ConnectionId, FieldName, ObjectName, Position, Seq, Timestamp};
use std::collections::BTreeMap;

/// The rules under which messages leave over one connection.
pub type PublishRules = BTreeMap<ObjectName, PublishRule>;

/// The message of `position` over `connection`, made from its event. An event that made no such
/// message gives a `Void`: the position is taken, and nothing may be told.
#[must_use]
pub fn envelope(
    event: &Event,
    seq: Seq,
    time: Timestamp,
    connection: ConnectionId,
    position: Position,
    rules: &PublishRules,
) -> Envelope {
    let message = message(event, connection, position, rules).unwrap_or_else(|| Void {}.into());
    Envelope::new(seq, time, &message)
}

fn message(
    event: &Event,
    connection: ConnectionId,
    position: Position,
    rules: &PublishRules,
) -> Option<Message> {
    Some(match event {
        Event::RecordChanged(e) => return change(e, connection, position, rules),
        Event::ShareGranted(e) => return granted(e, position, rules),
        Event::SnapshotSent(e) => return snapshot(e, rules),
        Event::ShareOffered(e) => {
            // An object that is not published any more is offered without a preview, as it would be
            // granted without fields: both sides go on knowing the same shares.
            let preview: Vec<_> = e.preview.iter().collect();
            let (preview, _) = publish::visible(rules.get(&e.object), preview, |(name, _)| name);
            let preview = preview.into_iter().map(|(name, value)| (name.clone(), value.clone())).collect();
            let (share, generation, object) = (e.share, e.generation, e.object.clone());
            Offer { share, generation, object, record: e.record, preview }.into()
        }
        Event::OfferAnswered(e) if e.accept => {
            AcceptOffer { share: e.share, generation: e.generation, whole: e.whole }.into()
        }
        Event::OfferAnswered(e) => DeclineOffer { share: e.share, generation: e.generation }.into(),
        Event::ShareRefused(e) => Refuse { share: e.share, generation: e.generation, code: e.code }.into(),
        Event::ShareClosed(e) => match e.closing {
            Closing::Ended(EndReason::Returned) => {
                ReturnGrant { share: e.share, generation: e.generation }.into()
            }
            Closing::Ended(reason) => ShareEnded { share: e.share, generation: e.generation, reason }.into(),
            Closing::Declined | Closing::Taken => return None,
        },
        Event::CatalogueSent(e) => e.catalogue.clone().into(),
        Event::SubscriptionSent(e) => e.notice.clone().into(),
        Event::ShareStatesSent(e) => e.states.clone().into(),
        Event::OutcomesReported(e) => {
            OutcomeReport { upto: e.upto, runs: e.runs.clone(), details: e.details.clone() }.into()
        }
        Event::SettledSent(e) => Settled { detail: e.detail.clone(), recovered: e.recovered }.into(),
        Event::ReconcileAsked(_) => ReconcileRequest {}.into(),
        Event::KeyAnnounced(e) => KeyAnnounced { public_key: e.public_key }.into(),
        // No other event makes a message.
        _ => return None,
    })
}

fn change(
    event: &RecordChanged,
    connection: ConnectionId,
    position: Position,
    rules: &PublishRules,
) -> Option<Message> {
    let is_meant = |d: &&crate::event::Delivery| d.connection == connection && d.position == position;
    let delivery = event.deliveries.iter().find(is_meant)?;
    if event.action == RecordAction::Delete {
        let (share, generation) = (delivery.share, delivery.generation);
        return Some(ShareEnded { share, generation, reason: EndReason::Deleted }.into());
    }
    // What came over this share does not go back over it (S2S-52).
    let ours = |name: &FieldName| event.origin_of(name).is_none_or(|origin| origin.connection != connection);
    let content = event.content.visible(rules.get(&event.object), ours);
    let (share, generation, hops) = (delivery.share, delivery.generation, event.hops);
    (!content.is_empty()).then(|| Change { share, generation, content, hops }.into())
}

fn granted(event: &ShareGranted, position: Position, rules: &PublishRules) -> Option<Message> {
    let (share, generation) = (event.share, event.generation);
    let rule = rules.get(&event.object);
    let in_create_set = |name: &FieldName| event.create_set.contains(name);
    if position == event.grant {
        let content = event.content.visible(rule, in_create_set);
        let (object, record) = (event.object.clone(), event.record);
        return Some(Grant { share, generation, object, record, content }.into());
    }
    let content = event.content.visible(rule, |name| !in_create_set(name));
    (!content.is_empty()).then(|| Snapshot { share, generation, content, recreate: None }.into())
}

fn snapshot(event: &SnapshotSent, rules: &PublishRules) -> Option<Message> {
    let content = event.content.visible(rules.get(&event.object), |_| true);
    let (share, generation) = (event.delivery.share, event.delivery.generation);
    // A record that is lost there is named even if no field of it may leave: so the share can end.
    (!content.is_empty() || event.recreate.is_some())
        .then(|| Snapshot { share, generation, content, recreate: event.recreate.clone() }.into())
}
