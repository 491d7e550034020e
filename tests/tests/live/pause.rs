//! Connections and objects that are paused under a stream of edits, on either side, with a restart in
//! the middle: nothing is lost, and both sides show who paused what.

use tieline_core::ConnectionId;
use tieline_core::command::{Command, Pause};
use tieline_tests::live::{Org, Pair, parse, text};

async fn set(org: &Org, connection: ConnectionId, object: Option<&str>, paused: bool) {
    let object = object.map(parse);
    org.execute(Command::Pause(Pause::Set { connection, object, paused })).await;
}

/// Waits until the partner's pause of the connection is known, or that it is over.
async fn until_heard(org: &Org, id: ConnectionId, paused: bool) {
    org.until("the partner's word", |state| {
        (state.connections[&id].pauses.partner.since.is_some() == paused).then_some(())
    })
    .await;
}

/// Stops and starts both daemons.
async fn restart(pair: Pair) -> Pair {
    let Pair { broker, acme, globex, a, b, connection } = pair;
    a.daemon.stop().await;
    b.daemon.stop().await;
    let (a, b) = (acme.start(&broker.url()).await, globex.start(&broker.url()).await);
    Pair { broker, acme, globex, a, b, connection }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_connection_loses_nothing_on_either_side_with_a_restart_in_the_middle() {
    let mut pair = Pair::start().await;
    let id = pair.connection;
    let (lead, copy) = pair.share_lead("Curie").await;
    for round in 0..2 {
        // Once this side pauses, once the other; edits go on before, meanwhile and after.
        let write = async |pair: &Pair, when: &str| {
            for i in 0..20 {
                pair.a.update(lead, &[("City", text(&format!("{round} {when} {i}")))]).await;
                pair.b
                    .update(copy, &[("Website", text(&format!("https://{when}{round}-{i}.example")))])
                    .await;
            }
        };
        write(&pair, "before").await;
        let (pausing, other) = if round == 0 { (&pair.a, &pair.b) } else { (&pair.b, &pair.a) };
        set(pausing, id, None, true).await;
        until_heard(other, id, true).await;
        let waiting =
            async |org: &Org| org.handle().read(|state| state.connections[&id].outbox.entries.len()).await;
        let before = waiting(other).await;
        write(&pair, "meanwhile").await;
        // What was made meanwhile is shared meanwhile, too.
        let late = pair.a.create("Lead", &[("LastName", text("Noether")), ("Company", text("G"))]).await;
        pair.a.execute(Command::Forward { record: late, connection: id }).await;
        pair = restart(pair).await;
        let (pausing, other) = if round == 0 { (&pair.a, &pair.b) } else { (&pair.b, &pair.a) };
        write(&pair, "still").await;
        let by = other.handle().read(|state| state.connections[&id].pauses.partner.by.clone()).await;
        assert_eq!(by.as_ref().map(|by| by.as_str()), Some("admin"));
        // Forty edits were made since, and none of them is a message.
        let after = waiting(other).await;
        assert!(after < before + 40, "{before} messages waited, now {after}");
        set(pausing, id, None, false).await;
        until_heard(other, id, false).await;
        pair.b.until_value(copy, "City", &text(&format!("{round} still 19"))).await;
        pair.a.until_value(lead, "Website", &text(&format!("https://still{round}-19.example"))).await;
        pair.copy_of(late).await;
        write(&pair, "after").await;
        pair.b.until_value(copy, "City", &text(&format!("{round} after 19"))).await;
        pair.a.until_value(lead, "Website", &text(&format!("https://after{round}-19.example"))).await;
    }
    pair.until_settled().await;
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_object_waits_and_goes_on_with_a_restart_in_the_middle() {
    let pair = Pair::start().await;
    let id = pair.connection;
    let (lead, copy) = pair.share_lead("Curie").await;
    set(&pair.b, id, Some("Lead"), true).await;
    for i in 0..50 {
        pair.a.update(lead, &[("City", text(&format!("city {i}")))]).await;
    }
    pair.a
        .until("the partner's notice", |state| {
            (!state.connections[&id].pauses.partner_objects.is_empty()).then_some(())
        })
        .await;
    let pair = restart(pair).await;
    pair.a.update(lead, &[("City", text("held back"))]).await;
    pair.b.update(copy, &[("Website", text("https://held.example"))]).await;
    let before =
        pair.b.handle().read(|state| state.record(copy).unwrap().value(&parse("City")).clone()).await;
    assert_ne!(before, text("held back"));
    set(&pair.b, id, Some("Lead"), false).await;
    pair.b.until_value(copy, "City", &text("held back")).await;
    pair.a.until_value(lead, "Website", &text("https://held.example")).await;
    pair.until_settled().await;
    pair.stop().await;
}
