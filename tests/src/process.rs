//! Orgs as processes: `tieline serve` as people run it, driven through the HTTP API, killed at will.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::live::OrgHome;
use crate::nats::free_port;

/// How long a test waits for something that has to come: as long as the longest pause of the
/// protocol, and once more for a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// The token of every org of a test, whose hash `OrgHome::make` puts into the log.
const TOKEN: &str = "tl_test";
/// How long the lock of a log may outlive the test that read it.
const LOCK_REMNANT: Duration = Duration::from_secs(2);
/// How long to wait between two looks at something that only polling can see.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The binary under test: beside the tests' own, built with the same profile.
#[must_use]
pub fn binary() -> PathBuf {
    let own = std::env::current_exe().expect("a path of its own");
    let profile = own.ancestors().find(|dir| dir.join("tieline").is_file());
    profile.expect("`cargo build -p tieline` comes before the tests that run it").join("tieline")
}

/// How a daemon ended that was to start.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; nothing if a signal ended it.
    pub code: Option<i32>,
    /// What it said since it was started.
    pub said: String,
}

/// One org as a process of its own.
pub struct OrgProcess {
    /// Its data directory.
    pub home: OrgHome,
    /// Its API.
    pub api: Api,
    /// A command that the daemon is started under (`strace …`); none if empty.
    pub under: Vec<String>,
    /// What is run: the binary under test, or one of another version.
    pub binary: PathBuf,
    child: Option<Child>,
    /// Configuration and words of the daemon: they outlive the disk of its data.
    desk: TempDir,
}

impl OrgProcess {
    /// Makes the org `name` and a configuration on a free port; it does not run yet.
    #[must_use]
    pub fn make(name: &str) -> Self {
        Self::of(OrgHome::make(name))
    }

    /// The same for a data directory that is made already.
    #[must_use]
    pub fn of(home: OrgHome) -> Self {
        let address = format!("127.0.0.1:{}", free_port().expect("a free port"));
        let desk = tempfile::tempdir().expect("a directory");
        Self { home, api: Api::new(&address), under: Vec::new(), binary: binary(), child: None, desk }
    }

