//! Requests that are sent again with the same key.

use serde_json::{Value as Json, json};

use crate::kit::Org;

fn lead(name: &str) -> Json {
    json!({"fields": {"LastName": name, "Company": "Initech"}})
}

#[test]
fn a_request_that_is_sent_again_gets_the_same_answer_and_does_nothing() {
    let org = Org::start();
    let create = |key: &str, name: &str| org.keyed(key, "POST", "/v1/records/Lead", &lead(name));
    let first = create("k1", "Ng");
    assert_eq!(first.status, 201);
    let again = create("k1", "Ng");
    assert_eq!(
        (again.status, again.json(), again.header("location")),
        (201, first.json(), first.header("location"))
    );
    assert_eq!(org.get("/v1/status").json()["records"]["Lead"], 1);
    assert_ne!(create("k2", "Ng").json()["id"], first.json()["id"]);

    // A deletion that is sent again finds nothing to delete, and answers as it did.
    let path = format!("/v1/records/Lead/{}", first.json()["id"].as_str().unwrap());
    let change = json!({"fields": {"LastName": "Li"}});
    let changed = org.keyed("k3", "PATCH", &path, &change).json();
    let deleted = org.keyed("k4", "DELETE", &path, &Json::Null).json();
    assert_eq!(deleted["changed"], true);
    assert_eq!(org.keyed("k4", "DELETE", &path, &Json::Null).json(), deleted);
    assert_eq!(org.keyed("k3", "PATCH", &path, &change).json(), changed);
    assert_eq!(org.keyed("k5", "DELETE", &path, &Json::Null).problem().1, "record_deleted");
    assert_eq!(org.get("/v1/status").json()["records"]["Lead"], 1);
}

#[test]
fn each_operation_of_a_batch_is_done_once() {
    let org = Org::start();
    let kept = org.lead(&json!({"LastName": "Ng", "Company": "Initech"}));
    let batch = json!({"operations": [
        {"op": "create", "object": "Lead", "fields": {"LastName": "One", "Company": "Initech"}},
        {"op": "create", "object": "Lead", "fields": {"LastName": "Two"}},
        {"op": "delete", "object": "Lead", "id": kept},
        {"op": "create", "object": "Nothing", "fields": {}},
    ]});
    let send = || org.keyed("import-1", "POST", "/v1/batch", &batch).json();
    let first = send();
    let codes: Vec<_> = first["results"].as_array().unwrap().iter().map(|r| r["code"].as_str()).collect();
    assert_eq!(codes, [None, Some("record_refused"), None, Some("unknown_object")]);
    let seq = org.get("/v1/status").json()["seq"].clone();
    assert_eq!(send(), first);
    assert_eq!(org.get("/v1/status").json()["seq"], seq);
}

#[test]
fn a_key_stands_for_one_request_of_one_user() {
    let mut org = Org::start();
    let create = |org: &Org, body: &Json| org.keyed("k", "POST", "/v1/records/Lead", body);
    let first = create(&org, &lead("Ng")).json();
    assert_eq!(create(&org, &lead("Li")).problem().1, "key_reused");
    assert_eq!(org.keyed("k", "POST", "/v1/records/Account", &lead("Ng")).status, 422);
    for bad in ["", "a b", &"x".repeat(129)] {
        assert_eq!(org.keyed(bad, "POST", "/v1/records/Lead", &lead("Ng")).problem().1, "bad_key", "{bad:?}");
    }
    // What takes no key says so rather than ignore it.
    assert_eq!(org.keyed("u", "POST", "/v1/users", &json!({"user": "x"})).problem().1, "key_not_taken");

    assert_eq!(org.post("/v1/users", &json!({"user": "bob"})).status, 201);
    let token = org.post("/v1/users/bob/tokens", &json!({})).json();
    let ann = std::mem::replace(&mut org.token, token["token"].as_str().unwrap().to_owned());
    assert_ne!(create(&org, &lead("Ng")).json()["id"], first["id"]);
    org.token = ann;
    assert_eq!(create(&org, &lead("Ng")).json(), first);
}

#[test]
fn an_answer_with_a_secret_is_given_again() {
    let mut org = Org::start();
    let invite = |org: &Org| org.keyed("i", "POST", "/v1/invitations", &json!({"label": "x"}));
    let first = invite(&org);
    assert_eq!(first.status, 201);
    assert_eq!(invite(&org).json(), first.json());
    assert_eq!(org.get("/v1/connections").json()["connections"].as_array().unwrap().len(), 1);
    let tokens = "/v1/users/ann/tokens";
    let issue = |org: &Org| org.keyed("t", "POST", tokens, &json!({"expires_in_s": 3600}));
    let token = issue(&org).json();
    assert_eq!(issue(&org).json(), token);
    assert_eq!(org.get(tokens).json()["tokens"].as_array().unwrap().len(), 2, "and that of the test itself");

    // Another user, or another request, has secrets of its own.
    let other = org.keyed("j", "POST", "/v1/invitations", &json!({"label": "x"})).json();
    assert_ne!(other["url"], first.json()["url"]);
    assert_eq!(org.keyed("i", "POST", "/v1/invitations", &json!({"label": "y"})).problem().1, "key_reused");

    // The token works, and a secret that is lost is told as lost: never another one as if it were it.
    org.token = token["token"].as_str().unwrap().to_owned();
    assert_eq!(org.get("/v1/org").status, 200);
    for entry in std::fs::read_dir(org.dir().join("keys")).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with("request.") {
            std::fs::remove_file(path).unwrap();
        }
    }
    assert_eq!(invite(&org).problem().1, "answer_gone");
    assert_eq!(issue(&org).problem().1, "answer_gone");
}
