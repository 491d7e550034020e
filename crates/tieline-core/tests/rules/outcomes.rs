//! How each kind of message ends in each state of its share (`docs/protocol.md` §6), and what the
//! partner is told about it.

use tieline_core::command::Command;
use tieline_core::content::Content;
use tieline_core::engine::FrameEnd;
use tieline_core::frame::{Chain, FrameHeader};
use tieline_core::message::{
    AcceptOffer, DeclineOffer, EndReason, Envelope, Message, OutcomeDetail, OutcomeReport, OutcomeRun,
    Refuse, ShareEnded, Void, WireReason,
};
use tieline_core::outcome::Outcome::{self, Applied, Filtered, Rejected, Superseded, Unchanged};
use tieline_core::reason::ReasonCode;
use tieline_core::value::Value;
use tieline_core::{OrgId, Position, Seq, ShareId};

use crate::kit::{Org, Partner, change_of, content, deal, grant_of, name, offer_of, snapshot_of, stamp};

const OTHER: OrgId = OrgId(9);

/// Rows are states of a share at generation 2, columns are messages of that generation, of the one
/// before and of the next. `A` applied, `U` unchanged, `i` filtered because the share is not active,
/// `o` filtered because it is of another generation.
const MATRIX: &str = "
                  offer     grant     snapshot  change    end
                  - = +     - = +     - = +     - = +     - = +
unknown           A A A     i i i     i i i     i i i     i i i
copy-offered      o U A     i i i     o i o     o i o     o A A
copy-accepting    o U A     i A i     o i o     o i o     o A A
copy-granted      o U A     i A i     o A o     o A o     o A A
copy-active       o U A     i A i     o A o     o A o     o A A
copy-declined     o U A     i i i     o i o     o i o     o U A
copy-taken        o U A     i i i     o i o     o i o     o U A
copy-inactive     o U A     i i i     o i o     o i o     o U A
origin-offered    o A A     i A i     o i o     o i o     o A A
origin-accepting  o U A     i A i     o i o     o i o     o A A
origin-active     o U A     i i i     o A o     o A o     o A A
origin-declined   o U A     i i i     o i o     o i o     o U A
origin-taken      o U A     i i i     o i o     o i o     o U A
origin-inactive   o U A     i i i     o i o     o i o     o U A
";

/// An org with a share in some state.
#[derive(Clone)]
struct Desk {
    here: Org,
    globex: Partner,
    share: ShareId,
}

fn good() -> Content {
    content(&[("Remark", Value::text("new")), ("Title", Value::text("a deal"))], stamp(10, OTHER))
}

impl Desk {
    fn in_state(state: &str) -> Self {
        let mut here = Org::new("acme", deal());
        let globex = Partner::of(&mut here, "globex");
        let mut desk = Self { here, globex, share: ShareId(1) };
        match state.split_once('-') {
            Some(("copy", state)) => desk.hold(state),
            Some((_, state)) => desk.own(state),
            None => {}
        }
        desk
    }

    fn accept(&mut self) {
        let (connection, share) = (self.globex.connection, self.share);
        self.here.run(Command::Accept { connection, share, owner: None });
    }

    fn send(&mut self, message: impl Into<Message>) {
        self.globex.send(&mut self.here, message);
    }

    /// A share of the partner's record.
    fn hold(&mut self, state: &str) {
        let (connection, share) = (self.globex.connection, self.share);
        self.send(offer_of(share, 2));
        match state {
            "accepting" => self.accept(),
            "granted" => {
                self.accept();
                let refused = content(&[("Number", Value::Integer(200))], stamp(0, OTHER));
                self.send(grant_of(share, 2, refused));
            }
            "active" | "inactive" => {
                self.accept();
                let granted = content(&[("Title", Value::text("old"))], stamp(0, OTHER));
                self.send(grant_of(share, 2, granted));
                if state == "inactive" {
                    self.send(ShareEnded { share, generation: 2, reason: EndReason::Stopped });
                }
            }
            "declined" => drop(self.here.run(Command::Decline { connection, share })),
            "taken" => {
                self.accept();
                self.send(Refuse { share, generation: 2, code: ReasonCode::Taken });
            }
            _ => {}
        }
    }

