//! What a partner sent: logged as it came, and ended as exactly one outcome.
//!
//! A message that cannot be decoded, or that is for something unknown, is an outcome like any
//! other: it stops nothing but itself.

use crate::content::Content;
use crate::decide::control;
use crate::decide::copy;
use crate::decide::draft::Draft;
use crate::decide::fields::FieldsEnd;
use crate::decide::pause;
use crate::decide::settle::rule_of;
use crate::decide::write::is_open;
use crate::decide::{share, task};
use crate::event::{Closing, HoldChanged, OfferReceived, Received};
use crate::frame::{Chain, FrameHeader};
use crate::limits::CLOCK_SKEW_US_MAX;
use crate::message::{EndReason, Envelope, Message, Offer, ShareEnded, is_counted};
use crate::outcome::Outcome;
use crate::reason::{Reason, ReasonCode};
use crate::state::{Connection, Share, ShareRole, ShareStatus};
use crate::{AssignTo, ConnectionId, Owner, Position, RecordId, Seq, ShareId, Timestamp};

/// How one counted message ended.
#[derive(Debug, Clone)]
pub(super) struct Ending {
    pub(super) outcome: Outcome,
    pub(super) share: Option<ShareId>,
    pub(super) record: Option<RecordId>,
    pub(super) reasons: Vec<Reason>,
    pub(super) held_until: Option<Timestamp>,
    /// The share whose record it is held for.
    pub(super) parent: Option<ShareId>,
}

impl Ending {
    pub(super) const fn new(outcome: Outcome, share: Option<ShareId>) -> Self {
        Self { outcome, share, record: None, reasons: Vec::new(), held_until: None, parent: None }
    }

    pub(super) fn because(mut self, code: ReasonCode, text: impl AsRef<str>) -> Self {
        self.reasons.push(Reason::new(code, text));
        self
    }

    fn filtered(share: Option<ShareId>, code: ReasonCode, text: &str) -> Self {
        Self::new(Outcome::Filtered, share).because(code, text)
    }
}

/// Decides one message at the next position of a connection.
pub(super) fn receive(
    draft: &mut Draft<'_>,
    connection: &Connection,
    position: Position,
    chain: Chain,
    envelope: &Envelope,
) {
    let message = Message::decode(envelope.kind, &envelope.body);
    let ending = if is_counted(envelope.kind) {
        Some(counted(draft, connection, position, &message))
    } else {
        if let Ok(message) = &message
            && connection.is_active()
        {
            control::take(draft, connection, message);
        }
        None
    };
    let outcome = ending.as_ref().map(|ending| ending.outcome);
    let Ending { share, record, reasons, held_until, parent, .. } = ending.unwrap_or_else(|| Ending {
        reasons: message.err().map(|e| malformed(&e)).into_iter().collect(),
        ..Ending::new(Outcome::Unchanged, None)
    });
    draft.emit_first(Received {
        connection: connection.id,
        position,
        seq: envelope.seq,
        time: envelope.time,
        chain,
        kind: envelope.kind,
        body: envelope.body.clone(),
        outcome,
        share,
        record,
        reasons,
        held_until,
        parent,
    });
}

/// A position of a frame whose body is not what its header says.
pub(super) fn malformed_position(
    connection: ConnectionId,
    position: Position,
    header: &FrameHeader,
) -> crate::event::Event {
    let text = "the frame's body is not the messages that its header announces";
    Received {
        connection,
        position,
        seq: Seq::default(),
        time: header.clock,
        chain: header.chain_after,
        kind: 0,
        body: Vec::new(),
        outcome: Some(Outcome::Rejected),
        share: None,
        record: None,
        reasons: vec![Reason::new(ReasonCode::Malformed, text)],
        held_until: None,
        parent: None,
    }
    .into()
}

fn malformed(error: &crate::codec::DecodeError) -> Reason {
    Reason::new(ReasonCode::Malformed, error.to_string())
}

fn counted(
    draft: &mut Draft<'_>,
    connection: &Connection,
    position: Position,
    message: &Result<Message, crate::codec::DecodeError>,
) -> Ending {
    if !connection.is_active() {
        return Ending::filtered(None, ReasonCode::NotActive, "the connection is not active");
    }
    match message {
        Err(error) => Ending { reasons: vec![malformed(error)], ..Ending::new(Outcome::Rejected, None) },
        Ok(message) if pause::holds(connection, message) => Ending {
            held_until: Some(draft.now),
            ..Ending::new(Outcome::Held, share_of(message))
                .because(pause::HELD, "the object is paused here: the message is tried when it goes on")
        },
        Ok(message) => take(draft, connection, position, message),
    }
}

const fn share_of(message: &Message) -> Option<ShareId> {
    match message {
        Message::Offer(m) => Some(m.share),
        Message::Grant(m) => Some(m.share),
        Message::Snapshot(m) => Some(m.share),
        Message::Change(m) => Some(m.share),
        Message::ShareEnded(m) => Some(m.share),
        _ => None,
    }
}

