//! Whatever way the same messages and events come, the same state comes of them.
//!
//! Two orgs play a drawn script: they write, share, accept, refuse, change rules and publishing, let
//! their clocks drift apart, and hear each other in frames of drawn length. Then what one of them has
//! not heard comes in other ways, or a log is read back, and nothing may differ.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use tieline_core::command::Command;
use tieline_core::engine::{Engine, FrameEnd};
use tieline_core::event::Event;
use tieline_core::frame::Figure;
use tieline_core::log::Log;
use tieline_core::message::{EndReason, Message};
use tieline_core::outcome::{Counts, Outcome};
use tieline_core::schema::ObjectSchema;
use tieline_core::state::{Record, Share, ShareStatus, State, StateHash};
use tieline_core::value::Value;
use tieline_core::{ConnectionId, FieldName, OrgId, Position, RecordId, Seq, ShareId, Timestamp};

use crate::kit::{
    Org, connect, deal, deals_from_offers, name, offer, offers_from_deals, publish_rule, settle_all,
};

/// Cases of each property.
const CASES: u32 = 64;

/// Something that somebody does. Numbers choose among what is there.
#[derive(Debug, Clone, Copy)]
enum Step {
    Create(Who),
    Update(Who, u8, u8, u8),
    Forward(Who, u8),
    Accept(Who),
    Decline(Who),
    End(Who, u8),
    Delete(Who, u8),
    Retry(Who),
    Rules(bool),
    Publish(Who, u8),
    Remap(Who, bool),
    Reconcile(Who),
    Tick(Who, u16),
    /// So many messages come to this org in one frame.
    Hear(Who, u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Acme,
    Globex,
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![Just(Who::Acme), Just(Who::Globex)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => who().prop_map(Step::Create),
        9 => (who(), 0..4_u8, 0..4_u8, 0..4_u8).prop_map(|(w, r, f, v)| Step::Update(w, r, f, v)),
        4 => (who(), 0..4_u8).prop_map(|(w, r)| Step::Forward(w, r)),
        5 => who().prop_map(Step::Accept),
        1 => who().prop_map(Step::Decline),
        1 => (who(), 0..4_u8).prop_map(|(w, r)| Step::End(w, r)),
        1 => (who(), 0..4_u8).prop_map(|(w, r)| Step::Delete(w, r)),
        1 => who().prop_map(Step::Retry),
        1 => any::<bool>().prop_map(Step::Rules),
        1 => (who(), 1..16_u8).prop_map(|(w, set)| Step::Publish(w, set)),
        1 => (who(), any::<bool>()).prop_map(|(w, on)| Step::Remap(w, on)),
        1 => who().prop_map(Step::Reconcile),
        3 => (who(), 0..400_u16).prop_map(|(w, s)| Step::Tick(w, s)),
        12 => (who(), 1..6_u8).prop_map(|(w, n)| Step::Hear(w, n)),
    ]
}

fn script() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 10..60)
}

const FIELDS: [[&str; 4]; 2] = [["Count", "Name", "Note", "Stage"], ["Number", "Title", "Remark", "Phase"]];

/// Two orgs.
#[derive(Debug, Clone)]
struct Pair {
    acme: Org,
    globex: Org,
    connection: ConnectionId,
}

/// Two orgs that each publish and take all, and share one record.
static AGREED: LazyLock<Pair> = LazyLock::new(|| {
    let (mut acme, mut globex) = (Org::new("acme", deal()), Org::new("globex", offer()));
    let connection = connect(&mut acme, &mut globex);
    let mut pair = Pair { acme, globex, connection };
    for who in [Who::Acme, Who::Globex] {
        pair.play(Step::Publish(who, 15));
    }
    settle_all(&mut pair.acme, &mut pair.globex, connection);
    for who in [Who::Acme, Who::Globex] {
        pair.play(Step::Remap(who, false));
    }
    settle_all(&mut pair.acme, &mut pair.globex, connection);
    for step in [Step::Create(Who::Acme), Step::Forward(Who::Acme, 0), Step::Accept(Who::Globex)] {
        pair.play(step);
        settle_all(&mut pair.acme, &mut pair.globex, connection);
    }
    let shares = &pair.globex.connection(connection).shares;
    assert!(shares.values().all(|share| share.status == ShareStatus::Active) && shares.len() == 1);
    pair
});

