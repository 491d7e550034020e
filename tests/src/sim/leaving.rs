//! The guard at the door: whatever leaves an org is read again, and no field may be in it that is
//! not published at that moment (DESIGN §8.3).

use tieline_core::frame::{FrameHeader, read_body};
use tieline_core::message::{Message, OutcomeDetail};
use tieline_core::state::{Connection, State};
use tieline_core::{ConnectionId, FieldName, ObjectName, ShareId};

use super::Broken;
use super::wire::Packet;

/// Looks through a packet that leaves the org of `state`.
///
/// # Errors
/// A field leaves that may not.
pub(super) fn check(state: &State, over: ConnectionId, packet: &Packet) -> Result<(), Broken> {
    let unreadable = |e: tieline_core::frame::FrameError| Broken::new("what leaves can be read", e);
    let header = FrameHeader::decode(&packet.header).map_err(unreadable)?;
    let Some(connection) = state.connections.get(&over) else {
        return Err(Broken::new("frames leave over known connections", over));
    };
    for envelope in read_body(&packet.body, header.count).map_err(unreadable)? {
        let message = Message::decode(envelope.kind, &envelope.body)
            .map_err(|e| Broken::new("what leaves can be read", e))?;
        if let Some(field) = unpublished(state, connection, &message) {
            let text = format!("{field} left over {over} in {message:?}");
            return Err(Broken::new("only published fields leave the org", text));
        }
    }
    Ok(())
}

/// A field of a message that is not published now.
fn unpublished(state: &State, connection: &Connection, message: &Message) -> Option<FieldName> {
    let hidden = |object: Option<&ObjectName>, mut fields: Box<dyn Iterator<Item = &FieldName> + '_>| {
        let rule = object.and_then(|object| connection.publish.get(object));
        fields.find(|field| rule.is_none_or(|rule| !rule.fields.contains(field))).cloned()
    };
    let of_share = |share: ShareId| {
        let record = connection.shares.get(&share)?.record?;
        state.records.get(&record).map(|record| &record.object)
    };
    match message {
        Message::Offer(offer) => hidden(Some(&offer.object), Box::new(offer.preview.keys())),
        Message::Grant(grant) => hidden(Some(&grant.object), Box::new(grant.content.values.keys())),
        Message::ChildGrant(grant) => hidden(Some(&grant.object), Box::new(grant.content.values.keys())),
        Message::Snapshot(snapshot) => {
            hidden(of_share(snapshot.share), Box::new(snapshot.content.values.keys()))
        }
        Message::Change(change) => hidden(of_share(change.share), Box::new(change.content.values.keys())),
        // What is said of a message names the fields of whoever sent that message.
        Message::OutcomeReport(report) => report.details.iter().find_map(|d| foreign(state, d)),
        Message::Settled(settled) => foreign(state, &settled.detail),
        _ => None,
    }
}

/// A field of an outcome that is one of ours: the dialects have no name in common, but for standard objects.
fn foreign(state: &State, detail: &OutcomeDetail) -> Option<FieldName> {
    let ours = |field: &&FieldName| {
        state.objects.values().any(|o| o.name.is_custom() && o.field(field.as_str()).is_some())
    };
    detail.reasons.iter().filter_map(|reason| reason.field.as_ref()).find(ours).cloned()
}
