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
