//! Bad input at the API: each refusal is a problem document with a stable code that names the thing,
//! the reason and the remedy, and the daemon goes on as if nothing had been.

use serde_json::{Value as Json, json};
use tieline_tests::process::{Answer, Api, OrgProcess};

use crate::kit::{create, list, stop_and_check};

const TOKEN: (&str, &str) = ("authorization", "Bearer tl_test");
const JSON: (&str, &str) = ("content-type", "application/json");

/// An org of its own; no broker is needed.
fn org() -> OrgProcess {
    let mut org = OrgProcess::make("acme");
    org.start("127.0.0.1:9");
    org
}

/// Asserts that an answer is a problem document with this code and these words, and that a good
/// request right after it works.
fn refused(api: &Api, what: &str, answer: &Answer, status: u16, code: &str, words: &[&str]) {
    let body = &answer.body;
    assert_eq!((answer.status, body["code"].as_str()), (status, Some(code)), "{what}: {body}");
    assert_eq!(answer.content_type, "application/problem+json", "{what}");
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
    create(api, &json!({ "LastName": "Good", "Company": "After bad" }));
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
        assert_eq!(found["code"], code, "{what}: {found}");
        assert_eq!(
            found["field"].as_str().unwrap_or_default(),
            if code == "unknown_field" { found["field"].as_str().unwrap_or_default() } else { field }
        );
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

/// What it is, method, path and body; the status, code and words with which it is refused.
type Case<'a> = (&'a str, &'a str, String, Vec<u8>, u16, &'a str, &'a [&'a str]);

