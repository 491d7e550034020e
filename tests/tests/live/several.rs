//! Several orgs at once: one record, three acceptors; one field, two writers.

use tieline_core::ShareId;
use tieline_core::command::{Command, SharingCommand};
use tieline_core::sharing::Forwarding;
use tieline_core::state::ShareStatus;
use tieline_core::value::Value;
use tieline_tests::live::{OrgHome, Pair, connect, publish, subscribe, text};
use tieline_tests::nats::{Edition, NatsServer};

#[tokio::test(flavor = "multi_thread")]
async fn of_three_orgs_that_accept_at_once_one_gets_the_lead_and_the_others_are_told() {
    three_accept_at_once(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_three_orgs_that_accept_at_once_all_get_the_lead_if_it_is_offered_so() {
    three_accept_at_once(true).await;
}

async fn three_accept_at_once(many: bool) {
    let origin = OrgHome::make("acme");
    let homes: Vec<_> = ["b-org", "c-org", "d-org"].into_iter().map(OrgHome::make).collect();
    let orgs = std::iter::once(&origin).chain(&homes).map(OrgHome::access).collect();
    let broker = NatsServer::start(Edition::Pinned, orgs).unwrap().unwrap();
    let a = origin.start(&broker.url()).await;
    let mut partners = Vec::new();
    for home in &homes {
        let org = home.start(&broker.url()).await;
        let connection = connect(&a, &org).await;
        publish(&a, connection, "Lead", &["LastName", "Company"]).await;
        // They accept by themselves, so all three acceptances are on their way at once.
        subscribe(&org, connection, "Lead", &["LastName", "Company"], true).await;
        partners.push((org, connection));
    }
    for round in 0..5 {
        let lead =
            a.create("Lead", &[("LastName", text(&format!("Lead {round}"))), ("Company", text("X"))]).await;
        let how = Forwarding { many, ..Forwarding::default() };
        let forwards = partners.iter().map(|(_, connection)| {
            Command::Sharing(SharingCommand::Forward { record: lead, connection: *connection, how })
        });
        for result in
            a.handle().execute_batch(forwards.collect(), &tieline_tests::live::admin()).await.unwrap()
        {
            result.unwrap();
        }
        let mut ends = Vec::new();
        for (org, connection) in &partners {
            let share = ShareId::derive(*connection, &origin.name, lead);
            let ended = |state: &tieline_core::state::State| {
                let share = state.share(*connection, share)?;
                matches!(share.status, ShareStatus::Active | ShareStatus::Taken)
                    .then_some((share.status, share.record))
            };
            let (status, record) = org.until("active or taken", ended).await;
            assert_eq!(record.is_some(), status == ShareStatus::Active, "a loser has no copy");
            assert_eq!(a.until("the same at the origin", ended).await.0, status);
            ends.push(status);
        }
        let holders = ends.iter().filter(|status| **status == ShareStatus::Active).count();
        assert_eq!(holders, if many { 3 } else { 1 }, "{ends:?}");
    }
    for (org, _) in partners {
        org.daemon.stop().await;
    }
    a.daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_of_one_field_on_both_sides_at_once_end_the_same() {
    let pair = Pair::start().await;
    let (lead, copy) = pair.share_lead("Curie").await;
    for i in 0..50 {
        let (ours, theirs) = (text(&format!("a{i}")), text(&format!("b{i}")));
        let (from_a, from_b) = ([("City", ours)], [("City", theirs)]);
        tokio::join!(pair.a.update(lead, &from_a), pair.b.update(copy, &from_b));
    }
    pair.until_settled().await;
    let city: tieline_core::FieldName = "City".parse().unwrap();
    let at_a =
        pair.a.handle().read(|state| state.record(lead).unwrap().fields.get(&city).cloned()).await.unwrap();
    let at_b =
        pair.b.handle().read(|state| state.record(copy).unwrap().fields.get(&city).cloned()).await.unwrap();
    assert_ne!(at_a.value, Value::Null);
    assert_eq!((at_a.value, at_a.stamp.write()), (at_b.value, at_b.stamp.write()));
    pair.stop().await;
}
