//! Frames that are no good, from whoever can write into a ring: each is refused by its code, counted
//! and logged, and what is good goes on.

use std::cell::Cell;

use serde_json::json;
use tieline_bus::seal::seal_frame;
use tieline_core::frame::{BodyWriter, Chain, FrameHeader};
use tieline_core::message::{Envelope, Void};
use tieline_core::{Incarnation, Position, Seq};
use tieline_tests::forge::{Forge, following, header};
use tieline_tests::process::{OrgProcess, connect_by_url, eventually};
use tieline_tests::sim::Rng;

use crate::kit::{Pair, broker_for, create, share_leads, until_value, update};

/// A pair, a forge with the keys of its first org, and a count of what was refused.
struct Attack {
    pair: Pair,
    forge: Forge,
    lead: String,
    copy: String,
    edits: Cell<u32>,
}

impl Attack {
    fn on(pair: Pair) -> Self {
        let (lead, copy) = pair.share_lead("Curie");
        update(&pair.a.api, &lead, &json!({ "City": "Paris" }));
        until_value(&pair.b.api, &copy, "City", "Paris");
        pair.until_settled();
        let forge = Forge::new(&pair.broker.url(), &pair.a.home, &pair.b.home, &pair.url);
        Self { pair, forge, lead, copy, edits: Cell::new(0) }
    }

    fn refused(&self, code: &str) -> f64 {
        self.pair.b.api.metric("tieline_frames_refused_total", &[("code", code)])
    }

    fn refused_at_all(&self) -> f64 {
        self.pair.b.api.metric("tieline_frames_refused_total", &[])
    }

    /// Publishes a frame, which has to be refused with this code, counted and logged.
    fn refuse(&self, what: &str, frame: Vec<u8>, code: &str) {
        let before = self.refused(code);
        self.forge.publish(frame);
        eventually(&format!("{what} refused as {code}"), || (self.refused(code) > before).then_some(()));
        let logged = format!("code=\"{code}\"");
        assert!(self.pair.b.log().contains(&logged), "{what} is not logged by its code {code}");
        self.goes_on();
    }

    /// A good change arrives all the same.
    fn goes_on(&self) {
        self.edits.set(self.edits.get() + 1);
        let city = format!("City {}", self.edits.get());
        update(&self.pair.a.api, &self.lead, &json!({ "City": city }));
        until_value(&self.pair.b.api, &self.copy, "City", city);
    }

    /// Ends it: nothing was lost, nothing came twice, nobody took alarm.
    fn finish(self) {
        let Self { pair, forge, lead, copy, .. } = self;
        drop(forge);
        pair.until_same(&lead, &copy);
        for org in [&pair.a, &pair.b] {
            assert_eq!(org.api.get("/v1/alarms").unwrap()["alarms"], json!([]));
        }
        pair.finish();
    }
}

/// The body of a frame with one harmless message, and the chain after it.
fn one_message(at: &FrameHeader) -> (Vec<u8>, Chain) {
    let envelope = Envelope::new(Seq(1), at.clock, &Void {}.into());
    let mut body = BodyWriter::default();
    assert!(body.push(&envelope));
    (body.finish(), at.chain_before.then(at.first, envelope.seq, envelope.time))
}

#[test]
fn bytes_that_are_no_whole_frame_are_refused_by_their_code() {
    let attack = Attack::on(Pair::start());
    let real = attack.forge.captured().pop().unwrap().to_vec();
    let header_bytes = usize::from(u16::from_le_bytes([real[3], real[4]]));

    for (length, code) in [
        (0, "truncated"),
        (1, "truncated"),
        (4, "truncated"),
        (5, "truncated"),
        (5 + header_bytes / 2, "truncated"),
        (5 + header_bytes + 10, "truncated"),
        (5 + header_bytes + 30, "truncated"),
        (real.len() - 1, "bad_seal"),
    ] {
        attack.refuse(&format!("a frame cut after {length} bytes"), real[..length].to_vec(), code);
    }
    let with = |at: usize, byte: u8| {
        let mut frame = real.clone();
        frame[at] = byte;
        frame
    };
    for (what, frame, code) in [
        ("another magic", with(0, b'X'), "version"),
        ("a future version", with(1, 2), "version"),
        ("a flag that nobody knows", with(2, 0x80), "version"),
        ("a header that is too long", with(4, 0xff), "too_large"),
        ("bytes after its end", [real.clone(), b"more".to_vec()].concat(), "bad_seal"),
        ("a megabyte of noise", noise(1 << 20), "version"),
        ("a megabyte behind a good prefix", [real[..5].to_vec(), noise(1 << 20)].concat(), "bad_header"),
    ] {
        attack.refuse(what, frame, code);
    }
    // A bit can hit anything; every flip is refused by one code or another.
    let mut rng = Rng::new(0xb17);
    for _ in 0..24 {
        let (mut frame, at) = (real.clone(), rng.index(real.len()));
        frame[at] ^= 1 << rng.below(8);
        let before = attack.refused_at_all();
        attack.forge.publish(frame);
        eventually(&format!("byte {at} refused"), || (attack.refused_at_all() > before).then_some(()));
    }
    attack.goes_on();
    attack.finish();
}

