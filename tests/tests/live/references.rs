//! References between shared records, in real daemons: accounts and contacts in both orders, and
//! through an org in the middle.

use tieline_core::ShareId;
use tieline_core::command::Command;
use tieline_core::state::ShareStatus;
use tieline_core::value::Value;
use tieline_core::{ConnectionId, RecordId};
use tieline_tests::live::{Org, OrgHome, connect, publish, subscribe, text};
use tieline_tests::nats::{Edition, NatsServer};

const ACCOUNT: [&str; 2] = ["Name", "ParentId"];
const CONTACT: [&str; 3] = ["LastName", "AccountId", "ReportsToId"];

async fn agree(a: &Org, b: &Org, auto_accept: bool) -> ConnectionId {
    let connection = connect(a, b).await;
    for (from, to) in [(a, b), (b, a)] {
        publish(from, connection, "Account", &ACCOUNT).await;
        publish(from, connection, "Contact", &CONTACT).await;
        subscribe(to, connection, "Account", &ACCOUNT, auto_accept).await;
        subscribe(to, connection, "Contact", &CONTACT, auto_accept).await;
    }
    for org in [a, b] {
        org.until("the partner's subscriptions", |state| {
            (state.connections.get(&connection)?.taken.len() == 2).then_some(())
        })
        .await;
    }
    connection
}

async fn forward(org: &Org, connection: ConnectionId, record: RecordId) {
    org.execute(Command::Forward { record, connection }).await;
}

/// Accepts the offer of a share, once it is there; the copy.
async fn accept(org: &Org, connection: ConnectionId, share: ShareId) -> RecordId {
    org.until("an offer", |state| {
        (state.share(connection, share)?.status == ShareStatus::Offered).then_some(())
    })
    .await;
    org.execute(Command::Accept { connection, share, owner: None }).await;
    copy(org, connection, share).await
}

async fn copy(org: &Org, connection: ConnectionId, share: ShareId) -> RecordId {
    let active = |state: &tieline_core::state::State| {
        state.share(connection, share).filter(|share| share.status == ShareStatus::Active)?.record
    };
    org.until("a copy", active).await
}

#[tokio::test(flavor = "multi_thread")]
async fn contacts_find_their_accounts_in_both_orders() {
    let (acme, globex) = (OrgHome::make("acme"), OrgHome::make("globex"));
    let broker = NatsServer::start(Edition::Pinned, vec![acme.access(), globex.access()]).unwrap().unwrap();
    let (a, b) = (acme.start(&broker.url()).await, globex.start(&broker.url()).await);
    let connection = agree(&a, &b, false).await;
    for account_first in [true, false] {
        let account = a.create("Account", &[("Name", text("Sorbonne"))]).await;
        let fields = [("LastName", text("Curie")), ("AccountId", Value::Reference(account))];
        let contact = a.create("Contact", &fields).await;
        a.update(contact, &[("ReportsToId", Value::Reference(contact))]).await;
        forward(&a, connection, account).await;
        forward(&a, connection, contact).await;
        let [of_account, of_contact] =
            [account, contact].map(|record| ShareId::derive(connection, &acme.name, record));
        let (its_account, its_contact) = if account_first {
            let account = accept(&b, connection, of_account).await;
            (account, accept(&b, connection, of_contact).await)
        } else {
            let contact = accept(&b, connection, of_contact).await;
            (accept(&b, connection, of_account).await, contact)
        };
        b.until_value(its_contact, "AccountId", &Value::Reference(its_account)).await;
        b.until_value(its_contact, "ReportsToId", &Value::Reference(its_contact)).await;
        // Nothing echoes, and the partner's edit comes back as ours.
        b.update(its_account, &[("ParentId", Value::Reference(its_account))]).await;
        a.until_value(account, "ParentId", &Value::Reference(account)).await;
        b.update(its_contact, &[("AccountId", Value::Null)]).await;
        a.until_value(contact, "AccountId", &Value::Null).await;
    }
    a.daemon.stop().await;
    b.daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_circle_of_references_goes_through_three_orgs() {
    let homes = ["acme", "globex", "initech"].map(OrgHome::make);
    let access = homes.iter().map(OrgHome::access).collect();
    let broker = NatsServer::start(Edition::Pinned, access).unwrap().unwrap();
    let [acme, globex, initech] = &homes;
    let a = acme.start(&broker.url()).await;
    let b = globex.start(&broker.url()).await;
    let c = initech.start(&broker.url()).await;
    let first = agree(&a, &b, true).await;
    let second = agree(&b, &c, true).await;
    let one = a.create("Account", &[("Name", text("One"))]).await;
    let two = a.create("Account", &[("Name", text("Two")), ("ParentId", Value::Reference(one))]).await;
    a.update(one, &[("ParentId", Value::Reference(two))]).await;
    let mut far = Vec::new();
    for record in [one, two] {
        forward(&a, first, record).await;
        let middle = copy(&b, first, ShareId::derive(first, &acme.name, record)).await;
        forward(&b, second, middle).await;
        far.push(copy(&c, second, ShareId::derive(second, &globex.name, middle)).await);
    }
    c.until_value(far[0], "ParentId", &Value::Reference(far[1])).await;
    c.until_value(far[1], "ParentId", &Value::Reference(far[0])).await;
    c.update(far[0], &[("ParentId", Value::Reference(far[0]))]).await;
    a.until_value(one, "ParentId", &Value::Reference(one)).await;
    for org in [a, b, c] {
        org.daemon.stop().await;
    }
}
