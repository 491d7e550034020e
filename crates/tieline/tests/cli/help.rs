//! The help of every command, as it is checked in.

use std::path::Path;

use crate::daemon::{read, run};

/// Every command, found by walking the help itself: what is added is in the file or the test fails.
fn commands(path: &[String], out: &mut Vec<Vec<String>>) {
    out.push(path.to_vec());
    let arguments: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
    let (_, help, _) = run(&arguments);
    let listed =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    for line in listed {
        let Some(name) = line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')) else { continue };
        let name = name.split_whitespace().next().unwrap().to_owned();
        commands(&[path, &[name]].concat(), out);
    }
}

#[test]
fn help_is_as_it_is_checked_in() {
    let mut all = Vec::new();
    commands(&[], &mut all);
    assert!(all.len() > 60, "only {} commands were found: did the form of the help change?", all.len());
    let mut text = String::new();
    for path in &all {
        let arguments: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
        let (code, help, err) = run(&arguments);
        assert_eq!((code, err.as_str()), (0, ""), "{arguments:?}");
        text.push_str(&format!("$ tieline {}\n{help}\n", arguments.join(" ")));
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help.txt");
    if std::env::var_os("TIELINE_WRITE_HELP").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    let checked_in = read(&file);
    let differs = text.lines().zip(checked_in.lines()).find(|(now, then)| now != then);
    assert!(
        text == checked_in,
        "the help has changed, first at {differs:?}: look at it and write it with TIELINE_WRITE_HELP=1"
    );
}

#[test]
fn the_first_screen_names_the_nouns_and_the_exit_codes() {
    let (code, help, _) = run(&["--help"]);
    assert_eq!(code, 0);
    for part in ["connection", "record", "TIELINE_DATA", "Exit codes:", "7  the daemon cannot be reached"] {
        assert!(help.contains(part), "{part}: {help}");
    }
}

#[test]
fn completions_know_the_nouns() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, script, _) = run(&["completions", shell]);
        assert_eq!(code, 0, "{shell}");
        assert!(script.contains("subscribe"), "{shell}");
    }
}

#[test]
fn every_command_has_its_manual_page() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("man1");
    let (code, _, err) = run(&["man", &dir.display().to_string()]);
    assert_eq!(code, 0, "{err}");
    let page = |name: &str| read(&dir.join(name));
    assert!(page("tieline.1").contains("Exit codes"), "the first page says how commands end");
    assert!(page("tieline-connection-invite.1").contains("template"));
    assert!(std::fs::read_dir(&dir).unwrap().count() > 60);
}
