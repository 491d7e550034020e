//! References travel as links between shared records (`docs/protocol.md` §8): translated to the
//! partner's own record, in whatever order the two come, and in circles.

mod waiting;

use std::ops::Range;

use tieline_core::command::{Command, Pause, Reply};
use tieline_core::engine::Engine;
use tieline_core::event::IncarnationCause;
use tieline_core::mapping::{FieldMapping, SubscribeRule};
use tieline_core::message::{EndReason, Message};
use tieline_core::outcome::Outcome;
use tieline_core::reason::ReasonCode;
use tieline_core::reference::NOT_SHARED;
use tieline_core::schema::ObjectSchema;
use tieline_core::state::{ShareStatus, State};
use tieline_core::value::Value;
use tieline_core::{ConnectionId, Incarnation, Position, RecordId, ShareId};

use crate::kit::{Org, connect, name, publish_rule, settle_all};

const FIRM: &str = r#"
object = "Firm__c"
name_field = "Name"
create_set = ["Name"]
[fields]
Name = { type = "text", length = 80, required = true }
Head = { type = "reference", references = "Person__c" }
Rank = { type = "integer" }
"#;

const PERSON: &str = r#"
object = "Person__c"
name_field = "Name"
create_set = ["Name", "Firm"]
view_fields = ["Name", "Firm"]
[fields]
Name = { type = "text", length = 80, required = true }
Firm = { type = "reference", references = "Firm__c" }
Boss = { type = "reference", references = "Person__c" }
"#;

/// A person who is nobody without a firm, and a firm that is none without its head.
const NEEDY_PERSON: &str = r#"
extends = "Person__c"
[fields]
Firm = { required = true }
"#;
const NEEDY_FIRM: &str = r#"
extends = "Firm__c"
create_set = ["Name", "Head"]
[fields]
Head = { required = true }
"#;

fn object(text: &str, base: Option<&ObjectSchema>) -> ObjectSchema {
    ObjectSchema::from_toml(text).unwrap().build(base).unwrap()
}

fn org(called: &str) -> Org {
    let mut org = Org::new(called, object(FIRM, None));
    org.run(Command::DefineObject { schema: Box::new(object(PERSON, None)) });
    org
}

fn extend(org: &mut Org, text: &str) {
    let base = ObjectSchema::from_toml(text).unwrap().object().cloned().unwrap();
    let schema = object(text, Some(org.state().object(&base).unwrap()));
    org.run(Command::DefineObject { schema: Box::new(schema) });
}

const FIELDS: [(&str, &[&str]); 2] =
    [("Firm__c", &["Head", "Name", "Rank"]), ("Person__c", &["Boss", "Firm", "Name"])];

fn publish(org: &mut Org, connection: ConnectionId) {
    for (of, fields) in FIELDS {
        let rule = Some(publish_rule(&name(of), fields));
        org.run(Command::Publish { connection, object: name(of), rule });
    }
}

fn subscribe(org: &mut Org, connection: ConnectionId, auto_accept: bool) {
    for (of, fields) in FIELDS {
        let rule = SubscribeRule {
            remote: name(of),
            local: name(of),
            auto_accept,
            accept_whole: false,
            owner: None,
            fields: fields.iter().map(|field| FieldMapping::rename(name(field), name(field))).collect(),
            version: 0,
        };
        org.run(Command::Subscribe { connection, object: name(of), rule: Some(rule) });
    }
}

/// Two orgs that publish and take both objects, both ways.
fn pair(auto_accept: bool) -> (Org, Org, ConnectionId) {
    let (mut a, mut b) = (org("acme"), org("globex"));
    let connection = join(&mut a, &mut b, auto_accept);
    (a, b, connection)
}

fn join(a: &mut Org, b: &mut Org, auto_accept: bool) -> ConnectionId {
    let connection = connect(a, b);
    publish(a, connection);
    publish(b, connection);
    settle_all(a, b, connection);
    subscribe(a, connection, auto_accept);
    subscribe(b, connection, auto_accept);
    settle(a, b, connection);
    connection
}

/// Carries everything, and tries what is due, until nothing is left.
fn settle(a: &mut Org, b: &mut Org, connection: ConnectionId) {
    for _ in 0..50 {
        settle_all(a, b, connection);
        if !(try_due(a, connection) | try_due(b, connection)) {
            return;
        }
    }
    panic!("held messages are tried again and again");
}

