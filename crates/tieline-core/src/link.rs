//! The link: the volatile side of one connection, as a machine without I/O.
//!
//! It decides what to send next, what a header means, when to go back, when to say what was
//! received. It keeps nothing that must survive: after a restart it begins at the receipts in the
//! log, and the partner skips what it has. Only a received header makes it send again; a silent
//! partner causes no resends (PROTOCOL §4).

use std::collections::VecDeque;

use crate::command::{Command, Pause};
use crate::event::IncarnationCause;
use crate::frame::{Chain, FRAME_VERSION, Figure, FrameHeader};
use crate::limits::{FRAME_MESSAGES_MAX, JOB_OUTBOX_MESSAGES_MAX, JOB_SLICE_MAX, WINDOW_BYTES_MAX};
use crate::state::{Connection, ConnectionStatus, Org, OutboxEntry};
use crate::{Incarnation, Position, Seq, Timestamp};

/// Without progress for so long, a figure below what was sent makes the sender go back.
pub const STALL_US: i64 = 1_000_000;
/// A header is said at least so often.
pub const HEARTBEAT_US: i64 = 2_000_000;
/// What was received is said within this time.
pub const RECEIPT_US: i64 = 5_000;
/// The pause before going back a second time to the same figure; it doubles up to the next.
const REWIND_US: i64 = 2_000_000;
/// The longest pause before going back to the same figure once more.
const REWIND_US_MAX: i64 = 30_000_000;

/// What a header asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Its figures are taken, and its messages may be.
    Go,
    /// This has to be logged first; then the header is to be heard again.
    Learn(Command),
    /// It is of an older life of ours: it is answered by a heartbeat, and nothing of it is taken.
    Stale,
    /// It is refused; a stable code.
    Refused(&'static str),
}

/// Consecutive positions to be sent in one frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The first position.
    pub first: Position,
    /// The chain before it.
    pub chain_before: Chain,
    /// The events that made the messages, in order.
    pub entries: Vec<OutboxEntry>,
}

/// A pause that doubles each time that the same figure is gone back to.
#[derive(Debug, Clone, Copy)]
struct Rewind {
    figure: Position,
    not_before: Timestamp,
    pause_us: i64,
}

/// A frame without a receipt.
#[derive(Debug, Clone, Copy)]
struct InFlight {
    last: Position,
    bytes: usize,
    sent: Timestamp,
}

/// How much of wide work may be under way so that a live change does not wait behind it. The way of a
/// frame and back is measured: while it takes little longer than the quickest did, nothing waits, and
/// more may be added; when it takes more than twice as long, half of that was waiting.
#[derive(Debug, Clone, Copy)]
struct Pace {
    quickest_us: i64,
    messages: usize,
}

impl Pace {
    /// How much is added each time that nothing waited.
    const STEP: usize = 10;
    /// The quickest way is forgotten by so small a part of it each time, for the way may have become
    /// longer.
    const FORGET: i64 = 4_096;
    /// A wait that is none: work on more than one message, and the partner's receipts, take so long.
    const TOLERATED_US: i64 = 5_000;

    const fn new() -> Self {
        Self { quickest_us: i64::MAX / 2, messages: JOB_SLICE_MAX }
    }

    fn took(&mut self, us: i64) {
        let remembered = self.quickest_us + self.quickest_us / Self::FORGET + 1;
        self.quickest_us = us.clamp(1, remembered);
        let waited = us > 2 * self.quickest_us + Self::TOLERATED_US;
        let messages = if waited { self.messages / 2 } else { self.messages + Self::STEP };
        self.messages = messages.clamp(JOB_SLICE_MAX, JOB_OUTBOX_MESSAGES_MAX);
    }
}

