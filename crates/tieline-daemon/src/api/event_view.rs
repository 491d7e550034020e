//! An event of the log as the API shows it: for people and tools, without secrets.
//!
//! Hashes of tokens and of the secrets of invitations are never shown: whoever has the latter can
//! read what the connection's keys are made of. Received messages are shown decoded.

use serde::Serialize;
use serde_json::{Map, Value as Json, json};
use tieline_core::event::{Event, PendingValue, Received};
use tieline_core::log::StoredEvent;
use tieline_core::message::Message;
use tieline_core::value::Value;
use tieline_core::vecmap::VecMap;
use tieline_core::{ConnectionId, FieldName, RecordId};
use utoipa::ToSchema;

use super::values::values_json;

/// What stands in place of a secret.
const REDACTED: &str = "redacted";

/// One event of the log.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct EventView {
    /// Its number.
    pub(crate) seq: u64,
    /// When its command was decided.
    time: String,
    /// Its kind, as a number.
    kind: u16,
    /// The name of its kind.
    pub(crate) name: &'static str,
    /// What it says. Moments in it are microseconds since 1970.
    #[schema(value_type = serde_json::Value)]
    pub(crate) body: Json,
}

/// What an event is about, for filters.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct About {
    pub(crate) connection: Option<ConnectionId>,
    pub(crate) record: Option<RecordId>,
}

impl EventView {
    /// The event as it is shown. One that cannot be decoded shows why.
    pub(crate) fn of(stored: StoredEvent<'_>) -> Self {
        let body = match Event::decode(stored.kind, stored.body) {
            Ok(event) => shown(&event),
            Err(error) => json!({ "undecodable": error.to_string() }),
        };
        Self {
            seq: stored.seq.0,
            time: stored.time.to_string(),
            kind: stored.kind,
            name: Event::kind_name(stored.kind),
            body,
        }
    }

    /// Whether the event is about these.
    pub(crate) fn is_about(&self, about: About) -> bool {
        let connection = about.connection.is_none_or(|id| names_connection(&self.body, &id.to_string()));
        connection && about.record.is_none_or(|id| self.body["record"] == id.to_string())
    }
}

/// Where events name connections.
fn names_connection(body: &Json, id: &str) -> bool {
    let places =
        ["/connection", "/delivery/connection", "/origin/connection"].map(|place| body.pointer(place));
    let deliveries = body["deliveries"].as_array().into_iter().flatten().map(|d| d.get("connection"));
    let kinds = body["kind"].as_object().into_iter().flat_map(Map::values).map(|kind| kind.get("connection"));
    let pending = body["values"].as_object().into_iter().flat_map(Map::values);
    let pending = pending.map(|value| value.pointer("/origin/connection"));
    places.into_iter().chain(deliveries).chain(kinds).chain(pending).flatten().any(|found| found == id)
}

/// The body for people: plain values, decoded messages, no secrets.
fn shown(event: &Event) -> Json {
    let mut body = event.to_json();
    match event {
        Event::TokenIssued(_) | Event::TokenCreated(_) => put(&mut body, "/hash", json!(REDACTED)),
        Event::InvitationSent(_) => put(&mut body, "/secret_hash", json!(REDACTED)),
        Event::InvitationAnswered(_) => {
            put(&mut body, "/secret_hash", json!(REDACTED));
            hex(&mut body, "/public_key");
        }
        Event::InvitationPostponed(_) => {
            put(&mut body, "/invitation/secret_hash", json!(REDACTED));
            hex(&mut body, "/invitation/public_key");
        }
        Event::ConnectionEstablished(_)
        | Event::ConnectionDeclined(_)
        | Event::KeyAnnounced(_)
        | Event::KeyConfirmed(_)
        | Event::PartnerKeyChanged(_) => hex(&mut body, "/public_key"),
        Event::ConfigApplied(_) => {
            hex(&mut body, "/before");
            hex(&mut body, "/after");
        }
        Event::ObjectDefined(event) => {
            for (at, field) in event.schema.fields.iter().enumerate() {
                if let Some(default) = &field.default {
                    put(&mut body, &format!("/schema/fields/{at}/default"), default.to_json());
                }
            }
        }
        Event::RecordChanged(event) => put_values(&mut body, "/content/values", &event.content.values),
        Event::ValuesPending(event) => put(&mut body, "/values", pending(&event.values)),
        Event::ConflictNoted(event) => {
            for (name, lost) in event.fields.iter() {
                if let Some(lost) = lost {
                    put(&mut body, &format!("/fields/{name}/value"), lost.value.to_json());
                }
            }
        }
        Event::ShareOffered(event) => put_values(&mut body, "/preview", &event.preview),
        Event::OfferReceived(event) => put_values(&mut body, "/preview", &event.preview),
        Event::ChildGranted(event) => put_values(&mut body, "/content/values", &event.content.values),
        Event::ShareGranted(event) => put_values(&mut body, "/content/values", &event.content.values),
        Event::ShareLinked(event) => {
            if let Some(kept) = &event.kept {
                put_values(&mut body, "/kept/values", &kept.values);
            }
        }
        Event::SnapshotSent(event) => put_values(&mut body, "/content/values", &event.content.values),
        Event::Received(event) => put(&mut body, "/body", message(event)),
        Event::JobAdvanced(event) => {
            // A cursor has 128 bits, which JSON numbers do not.
            body = json!({
                "job": event.job,
                "cursor": event.cursor.map(|cursor| RecordId(cursor).to_string()),
                "done": event.done,
                "skipped": event.skipped,
                "reasons": event.reasons,
                "ended": event.ended,
            });
        }
        _ => {}
    }
    body
}

