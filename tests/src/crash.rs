//! Crashes at a point that is named: the daemon is killed as it enters the n-th call of the system
//! that writes, syncs, renames, sends or receives, or that call fails.
//!
//! Seen from outside, a daemon that dies between two such calls is one that dies at the second: so
//! these are all points at which a crash can matter. `strace` does it, without a line of the daemon
//! being other than what people run.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::process::OrgProcess;

/// How long a daemon may take to get to its call.
const PATIENCE: Duration = Duration::from_secs(10);

/// A kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// A block goes into the file of the log.
    Write,
    /// The file of the log is made durable.
    Sync,
    /// The sentinel, as a daemon starts, or a snapshot takes its place.
    Rename,
    /// The sentinel is written over, or made durable.
    Sentinel,
    /// An answer, a frame, a receipt or a heartbeat leaves.
    Send,
    /// A request, a frame or a heartbeat comes.
    Receive,
}

impl Call {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Write, Self::Sync, Self::Rename, Self::Sentinel, Self::Send, Self::Receive];

    /// The names that the system has for it.
    const fn names(self) -> &'static str {
        match self {
            Self::Write => "pwrite64",
            Self::Sync => "fdatasync,fsync",
            Self::Rename => "rename,renameat,renameat2",
            Self::Sentinel => "write,fdatasync",
            Self::Send => "sendto,sendmsg,writev",
            Self::Receive => "recvfrom,recvmsg",
        }
    }
}

/// What happens at the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// The daemon is killed before it is done.
    Kill,
    /// It fails with this error, and the next ones do not.
    Fail(&'static str),
}

/// Whether calls can be stopped here; says so loudly if not.
#[must_use]
pub fn possible() -> bool {
    let mut tried = Command::new("strace");
    tried
        .args(["-f", "-o", "/dev/null", "true"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let works = tried.status().is_ok_and(|status| status.success());
    if !works {
        eprintln!("\n*** SKIPPED, nothing was tested: strace is not installed or not allowed here");
    }
    works
}

/// Lets the org, when it is started next, meet `how` at the `nth` call of this kind of any of its
/// threads.
pub fn at(org: &mut OrgProcess, call: Call, nth: u64, how: How) {
    let names = call.names();
    let injected = match how {
        How::Kill => format!("inject={names}:signal=SIGKILL:when={nth}"),
        How::Fail(error) => format!("inject={names}:error={error}:when={nth}"),
    };
    // The tracer is a grandchild (-D), so that the child is the daemon itself.
    let words = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e"];
    org.under = words.into_iter().map(str::to_owned).collect();
    if how != How::Kill {
        // Much faster; but strace then forgets its signals from the second call on.
        org.under.insert(1, "--seccomp-bpf".to_owned());
    }
    org.under.extend([format!("trace={names}"), "-e".to_owned(), injected]);
    if call == Call::Sentinel {
        let sentinel = org.home.path().join("log").join("sentinel");
        org.under.extend(["-P".to_owned(), sentinel.display().to_string()]);
    }
}

/// How a daemon that was to die did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// A signal killed it.
    Killed,
    /// It ended by itself, with this exit code.
    Ended(i32),
    /// It did not get there in time, and was killed from outside.
    Late,
}

/// Kills the org, starts it so that it dies as [`at`] says, lets it, and starts it again as it is.
pub fn die_at(org: &mut OrgProcess, broker: &str, call: Call, nth: u64, how: How) -> Death {
    let begun = Instant::now();
    org.kill9();
    at(org, call, nth, how);
    // It may die before it answers anybody.
    let ended = match org.try_start(broker, &[]) {
        Ok(()) => org.ends_within(PATIENCE),
        Err(ended) => Some(ended),
    };
    let death = match ended {
        None => Death::Late,
        Some(ended) => ended.code.map_or(Death::Killed, Death::Ended),
    };
    org.kill9();
    org.under.clear();
    org.start(broker);
    eprintln!(
        "{}: {how:?} at {call:?} {nth}: {death:?}, up again after {:?}",
        org.home.name,
        begun.elapsed()
    );
    death
}
