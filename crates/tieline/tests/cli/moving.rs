//! Moving in: metadata becomes object files that a daemon takes, and records that keep its rules.

use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use crate::daemon::{Org, read, run};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/moving")
}

/// Translates both fixtures, and gives the directory of the files and the report.
fn translate() -> (tempfile::TempDir, Json) {
    let dir = tempfile::tempdir().unwrap();
    let sources = ["source", "Visit__c.json"].map(|name| fixtures().join(name).display().to_string());
    let out = dir.path().join("objects").display().to_string();
    let (code, report, err) =
        run(&["salesforce", "translate", &sources[0], &sources[1], "--out", &out, "--json"]);
    assert_eq!((code, err.as_str()), (0, ""));
    (dir, serde_json::from_str(&report).unwrap())
}

#[test]
fn files_are_as_they_are_checked_in() {
    let (dir, _) = translate();
    let expected = fixtures().join("expected");
    let names = |dir: &Path| {
        let mut names: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let written = dir.path().join("objects");
    if std::env::var_os("TIELINE_WRITE_MOVING").is_some() {
        for name in names(&written) {
            std::fs::copy(written.join(&name), expected.join(&name)).unwrap();
        }
    }
    assert_eq!(names(&written), names(&expected));
    for name in names(&written) {
        let differs = "look at it and write it with TIELINE_WRITE_MOVING=1";
        assert_eq!(read(&written.join(&name)), read(&expected.join(&name)), "{name:?}: {differs}");
    }
}

#[test]
fn each_part_is_told() {
    let (_dir, report) = translate();
    let object = |name: &str| {
        report["objects"].as_array().unwrap().iter().find(|object| object["object"] == name).unwrap().clone()
    };
    let part = |object: &Json, list: &str, key: &str, name: &str| {
        let parts = object[list].as_array().unwrap();
        let part = parts.iter().find(|part| part[key] == name).unwrap();
        (part["fate"].as_str().unwrap().to_owned(), part["why"].to_string())
    };
    let fund = object("Fund__c");
    for (field, fate, why) in [
        ("Size__c", "taken", ""),
        ("Region__c", "taken", ""),
        ("Code__c", "taken", ""),
        ("Markets__c", "changed", "whatever Region__c is"),
        ("Place__c", "changed", "two numbers"),
        ("Manager__c", "changed", "users are no records"),
        ("Account__c", "changed", "not required"),
        ("Opens__c", "changed", "TODAY()"),
        ("Fee__c", "changed", "0.015"),
        ("RecordType", "changed", "record type"),
        ("Yearly__c", "left_out", "formula"),
        ("Status__c", "left_out", "global value set Missing"),
    ] {
        let (is, told) = part(&fund, "fields", "field", field);
        assert!(is == fate && told.contains(why), "{field}: {is} {told}");
    }
    for (rule, fate, why) in [
        ("Fee_Is_Sane", "taken", ""),
        ("Code_Form", "taken", ""),
        ("Big_Has_Region", "changed", "Status__c is not there"),
        ("Size_Never_Falls", "left_out", "ISCHANGED"),
        ("Yearly_Fee", "left_out", "Yearly__c, which was left out: it is a formula"),
    ] {
        let (is, told) = part(&fund, "rules", "rule", rule);
        assert!(is == fate && told.contains(why), "{rule}: {is} {told}");
    }
    assert_eq!(object("Alert__e")["left_out"], "a platform event is told and not kept");
    assert_eq!(report["problems"], json!([]));
}

#[test]
fn a_daemon_takes_the_files_and_keeps_the_rules() {
    let (dir, _) = translate();
    let org = Org::start();
    for object in ["account", "fund__c", "grant__c", "visit__c"] {
        let file = dir.path().join(format!("objects/{object}.toml")).display().to_string();
        let (code, _, err) = org.run(&["object", "apply", &file]);
        assert_eq!(code, 0, "{object}: {err}");
    }
    for (fields, refusal) in [
        (&["Name=a", "Size__c=1", "Fee__c=50"][..], None),
        (&["Name=b", "Size__c=1", "Fee__c=50.5"], Some("A fee is between 0 and 50 per cent.")),
        (&["Name=c", "Size__c=1", "Code__c=AB1234"], None),
        (&["Name=d", "Size__c=1", "Code__c=AB123"], Some("AB1234")),
        (&["Name=e", "Size__c=1", "Region__c=Mars"], Some("Region__c")),
        (&["Name=f"], Some("Size__c of Fund__c is required")),
    ] {
        let (code, _, err) = org.run(&[&["record", "create", "Fund__c"], fields].concat());
        assert_eq!(code, if refusal.is_some() { 3 } else { 0 }, "{fields:?}: {err}");
        assert!(err.contains(refusal.unwrap_or_default()), "{fields:?}: {err}");
    }
    let made = org.json(&["record", "list", "Fund__c", "--where", "Name=c"])["records"][0]["fields"].clone();
    assert_eq!(made["Region__c"], "EMEA", "a default holds");
    assert_eq!(org.run(&["record", "create", "Grant__c", "Closed__c=true"]).0, 3);
    assert_eq!(org.run(&["record", "create", "Grant__c", "Closed__c=true", "Level__c=Two"]).0, 0);
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let fields = dir.path().join("objects/Fund__c/fields");
    std::fs::create_dir_all(&fields).unwrap();
    let field =
        |name: &str| format!("<CustomField><fullName>{name}</fullName><type>Checkbox</type></CustomField>");
    std::fs::write(fields.join("Good__c.field-meta.xml"), field("Good__c")).unwrap();
    std::fs::write(fields.join("Cut__c.field-meta.xml"), "<CustomField>\n<fullName>").unwrap();
    let bomb = "<!DOCTYPE x [<!ENTITY a \"b\">]>".to_owned() + &field("Bomb__c");
    std::fs::write(fields.join("Bomb__c.field-meta.xml"), bomb).unwrap();
    let (source, out) = (dir.path().display().to_string(), dir.path().join("out").display().to_string());
    let (code, table, err) = run(&["salesforce", "translate", &source, "--out", &out]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("Cut__c.field-meta.xml, line 2: "), "{err}");
    assert!(err.contains("Bomb__c.field-meta.xml, line 1: a document type is not taken"), "{err}");
    assert!(err.contains("2 files could not be taken"), "{err}");
    assert!(table.contains("Fund__c"), "{table}");
    assert!(read(&Path::new(&out).join("fund__c.toml")).contains("Good__c"));

    let (code, _, err) = run(&["salesforce", "translate", &source, "--out", &out]);
    assert!(code == 5 && err.contains("--overwrite"), "a file is never written over unasked: {err}");
    let empty = tempfile::tempdir().unwrap();
    let (code, _, err) =
        run(&["salesforce", "translate", &empty.path().display().to_string(), "--out", &out]);
    assert!(code == 3 && err.contains("holds no object"), "{err}");
}