    /// A share of our own record, offered for the second time.
    fn own(&mut self, state: &str) {
        let mut initech = Partner::of(&mut self.here, "initech");
        let connection = self.globex.connection;
        let record = self.here.create("Deal__c", &[("Name", Value::text("ours"))]);
        let forward = Command::Forward { record, connection };
        let end = Command::EndShare { record, connection, reason: EndReason::Stopped };
        self.here.run(forward.clone());
        self.here.run(end.clone());
        self.here.run(forward);
        self.share = self.here.record(record).share_over(connection).unwrap();
        let (share, generation) = (self.share, 2);
        match state {
            "accepting" => {
                // Grants wait while another connection reconciles.
                self.here.run(Command::Reconcile { connection: initech.connection });
                self.send(AcceptOffer { share, generation, whole: false });
            }
            "active" => self.send(AcceptOffer { share, generation, whole: false }),
            "declined" => self.send(DeclineOffer { share, generation }),
            "taken" => drop(initech.receive(&mut self.here, record)),
            "inactive" => drop(self.here.run(end)),
            _ => {}
        }
    }

    fn message(&self, kind: &str, generation: u32) -> Message {
        let share = self.share;
        match kind {
            "offer" => offer_of(share, generation).into(),
            "grant" => grant_of(share, generation, good()).into(),
            "snapshot" => snapshot_of(share, generation, good()).into(),
            "change" => change_of(share, generation, good()).into(),
            _ => ShareEnded { share, generation, reason: EndReason::Stopped }.into(),
        }
    }

    /// Sends a message and looks at everything that must be so whatever it is.
    fn ends(&mut self, message: &Message) -> (Outcome, Vec<ReasonCode>) {
        let connection = self.globex.connection;
        let envelope = Envelope::new(Seq(500), self.here.now, message);
        let (position, before) = (self.globex.next(), self.here.connection(connection).clone());
        let received = self.globex.send_envelopes(&mut self.here, std::slice::from_ref(&envelope)).remove(0);
        let outcome = received.outcome.unwrap();
        let codes: Vec<_> = received.reasons.iter().map(|reason| reason.code).collect();
        // It is logged as it came.
        assert_eq!((received.kind, &received.body), (envelope.kind, &envelope.body));
        assert_eq!((received.position, received.seq, received.time), (position, envelope.seq, envelope.time));
        // It is counted once.
        let counts = self.here.connection(connection).inbound.counts;
        assert!(counts.balanced(), "{counts:?}");
        for each in Outcome::ALL {
            let more = u64::from(each == outcome);
            assert_eq!(counts.of(each), before.inbound.counts.of(each) + more, "{each:?}");
        }
        // It is told once, without a sentence or a value.
        let sent = self.here.sent(connection, before.outbox.head().position);
        let Some(Message::OutcomeReport(told)) = sent.last() else { panic!("the end is told: {sent:?}") };
        let details: Vec<_> = told.details.iter().map(|detail| (detail.position, detail.outcome)).collect();
        assert_eq!((told.upto, &told.runs), (position, &vec![OutcomeRun { outcome, count: 1 }]));
        assert_eq!(details, codes.first().map(|_| (position, outcome)).into_iter().collect::<Vec<_>>());
        let reports = sent.iter().filter(|m| matches!(m, Message::OutcomeReport(_))).count();
        assert_eq!(reports, 1);
        (outcome, codes)
    }
}

#[test]
fn each_kind_ends_as_the_state_of_its_share_says() {
    let mut lines = MATRIX.lines().skip(1);
    let kinds: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    for row in lines.skip(1) {
        let mut cells = row.split_whitespace();
        let state = cells.next().unwrap();
        let desk = Desk::in_state(state);
        let columns = kinds.iter().flat_map(|kind| (1..=3).map(move |generation| (*kind, generation)));
        for ((kind, generation), cell) in columns.zip(cells.collect::<Vec<_>>()) {
            let mut desk = desk.clone();
            let expected = match cell {
                "A" => (Applied, vec![]),
                "U" => (Unchanged, vec![]),
                "i" => (Filtered, vec![ReasonCode::ShareInactive]),
                _ => (Filtered, vec![ReasonCode::OlderGeneration]),
            };
            let ended = desk.ends(&desk.message(kind, generation));
            assert_eq!(ended, expected, "{kind} of generation {generation} in {state}");
        }
    }
}

