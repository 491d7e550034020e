//! What was: the history of tracked fields, the audit of a connection, the change feed.

use serde_json::{Value as Json, json};

use crate::kit::Org;

/// The entries of a page, each as `field old -> new`.
fn entries(page: &Json) -> Vec<String> {
    let shown = |entry: &Json| {
        let text = |key: &str| entry[key].as_str().unwrap_or("-").to_owned();
        format!("{} {} -> {}", text("field"), text("old"), text("new"))
    };
    page["entries"].as_array().unwrap().iter().map(shown).collect()
}

#[test]
fn tracked_fields_have_a_history_and_others_have_none() {
    let org = Org::start();
    let lead = org.lead(&json!({"LastName": "Ng", "Company": "Initech", "Status": "Open - Not Contacted"}));
    let path = format!("/v1/records/Lead/{lead}");
    for status in ["Working - Contacted", "Closed - Converted"] {
        let change = json!({"fields": {"Status": status, "City": status}});
        assert_eq!(org.patch(&path, &change).status, 200);
    }
    let page = org.get(&format!("{path}/field-history")).json();
    assert!(page["tracked"].as_array().unwrap().contains(&json!("Status")), "{page}");
    assert_eq!(
        entries(&page),
        [
            "Status Working - Contacted -> Closed - Converted",
            "Status Open - Not Contacted -> Working - Contacted",
            "Status - -> Open - Not Contacted",
        ]
    );
    let first = &page["entries"][0];
    assert_eq!((&first["actor"], &first["connection"]), (&json!("ann"), &Json::Null));
    // Pages know what was before, too.
    let one = org.get(&format!("{path}/field-history?limit=1&field=status")).json();
    assert_eq!(entries(&one), entries(&page)[..1]);
    let two = org.get(&format!("{path}/field-history?cursor={}", one["next"])).json();
    assert_eq!(entries(&two), entries(&page)[1..]);
    assert_eq!(entries(&org.get(&format!("{path}/field-history?field=City")).json()), [""; 0]);
    assert_eq!(org.get(&format!("{path}/field-history?field=Town")).problem().1, "record_refused");
    // The administrator picks others.
    let object = include_str!("../../../../schemas/objects/lead.toml");
    let tracked = object.replacen("City = { ", "City = { tracked = true, ", 1);
    assert_ne!(tracked, object);
    let defined = org.send("PUT", "/v1/objects", "application/toml", tracked.as_bytes());
    assert_eq!(defined.status, 200, "{}", defined.text());
    assert_eq!(entries(&org.get(&format!("{path}/field-history?field=City")).json()).len(), 2);
}