/// The volatile side of one connection.
#[derive(Debug, Clone)]
pub struct Link {
    incarnations: (Incarnation, Incarnation),
    /// Everything up to here was handed to the broker.
    sent: Position,
    in_flight: VecDeque<InFlight>,
    in_flight_bytes: usize,
    pace: Pace,
    /// The partner durably has everything up to here.
    confirmed: Position,
    /// When `confirmed` last rose, or sending began anew.
    progress: Timestamp,
    rewind: Option<Rewind>,
    /// What we durably have.
    received: Figure,
    /// Outcomes that we durably told.
    told: (Position, Position),
    /// Something was received that the partner has not been told, since then.
    owes_since: Option<Timestamp>,
    /// A frame came from beyond a gap.
    gap: bool,
    said: Timestamp,
    heard: Option<Timestamp>,
    /// The partner's clock less ours when its last header came, in µs, network time included.
    clock_offset_us: i64,
    /// The last position that the partner has given out.
    partner_head: Position,
}

impl Link {
    /// A link that begins at what the log knows, all of which is durable.
    #[must_use]
    pub fn new(org: &Org, connection: &Connection, now: Timestamp) -> Self {
        let confirmed = connection.outbox.receipt.position;
        Self {
            incarnations: (org.incarnation, connection.partner_incarnation),
            sent: confirmed,
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            pace: Pace::new(),
            confirmed,
            progress: now,
            rewind: None,
            received: connection.inbound.received,
            told: connection.inbound.told,
            owes_since: Some(now),
            gap: false,
            said: Timestamp(i64::MIN),
            heard: None,
            clock_offset_us: 0,
            partner_head: Position::default(),
        }
    }

    /// Whether it is of the pair of incarnations that the state has; else a new one is needed.
    #[must_use]
    pub fn fits(&self, org: &Org, connection: &Connection) -> bool {
        self.incarnations == (org.incarnation, connection.partner_incarnation)
    }

    /// What the connection has received is durable, all of it.
    pub fn received_durably(&mut self, connection: &Connection, now: Timestamp) {
        self.durable_upto(connection.inbound.received, connection.inbound.told, now);
    }

    /// What was received is durable up to `figure`, and the outcomes up to `told` are positioned.
    pub fn durable_upto(&mut self, figure: Figure, told: (Position, Position), now: Timestamp) {
        if figure != self.received || told != self.told {
            self.received = figure;
            self.told = told;
            self.owes_since.get_or_insert(now);
        }
    }

    /// A frame was thrown away: the partner is told at once what is missing, or that it has to
    /// judge.
    pub fn thrown_away(&mut self, gap: bool) {
        self.gap |= gap;
        self.owes_since = Some(Timestamp(i64::MIN));
    }

    /// Says what is durable at the next moment, for instance after a reconnect.
    pub const fn say_soon(&mut self) {
        self.owes_since = Some(Timestamp(i64::MIN));
    }

    /// Takes the clear part of a frame whose seal was right and whose route was that of this
    /// connection.
    pub fn hear(
        &mut self,
        org: &Org,
        connection: &Connection,
        header: &FrameHeader,
        now: Timestamp,
    ) -> Heard {
        if let Some(heard) = before_figures(org, connection, header) {
            return heard;
        }
        if connection.status == ConnectionStatus::Deactivated {
            // The outbox was dropped with its figures: they prove nothing any more.
            self.heard = Some(now);
            return Heard::Go;
        }
        let outbox = &connection.outbox;
        let theirs = header.received;
        let forked = outbox.chain_at(theirs.position).is_some_and(|chain| chain != theirs.chain);
        let lost = theirs.position > outbox.head().position
            || forked
            || header.receipt > connection.inbound.received.position
            || header.pause_heard > connection.pauses.rev;
        if lost {
            return Heard::Learn(Command::StartIncarnation {
                cause: IncarnationCause::TailLost,
                connection: Some(connection.id),
                above: header.to_incarnation,
            });
        }
        self.heard = Some(now);
        self.clock_offset_us = header.clock.since_us(now);
        self.partner_head = self.partner_head.max(header.head);
        self.confirm(theirs.position, now);
        self.go_back(header, now);
        Heard::Go
    }

