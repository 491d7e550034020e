//! Versions against each other (OPS-09): what an older one has written and sent is taken by this one, from a record
//! that an older binary made; and, where one is at hand, both run together.
//!
//! `TIELINE_OLDER=path/of/a/binary` runs it against this one. With `TIELINE_RECORD=name` besides, it makes the record
//! `tests/recorded/name.tar.gz`: two data directories, and the broker's storage with frames that nobody has taken yet.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value as Json, json};
use tieline_tests::live::{OrgHome, copy_dir};
use tieline_tests::loaded::{Lives, standard_check};
use tieline_tests::process::OrgProcess;

use crate::kit::{Pair, broker_for, list, until_ready, until_value, update};

/// Changes that wait in the broker.
const LATE: usize = 20;

fn recorded() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("recorded")
}

/// The older binary; says loudly if there is none.
fn older() -> Option<PathBuf> {
    let older = std::env::var_os("TIELINE_OLDER").map(PathBuf::from);
    if older.is_none() {
        eprintln!("\n*** SKIPPED, nothing was tested: TIELINE_OLDER names no binary of another version");
    }
    older
}

/// A connected pair that shares leads both ways, whose daemons run these binaries.
fn pair_of(binaries: [&Path; 2]) -> Pair {
    let (mut a, mut b) = (OrgProcess::make("acme"), OrgProcess::make("globex"));
    (a.binary, b.binary) = (binaries[0].to_owned(), binaries[1].to_owned());
    Pair::of(a, b, |_| ())
}

fn tar(arguments: &[&std::ffi::OsStr]) {
    let ran = Command::new("tar").args(arguments).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn two_daemons_of_different_versions_keep_in_step() {
    let Some(older) = older() else { return };
    let present = tieline_tests::process::binary();
    for binaries in [[&*older, &*present], [&*present, &*older]] {
        let mut pair = pair_of(binaries);
        let leads: Vec<(String, String)> = (0..5).map(|n| pair.share_lead(&format!("Lead {n}"))).collect();
        let edit = |pair: &Pair, when: &str| {
            for (lead, copy) in &leads {
                update(&pair.a.api, lead, &json!({ "City": format!("{when} of a"), "Rating": "Hot" }));
                update(&pair.b.api, copy, &json!({ "Website": format!("https://{when}.example") }));
                until_value(&pair.b.api, copy, "City", format!("{when} of a"));
                until_value(&pair.a.api, lead, "Website", format!("https://{when}.example"));
                pair.until_same(lead, copy);
            }
        };
        edit(&pair, "before");
        // The older one is upgraded where it stands, and goes on with its log.
        let url = pair.url();
        for org in [&mut pair.a, &mut pair.b] {
            if org.binary != present {
                org.stop();
                org.binary.clone_from(&present);
                org.start(&url);
            }
        }
        edit(&pair, "after");
        standard_check(pair, Lives::One);
    }
}

#[test]
fn an_older_version_is_recorded_if_that_is_asked_for() {
    let Some(name) = std::env::var_os("TIELINE_RECORD") else { return };
    let older = older().expect("TIELINE_RECORD records what TIELINE_OLDER names");
    let mut pair = pair_of([&older, &older]);
    let leads: Vec<(String, String)> = (0..3).map(|n| pair.share_lead(&format!("Lead {n}"))).collect();
    pair.until_settled();
    pair.b.stop();
    for n in 0..LATE {
        update(&pair.a.api, &leads[n % leads.len()].0, &json!({ "City": format!("late {n}") }));
    }
    // What is in the ring is sent; nobody receives it.
    let sent = || pair.a.api.metric("tieline_frames_total", &[("direction", "out")]);
    let mut before = sent();
    tieline_tests::process::eventually("nothing more to send", || {
        std::thread::sleep(std::time::Duration::from_secs(1));
        let now = sent();
        (std::mem::replace(&mut before, now) >= now).then_some(())
    });
    pair.a.stop();
    pair.broker.stop().unwrap();
    let desk = tempfile::tempdir().unwrap();
    for org in [&pair.a, &pair.b] {
        copy_dir(org.home.path(), &desk.path().join(org.home.name.as_str()));
    }
    copy_dir(&pair.broker.plan.store_dir, &desk.path().join("broker"));
    let what = json!({ "connection": pair.id, "url": pair.url, "leads": leads });
    std::fs::write(desk.path().join("what.json"), what.to_string()).unwrap();
    std::fs::create_dir_all(recorded()).unwrap();
    let archive = recorded().join(name).with_extension("tar.gz");
    tar(&[
        "--sort=name".as_ref(),
        "-C".as_ref(),
        desk.path().as_ref(),
        "-czf".as_ref(),
        archive.as_ref(),
        ".".as_ref(),
    ]);
}

#[test]
fn what_an_older_version_has_written_and_sent_is_taken() {
    let mut records: Vec<PathBuf> =
        std::fs::read_dir(recorded()).unwrap().map(|entry| entry.unwrap().path()).collect();
    records.sort();
    assert!(!records.is_empty(), "there is a record of an older version");
    for record in records {
        let desk = tempfile::tempdir().unwrap();
        tar(&["-C".as_ref(), desk.path().as_ref(), "-xzf".as_ref(), record.as_ref()]);
        let what: Json =
            serde_json::from_slice(&std::fs::read(desk.path().join("what.json")).unwrap()).unwrap();
        let text = |json: &Json| json.as_str().unwrap().to_owned();
        let leads: Vec<(String, String)> =
            list(&what["leads"]).map(|pair| (text(&pair[0]), text(&pair[1]))).collect();
        let org = |name: &str| OrgProcess::of(OrgHome::copied(name, &desk.path().join(name)));
        let (a, mut b) = (org("acme"), org("globex"));
        let mut broker = broker_for([&a.home, &b.home]);
        copy_dir(&desk.path().join("broker"), &broker.plan.store_dir);
        broker.restart().unwrap();
        let url = broker.url();
        // Nobody but the broker can tell what the older one sent last.
        b.start(&url);
        for n in LATE - leads.len()..LATE {
            until_value(&b.api, &leads[n % leads.len()].1, "City", format!("late {n}"));
        }
        let mut pair = Pair { broker, a, b, id: text(&what["connection"]), url: text(&what["url"]) };
        pair.a.start(&url);
        until_ready(&pair.a.api);
        pair.until_settled();
        for (lead, copy) in &leads {
            update(&pair.b.api, copy, &json!({ "Website": "https://present.example" }));
            until_value(&pair.a.api, lead, "Website", "https://present.example");
            pair.until_same(lead, copy);
        }
        let (lead, copy) = pair.share_lead("new");
        pair.until_same(&lead, &copy);
        standard_check(pair, Lives::One);
    }
}
