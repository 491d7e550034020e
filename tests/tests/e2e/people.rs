//! People of different roles work with what a partner shares: who sees an offer, who accepts it, and
//! in whose name what happens.

use serde_json::{Value as Json, json};

use crate::kit::{Pair, create, forward, person, share_leads, update};

/// S2S-02, S2S-46: accepting takes read and create on the object, and not Manage Connections.
#[test]
fn an_offer_is_for_those_who_may_create_the_record() {
    let pair = Pair::connected();
    share_leads(&pair.a.api, &pair.b.api, &pair.id, false);
    let on_leads = |rights: Json| json!({ "objects": { "Lead": rights } });
    let reader = person(&pair.b.api, "reader", &on_leads(json!({"read": true})));
    let seller = person(&pair.b.api, "seller", &on_leads(json!({"read": true, "create": true})));
    let lead = create(&pair.a.api, &json!({"LastName": "Curie", "Company": "Sorbonne"}));
    forward(&pair.a.api, &pair.id, &lead);
    let share =
        seller.until("an offer", "/v1/inbox", |seen| Some(seen["offers"][0]["share"].as_str()?.to_owned()));
    assert_eq!(reader.get("/v1/inbox").unwrap()["offers"], json!([]));
    let answer = json!({"connection": "acme", "shares": [share]});
    for verb in ["accept", "decline"] {
        let refused = reader.must("POST", &format!("/v1/inbox/{verb}"), &answer);
        assert_eq!(refused["results"][0]["code"], "no_permission", "{refused}");
    }
    let all = json!({"connection": "acme", "all": true});
    assert_eq!(reader.send("POST", "/v1/inbox/accept", &all).unwrap_err().status, 403);
    let accepted = seller.must("POST", "/v1/inbox/accept", &answer);
    assert_eq!(accepted["results"][0]["ok"], true, "{accepted}");
    assert_eq!(seller.get("/v1/connections").unwrap_err().status, 403, "and manages no connection");

    let copy = pair.copy_of(&lead);
    let path = format!("/v1/records/Lead/{copy}");
    assert_eq!(reader.get(&path).unwrap()["owner"], "seller");
    // Who may not edit the copy does not stand in the way of the partner, who changes it in the name
    // of the Connection User.
    let change = json!({"fields": {"City": "Paris"}});
    assert_eq!(seller.send("PATCH", &path, &change).unwrap_err().status, 403);
    update(&pair.a.api, &lead, &json!({"City": "Paris"}));
    let by = reader.until("the partner's change", &path, |seen| {
        (seen["fields"]["City"] == "Paris").then(|| seen["modified_by"].clone())
    });
    assert_eq!(by, "connection.user");
    pair.finish();
}
