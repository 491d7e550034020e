//! Invitations by mail between real daemons: preview, mail, look, later, accept, and what is refused.

use serde_json::{Value as Json, json};
use tieline_daemon::config::MailTls;
use tieline_tests::live::{Org, OrgHome};
use tieline_tests::nats::{Edition, NatsServer};
use tieline_tests::outside::SmtpServer;
use tieline_tests::process::Api;

/// A daemon with a mail server, and its API.
async fn serve(home: &OrgHome, broker: &str, smtp: &SmtpServer) -> (Org, Api) {
    let mut config = home.config(broker);
    config.mail.host = "127.0.0.1".to_owned();
    config.mail.port = smtp.port();
    config.mail.tls = MailTls::None;
    config.mail.from = format!("tieline@{}.example", home.name);
    config.outside.retry_after_ms = 50;
    let org = Org::serve(&config).await;
    let api = Api::new(&org.daemon.address().to_string());
    (org, api)
}

/// The API is asked by threads that may wait.
fn ask<T>(ask: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(ask)
}

fn contact(api: &Api, name: &str, email: &str) -> String {
    let fields = json!({ "FirstName": "Pat", "LastName": name, "Email": email });
    let answer = ask(|| api.must("POST", "/v1/records/Contact", &json!({ "fields": fields })));
    answer["id"].as_str().unwrap().to_owned()
}

fn invite(api: &Api, body: &Json) -> Json {
    ask(|| api.must("POST", "/v1/invitations/contacts", body))
}

fn url_in(mail: &Json) -> String {
    let text = mail["text"].as_str().unwrap();
    text.split_whitespace()
        .find(|word| word.starts_with("tieline://"))
        .unwrap_or_else(|| panic!("{text}"))
        .to_owned()
}

/// The answer at `path`, once `look` finds something in it.
fn until<T>(api: &Api, path: &str, look: impl Fn(&Json) -> Option<T>) -> T {
    ask(|| api.until(path, path, look))
}

