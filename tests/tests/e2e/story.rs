//! The whole story over HTTP: from an invitation to edits both ways, a refusal, and the figures.

use serde_json::{Value as Json, json};
use tieline_tests::process::Api;

use crate::kit::{
    Pair, broker_for, create, forward, list, publish, stop_and_check, subscribe, until_ready, until_value,
    update,
};
use tieline_tests::process::OrgProcess;

/// The partner's `Title` is our `Website`, and the partner's hot leads are only warm to us.
const RULE_OF_GLOBEX: &str = r#"{
    "local": "Lead",
    "fields": [
        {"local": "LastName", "from": "LastName"},
        {"local": "Company", "from": "Company"},
        {"local": "City", "from": "City"},
        {"local": "Description", "from": "Title"},
        {"local": "Rating", "from": "Rating", "picklist": {"values": {"Hot": "Warm"}, "unmapped": "keep"}}
    ]
}"#;

const ATLANTIS: &str = r#"
extends = "Lead"
[rules.no_atlantis]
condition = "City == 'Atlantis'"
message = "Atlantis is not served: choose a city above the sea"
field = "City"
active = ACTIVE
"#;

fn refuse_atlantis(api: &Api, active: bool) {
    let file = ATLANTIS.replace("ACTIVE", if active { "true" } else { "false" });
    api.send_bytes("PUT", "/v1/objects", "application/toml", file.as_bytes()).unwrap();
}

/// Invitation, inspection, acceptance: the connection's id.
fn agree(a: &Api, b: &Api) -> String {
    let invitation = a.must("POST", "/v1/invitations", &json!({ "label": "globex", "expires_in_s": 3600 }));
    let url = &invitation["url"];
    let looked_at = b.must("POST", "/v1/invitations/inspect", &json!({ "url": url }));
    assert_eq!(
        (&looked_at["inviter"], &looked_at["expired"], &looked_at["status"]),
        (&json!("acme"), &json!(false), &Json::Null)
    );
    assert_eq!(b.get("/v1/connections").unwrap()["connections"], json!([]), "to look is not to answer");
    b.must("POST", "/v1/invitations/answer", &json!({ "url": url, "accept": true, "label": "acme" }));
    for (api, partner) in [(a, "globex"), (b, "acme")] {
        api.until("an active connection", &format!("/v1/connections/{partner}"), |seen| {
            let summary = &seen["summary"];
            (summary["status"] == "active" && summary["partner"] == partner).then_some(())
        });
    }
    invitation["connection"].as_str().unwrap().to_owned()
}

#[test]
fn two_orgs_share_a_lead_from_the_invitation_to_the_figures() {
    let (mut a, mut b) = (OrgProcess::make("acme"), OrgProcess::make("globex"));
    let mut broker = broker_for([&a.home, &b.home]);
    broker.restart().unwrap();
    a.start(&broker.url());
    b.start(&broker.url());
    let id = agree(&a.api, &b.api);

    publish(&a.api, &id, &["LastName", "Company", "City", "Title", "Rating"]);
    subscribe(&a.api, &b.api, &id, &serde_json::from_str(RULE_OF_GLOBEX).unwrap());
    publish(&b.api, &id, &["City", "Rating"]);
    let back = json!({ "local": "Lead", "fields": [{ "local": "City", "from": "City" }] });
    subscribe(&b.api, &a.api, &id, &back);

    let fields = json!({
        "LastName": "Curie", "Company": "Sorbonne", "Title": "Professor", "City": "Paris", "Rating": "Hot",
        "Phone": "not published",
    });
    let lead = create(&a.api, &fields);
    forward(&a.api, &id, &lead);
    let offer = b.api.until("an offer", "/v1/inbox", |seen| list(&seen["offers"]).next().cloned());
    assert_eq!((&offer["partner"], &offer["origin_record"]), (&json!("acme"), &json!(lead)));
    assert_eq!(offer["preview"], json!({ "Title": "Professor" }), "only published view fields are shown");
    let accepted =
        b.api.must("POST", "/v1/inbox/accept", &json!({ "connection": "acme", "shares": [offer["share"]] }));
    assert_eq!(accepted["results"][0]["ok"], true, "{accepted}");

    let shares = format!("/v1/connections/{id}/shares?status=active");
    let copy =
        b.api.until("the copy", &shares, |seen| Some(seen["shares"][0]["record"].as_str()?.to_owned()));
    until_value(&b.api, &copy, "City", "Paris");
    let seen = b.api.get(&format!("/v1/records/Lead/{copy}")).unwrap();
    assert_eq!(seen["fields"]["Description"], "Professor", "the field mapping");
    assert_eq!(seen["fields"]["Rating"], "Warm", "the picklist mapping");
    assert_eq!(seen["fields"].get("Phone"), None, "what is not published does not come");
    assert_eq!(seen["modified_by"], "connection.user");
    created_with_the_create_set_and_followed_up(&b.api, &copy);

    // Each follows the other.
    update(&a.api, &lead, &json!({ "City": "Warsaw" }));
    until_value(&b.api, &copy, "City", "Warsaw");
    update(&b.api, &copy, &json!({ "City": "Sancellemoz" }));
    until_value(&a.api, &lead, "City", "Sancellemoz");

    refused_update_is_known_on_both_sides(&a.api, &b.api, &id, &lead, &copy);

    let pair = Pair { broker, a, b, id, url: String::new() };
    pair.until_settled();
    figures(&pair);
    let Pair { mut a, mut b, broker: _broker, .. } = pair;
    stop_and_check(&mut a);
    stop_and_check(&mut b);
}