fn try_due(org: &mut Org, connection: ConnectionId) -> bool {
    let mut any = false;
    while let Some(position) = org.connection(connection).due(org.now) {
        org.run(Command::TryHeld { connection, position });
        any = true;
    }
    any
}

fn forward(org: &mut Org, record: RecordId, connection: ConnectionId) -> ShareId {
    let Reply::Share(share) = org.run(Command::Forward { record, connection }) else { panic!("a share") };
    share
}

fn accept(org: &mut Org, connection: ConnectionId, share: ShareId) {
    org.run(Command::Accept { connection, share, owner: None });
}

/// The record of a share, once there is one.
fn copy(org: &Org, connection: ConnectionId, share: ShareId) -> RecordId {
    org.state().share(connection, share).unwrap().record.unwrap()
}

fn refers(org: &Org, record: RecordId, field: &str) -> Value {
    org.record(record).value(&name(field)).clone()
}

fn named(what: &str) -> (&str, Value) {
    ("Name", Value::text(what))
}

fn firm_and_person(a: &mut Org) -> (RecordId, RecordId) {
    let firm = a.create("Firm__c", &[named("Steel")]);
    let person = a.create("Person__c", &[named("Ada"), ("Firm", Value::Reference(firm))]);
    (firm, person)
}

fn check(org: &Org, connection: ConnectionId) {
    assert!(org.connection(connection).inbound.counts.balanced());
    let again = State::from_bytes(&org.state().to_bytes()).unwrap();
    assert_eq!(again.hash(), org.state().hash());
}

/// No message names a record of the sender where it can be read.
fn nothing_leaks(org: &Org, connection: ConnectionId, local: RecordId) {
    let sent = org.sent(connection, Position(org.connection(connection).outbox.receipt.position.0));
    let contents = sent.iter().filter_map(|message| match message {
        Message::Grant(m) => Some(&m.content),
        Message::Snapshot(m) => Some(&m.content),
        Message::Change(m) => Some(&m.content),
        _ => None,
    });
    for value in contents.flat_map(|content| content.values.values()) {
        assert_ne!(*value, Value::Reference(local));
    }
}

#[test]
fn a_reference_becomes_the_partners_own_record_in_both_orders() {
    for firm_first in [true, false] {
        let (mut a, mut b, connection) = pair(false);
        let (firm, person) = firm_and_person(&mut a);
        let (of_firm, of_person) = (forward(&mut a, firm, connection), forward(&mut a, person, connection));
        settle(&mut a, &mut b, connection);
        let order = if firm_first { [of_firm, of_person] } else { [of_person, of_firm] };
        for share in order {
            accept(&mut b, connection, share);
            settle(&mut a, &mut b, connection);
        }
        let (its_firm, its_person) = (copy(&b, connection, of_firm), copy(&b, connection, of_person));
        assert_eq!(refers(&b, its_person, "Firm"), Value::Reference(its_firm), "{firm_first}");
        assert!(b.record(its_person).links.is_empty());
        nothing_leaks(&a, connection, firm);
        nothing_leaks(&b, connection, its_firm);
        let head = a.connection(connection).inbound.received.position;
        let quiet = b.sent(connection, head);
        assert!(quiet.is_empty(), "{quiet:?}");
        assert_eq!(a.connection(connection).inbound.counts.received, 0, "nothing echoes");

        // The partner's edit comes back as a reference to ours.
        let other = b.create("Firm__c", &[named("Glass")]);
        let of_other = forward(&mut b, other, connection);
        settle(&mut a, &mut b, connection);
        accept(&mut a, connection, of_other);
        settle(&mut a, &mut b, connection);
        b.update(its_person, &[("Firm", Value::Reference(other))]);
        settle(&mut a, &mut b, connection);
        assert_eq!(refers(&a, person, "Firm"), Value::Reference(copy(&a, connection, of_other)));
        check(&a, connection);
        check(&b, connection);
    }
}