fn played(script: &[Step]) -> Pair {
    let mut pair = AGREED.clone();
    for step in script {
        pair.play(*step);
    }
    pair
}

impl Pair {
    fn org(&mut self, who: Who) -> &mut Org {
        match who {
            Who::Acme => &mut self.acme,
            Who::Globex => &mut self.globex,
        }
    }

    /// The command of a step, if there is something that it can be about.
    fn command(&mut self, who: Who, step: Step) -> Option<Command> {
        let connection = self.connection;
        let objects: [(&str, &str); 2] = [("Deal__c", "Offer__c"), ("Offer__c", "Deal__c")];
        let (own, partners) = objects[who as usize];
        let org = self.org(who);
        let records: Vec<RecordId> = org.state().records.keys().copied().collect();
        let record = |at: u8| records.get(usize::from(at)).or_else(|| records.first()).copied();
        let share = |status: ShareStatus| {
            let mut shares = org.connection(connection).shares.iter();
            shares.find(|(_, share)| share.status == status).map(|(id, _)| *id)
        };
        Some(match step {
            Step::Create(_) => {
                let values = [(name(FIELDS[who as usize][1]), Value::text("made"))].into_iter().collect();
                Command::CreateRecord { object: name(own), values, owner: None }
            }
            Step::Update(_, at, field, value) => {
                let values = [(name(FIELDS[who as usize][usize::from(field)]), drawn(who, field, value))];
                Command::UpdateRecord { record: record(at)?, values: values.into_iter().collect() }
            }
            Step::Forward(_, at) => Command::Forward { record: record(at)?, connection },
            Step::Accept(_) => {
                Command::Accept { connection, share: share(ShareStatus::Offered)?, owner: None }
            }
            Step::Decline(_) => Command::Decline { connection, share: share(ShareStatus::Offered)? },
            Step::End(_, at) => {
                Command::EndShare { record: record(at)?, connection, reason: EndReason::Stopped }
            }
            Step::Delete(_, at) => Command::DeleteRecord { record: record(at)? },
            Step::Retry(_) => Command::Retry { connection, share: share(ShareStatus::Active)? },
            Step::Rules(on) => {
                let rules = if on { deal().rules } else { Vec::new() };
                Command::DefineObject { schema: Box::new(ObjectSchema { rules, ..deal() }) }
            }
            Step::Publish(_, set) => {
                let chosen = (0..4).filter(|bit| set & (1 << bit) != 0).map(|bit| FIELDS[who as usize][bit]);
                let rule = Some(publish_rule(&name(own), &chosen.collect::<Vec<_>>()));
                Command::Publish { connection, object: name(own), rule }
            }
            Step::Remap(_, auto_accept) => {
                let mut rule = if who == Who::Acme { deals_from_offers() } else { offers_from_deals() };
                let known = org.connection(connection).catalogue.get(partners)?;
                rule.fields
                    .retain(|mapping| mapping.remote().is_some_and(|field| known.field(field).is_some()));
                rule.auto_accept = auto_accept;
                Command::Subscribe { connection, object: name(partners), rule: Some(rule) }
            }
            Step::Reconcile(_) => Command::Reconcile { connection },
            Step::Tick(..) | Step::Hear(..) => return None,
        })
    }

    /// Does a step; what is refused is a step that nobody could do.
    fn play(&mut self, step: Step) {
        let connection = self.connection;
        match step {
            Step::Tick(who, seconds) => {
                let org = self.org(who);
                org.now = org.now.plus_us(i64::from(seconds) * 1_000_000);
                while let Some(position) = org.connection(connection).due(org.now) {
                    org.run(Command::TryHeld { connection, position });
                }
                org.finish_jobs();
            }
            Step::Hear(who, count) => self.hear(who, count),
            Step::Rules(_) => self.command_of(Who::Acme, step),
            Step::Create(who)
            | Step::Update(who, ..)
            | Step::Forward(who, _)
            | Step::Accept(who)
            | Step::Decline(who)
            | Step::End(who, _)
            | Step::Delete(who, _)
            | Step::Retry(who)
            | Step::Publish(who, _)
            | Step::Remap(who, _)
            | Step::Reconcile(who) => self.command_of(who, step),
        }
    }

