//! The log with and without a daemon, and moved to another machine.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::daemon::Org;

#[test]
fn the_log_is_the_same_with_and_without_a_daemon() {
    let mut org = Org::start();
    let id = org.json(&["record", "create", "Lead", "LastName=Ng", "Company=Initech"])["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let (all, one) = (["log", "show", "--limit", "1000"], ["log", "show", "--record", &id]);
    let online = [org.json(&all), org.json(&one), org.json(&["log", "verify"])];
    assert_eq!(online[1]["events"].as_array().unwrap().len(), 1);
    assert_eq!(online[2]["ok"], true);
    assert_eq!(org.stop(), Some(0));
    let offline = [org.json(&all), org.json(&one), org.json(&["log", "verify"])];
    assert_eq!(online, offline);
    assert_eq!(org.run(&["status"]).0, 7);
}

#[test]
fn an_exported_log_is_served_elsewhere_as_a_new_life() {
    let mut org = Org::start();
    org.json(&["record", "create", "Lead", "LastName=Ng", "Company=Initech"]);
    let before = org.json(&["status", "--hash"]);
    assert_eq!(org.stop(), Some(0));
    let export = org.data().with_file_name("acme.log").display().to_string();
    assert_eq!(org.run(&["log", "export", &export]).0, 0);
    assert_eq!(org.run(&["log", "export", &export]).0, 5, "an export is never overwritten");
    assert_eq!(org.run(&["log", "import", &export]).0, 5, "a log is never overwritten");

    std::fs::remove_dir_all(org.data().join("log")).unwrap();
    let cut = std::fs::read(&export).unwrap();
    let damaged = org.file("damaged.log", &cut[..cut.len() - 1]);
    assert_eq!(org.run(&["log", "import", &damaged]).0, 3);
    let imported = org.json(&["log", "import", &export]);
    assert_eq!(imported["hash"], before["log"]["hash"]);
    org.serve();
    let after = org.json(&["status"]);
    assert_ne!(after["incarnation"], before["incarnation"]);
    assert_eq!(after["records"]["Lead"], 1);
    assert_eq!(org.json(&["log", "verify"])["ok"], true);
    // The next start is an ordinary one.
    assert_eq!(org.stop(), Some(0));
    org.serve();
    assert_eq!(org.json(&["status"])["incarnation"], after["incarnation"]);
}

#[test]
fn an_export_is_the_same_with_and_without_a_daemon() {
    let mut org = Org::start();
    for _ in 0..20 {
        org.json(&["record", "create", "Lead", "LastName=Ng", "Company=Initech"]);
    }
    let file = |name: &str| org.data().with_file_name(name).display().to_string();
    let (online, offline) = (file("online.log"), file("offline.log"));
    assert_eq!(org.run(&["log", "export", &online]).0, 0);
    assert_eq!(org.run(&["log", "export", &online]).0, 5, "an export is never overwritten");
    let piped = org.command(&["log", "export", "-"]).output().unwrap();
    assert_eq!(org.stop(), Some(0));
    assert_eq!(org.run(&["log", "export", &offline]).0, 0);
    let exported = std::fs::read(&online).unwrap();
    assert!(exported == std::fs::read(&offline).unwrap() && exported == piped.stdout);
}

#[test]
fn an_org_is_restored_from_a_backup_that_was_taken_while_it_worked() {
    use std::os::unix::fs::PermissionsExt;
    let mut org = Org::start();
    let id = org.json(&["record", "create", "Lead", "LastName=Ng", "Company=Initech"])["id"].clone();
    let before = org.json(&["status", "--hash"]);
    let dir = |name: &str| org.data().with_file_name(name);
    let (bare, whole, again) = (dir("bare"), dir("whole"), dir("again"));
    let shown = |path: &std::path::Path| path.display().to_string();
    let taken = org.json(&["backup", &shown(&bare)]);
    assert_eq!(taken["hash"], before["log"]["hash"]);
    assert_eq!(org.json(&["backup", &shown(&whole), "--with-keys"])["keys"], true);
    assert_eq!(org.run(&["backup", &shown(&whole)]).0, 5, "a backup is never overwritten");
    assert!(!bare.join("keys").exists() && !bare.join("admin.token").exists());
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        [mode(&whole), mode(&whole.join("org.log")), mode(&whole.join("admin.token"))],
        [0o700, 0o600, 0o600]
    );

    // Without the keys nothing is made; with them, wherever they are, the org is.
    let restore = |from: &str, more: &[&str]| {
        let mut command = crate::daemon::tieline();
        command.args(["restore", from, "--data"]).arg(&again).args(more);
        command.output().unwrap().status.code().unwrap()
    };
    assert_eq!(restore(&shown(&bare), &[]), 4);
    assert!(!again.exists());
    assert_eq!(restore(&shown(&bare), &["--keys", &shown(&org.data().join("keys"))]), 0);
    std::fs::remove_dir_all(&again).unwrap();
    assert_eq!(restore(&shown(&whole), &[]), 0);
    assert_eq!(restore(&shown(&whole), &[]), 5, "an org is never overwritten");

    assert_eq!(org.stop(), Some(0));
    std::fs::remove_dir_all(org.data()).unwrap();
    std::fs::rename(&again, org.data()).unwrap();
    // The configuration names the directory that it was restored to.
    let config = org.data().join("tieline.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    assert!(text.contains(&shown(&again)), "{text}");
    std::fs::write(&config, text.replace(&shown(&again), &shown(&org.data()))).unwrap();
    org.serve();
    let after = org.json(&["status"]);
    assert_ne!(after["incarnation"], before["incarnation"]);
    assert_eq!(org.json(&["record", "get", "Lead", id.as_str().unwrap()])["fields"]["LastName"], "Ng");
}

#[test]
fn the_log_is_followed() {
    let org = Org::start();
    let mut tail =
        org.command(&["log", "tail", "--from", "1", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines().map(Result::unwrap);
    let event = |line: String| serde_json::from_str::<serde_json::Value>(&line).unwrap();
    assert_eq!(event(lines.next().unwrap())["name"], "OrgCreated");
    org.json(&["record", "create", "Lead", "LastName=Ng", "Company=Initech"]);
    let created = lines.map(event).find(|event| event["name"] == "RecordChanged").unwrap();
    assert_eq!(created["body"]["content"]["values"]["LastName"], "Ng");
    tail.kill().unwrap();
    tail.wait().unwrap();
}

#[test]
fn an_org_is_private_and_its_configuration_is_checked() {
    use std::os::unix::fs::PermissionsExt;
    let org = Org::start();
    let mode = |name: &str| std::fs::metadata(org.data().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!([mode(""), mode("admin.token"), mode("keys")], [0o700, 0o600, 0o700]);
    let (code, out, err) = org.run(&["config", "check"]);
    assert_eq!(code, 0, "{err}");
    assert!(
        out.contains("# Where the HTTP API listens") && out.contains(&org.data().display().to_string()),
        "{out}"
    );
    let file = org.data().join("tieline.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("[http]", "[htpp]")).unwrap();
    let (code, _, err) = org.run(&["status"]);
    assert_eq!(code, 2);
    assert!(err.contains("htpp"), "{err}");
}
