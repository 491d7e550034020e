//! The way of one record: offered, accepted, granted, followed, changed from both sides.

use tieline_core::AssignTo;
use tieline_core::command::{AutomationCommand, Command, SharingCommand};
use tieline_core::outcome::Outcome;
use tieline_core::owner_map::OwnerMap;
use tieline_core::publish::PublishRule;
use tieline_core::state::ShareStatus;
use tieline_tests::live::{OrgHome, connect, parse, pick, publish, subscribe, text};
use tieline_tests::nats::{Edition, NatsServer};

const FIELDS: [&str; 6] = ["LastName", "Company", "Status", "City", "Website", "Rating"];

#[tokio::test(flavor = "multi_thread")]
async fn a_lead_is_shared_and_both_sides_follow() {
    let (acme, globex) = (OrgHome::make("acme"), OrgHome::make("globex"));
    let broker = NatsServer::start(Edition::Pinned, vec![acme.access(), globex.access()]).unwrap().unwrap();
    let (a, b) = (acme.start(&broker.url()).await, globex.start(&broker.url()).await);
    let connection = connect(&a, &b).await;
    publish(&a, connection, "Lead", &FIELDS).await;
    subscribe(&b, connection, "Lead", &FIELDS, false).await;
    publish(&b, connection, "Lead", &FIELDS).await;
    subscribe(&a, connection, "Lead", &FIELDS, false).await;

    let fields = [
        ("LastName", text("Curie")),
        ("Company", text("Sorbonne")),
        ("City", text("Paris")),
        ("Rating", pick("Hot")),
    ];
    let lead = a.create("Lead", &fields).await;
    a.execute(Command::Forward { record: lead, connection }).await;
    let share = b
        .until("an offer", |state| {
            let connection = state.connections.get(&connection)?;
            connection.shares.iter().find(|(_, s)| s.status == ShareStatus::Offered).map(|(id, _)| *id)
        })
        .await;
    b.execute(Command::Accept { connection, share, owner: None }).await;
    let copy = b
        .until("a copy with its follow-up", |state| {
            let record = state.share(connection, share)?.record?;
            (*state.record(record)?.value(&"City".parse().unwrap()) == text("Paris")).then_some(record)
        })
        .await;

    a.update(lead, &[("City", text("Warsaw"))]).await;
    b.until_value(copy, "City", &text("Warsaw")).await;
    b.update(copy, &[("Website", text("https://curie.example"))]).await;
    a.until_value(lead, "Website", &text("https://curie.example")).await;

    // Every counted message has exactly one outcome, and both sides know it.
    let counted = b.handle().read(|state| state.connections[&connection].inbound.counts).await;
    assert!(counted.balanced() && counted.of(Outcome::Rejected) == 0, "{counted:?}");
    a.until("all outcomes told", |state| {
        let outbox = &state.connections[&connection].outbox;
        (outbox.outcomes.received == outbox.counted).then_some(())
    })
    .await;
    a.daemon.stop().await;
    b.daemon.stop().await;
}

