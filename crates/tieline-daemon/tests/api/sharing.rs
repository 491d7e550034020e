//! Connections, publish rules and shares, as far as one org without a broker goes.

use serde_json::{Value as Json, json};

use crate::kit::{Answer, Org};

fn put(org: &Org, path: &str, body: &Json) -> Answer {
    org.send("PUT", path, "application/json", body.to_string().as_bytes())
}

#[test]
fn a_connection_is_shown_with_why_nothing_flows() {
    let org = Org::start();
    let id = org.connect("sales", "globex");
    for selector in ["globex", "sales", id.as_str()] {
        let shown = org.get(&format!("/v1/connections/{selector}")).json();
        assert_eq!((&shown["summary"]["id"], &shown["summary"]["partner"]), (&json!(id), &json!("globex")));
        assert_eq!(shown["summary"]["status"], "active");
        assert_eq!(shown["summary"]["received"]["received"], 0);
    }
    let ready = org.get("/readyz").json();
    assert_eq!(ready["connections"][0]["partner"], "globex");
    assert!(ready["connections"][0]["cause"].is_string(), "{ready}");
    let second = org.connect("supply", "globex");
    let both = org.get("/v1/connections/globex");
    assert_eq!((both.status, both.problem().1.as_str()), (409, "ambiguous_connection"));
    assert_eq!(org.post("/v1/connections/supply/deactivate", &json!({})).json()["changed"], true);
    assert_eq!(org.post("/v1/connections/supply/deactivate", &json!({})).json()["changed"], false);
    assert_eq!(org.get("/v1/connections/globex").json()["summary"]["id"], json!(id), "{second} has ended");
    assert_eq!(org.get("/v1/connections").json()["connections"].as_array().unwrap().len(), 2);
}

#[test]
fn publish_rules_are_set_shown_and_removed() {
    let org = Org::start();
    org.connect("", "globex");
    let path = "/v1/connections/globex/publish/Lead";
    assert_eq!(org.get(path).problem().1, "unknown_rule");
    assert_eq!(put(&org, path, &json!({"fields": ["status", "LASTNAME"]})).json()["changed"], true);
    assert_eq!(put(&org, path, &json!({"fields": ["LastName", "Status"]})).json()["changed"], false);
    let rule = json!({"object": "Lead", "fields": ["LastName", "Status"], "owners": false, "version": 1});
    assert_eq!(org.get(path).json(), rule);
    assert_eq!(org.get("/v1/connections/globex/publish").json(), json!({ "publish": [rule] }));
    let audit = put(&org, path, &json!({"fields": ["CreatedDate", "Nmae"]}));
    let unknown = ("unknown_field".to_owned(), "Nmae".to_owned());
    assert_eq!(audit.problem(), (422, "record_refused".to_owned(), vec![unknown]), "{}", audit.text());
    let audit = put(&org, path, &json!({"fields": ["CreatedDate"]}));
    assert_eq!(audit.problem().2[0].0, "not_publishable");
    assert_eq!(
        put(&org, "/v1/connections/globex/publish/Laed", &json!({"all": true})).problem().1,
        "unknown_object"
    );
    assert_eq!(org.send("DELETE", path, "application/json", b"").json()["changed"], true);
    assert_eq!(org.get(path).problem().1, "unknown_rule");
}

#[test]
fn a_rule_for_what_is_not_published_is_refused() {
    let org = Org::start();
    org.connect("", "globex");
    let path = "/v1/connections/globex/subscribe/Lead";
    let body = json!({"local": "Lead", "fields": [{"local": "LastName", "from": "LastName"}]});
    let refused = put(&org, path, &body);
    assert_eq!((refused.status, refused.problem().1.as_str()), (409, "not_in_catalogue"));
    let unknown = put(&org, path, &json!({"local": "Lead", "fields": [], "picklist": {}}));
    assert_eq!(unknown.problem().1, "unknown_key");
    assert_eq!(org.get(path).problem().1, "unknown_rule");
    assert_eq!(org.get("/v1/connections/globex/subscribe").json(), json!({"subscribe": []}));
}

