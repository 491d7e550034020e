//! The writer: one thread that owns the changes of the state.
//!
//! It decides and applies one command or message after the other and hands a batch to the storage;
//! one batch is made durable while the next is decided. Nothing that it did is visible outside
//! before the storage releases it. It holds no rule of the domain.

use std::sync::mpsc::SyncSender;
use std::sync::{Arc, PoisonError};

use tieline_core::command::{Command, Context, InvitationCommand, Once, Refusal};
use tieline_core::engine::{Engine, Leaving};
use tieline_core::frame::FrameHeader;
use tieline_core::log::Group;
use tieline_core::message::Envelope;
use tieline_core::state::Answer;
use tieline_core::{Incarnation, Seq, Timestamp, UserName};

use crate::clock::Clock;
use crate::intake::Work;
use crate::observer::EndedChange;
use crate::org::{Executed, FrameTaken, Shared};
use crate::storage::Storage;

/// A batch is handed on when it has so many groups,
const BATCH_GROUPS_MAX: usize = 2_000;
/// or so many bytes.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// What becomes visible once its batch is durable.
pub(crate) type Release = Box<dyn FnOnce() + Send>;

/// Groups on their way into the log.
pub(crate) struct Batch {
    pub(crate) groups: Vec<Group>,
    /// Their events that may leave.
    pub(crate) leaving: Vec<Arc<Leaving>>,
    /// The number of the last event.
    pub(crate) last: Seq,
    pub(crate) bytes: usize,
    /// A new life of the log begins with this batch.
    pub(crate) incarnation: Option<Incarnation>,
    pub(crate) releases: Vec<Release>,
}

/// Runs the writer until the intake is closed and drained.
pub(crate) fn run(shared: &Arc<Shared>, storage: &Storage, thread: &SyncSender<Batch>) {
    let mut clock = Clock::default();
    while let Some(first) = shared.intake.wait() {
        let Some(batch) = one_batch(shared, &mut clock, first) else {
            tracing::error!("the operating system gave no randomness: nothing can be decided safely");
            std::process::abort();
        };
        if !storage.take(batch, thread) {
            return;
        }
    }
}

fn one_batch(shared: &Arc<Shared>, clock: &mut Clock, first: Work) -> Option<Batch> {
    let mut entropy = [0; 32];
    getrandom::fill(&mut entropy).ok()?;
    shared.tail.trim();
    let mut engine = shared.engine.write().unwrap_or_else(PoisonError::into_inner);
    let known = incarnation(&engine);
    let mut batch = Batch {
        groups: Vec::new(),
        leaving: Vec::new(),
        last: engine.state().seq,
        bytes: 0,
        incarnation: None,
        releases: Vec::new(),
    };
    let mut deciding = Deciding { shared, engine: &mut engine, batch: &mut batch, entropy };
    let mut next = Some(first);
    while let Some(work) = next {
        deciding.work(work, clock.now());
        let full = deciding.batch.groups.len() >= BATCH_GROUPS_MAX || deciding.batch.bytes >= BATCH_BYTES_MAX;
        next = if full { None } else { shared.intake.poll() };
    }
    batch.last = engine.state().seq;
    batch.leaving = engine.take_collected();
    batch.incarnation = incarnation(&engine).filter(|now| Some(*now) != known);
    Some(batch)
}

fn incarnation(engine: &Engine) -> Option<Incarnation> {
    engine.state().org.as_ref().map(|org| org.incarnation)
}

struct Deciding<'a> {
    shared: &'a Arc<Shared>,
    engine: &'a mut Engine,
    batch: &'a mut Batch,
    entropy: [u8; 32],
}

impl Deciding<'_> {
    /// All commands of a batch share their entropy: what they draw from it also depends on the seq
    /// at which they are decided, which is another for each command that has an effect.
    const fn context(&self, now: Timestamp, actor: UserName) -> Context {
        Context { now, actor, entropy: self.entropy }
    }

    fn keep(&mut self, group: Group) {
        if !group.is_empty() {
            self.batch.bytes += group.bytes().len();
            self.batch.groups.push(group);
        }
    }

    fn work(&mut self, work: Work, now: Timestamp) {
        match work {
            Work::Commands { commands, once, actor, reply, _room } => {
                let mut once = once.iter();
                let results: Vec<_> =
                    commands.iter().map(|command| self.command(command, once.next(), &actor, now)).collect();
                let shared = self.shared.clone();
                let agreement = commands.iter().any(changes_agreement);
                self.batch.releases.push(Box::new(move || {
                    if agreement {
                        shared.agreements.notify_one();
                        shared.hellos.notify_one();
                    }
                    // Whoever asked may have gone away: what was decided stands all the same.
                    reply.send(results).ok();
                    drop(_room);
                }));
            }
            Work::Frame { header, messages, reply } => self.frame(*header, messages, reply, now),
        }
    }

    fn command(
        &mut self,
        command: &Command,
        once: Option<&Once>,
        actor: &UserName,
        now: Timestamp,
    ) -> Result<Executed, Refusal> {
        let context = self.context(now, actor.clone());
        let Some(once) = once else {
            let (group, reply) = self.engine.execute(command, &context)?;
            self.keep(group);
            return Ok(Executed { seq: self.engine.state().seq, reply });
        };
        let (group, Answer { seq, reply }) = self.engine.execute_once(command, &context, once)?;
        self.keep(group);
        Ok(Executed { seq, reply })
    }

    fn frame(
        &mut self,
        header: FrameHeader,
        messages: Option<Vec<Envelope>>,
        reply: tokio::sync::oneshot::Sender<FrameTaken>,
        now: Timestamp,
    ) {
        let id = header.connection;
        let context = self.context(now, UserName::connection_user());
        let (mut groups, mut ended) = (Vec::new(), Vec::new());
        let end = match &messages {
            Some(messages) => {
                self.engine.receive_with(&header, messages, &context, &mut groups, |state, received| {
                    ended.extend(EndedChange::of(state, received));
                })
            }
            None => self.engine.receive_malformed(&header, &context, &mut groups),
        };
        groups.into_iter().for_each(|group| self.keep(group));
        let connection = self.engine.state().connections.get(&id);
        let figures = connection.map(|c| (c.inbound.received, c.inbound.told, c.outbox.outcomes));
        let (received, told, outcomes) = figures.unwrap_or_default();
        let shared = self.shared.clone();
        self.batch.releases.push(Box::new(move || {
            shared.observer.frame_taken(id, &ended);
            shared.observer.partner_told(id, &outcomes);
            // The connection's task may have begun anew meanwhile.
            reply.send(FrameTaken { end, received, told }).ok();
        }));
    }
}

/// Whether a command may begin or end a connection, so that its tasks have to be looked at.
const fn changes_agreement(command: &Command) -> bool {
    matches!(
        command,
        Command::Answer { .. }
            | Command::TakeHello { .. }
            | Command::TakeWelcome { .. }
            | Command::TakeRefusal { .. }
            | Command::Deactivate { .. }
            | Command::Invitation(InvitationCommand::Postpone { .. })
    )
}