#[test]
fn what_is_not_shared_is_empty_with_a_reason_and_filled_when_it_is_shared() {
    let (mut a, mut b, connection) = pair(true);
    let (firm, person) = firm_and_person(&mut a);
    let of_person = forward(&mut a, person, connection);
    settle(&mut a, &mut b, connection);
    let its_person = copy(&b, connection, of_person);
    assert_eq!(refers(&b, its_person, "Firm"), Value::Null);
    assert_eq!(b.record(its_person).awaited(&name("Firm"), connection), Some(NOT_SHARED));
    nothing_leaks(&a, connection, firm);

    let of_firm = forward(&mut a, firm, connection);
    settle(&mut a, &mut b, connection);
    let its_firm = copy(&b, connection, of_firm);
    assert_eq!(refers(&b, its_person, "Firm"), Value::Reference(its_firm));
    let (ours, theirs) = (&a.record(person).fields, &b.record(its_person).fields);
    let write = |fields: &tieline_core::vecmap::VecMap<_, tieline_core::state::FieldState>| {
        fields.get(&name::<tieline_core::FieldName>("Firm")).unwrap().stamp.write()
    };
    assert_eq!(write(ours), write(theirs), "it is the same write");

    // Its sharing ends: what is here stays, and what comes later is empty.
    a.run(Command::EndShare { record: firm, connection, reason: EndReason::Stopped });
    let glass = a.create("Firm__c", &[named("Glass")]);
    settle(&mut a, &mut b, connection);
    assert_eq!(refers(&b, its_person, "Firm"), Value::Reference(its_firm));
    a.update(person, &[("Firm", Value::Reference(glass))]);
    settle(&mut a, &mut b, connection);
    assert_eq!(refers(&b, its_person, "Firm"), Value::Null);
    a.update(person, &[("Firm", Value::Reference(firm))]);
    settle(&mut a, &mut b, connection);
    assert_eq!(refers(&b, its_person, "Firm"), Value::Null);
    // It is shared again: the same copy is found.
    forward(&mut a, firm, connection);
    settle(&mut a, &mut b, connection);
    assert_eq!(refers(&b, its_person, "Firm"), Value::Reference(its_firm));
    // A person here writes it: nothing waits any more.
    b.update(its_person, &[("Firm", Value::Null)]);
    settle(&mut a, &mut b, connection);
    assert_eq!(refers(&a, person, "Firm"), Value::Null);
    check(&b, connection);
}

#[test]
fn the_reason_for_an_empty_reference_is_told() {
    let (mut a, mut b, connection) = pair(true);
    let (firm, person) = firm_and_person(&mut a);
    let of_person = forward(&mut a, person, connection);
    settle(&mut a, &mut b, connection);
    let reasons = |org: &Org, after: Position| -> Vec<ReasonCode> {
        let reports = org.sent(connection, after).into_iter();
        let details = reports.filter_map(|message| match message {
            Message::OutcomeReport(report) => Some(report.details),
            _ => None,
        });
        details.flatten().flat_map(|detail| detail.reasons).map(|reason| reason.code).collect()
    };
    assert!(reasons(&b, Position(0)).contains(&ReasonCode::TargetNotShared));
    let of_firm = forward(&mut a, firm, connection);
    settle(&mut a, &mut b, connection);
    let (its_firm, its_person) = (copy(&b, connection, of_firm), copy(&b, connection, of_person));
    b.run(Command::DeleteRecord { record: its_firm });
    // What the deleted record was here says nothing to the partner.
    assert_eq!(refers(&b, its_person, "Firm"), Value::Reference(its_firm));
    settle(&mut a, &mut b, connection);
    assert_eq!(refers(&a, person, "Firm"), Value::Reference(firm), "no remote act empties it");
}

#[test]
fn a_needed_reference_holds_the_create_until_its_target_is_there() {
    let (mut a, mut b, connection) = pair(false);
    extend(&mut b, NEEDY_PERSON);
    let (firm, person) = firm_and_person(&mut a);
    let (of_firm, of_person) = (forward(&mut a, firm, connection), forward(&mut a, person, connection));
    settle(&mut a, &mut b, connection);
    accept(&mut b, connection, of_person);
    settle(&mut a, &mut b, connection);
    a.update(person, &[named("Ada L.")]);
    settle(&mut a, &mut b, connection);
    let counts = b.connection(connection).inbound.counts;
    assert_eq!((counts.held, counts.balanced()), (2, true), "the grant, and what follows it");
    assert_eq!(b.state().share(connection, of_person).unwrap().status, ShareStatus::Accepting);

    // A daemon that starts from a snapshot goes on waiting.
    b.engine = Engine::new(State::from_bytes(&b.state().to_bytes()).unwrap());
    accept(&mut b, connection, of_firm);
    settle(&mut a, &mut b, connection);
    let its_person = copy(&b, connection, of_person);
    assert_eq!(refers(&b, its_person, "Firm"), Value::Reference(copy(&b, connection, of_firm)));
    assert_eq!(refers(&b, its_person, "Name"), Value::text("Ada L."));
    let counts = b.connection(connection).inbound.counts;
    assert_eq!((counts.held, counts.balanced()), (0, true));
    check(&b, connection);

    // An update to what is not here keeps what is here, and stops no other field.
    let glass = a.create("Firm__c", &[named("Glass")]);
    a.update(person, &[("Firm", Value::Reference(glass)), named("Ada B.")]);
    settle(&mut a, &mut b, connection);
    assert_eq!(refers(&b, its_person, "Name"), Value::text("Ada B."));
    assert_eq!(refers(&b, its_person, "Firm"), Value::Reference(copy(&b, connection, of_firm)));
    let of_glass = forward(&mut a, glass, connection);
    settle(&mut a, &mut b, connection);
    accept(&mut b, connection, of_glass);
    settle(&mut a, &mut b, connection);
    assert_eq!(refers(&b, its_person, "Firm"), Value::Reference(copy(&b, connection, of_glass)));
    assert!(b.record(its_person).pending.is_empty());
}

