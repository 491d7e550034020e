//! What is known of the broker: connected or not, since when, which version, what went wrong last.

use std::time::{Duration, SystemTime};

use async_nats::{Client, ConnectErrorKind, Event, ServerError};
use tieline_core::{OrgName, Timestamp};
use tokio::sync::watch;

use crate::limits::{FRAME_BYTES_MAX, HEARTBEAT_BYTES_MAX};

/// The oldest nats-server that gets no warning: older ones miss security fixes, and say nothing
/// when a frame has nowhere to go.
const VERSION_MIN: (u64, u64) = (2, 11);
/// Most characters of an error that are kept: it comes from outside.
const ERROR_CHARS_MAX: usize = 300;
/// How long the supervisor waits for a new connection to do its first write, after which the
/// server's version is known.
const FIRST_WRITE: Duration = Duration::from_secs(1);

/// The state of the broker as this org sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BrokerStatus {
    /// Whether both connections are up.
    pub connected: bool,
    /// When `connected` took its value, or the last reconnect; the start of the bus at first.
    pub since: Timestamp,
    /// How often the bus was connected since the start. It rises with each reconnect of either
    /// connection, also with one that was too quick for `connected` to show it.
    pub connects: u64,
    /// Version of the server that the inbox was last connected to, as `2.15.1`.
    pub server_version: Option<String>,
    /// The server is older than 2.11.
    pub outdated: bool,
    /// Most bytes of a message that the server takes.
    pub max_payload_bytes: usize,
    /// The server refuses the keys. It is tried again all the same: its configuration may change.
    pub denied: bool,
    /// The last error of either connection; kept after it is over.
    pub last_error: Option<String>,
}

impl BrokerStatus {
    /// Whether the bus is connected, and has been since connect number `connects`.
    #[must_use]
    pub const fn is_connect(&self, connects: u64) -> bool {
        self.connected && self.connects == connects
    }
}

/// One of the two connections, as its events tell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Link {
    up: bool,
    /// Counts connects: whoever saw another number has missed a reconnect.
    connects: u64,
    pub(super) closed: bool,
    denied: bool,
    last_error: Option<String>,
}

impl Link {
    /// Folds one event of the client in.
    pub(super) fn see(&mut self, event: &Event) {
        match event {
            Event::Connected => {
                self.up = true;
                self.denied = false;
                self.connects += 1;
            }
            Event::Disconnected => {
                self.up = false;
                self.fail("the connection was lost".into());
            }
            Event::Closed => {
                self.up = false;
                self.closed = true;
            }
            Event::ServerError(error) => {
                self.denied |= *error == ServerError::AuthorizationViolation;
                self.fail(error.to_string());
            }
            Event::ClientError(error) => {
                let text = error.to_string();
                self.denied = text.contains(&ConnectErrorKind::AuthorizationViolation.to_string());
                self.fail(text);
            }
            Event::SlowConsumer(_) => self.fail("messages were dropped: the daemon reads too slowly".into()),
            Event::LameDuckMode => self.fail("the server is shutting down".into()),
            Event::Draining => {}
        }
    }

    fn fail(&mut self, text: String) {
        let text = text.strip_prefix("nats: ").unwrap_or(&text);
        self.last_error = Some(text.chars().filter(|c| !c.is_control()).take(ERROR_CHARS_MAX).collect());
    }
}

/// Both links, as the supervisor follows them.
pub(super) struct Links {
    pub(super) inbox: watch::Receiver<Link>,
    pub(super) sender: watch::Receiver<Link>,
}

