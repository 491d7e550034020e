//! Bad input at the API: each refusal is a problem document with a stable code that names the thing,
//! the reason and the remedy, and the daemon goes on as if nothing had been.

use serde_json::{Value as Json, json};
use tieline_tests::process::{Answer, Api, OrgProcess};

use crate::kit::{create, list, stop_and_check};

pub(crate) const TOKEN: (&str, &str) = ("authorization", "Bearer tl_test");
const JSON: (&str, &str) = ("content-type", "application/json");

/// An org of its own; no broker is needed.
pub(crate) fn org() -> OrgProcess {
    let mut org = OrgProcess::make("acme");
    org.start("127.0.0.1:9");
    org
}

/// Asserts that an answer is a problem document with this code and these words, and that a good
/// request right after it works.
pub(crate) fn refused(api: &Api, what: &str, answer: &Answer, status: u16, code: &str, words: &[&str]) {
    let body = &answer.body;
    assert_eq!((answer.status, body["code"].as_str()), (status, Some(code)), "{what}: {body}");
    assert_eq!(answer.headers["content-type"], "application/problem+json", "{what}");
    assert_eq!(
        (&body["type"], &body["status"]),
        (&json!(format!("/errors/{code}")), &json!(status)),
        "{what}"
    );
    let detail = body["detail"].as_str().unwrap_or_default();
    for word in words {
        assert!(detail.contains(word), "{what}: {word:?} is not in {detail:?}");
    }
    assert!((10..2_000).contains(&detail.chars().count()), "{what}: {detail}");
    assert!(!detail.contains(|c: char| c.is_control()), "{what}: {detail:?}");
    let good = json!({ "fields": { "LastName": "Good", "Company": "After bad" } });
    let after = api.send("POST", RECORDS, &good);
    assert!(after.is_ok(), "a good request after {what}: {after:?}");
}

#[test]
fn values_that_do_not_fit_are_refused_by_name_and_a_batch_does_the_others() {
    let mut org = org();
    let api = org.api.clone();
    let long = "x".repeat(81);
    let cases: [(Json, &str, &str, &[&str]); 14] = [
        (json!({ "Stauts": "x" }), "unknown_field", "Stauts", &["did you mean Status?"]),
        (json!({ "no such": "x" }), "unknown_field", "", &["no such", "tieline object show Lead"]),
        (json!({ "LastName": 7 }), "wrong_type", "LastName", &["LastName"]),
        (json!({ "LastName": { "a": 1 } }), "wrong_type", "LastName", &["LastName"]),
        (json!({ "LastName": null }), "required_missing", "LastName", &["required"]),
        (json!({ "LastName": long }), "too_long", "LastName", &["81", "80", "shorten"]),
        (json!({ "LastName": "a\u{0}b" }), "control_character", "LastName", &["U+0000", "remove"]),
        (json!({ "Due__c": "2026-02-30" }), "bad_date", "Due__c", &["2026-02-30"]),
        (json!({ "Due__c": "31/12/2026" }), "bad_date", "Due__c", &["31/12/2026"]),
        (json!({ "NumberOfEmployees": "many" }), "bad_number", "NumberOfEmployees", &["many"]),
        (json!({ "NumberOfEmployees": 1.5 }), "bad_number", "NumberOfEmployees", &["NumberOfEmployees"]),
        (
            json!({ "NumberOfEmployees": 999_999_999_999_u64 }),
            "out_of_range",
            "NumberOfEmployees",
            &["NumberOfEmployees"],
        ),
        (json!({ "Email": "nobody" }), "bad_email", "Email", &["name@example.com"]),
        (json!({ "Colour__c": "Green" }), "not_in_picklist", "Colour__c", &["Green"]),
    ];
    let fields = "extends = \"Lead\"\n[fields]\nDue__c = { type = \"date\" }\n\
                  Colour__c = { type = \"picklist\", values = [\"Red\"], restricted = true }\n";
    api.send_bytes("PUT", "/v1/objects", "application/toml", fields.as_bytes()).unwrap();

    let whole = |bad: &Json| {
        let mut fields = json!({ "LastName": "Ng", "Company": "X" });
        bad.as_object().unwrap().iter().for_each(|(name, value)| fields[name] = value.clone());
        fields
    };
    let reason = |what: &Json, found: &Json, code: &str, field: &str| {
        let about = found["field"].as_str().unwrap_or_default();
        assert_eq!((found["code"].as_str(), about), (Some(code), field), "{what}: {found}");
    };
    for (bad, code, field, words) in &cases {
        let body = json!({ "fields": whole(bad) }).to_string();
        let answer = api.raw("POST", "/v1/records/Lead", &[TOKEN, JSON], body.as_bytes());
        refused(&api, &bad.to_string(), &answer, 422, "record_refused", words);
        reason(bad, &answer.body["reasons"][0], code, field);
    }

    // The same in one batch, each between two good ones.
    let before = api.get("/v1/status").unwrap()["records"]["Lead"].as_u64().unwrap();
    let create = |fields: Json| json!({ "op": "create", "object": "Lead", "fields": fields });
    let operations: Vec<Json> =
        cases.iter().flat_map(|(bad, ..)| [create(whole(bad)), create(whole(&json!({})))]).collect();
    let answer = api.must("POST", "/v1/batch", &json!({ "operations": operations }));
    assert_eq!((&answer["done"], &answer["refused"]), (&json!(cases.len()), &json!(cases.len())), "{answer}");
    for ((bad, code, field, _), results) in cases.iter().zip(answer["results"].as_array().unwrap().chunks(2))
    {
        assert_eq!(
            (&results[0]["ok"], &results[1]["ok"]),
            (&json!(false), &json!(true)),
            "{bad}: {results:?}"
        );
        reason(bad, &results[0]["reasons"][0], code, field);
    }
    let after = api.get("/v1/status").unwrap()["records"]["Lead"].as_u64().unwrap();
    assert_eq!(after, before + cases.len() as u64);
    stop_and_check(&mut org);
}

