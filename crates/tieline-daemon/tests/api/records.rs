//! Records through the API: round trips, pages, filters, history.

use serde_json::json;

use crate::kit::Org;

/// Texts that have broken other systems: they come back as they were sent, byte for byte.
const NASTY: [&str; 12] = [
    "Robert'); DROP TABLE leads;--",
    "=HYPERLINK(\"http://example.com\")",
    "<script>alert(1)</script>",
    "👩‍👩‍👧‍👦 e\u{301} \u{200b}\u{feff}",
    "a\tb\r\nc",
    "\\u0000 is six characters",
    "{{7*7}} ${jndi:ldap://x} %n%s",
    "../../etc/passwd",
    "\u{202e}gnirts desrever",
    "NULL",
    " leading and trailing ",
    "𝕌𝕟𝕚𝕔𝕠𝕕𝕖 \u{10ffff}",
];

#[test]
fn nasty_texts_come_back_as_they_were_sent() {
    let org = Org::start();
    for text in NASTY {
        let id = org.lead(&json!({"LastName": "x", "Company": "x", "Description": text}));
        let read = org.get(&format!("/v1/records/Lead/{id}")).json();
        assert_eq!(read["fields"]["Description"].as_str(), Some(text));
        let history = org.get(&format!("/v1/records/Lead/{id}/history")).json();
        assert_eq!(history["events"][0]["body"]["content"]["values"]["Description"].as_str(), Some(text));
    }
    let batch: Vec<_> = NASTY
        .iter()
        .map(|text| json!({"op": "create", "object": "Lead", "fields": {"LastName": text, "Company": "x"}}))
        .collect();
    let answer = org.post("/v1/batch", &json!({ "operations": batch })).json();
    for (text, result) in NASTY.iter().zip(answer["results"].as_array().unwrap()) {
        let id = result["id"].as_str().unwrap();
        let read = org.get(&format!("/v1/records/Lead/{id}")).json();
        assert_eq!(read["fields"]["LastName"].as_str(), Some(*text));
    }
}

#[test]
fn a_record_lives_from_its_creation_to_its_end() {
    let org = Org::start();
    org.post("/v1/users", &json!({"user": "bob", "role": "standard"}));
    let created = org.post(
        "/v1/records/Lead",
        &json!({"fields": {"LastName": "Ng", "Company": "Globex", "NumberOfEmployees": 7}, "owner": "bob"}),
    );
    let id = created.json()["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/records/Lead/{id}");
    assert_eq!(created.header("location"), Some(path.to_lowercase().as_str()));
    let change = json!({"fields": {"company": "Hooli", "NumberOfEmployees": null}}).to_string();
    let patched = org.send("PATCH", &path, "application/json", change.as_bytes()).json();
    assert_eq!(patched["changed"], true);
    let read = org.get(&path).json();
    assert_eq!((&read["owner"], &read["modified_by"]), (&json!("bob"), &json!("ann")));
    assert_eq!(read["fields"]["Company"], "Hooli");
    assert_eq!(read["fields"]["NumberOfEmployees"], json!(null));
    assert_eq!((&read["pending"], &read["shares"]), (&json!([]), &json!([])));
    assert_eq!(org.send("DELETE", &path, "application/json", b"").json()["changed"], true);
    assert_eq!(org.get(&path).problem().0, 404);
    let history = org.get(&format!("{path}/history")).json();
    let actions: Vec<_> =
        history["events"].as_array().unwrap().iter().map(|e| &e["body"]["action"]).collect();
    assert_eq!(actions, ["delete", "update", "create"]);
    let first = org.get(&format!("{path}/history?limit=1")).json();
    let rest = org.get(&format!("{path}/history?cursor={}", first["next"])).json();
    assert_eq!(rest["events"].as_array().unwrap().len(), 2);
    assert_eq!(rest["next"], json!(null));
}

#[test]
fn pages_hold_every_record_once() {
    let org = Org::start();
    let lead = |n: i32| {
        let company = if n % 2 == 0 { "Even" } else { "Odd" };
        json!({"op": "create", "object": "Lead", "fields": {"LastName": format!("n{n}"), "Company": company}})
    };
    let batch: Vec<_> = (0..25).map(lead).collect();
    assert_eq!(org.post("/v1/batch", &json!({ "operations": batch })).json()["done"], 25);
    for (filter, expected) in
        [("", 25), ("&company=Odd", 12), ("&Company=Even&LastName=n4", 1), ("&Company=None", 0)]
    {
        let mut names = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = org.get(&format!("/v1/records/Lead?limit=10{filter}{cursor}")).json();
            let records = page["records"].as_array().unwrap();
            assert!(records.len() <= 10);
            names.extend(records.iter().map(|record| record["fields"]["LastName"].to_string()));
            let Some(next) = page["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(names.len(), expected, "{filter}");
        names.sort();
        names.dedup();
        assert_eq!(names.len(), expected, "{filter}: a record stands twice");
    }
}