/// Follows both links until they are gone and shows what they come to.
pub(super) async fn watch(org: OrgName, inbox: Client, mut links: Links, shown: watch::Sender<BrokerStatus>) {
    shown.send_modify(|status| status.since = now());
    let mut seen = (0, 0);
    loop {
        let inbox_link = links.inbox.borrow_and_update().clone();
        let sender_link = links.sender.borrow_and_update().clone();
        let now = (inbox_link.connects, sender_link.connects);
        if now.0 > seen.0 {
            meet(&org, &inbox, &shown).await;
        }
        show(&org, &shown, &inbox_link, &sender_link, now != seen);
        seen = now;
        let changed = tokio::select! {
            changed = links.inbox.changed() => changed,
            changed = links.sender.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
    }
}

/// Learns what a newly connected server is, and warns once if it is not what it should be.
async fn meet(org: &OrgName, inbox: &Client, shown: &watch::Sender<BrokerStatus>) {
    // The event comes before the client knows the server; its first write comes after.
    tokio::time::timeout(FIRST_WRITE, inbox.flush()).await.ok();
    let Some(info) = inbox.try_server_info() else { return };
    let outdated = version(&info.version) < VERSION_MIN;
    if outdated {
        tracing::warn!(%org, version = %info.version, "nats-server is older than 2.11: upgrade it");
    }
    if info.max_payload < FRAME_BYTES_MAX {
        tracing::warn!(
            %org,
            max_payload = info.max_payload,
            needed = FRAME_BYTES_MAX,
            "nats-server takes no large frames: set max_payload as `tieline broker config` writes it"
        );
    }
    shown.send_modify(|status| {
        status.server_version = Some(info.version);
        status.outdated = outdated;
        status.max_payload_bytes = info.max_payload;
    });
}

/// Shows what both links come to; `again` says that one of them has connected since the last time.
fn show(org: &OrgName, shown: &watch::Sender<BrokerStatus>, inbox: &Link, sender: &Link, again: bool) {
    shown.send_if_modified(|status| {
        let before = status.clone();
        let connected = inbox.up && sender.up;
        status.connects += u64::from(connected && again);
        if connected != status.connected || status.connects != before.connects {
            status.connected = connected;
            status.since = now();
            tracing::info!(%org, connected, "broker");
        }
        status.denied = inbox.denied || sender.denied;
        for link in [sender, inbox] {
            if let Some(error) = &link.last_error {
                status.last_error = Some(error.clone());
            }
        }
        if status.denied && !before.denied {
            tracing::warn!(%org, "the broker refuses the keys: add the org's public.json to its configuration");
        }
        *status != before
    });
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Major and minor of a version such as `2.15.1` or `2.12.0-RC.1`; what does not parse is old.
fn version(text: &str) -> (u64, u64) {
    let mut numbers = text.split('.').map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

const _: () = assert!(HEARTBEAT_BYTES_MAX < FRAME_BYTES_MAX, "a heartbeat passes wherever a frame does");

#[cfg(test)]
mod tests {
    use async_nats::ClientError;

    use super::*;

    #[test]
    fn old_servers_are_told_from_new_ones() {
        for (text, old) in [
            ("2.9.10", true),
            ("2.10.29", true),
            ("2.11.0", false),
            ("2.15.1", false),
            ("3.0.0", false),
            ("", true),
        ] {
            assert_eq!(version(text) < VERSION_MIN, old, "{text}");
        }
    }

    #[test]
    fn a_link_remembers_what_its_events_said() {
        let mut link = Link::default();
        link.see(&Event::ClientError(ClientError::Other(
            ConnectErrorKind::AuthorizationViolation.to_string(),
        )));
        assert!(link.denied && !link.up);
        link.see(&Event::ClientError(ClientError::Other("IO error\u{1b}[31m".into())));
        assert!(!link.denied, "a server that is away refuses nobody");
        assert_eq!(link.last_error.as_deref(), Some("IO error[31m"), "no control characters");
        link.see(&Event::Connected);
        assert!(link.up && link.connects == 1 && link.last_error.is_some());
        link.see(&Event::ServerError(ServerError::AuthorizationViolation));
        assert!(link.denied && link.up, "the disconnect is an event of its own");
        link.see(&Event::Disconnected);
        link.see(&Event::Closed);
        assert!(!link.up && link.closed);
    }

    #[test]
    fn only_both_links_make_a_connection() {
        let (shown, status) = watch::channel(BrokerStatus::default());
        let org = "alpha".parse().unwrap();
        let (mut inbox, mut sender) = (Link::default(), Link::default());
        inbox.see(&Event::Connected);
        show(&org, &shown, &inbox, &sender, true);
        assert_eq!((status.borrow().connected, status.borrow().connects), (false, 0));
        sender.see(&Event::Connected);
        show(&org, &shown, &inbox, &sender, true);
        assert!(status.borrow().is_connect(1));
        inbox.see(&Event::Disconnected);
        show(&org, &shown, &inbox, &sender, false);
        assert_eq!((status.borrow().connected, status.borrow().connects), (false, 1));
        inbox.see(&Event::Connected);
        show(&org, &shown, &inbox, &sender, true);
        assert!(status.borrow().is_connect(2));
        sender.see(&Event::Disconnected);
        sender.see(&Event::Connected);
        show(&org, &shown, &inbox, &sender, true);
        assert!(status.borrow().is_connect(3), "a reconnect between two looks counts");
    }
}
