//! Failed updates that are tried again: twice, at the same time, and after newer ones.

use serde_json::{Value as Json, json};
use tieline_core::event::Event;
use tieline_tests::loaded::{Lives, standard_check};
use tieline_tests::pair::{Pair, events, list, until_value, update};
use tieline_tests::process::Api;

const RULE: &str = r#"
extends = "Lead"
[rules.no_atlantis]
condition = "City == 'Atlantis'"
message = "Atlantis is not served: choose a city above the sea"
field = "City"
active = ACTIVE
"#;

fn refuse_atlantis(api: &Api, active: bool) {
    let file = RULE.replace("ACTIVE", if active { "true" } else { "false" });
    api.send_bytes("PUT", "/v1/objects", "application/toml", file.as_bytes()).unwrap();
}

/// The shares that have a problem, once there are so many.
fn until_problems(api: &Api, id: &str, count: usize) -> Vec<String> {
    let path = format!("/v1/connections/{id}/shares");
    api.until(&format!("{count} problems"), &path, |seen| {
        let with = list(&seen["shares"]).filter(|share| !share["problem"].is_null());
        let shares: Vec<String> =
            with.filter_map(|share| Some(share["share"].as_str()?.to_owned())).collect();
        (shares.len() == count).then_some(shares)
    })
}

#[test]
fn failed_updates_that_are_tried_again_at_once_and_late_are_applied_once_and_never_over_newer_ones() {
    let mut pair = Pair::start();
    let (late, late_copy) = pair.share_lead("Late");
    let (plain, plain_copy) = pair.share_lead("Plain");
    update(&pair.b.api, &plain_copy, &json!({ "Rating": "Hot" }));
    pair.until_settled();
    refuse_atlantis(&pair.b.api, true);
    for lead in [&late, &plain] {
        update(&pair.a.api, lead, &json!({ "City": "Atlantis" }));
    }
    let shares = until_problems(&pair.b.api, &pair.id, 2);
    // One of them is overtaken here, the other is not.
    update(&pair.b.api, &late_copy, &json!({ "City": "Thera" }));
    until_value(&pair.a.api, &late, "City", "Thera");

    // Tried while the rule is there: nothing but another refusal comes of it.
    let retry = |share: &str| {
        let path = format!("/v1/connections/{}/shares/{share}/retry", pair.id);
        // Whoever comes second may be told that nothing is left to try.
        drop(pair.b.api.send("POST", &path, &Json::Null));
    };
    shares.iter().for_each(|share| retry(share));
    until_value(&pair.b.api, &plain_copy, "City", Json::Null);

    refuse_atlantis(&pair.b.api, false);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| shares.iter().for_each(|share| retry(share)));
        }
    });
    until_value(&pair.b.api, &plain_copy, "City", "Atlantis");
    until_problems(&pair.b.api, &pair.id, 0);
    pair.until_same(&late, &late_copy);
    pair.until_same(&plain, &plain_copy);
    until_value(&pair.a.api, &late, "City", "Thera");
    until_value(&pair.b.api, &late_copy, "City", "Thera");

    // Applied once: one event wrote the value.
    let url = pair.url();
    pair.b.stop();
    let wrote = events(&pair.b)
        .into_iter()
        .filter(|event| {
            matches!(event, Event::RecordChanged(changed) if changed.record.to_string() == plain_copy)
                && event.to_json().to_string().contains("Atlantis")
        })
        .count();
    assert_eq!(wrote, 1);
    pair.b.start(&url);
    standard_check(pair, Lives::One);
}
