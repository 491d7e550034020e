//! What a seal promises: it opens for the right key, route and bytes, and for nothing else.

use chacha20poly1305::aead::AeadInPlace;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use data_encoding::HEXLOWER;
use proptest::prelude::*;
use tieline_core::limits::FRAME_BODY_BYTES_MAX;
use tieline_core::{ConnectionId, OrgName};
use x25519_dalek::{PublicKey, StaticSecret};

use super::frame::seal;
use super::*;
use crate::invitation::SecretHash;
use crate::limits::{FRAME_BYTES_MAX, FRAME_HEADER_BYTES_MAX, HELLO_BYTES_MAX};

const CONNECTION: ConnectionId = ConnectionId(77);

fn name(text: &str) -> OrgName {
    text.parse().unwrap()
}

fn hash() -> SecretHash {
    SecretHash::of(&[5; 32])
}

fn keys(own: u8, partner: u8, hash: &SecretHash, connection: u128, me: &str, them: &str) -> DirectionKeys {
    let partner = PublicKey::from(&StaticSecret::from([partner; 32])).to_bytes();
    let own = StaticSecret::from([own; 32]);
    DirectionKeys::derive(&own, partner, hash, ConnectionId(connection), &name(me), &name(them)).unwrap()
}

fn alpha() -> DirectionKeys {
    keys(1, 2, &hash(), 77, "alpha", "beta")
}

fn beta() -> DirectionKeys {
    keys(2, 1, &hash(), 77, "beta", "alpha")
}

fn opened(key: &FrameKey, bytes: &[u8]) -> Result<(Vec<u8>, Vec<u8>), FrameError> {
    let frame = split(bytes)?;
    Ok((frame.header.to_vec(), frame.open(key)?))
}

#[test]
fn both_sides_derive_the_same_two_keys() {
    let (a, b) = (alpha(), beta());
    assert_eq!((a.sending.id(), a.receiving.id()), (b.receiving.id(), b.sending.id()));
    assert_ne!(a.sending.id(), a.receiving.id());
    let frame = seal_frame(&a.sending, b"head", b"body").unwrap();
    assert_eq!(opened(&b.receiving, &frame), Ok((b"head".to_vec(), b"body".to_vec())));
    assert_eq!(opened(&b.sending, &frame), Err(FrameError::BadSeal), "a frame sent back to its sender");
}

#[test]
fn a_frame_opens_on_no_other_route() {
    let frame = seal_frame(&alpha().sending, b"head", b"body").unwrap();
    let others = [
        ("another connection", keys(2, 1, &hash(), 78, "beta", "alpha")),
        ("another sender", keys(2, 1, &hash(), 77, "beta", "gamma")),
        ("another receiver", keys(2, 1, &hash(), 77, "gamma", "alpha")),
        ("another secret of the invitation", keys(2, 1, &SecretHash::of(&[6; 32]), 77, "beta", "alpha")),
        ("another key of the receiver", keys(3, 1, &hash(), 77, "beta", "alpha")),
        ("another key of the sender", keys(2, 3, &hash(), 77, "beta", "alpha")),
        ("names that run together alike", keys(2, 1, &hash(), 77, "betaa", "lpha")),
    ];
    for (what, keys) in others {
        assert_eq!(opened(&keys.receiving, &frame), Err(FrameError::BadSeal), "{what}");
        assert_ne!(keys.receiving.id(), alpha().sending.id(), "{what}");
    }
}

#[test]
fn derivation_and_layout_are_pinned() {
    // A new version has to open the frames of the old one. The figures come from another
    // implementation of X25519 and HKDF, fed with the same inputs.
    assert_eq!(alpha().sending.id(), 0x413e_3441_f091_ee43);
    assert_eq!(alpha().receiving.id(), 0x697e_dd76_1d8e_bd99);
    let pinned =
        HEXLOWER.decode(b"c03a1cb96c8866d713783d7642f8b4ad12edbea3d72bb8831d8e7a6f3da9692e").unwrap();
    let cipher = XChaCha20Poly1305::new(pinned.as_slice().into());
    let frame = sealed_by_hand(&cipher, &[b'T', 1, 0, 4, 0, b'h', b'e', b'a', b'd'], b"body");
    assert_eq!(opened(&beta().receiving, &frame), Ok((b"head".to_vec(), b"body".to_vec())));
}

/// Seals `body` after `clear` step by step, as the front page of the module says.
fn sealed_by_hand(cipher: &XChaCha20Poly1305, clear: &[u8], body: &[u8]) -> Vec<u8> {
    let nonce = XNonce::default();
    let mut sealed = body.to_vec();
    let tag = cipher.encrypt_in_place_detached(&nonce, clear, &mut sealed).unwrap();
    [clear, nonce.as_slice(), sealed.as_slice(), tag.as_slice()].concat()
}

