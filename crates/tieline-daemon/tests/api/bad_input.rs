//! Bad input is refused with a code, a place and a remedy, and never harms the daemon.

use serde_json::{Value as Json, json};

use crate::kit::Org;

fn reasons(codes: &[(&str, &str)]) -> Vec<(String, String)> {
    codes.iter().map(|(code, field)| ((*code).to_owned(), (*field).to_owned())).collect()
}

#[test]
fn bad_values_are_refused_field_by_field() {
    let org = Org::start();
    let fields: Json = toml_object();
    let defined = org.send("PUT", "/v1/objects", "application/toml", fields.as_str().unwrap().as_bytes());
    assert_eq!(defined.status, 200, "{}", defined.text());
    let cases = [
        (json!({"Nmae": "x", "Name": "x"}), vec![("unknown_field", "Nmae")]),
        (json!({"no name": 1, "Name": "x"}), vec![("unknown_field", "")]),
        (json!({"Name": 7}), vec![("wrong_type", "Name")]),
        (json!({"Name": ["x"]}), vec![("wrong_type", "Name")]),
        (json!({"Name": "ß".repeat(21)}), vec![("too_long", "Name")]),
        (json!({"Name": "a\u{1b}[31mb"}), vec![("control_character", "Name")]),
        (json!({"Name": "a\u{0}b"}), vec![("control_character", "Name")]),
        (json!({}), vec![("required_missing", "Name")]),
        (json!({"Name": "x", "Stage__c": "cold"}), vec![("not_in_picklist", "Stage__c")]),
        (json!({"Name": "x", "Day__c": "2026-02-30"}), vec![("bad_date", "Day__c")]),
        (json!({"Name": "x", "Day__c": "31.01.2026"}), vec![("bad_date", "Day__c")]),
        (json!({"Name": "x", "Count__c": "many"}), vec![("bad_number", "Count__c")]),
        (json!({"Name": "x", "Count__c": 1.5}), vec![("bad_number", "Count__c")]),
        (json!({"Name": "x", "Count__c": 1e300}), vec![("bad_number", "Count__c")]),
        (json!({"Name": "x", "Sum__c": "1.005"}), vec![("bad_number", "Sum__c")]),
        (json!({"Name": "x", "Sum__c": "123456789"}), vec![("out_of_range", "Sum__c")]),
        (json!({"Name": "x", "Yes__c": "yes"}), vec![("wrong_type", "Yes__c")]),
        (json!({"Name": "x", "Mail__c": "nobody"}), vec![("bad_email", "Mail__c")]),
        (json!({"Name": "a", "name": "b"}), vec![("duplicate", "Name")]),
        (json!({"Name": 1, "Day__c": 2}), vec![("wrong_type", "Name"), ("wrong_type", "Day__c")]),
        (json!({"Name": "x", "Sum__c": "9"}), vec![("rule_refused", "")]),
    ];
    for (fields, expected) in cases {
        let answer = org.post("/v1/records/Trial__c", &json!({ "fields": fields }));
        let (status, code, found) = answer.problem();
        assert_eq!((status, code.as_str()), (422, "record_refused"), "{fields}: {}", answer.text());
        assert_eq!(found, reasons(&expected), "{fields}: {}", answer.text());
    }
    let none = org.get("/v1/records/Trial__c").json();
    assert_eq!(none["records"], json!([]), "nothing was created");
}

/// An object with a field of every kind that can be refused, and a rule.
fn toml_object() -> Json {
    let text = r#"
object = "Trial__c"
name_field = "Name"
[fields]
Name = { type = "text", length = 20, required = true }
Stage__c = { type = "picklist", values = ["Hot", "Warm"], restricted = true }
Day__c = { type = "date" }
Count__c = { type = "integer", precision = 6 }
Sum__c = { type = "currency", precision = 8, scale = 2 }
Yes__c = { type = "boolean" }
Mail__c = { type = "email" }
[rules.not_nine]
condition = 'Sum__c == 9'
message = "Nine is not taken: choose another sum"
"#;
    Json::String(text.to_owned())
}

#[test]
fn bad_bodies_are_refused_with_their_place() {
    let org = Org::start();
    let post = |body: &[u8]| org.send("POST", "/v1/records/Lead", "application/json", body);
    let deep = format!("{{\"fields\":{{\"LastName\":{}1{}}}}}", "[".repeat(100_000), "]".repeat(100_000));
    for (body, status, code) in [
        (&b"{\"fields\": {\"LastName\": \"x\",}}"[..], 400, "malformed_json"),
        (b"", 400, "malformed_json"),
        (b"{\"fields\": {\"LastName\": \"x\"", 400, "malformed_json"),
        (deep.as_bytes(), 400, "malformed_json"),
        (b"{\"fields\": {\"LastName\": \"\xff\xfe\"}}", 400, "bad_utf8"),
        (b"{\"fields\": {\"LastName\": \"\\ud800\"}}", 400, "malformed_json"),
        (b"{\"feilds\": {\"LastName\": \"x\"}}", 422, "unknown_key"),
        (b"{\"fields\": {}, \"owner\": \"no user\"}", 422, "bad_body"),
        (b"{\"fields\": []}", 422, "bad_body"),
        (b"[]", 422, "bad_body"),
    ] {
        let answer = post(body);
        let (found_status, found_code, _) = answer.problem();
        assert_eq!((found_status, found_code.as_str()), (status, code), "{}", answer.text());
        let place = answer.json();
        assert!(place["line"].as_u64() >= Some(1) && place["column"].as_u64() >= Some(1), "{place}");
    }
    let unknown = post(b"{\"feilds\": {}}").json();
    assert!(unknown["detail"].as_str().unwrap().contains("use one of fields, owner"), "{unknown}");
    let other = org.send("POST", "/v1/records/Lead", "text/csv", b"{}");
    assert_eq!(other.problem().1, "unsupported_media_type");
    assert_eq!(other.status, 415);
}

