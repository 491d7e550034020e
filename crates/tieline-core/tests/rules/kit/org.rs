//! An org with its log in memory, driven as a daemon drives its own: commands and frames become
//! groups, groups are durable before anything is read from them.

use tieline_core::command::{Command, Context, NewToken, Refusal, Reply};
use tieline_core::engine::{Engine, FrameEnd};
use tieline_core::event::{Event, Received};
use tieline_core::frame::{BodyWriter, Chain, FRAME_VERSION, Figure, FrameHeader, read_body};
use tieline_core::log::{Group, Log, MemLog};
use tieline_core::message::{Envelope, Message};
use tieline_core::outbox;
use tieline_core::people::OrgSettings;
use tieline_core::schema::ObjectSchema;
use tieline_core::state::{Connection, Record, State};
use tieline_core::value::Value;
use tieline_core::{ConnectionId, OrgName, Position, RecordId, Seq, Timestamp};

use super::{NOW, name, values};

/// One org.
#[derive(Debug, Clone)]
pub(crate) struct Org {
    pub(crate) name: OrgName,
    pub(crate) engine: Engine,
    pub(crate) log: MemLog,
    /// Its wall clock, which the test sets.
    pub(crate) now: Timestamp,
    commands: u64,
}

/// A frame as it travels: bytes.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    header: Vec<u8>,
    body: Vec<u8>,
}

impl Frame {
    pub(crate) fn new(header: &FrameHeader, messages: &[Envelope]) -> Self {
        let mut body = BodyWriter::default();
        for message in messages {
            assert!(body.push(message), "the messages of a test fit one frame");
        }
        Self { header: header.encode(), body: body.finish() }
    }

    /// The same body under another header.
    pub(crate) fn with_header(&self, header: &FrameHeader) -> Self {
        Self { header: header.encode(), body: self.body.clone() }
    }

    /// The same messages as they would follow another past: the frame agrees with itself.
    pub(crate) fn forked(&self) -> Self {
        let mut header = self.header();
        header.chain_before.0 ^= 1;
        let messages = read_body(&self.body, header.count).unwrap();
        let numbered = messages.iter().zip(header.first.0..);
        header.chain_after = numbered.fold(header.chain_before, |chain, (message, position)| {
            chain.then(Position(position), message.seq, message.time)
        });
        self.with_header(&header)
    }

    pub(crate) fn header(&self) -> FrameHeader {
        FrameHeader::decode(&self.header).unwrap()
    }
}

impl Org {
    /// An org with one object.
    pub(crate) fn new(org: &str, object: ObjectSchema) -> Self {
        let mut made =
            Self { name: name(org), engine: Engine::default(), log: MemLog::new(), now: NOW, commands: 0 };
        made.run(Command::CreateOrg {
            name: name(org),
            admin: name("ann"),
            token: NewToken::of([1; 32]),
            objects: vec![object],
            // One org may be connected with many.
            settings: OrgSettings { connection_licences: Some(100), ..OrgSettings::default() },
            sharing: true,
        });
        made
    }

    /// Entropy differs between orgs, commands and frames, and never between two runs of a test, or
    /// between two ways to the same command or frame.
    fn context(&self, of: u64) -> Context {
        let mut entropy = [0; 32];
        for (place, byte) in entropy.iter_mut().zip(self.name.as_str().bytes()) {
            *place = byte;
        }
        entropy[24..].copy_from_slice(&of.to_be_bytes());
        Context { now: self.now, actor: name("ann"), entropy }
    }

    fn append(&mut self, groups: Vec<Group>) {
        let groups: Vec<Group> = groups.into_iter().filter(|group| !group.is_empty()).collect();
        self.log.append(&groups).unwrap();
        self.log.flush().unwrap();
    }

    pub(crate) fn attempt(&mut self, command: Command) -> Result<Reply, Refusal> {
        let context = self.context(self.commands);
        self.commands += 1;
        let (group, reply) = self.engine.execute(&command, &context)?;
        self.append(vec![group]);
        Ok(reply)
    }

    pub(crate) fn run(&mut self, command: Command) -> Reply {
        self.attempt(command).unwrap()
    }

