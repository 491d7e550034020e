//! Records by hand, by file, and out again.

use std::path::Path;

use serde_json::json;

use crate::daemon::{Org, read};

const LEADS: &str = "\u{feff}\"FIRSTNAME\",\"lastname\",\"Company\",\"Email\",\"Description\"\r\n\
    \"Ann\",\"Ng\",\"Initech\",\"ann@initech.example\",\"says \"\"hi\"\"\r\nand more\"\r\n\
    \"Bob\",\"Ray\",\"Umbrella\",\"not an address\",\"\"\r\n\
    \"Cy\",\"Doe\"\r\n\
    \"Di\",\"Poe\",\"Labs\",\"\",\"=1+1\"\r\n";

#[test]
fn a_csv_file_with_bad_rows() {
    let org = Org::start();
    let (leads, refused) = (org.file("leads.csv", LEADS), org.file("refused.csv", ""));
    let (code, out, err) = org.run(&["record", "import", "Lead", &leads, "--errors", &refused]);
    assert_eq!((code, out.as_str()), (3, "4 records read, 2 created, 2 refused\n"), "{err}");
    assert!(err.contains("line 4: column Email: Email is \"not an address\""), "{err}");
    assert!(err.contains("line 5: it has 2 cells and the header has 5"), "{err}");
    assert!(err.contains("Mend them in"), "{err}");
    // The file of refused rows can be mended and imported as it is.
    let mended = read(Path::new(&refused))
        .replace("not an address", "bob@umbrella.example")
        .replace("Cy,Doe,,", "Cy,Doe,Hooli,");
    let mended = org.file("mended.csv", mended);
    let (code, out, err) = org.run(&["record", "import", "Lead", &mended]);
    assert_eq!((code, out.as_str()), (0, "2 records read, 2 created, 0 refused\n"), "{err}");

    let found = org.json(&["record", "list", "Lead", "--where", "lastname=Ng"]);
    assert_eq!(found["records"][0]["fields"]["Description"], "says \"hi\"\r\nand more");
    assert_eq!(found["records"].as_array().unwrap().len(), 1);

    let (_, csv, _) = org.run(&["record", "export", "Lead", "--fields", "LastName,Description"]);
    assert!(csv.contains("Poe,'=1+1\n"), "{csv}");
    let (_, csv, _) = org.run(&["record", "export", "Lead", "--fields", "LastName,Description", "--raw"]);
    assert!(csv.contains("Poe,=1+1\n"), "{csv}");
    let (_, lines, _) = org.run(&["record", "export", "Lead", "--format", "json", "--fields", "LastName"]);
    assert_eq!(lines.lines().count(), 4);
    assert!(lines.lines().any(|line| line == "{\"LastName\":\"Ng\"}"), "{lines}");
}

#[test]
fn what_was_exported_comes_back_the_same() {
    let org = Org::start();
    let nasty =
        ["\u{202e}abc", "'; DROP TABLE x; --", "社會科學院", "a\tb", "\"", "\\", "👩‍👩‍👧", "null", "-1E02"];
    for (at, text) in nasty.iter().enumerate() {
        let fields = json!({"LastName": format!("n{at}"), "Company": "c", "Description": text}).to_string();
        let file = org.file("one.json", fields);
        assert_eq!(org.run(&["record", "create", "Lead", "--file", &file]).0, 0, "{text}");
    }
    for format in ["csv", "json"] {
        let (code, exported, _) = org.run(&[
            "record",
            "export",
            "Lead",
            "--raw",
            "--format",
            format,
            "--fields",
            "LastName,Company,Description",
        ]);
        assert_eq!(code, 0);
        let other = Org::start();
        let file = other.file(&format!("leads.{format}"), exported);
        let (code, _, err) = other.run(&["record", "import", "Lead", &file]);
        assert_eq!(code, 0, "{err}");
        for (at, text) in nasty.iter().enumerate() {
            let found = other.json(&["record", "list", "Lead", "--where", &format!("LastName=n{at}")]);
            assert_eq!(found["records"][0]["fields"]["Description"], *text, "{format}");
        }
    }
}

#[test]
fn unknown_columns_are_refused_before_anything_is_read() {
    let org = Org::start();
    let file = org.file("leads.csv", "Surname,Company,Id\nNg,Initech,7\n");
    let (code, _, err) = org.run(&["record", "import", "Lead", &file]);
    assert_eq!(code, 3);
    assert!(err.contains("Lead has no field Surname") && err.contains("--ignore-unknown"), "{err}");
    assert_eq!(org.json(&["record", "list", "Lead"])["records"], json!([]));
    let (code, _, err) =
        org.run(&["record", "import", "Lead", &file, "--map", "Surname=LastName", "--ignore-unknown"]);
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("the columns Id are dropped"), "{err}");
}

