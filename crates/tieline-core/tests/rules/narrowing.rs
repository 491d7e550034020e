//! Publish rules that narrow while messages wait (`docs/protocol.md` §5): what leaves is masked by
//! the rules of that moment, keeps its place in the chain, and is counted at the partner.

use std::collections::BTreeMap;

use tieline_core::command::Command;
use tieline_core::engine::FrameEnd;
use tieline_core::frame::Chain;
use tieline_core::message::{FIRST_CONTROL_KIND, Message, OutcomeDetail, OutcomeReport, Void};
use tieline_core::outcome::Outcome;
use tieline_core::reason::ReasonCode;
use tieline_core::state::OutboxEntry;
use tieline_core::value::Value;
use tieline_core::{ConnectionId, Position, RecordId};

use crate::kit::{Org, connect, deal, name, offer, offers_from_deals, publish_rule, settle_all};

const ALL: &[&str] = &["Count", "Name", "Note", "Stage"];

/// The fields of a message that waits; nothing for a void.
type Waiting = Option<Vec<String>>;

/// An org whose record the other one holds; then three changes wait to be sent: of the note, of
/// note and name, of the name.
struct Desk {
    here: Org,
    there: Org,
    connection: ConnectionId,
    record: RecordId,
    copy: RecordId,
    first: Position,
}

fn publish(here: &mut Org, connection: ConnectionId, names: Option<&[&str]>) {
    let object = name("Deal__c");
    let rule = names.map(|names| publish_rule(&object, names));
    here.run(Command::Publish { connection, object, rule });
}

impl Desk {
    fn new() -> Self {
        let (mut here, mut there) = (Org::new("acme", deal()), Org::new("globex", offer()));
        let connection = connect(&mut here, &mut there);
        publish(&mut here, connection, Some(ALL));
        settle_all(&mut here, &mut there, connection);
        let (object, rule) = (name("Deal__c"), Some(offers_from_deals()));
        there.run(Command::Subscribe { connection, object, rule });
        let record = here.create("Deal__c", &[("Name", Value::text("deal")), ("Note", Value::text("note"))]);
        here.run(Command::Forward { record, connection });
        settle_all(&mut here, &mut there, connection);
        let share = here.record(record).share_over(connection).unwrap();
        there.run(Command::Accept { connection, share, owner: None });
        settle_all(&mut here, &mut there, connection);
        let copy = there.state().share(connection, share).unwrap().record.unwrap();
        let first = here.connection(connection).outbox.head().position.next();
        let mut desk = Self { here, there, connection, record, copy, first };
        desk.update(&[("Note", "note 1")]);
        desk.update(&[("Note", "note 2"), ("Name", "deal 2")]);
        desk.update(&[("Name", "deal 3")]);
        desk
    }

    fn update(&mut self, given: &[(&str, &str)]) {
        let given: Vec<_> = given.iter().map(|(field, text)| (*field, Value::text(text))).collect();
        self.here.update(self.record, &given);
    }

    /// The waiting messages, as they would leave now.
    fn waiting(&self) -> Vec<Waiting> {
        let messages = self.here.sent(self.connection, Position(self.first.0 - 1)).into_iter();
        messages
            .filter_map(|message| match message {
                Message::Change(change) => {
                    Some(Some(change.content.values.keys().map(ToString::to_string).collect()))
                }
                Message::Void(Void {}) => Some(None),
                _ => None,
            })
            .collect()
    }

    fn entries(&self) -> BTreeMap<Position, OutboxEntry> {
        let outbox = &self.here.connection(self.connection).outbox;
        (self.first.0..self.first.0 + 3)
            .map(|at| (Position(at), *outbox.entry(Position(at)).unwrap()))
            .collect()
    }

    fn there(&self, field: &str) -> &Value {
        self.there.record(self.copy).value(&name(field))
    }
}

fn some(names: &[&str]) -> Waiting {
    Some(names.iter().map(ToString::to_string).collect())
}

#[test]
fn what_waits_leaves_under_the_rules_of_the_moment() {
    let mut desk = Desk::new();
    let entries = desk.entries();
    let table: [(Option<&[&str]>, [Waiting; 3]); 5] = [
        (Some(ALL), [some(&["Note"]), some(&["Name", "Note"]), some(&["Name"])]),
        (Some(&["Name"]), [None, some(&["Name"]), some(&["Name"])]),
        (Some(&["Note"]), [some(&["Note"]), some(&["Note"]), None]),
        (Some(&["Stage"]), [None, None, None]),
        (None, [None, None, None]),
    ];
    for (published, expected) in table {
        publish(&mut desk.here, desk.connection, published);
        assert_eq!(desk.waiting(), expected, "{published:?}");
        assert_eq!(desk.entries(), entries, "the chain is over seq and time, whatever is masked");
    }
}

