//! Keys that are changed while a connection runs: which are in use when, on both sides.

use tieline_core::ConnectionId;
use tieline_core::Incarnation;
use tieline_core::command::{Command, Reply};
use tieline_core::decide::is_weak;
use tieline_core::limits::KEY_OVERLAP_US;
use tieline_core::message::{KeyAnnounced, Message};
use tieline_core::state::OwnKey;

use crate::kit::{Org, Partner, connect, deal, offer, settle_all};

fn key(number: u32) -> OwnKey {
    OwnKey { number, public_key: [100 + u8::try_from(number).unwrap(); 32].into() }
}

fn pair() -> (Org, Org, ConnectionId) {
    let (mut a, mut b) = (Org::new("acme", deal()), Org::new("globex", offer()));
    let id = connect(&mut a, &mut b);
    (a, b, id)
}

/// The numbers of the own keys: present, announced, and former while it opens frames.
fn own(org: &Org, id: ConnectionId) -> (u32, Option<u32>, Option<u32>) {
    let keys = &org.connection(id).own_keys;
    let former = keys.former.and_then(|former| former.at(org.now));
    (keys.number(), keys.announced.map(|key| key.number), former.map(|key| key.map_or(0, |key| key.number)))
}

/// The first bytes of the partner's keys: present, and former while it opens frames.
fn partners(org: &Org, id: ConnectionId) -> (u8, Option<u8>) {
    let connection = org.connection(id);
    let former = connection.former_partner_key.and_then(|former| former.at(org.now));
    (connection.partner_key.unwrap()[0], former.map(|key| key[0]))
}

/// The first bytes of the keys that the partner is being told.
fn told(org: &Org, id: ConnectionId) -> Vec<u8> {
    let outbox = &org.connection(id).outbox;
    let positions = outbox.receipt.position.0 + 1..=outbox.head().position.0;
    let messages = positions.map(|position| org.envelope(id, tieline_core::Position(position)));
    let messages = messages.map(|envelope| Message::decode(envelope.kind, &envelope.body).unwrap());
    messages
        .filter_map(|message| match message {
            Message::KeyAnnounced(announced) => Some(announced.public_key[0]),
            _ => None,
        })
        .collect()
}

#[test]
fn a_key_is_announced_taken_confirmed_and_over() {
    let (mut a, mut b, id) = pair();
    let first = partners(&b, id).0;
    a.run(Command::AnnounceKey { connection: id, key: key(1) });
    // The partner may not have it: we go on sealing with the old one.
    assert_eq!((own(&a, id), partners(&b, id)), ((0, Some(1), None), (first, None)));
    settle_all(&mut a, &mut b, id);
    // That it was received proves nothing: an older version would have passed it over.
    assert_eq!((own(&a, id), partners(&b, id)), ((0, Some(1), None), (101, Some(first))));
    a.run(Command::ConfirmKey { connection: id, key: key(1) });
    assert_eq!(own(&a, id), (1, None, Some(0)));
    assert_eq!(a.run(Command::ConfirmKey { connection: id, key: key(1) }), Reply::Unchanged);
    for org in [&mut a, &mut b] {
        org.now = org.now.plus_us(KEY_OVERLAP_US - 1);
    }
    assert_eq!((own(&a, id), partners(&b, id)), ((1, None, Some(0)), (101, Some(first))));
    for org in [&mut a, &mut b] {
        org.now = org.now.plus_us(1);
    }
    assert_eq!((own(&a, id), partners(&b, id)), ((1, None, None), (101, None)));
}

#[test]
fn one_change_at_a_time() {
    let (mut a, mut b, id) = pair();
    let announce = |number| Command::AnnounceKey { connection: id, key: key(number) };
    a.run(announce(1));
    let refused = a.attempt(announce(2)).unwrap_err();
    assert_eq!(refused.code, "rotation_pending");
    assert!(refused.message.contains("globex") && refused.message.contains(&id.to_string()), "{refused}");
    // The other side changes its own meanwhile.
    b.run(announce(7));
    settle_all(&mut a, &mut b, id);
    assert_eq!((partners(&a, id).0, partners(&b, id).0), (107, 101));
    a.run(Command::ConfirmKey { connection: id, key: key(1) });
    a.run(announce(2));
    settle_all(&mut a, &mut b, id);
    assert_eq!(partners(&b, id), (102, Some(101)));
    // A number is never used again.
    a.run(Command::ConfirmKey { connection: id, key: key(2) });
    assert_eq!(a.attempt(announce(2)).unwrap_err().code, "rotation_pending");
}

