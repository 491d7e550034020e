//! Pauses (OPS-15): of a connection and of one object, on either side; nothing is lost, nothing is told
//! twice, and what is written again and again takes one message.

use tieline_core::command::{Command, Pause, Reply};
use tieline_core::engine::FrameEnd;
use tieline_core::event::IncarnationCause;
use tieline_core::frame::{FrameHeader, PauseWord};
use tieline_core::limits::HELD_FOR_PAUSE_MAX;
use tieline_core::link::{Heard, Link};
use tieline_core::message::EndReason;
use tieline_core::state::{Conflicts, ShareStatus};
use tieline_core::value::Value;
use tieline_core::{ConnectionId, Incarnation, RecordId, ShareId};

use crate::kit::{Both, Org, name};

fn pause(org: &mut Org, connection: ConnectionId, object: Option<&str>, paused: bool) -> Reply {
    org.run(Command::Pause(Pause::Set { connection, object: object.map(name), paused }))
}

/// The other side hears of a pause as a header tells it.
fn hear(from: &Org, to: &mut Org, connection: ConnectionId) {
    let word: PauseWord = from.connection(connection).pauses.word();
    to.run(Command::Pause(Pause::Heard { connection, word }));
}

fn note(org: &Org, record: RecordId, field: &str) -> Value {
    org.record(record).value(&name(field)).clone()
}

fn held_back(org: &Org, connection: ConnectionId, share: ShareId) -> bool {
    org.connection(connection).shares[&share].held_back.is_some()
}

#[test]
fn a_paused_connection_catches_up_with_one_message_for_each_record() {
    let mut both = Both::new();
    let (id, share) = (both.connection, both.share);
    pause(&mut both.acme, id, None, true);
    hear(&both.acme, &mut both.globex, id);
    let heads = [both.acme.connection(id).outbox.head(), both.globex.connection(id).outbox.head()];
    for round in 0..50 {
        both.acme.now = both.acme.now.plus_us(1_000_000);
        both.globex.now = both.acme.now;
        both.acme.update(both.deal, &[("Note", Value::text(&format!("a {round}")))]);
        both.globex.update(both.copy, &[("Number", Value::Integer(round))]);
    }
    assert_eq!(both.acme.connection(id).outbox.head(), heads[0], "the outbox does not grow");
    assert_eq!(both.globex.connection(id).outbox.head(), heads[1]);
    assert!(held_back(&both.acme, id, share) && held_back(&both.globex, id, share));
    // A job that was begun too early waits.
    pause(&mut both.acme, id, None, false);
    pause(&mut both.acme, id, None, true);
    let job = *both.acme.state().jobs.keys().next().unwrap();
    assert_eq!(both.acme.run(Command::AdvanceJob { job, allowance: 100 }), Reply::Unchanged);
    pause(&mut both.acme, id, None, false);
    hear(&both.acme, &mut both.globex, id);
    both.settle();
    assert_eq!(note(&both.globex, both.copy, "Remark"), Value::text("a 49"));
    assert_eq!(note(&both.acme, both.deal, "Count"), Value::Integer(49));
    assert!(!held_back(&both.acme, id, share) && !held_back(&both.globex, id, share));
    let after = both.acme.connection(id).outbox.counted;
    assert!(after < 10, "{after} messages were sent in all");
}

#[test]
fn a_paused_connection_takes_no_frame_and_the_partner_keeps_it() {
    let mut both = Both::new();
    let id = both.connection;
    both.globex.update(both.copy, &[("Remark", Value::text("under way"))]);
    let first = both.acme.connection(id).inbound.received.position.next();
    let frame = both.globex.frame(id, first, 1);
    pause(&mut both.acme, id, None, true);
    assert_eq!(both.acme.take(&frame).0, FrameEnd::Paused);
    assert_eq!(note(&both.acme, both.deal, "Note"), Value::Null);
    pause(&mut both.acme, id, None, false);
    assert_eq!(both.acme.take(&frame).0, FrameEnd::Taken(1));
    assert_eq!(note(&both.acme, both.deal, "Note"), Value::text("under way"));
}

#[test]
fn older_words_of_a_pause_change_nothing() {
    let mut both = Both::new();
    let id = both.connection;
    let before = both.acme.connection(id).pauses.word();
    pause(&mut both.acme, id, None, true);
    hear(&both.acme, &mut both.globex, id);
    let stale = Command::Pause(Pause::Heard { connection: id, word: before });
    assert_eq!(both.globex.run(stale), Reply::Unchanged);
    assert!(both.globex.connection(id).pauses.whole());
    assert_eq!(pause(&mut both.acme, id, None, true), Reply::Unchanged);
}

