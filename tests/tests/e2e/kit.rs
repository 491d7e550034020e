//! Two orgs as processes on one broker: the kit that all tests of processes share.

use std::process::Command;

use serde_json::Value as Json;
use tieline_tests::process::{OrgProcess, binary};

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