#[test]
fn a_create_whose_target_will_not_come_is_rejected_with_the_reason() {
    let (mut a, mut b, connection) = pair(false);
    extend(&mut b, NEEDY_PERSON);
    let (firm, person) = firm_and_person(&mut a);
    let (of_firm, of_person) = (forward(&mut a, firm, connection), forward(&mut a, person, connection));
    settle(&mut a, &mut b, connection);
    accept(&mut b, connection, of_person);
    settle(&mut a, &mut b, connection);
    b.run(Command::Decline { connection, share: of_firm });
    settle(&mut a, &mut b, connection);
    let share = b.state().share(connection, of_person).unwrap();
    assert_eq!(share.status, ShareStatus::Granted, "granted, and not created");
    let counts = b.connection(connection).inbound.counts;
    assert_eq!((counts.held, counts.of(Outcome::Rejected), counts.balanced()), (0, 1, true));
    // The target is offered once more: then it is created.
    forward(&mut a, firm, connection);
    settle(&mut a, &mut b, connection);
    accept(&mut b, connection, of_firm);
    settle(&mut a, &mut b, connection);
    b.run(Command::Retry { connection, share: of_person });
    let its_person = copy(&b, connection, of_person);
    assert_eq!(refers(&b, its_person, "Firm"), Value::Reference(copy(&b, connection, of_firm)));
}

#[test]
fn records_that_refer_to_each_other_both_end_filled() {
    for (needy, order) in [(false, [0, 1]), (false, [1, 0]), (true, [0, 1]), (true, [1, 0])] {
        let (mut a, mut b, connection) = pair(false);
        if needy {
            extend(&mut b, NEEDY_PERSON);
            extend(&mut b, NEEDY_FIRM);
            // The head of a firm comes with the grant.
            extend(&mut a, "extends = \"Firm__c\"\ncreate_set = [\"Name\", \"Head\"]\n");
        }
        let (firm, person) = firm_and_person(&mut a);
        a.update(firm, &[("Head", Value::Reference(person))]);
        a.update(person, &[("Boss", Value::Reference(person))]);
        let shares = [forward(&mut a, firm, connection), forward(&mut a, person, connection)];
        settle(&mut a, &mut b, connection);
        for at in order {
            accept(&mut b, connection, shares[at]);
            settle(&mut a, &mut b, connection);
        }
        let [its_firm, its_person] = shares.map(|share| copy(&b, connection, share));
        assert_eq!(refers(&b, its_person, "Firm"), Value::Reference(its_firm), "{needy} {order:?}");
        assert_eq!(refers(&b, its_firm, "Head"), Value::Reference(its_person), "{needy} {order:?}");
        assert_eq!(refers(&b, its_person, "Boss"), Value::Reference(its_person), "{needy} {order:?}");
        let counts = b.connection(connection).inbound.counts;
        assert_eq!((counts.held, counts.balanced()), (0, true));
        assert!(b.connection(connection).outbox.counted == 0, "nothing echoes");
    }
}

