//! Offers that are accepted into records that are here: one record has one counterpart over a connection.

use tieline_core::RecordId;
use tieline_core::command::{Command, Reply};
use tieline_core::message::EndReason;
use tieline_core::state::ShareStatus;
use tieline_core::value::Value;

use crate::kit::{Both, name, settle_all, standard_pair};

fn remark(both: &Both, record: RecordId) -> Value {
    both.globex.record(record).value(&name("Remark")).clone()
}

#[test]
fn a_copy_that_was_accepted_for_another_record_since_is_not_linked_again() {
    let mut both = Both::new();
    let (connection, first, copy) = (both.connection, both.share, both.copy);
    both.acme.run(Command::EndShare { record: both.deal, connection, reason: EndReason::Stopped });
    both.settle();
    let other = both.acme.create("Deal__c", &[("Name", Value::text("another deal"))]);
    let Reply::Share(second) = both.acme.run(Command::Forward { record: other, connection }) else {
        panic!("an offer is a share")
    };
    both.settle();
    both.globex.run(Command::Adopt { connection, share: second, record: copy });
    both.settle();
    assert_eq!(both.globex.connection(connection).shares[&second].record, Some(copy));

    // The first record is offered again: its copy of before is that of the other now.
    both.acme.run(Command::Forward { record: both.deal, connection });
    both.settle();
    both.globex.run(Command::Accept { connection, share: first, owner: None });
    both.settle();
    let shares = &both.globex.connection(connection).shares;
    let (anew, kept) = (shares[&first].record.unwrap(), shares[&second].record);
    assert_ne!(anew, copy);
    assert_eq!(kept, Some(copy));
    assert_eq!([first, second].map(|share| shares[&share].status), [ShareStatus::Active; 2]);

    // Each has its own values, both ways.
    both.acme.update(both.deal, &[("Note", Value::text("of the first"))]);
    both.acme.update(other, &[("Note", Value::text("of the second"))]);
    both.settle();
    assert_eq!(
        [remark(&both, anew), remark(&both, copy)],
        ["of the first", "of the second"].map(Value::text)
    );
    both.globex.update(copy, &[("Number", Value::Integer(7))]);
    both.settle();
    let count = |record| both.acme.record(record).value(&name("Count")).clone();
    assert_eq!([count(both.deal), count(other)], [Value::Null, Value::Integer(7)]);
}

#[test]
fn a_copy_of_before_that_refers_to_itself_is_linked_with_that() {
    let (mut a, mut b, connection) = standard_pair(&[("Account", &["Name", "ParentId"])]);
    let mut rule = b.connection(connection).subscribe["Account"].clone();
    rule.accept_whole = true;
    b.run(Command::Subscribe { connection, object: name("Account"), rule: Some(rule) });
    settle_all(&mut a, &mut b, connection);
    let record = a.create("Account", &[("Name", Value::text("Sorbonne"))]);
    for round in 0..2 {
        let Reply::Share(share) = a.run(Command::Forward { record, connection }) else {
            panic!("an offer is a share")
        };
        settle_all(&mut a, &mut b, connection);
        b.run(Command::Accept { connection, share, owner: None });
        settle_all(&mut a, &mut b, connection);
        if round == 1 {
            let copy = b.connection(connection).shares[&share].record.unwrap();
            assert_eq!(*b.record(copy).value(&name("ParentId")), Value::Reference(copy));
            assert!(b.record(copy).links.is_empty());
            return;
        }
        a.run(Command::EndShare { record, connection, reason: EndReason::Stopped });
        settle_all(&mut a, &mut b, connection);
        a.update(record, &[("ParentId", Value::Reference(record))]);
    }
}