#[test]
fn a_plan_finds_its_references() {
    let org = Org::start();
    org.file(
        "accounts.json",
        r#"{"records": [{"attributes": {"type": "Account", "referenceId": "A1"}, "Name": "Initech"}]}"#,
    );
    let contacts = r#"{"records": [
        {"attributes": {"type": "Contact", "referenceId": "C1"}, "LastName": "Ng", "AccountId": "@A1"},
        {"attributes": {"type": "Contact", "referenceId": "C2"}, "LastName": "Poe", "ReportsToId": "@C1"},
        {"attributes": {"type": "Contact", "referenceId": "C3"}, "LastName": "Ray", "AccountId": "@A9"}
    ]}"#;
    org.file("contacts.json", contacts);
    let plan = r#"[{"sobject": "Account", "files": ["accounts.json"]}, {"sobject": "Contact", "files": ["contacts.json"]}]"#;
    let plan = org.file("plan.json", plan);
    let (code, out, err) = org.run(&["record", "import", "--plan", &plan]);
    assert_eq!((code, out.as_str()), (3, "4 records read, 3 created, 1 refused\n"), "{err}");
    assert!(err.contains("line 4: column AccountId: no record of this import is called A9"), "{err}");
    let account = org.json(&["record", "list", "Account"])["records"][0]["id"].clone();
    let ng = org.json(&["record", "list", "Contact", "--where", "LastName=Ng"])["records"][0].clone();
    assert_eq!(ng["fields"]["AccountId"], account);
    let poe = org.json(&["record", "list", "Contact", "--where", "LastName=Poe"]);
    assert_eq!(poe["records"][0]["fields"]["ReportsToId"], ng["id"], "a record of the same batch is found");
}

#[test]
fn records_by_hand() {
    let org = Org::start();
    let (code, id, err) =
        org.run(&["record", "create", "Lead", "LastName=Ng", "Company=Initech", "NumberOfEmployees=7"]);
    assert_eq!(code, 0, "{err}");
    let id = id.trim();
    assert_eq!(
        org.run(&["record", "update", "Lead", id, "numberofemployees=", "Status:=\"Working - Contacted\""]).0,
        0
    );
    let record = org.json(&["record", "get", "Lead", id]);
    assert_eq!(record["fields"]["Status"], "Working - Contacted");
    assert_eq!(record["fields"]["NumberOfEmployees"], json!(null));
    let (_, shown, _) = org.run(&["record", "get", "Lead", id]);
    assert!(shown.contains("Working - Contacted") && shown.contains("ann"), "{shown}");
    let (_, history, _) = org.run(&["record", "get", "Lead", id, "--history"]);
    assert_eq!(history.lines().count(), 3, "{history}");
    let (code, _, err) = org.run(&["record", "update", "Lead", id, "Status=Working - Contacted"]);
    assert_eq!((code, err.as_str()), (0, "Nothing had to change\n"));
    assert_eq!(org.run(&["record", "delete", "Lead", id]).0, 0);
    assert_eq!(org.run(&["record", "get", "Lead", id]).0, 4);
}

#[test]
fn objects_are_extended_from_files() {
    let org = Org::start();
    let file = org.file("lead.toml", "extends = \"Lead\"\n[fields.Region__c]\ntype = \"text\"\nlength = 5\n");
    assert_eq!(org.run(&["object", "apply", &file]).0, 0);
    let (_, shown, _) = org.run(&["object", "show", "Lead"]);
    assert!(shown.contains("Region__c"), "{shown}");
    let bad = org.file("bad.toml", "extends = \"Lead\"\n[fields.Region__c]\ntyp = \"text\"\n");
    let (code, _, err) = org.run(&["object", "apply", &bad]);
    assert_eq!(code, 3);
    assert!(err.contains("bad.toml: ") && err.contains("line 3"), "{err}");
}

#[test]
fn what_has_a_key_is_done_once_also_across_a_kill() {
    let mut org = Org::start();
    let create = ["record", "create", "Lead", "LastName=Ng", "Company=Initech", "--idempotency-key", "c1"];
    let rows: String =
        (0..450).map(|n| format!("Name{n},{}\n", if n == 300 { "" } else { "Initech" })).collect();
    let file = org.file("leads.csv", format!("LastName,Company\n{rows}"));
    let import = ["record", "import", "Lead", &file, "--idempotency-key", "i1", "--json"];
    let first = org.json(&create);
    let imported = org.run(&import);
    assert_eq!(imported.0, 3, "{}", imported.2);
    org.kill();
    org.serve();
    assert_eq!(org.json(&create), first);
    assert_eq!(org.run(&import), imported);
    assert_eq!(org.json(&["status"])["records"]["Lead"], 450);
    // Without its key, an import is another one.
    assert_eq!(org.run(&["record", "import", "Lead", &file]).0, 3);
    assert_eq!(org.json(&["status"])["records"]["Lead"], 899);
    let (code, _, err) =
        org.run(&["record", "create", "Lead", "LastName=Li", "Company=Initech", "--idempotency-key", "c1"]);
    assert_eq!(code, 3);
    assert!(err.contains("was used for another request"), "{err}");
}
