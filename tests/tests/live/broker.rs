//! The broker away, gone in between, and without its memory: nothing is lost, nothing twice.

use tieline_core::command::Command;
use tieline_tests::live::{OrgHome, Pair, text};

#[tokio::test(flavor = "multi_thread")]
async fn an_org_takes_edits_without_a_broker() {
    let acme = OrgHome::make("acme");
    // Nothing listens on the discard port.
    let a = acme.start("127.0.0.1:9").await;
    let lead = a.create("Lead", &[("LastName", text("Curie")), ("Company", text("Sorbonne"))]).await;
    a.update(lead, &[("City", text("Paris"))]).await;
    a.until_value(lead, "City", &text("Paris")).await;
    assert!(!a.handle().broker().connected);
    a.daemon.stop().await;

    // A clean start finds everything again.
    let a = acme.start("127.0.0.1:9").await;
    a.until_value(lead, "City", &text("Paris")).await;
    a.daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_loses_its_storage_with_frames_in_flight_loses_nothing() {
    let mut pair = Pair::start().await;
    let (lead, copy) = pair.share_lead("Curie").await;
    for round in 0..3 {
        for i in 0..50 {
            pair.a.update(lead, &[("City", text(&format!("a {round} {i}")))]).await;
            pair.b.update(copy, &[("Website", text(&format!("https://b{round}-{i}.example")))]).await;
        }
        pair.broker.kill9();
        // Both go on without the broker.
        pair.a.update(lead, &[("City", text(&format!("offline {round}")))]).await;
        pair.b.update(copy, &[("Website", text(&format!("https://offline{round}.example")))]).await;
        pair.broker.wipe_storage().unwrap();
        pair.broker.restart().unwrap();
        pair.b.until_value(copy, "City", &text(&format!("offline {round}"))).await;
        pair.a.until_value(lead, "Website", &text(&format!("https://offline{round}.example"))).await;
    }
    pair.until_settled().await;
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ring_that_an_administrator_deletes_is_made_again() {
    let pair = Pair::start().await;
    let (lead, copy) = pair.share_lead("Curie").await;
    for i in 0..5 {
        pair.b.handle().delete_ring(pair.connection).await.unwrap();
        let city = text(&format!("city {i}"));
        pair.a
            .execute(Command::UpdateRecord {
                record: lead,
                values: [("City".parse().unwrap(), city.clone())].into_iter().collect(),
            })
            .await;
        pair.b.until_value(copy, "City", &city).await;
    }
    pair.until_settled().await;
    pair.stop().await;
}
