//! A log that was put back (`docs/protocol.md` §9): what it wrote before the loss was noticed.

use tieline_core::command::{Command, Pause};
use tieline_core::event::IncarnationCause;
use tieline_core::message::{EndReason, Message, Recreate, Refuse, ShareEnded, Snapshot};
use tieline_core::outcome::Outcome;
use tieline_core::reason::ReasonCode;
use tieline_core::state::ShareStatus;
use tieline_core::value::Value;
use tieline_core::{ConnectionId, Incarnation, OrgId, RecordId, ShareId, Stamp};

use crate::kit::{Both, Org, Partner, at, content, deal, grant_of, name, offer_of, snapshot_of, stamp};

/// Begins a new life of `org`, whose lost tail was noticed by the partner's word.
fn find_loss(org: &mut Org, partner: &mut Org, connection: ConnectionId) {
    let (cause, above) = (IncarnationCause::TailLost, Incarnation(0));
    org.run(Command::StartIncarnation { cause, connection: Some(connection), above });
    let incarnation = org.state().org.as_ref().unwrap().incarnation;
    partner.run(Command::TakeIncarnation { connection, incarnation });
}

/// The clock of stamps runs ahead of the wall clock, so the writes before and after the log was put back
/// have the same stamp: both sides end with the one that somebody still has.
#[test]
fn a_write_with_the_stamp_of_a_lost_one_comes_through() {
    let mut both = Both::new();
    both.globex.now = at(200);
    both.globex.update(both.copy, &[("Remark", Value::text("ahead"))]);
    both.settle();
    let mut put_back = both.acme.clone();
    both.acme.update(both.deal, &[("Name", Value::text("lost"))]);
    both.settle();
    let stamp = |org: &Org, record, field: &str| org.record(record).fields.get(field).unwrap().stamp.write();
    let lost = stamp(&both.acme, both.deal, "Name");
    put_back.now = at(30);
    put_back.update(both.deal, &[("Name", Value::text("kept"))]);
    assert_eq!(stamp(&put_back, both.deal, "Name"), lost, "the same stamp once more");
    both.acme = put_back;
    both.acme.now = at(30);
    find_loss(&mut both.acme, &mut both.globex, both.connection);
    both.acme.now = at(31);
    both.settle();
    let values = |both: &Both| {
        let ours = both.acme.record(both.deal).value(&name("Name")).clone();
        [ours, both.globex.record(both.copy).value(&name("Title")).clone()]
    };
    assert_eq!(values(&both), [Value::text("kept"), Value::text("kept")]);
    let written = stamp(&both.acme, both.deal, "Name");
    assert_eq!(stamp(&both.globex, both.copy, "Title"), written);
    assert!(written > lost);

    // Once: what was written in this life is not written again.
    both.acme.run(Command::Reconcile { connection: both.connection });
    both.settle();
    assert_eq!(stamp(&both.acme, both.deal, "Name"), written);
}

/// The offer went with the positions of the partner's former life: its refusal says how often the record was offered.
#[test]
fn a_refusal_of_an_offer_that_was_lost_ends_the_share_at_its_generation() {
    let share = ShareId(1);
    for ended in [true, false] {
        let mut here = Org::new("acme", deal());
        let mut partner = Partner::of(&mut here, "globex");
        let copy =
            partner.give(&mut here, share, content(&[("Title", Value::text("theirs"))], stamp(1, OrgId(1))));
        if ended {
            partner.send(&mut here, ShareEnded { share, generation: 1, reason: EndReason::Stopped });
        }
        partner.send(&mut here, Refuse { share, generation: 2, code: ReasonCode::Taken });
        let known = here.state().share(partner.connection, share).unwrap();
        assert_eq!((known.generation, known.status), (2, ShareStatus::Taken));
        // A refusal that is older than what is known changes nothing, and the copy can be offered on.
        partner.send(&mut here, Refuse { share, generation: 1, code: ReasonCode::RecordDeleted });
        here.run(Command::Forward { record: copy, connection: partner.connection });
        let known = here.state().share(partner.connection, share).unwrap();
        assert_eq!((known.generation, known.status), (3, ShareStatus::Offered));
    }
}

