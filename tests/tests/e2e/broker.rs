//! A broker that comes late, goes, forgets, goes back in time or stands still: edits are taken all
//! the while, `/readyz` names the cause, and in the end both orgs agree.

use serde_json::json;
use tieline_tests::live::copy_dir;
use tieline_tests::process::{Api, OrgProcess, connect_by_url};

use crate::kill::Loaded;
use crate::kit::{Pair, broker_for, create, share_leads, until_ready, until_value, update};

/// Waits until `/readyz` says no, and a part of it names a cause in these words.
fn until_cause(api: &Api, part: &str, words: &str) {
    api.until_answer(&format!("a cause with {words:?}"), "/readyz", |answer| {
        let problem = answer.as_ref().err().filter(|problem| problem.status == 503)?;
        let cause = problem.body.pointer(part)?.as_str()?;
        cause.contains(words).then_some(())
    });
}

const BROKER: &str = "/broker/cause";
const CONNECTION: &str = "/connections/0/cause";

#[test]
fn orgs_that_start_without_a_broker_take_edits_and_agree_once_it_is_there() {
    let (mut a, mut b) = (OrgProcess::make("acme"), OrgProcess::make("globex"));
    let mut broker = broker_for([&a.home, &b.home]);
    a.start(&broker.url());
    b.start(&broker.url());
    for org in [&a, &b] {
        until_cause(&org.api, BROKER, "the broker is not connected");
    }
    let lead = create(&a.api, &json!({ "LastName": "Curie", "Company": "Sorbonne", "City": "Paris" }));
    // An invitation can be made, carried and answered before anybody can be reached.
    let (id, url) = std::thread::scope(|scope| {
        let agreed = scope.spawn(|| connect_by_url(&a.api, &b.api));
        b.api.until("the answer", "/v1/connections", |seen| {
            (seen["connections"][0]["status"] == "pending").then_some(())
        });
        update(&a.api, &lead, &json!({ "City": "Warsaw" }));
        broker.restart().unwrap();
        agreed.join().unwrap()
    });
    let pair = Pair { broker, a, b, id, url };
    share_leads(&pair.a.api, &pair.b.api, &pair.id, true);
    share_leads(&pair.b.api, &pair.a.api, &pair.id, true);
    crate::kit::forward(&pair.a.api, &pair.id, &lead);
    let copy = pair.copy_of(&lead);
    until_value(&pair.b.api, &copy, "City", "Warsaw");
    until_ready(&pair.a.api);
    until_ready(&pair.b.api);
    pair.until_same(&lead, &copy);
    pair.finish();
}

#[test]
fn a_broker_that_is_killed_under_load_and_loses_its_disk_costs_nothing() {
    let mut loaded = Loaded::start();
    for wiped in [false, true, true] {
        // Frames of both sides are under way.
        loaded.at_a.wait_for(3);
        loaded.at_b.wait_for(3);
        loaded.pair.broker.kill9();
        if wiped {
            loaded.pair.broker.wipe_storage().unwrap();
        }
        for org in [&loaded.pair.a, &loaded.pair.b] {
            until_cause(&org.api, BROKER, "the broker is not connected");
            until_cause(&org.api, CONNECTION, "the broker is not connected");
        }
        // Both go on without it.
        loaded.at_a.wait_for(3);
        loaded.at_b.wait_for(3);
        loaded.pair.broker.restart().unwrap();
        until_ready(&loaded.pair.a.api);
        until_ready(&loaded.pair.b.api);
    }
    loaded.finish();
}

#[test]
fn a_broker_that_goes_back_to_an_old_copy_of_its_disk_costs_nothing() {
    let mut pair = Pair::start();
    let (lead, copy) = pair.share_lead("Curie");
    pair.until_settled();
    pair.broker.stop().unwrap();
    let old = tempfile::tempdir().unwrap();
    copy_dir(&pair.broker.plan.store_dir, old.path());
    pair.broker.restart().unwrap();
    for n in 0..10 {
        update(&pair.a.api, &lead, &json!({ "City": format!("after the copy {n}") }));
        update(&pair.b.api, &copy, &json!({ "Website": format!("https://example.com/{n}") }));
    }
    pair.until_same(&lead, &copy);
    pair.broker.kill9();
    update(&pair.a.api, &lead, &json!({ "City": "while it was away" }));
    update(&pair.b.api, &copy, &json!({ "Rating": "Cold" }));
    pair.broker.wipe_storage().unwrap();
    copy_dir(old.path(), &pair.broker.plan.store_dir);
    pair.broker.restart().unwrap();
    until_value(&pair.b.api, &copy, "City", "while it was away");
    until_value(&pair.a.api, &lead, "Rating", "Cold");
    pair.until_same(&lead, &copy);
    for org in [&pair.a, &pair.b] {
        assert_eq!(org.api.get("/v1/alarms").unwrap()["alarms"], json!([]), "the broker is no memory");
    }
    pair.finish();
}

#[test]
fn a_broker_that_stands_still_is_named_and_costs_nothing() {
    let pair = Pair::start();
    let (lead, copy) = pair.share_lead("Curie");
    pair.broker.freeze().unwrap();
    update(&pair.a.api, &lead, &json!({ "City": "frozen" }));
    update(&pair.b.api, &copy, &json!({ "Rating": "Warm" }));
    // It answers nothing and breaks nothing off: only silence tells.
    for (org, partner) in [(&pair.a, "globex"), (&pair.b, "acme")] {
        org.api.until_answer("a cause", "/readyz", |answer| {
            let problem = answer.as_ref().err()?;
            let cause = problem.body.pointer(CONNECTION)?.as_str()?;
            (cause.contains(partner) || cause.contains("broker")).then_some(())
        });
        // A publish rule is saved and answered although nothing can leave.
        crate::kit::publish(&org.api, &pair.id, &crate::kit::LEAD_FIELDS);
    }
    update(&pair.a.api, &lead, &json!({ "City": "still frozen" }));
    pair.broker.thaw().unwrap();
    until_value(&pair.b.api, &copy, "City", "still frozen");
    until_value(&pair.a.api, &lead, "Rating", "Warm");
    until_ready(&pair.a.api);
    until_ready(&pair.b.api);
    pair.until_same(&lead, &copy);
    pair.finish();
}