    fn command_of(&mut self, who: Who, step: Step) {
        if let Some(command) = self.command(who, step) {
            let org = self.org(who);
            drop(org.attempt(command));
            // A clock never stands still between two commands.
            org.now = org.now.plus_us(1);
        }
    }

    /// The next messages to an org.
    fn hear(&mut self, who: Who, count: u8) {
        let id = self.connection;
        let (from, to) = match who {
            Who::Acme => (&self.globex, &mut self.acme),
            Who::Globex => (&self.acme, &mut self.globex),
        };
        let received = to.connection(id).inbound.received.position;
        let waiting = from.connection(id).outbox.head().position.0 - received.0;
        if let count @ 1.. = u32::try_from(waiting).unwrap().min(u32::from(count)) {
            let (end, _) = to.take(&from.frame(id, received.next(), count));
            assert_eq!(end, FrameEnd::Taken(count));
        }
    }
}

/// Values of a field: some that the other side refuses, some that fit only together.
fn drawn(who: Who, field: u8, value: u8) -> Value {
    let at = usize::from(value);
    match field {
        0 => Value::Integer([0, 50, 200, 300][at]),
        1 => Value::text(["a", "b", "c", "d"][at]),
        2 => Value::text(["", "x", "y", "a remark that is longer than the forty characters of a note"][at]),
        _ if who == Who::Acme => Value::picklist(["New", "Open", "Won", "Won"][at].into()),
        _ => Value::picklist(["one", "two", "three", "four"][at].into()),
    }
}

/// What an org knows, but for ids and seqs that it drew by itself and the runs of its reports.
#[derive(Debug, PartialEq)]
struct Known {
    received: Figure,
    counts: Counts,
    shares: Vec<(ShareId, Share, Option<Record>)>,
    records: usize,
    said: Vec<Message>,
}

fn known(org: &Org, connection: ConnectionId) -> Known {
    let found = org.connection(connection);
    let shares = found.shares.iter().map(|(id, share)| {
        let record = share.record.and_then(|record| org.state().records.get(&record).cloned());
        let record = record.map(|record| Record { last: Seq(0), ..record });
        (*id, Share { record: None, ..share.clone() }, record)
    });
    let mut said = org.sent(connection, Position::default());
    said.retain(|message| !matches!(message, Message::OutcomeReport(_)));
    Known {
        received: found.inbound.received,
        counts: found.inbound.counts,
        shares: shares.collect(),
        records: org.state().records.len(),
        said,
    }
}