/// A request, and how it is refused.
struct Case {
    what: String,
    method: &'static str,
    path: String,
    body: Vec<u8>,
    status: u16,
    code: &'static str,
    words: &'static [&'static str],
    /// Whether it is refused before its body is read: that ends the connection, and is told.
    unread: bool,
}

const RECORDS: &str = "/v1/records/Lead";

/// A body for a new lead.
fn post(
    what: &str,
    body: impl Into<Vec<u8>>,
    status: u16,
    code: &'static str,
    words: &'static [&'static str],
) -> Case {
    Case {
        what: what.to_owned(),
        method: "POST",
        path: RECORDS.to_owned(),
        body: body.into(),
        status,
        code,
        words,
        unread: false,
    }
}

/// A method and a path, separated by a blank; the body names no field.
fn at(line: &str, status: u16, code: &'static str, words: &'static [&'static str]) -> Case {
    let (method, path) = line.split_once(' ').unwrap();
    let method = ["GET", "POST", "PATCH", "DELETE"].into_iter().find(|known| *known == method).unwrap();
    Case {
        method,
        path: path.to_owned(),
        unread: true,
        ..post(line, "{\"fields\": {}}", status, code, words)
    }
}

impl Case {
    fn to(self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self }
    }
}

/// Bodies that are no JSON, or no JSON of the right form.
fn bodies() -> Vec<Case> {
    let deep = |open: &str, close: &str| {
        format!("{{\"fields\": {{\"LastName\": {}1{}}}}}", open.repeat(10_000), close.repeat(10_000))
    };
    let no_text = b"{\"fields\": {\"LastName\": \"\xff\xfe\"}}".to_vec();
    let twice = r#"{"fields": {"LastName": "a", "lastname": "b"}}"#;
    let upsert = r#"{"operations": [{"op": "upsert", "object": "Lead"}]}"#;
    let huge = " ".repeat(4 * 1024 * 1024 + 1);
    vec![
        post("nothing", "", 400, "malformed_json", &["line 1, column 1"]),
        post("a comma too much", "{\"fields\":\n {\"City\": \"a\",}}", 400, "malformed_json", &["line 2"]),
        post("an unfinished body", "{\"fields\": {", 400, "malformed_json", &["line 1, column 12"]),
        post("a lone surrogate", r#"{"fields": {"City": "\ud800"}}"#, 400, "malformed_json", &["line 1"]),
        post("no UTF-8", no_text, 400, "bad_utf8", &["line 1, column 26", "send it in UTF-8"]),
        post("10,000 lists", deep("[", "]"), 400, "malformed_json", &["recursion limit"]),
        post("10,000 objects", deep("{\"a\":", "}"), 400, "malformed_json", &["recursion limit"]),
        post("10,000 unknown", deep("[", "]"), 422, "unknown_key", &["fields", "operations"]).to("/v1/batch"),
        post("a list", "[]", 422, "bad_body", &["expected"]),
        post("a list instead of fields", "{\"fields\": [1]}", 422, "bad_body", &["an object of field names"]),
        post("an unknown key", "{\"feilds\": {}}", 422, "unknown_key", &["feilds", "use one of fields"]),
        post("a missing key", "{}", 422, "bad_body", &["fields"]),
        post("a field that stands twice", twice, 422, "record_refused", &["twice"]),
        post("an unknown operation", upsert, 422, "bad_body", &["upsert", "create"]).to("/v1/batch"),
        post("1,001 operations", many_operations(1_001), 422, "limit_reached", &["1001", "1000", "split"])
            .to("/v1/batch"),
        Case { unread: true, ..post("more than 4 MiB", huge, 413, "too_large", &["4194304", "split"]) },
    ]
}

/// Methods, paths and queries that lead nowhere.
fn places() -> Vec<Case> {
    let nobody = "0".repeat(26);
    let record = |method: &str| at(&format!("{method} {RECORDS}/{nobody}"), 404, "unknown_record", &["0000"]);
    vec![
        Case {
            unread: false,
            ..at("POST /v1/records/Leed", 404, "unknown_object", &["Leed", "tieline object list"])
        },
        at("GET /v1/records/a%00b", 400, "bad_path", &["letters"]),
        at("GET /v1/records/Lead/one", 400, "bad_path", &["one"]),
        record("GET"),
        record("DELETE"),
        Case { unread: false, ..record("PATCH") },
        at("GET /v1/records/Lead?Stauts=x", 422, "record_refused", &["did you mean Status?"]),
        at("GET /v1/records/Lead?cursor=x", 400, "bad_query", &["cursor"]),
        at("GET /v1/log?form=1", 400, "bad_query", &["form", "from"]),
        at("POST /v1/connections/nobody/resume", 404, "unknown_connection", &["tieline connection list"]),
        at("DELETE /v1/status", 405, "method_not_allowed", &["DELETE", "/v1/status"]),
        at("GET /v2/status", 404, "not_found", &["/v2/status", "openapi.json"]),
        at("GET /v1/../../etc/passwd", 404, "not_found", &["openapi.json"]),
    ]
}

#[test]
fn requests_that_make_no_sense_are_refused_by_name() {
    let mut org = org();
    let api = org.api.clone();
    let lead = create(&api, &json!({ "LastName": "Ng", "Company": "X" }));
    for case in bodies().into_iter().chain(places()) {
        let answer = api.raw(case.method, &case.path, &[TOKEN, JSON], &case.body);
        refused(&api, &case.what, &answer, case.status, case.code, case.words);
        let has_place = matches!(case.code, "malformed_json" | "bad_utf8" | "bad_body" | "unknown_key");
        let closes = answer.headers.get("connection").is_some_and(|value| value == "close");
        assert_eq!(closes, case.unread, "{}: {:?}", case.what, answer.headers);
        assert_eq!(answer.body["line"].is_u64(), has_place, "{}: {}", case.what, answer.body);
    }
    let answer = api.raw("POST", RECORDS, &[TOKEN, ("content-type", "text/plain")], b"{\"fields\": {}}");
    refused(
        &api,
        "a body that says it is text",
        &answer,
        415,
        "unsupported_media_type",
        &["application/json"],
    );
    for (what, headers, words) in [
        ("no token", vec![JSON], "Bearer tl_"),
        ("another scheme", vec![JSON, ("authorization", "Basic dGw6dGw=")], "Bearer tl_"),
        ("an unknown token", vec![JSON, ("authorization", "Bearer tl_wrong")], "ask an administrator"),
    ] {
        for (method, path) in [("GET", "/v1/status"), ("POST", "/v1/batch"), ("GET", "/v1/log")] {
            let answer = api.raw(method, path, &headers, b"");
            refused(&api, what, &answer, 401, "unauthorized", &[words]);
        }
    }
    let seen = api.get(&format!("{RECORDS}/{lead}")).unwrap();
    assert_eq!(seen["fields"]["LastName"], "Ng", "nothing of it touched the record");
    let said = org.log();
    for secret in ["tl_wrong", "tl_test", "dGw6dGw="] {
        assert!(!said.contains(secret), "{secret} is in the log");
    }
    stop_and_check(&mut org);
}

fn many_operations(count: usize) -> Vec<u8> {
    let one = json!({ "op": "delete", "object": "Lead", "id": "0".repeat(26) });
    json!({ "operations": vec![one; count] }).to_string().into_bytes()
}

#[test]
fn what_is_refused_leaves_no_event_in_the_log() {
    let mut org = org();
    let api = org.api.clone();
    let before = api.get("/v1/status").unwrap()["seq"].clone();
    let bad = json!({ "operations": [
        { "op": "create", "object": "Lead", "fields": { "LastName": "no company" } },
        { "op": "update", "object": "Lead", "id": "0".repeat(26), "fields": {} },
        { "op": "create", "object": "Nothing", "fields": {} },
    ]});
    let answer = api.must("POST", "/v1/batch", &bad);
    let codes: Vec<&Json> = list(&answer["results"]).map(|result| &result["code"]).collect();
    assert_eq!(codes, ["record_refused", "unknown_record", "unknown_object"], "{answer}");
    assert_eq!(api.get("/v1/status").unwrap()["seq"], before);
    stop_and_check(&mut org);
}
