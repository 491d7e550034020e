//! Networks that part, fall silent, flap, cut frames in the middle and are slow; orgs that stand still
//! for longer than anybody waits; a broker that is away while much is written.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tieline_tests::loaded::{Lives, Loaded, MEMORY_MAX, Weight, standard_check};
use tieline_tests::pair::{Pair, broker_for, list, until_ready, until_value, update};
use tieline_tests::process::OrgProcess;
use tieline_tests::proxy::{Proxy, Way};
use tieline_tests::sim::Rng;

/// How soon both are connected again after the network is. On a quiet machine it takes two seconds.
const RECONNECTED_WITHIN: Duration = Duration::from_secs(30);
/// Changes that wait while the broker is away.
const BACKLOG: usize = 6_000;

/// A pair whose orgs reach the broker over a proxy each.
fn over_proxies() -> (Pair, Proxy, Proxy) {
    let (a, b) = (OrgProcess::make("acme"), OrgProcess::make("globex"));
    let mut broker = broker_for([&a.home, &b.home]);
    broker.restart().unwrap();
    let (to_a, to_b) = (Proxy::before(&broker.url()), Proxy::before(&broker.url()));
    let pair = Pair::over(broker, a, b, [&to_a.url(), &to_b.url()]);
    (pair, to_a, to_b)
}

#[test]
fn partitions_of_every_kind_cost_nothing() {
    let (pair, to_a, to_b) = over_proxies();
    let loaded = Loaded::on(pair, Weight::default());
    let cut: [(&str, &dyn Fn()); 7] = [
        ("one org is alone", &|| to_a.partition()),
        ("the other is alone", &|| to_b.partition()),
        ("both are alone", &|| {
            to_a.partition();
            to_b.partition();
        }),
        ("nothing is carried, nothing breaks off", &|| to_a.ways(Way::Stalled, Way::Stalled)),
        ("what it says is not heard", &|| to_b.ways(Way::Stalled, Way::Open)),
        ("it hears nothing", &|| to_b.ways(Way::Open, Way::Stalled)),
        ("the link flaps", &|| {
            for _ in 0..5 {
                to_a.cut();
                to_b.cut();
                loaded.wait_for(1);
            }
        }),
    ];
    for (what, cut) in cut {
        loaded.wait_for(2);
        cut();
        // Both take what people write all the while.
        loaded.wait_for(4);
        to_a.heal();
        to_b.heal();
        let healed = Instant::now();
        until_ready(&loaded.pair.a.api);
        until_ready(&loaded.pair.b.api);
        assert!(healed.elapsed() < RECONNECTED_WITHIN, "{what}: {:?} after it was over", healed.elapsed());
    }
    loaded.finish();
}

#[test]
fn a_link_that_cuts_frames_in_the_middle_and_is_slow_applies_each_change_once() {
    let (pair, to_a, to_b) = over_proxies();
    let loaded = Loaded::on(pair, Weight { pad: 2_000 });
    let mut rng = Rng::new(0x1d1e);
    for n in 0..10 {
        let proxy = if n % 2 == 0 { &to_b } else { &to_a };
        let (before, connections) = (proxy.carried(), proxy.connections());
        // Most of it is frames: the cut falls within one, and the ring is read again from its start.
        proxy.cut_after(rng.below(60_000));
        tieline_tests::process::eventually("another connection", || {
            (proxy.connections() > connections).then_some(())
        });
        assert!(proxy.carried() > before);
    }
    until_ready(&loaded.pair.a.api);
    until_ready(&loaded.pair.b.api);
    to_b.ways(Way::Slow(64 << 10), Way::Slow(64 << 10));
    loaded.wait_for(10);
    to_b.heal();
    // It was read more than once, or nothing was tried.
    let frames = |org: &OrgProcess, direction| {
        org.api.metric("tieline_frame_bytes_total", &[("direction", direction)])
    };
    let (sent, taken) = (frames(&loaded.pair.a, "out"), frames(&loaded.pair.b, "in"));
    assert!(taken > sent, "{taken} bytes of frames were taken and {sent} sent: nothing came twice");
    loaded.finish();
}