#[test]
fn records_are_forwarded_listed_and_stopped() {
    let org = Org::start();
    let connection = org.connect("", "globex");
    let lead = org.lead(&json!({"LastName": "Ng", "Company": "Globex"}));
    let nobody = tieline_core::RecordId(7).to_string();
    let forward = json!({"connections": ["globex"], "object": "Lead", "records": [lead, nobody]});
    let early = org.post("/v1/shares", &forward).json();
    assert_eq!(early["results"][0]["result"]["code"], "not_published");
    put(&org, "/v1/connections/globex/publish/Lead", &json!({"all": true}));
    let done = org.post("/v1/shares", &forward).json();
    assert_eq!(done["results"][0]["result"]["ok"], true, "{done}");
    assert_eq!(done["results"][1]["result"]["code"], "unknown_record");
    let share = done["results"][0]["result"]["id"].clone();
    let shown = org.get(&format!("/v1/records/Lead/{lead}")).json();
    assert_eq!(shown["shares"][0]["share"], share);
    assert_eq!(
        (&shown["shares"][0]["direction"], &shown["shares"][0]["status"], &shown["shares"][0]["actor"]),
        (&json!("sent"), &json!("offered"), &json!("ann"))
    );
    let list = |status: &str| org.get(&format!("/v1/connections/{connection}/shares?status={status}")).json();
    assert_eq!(list("offered")["shares"].as_array().unwrap().len(), 1);
    assert_eq!(list("active")["shares"], json!([]));
    let wrong = org.get("/v1/connections/globex/shares?status=open");
    assert_eq!(wrong.problem().1, "bad_query");
    assert_eq!(org.get("/v1/inbox").json()["offers"], json!([]), "what was sent does not wait here");
    let stop = json!({"connection": "globex", "records": [lead, nobody]});
    let stopped = org.post("/v1/shares/stop", &stop).json();
    assert_eq!(
        (&stopped["results"][0]["ok"], &stopped["results"][1]["code"]),
        (&json!(true), &json!("unknown_record"))
    );
    assert_eq!(list("inactive")["shares"][0]["reason"], "stopped");
    assert_eq!(
        org.post(&format!("/v1/connections/globex/shares/{}/retry", share.as_str().unwrap()), &json!({}))
            .json()["changed"],
        false
    );
}

#[test]
fn much_to_forward_becomes_a_job() {
    let org = Org::start();
    org.connect("", "globex");
    let all = json!({"connections": ["globex"], "object": "Lead", "all": true});
    assert_eq!(org.post("/v1/shares", &all).problem().1, "not_published");
    put(&org, "/v1/connections/globex/publish/Lead", &json!({"all": true}));
    let mut live = org.follow("/v1/log/stream");
    let job = org.post("/v1/shares", &all).json()["jobs"][0]["job"].clone();
    // Nothing is there to be forwarded: the job starts, advances once, and is done.
    assert_eq!(live.event("JobStarted")["job"], job);
    assert_eq!(live.event("JobAdvanced")["cursor"], json!(null));
    assert_eq!(org.get("/v1/jobs").json(), json!({"jobs": []}));
    let accept = org.post("/v1/inbox/accept", &json!({"connection": "globex", "all": true, "owner": "bob"}));
    assert_eq!(accept.problem().1, "unknown_user");
    assert_eq!(org.get("/v1/failures?connection=globex").json(), json!({"failures": []}));
    assert_eq!(org.get("/v1/alarms").json(), json!({"alarms": []}));
}