    /// Takes a frame; also how each of its new messages ended.
    pub(crate) fn take(&mut self, frame: &Frame) -> (FrameEnd, Vec<Received>) {
        let header = frame.header();
        let messages = read_body(&frame.body, header.count).unwrap();
        let context = self.context(header.chain_after.0);
        let (mut groups, mut ended) = (Vec::new(), Vec::new());
        let end = self.engine.receive_with(&header, &messages, &context, &mut groups, |_, received| {
            ended.push(received.clone());
        });
        self.append(groups);
        (end, ended)
    }

    /// Takes a frame of which only the header can be read.
    pub(crate) fn take_malformed(&mut self, header: &FrameHeader) -> FrameEnd {
        let context = self.context(header.chain_after.0);
        let mut groups = Vec::new();
        let end = self.engine.receive_malformed(header, &context, &mut groups);
        self.append(groups);
        end
    }

    pub(crate) fn state(&self) -> &State {
        self.engine.state()
    }

    /// What its log gives when it is replayed alone.
    pub(crate) fn replayed(&self) -> State {
        let mut engine = Engine::default();
        let groups = self.log.read_from(Seq(1), usize::MAX).unwrap();
        for event in groups.events() {
            engine.replay(event.time, event.kind, event.body).unwrap();
        }
        engine.state().clone()
    }

    pub(crate) fn connection(&self, id: ConnectionId) -> &Connection {
        &self.state().connections[&id]
    }

    pub(crate) fn record(&self, id: RecordId) -> &Record {
        &self.state().records[&id]
    }

    pub(crate) fn create(&mut self, object: &str, given: &[(&str, Value)]) -> RecordId {
        let create = Command::CreateRecord { object: name(object), values: values(given), owner: None };
        match self.run(create) {
            Reply::Record(record) => record,
            other => panic!("a record is made, not {other:?}"),
        }
    }

    pub(crate) fn update(&mut self, record: RecordId, given: &[(&str, Value)]) -> Reply {
        self.run(Command::UpdateRecord { record, values: values(given) })
    }

    /// Does all jobs to their end.
    pub(crate) fn finish_jobs(&mut self) {
        while let Some(job) = self.state().jobs.keys().next().copied() {
            self.run(Command::AdvanceJob { job, allowance: 100 });
        }
    }

    /// The message of a position, made from its event under the publish rules of now.
    pub(crate) fn envelope(&self, id: ConnectionId, position: Position) -> Envelope {
        let connection = self.connection(id);
        let seq = connection.outbox.entry(position).unwrap().seq;
        let groups = self.log.read_from(seq, 0).unwrap();
        let stored = groups.event(seq).unwrap();
        let event = Event::decode(stored.kind, stored.body).unwrap();
        assert!(outbox::may_leave(&event), "it has made a message: {event:?}");
        outbox::envelope(&event, seq, stored.time, id, position, &connection.publish)
    }

    /// The messages after a position.
    pub(crate) fn sent(&self, id: ConnectionId, after: Position) -> Vec<Message> {
        let head = self.connection(id).outbox.head().position;
        (after.0 + 1..=head.0)
            .map(|position| {
                let envelope = self.envelope(id, Position(position));
                Message::decode(envelope.kind, &envelope.body).unwrap()
            })
            .collect()
    }
}

/// A heartbeat; a frame fills in the rest.
pub(crate) fn header(
    connection: ConnectionId,
    from: (&OrgName, tieline_core::Incarnation),
    to: (&OrgName, tieline_core::Incarnation),
    clock: Timestamp,
) -> FrameHeader {
    FrameHeader {
        version: FRAME_VERSION,
        connection,
        from: from.0.clone(),
        to: to.0.clone(),
        key: 0,
        from_incarnation: from.1,
        to_incarnation: to.1,
        first: Position(1),
        count: 0,
        chain_before: Chain::default(),
        chain_after: Chain::default(),
        received: Figure::default(),
        receipt: Position::default(),
        head: Position::default(),
        told: (Position::default(), Position::default()),
        gap: false,
        deactivated: false,
        pause: tieline_core::frame::PauseWord::default(),
        pause_heard: 0,
        clock,
        trace: None,
    }
}