#[test]
fn every_action_on_a_connection_stands_in_its_audit() {
    let org = Org::start();
    let id = org.connect("globex sales", "globex");
    org.connect("another", "initech");
    assert_eq!(org.put("/v1/connections/globex/publish/Lead", &json!({"fields": ["LastName"]})).status, 200);
    let lead = org.lead(&json!({"LastName": "Ng", "Company": "Initech"}));
    let body = json!({"connections": [id], "object": "Lead", "records": [lead]});
    assert_eq!(org.post("/v1/shares", &body).status, 200);
    assert_eq!(org.post("/v1/connections/globex/pause", &json!({"object": "Lead"})).status, 200);
    assert_eq!(org.post("/v1/connections/globex/unpause", &json!({"object": "Lead"})).status, 200);
    assert_eq!(org.post("/v1/connections/globex/deactivate", &json!({})).status, 200);
    // The job that ends the shares works beside the request.
    let page = loop {
        let page = org.get("/v1/connections/globex/audit").json();
        if page["entries"][0]["action"] == "job ended" {
            break page;
        }
        std::thread::yield_now();
    };
    let all = page["entries"].as_array().unwrap();
    let actions: Vec<&str> = all.iter().rev().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(
        actions,
        [
            "invited",
            "established",
            "published",
            "offered",
            "paused",
            "unpaused",
            "deactivated",
            "job began",
            "share ended",
            "job ended"
        ],
        "{page}"
    );
    assert!(all.iter().all(|entry| entry["time"].is_string() && entry["actor"].is_string()), "{page}");
    let offered = org.get("/v1/connections/globex/audit?action=offered&actor=ann").json();
    assert_eq!(offered["entries"][0]["record"], json!(lead));
    assert_eq!(org.get("/v1/connections/globex/audit?until=2020-01-01").json()["entries"], json!([]));
    assert_eq!(org.get("/v1/connections/globex/audit?since=yesterday").problem().1, "bad_query");
    // Page by page it is the same.
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = org.get(&format!("/v1/connections/globex/audit?limit=3{cursor}")).json();
        paged.extend(page["entries"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_u64() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(&paged, all);
}

#[test]
fn changes_are_told_of_what_may_be_read_and_waited_for() {
    let mut org = Org::start();
    let lead = org.lead(&json!({"LastName": "Ng", "Company": "Initech"}));
    let all = org.get("/v1/changes").json();
    assert_eq!(all["changes"][0]["record"], json!(lead));
    let after = all["next"].as_u64().unwrap();
    assert_eq!(org.get(&format!("/v1/changes?after={after}&wait=0")).json()["changes"], json!([]));
    let mut follower = org.follow(&format!("/v1/changes/stream?after={after}"));
    org.patch(&format!("/v1/records/Lead/{lead}"), &json!({"fields": {"City": "Rome"}}));
    assert_eq!(follower.next("event"), "position");
    let begun: Json = serde_json::from_str(&follower.next("data")).unwrap();
    assert_eq!(begun, json!({"after": after, "life": all["life"]}));
    while follower.next("event") != "change" {}
    let change: Json = serde_json::from_str(&follower.next("data")).unwrap();
    assert_eq!((&change["action"], &change["fields"]), (&json!("update"), &json!({"City": "Rome"})));
    // Who may read nothing is told nothing.
    assert_eq!(org.put("/v1/roles/blind", &json!({})).status, 200);
    assert_eq!(org.post("/v1/users", &json!({"user": "bob", "role": "blind"})).status, 201);
    let bob = org.post("/v1/users/bob/tokens", &json!({"label": "test"})).json();
    let ann = std::mem::replace(&mut org.token, bob["token"].as_str().unwrap().to_owned());
    assert_eq!(org.get("/v1/changes").json()["changes"], json!([]));
    assert_eq!(org.get("/v1/changes?object=Lead").status, 403);
    org.token = ann;
    // A stream ends with a last word.
    let follower = std::thread::spawn(move || {
        while follower.next("event") != "last" {}
        follower.next("data")
    });
    org.stop();
    let last: Json = serde_json::from_str(&follower.join().unwrap()).unwrap();
    assert_eq!((&last["code"], &last["after"]), (&json!("stopping"), &change["seq"]));
}

#[test]
fn a_position_that_the_log_does_not_have_is_refused() {
    let org = Org::start();
    let page = org.get("/v1/changes").json();
    let (head, life) = (page["head"].as_u64().unwrap(), page["life"].as_str().unwrap());
    let answer = |query: &str| org.get(&format!("/v1/changes?{query}"));
    assert_eq!(answer(&format!("after={head}&life={life}")).status, 200);
    for path in ["/v1/changes", "/v1/changes/stream"] {
        let beyond = org.get(&format!("{path}?after={}", head + 1));
        assert_eq!((beyond.status, beyond.json()["code"].as_str().unwrap()), (409, "log_set_back"), "{path}");
        let detail = beyond.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(&format!("the log ends at {head}")), "{detail}");
        let other = org.get(&format!("{path}?after={head}&life=another"));
        assert_eq!((other.status, other.json()["code"].as_str().unwrap()), (409, "log_set_back"), "{path}");
    }
}

#[test]
fn reports_list_records_shares_and_connections() {
    let org = Org::start();
    let id = org.connect("globex sales", "globex");
    assert_eq!(org.put("/v1/connections/globex/publish/Lead", &json!({"fields": ["LastName"]})).status, 200);
    for (company, revenue) in [("Initech", "10"), ("Initech", "1"), ("=cmd", "3")] {
        org.lead(&json!({"LastName": company, "Company": company, "AnnualRevenue": revenue}));
    }
    let account = org.post("/v1/records/Account", &json!({"fields": {"Name": "Globex"}}));
    assert_eq!(account.status, 201, "{}", account.text());
    let leads = org.get("/v1/records/Lead").json();
    let lead = leads["records"][0]["id"].clone();
    let body = json!({"connections": [id], "object": "Lead", "records": [lead]});
    assert_eq!(org.post("/v1/shares", &body).status, 200);

    let names = |answer: &Json| {
        let reports = answer["reports"].as_array().unwrap().iter();
        reports.map(|report| report["definition"]["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let listed = org.get("/v1/reports").json();
    for ready in ["connections-with-accounts", "lead-and-connections", "lead-history", "opportunity-history"]
    {
        assert!(names(&listed).contains(&ready.to_owned()), "{ready}: {:?}", names(&listed));
    }
    let run = |name: &str| org.get(&format!("/v1/reports/{name}/run")).json();
    let accounts = run("connections-with-accounts");
    assert_eq!((&accounts["total"], &accounts["rows"][0][2]), (&json!(1), &json!("globex")), "{accounts}");
    let matched = accounts["columns"].as_array().unwrap().iter().position(|c| c == "connection.matched_by");
    assert_eq!(accounts["rows"][0][matched.unwrap()], "name", "no invitation was mailed: {accounts}");
    // An offer is no active share yet.
    assert_eq!(run("lead-and-connections")["total"], 0);
    assert_eq!(run("lead-history")["total"], 0);

    let revenue = json!({
        "object": "Lead", "rows": "records", "columns": ["Company"], "filter": "AnnualRevenue > 0",
        "group_by": ["Company"], "summaries": [{"function": "sum", "column": "AnnualRevenue"}],
        "sort": [{"column": "sum(AnnualRevenue)", "descending": true}],
    });
    assert_eq!(org.put("/v1/reports/revenue", &revenue).status, 200);
    let table = run("revenue");
    assert_eq!(table["columns"], json!(["Company", "count", "sum(AnnualRevenue)"]));
    assert_eq!(table["rows"], json!([["Initech", 2, "11"], ["=cmd", 1, "3"]]));
    let offers = json!({"object": "Lead", "rows": "shares", "columns": ["record.id", "share.status", "connection.partner"]});
    assert_eq!(org.put("/v1/reports/offers", &offers).status, 200);
    assert_eq!(run("offers")["rows"], json!([[lead, "offered", "globex"]]));
    // Only updates have a time that a report is about.
    assert_eq!(org.get("/v1/reports/offers/run?since=2026-01-31").problem().1, "bad_query");
    // Any object is joined with its shares and their connections, contacts and tasks among them.
    for object in ["Account", "Contact", "Task"] {
        let joined = json!({"object": object, "rows": "shares", "connected": true,
            "columns": ["record.id", "connection.partner", "share.direction", "share.updated"]});
        assert_eq!(org.put("/v1/reports/joined", &joined).status, 200, "{object}");
        assert_eq!(run("joined")["total"], 0);
    }

    for (definition, code) in [
        (json!({"object": "Lead", "rows": "records", "columns": ["Town"]}), "record_refused"),
        (json!({"object": "Lead", "rows": "records", "columns": ["share.id"]}), "record_refused"),
        (
            json!({"object": "Lead", "rows": "records", "columns": ["Company"], "filter": "Town > 1"}),
            "record_refused",
        ),
        (
            json!({"object": "Lead", "rows": "records", "columns": ["Company"], "group_by": ["Company"],
                "sort": [{"column": "City"}]}),
            "record_refused",
        ),
        (
            json!({"object": "Lead", "rows": "updates", "columns": ["Company"], "last_days": 0}),
            "record_refused",
        ),
        (
            json!({"object": "Lead", "rows": "updates", "columns": ["Company"], "since": "soon"}),
            "record_refused",
        ),
        (
            json!({"object": "Lead", "rows": "shares", "columns": ["Company"], "last_days": 3}),
            "record_refused",
        ),
        (
            json!({"object": "Lead", "rows": "updates", "columns": ["Company"], "last_days": 3,
                "until": "2026-01-31"}),
            "record_refused",
        ),
        (json!({"object": "Contact", "rows": "records", "columns": ["AccountId.Nmae"]}), "record_refused"),
        (json!({"object": "Contact", "rows": "records", "columns": ["LastName.Name"]}), "record_refused"),
        (json!({"object": "Task", "rows": "records", "columns": ["WhatId.Name"]}), "record_refused"),
        (
            json!({"object": "Lead", "rows": "shares", "columns": ["Company"],
                "filter": "share.status == 'inactive'"}),
            "record_refused",
        ),
        (
            json!({"object": "Lead", "rows": "shares", "columns": ["Company"],
                "filter": "update.field == 'Status'"}),
            "record_refused",
        ),
        (json!({"object": "Nothing", "rows": "records", "columns": ["Company"]}), "unknown_object"),
        (json!({"object": "Lead", "rows": "pages", "columns": ["Company"]}), "bad_body"),
    ] {
        assert_eq!(org.put("/v1/reports/bad", &definition).problem().1, code, "{definition}");
    }
    assert_eq!(org.put("/v1/reports/lead-history", &offers).problem().1, "built_in_report");
    let page = org.get("/v1/reports/revenue/run?limit=1").json();
    assert_eq!((&page["next"], &page["total"]), (&json!(1), &json!(2)));
    assert_eq!(org.send("DELETE", "/v1/reports/offers", "application/json", b"").status, 200);
    assert_eq!(org.get("/v1/reports/offers/run").problem().1, "unknown_report");
}

/// S2S-72, S2S-03: fields of a parent are listed and chosen by, by those who may read its object.
#[test]
fn a_report_with_fields_of_a_parent_needs_to_read_its_object() {
    let mut org = Org::start();
    let made = |object: &str, fields: &Json| {
        let made = org.post(&format!("/v1/records/{object}"), &json!({"fields": fields}));
        made.json()["id"].as_str().unwrap_or_else(|| panic!("{}", made.text())).to_owned()
    };
    let account = made("Account", &json!({"Name": "Initech", "BillingCity": "Berlin"}));
    made("Contact", &json!({"LastName": "Ng", "AccountId": account}));
    made("Contact", &json!({"LastName": "Po"}));
    for (name, filter) in [("all", "true"), ("berlin", "AccountId.BillingCity == 'Berlin'")] {
        let columns = if name == "all" { json!(["LastName", "AccountId.Name"]) } else { json!(["LastName"]) };
        let report = json!({"object": "Contact", "rows": "records", "columns": columns, "filter": filter,
            "sort": [{"column": "LastName"}]});
        assert_eq!(org.put(&format!("/v1/reports/{name}"), &report).status, 200, "{name}");
    }
    let rows = |name: &str| org.get(&format!("/v1/reports/{name}/run")).json()["rows"].clone();
    assert_eq!(rows("all"), json!([["Ng", "Initech"], ["Po", null]]));
    assert_eq!(rows("berlin"), json!([["Ng"]]));
    let role = json!({"objects": {"Contact": {"read": true}}});
    assert_eq!(org.put("/v1/roles/reader", &role).status, 200);
    assert_eq!(org.post("/v1/users", &json!({"user": "bob", "role": "reader"})).status, 201);
    let token = org.post("/v1/users/bob/tokens", &json!({})).json();
    org.token = token["token"].as_str().unwrap().to_owned();
    for name in ["all", "berlin"] {
        let refused = org.get(&format!("/v1/reports/{name}/run"));
        assert_eq!(refused.problem().1, "no_permission", "{name}");
        assert!(refused.text().contains("Account"), "{}", refused.text());
    }
}

/// Waits until no job is left.
fn until_done(org: &Org) {
    while org.get("/v1/jobs").json()["jobs"] != json!([]) {
        std::thread::yield_now();
    }
}

#[test]
fn what_a_person_owns_is_told_and_handed_over() {
    let org = Org::start();
    assert_eq!(org.post("/v1/users", &json!({"user": "bob"})).status, 201);
    org.connect("globex sales", "globex");
    let set = org.patch("/v1/connections/globex", &json!({"owner": "bob"}));
    assert_eq!(set.json()["changed"], true);
    let records = (0..250).map(|n| {
        json!({"op": "create", "object": "Lead", "owner": "bob",
        "fields": {"LastName": format!("n{n}"), "Company": "Initech"}})
    });
    let batch: Vec<Json> = records.collect();
    let made = org.post("/v1/batch", &json!({ "operations": batch })).json();
    assert_eq!(made["done"], 250, "{made}");
    org.lead(&json!({"LastName": "mine", "Company": "Initech"}));
    let gone = org.patch("/v1/users/bob", &json!({"active": false})).json();
    assert_eq!(gone["owns"], json!({"connections": 1, "records": 250}), "{gone}");
    // Not to somebody who is gone, and not to nobody.
    assert_eq!(org.post("/v1/users/ann/hand-over", &json!({"to": "bob"})).problem().1, "user_inactive");
    assert_eq!(org.post("/v1/users/none/hand-over", &json!({"to": "ann"})).problem().1, "unknown_user");
    let shared =
        org.post("/v1/users/bob/hand-over", &json!({"to": "ann", "connections": false, "records": "shared"}));
    assert_eq!(shared.json()["owned"], json!({"connections": 1, "records": 250}));
    until_done(&org);
    let kept = org.get("/v1/records/Lead?owner=bob&limit=1000").json();
    assert_eq!(kept["records"].as_array().unwrap().len(), 250, "nothing of it was shared");
    let all = org.post("/v1/users/bob/hand-over", &json!({"to": "ann"})).json();
    assert!(all["job"].is_string(), "{all}");
    until_done(&org);
    let again = org.post("/v1/users/bob/hand-over", &json!({"to": "ann"})).json();
    assert_eq!(again["owned"], json!({"connections": 0, "records": 0}));
    until_done(&org);
    let leads = org.get("/v1/records/Lead?limit=1000").json();
    assert!(leads["records"].as_array().unwrap().iter().all(|lead| lead["owner"] == "ann"));
    assert_eq!(org.get("/v1/connections/globex").json()["summary"]["owner"], "ann");
    let audit = org.get("/v1/connections/globex/audit?action=handed%20over").json();
    assert_eq!(audit["entries"].as_array().unwrap().len(), 2);
}

#[test]
fn a_record_is_shown_as_it_was_and_explained() {
    let org = Org::start();
    let lead = org.lead(&json!({"LastName": "Ng", "Company": "Initech", "City": "Rome"}));
    let path = format!("/v1/records/Lead/{lead}");
    let created = org.get(&format!("{path}/history")).json()["events"][0].clone();
    let changed = org.patch(&path, &json!({"fields": {"City": "Oslo", "Street": "Storgata"}})).json();
    assert_eq!(org.send("DELETE", &path, "application/json", b"").status, 200);
    let at = |query: &str| org.get(&format!("{path}/as-of?{query}"));
    let seq = created["seq"].as_u64().unwrap();
    let then = at(&format!("seq={seq}")).json();
    assert_eq!((&then["fields"]["City"], &then["fields"]["Street"]), (&json!("Rome"), &Json::Null));
    assert_eq!((&then["deleted"], &then["owner"], &then["seq"]), (&json!(false), &json!("ann"), &json!(seq)));
    let later = at(&format!("seq={}", changed["seq"])).json();
    assert_eq!((&later["fields"]["City"], &later["fields"]["LastName"]), (&json!("Oslo"), &json!("Ng")));
    assert_eq!(at("time=2100-01-01").json()["deleted"], true);
    assert_eq!(at("time=2000-01-01").problem().1, "unknown_record");
    assert_eq!(at("").problem().1, "bad_query");

    let why = org.get(&format!("/v1/explain/{}", changed["seq"])).json();
    let steps = why["steps"].as_array().unwrap();
    let city = steps.iter().find(|step| step["field"] == "City").unwrap();
    assert_eq!(
        (&city["what"], &city["from"], &city["to"]),
        (&json!("wrote"), &json!("Rome"), &json!("Oslo"))
    );
    assert!(city["text"].as_str().unwrap().contains("by ann"), "{city}");
    assert_eq!(org.get("/v1/explain/100000").status, 404);
    let other = org.lead(&json!({"LastName": "Li", "Company": "Hooli"}));
    let why = org.get(&format!("/v1/records/Lead/{other}/explain")).json();
    let name = why["fields"].as_array().unwrap().iter().find(|field| field["field"] == "LastName").unwrap();
    assert_eq!((&name["value"], &name["org"], &name["partner"]), (&json!("Li"), &json!("acme"), &Json::Null));
}

/// Every change of a setting or a right stands in the audit of the org, with who made it.
#[test]
fn settings_and_rights_stand_in_the_audit_of_the_org() {
    let org = Org::start();
    org.connect("globex sales", "globex");
    let changes = [
        ("user set", "POST", "/v1/users", json!({"user": "bob"})),
        ("role set", "PUT", "/v1/roles/sales", json!({"objects": {"Lead": {"read": true}}})),
        ("user set", "PATCH", "/v1/users/bob", json!({"role": "sales"})),
        ("token issued", "POST", "/v1/users/bob/tokens", json!({})),
        ("group set", "PUT", "/v1/groups/emea", json!({"users": ["bob"]})),
        ("queue set", "PUT", "/v1/queues/late", json!({"objects": ["Lead"]})),
        ("assignment rule set", "PUT", "/v1/rules/assignment/Lead", json!({"entries": [{"owner": "ann"}]})),
        ("conversion set", "PUT", "/v1/conversion", json!({"account": {"Name": "Company"}})),
        ("job began", "POST", "/v1/users/bob/hand-over", json!({"to": "ann"})),
        ("group removed", "DELETE", "/v1/groups/emea", json!({})),
    ];
    for (action, method, path, body) in changes {
        let answer = org.send(method, path, "application/json", body.to_string().as_bytes());
        assert!(answer.status < 300, "{method} {path}: {}", answer.text());
        // The end of a job may stand there already.
        let page = org.get(&format!("/v1/audit?limit=1&action={}", action.replace(' ', "%20"))).json();
        let entry = &page["entries"][0];
        assert_eq!((&entry["action"], &entry["actor"]), (&json!(action), &json!("ann")), "{path}: {page}");
    }
    // What people do on a connection by hand has its actor, too.
    assert_eq!(org.post("/v1/connections/globex/reconcile", &json!({})).status, 200);
    let page = org.get("/v1/connections/globex/audit?action=reconcile%20asked").json();
    assert_eq!(page["entries"][0]["actor"], "ann", "{page}");
    for path in ["/v1/users/none/notice-settings", "/v1/users/none/tokens", "/v1/users/none"] {
        let (status, code, _) = org.get(path).problem();
        assert_eq!((status, code.as_str()), (404, "unknown_user"), "{path}");
    }
}

#[test]
fn what_was_begins_with_the_snapshot_before_it_and_has_a_limit() {
    const MOST: u64 = 40;
    let mut org = Org::start();
    let role = |org: &Org, name: &str| {
        let set = org.put(&format!("/v1/roles/{name}"), &json!({})).json();
        set["seq"].as_u64().unwrap()
    };
    // The roles that were there then, of those made here.
    let at = |org: &Org, query: &str| org.get(&format!("/v1/config?{query}"));
    let roles = |answer: &crate::kit::Answer| {
        let text = answer.text();
        (0..6).filter(|n| text.contains(&format!("made-{n}"))).collect::<Vec<u64>>()
    };
    let first = role(&org, "made-0");
    assert!(first < MOST);
    for n in 0..MOST {
        org.lead(&json!({"LastName": format!("Ng {n}"), "Company": "Initech"}));
    }
    // Stopping leaves a snapshot behind; those before it are taken away.
    org.stop();
    let snapshots = std::fs::read_dir(tieline_daemon::snapshots_dir(org.dir())).unwrap();
    let mut snapshots: Vec<_> = snapshots.map(|entry| entry.unwrap().path()).collect();
    snapshots.sort();
    assert!(snapshots.pop().is_some());
    snapshots.iter().for_each(|older| std::fs::remove_file(older).unwrap());
    org.restart(|config| config.store.past_events_max = MOST);
    let seqs: Vec<u64> = (1..6).map(|n| role(&org, &format!("made-{n}"))).collect();
    let by_seq = |org: &Org| seqs.iter().map(|seq| at(org, &format!("seq={seq}")).json()).collect::<Vec<_>>();
    for (n, seq) in (1..).zip(&seqs) {
        assert_eq!(roles(&at(&org, &format!("seq={seq}"))), (0..=n).collect::<Vec<u64>>());
    }
    let answers = by_seq(&org);
    // A moment is found as an event is: the snapshot is before it.
    assert_eq!(roles(&at(&org, "time=2999-01-01")), [0, 1, 2, 3, 4, 5]);
    assert_eq!(roles(&at(&org, "time=2020-01-01")), [0; 0], "nothing was there then");
    // Before the snapshot the log is read from its beginning, as far as that is allowed.
    assert_eq!(roles(&at(&org, &format!("seq={first}"))), [0]);
    assert_eq!(roles(&at(&org, &format!("seq={}", first - 1))), [0; 0]);
    let far = at(&org, &format!("seq={}", MOST + 1));
    assert_eq!(far.problem().1, "limit_reached");
    let said = far.text();
    assert!(said.contains("the beginning of the log") && said.contains("past_events_max"), "{said}");
    // Without any snapshot it is the same.
    org.restart(|config| config.store.past_events_max = 5_000_000);
    org.stop();
    std::fs::remove_dir_all(tieline_daemon::snapshots_dir(org.dir())).unwrap();
    org.restart(|_| {});
    assert_eq!(by_seq(&org), answers);
}