/// S2S-41: one record or many go to one connection or several, by who may edit them and from a list view;
/// nothing of the record changes here, and an object may leave it to queues and rules.
#[test]
fn records_are_forwarded_by_who_may_edit_them_and_stay_as_they_are() {
    let mut org = Org::start();
    for partner in ["globex", "initech"] {
        org.connect("", partner);
        put(&org, &format!("/v1/connections/{partner}/publish/Lead"), &json!({"all": true}));
    }
    let leads: Vec<String> = ["Ng", "Wu", "Li"]
        .map(|name| org.lead(&json!({"LastName": name, "Company": "c", "Rating": "Hot"})))
        .into();
    let report =
        json!({"object": "Lead", "rows": "records", "columns": ["LastName"], "group_by": ["record.owner"]});
    put(&org, "/v1/reports/leads", &report);
    let look = |org: &Org| {
        let leads = leads.iter().map(|lead| {
            let shown = org.get(&format!("/v1/records/Lead/{lead}")).json();
            [shown["owner"].clone(), shown["fields"].clone(), shown["modified"].clone()]
        });
        (leads.collect::<Vec<_>>(), org.get("/v1/reports/leads/run").json()["rows"].clone())
    };
    let before = look(&org);
    let token = |org: &Org, name: &str, rights: Json| {
        put(org, &format!("/v1/roles/{name}"), &json!({"objects": {"Lead": rights}}));
        assert_eq!(org.post("/v1/users", &json!({"user": name, "role": name})).status, 201);
        let issued = org.post(&format!("/v1/users/{name}/tokens"), &json!({})).json();
        issued["token"].as_str().unwrap().to_owned()
    };
    let reader = token(&org, "reader", json!({"read": true}));
    let editor = token(&org, "editor", json!({"read": true, "edit": true}));
    let ann = std::mem::replace(&mut org.token, reader);
    let ends = |answer: &Json| -> Vec<Json> {
        let results = answer["results"].as_array().unwrap().iter().map(|one| &one["result"]);
        results.map(|end| if end["ok"] == true { json!(true) } else { end["code"].clone() }).collect()
    };
    let one = json!({"connections": ["globex"], "object": "Lead", "records": [leads[0]]});
    assert_eq!(ends(&org.post("/v1/shares", &one).json()), ["no_permission"]);
    org.token = editor;
    assert_eq!(ends(&org.post("/v1/shares", &one).json()), [json!(true)]);
    let many =
        json!({"connections": ["globex", "initech"], "object": "Lead", "records": [leads[0], leads[1]]});
    let done = ends(&org.post("/v1/shares", &many).json());
    assert_eq!(done, [json!("already_shared"), json!(true), json!(true), json!(true)]);
    org.token = ann;
    put(&org, "/v1/views/hot", &json!({"object": "Lead", "filter": "Rating == 'Hot'"}));
    let view = json!({"connections": ["initech"], "object": "Lead", "view": "hot"});
    let mut live = org.follow("/v1/log/stream");
    assert!(org.post("/v1/shares", &view).json()["jobs"][0]["job"].is_string());
    let job = live.event("JobAdvanced");
    assert_eq!((&job["done"], &job["ended"]["kind"]), (&json!(1), &json!("forward")), "{job}");
    let offered = |partner: &str| {
        let shares = org.get(&format!("/v1/connections/{partner}/shares?status=offered")).json();
        shares["shares"].as_array().unwrap().len()
    };
    assert_eq!([offered("globex"), offered("initech")], [2, 3]);
    assert_eq!(look(&org), before, "owner, fields and reports are as they were");

    let file = b"extends = \"Lead\"\nsharing_by_hand = false\n";
    assert_eq!(org.send("PUT", "/v1/objects", "application/toml", file).status, 200);
    let last = json!({"connections": ["globex"], "object": "Lead", "records": [leads[2]]});
    assert_eq!(ends(&org.post("/v1/shares", &last).json()), ["not_by_hand"]);
    let queue = json!({"objects": ["Lead"], "connections": ["globex"]});
    put(&org, "/v1/queues/emea", &queue);
    let assigned =
        org.post(&format!("/v1/records/Lead/{}/assign", leads[2]), &json!({"owner": "queue:emea"})).json();
    assert_eq!(assigned["offers"][0]["result"]["ok"], true, "{assigned}");
}
