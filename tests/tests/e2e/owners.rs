//! Owners, conversion and the end of sharing as people set them: with the commands, over two daemons.

use serde_json::json;
use tieline_tests::process::OrgProcess;

use crate::kit::{Pair, create, share_leads, tieline, tieline_json};

fn until_owner(org: &OrgProcess, record: &str, owner: &str) {
    org.api
        .until(owner, &format!("/v1/records/Lead/{record}"), |seen| (seen["owner"] == owner).then_some(()));
}

/// Waits for the notice that a job is done, and gives its text.
fn until_done(org: &OrgProcess, what: &str) -> String {
    org.api.until(what, "/v1/notices", |seen| {
        let notices = seen["notices"].as_array()?.iter();
        let mut texts =
            notices.filter(|one| one["kind"] == "job_done").filter_map(|one| one["text"].as_str());
        texts.find(|text| text.starts_with(what)).map(str::to_owned)
    })
}

/// OPS-19: the owner there is mapped, follows, is mapped anew on request, and a copy's new owner goes back.
#[test]
fn owners_are_mapped_both_ways_by_commands() {
    let pair = Pair::connected();
    let (a, b) = (&pair.a, &pair.b);
    share_leads(&a.api, &b.api, &pair.id, true);
    share_leads(&b.api, &a.api, &pair.id, true);
    for (org, partner, users) in [(a, "globex", ["bob", "carl"]), (b, "acme", ["eve", "fay"])] {
        for user in users {
            tieline(org, &["user", "add", user]);
        }
        tieline(org, &["publish", "set", partner, "Lead", "--all", "--owners", "true"]);
    }
    tieline(a, &["subscribe", "owners", "globex", "--map", "eve=bob,fay=carl"]);
    tieline(b, &["subscribe", "owners", "acme", "--map", "bob=eve"]);
    let lead = create(&a.api, &json!({"LastName": "Curie", "Company": "Sorbonne"}));
    tieline(a, &["record", "assign", "Lead", &lead, "--owner", "bob"]);
    tieline(a, &["share", "forward", "Lead", &lead, "--to", "globex"]);
    let copy = pair.copy_of(&lead);
    until_owner(b, &copy, "eve");
    // The table alone moves nothing; applied to what is here, it does, and whoever asked is told.
    tieline(b, &["subscribe", "owners", "acme", "--map", "bob=fay", "--apply"]);
    until_owner(b, &copy, "fay");
    assert!(until_done(b, "mapping the owners at acme").ends_with("1 done, 0 skipped"));
    until_owner(a, &lead, "bob");
    // Somebody else has it there now, and here.
    tieline(b, &["record", "assign", "Lead", &copy, "--owner", "eve"]);
    tieline(b, &["record", "assign", "Lead", &copy, "--owner", "fay"]);
    until_owner(a, &lead, "carl");
    let shown = tieline_json(b, &["subscribe", "owners", "acme"]);
    assert_eq!(shown["users"], json!({"bob": "fay"}));
    pair.finish();
}

/// S2S-57, S2S-47: all of an object by one command, and whoever asked hears how it went.
#[test]
fn all_records_are_assigned_and_stopped_by_commands() {
    let pair = Pair::connected();
    let (a, b) = (&pair.a, &pair.b);
    share_leads(&a.api, &b.api, &pair.id, true);
    tieline(a, &["user", "add", "bob"]);
    let leads: Vec<String> =
        ["Curie", "Noether"].map(|name| create(&a.api, &json!({"LastName": name, "Company": "X"}))).into();
    tieline(a, &["record", "assign", "Lead", "--all", "--owner", "bob"]);
    assert!(until_done(a, "assigning Lead").ends_with("2 done, 0 skipped"));
    leads.iter().for_each(|lead| until_owner(a, lead, "bob"));
    tieline(a, &["share", "forward", "Lead", "--all", "--to", "globex"]);
    let copies: Vec<String> = leads.iter().map(|lead| pair.copy_of(lead)).collect();
    tieline(a, &["share", "stop", "--object", "Lead", "--all", "--to", "globex"]);
    assert!(until_done(a, "ending the sharing of Lead").ends_with("2 done, 0 skipped"));
    b.api.until("the ends", &format!("/v1/connections/{}/shares?status=inactive", pair.id), |seen| {
        (seen["shares"].as_array()?.len() == 2).then_some(())
    });
    for copy in copies {
        b.api.get(&format!("/v1/records/Lead/{copy}")).unwrap();
    }
    let audit = tieline_json(a, &["connection", "audit", "globex", "--action", "job began"]);
    assert_eq!(audit["entries"][0]["detail"], "stop", "{audit}");
    pair.finish();
}

/// S2S-56: which fields of a lead become which, from a file and back.
#[test]
fn conversion_is_set_by_commands() {
    let pair = Pair::connected();
    let a = &pair.a;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("conversion.toml");
    std::fs::write(&file, "[account]\nName = \"Company\"\nSite = \"City\"\n").unwrap();
    let usual = tieline_json(a, &["org", "conversion"]);
    tieline(a, &["org", "conversion", "--file", file.to_str().unwrap()]);
    let lead = create(&a.api, &json!({"LastName": "Curie", "Company": "Sorbonne", "City": "Paris"}));
    let made = tieline_json(a, &["record", "convert", &lead]);
    let account = a.api.get(&format!("/v1/records/Account/{}", made["account"].as_str().unwrap())).unwrap();
    assert_eq!(account["fields"]["Site"], "Paris", "{account}");
    tieline(a, &["org", "conversion", "--reset"]);
    assert_eq!(tieline_json(a, &["org", "conversion"]), usual);
    // Whoever asks later sees who did it.
    let audit = tieline_json(a, &["org", "audit", "--action", "conversion set"]);
    let actors: Vec<_> = audit["entries"].as_array().unwrap().iter().map(|one| &one["actor"]).collect();
    assert_eq!(actors, ["admin", "admin"], "{audit}");
    pair.finish();
}
