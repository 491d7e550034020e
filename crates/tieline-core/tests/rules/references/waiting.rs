//! References that wait for their targets: what becomes of them when their messages are refused, when
//! later values wait beside them, and when whoever wrote them has lost them.

use super::*;

/// A rule by which a person may only be called `x`.
const SHUT: &str =
    "extends = \"Person__c\"\n[rules.Shut]\ncondition = \"Name != 'x'\"\nmessage = \"Come again.\"\n";

fn shut(org: &mut Org) {
    extend(org, SHUT);
}

fn open(org: &mut Org) {
    org.run(Command::DefineObject { schema: Box::new(object(PERSON, None)) });
}

/// Begins a new life of `b`, and lets both reconcile.
fn restore(a: &mut Org, b: &mut Org, connection: ConnectionId) {
    let above = Incarnation(0);
    b.run(Command::StartIncarnation { cause: IncarnationCause::Restored, connection: None, above });
    let incarnation = b.state().org.as_ref().unwrap().incarnation;
    a.run(Command::TakeIncarnation { connection, incarnation });
    settle(a, b, connection);
}

/// The target of an older reference comes, and that may not be written: the later reference waits on.
#[test]
fn an_older_reference_replaces_no_later_one_that_waits() {
    let (mut a, mut b, connection) = pair(false);
    let (steel, person) = firm_and_person(&mut a);
    let glass = a.create("Firm__c", &[named("Glass")]);
    let [of_steel, of_glass, of_person] =
        [steel, glass, person].map(|record| forward(&mut a, record, connection));
    settle(&mut a, &mut b, connection);
    accept(&mut b, connection, of_glass);
    accept(&mut b, connection, of_person);
    settle(&mut a, &mut b, connection);
    let its_person = copy(&b, connection, of_person);
    assert_eq!(b.record(its_person).awaited(&name("Firm"), connection), Some(of_steel));
    shut(&mut b);
    a.update(person, &[("Firm", Value::Reference(glass))]);
    settle(&mut a, &mut b, connection);
    let later = b.record(its_person).pending.get("Firm").unwrap().stamp;
    accept(&mut b, connection, of_steel);
    settle(&mut a, &mut b, connection);
    assert_eq!(b.record(its_person).pending.get("Firm").unwrap().stamp, later);
    open(&mut b);
    settle(&mut a, &mut b, connection);
    assert_eq!(refers(&b, its_person, "Firm"), Value::Reference(copy(&b, connection, of_glass)));
    check(&b, connection);
}

/// By which share a reference is to be filled is learnt from a message that is refused, too.
#[test]
fn a_message_that_is_refused_names_the_target_of_a_reference() {
    let (mut a, mut b, connection) = pair(false);
    let (firm, person) = firm_and_person(&mut a);
    let of_person = forward(&mut a, person, connection);
    settle(&mut a, &mut b, connection);
    accept(&mut b, connection, of_person);
    settle(&mut a, &mut b, connection);
    let its_person = copy(&b, connection, of_person);
    let awaited = |b: &Org| b.record(its_person).awaited(&name("Firm"), connection);
    assert_eq!(awaited(&b), Some(NOT_SHARED));
    a.run(Command::EndShare { record: person, connection, reason: EndReason::Stopped });
    a.update(person, &[named("Ada L.")]);
    let of_firm = forward(&mut a, firm, connection);
    forward(&mut a, person, connection);
    settle(&mut a, &mut b, connection);
    shut(&mut b);
    accept(&mut b, connection, of_person);
    settle(&mut a, &mut b, connection);
    assert!(b.record(its_person).pending.contains_key("Name"), "it was refused");
    assert_eq!(awaited(&b), Some(of_firm));
    open(&mut b);
    accept(&mut b, connection, of_firm);
    settle(&mut a, &mut b, connection);
    assert_eq!(refers(&b, its_person, "Firm"), Value::Reference(copy(&b, connection, of_firm)));
    assert_eq!(refers(&b, its_person, "Name"), Value::text("Ada L."));
    check(&b, connection);
}