/// The code with which the acceptance of an invitation is refused.
fn refused(api: &Api, url: &str) -> String {
    let body = json!({ "url": url, "accept": true });
    let problem = ask(|| api.send("POST", "/v1/invitations/answer", &body)).unwrap_err();
    problem.body["code"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invited_contact_looks_decides_later_and_accepts() {
    let smtp = SmtpServer::start();
    let homes = ["acme", "globex", "initech"].map(OrgHome::make);
    let orgs = homes.iter().map(OrgHome::access).collect();
    let broker = NatsServer::start(Edition::Pinned, orgs).unwrap().unwrap();
    let (a, acme) = serve(&homes[0], &broker.url(), &smtp).await;
    let (b, globex) = serve(&homes[1], &broker.url(), &smtp).await;
    let (c, initech) = serve(&homes[2], &broker.url(), &smtp).await;
    let pat = contact(&acme, "Ng", "pat@globex.example");
    let holding = json!({ "fields": { "Name": "Holding of the Far East" } });
    let holding = ask(|| acme.must("POST", "/v1/records/Account", &holding))["id"].clone();
    let of_account = json!({ "fields": { "AccountId": holding } });
    ask(|| acme.must("PATCH", &format!("/v1/records/Contact/{pat}"), &of_account));

    let preview = invite(&acme, &json!({ "contacts": { "ids": [pat] }, "preview": true }));
    let shown = preview["results"][0]["mail"]["text"].as_str().unwrap();
    assert!(shown.contains("Dear Pat Ng") && shown.contains("{{connection_url}}"), "{shown}");
    let answer = invite(&acme, &json!({ "contacts": { "ids": [pat] } }));
    assert_eq!((answer["done"].as_u64(), answer["failed"].as_u64()), (Some(1), Some(0)), "{answer}");
    let connection = answer["results"][0]["connection"].as_str().unwrap().to_owned();
    let mail = smtp.mail(|_| true).await;
    assert_eq!((&mail["to"][0], smtp.mails().len()), (&json!("pat@globex.example"), 1));
    assert_eq!(mail["headers"]["From"], "admin of acme <tieline@acme.example>");
    let url = url_in(&mail);
    let secret = url.split('#').nth(1).unwrap().split('.').next().unwrap().to_owned();

    // Whoever is invited sees who sent it, and uses nothing up by that.
    let looked = ask(|| globex.must("POST", "/v1/invitations/inspect", &json!({ "url": url })));
    assert_eq!((&looked["verified"], &looked["open"]), (&json!(true), &json!(true)), "{looked}");
    assert_eq!((&looked["sender"], &looked["contact"]), (&json!("admin"), &json!("Pat Ng")));
    ask(|| globex.must("POST", "/v1/invitations/later", &json!({ "url": url })));
    let path = format!("/v1/connections/{connection}");
    let told = until(&acme, &path, |seen| seen["summary"]["postponed_by"].as_str().map(str::to_owned));
    assert_eq!(told, "admin of globex");
    let waiting = ask(|| globex.get("/v1/connections?status=postponed")).unwrap();
    assert_eq!(waiting["connections"][0]["partner"], "acme", "{waiting}");

    // By its id, without the URL.
    ask(|| globex.must("POST", "/v1/invitations/answer", &json!({ "url": connection, "accept": true })));
    until(&acme, &path, |seen| (seen["summary"]["status"] == "active").then_some(()));
    let listed =
        ask(|| acme.get("/v1/connections?contact=pat@globex.example&side=inviter&status=active")).unwrap();
    let seen = &listed["connections"][0];
    assert_eq!((&seen["answered_by"], &seen["partner"]), (&json!("admin"), &json!("globex")), "{seen}");
    assert!(seen["answered"].is_string() && seen["postponed_by"].is_null(), "{seen}");
    assert_eq!(ask(|| acme.get("/v1/connections?status=pending")).unwrap()["connections"], json!([]));
    // The report knows the account by the invitation, whatever the partner is called.
    let report = ask(|| acme.get("/v1/reports/connections-with-accounts/run")).unwrap();
    let cell = |name: &str| {
        let at = report["columns"].as_array().unwrap().iter().position(|column| column == name).unwrap();
        report["rows"][0][at].clone()
    };
    assert_eq!((cell("record.id"), cell("connection.partner")), (holding, json!("globex")), "{report}");
    assert_eq!(
        (cell("connection.contact"), cell("connection.matched_by")),
        (json!("Pat Ng"), json!("invitation"))
    );
    let notices = ask(|| acme.get("/v1/notices")).unwrap();
    let kinds: Vec<_> = notices["notices"].as_array().unwrap().iter().map(|notice| &notice["kind"]).collect();
    assert_eq!(kinds, ["connection_accepted", "connection_postponed"]);

    // It is used up: another org that holds it learns so, and no more.
    let looked = ask(|| initech.must("POST", "/v1/invitations/inspect", &json!({ "url": url })));
    assert_eq!((&looked["open"], &looked["closed"]), (&json!(false), &json!("used")), "{looked}");
    assert!(looked["contact"].is_null(), "{looked}");
    for org in [&initech, &globex] {
        assert_eq!(refused(org, &url), "used");
    }

    // The secret stands in the mail and nowhere else.
    for org in [&acme, &globex] {
        let log = ask(|| org.get("/v1/log?limit=1000")).unwrap().to_string();
        let effects = ask(|| org.get("/v1/effects")).unwrap().to_string();
        assert!(!log.contains(&secret) && !effects.contains(&secret));
    }
    for org in [a, b, c] {
        org.daemon.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_invitation_is_refused_as_such() {
    let smtp = SmtpServer::start();
    let homes = ["acme", "globex"].map(OrgHome::make);
    let orgs = homes.iter().map(OrgHome::access).collect();
    let broker = NatsServer::start(Edition::Pinned, orgs).unwrap().unwrap();
    let (a, acme) = serve(&homes[0], &broker.url(), &smtp).await;
    let (b, globex) = serve(&homes[1], &broker.url(), &smtp).await;
    let pat = contact(&acme, "Ng", "pat@globex.example");
    let answer = invite(&acme, &json!({ "contacts": { "ids": [pat] }, "label": "Globex" }));
    let connection = answer["results"][0]["connection"].as_str().unwrap().to_owned();
    let url = url_in(&smtp.mail(|_| true).await);
    ask(|| acme.must("POST", &format!("/v1/connections/{connection}/revoke"), &json!({})));
    let looked = ask(|| globex.must("POST", "/v1/invitations/inspect", &json!({ "url": url })));
    assert_eq!((&looked["verified"], &looked["closed"]), (&json!(true), &json!("revoked")), "{looked}");
    assert_eq!(refused(&globex, &url), "revoked");
    for org in [a, b] {
        org.daemon.stop().await;
    }
}

/// S2S-08: a template of one's own, in text and HTML, is mailed with its fields; the usual one where none is
/// named; and one without the connection URL is refused.
#[tokio::test(flavor = "multi_thread")]
async fn invitations_are_mailed_by_templates_in_text_and_html() {
    let (smtp, home) = (SmtpServer::start(), OrgHome::make("acme"));
    let (org, api) = serve(&home, "127.0.0.1:1", &smtp).await;
    let template = |text: &str, html: &str| json!({ "purpose": "invitation", "subject": "{{org}} & you", "text": text, "html": html });
    let set = |template: &Json| ask(|| api.send("PUT", "/v1/mail-templates/branded", template));
    for (text, html) in
        [("Hello", "<a href=\"{{connection_url}}\">x</a>"), ("{{connection_url}}", "<p>x</p>")]
    {
        assert_eq!(
            set(&template(text, html)).unwrap_err().body["code"],
            "bad_mail_template",
            "{text} {html}"
        );
    }
    let text = "{{sender}} of {{org}} invites {{contact}}: {{connection_url}}";
    let html = "<b>{{contact}}</b> <a href=\"{{connection_url}}\">{{org}}</a>";
    set(&template(text, html)).unwrap();
    let (ng, ray) = (contact(&api, "O'Ng", "ng@x.example"), contact(&api, "Ray", "ray@x.example"));
    invite(&api, &json!({ "contacts": { "ids": [ng] }, "mail_template": "branded" }));
    invite(&api, &json!({ "contacts": { "ids": [ray] } }));
    let mail = smtp.mail(|mail| mail["to"][0] == "ng@x.example").await;
    let url = url_in(&mail);
    assert_eq!(mail["headers"]["Subject"], "acme & you");
    assert_eq!(mail["headers"]["From"], "admin of acme <tieline@acme.example>");
    assert_eq!(mail["text"].as_str().unwrap().trim(), format!("admin of acme invites Pat O'Ng: {url}"));
    let html = mail["html"].as_str().unwrap();
    let escaped = url.replace('&', "&amp;");
    assert!(
        html.contains(&format!("<a href=\"{escaped}\">acme</a>")) && html.contains("Pat O&#39;Ng"),
        "{html}"
    );
    // The usual one names sender and org, too, and has the URL.
    let usual = smtp.mail(|mail| mail["to"][0] == "ray@x.example").await;
    let text = usual["text"].as_str().unwrap();
    assert!(
        text.contains("Dear Pat Ray") && text.contains(&url_in(&usual)) && text.contains("acme"),
        "{text}"
    );
    org.daemon.stop().await;
}

/// A saved invitation is changed part by part, and what it cannot be is refused.
fn amended(api: &Api, draft: &str, contacts: &[String]) {
    let path = format!("/v1/invitations/saved/{draft}");
    let mail =
        json!({ "purpose": "invitation", "subject": "Come to {{label}}", "text": "{{connection_url}}" });
    ask(|| api.must("PUT", "/v1/mail-templates/branded", &mail));
    let change =
        json!({ "contact": contacts[0], "label": "Initech", "mail_template": "branded", "owner": "admin" });
    let changed = ask(|| api.must("PATCH", &path, &change));
    assert_eq!(
        (&changed["email"], &changed["owner"]),
        (&json!("ng@x.example"), &json!("admin")),
        "{changed}"
    );
    let change = json!({ "contact": contacts[2], "label": "Globex", "owner": null, "expires_in_s": 3600 });
    ask(|| api.must("PATCH", &path, &change));
    let shown = ask(|| api.get(&path)).unwrap();
    for (field, value) in [
        ("email", json!("ray@x.example")),
        ("label", json!("Globex")),
        ("mail_template", json!("branded")),
        ("owner", Json::Null),
        ("expires_in_s", json!(3600)),
    ] {
        assert_eq!(shown[field], value, "{field}: {shown}");
    }
    for (change, code) in [
        (json!({ "contact": contacts[1] }), "no_address"),
        (json!({ "mail_template": "none" }), "unknown_mail_template"),
        (json!({ "expires_in_s": 1 }), "bad_body"),
        (json!({ "colour": 1 }), "unknown_key"),
    ] {
        let refused = ask(|| api.send("PATCH", &path, &change)).unwrap_err();
        assert_eq!(refused.body["code"], code, "{change}");
    }
    assert_eq!(ask(|| api.get(&path)).unwrap(), shown, "nothing of what was refused is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_invited_each_for_itself() {
    let (smtp, home) = (SmtpServer::start(), OrgHome::make("acme"));
    let (org, api) = serve(&home, "127.0.0.1:1", &smtp).await;
    let ids: Vec<String> =
        [("Ng", "ng@x.example"), ("Low", ""), ("Ray", "ray@x.example"), ("Fox", "refused@x.example")]
            .map(|(name, email)| contact(&api, name, email))
            .into();
    // A contact without an address is not offered.
    let offered = ask(|| api.get("/v1/invitations/contacts")).unwrap();
    assert_eq!(offered["contacts"].as_array().unwrap().len(), 3, "{offered}");
    let saved = invite(&api, &json!({ "contacts": { "ids": [ids[2]] }, "save": true }));
    let draft = saved["results"][0]["connection"].as_str().unwrap().to_owned();
    let used = ask(|| api.get("/v1/connections")).unwrap();
    assert_eq!(
        (&used["licences"]["used"], &used["connections"][0]["status"]),
        (&json!(0), &json!("saved")),
        "{used}"
    );

    let answer = invite(&api, &json!({ "contacts": { "ids": [ids[0], ids[1], ids[3], ids[0]] } }));
    let codes: Vec<_> = answer["results"].as_array().unwrap().iter().map(|row| row["code"].clone()).collect();
    assert_eq!(codes, [Json::Null, json!("no_address"), Json::Null], "{answer}");
    let again =
        invite(&api, &json!({ "contacts": { "condition": "LastName == 'Ng' || LastName == 'Low'" } }));
    assert_eq!(again["results"].as_array().unwrap().len(), 1, "{again}");
    assert_eq!(again["results"][0]["code"], "already_invited");
    let view = json!({ "object": "Contact", "filter": "LastName == 'Ng' || LastName == 'Ray'" });
    ask(|| api.must("PUT", "/v1/views/partners", &view));
    let shown = invite(&api, &json!({ "contacts": { "view": "partners" }, "preview": true }));
    assert_eq!(shown["results"].as_array().unwrap().len(), 2, "{shown}");
    amended(&api, &draft, &ids);
    ask(|| api.must("POST", &format!("/v1/invitations/saved/{draft}/send"), &json!({})));
    let sent = smtp.mail(|mail| mail["to"][0] == "ray@x.example").await;
    assert_eq!(sent["headers"]["Subject"], "Come to Globex", "the template that it was given");
    smtp.mail(|mail| mail["to"][0] == "ng@x.example").await;
    // What cannot be delivered is told to whoever invited.
    let failed = until(&api, "/v1/notices", |seen| {
        seen["notices"].as_array()?.iter().find(|notice| notice["kind"] == "effect_failed").cloned()
    });
    assert!(failed["text"].as_str().unwrap().contains("refused@x.example"), "{failed}");
    let used = ask(|| api.get("/v1/connections?status=pending")).unwrap();
    assert_eq!((&used["licences"]["used"], used["connections"].as_array().unwrap().len()), (&json!(3), 3));
    org.daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn contacts_are_asked_and_the_directory_lists_who_agreed() {
    let (smtp, home) = (SmtpServer::start(), OrgHome::make("acme"));
    let (org, api) = serve(&home, "127.0.0.1:1", &smtp).await;
    let ids: Vec<String> = [("Ng", "ng@x.example"), ("Ray", "ray@x.example")]
        .map(|(name, email)| contact(&api, name, email))
        .into();
    let asked = ask(|| api.must("POST", "/v1/finder", &json!({ "contacts": { "ids": ids } })));
    assert_eq!(asked["done"], 2, "{asked}");
    let mail = smtp.mail(|mail| mail["to"][0] == "ng@x.example").await;
    let list = ask(|| api.get("/v1/finder")).unwrap();
    let code = |email: &str| {
        let mut all = list["inquiries"].as_array().unwrap().iter();
        all.find(|inquiry| inquiry["email"] == email).unwrap()["id"].as_str().unwrap().to_owned()
    };
    assert!(mail["text"].as_str().unwrap().contains(&code("ng@x.example")), "{mail}");
    for (email, org, listed) in [("ng@x.example", "globex", true), ("ray@x.example", "initech", false)] {
        let body = json!({ "answer": "yes", "org": org, "listed": listed });
        ask(|| api.must("POST", &format!("/v1/finder/{}/answer", code(email)), &body));
    }
    let directory = ask(|| api.get("/v1/directory")).unwrap();
    let names: Vec<_> = directory["orgs"].as_array().unwrap().iter().map(|org| &org["org"]).collect();
    assert_eq!(names, ["globex"], "{directory}");
    let again = ask(|| api.must("POST", "/v1/finder", &json!({ "contacts": { "ids": [ids[0]] } })));
    assert_eq!(again["results"][0]["code"], "already_asked");
    org.daemon.stop().await;
}
