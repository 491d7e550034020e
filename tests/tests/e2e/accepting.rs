//! What comes of an acceptance is told: the record, or the reason why there is none (S2S-53).

use serde_json::{Value as Json, json};
use tieline_tests::process::Api;

use crate::kit::{LEAD_FIELDS, Pair, create, forward, id_of, list, share_leads};

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

/// Creates a lead at the first org and offers it; the share, once the offer waits at the second.
fn offered(pair: &Pair, fields: &Json) -> String {
    let lead = create(&pair.a.api, fields);
    forward(&pair.a.api, &pair.id, &lead);
    pair.b.api.until("the offer", "/v1/inbox", |seen| {
        let offers = seen["offers"].as_array()?;
        let offer = offers.iter().find(|offer| offer["origin_record"] == lead.as_str())?;
        Some(offer["share"].as_str()?.to_owned())
    })
}

fn accept(api: &Api, share: &str, wait_s: u64) -> Json {
    let body = json!({"connection": "acme", "shares": [share], "wait_s": wait_s});
    api.must("POST", "/v1/inbox/accept", &body)["outcomes"][0].clone()
}

#[test]
fn an_acceptance_says_what_became_of_it_and_why() {
    let mut pair = Pair::connected();
    share_leads(&pair.a.api, &pair.b.api, &pair.id, false);
    let lead = |city: &str| json!({"LastName": "Curie", "Company": "Sorbonne", "City": city});

    let share = offered(&pair, &lead("Paris"));
    let accepted = accept(&pair.b.api, &share, 30);
    assert_eq!((&accepted["status"], &accepted["cause"]), (&json!("active"), &json!(null)), "{accepted}");
    assert!(accepted["record"].is_string(), "{accepted}");
    let again = accept(&pair.b.api, &share, 1);
    assert_eq!((&again["status"], &again["cause"]), (&json!("active"), &json!("refused")), "{again}");

    // A rule: the lead comes whole, so that it sees the city at once.
    let fields: Vec<Json> = LEAD_FIELDS.iter().map(|name| json!({"local": name, "from": name})).collect();
    let rule = json!({"local": "Lead", "accept_whole": true, "fields": fields});
    pair.b.api.must("PUT", "/v1/connections/acme/subscribe/Lead", &rule);
    refuse_atlantis(&pair.b.api, true);
    let share = offered(&pair, &lead("Atlantis"));
    let refused = accept(&pair.b.api, &share, 30);
    assert_eq!((&refused["status"], &refused["cause"]), (&json!("granted"), &json!("rule")), "{refused}");
    let reason = &refused["reasons"][0];
    assert_eq!((&reason["rule"], &reason["field"]), (&json!("no_atlantis"), &json!("City")), "{refused}");
    let shown = pair.b.api.get("/v1/inbox").unwrap();
    assert_eq!(shown["offers"][0]["problem"]["reasons"][0]["rule"], "no_atlantis", "{shown}");
    // Once the cause is mended it becomes a record.
    refuse_atlantis(&pair.b.api, false);
    pair.b.api.until("the record", "/v1/inbox", |seen| (seen["offers"] == json!([])).then_some(()));

    // A permission that is missing.
    let share = offered(&pair, &lead("Lyon"));
    pair.b.api.must("PUT", "/v1/roles/reader", &json!({"objects": {"Lead": {"read": true}}}));
    pair.b.api.must("POST", "/v1/users", &json!({"user": "reader", "role": "reader"}));
    let issued = pair.b.api.must("POST", "/v1/users/reader/tokens", &json!({}));
    let reader = pair.b.api.with_token(issued["token"].as_str().unwrap());
    let denied = accept(&reader, &share, 1);
    assert_eq!(
        (&denied["status"], &denied["cause"]),
        (&json!("offered"), &json!("no_permission")),
        "{denied}"
    );

    // A partner that cannot be reached: the acceptance waits, and the inbox says for what.
    pair.broker.stop().unwrap();
    pair.b.api.until("a broken link", "/v1/connections/acme", |seen| {
        seen["summary"]["cause"].is_string().then_some(())
    });
    let waiting = accept(&pair.b.api, &share, 1);
    assert_eq!(
        (&waiting["status"], &waiting["cause"]),
        (&json!("accepting"), &json!("not_reachable")),
        "{waiting}"
    );
    let shown = pair.b.api.get("/v1/inbox").unwrap();
    let waits_for = shown["offers"][0]["waits_for"].as_str().unwrap_or_default().to_owned();
    assert!(waits_for.contains("acme cannot be reached"), "{shown}");
    pair.broker.restart().unwrap();
    pair.b.api.until("the record", "/v1/inbox", |seen| (seen["offers"] == json!([])).then_some(()));
    pair.finish();
}

#[test]
fn a_preview_says_whether_the_account_itself_is_shared() {
    let pair = Pair::connected();
    let objects: [(&str, &[&str]); 2] = [("Account", &["Name"]), ("Contact", &["LastName", "AccountId"])];
    let connection = format!("/v1/connections/{}", pair.id);
    for (object, fields) in objects {
        pair.a.api.must("PUT", &format!("{connection}/publish/{object}"), &json!({ "fields": fields }));
        pair.b.api.until("a catalogue", &connection, |seen| {
            list(&seen["catalogue"])
                .any(|known| known["object"] == object || known["name"] == object)
                .then_some(())
        });
        let fields: Vec<Json> = fields.iter().map(|name| json!({ "local": name, "from": name })).collect();
        let rule = json!({ "local": object, "fields": fields });
        pair.b.api.must("PUT", &format!("{connection}/subscribe/{object}"), &rule);
        pair.a.api.until("the subscription", &connection, |seen| {
            list(&seen["taken"]).any(|taken| taken["object"] == object).then_some(())
        });
    }
    let create = |object: &str, fields: Json| {
        id_of(&pair.a.api.must("POST", &format!("/v1/records/{object}"), &json!({ "fields": fields })))
    };
    let offer = |object: &str, record: &str| {
        let body = json!({ "connections": [pair.id], "object": object, "records": [record] });
        pair.a.api.must("POST", "/v1/shares", &body);
        pair.b.api.until("the offer", "/v1/inbox", |seen| {
            let found = list(&seen["offers"]).find(|offer| offer["origin_record"] == record)?;
            Some(found["share"].as_str()?.to_owned())
        })
    };
    let preview = |share: &str| {
        let body = json!({ "connection": "acme", "shares": [share] });
        pair.b.api.must("POST", "/v1/inbox/preview", &body)["previews"][0].clone()
    };
    let account = create("Account", json!({ "Name": "Sorbonne" }));
    let contact = |name: &str| create("Contact", json!({ "LastName": name, "AccountId": account }));
    let alone = offer("Contact", &contact("Curie"));
    assert_eq!(preview(&alone)["shared"], false, "the account is not shared");
    let of_account = offer("Account", &account);
    let with = offer("Contact", &contact("Noether"));
    let shown = preview(&with);
    assert_eq!(
        (&shown["shared"], &shown["record"]),
        (&json!(true), &json!(null)),
        "it waits to be accepted: {shown}"
    );
    let accepted = accept(&pair.b.api, &of_account, 30);
    assert_eq!(accepted["status"], "active", "{accepted}");
    let shown = preview(&with);
    assert_eq!(
        (&shown["account"], &shown["record"], &shown["name"]),
        (&json!("shared"), &accepted["record"], &json!("Sorbonne")),
        "{shown}"
    );
    pair.finish();
}
