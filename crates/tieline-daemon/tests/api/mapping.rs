//! What may be published, and what a change of an object would do, through the API.

use serde_json::json;

use crate::kit::Org;

#[test]
fn every_field_says_whether_it_can_be_published_and_why_not() {
    let org = Org::start();
    let file = "extends = \"Opportunity\"\n[fields.Total__c]\ntype = \"currency\"\nprecision = 18\nscale = 2\n\
                expression = \"Amount * Probability / 100\"\n";
    let put = org.send("PUT", "/v1/objects", "application/toml", file.as_bytes());
    assert_eq!(put.status, 200, "{}", put.text());
    let list = org.get("/v1/objects/Opportunity/publishable").json();
    let of = |name: &str| {
        let fields = list["fields"].as_array().unwrap();
        let field = fields.iter().find(|field| field["field"] == name).unwrap();
        (
            field["publishable"].as_bool().unwrap(),
            field["reason"]["message"].as_str().unwrap_or_default().to_owned(),
        )
    };
    for published in ["Name", "AccountId", "Total__c"] {
        assert_eq!(of(published), (true, String::new()), "{published}");
    }
    assert!(!of("CreatedDate").0 && of("CreatedDate").1.contains("audit field"));
    assert!(!of("ExpectedRevenue").0 && of("ExpectedRevenue").1.contains("formula"));
    let shown = org.get("/v1/objects/Opportunity").json();
    let total = shown["fields"].as_array().unwrap().iter().find(|field| field["name"] == "Total__c").unwrap();
    assert_eq!((&total["kind"], &total["updatable"]), (&json!("formula"), &json!(false)));
    assert_eq!(total["expression"], "Amount * Probability / 100");

    let file = "object = \"Campaign\"\nname_field = \"Name\"\n[fields]\nName = { type = \"text\" }\n";
    assert_eq!(org.send("PUT", "/v1/objects", "application/toml", file.as_bytes()).status, 200);
    let list = org.get("/v1/objects/Campaign/publishable").json();
    assert_eq!(list["reason"]["code"], "unsupported_object");
    assert_eq!(list["fields"][0]["publishable"], false);
}

#[test]
fn a_file_is_checked_without_being_taken() {
    let org = Org::start();
    let check = |text: &str| org.send("POST", "/v1/check/object", "application/toml", text.as_bytes());
    let file = "extends = \"Lead\"\n[fields.Region__c]\ntype = \"text\"\n";
    let checked = check(file).json();
    assert_eq!((&checked["object"], &checked["changed"]), (&json!("Lead"), &json!(true)));
    assert_eq!(checked["drift"], json!([]));
    assert_eq!(check("extends = \"Lead\"\n").json()["changed"], false);
    assert_eq!(check("extends = \"Lead\"\n[fields.A__c]\n").problem().1, "bad_object_file");
    let fields = org.get("/v1/objects/Lead").json()["fields"].clone();
    assert!(fields.as_array().unwrap().iter().all(|field| field["name"] != "Region__c"), "nothing was taken");
    assert_eq!(org.get("/v1/connections/nobody/drift").problem().1, "unknown_connection");
    assert_eq!(org.get("/v1/connections/nobody/suggestions").problem().1, "unknown_connection");
}
