//! Settings as files, connection templates, and what will go wrong, over HTTP.

use serde_json::{Value as Json, json};

use crate::kit::Org;

fn files(text: &str) -> Json {
    json!({ "files": [{ "name": "crm.toml", "text": text }] })
}

const SETTINGS: &str = "[roles.sales]\n[roles.sales.objects.Lead]\nread = true\n[users.bob]\nrole = \"sales\"\n\
    [extends.Lead.fields]\nRegion__c = { type = \"text\", length = 9 }\n\
    [extends.Lead.rules.Big]\ncondition = 'NumberOfEmployees > 10'\nmessage = \"too big\"\n";

#[test]
fn files_are_planned_applied_and_exported() {
    let org = Org::start();
    for employees in [5, 50, 500] {
        org.lead(&json!({ "LastName": "Ng", "Company": "Initech", "NumberOfEmployees": employees }));
    }
    let plan = org.post("/v1/config/plan", &files(SETTINGS)).json();
    let items: Vec<&str> =
        plan["changes"].as_array().unwrap().iter().map(|change| change["item"].as_str().unwrap()).collect();
    assert_eq!(items, ["objects.Lead", "roles.sales", "users.bob"], "{plan}");
    let touch = &plan["touches"][0];
    assert_eq!(
        (&touch["code"], &touch["detail"], &touch["count"]),
        (&json!("rule_refused"), &json!("Big"), &json!(2))
    );
    assert_eq!(org.get("/v1/users/bob").status, 404, "a plan changes nothing");

    // What the plan was made for is what is applied, and nothing else.
    let mut body = files(SETTINGS);
    body["based_on"] = plan["based_on"].clone();
    org.put("/v1/groups/emea", &json!({ "users": ["ann"] }));
    assert_eq!(org.post("/v1/config/apply", &body).problem().1, "plan_outdated");
    let applied = org.post("/v1/config/apply", &files(SETTINGS)).json();
    assert_eq!(applied["changed"], true, "{applied}");
    let again = org.post("/v1/config/apply", &files(SETTINGS)).json();
    assert_eq!((&again["changed"], &again["plan"]["unchanged"]), (&json!(false), &json!(3)));
    assert_eq!(again["seq"], applied["seq"]);
    let log = org.get(&format!("/v1/log?from={}", applied["seq"])).json();
    assert_eq!(log["events"][0]["name"], "ConfigApplied", "{log}");

    let exported = org.get("/v1/config").json();
    let mut body = json!({ "files": exported["files"], "prune": true });
    let plan = org.post("/v1/config/plan", &body).json();
    assert_eq!((&plan["changes"], &plan["faults"]), (&json!([]), &json!([])));
    assert_eq!(plan["based_on"], exported["hash"]);
    body["files"].as_array_mut().unwrap().retain(|file| file["name"] != "groups.toml");
    let text = "[groups]\n";
    body["files"].as_array_mut().unwrap().push(json!({ "name": "groups.toml", "text": text }));
    let plan = org.post("/v1/config/plan", &body).json();
    assert_eq!(
        (&plan["changes"][0]["item"], &plan["changes"][0]["action"]),
        (&json!("groups.emea"), &json!("remove"))
    );
}

#[test]
fn files_that_are_wrong_are_refused_with_their_places() {
    let org = Org::start();
    let seq = org.get("/v1/status").json()["seq"].clone();
    let text = "[roles.sales]\nportall = true\n[users.bob]\nrole = \"nobody\"\n";
    let plan = org.post("/v1/config/plan", &files(text)).json();
    let faults: Vec<_> =
        plan["faults"].as_array().unwrap().iter().map(|fault| &fault["place"]["line"]).collect();
    assert_eq!(faults, [&json!(2), &json!(3)], "{plan}");
    let answer = org.post("/v1/config/apply", &files(text));
    let (status, code, reasons) = answer.problem();
    assert_eq!((status, code.as_str(), reasons.len()), (422, "config_refused", 2));
    assert_eq!((&answer.json()["line"], &answer.json()["column"]), (&json!(2), &json!(1)));
    assert!(answer.text().contains("crm.toml:2:1"), "{}", answer.text());
    assert_eq!(org.post("/v1/config/plan", &json!({ "files": [], "based_on": "x" })).status, 200);
    assert_eq!(
        org.post("/v1/config/apply", &json!({ "files": [], "based_on": "x" })).problem().1,
        "bad_body"
    );
    assert_eq!(org.get("/v1/status").json()["seq"], seq);
}

