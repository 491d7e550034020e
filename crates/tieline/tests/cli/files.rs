//! Settings as files, sandboxes and newcomers, as people work with them on the command line.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use crate::daemon::{Org, read, run, tieline};

/// A daemon of a data directory, killed when dropped.
struct Served(Child);

impl Served {
    fn start(data: &str) -> Self {
        let mut daemon = tieline().args(["serve", "--data", data]).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(daemon.stderr.take().unwrap()).lines().map(Result::unwrap);
        let told: Vec<String> = lines.by_ref().take_while(|line| !line.contains("serving")).collect();
        assert!(daemon.try_wait().unwrap().is_none(), "the daemon did not start: {told:#?}");
        std::thread::spawn(move || lines.for_each(drop));
        Self(daemon)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn settings_are_exported_changed_planned_and_applied() {
    let org = Org::start();
    let dir = org.data().with_file_name("crm").display().to_string();
    let (code, _, err) = org.run(&["export", "config", &dir]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(org.run(&["export", "config", &dir]).0, 5, "what is there is not written over");
    assert_eq!(org.run(&["export", "config", &dir, "--replace"]).0, 0);
    assert_eq!(org.run(&["plan", &dir]).0, 0, "what is exported is what is");

    let lead = Path::new(&dir).join("objects/Lead.toml");
    let text = read(&lead);
    let (before, after) = text.split_once("[fields.Company]").unwrap();
    let after = after.replacen("length = 255", "length = 40", 1);
    std::fs::write(&lead, format!("{before}[fields.Company]{after}")).unwrap();
    let more = org.file("more.toml", "[groups.emea]\nusers = [\"ann\"]\n");
    let (code, out, err) = org.run(&["plan", &dir, &more]);
    assert_eq!((code, err.as_str()), (8, ""));
    for part in
        ["~ objects.Lead", "fields.Company.length: 255 → 40", "+ groups.emea", "1 to create, 1 to change"]
    {
        assert!(out.contains(part), "{part}: {out}");
    }
    assert_eq!(org.run(&["apply", &dir, &more]).0, 0);
    assert_eq!(org.run(&["plan", &dir, &more]).0, 0);
    let (_, _, err) = org.run(&["apply", &dir, &more]);
    assert!(err.contains("Nothing had to change"), "{err}");

    let none = org.file("none.toml", "[groups]\n");
    assert_eq!(org.run(&["apply", &none, "--prune"]).0, 2, "nobody is there to be asked");
    assert_eq!(org.run(&["apply", &none, "--prune", "--yes"]).0, 0);
    assert_eq!(org.json(&["group", "list"])["groups"], serde_json::json!([]));

    let wrong = org.file("wrong.toml", "[groups.emea]\nuser = [\"ann\"]\n");
    let (code, _, err) = org.run(&["apply", &wrong]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("wrong.toml:2:1: groups.emea: "), "{err}");
    assert_eq!(org.run(&["check"]).0, 0);
}

#[test]
fn what_files_manage_is_removed_with_a_flag_and_the_past_is_exported() {
    let org = Org::start();
    let seq = org.json(&["status"])["seq"].to_string();
    let two =
        "manages = [\"users\"]\n[users.ann]\nrole = \"administrator\"\n[users.bob]\nrole = \"standard\"\n";
    let file = org.file("people.toml", two);
    assert_eq!(org.run(&["apply", &file]).0, 0);
    let one = org.file("people.toml", two.split("[users.bob]").next().unwrap());
    let (code, out, _) = org.run(&["plan", &one]);
    assert_eq!(code, 8);
    assert!(out.contains("- users.bob") && out.contains("1 to remove"), "{out}");
    let (code, _, err) = org.run(&["apply", &one, "--yes"]);
    assert!(code != 0 && err.contains("--prune"), "{err}");
    assert_eq!(org.run(&["apply", &one, "--prune", "--yes"]).0, 0);
    let (_, then, _) = org.run(&["export", "config", "--at", &seq]);
    assert!(then.contains("[users.ann]") && !then.contains("Globex"), "{then}");
    assert_eq!(org.run(&["user", "add", "eve"]).0, 0);
    assert_eq!(org.run(&["user", "remove", "eve"]).0, 0);
    assert_eq!(org.run(&["object", "remove", "Nothing__c"]).0, 4);
}

#[test]
fn a_secret_for_webhooks_is_printed_once() {
    let org = Org::start();
    let (code, out, err) = org.run(&["webhook-secret", "create", "hooks"]);
    assert_eq!(code, 0, "{err}");
    let secret = out.trim();
    assert!(secret.starts_with("tlw_") && err.contains("not shown again"), "{out}{err}");
    let (_, rotated, _) = org.run(&["webhook-secret", "rotate", "hooks"]);
    assert_ne!(rotated.trim(), secret);
    let (_, list, _) = org.run(&["webhook-secret", "list"]);
    assert!(list.contains("hooks") && !list.contains(rotated.trim()), "{list}");
    assert_eq!(org.run(&["webhook-secret", "remove", "hooks"]).0, 0);
    assert_eq!(org.run(&["webhook-secret", "remove", "hooks"]).0, 4);
}

#[test]
fn a_sandbox_has_settings_and_records_of_its_parent_and_nothing_used() {
    let org = Org::start();
    let ok = |arguments: &[&str]| {
        let (code, out, err) = org.run(arguments);
        assert_eq!(code, 0, "{arguments:?}: {err}");
        out
    };
    let settings = org.file("s.toml", "[org]\nconnection_licences = 7\n[groups.emea]\nusers = [\"ann\"]\n");
    ok(&["apply", &settings]);
    ok(&["connection", "invite"]);
    let account = ok(&["record", "create", "Account", "Name=Initech", "--json"]);
    let account: serde_json::Value = serde_json::from_str(&account).unwrap();
    let account = account["id"].as_str().unwrap();
    for name in ["Ng", "Ruiz", "Okafor"] {
        ok(&["record", "create", "Contact", &format!("LastName={name}"), &format!("AccountId={account}")]);
    }
    let dir = org.data().with_file_name("sandbox").display().to_string();
    let made = org.json(&["sandbox", "create", &dir, "--records", "2"]);
    assert_eq!((&made["org"], &made["records"]), (&"acme-sandbox".into(), &3.into()), "{made}");
    let list = |arguments: &[&str]| -> serde_json::Value {
        let (code, out, err) = run(&[&["--data", &dir, "--json"], arguments].concat());
        assert_eq!(code, 0, "{arguments:?}: {err}");
        serde_json::from_str(&out).unwrap()
    };
    {
        let _daemon = Served::start(&dir);
        let shown = list(&["org", "show"]);
        assert_eq!(shown["connection_licences"], serde_json::json!({ "max": 7, "used": 0 }));
        let contacts = list(&["record", "list", "Contact"]);
        let accounts = list(&["record", "list", "Account"]);
        assert_eq!(contacts["records"].as_array().unwrap().len(), 2);
        assert_eq!(
            contacts["records"][0]["fields"]["AccountId"], accounts["records"][0]["id"],
            "links are its own"
        );
        assert_eq!(list(&["group", "list"])["groups"][0]["name"], "emea");
        let (code, _, err) = org.run(&["sandbox", "refresh", &dir, "--yes"]);
        assert_eq!(code, 5, "its daemon runs: {err}");
    }
    assert_eq!(org.json(&["org", "show"])["connection_licences"]["used"], 1, "the parent's are its own");
    let refreshed = org.json(&["sandbox", "refresh", &dir, "--records", "all", "--yes"]);
    assert_eq!(refreshed["records"], 4);
    let parent = org.data().display().to_string();
    assert_eq!(org.run(&["sandbox", "remove", &parent, "--yes"]).0, 4, "only a sandbox is removed");
    ok(&["sandbox", "remove", &dir, "--yes"]);
    assert!(!Path::new(&dir).exists());
}

#[test]
fn somebody_who_was_invited_and_has_no_org_begins_with_one() {
    let org = Org::start();
    let url = org.run(&["connection", "invite"]).1.trim().to_owned();
    let dir = org.data().with_file_name("initech").display().to_string();
    let start = |url: &str, more: &[&str]| {
        run(&[&["trial", "start", "--data", &dir, "--org", "initech", "--url", url][..], more].concat())
    };
    assert_eq!(start("tieline://nonsense", &[]).0, 3);
    let (code, out, err) = start(&url, &["--json"]);
    assert_eq!(code, 0, "{err}");
    let made: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&made["inviter"], &made["edition"], &made["answered"]),
        (&"acme".into(), &"trial".into(), &true.into())
    );
    assert!(Path::new(made["public_keys"].as_str().unwrap()).exists());
    // Its answer is in its log, and waits for the broker. The invitation is as it was.
    let config = read(&Path::new(&dir).join("tieline.toml"));
    std::fs::write(Path::new(&dir).join("tieline.toml"), config.replace("127.0.0.1:7400", "127.0.0.1:0"))
        .unwrap();
    let log = run(&["log", "show", "--data", &dir, "--json"]);
    assert!(log.1.contains("InvitationAnswered"), "{log:?}");
    assert_eq!(org.json(&["connection", "list"])["connections"][0]["status"], "pending");
    assert_eq!(start(&url, &[]).0, 5, "an org is never overwritten");
}
