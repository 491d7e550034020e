//! How connections begin and end, and who gets a record that several want.

use std::sync::Barrier;

use serde_json::{Value as Json, json};
use tieline_bus::ConnectionUrl;
use tieline_core::command::{Command, Reply};
use tieline_tests::live::admin;
use tieline_tests::process::{Api, OrgProcess, Problem, connect, eventually};

use crate::kit::{
    Pair, broker_for, create, list, publish, share_leads, stop_and_check, subscribe, until_value, update,
};

fn invite(api: &Api) -> (String, String) {
    let invitation = api.must("POST", "/v1/invitations", &json!({}));
    (invitation["connection"].as_str().unwrap().to_owned(), invitation["url"].as_str().unwrap().to_owned())
}

fn answer(api: &Api, url: &str, accept: bool) -> Result<Json, Problem> {
    api.send("POST", "/v1/invitations/answer", &json!({ "url": url, "accept": accept }))
}

fn until_status(api: &Api, id: &str, status: &str) -> Json {
    api.until(status, &format!("/v1/connections/{id}"), |seen| {
        (seen["summary"]["status"] == status).then(|| seen.clone())
    })
}

/// Asserts that a request was refused with this code, in words.
fn refused(answer: Result<Json, Problem>, status: u16, code: &str) {
    let problem = answer.unwrap_err();
    assert_eq!((problem.status, &problem.body["code"]), (status, &json!(code)), "{:?}", problem.body);
    assert!(problem.body["detail"].as_str().unwrap().len() > 20, "{:?}", problem.body);
}

/// A broker and three orgs that run.
fn three() -> (tieline_tests::nats::NatsServer, [OrgProcess; 3]) {
    let mut orgs = ["acme", "globex", "initech"].map(OrgProcess::make);
    let mut broker = broker_for(orgs.iter().map(|org| &org.home));
    broker.restart().unwrap();
    orgs.iter_mut().for_each(|org| org.start(&broker.url()));
    (broker, orgs)
}

#[test]
fn a_key_is_changed_while_the_partner_is_away_and_its_maker_is_killed() {
    let (broker, [mut a, mut b, _c]) = three();
    let id = connect(&a.api, &b.api);
    b.kill9();
    let rotate = format!("/v1/connections/{id}/rotate-key");
    assert_eq!(a.api.must("POST", &rotate, &json!({}))["changed"], true);
    refused(a.api.send("POST", &rotate, &json!({})), 409, "rotation_pending");
    let key = &a.api.must("GET", &format!("/v1/connections/{id}"), &Json::Null)["key"];
    assert_eq!((&key["number"], &key["announced"]), (&json!(0), &json!(1)));
    // Announced, and not taken: the secret is on disk, the announcement in the log.
    a.kill9();
    a.start(&broker.url());
    b.start(&broker.url());
    let key = a.api.until("the new key in use", &format!("/v1/connections/{id}"), |seen| {
        (seen["key"]["number"] == 1).then(|| seen["key"].clone())
    });
    assert!(key["announced"].is_null() && key["former_until"].is_string(), "{key}");
}

#[test]
fn invitations_are_declined_revoked_and_used_once_and_everybody_is_told_so() {
    let (_broker, [a, b, c]) = three();

    // Declined: the inviter sees it, and so does whoever declined.
    let (id, url) = invite(&a.api);
    answer(&b.api, &url, false).unwrap();
    for api in [&a.api, &b.api] {
        assert_eq!(until_status(api, &id, "declined")["declined"], "declined");
    }
    refused(answer(&b.api, &url, true), 409, "already_answered");

    // Revoked: whoever answers too late is told why, at once.
    let (id, url) = invite(&a.api);
    a.api.must("POST", &format!("/v1/connections/{id}/revoke"), &Json::Null);
    refused(a.api.send("POST", &format!("/v1/connections/{id}/revoke"), &Json::Null), 409, "not_pending");
    refused(answer(&b.api, &url, true), 409, "revoked");
    refused(b.api.get(&format!("/v1/connections/{id}")), 404, "unknown_connection");
    until_status(&a.api, &id, "revoked");

    // Used: the first answer has it, another org with the same URL is told so.
    let (id, url) = invite(&a.api);
    answer(&b.api, &url, true).unwrap();
    until_status(&b.api, &id, "active");
    refused(answer(&c.api, &url, true), 409, "used");
    refused(answer(&b.api, &url, true), 409, "used");
    assert_eq!(until_status(&a.api, &id, "active")["summary"]["partner"], "globex");

    // One's own, one that lost its end, and none at all.
    let (_, url) = invite(&a.api);
    refused(answer(&a.api, &url, true), 422, "own_invitation");
    refused(answer(&b.api, &url[..url.len() - 1], true), 422, "bad_connection_url");
    refused(answer(&b.api, "https://example.com", true), 422, "bad_connection_url");
}