/// Candidates that were refused come first; then what was written, lost, known, not taken.
#[test]
fn a_message_with_fields_ends_by_the_first_that_applies() {
    let (new, old) = (20, 5);
    let long = Value::text("a remark of more than forty characters is too long");
    let text = Value::text;
    // Title and Remark stand with `a deal` and `new` at second 10.
    let table = [
        ("all refused", vec![("Remark", long.clone(), new)], Rejected, vec![ReasonCode::TooLong]),
        (
            "one refused, one good",
            vec![("Remark", long, new), ("Title", text("x"), new)],
            Rejected,
            vec![ReasonCode::TooLong],
        ),
        (
            "one good, one lost",
            vec![("Remark", text("x"), old), ("Title", text("x"), new)],
            Applied,
            vec![ReasonCode::OlderStamp],
        ),
        (
            "one lost, one known",
            vec![("Remark", text("x"), old), ("Title", text("a deal"), 10)],
            Superseded,
            vec![ReasonCode::OlderStamp],
        ),
        (
            "one known, one not taken",
            vec![("Title", text("a deal"), 10), ("Weight", text("x"), new)],
            Unchanged,
            vec![],
        ),
        (
            "one good, one not taken",
            vec![("Title", text("x"), new), ("Weight", text("x"), new)],
            Applied,
            vec![],
        ),
        ("none taken", vec![("Weight", text("x"), new)], Filtered, vec![ReasonCode::NotSubscribed]),
        ("nothing", vec![], Filtered, vec![ReasonCode::NotSubscribed]),
    ];
    for (what, fields, outcome, codes) in table {
        let mut desk = Desk::in_state("copy-accepting");
        desk.send(grant_of(desk.share, 2, good()));
        let stamped =
            fields.into_iter().map(|(field, value, second)| (name(field), value, stamp(second, OTHER)));
        let change = change_of(desk.share, 2, Content::stamped(stamped)).into();
        assert_eq!(desk.ends(&change), (outcome, codes), "{what}");
    }
}

#[test]
fn kinds_that_say_nothing_end_filtered_or_have_no_end() {
    let mut desk = Desk::in_state("copy-active");
    assert_eq!(desk.ends(&Void {}.into()), (Filtered, vec![ReasonCode::Withheld]));
    let unknown = |kind| Message::Unknown { kind, body: b"\x81\xa1x\x01".to_vec() };
    assert_eq!(desk.ends(&unknown(40)), (Filtered, vec![ReasonCode::UnknownKind]));
    let malformed = |kind| Envelope {
        body: b"\x81\xa5share\x01".to_vec(),
        ..Envelope::new(Seq(1), desk.here.now, &unknown(kind))
    };
    let (counted, control) = (malformed(4), malformed(66));

    let (connection, after) = (desk.globex.connection, desk.here.connection(desk.globex.connection).clone());
    let ended = desk.globex.send_envelopes(&mut desk.here, &[counted]).remove(0);
    assert_eq!((ended.outcome, ended.reasons[0].code), (Some(Rejected), ReasonCode::Malformed));
    let told = desk.here.sent(connection, after.outbox.head().position);
    let reasons = vec![WireReason { code: ReasonCode::Malformed, field: None }];
    let position = Position(desk.globex.next().0 - 1);
    let detail = OutcomeDetail { position, outcome: Rejected, share: None, reasons };
    let runs = vec![OutcomeRun { outcome: Rejected, count: 1 }];
    assert_eq!(told, [OutcomeReport { upto: position, runs, details: vec![detail] }.into()]);

    // Control messages are taken, readable or not, and nobody is told.
    let before = desk.here.connection(connection).clone();
    for control in [control, Envelope::new(Seq(2), desk.here.now, &unknown(200))] {
        let ended = desk.globex.send_envelopes(&mut desk.here, std::slice::from_ref(&control)).remove(0);
        assert_eq!((ended.outcome, &ended.body), (None, &control.body));
        assert_eq!(
            ended.reasons.len(),
            usize::from(control.kind == 66),
            "what cannot be read is said in the log"
        );
    }
    let after = desk.here.connection(connection);
    assert_eq!(after.inbound.counts, before.inbound.counts);
    assert_eq!(after.outbox, before.outbox);
    assert_eq!(after.inbound.received.position, Position(desk.globex.next().0 - 1));
}

