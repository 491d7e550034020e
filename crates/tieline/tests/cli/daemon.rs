//! Runs the binary, and a daemon with it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value as Json;

/// The binary with an empty environment, so that nothing of this machine leaks in.
pub(crate) fn tieline() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tieline"));
    command.env_clear().stdin(Stdio::null());
    command
}

/// Runs the binary: exit code, standard output, standard error.
pub(crate) fn run(arguments: &[&str]) -> (i32, String, String) {
    told(&tieline().args(arguments).output().unwrap())
}

fn told(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// An org with its daemon, stopped and removed when dropped.
pub(crate) struct Org {
    home: tempfile::TempDir,
    daemon: Option<Child>,
}

impl Org {
    /// Makes an org and starts its daemon.
    pub(crate) fn start() -> Self {
        let mut org = Self { home: tempfile::tempdir().unwrap(), daemon: None };
        let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        // Held together, so that the two differ.
        let (listen, broker) = (free(), free());
        let address = |port: &std::net::TcpListener| port.local_addr().unwrap().to_string();
        let (listen_at, broker_at) = (address(&listen), address(&broker));
        drop((listen, broker));
        let made = org.run(&[
            "init", "--org", "acme", "--admin", "ann", "--listen", &listen_at, "--broker", &broker_at,
        ]);
        assert_eq!(made.0, 0, "{}", made.2);
        org.serve();
        org
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// A file beside the data directory.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.home.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    /// Starts the daemon and waits until it serves.
    pub(crate) fn serve(&mut self) {
        let mut daemon =
            tieline().arg("serve").arg("--data").arg(self.data()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(daemon.stderr.take().unwrap()).lines().map(Result::unwrap);
        let told: Vec<String> = lines.by_ref().take_while(|line| !line.contains("serving")).collect();
        assert!(daemon.try_wait().unwrap().is_none(), "the daemon did not start: {told:#?}");
        // What it tells later is read and dropped, so that it never waits for room in the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        self.daemon = Some(daemon);
    }

    /// Stops the daemon as a supervisor does, and gives its exit code.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        let mut daemon = self.daemon.take()?;
        let killed = Command::new("kill").arg(daemon.id().to_string()).status().unwrap();
        assert!(killed.success());
        daemon.wait().unwrap().code()
    }

    /// Kills the daemon, as a power cut would end it.
    pub(crate) fn kill(&mut self) {
        let mut daemon = self.daemon.take().unwrap();
        daemon.kill().unwrap();
        daemon.wait().unwrap();
    }

    /// Runs the binary on this org.
    pub(crate) fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        told(&self.command(arguments).output().unwrap())
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = tieline();
        command.env("TIELINE_DATA", self.data()).args(arguments);
        command
    }

    /// Runs the binary, which has to succeed, and reads the JSON that it prints.
    pub(crate) fn json(&self, arguments: &[&str]) -> Json {
        let (code, out, err) = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(code, 0, "{arguments:?}: {err}");
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {out}"))
    }
}

impl Drop for Org {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill().ok();
            daemon.wait().ok();
        }
    }
}

pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}
