//! Each kind of failure has its exit code, its sentence, and nothing on standard output.

use std::io::Read;
use std::process::Stdio;

use crate::daemon::{Org, run, tieline};

#[test]
fn without_an_org() {
    for (arguments, code, part) in [
        (&["frobnicate"][..], 2, "unrecognized subcommand 'frobnicate'"),
        (&["status"], 2, "Hint: Name its data directory with --data or TIELINE_DATA"),
        (&["status", "--data", "/nowhere"], 2, "/nowhere is not the data directory of an org"),
        (&["status", "--api", "http://127.0.0.1:1"], 7, "The daemon at http://127.0.0.1:1 does not answer"),
        (
            &["status", "--api", "https://127.0.0.1:1", "--ca-file", "/nowhere"],
            2,
            "/nowhere cannot be read as certificates",
        ),
        (
            &["status", "--api", "http://127.0.0.1:1", "--token-file", "/nowhere"],
            2,
            "The token in /nowhere cannot be read",
        ),
        (&["config", "check", "--file", "/nowhere"], 2, "/nowhere cannot be read"),
        (
            &["broker", "config", "--org-keys", "/nowhere", "--listen", "a:1", "--store-dir", "s"],
            3,
            "/nowhere is missing",
        ),
        (&["connection", "deactivate", "globex", "--api", "http://127.0.0.1:1"], 2, "Hint: Pass --yes"),
    ] {
        let (found, out, err) = run(arguments);
        assert_eq!((found, out.as_str()), (code, ""), "{arguments:?}: {err}");
        assert!(err.contains(part), "{arguments:?}: {err}");
    }
}

#[test]
fn with_an_org() {
    let org = Org::start();
    let nobody = "00000000000000000000000000";
    for (arguments, code, part) in [
        (&["status"][..], 0, ""),
        (&["record", "create", "Lead", "LastName=Ng"], 3, "Company of Lead is required"),
        (&["record", "create", "Lead", "Lastnam=Ng"], 3, "did you mean LastName?"),
        (&["record", "create", "Led", "LastName=Ng"], 4, "there is no object"),
        (&["record", "get", "Lead", nobody], 4, "there is no record"),
        (&["connection", "show", "globex"], 4, "there is no connection \"globex\""),
        (&["connection", "inspect", "tieline://x"], 3, "incomplete"),
        (&["init", "--org", "acme"], 5, "is there already and not empty"),
        (&["serve"], 5, "open already"),
        (&["log", "import", "/dev/null"], 5, "There is a log in"),
        (&["status", "--token-file", "/dev/null"], 2, "does not hold a token"),
    ] {
        let (found, _, err) = org.run(arguments);
        assert_eq!(found, code, "{arguments:?}: {err}");
        assert!(err.contains(part), "{arguments:?}: {err}");
    }
    let wrong = org.file("wrong.token", "tl_wrong\n");
    let (code, _, err) = org.run(&["status", "--token-file", &wrong]);
    assert_eq!(code, 6, "{err}");
    assert!(err.contains("Hint: Pass a token of this org"), "{err}");
    // Somebody who works with records, and is no administrator.
    assert_eq!(org.run(&["token", "create", "eve"]).0, 4, "there is no eve yet");
    assert_eq!(org.run(&["user", "add", "eve"]).0, 0);
    let (code, token, _) = org.run(&["token", "create", "eve"]);
    assert_eq!(code, 0);
    let eve = org.file("eve.token", token);
    let (code, _, err) = org.run(&["token", "create", "mallory", "--token-file", &eve]);
    assert_eq!(code, 6, "{err}");
    assert!(err.contains("eve needs Modify All Data"), "{err}");
    let (code, _, err) = org.run(&["log", "export", "-", "--token-file", &eve]);
    assert_eq!(code, 6, "{err}");
}

#[test]
fn machines_get_json_and_the_same_exit_code() {
    let org = Org::start();
    let (code, out, err) = org.run(&["record", "create", "Lead", "LastName=Ng", "--json"]);
    assert_eq!((code, out.as_str()), (3, ""));
    let error: serde_json::Value = serde_json::from_str(&err).unwrap();
    assert_eq!(error["error"]["kind"], "refused");
    assert_eq!(error["error"]["code"], "record_refused");
    assert_eq!(error["error"]["reasons"][0]["code"], "required_missing");
    let status = org.json(&["status"]);
    assert_eq!(status["org"], "acme");
}

#[test]
fn a_closed_pipe_ends_a_command_quietly() {
    let mut child = tieline()
        .args(["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Closed before anything is read: the script is larger than any pipe holds.
    drop(child.stdout.take());
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""));
}
