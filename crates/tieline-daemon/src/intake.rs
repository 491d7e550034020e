//! The writer's intake: requests first, then one frame of each connection in turn.
//!
//! What nobody waits for (how others ended, how far the partner has come) is held for a moment, so
//! that it becomes durable together with something that somebody waits for: the disk is asked less
//! often, and is free for the other.
//!
//! Both are bounded: a request that finds no room waits for a moment and is then refused, a frame
//! waits in its subscriber, which takes no more from the broker meanwhile.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tieline_core::ConnectionId;
use tieline_core::UserName;
use tieline_core::command::{Command, Once};
use tieline_core::frame::FrameHeader;
use tieline_core::message::{Envelope, is_outcome_report};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::org::{ExecuteError, Executed, FrameTaken};
use tieline_core::command::Refusal;

/// Most commands that wait for the writer.
pub(crate) const COMMANDS_QUEUED_MAX: usize = 20_000;
/// How long a request waits for room before it is refused.
const ROOM_WITHIN: Duration = Duration::from_secs(5);

/// How long work that nobody waits for is held at most.
const HELD: Duration = Duration::from_millis(10);

/// What the writer works on.
pub(crate) enum Work {
    /// Commands of one request, each with its own group.
    Commands {
        commands: Vec<Command>,
        /// One for each command, or none at all if the request has no key.
        once: Vec<Once>,
        actor: UserName,
        reply: oneshot::Sender<Vec<Result<Executed, Refusal>>>,
        /// Room in the intake, given back when the work is done.
        _room: OwnedSemaphorePermit,
    },
    /// A frame whose header was heard; no messages if its body could not be read.
    Frame { header: Box<FrameHeader>, messages: Option<Vec<Envelope>>, reply: oneshot::Sender<FrameTaken> },
}

impl Work {
    /// How long it may be held.
    fn held(&self) -> Duration {
        let nobody_waits = match self {
            Self::Commands { commands, .. } => {
                commands.iter().all(|command| matches!(command, Command::NoteReceipt { .. }))
            }
            Self::Frame { messages, .. } => messages
                .as_ref()
                .is_some_and(|messages| messages.iter().all(|message| is_outcome_report(message.kind))),
        };
        if nobody_waits { HELD } else { Duration::ZERO }
    }
}

#[derive(Default)]
struct Queues {
    commands: VecDeque<Work>,
    frames: BTreeMap<ConnectionId, VecDeque<Work>>,
    /// The connection whose frame was taken last.
    turn: Option<ConnectionId>,
    /// When the writer begins with what waits; nothing if nothing does.
    due: Option<Instant>,
    closed: bool,
}

impl Queues {
    fn next(&mut self) -> Option<Work> {
        let work = self.take();
        if work.is_none() {
            self.due = None;
        }
        work
    }

    /// How long nothing has to be begun; for ever if nothing waits.
    fn rest(&self) -> Option<Duration> {
        let due = self.due?;
        Some(if self.closed { Duration::ZERO } else { due.saturating_duration_since(Instant::now()) })
    }

    fn take(&mut self) -> Option<Work> {
        if let Some(work) = self.commands.pop_front() {
            return Some(work);
        }
        use std::ops::Bound::{Excluded, Unbounded};
        let after = self.turn.map_or(Unbounded, Excluded);
        let next = self.frames.range((after, Unbounded)).next().or_else(|| self.frames.iter().next());
        let id = *next?.0;
        self.turn = Some(id);
        let queue = self.frames.get_mut(&id)?;
        let work = queue.pop_front();
        if queue.is_empty() {
            self.frames.remove(&id);
        }
        work
    }
}

/// The queue in front of the writer.
pub(crate) struct Intake {
    queues: Mutex<Queues>,
    more: Condvar,
    room: Arc<Semaphore>,
}

