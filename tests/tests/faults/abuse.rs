//! What belongs to another org, and invitations that are answered by everybody at once.

use std::collections::BTreeSet;
use std::thread;

use serde_json::{Value as Json, json};
use tieline_bus::ConnectionUrl;
use tieline_tests::pair::{Pair, broker_for, create, list, stop_and_check};
use tieline_tests::process::{Api, OrgProcess, connect_by_url};

/// Answers at the same moment, half of each of two orgs.
const ANSWERS: usize = 100;

#[test]
fn tokens_ids_and_shares_of_another_org_open_nothing() {
    let pair = Pair::start();
    let (lead, copy) = pair.share_lead("Curie");
    // Somebody who may do everything at home.
    pair.a.api.must("PUT", "/v1/roles/boss", &json!({ "modify_all_data": true }));
    pair.a.api.must("POST", "/v1/users", &json!({ "user": "eve", "role": "boss" }));
    let token =
        pair.a.api.must("POST", "/v1/users/eve/tokens", &json!({}))["token"].as_str().unwrap().to_owned();
    assert!(pair.a.api.with_token(&token).get("/v1/status").is_ok(), "the token is good at home");
    let away = pair.b.api.with_token(&token);

    let document: Json = serde_json::from_str(include_str!("../../../schemas/openapi.json")).unwrap();
    let mut asked = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        if ["/healthz", "/readyz", "/metrics"].contains(&path.as_str()) {
            continue;
        }
        let filled = path
            .replace("{c}", &pair.id)
            .replace("{object}", "Lead")
            .replace("{id}", &copy)
            .replace("{remote}", "Lead");
        // Whatever else is named: it is not looked at before the token.
        let filled = filled.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
        let filled = filled.collect::<Vec<_>>().join("/");
        for method in operations.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            let method = method.to_uppercase();
            let answer =
                if method == "GET" { away.get(&filled) } else { away.send(&method, &filled, &json!({})) };
            let problem = answer.expect_err(&filled);
            assert_eq!(problem.status, 401, "{method} {filled}: {problem:?}");
            asked += 1;
        }
    }
    assert!(asked > 40, "{asked} operations were asked");

    // Ids of another org are not there, whoever asks.
    for path in [format!("/v1/records/Lead/{lead}"), format!("/v1/records/Lead/{lead}/history")] {
        assert_eq!(pair.b.api.get(&path).unwrap_err().status, 404, "{path}");
    }
    let change = json!({ "fields": { "City": "Paris" } });
    assert_eq!(
        pair.b.api.send("PATCH", &format!("/v1/records/Lead/{lead}"), &change).unwrap_err().status,
        404
    );
    pair.finish();
}

fn answer(api: &Api, url: &str) -> bool {
    api.send("POST", "/v1/invitations/answer", &json!({ "url": url, "accept": true })).is_ok()
}

#[test]
fn of_a_hundred_answers_at_once_one_wins_and_a_guess_never_does() {
    let (mut a, mut b, mut c) =
        (OrgProcess::make("acme"), OrgProcess::make("globex"), OrgProcess::make("initech"));
    let mut broker = broker_for([&a.home, &b.home, &c.home]);
    broker.restart().unwrap();
    for org in [&mut a, &mut b, &mut c] {
        org.start(&broker.url());
    }
    let invitation = a.api.must("POST", "/v1/invitations", &json!({}));
    let (id, text) = (invitation["connection"].as_str().unwrap(), invitation["url"].as_str().unwrap());
    // A guess has everything but the secret.
    let url: ConnectionUrl = text.parse().unwrap();
    assert_eq!(url.connection.to_string(), id);
    let guessed = ConnectionUrl { secret: ConnectionUrl::new_secret().unwrap(), ..url }.to_string();
    let (_, secret) = text.split_once('#').unwrap();
    let (secret, _) = secret.split_once('.').unwrap();
    assert!(answer(&c.api, &guessed), "a guess looks like any other URL to whoever has it");

    // An org that answers again while its first answer is on its way says the same again.
    let taken: usize = thread::scope(|scope| {
        let tries: Vec<_> = (0..ANSWERS)
            .map(|n| {
                let api = if n % 2 == 0 { b.api.clone() } else { c.api.clone() };
                scope.spawn(move || usize::from(answer(&api, text)))
            })
            .collect();
        tries.into_iter().map(|tried| tried.join().unwrap()).sum()
    });
    assert!(taken >= ANSWERS / 2, "{taken} answers were taken");
    let path = format!("/v1/connections/{id}");
    let partner = a.api.until("a partner", &path, |seen| {
        (seen["summary"]["status"] == "active").then(|| seen["summary"]["partner"].clone())
    });
    // Whoever had guessed has used up its answer: the other org is the partner.
    assert_eq!(partner, "globex");
    b.api.until("an active connection", &path, |seen| (seen["summary"]["status"] == "active").then_some(()));
    let loser = c.api.get(&path).unwrap();
    assert_ne!(loser["summary"]["status"], "active", "{loser}");
    let connections = a.api.get("/v1/connections").unwrap();
    assert_eq!(list(&connections["connections"]).count(), 1, "{connections}");

    // The secret is nowhere but in the URL.
    for org in [&mut a, &mut b, &mut c] {
        assert!(!org.log().contains(secret), "the secret is in the words of {}", org.home.name);
        assert!(!tieline_tests::disk::holds(org.home.path(), secret), "on the disk of {}", org.home.name);
        stop_and_check(org);
    }
    assert!(!broker.log().contains(secret));
}

