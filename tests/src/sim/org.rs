//! One simulated org, driven exactly as the daemon drives its own: commands and frames become
//! groups, groups are appended, later flushed, and only then anything leaves: replies, frames,
//! receipts.

use std::collections::{BTreeMap, VecDeque};

use tieline_core::command::{Command, Context, Refusal, Reply};
use tieline_core::engine::{Engine, FrameEnd};
use tieline_core::event::Event;
use tieline_core::frame::{BodyWriter, FrameHeader, read_body};
use tieline_core::link::{Heard, Link, Run};
use tieline_core::log::{Group, Log, MemLog};
use tieline_core::message::{Envelope, Message};
use tieline_core::state::{Connection, ConnectionStatus, State};
use tieline_core::{ConnectionId, OrgName, Position, Seq, Timestamp, UserName};

use super::audit::Audit;
use super::outside::{Outside, Sabotage};
use super::wire::{Lane, Packet};
use super::{Broken, leaving};

/// A receipt is logged at most so often.
const RECEIPT_PAUSE_US: i64 = 1_000_000;
/// A job waits while its connection has so many messages without a receipt.
const JOB_OUTBOX_MAX: usize = 2_000;
/// How often one header may ask for something to be learned first.
const LEARNED_MAX: usize = 4;
/// Frames of one connection in one go.
const FRAMES_AT_ONCE: usize = 4;

/// Something that was read from the state and leaves once that is durable.
#[derive(Debug, Clone)]
struct Leaving {
    after: Seq,
    lane: Lane,
    packet: Packet,
    heartbeat: bool,
}

/// One org.
#[derive(Debug, Clone)]
pub(super) struct SimOrg {
    /// Its number.
    pub(super) at: usize,
    /// Its name.
    pub(super) name: OrgName,
    /// The machine under test.
    pub(super) engine: Engine,
    /// Its disk.
    pub(super) log: MemLog,
    /// Its bookkeeper.
    pub(super) audit: Audit,
    /// Whether it runs.
    pub(super) up: bool,
    /// The wall clock less the true time.
    pub(super) skew_us: i64,
    /// Its disk stands still until then: nothing becomes durable.
    pub(super) stalled_until: Timestamp,
    /// Its disk is full until then: nothing is taken, neither from people nor from partners.
    pub(super) full_until: Timestamp,
    wall: Timestamp,
    links: BTreeMap<ConnectionId, Link>,
    egress: VecDeque<Leaving>,
    /// The seqs of commands that are answered once they are durable.
    replies: Vec<Seq>,
    /// The last seq that somebody outside was told of.
    acknowledged: Seq,
    unflushed: usize,
    noted: BTreeMap<ConnectionId, Timestamp>,
}

impl SimOrg {
    /// An org that has not been created yet.
    #[must_use]
    pub(super) fn new(at: usize, name: OrgName) -> Self {
        Self {
            at,
            name,
            engine: Engine::default(),
            log: MemLog::new(),
            audit: Audit::default(),
            up: true,
            skew_us: 0,
            stalled_until: Timestamp::default(),
            full_until: Timestamp::default(),
            wall: Timestamp::default(),
            links: BTreeMap::new(),
            egress: VecDeque::new(),
            replies: Vec::new(),
            acknowledged: Seq::default(),
            unflushed: 0,
            noted: BTreeMap::new(),
        }
    }

    /// Its state, which may be ahead of its disk.
    #[must_use]
    pub(super) const fn state(&self) -> &State {
        self.engine.state()
    }

    /// A context of this moment: the wall clock is skewed, and never runs backwards in one life.
    fn context(&mut self, actor: UserName, out: &mut Outside) -> Context {
        self.wall = self.wall.max(out.now.plus_us(self.skew_us));
        Context { now: self.wall, actor, entropy: out.rng.entropy() }
    }

    /// Decides a command. Its reply counts once it is durable.
    pub(super) fn execute(
        &mut self,
        command: &Command,
        label: &str,
        out: &mut Outside,
    ) -> Result<Result<Reply, Refusal>, Broken> {
        let context = self.context(out.person.clone(), out);
        let result = self.engine.execute(command, &context);
        let result = match result {
            Ok((group, reply)) => {
                self.append(group)?;
                self.replies.push(self.state().seq);
                out.totals.commands += 1;
                out.note(self.at, format_args!("{label} -> {} at seq {}", said(&reply), self.state().seq));
                Ok(reply)
            }
            Err(refusal) => {
                out.totals.refusals += 1;
                out.note(self.at, format_args!("{label} refused: {}", refusal.code));
                Err(refusal)
            }
        };
        if let Command::Publish { connection, .. } = command {
            // Frames that were built and have not left are built again under the new rules.
            self.egress.retain(|leaving| leaving.heartbeat || leaving.lane.connection != *connection);
        }
        Ok(result)
    }

