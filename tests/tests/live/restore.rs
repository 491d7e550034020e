//! A data directory put back to an earlier copy: a new incarnation, and both sides agree again.

use tieline_core::command::Command;
use tieline_tests::live::{Pair, text};

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
    pair.b.execute(Command::UpdateRecord { record: old_copy, values: tieline_tests::live::values(&[("City", text("Sancellemoz"))]) }).await;
    pair.a.until_value(old, "City", &text("Sancellemoz")).await;
    pair.until_settled().await;
    pair.stop().await;
}
