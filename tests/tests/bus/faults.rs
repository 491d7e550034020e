//! What the broker loses, the bus makes again: nothing here needs a restart of the daemon.

use async_nats::jetstream;
use tieline_bus::bus::{AckError, RestartCause};
use tieline_bus::{BusError, Recovery};

use crate::kit::*;

pub(crate) async fn a_killed_broker_comes_back(mut world: World) {
    let (alpha, beta) = world.alpha_and_beta().await;
    let mut to_beta = reader(&beta, &alpha).await;
    publish(&alpha, &beta, noise(100, 1)).await.unwrap();
    assert_eq!(arrived(&mut to_beta).await.bytes, noise(100, 1));

    for round in 1..=3 {
        world.server.kill9();
        for bus in [&alpha, &beta] {
            status(bus, "the end of the connection", |status| !status.connected).await;
        }
        let refused = alpha.publish_frame(beta.org(), CONNECTION, noise(100, 9)).await.map(drop).unwrap_err();
        assert_eq!(refused.recovery(), Recovery::Reconnect, "{refused}");
        let refused = beta.ensure_inbox(&spec(&alpha)).await.unwrap_err();
        assert!(matches!(refused, BusError::Disconnected { .. }), "{refused}");

        world.server.restart().unwrap();
        let back = status(&alpha, "the connection", |status| status.connected).await;
        assert_eq!(back.connects, round + 1);
        assert!(back.last_error.is_some());
        assert_eq!(restarted(&mut to_beta).await, RestartCause::Reconnected);
        publish(&alpha, &beta, noise(100, 10 + round)).await.unwrap();
        // The frames of earlier rounds may come again first.
        while arrived(&mut to_beta).await.bytes != noise(100, 10 + round) {}
    }
}

pub(crate) async fn a_question_ends_with_the_connection_that_it_was_asked_on(mut world: World) {
    let (alpha, beta) = world.alpha_and_beta().await;
    world.server.freeze().unwrap();
    let killed = async {
        world.server.kill9();
        world.server.restart().unwrap();
    };
    // The broker never read the question. Waiting on would be waiting for a timeout.
    let spec = spec(&alpha);
    let (answer, ()) = tokio::join!(beta.ensure_inbox(&spec), killed);
    let error = answer.unwrap_err();
    assert!(matches!(error, BusError::Disconnected { .. }), "{error}");
}

pub(crate) async fn a_broker_that_lost_its_disk_gets_new_inboxes(mut world: World) {
    let (alpha, beta) = world.alpha_and_beta().await;
    let mut to_beta = reader(&beta, &alpha).await;
    for mark in 0..5 {
        assert_eq!(publish(&alpha, &beta, noise(100, mark)).await, Ok(mark + 1));
        assert_eq!(arrived(&mut to_beta).await.ring_seq, mark + 1);
    }
    world.server.kill9();
    world.server.wipe_storage().unwrap();
    world.server.restart().unwrap();
    // The reader alone makes the ring again: nobody else asks for it.
    assert_eq!(restarted(&mut to_beta).await, RestartCause::Reconnected);
    status(&alpha, "the connection", |status| status.connected && status.connects == 2).await;
    assert_eq!(publish(&alpha, &beta, noise(100, 7)).await, Ok(1), "the ring is new");
    let got = arrived(&mut to_beta).await;
    assert_eq!((got.ring_seq, got.bytes), (1, noise(100, 7)));
}

pub(crate) async fn an_inbox_deleted_under_its_reader_is_made_again(mut world: World) {
    let (alpha, beta) = world.alpha_and_beta().await;
    let mut to_beta = reader(&beta, &alpha).await;
    publish(&alpha, &beta, noise(100, 1)).await.unwrap();
    assert_eq!(arrived(&mut to_beta).await.bytes, noise(100, 1));
    beta.remove_inbox(CONNECTION).await.unwrap();
    let cause = restarted(&mut to_beta).await;
    assert!(matches!(cause, RestartCause::ConsumerLost | RestartCause::MissedHeartbeat), "{cause:?}");
    assert_eq!(publish(&alpha, &beta, noise(100, 2)).await, Ok(1));
    assert_eq!(arrived(&mut to_beta).await.bytes, noise(100, 2));
}