    /// Where the daemon's words go.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.desk.path().join("daemon.log")
    }

    /// Starts the daemon and waits until its API answers.
    ///
    /// # Panics
    /// It ends instead.
    pub fn start(&mut self, broker: &str) {
        if let Err(ended) = self.try_start(broker, &[]) {
            panic!("the daemon ended with {:?}:\n{}", ended.code, ended.said);
        }
    }

    /// Starts the daemon with more options, and waits until its API answers.
    ///
    /// # Errors
    /// It ended instead.
    pub fn try_start(&mut self, broker: &str, options: &[&str]) -> Result<(), Ended> {
        // Between fork and exec, a child of another test holds whatever this process had open: the
        // lock of a log, too, if a test has just read it. That is over in a moment.
        let end = Instant::now() + LOCK_REMNANT;
        loop {
            match self.start_once(broker, options) {
                Err(ended) if ended.said.contains("is open already") && Instant::now() < end => {}
                started => return started,
            }
        }
    }

    fn start_once(&mut self, broker: &str, options: &[&str]) -> Result<(), Ended> {
        let before = self.log().len();
        let log = File::options().create(true).append(true).open(self.log_path()).expect("a log file");
        let config = self.write_config("tieline.toml", broker, &self.api.address);
        self.child = Some(serve(&self.under, &self.binary, &config, options, log));
        let end = Instant::now() + PATIENCE;
        while self.api.get("/healthz").is_err() {
            let status = self.child.as_mut().and_then(|child| child.try_wait().ok()).flatten();
            if let Some(status) = status {
                self.child = None;
                let said = self.log().get(before..).unwrap_or_default().to_owned();
                return Err(Ended { code: status.code(), said });
            }
            assert!(Instant::now() < end, "the daemon does not answer:\n{}", self.log());
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// Starts a second daemon on the same data directory, with an address of its own, which has to
    /// end by itself.
    ///
    /// # Panics
    /// It does not.
    #[must_use]
    pub fn second(&self, broker: &str) -> Ended {
        let address = format!("127.0.0.1:{}", free_port().expect("a free port"));
        let path = self.desk.path().join("second.log");
        let config = self.write_config("second.toml", broker, &address);
        let mut child = serve(&[], &self.binary, &config, &[], File::create(&path).expect("a log file"));
        let end = Instant::now() + PATIENCE;
        loop {
            let said = std::fs::read_to_string(&path).unwrap_or_default();
            if let Some(status) = child.try_wait().expect("a child") {
                return Ended { code: status.code(), said };
            }
            if Instant::now() > end {
                child.kill().expect("killed");
                panic!("the second daemon does not end:\n{said}");
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn write_config(&self, name: &str, broker: &str, listen: &str) -> PathBuf {
        let broker = broker.trim_start_matches("nats://");
        let config = format!(
            "data_dir = {:?}\n[broker]\nurl = {broker:?}\n[http]\nlisten = {listen:?}\n[store]\nmin_free_bytes = 16777216\n",
            self.home.path()
        );
        let path = self.desk.path().join(name);
        std::fs::write(&path, config).expect("a configuration");
        path
    }

    /// Everything that the daemon has said.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// The process id of the running daemon.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("a running daemon").id()
    }

    /// Ends the daemon at once, as a power failure of the process would.
    pub fn kill9(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("killed");
            child.wait().expect("ended");
        }
    }

    /// Asks the daemon to stop and waits until it has.
    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        signal(child.id(), "TERM");
        let status = child.wait().expect("an end");
        assert!(status.success(), "the daemon ended with {status}:\n{}", self.log());
    }

    /// Whether the daemon has ended by itself, and how.
    #[must_use]
    pub fn ended(&mut self) -> Option<Ended> {
        let status = self.child.as_mut()?.try_wait().expect("a child")?;
        self.child = None;
        Some(Ended { code: status.code(), said: self.log() })
    }

    /// Waits for so long at most until the daemon ends by itself.
    pub fn ends_within(&mut self, time: Duration) -> Option<Ended> {
        let end = Instant::now() + time;
        loop {
            let ended = self.ended();
            if ended.is_some() || Instant::now() > end {
                return ended;
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Freezes the daemon: connections stay open and nothing is answered.
    pub fn freeze(&self) {
        signal(self.pid(), "STOP");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        signal(self.pid(), "CONT");
    }

    /// The most memory, in bytes, that the running daemon has taken so far.
    #[must_use]
    pub fn memory_peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
        kib.expect("the memory of a running daemon") << 10
    }

    /// CPU seconds, user and system, that the daemon has used.
    #[must_use]
    pub fn cpu_seconds(&self) -> f64 {
        cpu_seconds(&self.pid().to_string())
    }

    /// Bytes of all files below `path` of the data directory.
    #[must_use]
    pub fn disk_bytes(&self, path: &str) -> u64 {
        disk_bytes(&self.home.path().join(path))
    }
}

impl Drop for OrgProcess {
    fn drop(&mut self) {
        self.kill9();
    }
}

/// Sends a signal to a process of our own: std can send none but KILL.
fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status();
    assert!(sent.expect("a signal").success(), "SIG{name} was not sent");
}

/// Runs `tieline serve` under `under`, which says everything into `log`.
fn serve(under: &[String], binary: &Path, config: &Path, options: &[&str], log: File) -> Child {
    let mut command = match under.split_first() {
        None => Command::new(binary),
        Some((first, rest)) => {
            let mut command = Command::new(first);
            command.args(rest).arg(binary);
            command
        }
    };
    command
        .args(["serve", "--config"])
        .arg(config)
        .args(options)
        // As `deploy/systemd` has it.
        .env("MIMALLOC_PURGE_DELAY", "60000")
        .env("MIMALLOC_ALLOW_THP", "0")
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a handle"))
        .stderr(log)
        .spawn()
        .expect("a daemon")
}

fn disk_bytes(path: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else { return path.metadata().map_or(0, |file| file.len()) };
    entries.flatten().map(|entry| disk_bytes(&entry.path())).sum()
}

/// CPU seconds, user and system, of a process (`self` for this one).
#[must_use]
pub fn cpu_seconds(pid: &str) -> f64 {
    // Linux counts in hundredths of a second on every architecture that it supports today.
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<f64> = after_name.split_whitespace().map(|field| field.parse().unwrap_or(0.0)).collect();
    (fields.get(11).unwrap_or(&0.0) + fields.get(12).unwrap_or(&0.0)) / TICKS
}

/// A whole answer, good or bad.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: ureq::http::HeaderMap,
    /// The body; a text if it is no JSON.
    pub body: Json,
}

/// A client of one daemon's API, as the administrator if nothing else is said.
#[derive(Clone)]
pub struct Api {
    address: String,
    token: String,
    agent: ureq::Agent,
}

/// An answer that is not a success.
#[derive(Debug)]
pub struct Problem {
    /// The HTTP status; zero if there was no answer.
    pub status: u16,
    /// The problem document, or the reason why there was no answer.
    pub body: Json,
}

impl Api {
    /// The API of a daemon at this address, for the administrator of a test.
    #[must_use]
    pub fn new(address: &str) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
        Self { address: address.to_owned(), token: TOKEN.to_owned(), agent: config.build().into() }
    }

    /// The same API for the user who holds this token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// The base of all URLs.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Reads something.
    ///
    /// # Errors
    /// The daemon answered with a problem, or not at all.
    pub fn get(&self, path: &str) -> Result<Json, Problem> {
        let request = self.agent.get(format!("{}{path}", self.url()));
        Self::answer(request.header("authorization", format!("Bearer {}", self.token)).call())
    }

    /// Reads a text.
    ///
    /// # Panics
    /// There is no such text.
    #[must_use]
    pub fn text(&self, path: &str) -> String {
        let mut answer = self.agent.get(format!("{}{path}", self.url())).call().expect("an answer");
        answer.body_mut().read_to_string().expect("a text")
    }

    /// Sends JSON with `method`.
    ///
    /// # Errors
    /// The daemon answered with a problem, or not at all.
    pub fn send(&self, method: &str, path: &str, body: &Json) -> Result<Json, Problem> {
        self.send_bytes(method, path, "application/json", &body.to_string().into_bytes())
    }

    /// Sends bytes with `method`.
    ///
    /// # Errors
    /// The daemon answered with a problem, or not at all.
    pub fn send_bytes(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> Result<Json, Problem> {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url()))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", kind)
            .body(body)
            .expect("a request");
        Self::answer(self.agent.run(request))
    }

    /// Sends a request exactly as it is given, with no header of our own.
    ///
    /// # Panics
    /// There is no answer.
    #[must_use]
    pub fn raw(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.url()));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let mut answer = self.agent.run(request.body(body).expect("a request")).expect("an answer");
        let text = answer.body_mut().read_to_string().expect("a text");
        let body = serde_json::from_str(&text).unwrap_or(Json::String(text));
        Answer { status: answer.status().as_u16(), headers: answer.headers().clone(), body }
    }

    /// The sum of a metric over its series that have all these labels; zero if there is none.
    #[must_use]
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let wanted: Vec<String> =
            labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        let text = self.text("/metrics");
        let series = text.lines().filter_map(|line| line.strip_prefix(name)?.rsplit_once(' '));
        let meant = |at: &str| {
            at.is_empty() && wanted.is_empty()
                || at.starts_with('{') && wanted.iter().all(|label| at.contains(label))
        };
        series.filter(|(at, _)| meant(at)).filter_map(|(_, value)| value.parse::<f64>().ok()).sum()
    }

    /// Sends JSON that has to be taken.
    ///
    /// # Panics
    /// It is not.
    pub fn must(&self, method: &str, path: &str, body: &Json) -> Json {
        self.send(method, path, body).unwrap_or_else(|problem| panic!("{method} {path}: {problem:?}"))
    }

    fn answer(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Json, Problem> {
        let mut answer = answer.map_err(|error| Problem { status: 0, body: json!(error.to_string()) })?;
        let status = answer.status();
        let mut text = String::new();
        let read = io::Read::read_to_string(&mut answer.body_mut().as_reader(), &mut text);
        read.map_err(|error| Problem { status: 0, body: json!(error.to_string()) })?;
        let body = serde_json::from_str(&text).unwrap_or(Json::String(text));
        if status.is_success() { Ok(body) } else { Err(Problem { status: status.as_u16(), body }) }
    }

    /// Looks at `path` until `look` finds something in it.
    ///
    /// # Panics
    /// It does not in time.
    pub fn until<T>(&self, what: &str, path: &str, look: impl Fn(&Json) -> Option<T>) -> T {
        self.until_answer(what, path, |answer| answer.as_ref().ok().and_then(&look))
    }

    /// Asks `path` until `look` finds something in the answer, be it good or bad.
    ///
    /// # Panics
    /// It does not in time.
    pub fn until_answer<T>(
        &self,
        what: &str,
        path: &str,
        look: impl Fn(&Result<Json, Problem>) -> Option<T>,
    ) -> T {
        let mut seen = Err(Problem { status: 0, body: Json::Null });
        let found = look_until(|| {
            seen = self.get(path);
            look(&seen)
        });
        found.unwrap_or_else(|| panic!("{what} did not happen in time; {path} shows {seen:?}"))
    }
}

/// Looks at something that only polling can see until it is there.
///
/// # Panics
/// It is not in time.
pub fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    look_until(look).unwrap_or_else(|| panic!("{what} did not happen in time"))
}

/// What `look` finds in time, where only polling can see it.
pub fn look_until<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + PATIENCE;
    loop {
        let found = look();
        if found.is_some() || Instant::now() > end {
            return found;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Invites and accepts over the API, and waits until both sides are active. The connection's id.
pub fn connect(inviter: &Api, invited: &Api) -> String {
    connect_by_url(inviter, invited).0
}

/// The same, and the connection URL, in which the secret of the connection lies.
pub fn connect_by_url(inviter: &Api, invited: &Api) -> (String, String) {
    let invitation = inviter.must("POST", "/v1/invitations", &json!({}));
    let text = |key: &str| invitation[key].as_str().expect("a text").to_owned();
    let (id, url) = (text("connection"), text("url"));
    invited.must("POST", "/v1/invitations/answer", &json!({ "url": url, "accept": true }));
    for api in [inviter, invited] {
        api.until("an active connection", &format!("/v1/connections/{id}"), |seen| {
            (seen["summary"]["status"] == "active").then_some(())
        });
    }
    (id, url)
}
