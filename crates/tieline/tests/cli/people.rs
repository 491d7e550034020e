//! Users, roles, tokens and the org, as people work with them on the command line.

use crate::daemon::{Org, run};

#[test]
fn a_seller_works_with_leads_and_nothing_else() {
    let org = Org::start();
    let ok = |arguments: &[&str]| {
        let (code, out, err) = org.run(arguments);
        assert_eq!(code, 0, "{arguments:?}: {err}");
        out
    };
    ok(&["role", "set", "sales", "--object", "Lead=read,create,edit", "--read-only", "Lead.Status"]);
    ok(&["user", "add", "bob", "--email", "bob@example.org", "--role", "sales"]);
    ok(&["group", "set", "emea", "--user", "ann", "--role", "sales"]);
    let bob = org.file("bob.token", ok(&["token", "create", "bob", "--label", "laptop", "--expires", "90d"]));
    let as_bob = |arguments: &[&str]| org.run(&[arguments, &["--token-file", &bob]].concat());

    assert_eq!(as_bob(&["record", "create", "Lead", "LastName=Ng", "Company=Initech"]).0, 0);
    for (arguments, part) in [
        (&["connection", "list"][..], "`tieline role set sales --manage-connections true`"),
        (&["record", "list", "Account"], "bob needs read on Account"),
        (
            &["record", "create", "Lead", "LastName=Ng", "Company=Initech", "Status=Closed - Converted"],
            "bob needs edit on Lead.Status",
        ),
        (&["user", "list"], "bob needs Modify All Data"),
    ] {
        let (code, _, err) = as_bob(arguments);
        assert_eq!(code, 6, "{arguments:?}: {err}");
        assert!(err.contains(part), "{arguments:?}: {err}");
    }

    // What is granted is there at once, and what the role had stays.
    ok(&["role", "set", "sales", "--manage-connections", "true", "--writable", "Lead.Status"]);
    assert_eq!(as_bob(&["connection", "list"]).0, 0);
    let role = org.json(&["role", "show", "sales"]);
    assert_eq!((&role["role"]["objects"]["Lead"]["create"], &role["users"]), (&true.into(), &1.into()));
    assert_eq!(role["role"]["objects"]["Lead"]["read_only"], serde_json::json!([]));
    let listed = ok(&["user", "list"]);
    assert!(listed.contains("bob@example.org") && listed.contains("emea"), "{listed}");

    let tokens = org.json(&["token", "list", "bob"]);
    let token = tokens["tokens"][0]["token"].as_str().unwrap();
    ok(&["token", "revoke", "bob", token]);
    let (code, _, err) = as_bob(&["status"]);
    assert_eq!(code, 6, "{err}");
    assert!(err.contains("was revoked at"), "{err}");
}

#[test]
fn the_org_shows_and_changes_its_licences() {
    let org = Org::start();
    let shown = org.run(&["org", "show"]).1;
    assert!(shown.contains("enterprise") && shown.contains("0 of 2 in use"), "{shown}");
    for _ in 0..2 {
        assert_eq!(org.run(&["connection", "invite"]).0, 0);
    }
    let (code, _, err) = org.run(&["connection", "invite"]);
    assert_eq!(code, 5, "{err}");
    assert!(err.contains("2 of 2 connection licences"), "{err}");
    assert_eq!(org.run(&["org", "set", "--connection-licences", "3"]).0, 0);
    assert_eq!(org.run(&["connection", "invite"]).0, 0);
    let (_, _, told) = org.run(&["connection", "list"]);
    assert!(told.contains("3 of 3 in use"), "{told}");
    let (code, _, err) = org.run(&["org", "enable"]);
    assert_eq!(code, 2, "nobody is at a terminal: {err}");
    assert_eq!(org.run(&["org", "enable", "--yes"]).0, 0, "it is enabled already");
}

#[test]
fn an_org_is_made_as_it_was_bought() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data").display().to_string();
    let (code, _, err) = run(&["init", "--org", "acme", "--data", &data, "--edition", "personal"]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("--without-sharing"), "{err}");
    let (code, _, err) =
        run(&["init", "--org", "acme", "--data", &data, "--edition", "personal", "--without-sharing"]);
    assert_eq!(code, 0, "what was refused is not in the way: {err}");
}
