//! Objects: files that hold a slip or a bomb, each refused with its place or its rule; what becomes what at
//! a partner; and what of them stays at home.

use serde_json::json;

use crate::input::{TOKEN, org, refused};
use crate::kit::{
    LEAD_FIELDS, Pair, create, forward, list, record, stop_and_check, tieline, until_value, update,
};

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

/// S2S-25: a standard object becomes the same one, an object of one's own any other of those.
#[test]
fn standard_objects_become_the_same_and_custom_ones_any_custom_one() {
    let pair = Pair::connected();
    let (a, b) = (&pair.a, &pair.b);
    let dir = tempfile::tempdir().unwrap();
    for (org, object) in [(a, "Fund__c"), (b, "Request__c")] {
        let file = dir.path().join(format!("{object}.toml"));
        let text = format!(
            "object = \"{object}\"\nlabel = \"{object}\"\nname_field = \"Name\"\n[fields]\n\
             Name = {{ type = \"text\", length = 80 }}\n"
        );
        std::fs::write(&file, text).unwrap();
        tieline(org, &["object", "apply", file.to_str().unwrap()]);
    }
    for object in ["Lead", "Fund__c"] {
        tieline(a, &["publish", "set", "globex", object, "--all"]);
    }
    let path = "/v1/connections/acme";
    b.api.until("both objects", path, |seen| (list(&seen["catalogue"]).count() == 2).then_some(()));
    let take = |remote: &str, local: &str, field: &str, from: &str| {
        let rule =
            json!({ "local": local, "auto_accept": true, "fields": [{ "local": field, "from": from }] });
        b.api.send("PUT", &format!("{path}/subscribe/{remote}"), &rule)
    };
    for (remote, local, field, from) in [
        ("Lead", "Contact", "LastName", "LastName"),
        ("Lead", "Request__c", "Name", "LastName"),
        ("Fund__c", "Account", "Name", "Name"),
    ] {
        let refused = take(remote, local, field, from).unwrap_err();
        assert_eq!(
            refused.body["reasons"][0]["code"], "incompatible_objects",
            "{remote} as {local}: {refused:?}"
        );
    }
    take("Lead", "Lead", "LastName", "LastName").unwrap();
    take("Fund__c", "Request__c", "Name", "Name").unwrap();
    a.api.until("both subscriptions", "/v1/connections/globex", |seen| {
        (list(&seen["taken"]).count() == 2).then_some(())
    });
    let fund = record(a, "Fund__c", &json!({"Name": "Baltic"}));
    tieline(a, &["share", "forward", "Fund__c", &fund, "--to", "globex"]);
    let copy = pair.copy_of(&fund);
    let copy = b.api.get(&format!("/v1/records/Request__c/{copy}")).unwrap();
    assert_eq!(copy["fields"]["Name"], "Baltic", "{copy}");
    pair.finish();
}

/// S2S-61: what is shared are values of published fields. Layouts, record types, people, roles, rules and setup
/// stay where they are, and each side's own apply.
#[test]
fn nothing_but_published_values_crosses() {
    let pair = Pair::start();
    let (a, b) = (&pair.a, &pair.b);
    let before = tieline(b, &["export", "config"]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("lead.toml");
    let text = "extends = \"Lead\"\nlabel = \"Prospect\"\nview_fields = [\"City\"]\n\
        [fields]\nHidden__c = { type = \"text\", label = \"Hidden\" }\n\
        [record_types.Partner]\nlabel = \"Partner\"\n\
        [rules.far]\ncondition = \"City == 'Mars'\"\nmessage = \"too far\"\n";
    std::fs::write(&file, text).unwrap();
    tieline(a, &["object", "apply", file.to_str().unwrap()]);
    tieline(a, &["user", "add", "bob"]);
    tieline(a, &["queue", "set", "emea", "--object", "Lead", "--user", "bob"]);
    tieline(a, &["view", "set", "all", "--object", "Lead"]);
    let fields =
        json!({"LastName": "Curie", "Company": "Sorbonne", "City": "Paris", "Phone": "1", "Hidden__c": "x"});
    let lead = create(&a.api, &fields);
    tieline(a, &["record", "assign", "Lead", &lead, "--owner", "queue:emea"]);
    forward(&a.api, &pair.id, &lead);
    let copy = pair.copy_of(&lead);
    update(&a.api, &lead, &json!({"City": "Warsaw"}));
    until_value(&b.api, &copy, "City", "Warsaw");
    let seen = b.api.get(&format!("/v1/records/Lead/{copy}")).unwrap();
    let came: Vec<&String> = seen["fields"].as_object().unwrap().keys().collect();
    assert!(came.iter().all(|name| LEAD_FIELDS.contains(&name.as_str())), "{came:?}");
    assert_eq!(seen["owner"], "admin", "an owner of this org");
    assert_eq!(tieline(b, &["export", "config"]), before, "settings of one side are no matter of the other");
    // The rule of one side binds that side alone: here nothing is too far.
    update(&b.api, &copy, &json!({"City": "Mars"}));
    until_value(&b.api, &copy, "City", "Mars");
    pair.until_settled();
    assert_eq!(a.api.get(&format!("/v1/records/Lead/{lead}")).unwrap()["fields"]["City"], "Warsaw");
    pair.finish();
}