    fn confirm(&mut self, position: Position, now: Timestamp) {
        if position <= self.confirmed {
            return;
        }
        self.confirmed = position;
        self.sent = self.sent.max(position);
        self.progress = now;
        self.rewind = None;
        let mut arrived = None;
        while let Some(frame) = self.in_flight.pop_front_if(|frame| frame.last <= position) {
            self.in_flight_bytes -= frame.bytes;
            arrived = Some(frame);
        }
        if let Some(frame) = arrived {
            self.pace.took(now.since_us(frame.sent));
        }
    }

    /// Begins again after the partner's figure: at once if it saw a gap, else after a stall; a
    /// second time for the same figure only after a pause.
    fn go_back(&mut self, header: &FrameHeader, now: Timestamp) {
        let figure = header.received.position;
        let behind = figure == self.confirmed && self.confirmed < self.sent;
        if !behind || !(header.gap || now.since_us(self.progress) >= STALL_US) {
            return;
        }
        let pause_us = match self.rewind {
            Some(rewind) if rewind.figure == figure => {
                if now < rewind.not_before {
                    return;
                }
                (rewind.pause_us * 2).min(REWIND_US_MAX)
            }
            _ => REWIND_US,
        };
        self.rewind = Some(Rewind { figure, not_before: now.plus_us(pause_us), pause_us });
        self.sent = self.confirmed;
        self.in_flight.clear();
        self.in_flight_bytes = 0;
        self.progress = now;
    }

    /// The next positions to send: those that are durable here, while the window has room.
    #[must_use]
    pub fn next_run(&self, connection: &Connection, durable: Seq) -> Option<Run> {
        let outbox = &connection.outbox;
        let stopped = !connection.is_active() || connection.pauses.whole();
        if self.in_flight_bytes >= WINDOW_BYTES_MAX || stopped {
            return None;
        }
        let first = self.sent.next();
        let skip = usize::try_from(first.0.checked_sub(outbox.receipt.position.0 + 1)?).ok()?;
        let entries: Vec<OutboxEntry> = outbox
            .entries
            .range(skip.min(outbox.entries.len())..)
            .take(FRAME_MESSAGES_MAX)
            .take_while(|entry| entry.seq <= durable)
            .copied()
            .collect();
        let chain_before = outbox.chain_at(self.sent)?;
        (!entries.is_empty()).then_some(Run { first, chain_before, entries })
    }

    /// A frame with the positions up to `last` was handed to the broker.
    pub fn note_sent(&mut self, last: Position, sealed_bytes: usize, now: Timestamp) {
        if self.in_flight.is_empty() {
            self.progress = now;
        }
        self.sent = last;
        self.in_flight.push_back(InFlight { last, bytes: sealed_bytes, sent: now });
        self.in_flight_bytes += sealed_bytes;
    }

    /// The header of the next frame, or of a heartbeat if `run` is nothing. What it says counts as
    /// said.
    pub fn header(
        &mut self,
        org: &Org,
        connection: &Connection,
        run: Option<(&Run, u32)>,
        now: Timestamp,
    ) -> Option<FrameHeader> {
        let (first, count, chain_before, chain_after) = match run {
            Some((run, count)) => {
                let last = run.entries.get((count as usize).checked_sub(1)?)?;
                (run.first, count, run.chain_before, last.chain)
            }
            None => (Position::default(), 0, Chain::default(), Chain::default()),
        };
        let header = FrameHeader {
            version: FRAME_VERSION,
            connection: connection.id,
            from: org.name.clone(),
            to: connection.partner.clone()?,
            key: 0,
            from_incarnation: org.incarnation,
            to_incarnation: connection.partner_incarnation,
            first,
            count,
            chain_before,
            chain_after,
            received: self.received,
            receipt: self.confirmed,
            head: connection.outbox.head().position,
            told: self.told,
            gap: self.gap,
            deactivated: connection.status == ConnectionStatus::Deactivated,
            pause: connection.pauses.word(),
            pause_heard: connection.pauses.partner.rev,
            clock: now,
            trace: None,
        };
        self.gap = false;
        self.owes_since = None;
        self.said = now;
        Some(header)
    }