#[test]
fn templates_are_saved_given_and_removed() {
    let org = Org::start();
    org.connect("first", "globex");
    org.connect("second", "initech");
    assert_eq!(org.put("/v1/connections/globex/publish/Lead", &json!({ "fields": ["Company"] })).status, 200);
    assert_eq!(org.put("/v1/templates/partners", &json!({ "from": "globex" })).json()["changed"], true);
    let given = org.post("/v1/connections/initech/template", &json!({ "template": "partners" })).json();
    assert_eq!(given["rules"], json!([{ "rule": "publish.Lead", "fate": "applied" }]));
    let rules = org.get("/v1/connections/initech/publish").json();
    assert_eq!(rules["publish"][0]["fields"], json!(["Company"]));
    assert_eq!(org.get("/v1/templates").json()["templates"][0]["connections"], json!(["initech"]));
    let shown = org.get("/v1/connections/initech").json();
    assert_eq!(shown["template"]["template"], "partners");

    // An invitation gets it as soon as it is accepted.
    let invited = org.post("/v1/invitations", &json!({ "label": "third", "template": "partners" })).json();
    let waits = org.get(&format!("/v1/connections/{}", invited["connection"].as_str().unwrap())).json();
    assert_eq!((&waits["template"]["waits"], &waits["template"]["rules"]), (&json!(true), &json!([])));
    let unknown = org.post("/v1/invitations", &json!({ "template": "nothing" }));
    assert_eq!(unknown.problem().1, "unknown_template");
    let remove = || org.send("DELETE", "/v1/templates/partners", "application/json", b"");
    assert_eq!(remove().problem().1, "template_in_use");
    let invited = invited["connection"].as_str().unwrap();
    assert_eq!(org.post(&format!("/v1/connections/{invited}/revoke"), &json!({})).status, 200);
    assert_eq!(remove().status, 200);
    let audit = org.get("/v1/connections/initech/audit").json();
    let entries = audit["entries"].as_array().unwrap();
    let given = |action: &str| entries.iter().find(|entry| entry["action"] == action).unwrap();
    assert_eq!(given("template given")["detail"], "partners");
    assert_eq!(given("template applied")["detail"], "partners: 1 applied, 0 waiting");
    assert_eq!(org.get("/v1/templates/partners").problem().1, "unknown_template");

    // Nobody takes what is published: that is told before anybody waits for it.
    let found = org.get("/v1/check?connection=initech").json();
    assert_eq!(
        (&found["findings"][0]["code"], &found["findings"][0]["item"]),
        (&json!("published_not_taken"), &json!("publish.Lead"))
    );
    assert_eq!(found["findings"][0]["connection"], "initech");
}

#[test]
fn records_that_their_object_would_refuse_are_found() {
    let org = Org::start();
    org.lead(&json!({ "LastName": "Ng", "Company": "Initech", "NumberOfEmployees": 50 }));
    assert_eq!(org.get("/v1/check").json()["findings"], json!([]));
    org.post("/v1/config/apply", &files(SETTINGS));
    let found = org.get("/v1/check").json();
    assert_eq!(
        (&found["findings"][0]["code"], &found["findings"][0]["count"]),
        (&json!("rule_refused"), &json!(1))
    );
    assert!(found["records"].as_u64().unwrap() >= 1);
}

#[test]
fn what_a_changed_object_leaves_without_its_fields_is_told_before_and_after() {
    let org = Org::start();
    let fund = |more: &str| {
        format!("object = \"Fund__c\"\nname_field = \"Name\"\n[fields]\nName = {{ type = \"text\" }}\n{more}")
    };
    let size = "Size__c = { type = \"integer\" }\n";
    let put = |text: &str| org.send("PUT", "/v1/objects", "application/toml", text.as_bytes()).json();
    assert_eq!(put(&fund(size))["breaks"], json!([]));
    let rule = json!({"object": "Fund__c", "criteria": "Size__c > 5",
        "actions": [{"notify": {"users": ["ann"], "message": "{{Size__c}}"}}]});
    assert_eq!(org.put("/v1/rules/workflow/big", &rule).status, 200);
    let checked = org.send("POST", "/v1/check/object", "application/toml", fund("").as_bytes()).json();
    assert_eq!(checked["breaks"][0]["setting"], "workflow_rules.big", "{checked}");
    let plan = org.post("/v1/config/plan", &files(&fund(""))).json();
    let touch = &plan["touches"][0];
    assert_eq!(
        (&touch["code"], &touch["item"]),
        (&json!("setting_broken"), &json!("objects.Fund__c")),
        "{plan}"
    );
    // With the rule in the same files, nothing is left behind.
    let both = "manages = [\"workflow_rules\"]\n[objects.Fund__c]\nname_field = \"Name\"\n[objects.Fund__c.fields]\nName = { type = \"text\" }\n";
    let plan = org.post("/v1/config/plan", &files(both)).json();
    assert_eq!(plan["touches"], json!([]), "{plan}");
    assert_eq!(put(&fund(""))["breaks"][0]["setting"], "workflow_rules.big");
    let found = org.get("/v1/check").json();
    let items: Vec<&Json> =
        found["findings"].as_array().unwrap().iter().map(|found| &found["item"]).collect();
    assert!(items.contains(&&json!("workflow_rules.big")), "{found}");
}