#[test]
fn requests_that_make_no_sense_are_refused_by_name() {
    let mut org = org();
    let api = org.api.clone();
    let lead = create(&api, &json!({ "LastName": "Ng", "Company": "X" }));
    let deep = |open: &str, close: &str| {
        format!("{{\"fields\": {{\"LastName\": {}1{}}}}}", open.repeat(10_000), close.repeat(10_000))
    };
    let nobody = "0".repeat(26);
    let record = "/v1/records/Lead";
    let cases: [Case<'_>; 28] = [
        ("an empty body", "POST", record.into(), b"".to_vec(), 400, "malformed_json", &["line 1, column 1"]),
        (
            "a comma too much",
            "POST",
            record.into(),
            b"{\"fields\":\n {\"LastName\": \"a\",}}".to_vec(),
            400,
            "malformed_json",
            &["line 2"],
        ),
        (
            "an unfinished body",
            "POST",
            record.into(),
            b"{\"fields\": {".to_vec(),
            400,
            "malformed_json",
            &["line 1, column 12"],
        ),
        (
            "a lone surrogate",
            "POST",
            record.into(),
            b"{\"fields\": {\"LastName\": \"\\ud800\"}}".to_vec(),
            400,
            "malformed_json",
            &["line 1"],
        ),
        (
            "bytes that are no UTF-8",
            "POST",
            record.into(),
            b"{\"fields\": {\"LastName\": \"\xff\xfe\"}}".to_vec(),
            400,
            "bad_utf8",
            &["line 1, column 26", "UTF-8"],
        ),
        (
            "10,000 lists",
            "POST",
            record.into(),
            deep("[", "]").into_bytes(),
            400,
            "malformed_json",
            &["recursion limit"],
        ),
        (
            "10,000 objects",
            "POST",
            record.into(),
            deep("{\"a\":", "}").into_bytes(),
            400,
            "malformed_json",
            &["recursion limit"],
        ),
        (
            "a list instead of fields",
            "POST",
            record.into(),
            b"{\"fields\": [1]}".to_vec(),
            422,
            "bad_body",
            &["an object of field names"],
        ),
        (
            "10,000 lists where nothing is known",
            "POST",
            "/v1/batch".into(),
            deep("[", "]").into_bytes(),
            422,
            "unknown_key",
            &["fields", "operations"],
        ),
        ("a list", "POST", record.into(), b"[]".to_vec(), 422, "bad_body", &["expected"]),
        (
            "an unknown key",
            "POST",
            record.into(),
            b"{\"feilds\": {}}".to_vec(),
            422,
            "unknown_key",
            &["feilds", "fields"],
        ),
        ("a missing key", "POST", record.into(), b"{}".to_vec(), 422, "bad_body", &["fields"]),
        (
            "a key that stands twice",
            "POST",
            record.into(),
            b"{\"fields\": {\"LastName\": \"a\", \"lastname\": \"b\"}}".to_vec(),
            422,
            "record_refused",
            &["twice"],
        ),
        (
            "an unknown operation",
            "POST",
            "/v1/batch".into(),
            b"{\"operations\": [{\"op\": \"upsert\", \"object\": \"Lead\"}]}".to_vec(),
            422,
            "bad_body",
            &["upsert", "create"],
        ),
        (
            "too many operations",
            "POST",
            "/v1/batch".into(),
            many_operations(1_001),
            422,
            "limit_reached",
            &["1001", "1000", "split"],
        ),
        (
            "more than 4 MiB",
            "POST",
            record.into(),
            vec![b' '; 4 * 1024 * 1024 + 1],
            413,
            "too_large",
            &["4194304", "split"],
        ),
        (
            "an unknown object",
            "POST",
            "/v1/records/Leed".into(),
            b"{\"fields\": {}}".to_vec(),
            404,
            "unknown_object",
            &["Leed", "tieline object list"],
        ),
        (
            "an object that is no name",
            "GET",
            "/v1/records/a%00b".into(),
            Vec::new(),
            400,
            "bad_path",
            &["letters"],
        ),
        ("an id that is none", "GET", format!("{record}/one"), Vec::new(), 400, "bad_path", &["one"]),
        (
            "an unknown record",
            "GET",
            format!("{record}/{nobody}"),
            Vec::new(),
            404,
            "unknown_record",
            &[&nobody],
        ),
        (
            "an unknown record to change",
            "PATCH",
            format!("{record}/{nobody}"),
            b"{\"fields\": {}}".to_vec(),
            404,
            "unknown_record",
            &[&nobody],
        ),
        (
            "an unknown field to filter by",
            "GET",
            format!("{record}?Stauts=x"),
            Vec::new(),
            422,
            "record_refused",
            &["did you mean Status?"],
        ),
        (
            "a cursor that is none",
            "GET",
            format!("{record}?cursor=x"),
            Vec::new(),
            400,
            "bad_query",
            &["cursor"],
        ),
        (
            "an unknown parameter",
            "GET",
            "/v1/log?form=1".into(),
            Vec::new(),
            400,
            "bad_query",
            &["form", "from"],
        ),
        (
            "an unknown connection",
            "POST",
            "/v1/connections/nobody/deactivate".into(),
            b"null".to_vec(),
            404,
            "unknown_connection",
            &["nobody", "tieline connection list"],
        ),
        (
            "a wrong method",
            "DELETE",
            "/v1/status".into(),
            Vec::new(),
            405,
            "method_not_allowed",
            &["DELETE", "/v1/status"],
        ),
        (
            "a wrong path",
            "GET",
            "/v2/status".into(),
            Vec::new(),
            404,
            "not_found",
            &["/v2/status", "openapi.json"],
        ),
        (
            "a path that climbs",
            "GET",
            "/v1/../../etc/passwd".into(),
            Vec::new(),
            404,
            "not_found",
            &["openapi.json"],
        ),
    ];
    for (what, method, path, body, status, code, words) in &cases {
        let answer = api.raw(method, path, &[TOKEN, JSON], body);
        refused(&api, what, &answer, *status, code, words);
        assert_eq!(
            answer.body["line"].is_u64(),
            matches!(*code, "malformed_json" | "bad_utf8" | "bad_body" | "unknown_key"),
            "{what}: {}",
            answer.body
        );
    }
    let answer = api.raw("POST", record, &[TOKEN, ("content-type", "text/plain")], b"{\"fields\": {}}");
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
        for (method, path) in
            [("GET", "/v1/status"), ("POST", "/v1/batch"), ("GET", "/v1/log"), ("GET", "/metrics2")]
        {
            let answer = api.raw(method, path, &headers, b"");
            if path == "/metrics2" {
                assert_eq!(answer.status, 404);
                continue;
            }
            refused(&api, what, &answer, 401, "unauthorized", &[words]);
        }
    }
    let seen = api.get(&format!("{record}/{lead}")).unwrap();
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
fn an_object_file_with_a_bomb_or_a_slip_is_refused_with_its_place() {
    let mut org = org();
    let api = org.api.clone();
    let rule = |condition: &str| {
        format!("extends = \"Lead\"\n[rules.bomb]\nmessage = \"no\"\ncondition = {}\n", toml_text(condition))
    };
    let list = |elements: usize| vec!["1"; elements].join(",");
    let nest = |depth: usize| format!("{}true{}", "(".repeat(depth), ")".repeat(depth));
    let files: [(&str, String, &[&str]); 6] = [
        ("no TOML", "extends = \"Lead\"\n[fields.X__c\n".into(), &["line 2"]),
        ("an unknown key", "extends = \"Lead\"\n[fields.X__c]\ntyp = \"text\"\n".into(), &["line 3", "typ"]),
        (
            "an unknown type",
            "extends = \"Lead\"\n[fields]\nX__c = { type = \"txt\" }\n".into(),
            &["line 3", "txt"],
        ),
        ("an unknown object", "extends = \"Leed\"\n".into(), &["line 1", "Leed"]),
        ("a number where a text belongs", "extends = 7\n".into(), &["line 1"]),
        (
            "a deep nest of TOML",
            format!("extends = {}1{}", "[".repeat(10_000), "]".repeat(10_000)),
            &["line 1"],
        ),
    ];
    let rules: [(&str, String, &[&str]); 13] = [
        ("a field that is not there", "Stauts == 'x'".into(), &["did you mean Status?"]),
        ("no boolean", "1 + 1".into(), &["column 1"]),
        ("what does not parse", "City ==".into(), &["column"]),
        ("10,000 brackets", nest(10_000), &["2048"]),
        ("a deep nest within the bytes", nest(900), &["33"]),
        ("90 choices in a row", format!("{}true", "City == 'x' ? true : ".repeat(90)), &["column"]),
        (
            "lists over lists",
            "[1,2,3].all(a, [1,2,3].all(b, [1,2,3].all(c, a + b + c > 0)))".into(),
            &["all"],
        ),
        ("a long chain", vec!["City == 'x'"; 150].join(" || "), &["column"]),
        ("a long list", format!("1 in [{}]", list(1_001)), &["2048"]),
        (
            "a regular expression that explodes",
            "City.matches('((a{1,100}){1,100}){1,100}')".into(),
            &["column"],
        ),
        ("a regular expression from a value", "City.matches(Company)".into(), &["column"]),
        ("a function that nobody knows", "system('reboot')".into(), &["system"]),
        ("a text for a number", "NumberOfEmployees > 'many'".into(), &["column"]),
    ];
    let before = api.get("/v1/objects/Lead").unwrap();
    let put = |file: &str| {
        api.raw("PUT", "/v1/objects", &[TOKEN, ("content-type", "application/toml")], file.as_bytes())
    };
    for (what, file, words) in &files {
        let answer = put(file);
        refused(&api, what, &answer, 422, "bad_object_file", words);
        assert!(answer.body["line"].is_u64() && answer.body["column"].is_u64(), "{what}: {}", answer.body);
    }
    for (what, condition, words) in &rules {
        let answer = put(&rule(condition));
        let reason = &answer.body["reasons"][0];
        assert_eq!(
            (&reason["code"], &reason["rule"]),
            (&json!("bad_expression"), &json!("bomb")),
            "{what}: {}",
            answer.body
        );
        refused(&api, what, &answer, 422, "record_refused", words);
    }
    let answer = api.raw("PUT", "/v1/objects", &[TOKEN], b"label = \"\xff\"");
    refused(&api, "a file that is no UTF-8", &answer, 400, "bad_utf8", &["line 1, column 10"]);
    assert_eq!(api.get("/v1/objects/Lead").unwrap(), before, "nothing of it was saved");
    stop_and_check(&mut org);
}

/// A text as TOML writes it.
fn toml_text(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A rule within all limits can still be asked to do too much: the record is refused, and said why.
#[test]
fn a_rule_that_takes_too_long_refuses_its_record_and_stops_nothing() {
    let mut org = org();
    let api = org.api.clone();
    let condition = (0..8).map(|n| format!("Description.matches('{n}+$')")).collect::<Vec<_>>().join(" || ");
    let rule = format!(
        "extends = \"Lead\"\n[rules.costly]\nmessage = \"no digits\"\ncondition = {}\n",
        toml_text(&condition)
    );
    api.send_bytes("PUT", "/v1/objects", "application/toml", rule.as_bytes()).unwrap();
    let lead = |description: String| json!({ "fields": { "LastName": "a", "Company": "b", "Description": description } });
    let problem = api.send("POST", "/v1/records/Lead", &lead("ab".repeat(16_000))).unwrap_err();
    let reason = &problem.body["reasons"][0];
    assert_eq!(
        (&reason["code"], &reason["rule"]),
        (&json!("rule_failed"), &json!("costly")),
        "{:?}",
        problem.body
    );
    api.must("POST", "/v1/records/Lead", &lead("short".into()));
    stop_and_check(&mut org);
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