/// Decides a counted message, new or held before.
pub(super) fn take(
    draft: &mut Draft<'_>,
    connection: &Connection,
    position: Position,
    message: &Message,
) -> Ending {
    let (share, content) = match message {
        Message::Offer(offer) => return take_offer(draft, connection, offer),
        Message::ShareEnded(ended) => {
            let behind = held(draft, connection, position, ended.share, &Content::default());
            return behind.unwrap_or_else(|| take_end(draft, connection, ended));
        }
        Message::Grant(grant) => (grant.share, &grant.content),
        Message::Snapshot(snapshot) => (snapshot.share, &snapshot.content),
        Message::Change(change) => (change.share, &change.content),
        Message::ChildGrant(grant) => (grant.share, &grant.content),
        Message::Void(_) => {
            return Ending::filtered(
                None,
                ReasonCode::Withheld,
                "the partner does not publish these fields any more",
            );
        }
        _ => {
            return Ending::filtered(
                None,
                ReasonCode::UnknownKind,
                "this version does not know the kind of message",
            );
        }
    };
    if let Some(ending) = held(draft, connection, position, share, content) {
        return ending;
    }
    if let Message::ChildGrant(grant) = message
        && let Some(ending) = task::awaits(connection, grant)
    {
        return ending;
    }
    let end = match message {
        Message::ChildGrant(grant) => task::take(draft, connection, position, grant),
        Message::Grant(grant) => copy::take_grant(draft, connection, position, grant),
        Message::Snapshot(snapshot) => copy::take_snapshot(draft, connection, position, snapshot),
        Message::Change(change) => {
            let told = copy::Told::changed(change.hops);
            copy::take_fields(draft, connection, position, share, change.generation, content, told)
        }
        // The other kinds have returned above.
        _ => FieldsEnd::default(),
    };
    Ending {
        outcome: end.outcome,
        share: Some(share),
        record: end.record,
        reasons: end.reasons,
        held_until: end.parent.map(|_| FOR_PARENT),
        parent: end.parent,
    }
}

/// Until when a message waits for a parent: as long as it takes.
pub(super) const FOR_PARENT: Timestamp = Timestamp(i64::MAX);

/// A stamp far ahead of our clock would win over every edit until then: the message waits, and
/// what follows on its share waits behind it, so that no follow-up comes before its grant.
fn held(
    draft: &Draft<'_>,
    connection: &Connection,
    position: Position,
    share: ShareId,
    content: &Content,
) -> Option<Ending> {
    let latest = content.iter().map(|(_, _, stamp)| stamp.time).max();
    let limit = draft.now.plus_us(CLOCK_SKEW_US_MAX);
    let ahead = latest.filter(|latest| *latest > limit).map(|latest| latest.plus_us(-CLOCK_SKEW_US_MAX));
    let behind = connection.held_before(share, position);
    let parent = behind.and_then(|behind| behind.parent);
    let until = behind.map(|behind| behind.until);
    let (code, text) = match (latest.filter(|_| ahead.is_some()), until) {
        (_, Some(_)) if parent.is_some() => {
            let text = "an earlier change of the share waits for the record that it belongs to";
            (ReasonCode::AwaitingParent, text.to_owned())
        }
        (Some(latest), _) => {
            let text =
                format!("the change was written at {latest}, ahead of this org's clock: check both clocks");
            (ReasonCode::ClockAhead, text)
        }
        (None, Some(until)) => {
            let text = format!("an earlier message of the share waits until {until}, and this one behind it");
            (ReasonCode::ClockAhead, text)
        }
        (None, None) => return None,
    };
    let held_until = ahead.max(until);
    Some(Ending { held_until, parent, ..Ending::new(Outcome::Held, Some(share)).because(code, text) })
}

/// Tries a held message whose time has come.
pub(super) fn try_held(draft: &mut Draft<'_>, connection: &Connection, position: Position) {
    let Some(held) = connection.inbound.held.get(&position) else { return };
    // That it was held is told before how it ended, also when a crash came in between.
    super::settle::report(draft, connection);
    let ending = match Message::decode(held.kind, &held.body) {
        Ok(message) if connection.is_active() => take(draft, connection, position, &message),
        Ok(_) => Ending::filtered(None, ReasonCode::NotActive, "the connection is not active"),
        Err(error) => Ending { reasons: vec![malformed(&error)], ..Ending::new(Outcome::Rejected, None) },
    };
    if ending.outcome == Outcome::Held {
        let (until, parent) = (ending.held_until.unwrap_or(FOR_PARENT), ending.parent);
        let (connection, positions) = (connection.id, vec![position]);
        return draft.emit(HoldChanged { connection, positions, until, parent });
    }
    super::settle::settle_held(draft, connection, position, ending.outcome, ending.share, ending.reasons);
}

