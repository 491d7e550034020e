//! Webhooks: one POST on a connection of its own, signed, bounded in time, never redirected.
//!
//! The name is resolved here, each address is looked at by [`guard`], and the connection goes to an
//! address that passed: nothing resolves the name again in between.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use hmac::{Hmac, Mac};
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use sha2::Sha256;
use tieline_core::EffectId;
use tieline_core::effect::Webhook;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

use super::smtp::chain;
use super::{Failed, guard, roots};
use crate::clock::now;
use crate::config::{self, Network};
use crate::secrets;

/// Sends webhooks.
pub(super) struct Hooks {
    allowed: Vec<Network>,
    timeout: Duration,
    tls: TlsConnector,
    keys: PathBuf,
}

/// Where a webhook goes.
struct Target {
    host: String,
    authority: String,
    port: u16,
    path: String,
    tls: bool,
}

impl Hooks {
    /// Those of a configuration; secrets lie in `keys`.
    ///
    /// # Errors
    /// Why none can be sent, in words.
    pub(super) fn new(settings: &config::Webhook, keys: PathBuf) -> Result<Self, String> {
        let mut trusted = RootCertStore::empty();
        trusted.add_parsable_certificates(roots::certificates(&settings.tls_ca));
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(trusted)
            .with_no_client_auth();
        let (allowed, timeout) = (settings.networks()?, settings.timeout());
        Ok(Self { allowed, timeout, tls: TlsConnector::from(Arc::new(tls)), keys })
    }

    /// Sends one; its id is in Idempotency-Key, so that a repeat is recognised.
    pub(super) async fn send(&self, id: EffectId, webhook: &Webhook) -> Result<(), Failed> {
        let within = self.timeout;
        match tokio::time::timeout(within, self.post(id, webhook)).await {
            Ok(ended) => ended,
            Err(_) => {
                Err(Failed::everything(format!("it was not answered within {} ms", within.as_millis())))
            }
        }
    }

    async fn post(&self, id: EffectId, webhook: &Webhook) -> Result<(), Failed> {
        let target = Target::of(&webhook.url).map_err(Failed::for_good)?;
        let secrets = match &webhook.secret {
            Some(name) => secrets::signing(&self.keys, name).map_err(Failed::for_good)?,
            None => Vec::new(),
        };
        let request = request(id, webhook, &target, &secrets).map_err(Failed::for_good)?;
        let stream = self.connect(&target).await?;
        let status = if target.tls {
            let name = ServerName::try_from(target.host.clone());
            let name = name.map_err(|_| Failed::for_good(format!("{} is no name for TLS", target.host)))?;
            let stream = self.tls.connect(name, stream).await;
            exchange(stream.map_err(|error| not_trusted(&target, &error))?, request).await
        } else {
            exchange(stream, request).await
        };
        judge(status.map_err(|error| unreached(&target, &error))?)
    }

    async fn connect(&self, target: &Target) -> Result<TcpStream, Failed> {
        let found = tokio::net::lookup_host((target.host.as_str(), target.port)).await;
        let found: Vec<SocketAddr> = found.map_err(|error| unreached(target, &error))?.collect();
        let may = |address: &&SocketAddr| guard::may_reach(address.ip(), &self.allowed);
        let mut last = None;
        for address in found.iter().filter(may) {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(error),
            }
        }
        match last {
            Some(error) => Err(unreached(target, &error)),
            None if found.is_empty() => Err(Failed::everything(format!("{} has no address", target.host))),
            None => Err(Failed::for_good(format!(
                "{} is an address of a network of our own, or none that may be reached: webhook.allow_networks \
                 in tieline.toml can allow it",
                target.host
            ))),
        }
    }
}

fn unreached(target: &Target, error: &dyn std::error::Error) -> Failed {
    Failed::everything(format!("{} cannot be reached: {}", target.host, chain(error)))
}

/// No TLS came about: because of the certificate, which is told as such, or otherwise.
fn not_trusted(target: &Target, error: &std::io::Error) -> Failed {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    let Some(rustls::Error::InvalidCertificate(why)) = cause else { return unreached(target, error) };
    Failed::everything(format!(
        "{} shows a certificate that is not accepted ({why:?}), and nothing was sent: webhook.tls_ca in \
         tieline.toml names further authorities",
        target.host
    ))
}

impl Target {
    fn of(url: &str) -> Result<Self, String> {
        let bad = || format!("{url:?} is no web address for a webhook");
        let uri: Uri = url.parse().map_err(|_| bad())?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(bad()),
        };
        let authority =
            uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or_else(bad)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(bad());
        }
        Ok(Self {
            host,
            authority: authority.as_str().to_owned(),
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            path: uri.path_and_query().map_or_else(|| "/".to_owned(), |path| path.as_str().to_owned()),
            tls,
        })
    }
}

