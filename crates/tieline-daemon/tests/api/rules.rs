//! Rules: set as they are shown, tried, refused with their reasons.

use serde_json::{Value as Json, json};

use crate::kit::Org;

#[test]
fn rules_are_set_shown_tried_and_removed() {
    let org = Org::start();
    org.connect("sales", "globex");
    org.put("/v1/connections/globex/publish/Lead", &json!({"all": true}));
    let early = org.lead(&json!({"LastName": "Ng", "Company": "Globex", "Rating": "Hot"}));
    let sharing = json!({
        "name": "hot", "object": "Lead", "criteria": "Rating == \"Hot\"", "connections": ["globex"], "unshare": true
    });
    let path = "/v1/rules/sharing/hot";
    assert_eq!(org.put(path, &sharing).json()["changed"], true);
    assert_eq!(org.put(path, &sharing).json()["changed"], false);
    assert_eq!(org.get(path).json(), sharing);
    assert_eq!(org.get("/v1/rules/sharing").json(), json!({"rules": [sharing]}));
    let tried = org.get(&format!("{path}/try")).json();
    assert_eq!(
        (&tried["met"], &tried["looked_at"], &tried["records"]),
        (&json!(1), &json!(1), &json!([early]))
    );
    let mut live = org.follow("/v1/log/stream");
    assert_eq!(org.post(&format!("{path}/apply"), &json!({})).status, 200);
    assert_eq!(live.event("RuleShared")["rule"], "hot");
    let shown = org.get(&format!("/v1/records/Lead/{early}")).json();
    assert_eq!((&shown["shares"][0]["status"], &shown["sent_to"]), (&json!("offered"), &json!([])));

    let workflow = json!({
        "object": "Lead",
        "criteria": "changed(Status)",
        "actions": [{"set": {"field": "Rating", "value": "Warm"}}, {"task": {"subject": "Call"}}],
    });
    assert_eq!(org.put("/v1/rules/workflow/call", &workflow).json()["changed"], true);
    org.patch(&format!("/v1/records/Lead/{early}"), &json!({"fields": {"Status": "Working - Contacted"}}));
    let shown = org.get(&format!("/v1/records/Lead/{early}")).json();
    assert_eq!(shown["fields"]["Rating"], "Warm");
    assert_eq!(shown["shares"][0]["status"], "inactive", "it has left the criteria");
    let task = org.get("/v1/records/Task").json()["records"][0].clone();
    assert_eq!((&task["fields"]["WhoId"], &task["owner"]), (&json!(early), &json!("ann")));
    assert_eq!(
        org.get("/v1/rule-failures").json(),
        json!({"failed": 0, "failures": [], "not_computed": 0, "computed": []})
    );

    let assignment = json!({"entries": [{"criteria": "Rating == \"Cold\"", "owner": "ann"}]});
    assert_eq!(org.put("/v1/rules/assignment/Lead", &assignment).status, 200);
    let escalation = json!({"entries": [{"name": "late", "after_minutes": 60, "owner": "ann"}]});
    assert_eq!(org.put("/v1/rules/escalation/Case", &escalation).status, 200);
    assert_eq!(org.get("/v1/rules/escalation/Case").json()["entries"][0]["after_minutes"], 60);
    for path in [path, "/v1/rules/assignment/Lead"] {
        assert_eq!(org.send("DELETE", path, "text/plain", b"").json()["changed"], true);
        assert_eq!(org.get(path).problem().1, "unknown_rule");
    }
}

