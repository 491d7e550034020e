//! The shape of the project: arrows between crates, what the core may depend on, the form of files.

// A test ends where something is not as it has to be.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Most lines of one file: beyond that it is split by verb.
const LINES_MAX: usize = 600;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// The crates that `package` is built from, directly or not.
fn tree(package: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--locked",
            "--offline",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--format",
            "{p}",
            "-p",
            package,
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split_whitespace().next()).map(ToOwned::to_owned).collect()
}

#[test]
fn the_core_depends_on_nothing_that_does_io() {
    let tree = tree("tieline-core");
    assert!(tree.contains("serde"), "the tree was read");
    for banned in [
        "tokio",
        "mio",
        "sled",
        "async-nats",
        "axum",
        "hyper",
        "ureq",
        "rand",
        "getrandom",
        "tempfile",
        "rustix",
        "chrono",
        "tracing",
        "log",
        "metrics",
        "config",
    ] {
        assert!(!tree.contains(banned), "tieline-core may do no I/O, but depends on {banned}");
    }
}

#[test]
fn arrows_between_crates_go_one_way() {
    for (package, may) in [
        ("tieline-core", &[][..]),
        ("tieline-store", &["tieline-core"]),
        ("tieline-bus", &["tieline-core"]),
        ("tieline-daemon", &["tieline-core", "tieline-store", "tieline-bus"]),
        ("tieline", &["tieline-core", "tieline-store", "tieline-bus", "tieline-daemon"]),
    ] {
        let tree = tree(package);
        let ours = tree.iter().filter(|name| name.starts_with("tieline") && *name != package);
        for name in ours {
            assert!(may.contains(&name.as_str()), "{package} may not depend on {name}");
        }
    }
    assert!(!tree("tieline-store").contains("async-nats"), "the log knows no broker");
    assert!(!tree("tieline-bus").contains("sled"), "the bus knows no log");
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_file_has_a_front_page_and_fits_one_head() {
    let mut files = Vec::new();
    sources(&root().join("crates"), &mut files);
    sources(&root().join("tests"), &mut files);
    assert!(files.len() > 100, "the sources were found");
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//!"), "{} says nothing of what it is for", file.display());
        let lines = text.lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines: split it by verb", file.display());
    }
}

#[test]
fn every_code_has_its_line_in_the_documentation() {
    let page = fs::read_to_string(root().join("docs/errors.md")).unwrap();
    for code in tieline_daemon::api::ErrorCode::ALL {
        let row = format!("| `{}` | {} | {} |", code.as_str(), code.status(), code.title());
        assert!(page.contains(&row), "docs/errors.md lacks {row}");
    }
    for code in tieline_core::reason::ReasonCode::ALL {
        assert!(page.contains(&format!("| `{code}` |")), "docs/errors.md lacks {code}");
    }
}

/// The rows of the reference, S2S-01 to S2S-75 with its gaps, and those of the daemon.
fn capabilities() -> BTreeSet<String> {
    let numbers = (1..=18).chain(20..=31).chain(40..=61).chain(70..=75);
    let daemon = (1..=21).map(|number| format!("OPS-{number:02}"));
    numbers.map(|number| format!("S2S-{number:02}")).chain(daemon).collect()
}

#[test]
fn every_capability_has_its_row_with_a_command_and_a_test_that_are_there() {
    let page = fs::read_to_string(root().join("docs/capabilities.md")).unwrap();
    let help = fs::read_to_string(root().join("crates/tieline/tests/help.txt")).unwrap();
    let mut files = Vec::new();
    for dir in ["crates", "tests"] {
        sources(&root().join(dir), &mut files);
    }
    let code: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let mut rows = BTreeSet::new();
    for line in page.lines().filter(|line| line.starts_with("| S2S-") || line.starts_with("| OPS-")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, id, _, state, command, test, missing, _] = cells.as_slice() else {
            panic!("a row has six cells: {line}");
        };
        assert!(rows.insert((*id).to_owned()), "{id} stands twice");
        match *state {
            "not yet" => assert_eq!((*command, *test, *missing), ("", "", ""), "{id}"),
            "whole" | "part" => {
                assert_eq!(*state == "whole", missing.is_empty(), "{id} says what is missing, if it is");
                let words = command.trim_matches('`').split(" --").next().unwrap();
                let of = help.split_once(&format!("$ {words} --help\n")).map(|(_, rest)| rest);
                let of = of.unwrap_or_else(|| panic!("{id}: there is no `{words}`"));
                let of = of.split("\n$ tieline ").next().unwrap();
                for option in command.split_whitespace().filter(|word| word.starts_with("--")) {
                    assert!(of.contains(option.trim_end_matches('`')), "{id}: `{words}` has no {option}");
                }
                let test = test.trim_matches('`');
                assert!(code.contains(&format!("fn {test}(")), "{id}: there is no test {test}");
            }
            other => panic!("{id} is {other:?}: whole, part or not yet"),
        }
    }
    assert_eq!(rows, capabilities());
}

#[test]
fn every_fault_has_its_row_with_a_test_that_is_there() {
    let page = fs::read_to_string(root().join("docs/reliability.md")).unwrap();
    let mut files = Vec::new();
    for dir in ["crates", "tests"] {
        sources(&root().join(dir), &mut files);
    }
    let code: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let mut cases = Vec::new();
    for line in page.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, number, _, fault, how, tests, command, state, _] = cells.as_slice() else { continue };
        let Ok(number) = number.parse::<u32>() else { continue };
        cases.push(number);
        assert!(!fault.is_empty(), "case {number} is not told");
        let (tests, command) = (tests.replace('`', ""), command.trim_matches('`'));
        for test in tests.split_whitespace() {
            let there = code.contains(&format!("fn {test}(")) || code.contains(&format!("fn {test}<"));
            assert!(there, "case {number}: there is no test {test}");
        }
        match state.split(':').next().unwrap() {
            "holds" => assert!(!tests.is_empty() && !how.is_empty(), "case {number} holds without a test"),
            "fails" | "not tried" => assert!(state.contains(": "), "case {number} says why"),
            other => panic!("case {number} is {other:?}: holds, fails or not tried"),
        }
        if let Some(target) = command.strip_prefix("make ") {
            let target = target.split_whitespace().next().unwrap();
            assert!(makefile.contains(&format!("\n{target}:")), "case {number}: make {target} is no task");
        } else if let Some((_, test)) = command.split_once("--test ") {
            let dir =
                if command.contains("-p tieline-core") { "crates/tieline-core/tests" } else { "tests/tests" };
            let (file, folder) = (format!("{dir}/{test}.rs"), format!("{dir}/{test}/main.rs"));
            let there = root().join(file).exists() || root().join(folder).exists();
            assert!(there, "case {number}: there is no test binary {test}");
        }
    }
    assert_eq!(cases, (1..=42).collect::<Vec<_>>(), "each case of the matrix once, in order");
}
