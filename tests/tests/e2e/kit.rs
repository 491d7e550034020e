//! Two orgs as processes on one broker: the kit that all tests of processes share.

use std::process::Command;

use serde_json::{Value as Json, json};
use tieline_tests::process::{Api, OrgProcess, binary};

pub(crate) use tieline_tests::pair::*;

/// Runs a command line for an org; what it printed.
pub(crate) fn tieline(org: &OrgProcess, line: &[&str]) -> String {
    let output = Command::new(binary())
        .args(line)
        .env("TIELINE_API", org.api.url())
        .env("TIELINE_TOKEN", "tl_test")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// The same, and what it printed as JSON.
pub(crate) fn tieline_json(org: &OrgProcess, line: &[&str]) -> Json {
    serde_json::from_str(&tieline(org, &[line, &["--json"]].concat())).unwrap()
}

/// Defines an object by the text of its file.
pub(crate) fn apply_object(org: &OrgProcess, text: &str) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("object.toml");
    std::fs::write(&file, text).unwrap();
    tieline(org, &["object", "apply", file.to_str().unwrap()]);
}

/// Creates a record of an object.
pub(crate) fn record(org: &OrgProcess, object: &str, fields: &Json) -> String {
    id_of(&org.api.must("POST", &format!("/v1/records/{object}"), &json!({ "fields": fields })))
}

/// One org publishes all of an object to the other, which takes all of it, and more as `options` say.
pub(crate) fn publish_all(from: &OrgProcess, to: &OrgProcess, object: &str, options: &[&str]) {
    let (sender, receiver) = (from.home.name.as_str(), to.home.name.as_str());
    tieline(from, &["publish", "set", receiver, object, "--all"]);
    to.api.until("a catalogue", &format!("/v1/connections/{sender}"), |seen| {
        list(&seen["catalogue"]).any(|published| published["object"] == object).then_some(())
    });
    tieline(to, &[&["subscribe", "set", sender, object, "--all"], options].concat());
    from.api.until("the subscription", &format!("/v1/connections/{receiver}"), |seen| {
        list(&seen["taken"]).any(|taken| taken["object"] == object).then_some(())
    });
}

/// A user with this role, as the API knows him.
pub(crate) fn person(admin: &Api, name: &str, role: &Json) -> Api {
    admin.must("PUT", &format!("/v1/roles/{name}"), role);
    admin.must("POST", "/v1/users", &json!({ "user": name, "role": name }));
    let issued = admin.must("POST", &format!("/v1/users/{name}/tokens"), &json!({}));
    admin.with_token(issued["token"].as_str().unwrap())
}