#[test]
fn what_comes_for_a_paused_object_is_held_in_order_and_tried_when_it_goes_on() {
    let mut both = Both::new();
    let (id, share) = (both.connection, both.share);
    pause(&mut both.acme, id, Some("Deal__c"), true);
    // The partner does not know yet.
    for text in ["one", "two"] {
        both.globex.now = both.globex.now.plus_us(1_000_000);
        both.globex.update(both.copy, &[("Remark", Value::text(text))]);
    }
    both.settle();
    assert_eq!(both.acme.connection(id).inbound.counts.held, 2);
    assert_eq!(both.acme.connection(id).due(both.acme.now.plus_us(i64::MAX / 4)), None);
    assert_eq!(note(&both.acme, both.deal, "Note"), Value::Null);
    // Now it does, and holds back by itself.
    assert!(both.globex.connection(id).object_paused(&name("Offer__c")));
    both.globex.update(both.copy, &[("Number", Value::Integer(3))]);
    both.acme.update(both.deal, &[("Stage", Value::picklist("Open".into()))]);
    both.settle();
    assert!(held_back(&both.acme, id, share) && held_back(&both.globex, id, share));
    assert_eq!(both.acme.connection(id).inbound.counts.held, 2);
    // Nothing new begins with it.
    let other = both.acme.create("Deal__c", &[("Name", Value::text("another"))]);
    let refused = both.acme.attempt(Command::Forward { record: other, connection: id }).unwrap_err();
    assert_eq!(refused.code, "paused");
    pause(&mut both.acme, id, Some("Deal__c"), false);
    while let Some(position) = both.acme.connection(id).due(both.acme.now) {
        both.acme.run(Command::TryHeld { connection: id, position });
    }
    both.settle();
    assert_eq!(note(&both.acme, both.deal, "Note"), Value::text("two"));
    assert_eq!(note(&both.acme, both.deal, "Count"), Value::Integer(3));
    assert_eq!(note(&both.globex, both.copy, "Phase"), Value::picklist("two".into()));
    assert!(!held_back(&both.acme, id, share) && !held_back(&both.globex, id, share));
    let counts = both.acme.connection(id).inbound.counts;
    assert!(counts.balanced() && counts.held == 0, "{counts:?}");
    assert_eq!(both.globex.connection(id).outbox.outcomes, counts);
}

#[test]
fn what_ends_during_a_pause_ends_with_its_last_values() {
    let mut both = Both::new();
    let (id, share) = (both.connection, both.share);
    pause(&mut both.acme, id, None, true);
    hear(&both.acme, &mut both.globex, id);
    both.acme.now = both.acme.now.plus_us(1_000_000);
    both.acme.update(both.deal, &[("Note", Value::text("the last word"))]);
    both.acme.run(Command::EndShare { record: both.deal, connection: id, reason: EndReason::Stopped });
    pause(&mut both.acme, id, None, false);
    hear(&both.acme, &mut both.globex, id);
    both.settle();
    assert_eq!(note(&both.globex, both.copy, "Remark"), Value::text("the last word"));
    let status = both.globex.connection(id).shares[&share].status;
    assert_eq!(status, ShareStatus::Inactive(EndReason::Stopped));
}

#[test]
fn writes_that_meet_after_a_pause_are_a_conflict_and_others_are_not() {
    let mut both = Both::new();
    let id = both.connection;
    both.acme.now = both.acme.now.plus_us(1_000_000);
    both.acme.update(both.deal, &[("Count", Value::Integer(1))]);
    both.settle();
    pause(&mut both.acme, id, None, true);
    hear(&both.acme, &mut both.globex, id);
    both.globex.now = both.acme.now.plus_us(2_000_000);
    // Globex has seen the count that it replaces, and not the note.
    both.globex.update(both.copy, &[("Number", Value::Integer(2)), ("Remark", Value::text("theirs"))]);
    both.acme.now = both.acme.now.plus_us(1_000_000);
    both.acme.update(both.deal, &[("Note", Value::text("ours"))]);
    pause(&mut both.acme, id, None, false);
    hear(&both.acme, &mut both.globex, id);
    both.settle();
    assert_eq!(both.counts(), [Conflicts { ours: 1, theirs: 0 }, Conflicts { ours: 0, theirs: 1 }]);
    assert_eq!(note(&both.acme, both.deal, "Note"), Value::text("theirs"));
}

