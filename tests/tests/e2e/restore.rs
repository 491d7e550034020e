//! A data directory put back to an earlier copy, or cut short: a new life of the log begins, with an
//! alarm, and both orgs agree again.

use std::fs::{self, File};

use serde_json::{Value as Json, json};
use tieline_tests::live::copy_dir;
use tieline_tests::process::{Api, OrgProcess};

use crate::kit::{Pair, list, stop_and_check, until_ready, until_value, update};

fn incarnation(api: &Api) -> String {
    api.get("/v1/status").unwrap()["incarnation"].as_str().unwrap().to_owned()
}

fn until_alarm(api: &Api, code: &str) {
    api.until(&format!("the alarm {code}"), "/v1/alarms", |seen| {
        list(&seen["alarms"]).any(|alarm| alarm["code"] == code).then_some(())
    });
}

/// What both orgs had before the copy was made, and what one of them forgets.
struct Told {
    old: (String, String),
    lost: (String, String),
}

/// Two leads: `old` is known to the copy of the data directory, its last value and `lost` are not.
fn forgetting(pair: &mut Pair, forgets: fn(&mut Pair) -> &mut OrgProcess) -> Told {
    let old = pair.share_lead("Curie");
    update(&pair.a.api, &old.0, &json!({ "City": "Paris" }));
    until_value(&pair.b.api, &old.1, "City", "Paris");
    pair.until_settled();
    let url = pair.url();
    let org = forgets(pair);
    org.stop();
    let backup = org.home.backup();
    org.start(&url);

    update(&pair.a.api, &old.0, &json!({ "City": "Warsaw" }));
    update(&pair.b.api, &old.1, &json!({ "Website": "https://curie.example" }));
    let lost = pair.share_lead("Meitner");
    update(&pair.b.api, &lost.1, &json!({ "Rating": "Hot" }));
    until_value(&pair.a.api, &lost.0, "Rating", "Hot");
    pair.until_same(&old.0, &old.1);

    let org = forgets(pair);
    org.kill9();
    org.home.restore(backup.path());
    org.start(&url);
    Told { old, lost }
}

/// Both agree on everything, and edits flow both ways again.
fn reconciled(pair: &Pair, told: &Told, copy_of_lost: &str) {
    let (a, b) = (&pair.a.api, &pair.b.api);
    until_value(a, &told.old.0, "City", "Warsaw");
    until_value(b, &told.old.1, "City", "Warsaw");
    until_value(a, &told.old.0, "Website", "https://curie.example");
    until_value(b, &told.old.1, "Website", "https://curie.example");
    until_value(a, &told.lost.0, "LastName", "Meitner");
    until_value(a, &told.lost.0, "Rating", "Hot");
    update(a, &told.lost.0, &json!({ "City": "Vienna" }));
    until_value(b, copy_of_lost, "City", "Vienna");
    update(b, &told.old.1, &json!({ "City": "Sancellemoz" }));
    until_value(a, &told.old.0, "City", "Sancellemoz");
    until_ready(a);
    until_ready(b);
    pair.until_same(&told.old.0, &told.old.1);
    pair.until_same(&told.lost.0, copy_of_lost);
}

#[test]
fn an_origin_put_back_in_time_begins_a_new_life_and_both_agree() {
    let mut pair = Pair::start();
    let before = incarnation(&pair.a.api);
    let told = forgetting(&mut pair, |pair| &mut pair.a);
    until_alarm(&pair.a.api, "log_restored");
    until_alarm(&pair.b.api, "partner_restored");
    assert!(incarnation(&pair.a.api) > before);
    // The holder lends what it has: the record comes back under its id.
    reconciled(&pair, &told, &told.lost.1);
    pair.finish();
}

#[test]
fn a_holder_put_back_in_time_begins_a_new_life_and_both_agree() {
    let mut pair = Pair::start();
    let before = incarnation(&pair.b.api);
    let told = forgetting(&mut pair, |pair| &mut pair.b);
    until_alarm(&pair.b.api, "log_restored");
    until_alarm(&pair.a.api, "partner_restored");
    assert!(incarnation(&pair.b.api) > before);
    // The copy is made again, as another record.
    let copy = pair.b.api.until("the copy", "/v1/records/Lead?LastName=Meitner", |seen| {
        Some(seen["records"][0]["id"].as_str()?.to_owned())
    });
    assert_ne!(copy, told.lost.1);
    reconciled(&pair, &told, &copy);
    pair.finish();
}

