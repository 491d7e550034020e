//! The writer's intake: requests first, then one frame of each connection in turn.
//!
//! Both are bounded: a request that finds no room waits for a moment and is then refused, a frame
//! waits in its subscriber, which takes no more from the broker meanwhile.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tieline_core::ConnectionId;
use tieline_core::UserName;
use tieline_core::command::{Command, Once};
use tieline_core::frame::FrameHeader;
use tieline_core::message::Envelope;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::org::{ExecuteError, Executed, FrameTaken};
use tieline_core::command::Refusal;

/// Most commands that wait for the writer.
pub(crate) const COMMANDS_QUEUED_MAX: usize = 20_000;
/// How long a request waits for room before it is refused.
const ROOM_WITHIN: Duration = Duration::from_secs(5);

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

#[derive(Default)]
struct Queues {
    commands: VecDeque<Work>,
    frames: BTreeMap<ConnectionId, VecDeque<Work>>,
    /// The connection whose frame was taken last.
    turn: Option<ConnectionId>,
    closed: bool,
}

impl Queues {
    fn next(&mut self) -> Option<Work> {
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
        self.push(|queues| {
            queues.commands.push_back(Work::Commands { commands, once, actor, reply, _room: room });
        })?;
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
        self.push(|queues| {
            queues.frames.entry(id).or_default().push_back(Work::Frame { header, messages, reply });
        })?;
        Ok(answer)
    }

    fn push(&self, add: impl FnOnce(&mut Queues)) -> Result<(), ExecuteError> {
        let mut queues = self.lock();
        if queues.closed {
            return Err(ExecuteError::Stopping);
        }
        add(&mut queues);
        drop(queues);
        self.more.notify_one();
        Ok(())
    }

    /// Waits for work; nothing once the intake is closed and drained.
    pub(crate) fn wait(&self) -> Option<Work> {
        let mut queues = self.lock();
        loop {
            if let Some(work) = queues.next() {
                return Some(work);
            }
            if queues.closed {
                return None;
            }
            queues = self.more.wait(queues).unwrap_or_else(PoisonError::into_inner);
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