fn noise(bytes: usize) -> Vec<u8> {
    let mut rng = Rng::new(7);
    // The first byte decides what it is taken for: never a frame.
    std::iter::once(0).chain((1..bytes).map(|_| rng.below(256) as u8)).collect()
}

#[test]
fn sealed_frames_that_do_not_belong_where_they_are_are_refused_by_their_code() {
    let attack = Attack::on(Pair::start());
    let forge = &attack.forge;
    let last = || forge.last_header();
    let one = |header: FrameHeader| {
        let (body, chain_after) = one_message(&header);
        forge.seal(&FrameHeader { chain_after, ..header }, &body)
    };

    let real = forge.captured();
    assert!(real.len() > 2, "{} frames came from the org itself", real.len());

    let next = following(&last(), 1);
    let wrong_key = seal_frame(&forge.keys.receiving, &next.encode(), b"").unwrap();
    attack.refuse("a seal with another key", wrong_key, "bad_seal");
    attack.refuse(
        "a key that nobody knows",
        one(FrameHeader { key: next.key ^ 1, ..following(&last(), 1) }),
        "unknown_key",
    );
    attack.refuse("a later header", one(FrameHeader { version: 2, ..following(&last(), 1) }), "version");
    attack.refuse(
        "too many messages",
        one(FrameHeader { count: 5_000, ..following(&last(), 1) }),
        "bad_body",
    );
    let route = |from: &str| FrameHeader { from: from.parse().unwrap(), ..following(&last(), 1) };
    attack.refuse("the name of another org", one(route("initech")), "wrong_route");
    let bomb = [0x91].repeat(3_000);
    attack.refuse("a header that nests", seal_frame(&forge.keys.sending, &bomb, b"").unwrap(), "bad_header");
    let older = Incarnation(last().from_incarnation.0 - 1);
    attack.refuse(
        "an older life",
        one(FrameHeader { from_incarnation: older, ..following(&last(), 1) }),
        "older_incarnation",
    );
    let beyond = Position(last().last().0 + 4);
    attack.refuse(
        "positions beyond a gap",
        one(FrameHeader { first: beyond, ..following(&last(), 1) }),
        "gap",
    );
    let chain_before = Chain(last().chain_after.0 ^ 1);
    attack.refuse(
        "another history",
        one(FrameHeader { chain_before, ..following(&last(), 1) }),
        "wrong_chain",
    );

    // Frames that were taken before are passed over: nothing happens twice.
    let received = |pair: &Pair| {
        pair.b.api.get(&format!("/v1/connections/{}", pair.id)).unwrap()["inbound"]["received"].clone()
    };
    attack.pair.until_settled();
    let before = (received(&attack.pair), attack.refused_at_all());
    for frame in real {
        forge.publish(frame);
    }
    forge.heartbeat(forge.seal(&following(&last(), 0), b""));
    attack.pair.until_settled();
    assert_eq!((received(&attack.pair), attack.refused_at_all()), before);
    attack.goes_on();
    attack.finish();
}

#[test]
fn frames_of_another_connection_and_of_another_org_change_nothing() {
    let (mut a, mut b, mut c) =
        (OrgProcess::make("acme"), OrgProcess::make("globex"), OrgProcess::make("initech"));
    let mut broker = broker_for([&a.home, &b.home, &c.home]);
    broker.restart().unwrap();
    for org in [&mut a, &mut b, &mut c] {
        org.start(&broker.url());
    }
    let (id, url) = connect_by_url(&a.api, &b.api);
    let (second, second_url) = connect_by_url(&a.api, &b.api);
    for id in [&id, &second] {
        share_leads(&a.api, &b.api, id, true);
    }
    share_leads(&b.api, &a.api, &id, true);
    let attack = Attack::on(Pair { broker, a, b, id, url });

    // A frame of one connection does not open on another of the same two orgs.
    let other = Forge::new(&attack.pair.url(), &attack.pair.a.home, &attack.pair.b.home, &second_url);
    let lead = create(&attack.pair.a.api, &json!({ "LastName": "Meitner", "Company": "KWI" }));
    crate::kit::forward(&attack.pair.a.api, &second, &lead);
    attack.pair.b.api.until("the other lead", "/v1/records/Lead?LastName=Meitner", |seen| {
        seen["records"][0]["id"].as_str().map(drop)
    });
    let foreign = other.captured().pop().unwrap();
    drop(other);
    attack.refuse("a frame of another connection", foreign.to_vec(), "unknown_key");

    // A third org cannot reach the ring of a connection that is not its own, and its heartbeats
    // are no word of the partner's, even if the partner sealed them.
    let farewell = FrameHeader { deactivated: true, ..following(&attack.forge.last_header(), 0) };
    let farewell = attack.forge.seal(&farewell, b"");
    let real = attack.forge.captured().pop().unwrap();
    assert!(header(&real).count > 0);
    let before = attack.refused("wrong_route");
    let stored = attack.forge.stranger(&attack.pair.url(), &c.home, &real, &farewell);
    assert!(!stored, "a stranger's frame is stored nowhere");
    eventually("the stranger's heartbeat refused", || (attack.refused("wrong_route") > before).then_some(()));
    attack.goes_on();
    c.stop();
    attack.finish();
}