/// The host of a webhook's address, to tell its troubles from those of others.
pub(super) fn host_of(url: &str) -> String {
    Target::of(url).map(|target| target.authority).unwrap_or_default()
}

fn request(
    id: EffectId,
    webhook: &Webhook,
    target: &Target,
    secrets: &[Vec<u8>],
) -> Result<Request<Full<Bytes>>, String> {
    let mut builder = Request::builder()
        .method(Method::POST)
        .uri(target.path.as_str())
        .header(HOST, target.authority.as_str())
        .header(USER_AGENT, concat!("tieline/", env!("CARGO_PKG_VERSION")))
        .header(CONTENT_TYPE, "application/json")
        .header("idempotency-key", id.to_string());
    let seconds = now().0 / 1_000_000;
    builder = builder.header("tieline-timestamp", seconds.to_string());
    if !secrets.is_empty() {
        let sign = |secret: &Vec<u8>| signature(secret, seconds, id, &webhook.body);
        let signatures: Vec<String> = secrets.iter().map(sign).collect::<Result<_, _>>()?;
        builder = builder.header("tieline-signature", signatures.join(","));
    }
    builder.body(Full::new(Bytes::from(webhook.body.clone()))).map_err(|error| error.to_string())
}

/// `v1=` and HMAC-SHA256 over time, id and body, with points between them.
fn signature(secret: &[u8], seconds: i64, id: EffectId, body: &str) -> Result<String, String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).map_err(|error| error.to_string())?;
    mac.update(format!("{seconds}.{id}.").as_bytes());
    mac.update(body.as_bytes());
    Ok(format!("v1={}", HEXLOWER.encode(&mac.finalize().into_bytes())))
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<StatusCode, hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let answered = sender.send_request(request).await.map(|response| response.status());
    // What the answer says beyond its status is not read.
    connection.abort();
    answered
}

fn judge(status: StatusCode) -> Result<(), Failed> {
    let answer = format!("it was answered with {status}");
    if status.is_success() {
        return Ok(());
    }
    if status.is_redirection() {
        return Err(Failed::for_good(format!("{answer}, and redirects are not followed")));
    }
    let later = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    if status.is_server_error() || later.contains(&status) {
        return Err(Failed::everything(answer));
    }
    Err(Failed::for_good(answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let of = |url: &str| Target::of(url).map(|t| (t.host, t.port, t.path, t.tls));
        assert_eq!(of("https://a.example/x?y=1").unwrap(), ("a.example".into(), 443, "/x?y=1".into(), true));
        assert_eq!(of("http://[::1]:8080").unwrap(), ("::1".into(), 8080, "/".into(), false));
        for bad in ["ftp://a/", "https:///x", "//a", "https://u:p@a/", "", "a b"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_signature_is_over_time_id_and_body() {
        let sign =
            |secret: &[u8], seconds, id, body: &str| signature(secret, seconds, EffectId(id), body).unwrap();
        let one = sign(b"0123456789abcdef", 5, 1, "{}");
        assert!(one.starts_with("v1=") && one.len() == 3 + 64);
        for other in [
            sign(b"0123456789abcdeg", 5, 1, "{}"),
            sign(b"0123456789abcdef", 6, 1, "{}"),
            sign(b"0123456789abcdef", 5, 2, "{}"),
            sign(b"0123456789abcdef", 5, 1, "{ }"),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn answers_are_judged() {
        let end = |status: u16| judge(StatusCode::from_u16(status).unwrap());
        assert!(end(200).is_ok() && end(204).is_ok());
        for (status, gone) in [
            (301, true),
            (302, true),
            (400, true),
            (404, true),
            (408, false),
            (429, false),
            (500, false),
            (503, false),
        ] {
            assert_eq!(end(status).unwrap_err().for_good, gone, "{status}");
        }
    }

    /// Whatever a name or number resolves to is looked at before anything is connected to.
    #[tokio::test]
    async fn no_way_to_write_an_address_reaches_the_own_network() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let settings = config::Config::defaults().unwrap().webhook;
        let hooks = Hooks::new(&settings, PathBuf::new()).unwrap();
        for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "127.1", "0"] {
            let webhook = Webhook { url: format!("http://{host}:{port}/"), body: "{}".into(), secret: None };
            let failed = hooks.send(EffectId(1), &webhook).await.unwrap_err();
            // A machine that does not read numbers so has no such host, which is as good.
            assert!(
                failed.error.contains("allow_networks") || failed.error.contains("cannot be reached"),
                "{host}: {failed:?}"
            );
        }
        let taken = tokio::time::timeout(Duration::from_millis(20), listener.accept()).await;
        assert!(taken.is_err(), "something was connected to");
    }
}
