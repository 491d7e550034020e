//! Inbox views over two daemons (S2S-46): which fields of an offer they show and choose by, and who sees them.

use serde_json::{Value as Json, json};
use tieline_tests::process::{Api, eventually};

use crate::kit::{
    Pair, apply_object, create, forward, list, person, publish_all, record, share_leads, tieline,
};

/// An object of one's own whose file says nothing about offers.
const FUND: &str =
    "object = \"Fund__c\"\nlabel = \"Fund\"\nname_field = \"Name\"\n[fields]\nName = { type = \"text\" }\n";

/// What an offer of each object shows and is chosen by, besides the connection and the date it was sent.
fn listed(account: &str) -> [(&'static str, Json, &'static [&'static str]); 5] {
    const ACCOUNT: &[&str] = &["Name", "Type", "BillingCity", "BillingState", "BillingCountry"];
    let of_account = json!({"Name": "Initech", "Type": "Prospect", "BillingCity": "Berlin", "BillingState": "BE",
        "BillingCountry": "DE"});
    [
        (
            "Lead",
            json!({"LastName": "Curie", "Company": "Sorbonne", "Title": "CEO", "Industry": "Energy",
                "LeadSource": "Web", "State": "IDF", "Status": "Working - Contacted", "Email": "c@x.example",
                "Phone": "123", "NumberOfEmployees": 7}),
            &["Title", "Industry", "LeadSource", "State", "Status", "Email", "Phone", "NumberOfEmployees"],
        ),
        (
            "Opportunity",
            json!({"Name": "Big", "StageName": "Prospecting", "CloseDate": "2030-01-31", "Amount": "12.5",
                "AccountId": account}),
            &[
                "Name",
                "StageName",
                "CloseDate",
                "Amount",
                "AccountName",
                "AccountBillingCity",
                "AccountBillingState",
                "AccountBillingCountry",
            ],
        ),
        ("Account", of_account, ACCOUNT),
        (
            "Contact",
            json!({"FirstName": "Pat", "LastName": "Ng", "Title": "CTO", "Email": "p@x.example", "Phone": "1",
                "MailingCity": "Oslo", "MailingState": "OS", "MailingCountry": "NO", "AccountId": account}),
            &[
                "FirstName",
                "LastName",
                "Title",
                "Email",
                "Phone",
                "MailingCity",
                "MailingState",
                "MailingCountry",
                "AccountName",
                "AccountBillingCity",
                "AccountBillingState",
                "AccountBillingCountry",
            ],
        ),
        ("Fund__c", json!({"Name": "Baltic"}), &["Name"]),
    ]
}

/// What a field of the offer has to be: its own value, or that of the account.
fn value(fields: &Json, field: &str) -> Json {
    match field {
        "AccountName" => json!("Initech"),
        "AccountBillingCity" => json!("Berlin"),
        "AccountBillingState" => json!("BE"),
        "AccountBillingCountry" => json!("DE"),
        own => fields[own].clone(),
    }
}

/// The condition that a field has its value.
fn condition(field: &str, value: &Json) -> String {
    match (field, value) {
        ("CloseDate", Json::String(day)) => format!("{field} == date('{day}')"),
        ("Amount", Json::String(amount)) => format!("{field} == dec('{amount}')"),
        (_, Json::String(text)) => format!("{field} == '{text}'"),
        (_, number) => format!("{field} == {number}"),
    }
}

/// Saves an inbox view; what it warns of.
fn save(api: &Api, name: &str, view: &Json) -> Vec<String> {
    let saved = api.must("PUT", &format!("/v1/inbox-views/{name}"), view);
    list(&saved["warnings"]).filter_map(Json::as_str).map(str::to_owned).collect()
}

fn offers(api: &Api, name: &str) -> Json {
    api.get(&format!("/v1/inbox-views/{name}/offers")).unwrap()
}

/// The fields that an offer of each object has in an inbox view are those of the reference, the four of the
/// account included; another one is the sender's to add.
#[test]
fn an_inbox_view_shows_and_chooses_by_the_listed_fields() {
    let pair = Pair::connected();
    let (a, b) = (&pair.a, &pair.b);
    for org in [a, b] {
        apply_object(org, FUND);
    }
    let account = record(a, "Account", &listed("")[2].1);
    for (object, fields, columns) in listed(&account) {
        publish_all(a, b, object, &[]);
        let id = if object == "Account" { account.clone() } else { record(a, object, &fields) };
        tieline(a, &["share", "forward", object, &id, "--to", "globex"]);
        // Without columns it shows the connection, the date and the object's list.
        let name = object.to_lowercase();
        assert_eq!(save(&b.api, &name, &json!({ "object": object })), [""; 0]);
        let path = format!("/v1/inbox-views/{name}/offers");
        let shown =
            b.api.until("the offer", &path, |seen| (list(&seen["rows"]).count() == 1).then(|| seen.clone()));
        let expected: Vec<&str> = ["ConnectionName", "SentDate"].iter().chain(columns).copied().collect();
        assert_eq!(shown["columns"], json!(expected), "{object}");
        let values = &shown["rows"][0]["values"];
        assert_eq!(values["ConnectionName"], "acme");
        for field in columns {
            let value = value(&fields, field);
            assert_eq!(values[field], value, "{object}.{field}: {shown}");
            for (filter, count) in
                [(condition(field, &value), 1), (format!("!({})", condition(field, &value)), 0)]
            {
                let filter = format!("{filter} && ConnectionName == 'acme' && SentDate <= now()");
                let view = json!({ "object": object, "filter": filter, "sort": { "field": field } });
                assert_eq!(save(&b.api, "chosen", &view), [""; 0], "{filter}");
                assert_eq!(list(&offers(&b.api, "chosen")["rows"]).count(), count, "{object}: {filter}");
            }
        }
    }
    // Whoever subscribes is told which of the listed fields here no offer will have.
    let field = |local: &str, from: &str| json!({ "local": local, "from": from });
    let rule = json!({ "local": "Lead", "fields":
        [field("LastName", "LastName"), field("Company", "Company"), field("Title", "City"), field("State", "State")] });
    let subscribed = b.api.must("PUT", "/v1/connections/acme/subscribe/Lead", &rule);
    let told: Vec<_> = list(&subscribed["warnings"]).filter(|one| one["code"] == "not_in_offers").collect();
    assert!(told.len() == 1 && told[0]["field"] == "Title", "{subscribed}");
    tieline(b, &["subscribe", "set", "acme", "Lead", "--all"]);
    // What is not in the list is empty, and whoever saves the view is told; the sender adds it to the list.
    let city = json!({ "object": "Lead", "filter": "City == 'Paris'", "columns": ["City"] });
    let told = save(&b.api, "city", &city);
    assert!(told.len() == 1 && told[0].contains("City") && told[0].contains("view_fields"), "{told:?}");
    let lead = json!({"LastName": "Noether", "Company": "Erlangen", "City": "Paris"});
    let id = create(&a.api, &lead);
    forward(&a.api, &pair.id, &id);
    apply_object(a, "extends = \"Lead\"\nview_fields = [\"Title\", \"City\"]\n");
    eventually("offers with a city", || save(&b.api, "city", &city).is_empty().then_some(()));
    let id = create(&a.api, &lead);
    forward(&a.api, &pair.id, &id);
    let chosen = b.api.until("the offer", "/v1/inbox-views/city/offers", |seen| {
        (list(&seen["rows"]).count() > 0).then(|| seen.clone())
    });
    assert_eq!(list(&chosen["rows"]).count(), 1, "an offer of before has no city: {chosen}");
    assert_eq!(chosen["rows"][0]["offer"]["origin_record"], id.as_str());
    pair.finish();
}

/// An inbox view is there for those of its audience who read and create the object, while a connection
/// subscribes it; who manages connections makes it.
#[test]
fn an_inbox_view_is_for_its_audience_with_read_and_create() {
    let pair = Pair::connected();
    let api = &pair.b.api;
    let on_leads = |rights: Json| json!({ "objects": { "Lead": rights } });
    let both = on_leads(json!({"read": true, "create": true}));
    let seller = person(api, "seller", &both);
    let other = person(api, "other", &both);
    let reader = person(api, "reader", &on_leads(json!({"read": true})));
    let manager = person(api, "manager", &json!({"manage_connections": true}));
    api.must("PUT", "/v1/groups/sales", &json!({"users": ["seller"]}));

    let view = |audience: &Json| json!({ "object": "Lead", "audience": audience });
    let everybody = json!({});
    for nobody in [&seller, &reader] {
        let refused = nobody.send("PUT", "/v1/inbox-views/new", &view(&everybody)).unwrap_err();
        assert_eq!(refused.body["code"], "no_permission");
    }
    assert_eq!(save(&manager, "new", &view(&everybody)), [""; 0]);
    let listed = |who: &Api| list(&who.get("/v1/inbox-views").unwrap()["views"]).count();
    assert_eq!([&seller, &reader].map(listed), [0, 0], "no connection subscribes leads");
    share_leads(&pair.a.api, api, &pair.id, false);
    let lead = create(&pair.a.api, &json!({"LastName": "Curie", "Company": "Sorbonne"}));
    forward(&pair.a.api, &pair.id, &lead);
    api.until("an offer", "/v1/inbox", |seen| list(&seen["offers"]).next().map(drop));

    let opens = |who: &Api| match who.get("/v1/inbox-views/new/offers") {
        Ok(page) => list(&page["rows"]).count().to_string(),
        Err(problem) => problem.body["code"].as_str().unwrap_or_default().to_owned(),
    };
    let none = "no_permission".to_owned();
    for (audience, may) in [
        (everybody, [true, true]),
        (json!({"users": ["seller", "reader"]}), [true, false]),
        (json!({"groups": ["sales"]}), [true, false]),
        (json!({"roles": ["seller", "reader"]}), [true, false]),
        (json!({"users": ["other"], "groups": ["sales"]}), [true, true]),
    ] {
        save(&manager, "new", &view(&audience));
        for (who, may) in [&seller, &other].into_iter().zip(may) {
            let expected = if may { "1".to_owned() } else { none.clone() };
            assert_eq!((listed(who), opens(who)), (usize::from(may), expected), "{audience}");
        }
        // Whoever is named and may only read sees none, and neither does who only makes them.
        for who in [&reader, &manager] {
            assert_eq!((listed(who), opens(who)), (0, none.clone()), "{audience}");
        }
        assert_eq!(list(&manager.get("/v1/inbox-views?all=true").unwrap()["views"]).count(), 1);
    }
    api.must("DELETE", &format!("/v1/connections/{}/subscribe/Lead", pair.id), &json!({}));
    assert_eq!(listed(&seller), 0, "nothing is subscribed any more");
    pair.finish();
}