fn created_with_the_create_set_and_followed_up(b: &Api, copy: &str) {
    let history = b.get(&format!("/v1/records/Lead/{copy}/history")).unwrap();
    let events: Vec<&Json> = list(&history["events"]).collect();
    let values = |event: &Json| event["body"]["content"]["values"].clone();
    let (first, second) = (events[events.len() - 1], events[events.len() - 2]);
    assert_eq!(first["body"]["action"], "create", "{first}");
    assert!(values(first).get("LastName").is_some() && values(first).get("City").is_none(), "{first}");
    assert!(values(second).get("City").is_some() && values(second).get("Rating").is_some(), "{second}");
}

fn refused_update_is_known_on_both_sides(a: &Api, b: &Api, id: &str, lead: &str, copy: &str) {
    refuse_atlantis(b, true);
    update(a, lead, &json!({ "City": "Atlantis" }));
    for (api, record, at_partner, direction) in [(a, lead, true, "out"), (b, copy, false, "in")] {
        let problem = api.until("the refusal", &format!("/v1/records/Lead/{record}"), |seen| {
            let problem = &seen["shares"][0]["problem"];
            problem.is_object().then(|| problem.clone())
        });
        assert_eq!((&problem["outcome"], &problem["at_partner"]), (&json!("rejected"), &json!(at_partner)));
        let reason = &problem["reasons"][0];
        assert_eq!(
            (&reason["code"], &reason["field"]),
            (&json!("rule_refused"), &json!("City")),
            "{problem}"
        );
        let failures = api.get(&format!("/v1/failures?connection={id}")).unwrap();
        let failure = &failures["failures"][0];
        assert_eq!(failure["direction"], direction, "{failures}");
        assert_eq!(failure["mended"], false, "{failures}");
        assert_eq!(failure["reasons"][0], json!({ "code": "rule_refused", "field": "City" }));
        // The words are those of the org that refused: they quote its rules, and stay there.
        assert_eq!(failure["messages"].to_string().contains("above the sea"), direction == "in", "{failure}");
    }
    let pending = b.get(&format!("/v1/records/Lead/{copy}")).unwrap();
    assert_eq!(pending["fields"]["City"], "Sancellemoz", "a refused update changes nothing");
    assert_eq!(pending["pending"][0]["value"], "Atlantis");

    refuse_atlantis(b, false);
    until_value(b, copy, "City", "Atlantis");
    for api in [a, b] {
        api.until("a failure that is mended", &format!("/v1/failures?connection={id}"), |seen| {
            (seen["failures"][0]["mended"] == true).then_some(())
        });
    }
    for (api, record) in [(a, lead), (b, copy)] {
        api.until("no problem", &format!("/v1/records/Lead/{record}"), |seen| {
            seen["shares"][0]["problem"].is_null().then_some(())
        });
    }
}

fn figures(pair: &Pair) {
    for (org, partner) in [(&pair.a, "globex"), (&pair.b, "acme")] {
        until_ready(&org.api);
        let text = org.api.text("/metrics");
        let label = format!("connection=\"{partner}:");
        let lag = text.lines().find(|line| {
            line.starts_with("tieline_propagation_lag_seconds_bucket{") && line.contains(&label)
        });
        assert!(lag.is_some_and(|line| line.contains("object=\"Lead\"")), "no lag of {partner} in {text}");
        let seen = org.api.get(&format!("/v1/connections/{partner}")).unwrap();
        for (direction, told) in [("in", "received"), ("out", "sent")] {
            for outcome in ["applied", "rejected"] {
                let counted = org
                    .api
                    .metric("tieline_outcomes_total", &[("direction", direction), ("outcome", outcome)]);
                assert_eq!(
                    json!(counted as u64),
                    seen["summary"][told][outcome],
                    "{direction} {outcome} at {}",
                    org.home.name
                );
            }
        }
        assert_eq!(org.api.metric("tieline_broker_up", &[]) as u64, 1);
        let status = org.api.get("/v1/status").unwrap();
        assert_eq!((&status["records"]["Lead"], &status["alarms"]), (&json!(1), &json!(0)), "{status}");
        assert!(status["connections"][0]["lag"]["count"].as_u64().unwrap() > 0, "{status}");
    }
    let verified = pair.b.api.get("/v1/log/verify").unwrap();
    assert_eq!(verified["ok"], true, "{verified}");
}
