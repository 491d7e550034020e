//! The engine: one org's state, driven by commands and frames, or by its own log.
//!
//! It decides and applies one command or message after the other and hands out the groups of
//! events for the log. Whoever drives it makes nothing visible before those groups are durable.

use std::sync::Arc;

use crate::apply::apply;
use crate::codec::DecodeError;
use crate::command::{Command, Context, Once, Refusal, Reply};
use crate::decide::{
    Decision, Run, answer_before, answered, decide, decide_malformed, decide_message, decide_report,
};
use crate::event::{Event, Received};
use crate::frame::{Chain, FrameHeader};
use crate::log::Group;
use crate::message::Envelope;
use crate::outbox;
use crate::state::{Answer, State};
use crate::{ConnectionId, Position, Seq, Timestamp};

/// Most room that a group is given before it needs it.
const ROOM_BYTES_MAX: usize = 4_096;

/// One org, running.
#[derive(Debug, Clone, Default)]
pub struct Engine {
    state: State,
    /// The events that were handed out and may leave, while somebody collects them.
    collected: Option<Vec<Arc<Leaving>>>,
    /// What a group took of late: the next one mostly fits.
    room: usize,
}

/// An event that was handed out and may make messages.
#[derive(Debug, Clone)]
pub struct Leaving {
    /// Its number.
    pub seq: Seq,
    /// The time of its group.
    pub time: Timestamp,
    /// What happened.
    pub event: Event,
    /// What it takes in memory, about: itself, and its share of what its group takes in the log.
    pub bytes: usize,
}

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameEnd {
    /// So many messages were new and were taken.
    Taken(u32),
    /// It begins beyond the next position: the sender has to go back.
    Gap,
    /// Its chain is not ours: the sender has to judge.
    Fork,
    /// One of the two logs has begun a new life since the frame was heard.
    Stale,
    /// The connection is paused here, or too much of it is held: the sender keeps it, and sends it again.
    Paused,
}

impl Engine {
    /// An engine with this state, for instance from a snapshot.
    #[must_use]
    pub const fn new(state: State) -> Self {
        Self { state, collected: None, room: 0 }
    }

    /// Keeps the events that may leave, of each group that is handed out from now on, for those who
    /// send them on: they need not decode what was just encoded. All others are given back at once,
    /// while they are in the caches of the processor.
    pub fn collect(&mut self) {
        self.collected.get_or_insert_default();
    }