    /// When a heartbeat is due, if nothing is sent before.
    #[must_use]
    pub fn heartbeat_at(&self) -> Timestamp {
        let regular = self.said.plus_us(HEARTBEAT_US);
        self.owes_since.map_or(regular, |since| regular.min(since.plus_us(RECEIPT_US)))
    }

    /// The partner durably has everything up to here.
    #[must_use]
    pub const fn confirmed(&self) -> Position {
        self.confirmed
    }

    /// Sealed bytes under way without a receipt.
    #[must_use]
    pub const fn in_flight_bytes(&self) -> usize {
        self.in_flight_bytes
    }

    /// How many messages of wide work may be without a receipt, so that live changes do not wait.
    #[must_use]
    pub const fn job_messages(&self) -> usize {
        self.pace.messages
    }

    /// When the partner was last heard.
    #[must_use]
    pub const fn heard(&self) -> Option<Timestamp> {
        self.heard
    }

    /// The partner's clock less ours, in µs, as its last header showed it.
    #[must_use]
    pub const fn clock_offset_us(&self) -> i64 {
        self.clock_offset_us
    }

    /// Messages that the partner has given out and we have not received.
    #[must_use]
    pub const fn inbox_depth(&self) -> u64 {
        self.partner_head.0.saturating_sub(self.received.position.0)
    }
}

/// What has to be known before a header's figures mean anything.
fn before_figures(org: &Org, connection: &Connection, header: &FrameHeader) -> Option<Heard> {
    let routed = header.connection == connection.id
        && Some(&header.from) == connection.partner.as_ref()
        && header.to == org.name;
    if !routed {
        return Some(Heard::Refused("wrong_route"));
    }
    if connection.status == ConnectionStatus::Pending && connection.answer == Some(true) {
        // An authentic header of the inviter counts as its welcome.
        let (incarnation, owner) = (header.from_incarnation, None);
        return Some(Heard::Learn(Command::TakeWelcome { connection: connection.id, incarnation, owner }));
    }
    if !connection.is_linked() {
        return Some(Heard::Refused("not_linked"));
    }
    if header.from_incarnation < connection.partner_incarnation {
        return Some(Heard::Refused("older_incarnation"));
    }
    if header.from_incarnation > connection.partner_incarnation {
        let incarnation = header.from_incarnation;
        return Some(Heard::Learn(Command::TakeIncarnation { connection: connection.id, incarnation }));
    }
    if header.deactivated && connection.status == ConnectionStatus::Active {
        return Some(Heard::Learn(Command::Deactivate { connection: connection.id, by_partner: true }));
    }
    if connection.suspended {
        return Some(Heard::Refused("suspended"));
    }
    if header.to_incarnation > org.incarnation {
        return Some(Heard::Learn(Command::StartIncarnation {
            cause: IncarnationCause::TailLost,
            connection: Some(connection.id),
            above: header.to_incarnation,
        }));
    }
    if header.to_incarnation < org.incarnation {
        return Some(Heard::Stale);
    }
    if header.pause.rev > connection.pauses.partner.rev && connection.status == ConnectionStatus::Active {
        let word = header.pause.clone();
        return Some(Heard::Learn(Command::Pause(Pause::Heard { connection: connection.id, word })));
    }
    if connection.suspended {
        // A person has to look first: taken now, its messages would end filtered and be lost.
        return Some(Heard::Refused("suspended"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_work_keeps_to_what_does_not_wait() {
        let mut pace = Pace::new();
        (0..1_000).for_each(|_| pace.took(4_000));
        assert_eq!(pace.messages, JOB_OUTBOX_MESSAGES_MAX, "nothing waited");
        (0..3).for_each(|_| pace.took(20_000));
        assert_eq!(pace.messages, JOB_OUTBOX_MESSAGES_MAX / 8);
        (0..30).for_each(|_| pace.took(20_000));
        assert_eq!(pace.messages, JOB_SLICE_MAX, "a slice is always let through");
        // A way that has become longer is the quickest there is in the end.
        (0..10_000).for_each(|_| pace.took(20_000));
        assert_eq!(pace.messages, JOB_OUTBOX_MESSAGES_MAX);
    }
}