#[test]
fn many_references_are_filled_and_told_by_jobs() {
    const MANY: Range<usize> = 0..75;
    let (mut a, mut b, connection) = pair(true);
    let firm = a.create("Firm__c", &[named("Steel")]);
    let people: Vec<RecordId> =
        MANY.map(|_| a.create("Person__c", &[named("x"), ("Firm", Value::Reference(firm))])).collect();
    let shares: Vec<ShareId> = people.iter().map(|person| forward(&mut a, *person, connection)).collect();
    settle(&mut a, &mut b, connection);
    let of_firm = forward(&mut a, firm, connection);
    settle(&mut a, &mut b, connection);
    let its_firm = Value::Reference(copy(&b, connection, of_firm));
    for share in &shares {
        assert_eq!(refers(&b, copy(&b, connection, *share), "Firm"), its_firm);
    }
    check(&b, connection);
}

/// A chain of three orgs: the one in the middle passes on what a reference became there.
#[test]
fn a_reference_goes_on_through_the_org_in_the_middle() {
    let (mut a, mut b, first) = pair(true);
    let mut c = org("initech");
    let second = join(&mut b, &mut c, true);
    let (firm, person) = firm_and_person(&mut a);
    let of_person = forward(&mut a, person, first);
    settle(&mut a, &mut b, first);
    let middle = copy(&b, first, of_person);
    let onward = forward(&mut b, middle, second);
    settle(&mut b, &mut c, second);
    let far = copy(&c, second, onward);
    assert_eq!(refers(&c, far, "Firm"), Value::Null);
    let of_firm = forward(&mut a, firm, first);
    settle(&mut a, &mut b, first);
    settle(&mut b, &mut c, second);
    assert_eq!(refers(&c, far, "Firm"), Value::Null, "the firm is not shared that far");
    let middle_firm = copy(&b, first, of_firm);
    let firm_onward = forward(&mut b, middle_firm, second);
    settle(&mut b, &mut c, second);
    settle(&mut a, &mut b, first);
    assert_eq!(refers(&c, far, "Firm"), Value::Reference(copy(&c, second, firm_onward)));
    let steel = c.create("Firm__c", &[named("Tin")]);
    let of_tin = forward(&mut c, steel, second);
    settle(&mut b, &mut c, second);
    let middle_tin = copy(&b, second, of_tin);
    let onward = forward(&mut b, middle_tin, first);
    settle(&mut a, &mut b, first);
    c.update(far, &[("Firm", Value::Reference(steel))]);
    settle(&mut b, &mut c, second);
    settle(&mut a, &mut b, first);
    assert_eq!(refers(&a, person, "Firm"), Value::Reference(copy(&a, first, onward)));
}

/// A reference that was emptied anew, by a newer mapping, is filled by a later revision than that: others would keep it
/// empty.
#[test]
fn a_reference_is_filled_above_what_it_was_emptied_with() {
    let (mut a, mut b, connection) = pair(true);
    let firm = b.create("Firm__c", &[named("Globex")]);
    let share = forward(&mut b, firm, connection);
    settle(&mut a, &mut b, connection);
    let its_firm = copy(&a, connection, share);
    b.run(Command::EndShare { record: firm, connection, reason: EndReason::Stopped });
    settle(&mut a, &mut b, connection);
    let person = a.create("Person__c", &[named("Ann"), ("Firm", Value::Reference(its_firm))]);
    let persons = forward(&mut a, person, connection);
    settle(&mut a, &mut b, connection);
    let person = copy(&b, connection, persons);
    b.run(Command::Subscribe { connection, object: name("Person__c"), rule: None });
    settle(&mut a, &mut b, connection);
    subscribe(&mut b, connection, true);
    settle(&mut a, &mut b, connection);
    let stamp = |b: &Org| b.record(person).fields.get("Firm").unwrap().stamp;
    assert_eq!(refers(&b, person, "Firm"), Value::Null);
    let emptied = stamp(&b);
    assert!(emptied.rev > 0, "{emptied:?}");
    forward(&mut b, firm, connection);
    settle(&mut a, &mut b, connection);
    assert_eq!(refers(&b, person, "Firm"), Value::Reference(firm));
    let filled = stamp(&b);
    assert!(filled.write() == emptied.write() && filled.revision() > emptied.revision(), "{filled:?}");
}