#[test]
fn a_masked_message_is_counted_and_ends_filtered_and_its_neighbours_are_not_held_up() {
    let mut desk = Desk::new();
    let connection = desk.connection;
    publish(&mut desk.here, connection, Some(&["Name"]));
    let before = desk.there.connection(connection).inbound.counts;
    let (end, ended) = desk.there.take(&desk.here.frame(connection, desk.first, 3));
    assert_eq!(end, FrameEnd::Taken(3));
    let outcomes: Vec<_> = ended.iter().map(|e| (e.outcome, e.reasons.first().map(|r| r.code))).collect();
    let filtered = (Some(Outcome::Filtered), Some(ReasonCode::Withheld));
    let applied = (Some(Outcome::Applied), None);
    assert_eq!(outcomes, [filtered, applied, applied]);
    let counts = desk.there.connection(connection).inbound.counts;
    assert!(counts.balanced(), "{counts:?}");
    assert_eq!((counts.received, counts.filtered), (before.received + 3, before.filtered + 1));
    assert_eq!(desk.there("Title"), &Value::text("deal 3"));
    assert_eq!(desk.there("Remark"), &Value::text("note"), "what was narrowed away stays as it was");

    // The sender hears of it as of any other end, and both add up.
    settle_all(&mut desk.here, &mut desk.there, connection);
    let outbox = &desk.here.connection(connection).outbox;
    let there = desk.there.connection(connection);
    assert_eq!(outbox.outcomes, there.inbound.counts);
    assert_eq!(outbox.counted, outbox.outcomes.received, "sent counted is told counted");
    let told = desk.there.sent(connection, Position::default());
    let withheld = told.iter().any(|message| {
        let Message::OutcomeReport(OutcomeReport { details, .. }) = message else { return false };
        let about = |d: &OutcomeDetail| d.reasons.iter().any(|r| r.code == ReasonCode::Withheld);
        details.iter().any(about)
    });
    assert!(withheld, "{told:?}");
}

/// A frame that was built before and one that was built after are the same positions to the
/// partner: whichever comes first is taken, and the other is a repeat.
#[test]
fn frames_of_both_rules_have_one_chain() {
    let mut desk = Desk::new();
    let connection = desk.connection;
    let wide = desk.here.frame(connection, desk.first, 3);
    publish(&mut desk.here, connection, Some(&["Stage"]));
    let narrow = desk.here.frame(connection, desk.first, 3);
    assert_eq!(wide.header().chain_after, narrow.header().chain_after);
    assert_ne!(wide.header().chain_after, Chain::default());
    for (first, second, title) in [(&wide, &narrow, "deal 3"), (&narrow, &wide, "deal")] {
        let mut there = desk.there.clone();
        assert_eq!(there.take(first).0, FrameEnd::Taken(3));
        assert_eq!(there.take(second).0, FrameEnd::Taken(0));
        assert_eq!(there.record(desk.copy).value(&name("Title")), &Value::text(title));
    }
}

/// A grant and its follow-up that wait are masked as well, and so is the preview of an offer: the
/// secret of the view fields never leaves.
#[test]
fn offers_and_grants_that_wait_are_masked() {
    let mut desk = Desk::new();
    let connection = desk.connection;
    settle_all(&mut desk.here, &mut desk.there, connection);
    let given = [("Name", "second"), ("Note", "x"), ("Secret", "s")].map(|(f, text)| (f, Value::text(text)));
    let stage = ("Stage", Value::picklist("Won".into()));
    let record = desk.here.create("Deal__c", &[&given[..], &[stage]].concat());
    let after = desk.here.connection(connection).outbox.head().position;
    desk.here.run(Command::Forward { record, connection });
    let preview = |desk: &Desk| {
        let sent = desk.here.sent(connection, after);
        let Some(Message::Offer(offer)) = sent.first() else { panic!("an offer waits: {sent:?}") };
        offer.preview.keys().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(preview(&desk), ["Stage"]);
    publish(&mut desk.here, connection, Some(&["Name", "Note"]));
    assert!(preview(&desk).is_empty());

    settle_all(&mut desk.here, &mut desk.there, connection);
    let share = desk.here.record(record).share_over(connection).unwrap();
    desk.there.run(Command::Accept { connection, share, owner: None });
    let first = desk.there.connection(connection).outbox.head().position;
    let after = desk.here.connection(connection).outbox.head().position;
    desk.here.take(&desk.there.frame(connection, first, 1));
    let grant = |desk: &Desk| {
        let sent = desk.here.sent(connection, after);
        let Some(Message::Grant(grant)) = sent.first() else { panic!("a grant waits: {sent:?}") };
        (grant.content.values.keys().map(ToString::to_string).collect::<Vec<_>>(), sent[1].clone())
    };
    let (fields, follow_up) = grant(&desk);
    assert_eq!(fields, ["Name"]);
    assert!(matches!(follow_up, Message::Snapshot(_)), "{follow_up:?}");
    publish(&mut desk.here, connection, Some(&["Name"]));
    assert_eq!(grant(&desk), (vec!["Name".to_owned()], Void {}.into()));
    publish(&mut desk.here, connection, None);
    let (fields, _) = grant(&desk);
    assert!(fields.is_empty(), "a grant without fields is a grant: both sides go on knowing the share");
    settle_all(&mut desk.here, &mut desk.there, connection);
    let counts = desk.there.connection(connection).inbound.counts;
    assert_eq!((counts.rejected, counts.balanced()), (1, true), "the copy needs a title: {counts:?}");
}

/// No position, and so no message, is made of what the partner does not take.
#[test]
fn what_nobody_takes_makes_no_message() {
    let mut desk = Desk::new();
    let head = desk.here.connection(desk.connection).outbox.head();
    desk.update(&[("Secret", "never")]);
    assert_eq!(desk.here.connection(desk.connection).outbox.head(), head);
    publish(&mut desk.here, desk.connection, Some(&["Name"]));
    let after = desk.here.connection(desk.connection).outbox.head();
    desk.update(&[("Note", "not any more")]);
    assert_eq!(desk.here.connection(desk.connection).outbox.head(), after);
    assert!(desk.here.envelope(desk.connection, after.position).kind >= FIRST_CONTROL_KIND, "the catalogue");
}
