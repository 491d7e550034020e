//! Two orgs that talk with each other, in frames that the test cuts.

use tieline_core::command::{Command, Reply};
use tieline_core::engine::FrameEnd;
use tieline_core::frame::FrameHeader;
use tieline_core::mapping::SubscribeRule;
use tieline_core::message::Envelope;
use tieline_core::{ConnectionId, Position, UserName};

use super::org::header;
use super::{Frame, Org, PAIRS, STAGES, mapping, name};

/// More rounds than any exchange of the tests takes.
const ROUNDS_MAX: usize = 100;

/// What an org with offers takes of one with deals.
pub(crate) fn offers_from_deals() -> SubscribeRule {
    let turned = |(there, here)| (here, there);
    mapping("Deal__c", "Offer__c", PAIRS.map(turned), STAGES.map(turned))
}

impl Org {
    /// A frame with `count` messages from `first` on.
    pub(crate) fn frame(&self, id: ConnectionId, first: Position, count: u32) -> Frame {
        let (state, connection) = (self.state(), self.connection(id));
        let before = Position(first.0 - 1);
        let last = Position(before.0 + u64::from(count));
        let chain = |position| connection.outbox.chain_at(position).unwrap();
        let header = FrameHeader {
            first,
            count,
            chain_before: chain(before),
            chain_after: chain(last),
            received: connection.inbound.received,
            ..header(
                id,
                (&self.name, state.org.as_ref().unwrap().incarnation),
                (connection.partner.as_ref().unwrap(), connection.partner_incarnation),
                self.now,
            )
        };
        let messages: Vec<Envelope> =
            (first.0..=last.0).map(|position| self.envelope(id, Position(position))).collect();
        Frame::new(&header, &messages)
    }
}

/// Connects two orgs as the handshake does.
pub(crate) fn connect(inviter: &mut Org, invited: &mut Org) -> ConnectionId {
    let (secret_hash, expires) = ([2; 32], inviter.now.plus_us(3_600_000_000));
    let invite = Command::Invite { secret_hash, expires, owner: None, label: String::new() };
    let Reply::Connection(connection) = inviter.run(invite) else { panic!("an invitation is a connection") };
    invited.run(Command::Answer {
        connection,
        inviter: inviter.name.clone(),
        public_key: [3; 32],
        secret_hash,
        expires,
        accept: true,
        owner: None,
        label: String::new(),
    });
    let life = |org: &Org| org.state().org.as_ref().unwrap().incarnation;
    let user: UserName = name("bob");
    inviter.run(Command::TakeHello {
        connection,
        from: invited.name.clone(),
        accept: true,
        user,
        public_key: [4; 32],
        incarnation: life(invited),
        by: None,
    });
    invited.run(Command::TakeWelcome { connection, incarnation: life(inviter), owner: None });
    connection
}

/// Carries everything both ways, one frame at a time, until nothing is left to say: that must not
/// take long, for no message is answered without end.
pub(crate) fn settle_all(a: &mut Org, b: &mut Org, id: ConnectionId) {
    for _ in 0..ROUNDS_MAX {
        let moved = carry(a, b, id) | carry(b, a, id);
        a.finish_jobs();
        b.finish_jobs();
        let through =
            |from: &Org, to: &Org| from.connection(id).outbox.head() == to.connection(id).inbound.received;
        if !moved && through(a, b) && through(b, a) {
            return;
        }
    }
    panic!("after {ROUNDS_MAX} rounds there is still something to say");
}

/// Carries what `to` has not received; whether there was something.
fn carry(from: &Org, to: &mut Org, id: ConnectionId) -> bool {
    let first = to.connection(id).inbound.received.position.next();
    let head = from.connection(id).outbox.head().position;
    if head < first {
        return false;
    }
    let count = u32::try_from(head.0 + 1 - first.0).unwrap();
    let (end, _) = to.take(&from.frame(id, first, count));
    assert_eq!(end, FrameEnd::Taken(count));
    true
}
