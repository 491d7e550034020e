//! The pages of the documentation as readers run them: every command of a block that is marked `run` is
//! run on two real daemons with a real broker, in order, after those of `docs/first-steps.md`.

// A test ends where something is not as it has to be.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use tieline_tests::nats::{self, Edition};
use tieline_tests::{pages, process};

/// The page that makes two orgs, connects them and shares a lead; all others go on from it.
const FIRST: &str = "first-steps.md";

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

/// Runs the first steps, and then a page.
fn holds(page: &str) {
    let mut all = vec![(FIRST, fs::read_to_string(docs().join(FIRST)).unwrap())];
    if page != FIRST {
        all.push((page, fs::read_to_string(docs().join(page)).unwrap()));
    }
    let home = tempfile::tempdir().unwrap();
    let (tieline, broker) = (process::binary(), nats::binary(Edition::Pinned).unwrap().unwrap());
    let binaries = [tieline.parent().unwrap(), broker.parent().unwrap()];
    let said = pages::run(&all, home.path(), &binaries).unwrap();
    assert!(
        said.status.success(),
        "docs/{page} does not hold\n{}\n{}",
        String::from_utf8_lossy(&said.stdout),
        String::from_utf8_lossy(&said.stderr)
    );
}

macro_rules! pages {
    ($($name:ident $page:literal)*) => {
        $(#[test]
        fn $name() {
            holds($page);
        })*

        const PAGES: &[&str] = &[$($page),*];
    };
}

pages! {
    first_steps "first-steps.md"
    automation "automation.md"
    files "files.md"
    history "history.md"
    invitations "invitations.md"
    moving_in "moving-in.md"
    objects "objects.md"
    outside "outside.md"
    people "people.md"
    publish_and_subscribe "publish-and-subscribe.md"
    runbooks "runbooks.md"
    sharing "sharing.md"
    trying "trying.md"
}

/// A page with commands that nobody runs would only be believed.
#[test]
fn every_page_with_commands_is_run() {
    for entry in fs::read_dir(docs()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let text = fs::read_to_string(docs().join(&name)).unwrap();
        let marked = text.lines().any(|line| line.trim() == "```sh run");
        assert_eq!(marked, PAGES.contains(&name.as_str()), "docs/{name}: run it in tests/docs.rs");
    }
}

#[test]
fn a_script_is_the_page_line_for_line() {
    let page = "Text.\n```sh run\n# acme\ntieline status # exit code 7: nobody serves\n```\n```toml\n# a.toml\nb = 1\n```\n```sh\nrm x\n```\n";
    let script = pages::script(page);
    let lines: Vec<&str> = script.lines().collect();
    assert_eq!(lines.len(), page.lines().count());
    assert_eq!(lines[2], "export TIELINE_DATA=\"$PWD/acme\"");
    assert_eq!(lines[3], "code=0; tieline status  || code=$?; ended 7 $code");
    assert!(lines[6].contains("cat >a.toml"), "{}", lines[6]);
    assert_eq!((lines[7], lines[8]), ("b = 1", "END OF FILE"));
    assert!(!script.contains("rm x"), "only what is marked is run");
}