/// A restored org finds its references again.
#[test]
fn references_converge_after_a_restore() {
    for restored_at in ["before the firm", "before the person"] {
        let (mut a, mut b, connection) = pair(true);
        let (firm, person) = firm_and_person(&mut a);
        let before_all = b.clone();
        let of_person = forward(&mut a, person, connection);
        settle(&mut a, &mut b, connection);
        let before_firm = b.clone();
        let of_firm = forward(&mut a, firm, connection);
        settle(&mut a, &mut b, connection);
        b = if restored_at == "before the firm" { before_firm } else { before_all };
        let above = Incarnation(0);
        b.run(Command::StartIncarnation { cause: IncarnationCause::Restored, connection: None, above });
        let incarnation = b.state().org.as_ref().unwrap().incarnation;
        a.run(Command::TakeIncarnation { connection, incarnation });
        settle(&mut a, &mut b, connection);
        let (its_firm, its_person) = (copy(&b, connection, of_firm), copy(&b, connection, of_person));
        assert_eq!(refers(&b, its_person, "Firm"), Value::Reference(its_firm), "{restored_at}");
        assert_eq!(refers(&a, person, "Firm"), Value::Reference(firm), "{restored_at}");
        check(&b, connection);
    }
}

#[test]
fn a_reference_of_a_stranger_is_only_empty() {
    let (mut a, mut b, connection) = pair(true);
    let (firm, person) = firm_and_person(&mut a);
    forward(&mut a, firm, connection);
    let of_person = forward(&mut a, person, connection);
    settle(&mut a, &mut b, connection);
    let its_person = copy(&b, connection, of_person);
    // A person is no firm: what the object does not take is empty, with a reason.
    a.update(person, &[("Firm", Value::Reference(person)), named("Eve")]);
    settle(&mut a, &mut b, connection);
    assert_eq!(refers(&b, its_person, "Firm"), Value::Null);
    assert_eq!(refers(&b, its_person, "Name"), Value::text("Eve"));
}

#[test]
fn copies_that_one_job_makes_refer_to_each_other() {
    let (mut a, mut b, connection) = pair(true);
    let shut =
        "extends = \"Person__c\"\n[rules.Shut]\ncondition = \"Name != 'x'\"\nmessage = \"Come again.\"\n";
    extend(&mut b, shut);
    let people: Vec<RecordId> = ["Ann", "Bob", "Cid", "Dan", "Eve", "Fay"]
        .map(|who| a.create("Person__c", &[("Name", Value::text(who))]))
        .to_vec();
    let bosses: Vec<RecordId> = people.iter().cycle().skip(1).take(people.len()).copied().collect();
    for (person, boss) in people.iter().zip(&bosses) {
        a.update(*person, &[("Boss", Value::Reference(*boss))]);
    }
    let shares: Vec<ShareId> = people.iter().map(|person| forward(&mut a, *person, connection)).collect();
    settle(&mut a, &mut b, connection);
    let waits = |share: &ShareId| b.state().share(connection, *share).unwrap().status == ShareStatus::Granted;
    assert!(shares.iter().all(waits));
    b.run(Command::DefineObject { schema: Box::new(object(PERSON, None)) });
    settle(&mut a, &mut b, connection);
    for (at, share) in shares.iter().enumerate() {
        let boss = copy(&b, connection, shares[(at + 1) % shares.len()]);
        assert_eq!(refers(&b, copy(&b, connection, *share), "Boss"), Value::Reference(boss), "{at}");
    }
    check(&b, connection);
}

/// Whoever refers to a record that comes to be shared is told by which name once its object goes on.
#[test]
fn the_name_of_a_record_waits_while_who_refers_to_it_is_paused() {
    let (mut a, mut b, connection) = pair(true);
    let (firm, person) = firm_and_person(&mut a);
    let of_person = forward(&mut a, person, connection);
    settle(&mut a, &mut b, connection);
    let its_person = copy(&b, connection, of_person);
    let pause = |a: &mut Org, paused: bool| {
        let object = Some(name("Person__c"));
        a.run(Command::Pause(Pause::Set { connection, object, paused }));
    };
    pause(&mut a, true);
    let of_firm = forward(&mut a, firm, connection);
    settle(&mut a, &mut b, connection);
    let its_firm = copy(&b, connection, of_firm);
    assert_eq!(refers(&b, its_person, "Firm"), Value::Null, "persons are paused");
    assert!(a.connection(connection).shares[&of_person].held_back.is_some());
    pause(&mut a, false);
    settle(&mut a, &mut b, connection);
    assert_eq!(refers(&b, its_person, "Firm"), Value::Reference(its_firm));
    assert!(a.connection(connection).shares[&of_person].held_back.is_none());
    check(&a, connection);
    check(&b, connection);
}
