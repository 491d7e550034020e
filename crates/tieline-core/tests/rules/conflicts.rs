//! Conflicts (S2S-51): two writes of a field that had not seen each other. Exactly one of the two orgs
//! passes a value over, both know of it, and a write that followed another is none.

use tieline_core::Seq;
use tieline_core::command::Command;
use tieline_core::event::{ConflictNoted, Event, Loser};
use tieline_core::log::Log;
use tieline_core::state::Conflicts;
use tieline_core::value::Value;

use crate::kit::{Both, Org, name};

fn noted(org: &Org) -> Vec<ConflictNoted> {
    let groups = org.log.read_from(Seq(1), usize::MAX).unwrap();
    let events = groups.events().map(|stored| Event::decode(stored.kind, stored.body).unwrap());
    let noted = events.filter_map(|event| match event {
        Event::ConflictNoted(conflict) => Some(conflict),
        _ => None,
    });
    noted.collect()
}

#[test]
fn a_value_that_is_lost_unseen_is_kept_and_counted_on_both_sides() {
    let mut both = Both::new();
    both.acme.now = both.acme.now.plus_us(1_000_000);
    both.globex.now = both.acme.now.plus_us(1_000_000);
    both.acme.update(both.deal, &[("Note", Value::text("ours")), ("Count", Value::Integer(7))]);
    both.globex.update(both.copy, &[("Remark", Value::text("theirs"))]);
    both.settle();
    // The later one is on both sides, the other field came through.
    assert_eq!(both.acme.record(both.deal).value(&name("Note")), &Value::text("theirs"));
    assert_eq!(both.globex.record(both.copy).value(&name("Remark")), &Value::text("theirs"));
    assert_eq!(both.globex.record(both.copy).value(&name("Number")), &Value::Integer(7));
    assert_eq!(both.counts(), [Conflicts { ours: 1, theirs: 0 }, Conflicts { ours: 0, theirs: 1 }]);
    let (here, there) = (noted(&both.acme), noted(&both.globex));
    assert_eq!((here.len(), there.len()), (1, 1));
    assert_eq!(
        (here[0].loser, here[0].record, here[0].position),
        (Loser::Ours, both.deal, there[0].position)
    );
    assert_eq!(here[0].fields.keys().map(|f| f.as_str()).collect::<Vec<_>>(), ["Note"]);
    let lost = there[0].fields.get("Remark").unwrap().as_ref().unwrap();
    assert_eq!((there[0].loser, &lost.value), (Loser::Theirs, &Value::text("ours")));
    // The record's events lead back over it to the first one.
    let last = both.globex.record(both.copy).last;
    assert!(there[0].prev.0 > 0 && there[0].prev < last);
}

#[test]
fn a_write_that_followed_another_is_no_conflict_and_neither_is_the_same_value() {
    let mut both = Both::new();
    for round in 0..3 {
        both.acme.now = both.acme.now.plus_us(1_000_000);
        both.globex.now = both.acme.now;
        both.acme.update(both.deal, &[("Note", Value::text(&format!("a {round}")))]);
        both.settle();
        both.globex.update(both.copy, &[("Remark", Value::text(&format!("b {round}")))]);
        both.settle();
    }
    // Both write the same at the same time: nothing is lost.
    both.acme.update(both.deal, &[("Note", Value::text("the same"))]);
    both.globex.update(both.copy, &[("Remark", Value::text("the same"))]);
    both.settle();
    // An older state that is told again is none, either.
    both.acme.run(Command::Reconcile { connection: both.connection });
    both.settle();
    assert_eq!(both.counts(), [Conflicts::default(); 2]);
    assert!(noted(&both.acme).is_empty() && noted(&both.globex).is_empty());
}
