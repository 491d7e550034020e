//! A partner with good keys and bad intentions: frames that are sealed right, at the right position,
//! and hold what nobody should send. The positions are taken, each message ends by itself, and the
//! real partner, when it is back, sees that something was sent in its name.

use serde_json::{Value as Json, json};
use tieline_core::content::Content;
use tieline_core::frame::{BodyWriter, FrameHeader};
use tieline_core::message::{Change, Envelope, Message, ShareStates};
use tieline_core::stamp::Stamp;
use tieline_core::value::Value;
use tieline_core::{OrgId, OrgName, RecordId, Seq, ShareId, Timestamp};
use tieline_tests::forge::{Forge, following};
use tieline_tests::live::{parse, text, values};

use crate::kit::{Pair, until_ready, until_value, update};

/// Speaks in the name of the first org, position after position.
struct Impostor {
    forge: Forge,
    last: FrameHeader,
    share: ShareId,
    org: OrgId,
}

impl Impostor {
    /// Sends one message of a kind with this body.
    fn say(&mut self, kind: u16, body: Vec<u8>) {
        let header = following(&self.last, 1);
        let envelope = Envelope { seq: Seq(7_000_000), time: header.clock, kind, body };
        let chain_after = header.chain_before.then(header.first, envelope.seq, envelope.time);
        let mut writer = BodyWriter::default();
        assert!(writer.push(&envelope));
        self.send(FrameHeader { chain_after, ..header }, &writer.finish());
    }

    fn send(&mut self, header: FrameHeader, body: &[u8]) {
        self.forge.publish(self.forge.seal(&header, body));
        self.last = header;
    }

    fn tell(&mut self, message: impl Into<Message>) {
        let message = message.into();
        let mut body = Vec::new();
        message.encode_body(&mut body);
        self.say(message.kind(), body);
    }

    /// A change of the shared lead, written so many µs from now.
    fn change(&self, share: ShareId, field: &str, value: Value, ahead_us: i64) -> Change {
        let time: Timestamp = tieline_daemon::clock::now().plus_us(ahead_us);
        let content = Content::of(values(&[(field, value)]), Stamp::new(time, self.org));
        Change { share, generation: 1, content, hops: 0 }
    }
}

const MALFORMED: &str = "malformed";

#[test]
fn a_sealed_frame_with_nonsense_ends_by_itself_and_the_next_one_is_taken() {
    let mut pair = Pair::start();
    let (lead, copy) = pair.share_lead("Curie");
    let (other_lead, other_copy) = pair.share_lead("Meitner");
    update(&pair.a.api, &lead, &json!({ "City": "Paris" }));
    until_value(&pair.b.api, &copy, "City", "Paris");
    pair.until_settled();
    pair.a.stop();

    let forge = Forge::new(&pair.url(), &pair.a.home, &pair.b.home, &pair.url);
    let acme: OrgName = parse("acme");
    let share_of = |lead: &str| ShareId::derive(forge.connection, &acme, parse(lead));
    let (share, other) = (share_of(&lead), share_of(&other_lead));
    let (last, org) = (forge.last_header(), OrgId::from(&acme));
    let mut impostor = Impostor { forge, last, share, org };
    let before = counts(&pair);

    // Three positions in one frame whose body is not messages at all.
    let header = following(&impostor.last, 3);
    impostor.send(header, &[0xa5; 64]);
    // A nest that would overflow the stack of a decoder, a map that is cut off, noise.
    for body in [[0x91].repeat(400_000), vec![0xde, 0xff, 0xff, 0x01], vec![0xc1; 100], Vec::new()] {
        impostor.say(4, body);
    }
    // Kinds of tomorrow: counted and not. A control message that cannot be read.
    impostor.say(33, vec![0x80]);
    impostor.say(99, vec![0x80]);
    impostor.say(64, vec![0xc1]);
    // States that end before they begin; a share that nobody knows; a value that no text can be;
    // one that is too long; a field that does not exist; a moment in the far future.
    impostor.tell(ShareStates { after: Some(ShareId(9)), upto: Some(ShareId(3)), entries: Vec::new() });
    impostor.tell(impostor.change(ShareId(5), "City", text("nowhere"), 0));
    impostor.tell(impostor.change(impostor.share, "City", Value::Reference(RecordId(5)), 0));
    impostor.tell(impostor.change(impostor.share, "City", text(&"x".repeat(41)), 0));
    impostor.tell(impostor.change(impostor.share, "Nonesuch", text("x"), 0));
    impostor.tell(impostor.change(other, "Website", text("https://later.example"), 86_400_000_000));
    // And something good.
    impostor.tell(impostor.change(impostor.share, "City", text("forged, but well"), 0));
    until_value(&pair.b.api, &copy, "City", "forged, but well");

    let after = counts(&pair);
    let more = |outcome: &str| after[outcome].as_u64().unwrap() - before[outcome].as_u64().unwrap();
    // Of 17 messages three are control and are not counted.
    assert_eq!(more("received"), 14, "{after}");
    let ends = ["rejected", "filtered", "held", "applied", "unchanged", "superseded"].map(more);
    assert_eq!(ends, [9, 3, 1, 1, 0, 0], "{after}");
    let failures = pair.b.api.get("/v1/failures").unwrap();
    let malformed =
        crate::kit::list(&failures["failures"]).filter(|failure| failure["reasons"][0]["code"] == MALFORMED);
    assert_eq!(malformed.count(), 7, "{failures}");
    drop(impostor);

    // The partner is back and hears of messages that it never sent: it takes its own log for
    // shortened, and both reconcile.
    pair.a.start(&pair.broker.url());
    pair.a
        .api
        .until("the alarm", "/v1/alarms", |seen| (seen["alarms"][0]["code"] == "log_restored").then_some(()));
    update(&pair.a.api, &lead, &json!({ "City": "true again" }));
    until_value(&pair.b.api, &copy, "City", "true again");
    update(&pair.b.api, &copy, &json!({ "Rating": "Hot" }));
    until_value(&pair.a.api, &lead, "Rating", "Hot");
    until_ready(&pair.a.api);
    until_ready(&pair.b.api);
    pair.until_same(&lead, &copy);
    pair.until_same(&other_lead, &other_copy);
    pair.finish();
}

/// How the messages that the second org received have ended.
fn counts(pair: &Pair) -> Json {
    pair.b.api.get(&format!("/v1/connections/{}", pair.id)).unwrap()["summary"]["received"].clone()
}
