//! A real nats-server for tests: started, killed, wiped and restarted at will.
//!
//! The binary comes from `deploy/nats-server.sh`. A server listens on loopback alone, on a free
//! port that it keeps over restarts, with a store of its own that goes with it; or where
//! [`NatsServer::under`] puts it, which is in a network namespace of a test. Readiness, reloads
//! and ends are read from its log, never guessed by time. Only its own process is ever signalled.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use tempfile::TempDir;
use tieline_bus::broker_config::{BrokerPlan, OrgAccess, PlanError};

/// How long a server may take to start or to reload before the test fails.
const PATIENCE: Duration = Duration::from_secs(30);
/// Ports below the range from which the system takes those of outgoing connections: while a server
/// is down, no client can be given its port, nor connect to itself on it.
const PORTS: std::ops::Range<u64> = 10_000..32_000;
/// How many ports are tried before the test fails.
const PORT_TRIES: usize = 50;

/// Which nats-server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edition {
    /// The version that Tieline is developed with.
    Pinned,
    /// The oldest one that it works with: 2.9, as Debian 12 has it.
    Debian,
}

/// Why a server is not as the test wants it.
#[derive(Debug, thiserror::Error)]
pub enum NatsError {
    /// The script gave no binary.
    #[error("No nats-server to test with: {0}")]
    NoBinary(String),
    /// The plan makes no configuration.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The operating system refused.
    #[error("Could not {0}")]
    Io(&'static str, #[source] io::Error),
    /// It ended, or said nothing for too long.
    #[error("nats-server did not {wanted}; its log:\n{log}")]
    Log {
        /// What was waited for.
        wanted: &'static str,
        /// Everything it said.
        log: String,
    },
}

/// The path of an edition's binary; `None` where Debian's is not installed. Says so loudly, since
/// a test that skips looks like one that passed.
///
/// # Errors
/// [`NatsError::NoBinary`] with what the script said.
pub fn binary(edition: Edition) -> Result<Option<PathBuf>, NatsError> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/nats-server.sh");
    let option = match edition {
        Edition::Pinned => "--pinned",
        Edition::Debian => "--debian",
    };
    let ran = Command::new(script).arg(option).output();
    let ran = ran.map_err(|e| NatsError::Io("run deploy/nats-server.sh", e))?;
    if ran.status.success() {
        let path = String::from_utf8_lossy(&ran.stdout).trim().to_owned();
        return Ok(Some(path.into()));
    }
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    if edition == Edition::Debian && ran.status.code() == Some(3) {
        eprintln!("\n*** SKIPPED, nothing was tested: {said}");
        return Ok(None);
    }
    Err(NatsError::NoBinary(said))
}

/// A nats-server with a configuration written by `tieline_bus::broker_config`.
pub struct NatsServer {
    binary: PathBuf,
    home: TempDir,
    /// What its configuration says; change it and call [`NatsServer::reload`] or restart.
    pub plan: BrokerPlan,
    /// A command that it is started under (`nsenter …`); none if empty.
    pub under: Vec<String>,
    running: Option<Running>,
    log: Arc<Log>,
}

struct Running {
    child: Child,
    /// Reads what it says until it has ended.
    listener: JoinHandle<()>,
}

impl Running {
    /// Waits for its end and its last words.
    fn end(mut self) {
        // Both fail only if it has been waited for already.
        self.child.wait().ok();
        self.listener.join().ok();
    }
}

impl NatsServer {
    /// Starts a server for `orgs`; `None` where the edition is not installed.
    ///
    /// # Errors
    /// [`NatsError`].
    pub fn start(edition: Edition, orgs: Vec<OrgAccess>) -> Result<Option<Self>, NatsError> {
        let Some(mut server) = Self::prepare(edition, orgs)? else { return Ok(None) };
        server.restart()?;
        Ok(Some(server))
    }

