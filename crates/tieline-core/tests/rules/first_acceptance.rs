//! The first acceptance gets the record (`docs/protocol.md` §8, S2S-45): several partners accept at
//! the same moment, and the origin's writer decides in the order in which it hears them.

use tieline_core::command::{Command, Reply, SharingCommand};
use tieline_core::content::Content;
use tieline_core::event::IncarnationCause;
use tieline_core::message::{
    AcceptOffer, DeclineOffer, EndReason, Message, Offer, Recreate, Refuse, ReturnGrant, ShareEntry,
    ShareStage, ShareStates, Snapshot,
};
use tieline_core::reason::ReasonCode;
use tieline_core::sharing::Forwarding;
use tieline_core::state::{ShareRole, ShareStatus};
use tieline_core::value::Value;
use tieline_core::vecmap::VecMap;
use tieline_core::{Incarnation, Position, RecordId, ShareId};

use crate::kit::{
    Org, Partner, connect, deal, name, offer, offers_from_deals, publish_rule, settle_all, snapshot_of,
};

const NAMES: [&str; 3] = ["globex", "initech", "umbrella"];
const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

/// An org that has offered one record to three partners.
#[derive(Clone)]
struct Desk {
    here: Org,
    partners: Vec<Partner>,
    shares: Vec<ShareId>,
    record: RecordId,
    /// The outbox of each partner before anybody accepted.
    before: Vec<Position>,
}

impl Desk {
    fn new() -> Self {
        let mut here = Org::new("acme", deal());
        let partners: Vec<Partner> = NAMES.iter().map(|partner| Partner::of(&mut here, partner)).collect();
        let given = [("Name", Value::text("ours")), ("Note", Value::text("x"))];
        let record = here.create("Deal__c", &given);
        let mut desk = Self { here, partners, shares: Vec::new(), record, before: Vec::new() };
        for at in 0..NAMES.len() {
            let connection = desk.partners[at].connection;
            let Reply::Share(share) = desk.here.run(Command::Forward { record, connection }) else {
                panic!("an offer is a share")
            };
            desk.shares.push(share);
            desk.before.push(desk.here.connection(connection).outbox.head().position);
        }
        desk
    }

    fn tell(&mut self, partner: usize, message: impl Into<Message>) {
        assert_eq!(self.partners[partner].send(&mut self.here, message).outcome, None);
    }

    fn accept(&mut self, partner: usize, generation: u32) {
        self.tell(partner, AcceptOffer { share: self.shares[partner], generation, whole: false });
    }

    fn status(&self, partner: usize) -> ShareStatus {
        let connection = self.partners[partner].connection;
        self.here.state().share(connection, self.shares[partner]).unwrap().status
    }

    /// What a partner was sent since the offer.
    fn sent(&self, partner: usize) -> Vec<Message> {
        self.here.sent(self.partners[partner].connection, self.before[partner])
    }

    fn refused(&self, partner: usize, code: ReasonCode) -> [Message; 1] {
        [Refuse { share: self.shares[partner], generation: 1, code }.into()]
    }
}

#[test]
fn one_grant_and_one_refusal_for_each_other() {
    for order in ORDERS {
        let mut desk = Desk::new();
        for partner in order {
            desk.accept(partner, 1);
        }
        let [winner, losers @ ..] = order;
        let [Message::Grant(grant), Message::Snapshot(rest)] = &desk.sent(winner)[..] else {
            panic!("{order:?}: a grant and its follow-up: {:?}", desk.sent(winner))
        };
        assert_eq!((grant.share, grant.record), (desk.shares[winner], desk.record));
        assert_eq!(grant.content.values.keys().map(|f| f.as_str()).collect::<Vec<_>>(), ["Name"]);
        assert_eq!(rest.content.values.keys().map(|f| f.as_str()).collect::<Vec<_>>(), ["Note"]);
        assert_eq!(desk.status(winner), ShareStatus::Active);
        for loser in losers {
            assert_eq!(desk.sent(loser), desk.refused(loser, ReasonCode::Taken), "{order:?}");
            assert_eq!(desk.status(loser), ShareStatus::Taken);
            let connection = desk.partners[loser].connection;
            let position = desk.before[loser].next();
            let bytes = desk.here.envelope(connection, position).body;
            for secret in [NAMES[winner].as_bytes(), &desk.shares[winner].0.to_be_bytes()] {
                assert!(
                    !bytes.windows(secret.len()).any(|part| part == secret),
                    "{order:?}: who took it is said"
                );
            }
        }
    }
}

#[test]
fn an_acceptance_that_comes_again_or_too_late_is_not_answered_again() {
    let mut desk = Desk::new();
    for partner in [0, 0, 1, 1, 2, 0] {
        desk.accept(partner, 1);
    }
    assert_eq!(desk.sent(0).len(), 2);
    assert_eq!(desk.sent(1), desk.refused(1, ReasonCode::Taken));
    assert_eq!(desk.sent(2), desk.refused(2, ReasonCode::Taken));
    desk.accept(1, 2);
    assert_eq!(desk.sent(1).len(), 1, "a generation that was never offered is nobody's");
}

#[test]
fn who_declined_is_not_refused_and_a_deleted_record_is_said_to_be() {
    let mut desk = Desk::new();
    desk.tell(0, DeclineOffer { share: desk.shares[0], generation: 1 });
    desk.accept(1, 1);
    assert_eq!((desk.sent(0), desk.status(0)), (vec![], ShareStatus::Declined));
    assert_eq!(desk.sent(2), desk.refused(2, ReasonCode::Taken));

    let mut desk = Desk::new();
    desk.here.run(Command::DeleteRecord { record: desk.record });
    let ended = |desk: &Desk, at: usize| matches!(desk.sent(at)[..], [Message::ShareEnded(_)]);
    desk.accept(0, 1);
    assert!((0..3).all(|at| ended(&desk, at)), "the end of the share is the answer");
}