#[test]
fn a_body_that_is_not_its_header_takes_its_positions() {
    let mut desk = Desk::in_state("copy-active");
    let connection = desk.globex.connection;
    let before = desk.here.connection(connection).clone();
    let first = desk.globex.next();
    let header = FrameHeader {
        first,
        count: 3,
        chain_before: before.inbound.received.chain,
        chain_after: Chain(99),
        ..desk.globex.heartbeat(&desk.here)
    };
    let gap = FrameHeader { first: first.next(), ..header.clone() };
    assert_eq!(desk.here.take_malformed(&gap), FrameEnd::Gap);
    let fork = FrameHeader { chain_before: Chain(1), ..header.clone() };
    assert_eq!(desk.here.take_malformed(&fork), FrameEnd::Fork);
    assert_eq!(desk.here.connection(connection), &before);

    assert_eq!(desk.here.take_malformed(&header), FrameEnd::Taken(3));
    let after = desk.here.connection(connection);
    assert_eq!((after.inbound.received.position, after.inbound.received.chain), (header.last(), Chain(99)));
    assert_eq!(after.inbound.counts.rejected, before.inbound.counts.rejected + 3);
    assert!(after.inbound.counts.balanced());
    let told = desk.here.sent(connection, before.outbox.head().position);
    let [Message::OutcomeReport(report)] = told.as_slice() else { panic!("one report: {told:?}") };
    assert_eq!(report.runs, [OutcomeRun { outcome: Rejected, count: 3 }]);
    assert_eq!(desk.here.take_malformed(&header), FrameEnd::Taken(0), "a repeat takes nothing");
}

#[test]
fn what_is_not_subscribed_is_filtered_but_a_grant_is_kept() {
    let mut desk = Desk::in_state("copy-accepting");
    let (connection, object) = (desk.globex.connection, name("Offer__c"));
    desk.here.run(Command::Subscribe { connection, object, rule: None });
    let share = desk.share;
    desk.share = ShareId(2);
    assert_eq!(desk.ends(&desk.message("offer", 1)), (Filtered, vec![ReasonCode::NotSubscribed]));
    assert!(desk.here.state().share(connection, ShareId(2)).is_some(), "the inbox shows it once it is");
    desk.share = share;
    assert_eq!(desk.ends(&desk.message("grant", 2)), (Rejected, vec![ReasonCode::NotSubscribed]));
    assert_eq!(desk.ends(&desk.message("change", 2)), (Filtered, vec![ReasonCode::NotSubscribed]));
    desk.globex.subscribe(&mut desk.here);
    desk.here.finish_jobs();
    let record = desk.here.state().share(connection, share).unwrap().record.unwrap();
    assert_eq!(desk.here.record(record).value(&name("Note")), &Value::text("new"));
}

#[test]
fn a_connection_that_is_not_active_filters_and_one_that_has_ended_does_not_answer() {
    let mut desk = Desk::in_state("copy-active");
    let connection = desk.globex.connection;
    desk.here.run(Command::Deactivate { connection, by_partner: true });
    let before = desk.here.connection(connection).clone();
    let ended = desk.globex.send(&mut desk.here, change_of(desk.share, 2, good()));
    assert_eq!((ended.outcome, ended.reasons[0].code), (Some(Filtered), ReasonCode::NotActive));
    let after = desk.here.connection(connection);
    assert_eq!(after.outbox.head(), before.outbox.head());
    assert!(after.inbound.counts.balanced() && after.inbound.unreported.is_empty());
}

