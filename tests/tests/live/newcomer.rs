//! Somebody was invited and has no org: one is made, with the answer in its log before it runs (S2S-16).

use tieline_bus::OrgKeys;
use tieline_core::command::{Command, Reply};
use tieline_core::people::{Edition, OrgSettings};
use tieline_core::state::{ConnectionStatus, State};
use tieline_daemon::clock::now;
use tieline_daemon::config::Config;
use tieline_daemon::init::{NewOrg, create_seeded};
use tieline_daemon::keys_dir;
use tieline_daemon::seed::Seed;
use tieline_tests::live::{Org, OrgHome, admin};
use tieline_tests::nats::{self, NatsServer};

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_of_a_new_org_reaches_the_inviter() {
    let acme = OrgHome::make("acme");
    let home = tempfile::tempdir().unwrap();
    let keys = OrgKeys::generate("initech".parse().unwrap()).unwrap();
    keys.save(&keys_dir(home.path())).unwrap();
    let orgs = vec![acme.access(), keys.public().into()];
    let broker = NatsServer::start(nats::Edition::Pinned, orgs).unwrap().unwrap();
    let a = acme.start(&broker.url()).await;

    let (secret, secret_hash) = a.handle().new_secret().unwrap();
    let expires = now().plus_us(3_600_000_000);
    let invite = Command::Invite { secret_hash, expires, owner: None, label: String::new() };
    let Reply::Connection(connection) = a.execute(invite).await else { panic!("an invitation") };
    let url = a.handle().parse_url(&a.handle().invite_url(connection, secret, expires)).unwrap();
    let answer = Command::Answer {
        connection,
        inviter: url.inviter.clone(),
        public_key: url.inviter_public_key,
        secret_hash: *url.secret_hash().as_bytes(),
        expires,
        accept: true,
        owner: None,
        label: "who invited us".to_owned(),
    };
    let settings = OrgSettings { edition: Edition::Trial, ..OrgSettings::default() };
    let new = NewOrg { settings, ..NewOrg::new("initech".parse().unwrap(), admin()) };
    let seed = Seed { answer: Some(answer), ..Seed::default() };
    create_seeded(home.path(), new, "tl_test", seed).unwrap();
    let config = Config { data_dir: home.path().to_owned(), ..acme.config(&broker.url()) };
    let b = Org::serve(&config).await;

    let active = |state: &State| {
        let found = state.connections.get(&connection)?;
        (found.status == ConnectionStatus::Active).then(|| found.partner_owner.clone())
    };
    assert_eq!(a.until("active at the inviter", active).await, Some(admin()));
    b.until("active at the newcomer", active).await;
    a.daemon.stop().await;
    b.daemon.stop().await;
}
