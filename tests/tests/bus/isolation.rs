//! What an org that keeps no rules can do to others: nothing.
//!
//! Gamma is the attacker and has both of its own accounts through a plain client. Each case first
//! shows that the honest way works, so that a refusal is no accident of the set-up, and ends with
//! witnesses: the server handles the messages of one connection in their order, so when a later
//! one has had its effect, the earlier ones have had theirs, if any.

use async_nats::Client;
use async_nats::jetstream::{self, consumer, stream};
use futures_util::StreamExt;
use futures_util::stream::select_all;
use tieline_bus::Bus;
use tieline_bus::Bytes;
use tieline_bus::bus::Heartbeats;
use tieline_core::ConnectionId;

use crate::kit::*;

/// Under which gamma sends its witnesses.
const WITNESS: ConnectionId = ConnectionId(99);

struct Scene {
    alpha: Bus,
    beta: Bus,
    /// What beta hears.
    heard: Heartbeats,
    /// Account `in_gamma`.
    inbox: Client,
    /// Account `gamma`.
    sender: Client,
    _world: World,
}

/// Beta's ring holds one honest frame of alpha.
async fn scene(mut world: World) -> Scene {
    let (alpha, beta, gamma) = (world.org("alpha"), world.org("beta"), world.org("gamma"));
    world.server.restart().unwrap();
    let (inbox, sender) = gamma.raw().await;
    let (alpha, beta) = (alpha.connected().await, beta.connected().await);
    let heard = beta.heartbeats().await.unwrap();
    beta.ensure_inbox(&spec(&alpha)).await.unwrap();
    assert_eq!(publish(&alpha, &beta, noise(100, 1)).await, Ok(1), "the honest way works");
    Scene { alpha, beta, heard, inbox, sender, _world: world }
}

impl Scene {
    /// Waits until the server has handled everything that gamma sent; shows that beta heard no
    /// heartbeat but gamma's witness, and that its ring took no frame but alpha's two.
    async fn beta_is_untouched(&mut self) {
        self.inbox.request("$JS.API.INFO", Bytes::new()).await.unwrap();
        self.sender.publish(format!("to.beta.{WITNESS}.hb"), "witness".into()).await.unwrap();
        let beat = within("the witness", self.heard.next()).await.unwrap();
        assert_eq!((beat.from.as_str(), beat.connection), ("gamma", WITNESS), "a heartbeat that nobody sent");
        assert_eq!(
            publish(&self.alpha, &self.beta, noise(100, 2)).await,
            Ok(2),
            "a frame before the witness"
        );
        let ring = self.beta.ensure_inbox(&spec(&self.alpha)).await.unwrap();
        assert_eq!((ring.frames, ring.first_seq), (2, 1), "a frame is gone");
        assert_eq!(self.heard.dropped(), 0);
    }
}

/// What gamma would like to write to: beta's ring, directly and through the hub.
fn targets() -> Vec<String> {
    ["to.beta.C.f", "to.beta.alpha.C.f", "tl.beta.alpha.C.f", "tl.beta.gamma.C.f", "tl.beta.alpha.C.hb"]
        .map(|subject| subject.replace('C', &CONNECTION.to_string()))
        .to_vec()
}

pub(crate) async fn an_org_writes_only_under_its_own_name(world: World) {
    let mut scene = scene(world).await;
    for client in [&scene.inbox, &scene.sender] {
        for subject in targets() {
            client.publish(subject.clone(), "spoof".into()).await.unwrap();
            client.publish_with_reply(subject, "_INBOX.x", "spoof".into()).await.unwrap();
        }
    }
    scene.beta_is_untouched().await;
}

pub(crate) async fn an_org_reads_only_its_own_inbox(world: World) {
    let mut scene = scene(world).await;
    let own = stream::Config {
        name: "OWN".into(),
        subjects: vec!["tl.gamma.gamma.*.f".into()],
        ..Default::default()
    };
    jetstream::new(scene.inbox.clone()).create_stream(own).await.unwrap();
    let mut seen_by_inbox = scene.inbox.subscribe(">").await.unwrap();
    let mut by_sender = Vec::new();
    for subject in [">", "to.>", "tl.>", "_INBOX.>"] {
        by_sender.push(scene.sender.subscribe(subject).await.unwrap());
    }
    let mut seen_by_sender = select_all(by_sender);
    scene.inbox.request("$JS.API.INFO", Bytes::new()).await.unwrap();

    // All kinds of traffic from alpha to beta, and what the broker answers to it.
    assert_eq!(publish(&scene.alpha, &scene.beta, noise(100, 2)).await, Ok(2));
    scene.alpha.heartbeat(scene.beta.org(), CONNECTION, noise(20, 1)).await.unwrap();
    within("a heartbeat", scene.heard.next()).await.unwrap();

    // Then what gamma may see: a heartbeat to itself, and the answer to a frame of its own.
    let gamma = "gamma".parse().unwrap();
    scene.alpha.heartbeat(&gamma, WITNESS, noise(20, 2)).await.unwrap();
    loop {
        let seen = within("the witness", seen_by_inbox.next()).await.unwrap().subject;
        if *seen == *format!("tl.gamma.alpha.{WITNESS}.hb") {
            break;
        }
        let own = ["tl.gamma.", "$JS.", "_INBOX."].iter().any(|prefix| seen.starts_with(prefix));
        assert!(own, "the inbox account saw {seen}");
    }
    let frame = format!("to.gamma.{WITNESS}.f");
    scene.sender.publish_with_reply(frame, "_INBOX.mine", "frame".into()).await.unwrap();
    let seen = within("the answer", seen_by_sender.next()).await.unwrap();
    assert_eq!(&*seen.subject, "_INBOX.mine", "the sender account saw more than its answer");
    assert!(String::from_utf8_lossy(&seen.payload).contains("\"seq\":1"));
}