#[test]
fn a_grant_that_comes_back_gives_the_losers_another_chance() {
    let mut desk = Desk::new();
    for partner in 0..3 {
        desk.accept(partner, 1);
    }
    desk.tell(0, ReturnGrant { share: desk.shares[0], generation: 1 });
    assert_eq!(desk.status(0), ShareStatus::Inactive(EndReason::Returned));
    for loser in [1, 2] {
        let [_, Message::Offer(Offer { generation: 2, .. })] = &desk.sent(loser)[..] else {
            panic!("another offer: {:?}", desk.sent(loser))
        };
    }
    desk.accept(2, 1);
    assert_eq!(desk.status(2), ShareStatus::Offered, "the old acceptance takes nothing");
    desk.accept(2, 2);
    assert_eq!([1, 2].map(|at| desk.status(at)), [ShareStatus::Taken, ShareStatus::Active]);
}

#[test]
fn grants_wait_until_every_connection_has_reconciled() {
    let mut desk = Desk::new();
    desk.here.run(Command::Reconcile { connection: desk.partners[0].connection });
    desk.accept(1, 1);
    desk.accept(2, 1);
    assert_eq!([1, 2].map(|at| desk.status(at)), [ShareStatus::Accepting; 2]);
    desk.here.run(Command::Resume { connection: desk.partners[0].connection });
    desk.here.finish_jobs();
    let granted = [1, 2].into_iter().filter(|at| desk.status(*at) == ShareStatus::Active).count();
    let taken = [1, 2].into_iter().filter(|at| desk.status(*at) == ShareStatus::Taken).count();
    assert_eq!((granted, taken), (1, 1));
}

/// The same between engines: each loser hears of it, and what it saw of the record is gone.
#[test]
fn losers_lose_what_they_saw() {
    let mut here = Org::new("acme", deal());
    let record =
        here.create("Deal__c", &[("Name", Value::text("ours")), ("Stage", Value::picklist("Won".into()))]);
    let mut others: Vec<_> = NAMES
        .iter()
        .map(|partner| {
            let mut there = Org::new(partner, offer());
            let connection = connect(&mut here, &mut there);
            let object = name("Deal__c");
            let rule = Some(publish_rule(&object, &["Count", "Name", "Note", "Stage"]));
            here.run(Command::Publish { connection, object, rule });
            settle_all(&mut here, &mut there, connection);
            let rule = Some(offers_from_deals());
            there.run(Command::Subscribe { connection, object: name("Deal__c"), rule });
            here.run(Command::Forward { record, connection });
            settle_all(&mut here, &mut there, connection);
            (there, connection)
        })
        .collect();
    let share =
        |there: &Org, connection| there.connection(connection).shares.values().next().unwrap().clone();
    for (there, connection) in &mut others {
        assert_eq!(share(there, *connection).preview.get("Stage"), Some(&Value::picklist("Won".into())));
        let id = *there.connection(*connection).shares.keys().next().unwrap();
        there.run(Command::Accept { connection: *connection, share: id, owner: None });
    }
    for (there, connection) in &mut others {
        settle_all(&mut here, there, *connection);
    }
    for (at, (there, connection)) in others.iter_mut().enumerate() {
        settle_all(&mut here, there, *connection);
        let held = share(there, *connection);
        let status = if at == 0 { ShareStatus::Active } else { ShareStatus::Taken };
        assert_eq!((held.role, held.status, held.preview), (ShareRole::Copy, status, VecMap::new()));
        assert_eq!(there.state().records.len(), usize::from(at == 0));
        assert!(there.connection(*connection).inbound.counts.balanced());
    }
}

/// An origin that was put back takes the holder's word, and still knows that others may have the record, too.
#[test]
fn who_may_have_a_record_besides_others_may_so_after_a_restore() {
    let mut here = Org::new("acme", deal());
    let mut partners: Vec<Partner> = NAMES.iter().map(|partner| Partner::of(&mut here, partner)).collect();
    let record = here.create("Deal__c", &[("Name", Value::text("ours"))]);
    let how = Forwarding { many: true, ..Forwarding::default() };
    let shares: Vec<ShareId> = partners
        .iter()
        .map(|partner| {
            let forward = SharingCommand::Forward { record, connection: partner.connection, how };
            let Reply::Share(share) = here.run(Command::Sharing(forward)) else { panic!("a share") };
            share
        })
        .collect();
    // The log was put back to where nobody had accepted; the first two were granted it since.
    let (cause, above) = (IncarnationCause::Restored, Incarnation(0));
    here.run(Command::StartIncarnation { cause, connection: None, above });
    for (at, partner) in partners.iter_mut().enumerate() {
        partner.restart();
        let share = shares[at];
        if at == 1 {
            let recreate = Some(Recreate { object: name("Deal__c"), record, parents: Vec::new() });
            partner.send(&mut here, Snapshot { recreate, ..snapshot_of(share, 1, Content::default()) });
        }
        let stage = if at == 2 { ShareStage::Offered } else { ShareStage::Active };
        let (origin, record, parents, ended, taken) = (false, None, Vec::new(), None, VecMap::new());
        let entries = vec![ShareEntry { share, generation: 1, stage, origin, record, parents, ended, taken }];
        partner.send(&mut here, ShareStates { after: None, upto: None, entries });
    }
    here.finish_jobs();
    partners[2].send(&mut here, AcceptOffer { share: shares[2], generation: 1, whole: false });
    for (partner, share) in partners.iter().zip(&shares) {
        let share = here.state().share(partner.connection, *share).unwrap();
        assert_eq!((share.status, share.how), (ShareStatus::Active, how));
    }
}