#[test]
fn what_files_manage_goes_only_if_it_is_asked_for() {
    let org = Org::start();
    for user in ["bob", "eve"] {
        assert_eq!(org.post("/v1/users", &json!({ "user": user, "role": "standard" })).status, 201);
    }
    let text =
        "manages = [\"users\"]\n[users.ann]\nrole = \"administrator\"\n[users.eve]\nrole = \"standard\"\n";
    let plan = org.post("/v1/config/plan", &files(text)).json();
    assert_eq!(
        (&plan["changes"][0]["item"], &plan["changes"][0]["action"]),
        (&json!("users.bob"), &json!("remove")),
        "{plan}"
    );
    assert_eq!(org.post("/v1/config/apply", &files(text)).problem().1, "removal_not_asked");
    assert_eq!(org.get("/v1/users/bob").status, 200);
    let mut body = files(text);
    body["prune"] = true.into();
    assert_eq!(org.post("/v1/config/apply", &body).json()["changed"], true);
    assert_eq!(org.get("/v1/users/bob").status, 404);

    // One by one it is the same, and what stands on something is told.
    assert_eq!(org.send("DELETE", "/v1/users/ann", "application/json", b"").problem().1, "user_in_use");
    assert_eq!(org.send("DELETE", "/v1/users/eve", "application/json", b"").status, 200);
    org.lead(&json!({ "LastName": "Ng", "Company": "Initech" }));
    let refused = org.send("DELETE", "/v1/objects/Lead", "application/json", b"");
    assert_eq!(refused.problem().1, "object_in_use");
    assert!(refused.text().contains("1 records are of it"), "{}", refused.text());
    let fund = "object = \"Fund__c\"\nname_field = \"Name\"\n[fields]\nName = { type = \"text\" }\n";
    assert_eq!(org.send("PUT", "/v1/objects", "application/toml", fund.as_bytes()).status, 200);
    assert_eq!(org.send("DELETE", "/v1/objects/Fund__c", "application/json", b"").status, 200);
    assert_eq!(org.get("/v1/objects/Fund__c").problem().1, "unknown_object");
}

#[test]
fn the_configuration_of_any_moment_is_shown() {
    let org = Org::start();
    let id = org.connect("first", "globex");
    let before = org.get("/v1/status").json()["seq"].as_u64().unwrap();
    let config = org.get("/v1/config").json();
    assert_eq!(org.patch("/v1/connections/globex", &json!({ "label": "Globex sales" })).status, 200);
    assert_eq!(org.put("/v1/connections/globex/publish/Lead", &json!({ "fields": ["Company"] })).status, 200);
    let lead = org.lead(&json!({ "LastName": "Ng", "Company": "Initech" }));
    let body = json!({ "connections": ["globex"], "object": "Lead", "records": [lead] });
    assert_eq!(org.post("/v1/shares", &body).status, 200);

    let then = org.get(&format!("/v1/connections/{id}?seq={before}")).json();
    assert_eq!((&then["summary"]["label"], &then["publish"]), (&json!("first"), &json!([])), "{then}");
    let now = org.get(&format!("/v1/connections/{id}")).json();
    assert_eq!(now["summary"]["label"], "Globex sales");
    assert_eq!(org.get(&format!("/v1/connections/{id}/shares?seq={before}")).json()["shares"], json!([]));
    assert_eq!(
        org.get(&format!("/v1/connections/{id}/shares")).json()["shares"].as_array().unwrap().len(),
        1
    );
    assert_eq!(org.get(&format!("/v1/config?seq={before}")).json(), config);
    assert_ne!(org.get("/v1/config").json()["hash"], config["hash"]);
    // Of what is not there yet, the newest; of before all, nothing.
    assert_eq!(org.get("/v1/config?seq=999999").json(), org.get("/v1/config").json());
    assert_eq!(org.get(&format!("/v1/connections/{id}?time=2020-01-01")).status, 404);
    assert_eq!(org.get("/v1/config?time=soon").problem().1, "bad_query");
    assert_eq!(org.patch("/v1/connections/globex", &json!({})).problem().1, "bad_body");
}
