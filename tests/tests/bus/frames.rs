//! Frames, heartbeats and inboxes while nothing is wrong.

use async_nats::jetstream;
use tieline_bus::Bytes;
use tieline_bus::bus::{BusError, InboxSpec};
use tieline_bus::limits::{FRAME_BYTES_MAX, HEARTBEAT_BYTES_MAX, LISTEN_QUEUE_MAX, READ_AHEAD_BYTES};
use tieline_core::ConnectionId;
use tieline_tests::nats::Edition;

use crate::kit::*;

pub(crate) async fn they_arrive_in_order_both_ways(mut world: World) {
    let (alpha, beta) = world.alpha_and_beta().await;
    let (mut to_alpha, mut to_beta) = (reader(&alpha, &beta).await, reader(&beta, &alpha).await);
    // From the smallest to the largest frame, in less than one window.
    let sizes =
        (0..400).map(|i| [8, 300, 4_096, 20][i % 4]).chain([FRAME_BYTES_MAX, 100_000, FRAME_BYTES_MAX]);
    let frames: Vec<Bytes> = sizes.enumerate().map(|(mark, size)| noise(size, mark as u64)).collect();
    for (from, to, reader) in [(&alpha, &beta, &mut to_beta), (&beta, &alpha, &mut to_alpha)] {
        let mut acks = Vec::new();
        for frame in &frames {
            acks.push(from.publish_frame(to.org(), CONNECTION, frame.clone()).await.unwrap());
        }
        for (sent, ack) in frames.iter().zip(acks) {
            let got = arrived(reader).await;
            assert_eq!(&got.from, from.org());
            assert_eq!(got.connection, CONNECTION);
            assert!(got.bytes == *sent, "frame {} of {} bytes", got.ring_seq, got.bytes.len());
            assert_eq!(
                within("an acknowledgement", ack.outcome()).await.map(|ack| ack.ring_seq),
                Ok(got.ring_seq)
            );
        }
    }
}

pub(crate) async fn a_waiting_reader_gets_a_frame_at_once(mut world: World) {
    let (alpha, beta) = world.alpha_and_beta().await;
    let (mut to_alpha, mut to_beta) = (reader(&alpha, &beta).await, reader(&beta, &alpha).await);
    // Both readers wait before each frame. A thousand exchanges take a second; with any interval
    // of polling they would take minutes, and the deadline ends them.
    let exchanges = async {
        for mark in 0..1_000 {
            drop(alpha.publish_frame(beta.org(), CONNECTION, noise(300, mark)).await.unwrap());
            let there = arrived(&mut to_beta).await;
            drop(beta.publish_frame(alpha.org(), CONNECTION, there.bytes).await.unwrap());
            assert_eq!(arrived(&mut to_alpha).await.bytes, noise(300, mark));
        }
    };
    within("a thousand exchanges", Box::pin(exchanges)).await;
}

pub(crate) async fn a_reader_does_not_read_far_ahead(mut world: World) {
    const FRAMES: u64 = 60;
    const BYTES: usize = 256 << 10;
    let (alpha, beta) = (world.org("alpha"), world.org("beta"));
    world.server.restart().unwrap();
    let (inbox, _) = beta.raw().await;
    let (alpha, beta) = (alpha.connected().await, beta.connected().await);
    let spec = InboxSpec { window_bytes: FRAMES * BYTES as u64, ..spec(&alpha) };
    let stream = beta.ensure_inbox(&spec).await.unwrap().stream;
    for mark in 0..FRAMES {
        publish(&alpha, &beta, noise(BYTES, mark)).await.unwrap();
    }
    let mut reader = beta.read_inbox(spec);
    assert_eq!(arrived(&mut reader).await.waiting, FRAMES - 1);
    // The caller is busy now. Each question makes the broker work, and leaves time to send more.
    let stream = jetstream::new(inbox).get_stream(stream).await.unwrap();
    let consumer = futures_util::StreamExt::next(&mut stream.consumer_names()).await.unwrap().unwrap();
    let most = (2 * READ_AHEAD_BYTES / BYTES + 1) as u64;
    for _ in 0..200 {
        let delivered = stream.consumer_info(&consumer).await.unwrap().delivered.stream_sequence;
        assert!((1..=most).contains(&delivered), "{delivered} frames sent ahead, at most {most} expected");
    }
    for mark in 1..FRAMES {
        assert!(arrived(&mut reader).await.bytes == noise(BYTES, mark));
    }
}