    /// Puts an event into the log that no rule decided.
    pub(super) fn forge(&mut self, event: &Event) -> Result<(), Broken> {
        let (mut group, mut body) = (Group::new(self.wall), Vec::new());
        event.encode_body(&mut body);
        self.engine.replay(self.wall, event.kind(), &body).map_err(|e| Broken::new("events decode", e))?;
        group.push(event.kind(), &body);
        self.append(group)
    }

    fn append(&mut self, group: Group) -> Result<(), Broken> {
        if !group.is_empty() {
            self.unflushed += 1;
            self.log.append(&[group]).map_err(|e| Broken::new("the log takes every group", e))?;
        }
        Ok(())
    }

    /// Makes everything durable, has it audited, and releases what waited for it.
    pub(super) fn flush(&mut self, out: &mut Outside) -> Result<(), Broken> {
        self.log.flush().map_err(|e| Broken::new("the log flushes", e))?;
        self.unflushed = 0;
        self.show_durable(out);
        self.audit.read(&self.log, &mut out.truth)?;
        self.audit.balances()?;
        if self.audit.shadow.seq != self.state().seq {
            let text = format!("{} in the log, {} in the state", self.audit.shadow.seq, self.state().seq);
            return Err(Broken::new("the log is the state", text));
        }
        if out.rng.chance(30) {
            self.compare_hash("folding the log gives the live state")?;
        }
        let durable = self.log.head().seq;
        if !self.replies.is_empty() {
            self.acknowledged = durable;
            self.replies.clear();
        }
        self.renew_links(out);
        self.release(out)
    }

    /// Lets go what was read from a state that is durable now.
    fn release(&mut self, out: &mut Outside) -> Result<(), Broken> {
        let durable = self.log.head().seq;
        while self.egress.front().is_some_and(|leaving| leaving.after <= durable) {
            let Some(leaving) = self.egress.pop_front() else { break };
            self.acknowledged = self.acknowledged.max(leaving.after);
            leaving::check(self.state(), leaving.lane.connection, &leaving.packet)?;
            out.publish(leaving.lane, leaving.packet, leaving.heartbeat);
        }
        Ok(())
    }

    /// Every event that has become durable, for a verbose trace.
    fn show_durable(&self, out: &mut Outside) {
        let Ok(groups) = self.log.read_from(self.audit.shadow.seq.next(), usize::MAX) else { return };
        if !out.trace.is_verbose() {
            return;
        }
        for stored in groups.events() {
            if let Ok(event) = Event::decode(stored.kind, stored.body) {
                out.note(self.at, format_args!("  {} {}", stored.seq, told(&event)));
            }
        }
    }

    fn compare_hash(&self, invariant: &'static str) -> Result<(), Broken> {
        let (live, folded) = (self.state().hash(), self.audit.shadow.hash());
        if live == folded {
            return Ok(());
        }
        Err(Broken::new(invariant, format!("{live} live, {folded} folded, at {}", self.state().seq)))
    }

    /// Links of the present pairs of incarnations, told what is durable now.
    fn renew_links(&mut self, out: &Outside) {
        let state = self.engine.state();
        let Some(org) = &state.org else { return };
        for connection in state.connections.values().filter(|connection| speaks(connection)) {
            match self.links.get_mut(&connection.id) {
                Some(link) if link.fits(org, connection) => link.received_durably(connection, out.now),
                _ => drop(self.links.insert(connection.id, Link::new(org, connection, out.now))),
            }
        }
    }

    /// One turn: jobs, receipts, what is due, a flush if `flush` says so, and sending.
    pub(super) fn turn(&mut self, flush: bool, out: &mut Outside) -> Result<(), Broken> {
        self.work_off(out)?;
        if flush && self.stalled_until <= out.now {
            self.flush(out)?;
        }
        self.send(out)?;
        self.release(out)
    }