fn put(body: &mut Json, place: &str, value: Json) {
    if let Some(found) = body.pointer_mut(place) {
        *found = value;
    }
}

fn put_values(body: &mut Json, place: &str, values: &VecMap<FieldName, Value>) {
    put(body, place, Json::Object(values_json(values)));
}

/// 32 bytes as text.
fn hex(body: &mut Json, place: &str) {
    if let Some(found) = body.pointer_mut(place)
        && let Some(numbers) = found.as_array()
    {
        let bytes: Vec<u8> = numbers.iter().filter_map(|n| u8::try_from(n.as_u64()?).ok()).collect();
        *found = json!(data_encoding::HEXLOWER.encode(&bytes));
    }
}

fn pending(values: &VecMap<FieldName, Option<PendingValue>>) -> Json {
    let shown = values.iter().map(|(name, value)| {
        let mut body = serde_json::to_value(value).unwrap_or_default();
        if let Some(value) = value {
            put(&mut body, "/incoming", value.incoming.to_json());
        }
        (name.to_string(), body)
    });
    Json::Object(shown.collect())
}

/// A received message as it came, decoded.
fn message(received: &Received) -> Json {
    let name = Message::kind_name(received.kind);
    let Ok(message) = Message::decode(received.kind, &received.body) else {
        return json!({ "message": name, "undecodable_bytes": received.body.len() });
    };
    let mut body = message.to_json();
    match &message {
        Message::Offer(offer) => put_values(&mut body, "/preview", &offer.preview),
        Message::Grant(grant) => put_values(&mut body, "/content/values", &grant.content.values),
        Message::ChildGrant(grant) => put_values(&mut body, "/content/values", &grant.content.values),
        Message::Snapshot(snapshot) => put_values(&mut body, "/content/values", &snapshot.content.values),
        Message::Change(change) => put_values(&mut body, "/content/values", &change.content.values),
        _ => {}
    }
    if let Json::Object(body) = &mut body {
        body.insert("message".to_owned(), json!(name));
    }
    body
}

#[cfg(test)]
mod tests {
    use tieline_core::content::Content;
    use tieline_core::event::{
        Delivery, InvitationAnswered, InvitationPostponed, InvitationSent, JobAdvanced, Origin, RecordAction,
        RecordChanged, TokenIssued,
    };
    use tieline_core::frame::Chain;
    use tieline_core::invitation::ReceivedInvitation;
    use tieline_core::message::Change;
    use tieline_core::stamp::Stamp;
    use tieline_core::{JobId, Position, Seq, ShareId, Timestamp};

    use super::*;

    fn view(event: impl Into<Event>) -> EventView {
        let event = event.into();
        let mut body = Vec::new();
        event.encode_body(&mut body);
        let stored = StoredEvent {
            seq: Seq(7),
            time: Timestamp(0),
            kind: event.kind(),
            body: &body,
            last_in_group: true,
        };
        EventView::of(stored)
    }