pub(crate) async fn a_consumer_deleted_under_its_reader_is_made_again(mut world: World) {
    let (alpha, beta) = (world.org("alpha"), world.org("beta"));
    world.server.restart().unwrap();
    let (inbox, _) = beta.raw().await;
    let (alpha, beta) = (alpha.connected().await, beta.connected().await);
    let mut to_beta = reader(&beta, &alpha).await;
    publish(&alpha, &beta, noise(100, 1)).await.unwrap();
    assert_eq!(arrived(&mut to_beta).await.bytes, noise(100, 1));

    let name = beta.ensure_inbox(&spec(&alpha)).await.unwrap().stream;
    let stream = jetstream::new(inbox).get_stream(name).await.unwrap();
    let consumer = futures_util::StreamExt::next(&mut stream.consumer_names()).await.unwrap().unwrap();
    stream.delete_consumer(&consumer).await.unwrap();
    let cause = restarted(&mut to_beta).await;
    assert!(matches!(cause, RestartCause::ConsumerLost | RestartCause::MissedHeartbeat), "{cause:?}");
    assert_eq!(arrived(&mut to_beta).await.bytes, noise(100, 1), "from the front of the ring");
    publish(&alpha, &beta, noise(100, 2)).await.unwrap();
    assert_eq!(arrived(&mut to_beta).await.bytes, noise(100, 2));
}

pub(crate) async fn a_bus_starts_before_its_broker(mut world: World) {
    let (alpha, beta) = (world.org("alpha"), world.org("beta"));
    let (alpha, beta) = (alpha.start().await, beta.start().await);
    let mut heard = beta.heartbeats().await.unwrap();
    let failed = status(&alpha, "a failed try", |status| status.last_error.is_some()).await;
    assert!(!failed.connected && !failed.denied && failed.server_version.is_none(), "{failed:?}");
    let refused = alpha.publish_frame(beta.org(), CONNECTION, noise(8, 0)).await.map(drop).unwrap_err();
    assert!(matches!(refused, BusError::Disconnected { .. }), "{refused}");
    let mut to_beta = beta.read_inbox(spec(&alpha));

    let started = async { world.server.restart().unwrap() };
    let (cause, ()) = tokio::join!(restarted(&mut to_beta), started);
    assert_eq!(cause, RestartCause::Opened);
    status(&alpha, "a connection", |status| status.connected).await;
    publish(&alpha, &beta, noise(100, 1)).await.unwrap();
    assert_eq!(arrived(&mut to_beta).await.bytes, noise(100, 1));
    alpha.heartbeat(beta.org(), CONNECTION, noise(20, 2)).await.unwrap();
    assert_eq!(
        within("a heartbeat", heard.next()).await.unwrap().bytes,
        noise(20, 2),
        "listened to since the start"
    );
}

pub(crate) async fn a_frozen_broker_is_left_and_found_again(mut world: World) {
    let (alpha, beta) = world.alpha_and_beta().await;
    let mut to_beta = reader(&beta, &alpha).await;
    world.server.freeze().unwrap();
    // The sockets stay open: only the missing answers tell. A frame is taken and goes nowhere.
    let lost = alpha.publish_frame(beta.org(), CONNECTION, noise(100, 1)).await.unwrap();
    assert_eq!(within("an acknowledgement", lost.outcome()).await, Err(AckError::Timeout));
    for bus in [&alpha, &beta] {
        status(bus, "the end of the connection", |status| !status.connected).await;
    }
    world.server.thaw().unwrap();
    for bus in [&alpha, &beta] {
        status(bus, "the connection", |status| status.connected).await;
    }
    publish(&alpha, &beta, noise(100, 2)).await.unwrap();
    while arrived(&mut to_beta).await.bytes != noise(100, 2) {}
}
