//! The broker's configuration, as the broker sees it.

use tieline_bus::{BusError, Recovery};
use tieline_tests::nats::{Edition, NatsError};

use crate::kit::*;

pub(crate) async fn any_org_name_makes_a_valid_configuration(mut world: World) {
    // Names that could be read as a number, a size, a boolean, a date or a variable.
    let names = [
        "0", "1", "1k", "1mb", "1e9", "0x1", "true", "false", "null", "-", "--", "-1", "a-", "in", "js",
        "sys",
    ];
    for name in names {
        world.org(name);
    }
    let longest = "z".repeat(40);
    world.org(&longest);
    world.server.plan.monitor = Some("127.0.0.1:18222".parse().unwrap());
    world.server.plan.server_name = "a\"name\\$X".into();
    world.server.test_config().unwrap();
    world.server.plan.monitor = None;
    // An org of a strange name works like any other.
    let (one, two) = (world.org("1-k"), world.org("7"));
    world.server.restart().unwrap();
    let (one, two) = (one.connected().await, two.connected().await);
    let mut to_two = reader(&two, &one).await;
    publish(&one, &two, noise(100, 1)).await.unwrap();
    assert_eq!(arrived(&mut to_two).await.bytes, noise(100, 1));
}

pub(crate) async fn what_needs_a_later_server_is_asked_for(mut world: World) {
    world.org("alpha");
    world.server.test_config().unwrap();
    world.server.plan.sync_always = true;
    let taken = world.server.test_config();
    match world.edition {
        Edition::Pinned => taken.unwrap(),
        Edition::Debian => assert!(matches!(taken, Err(NatsError::Log { .. }))),
    }
}

pub(crate) async fn the_hub_refuses_a_slip_of_the_pen(mut world: World) {
    world.org("alpha");
    world.org("beta");
    let text = world.server.plan.render().unwrap();
    world.server.test_text(&text).unwrap();
    // Somebody edits the file and lets beta write under the name of alpha.
    let slip = text.replace(r#"subject: "tl.*.beta.>" }, to:"#, r#"subject: "tl.*.alpha.>" }, to:"#);
    assert_ne!(slip, text);
    let refused = world.server.test_text(&slip).unwrap_err().to_string();
    assert!(refused.contains("service import not authorized"), "{refused}");
}

pub(crate) async fn an_old_server_is_reported(mut world: World) {
    let alpha = world.org("alpha");
    world.server.restart().unwrap();
    let status = status(&alpha.start().await, "a version", |status| status.server_version.is_some()).await;
    assert_eq!(status.outdated, world.edition == Edition::Debian, "{status:?}");
    assert_eq!(status.max_payload_bytes, tieline_bus::limits::BROKER_PAYLOAD_BYTES);
}

pub(crate) async fn an_org_is_added_by_two_reloads_and_nobody_notices(mut world: World) {
    let (alpha, beta) = world.alpha_and_beta().await;
    let mut to_beta = reader(&beta, &alpha).await;

    let gamma = world.org("gamma");
    let late = gamma.start().await;
    let denied = status(&late, "a refusal", |status| status.denied).await;
    assert!(!denied.connected);
    let refused = late.publish_frame(beta.org(), CONNECTION, noise(8, 0)).await.map(drop).unwrap_err();
    assert!(matches!(refused, BusError::Denied { .. }) && refused.recovery() == Recovery::Fatal, "{refused}");

    world.server.reload().unwrap();
    let welcome = status(&late, "a connection", |status| status.connected).await;
    assert!(!welcome.denied);
    let mut to_gamma = reader(&late, &alpha).await;
    publish(&alpha, &late, noise(100, 1)).await.unwrap();
    assert_eq!(arrived(&mut to_gamma).await.bytes, noise(100, 1));

    // The internal client of an account that a reload makes gets its imports with the next reload alone, on
    // both editions: until then nobody hears the new org. Where this fails, one reload has become enough, and
    // `tieline broker config` and docs/trying.md ask for one too many.
    let mut to_alpha = reader(&alpha, &late).await;
    assert_eq!(publish(&late, &alpha, noise(100, 2)).await, Err("no_responders"));
    world.server.reload().unwrap();
    publish(&late, &alpha, noise(100, 3)).await.unwrap();
    assert_eq!(arrived(&mut to_alpha).await.bytes, noise(100, 3));
    publish(&alpha, &late, noise(100, 4)).await.unwrap();
    assert_eq!(arrived(&mut to_gamma).await.bytes, noise(100, 4));

    publish(&alpha, &beta, noise(100, 2)).await.unwrap();
    assert_eq!(arrived(&mut to_beta).await.bytes, noise(100, 2));
    for bus in [&alpha, &beta] {
        assert_eq!(status(bus, "a connection", |_| true).await.connects, 1, "{} was disconnected", bus.org());
    }
}