    /// Slices of jobs, held messages whose time has come, receipts to be noted.
    fn work_off(&mut self, out: &mut Outside) -> Result<(), Broken> {
        let jobs: Vec<_> = self.state().jobs.iter().map(|(id, job)| (*id, job.kind.connection())).collect();
        for (job, connection) in jobs {
            let connection = connection.and_then(|connection| self.state().connections.get(&connection));
            let waiting = connection.map_or(0, |c| c.outbox.entries.len());
            if waiting < JOB_OUTBOX_MAX && out.rng.chance(700) {
                let allowance = 1 + out.rng.index(20);
                drop(self.execute(&Command::AdvanceJob { job, allowance }, "job", out)?);
            }
        }
        self.wall = self.wall.max(out.now.plus_us(self.skew_us));
        let connections: Vec<ConnectionId> = self.state().connections.keys().copied().collect();
        for connection in connections {
            let Some(known) = self.state().connections.get(&connection) else { continue };
            let receipt = known.outbox.receipt.position;
            if let Some(position) = known.due(self.wall) {
                drop(self.execute(&Command::TryHeld { connection, position }, "held", out)?);
            }
            let confirmed = self.links.get(&connection).map(Link::confirmed).unwrap_or_default();
            let last = self.noted.get(&connection).copied().unwrap_or_default();
            if confirmed > receipt && out.now.since_us(last) >= RECEIPT_PAUSE_US {
                self.noted.insert(connection, out.now);
                let note = Command::NoteReceipt { connection, position: confirmed };
                drop(self.execute(&note, "receipt", out)?);
            }
        }
        Ok(())
    }

    /// Frames of what is durable, and heartbeats that are due. They leave once the state that they
    /// were read from is durable, too.
    fn send(&mut self, out: &mut Outside) -> Result<(), Broken> {
        let durable = self.log.head().seq;
        let connections: Vec<ConnectionId> = self.links.keys().copied().collect();
        for connection in connections {
            for _ in 0..FRAMES_AT_ONCE {
                let sent = self.send_frame(connection, durable, out)?;
                if !sent {
                    break;
                }
            }
            self.send_heartbeat(connection, out);
        }
        Ok(())
    }

    fn send_frame(&mut self, id: ConnectionId, durable: Seq, out: &mut Outside) -> Result<bool, Broken> {
        let state = self.engine.state();
        let (Some(org), Some(connection), Some(link)) =
            (&state.org, state.connections.get(&id), self.links.get_mut(&id))
        else {
            return Ok(false);
        };
        if !link.fits(org, connection) {
            return Ok(false);
        }
        let Some(run) = link.next_run(connection, durable) else { return Ok(false) };
        let most = if out.rng.chance(200) { 100 } else { 12 };
        let most = 1 + out.rng.index(most);
        let mut body = BodyWriter::default();
        for envelope in envelopes(&self.log, state, connection, &run, most, out.sabotage)? {
            if !body.push(&envelope) {
                break;
            }
        }
        let count = body.count();
        let Some(header) = link.header(org, connection, Some((&run, count)), out.now) else {
            return Ok(false);
        };
        let Some(lane) = out.lane(connection) else { return Ok(false) };
        let packet = Packet::seal(header.encode(), body.finish());
        link.note_sent(header.last(), packet.size(), out.now);
        out.totals.frames += 1;
        out.trace_frame(self.at, &header);
        self.egress.push_back(Leaving { after: state.seq, lane, packet, heartbeat: false });
        Ok(true)
    }

    fn send_heartbeat(&mut self, id: ConnectionId, out: &mut Outside) {
        let state = self.engine.state();
        let (Some(org), Some(connection), Some(link)) =
            (&state.org, state.connections.get(&id), self.links.get_mut(&id))
        else {
            return;
        };
        if !link.fits(org, connection) || !connection.is_linked() || out.now < link.heartbeat_at() {
            return;
        }
        let Some(lane) = out.lane(connection) else { return };
        if let Some(header) = link.header(org, connection, None, out.now) {
            let packet = Packet::seal(header.encode(), Vec::new());
            self.egress.push_back(Leaving { after: state.seq, lane, packet, heartbeat: true });
        }
    }