#[test]
fn an_invitation_that_has_ended_is_refused_here_and_at_the_inviter() {
    let (mut a, mut b) = (OrgProcess::make("acme"), OrgProcess::make("globex"));
    let mut broker = broker_for([&a.home, &b.home]);
    broker.restart().unwrap();
    let url: ConnectionUrl = short_invitation(&a, &broker.url()).parse().unwrap();
    a.start(&broker.url());
    b.start(&broker.url());

    eventually("the end of the invitation", || {
        let looked_at = b.api.must("POST", "/v1/invitations/inspect", &json!({ "url": url.to_string() }));
        (looked_at["expired"] == true).then_some(())
    });
    refused(answer(&b.api, &url.to_string(), true), 409, "expired");
    // A URL that says otherwise convinces its reader, but not the inviter.
    let id = url.connection.to_string();
    let longer = ConnectionUrl { expires: url.expires.plus_us(3_600_000_000), ..url };
    refused(answer(&b.api, &longer.to_string(), true), 409, "expired");
    // Nor if the inviter is away when it is accepted, and hears of it later.
    a.stop();
    answer(&b.api, &longer.to_string(), true).unwrap();
    a.start(&broker.url());
    assert_eq!(until_status(&b.api, &id, "declined")["declined"], "expired");
    until_status(&a.api, &id, "pending");
}

/// A connection URL of `org`, whose daemon does not run yet, that ends in a moment: none over the
/// API ends as soon as a test wants it.
fn short_invitation(org: &OrgProcess, broker: &str) -> String {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let running = org.home.start(broker).await;
        let handle = running.handle();
        let (secret, secret_hash) = handle.new_secret().unwrap();
        let expires = tieline_daemon::clock::now().plus_us(500_000);
        let command = Command::Invite { secret_hash, expires, owner: None, label: String::new() };
        let Reply::Connection(id) = handle.execute(command, &admin()).await.unwrap().reply else {
            panic!("no invitation")
        };
        let url = handle.invite_url(id, secret, expires);
        running.daemon.stop().await;
        url
    })
}

#[test]
fn after_a_deactivation_nothing_flows_and_both_keep_their_records() {
    let pair = Pair::start();
    let (lead, copy) = pair.share_lead("Curie");
    update(&pair.a.api, &lead, &json!({ "City": "Paris" }));
    until_value(&pair.b.api, &copy, "City", "Paris");
    let path = format!("/v1/connections/{}", pair.id);
    pair.a.api.must("POST", &format!("{path}/deactivate"), &Json::Null);
    for (api, record) in [(&pair.a.api, &lead), (&pair.b.api, &copy)] {
        until_status(api, &pair.id, "deactivated");
        let share = api.until("an ended share", &format!("/v1/records/Lead/{record}"), |seen| {
            (seen["shares"][0]["status"] == "inactive").then(|| seen["shares"][0].clone())
        });
        assert_eq!(share["reason"], "deactivated");
        let again = api.must("POST", &format!("{path}/deactivate"), &Json::Null);
        assert_eq!(again["changed"], false, "a second time changes nothing");
        let rule = json!({ "fields": ["LastName"] });
        refused(api.send("PUT", &format!("{path}/publish/Lead"), &rule), 409, "connection_not_active");
    }
    let body = json!({ "connections": [pair.id], "object": "Lead", "records": [lead] });
    let offered = pair.a.api.must("POST", "/v1/shares", &body);
    assert_eq!(offered["results"][0]["result"]["code"], "connection_not_active", "{offered}");

    // A second connection of the same two shows that nothing is merely slow.
    update(&pair.a.api, &lead, &json!({ "City": "Warsaw" }));
    update(&pair.b.api, &copy, &json!({ "Rating": "Hot" }));
    let second = connect(&pair.a.api, &pair.b.api);
    share_leads(&pair.a.api, &pair.b.api, &second, true);
    let other = create(&pair.a.api, &json!({ "LastName": "Meitner", "Company": "KWI" }));
    crate::kit::forward(&pair.a.api, &second, &other);
    pair.b.api.until("the other lead", "/v1/records/Lead?LastName=Meitner", |seen| {
        seen["records"][0]["id"].as_str().map(drop)
    });
    let value = |api: &Api, id: &str, field: &str| {
        api.get(&format!("/v1/records/Lead/{id}")).unwrap()["fields"][field].clone()
    };
    assert_eq!(value(&pair.b.api, &copy, "City"), "Paris");
    assert_eq!(value(&pair.a.api, &lead, "Rating"), Json::Null);
    pair.finish();
}

