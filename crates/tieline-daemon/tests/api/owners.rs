//! Owners of a partner, records assigned at once, and how leads are converted, over HTTP.

use serde_json::{Value as Json, json};

use crate::kit::Org;

fn until_done(org: &Org) {
    while org.get("/v1/jobs").json()["jobs"] != json!([]) {
        std::thread::yield_now();
    }
}

#[test]
fn a_partners_owners_are_mapped_shown_and_written_to_files() {
    let org = Org::start();
    org.connect("globex sales", "globex");
    let path = "/v1/connections/globex/owners";
    assert_eq!(org.get(path).json(), json!({"users": {}, "default": null, "unmapped": []}));
    let owners = json!({"users": {"gus": "ann", "queue:west": "ann"}, "default": "ann"});
    assert_eq!(org.put(path, &owners).json()["changed"], true);
    assert_eq!(org.get(path).json()["users"], owners["users"]);
    assert_eq!(org.put(path, &json!({"users": {"gus": "nobody"}})).problem().1, "unknown_user");
    assert_eq!(org.put(path, &json!({"users": {"gus": "queue:none"}})).problem().1, "unknown_queue");
    let publish = "/v1/connections/globex/publish/Lead";
    assert_eq!(org.put(publish, &json!({"fields": ["LastName"]})).status, 200);
    assert_eq!(org.get(publish).json()["owners"], false, "nobody is named unasked");
    assert_eq!(org.put(publish, &json!({"fields": ["LastName"], "owners": true})).json()["changed"], true);
    // Who only changes the fields changes nothing about the owners.
    assert_eq!(org.put(publish, &json!({"fields": ["LastName", "City"]})).status, 200);
    assert_eq!(org.get(publish).json()["owners"], true);

    let exported = org.get("/v1/config").json();
    let file = |name: &str| {
        let files = exported["files"].as_array().unwrap().iter();
        let mut text = files.filter(|file| file["name"] == name).map(|file| file["text"].as_str().unwrap());
        text.next().unwrap().to_owned()
    };
    let text = file("connections/globex.toml");
    assert!(text.contains("[owners.users]") && text.contains("owners = true"), "{text}");
    let again = json!({ "files": exported["files"], "prune": true });
    assert_eq!(org.post("/v1/config/plan", &again).json()["changes"], json!([]));
    assert_eq!(org.send("DELETE", path, "application/json", b"").status, 200);
    let plan = org.post("/v1/config/plan", &again).json();
    assert_eq!(plan["changes"][0]["item"], "connections.globex.owners", "{plan}");
    assert_eq!(org.post("/v1/config/apply", &again).json()["changed"], true);
    assert_eq!(org.get(path).json()["default"], "ann");
}

#[test]
fn records_are_assigned_all_at_once() {
    let org = Org::start();
    assert_eq!(org.post("/v1/users", &json!({"user": "bob"})).status, 201);
    for rating in ["Hot", "Cold", "Hot"] {
        org.lead(&json!({"LastName": "Ng", "Company": "Initech", "Rating": rating}));
    }
    let rule = json!({"entries": [{"criteria": "Rating == 'Hot'", "owner": "bob"}]});
    let set = org.put("/v1/rules/assignment/Lead", &rule);
    assert_eq!(set.status, 200, "{}", set.text());
    let begun = org.post("/v1/records/Lead/assign", &json!({"rules": true, "all": true}));
    assert!(begun.json()["job"].is_string(), "{}", begun.text());
    until_done(&org);
    let owned = |by: &str| {
        let page: Json = org.get(&format!("/v1/records/Lead?owner={by}")).json();
        page["records"].as_array().unwrap().len()
    };
    assert_eq!((owned("bob"), owned("ann")), (2, 1), "who meets no rule stays");
    for (body, code) in [
        (json!({"all": true}), "bad_body"),
        (json!({"rules": true}), "bad_body"),
        (json!({"rules": true, "view": "none"}), "unknown_view"),
        (json!({"owner": "nobody", "all": true}), "unknown_user"),
    ] {
        assert_eq!(org.post("/v1/records/Lead/assign", &body).problem().1, code, "{body}");
    }
}

#[test]
fn the_fields_of_a_converted_lead_are_settings() {
    let org = Org::start();
    let usual = org.get("/v1/conversion").json();
    assert_eq!((&usual["account"]["Name"], &usual["contact"]["Email"]), (&json!("Company"), &json!("Email")));
    let map = json!({"account": {"Name": "Company", "Site": "City"}});
    assert_eq!(org.put("/v1/conversion", &map).status, 200);
    let shown = org.get("/v1/conversion").json();
    assert_eq!((&shown["account"], &shown["contact"]), (&map["account"], &usual["contact"]));
    assert_eq!(
        org.put("/v1/conversion", &json!({"account": {"Town": "City"}})).problem().1,
        "record_refused"
    );
    let exported = org.get("/v1/config").json();
    let has =
        |file: &Json| file["name"] == "conversion.toml" && file["text"].as_str().unwrap().contains("Site");
    assert!(exported["files"].as_array().unwrap().iter().any(has), "{exported}");
    let again = json!({ "files": exported["files"], "prune": true });
    assert_eq!(org.post("/v1/config/plan", &again).json()["changes"], json!([]));
    let lead = org.lead(&json!({"LastName": "Ng", "Company": "Initech", "City": "Rome"}));
    let made = org.post(&format!("/v1/records/Lead/{lead}/convert"), &json!({})).json();
    let account = org.get(&format!("/v1/records/Account/{}", made["account"].as_str().unwrap())).json();
    assert_eq!(
        (&account["fields"]["Site"], &account["fields"]["BillingCity"]),
        (&json!("Rome"), &Json::Null)
    );
    assert_eq!(org.send("DELETE", "/v1/conversion", "application/json", b"").status, 200);
    assert_eq!(org.get("/v1/conversion").json(), usual);
}
