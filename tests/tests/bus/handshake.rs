//! Hello and welcome across accounts, sealed as they travel.

use std::time::Duration;

use tieline_bus::Bytes;
use tieline_bus::seal::{HandshakeKeys, hello_connection};
use tieline_bus::{BusError, SecretHash};

use crate::kit::*;

const WAIT: Duration = Duration::from_secs(20);

pub(crate) async fn a_hello_is_answered_across_accounts(mut world: World) {
    let (alpha, beta) = world.alpha_and_beta().await;
    let mut hellos = alpha.hellos().await.unwrap();
    alpha.ensure_inbox(&spec(&beta)).await.unwrap();
    let hash = SecretHash::of(&[3; 32]);

    let inviter = async {
        let hello = within("a hello", hellos.next()).await.unwrap();
        assert_eq!(&hello.from, beta.org(), "by the word of the broker");
        let connection = hello_connection(&hello.bytes).unwrap();
        let keys = HandshakeKeys::derive(&hash, connection, alpha.org(), &hello.from);
        assert_eq!(keys.open_hello(&hello.bytes).unwrap(), b"accept");
        hello.reply(keys.seal_welcome(b"welcome").unwrap().into()).await.unwrap();
    };
    let acceptor = async {
        let keys = HandshakeKeys::derive(&hash, CONNECTION, alpha.org(), beta.org());
        let hello = keys.seal_hello(b"accept").unwrap();
        let reply = beta.hello(alpha.org(), hello.into(), WAIT).await.unwrap();
        assert_eq!(keys.open_welcome(&reply).unwrap(), b"welcome");
    };
    tokio::join!(inviter, acceptor);
    assert_eq!(hellos.dropped(), 0);
}

pub(crate) async fn a_hello_to_nobody_fails(mut world: World) {
    let (_alpha, beta) = world.alpha_and_beta().await;
    let ask = async |inviter: &str| {
        beta.hello(&inviter.parse().unwrap(), Bytes::from_static(b"hello"), Duration::from_secs(1))
            .await
            .unwrap_err()
    };
    // Nobody listens at alpha; gamma does not exist. Not every server says so: then it is silence.
    for inviter in ["alpha", "gamma"] {
        let refused = ask(inviter).await;
        assert!(
            matches!(refused, BusError::NoResponders { .. } | BusError::Timeout { .. }),
            "{inviter}: {refused}"
        );
    }
    let large = beta.hello(beta.org(), noise(10_000, 0), WAIT).await.unwrap_err();
    assert!(matches!(large, BusError::TooLarge { .. }), "{large}");
}
