//! What an engine keeps for those who send it on: the events of the outbox, and no other changes.

use tieline_core::ShareId;
use tieline_core::command::Command;
use tieline_core::event::Event;
use tieline_core::value::Value;

use crate::kit::{settle_all, standard_pair};

#[test]
fn what_leaves_is_kept_and_nothing_else_of_a_change() {
    let (mut a, mut b, over) = standard_pair(&[("Lead", &["LastName", "Company"])]);
    let record = a.create("Lead", &[("LastName", Value::text("Ng")), ("Company", Value::text("Initech"))]);
    a.run(Command::Forward { record, connection: over });
    settle_all(&mut a, &mut b, over);
    let share = ShareId::derive(over, &a.name, record);
    b.run(Command::Accept { connection: over, share, owner: None });
    settle_all(&mut a, &mut b, over);
    a.engine.collect();
    b.engine.collect();

    a.update(record, &[("LastName", Value::text("Wu"))]);
    let seq = a.state().seq;
    let kept = a.engine.take_collected();
    let [change] = kept.as_slice() else { panic!("one event leaves: {kept:?}") };
    assert_eq!((change.seq, change.time), (seq, a.now));
    assert!(matches!(&change.event, Event::RecordChanged(written) if written.record == record));
    assert_eq!(a.connection(over).outbox.entries.back().map(|entry| entry.seq), Some(seq));
    // A change that goes nowhere is not kept.
    let alone = a.create("Lead", &[("LastName", Value::text("Ito")), ("Company", Value::text("Hooli"))]);
    a.update(alone, &[("LastName", Value::text("Abe"))]);
    assert!(a.engine.take_collected().is_empty());

    settle_all(&mut a, &mut b, over);
    let kept = b.engine.take_collected();
    let told = b.connection(over).outbox.entries.back().map(|entry| entry.seq);
    assert_eq!(kept.last().map(|kept| kept.seq), told, "the outcome leaves");
    let stays = |event: &Event| matches!(event, Event::Received(_) | Event::RecordChanged(_));
    assert!(!kept.iter().any(|kept| stays(&kept.event)), "what came, and what it changed: {kept:?}");
}