/// Invitations that stand at once, and orgs that all answer each of them.
const INVITATIONS: usize = 3;
const GUESTS: [&str; 4] = ["globex", "initech", "umbrella", "hooli"];

#[test]
fn invitations_that_many_daemons_accept_at_once_have_one_partner_each_and_the_others_are_told() {
    let mut inviter = OrgProcess::make("acme");
    let mut guests = GUESTS.map(OrgProcess::make);
    let mut broker = broker_for(std::iter::once(&inviter.home).chain(guests.iter().map(|guest| &guest.home)));
    broker.restart().unwrap();
    for org in std::iter::once(&mut inviter).chain(&mut guests) {
        org.start(&broker.url());
    }
    let invited: Vec<(String, String)> = (0..INVITATIONS)
        .map(|_| inviter.api.must("POST", "/v1/invitations", &json!({})))
        .map(|made| {
            (made["connection"].as_str().unwrap().to_owned(), made["url"].as_str().unwrap().to_owned())
        })
        .collect();
    // Whoever comes when another has been taken is refused at once; who was faster than that hears it later.
    let refused: BTreeSet<(String, String)> = thread::scope(|scope| {
        let tries: Vec<_> = guests
            .iter()
            .flat_map(|guest| invited.iter().map(move |one| (guest, one)))
            .map(|(guest, (id, url))| {
                scope.spawn(move || {
                    let body = json!({ "url": url, "accept": true });
                    let problem = guest.api.send("POST", "/v1/invitations/answer", &body).err()?;
                    assert_eq!(problem.body["code"], "used", "{}: {}", guest.home.name, problem.body);
                    Some((guest.home.name.to_string(), id.clone()))
                })
            })
            .collect();
        tries.into_iter().filter_map(|tried| tried.join().unwrap()).collect()
    });
    for (id, _) in &invited {
        let path = format!("/v1/connections/{id}");
        let mut partners = Vec::new();
        let refused = |guest: &&OrgProcess| refused.contains(&(guest.home.name.to_string(), id.clone()));
        for guest in guests.iter().filter(|guest| !refused(guest)) {
            let end = guest.api.until("an end", &path, |seen| match seen["summary"]["status"].as_str() {
                Some("active") => Some(None),
                Some("declined") => Some(seen["declined"].as_str().map(str::to_owned)),
                _ => None,
            });
            match end {
                None => partners.push(guest.home.name.clone()),
                Some(why) => assert_eq!(why, "used", "{}", guest.home.name),
            }
        }
        let known = inviter.api.get(&path).unwrap()["summary"]["partner"].as_str().unwrap().to_owned();
        assert_eq!(partners.len(), 1, "{partners:?}");
        assert_eq!(partners[0].to_string(), known);
    }
    for org in std::iter::once(&mut inviter).chain(&mut guests) {
        stop_and_check(org);
    }
}

#[test]
fn a_connection_that_is_revoked_under_load_is_cut_and_nothing_comes_after() {
    let pair = Pair::connected();
    tieline_tests::pair::share_leads(&pair.a.api, &pair.b.api, &pair.id, true);
    let (lead, copy) = pair.share_lead("Curie");
    let (api, id) = (pair.a.api.clone(), lead);
    let load = tieline_tests::load::Load::start((), move |(), round| {
        tieline_tests::pair::update(&api, &id, &json!({ "City": format!("City {round}") }));
        true
    });
    load.wait_for(10);
    let begun = std::time::Instant::now();
    pair.a.api.must("POST", &format!("/v1/connections/{}/deactivate", pair.id), &Json::Null);
    pair.b.api.until("the end", &format!("/v1/connections/{}", pair.id), |seen| {
        (seen["summary"]["status"] == "deactivated").then_some(())
    });
    let took = begun.elapsed();
    assert!(took < std::time::Duration::from_secs(5), "{took:?}");
    let path = format!("/v1/records/Lead/{copy}");
    let city = pair.b.api.get(&path).unwrap()["fields"]["City"].clone();
    load.wait_for(20);
    load.finish();
    assert_eq!(pair.b.api.get(&path).unwrap()["fields"]["City"], city, "a change came after the end");
    // A connection anew works.
    let (again, _) = connect_by_url(&pair.a.api, &pair.b.api);
    tieline_tests::pair::share_leads(&pair.a.api, &pair.b.api, &again, true);
    let other = create(&pair.a.api, &json!({ "LastName": "Meitner", "Company": "KWI" }));
    tieline_tests::pair::forward(&pair.a.api, &again, &other);
    pair.b.api.until("the other lead", "/v1/records/Lead?LastName=Meitner", |seen| {
        seen["records"][0]["id"].as_str().map(drop)
    });
    pair.finish();
}
