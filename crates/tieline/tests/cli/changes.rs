//! Whoever follows the changes misses none and gets none twice, also when the daemon is killed.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value as Json;

use crate::daemon::Org;

/// Leads that each round makes.
const LEADS: usize = 5;

fn make(org: &Org, made: &mut BTreeSet<String>) {
    for _ in 0..LEADS {
        let (code, out, err) = org.run(&["record", "create", "Lead", "LastName=Ng", "Company=Initech"]);
        assert_eq!(code, 0, "{err}");
        made.insert(out.trim().to_owned());
    }
}

#[test]
fn a_follower_misses_nothing_and_gets_nothing_twice_when_the_daemon_is_killed() {
    let mut org = Org::start();
    let mut made = BTreeSet::new();
    make(&org, &mut made);
    let mut follower = org
        .command(&["changes", "follow", "--after", "0", "--object", "Lead", "--retry", "60", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let (mut told, mut last) = (BTreeSet::new(), 0);
    let mut take = |count: usize, told: &mut BTreeSet<String>| {
        for _ in 0..count {
            let change: Json = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
            let seq = change["seq"].as_u64().unwrap();
            assert!(seq > last, "{seq} after {last}");
            last = seq;
            assert_eq!((&change["action"], &change["object"]), (&"create".into(), &"Lead".into()));
            assert_eq!(change["fields"]["LastName"], "Ng");
            assert!(told.insert(change["record"].as_str().unwrap().to_owned()), "{change} came twice");
        }
    };
    take(LEADS, &mut told);
    for round in 0..3 {
        make(&org, &mut made);
        if round != 1 {
            // In one round the follower has not read what was made when the daemon is killed.
            take(LEADS, &mut told);
        }
        org.kill();
        org.serve();
        make(&org, &mut made);
        take(if round == 1 { 2 * LEADS } else { LEADS }, &mut told);
    }
    assert_eq!(told, made);
    follower.kill().unwrap();
    follower.wait().unwrap();

    // The same in pages, from any position.
    let (mut after, mut listed) = (0, BTreeSet::new());
    loop {
        let text = after.to_string();
        let page = org.json(&["changes", "list", "--after", &text, "--limit", "7"]);
        let changes = page["changes"].as_array().unwrap();
        assert!(changes.len() <= 7 && changes.iter().all(|change| change["seq"].as_u64() > Some(after)));
        listed.extend(changes.iter().map(|change| change["record"].as_str().unwrap().to_owned()));
        after = page["next"].as_u64().unwrap();
        if changes.is_empty() {
            assert_eq!(page["next"], page["head"]);
            break;
        }
    }
    assert_eq!(listed, made);
}