pub(crate) async fn a_ring_forgets_its_oldest_frames(mut world: World) {
    let (alpha, beta) = world.alpha_and_beta().await;
    let spec = InboxSpec { window_bytes: 100_000, ..spec(&alpha) };
    let made = beta.ensure_inbox(&spec).await.unwrap();
    assert_eq!((made.frames, made.bytes_max), (0, 220_000), "two windows and a tenth");
    for mark in 0..300 {
        assert_eq!(publish(&alpha, &beta, noise(1_000, mark)).await, Ok(mark + 1));
    }
    let full = beta.ensure_inbox(&spec).await.unwrap();
    assert_eq!(full.last_seq, 300);
    assert!(full.bytes <= full.bytes_max && full.bytes > 200_000, "{full:?}");
    let mut reader = beta.read_inbox(spec);
    let first = arrived(&mut reader).await;
    assert_eq!(first.ring_seq, full.first_seq);
    assert_eq!(first.bytes, noise(1_000, full.first_seq - 1));
    beta.remove_inbox(CONNECTION).await.unwrap();
    beta.remove_inbox(CONNECTION).await.unwrap();
}

pub(crate) async fn an_inbox_that_was_changed_is_put_right(mut world: World) {
    let (alpha, beta) = (world.org("alpha"), world.org("beta"));
    world.server.restart().unwrap();
    let (inbox, _) = beta.raw().await;
    let js = jetstream::new(inbox);
    let (alpha, beta) = (alpha.connected().await, beta.connected().await);
    let good = beta.ensure_inbox(&spec(&alpha)).await.unwrap();
    let config = js.get_stream(&good.stream).await.unwrap().cached_info().config.clone();
    // A setting that can be changed back, and one that cannot.
    let smaller = jetstream::stream::Config { max_bytes: 1_000, ..config.clone() };
    let in_memory =
        jetstream::stream::Config { storage: jetstream::stream::StorageType::Memory, ..config.clone() };
    for changed in [smaller, in_memory] {
        js.delete_stream(&good.stream).await.unwrap();
        js.create_stream(changed).await.unwrap();
        assert_eq!(beta.ensure_inbox(&spec(&alpha)).await.unwrap().bytes_max, good.bytes_max);
        let now = js.get_stream(&good.stream).await.unwrap().cached_info().config.clone();
        assert_eq!((now.storage, now.max_bytes), (config.storage, config.max_bytes));
        publish(&alpha, &beta, noise(2_000, 1)).await.unwrap();
    }
}

pub(crate) async fn a_frame_without_an_inbox_is_not_acknowledged(mut world: World) {
    let edition = world.edition;
    let (alpha, beta) = world.alpha_and_beta().await;
    // Newer servers say that nobody is there, 2.9 says nothing.
    let expected = if edition == Edition::Pinned { "no_responders" } else { "timeout" };
    assert_eq!(publish(&alpha, &beta, noise(10, 0)).await, Err(expected));
    beta.ensure_inbox(&spec(&alpha)).await.unwrap();
    assert_eq!(publish(&alpha, &beta, noise(10, 0)).await, Ok(1));
    beta.remove_inbox(CONNECTION).await.unwrap();
    assert_eq!(publish(&alpha, &beta, noise(10, 0)).await, Err(expected));
}

pub(crate) async fn heartbeats_arrive_with_the_name_of_their_sender(mut world: World) {
    let orgs = ["alpha", "beta", "gamma"].map(|name| world.org(name));
    world.server.restart().unwrap();
    let [alpha, beta, gamma] =
        [orgs[0].connected().await, orgs[1].connected().await, orgs[2].connected().await];
    let mut heard = beta.heartbeats().await.unwrap();
    // The answer to a question in the same connection: the subscription is in force.
    beta.ensure_inbox(&spec(&alpha)).await.unwrap();
    for (from, connection) in [(&alpha, 1), (&gamma, 1), (&alpha, 2)] {
        let connection = ConnectionId(connection);
        from.heartbeat(beta.org(), connection, Bytes::from_static(b"beat")).await.unwrap();
        let beat = within("a heartbeat", heard.next()).await.unwrap();
        assert_eq!((&beat.from, beat.connection, &beat.bytes[..]), (from.org(), connection, &b"beat"[..]));
    }
    assert_eq!(heard.dropped(), 0);
}