/// A frame that starts so many positions too early or too late, and is so long.
fn cuts() -> impl Strategy<Value = Vec<(i8, u8)>> {
    prop::collection::vec((-6..3_i8, 1..9_u8), 0..30)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, ..ProptestConfig::default() })]

    /// However the same messages are cut into frames, whatever comes twice or too early.
    #[test]
    fn frames_may_be_cut_in_any_way(before in script(), after in script(), cuts in cuts()) {
        let mut pair = played(&before);
        let connection = pair.connection;
        for step in after {
            // What Acme says while Globex is away.
            if !matches!(step, Step::Hear(..)) {
                pair.play(step);
            }
        }
        let Pair { acme, globex, .. } = pair;
        let received = |org: &Org| org.connection(connection).inbound.received.position;
        let head = acme.connection(connection).outbox.head().position;

        let mut one_by_one = globex.clone();
        while received(&one_by_one) < head {
            one_by_one.take(&acme.frame(connection, received(&one_by_one).next(), 1));
        }
        let mut mixed = globex;
        for (shift, count) in cuts.into_iter().chain([(0, u8::MAX)]) {
            let next = received(&mixed).next().0;
            let first = Position(next.saturating_add_signed(i64::from(shift)).clamp(1, head.0));
            let count = u64::from(count).min(head.0 + 1 - first.0);
            let (end, _) = mixed.take(&acme.frame(connection, first, u32::try_from(count).unwrap()));
            let last = first.0 + count - 1;
            let expected = match first.0 {
                first if first > next => FrameEnd::Gap,
                _ => FrameEnd::Taken(u32::try_from((last + 1).saturating_sub(next)).unwrap()),
            };
            prop_assert_eq!(end, expected);
        }
        prop_assert_eq!(received(&mixed), head);
        prop_assert_eq!(known(&mixed, connection), known(&one_by_one, connection));
        prop_assert!(mixed.connection(connection).inbound.counts.balanced());
    }

    /// Repeats, frames beyond a gap and frames of another chain leave no trace at all.
    #[test]
    fn what_is_thrown_away_leaves_no_trace(script in script(), cut in 1..5_u32) {
        let Pair { acme, globex, connection } = played(&script);
        let received = |org: &Org| org.connection(connection).inbound.received.position;
        let head = acme.connection(connection).outbox.head().position;
        let (mut plain, mut troubled) = (globex.clone(), globex);
        let mut taken = Vec::new();
        while received(&plain) < head {
            let first = received(&plain).next();
            let count = cut.min(u32::try_from(head.0 + 1 - first.0).unwrap());
            let frame = acme.frame(connection, first, count);
            if first < head {
                let beyond = acme.frame(connection, first.next(), 1);
                prop_assert_eq!(troubled.take(&beyond).0, FrameEnd::Gap);
            }
            let mut torn = frame.header();
            torn.chain_after.0 ^= 1;
            for other in [frame.forked(), frame.with_header(&torn)] {
                prop_assert_eq!(troubled.take(&other).0, FrameEnd::Fork);
            }
            let mut stale = frame.header();
            stale.to_incarnation.0 -= 1;
            prop_assert_eq!(troubled.take(&frame.with_header(&stale)).0, FrameEnd::Stale);
            plain.take(&frame);
            troubled.take(&frame);
            taken.push(frame);
            for old in &taken {
                prop_assert_eq!(troubled.take(old).0, FrameEnd::Taken(0));
            }
        }
        prop_assert_eq!(plain.state().hash(), troubled.state().hash());
        prop_assert_eq!(plain.log.head(), troubled.log.head());
    }

    /// A log read back gives the state that wrote it, at every event that ends a command or a frame;
    /// so does a snapshot of any moment with the events after it, and it decides the same, too.
    #[test]
    fn a_log_gives_its_state_back(script in script(), cut in any::<prop::sample::Index>()) {
        let mut pair = AGREED.clone();
        let (mut acme, mut globex): (Moments, Moments) = Default::default();
        for step in script {
            pair.play(step);
            for (org, hashes) in [(&pair.acme, &mut acme), (&pair.globex, &mut globex)] {
                let seq = org.state().seq;
                if hashes.last().is_none_or(|(last, _)| *last < seq) {
                    hashes.push((seq, org.state().hash()));
                }
            }
        }
        for (org, hashes) in [(pair.acme, acme), (pair.globex, globex)] {
            let mut engine = Engine::default();
            replay(&mut engine, &org, &hashes)?;
            prop_assert_eq!(engine.state().hash(), org.state().hash());

            let at = hashes[cut.index(hashes.len())].0;
            let mut early = Engine::default();
            replay_until(&mut early, &org, at);
            let snapshot = State::from_bytes(&early.state().to_bytes()).unwrap();
            prop_assert_eq!(snapshot.hash(), early.state().hash());
            let mut restored = Engine::new(snapshot);
            replay(&mut restored, &org, &[])?;
            prop_assert_eq!(restored.state().hash(), org.state().hash());
            decides_the_same(org, restored)?;
        }
    }

    /// Edits of both sides that cross meet in the same values, in whatever order they are heard.
    #[test]
    fn crossing_edits_converge(edits in prop::collection::vec((who(), 1..4_u8, 0..3_u8, 0..90_u16), 1..20), order in prop::collection::vec((who(), 1..6_u8), 0..40)) {
        let mut pair = AGREED.clone();
        let connection = pair.connection;
        for (who, field, value, seconds) in edits {
            pair.play(Step::Tick(who, seconds));
            pair.play(Step::Update(who, 0, field, value));
        }
        let mut other = pair.clone();
        for (who, count) in order {
            pair.play(Step::Hear(who, count));
        }
        settle_all(&mut pair.acme, &mut pair.globex, connection);
        settle_all(&mut other.globex, &mut other.acme, connection);
        for pair in [&mut pair, &mut other] {
            // Until whatever was held has come, too.
            pair.play(Step::Tick(Who::Acme, u16::MAX));
            pair.play(Step::Tick(Who::Globex, u16::MAX));
            settle_all(&mut pair.acme, &mut pair.globex, connection);
        }
        prop_assert_eq!(stamps(&pair.acme, 0), stamps(&pair.globex, 1));
        prop_assert_eq!(values(&pair.acme), values(&other.acme));
        prop_assert_eq!(values(&pair.globex), values(&other.globex));
    }
}