fn take_offer(draft: &mut Draft<'_>, connection: &Connection, offer: &Offer) -> Ending {
    let id = Some(offer.share);
    let known = connection.shares.get(&offer.share);
    if let Some(share) = known {
        if share.generation > offer.generation {
            return Ending::filtered(
                id,
                ReasonCode::OlderGeneration,
                "the share has been offered again since",
            );
        }
        if share.generation == offer.generation {
            return take_crossing_offer(draft, connection, offer, share);
        }
    }
    if let Some(before) = known.filter(|known| is_open(known)) {
        // That it ended is lost with a former life: what belonged to it has ended all the same.
        let closing = Closing::Ended(EndReason::Withdrawn);
        share::close(draft, connection, offer.share, before, closing, false);
    }
    draft.emit(OfferReceived::of(connection.id, offer));
    let Some(rule) = connection.subscribe.get(&offer.object) else {
        // It is kept all the same: both sides know the generation, and the inbox shows the offer
        // once the object is subscribed (S2S-46).
        let text = format!("{} is not subscribed", offer.object);
        return Ending::filtered(id, ReasonCode::NotSubscribed, &text);
    };
    if let Some(taken) = connection.overrules(rule) {
        let text = overruled(connection, rule, taken);
        return Ending::filtered(id, ReasonCode::MappingConflict, &text);
    }
    if rule.auto_accept {
        // What goes to a queue is accepted in the name of whoever manages the connection.
        let owner = rule.owner.as_ref().and_then(Owner::user).unwrap_or(&connection.owner).clone();
        let assign = match &rule.owner {
            // Nobody is there to own it: the assignment rule says who does.
            None => Some(AssignTo::Rules),
            Some(Owner::Queue(_)) => rule.owner.clone().map(AssignTo::Owner),
            Some(Owner::User(_)) => None,
        };
        let acceptance = share::Acceptance { assign, ..share::Acceptance::new(rule.accept_whole) };
        share::answer(draft, connection, offer.share, offer.generation, Some(acceptance), owner);
    }
    Ending { record: known.and_then(|share| share.record), ..Ending::new(Outcome::Applied, id) }
}

/// Why a rule takes nothing new (S2S-26).
pub(super) fn overruled(
    connection: &Connection,
    rule: &crate::mapping::SubscribeRule,
    taken: &crate::message::Subscription,
) -> String {
    format!(
        "{} is mapped to {} here, and {} had mapped our {} to its {} at the same time, which stands: map {} to {}, or nothing",
        rule.remote,
        rule.local,
        connection.display_name(),
        taken.object,
        taken.local,
        taken.local,
        taken.object
    )
}

/// Both sides offered the same generation: the origin's offer stands, the other one accepts it.
fn take_crossing_offer(
    draft: &mut Draft<'_>,
    connection: &Connection,
    offer: &Offer,
    share: &Share,
) -> Ending {
    let id = Some(offer.share);
    if share.role == ShareRole::Copy || share.status != ShareStatus::Offered {
        return Ending::new(Outcome::Unchanged, id);
    }
    if share::stands(draft, connection, offer.share, share.record, Some(offer.record)) {
        share::take_acceptance(draft, connection, offer.share, offer.generation, false);
        return Ending::new(Outcome::Applied, id);
    }
    draft.emit(OfferReceived::of(connection.id, offer));
    let owner = share.actor.as_ref().unwrap_or(&connection.owner).clone();
    share::answer(
        draft,
        connection,
        offer.share,
        offer.generation,
        Some(share::Acceptance::new(false)),
        owner,
    );
    Ending::new(Outcome::Applied, id)
}

fn take_end(draft: &mut Draft<'_>, connection: &Connection, ended: &ShareEnded) -> Ending {
    let id = Some(ended.share);
    match connection.shares.get(&ended.share) {
        None => Ending::filtered(id, ReasonCode::ShareInactive, "this share is not known here"),
        Some(share) if share.generation > ended.generation => {
            Ending::filtered(id, ReasonCode::OlderGeneration, "the share has been offered again since")
        }
        Some(share) if share.generation == ended.generation && !is_open(share) => {
            Ending { record: share.record, ..Ending::new(Outcome::Unchanged, id) }
        }
        Some(share) => {
            let mut known = share.clone();
            known.generation = ended.generation;
            share::close(draft, connection, ended.share, &known, Closing::Ended(ended.reason), false);
            Ending { record: share.record, ..Ending::new(Outcome::Applied, id) }
        }
    }
}

/// The rule for the messages of a share, or the reason why there is none.
pub(super) fn rule_or_reason<'a>(
    connection: &'a Connection,
    share: &Share,
) -> Result<&'a crate::mapping::SubscribeRule, Reason> {
    rule_of(connection, share).ok_or_else(|| {
        Reason::new(
            ReasonCode::NotSubscribed,
            format!("{} is not subscribed on this connection", share.object),
        )
    })
}
