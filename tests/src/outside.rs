//! What a daemon sends to, for tests: a real SMTP server (`deploy/smtp-server.sh`) and a listener
//! for webhooks, both on loopback and on a port of their own.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value as Json;
use tokio::sync::watch;

use crate::live::PATIENCE;
use crate::nats::free_port;

/// An SMTP server, as a process.
pub struct SmtpServer {
    port: u16,
    arguments: Vec<String>,
    child: Option<Child>,
    mails: Arc<watch::Sender<Vec<Json>>>,
}

impl SmtpServer {
    /// Starts one that takes mails from everybody.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one with further arguments of `tests/smtp/server.py`: certificate, key, user, password.
    #[must_use]
    pub fn start_with(arguments: &[&str]) -> Self {
        let mut server = Self::prepare(arguments);
        server.restart();
        server
    }

    /// One that has a port, but does not run yet.
    #[must_use]
    pub fn prepare(arguments: &[&str]) -> Self {
        let port = free_port().expect("a free port");
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Self { port, arguments, child: None, mails: Arc::new(watch::Sender::new(Vec::new())) }
    }

    /// Starts it, again if it ran before, and waits until it listens.
    pub fn restart(&mut self) {
        self.stop();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let packages = Command::new(root.join("../deploy/smtp-server.sh")).output().expect("the script runs");
        assert!(packages.status.success(), "{}", String::from_utf8_lossy(&packages.stderr));
        let packages = String::from_utf8_lossy(&packages.stdout).trim().to_owned();
        let mut child = Command::new("python3")
            .arg(root.join("smtp/server.py"))
            .arg(self.port.to_string())
            .args(&self.arguments)
            .env("PYTHONPATH", packages)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3");
        let mut said = BufReader::new(child.stdout.take().expect("its output"));
        let mut ready = String::new();
        said.read_line(&mut ready).expect("a line");
        assert!(ready.contains("ready"), "the SMTP server did not start: {ready}");
        let mails = self.mails.clone();
        thread::spawn(move || {
            for line in said.lines().map_while(Result::ok) {
                let mail = serde_json::from_str(&line).expect("a mail as JSON");
                mails.send_modify(|mails| mails.push(mail));
            }
        });
        self.child = Some(child);
    }

    /// Ends it; its port stays its own.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Everything it has received.
    #[must_use]
    pub fn mails(&self) -> Vec<Json> {
        self.mails.borrow().clone()
    }

    /// The first mail that `is_it` takes, once it is there.
    pub async fn mail(&self, is_it: impl Fn(&Json) -> bool + Send + Sync) -> Json {
        let mut mails = self.mails.subscribe();
        let found = tokio::time::timeout(PATIENCE, mails.wait_for(|mails| mails.iter().any(&is_it))).await;
        let mails =
            found.unwrap_or_else(|_| panic!("no such mail among {:?}", self.mails())).expect("a server");
        mails.iter().find(|mail| is_it(mail)).expect("it was found").clone()
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// One request that a listener took.
#[derive(Debug, Clone)]
pub struct Posted {
    /// The first line.
    pub line: String,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Posted {
    /// The value of a header; empty if it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

/// A listener for webhooks in this process.
pub struct HookListener {
    port: u16,
    scheme: &'static str,
    posted: Arc<watch::Sender<Vec<Posted>>>,
    answers: Arc<Mutex<VecDeque<String>>>,
}

impl HookListener {
    /// Starts one that answers 200, unless [`HookListener::answer`] says something else.
    #[must_use]
    pub fn start() -> Self {
        Self::listen("http", take)
    }

    /// The same over TLS, with a certificate and its key in PEM files.
    #[must_use]
    pub fn start_tls(certificate: &Path, key: &Path) -> Self {
        let chain = CertificateDer::pem_file_iter(certificate).expect("a certificate");
        let chain = chain.map(|one| one.expect("a certificate")).collect();
        let key = PrivateKeyDer::from_pem_file(key).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("the certificate of the key");
        let config = Arc::new(config);
        Self::listen("https", move |stream, answer| {
            let connection = ServerConnection::new(config.clone()).ok()?;
            take(StreamOwned::new(connection, stream), answer)
        })
    }

    fn listen(
        scheme: &'static str,
        take: impl Fn(TcpStream, &str) -> Option<Posted> + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a listener");
        let port = listener.local_addr().expect("an address").port();
        let (posted, answers) =
            (Arc::new(watch::Sender::new(Vec::new())), Arc::<Mutex<VecDeque<String>>>::default());
        let (keep, next) = (posted.clone(), answers.clone());
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let answer = next.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                if let Some(taken) = take(stream, &answer.unwrap_or_else(|| "200 OK".to_owned())) {
                    keep.send_modify(|posted: &mut Vec<Posted>| posted.push(taken));
                }
            }
        });
        Self { port, scheme, posted, answers }
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}/hook?token=x", self.scheme, self.port)
    }

    /// What it answers next, as `503 Service Unavailable`, with further headers after a line break.
    pub fn answer(&self, status: &str) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).push_back(status.to_owned());
    }

    /// Everything it has taken.
    #[must_use]
    pub fn posted(&self) -> Vec<Posted> {
        self.posted.borrow().clone()
    }

    /// The first `count` requests, once they are there.
    pub async fn requests(&self, count: usize) -> Vec<Posted> {
        let mut posted = self.posted.subscribe();
        let found = tokio::time::timeout(PATIENCE, posted.wait_for(|posted| posted.len() >= count)).await;
        found.unwrap_or_else(|_| panic!("only {:?}", self.posted())).expect("a listener").clone()
    }
}

fn take(mut stream: impl Read + Write, answer: &str) -> Option<Posted> {
    let mut reader = BufReader::new(&mut stream);
    let mut next = || {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        Some(line.trim_end().to_owned())
    };
    let line = next()?;
    let mut headers = Vec::new();
    while let Some(header) = next().filter(|header| !header.is_empty()) {
        let (name, value) = header.split_once(':')?;
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length")?.1.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    write!(stream, "HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n").ok()?;
    stream.flush().ok()?;
    Some(Posted { line, headers, body: String::from_utf8(body).ok()? })
}