#[test]
fn a_weak_public_key_is_refused() {
    let own = StaticSecret::from([1; 32]);
    let little = |first: u8, rest: u8, last: u8| {
        let mut key = [rest; 32];
        (key[0], key[31]) = (first, last);
        key
    };
    // The points of order 1, 2 and 4, with and without the bit that is not looked at; order 8.
    let mut weak = vec![little(0, 0, 0), little(1, 0, 0), little(0, 0, 0x80), little(1, 0, 0x80)];
    for first in 0xec..=0xee {
        weak.extend([little(first, 0xff, 0x7f), little(first, 0xff, 0xff)]);
    }
    for eighth in [
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    ] {
        let bytes = HEXLOWER.decode(eighth.as_bytes()).unwrap();
        weak.push(bytes.try_into().unwrap());
    }
    let derive = |key| DirectionKeys::derive(&own, key, &hash(), CONNECTION, &name("a"), &name("b"));
    for key in weak {
        assert_eq!(derive(key).map(|_| ()), Err(WeakPublicKey), "{key:x?}");
        // Whoever takes a key from a partner looks without deriving anything.
        assert!(tieline_core::decide::is_weak(&key), "{key:x?}");
    }
    for key in [little(2, 0, 0), little(0xef, 0xff, 0x7f), little(9, 0, 0), [7; 32]] {
        assert!(derive(key).is_ok() && !tieline_core::decide::is_weak(&key), "{key:x?}");
    }
}

#[test]
fn every_flipped_bit_is_noticed() {
    let key = &alpha().sending;
    for body in [vec![], vec![b'x'; 300]] {
        let frame = seal_frame(key, b"head", &body).unwrap();
        for bit in 0..frame.len() * 8 {
            let mut altered = frame.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(opened(key, &altered).is_err(), "bit {bit} of {}", frame.len());
        }
    }
}

#[test]
fn a_frame_cut_anywhere_does_not_open() {
    let key = &alpha().sending;
    let frame = seal_frame(key, b"head", &[b'x'; 300]).unwrap();
    let parts = 5 + 4 + 24 + 16;
    for end in 0..frame.len() {
        let expected = if end < parts { FrameError::Truncated } else { FrameError::BadSeal };
        assert_eq!(opened(key, &frame[..end]), Err(expected), "cut to {end}");
    }
    let mut longer = frame;
    longer.push(0);
    assert_eq!(opened(key, &longer), Err(FrameError::BadSeal));
}

#[test]
fn what_is_not_a_frame_is_told_apart() {
    let frame = seal_frame(&alpha().sending, b"head", b"body").unwrap();
    let with = |at: usize, byte: u8| {
        let mut altered = frame.clone();
        altered[at] = byte;
        split(&altered).map(|_| ())
    };
    assert_eq!(with(0, b'H'), Err(FrameError::Version), "a hello is no frame");
    assert_eq!(with(1, 2), Err(FrameError::Version), "a later version");
    assert_eq!(with(2, 2), Err(FrameError::Version), "a flag of a later version");
    assert_eq!(with(4, 0xff), Err(FrameError::TooLarge), "a header of 64 KiB");
    assert_eq!(split(&[]).map(|_| ()), Err(FrameError::Truncated));
    assert_eq!(split(&vec![b'T'; FRAME_BYTES_MAX + 1]).map(|_| ()), Err(FrameError::TooLarge));
}

#[test]
fn the_largest_frame_passes_and_a_larger_one_is_not_made() {
    let key = &alpha().sending;
    let mut noise = vec![0; FRAME_BODY_BYTES_MAX];
    getrandom::fill(&mut noise).unwrap();
    let header = vec![b'h'; FRAME_HEADER_BYTES_MAX];
    let frame = seal_frame(key, &header, &noise).unwrap();
    assert_eq!(frame.len(), FRAME_BYTES_MAX, "noise does not compress");
    assert_eq!(opened(key, &frame), Ok((header.clone(), noise.clone())));
    noise.push(0);
    let body = SealError::TooLarge { part: "body", bytes: noise.len(), limit: FRAME_BODY_BYTES_MAX };
    assert_eq!(seal_frame(key, b"", &noise), Err(body));
    let long = [header.as_slice(), b"h"].concat();
    let limit = FRAME_HEADER_BYTES_MAX;
    assert_eq!(
        seal_frame(key, &long, b""),
        Err(SealError::TooLarge { part: "header", bytes: long.len(), limit })
    );
}

#[test]
fn bodies_are_compressed_where_that_helps() {
    let key = &alpha().sending;
    let text = b"{\"Status\":\"Open\",\"Company\":\"Acme\"}".repeat(100);
    let frame = seal_frame(key, b"", &text).unwrap();
    assert!(frame.len() < text.len() / 10, "{} of {}", frame.len(), text.len());
    assert_eq!(opened(key, &frame).unwrap().1, text);
}

/// What a partner could make that has the key: a body that is said to be compressed.
fn claimed_compressed(key: &FrameKey, body: &[u8]) -> Vec<u8> {
    sealed_by_hand(&key.cipher, &[b'T', 1, 1, 0, 0], body)
}

