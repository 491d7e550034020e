//! Everything around records: tokens, objects, invitations, the log, health and metrics.

use serde_json::json;

use crate::kit::Org;

#[test]
fn only_a_token_opens_the_api() {
    let org = Org::start();
    for path in ["/healthz", "/readyz", "/metrics", "/v1/openapi.json"] {
        let open = org.raw(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes());
        assert_ne!(open.status, 401, "{path}");
    }
    for header in ["", "Authorization: Bearer tl_wrong\r\n", "Authorization: Basic YQ==\r\n"] {
        let request = format!("GET /v1/status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{header}\r\n");
        let closed = org.raw(request.as_bytes());
        assert_eq!((closed.status, closed.problem().1.as_str()), (401, "unauthorized"), "{header}");
        assert_eq!(closed.header("www-authenticate"), Some("bearer realm=\"tieline\""));
    }
}

#[test]
fn invitations_are_made_inspected_and_taken_back() {
    let org = Org::start();
    let made = org.post("/v1/invitations", &json!({"label": "sales", "expires_in_s": 600}));
    assert_eq!(made.status, 201, "{}", made.text());
    let (url, id) = (made.json()["url"].clone(), made.json()["connection"].as_str().unwrap().to_owned());
    let details = org.post("/v1/invitations/inspect", &json!({ "url": url })).json();
    assert_eq!(details["inviter"], "acme");
    assert_eq!((&details["expired"], &details["status"]), (&json!(false), &json!("pending")));
    let own = org.post("/v1/invitations/answer", &json!({"url": url, "accept": true}));
    assert_eq!(own.problem().1, "own_invitation");
    let short = org.post("/v1/invitations/inspect", &json!({"url": &url.as_str().unwrap()[..80]}));
    assert_eq!(short.problem().1, "bad_connection_url");
    assert_eq!(org.post("/v1/invitations", &json!({"expires_in_s": 5})).problem().1, "bad_body");
    for selector in ["sales", id.as_str()] {
        let shown = org.get(&format!("/v1/connections/{selector}")).json();
        assert_eq!(shown["summary"]["status"], "pending", "{shown}");
    }
    assert_eq!(org.post("/v1/connections/sales/revoke", &json!({})).json()["changed"], true);
    let again = org.post("/v1/connections/sales/revoke", &json!({}));
    assert_eq!((again.status, again.problem().1.as_str()), (409, "not_pending"));
    let log = org.get(&format!("/v1/log?connection={id}")).json();
    let names: Vec<_> = log["events"].as_array().unwrap().iter().map(|event| &event["name"]).collect();
    assert_eq!(names, ["InvitationSent", "InvitationRevoked"]);
    assert_eq!(log["events"][0]["body"]["secret_hash"], "redacted");
}

#[test]
fn objects_are_extended_by_files() {
    let org = Org::start();
    let put = |text: &str| org.send("PUT", "/v1/objects", "application/toml", text.as_bytes());
    let file = "extends = \"Lead\"\n[fields.Region__c]\ntype = \"picklist\"\nvalues = [\"North\"]\n";
    let first = put(file).json();
    assert_eq!((&first["object"], &first["changed"]), (&json!("Lead"), &json!(true)));
    assert_eq!(put(file).json()["changed"], false, "the same file again changes nothing");
    let shown = org.get("/v1/objects/Lead").json();
    let region = shown["fields"].as_array().unwrap().iter().find(|f| f["name"] == "Region__c").unwrap();
    assert_eq!((&region["type"], &region["values"][0]["value"]), (&json!("picklist"), &json!("North")));
    let bad = put("extends = \"Lead\"\n[fields.Region__c]\ntyp = \"text\"\n");
    assert_eq!(bad.problem().1, "bad_object_file");
    assert_eq!(bad.json()["line"], 3);
    let rule = "extends = \"Lead\"\n[rules.r]\ncondition = 'Nope == 1'\nmessage = \"no\"\n";
    assert_eq!(put(rule).problem().0, 422, "a rule that does not compile is refused");
    assert_eq!(put("extends = \"Nothing__c\"\n").problem().1, "bad_object_file");
}

