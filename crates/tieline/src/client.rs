//! Requests to a daemon's HTTP API.
//!
//! A [`Client`] knows where the daemon is and which token to show. Answers come back as JSON, as
//! the API documents them; whatever is not a success becomes a [`CliError`]. Nothing is retried
//! here: a write whose answer was lost may have been done, and only the caller knows what to say. With
//! a key ([`Client::with_key`]) it can be sent again.

use std::cell::Cell;
use std::io::{BufRead, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;
use tieline_core::RequestKey;
use ureq::http::Response;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, RequestBuilder};

use crate::error::{CliError, Kind, Result};

/// Longest answer that is taken: a page of 1,000 of the largest records.
const ANSWER_BYTES_MAX: u64 = 512 << 20;
/// Where Debian keeps the authorities that the system trusts.
const SYSTEM_CA_FILE: &str = "/etc/ssl/certs/ca-certificates.crt";
/// How long to wait for the daemon to take a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait for an answer to begin. The slowest are verifying and narrowing.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(600);

/// A daemon's API, and the token of a user.
pub(crate) struct Client {
    agent: Agent,
    base: String,
    token: Option<String>,
    key: Option<RequestKey>,
    /// Changes that were sent.
    sent: Cell<u32>,
}

/// Query parameters: those without a value are left out.
pub(crate) type Query<'a> = &'a [(&'a str, Option<String>)];

impl Client {
    /// A client for the daemon at `base`, as `http://127.0.0.1:7400`. At `https://` its certificate has to
    /// come from an authority in `ca_file`, or in the file of the system.
    pub(crate) fn new(base: &str, token: Option<String>, ca_file: Option<&Path>) -> Result<Self> {
        let mut config = Agent::config_builder();
        if base.starts_with("https://") {
            config = config.tls_config(trusting(ca_file.unwrap_or_else(|| Path::new(SYSTEM_CA_FILE)))?);
        } else if !base.starts_with("http://") {
            return Err(CliError::usage(format!("{base:?} is not the address of a daemon"))
                .hint("Write it as http://127.0.0.1:7400 or https://acme.example:7400"));
        }
        let agent = config
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(ANSWER_TIMEOUT))
            // A daemon answers itself: a redirect or a proxy would get the token.
            .max_redirects(0)
            .proxy(None)
            .user_agent(concat!("tieline/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        let base = base.trim_end_matches('/').to_owned();
        Ok(Self { agent, base, token, key: None, sent: Cell::new(0) })
    }

    /// This client, whose changes are named by `key` and their number: sent again in the same order,
    /// they are not done again.
    pub(crate) fn with_key(mut self, key: Option<RequestKey>) -> Self {
        self.key = key;
        self
    }

    /// What names the changes of this client.
    pub(crate) const fn key(&self) -> Option<&RequestKey> {
        self.key.as_ref()
    }

    /// `GET`.
    pub(crate) fn get(&self, path: &str, query: Query<'_>) -> Result<Json> {
        let sent = self.agent.get(self.url(path, query)).header("Authorization", self.bearer()).call();
        self.answer(sent)
    }

    /// `POST` with a JSON body.
    pub(crate) fn post(&self, path: &str, body: &Json) -> Result<Json> {
        let request = self.change(self.agent.post(self.url(path, &[])));
        self.answer(request.send_json(body))
    }

    /// `PUT` with a JSON body.
    pub(crate) fn put(&self, path: &str, body: &Json) -> Result<Json> {
        let request = self.change(self.agent.put(self.url(path, &[])));
        self.answer(request.send_json(body))
    }

    /// `PUT` of a text, as `application/toml`.
    pub(crate) fn put_toml(&self, path: &str, body: &str) -> Result<Json> {
        let request = self.change(self.agent.put(self.url(path, &[])));
        self.answer(request.content_type("application/toml").send(body))
    }

    /// `POST` with a TOML body.
    pub(crate) fn post_toml(&self, path: &str, body: &str) -> Result<Json> {
        let request = self.change(self.agent.post(self.url(path, &[])));
        self.answer(request.content_type("application/toml").send(body))
    }

    /// `PATCH` with a JSON body.
    pub(crate) fn patch(&self, path: &str, body: &Json) -> Result<Json> {
        let request = self.change(self.agent.patch(self.url(path, &[])));
        self.answer(request.send_json(body))
    }

    /// `DELETE`.
    pub(crate) fn delete(&self, path: &str) -> Result<Json> {
        let request = self.change(self.agent.delete(self.url(path, &[])));
        self.answer(request.call())
    }

    /// `GET` of an answer that goes on: its lines as they come.
    pub(crate) fn lines(&self, path: &str, query: Query<'_>) -> Result<impl BufRead + use<>> {
        self.bytes(path, query).map(std::io::BufReader::new)
    }

    /// `GET` of an answer of any length, as it comes.
    pub(crate) fn bytes(&self, path: &str, query: Query<'_>) -> Result<impl Read + use<>> {
        let request = self.agent.get(self.url(path, query)).header("Authorization", self.bearer());
        let mut response = request.call().map_err(|error| self.unreachable(&error))?;
        if !response.status().is_success() {
            return Err(self.refusal(&mut response));
        }
        Ok(response.into_body().into_with_config().limit(u64::MAX).reader())
    }

    fn url(&self, path: &str, query: Query<'_>) -> String {
        let given = query.iter().filter_map(|(key, value)| Some((key, value.as_ref()?)));
        let pairs: Vec<String> =
            given.map(|(key, value)| format!("{}={}", escaped(key), escaped(value))).collect();
        let mark = if pairs.is_empty() { "" } else { "?" };
        format!("{}{path}{mark}{}", self.base, pairs.join("&"))
    }

    /// A request to change something.
    fn change<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        let request = request.header("Authorization", self.bearer());
        let Some(key) = &self.key else { return request };
        let number = self.sent.replace(self.sent.get() + 1);
        request
            .header("Idempotency-Key", if number == 0 { key.to_string() } else { format!("{key}/{number}") })
    }

    fn bearer(&self) -> String {
        self.token.as_ref().map_or_else(String::new, |token| format!("Bearer {token}"))
    }

    fn answer(&self, sent: Result<Response<Body>, ureq::Error>) -> Result<Json> {
        let mut response = sent.map_err(|error| self.unreachable(&error))?;
        if !response.status().is_success() {
            return Err(self.refusal(&mut response));
        }
        let read = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let body = read.map_err(|error| self.unreachable(&error))?;
        if body.is_empty() {
            return Ok(Json::Null);
        }
        serde_json::from_slice(&body).map_err(|error| {
            CliError::new(Kind::Internal, format!("The server at {} does not answer in JSON", self.base))
                .caused_by(&error)
                .hint("Check that --api, or http.listen in the configuration, names a Tieline daemon")
        })
    }

    fn refusal(&self, response: &mut Response<Body>) -> CliError {
        // Without a body the status alone has to do.
        let body = response.body_mut().with_config().limit(1 << 20).read_to_vec().unwrap_or_default();
        CliError::from_answer(response.status().as_u16(), &body)
    }

    fn unreachable(&self, error: &ureq::Error) -> CliError {
        CliError::new(Kind::NotReachable, format!("The daemon at {} does not answer", self.base))
            .caused_by(error)
            .hint("Start it with tieline serve, or name another one with --data or --api")
    }
}

/// TLS that trusts the authorities in a file, and nobody else.
fn trusting(ca_file: &Path) -> Result<TlsConfig> {
    let failed = |error: &dyn std::error::Error| {
        CliError::usage(format!("{} cannot be read as certificates", ca_file.display())).caused_by(error)
    };
    let pem = std::fs::read(ca_file).map_err(|error| {
        failed(&error).hint("Name the file with the certificate of the authority with --ca-file")
    })?;
    let mut roots = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| failed(&error))? {
            roots.push(certificate);
        }
    }
    if roots.is_empty() {
        return Err(CliError::usage(format!(
            "{} does not hold a certificate in PEM form",
            ca_file.display()
        ))
        .hint("Name the file with the certificate of the authority with --ca-file"));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = RootCerts::Specific(Arc::new(roots));
    Ok(TlsConfig::builder().root_certs(roots).unversioned_rustls_crypto_provider(provider).build())
}

/// The path of an API resource: `segments` below `/v1`, escaped.
pub(crate) fn path<const N: usize>(segments: [&str; N]) -> String {
    segments.iter().fold("/v1".to_owned(), |path, segment| path + "/" + &escaped(segment))
}

/// `text` with everything but unreserved characters percent-encoded (RFC 3986).
fn escaped(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

/// A token from a file, which has it in one line.
pub(crate) fn read_token(file: &Path) -> Result<String> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        CliError::usage(format!("The token in {} cannot be read", file.display()))
            .caused_by(&error)
            .hint("Name the file of a token with --token-file, or pass the token in TIELINE_TOKEN")
    })?;
    let token = text.trim();
    if token.is_empty() || token.bytes().any(|byte| !byte.is_ascii_graphic()) {
        return Err(CliError::usage(format!("{} does not hold a token", file.display()))
            .hint("A token is one word that begins with tl_; make one with tieline token create"));
    }
    Ok(token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_queries_are_escaped() {
        assert_eq!(
            path(["connections", "Ann & Bob/1", "publish"]),
            "/v1/connections/Ann%20%26%20Bob%2F1/publish"
        );
        let client = Client::new("http://h:1/", None, None).unwrap();
        let query = [("a", Some("ü=&".to_owned())), ("b", None), ("c", Some("1".to_owned()))];
        assert_eq!(client.url("/v1/log", &query), "http://h:1/v1/log?a=%C3%BC%3D%26&c=1");
        assert_eq!(client.url("/v1/log", &[("b", None)]), "http://h:1/v1/log");
    }

    #[test]
    fn an_address_is_http_or_https_with_an_authority() {
        for (base, problem) in [
            ("https://h", "/nowhere cannot be read as certificates"),
            ("h:1", "is not the address"),
            ("", "is not the address"),
        ] {
            let error = Client::new(base, None, Some(Path::new("/nowhere"))).err().unwrap();
            assert!(error.message().contains(problem), "{error}");
            assert_eq!(error.kind, Kind::Usage);
        }
    }

    #[test]
    fn nobody_listens() {
        // A port that was just free: bound, and given back.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let error = Client::new(&format!("http://127.0.0.1:{port}"), None, None)
            .unwrap()
            .get("/v1/status", &[])
            .unwrap_err();
        assert_eq!(error.kind, Kind::NotReachable);
        assert!(error.to_string().contains("because: "), "{error}");
    }

    #[test]
    fn a_token_is_one_word() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        for (text, token) in [("tl_a\n", Some("tl_a")), ("", None), ("a b", None), ("a\r\nb", None)] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(read_token(&file).ok().as_deref(), token, "{text:?}");
        }
        assert_eq!(read_token(&dir.path().join("none")).unwrap_err().kind, Kind::Usage);
    }
}
