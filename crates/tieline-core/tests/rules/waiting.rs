//! What has to wait (`docs/protocol.md` §7): messages from the future until their time has come,
//! refused values until they can be written; and how the partner is told of the end.

use tieline_core::command::{Command, Refusal, Reply};
use tieline_core::engine::Engine;
use tieline_core::message::{AcceptOffer, EndReason, Message, OutcomeDetail, Settled, ShareEnded};
use tieline_core::outcome::Outcome::{self, Applied, Filtered, Held, Rejected, Superseded, Unchanged};
use tieline_core::schema::{ObjectSchema, ValidationRule};
use tieline_core::state::State;
use tieline_core::value::Value;
use tieline_core::{ConnectionId, OrgId, Position, RecordId, ShareId, Timestamp};

use crate::kit::{
    Both, NOW, Org, Partner, at, change_of, content, deal, deals_from_offers, grant_of, name, offer,
    offer_of, stamp,
};

const SHARE: ShareId = ShareId(1);
const OTHER: OrgId = OrgId(9);

/// An org that holds a copy without a note.
fn desk() -> (Org, Partner, RecordId) {
    let mut here = Org::new("acme", deal());
    let mut globex = Partner::of(&mut here, "globex");
    let record =
        globex.give(&mut here, SHARE, content(&[("Title", Value::text("a deal"))], stamp(-100, OTHER)));
    (here, globex, record)
}

fn remark(text: &str, seconds: i64) -> Message {
    change_of(SHARE, 1, content(&[("Remark", Value::text(text))], stamp(seconds, OTHER))).into()
}

/// What the partner was told of late ends, in order.
fn settled(here: &Org, connection: ConnectionId, after: Position) -> Vec<(Position, Outcome, bool)> {
    let told = here.sent(connection, after).into_iter();
    told.filter_map(|message| match message {
        Message::Settled(Settled { detail: OutcomeDetail { position, outcome, .. }, recovered }) => {
            Some((position, outcome, recovered))
        }
        _ => None,
    })
    .collect()
}

fn head(here: &Org, connection: ConnectionId) -> Position {
    here.connection(connection).outbox.head().position
}

/// Tries what is due, as a daemon does.
fn try_due(here: &mut Org, connection: ConnectionId) {
    while let Some(position) = here.connection(connection).due(here.now) {
        here.run(Command::TryHeld { connection, position });
    }
}

#[test]
fn the_future_is_held_until_it_is_near_and_what_follows_on_its_share_behind_it() {
    let (mut here, mut globex, record) = desk();
    let connection = globex.connection;
    let before = here.connection(connection).inbound.counts;
    let (first, after) = (globex.next(), head(&here, connection));
    let ended = ShareEnded { share: SHARE, generation: 1, reason: EndReason::Stopped };
    let other = offer_of(ShareId(2), 1);
    let sent = [remark("ahead", 400), remark("behind", 10), ended.into(), other.into()];
    let outcomes: Vec<_> =
        globex.send_all(&mut here, &sent).into_iter().map(|r| r.outcome.unwrap()).collect();
    assert_eq!(outcomes, [Held, Held, Held, Applied], "another share does not wait");
    assert_eq!(here.connection(connection).inbound.counts.held, 3);
    assert!(here.record(record).fields.get("Note").is_none());
    assert_eq!(here.connection(connection).held_until(SHARE), Some(at(100)), "five minutes before its stamp");

    here.now = Timestamp(at(100).0 - 1);
    assert_eq!(here.connection(connection).due(here.now), None);
    here.now = at(100);
    try_due(&mut here, connection);
    assert_eq!(here.record(record).value(&name("Note")), &Value::text("ahead"));
    let counts = here.connection(connection).inbound.counts;
    assert!(counts.balanced(), "{counts:?}");
    let ends = (counts.held, counts.applied, counts.superseded);
    assert_eq!(ends, (0, before.applied + 3, 1), "each settles once, in order");
    let second = first.next();
    let told = [(first, Applied, false), (second, Superseded, false), (second.next(), Applied, false)];
    assert_eq!(settled(&here, connection, after), told);
    let report =
        here.sent(connection, after).into_iter().position(|m| matches!(m, Message::OutcomeReport(_)));
    assert_eq!(report, Some(0), "that they are held is told before how they end");
}

/// A daemon that starts from a snapshot goes on waiting.
#[test]
fn what_is_held_is_still_held_after_a_snapshot() {
    let (mut here, mut globex, record) = desk();
    let connection = globex.connection;
    let position = globex.next();
    globex.send(&mut here, remark("ahead", 400));
    here.engine = Engine::new(State::from_bytes(&here.state().to_bytes()).unwrap());
    assert_eq!(globex.send(&mut here, remark("behind", 10)).outcome, Some(Held));
    assert_eq!(here.connection(connection).due(at(100)), Some(position));
    here.now = at(100);
    try_due(&mut here, connection);
    assert_eq!(here.record(record).value(&name("Note")), &Value::text("ahead"));
}

