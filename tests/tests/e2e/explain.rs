//! Why an update failed: stage by stage, on both sides, and by the rules of today (OPS-02, OPS-03).

use serde_json::{Value as Json, json};

use crate::kit::{Pair, list, share_leads, update};

const LIMIT: &str = "extends = \"Lead\"\n[rules.Sized]\ncondition = 'Description == \"huge\"'\n\
    message = \"Too large for us\"\nfield = \"Description\"\nactive = ACTIVE\n";

fn step<'a>(stage: &'a Json, what: &str, field: &str) -> &'a Json {
    let found = list(&stage["steps"]).find(|step| step["what"] == what && step["field"] == field);
    found.unwrap_or_else(|| panic!("no step {what} of {field} in {stage:#}"))
}

#[test]
fn a_refused_update_is_explained_on_both_sides_and_by_the_rules_of_today() {
    let pair = Pair::connected();
    share_leads(&pair.a.api, &pair.b.api, &pair.id, true);
    let (lead, copy) = pair.share_lead("Curie");
    let limit = |active: &str| {
        let file = LIMIT.replace("ACTIVE", active);
        pair.b.api.send_bytes("PUT", "/v1/objects", "application/toml", file.as_bytes()).unwrap();
    };
    limit("true");
    update(&pair.a.api, &lead, &json!({ "Description": "huge", "City": "Paris" }));
    pair.until_settled();

    // The receiver: what came, by which mapping, which rule refused what, what was answered.
    let share = pair.b.api.get(&format!("/v1/records/Lead/{copy}")).unwrap()["shares"][0]["share"].clone();
    let path = format!("/v1/connections/{}/explain", pair.id);
    let told = pair.b.api.get(&format!("{path}?share={}", share.as_str().unwrap())).unwrap();
    let refused = list(&told["stages"])
        .find(|stage| list(&stage["steps"]).any(|step| step["what"] == "refused"))
        .unwrap_or_else(|| panic!("no stage was refused: {told:#}"));
    let why = step(refused, "refused", "Description");
    assert_eq!((&why["to"], &why["reasons"][0]["rule"]), (&json!("huge"), &json!("Sized")), "{why}");
    assert_eq!(step(refused, "mapped", "Description")["from"], "huge");
    assert_eq!(step(refused, "mapped", "City")["to"], "Paris");
    assert_eq!(refused["outcome"], "rejected", "a refused update changes no field");
    assert_eq!(refused["rule"]["version"], refused["rule"]["version_now"]);
    let answer = &refused["answers"][0];
    assert_eq!(answer["reasons"][0]["code"], "rule_refused", "{answer}");
    assert_eq!(refused["today"]["same"], true, "{:#}", refused["today"]);
    let position = refused["position"].as_u64().unwrap();

    // One message alone, and the sender's side of it.
    let one = pair.b.api.get(&format!("{path}?position={position}")).unwrap();
    assert_eq!(list(&one["stages"]).collect::<Vec<_>>(), [refused]);
    let sent = pair.a.api.get(&format!("{path}?sent={position}")).unwrap();
    let sent = &sent["stages"][0];
    assert_eq!(step(sent, "wrote", "Description")["to"], "huge");
    assert_eq!(sent["answers"][0]["outcome"], refused["outcome"], "{sent:#}");
    assert_eq!(sent["answers"][0]["reasons"][0]["code"], "rule_refused");

    // Without the rule, the same message would write the field. Nothing that was is otherwise.
    limit("false");
    let today = pair.b.api.get(&format!("{path}?position={position}")).unwrap();
    let today = &today["stages"][0];
    assert_eq!(today["outcome"], refused["outcome"], "history stays");
    assert_eq!((&today["today"]["same"], &today["today"]["outcome"]), (&json!(false), &json!("applied")));
    let differences: Vec<_> = list(&today["today"]["differences"])
        .map(|one| (one["field"].as_str().unwrap(), one["then"].clone(), one["today"].clone()))
        .collect();
    let none = || Json::Null;
    assert_eq!(differences, [("City", none(), json!("Paris")), ("Description", none(), json!("huge"))]);
    assert_eq!(pair.b.api.get(&format!("{path}?position=99999")).unwrap_err().status, 404);
    assert_eq!(pair.b.api.get(&path).unwrap_err().status, 400);
    pair.finish();
}

/// What would come of a message today is asked of today's assignment, queues and workflow, too.
#[test]
fn a_message_is_explained_by_todays_assignment_queues_and_workflow() {
    let pair = Pair::connected();
    share_leads(&pair.a.api, &pair.b.api, &pair.id, true);
    let (lead, copy) = pair.share_lead("Curie");
    update(&pair.a.api, &lead, &json!({ "City": "Paris" }));
    pair.until_settled();
    let share = pair.b.api.get(&format!("/v1/records/Lead/{copy}")).unwrap()["shares"][0]["share"].clone();
    let path = format!("/v1/connections/{}/explain?share={}", pair.id, share.as_str().unwrap());
    // What each counted message of the share wrote otherwise, as `field: then -> today`.
    let told = || -> Vec<Vec<String>> {
        let told = pair.b.api.get(&path).unwrap();
        let shown = |today: &Json| {
            let one = |one: &Json| {
                format!("{}: {} -> {}", one["field"].as_str().unwrap(), one["then"], one["today"])
            };
            let differences: Vec<String> = list(&today["differences"]).map(one).collect();
            assert_eq!(today["same"], json!(differences.is_empty()), "{today}");
            differences
        };
        list(&told["stages"])
            .map(|stage| &stage["today"])
            .filter(|today| today.is_object())
            .map(shown)
            .collect()
    };
    let nothing = told();
    assert!(nothing.iter().all(Vec::is_empty), "{nothing:?}");
    // Assignment, to a queue of today: of what made the copy.
    pair.b.api.must("PUT", "/v1/queues/emea", &json!({ "objects": ["Lead"] }));
    let entries = json!({ "entries": [{ "owner": "queue:emea" }] });
    pair.b.api.must("PUT", "/v1/rules/assignment/Lead", &entries);
    let assigned = told();
    let owner = "owner: \"admin\" -> \"queue:emea\"".to_owned();
    assert_eq!(assigned.iter().flatten().collect::<Vec<_>>(), [&owner]);
    pair.b.api.must("DELETE", "/v1/rules/assignment/Lead", &Json::Null);
    // Workflow: of the change alone.
    let workflow = json!({
        "object": "Lead",
        "when": "every",
        "criteria": "by_connection_user && changed(City) && !is_new",
        "actions": [{ "set": { "field": "Rating", "value": "Hot" } }],
    });
    pair.b.api.must("PUT", "/v1/rules/workflow/react", &workflow);
    let acted = told();
    let rating = "Rating: null -> \"Hot\"".to_owned();
    assert_eq!(acted.iter().flatten().collect::<Vec<_>>(), [&rating]);
    assert_eq!(pair.b.api.get(&format!("/v1/records/Lead/{copy}")).unwrap()["fields"]["Rating"], json!(null));
    pair.finish();
}
