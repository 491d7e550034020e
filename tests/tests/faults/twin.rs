//! Two daemons of one org: the data directory was copied, and both run.

use std::path::Path;

use serde_json::json;
use tieline_tests::live::{OrgHome, copy_dir};
use tieline_tests::loaded::{Lives, standard_check};
use tieline_tests::pair::{Pair, list, until_ready, until_value, update};
use tieline_tests::process::{OrgProcess, eventually};

/// An org with the data of another one, keys included.
fn twin_of(org: &OrgProcess) -> OrgProcess {
    let home = OrgHome::make(org.home.name.as_str());
    clear(home.path());
    copy_dir(org.home.path(), home.path());
    OrgProcess::of(home)
}

fn clear(path: &Path) {
    for entry in std::fs::read_dir(path).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            std::fs::remove_dir_all(entry.path()).unwrap();
        } else {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
}

/// What a person does who has stopped the other one: an org that was shown twice that its log lost its
/// end, once by each of them, waits for that.
fn resume_what_waits(org: &OrgProcess) {
    let connections = org.api.get("/v1/connections").unwrap();
    for connection in list(&connections["connections"]).filter(|connection| connection["suspended"] == true) {
        let path = format!("/v1/connections/{}/resume", connection["id"].as_str().unwrap());
        org.api.must("POST", &path, &json!({}));
    }
}

#[test]
fn a_copy_of_a_data_directory_that_runs_beside_it_is_noticed_and_costs_nothing_in_the_end() {
    let mut pair = Pair::start();
    let (lead, copy) = pair.share_lead("Curie");
    update(&pair.b.api, &copy, &json!({ "Rating": "Hot" }));
    pair.until_settled();
    let url = pair.url();
    pair.a.stop();
    let mut twin = twin_of(&pair.a);
    pair.a.start(&url);
    twin.start(&url);
    // Both give out the same positions for different changes.
    update(&pair.a.api, &lead, &json!({ "City": "first" }));
    update(&twin.api, &lead, &json!({ "City": "second", "Website": "https://twin.example" }));
    let alarms = |org: &OrgProcess| list(&org.api.get("/v1/alarms").unwrap()["alarms"]).count();
    eventually("an alarm", || (alarms(&pair.a) + alarms(&twin) + alarms(&pair.b) > 0).then_some(()));

    // One of them is stopped for good; the other and the partner come to one truth.
    twin.kill9();
    update(&pair.a.api, &lead, &json!({ "City": "the only one" }));
    let seen = format!("/v1/records/Lead/{copy}");
    eventually("the change of the only one", || {
        resume_what_waits(&pair.a);
        resume_what_waits(&pair.b);
        (pair.b.api.get(&seen).ok()?["fields"]["City"] == "the only one").then_some(())
    });
    update(&pair.b.api, &copy, &json!({ "Rating": "Cold" }));
    until_value(&pair.a.api, &lead, "Rating", "Cold");
    until_ready(&pair.a.api);
    until_ready(&pair.b.api);
    pair.until_same(&lead, &copy);
    standard_check(pair, Lives::Any);
}