    /// A server that is configured and has a port, but does not run yet.
    ///
    /// # Errors
    /// [`NatsError`].
    pub fn prepare(edition: Edition, orgs: Vec<OrgAccess>) -> Result<Option<Self>, NatsError> {
        let Some(binary) = binary(edition)? else { return Ok(None) };
        let home = tempfile::tempdir().map_err(|e| NatsError::Io("make a directory", e))?;
        let listen = format!("127.0.0.1:{}", free_port()?).parse();
        let listen = listen.map_err(|e| NatsError::Io("name an address", io::Error::other(e)))?;
        let plan = BrokerPlan { orgs, ..BrokerPlan::new(listen, home.path().join("store")) };
        Ok(Some(Self { binary, home, plan, under: Vec::new(), running: None, log: Arc::default() }))
    }

    /// The process id of the running server.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.running.as_ref().map_or(0, |running| running.child.id())
    }

    /// Where clients connect.
    #[must_use]
    pub fn url(&self) -> String {
        self.plan.listen.nats_url()
    }

    /// Everything it said since it was made.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.state().lines.join("\n")
    }

    /// Starts it, again if it ran before: same port, same store, today's plan. Returns when it
    /// takes connections.
    ///
    /// # Errors
    /// [`NatsError`].
    pub fn restart(&mut self) -> Result<(), NatsError> {
        self.kill9();
        let config = self.write_config()?;
        let binary = self.binary.as_os_str();
        let mut words = self.under.iter().map(AsRef::as_ref).chain([binary]);
        let mut child = Command::new(words.next().unwrap_or(binary))
            .args(words)
            .arg("--config")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| NatsError::Io("start nats-server", e))?;
        let said = child.stderr.take().map(BufReader::new);
        let mark = self.log.open();
        let log = self.log.clone();
        let listener = thread::spawn(move || {
            said.into_iter().flat_map(BufReader::lines).map_while(Result::ok).for_each(|line| log.push(line));
            log.close();
        });
        self.running = Some(Running { child, listener });
        self.log.wait(mark, "Server is ready", "start")
    }

    /// Makes it read its configuration again, written from today's plan, without a restart.
    ///
    /// # Errors
    /// [`NatsError`].
    pub fn reload(&mut self) -> Result<(), NatsError> {
        self.write_config()?;
        let mark = self.log.mark();
        self.signal("HUP")?;
        self.log.wait(mark, "Reloaded server configuration", "reload")
    }

    /// Asks the server itself whether it takes today's configuration.
    ///
    /// # Errors
    /// [`NatsError::Log`] with its words if it does not.
    pub fn test_config(&self) -> Result<(), NatsError> {
        self.test_text(&self.plan.render()?)
    }

    /// Asks the server itself whether it takes `text` as its configuration.
    ///
    /// # Errors
    /// [`NatsError::Log`] with its words if it does not.
    pub fn test_text(&self, text: &str) -> Result<(), NatsError> {
        let config = self.home.path().join("tested.conf");
        fs::write(&config, text).map_err(|e| NatsError::Io("write the configuration", e))?;
        let ran = Command::new(&self.binary).arg("-t").arg("--config").arg(config).output();
        let ran = ran.map_err(|e| NatsError::Io("run nats-server", e))?;
        let log = String::from_utf8_lossy(&ran.stderr).into_owned();
        if ran.status.success() {
            Ok(())
        } else {
            Err(NatsError::Log { wanted: "accept its configuration", log })
        }
    }

    /// Ends it as a power cut of the process would: no flush, no farewell.
    pub fn kill9(&mut self) {
        if let Some(mut running) = self.running.take() {
            // It fails only if it has ended by itself.
            running.child.kill().ok();
            running.end();
        }
    }

    /// Ends it in order.
    ///
    /// # Errors
    /// [`NatsError`].
    pub fn stop(&mut self) -> Result<(), NatsError> {
        self.signal("TERM")?;
        if let Some(running) = self.running.take() {
            running.end();
        }
        Ok(())
    }

    /// Freezes it: connections stay open and nothing is answered. Returns when it stands still.
    ///
    /// # Errors
    /// [`NatsError`].
    pub fn freeze(&self) -> Result<(), NatsError> {
        self.signal("STOP")?;
        let deadline = Instant::now() + PATIENCE;
        // The signal stops one thread after the other, and the system sends word to nobody but
        // a parent that waits in a way that std has not.
        while !self.stands_still().map_err(|e| NatsError::Io("look at nats-server", e))? {
            if Instant::now() > deadline {
                return Err(NatsError::Log { wanted: "stand still", log: self.log() });
            }
            thread::yield_now();
        }
        Ok(())
    }

    fn stands_still(&self) -> io::Result<bool> {
        let Some(Running { child, .. }) = &self.running else { return Ok(true) };
        for task in fs::read_dir(format!("/proc/{}/task", child.id()))? {
            let stat = fs::read_to_string(task?.path().join("stat"))?;
            // pid (name) state …; the name may hold anything.
            if !stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T')) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// [`NatsError::Io`].
    pub fn thaw(&self) -> Result<(), NatsError> {
        self.signal("CONT")
    }

    /// Loses its disk; it must not run.
    ///
    /// # Errors
    /// [`NatsError::Io`].
    pub fn wipe_storage(&self) -> Result<(), NatsError> {
        let store = &self.plan.store_dir;
        if self.running.is_some() || !store.exists() {
            return Err(NatsError::Io(
                "wipe the store of a running server",
                io::ErrorKind::ResourceBusy.into(),
            ));
        }
        fs::remove_dir_all(store).map_err(|e| NatsError::Io("wipe the store", e))
    }

    fn write_config(&self) -> Result<PathBuf, NatsError> {
        let path = self.home.path().join("nats-server.conf");
        fs::write(&path, self.plan.render()?).map_err(|e| NatsError::Io("write the configuration", e))?;
        Ok(path)
    }

    fn signal(&self, name: &str) -> Result<(), NatsError> {
        let Some(Running { child, .. }) = &self.running else {
            return Err(NatsError::Io("signal a server that does not run", io::ErrorKind::NotFound.into()));
        };
        // std can send no signal but KILL, and unsafe code is forbidden here.
        let ran = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status();
        match ran.map_err(|e| NatsError::Io("run kill", e))? {
            done if done.success() => Ok(()),
            _ => Err(NatsError::Io("signal nats-server", io::ErrorKind::NotFound.into())),
        }
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill9();
    }
}

/// A port that nobody listens on now. Somebody else may take it before the server does; with
/// twenty thousand to choose from the test is then run again.
pub(crate) fn free_port() -> Result<u16, NatsError> {
    for _ in 0..PORT_TRIES {
        // The standard library's only randomness: a new hasher has a new key.
        let random = RandomState::new().build_hasher().finish();
        let port = PORTS.start + random % (PORTS.end - PORTS.start);
        let port = u16::try_from(port).unwrap_or(u16::MAX);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(NatsError::Io("find a free port", io::ErrorKind::AddrInUse.into()))
}

/// What a server said, line by line.
#[derive(Default)]
struct Log {
    state: Mutex<LogState>,
    grew: Condvar,
}

#[derive(Default)]
struct LogState {
    lines: Vec<String>,
    closed: bool,
}

impl Log {
    fn state(&self) -> MutexGuard<'_, LogState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mark(&self) -> usize {
        self.state().lines.len()
    }

    fn open(&self) -> usize {
        self.state().closed = false;
        self.mark()
    }

    fn push(&self, line: String) {
        self.state().lines.push(line);
        self.grew.notify_all();
    }

    fn close(&self) {
        self.state().closed = true;
        self.grew.notify_all();
    }

    /// Waits until a line after `mark` contains `text`.
    fn wait(&self, mark: usize, text: &str, wanted: &'static str) -> Result<(), NatsError> {
        let said = |state: &LogState| state.lines.iter().skip(mark).any(|line| line.contains(text));
        let more = |state: &mut LogState| !state.closed && !said(state);
        let waited = self.grew.wait_timeout_while(self.state(), PATIENCE, more);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if said(&state) { Ok(()) } else { Err(NatsError::Log { wanted, log: state.lines.join("\n") }) }
    }
}