    /// Takes a packet that came in over the lane of a connection.
    pub(super) fn take(
        &mut self,
        over: ConnectionId,
        packet: &Packet,
        out: &mut Outside,
    ) -> Result<(), Broken> {
        if !packet.is_whole() {
            out.totals.bad_seals += 1;
            return Ok(());
        }
        if self.full_until > out.now {
            // The partner sends it again.
            out.note(self.at, "has no room for a frame");
            return Ok(());
        }
        let header =
            FrameHeader::decode(&packet.header).map_err(|e| Broken::new("whole headers decode", e))?;
        match self.hear(over, &header, out)? {
            Heard::Go if header.count > 0 => {}
            Heard::Go | Heard::Learn(_) => return Ok(()),
            Heard::Stale => {
                if let Some(link) = self.links.get_mut(&over) {
                    link.say_soon();
                }
                return Ok(());
            }
            Heard::Refused(code) => {
                out.note(self.at, format_args!("refuses a header: {code}"));
                return Ok(());
            }
        }
        let messages =
            read_body(&packet.body, header.count).map_err(|e| Broken::new("whole bodies are read", e))?;
        let (header, messages) = out.tamper(header, messages, self.state());
        let context = self.context(UserName::connection_user(), out);
        let mut groups = Vec::new();
        let end = self.engine.receive(&header, &messages, &context, &mut groups);
        out.note(
            self.at,
            format_args!("takes {}..{} -> {end:?} at seq {}", header.first, header.last(), self.state().seq),
        );
        for group in groups {
            self.append(group)?;
        }
        if let Some(link) = self.links.get_mut(&over)
            && end != FrameEnd::Taken(0)
        {
            match end {
                FrameEnd::Gap => link.thrown_away(true),
                FrameEnd::Fork => link.thrown_away(false),
                FrameEnd::Stale | FrameEnd::Paused | FrameEnd::Taken(_) => {}
            }
        }
        Ok(())
    }

    /// Hears a header, learning first what it asks for.
    fn hear(&mut self, over: ConnectionId, header: &FrameHeader, out: &mut Outside) -> Result<Heard, Broken> {
        let mut learned = 0;
        loop {
            let fits = self.fitting(over);
            if fits == Some(false) {
                self.flush(out)?;
            }
            let state = self.engine.state();
            let (Some(org), Some(connection), Some(link)) =
                (&state.org, state.connections.get(&over), self.links.get_mut(&over))
            else {
                return Ok(Heard::Refused("unknown_connection"));
            };
            let command = match link.hear(org, connection, header, out.now) {
                Heard::Learn(command) => command,
                heard => return Ok(heard),
            };
            learned += 1;
            if learned > LEARNED_MAX {
                return Err(Broken::new("learning ends", format!("{command:?} by {header:?}")));
            }
            let label = format!("learns {}", short(&command));
            drop(self.execute(&command, &label, out)?);
            self.flush(out)?;
        }
    }

    /// Whether the link of a connection is of the present pair of incarnations, if there is one.
    fn fitting(&self, over: ConnectionId) -> Option<bool> {
        let state = self.engine.state();
        let connection = state.connections.get(&over)?;
        Some(self.links.get(&over)?.fits(state.org.as_ref()?, connection))
    }

    /// When the next heartbeat is due.
    #[must_use]
    pub(super) fn heartbeat_at(&self) -> Option<Timestamp> {
        self.links.values().map(Link::heartbeat_at).min()
    }

    /// The daemon dies. Of what was not flushed, some groups may have reached the disk.
    pub(super) fn crash(&mut self, out: &mut Outside) -> Result<(), Broken> {
        let kept = out.rng.index(self.unflushed + 1);
        self.log.crash_keeping(kept);
        out.note(self.at, format_args!("crashes, keeping {kept} of {} groups", self.unflushed));
        self.up = false;
        self.unflushed = 0;
        self.links.clear();
        self.egress.clear();
        self.replies.clear();
        self.show_durable(out);
        self.audit.read(&self.log, &mut out.truth)?;
        let head = self.log.head().seq;
        if head < self.acknowledged {
            let text = format!("{} was acknowledged, the log ends at {head}", self.acknowledged);
            return Err(Broken::new("what was acknowledged survives a crash", text));
        }
        Ok(())
    }

    /// The daemon starts: the state is what the log makes of it.
    pub(super) fn start(&mut self, out: &mut Outside) -> Result<(), Broken> {
        self.engine = replayed(&self.log)?;
        self.wall = self.state().time;
        self.up = true;
        self.noted.clear();
        self.compare_hash("replaying the log gives the same state")?;
        out.note(self.at, format_args!("starts at seq {}", self.state().seq));
        self.renew_links(out);
        Ok(())
    }

