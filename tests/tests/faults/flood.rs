//! Floods: of frames that are no good, and of good changes from one partner while another waits.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tieline_bus::seal::seal_frame;
use tieline_core::Position;
use tieline_core::frame::FrameHeader;
use tieline_tests::forge::{Forge, following};
use tieline_tests::fuzz::{corpus_dir, mutate};
use tieline_tests::load::Load;
use tieline_tests::loaded::{Lives, MEMORY_MAX, standard_check};
use tieline_tests::pair::{
    Pair, broker_for, create, forward, share_leads, stop_and_check, until_value, update,
};
use tieline_tests::process::{OrgProcess, connect, eventually};
use tieline_tests::sim::Rng;

/// Frames of the flood; `TIELINE_FLOOD` makes it longer.
const FRAMES: u64 = 2_000;
/// How much more memory a flood may take.
const MEMORY_MORE: u64 = 64 << 20;
/// How long a change of a quiet partner may take while another one floods.
const PATIENT: Duration = Duration::from_secs(5);
/// Changes of the quiet partner.
const QUIET_CHANGES: usize = 25;

fn frames() -> u64 {
    std::env::var("TIELINE_FLOOD").ok().and_then(|text| text.parse().ok()).unwrap_or(FRAMES)
}

fn noise(rng: &mut Rng, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|_| u8::try_from(rng.below(256)).unwrap()).collect()
}

/// A frame that nobody should take.
fn bad_frame(forge: &Forge, real: &[Vec<u8>], last: &FrameHeader, rng: &mut Rng) -> Vec<u8> {
    let mut frame = rng.pick(real).unwrap().clone();
    match rng.below(10) {
        0..5 => {
            for _ in 0..=rng.below(8) {
                let at = rng.index(frame.len());
                frame[at] ^= 1 << rng.below(8);
            }
            frame
        }
        5 => frame[..rng.index(frame.len())].to_vec(),
        6 => {
            let more = 1 + rng.index(2_000);
            frame.extend(noise(rng, more));
            frame
        }
        7 => {
            let bytes = rng.index(60_000);
            noise(rng, bytes)
        }
        // Sealed right: a header that is no header, a chain of nested things, a length that lies.
        8 => {
            let header = match rng.below(3) {
                0 => [0x91].repeat(3_000),
                1 => vec![0xdd, 0xff, 0xff, 0xff, 0xff],
                _ => noise(rng, 200),
            };
            seal_frame(&forge.keys.sending, &header, &noise(rng, 50)).unwrap()
        }
        _ => {
            let ahead = 2 + rng.below(1_000_000);
            let header = FrameHeader { first: Position(last.last().0 + ahead), ..following(last, 1) };
            forge.seal(&header, &noise(rng, 100))
        }
    }
}

#[test]
fn a_flood_of_bad_frames_is_refused_in_bounded_memory_and_good_changes_pass() {
    let pair = Pair::start();
    let (lead, copy) = pair.share_lead("Curie");
    update(&pair.b.api, &copy, &json!({ "Rating": "Hot" }));
    update(&pair.a.api, &lead, &json!({ "City": "Paris" }));
    until_value(&pair.b.api, &copy, "City", "Paris");
    pair.until_settled();
    let forge = Forge::new(&pair.url(), &pair.a.home, &pair.b.home, &pair.url);
    let real: Vec<Vec<u8>> = forge.captured().iter().map(|frame| frame.to_vec()).collect();
    let last = forge.last_header();
    let refused = || pair.b.api.metric("tieline_frames_refused_total", &[]);
    let (memory, before) = (pair.b.memory_peak(), refused());
    let mut rng = Rng::new(0xf100d);
    let mut slowest = Duration::ZERO;
    for n in 0..frames() {
        let frame = bad_frame(&forge, &real, &last, &mut rng);
        if n % 10 == 9 && frame.len() < 4_000 {
            forge.heartbeat(frame);
        } else {
            forge.publish(frame);
        }
        if n % 250 == 249 {
            let (city, begun) = (format!("City {n}"), Instant::now());
            update(&pair.a.api, &lead, &json!({ "City": city }));
            until_value(&pair.b.api, &copy, "City", city);
            slowest = slowest.max(begun.elapsed());
        }
    }
    // A ring forgets its oldest frames, and a bit may hit what nobody looks at: not all are refused.
    let most = frames() as f64 / 2.0;
    eventually("the flood refused", || (refused() - before > most).then_some(()));
    let more = pair.b.memory_peak() - memory;
    eprintln!("{} frames: {more} bytes more, the slowest good change took {slowest:?}", frames());
    assert!(more < MEMORY_MORE, "{more} bytes more");
    drop(forge);
    pair.until_same(&lead, &copy);
    standard_check(pair, Lives::One);
}