/// Live changes do not wait behind wide work: on a slow link a change arrives long before the load that was begun
/// before it.
#[test]
fn a_live_change_overtakes_a_load_that_was_begun_before_it() {
    const LOADED: usize = 4_000;
    let (pair, to_a, _to_b) = over_proxies();
    let (lead, copy) = pair.share_lead("live");
    let mut leads = Vec::new();
    for chunk in 0..LOADED / 1_000 {
        let create = |n| json!({ "op": "create", "object": "Lead", "fields": { "LastName": format!("{chunk} {n}"), "Company": "X" } });
        let operations: Vec<Json> = (0..1_000).map(create).collect();
        let made = pair.a.api.must("POST", "/v1/batch", &json!({ "operations": operations }));
        leads.extend(list(&made["results"]).map(|made| made["id"].as_str().unwrap().to_owned()));
    }
    pair.until_settled();
    to_a.ways(Way::Slow(256 << 10), Way::Slow(256 << 10));
    let body = json!({ "connections": [pair.id], "object": "Lead", "all": true });
    pair.a.api.must("POST", "/v1/shares", &body);
    let here = || pair.b.api.metric("tieline_records", &[("object", "Lead")]);
    let begun = tieline_tests::process::eventually("the load to begin", || {
        Some(here()).filter(|count| *count > 50.0)
    });
    for n in 0..5 {
        update(&pair.a.api, &lead, &json!({ "City": format!("live {n}") }));
        until_value(&pair.b.api, &copy, "City", format!("live {n}"));
    }
    let now = here();
    eprintln!("{begun} records when the first live change was made, {now} when the last one was there");
    assert!(now < LOADED as f64 / 2.0, "{now} records of the load were there first");
    to_a.heal();
    pair.until_settled();
    standard_check(pair, Lives::One);
}

#[test]
fn edits_of_the_same_fields_on_both_sides_of_a_partition_end_the_same() {
    let (pair, to_a, to_b) = over_proxies();
    let mut leads = Vec::new();
    for n in 0..5 {
        leads.push(pair.share_lead(&format!("Lead {n}")));
    }
    pair.until_settled();
    for round in 0..3 {
        to_a.partition();
        to_b.partition();
        for (n, (lead, copy)) in leads.iter().enumerate() {
            // Several edits of each, in another order for each lead.
            for k in 0..3 {
                let rating = ["Hot", "Warm", "Cold"][(n + k) % 3];
                let fields =
                    |side: &str| json!({ "City": format!("{side} {round} {n} {k}"), "Rating": rating });
                if (n + k) % 2 == 0 {
                    update(&pair.a.api, lead, &fields("a"));
                    update(&pair.b.api, copy, &fields("b"));
                } else {
                    update(&pair.b.api, copy, &fields("b"));
                    update(&pair.a.api, lead, &fields("a"));
                }
            }
        }
        to_a.heal();
        to_b.heal();
        until_ready(&pair.a.api);
        until_ready(&pair.b.api);
        pair.until_settled();
        for (n, (lead, copy)) in leads.iter().enumerate() {
            pair.until_same(lead, copy);
            // The last edit of all has won, wherever it was made: the sides took turns.
            let last = if (n + 2) % 2 == 0 { "b" } else { "a" };
            until_value(&pair.a.api, lead, "City", format!("{last} {round} {n} 2"));
        }
    }
    standard_check(pair, Lives::One);
}

#[test]
fn a_daemon_that_stood_still_for_longer_than_anybody_waits_applies_nothing_twice() {
    let loaded = Loaded::start();
    for (at_a, long) in [(true, false), (false, true), (true, false)] {
        loaded.wait_for(2);
        let (still, goes) =
            if at_a { (&loaded.pair.a, &loaded.pair.b) } else { (&loaded.pair.b, &loaded.pair.a) };
        still.freeze();
        if long {
            // The other side hears nothing until it says so.
            goes.api.until_answer("silence named", "/readyz", |answer| {
                let problem = answer.as_ref().err()?;
                problem.body["connections"][0]["cause"].as_str().map(drop)
            });
        }
        (if at_a { &loaded.at_b } else { &loaded.at_a }).wait_for(5);
        still.thaw();
        until_ready(&still.api);
        until_ready(&goes.api);
    }
    loaded.wait_for(3);
    loaded.finish();
}

#[test]
fn much_that_was_written_while_the_broker_was_away_drains_in_bounded_memory() {
    let mut pair = Pair::start();
    let leads: Vec<(String, String)> = (0..20).map(|n| pair.share_lead(&format!("Lead {n}"))).collect();
    pair.until_settled();
    pair.broker.kill9();
    let mut number = 0;
    while number < BACKLOG {
        let operations: Vec<Json> = (0..1_000)
            .map(|n| {
                let id = &leads[n % leads.len()].0;
                number += 1;
                json!({ "op": "update", "object": "Lead", "id": id, "fields": { "City": format!("city {number}") } })
            })
            .collect();
        let answer = pair.a.api.must("POST", "/v1/batch", &json!({ "operations": operations }));
        assert!(list(&answer["results"]).all(|result| result["ok"] == true), "{answer:.300}");
    }
    let before = pair.a.memory_peak();
    assert!(before < MEMORY_MAX, "{before} bytes for {BACKLOG} changes");
    pair.broker.restart().unwrap();
    let healed = Instant::now();
    pair.until_settled();
    eprintln!("{BACKLOG} changes drained {:?} after the broker was back", healed.elapsed());
    for (lead, copy) in &leads {
        pair.until_same(lead, copy);
    }
    standard_check(pair, Lives::One);
}
