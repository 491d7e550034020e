//! Files of objects that hold a slip or a bomb: each is refused with its place or its rule, nothing of
//! it is saved, and a rule that asks for too much stops no more than its record.

use serde_json::json;

use crate::input::{TOKEN, org, refused};
use crate::kit::stop_and_check;

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
        ("a deep nest within the bytes", nest(900), &["nests deeper"]),
        ("90 choices in a row", format!("{}true", "City == 'x' ? true : ".repeat(90)), &["column"]),
        (
            "lists over lists",
            "[1,2,3].all(a, [1,2,3].all(b, [1,2,3].all(c, a + b + c > 0)))".into(),
            &["all"],
        ),
        ("a long chain", vec!["City == 'x'"; 150].join(" || "), &["column"]),
        ("a long list", format!("1 in [{}]", list(1_001)), &["1000"]),
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