/// Where bodies of requests are sent.
const WRITES: [(&str, &str); 14] = [
    ("POST", "/v1/batch"),
    ("POST", "/v1/records/Lead"),
    ("PATCH", "/v1/records/Lead/tp15g1x500y1tr8aywjkm422rw"),
    ("POST", "/v1/shares"),
    ("POST", "/v1/shares/stop"),
    ("POST", "/v1/users"),
    ("PUT", "/v1/roles/fuzzed"),
    ("PUT", "/v1/groups/fuzzed"),
    ("PUT", "/v1/connections/globex/publish/Lead"),
    ("PUT", "/v1/connections/globex/subscribe/Lead"),
    ("POST", "/v1/invitations"),
    ("POST", "/v1/invitations/answer"),
    ("POST", "/v1/inbox/accept"),
    ("PUT", "/v1/objects"),
];

#[test]
fn requests_that_were_changed_by_chance_are_answered_and_harm_nothing() {
    let mut org = OrgProcess::make("acme");
    org.start("127.0.0.1:9");
    let inputs = mutate::corpus(&corpus_dir(), "http");
    let asked = std::cell::Cell::new(0_usize);
    mutate::drive("http", &inputs, |bytes| {
        let number = asked.get();
        asked.set(number + 1);
        let (method, path) = WRITES[number % WRITES.len()];
        let kind = if path == "/v1/objects" { "application/toml" } else { "application/json" };
        let headers = [("authorization", "Bearer tl_test"), ("content-type", kind)];
        let answer = org.api.raw(method, path, &headers, bytes);
        assert!((200..500).contains(&answer.status), "{method} {path}: {answer:?}");
    });
    assert!(org.api.get("/healthz").is_ok());
    assert!(org.memory_peak() < MEMORY_MAX);
    stop_and_check(&mut org);
}

#[test]
fn a_partner_that_floods_does_not_keep_another_one_waiting() {
    let (mut a, mut quiet, mut loud) =
        (OrgProcess::make("acme"), OrgProcess::make("globex"), OrgProcess::make("initech"));
    let mut broker = broker_for([&a.home, &quiet.home, &loud.home]);
    broker.restart().unwrap();
    for org in [&mut a, &mut quiet, &mut loud] {
        org.start(&broker.url());
    }
    let shared = |org: &OrgProcess, count: usize| {
        let id = connect(&a.api, &org.api);
        share_leads(&org.api, &a.api, &id, true);
        let leads: Vec<String> = (0..count)
            .map(|n| {
                create(&org.api, &json!({ "LastName": format!("{} {n}", org.home.name), "Company": "X" }))
            })
            .collect();
        for lead in &leads {
            forward(&org.api, &id, lead);
        }
        let of = |name: &str| {
            a.api.until("a copy", &format!("/v1/records/Lead?LastName={name}"), |seen| {
                seen["records"][0]["id"].as_str().map(str::to_owned)
            })
        };
        let copies: Vec<String> = (0..count).map(|n| of(&format!("{}%20{n}", org.home.name))).collect();
        (leads, copies)
    };
    let (leads, copies) = shared(&quiet, 1);
    let (loud_leads, _) = shared(&loud, 50);
    let api = loud.api.clone();
    let flood = Load::start((), move |(), round| {
        let text = format!("{round} {}", "flood ".repeat(500));
        let operations: Vec<Json> = loud_leads
            .iter()
            .map(
                |id| json!({ "op": "update", "object": "Lead", "id": id, "fields": { "Description": text } }),
            )
            .collect();
        api.send("POST", "/v1/batch", &json!({ "operations": operations })).is_ok()
    });
    flood.wait_for(5);
    let mut took: Vec<Duration> = (0..QUIET_CHANGES)
        .map(|n| {
            let (city, begun) = (format!("City {n}"), Instant::now());
            update(&quiet.api, &leads[0], &json!({ "City": city }));
            until_value(&a.api, &copies[0], "City", city);
            begun.elapsed()
        })
        .collect();
    flood.wait_for(1);
    flood.finish();
    took.sort();
    eprintln!("beside a flood: median {:?}, slowest {:?}", took[QUIET_CHANGES / 2], took[QUIET_CHANGES - 1]);
    assert!(took[QUIET_CHANGES - 1] < PATIENT, "{took:?}");
    for org in [&mut a, &mut quiet, &mut loud] {
        stop_and_check(org);
    }
}