/// Both orgs have the record already, as after moving in: nothing is created, and the later value
/// of each field wins on both sides.
#[tokio::test(flavor = "multi_thread")]
async fn an_offer_is_accepted_into_a_record_that_is_there() {
    let (acme, globex) = (OrgHome::make("acme"), OrgHome::make("globex"));
    let broker = NatsServer::start(Edition::Pinned, vec![acme.access(), globex.access()]).unwrap().unwrap();
    let (a, b) = (acme.start(&broker.url()).await, globex.start(&broker.url()).await);
    let connection = connect(&a, &b).await;
    for (from, to) in [(&a, &b), (&b, &a)] {
        publish(from, connection, "Lead", &FIELDS).await;
        subscribe(to, connection, "Lead", &FIELDS, false).await;
    }
    let named =
        |city: &str| [("LastName", text("Curie")), ("Company", text("Sorbonne")), ("City", text(city))];
    let theirs = b.create("Lead", &named("Paris")).await;
    let ours = a.create("Lead", &named("Warsaw")).await;
    b.update(theirs, &[("Website", text("https://curie.example"))]).await;
    let other = b.create("Account", &[("Name", text("Sorbonne"))]).await;

    a.execute(Command::Forward { record: ours, connection }).await;
    let share = b
        .until("an offer", |state| {
            let connection = state.connections.get(&connection)?;
            connection.shares.iter().find(|(_, s)| s.status == ShareStatus::Offered).map(|(id, _)| *id)
        })
        .await;
    let adopt = |record| Command::Adopt { connection, share, record };
    let refused = b.try_execute(adopt(other)).await.unwrap_err().to_string();
    assert!(refused.contains("is of Account, and Lead of acme becomes Lead here"), "{refused}");
    b.execute(adopt(theirs)).await;
    b.until("an active share", |state| {
        let share = state.share(connection, share)?;
        (share.status == ShareStatus::Active && share.record == Some(theirs)).then_some(())
    })
    .await;
    for org in [(&a, ours), (&b, theirs)] {
        let (org, record) = org;
        org.until_value(record, "City", &text("Warsaw")).await;
        org.until_value(record, "Website", &text("https://curie.example")).await;
    }
    b.update(theirs, &[("City", text("Sceaux"))]).await;
    a.until_value(ours, "City", &text("Sceaux")).await;
    let leads = b.handle().read(|state| state.records_of(&"Lead".parse().unwrap(), None).count()).await;
    assert_eq!(leads, 1, "nothing was created");

    // A record has one counterpart over a connection.
    let second = a.create("Lead", &named("Lyon")).await;
    a.execute(Command::Forward { record: second, connection }).await;
    let share = b
        .until("another offer", |state| {
            let connection = state.connections.get(&connection)?;
            connection.shares.iter().find(|(_, s)| s.status == ShareStatus::Offered).map(|(id, _)| *id)
        })
        .await;
    let refused = b.try_execute(Command::Adopt { connection, share, record: theirs }).await.unwrap_err();
    assert!(refused.to_string().contains("is shared with acme already"), "{refused}");
    a.daemon.stop().await;
    b.daemon.stop().await;
}

/// Owners travel once they are published, and are those of this org: as a copy is created, and as the
/// owner changes there.
#[tokio::test(flavor = "multi_thread")]
async fn the_owner_there_is_mapped_to_an_owner_here() {
    let (acme, globex) = (OrgHome::make("acme"), OrgHome::make("globex"));
    let broker = NatsServer::start(Edition::Pinned, vec![acme.access(), globex.access()]).unwrap().unwrap();
    let (a, b) = (acme.start(&broker.url()).await, globex.start(&broker.url()).await);
    let connection = connect(&a, &b).await;
    for (org, user) in [(&a, "bob"), (&a, "carl"), (&b, "eve"), (&b, "fay")] {
        let role = tieline_core::RoleName::administrator();
        org.execute(Command::AddUser { user: parse(user), email: None, role }).await;
    }
    let names = FIELDS.iter().map(|field| parse(field)).collect();
    let rule = Some(PublishRule::new(parse("Lead"), names, 0).with_owners(true));
    a.execute(Command::Publish { connection, object: parse("Lead"), rule }).await;
    subscribe(&b, connection, "Lead", &FIELDS, true).await;
    let owners = OwnerMap { users: [(parse("bob"), parse("eve"))].into(), default: Some(parse("fay")) };
    b.execute(Command::Sharing(SharingCommand::SetOwnerMap { connection, owners })).await;

    let lead = a.create("Lead", &[("LastName", text("Curie")), ("Company", text("Sorbonne"))]).await;
    let assign = |owner: &str| {
        let to = AssignTo::Owner(parse(owner));
        Command::Automation(AutomationCommand::Assign { record: lead, to })
    };
    a.execute(assign("bob")).await;
    a.execute(Command::Forward { record: lead, connection }).await;
    let owned = async |by: &'static str| {
        b.until(by, |state| {
            let (id, record) = state.records_of(&parse("Lead"), None).next()?;
            (record.owner == parse::<tieline_core::UserName>(by)).then_some(id)
        })
        .await
    };
    let copy = owned("eve").await;
    let created = b.handle().read(|state| state.record(copy).map(|record| record.created)).await;
    assert!(created.is_some());
    // Nobody stands in the table for carl: it goes to the default, and is counted.
    a.execute(assign("carl")).await;
    assert_eq!(owned("fay").await, copy);
    let counted = b.handle().read(|state| state.connections[&connection].unmapped_owners.len()).await;
    assert_eq!(counted, 1);
    a.execute(assign("bob")).await;
    assert_eq!(owned("eve").await, copy);
    a.daemon.stop().await;
    b.daemon.stop().await;
}