#[test]
fn rules_that_are_none_are_refused() {
    let org = Org::start();
    let put = |path: &str, body: &Json| org.put(&format!("/v1/rules/{path}"), body).problem();
    let sharing =
        |criteria: &str, to: &str| json!({"object": "Lead", "criteria": criteria, "connections": [to]});
    assert_eq!(put("sharing/hot", &sharing("", "globex")).1, "unknown_connection");
    assert_eq!(put("sharing/Hot", &json!({"object": "Lead", "connections": []})).1, "bad_body");
    assert_eq!(
        put("sharing/hot", &json!({"object": "Lead", "connections": [], "name": "cold"})).1,
        "bad_body"
    );
    assert_eq!(put("sharing/hot", &json!({"object": "Laed", "connections": []})).1, "unknown_object");
    assert_eq!(put("sharing/hot", &json!({"object": "Lead", "connections": [], "to": 1})).1, "unknown_key");
    assert_eq!(put("nothing/hot", &json!({})).1, "not_found");
    let workflow = |criteria: &str, action: Json| {
        put("workflow/w", &json!({"object": "Lead", "criteria": criteria, "actions": [action]}))
    };
    let set = |field: &str, value: &str| json!({"set": {"field": field, "value": value}});
    for (criteria, action, code) in [
        ("Ratng == \"Hot\"", set("Rating", "Hot"), "bad_expression"),
        ("Rating == 1", set("Rating", "Hot"), "bad_expression"),
        ("", set("CreatedDate", "2026-01-01T00:00:00Z"), "not_updatable"),
        ("", set("Ratng", "Hot"), "unknown_field"),
        ("", json!({"set": {"field": "Rating", "formula": "1 +"}}), "bad_expression"),
        ("", set("NumberOfEmployees", "many"), "bad_number"),
        ("", json!({"webhook": {"url": "https://hooks.example", "fields": ["Ratng"]}}), "unknown_field"),
        ("", json!({"mail": {"to": "Rating", "subject": "a", "text": "b"}}), "bad_email"),
        ("", json!({"notify": {"users": ["ann"], "message": "{{Ratng}}"}}), "unknown_field"),
    ] {
        let (status, refused, reasons) = workflow(criteria, action.clone());
        assert_eq!((status, refused.as_str()), (422, "record_refused"), "{action}");
        assert_eq!(reasons[0].0, code, "{criteria} {action}");
    }
    assert_eq!(workflow("", json!({"webhook": {"url": "ftp://hooks.example"}})).1, "bad_url");
    let assign = workflow("", json!({"assign": {"to": "queue:none"}}));
    assert_eq!(assign.1, "unknown_queue");
    assert_eq!(org.get("/v1/rules/workflow").json(), json!({"rules": []}));
}

#[test]
fn a_field_that_cannot_be_computed_says_why() {
    let org = Org::start();
    let file = "extends = \"Lead\"\n[fields]\nEach__c = { type = \"decimal\", precision = 18, scale = 2, expression = \
                \"AnnualRevenue / NumberOfEmployees\" }\n";
    let defined = org.send("PUT", "/v1/objects", "application/toml", file.as_bytes());
    assert_eq!(defined.status, 200, "{}", defined.text());
    let fields =
        json!({ "LastName": "Ng", "Company": "Initech", "AnnualRevenue": "10", "NumberOfEmployees": 0 });
    let lead = org.lead(&fields);
    let shown = org.get(&format!("/v1/records/Lead/{lead}")).json();
    let why = &shown["not_computed"][0];
    assert_eq!((&why["field"], &why["code"]), (&json!("Each__c"), &json!("rule_failed")), "{shown}");
    let failures = org.get("/v1/rule-failures").json();
    assert_eq!((&failures["not_computed"], &failures["computed"][0]["record"]), (&json!(1), &json!(lead)));
    assert!(org.get("/metrics").text().contains("tieline_failed_computations_total 1"));
    assert_eq!(
        org.patch(&format!("/v1/records/Lead/{lead}"), &json!({ "fields": { "NumberOfEmployees": 4 } }))
            .status,
        200
    );
    let shown = org.get(&format!("/v1/records/Lead/{lead}")).json();
    assert_eq!(
        (&shown["fields"]["Each__c"], &shown["not_computed"]),
        (&json!("2.5"), &serde_json::Value::Null)
    );
}
