//! Queues, and the owners of records.

use serde_json::{Value as Json, json};

use crate::kit::Org;

#[test]
fn a_queue_owns_records_until_somebody_takes_them() {
    let org = Org::start();
    org.connect("sales", "globex");
    org.put("/v1/connections/globex/publish/Lead", &json!({"all": true}));
    let body = json!({"objects": ["Lead"], "users": ["ann"], "connections": ["globex"]});
    assert_eq!(org.put("/v1/queues/emea", &body).json()["changed"], true);
    assert_eq!(org.put("/v1/queues/emea", &body).json()["changed"], false);
    let lead = org.lead(&json!({"LastName": "Ng", "Company": "Globex"}));
    let path = format!("/v1/records/Lead/{lead}");
    let assign = |body: &Json| org.post(&format!("{path}/assign"), body);
    assert_eq!(assign(&json!({"owner": "queue:emea"})).json()["changed"], true);
    assert_eq!(assign(&json!({"owner": "queue:emea"})).json()["changed"], false);
    let shown = org.get(&path).json();
    assert_eq!(shown["owner"], "queue:emea");
    assert_eq!(
        (&shown["shares"][0]["partner"], &shown["shares"][0]["status"]),
        (&json!("globex"), &json!("offered"))
    );
    let queue = org.get("/v1/queues").json()["queues"][0].clone();
    assert_eq!(
        (&queue["name"], &queue["records"], &queue["connections"]),
        (&json!("emea"), &json!(1), &json!(["globex"]))
    );

    let owned = |owner: &str| {
        org.get(&format!("/v1/records/Lead?owner={owner}")).json()["records"].as_array().unwrap().len()
    };
    assert_eq!((owned("queue:emea"), owned("ann")), (1, 0));
    assert_eq!(org.get("/v1/records/Lead?owner=queue:").problem().1, "bad_query");
    assert_eq!(org.send("DELETE", "/v1/queues/emea", "text/plain", b"").problem().1, "queue_in_use");
    assert_eq!(org.post("/v1/queues/emea/share", &json!({"connection": "globex"})).status, 200);

    for (body, code) in [
        (json!({"owner": "queue:none"}), "unknown_queue"),
        (json!({"owner": "eve"}), "unknown_user"),
        (json!({"owner": "a b"}), "bad_body"),
        (json!({"owner": "ann", "rules": true}), "bad_body"),
        (json!({}), "bad_body"),
    ] {
        assert_eq!(assign(&body).problem().1, code, "{body}");
    }
    let new = json!({"fields": {"LastName": "Wu", "Company": "Globex"}, "owner": "queue:emea"});
    assert_eq!(org.post("/v1/records/Lead", &new).status, 201);
    assert_eq!(owned("queue:emea"), 2);
    let account = json!({"fields": {"Name": "Globex"}, "owner": "queue:emea"});
    assert_eq!(org.post("/v1/records/Account", &account).problem().1, "queue_takes_not");
}

/// S2S-40, S2S-42: whoever gives a record to a queue is told to which of its connections it was offered, and
/// why not to the others.
#[test]
fn what_comes_into_a_queue_tells_to_whom_it_was_offered() {
    let org = Org::start();
    org.connect("sales", "globex");
    org.connect("service", "initech");
    org.put("/v1/connections/globex/publish/Lead", &json!({"all": true}));
    let queue = json!({"objects": ["Lead"], "connections": ["globex", "initech"]});
    assert_eq!(org.put("/v1/queues/emea", &queue).status, 200);
    let told = |answer: &Json| {
        let offers = answer["offers"].as_array().cloned().unwrap_or_default().into_iter();
        let mut told: Vec<(String, Json)> = offers
            .map(|offer| {
                let result = &offer["result"];
                let end = if result["ok"] == true { json!(true) } else { result["code"].clone() };
                (offer["partner"].as_str().unwrap().to_owned(), end)
            })
            .collect();
        told.sort_by(|a, b| a.0.cmp(&b.0));
        told
    };
    let expected =
        |globex: Json| vec![("globex".to_owned(), globex), ("initech".to_owned(), json!("not_published"))];
    let new = json!({"fields": {"LastName": "Ng", "Company": "c"}, "owner": "queue:emea"});
    let created = org.keyed("k", "POST", "/v1/records/Lead", &new).json();
    assert_eq!(told(&created), expected(json!(true)), "{created}");
    let why =
        created["offers"].as_array().unwrap().iter().find(|offer| offer["partner"] == "initech").unwrap();
    assert!(why["result"]["detail"].as_str().unwrap().contains("tieline publish set"), "{created}");
    // A request that comes again is answered as the first time.
    let again = org.keyed("k", "POST", "/v1/records/Lead", &new).json();
    assert_eq!((&again["id"], &again["offers"]), (&created["id"], &created["offers"]));
    // A change that offers nothing says nothing, and whoever has it already is named.
    let path = format!("/v1/records/Lead/{}", created["id"].as_str().unwrap());
    let changed = org.patch(&path, &json!({"fields": {"City": "Rome"}})).json();
    assert_eq!((&changed["changed"], &changed["offers"]), (&json!(true), &Json::Null));
    let assign = |owner: &str| org.post(&format!("{path}/assign"), &json!({"owner": owner})).json();
    assert_eq!(told(&assign("ann")), []);
    assert_eq!(told(&assign("queue:emea")), expected(json!("already_shared")));
    assert_eq!(told(&assign("queue:emea")), [], "nothing had to change");
    // Others find what was not offered among the failures; what is shared already is none.
    let failures = org.get("/v1/rule-failures").json();
    let failed = failures["failures"].as_array().unwrap();
    assert!(failed.len() == 2 && failed.iter().all(|one| one["rule"] == "queue:emea"), "{failures}");

    // A sharing rule that acts on the change is told, too.
    let rule = json!({"object": "Lead", "criteria": "Rating == 'Hot'", "connections": ["globex"]});
    assert_eq!(org.put("/v1/rules/sharing/hot", &rule).status, 200);
    let new = json!({"fields": {"LastName": "Wu", "Company": "c"}});
    let cold = org.post("/v1/records/Lead", &new).json();
    assert_eq!(told(&cold), []);
    let path = format!("/v1/records/Lead/{}", cold["id"].as_str().unwrap());
    let hot = org.patch(&path, &json!({"fields": {"Rating": "Hot"}})).json();
    assert_eq!(told(&hot), [("globex".to_owned(), json!(true))]);
}
