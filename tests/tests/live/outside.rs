//! Mails and webhooks against a real SMTP server and a real listener.

use hmac::{Hmac, Mac};
use tieline_core::command::{Command, EffectCommand, NoticeCommand, Reply};
use tieline_core::notice::{NoticeHook, NoticeSettings};
use tieline_core::state::{FailedEffect, SentEffect};
use tieline_core::{ConnectionId, EffectId, Incarnation};
use tieline_daemon::config::{Config, MailTls};
use tieline_tests::live::{Org, OrgHome, admin, parse};
use tieline_tests::outside::{HookListener, SmtpServer};

/// A configuration with a mail server, that may reach this machine by webhook.
fn config(home: &OrgHome, smtp: Option<&SmtpServer>) -> Config {
    let mut config = home.config("127.0.0.1:1");
    if let Some(smtp) = smtp {
        config.mail.host = "127.0.0.1".to_owned();
        config.mail.port = smtp.port();
        config.mail.tls = MailTls::None;
        config.mail.from = "tieline@acme.example".to_owned();
    }
    config.webhook.allow_networks = "127.0.0.0/8".to_owned();
    config.outside.retry_after_ms = 50;
    config
}

async fn set_email(org: &Org, address: &str) {
    let email = Some(address.to_owned());
    org.execute(Command::ChangeUser { user: admin(), email, role: None, active: None }).await;
}

/// Something that the administrator is told: a partner accepts.
async fn accepted(org: &Org, partner: &str) -> ConnectionId {
    let expires = tieline_daemon::clock::now().plus_us(3_600_000_000);
    let invite = Command::Invite { secret_hash: [7; 32], expires, owner: None, label: String::new() };
    let Reply::Connection(connection) = org.execute(invite).await else { panic!("no connection") };
    let hello = Command::TakeHello {
        connection,
        from: parse(partner),
        accept: true,
        user: parse("gus"),
        public_key: [9; 32],
        incarnation: Incarnation(1),
        by: None,
    };
    org.execute(hello).await;
    connection
}

async fn until_failed(org: &Org) -> (EffectId, FailedEffect) {
    org.until("a failed effect", |state| {
        state.effects.failed().iter().next().map(|(id, failed)| (*id, failed.clone()))
    })
    .await
}

async fn until_sent(org: &Org) -> SentEffect {
    org.until("a sent effect", |state| state.effects.sent().back().cloned()).await
}

