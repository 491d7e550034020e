//! Reports over two daemons (S2S-72): what a partner changed and what is shared, chosen by one filter, as
//! table, CSV and JSON.

use serde_json::{Value as Json, json};
use tieline_tests::process::OrgProcess;

use crate::kit::{Pair, apply_object, list, publish_all, record, tieline, tieline_json};

/// An object of one's own, with a stage whose history is kept.
const FUND: &str = "object = \"Fund__c\"\nlabel = \"Fund\"\nname_field = \"Name\"\n[fields]\n\
    Name = { type = \"text\", length = 80, required = true }\nStage__c = { type = \"text\", tracked = true }\n";

/// Updates of the stage of deals of accounts of one town, by one partner.
const WON: &str = "object = \"Opportunity\"\nrows = \"updates\"\nlast_days = 30\n\
    filter = \"update.field == 'StageName' && connection.partner == 'globex' && \
    AccountId.BillingCity == 'Berlin' && Amount > 10 && update.time < now()\"\n\
    columns = [\"Name\", \"AccountId.Name\", \"update.old\", \"update.new\", \"update.actor\"]\n\
    sort = [{ column = \"update.time\" }]\n";

/// How many deals of each account are shared with whom.
const SHARED: &str = "object = \"Opportunity\"\nrows = \"shares\"\n\
    filter = \"share.status == 'active' && date(share.offered) <= today()\"\ncolumns = [\"Name\"]\n\
    group_by = [\"AccountId.Name\", \"connection.partner\"]\n\
    summaries = [{ function = \"sum\", column = \"Amount\" }]\n";

fn change(org: &OrgProcess, object: &str, record: &str, fields: &Json) {
    org.api.must("PATCH", &format!("/v1/records/{object}/{record}"), &json!({ "fields": fields }));
}

fn until_field(org: &OrgProcess, object: &str, record: &str, field: &str, value: &str) {
    org.api.until(value, &format!("/v1/records/{object}/{record}"), |seen| {
        (seen["fields"][field] == value).then_some(())
    });
}

/// Offers a record, and waits for its copy, which is accepted by itself.
fn shared(pair: &Pair, object: &str, record: &str) -> String {
    tieline(&pair.a, &["share", "forward", object, record, "--to", "globex"]);
    pair.copy_of(record)
}

/// The rows of a report, each with its cells by the names of the columns.
fn rows(report: &Json) -> Vec<Json> {
    let columns: Vec<&str> = list(&report["columns"]).filter_map(Json::as_str).collect();
    let row = |row: &Json| columns.iter().zip(list(row)).map(|(name, cell)| (*name, cell.clone())).collect();
    list(&report["rows"]).map(row).collect()
}

/// What a partner changed is listed with old and new value, account and actor; what the partner's grant
/// brought is none of it.
#[test]
fn reports_join_records_accounts_shares_and_updates() {
    let pair = Pair::connected();
    let (a, b) = (&pair.a, &pair.b);
    publish_all(a, b, "Opportunity", &["--auto-accept"]);
    publish_all(b, a, "Opportunity", &["--auto-accept"]);
    let deal = |account: &str, city: &str, amount: u32| {
        let account = record(a, "Account", &json!({"Name": account, "BillingCity": city}));
        let fields = json!({"Name": format!("{city} deal"), "StageName": "Prospecting", "CloseDate": "2030-01-31",
            "Amount": amount, "Probability": 10, "AccountId": account});
        record(a, "Opportunity", &fields)
    };
    let deals = [deal("Initech", "Berlin", 100), deal("Hooli", "Paris", 200)];
    let copies = deals.clone().map(|deal| shared(&pair, "Opportunity", &deal));
    for (deal, copy) in deals.iter().zip(&copies) {
        until_field(b, "Opportunity", copy, "Probability", "10");
        change(b, "Opportunity", copy, &json!({"StageName": "Closed Won", "Probability": 90}));
        until_field(a, "Opportunity", deal, "Probability", "90");
    }
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [("won", WON), ("shared", SHARED)] {
        let file = dir.path().join(format!("{name}.toml"));
        std::fs::write(&file, text).unwrap();
        tieline(a, &["report", "set", name, file.to_str().unwrap()]);
    }
    let won = json!({"Name": "Berlin deal", "AccountId.Name": "Initech", "update.old": "Prospecting",
        "update.new": "Closed Won", "update.actor": "connection.user"});
    assert_eq!(rows(&tieline_json(a, &["report", "run", "won"])), [won]);
    let sheet = tieline(a, &["report", "run", "won", "--csv"]);
    assert_eq!(
        sheet.lines().collect::<Vec<_>>(),
        [
            "Name,AccountId.Name,update.old,update.new,update.actor",
            "Berlin deal,Initech,Prospecting,Closed Won,connection.user",
        ]
    );
    assert!(tieline(a, &["report", "run", "won"]).contains("Initech"), "a table for people");
    // Another time replaces that of the definition.
    let later = tieline_json(a, &["report", "run", "won", "--since", "2199-01-01"]);
    assert_eq!(later["total"], 0, "{later}");
    let shared = tieline_json(a, &["report", "run", "shared"]);
    assert_eq!(shared["rows"], json!([["Hooli", "globex", 1, "200"], ["Initech", "globex", 1, "100"]]));

    // What the grant brought is no update: the probability came after the copy was created.
    change(a, "Opportunity", &deals[0], &json!({"StageName": "Closed Lost"}));
    until_field(b, "Opportunity", &copies[0], "StageName", "Closed Lost");
    let told = rows(&tieline_json(b, &["report", "run", "opportunity-history"]));
    let [only] = told.as_slice() else { panic!("one update by acme: {told:?}") };
    for (column, value) in [
        ("record.id", copies[0].as_str()),
        ("update.field", "StageName"),
        ("update.old", "Closed Won"),
        ("update.new", "Closed Lost"),
        ("connection.partner", "acme"),
    ] {
        assert_eq!(only[column], value, "{column}: {only}");
    }
    pair.finish();
}

/// Custom objects have the reports that leads and opportunities have.
#[test]
fn custom_objects_are_reported_as_others_are() {
    let pair = Pair::connected();
    let (a, b) = (&pair.a, &pair.b);
    for org in [a, b] {
        apply_object(org, FUND);
    }
    publish_all(a, b, "Fund__c", &["--auto-accept"]);
    let fund = record(a, "Fund__c", &json!({"Name": "Baltic", "Stage__c": "Raising"}));
    let copy = shared(&pair, "Fund__c", &fund);
    until_field(b, "Fund__c", &copy, "Stage__c", "Raising");
    change(a, "Fund__c", &fund, &json!({"Stage__c": "Closed"}));
    until_field(b, "Fund__c", &copy, "Stage__c", "Closed");
    let told = rows(&tieline_json(b, &["report", "run", "fund__c-history"]));
    let [only] = told.as_slice() else { panic!("one update by acme: {told:?}") };
    assert_eq!((&only["Name"], &only["update.old"]), (&json!("Baltic"), &json!("Raising")), "{only}");
    let joined = rows(&tieline_json(b, &["report", "run", "fund__c-and-connections"]));
    assert_eq!(joined.len(), 1, "{joined:?}");
    assert_eq!(
        (&joined[0]["connection.partner"], &joined[0]["share.direction"]),
        (&json!("acme"), &json!("received"))
    );
    pair.finish();
}