pub(crate) async fn replies_of_jetstream_reach_no_other_account(world: World) {
    let mut scene = scene(world).await;
    let js = jetstream::new(scene.inbox.clone());
    let evil = stream::Config { name: "EVIL".into(), subjects: vec!["evil".into()], ..Default::default() };
    let evil = js.create_stream(evil).await.unwrap();
    for _ in 0..20 {
        js.publish("evil", "evil".into()).await.unwrap().await.unwrap();
    }
    let pull = consumer::pull::Config { durable_name: Some("pull".into()), ..Default::default() };
    evil.create_consumer(pull).await.unwrap();
    let next = Bytes::from_static(br#"{"batch":1,"expires":1000000000}"#);
    let ask = "$JS.API.CONSUMER.MSG.NEXT.EVIL.pull";
    let mut replies = scene.inbox.subscribe("_INBOX.mine").await.unwrap();
    scene.inbox.publish_with_reply(ask, "_INBOX.mine", next.clone()).await.unwrap();
    let reply = within("a reply", replies.next()).await.unwrap();
    assert_eq!(reply.payload, "evil", "a reply goes where the request says");

    for (i, target) in targets().into_iter().enumerate() {
        scene.inbox.publish_with_reply(ask, target.clone(), next.clone()).await.unwrap();
        scene
            .sender
            .publish_with_reply(format!("to.beta.{WITNESS}.zz"), target.clone(), Bytes::new())
            .await
            .unwrap();
        // Two more ways to make JetStream publish. Whether it refuses does not matter here.
        let push = consumer::push::Config { deliver_subject: target.clone(), ..Default::default() };
        evil.create_consumer(push).await.ok();
        let republish = stream::Republish { source: ">".into(), destination: target, headers_only: false };
        let (name, subject) = (format!("RE{i}"), format!("re{i}"));
        let again = stream::Config {
            name,
            subjects: vec![subject.clone()],
            republish: Some(republish),
            ..Default::default()
        };
        if js.create_stream(again).await.is_ok() {
            js.publish(subject, "evil".into()).await.unwrap().await.unwrap();
        }
    }
    scene.beta_is_untouched().await;
}

pub(crate) async fn nobody_touches_the_streams_of_another_org(world: World) {
    let mut scene = scene(world).await;
    let ring = scene.beta.ensure_inbox(&spec(&scene.alpha)).await.unwrap().stream;
    let js = jetstream::new(scene.inbox.clone());
    let own = js.create_stream(stream::Config { name: "OWN".into(), ..Default::default() }).await.unwrap();
    js.publish("OWN", "one".into()).await.unwrap().await.unwrap();
    own.purge().await.unwrap();
    js.publish("OWN", "two".into()).await.unwrap().await.unwrap();

    for client in [&scene.inbox, &scene.sender] {
        for call in ["PURGE", "DELETE", "INFO", "MSG.GET", "MSG.DELETE", "SNAPSHOT"] {
            let subject = format!("$JS.API.STREAM.{call}.{ring}");
            client.publish_with_reply(subject, "_INBOX.x", r#"{"seq":1}"#.into()).await.unwrap();
        }
        // On an unpatched 2.9 server this one asks nobody's leave.
        for account in ["in_beta", "beta", "HUB"] {
            let subject = format!("$JS.API.ACCOUNT.PURGE.{account}");
            client.publish_with_reply(subject, "_INBOX.x", Bytes::new()).await.unwrap();
        }
    }
    let error = js.get_stream(&ring).await.err().unwrap().to_string();
    assert!(error.contains("not found"), "{error}");

    // A stream that copies: its own neighbour it may, beta's ring it may not.
    let sources = [&ring, "OWN"].map(|name| stream::Source { name: name.to_owned(), ..Default::default() });
    let copy = stream::Config { name: "COPY".into(), sources: Some(sources.to_vec()), ..Default::default() };
    if let Ok(mut copy) = js.create_stream(copy).await {
        let copied = async { while copy.info().await.unwrap().state.messages == 0 {} };
        within("the copy of the neighbour", copied).await;
        assert_eq!(copy.info().await.unwrap().state.messages, 1);
    }
    scene.beta_is_untouched().await;
}

/// An id that JetStream has seen would make it drop what comes with it, and say that all is well.
pub(crate) async fn a_message_id_that_was_used_before_suppresses_nothing(mut world: World) {
    let (alpha, beta) = (world.org("alpha"), world.org("beta"));
    world.server.restart().unwrap();
    let (_, sender) = alpha.raw().await;
    let (alpha, beta) = (alpha.connected().await, beta.connected().await);
    beta.ensure_inbox(&spec(&alpha)).await.unwrap();
    // Whoever can write into the ring takes the ids that a sender might use.
    for id in 1..=20_u64 {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Msg-Id", id.to_string());
        let subject = format!("to.beta.{CONNECTION}.f");
        let stored = sender.request_with_headers(subject, headers, noise(100, id)).await.unwrap();
        let said = String::from_utf8_lossy(&stored.payload).into_owned();
        assert!(said.contains(&format!("\"seq\":{id}")), "{said}");
    }
    // The server has them before it has stored them.
    let stored = async { while beta.ensure_inbox(&spec(&alpha)).await.unwrap().frames < 20 {} };
    within("the frames with ids", stored).await;
    for id in 1..=20 {
        assert_eq!(publish(&alpha, &beta, noise(100, id)).await, Ok(20 + id), "a frame was suppressed");
    }
    let ring = beta.ensure_inbox(&spec(&alpha)).await.unwrap();
    assert_eq!(ring.frames, 40);
}