#[test]
fn a_log_that_is_shorter_than_it_was_is_refused_until_a_person_recovers_it() {
    let mut pair = Pair::start();
    let url = pair.url();
    let kept = pair.share_lead("Curie");
    pair.until_settled();
    pair.b.stop();
    let (blocks, old) = (pair.b.home.path().join("log/blocks"), tempfile::tempdir().unwrap());
    copy_dir(&blocks, old.path());
    pair.b.start(&url);
    let before = incarnation(&pair.b.api);
    update(&pair.a.api, &kept.0, &json!({ "City": "Paris" }));
    until_value(&pair.b.api, &kept.1, "City", "Paris");
    let lost = pair.share_lead("Meitner");
    pair.until_settled();
    pair.b.stop();
    // As after a power cut under a disk that lies: sled comes back shorter and says that all is well.
    fs::remove_dir_all(&blocks).unwrap();
    copy_dir(old.path(), &blocks);

    for _ in 0..2 {
        let refused = pair.b.try_start(&url, &[]).unwrap_err();
        assert_eq!(refused.code, Some(5), "{}", refused.said);
        for words in ["needs recovery", "its sentinel names", "serve --recover", "backup"] {
            assert!(refused.said.contains(words), "{words:?} is not said: {}", refused.said);
        }
    }
    pair.b.try_start(&url, &["--recover"]).unwrap();
    assert!(incarnation(&pair.b.api) > before);
    until_alarm(&pair.b.api, "log_restored");
    until_alarm(&pair.a.api, "partner_restored");
    until_value(&pair.b.api, &kept.1, "City", "Paris");
    let again = pair.b.api.until("the copy", "/v1/records/Lead?LastName=Meitner", |seen| {
        Some(seen["records"][0]["id"].as_str()?.to_owned())
    });
    for (lead, copy) in [(&kept.0, &kept.1), (&lost.0, &again)] {
        update(&pair.a.api, lead, &json!({ "City": "after" }));
        until_value(&pair.b.api, copy, "City", "after");
        pair.until_same(lead, copy);
    }
    let Pair { mut a, mut b, broker: _broker, .. } = pair;
    stop_and_check(&mut a);
    stop_and_check(&mut b);
    // The next start is an ordinary one.
    b.start(&url);
}

#[test]
fn a_file_of_the_log_that_is_cut_anywhere_never_passes_for_a_whole_one() {
    let mut org = OrgProcess::make("acme");
    org.start("127.0.0.1:9");
    let write = |n: u32| {
        let fields = json!({ "LastName": format!("Lead {n}"), "Company": "X", "Description": noise(n) });
        json!({ "op": "create", "object": "Lead", "fields": fields })
    };
    for batch in 0..10 {
        let operations: Vec<Json> = (0..10).map(|n| write(batch * 10 + n)).collect();
        org.api.must("POST", "/v1/batch", &json!({ "operations": operations }));
    }
    let whole = org.api.get("/v1/status").unwrap()["log"].clone();
    org.stop();
    let backup = org.home.backup();
    let length = fs::metadata(org.home.path().join("log/blocks/db")).unwrap().len();
    let mut refused = 0;
    for keep in [0, 1, length / 8, length / 4, length / 2, length * 3 / 4, length - 1] {
        org.home.restore(backup.path());
        let file = File::options().write(true).open(org.home.path().join("log/blocks/db")).unwrap();
        file.set_len(keep).unwrap();
        match org.try_start("127.0.0.1:9", &[]) {
            // The end of the file is padding: nothing was lost.
            Ok(()) => {
                assert_eq!(
                    org.api.get("/v1/status").unwrap()["log"],
                    whole,
                    "cut to {keep} of {length} bytes"
                );
                org.kill9();
            }
            Err(ended) => {
                assert!(matches!(ended.code, Some(1 | 5)), "cut to {keep}: {ended:?}");
                for words in ["The daemon did not start", "log", "backup"] {
                    assert!(
                        ended.said.contains(words),
                        "cut to {keep}: {words:?} is not said: {}",
                        ended.said
                    );
                }
                refused += 1;
            }
        }
    }
    assert!(refused >= 4, "only {refused} cuts were refused");
    // With nothing left there is nothing to recover, and that is said.
    org.home.restore(backup.path());
    File::options().write(true).open(org.home.path().join("log/blocks/db")).unwrap().set_len(0).unwrap();
    let ended = org.try_start("127.0.0.1:9", &["--recover"]).unwrap_err();
    assert!(ended.said.contains("holds no org"), "{}", ended.said);
}

/// Text that does not compress, so that the log has some length.
fn noise(seed: u32) -> String {
    let mut rng = tieline_tests::sim::Rng::new(u64::from(seed));
    (0..8_000).map(|_| char::from(b'!' + rng.below(90) as u8)).collect()
}