/// The refusal of an offer that is held, and older than what is known, sets nothing back.
#[test]
fn a_refusal_of_a_held_offer_leaves_a_later_one() {
    let share = ShareId(1);
    let mut here = Org::new("acme", deal());
    let mut partner = Partner::of(&mut here, "globex");
    let copy =
        partner.give(&mut here, share, content(&[("Title", Value::text("theirs"))], stamp(1, OrgId(1))));
    let connection = partner.connection;
    let (record, reason) = (copy, EndReason::Stopped);
    for _ in 0..2 {
        here.run(Command::EndShare { record, connection, reason });
        here.run(Command::Forward { record, connection });
    }
    here.run(Command::Pause(Pause::Set { connection, object: Some(name("Deal__c")), paused: true }));
    partner.send(&mut here, offer_of(share, 2));
    partner.send(&mut here, Refuse { share, generation: 2, code: ReasonCode::Taken });
    let known = here.state().share(connection, share).unwrap();
    assert_eq!((known.generation, known.status), (3, ShareStatus::Offered));
    let counts = here.connection(connection).inbound.counts;
    assert!(counts.balanced() && counts.of(Outcome::Held) == 0, "{counts:?}");
}

/// The whole record is gone, and a holder's word makes it again: our writes are ours, a revision higher, for others may
/// hold them as they were first and mappings need not invert. That a field was emptied is known, too.
#[test]
fn a_record_that_its_org_forgot_comes_back_with_its_own_writes() {
    let mut here = Org::new("acme", deal());
    let mut partner = Partner::of(&mut here, "globex");
    let own = here.state().org.as_ref().unwrap().id;
    let (cause, above) = (IncarnationCause::Restored, Incarnation(0));
    here.run(Command::StartIncarnation { cause, connection: None, above });
    partner.restart();
    let (record, written) = (RecordId(77), Stamp::new(at(50), own));
    let phase = Value::Picklist("two".into());
    let given =
        content(&[("Title", Value::text("ours")), ("Phase", phase), ("Remark", Value::Null)], written);
    let recreate = Recreate { object: name("Deal__c"), record, parents: Vec::new() };
    let lent = Snapshot { recreate: Some(recreate), ..snapshot_of(ShareId(5), 1, given) };
    assert_eq!(partner.send(&mut here, lent).outcome, Some(Outcome::Applied));
    let field = |field: &str| here.record(record).fields.get(field).unwrap();
    let again = written.revised(written, own);
    assert_eq!((field("Stage").stamp, &field("Stage").source), (again, &None));
    assert_eq!(field("Name").stamp, again);
    assert_eq!((&field("Note").value, field("Note").stamp), (&Value::Null, written));
}

/// The same with a grant for the copy of an earlier generation: it goes back with what else the copy has.
#[test]
fn a_write_that_its_org_forgot_and_a_grant_brings_goes_back_revised() {
    let share = ShareId(1);
    let mut here = Org::new("acme", deal());
    let mut partner = Partner::of(&mut here, "globex");
    let own = here.state().org.as_ref().unwrap().id;
    let title = |text: &str, stamp| content(&[("Title", Value::text(text))], stamp);
    let copy = partner.give(&mut here, share, title("theirs", stamp(1, OrgId(1))));
    partner.send(&mut here, ShareEnded { share, generation: 1, reason: EndReason::Stopped });
    partner.send(&mut here, offer_of(share, 2));
    let connection = partner.connection;
    here.run(Command::Accept { connection, share, owner: None });
    let head = here.connection(connection).outbox.head().position;
    let written = Stamp::new(at(50), own);
    partner.send(&mut here, grant_of(share, 2, title("ours", written)));
    let again = written.revised(written, own);
    assert_eq!(here.record(copy).fields.get("Name").unwrap().stamp, again);
    let sent = here.sent(connection, head);
    let told = sent.iter().find_map(|message| match message {
        Message::Snapshot(snapshot) => Some(snapshot.content.stamp_of(&name("Name"))),
        _ => None,
    });
    assert_eq!(told, Some(again), "{sent:?}");
}