#[test]
fn a_grant_from_the_future_holds_its_follow_up() {
    let (mut here, mut globex, _) = desk();
    let (connection, share) = (globex.connection, ShareId(2));
    globex.send(&mut here, offer_of(share, 1));
    here.run(Command::Accept { connection, share, owner: None });
    let title = content(&[("Title", Value::text("later"))], stamp(500, OTHER));
    let follow_up = content(&[("Remark", Value::text("too"))], stamp(0, OTHER));
    let sent = [grant_of(share, 1, title).into(), change_of(share, 1, follow_up).into()];
    assert!(globex.send_all(&mut here, &sent).iter().all(|received| received.outcome == Some(Held)));
    here.now = at(200);
    try_due(&mut here, connection);
    let record = here.state().share(connection, share).unwrap().record.unwrap();
    assert_eq!(here.record(record).value(&name("Note")), &Value::text("too"));
}

#[test]
fn what_is_held_when_the_connection_ends_is_filtered() {
    let (mut here, mut globex, _) = desk();
    let connection = globex.connection;
    globex.send(&mut here, remark("ahead", 400));
    let after = head(&here, connection);
    here.run(Command::Deactivate { connection, by_partner: false });
    here.now = at(100);
    try_due(&mut here, connection);
    let counts = here.connection(connection).inbound.counts;
    assert_eq!((counts.held, counts.filtered, counts.balanced()), (0, 1, true));
    assert_eq!(head(&here, connection), after, "nothing is positioned after the end");
}

/// The clock of stamps is fed by what was written here: not by what is held or refused.
#[test]
fn only_accepted_stamps_move_the_clock() {
    let table = [
        ("held", remark("ahead", 400), Held, NOW),
        ("refused", remark("a remark of more than forty characters is too long", 200), Rejected, NOW),
        ("accepted", remark("near", 200), Applied, at(200).plus_us(1)),
        ("filtered", change_of(ShareId(3), 1, content(&[], stamp(200, OTHER))).into(), Filtered, NOW),
    ];
    for (what, message, outcome, next) in table {
        let (mut here, mut globex, record) = desk();
        assert_eq!(globex.send(&mut here, message).outcome, Some(outcome), "{what}");
        here.update(record, &[("Secret", Value::text("x"))]);
        assert_eq!(here.record(record).fields.get("Secret").unwrap().stamp.time, next, "{what}");
    }
}

fn number(number: i64, seconds: i64) -> Message {
    change_of(SHARE, 1, content(&[("Number", Value::Integer(number))], stamp(seconds, OTHER))).into()
}

fn without_rules() -> ObjectSchema {
    ObjectSchema { rules: Vec::new(), ..deal() }
}

fn define(here: &mut Org, schema: ObjectSchema) {
    here.run(Command::DefineObject { schema: Box::new(schema) });
}

fn retry(here: &mut Org, connection: ConnectionId) -> Result<(), Refusal> {
    here.attempt(Command::Retry { connection, share: SHARE }).map(drop)
}

/// Each way in which a refused value comes through later.
#[test]
fn a_refused_value_comes_through_with_whatever_lets_it() {
    type Way = fn(&mut Org, &mut Partner, RecordId);
    let ways: [(&str, Way); 6] = [
        ("the next message", |here, globex, _| {
            assert_eq!(globex.send(here, remark("a note", 20)).outcome, Some(Applied));
        }),
        ("a local write", |here, _, record| drop(here.update(record, &[("Note", Value::text("a note"))]))),
        ("a changed rule", |here, _, _| {
            define(here, without_rules());
            here.finish_jobs();
        }),
        ("a changed mapping", |here, globex, _| {
            define(here, without_rules());
            let mut rule = deals_from_offers();
            rule.auto_accept = true;
            let (connection, object) = (globex.connection, name("Offer__c"));
            here.run(Command::Subscribe { connection, object, rule: Some(rule) });
            here.finish_jobs();
        }),
        ("a person who asks", |here, globex, _| {
            define(here, without_rules());
            retry(here, globex.connection).unwrap();
        }),
        ("a person who asks twice", |here, globex, _| {
            let refused = retry(here, globex.connection).unwrap_err();
            assert_eq!(refused.code, "record_refused");
            define(here, without_rules());
            retry(here, globex.connection).unwrap();
            retry(here, globex.connection).unwrap();
        }),
    ];
    for (what, way) in ways {
        let (mut here, mut globex, record) = desk();
        let (connection, position) = (globex.connection, globex.next());
        assert_eq!(globex.send(&mut here, number(200, 10)).outcome, Some(Rejected), "{what}");
        assert!(here.state().share(connection, SHARE).unwrap().problem.is_some(), "{what}");
        assert_eq!(here.connection(connection).failures.len(), 1, "{what}");
        let after = head(&here, connection);
        way(&mut here, &mut globex, record);

        let found = here.record(record);
        assert_eq!(found.value(&name("Count")), &Value::Integer(200), "{what}");
        assert_eq!(found.fields.get("Count").unwrap().stamp, stamp(10, OTHER), "{what}: its own stamp");
        assert!(found.pending.is_empty(), "{what}: {:?}", found.pending);
        assert!(here.state().share(connection, SHARE).unwrap().problem.is_none(), "{what}");
        assert_eq!(settled(&here, connection, after), [(position, Applied, true)], "{what}");
        let counts = here.connection(connection).inbound.counts;
        assert!(counts.balanced() && counts.rejected == 1, "{what}: a recovery moves no counter: {counts:?}");
    }
}