    /// The events of the groups handed out since the last call that may leave, in order.
    pub fn take_collected(&mut self) -> Vec<Arc<Leaving>> {
        self.collected.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The state.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Decides and applies a command. Its events are one group, empty if nothing had to happen.
    ///
    /// # Errors
    /// The command is refused, and nothing has happened.
    pub fn execute(&mut self, command: &Command, context: &Context) -> Result<(Group, Reply), Refusal> {
        let Decision { events, reply } = decide(&self.state, command, context)?;
        Ok((self.happen(context, events), reply))
    }

    /// The same for a command of a request that may come again: what was done before is answered as
    /// it was then, with the last event of then, and nothing happens.
    ///
    /// # Errors
    /// The command is refused, or the key of the request was used for another one.
    pub fn execute_once(
        &mut self,
        command: &Command,
        context: &Context,
        once: &Once,
    ) -> Result<(Group, Answer), Refusal> {
        if let Some(answer) = answer_before(&self.state, &context.actor, once, context.now)? {
            return Ok((Group::new(context.now), answer.clone()));
        }
        let Decision { mut events, reply } = decide(&self.state, command, context)?;
        events.push(answered(&context.actor, once, &reply));
        let group = self.happen(context, events);
        Ok((group, Answer { seq: self.state.seq, reply }))
    }

    /// Folds what was decided, as one group.
    fn happen(&mut self, context: &Context, events: Vec<Event>) -> Group {
        let mut group = Group::with_room(context.now, self.room);
        let events = self.fold_with_rules(&mut group, events, context);
        self.keep(&group, events);
        group
    }

    /// Takes the messages of a frame that are new, one group each; the last one also tells the partner
    /// their outcomes. The header must have been found to be of this connection and pair of
    /// incarnations (`link`).
    pub fn receive(
        &mut self,
        header: &FrameHeader,
        messages: &[Envelope],
        context: &Context,
        groups: &mut Vec<Group>,
    ) -> FrameEnd {
        self.receive_with(header, messages, context, groups, |_, _| {})
    }

    /// The same, and `ended` sees the state and the fact after each message.
    pub fn receive_with(
        &mut self,
        header: &FrameHeader,
        messages: &[Envelope],
        context: &Context,
        groups: &mut Vec<Group>,
        mut ended: impl FnMut(&State, &Received),
    ) -> FrameEnd {
        let id = header.connection;
        let Some(connection) = self.state.connections.get(&id) else { return FrameEnd::Gap };
        let ours = connection.inbound.received;
        let paused = connection.takes_nothing();
        if !self.is_of_present_lives(header) {
            return FrameEnd::Stale;
        }
        if paused {
            return FrameEnd::Paused;
        }
        if header.first > ours.position.next() {
            return FrameEnd::Gap;
        }
        if header.last() < ours.position {
            // All of it was taken before.
            return FrameEnd::Taken(0);
        }
        let Some((skipped, chain_here)) = overlap(header, messages, ours.position) else {
            return FrameEnd::Fork;
        };
        if chain_here != ours.chain {
            return FrameEnd::Fork;
        }
        let mut chain = chain_here;
        let mut position = ours.position;
        let mut taken = 0;
        for envelope in messages.get(skipped..).unwrap_or_default() {
            position = position.next();
            chain = chain.then(position, envelope.seq, envelope.time);
            let events = decide_message(&self.state, id, position, chain, envelope, context);
            let last = position == header.last();
            groups.push(self.take(id, context, events, last, &mut ended));
            taken += 1;
        }
        FrameEnd::Taken(taken)
    }

    /// Takes a frame whose seal was right and whose body is not what its header says: the positions
    /// are taken, each message ends malformed, and the header's last chain is adopted.
    pub fn receive_malformed(
        &mut self,
        header: &FrameHeader,
        context: &Context,
        groups: &mut Vec<Group>,
    ) -> FrameEnd {
        let id = header.connection;
        let Some(connection) = self.state.connections.get(&id) else { return FrameEnd::Gap };
        let ours = connection.inbound.received;
        let paused = connection.takes_nothing();
        if !self.is_of_present_lives(header) {
            return FrameEnd::Stale;
        }
        if paused {
            return FrameEnd::Paused;
        }
        if header.first > ours.position.next() {
            return FrameEnd::Gap;
        }
        if header.first == ours.position.next() && header.chain_before != ours.chain {
            return FrameEnd::Fork;
        }
        let mut position = ours.position;
        let mut taken = 0;
        while position < header.last() {
            position = position.next();
            let events = decide_malformed(id, position, header);
            let last = position == header.last();
            groups.push(self.take(id, context, events, last, &mut |_, _| {}));
            taken += 1;
        }
        FrameEnd::Taken(taken)
    }

    /// Whether a frame is of the present lives of both logs.
    fn is_of_present_lives(&self, header: &FrameHeader) -> bool {
        let connection = self.state.connections.get(&header.connection);
        let lives =
            self.state.org.as_ref().zip(connection).map(|(org, c)| (c.partner_incarnation, org.incarnation));
        lives == Some((header.from_incarnation, header.to_incarnation))
    }

    /// Takes what a message caused. The group of a frame's last message also tells the partner the
    /// outcomes that it does not know: once the messages are durable, so is the report, and what a
    /// crash loses comes again.
    fn take(
        &mut self,
        connection: ConnectionId,
        context: &Context,
        mut events: Vec<Event>,
        last: bool,
        ended: &mut impl FnMut(&State, &Received),
    ) -> Group {
        let mut group = Group::with_room(context.now, self.room);
        events = self.fold_with_rules(&mut group, events, context);
        if let Some(Event::Received(received)) = events.first() {
            ended(&self.state, received);
        }
        if last {
            let report = decide_report(&self.state, connection, context);
            self.fold(&mut group, &report);
            events.extend(report);
        }
        self.keep(&group, events);
        group
    }

    /// Folds events, and whatever they cause by queues and rules, which is decided on the state after
    /// them and stands in the same group.
    fn fold_with_rules(
        &mut self,
        group: &mut Group,
        mut events: Vec<Event>,
        context: &Context,
    ) -> Vec<Event> {
        let mut run = Run::default();
        run.note(&self.state, &events);
        self.fold(group, &events);
        while let Some(caused) = run.step(&self.state, context) {
            run.note(&self.state, &caused);
            self.fold(group, &caused);
            events.extend(caused);
        }
        events
    }

    /// Folds events into a group and into the state.
    fn fold(&mut self, group: &mut Group, events: &[Event]) {
        for event in events {
            group.push_with(event.kind(), |body| event.encode_body(body));
            apply(&mut self.state, group.time(), event);
        }
    }

    /// Keeps what may leave of the events of the newest group for those who collect it.
    fn keep(&mut self, group: &Group, events: Vec<Event>) {
        self.room = group.bytes().len().max(self.room - self.room / 16).min(ROOM_BYTES_MAX);
        let Some(collected) = &mut self.collected else { return };
        let bytes = size_of::<Leaving>() + group.bytes().len() / events.len().max(1);
        let time = group.time();
        let mut seq = Seq(self.state.seq.0 - events.len() as u64);
        for event in events {
            seq = seq.next();
            if outbox::may_leave(&event) {
                collected.push(Arc::new(Leaving { seq, time, event, bytes }));
            }
        }
    }

    /// Folds an event of the log.
    ///
    /// # Errors
    /// The event cannot be decoded; then the log is damaged, or of another version.
    pub fn replay(&mut self, time: Timestamp, kind: u16, body: &[u8]) -> Result<(), DecodeError> {
        apply(&mut self.state, time, &Event::decode(kind, body)?);
        Ok(())
    }
}

/// How many messages of a frame are at or before `received`, which lies within it, and the chain
/// there as the frame has it. Nothing if the frame contradicts its own header.
fn overlap(header: &FrameHeader, messages: &[Envelope], received: Position) -> Option<(usize, Chain)> {
    let mut at = Position(header.first.0.checked_sub(1)?);
    let mut chain = header.chain_before;
    let mut here = (at == received).then_some((0, chain));
    for (index, envelope) in messages.iter().enumerate() {
        at = at.next();
        chain = chain.then(at, envelope.seq, envelope.time);
        if at == received {
            here = Some((index + 1, chain));
        }
    }
    here.filter(|_| chain == header.chain_after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::NewToken;
    use crate::limits::REQUEST_ANSWERS_KEPT_US;
    use crate::people::OrgSettings;
    use crate::schema::standard_objects;
    use crate::state::StateHash;
    use crate::value::Value;
    use crate::vecmap::VecMap;
    use crate::{RecordId, RoleName};

    /// An org, and what its log would replay to.
    struct Twice {
        engine: Engine,
        replayed: Engine,
        drawn: u8,
    }

    impl Twice {
        fn new() -> Self {
            let mut org = Self { engine: Engine::default(), replayed: Engine::default(), drawn: 0 };
            let create = Command::CreateOrg {
                name: "acme".parse().unwrap(),
                admin: "ann".parse().unwrap(),
                token: NewToken::of([0; 32]),
                objects: standard_objects(),
                settings: OrgSettings::default(),
                sharing: true,
            };
            let context = org.context("ann", 0);
            let (group, _) = org.engine.execute(&create, &context).unwrap();
            org.replay(&group);
            let (user, role) = ("bob".parse().unwrap(), RoleName::standard());
            let context = org.context("ann", 0);
            let add = Command::AddUser { user, email: None, role };
            let (group, _) = org.engine.execute(&add, &context).unwrap();
            org.replay(&group);
            org
        }

        fn context(&mut self, actor: &str, now: i64) -> Context {
            self.drawn += 1;
            Context { now: Timestamp(now), actor: actor.parse().unwrap(), entropy: [self.drawn; 32] }
        }

        fn replay(&mut self, group: &Group) {
            for event in group.events(self.replayed.state().seq.next()) {
                self.replayed.replay(event.time, event.kind, event.body).unwrap();
            }
        }

        /// Creates a lead; the answer, and how many events that took.
        fn create(&mut self, actor: &str, now: i64, once: &Once) -> Result<(Answer, usize), Refusal> {
            let text = |text: &str| Value::Text(text.into());
            let values: VecMap<_, _> = [("Company", text("Initech")), ("LastName", text("Ng"))]
                .into_iter()
                .map(|(name, value)| (name.parse().unwrap(), value))
                .collect();
            let command = Command::CreateRecord { object: "Lead".parse().unwrap(), values, owner: None };
            let context = self.context(actor, now);
            let (group, answer) = self.engine.execute_once(&command, &context, once)?;
            self.replay(&group);
            // What is answered again after a crash comes from the replayed state.
            assert_eq!(self.engine.state().hash(), self.replayed.state().hash());
            self.engine = self.replayed.clone();
            Ok((answer, group.len()))
        }
    }

    fn once(key: &str, fingerprint: u8, item: u32) -> Once {
        Once { key: key.parse().unwrap(), fingerprint: [fingerprint; 16], item }
    }

    fn record(answer: &Answer) -> RecordId {
        let Reply::Record(id) = answer.reply else { panic!("{answer:?}") };
        id
    }

    #[test]
    fn a_request_with_a_key_is_done_once() {
        let mut org = Twice::new();
        let (first, events) = org.create("ann", 10, &once("k", 1, 0)).unwrap();
        assert_eq!(events, 2);
        assert_eq!(org.create("ann", 20, &once("k", 1, 0)).unwrap(), (first.clone(), 0));
        // Another command of the request, another user, another key, another day.
        let others =
            [("ann", 20, once("k", 1, 1)), ("bob", 20, once("k", 1, 0)), ("ann", 20, once("l", 1, 0))];
        for (actor, now, other) in others {
            let (answer, events) = org.create(actor, now, &other).unwrap();
            assert!(events == 2 && record(&answer) != record(&first), "{other:?}");
        }
        let refused = org.create("ann", 20, &once("k", 2, 0)).unwrap_err();
        assert_eq!(refused.code, "key_reused");
        let (next, _) = org.create("ann", 10 + REQUEST_ANSWERS_KEPT_US, &once("k", 2, 0)).unwrap();
        assert_ne!(record(&next), record(&first));
    }

    #[test]
    fn the_hash_of_a_state_is_that_of_its_bytes() {
        let mut org = Twice::new();
        for n in 0..100 {
            org.create("ann", 10, &once(&format!("k{n}"), 1, 0)).unwrap();
        }
        let (state, bytes) = (org.engine.state(), org.engine.state().to_bytes());
        assert!(bytes.len() > 1 << 16, "it is hashed in more than one piece: {}", bytes.len());
        assert_eq!(StateHash::of(&bytes), state.hash());
        assert_eq!(State::from_bytes(&bytes).unwrap().hash(), state.hash());
    }

    #[test]
    fn what_was_refused_is_decided_anew() {
        let mut org = Twice::new();
        let (created, _) = org.create("ann", 10, &once("create", 1, 0)).unwrap();
        let record = record(&created);
        let delete = Command::DeleteRecord { record };
        let mut run = |key: &str| {
            let context = org.context("ann", 20);
            org.engine
                .execute_once(&delete, &context, &once(key, 1, 0))
                .map(|(group, answer)| (group.len(), answer))
        };
        let (_, deleted) = run("a").unwrap();
        assert!(run("b").is_err());
        assert_eq!(run("a").unwrap(), (0, deleted));
        assert!(run("b").is_err());
    }
}
