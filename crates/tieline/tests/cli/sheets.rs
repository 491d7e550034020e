//! CSV that no spreadsheet runs, and that comes back as it was; reports and history as CSV.

use crate::daemon::Org;

const NASTY: [&str; 5] = ["=HYPERLINK(\"http://x\")", "@SUM(A1)", "-2+3", "'=x", "+49 30"];

#[test]
fn what_is_exported_is_guarded_and_imported_as_it_was() {
    let org = Org::start();
    for text in NASTY {
        let made = org.run(&["record", "create", "Lead", "LastName=Ng", &format!("Company={text}")]);
        assert_eq!(made.0, 0, "{}", made.2);
    }
    let csv = org.run(&["record", "export", "Lead", "--fields", "LastName,Company"]).1;
    for row in csv.lines().skip(1) {
        let cell = row.split_once(',').unwrap().1.trim_start_matches('"');
        assert!(cell.starts_with('\''), "{row}");
    }
    let file = org.file("leads.csv", &csv);
    let imported = org.run(&["record", "import", "Lead", &file]);
    assert_eq!(imported.0, 0, "{}", imported.2);
    let records = org.json(&["record", "list", "Lead", "--all"]);
    let companies = records["records"].as_array().unwrap().iter();
    let mut companies: Vec<&str> =
        companies.map(|record| record["fields"]["Company"].as_str().unwrap()).collect();
    companies.sort_unstable();
    let mut expected: Vec<&str> = NASTY.iter().chain(&NASTY).copied().collect();
    expected.sort_unstable();
    assert_eq!(companies, expected);

    // Reports and history go through the same writer.
    let definition = "object = \"Lead\"\nrows = \"records\"\ncolumns = [\"Company\"]\n";
    let file = org.file("companies.toml", definition);
    assert_eq!(org.run(&["report", "set", "companies", &file]).0, 0);
    let report = org.run(&["report", "run", "companies", "--csv"]).1;
    assert_eq!(report.lines().next(), Some("Company"));
    assert_eq!(report.lines().filter(|line| line.trim_start_matches('"').starts_with('\'')).count(), 10);
    assert!(org.run(&["report", "list"]).1.contains("lead-history"));
    let id = records["records"][0]["id"].as_str().unwrap();
    org.run(&["record", "update", "Lead", id, "Status=Working - Contacted"]);
    let history = org.run(&["record", "history", "Lead", id, "--csv"]).1;
    assert!(history.starts_with("SEQ,TIME,ACTION,FIELD,OLD,NEW,"), "{history}");
    assert!(history.contains("Status") && history.contains("Working - Contacted"), "{history}");
}
