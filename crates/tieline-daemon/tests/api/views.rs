//! Saved views of records and of the inbox (S2S-46).

use serde_json::{Value as Json, json};

use crate::kit::Org;

fn rows(page: &Json, column: &str) -> Vec<String> {
    let rows = page["rows"].as_array().unwrap_or_else(|| panic!("no rows: {page}"));
    rows.iter().map(|row| row["values"][column].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_list_view_chooses_sorts_counts_and_pages() {
    let org = Org::start();
    for (name, rating) in [("Bo", "Hot"), ("al", "Hot"), ("Cy", "Cold"), ("Di", "Hot")] {
        org.lead(&json!({"LastName": name, "Company": "c", "Rating": rating}));
    }
    let path = "/v1/views/hot";
    assert_eq!(org.get(path).problem().1, "unknown_view");
    let view = json!({"object": "Lead", "filter": "Rating == \"Hot\"", "columns": ["LastName", "Rating"],
        "sort": {"field": "LastName"}});
    assert_eq!(org.put(path, &view).json()["changed"], true);
    assert_eq!(org.put(path, &view).json()["changed"], false);
    assert_eq!(org.get("/v1/views").json()["views"][0]["name"], "hot");
    let first = org.get("/v1/views/hot/records?limit=2").json();
    assert_eq!((rows(&first, "LastName"), &first["next"]), (vec!["al".into(), "Bo".into()], &json!("2")));
    let second = org.get("/v1/views/hot/records?limit=2&cursor=2").json();
    assert_eq!((rows(&second, "LastName"), &second["next"]), (vec!["Di".into()], &json!(null)));
    assert_eq!(org.get("/v1/views/hot/count").json(), json!({"count": 3, "complete": true}));
    // Without an order the pages go by the ids of the records.
    let unsorted = json!({"object": "Lead", "filter": "Rating == \"Hot\""});
    org.put(path, &unsorted);
    let first = org.get("/v1/views/hot/records?limit=2").json();
    let next = first["next"].as_str().unwrap();
    let second = org.get(&format!("/v1/views/hot/records?limit=2&cursor={next}")).json();
    assert_eq!((first["rows"].as_array().unwrap().len(), second["rows"].as_array().unwrap().len()), (2, 1));
    let wrong = org.put(path, &json!({"object": "Lead", "filter": "Rating == 1", "columns": ["Stauts"]}));
    let codes: Vec<String> = wrong.problem().2.into_iter().map(|(code, _)| code).collect();
    assert_eq!(codes, ["unknown_field", "bad_expression"]);
    assert_eq!(org.send("DELETE", path, "application/json", b"").json()["changed"], true);
    assert_eq!(org.get("/v1/views").json(), json!({"views": []}));
}

/// A view for oneself takes no more than reading the object; a view for others is made by who may do
/// everything, and an inbox view by who manages connections.
#[test]
fn views_are_for_those_who_are_named() {
    let mut org = Org::start();
    org.post("/v1/users", &json!({"user": "bob", "role": "standard"}));
    org.post("/v1/users", &json!({"user": "eve", "role": "standard"}));
    let token = |org: &Org, user: &str| {
        let answer = org.post(&format!("/v1/users/{user}/tokens"), &json!({"label": "t"})).json();
        answer["token"].as_str().unwrap_or_else(|| panic!("no token: {answer}")).to_owned()
    };
    let (bob, eve, ann) = (token(&org, "bob"), token(&org, "eve"), org.token.clone());
    org.token.clone_from(&bob);
    let own = json!({"object": "Lead", "audience": {"users": ["bob"]}});
    assert_eq!(org.put("/v1/views/own", &own).json()["changed"], true);
    assert_eq!(org.put("/v1/views/all", &json!({"object": "Lead"})).problem().1, "no_permission");
    assert_eq!(org.put("/v1/inbox-views/all", &json!({"object": "Lead"})).problem().1, "no_permission");
    assert_eq!(org.get("/v1/inbox-views?all=true").problem().1, "no_permission");
    org.token.clone_from(&eve);
    assert_eq!(org.get("/v1/views").json(), json!({"views": []}));
    for path in ["/v1/views/own", "/v1/views/own/records", "/v1/views/own/count"] {
        assert_eq!(org.get(path).problem().1, "no_permission", "{path}");
    }
    assert_eq!(org.send("DELETE", "/v1/views/own", "application/json", b"").problem().1, "no_permission");
    org.token.clone_from(&ann);
    assert_eq!(org.get("/v1/views").json()["views"].as_array().unwrap().len(), 1);
    let nobody = json!({"object": "Lead", "audience": {"groups": ["nobody"]}});
    assert_eq!(org.put("/v1/views/own", &nobody).problem().1, "unknown_group");
    assert_eq!(org.put("/v1/inbox-views/all", &json!({"object": "Lead"})).json()["changed"], true);
    // Nothing subscribes leads: the view is there, and shows nothing to anybody.
    assert_eq!(org.get("/v1/inbox-views").json(), json!({"views": []}));
    assert_eq!(org.get("/v1/inbox-views?all=true").json()["views"][0]["name"], "all");
    assert_eq!(org.get("/v1/inbox-views/all/offers").json()["rows"], json!([]));
    assert_eq!(org.get("/v1/inbox-views/all/count").json(), json!({"count": 0, "complete": true}));
}

#[test]
fn records_of_a_view_are_forwarded() {
    let org = Org::start();
    let connection = org.connect("", "globex");
    org.put("/v1/connections/globex/publish/Lead", &json!({"all": true}));
    for (name, rating) in [("Bo", "Hot"), ("al", "Hot"), ("Cy", "Cold")] {
        org.lead(&json!({"LastName": name, "Company": "c", "Rating": rating}));
    }
    org.put("/v1/views/hot", &json!({"object": "Lead", "filter": "Rating == \"Hot\""}));
    let forward = |object: &str, view: &str| {
        org.post("/v1/shares", &json!({"connections": ["globex"], "object": object, "view": view}))
    };
    assert_eq!(forward("Account", "hot").problem().1, "bad_body");
    assert_eq!(forward("Lead", "cold").problem().1, "unknown_view");
    let mut live = org.follow("/v1/log/stream");
    let job = forward("Lead", "hot").json()["jobs"][0]["job"].clone();
    assert!(job.is_string());
    assert_eq!(live.event("JobAdvanced")["done"], 2);
    let shares = org.get(&format!("/v1/connections/{connection}/shares")).json();
    assert_eq!(shares["shares"].as_array().unwrap().len(), 2);
}