#[test]
fn a_body_that_is_too_large_is_refused_whether_or_not_it_says_so() {
    let org = Org::start();
    let large = vec![b' '; tieline_core::limits::REQUEST_BODY_BYTES_MAX + 1];
    let announced = org.send("POST", "/v1/batch", "application/json", &large);
    assert_eq!((announced.status, announced.problem().1.as_str()), (413, "too_large"));
    let mut chunked = format!(
        "POST /v1/batch HTTP/1.1\r\nHost: acme\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n",
        org.token,
        large.len()
    )
    .into_bytes();
    chunked.extend_from_slice(&large);
    chunked.extend_from_slice(b"\r\n0\r\n\r\n");
    let unannounced = org.raw(&chunked);
    assert_eq!((unannounced.status, unannounced.problem().1.as_str()), (413, "too_large"));
    assert_eq!(org.get("/healthz").status, 200, "the daemon goes on");
}

#[test]
fn a_bad_operation_never_stops_the_others() {
    let org = Org::start();
    let lead = org.lead(&json!({"LastName": "Ng", "Company": "Globex"}));
    let nobody = tieline_core::RecordId(7).to_string();
    let answer = org.post(
        "/v1/batch",
        &json!({"operations": [
            {"op": "create", "object": "Lead", "fields": {"lastname": "Ada", "Company": "Initech"}},
            {"op": "create", "object": "Lead", "fields": {"Company": "Initech"}},
            {"op": "create", "object": "Laed", "fields": {}},
            {"op": "update", "object": "Lead", "id": lead, "fields": {"Company": "Hooli"}},
            {"op": "update", "object": "Lead", "id": lead, "fields": {"Company": "Hooli"}},
            {"op": "update", "object": "Account", "id": lead, "fields": {}},
            {"op": "update", "object": "Lead", "id": nobody, "fields": {}},
            {"op": "update", "object": "Lead", "id": "x", "fields": {}},
            {"op": "create", "object": "Lead", "fields": {}, "owner": "no user"},
            {"op": "delete", "object": "Lead", "id": lead},
            {"op": "delete", "object": "Lead", "id": lead},
        ]}),
    );
    assert_eq!(answer.status, 200, "{}", answer.text());
    let json = answer.json();
    let codes: Vec<&str> =
        json["results"].as_array().unwrap().iter().map(|r| r["code"].as_str().unwrap_or("ok")).collect();
    let expected = [
        "ok",
        "record_refused",
        "unknown_object",
        "ok",
        "ok",
        "unknown_record",
        "unknown_record",
        "bad_body",
        "bad_body",
        "ok",
        "record_deleted",
    ];
    assert_eq!(codes, expected, "{json}");
    assert_eq!((&json["done"], &json["refused"]), (&json!(4), &json!(7)));
    assert_eq!(json["results"][3]["changed"], true);
    assert_eq!(json["results"][4]["changed"], false, "the same values again change nothing");
    let ada = json["results"][0]["id"].as_str().unwrap();
    assert_eq!(org.get(&format!("/v1/records/Lead/{ada}")).json()["fields"]["LastName"], "Ada");
    let many: Vec<Json> =
        (0..1_001).map(|_| json!({"op": "create", "object": "Lead", "fields": {}})).collect();
    assert_eq!(org.post("/v1/batch", &json!({ "operations": many })).problem().1, "limit_reached");
}

#[test]
fn bad_addresses_and_queries_are_problems() {
    let org = Org::start();
    let nobody = tieline_core::RecordId(7);
    for (method, path, status, code) in [
        ("GET", "/", 404, "not_found"),
        ("GET", "/v2/status", 404, "not_found"),
        ("DELETE", "/v1/status", 405, "method_not_allowed"),
        ("GET", "/v1/records/Laed", 404, "unknown_object"),
        ("GET", "/v1/records/a%20b", 400, "bad_path"),
        ("GET", "/v1/records/Lead/x", 400, "bad_path"),
        ("GET", &format!("/v1/records/Lead/{nobody}"), 404, "unknown_record"),
        ("GET", "/v1/records/%ff", 400, "bad_path"),
        ("GET", "/v1/records/Lead?limit=x", 400, "bad_query"),
        ("GET", "/v1/records/Lead?cursor=x", 400, "bad_query"),
        ("GET", "/v1/records/Lead?Nmae=x", 422, "record_refused"),
        ("GET", "/v1/records/Lead?NumberOfEmployees=x", 422, "record_refused"),
        ("GET", "/v1/log?form=1", 400, "bad_query"),
        ("GET", "/v1/inbox?connection=globex", 404, "unknown_connection"),
        ("GET", "/v1/connections/globex", 404, "unknown_connection"),
    ] {
        let answer = org.send(method, path, "application/json", b"");
        let (found_status, found_code, _) = answer.problem();
        assert_eq!((found_status, found_code.as_str()), (status, code), "{method} {path}: {}", answer.text());
    }
    let allowed = org.send("DELETE", "/v1/status", "application/json", b"");
    assert_eq!(allowed.header("allow"), Some("get,head"), "{allowed:?}");
}