/// A person of `a`, whose copy at `b` refers to a firm of `b` that `a` has not accepted: the org before and after
/// that write.
fn written_at_the_copy() -> (Org, Org, Org, ConnectionId, [RecordId; 3], [ShareId; 2]) {
    let (mut a, mut b, connection) = pair(false);
    let person = a.create("Person__c", &[named("Ada")]);
    let of_person = forward(&mut a, person, connection);
    let firm = b.create("Firm__c", &[named("Steel")]);
    let of_firm = forward(&mut b, firm, connection);
    settle(&mut a, &mut b, connection);
    accept(&mut b, connection, of_person);
    settle(&mut a, &mut b, connection);
    let its_person = copy(&b, connection, of_person);
    let before = b.clone();
    b.update(its_person, &[("Firm", Value::Reference(firm))]);
    settle(&mut a, &mut b, connection);
    assert_eq!(a.record(person).awaited(&name("Firm"), connection), Some(of_firm));
    (a, before, b, connection, [person, its_person, firm], [of_person, of_firm])
}

/// Whoever wrote the reference was put back to before it: it comes back as soon as it is filled.
#[test]
fn a_reference_that_is_filled_goes_back_to_whoever_has_lost_it() {
    let (mut a, mut b, _, connection, [person, its_person, firm], [_, of_firm]) = written_at_the_copy();
    restore(&mut a, &mut b, connection);
    assert_eq!(refers(&b, its_person, "Firm"), Value::Null, "nobody can say it yet");
    accept(&mut a, connection, of_firm);
    settle(&mut a, &mut b, connection);
    assert_eq!(refers(&a, person, "Firm"), Value::Reference(copy(&a, connection, of_firm)));
    assert_eq!(refers(&b, its_person, "Firm"), Value::Reference(firm));
    check(&a, connection);
    check(&b, connection);
}

/// The share over which a reference came has ended, and the partner has a new copy that never had it. A rule may
/// refuse it at first.
#[test]
fn a_reference_that_is_filled_goes_to_a_copy_that_was_made_since() {
    for refused in [false, true] {
        let (mut a, _, mut b, connection, [person, its_person, firm], [of_person, of_firm]) =
            written_at_the_copy();
        b.run(Command::DeleteRecord { record: its_person });
        settle(&mut a, &mut b, connection);
        forward(&mut a, person, connection);
        settle(&mut a, &mut b, connection);
        accept(&mut b, connection, of_person);
        settle(&mut a, &mut b, connection);
        let its_person = copy(&b, connection, of_person);
        assert_eq!(refers(&b, its_person, "Firm"), Value::Null);
        if refused {
            shut(&mut a);
        }
        accept(&mut a, connection, of_firm);
        settle(&mut a, &mut b, connection);
        if refused {
            assert!(a.record(person).pending.contains_key("Firm"));
            open(&mut a);
            settle(&mut a, &mut b, connection);
        }
        assert_eq!(refers(&a, person, "Firm"), Value::Reference(copy(&a, connection, of_firm)));
        assert_eq!(refers(&b, its_person, "Firm"), Value::Reference(firm), "{refused}");
        check(&a, connection);
        check(&b, connection);
    }
}

/// The copy of whoever wrote the reference is gone with the write: made anew, it has it again, and the other side keeps it.
#[test]
fn a_copy_that_refers_to_itself_does_so_again_after_a_restore() {
    let (mut a, mut b, connection) = pair(false);
    let person = a.create("Person__c", &[named("Ada")]);
    let of_person = forward(&mut a, person, connection);
    settle(&mut a, &mut b, connection);
    let before = b.clone();
    accept(&mut b, connection, of_person);
    settle(&mut a, &mut b, connection);
    let its_person = copy(&b, connection, of_person);
    b.update(its_person, &[("Boss", Value::Reference(its_person))]);
    settle(&mut a, &mut b, connection);
    assert_eq!(refers(&a, person, "Boss"), Value::Reference(person));
    b = before;
    restore(&mut a, &mut b, connection);
    let its_person = copy(&b, connection, of_person);
    assert_eq!(refers(&b, its_person, "Boss"), Value::Reference(its_person));
    assert_eq!(refers(&a, person, "Boss"), Value::Reference(person));
    check(&a, connection);
    check(&b, connection);
}