#[test]
fn a_bomb_is_refused_before_it_is_unpacked() {
    let key = &alpha().sending;
    let bomb = zstd::bulk::compress(&vec![0; FRAME_BODY_BYTES_MAX + 1], 19).unwrap();
    assert!(bomb.len() < 200, "1 MiB in {} bytes", bomb.len());
    assert_eq!(opened(key, &claimed_compressed(key, &bomb)), Err(FrameError::TooLarge));
    let stated = zstd::bulk::compress(&[7; 1_000], 1).unwrap();
    let twice = [stated.as_slice(), stated.as_slice()].concat();
    for (what, data) in [("more than it states", twice.as_slice()), ("noise", b"noise"), ("nothing", b"")] {
        assert_eq!(opened(key, &claimed_compressed(key, data)), Err(FrameError::Decompress), "{what}");
    }
    let unstated = zstd::stream::encode_all([7; 1_000].as_slice(), 1).unwrap();
    assert_eq!(
        opened(key, &claimed_compressed(key, &unstated)),
        Err(FrameError::Decompress),
        "no size stated"
    );
}

#[test]
fn hello_and_welcome_open_in_their_own_place() {
    let (inviter, acceptor) = (name("alpha"), name("beta"));
    let keys = || HandshakeKeys::derive(&hash(), CONNECTION, &inviter, &acceptor);
    let hello = keys().seal_hello(b"accept").unwrap();
    let welcome = keys().seal_welcome(b"welcome").unwrap();
    assert_eq!(hello_connection(&hello), Ok(CONNECTION));
    assert_eq!(keys().open_hello(&hello), Ok(b"accept".to_vec()));
    assert_eq!(keys().open_welcome(&welcome), Ok(b"welcome".to_vec()));
    assert_eq!(keys().open_welcome(&hello), Err(FrameError::Version), "a hello sent back is no welcome");
    assert_eq!(hello_connection(&welcome), Err(FrameError::Version));
    let mut disguised = hello.clone();
    disguised[0] = b'W';
    assert_eq!(keys().open_welcome(&disguised), Err(FrameError::BadSeal), "nor in disguise");
    let others = [
        HandshakeKeys::derive(&SecretHash::of(&[6; 32]), CONNECTION, &inviter, &acceptor),
        HandshakeKeys::derive(&hash(), ConnectionId(78), &inviter, &acceptor),
        HandshakeKeys::derive(&hash(), CONNECTION, &inviter, &name("gamma")),
        HandshakeKeys::derive(&hash(), CONNECTION, &name("gamma"), &acceptor),
        HandshakeKeys::derive(&hash(), CONNECTION, &acceptor, &inviter),
    ];
    for other in others {
        assert_eq!(other.open_hello(&hello), Err(FrameError::BadSeal));
        assert_eq!(other.open_welcome(&welcome), Err(FrameError::BadSeal));
    }
    for bit in 0..hello.len() * 8 {
        let mut altered = hello.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert!(keys().open_hello(&altered).is_err(), "bit {bit}");
    }
}

#[test]
fn a_hello_has_its_own_limit() {
    let keys = HandshakeKeys::derive(&hash(), CONNECTION, &name("alpha"), &name("beta"));
    let mut noise = vec![0; HELLO_BYTES_MAX - 61];
    getrandom::fill(&mut noise).unwrap();
    let largest = keys.seal_hello(&noise).unwrap();
    assert_eq!(largest.len(), HELLO_BYTES_MAX);
    assert_eq!(keys.open_hello(&largest), Ok(noise.clone()));
    noise.push(0);
    assert!(matches!(keys.seal_hello(&noise), Err(SealError::TooLarge { part: "body", .. })));
    let frame = seal(b'H', &alpha().sending.cipher, &77u128.to_be_bytes(), &noise).unwrap();
    assert_eq!(hello_connection(&frame), Err(FrameError::TooLarge));
    assert_eq!(keys.open_hello(&frame), Err(FrameError::TooLarge));
}

#[test]
fn debug_shows_no_key() {
    let shown = format!("{:?}", alpha());
    assert!(shown.contains("FrameKey { id:") && shown.contains(".."), "{shown}");
    assert!(!shown.contains("cipher"), "{shown}");
}

proptest! {
    #[test]
    fn what_is_sealed_opens_unchanged(header in prop::collection::vec(any::<u8>(), 0..200), body in prop::collection::vec(0u8..8, 0..5_000)) {
        let frame = seal_frame(&alpha().sending, &header, &body).unwrap();
        prop_assert_eq!(opened(&beta().receiving, &frame), Ok((header, body)));
    }

    #[test]
    fn no_two_frames_are_alike(body in prop::collection::vec(any::<u8>(), 0..50)) {
        let key = &alpha().sending;
        prop_assert_ne!(seal_frame(key, b"h", &body), seal_frame(key, b"h", &body));
    }

    #[test]
    fn noise_never_opens_and_never_panics(mut noise in prop::collection::vec(any::<u8>(), 0..400), dress: bool) {
        if let (true, Some(prefix)) = (dress, noise.first_chunk_mut::<5>()) {
            // Past the first checks, so that the later ones are reached.
            *prefix = [b'T', 1, prefix[2] & 1, prefix[3], 0];
        }
        prop_assert!(opened(&alpha().sending, &noise).is_err());
        prop_assert!(hello_connection(&noise).is_err() || noise[0] == b'H');
    }
}
