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