    fn content() -> Content {
        let values = [
            ("Rating".parse().unwrap(), Value::picklist("Hot".into())),
            ("Name".parse().unwrap(), Value::text("Ng")),
        ];
        Content::of(values.into_iter().collect(), Stamp::new(Timestamp(1), tieline_core::OrgId(2)))
    }

    #[test]
    fn no_secret_is_shown() {
        let token = view(TokenIssued { user: "ann".parse().unwrap(), hash: [171; 32] });
        let sent = view(InvitationSent {
            connection: ConnectionId(1),
            secret_hash: [171; 32],
            expires: Timestamp(5),
            owner: "ann".parse().unwrap(),
            label: String::new(),
            contact: None,
            actor: None,
        });
        let answered = view(InvitationAnswered {
            connection: ConnectionId(1),
            inviter: "acme".parse().unwrap(),
            public_key: [1; 32],
            secret_hash: [171; 32],
            accept: true,
            owner: "ann".parse().unwrap(),
            label: String::new(),
            actor: None,
        });
        let postponed = view(InvitationPostponed {
            invitation: ReceivedInvitation {
                connection: ConnectionId(1),
                inviter: "acme".parse().unwrap(),
                public_key: [1; 32],
                secret_hash: [171; 32],
                expires: Timestamp(5),
            },
            actor: "ann".parse().unwrap(),
        });
        for shown in [&token, &sent, &answered, &postponed] {
            let text = serde_json::to_string(shown).unwrap();
            assert!(text.contains(REDACTED), "{text}");
            assert!(!text.contains("171") && !text.contains("abab"), "{text}");
        }
        assert_eq!(answered.body["public_key"], "01".repeat(32));
    }

    #[test]
    fn values_and_messages_are_plain() {
        let change = Message::from(Change { share: ShareId(3), generation: 1, content: content(), hops: 0 });
        let mut body = Vec::new();
        change.encode_body(&mut body);
        let received = view(Received {
            connection: ConnectionId(1),
            position: Position(2),
            seq: Seq(9),
            time: Timestamp(1),
            chain: Chain::default(),
            kind: change.kind(),
            body,
            outcome: None,
            share: None,
            record: None,
            reasons: Vec::new(),
            held_until: None,
            parent: None,
        });
        assert_eq!(received.name, "Received");
        assert_eq!(received.body["body"]["message"], "Change");
        assert_eq!(received.body["body"]["content"]["values"], json!({"Name": "Ng", "Rating": "Hot"}));
    }

    #[test]
    fn a_cursor_of_128_bits_is_shown() {
        let job = view(JobAdvanced {
            job: JobId(1),
            cursor: Some(u128::MAX),
            done: 3,
            skipped: 0,
            reasons: Vec::new(),
            ended: None,
        });
        assert_eq!(job.body["cursor"], RecordId(u128::MAX).to_string());
        assert_eq!(job.body["done"], 3);
    }

    #[test]
    fn events_are_found_by_connection_and_record() {
        let changed = view(RecordChanged {
            record: RecordId(5),
            object: "Lead".parse().unwrap(),
            action: RecordAction::Update,
            prev: Seq(1),
            actor: "ann".parse().unwrap(),
            owner: None,
            content: content(),
            origin: Some(Origin { connection: ConnectionId(1), mapping: 1 }),
            origins: VecMap::new(),
            received: VecMap::new(),
            deliveries: vec![Delivery {
                connection: ConnectionId(2),
                share: ShareId(1),
                generation: 1,
                position: Position(1),
                links: VecMap::new(),
            }],
            hops: 0,
            rule: None,
        });
        let about = |connection: Option<u128>, record: Option<u128>| About {
            connection: connection.map(ConnectionId),
            record: record.map(RecordId),
        };
        for (asked, found) in [
            (about(None, None), true),
            (about(Some(1), None), true),
            (about(Some(2), Some(5)), true),
            (about(Some(3), None), false),
            (about(Some(1), Some(6)), false),
        ] {
            assert_eq!(changed.is_about(asked), found, "{asked:?}");
        }
    }

    #[test]
    fn what_cannot_be_decoded_says_so() {
        let stored =
            StoredEvent { seq: Seq(1), time: Timestamp(0), kind: 30, body: b"\xc1", last_in_group: true };
        let view = EventView::of(stored);
        assert!(view.body["undecodable"].as_str().unwrap().contains("RecordChanged"), "{:?}", view.body);
    }
}
