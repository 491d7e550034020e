//! From disk again: snapshots, and a data directory put back to an earlier copy.

use std::time::Instant;

use tieline_core::Seq;
use tieline_core::command::Command;
use tieline_core::state::STATE_FORMAT;
use tieline_store::SnapshotStore;
use tieline_tests::live::{Org, OrgHome, PATIENCE, Pair, text};

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_put_back_in_time_reconciles_with_its_partner() {
    let pair = Pair::start().await;
    let (old, old_copy) = pair.share_lead("Curie").await;
    pair.a.update(old, &[("City", text("Paris"))]).await;
    pair.b.until_value(old_copy, "City", &text("Paris")).await;
    let Pair { broker, acme, globex, a, b, connection } = pair;
    a.daemon.stop().await;
    let backup = acme.backup();

    // What happens now, acme will forget.
    let a = acme.start(&broker.url()).await;
    let pair = Pair { broker, acme, globex, a, b, connection };
    pair.a.update(old, &[("City", text("Warsaw"))]).await;
    pair.b.until_value(old_copy, "City", &text("Warsaw")).await;
    let (lost, lost_copy) = pair.share_lead("Meitner").await;
    pair.until_settled().await;
    let Pair { broker, acme, globex, a, b, connection } = pair;
    a.daemon.stop().await;
    acme.restore(backup.path());

    let before = b.handle().read(|state| state.connections[&connection].partner_incarnation).await;
    let a = acme.start(&broker.url()).await;
    let pair = Pair { broker, acme, globex, a, b, connection };
    // The partner shows that the tail is gone: a new life begins, with an alarm, and both agree.
    pair.b
        .until("a new incarnation of acme", |state| {
            (state.connections[&connection].partner_incarnation > before).then_some(())
        })
        .await;
    pair.a
        .until("an alarm", |state| state.alarms.iter().any(|a| a.alarm.code == "log_restored").then_some(()))
        .await;
    pair.a.until_value(old, "City", &text("Warsaw")).await;
    pair.a.until_value(lost, "LastName", &text("Meitner")).await;
    pair.a.update(lost, &[("City", text("Vienna"))]).await;
    pair.b.until_value(lost_copy, "City", &text("Vienna")).await;
    pair.b
        .execute(Command::UpdateRecord {
            record: old_copy,
            values: tieline_tests::live::values(&[("City", text("Sancellemoz"))]),
        })
        .await;
    pair.a.until_value(old, "City", &text("Sancellemoz")).await;
    pair.until_settled().await;
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_org_writes_snapshots_that_a_start_begins_with() {
    let acme = OrgHome::make("acme");
    let mut config = acme.config("127.0.0.1:9");
    config.store.snapshot_every_events = 100;
    let a = Org::serve(&config).await;
    let lead = a.create("Lead", &[("LastName", text("Curie")), ("Company", text("Sorbonne"))]).await;
    for i in 0..150 {
        a.update(lead, &[("City", text(&format!("city {i}")))]).await;
    }
    let snapshots = SnapshotStore::open(tieline_daemon::snapshots_dir(acme.path())).unwrap();
    let end = Instant::now() + PATIENCE;
    let found = loop {
        // Only the directory tells when the snapshot is there.
        if let Some(found) = snapshots.newest_good(STATE_FORMAT, Seq(u64::MAX)).unwrap().snapshot {
            break found;
        }
        assert!(Instant::now() < end, "no snapshot was written");
        tokio::task::yield_now().await;
    };
    assert!(found.seq >= Seq(100), "{}", found.seq);
    let hash = a.handle().read(tieline_core::state::State::hash).await;
    a.daemon.stop().await;

    let log = tieline_daemon::run::read_log(acme.path()).unwrap();
    let from_snapshot = tieline_daemon::replay::rebuild(&log, Some(&snapshots)).unwrap();
    let from_log = tieline_daemon::replay::rebuild(&log, None).unwrap();
    assert!(from_snapshot.replayed < from_log.replayed);
    assert_eq!(from_snapshot.engine.state().hash(), hash);
    assert_eq!(from_log.engine.state().hash(), hash);
}