#[test]
fn of_three_orgs_that_accept_one_lead_at_once_one_gets_it_and_the_others_see_taken() {
    let names = ["acme", "globex", "initech", "umbrella"];
    let mut orgs = names.map(OrgProcess::make);
    let mut broker = broker_for(orgs.iter().map(|org| &org.home));
    broker.restart().unwrap();
    orgs.iter_mut().for_each(|org| org.start(&broker.url()));
    let [mut origin, partners @ ..] = orgs;
    let fields: Vec<Json> =
        ["LastName", "Company"].iter().map(|name| json!({ "local": name, "from": name })).collect();
    let partners: Vec<(OrgProcess, String)> = partners
        .into_iter()
        .map(|org| {
            let id = connect(&origin.api, &org.api);
            publish(&origin.api, &id, &["LastName", "Company"]);
            subscribe(&origin.api, &org.api, &id, &json!({ "local": "Lead", "fields": fields }));
            (org, id)
        })
        .collect();
    let ids: Vec<&String> = partners.iter().map(|(_, id)| id).collect();

    for round in 0..3 {
        let lead = create(&origin.api, &json!({ "LastName": format!("Lead {round}"), "Company": "X" }));
        origin.api.must(
            "POST",
            "/v1/shares",
            &json!({ "connections": ids, "object": "Lead", "records": [lead] }),
        );
        let offers: Vec<Json> = partners
            .iter()
            .map(|(org, _)| {
                org.api.until("the offer", "/v1/inbox", |seen| {
                    list(&seen["offers"])
                        .find(|offer| offer["origin_record"] == lead.as_str())
                        .map(|offer| offer["share"].clone())
                })
            })
            .collect();
        let together = Barrier::new(partners.len());
        std::thread::scope(|scope| {
            for ((org, id), share) in partners.iter().zip(&offers) {
                let together = &together;
                scope.spawn(move || {
                    together.wait();
                    org.api.must("POST", "/v1/inbox/accept", &json!({ "connection": id, "shares": [share] }));
                });
            }
        });
        let ends: Vec<Json> = partners
            .iter()
            .zip(&offers)
            .map(|((org, id), share)| {
                let end = |api: &Api| {
                    api.until("the end", &format!("/v1/connections/{id}/shares"), |seen| {
                        let found = list(&seen["shares"]).find(|found| found["share"] == *share)?;
                        let ended = found["status"] == "active" || found["status"] == "taken";
                        ended.then(|| found.clone())
                    })
                };
                let there = end(&org.api);
                assert_eq!(
                    there["record"].is_string(),
                    there["status"] == "active",
                    "a loser has no copy: {there}"
                );
                assert_eq!(end(&origin.api)["status"], there["status"]);
                there["status"].clone()
            })
            .collect();
        assert_eq!(ends.iter().filter(|end| **end == "active").count(), 1, "{ends:?}");
    }
    stop_and_check(&mut origin);
    partners.into_iter().for_each(|(mut org, _)| stop_and_check(&mut org));
}

#[test]
fn a_second_daemon_on_one_data_directory_is_refused_and_harms_nothing() {
    let mut org = OrgProcess::make("acme");
    org.start("127.0.0.1:9");
    let lead = create(&org.api, &json!({ "LastName": "Curie", "Company": "Sorbonne" }));
    let second = org.second("127.0.0.1:9");
    assert_eq!(second.code, Some(5), "{}", second.said);
    assert!(second.said.contains("is open already"), "{}", second.said);
    assert!(second.said.contains("stop the daemon"), "{}", second.said);
    update(&org.api, &lead, &json!({ "City": "Paris" }));
    until_value(&org.api, &lead, "City", "Paris");
    stop_and_check(&mut org);
}
