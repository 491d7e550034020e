//! Load for tests: a thread that goes on writing while the test breaks things, and counts the rounds
//! that were acknowledged. The test waits for rounds, never for time.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a test waits for the next acknowledged rounds.
const PATIENCE: Duration = Duration::from_secs(60);
/// The pause after a round that was not acknowledged: whoever is down is not asked in a hot loop.
const PAUSE: Duration = Duration::from_millis(5);

#[derive(Default)]
struct Progress {
    acknowledged: u64,
    stop: bool,
    ended: bool,
}

#[derive(Default)]
struct Shared {
    progress: Mutex<Progress>,
    moved: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says that the thread has ended, however it did.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.moved.notify_all();
    }
}

/// A thread that writes round after round. It ends with [`Load::finish`].
pub struct Load<T> {
    shared: Arc<Shared>,
    thread: JoinHandle<T>,
}

impl<T: Send + 'static> Load<T> {
    /// Starts it: `round` is called with what it remembers and the number of the round, from 1, and
    /// says whether the round was acknowledged.
    pub fn start(mut memory: T, mut round: impl FnMut(&mut T, u64) -> bool + Send + 'static) -> Self {
        let shared = Arc::<Shared>::default();
        let ending = Ending(shared.clone());
        let thread = std::thread::spawn(move || {
            let shared = &ending.0;
            for number in 1.. {
                if round(&mut memory, number) {
                    shared.lock().acknowledged += 1;
                    shared.moved.notify_all();
                } else {
                    std::thread::sleep(PAUSE);
                }
                if shared.lock().stop {
                    break;
                }
            }
            memory
        });
        Self { shared, thread }
    }

    /// Waits until so many more rounds were acknowledged.
    ///
    /// # Panics
    /// They are not in time, or the thread has ended.
    pub fn wait_for(&self, rounds: u64) {
        let wanted = self.shared.lock().acknowledged + rounds;
        let more = |progress: &mut Progress| progress.acknowledged < wanted && !progress.ended;
        let waited = self.shared.moved.wait_timeout_while(self.shared.lock(), PATIENCE, more);
        let (progress, _) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(
            progress.acknowledged >= wanted,
            "only {} of {wanted} rounds were acknowledged",
            progress.acknowledged
        );
    }

    /// Ends it after the round under way; what it remembers.
    ///
    /// # Panics
    /// The thread panicked.
    pub fn finish(self) -> T {
        self.shared.lock().stop = true;
        self.thread.join().expect("a load that did not panic")
    }
}
