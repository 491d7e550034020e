//! From an event back to the messages that it made, masked by the publish rules of the moment.
//!
//! A position always carries what its event fixed; `publish::visible` masks it again at each send.
//! A counted message whose whole content may not leave any more travels as `Void`: it keeps its
//! position, and is counted.

use crate::content::Visible;
use crate::event::{
    ChildGranted, Closing, Delivery, Event, RecordAction, RecordChanged, ShareGranted, SnapshotSent,
};
use crate::message::{
    AcceptOffer, Change, ChildGrant, DeclineOffer, EndReason, Envelope, Grant, KeyAnnounced, Message, Offer,
    OutcomeReport, OwnerNotice, ParentLink, PauseNotice, Profile, ReconcileRequest, Refuse, ReturnGrant,
    Settled, ShareEnded, Snapshot, Void,
};
use crate::publish::{self, PublishRule};
use crate::value::Value;
use crate::{ConnectionId, FieldName, ObjectName, Position, Seq, ShareId, Timestamp};
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
    // Most messages fit: growing a buffer from nothing costs more than the room.
    let mut body = Vec::with_capacity(512);
    let kind = write(event, connection, position, rules, &mut body);
    Envelope { seq, time, kind, body }
}

/// Whether an event may have made messages; never false if it has.
#[must_use]
pub const fn may_leave(event: &Event) -> bool {
    match event {
        Event::Received(_) => false,
        Event::RecordChanged(written) => !written.deliveries.is_empty(),
        _ => true,
    }
}

/// Appends the body of that message, and gives its kind.
pub fn write(
    event: &Event,
    connection: ConnectionId,
    position: Position,
    rules: &PublishRules,
    out: &mut Vec<u8>,
) -> u16 {
    if let Event::RecordChanged(event) = event
        && let Some(Delivered { delivery, content }) = delivered(event, connection, position, rules)
        && !content.refers()
    {
        return Change::write(delivery.share, delivery.generation, &content, event.hops, out);
    }
    let message = message(event, connection, position, rules).unwrap_or_else(|| Void {}.into());
    message.encode_body(out);
    message.kind()
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
        Event::ChildGranted(e) => return child_granted(e, rules),
        Event::DecisionSent(e) => e.decided.clone().into(),
        Event::ShareOffered(e) => {
            // An object that is not published any more is offered without a preview, as it would be
            // granted without fields: both sides go on knowing the same shares.
            // A preview is read by people, who know no record of another org.
            let preview = e.preview.iter().filter(|(_, value)| !matches!(value, Value::Reference(_)));
            let preview: Vec<_> = preview.collect();
            let (preview, _) = publish::visible(rules.get(&e.object), preview, |(name, _)| name);
            let preview = preview.into_iter().map(|(name, value)| (name.clone(), value.clone())).collect();
            let (links, _) =
                publish::visible(rules.get(&e.object), e.links.iter().collect(), |(name, _)| name);
            let link =
                |(field, share): (&FieldName, &ShareId)| ParentLink { field: field.clone(), share: *share };
            let links = links.into_iter().map(link).collect();
            let (share, generation, object) = (e.share, e.generation, e.object.clone());
            Offer { share, generation, object, record: e.record, preview, hops: e.hops, links }.into()
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
        Event::ProfileSent(e) => Profile { company: e.company.clone() }.into(),
        Event::KeyAnnounced(e) => KeyAnnounced { public_key: e.public_key }.into(),
        Event::OwnerTold(e) => {
            let owner = publish::visible_owner(rules.get(&e.object), &e.owner).cloned();
            let (share, generation, hops) = (e.share, e.generation, e.hops);
            OwnerNotice { share, generation, owner, hops, written: e.written }.into()
        }
        Event::PauseTold(e) => PauseNotice { objects: e.objects.clone() }.into(),
        // No other event makes a message.
        _ => return None,
    })
}

/// The fields of a change that may leave over one connection.
struct Delivered<'a> {
    delivery: &'a Delivery,
    content: Visible<'a>,
}

/// What goes out of a change as one; nothing of a deletion, or if nothing may leave.
fn delivered<'a>(
    event: &'a RecordChanged,
    connection: ConnectionId,
    position: Position,
    rules: &PublishRules,
) -> Option<Delivered<'a>> {
    let delivery = delivery(event, connection, position)?;
    // What came over this share does not go back over it (S2S-52).
    let ours = |name: &FieldName| event.origin_of(name).is_none_or(|origin| origin.connection != connection);
    let content = event.content.visible(rules.get(&event.object), ours);
    (event.action != RecordAction::Delete && !content.is_empty()).then_some(Delivered { delivery, content })
}

fn delivery(event: &RecordChanged, connection: ConnectionId, position: Position) -> Option<&Delivery> {
    event.deliveries.iter().find(|d| d.connection == connection && d.position == position)
}

fn change(
    event: &RecordChanged,
    connection: ConnectionId,
    position: Position,
    rules: &PublishRules,
) -> Option<Message> {
    if event.action == RecordAction::Delete {
        let Delivery { share, generation, .. } = *delivery(event, connection, position)?;
        return Some(ShareEnded { share, generation, reason: EndReason::Deleted }.into());
    }
    let Delivered { delivery, content } = delivered(event, connection, position, rules)?;
    let (share, generation, hops) = (delivery.share, delivery.generation, event.hops);
    Some(Change { share, generation, content: content.to_content(&delivery.links), hops }.into())
}

fn granted(event: &ShareGranted, position: Position, rules: &PublishRules) -> Option<Message> {
    let (share, generation) = (event.share, event.generation);
    let rule = rules.get(&event.object);
    let in_create_set = |name: &FieldName| event.create_set.contains(name);
    if position == event.grant {
        let content = event.content.visible(rule, in_create_set).to_content(&event.links);
        let (object, record) = (event.object.clone(), event.record);
        return Some(Grant { share, generation, object, record, content }.into());
    }
    let content = event.content.visible(rule, |name| !in_create_set(name)).to_content(&event.links);
    (!content.is_empty())
        .then(|| Snapshot { share, generation, content, recreate: None, unseen_from: None }.into())
}

fn child_granted(event: &ChildGranted, rules: &PublishRules) -> Option<Message> {
    let rule = rules.get(&event.object)?;
    let ChildGranted { share, generation, record, object, parents, .. } = event.clone();
    let content = event.content.visible(Some(rule), |_| true).to_content(&event.links);
    Some(ChildGrant { share, generation, object, record, content, parents }.into())
}

fn snapshot(event: &SnapshotSent, rules: &PublishRules) -> Option<Message> {
    let content = event.content.visible(rules.get(&event.object), |_| true);
    let content = content.to_content(&event.delivery.links);
    let (share, generation) = (event.delivery.share, event.delivery.generation);
    // A record that is lost there is named even if no field of it may leave: so the share can end.
    (!content.is_empty() || event.recreate.is_some()).then(|| {
        let (recreate, unseen_from) = (event.recreate.clone(), event.unseen_from);
        Snapshot { share, generation, content, recreate, unseen_from }.into()
    })
}