#[test]
fn a_key_is_not_changed_on_a_connection_that_is_over() {
    let (mut a, _b, id) = pair();
    a.run(Command::Deactivate { connection: id, by_partner: false });
    let refused = a.attempt(Command::AnnounceKey { connection: id, key: key(1) }).unwrap_err();
    assert_eq!(refused.code, "connection_not_active");
}

#[test]
fn a_weak_key_is_an_alarm_and_a_known_one_is_nothing() {
    let mut org = Org::new("acme", deal());
    let mut partner = Partner::of(&mut org, "globex");
    let id = partner.connection;
    let before = partners(&org, id);
    partner.send(&mut org, KeyAnnounced { public_key: [before.0; 32] });
    assert_eq!((partners(&org, id), org.state().alarms.len()), (before, 0));
    let mut one = [0; 32];
    one[0] = 1;
    one[31] = 0x80;
    assert!(is_weak(&one), "the last bit is not looked at");
    partner.send(&mut org, KeyAnnounced { public_key: one });
    assert_eq!(partners(&org, id), before);
    let alarm = &org.state().alarms.last().unwrap().alarm;
    assert_eq!((alarm.code.as_str(), alarm.connection), ("weak_key", Some(id)));
    partner.send(&mut org, KeyAnnounced { public_key: [9; 32] });
    assert_eq!(partners(&org, id), (9, Some(before.0)));
}

#[test]
fn a_restored_partner_is_sealed_for_as_it_was_and_told_again() {
    let (mut a, _b, id) = pair();
    a.run(Command::AnnounceKey { connection: id, key: key(1) });
    a.run(Command::ConfirmKey { connection: id, key: key(1) });
    let incarnation = Incarnation(u128::MAX - 1);
    for (later_us, expected) in [(KEY_OVERLAP_US - 1, (0, Some(1), None)), (KEY_OVERLAP_US, (1, None, None))]
    {
        let mut a = a.clone();
        a.now = a.now.plus_us(later_us);
        a.run(Command::TakeIncarnation { connection: id, incarnation });
        // Within the overlap the partner may have only the former key; after it, that one opens
        // nothing any more.
        assert_eq!((own(&a, id), told(&a, id)), (expected, vec![101]), "after {later_us} µs");
        a.run(Command::ConfirmKey { connection: id, key: key(1) });
        assert_eq!(own(&a, id).0, 1);
    }
}

#[test]
fn a_key_that_the_log_forgot_comes_back_and_is_told_last() {
    let (mut a, mut b, id) = pair();
    a.run(Command::AnnounceKey { connection: id, key: key(1) });
    settle_all(&mut a, &mut b, id);
    a.run(Command::ConfirmKey { connection: id, key: key(1) });
    let mut old = a.clone();
    a.run(Command::AnnounceKey { connection: id, key: key(2) });
    settle_all(&mut a, &mut b, id);
    assert_eq!(partners(&b, id).0, 102);
    // The log is put back; the secrets are not. What the partner seals for shows the newer key.
    let cause = tieline_core::event::IncarnationCause::Restored;
    old.run(Command::StartIncarnation { cause, connection: None, above: Incarnation::default() });
    assert_eq!(told(&old, id), [101]);
    old.run(Command::ConfirmKey { connection: id, key: key(2) });
    assert_eq!((own(&old, id), told(&old, id)), ((2, None, Some(1)), vec![101, 102]));
    let incarnation = old.state().org.as_ref().unwrap().incarnation;
    b.run(Command::TakeIncarnation { connection: id, incarnation });
    settle_all(&mut old, &mut b, id);
    assert_eq!(partners(&b, id), (102, Some(101)));
}