impl Intake {
    pub(crate) fn new() -> Self {
        Self {
            queues: Mutex::new(Queues::default()),
            more: Condvar::new(),
            room: Arc::new(Semaphore::new(COMMANDS_QUEUED_MAX)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        // No code panics while it holds this lock; if one did, the queues are still whole.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues the commands of one request.
    pub(crate) async fn commands(
        &self,
        commands: Vec<Command>,
        once: Vec<Once>,
        actor: UserName,
    ) -> Result<Vec<Result<Executed, Refusal>>, ExecuteError> {
        let permits = u32::try_from(commands.len().clamp(1, COMMANDS_QUEUED_MAX)).unwrap_or(u32::MAX);
        let room = tokio::time::timeout(ROOM_WITHIN, self.room.clone().acquire_many_owned(permits)).await;
        let room = room.map_err(|_| ExecuteError::Overloaded)?.map_err(|_| ExecuteError::Stopping)?;
        let (reply, answer) = oneshot::channel();
        let work = Work::Commands { commands, once, actor, reply, _room: room };
        self.push(work.held(), |queues| queues.commands.push_back(work))?;
        answer.await.map_err(|_| ExecuteError::Stopping)
    }

    /// Queues a frame.
    pub(crate) fn frame(
        &self,
        header: Box<FrameHeader>,
        messages: Option<Vec<Envelope>>,
    ) -> Result<oneshot::Receiver<FrameTaken>, ExecuteError> {
        let (reply, answer) = oneshot::channel();
        let id = header.connection;
        let work = Work::Frame { header, messages, reply };
        self.push(work.held(), |queues| queues.frames.entry(id).or_default().push_back(work))?;
        Ok(answer)
    }

    fn push(&self, held: Duration, add: impl FnOnce(&mut Queues)) -> Result<(), ExecuteError> {
        let mut queues = self.lock();
        if queues.closed {
            return Err(ExecuteError::Stopping);
        }
        add(&mut queues);
        let due = Instant::now() + held;
        queues.due = Some(queues.due.map_or(due, |earlier| earlier.min(due)));
        drop(queues);
        self.more.notify_one();
        Ok(())
    }

    /// Waits for work; nothing once the intake is closed and drained.
    pub(crate) fn wait(&self) -> Option<Work> {
        let mut queues = self.lock();
        loop {
            match queues.rest() {
                Some(Duration::ZERO) => {
                    if let Some(work) = queues.next() {
                        return Some(work);
                    }
                }
                Some(rest) => {
                    queues = self.more.wait_timeout(queues, rest).unwrap_or_else(PoisonError::into_inner).0;
                }
                None if queues.closed => return None,
                None => queues = self.more.wait(queues).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// The next work, if there is some now.
    pub(crate) fn poll(&self) -> Option<Work> {
        self.lock().next()
    }

    /// Takes nothing more; what waits is still worked on.
    pub(crate) fn close(&self) {
        self.room.close();
        self.lock().closed = true;
        self.more.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(intake: &Intake, command: Command) {
        let room = intake.room.clone().try_acquire_owned().unwrap();
        let (actor, reply) = (UserName::connection_user(), oneshot::channel().0);
        let work = Work::Commands { commands: vec![command], once: Vec::new(), actor, reply, _room: room };
        intake.push(work.held(), |queues| queues.commands.push_back(work)).unwrap();
    }

    fn receipt() -> Command {
        Command::NoteReceipt { connection: ConnectionId(1), position: Default::default() }
    }

    #[test]
    fn what_nobody_waits_for_is_held_until_something_else_comes() {
        let intake = Intake::new();
        assert_eq!(intake.lock().rest(), None, "nothing waits");
        let before = Instant::now();
        queue(&intake, receipt());
        assert!(intake.lock().due.unwrap() >= before + HELD, "nobody waits for it");
        queue(&intake, Command::Deactivate { connection: ConnectionId(1), by_partner: false });
        assert_eq!(intake.lock().rest(), Some(Duration::ZERO), "somebody waits");
        assert!(intake.wait().is_some() && intake.poll().is_some(), "both are taken together");
        assert!(intake.poll().is_none());
        assert_eq!(intake.lock().rest(), None, "nothing waits any more");
        // Alone it is taken in the end, and at once when the daemon stops.
        queue(&intake, receipt());
        assert!(intake.wait().is_some());
        queue(&intake, receipt());
        intake.close();
        assert_eq!(intake.lock().rest(), Some(Duration::ZERO));
        assert!(intake.wait().is_some() && intake.wait().is_none());
    }
}
