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
        ("Yearly__c", "changed", "computed here"),
        ("Slots__c", "left_out", "reads Account__r.Capacity__c of another record"),
        (
            "Free__c",
            "left_out",
            "it reads Slots__c, which was left out: it is a formula that is not translated",
        ),
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
        ("Yearly_Fee", "taken", ""),
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

#[test]
fn records_keep_their_links_and_are_taken_once() {
    let (dir, _) = translate();
    let org = Org::start();
    let contact = org.file(
        "contact.toml",
        "extends = \"Contact\"\n[fields]\nSalesforce_Id__c = { type = \"text\", external_id = true }\n",
    );
    let account = dir.path().join("objects/account.toml").display().to_string();
    assert_eq!(org.run(&["object", "apply", &account, &contact]).0, 0);
    let import = |object: &str, file: &str, more: &[&str]| {
        let upsert = ["--upsert", "Salesforce_Id__c", "--map", "Id=Salesforce_Id__c"];
        org.run(&[&["record", "import", object, file], &upsert[..], more].concat())
    };
    let accounts = org.file("accounts.csv", "\"Id\",\"NAME\"\n\"001A\",\"Initech\"\n\"001B\",\"Hooli\"\n");
    let (code, out, err) = import("Account", &accounts, &[]);
    assert_eq!((code, out.as_str()), (0, "2 records read, 2 created, 0 updated, 0 refused\n"), "{err}");

    // One refers to a row before it, one to a row after it, one to nobody, one is there twice.
    let contacts = "Id,LastName,AccountId,ReportsTo.Salesforce_Id__c\n\
        003A,Ng,001B,\n\
        003B,Poe,001A,003A\n\
        003C,Ray,001A,003D\n\
        003D,Doe,001X,\n\
        003A,Ngo,,\n\
        ,Fox,,\n";
    let file = org.file("contacts.csv", contacts);
    let link = ["--map", "AccountId=Account.Salesforce_Id__c"];
    let (code, out, err) = import("Contact", &file, &link);
    assert_eq!((code, out.as_str()), (3, "6 records read, 2 created, 1 updated, 3 refused\n"), "{err}");
    for part in [
        "line 4: column ReportsTo.Salesforce_Id__c: no record of Contact has Salesforce_Id__c 003D",
        "line 5: column AccountId: no record of Account has Salesforce_Id__c 001X",
        "line 7: column Salesforce_Id__c: it has no value",
    ] {
        assert!(err.contains(part), "{part}: {err}");
    }
    // The same file again, with what was wrong mended: what refers to a later row comes through when
    // that is there, and nothing is there twice.
    let file = org.file("contacts.csv", contacts.replace("001X", "001B").replace(",Fox", "003E,Fox"));
    for (created, updated, refused) in [(2, 3, 1), (1, 5, 0), (0, 6, 0)] {
        let (_, out, err) = import("Contact", &file, &link);
        let expected = format!("6 records read, {created} created, {updated} updated, {refused} refused\n");
        assert_eq!(out, expected, "{err}");
    }
    let all = org.json(&["record", "list", "Contact"])["records"].as_array().unwrap().clone();
    assert_eq!(all.len(), 5);
    let of = |object: &str, id: &str| {
        let found = format!("Salesforce_Id__c={id}");
        org.json(&["record", "list", object, "--where", &found])["records"][0].clone()
    };
    let (ng, poe, ray) = (of("Contact", "003A"), of("Contact", "003B"), of("Contact", "003C"));
    assert_eq!(ng["fields"]["LastName"], "Ngo");
    assert_eq!(ng["fields"]["AccountId"], of("Account", "001B")["id"], "an empty cell changes nothing");
    assert_eq!(poe["fields"]["ReportsToId"], ng["id"]);
    assert_eq!(ray["fields"]["ReportsToId"], of("Contact", "003D")["id"]);
}