    /// The machine is set back to an old copy of its disk, as from a backup.
    pub(super) fn restore(&mut self, log: MemLog, audit: Audit, out: &mut Outside) {
        self.acknowledged = log.head().seq;
        out.note(self.at, format_args!("is set back from seq {} to {}", self.state().seq, log.head().seq));
        (self.log, self.audit) = (log, audit);
        self.up = false;
        self.unflushed = 0;
        self.links.clear();
        self.egress.clear();
        self.replies.clear();
    }

    /// Whether everything is durable and nothing waits to leave.
    #[must_use]
    pub(super) fn is_settled(&self) -> bool {
        let heartbeats_only = self.egress.iter().all(|leaving| leaving.heartbeat);
        self.unflushed == 0 && heartbeats_only && self.state().jobs.is_empty()
    }
}

/// Whether a connection may come to send or hear something.
fn speaks(connection: &Connection) -> bool {
    let answered = connection.status == ConnectionStatus::Pending && connection.answer == Some(true);
    connection.is_linked() || answered
}

/// The messages of a run, built from their events, with the chain checked on the way.
fn envelopes(
    log: &MemLog,
    state: &State,
    connection: &Connection,
    run: &Run,
    most: usize,
    sabotage: Option<Sabotage>,
) -> Result<Vec<Envelope>, Broken> {
    let mut rules = connection.publish.clone();
    if sabotage == Some(Sabotage::Leak) {
        for (name, rule) in &mut rules {
            let fields = state.object(name).map(|o| o.fields.iter().map(|f| f.name.clone()).collect());
            rule.fields = fields.unwrap_or_default();
        }
    }
    let mut position = Position(run.first.0 - 1);
    let mut chain = run.chain_before;
    let mut envelopes = Vec::new();
    for entry in run.entries.iter().take(most) {
        position = position.next();
        let groups = log.read_from(entry.seq, 0).map_err(|e| Broken::new("the log is readable", e))?;
        let stored = groups.event(entry.seq);
        let stored = stored.ok_or_else(|| Broken::new("the outbox names events", entry.seq))?;
        let event =
            Event::decode(stored.kind, stored.body).map_err(|e| Broken::new("the log is readable", e))?;
        chain = chain.then(position, stored.seq, stored.time);
        if chain != entry.chain {
            return Err(Broken::new("the chain is that of the outbox", format!("position {position}")));
        }
        let (seq, time) = (stored.seq, stored.time);
        envelopes.push(tieline_core::outbox::envelope(&event, seq, time, connection.id, position, &rules));
    }
    Ok(envelopes)
}

/// The engine that the durable events of a log make.
fn replayed(log: &MemLog) -> Result<Engine, Broken> {
    let mut engine = Engine::default();
    let groups = log.read_from(Seq(1), usize::MAX).map_err(|e| Broken::new("the log is readable", e))?;
    for event in groups.events() {
        let replay = engine.replay(event.time, event.kind, event.body);
        replay.map_err(|e| Broken::new("the log is readable", e))?;
    }
    Ok(engine)
}

/// An event for people; of what was received, the message instead of its bytes.
fn told(event: &Event) -> String {
    if let Event::Received(e) = event {
        let message = Message::decode(e.kind, &e.body).map_or_else(|e| e.to_string().into(), |m| m.to_json());
        let (kind, outcome, reasons) = (Message::kind_name(e.kind), e.outcome, &e.reasons);
        return format!("Received {} {kind} {message} -> {outcome:?} {reasons:?}", e.position);
    }
    format!("{} {}", Event::kind_name(event.kind()), event.to_json())
}

fn said(reply: &Reply) -> &'static str {
    match reply {
        Reply::Done => "done",
        Reply::Unchanged => "unchanged",
        Reply::Record(_) => "record",
        Reply::Share(_) => "share",
        Reply::Connection(_) => "connection",
        Reply::Job(_) => "job",
        Reply::HandedOver { .. } => "handed over",
        Reply::Converted { .. } => "converted",
        Reply::Token(_) => "token",
        Reply::Welcome { .. } => "welcome",
    }
}

fn short(command: &Command) -> &'static str {
    match command {
        Command::StartIncarnation { .. } => "that its own tail is lost",
        Command::TakeIncarnation { .. } => "of a new incarnation",
        Command::TakeWelcome { .. } => "that it is welcome",
        Command::Deactivate { .. } => "that the connection is deactivated",
        _ => "something",
    }
}