#[test]
fn the_log_is_read_followed_and_verified() {
    let mut org = Org::start();
    let begun = org.get("/v1/status").json()["log"]["seq"].as_u64().unwrap();
    let mut live = org.follow("/v1/log/stream");
    let mut past = org.follow("/v1/log/stream?from=1");
    assert_eq!((past.next("id"), past.next("event")), ("1".to_owned(), "OrgCreated".to_owned()));
    assert_eq!(past.next("id"), "2");
    let id = org.lead(&json!({"LastName": "Ng", "Company": "Globex"}));
    assert_eq!(live.next("id"), (begun + 1).to_string());
    assert_eq!(live.event("RecordChanged")["record"], id);
    assert_eq!(
        past.event("RecordChanged")["record"],
        id,
        "what is followed from the past reaches the present"
    );

    let page = org.get("/v1/log?limit=3").json();
    assert_eq!((page["events"].as_array().unwrap().len(), &page["next"]), (3, &json!(4)));
    let last = org.get(&format!("/v1/log?record={id}")).json();
    assert_eq!(last["events"].as_array().unwrap().len(), 1);
    assert_eq!(last["next"], json!(null));
    let text = org.get("/v1/log?limit=1000").text();
    assert!(text.contains("\"TokenCreated\"") && text.contains("\"hash\":\"redacted\""), "{text}");

    let verified = org.get("/v1/log/verify").json();
    let status = org.get("/v1/status").json();
    assert_eq!((&verified["ok"], &verified["damage"]), (&json!(true), &json!(null)), "{verified}");
    assert_eq!((&verified["seq"], &verified["hash"]), (&status["log"]["seq"], &status["log"]["hash"]));

    // A stream must not keep the daemon from stopping.
    org.stop();
    live.end();
}

#[test]
fn health_tells_what_works() {
    let org = Org::start();
    assert_eq!(org.get("/healthz").json(), json!({"status": "ok"}));
    let ready = org.get("/readyz");
    assert_eq!(ready.status, 503, "there is no broker: {}", ready.text());
    let json = ready.json();
    assert_eq!((&json["ready"], &json["storage"]["ready"]), (&json!(false), &json!(true)));
    assert!(json["broker"]["cause"].as_str().unwrap().contains("not connected"), "{json}");
    let status = org.get("/v1/status").json();
    assert_eq!((&status["org"], &status["broker"]["connected"]), (&json!("acme"), &json!(false)));
    assert_eq!(status["records"]["Lead"], 0);
    let (one, other) = (org.get("/v1/state-hash").json(), org.get("/v1/state-hash").json());
    assert_eq!(one, other);
    assert_eq!(org.get("/v1/state-hash?memory=true").json(), one);
    org.lead(&json!({"LastName": "Ng", "Company": "Globex"}));
    assert_ne!(org.get("/v1/state-hash").json()["hash"], one["hash"]);
}

#[test]
fn metrics_follow_what_happens() {
    let org = Org::start();
    org.lead(&json!({"LastName": "Ng", "Company": "Globex"}));
    let answer = org.get("/metrics");
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = answer.text();
    for sample in [
        "tieline_records{object=\"Lead\"} 1",
        "tieline_records{object=\"Account\"} 0",
        "tieline_broker_up 0",
        "tieline_log_events_total 1",
        "tieline_jobs 0",
        "tieline_http_request_seconds_count{code=\"201\"} 1",
        "tieline_flush_seconds_count 1",
    ] {
        assert!(text.lines().any(|line| line == sample), "{sample} is not in\n{text}");
    }
    let log_bytes = text.lines().find_map(|line| line.strip_prefix("tieline_log_bytes ")).unwrap();
    assert!(log_bytes.parse::<f64>().unwrap() > 0.0);
}

#[test]
fn the_served_document_is_the_one_that_is_kept() {
    let org = Org::start();
    assert_eq!(org.get("/v1/openapi.json").text(), tieline_daemon::api::document());
}