/// What was refused together is tried with the next message, and does not keep that one back.
#[test]
fn what_stays_refused_keeps_nothing_back() {
    let (mut here, mut globex, record) = desk();
    globex.send(&mut here, number(200, 10));
    let title = change_of(SHARE, 1, content(&[("Title", Value::text("renamed"))], stamp(20, OTHER)));
    assert_eq!(globex.send(&mut here, title).outcome, Some(Applied));
    let found = here.record(record);
    assert_eq!(found.value(&name("Name")), &Value::text("renamed"));
    assert_eq!(found.value(&name("Count")), &Value::Null);
    assert!(found.pending.contains_key("Count"));
    assert_eq!(globex.send(&mut here, number(200, 10)).outcome, Some(Unchanged));
}

/// A grant that could not be created keeps what came, and is created when it can be.
#[test]
fn a_grant_that_was_refused_is_created_later() {
    let mut here = Org::new("acme", deal());
    let mut globex = Partner::of(&mut here, "globex");
    let connection = globex.connection;
    globex.send(&mut here, offer_of(SHARE, 1));
    here.run(Command::Accept { connection, share: SHARE, owner: None });
    let position = globex.next();
    let refused = content(&[("Number", Value::Integer(200)), ("Title", Value::text("x"))], stamp(0, OTHER));
    assert_eq!(globex.send(&mut here, grant_of(SHARE, 1, refused)).outcome, Some(Rejected));
    let after = head(&here, connection);
    assert_eq!(retry(&mut here, connection).unwrap_err().code, "record_refused");
    let created = globex.send(&mut here, remark("a note", 10));
    assert_eq!(created.outcome, Some(Applied));
    let found = here.record(created.record.unwrap());
    assert_eq!(found.value(&name("Count")), &Value::Integer(200), "the fields of the grant are not lost");
    assert_eq!(settled(&here, connection, after), [(position, Applied, true)]);
}

/// A value that waits is dropped with its share, unless it can still be written: then it counts as
/// written here and goes to those who share the record by then.
#[test]
fn what_waits_when_its_share_ends_goes_to_the_others() {
    let (mut here, mut globex, record) = desk();
    let mut initech = Partner::of(&mut here, "initech");
    let share = initech.receive(&mut here, record);
    globex.send(&mut here, number(200, 10));
    globex.send(&mut here, ShareEnded { share: SHARE, generation: 1, reason: EndReason::Stopped });
    let after = head(&here, initech.connection);
    here.update(record, &[("Note", Value::text("a note"))]);
    let sent = here.sent(initech.connection, after);
    let [Message::Change(change)] = sent.as_slice() else { panic!("one change is sent: {sent:?}") };
    assert_eq!(change.share, share);
    assert_eq!(change.content.values.get("Count"), Some(&Value::Integer(200)));
    let again = AcceptOffer { share, generation: 1, whole: false };
    assert_eq!(initech.send(&mut here, again).outcome, None, "control messages have no outcome");
}

#[test]
fn what_comes_through_with_its_follow_up_is_no_failure_at_the_partner() {
    let mut both = Both::new();
    let mut strict = offer();
    strict.rules.push(ValidationRule {
        name: "Remarked".to_owned(),
        condition: "isBlank(Remark)".to_owned(),
        message: "Write a remark.".to_owned(),
        field: None,
        active: true,
    });
    both.globex.run(Command::DefineObject { schema: Box::new(strict) });
    let given = [("Name", Value::text("another")), ("Note", Value::text("comes behind the create set"))];
    let deal = both.acme.create("Deal__c", &given);
    let Reply::Share(share) = both.acme.run(Command::Forward { record: deal, connection: both.connection })
    else {
        panic!("an offer is a share")
    };
    both.settle();
    both.globex.run(Command::Accept { connection: both.connection, share, owner: None });
    both.settle();
    // The grant alone was refused, and both count it.
    let (ours, theirs) = (both.acme.connection(both.connection), both.globex.connection(both.connection));
    assert_eq!((theirs.inbound.counts.rejected, ours.outbox.outcomes), (1, theirs.inbound.counts));
    // With what followed it came through, so nobody has to look.
    assert!(theirs.shares[&share].record.is_some() && theirs.shares[&share].problem.is_none());
    assert_eq!(ours.shares[&share].problem, None);
    assert!(ours.failures.is_empty(), "{:?}", ours.failures);
}
