//! Keys that are changed while records flow, on both sides, with restarts and restores in between.

use std::time::Instant;

use tieline_core::state::State;
use tieline_core::{ConnectionId, RecordId};
use tieline_daemon::clock::now;
use tieline_tests::live::{Org, PATIENCE, Pair, admin, text};

/// The number of the key that an org seals with.
fn number(state: &State, id: ConnectionId) -> u32 {
    state.connections[&id].own_keys.number()
}

async fn until_key(org: &Org, id: ConnectionId, expected: u32) {
    org.until(&format!("key {expected} in use"), |state| (number(state, id) == expected).then_some(())).await;
}

async fn rotate(org: &Org, id: ConnectionId) {
    org.handle().rotate_key(id, &admin()).await.unwrap();
}

/// Writes at the first org until `done`, so that keys change under a stream of edits.
async fn write_until(pair: &Pair, lead: RecordId, done: impl Future<Output = ()>) {
    let mut done = std::pin::pin!(done);
    for count in 0.. {
        let city = [("City", text(&format!("city {count}")))];
        tokio::select! {
            () = &mut done => return,
            () = pair.a.update(lead, &city) => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_change_on_both_sides_under_a_stream_of_edits() {
    let mut pair = Pair::start().await;
    let id = pair.connection;
    let (lead, copy) = pair.share_lead("Curie").await;
    let first = pair.b.handle().read(|state| state.connections[&id].partner_key).await;
    for round in 1..=2 {
        let changed = async {
            rotate(&pair.a, id).await;
            rotate(&pair.b, id).await;
            until_key(&pair.a, id, round).await;
            until_key(&pair.b, id, round).await;
        };
        write_until(&pair, lead, changed).await;
        let city = text(&format!("after {round}"));
        pair.a.update(lead, &[("City", city.clone())]).await;
        pair.b.until_value(copy, "City", &city).await;
        pair.until_settled().await;
        // What was in use before a stop is in use after the start.
        let Pair { broker, acme, globex, a, b, connection } = pair;
        a.daemon.stop().await;
        b.daemon.stop().await;
        let (a, b) = (acme.start(&broker.url()).await, globex.start(&broker.url()).await);
        pair = Pair { broker, acme, globex, a, b, connection };
        pair.b.update(copy, &[("City", text("back"))]).await;
        pair.a.until_value(lead, "City", &text("back")).await;
    }
    let (partner, former) = pair
        .b
        .handle()
        .read(|state| {
            let connection = &state.connections[&id];
            (connection.partner_key, connection.former_partner_key)
        })
        .await;
    assert_ne!(partner, first);
    assert!(former.unwrap().at(now()).is_some());
    // Of the secrets, those of the present and the former key are left.
    for (home, org) in [(&pair.acme, &pair.a), (&pair.globex, &pair.b)] {
        let keys = tieline_bus::ConnectionKeys::in_dir(tieline_daemon::keys_dir(home.path()));
        assert_eq!(keys.load(id).unwrap().into_keys().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(org.handle().read(|state| number(state, id)).await, 2);
    }
    pair.until_settled().await;
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_put_back_to_before_the_change_finds_its_key_beside_it() {
    let pair = Pair::start().await;
    let id = pair.connection;
    let (lead, copy) = pair.share_lead("Curie").await;
    pair.until_settled().await;
    let Pair { broker, acme, globex, a, b, connection } = pair;
    a.daemon.stop().await;
    let backup = acme.backup();
    let a = acme.start(&broker.url()).await;
    rotate(&a, id).await;
    until_key(&a, id, 1).await;
    a.update(lead, &[("City", text("Warsaw"))]).await;
    b.until_value(copy, "City", &text("Warsaw")).await;
    a.daemon.stop().await;

    // The log of then, and the keys of now.
    let keys = tempfile::tempdir().unwrap();
    let kept = keys.path().join("keys");
    tieline_tests::live::copy_dir(&tieline_daemon::keys_dir(acme.path()), &kept);
    acme.restore(backup.path());
    std::fs::remove_dir_all(tieline_daemon::keys_dir(acme.path())).unwrap();
    tieline_tests::live::copy_dir(&kept, &tieline_daemon::keys_dir(acme.path()));
    let pair = Pair { a: acme.start(&broker.url()).await, broker, acme, globex, b, connection };
    until_key(&pair.a, id, 1).await;
    pair.a.until_value(lead, "City", &text("Warsaw")).await;
    pair.b.update(copy, &[("City", text("Paris"))]).await;
    pair.a.until_value(lead, "City", &text("Paris")).await;
    pair.until_settled().await;
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_put_back_to_before_the_change_is_told_again() {
    let pair = Pair::start().await;
    let id = pair.connection;
    let (lead, copy) = pair.share_lead("Curie").await;
    pair.until_settled().await;
    let Pair { broker, acme, globex, a, b, connection } = pair;
    b.daemon.stop().await;
    let backup = globex.backup();
    let b = globex.start(&broker.url()).await;
    rotate(&a, id).await;
    until_key(&a, id, 1).await;
    a.update(lead, &[("City", text("Warsaw"))]).await;
    b.until_value(copy, "City", &text("Warsaw")).await;
    b.daemon.stop().await;
    globex.restore(backup.path());
    // It cannot read what the partner seals now, so nothing but the restore tells it that its tail
    // is lost.
    let b = Org::recover(&globex.config(&broker.url())).await;
    let pair = Pair { a, b, broker, acme, globex, connection };
    let newest = pair.a.handle().read(|state| state.connections[&id].own_keys.newest()).await.unwrap();
    pair.b
        .until("the partner's new key", |state| {
            (state.connections[&id].partner_key == Some(newest.public_key)).then_some(())
        })
        .await;
    until_key(&pair.a, id, 1).await;
    pair.b.until_value(copy, "City", &text("Warsaw")).await;
    pair.until_settled().await;
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_in_common_the_cause_says_so() {
    let pair = Pair::start().await;
    let id = pair.connection;
    let Pair { broker, acme, globex: _globex, a, b, .. } = pair;
    a.daemon.stop().await;
    let backup = acme.backup();
    let a = acme.start(&broker.url()).await;
    rotate(&a, id).await;
    until_key(&a, id, 1).await;
    a.daemon.stop().await;
    // The log of then, and the keys of then: the partner seals for a key whose secret is gone.
    acme.restore(backup.path());
    let a = Org::recover(&acme.config(&broker.url())).await;
    let end = Instant::now() + PATIENCE;
    let cause = loop {
        // Only the link tells it; nothing of it is in the log.
        let cause = a.handle().link(id).and_then(|link| link.cause).unwrap_or_default();
        if cause.contains("a key that is not known here") {
            break cause;
        }
        assert!(Instant::now() < end, "the cause is {cause:?}");
        tokio::task::yield_now().await;
    };
    assert!(cause.contains("globex") && cause.contains("keys directory"), "{cause}");
    a.daemon.stop().await;
    b.daemon.stop().await;
}
