//! A real daemon in this process, without a broker, and a client that can send any bytes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use serde_json::Value as Json;
use tempfile::TempDir;
use tieline_bus::OrgKeys;
use tieline_core::command::Command;
use tieline_daemon::config::Config;
use tieline_daemon::{Daemon, init, keys_dir};

/// A daemon of the org `acme`, its administrator's token, and the directory that goes with it.
pub(crate) struct Org {
    daemon: Option<Daemon>,
    runtime: tokio::runtime::Runtime,
    pub(crate) token: String,
    address: SocketAddr,
    data: TempDir,
    config: Config,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: String,
    body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The value of a header; names are lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The stable code of a problem, with the reasons' codes and fields.
    pub(crate) fn problem(&self) -> (u16, String, Vec<(String, String)>) {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.text());
        let json = self.json();
        assert_eq!(json["status"], self.status, "{json}");
        assert_eq!(json["type"], format!("/errors/{}", json["code"].as_str().unwrap()), "{json}");
        assert!(!json["detail"].as_str().unwrap().is_empty(), "{json}");
        let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
        let reasons = json["reasons"].as_array().into_iter().flatten();
        let reasons = reasons.map(|reason| (text(&reason["code"]), text(&reason["field"]))).collect();
        (self.status, text(&json["code"]), reasons)
    }
}

/// An open stream of server-sent events.
pub(crate) struct Follower(BufReader<TcpStream>);

impl Follower {
    /// The next line, or nothing when the stream has ended.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).unwrap_or(0);
        (read > 0).then(|| line.trim_end().to_owned())
    }

    /// The value of the next line of this field.
    pub(crate) fn next(&mut self, field: &str) -> String {
        let prefix = format!("{field}: ");
        loop {
            let line = self.line().expect("the stream goes on");
            if let Some(value) = line.strip_prefix(&prefix) {
                return value.to_owned();
            }
        }
    }

    /// The body of the next event of this name.
    pub(crate) fn event(&mut self, name: &str) -> Json {
        while self.next("event") != name {}
        let data: Json = serde_json::from_str(&self.next("data")).unwrap();
        data["body"].clone()
    }

    /// Reads on until the stream ends.
    pub(crate) fn end(&mut self) {
        while self.line().is_some() {}
    }
}

impl Org {
    pub(crate) fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let token = init::new_token().unwrap();
        let name: tieline_core::OrgName = "acme".parse().unwrap();
        OrgKeys::generate(name.clone()).unwrap().save(&keys_dir(data.path())).unwrap();
        let mut new = init::NewOrg::new(name, "ann".parse().unwrap());
        new.settings.connection_licences = Some(50);
        init::create_org(data.path(), new, &token).unwrap();
        // Nobody listens there: the daemon has to work without a broker.
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut config = Config::defaults().unwrap();
        config.data_dir = data.path().to_owned();
        config.broker.url = closed.to_string().parse().unwrap();
        config.http.listen = "127.0.0.1:0".parse().unwrap();
        config.store.min_free_bytes = 16 << 20;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let daemon = runtime.block_on(Daemon::start(&config, false)).unwrap();
        let address = daemon.address();
        Self { daemon: Some(daemon), runtime, token, address, data, config }
    }

    /// Stops the daemon and starts it again with another configuration.
    pub(crate) fn restart(&mut self, change: impl FnOnce(&mut Config)) {
        self.stop();
        change(&mut self.config);
        let daemon = self.runtime.block_on(Daemon::start(&self.config, false)).unwrap();
        self.address = daemon.address();
        self.daemon = Some(daemon);
    }

    /// Its data directory.
    pub(crate) fn dir(&self) -> &std::path::Path {
        self.data.path()
    }

    /// Sends bytes as they are, and reads to the end.
    pub(crate) fn raw(&self, request: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        // A server that refuses a body closes while it is sent: what it answered can be read all
        // the same.
        stream.write_all(request).ok();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).ok();
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("an answer with headers");
        let headers = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = headers.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, headers: headers.to_lowercase(), body: bytes[end + 4..].to_vec() }
    }

    fn head(&self, method: &str, path: &str, media_type: &str, length: usize) -> Vec<u8> {
        let token = &self.token;
        format!(
            "{method} {path} HTTP/1.1\r\nHost: acme\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n"
        )
        .into_bytes()
    }

    /// Sends a JSON body with an idempotency key.
    pub(crate) fn keyed(&self, key: &str, method: &str, path: &str, body: &Json) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut request = self.head(method, path, "application/json", body.len());
        request.truncate(request.len() - 2);
        request.extend_from_slice(format!("Idempotency-Key: {key}\r\n\r\n{body}").as_bytes());
        self.raw(&request)
    }

    pub(crate) fn send(&self, method: &str, path: &str, media_type: &str, body: &[u8]) -> Answer {
        let mut request = self.head(method, path, media_type, body.len());
        request.extend_from_slice(body);
        self.raw(&request)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "application/json", b"")
    }

    pub(crate) fn post(&self, path: &str, body: &Json) -> Answer {
        self.send("POST", path, "application/json", body.to_string().as_bytes())
    }

    pub(crate) fn put(&self, path: &str, body: &Json) -> Answer {
        self.send("PUT", path, "application/json", body.to_string().as_bytes())
    }

    pub(crate) fn patch(&self, path: &str, body: &Json) -> Answer {
        self.send("PATCH", path, "application/json", body.to_string().as_bytes())
    }

    /// Asks, and reads no more of the answer than its status: what streams does not end.
    pub(crate) fn status_of(&self, method: &str, path: &str) -> u16 {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(&self.head(&method.to_uppercase(), path, "text/plain", 0)).unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        line.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// Executes a command, as the API would.
    pub(crate) fn execute(&self, actor: &str, command: Command) -> tieline_core::command::Reply {
        let org = self.daemon.as_ref().unwrap().handle();
        self.runtime.block_on(org.execute(command, &actor.parse().unwrap())).unwrap().reply
    }

    /// Creates a lead and answers its id.
    pub(crate) fn lead(&self, fields: &Json) -> String {
        let answer = self.post("/v1/records/Lead", &serde_json::json!({ "fields": fields }));
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    /// A connection with the label `label` that the org `partner` has accepted, as its hello would
    /// say; answers its id. Nothing is heard of the partner: there is no broker.
    pub(crate) fn connect(&self, label: &str, partner: &str) -> String {
        let made = self.post("/v1/invitations", &serde_json::json!({ "label": label })).json();
        let id = made["connection"].as_str().unwrap().to_owned();
        let hello = Command::TakeHello {
            connection: id.parse().unwrap(),
            from: partner.parse().unwrap(),
            accept: true,
            user: "bob".parse().unwrap(),
            public_key: [9; 32],
            incarnation: tieline_core::Incarnation(1),
            by: None,
        };
        self.execute(tieline_core::UserName::connection_user().as_str(), hello);
        id
    }

    /// Opens a stream of the log. When it is handed over it has begun: what happens from now on is
    /// in it.
    pub(crate) fn follow(&self, path: &str) -> Follower {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(&self.head("GET", path, "text/plain", 0)).unwrap();
        let mut follower = Follower(BufReader::new(stream));
        assert_eq!(follower.next("content-type"), "text/event-stream");
        follower
    }

    /// Stops the daemon and waits until it has.
    pub(crate) fn stop(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            self.runtime.block_on(daemon.stop());
        }
    }
}

impl Drop for Org {
    fn drop(&mut self) {
        self.stop();
    }
}