#[test]
fn so_much_is_held_for_a_paused_object_and_the_partner_keeps_the_rest() {
    let mut both = Both::new();
    let id = both.connection;
    both.globex.update(both.copy, &[("Remark", Value::text("as a deal over 100 needs"))]);
    both.settle();
    pause(&mut both.acme, id, Some("Deal__c"), true);
    // A partner that does not hear of it sends on and on.
    let last = HELD_FOR_PAUSE_MAX as i64 + 300;
    for number in 0..=last {
        both.globex.update(both.copy, &[("Number", Value::Integer(number))]);
    }
    loop {
        let first = both.acme.connection(id).inbound.received.position.next();
        let frame = both.globex.frame(id, first, 100);
        if both.acme.take(&frame).0 == FrameEnd::Paused {
            break;
        }
    }
    let held = both.acme.connection(id).inbound.held.len();
    assert!((HELD_FOR_PAUSE_MAX..HELD_FOR_PAUSE_MAX + 100).contains(&held), "{held}");
    pause(&mut both.acme, id, Some("Deal__c"), false);
    both.settle();
    while let Some(position) = both.acme.connection(id).due(both.acme.now) {
        both.acme.run(Command::TryHeld { connection: id, position });
        if position.0 % 50 == 0 {
            both.settle();
        }
    }
    both.settle();
    assert_eq!(both.acme.record(both.deal).value(&name("Count")), &Value::Integer(last));
    assert!(both.acme.connection(id).inbound.held.is_empty());
}

#[test]
fn that_grants_wait_for_a_paused_connection_is_told_once() {
    let mut both = Both::new();
    let id = both.connection;
    let (cause, above) = (IncarnationCause::Restored, Incarnation::default());
    both.acme.run(Command::StartIncarnation { cause, connection: None, above });
    let told = |org: &Org| org.state().alarms.iter().filter(|a| a.alarm.code == "grants_wait").count();
    assert_eq!(told(&both.acme), 0);
    pause(&mut both.acme, id, None, true);
    assert_eq!(told(&both.acme), 1);
    pause(&mut both.acme, id, None, false);
    pause(&mut both.acme, id, None, true);
    assert_eq!(told(&both.acme), 1);
}

/// What an org says at the next moment.
fn heartbeat(org: &Org, id: ConnectionId) -> FrameHeader {
    let (life, connection) = (org.state().org.as_ref().unwrap(), org.connection(id));
    let said = Link::new(life, connection, org.now).header(life, connection, None, org.now).unwrap();
    FrameHeader::decode(&said.encode()).unwrap()
}

/// How an org hears it.
fn heard(org: &Org, id: ConnectionId, header: &FrameHeader) -> Heard {
    let (life, connection) = (org.state().org.as_ref().unwrap(), org.connection(id));
    Link::new(life, connection, org.now).hear(life, connection, header, org.now)
}

#[test]
fn a_pause_that_its_org_forgot_shows_that_its_log_lost_the_tail() {
    let mut both = Both::new();
    let id = both.connection;
    let mut lost = both.acme.clone();
    pause(&mut both.acme, id, None, true);
    hear(&both.acme, &mut both.globex, id);
    // The partner sends nothing but this.
    let echo = heartbeat(&both.globex, id);
    assert_eq!((echo.count, echo.pause_heard), (0, 1));
    assert_eq!(heard(&both.acme, id, &echo), Heard::Go);
    assert_eq!(heard(&lost, id, &FrameHeader { pause_heard: 0, ..echo.clone() }), Heard::Go);
    let Heard::Learn(command) = heard(&lost, id, &echo) else { panic!("the pause is not missed") };
    let Command::StartIncarnation { cause: IncarnationCause::TailLost, .. } = command else {
        panic!("{command:?}")
    };
    lost.run(command);
    let Heard::Learn(command) = heard(&both.globex, id, &heartbeat(&lost, id)) else {
        panic!("a new life is learned")
    };
    both.globex.run(command);
    assert!(!both.globex.connection(id).pauses.whole(), "the new life has paused nothing");
    assert_eq!(heard(&lost, id, &heartbeat(&both.globex, id)), Heard::Go);
    both.acme = lost;
    both.globex.update(both.copy, &[("Remark", Value::text("at last"))]);
    both.settle();
    assert_eq!(note(&both.acme, both.deal, "Note"), Value::text("at last"));
}