/// What the partner reads of a message that changed nothing here, or was refused.
#[test]
fn reasons_are_told_in_the_partners_words_and_never_about_what_it_cannot_see() {
    let lost = ("Remark", Value::text("x"), 5);
    let lost_too = ("Title", Value::text("x"), 5);
    let long = ("Remark", Value::text("a remark of more than forty characters is too long"), 20);
    let older = |field: &str| WireReason { code: ReasonCode::OlderStamp, field: Some(name(field)) };
    let too_long = WireReason { code: ReasonCode::TooLong, field: Some(name("Remark")) };
    let all: &[&str] = &["Count", "Name", "Note", "Stage"];
    let table = [
        ("a loss", all, vec![lost.clone()], Superseded, Superseded, vec![older("Remark")]),
        (
            "a loss on a field that is not published",
            &["Name"],
            vec![lost.clone()],
            Superseded,
            Filtered,
            vec![],
        ),
        (
            "two losses, one published",
            &["Name"],
            vec![lost.clone(), lost_too],
            Superseded,
            Superseded,
            vec![older("Title")],
        ),
        (
            "a loss beside a write",
            &["Count"],
            vec![lost, ("Title", Value::text("x"), 20)],
            Applied,
            Applied,
            vec![],
        ),
        (
            "a refusal of a field that is not published",
            &["Name"],
            vec![long],
            Rejected,
            Rejected,
            vec![too_long],
        ),
    ];
    for (what, published, fields, outcome, told, reasons) in table {
        let mut desk = Desk::in_state("copy-accepting");
        desk.send(grant_of(desk.share, 2, good()));
        desk.globex.publish_to(&mut desk.here, published);
        let after = desk.here.connection(desk.globex.connection).outbox.head().position;
        let stamped =
            fields.into_iter().map(|(field, value, second)| (name(field), value, stamp(second, OTHER)));
        let change = change_of(desk.share, 2, Content::stamped(stamped));
        let ended = desk.globex.send(&mut desk.here, change);
        assert_eq!(ended.outcome, Some(outcome), "{what}");
        let sent = desk.here.sent(desk.globex.connection, after);
        let Some(Message::OutcomeReport(report)) = sent.last() else { panic!("{what}: {sent:?}") };
        assert_eq!(report.runs, [OutcomeRun { outcome: told, count: 1 }], "{what}");
        let details: Vec<_> = report.details.iter().map(|d| (d.outcome, d.reasons.clone())).collect();
        assert_eq!(details, [(told, reasons)], "{what}");
    }
}

/// Messages of one frame are told in one report, after the last of them.
#[test]
fn one_frame_has_one_report() {
    let mut desk = Desk::in_state("copy-active");
    let after = desk.here.connection(desk.globex.connection).outbox.head().position;
    let change = desk.message("change", 2);
    let sent = [change.clone(), change.clone(), Void {}.into(), change];
    desk.globex.send_all(&mut desk.here, &sent);
    let told = desk.here.sent(desk.globex.connection, after);
    let [Message::OutcomeReport(report)] = told.as_slice() else { panic!("one report: {told:?}") };
    let runs =
        [(Applied, 1), (Unchanged, 2), (Filtered, 1)].map(|(outcome, count)| OutcomeRun { outcome, count });
    assert_eq!(report.runs, runs);
    assert_eq!(report.upto, Position(desk.globex.next().0 - 1));
}

/// The messages of a frame share their entropy, and yet each record that they make has its own id.
#[test]
fn two_copies_of_one_frame_are_two_records() {
    let mut desk = Desk::in_state("copy-offered");
    desk.accept();
    let first = desk.message("grant", 2);
    desk.share = ShareId(2);
    desk.send(offer_of(desk.share, 2));
    desk.accept();
    let second = desk.message("grant", 2);
    let ended = desk.globex.send_all(&mut desk.here, &[first, second]);
    assert!(ended.iter().all(|received| received.outcome == Some(Applied)), "{ended:?}");
    assert_ne!(ended[0].record, ended[1].record);
    assert_eq!(desk.here.state().records.len(), 2);
}