pub(crate) async fn heartbeats_that_nobody_reads_are_dropped(mut world: World) {
    const CHUNK: u64 = 500;
    const ALL: u64 = 4 * CHUNK;
    let (alpha, beta) = world.alpha_and_beta().await;
    let mut heard = beta.heartbeats().await.unwrap();
    beta.echo().await.unwrap();
    for mark in 0..ALL {
        alpha.heartbeat(beta.org(), CONNECTION, noise(20, mark)).await.unwrap();
        if mark % CHUNK == CHUNK - 1 {
            // What the broker had for beta before its echo, beta's client has now.
            alpha.echo().await.unwrap();
            beta.echo().await.unwrap();
        }
    }
    let dropped = ALL - LISTEN_QUEUE_MAX as u64;
    within("the last to be dropped", async {
        while heard.dropped() < dropped {
            tokio::task::yield_now().await;
        }
    })
    .await;
    for mark in 0..LISTEN_QUEUE_MAX as u64 {
        assert_eq!(
            within("a heartbeat", heard.next()).await.unwrap().bytes,
            noise(20, mark),
            "the oldest stay"
        );
    }
    assert_eq!(heard.dropped(), dropped);
}

pub(crate) async fn what_is_too_large_is_not_sent_nor_taken(mut world: World) {
    let (alpha, beta) = (world.org("alpha"), world.org("beta"));
    world.server.restart().unwrap();
    let (_, raw_alpha) = alpha.raw().await;
    let (alpha, beta) = (alpha.connected().await, beta.connected().await);
    let mut heard = beta.heartbeats().await.unwrap();
    beta.ensure_inbox(&spec(&alpha)).await.unwrap();

    let too_large = |result: Result<(), BusError>| matches!(result, Err(BusError::TooLarge { .. }));
    let frame = alpha.publish_frame(beta.org(), CONNECTION, noise(FRAME_BYTES_MAX + 1, 0)).await.map(drop);
    assert!(too_large(frame));
    assert!(too_large(alpha.heartbeat(beta.org(), CONNECTION, noise(HEARTBEAT_BYTES_MAX + 1, 0)).await));

    // A partner that keeps no rules: the ring refuses what is larger than a frame, and the
    // listener drops what is larger than a heartbeat.
    let huge = raw_alpha.request(format!("to.beta.{CONNECTION}.f"), noise(FRAME_BYTES_MAX + 2_000, 0)).await;
    assert!(String::from_utf8_lossy(&huge.unwrap().payload).contains("message size exceeds maximum allowed"));
    let subject = format!("to.beta.{CONNECTION}.hb");
    raw_alpha.publish(subject.clone(), noise(HEARTBEAT_BYTES_MAX + 1, 0)).await.unwrap();
    raw_alpha.publish("to.beta.not-an-id.hb", Bytes::from_static(b"odd")).await.unwrap();
    raw_alpha.publish(subject, noise(HEARTBEAT_BYTES_MAX, 1)).await.unwrap();
    assert_eq!(within("a heartbeat", heard.next()).await.unwrap().bytes, noise(HEARTBEAT_BYTES_MAX, 1));
    assert_eq!(heard.dropped(), 2);
}

pub(crate) async fn an_echo_goes_all_the_way_round(mut world: World) {
    let (alpha, _) = world.alpha_and_beta().await;
    within("an echo", alpha.echo()).await.unwrap();
    world.server.plan.orgs.retain(|org| org.name.as_str() != "alpha");
    world.server.reload().unwrap();
    status(&alpha, "a refusal", |status| status.denied && !status.connected).await;
    let refused = alpha.echo().await.unwrap_err();
    assert!(matches!(refused, BusError::Denied { .. }), "{refused}");
}

pub(crate) async fn a_stopped_bus_has_sent_everything(mut world: World) {
    const FRAMES: u64 = 500;
    let (alpha, beta) = world.alpha_and_beta().await;
    let mut to_beta = reader(&beta, &alpha).await;
    let mut unheard = alpha.heartbeats().await.unwrap();
    let mut unread = reader(&alpha, &beta).await;
    for mark in 0..FRAMES {
        drop(alpha.publish_frame(beta.org(), CONNECTION, noise(4_096, mark)).await.unwrap());
    }
    within("the stop", alpha.stop(std::time::Duration::from_secs(20))).await;
    for mark in 0..FRAMES {
        assert_eq!(arrived(&mut to_beta).await.bytes, noise(4_096, mark));
    }
    assert!(within("the end of a reader", unread.next()).await.is_none());
    assert!(within("the end of a listener", unheard.next()).await.is_none());
    let refused = alpha.publish_frame(beta.org(), CONNECTION, noise(8, 0)).await.map(drop);
    assert!(matches!(refused, Err(BusError::Stopped)));
    assert!(matches!(alpha.hellos().await.map(drop), Err(BusError::Stopped)));
}