async fn by_webhook(org: &Org, url: &str, secret: Option<&str>) {
    let webhook = Some(NoticeHook { url: url.to_owned(), secret: secret.map(parse) });
    let settings = Some(NoticeSettings { mail: false, webhook, ..NoticeSettings::default() });
    org.execute(Command::Notice(NoticeCommand::Set { user: None, settings })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_reaches_its_user_by_mail() {
    let (smtp, home) = (SmtpServer::start(), OrgHome::make("acme"));
    let org = Org::serve(&config(&home, Some(&smtp))).await;
    set_email(&org, "admin@acme.example").await;
    accepted(&org, "globex").await;
    let mail = smtp.mail(|_| true).await;
    assert_eq!(mail["to"], serde_json::json!(["admin@acme.example"]));
    assert_eq!(mail["headers"]["From"], "Tieline of acme <tieline@acme.example>");
    assert_eq!(mail["headers"]["Subject"], "[acme] Connection accepted");
    assert!(mail["text"].as_str().unwrap().contains("globex accepted the connection"), "{mail}");
    let sent = until_sent(&org).await;
    assert_eq!(mail["headers"]["Message-ID"], format!("<{}@acme.example>", sent.id));
    assert_eq!((sent.attempts, sent.kind.as_str()), (1, "mail"));
    org.daemon.stop().await;
    assert_eq!(smtp.mails().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_waits_for_its_server_and_one_that_is_refused_fails() {
    let (mut smtp, home) = (SmtpServer::prepare(&[]), OrgHome::make("acme"));
    let config = config(&home, Some(&smtp));
    let org = Org::serve(&config).await;
    set_email(&org, "later@acme.example").await;
    accepted(&org, "globex").await;
    org.until("an open mail", |state| (!state.effects.open().is_empty()).then_some(())).await;
    // It survives a restart of the daemon, too.
    org.daemon.stop().await;
    let org = Org::serve(&config).await;
    smtp.restart();
    let mail = smtp.mail(|_| true).await;
    assert_eq!(mail["to"][0], "later@acme.example");
    assert!(until_sent(&org).await.attempts >= 2, "it was put off at least once");

    set_email(&org, "refused@acme.example").await;
    let settings = Some(NoticeSettings { digest_minutes: 1, ..NoticeSettings::default() });
    org.execute(Command::Notice(NoticeCommand::Set { user: None, settings })).await;
    // Another kind, so that it does not wait for the first.
    let connection = accepted(&org, "initech").await;
    org.execute(Command::Deactivate { connection, by_partner: true }).await;
    let (id, failed) = until_failed(&org).await;
    assert!(failed.error.contains("550") || failed.error.contains("no such user"), "{}", failed.error);
    assert_eq!(failed.attempts, 1, "a refusal for good is not tried again");
    org.execute(Command::Effect(EffectCommand::Retry { id })).await;
    until_failed(&org).await;
    org.daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_mail_server_a_mail_is_listed_as_failed() {
    let home = OrgHome::make("acme");
    let org = Org::serve(&config(&home, None)).await;
    set_email(&org, "admin@acme.example").await;
    accepted(&org, "globex").await;
    let (_, failed) = until_failed(&org).await;
    assert!(failed.error.contains("[mail]"), "{}", failed.error);
    org.daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_signed_and_repeated_under_the_same_id() {
    let (hooks, home) = (HookListener::start(), OrgHome::make("acme"));
    std::fs::write(home.path().join("keys/webhook.hooks.secret"), "0123456789abcdef\n").unwrap();
    let org = Org::serve(&config(&home, None)).await;
    by_webhook(&org, &hooks.url(), Some("hooks")).await;
    hooks.answer("503 Service Unavailable");
    accepted(&org, "globex").await;
    let requests = hooks.requests(2).await;
    assert_eq!(requests[0].line, "POST /hook?token=x HTTP/1.1");
    assert_eq!(requests[0].header("idempotency-key"), requests[1].header("idempotency-key"));
    let sent = until_sent(&org).await;
    assert_eq!((sent.id.to_string().as_str(), sent.attempts), (requests[0].header("idempotency-key"), 2));
    for request in &requests {
        assert_eq!(request.json()["notices"][0]["kind"], "connection_accepted");
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"0123456789abcdef").unwrap();
        let (time, id) = (request.header("tieline-timestamp"), request.header("idempotency-key"));
        mac.update(format!("{time}.{id}.{}", request.body).as_bytes());
        let signature = data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes());
        assert_eq!(request.header("tieline-signature"), format!("v1={signature}"));
    }
    org.daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_follow_no_redirect_and_stay_out_of_the_own_network() {
    let (hooks, home) = (HookListener::start(), OrgHome::make("acme"));
    let mut settings = config(&home, None);
    let org = Org::serve(&settings).await;
    by_webhook(&org, &hooks.url(), None).await;
    hooks.answer("302 Found\r\nLocation: http://127.0.0.1:1/");
    accepted(&org, "globex").await;
    let (id, failed) = until_failed(&org).await;
    assert!(failed.error.contains("redirects are not followed"), "{}", failed.error);
    org.execute(Command::Effect(EffectCommand::Drop { id })).await;
    org.daemon.stop().await;

    settings.webhook.allow_networks = String::new();
    let org = Org::serve(&settings).await;
    let connection = accepted(&org, "initech").await;
    org.execute(Command::Deactivate { connection, by_partner: true }).await;
    let (_, failed) = until_failed(&org).await;
    assert!(failed.error.contains("webhook.allow_networks"), "{}", failed.error);
    assert_eq!(hooks.posted().len(), 1, "nothing else came");
    org.daemon.stop().await;
}

/// Runs openssl in `dir`.
fn openssl(dir: &std::path::Path, arguments: &str) {
    let mut command = std::process::Command::new("openssl");
    command.current_dir(dir).args(arguments.split(' ')).stdin(std::process::Stdio::null());
    let output = command.output().expect("the openssl command is installed");
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An authority in `dir`, and a certificate of it for `names`: `NAME.pem` and `NAME.key`.
fn certified(dir: &std::path::Path, name: &str, names: &str) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout";
    if !dir.join("ca.pem").exists() {
        openssl(dir, &format!("req -x509 {key} ca.key -out ca.pem -subj /CN=Authority -days 2"));
    }
    openssl(dir, &format!("req -new {key} {name}.key -out {name}.csr -subj /CN=hooks"));
    std::fs::write(dir.join("names"), format!("subjectAltName = {names}\n")).unwrap();
    let sign = format!(
        "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out {name}.pem -days 2 -extfile names"
    );
    openssl(dir, &sign);
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_go_over_tls_to_a_certificate_that_is_trusted_or_not_at_all() {
    let (dir, home) = (tempfile::tempdir().unwrap(), OrgHome::make("acme"));
    certified(dir.path(), "right", "IP:127.0.0.1");
    certified(dir.path(), "wrong", "IP:127.0.0.2");
    let file = |name: &str| dir.path().join(name);
    let right = HookListener::start_tls(&file("right.pem"), &file("right.key"));
    let wrong = HookListener::start_tls(&file("wrong.pem"), &file("wrong.key"));
    let mut settings = config(&home, None);
    settings.outside.give_up_after_s = 1;

    // The authorities of the system do not vouch for this one.
    let org = Org::serve(&settings).await;
    by_webhook(&org, &right.url(), None).await;
    accepted(&org, "globex").await;
    let (id, failed) = until_failed(&org).await;
    assert!(
        failed.error.contains("certificate that is not accepted") && failed.error.contains("webhook.tls_ca"),
        "{}",
        failed.error
    );
    assert!(right.posted().is_empty(), "nothing was sent");
    org.daemon.stop().await;

    settings.webhook.tls_ca = file("ca.pem");
    let org = Org::serve(&settings).await;
    org.execute(Command::Effect(EffectCommand::Retry { id })).await;
    let requests = right.requests(1).await;
    assert_eq!(requests[0].json()["notices"][0]["kind"], "connection_accepted");
    until_sent(&org).await;

    // A certificate of the right authority for another name is no better.
    by_webhook(&org, &wrong.url(), None).await;
    let connection = accepted(&org, "initech").await;
    org.execute(Command::Deactivate { connection, by_partner: true }).await;
    let (_, failed) = until_failed(&org).await;
    assert!(failed.error.contains("certificate that is not accepted"), "{}", failed.error);
    assert!(wrong.posted().is_empty(), "nothing was sent");
    org.daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_go_over_tls_with_a_login_or_not_at_all() {
    let (dir, home) = (tempfile::tempdir().unwrap(), OrgHome::make("acme"));
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout";
    openssl(dir.path(), &format!("req -x509 {key} ca.key -out ca.pem -subj /CN=Authority -days 2"));
    openssl(dir.path(), &format!("req -new {key} mail.key -out mail.csr -subj /CN=mail"));
    std::fs::write(dir.path().join("names"), "subjectAltName = IP:127.0.0.1\n").unwrap();
    let sign = "x509 -req -in mail.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out mail.pem -days 2 -extfile names";
    openssl(dir.path(), sign);
    let file = |name: &str| dir.path().join(name).display().to_string();
    let smtp = SmtpServer::start_with(&[&file("mail.pem"), &file("mail.key"), "tieline", "swordfish"]);
    std::fs::write(dir.path().join("password"), "swordfish\n").unwrap();

    let mut settings = config(&home, Some(&smtp));
    settings.mail.tls = MailTls::Starttls;
    settings.mail.user = "tieline".to_owned();
    settings.mail.password_file = dir.path().join("password");
    settings.outside.give_up_after_s = 1;
    // The authorities of the system do not vouch for this server: nothing is handed to it.
    let org = Org::serve(&settings).await;
    set_email(&org, "admin@acme.example").await;
    accepted(&org, "globex").await;
    let (id, failed) = until_failed(&org).await;
    assert!(
        failed.error.contains("certificate") || failed.error.contains("UnknownIssuer"),
        "{}",
        failed.error
    );
    assert!(smtp.mails().is_empty());
    org.daemon.stop().await;

    settings.mail.tls_ca = dir.path().join("ca.pem");
    let org = Org::serve(&settings).await;
    org.execute(Command::Effect(EffectCommand::Retry { id })).await;
    let mail = smtp.mail(|_| true).await;
    assert_eq!((&mail["tls"], &mail["user"]), (&serde_json::json!(true), &serde_json::json!("tieline")));
    org.daemon.stop().await;
}