/// The properties are worth what their scripts reach: every outcome, on both sides.
#[test]
fn scripts_reach_every_outcome() {
    let mut runner = TestRunner::deterministic();
    let mut reached = BTreeSet::new();
    for _ in 0..CASES {
        let drawn = script().new_tree(&mut runner).unwrap().current();
        let pair = played(&drawn);
        for (who, org) in [("acme", &pair.acme), ("globex", &pair.globex)] {
            let counts = org.connection(pair.connection).inbound.counts;
            assert!(counts.balanced(), "{counts:?}");
            reached
                .extend(Outcome::ALL.into_iter().filter(|each| counts.of(*each) > 0).map(|each| (who, each)));
        }
    }
    assert_eq!(reached.len(), 2 * Outcome::ALL.len(), "{reached:?}");
}

/// The hash of a state at some seqs.
type Moments = Vec<(Seq, StateHash)>;

/// Folds the events after the state of `engine`, each from its bytes.
fn replay(engine: &mut Engine, org: &Org, hashes: &[(Seq, StateHash)]) -> Result<(), TestCaseError> {
    let from = engine.state().seq;
    let groups = org.log.read_from(Seq(1), usize::MAX).unwrap();
    let mut hashes = hashes.iter().skip_while(|(seq, _)| *seq <= from).peekable();
    for stored in groups.events().filter(|stored| stored.seq > from) {
        let event = Event::decode(stored.kind, stored.body).unwrap();
        let mut body = Vec::new();
        event.encode_body(&mut body);
        prop_assert_eq!((event.kind(), body.as_slice()), (stored.kind, stored.body));
        engine.replay(stored.time, stored.kind, stored.body).unwrap();
        while let Some((_, hash)) = hashes.next_if(|(seq, _)| *seq == stored.seq) {
            prop_assert_eq!(engine.state().hash(), *hash, "at {}", stored.seq);
        }
    }
    prop_assert!(hashes.next().is_none(), "every moment was met");
    Ok(())
}

fn replay_until(engine: &mut Engine, org: &Org, until: Seq) {
    let groups = org.log.read_from(Seq(1), usize::MAX).unwrap();
    for stored in groups.events().filter(|stored| stored.seq <= until) {
        engine.replay(stored.time, stored.kind, stored.body).unwrap();
    }
}

/// What is derived (rules, indexes, what is held) is there again: the next events are the same.
fn decides_the_same(mut org: Org, restored: Engine) -> Result<(), TestCaseError> {
    let mut twin = org.clone();
    twin.engine = restored;
    let far = org.now.plus_us(1_000_000_000_000);
    let connections = org.state().connections.values();
    let due: Vec<Command> = connections
        .filter_map(|c| Some(Command::TryHeld { connection: c.id, position: c.due(far)? }))
        .collect();
    let records: Vec<RecordId> = org.state().records.keys().copied().collect();
    let updates = records.into_iter().flat_map(|record| {
        let set = |field: &str, value| [(name::<FieldName>(field), value)].into_iter().collect();
        [("Count", Value::Integer(500)), ("Note", Value::text("why")), ("Number", Value::Integer(500))]
            .map(|(field, value)| Command::UpdateRecord { record, values: set(field, value) })
    });
    for command in due.into_iter().chain(updates) {
        let both = (org.attempt(command.clone()), twin.attempt(command));
        prop_assert_eq!(both.0, both.1);
        prop_assert_eq!(org.log.head(), twin.log.head());
    }
    prop_assert_eq!(org.state().hash(), twin.state().hash());
    Ok(())
}

/// Who wrote each field of the one record when, in the order of `FIELDS`.
fn stamps(org: &Org, side: usize) -> Vec<Option<(Timestamp, OrgId)>> {
    let record = org.state().records.values().next().unwrap();
    FIELDS[side].iter().map(|field| record.fields.get(*field).map(|field| field.stamp.write())).collect()
}

fn values(org: &Org) -> Vec<(FieldName, Value)> {
    let record = org.state().records.values().next().unwrap();
    record.fields.iter().map(|(name, field)| (name.clone(), field.value.clone())).collect()
}
