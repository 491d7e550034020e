//! One org of the gauge: its state, its log, and its end of the connection.

use tieline_bus::DirectionKeys;
use tieline_core::apply::apply;
use tieline_core::command::{Command, Context, NewToken, Reply};
use tieline_core::decide::{decide, decide_message, decide_report};
use tieline_core::event::Event;
use tieline_core::frame::FrameHeader;
use tieline_core::link::{Link, Run};
use tieline_core::message::Envelope;
use tieline_core::outbox::{self, PublishRules};
use tieline_core::people::OrgSettings;
use tieline_core::schema::ObjectSchema;
use tieline_core::state::{Connection, State};
use tieline_core::{ConnectionId, Incarnation, OrgName, Seq, Timestamp};
use tieline_store::SledLog;

/// The one moment at which everything happens: stamps tell writes apart all the same.
pub(crate) const NOW: Timestamp = Timestamp(1_750_000_000_000_000);

/// A context of `NOW`.
pub(crate) fn context() -> Context {
    Context { now: NOW, actor: "ann".parse().expect("a name"), entropy: [7; 32] }
}

/// One org.
pub(crate) struct Org {
    pub(crate) state: State,
    pub(crate) log: SledLog,
    pub(crate) connection: ConnectionId,
    pub(crate) keys: Option<DirectionKeys>,
    pub(crate) link: Option<Link>,
    /// Every event so far: the first has seq 1.
    events: Vec<Event>,
}

impl Org {
    /// An org with these objects, whose log lies in `dir`.
    pub(crate) fn new(name: &str, objects: Vec<ObjectSchema>, dir: &std::path::Path) -> Self {
        let config = tieline_store::Config::new(dir.join(name));
        let mut org = Self {
            state: State::default(),
            log: SledLog::open(&config, Incarnation(1)).expect("a log"),
            connection: ConnectionId::default(),
            keys: None,
            link: None,
            events: Vec::new(),
        };
        let name = name.parse().expect("a name");
        let (token, settings) = (NewToken::of([0; 32]), OrgSettings::default());
        org.must(&Command::CreateOrg {
            name,
            admin: context().actor,
            token,
            objects,
            settings,
            sharing: true,
        });
        org
    }

    pub(crate) fn name(&self) -> OrgName {
        self.state.org.as_ref().expect("an org").name.clone()
    }

    pub(crate) fn incarnation(&self) -> Incarnation {
        self.state.org.as_ref().expect("an org").incarnation
    }

    pub(crate) fn connection(&self) -> &Connection {
        self.state.connections.get(&self.connection).expect("a connection")
    }

    /// Executes a command outside of what is counted.
    pub(crate) fn must(&mut self, command: &Command) -> Reply {
        let decision = decide(&self.state, command, &context()).expect("a command that is not refused");
        self.fold(decision.events);
        decision.reply
    }

    fn fold(&mut self, events: Vec<Event>) {
        events.iter().for_each(|event| apply(&mut self.state, NOW, event));
        self.events.extend(events);
    }

    /// Keeps events that were applied.
    pub(crate) fn keep(&mut self, events: Vec<Event>) {
        self.events.extend(events);
    }

    /// The event of a seq.
    pub(crate) fn event(&self, seq: Seq) -> &Event {
        let at = usize::try_from(seq.0 - 1).expect("a seq");
        self.events.get(at).expect("an event")
    }

    /// Gives back the events that were kept, so that their cost can be counted.
    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        let kept = self.events.iter().map(|_| Event::Unknown { kind: 0, body: Vec::new() }).collect();
        std::mem::replace(&mut self.events, kept)
    }

    /// What is to be sent next, and under which rules.
    pub(crate) fn next_run(&self) -> Option<(Run, PublishRules)> {
        let run = self.link.as_ref().expect("a link").next_run(self.connection(), self.state.seq)?;
        Some((run, self.connection().publish.clone()))
    }

    /// The header of a frame with the first `count` messages of a run, which count as sent.
    pub(crate) fn header(&mut self, run: &Run, count: u32) -> FrameHeader {
        let (state, link) = (&self.state, self.link.as_mut().expect("a link"));
        let connection = state.connections.get(&self.connection).expect("a connection");
        let org = state.org.as_ref().expect("an org");
        let header = link.header(org, connection, Some((run, count)), NOW).expect("a header");
        link.note_sent(header.last(), 0, NOW);
        header
    }

    /// Sends everything to `other`, outside of what is counted; whether there was something.
    pub(crate) fn send_all(&mut self, other: &mut Self) -> bool {
        let mut sent = false;
        while let Some((run, rules)) = self.next_run() {
            let mut position = run.first;
            for entry in &run.entries {
                let event = self.event(entry.seq);
                let envelope = outbox::envelope(event, entry.seq, NOW, self.connection, position, &rules);
                position = position.next();
                other.take(&envelope);
            }
            self.header(&run, run.entries.len() as u32);
            other.fold(decide_report(&other.state, other.connection, &context()));
            sent = true;
        }
        sent
    }

    fn take(&mut self, envelope: &Envelope) {
        let received = self.connection().inbound.received;
        let position = received.position.next();
        let chain = received.chain.then(position, envelope.seq, envelope.time);
        let events = decide_message(&self.state, self.connection, position, chain, envelope, &context());
        self.fold(events);
    }
}
