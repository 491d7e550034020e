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
