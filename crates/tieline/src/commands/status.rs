//! `tieline status`: how the org is, at a glance.

use clap::Args;
use serde_json::{Map, Value as Json};

use super::connection::{counts, lag, pauses};
use super::list;
use crate::client::{Client, path};
use crate::error::Result;
use crate::output::{Column, Output, text, time, with};
use crate::session::Session;

/// Show how the org is: connections, lag, broker, log.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Also compute the hash of the state; writes wait while a large state is hashed
    #[arg(long)]
    hash: bool,
}

const FACTS: &[Column] = &[
    text("Org", "/org"),
    text("Version", "/version"),
    with("Up for", "/uptime_s", duration),
    text("Incarnation", "/incarnation"),
    text("Log", "/log/seq"),
    text("Log hash", "/log/hash"),
    text("State hash", "/state_hash"),
    with("Records", "/records", records),
    text("Jobs", "/jobs"),
    text("Alarms", "/alarms"),
    with("Broker", "/broker", broker),
    with("Disk", "/space", space),
];

const CONNECTIONS: &[Column] = &[
    text("PARTNER", "/partner"),
    text("LABEL", "/label"),
    text("STATUS", "/status"),
    text("SHARES", "/shares"),
    text("OUTBOX", "/outbox_messages"),
    text("INBOX", "/inbox_messages"),
    with("RECEIVED", "/received", counts),
    with("SENT", "/sent", counts),
    with("CONFLICTS", "/conflicts", counts),
    with("LAG", "/lag", lag),
    time("SINCE", "/answered"),
    with("PAUSED", "/pauses", pauses),
    text("PROBLEM", "/cause"),
];

impl Status {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let client = session.client()?;
        let mut answer = client.get(&path(["status"]), &[])?;
        if self.hash {
            add_hash(&client, &mut answer)?;
        }
        session.output.show(&answer, |output| show(output, &answer))
    }
}

fn add_hash(client: &Client, status: &mut Json) -> Result<()> {
    let hashed = client.get(&path(["state-hash"]), &[])?;
    if let Json::Object(status) = status {
        status.insert("state_hash".to_owned(), hashed.get("hash").cloned().unwrap_or_default());
        status.insert("state_seq".to_owned(), hashed.get("seq").cloned().unwrap_or_default());
    }
    Ok(())
}

fn show(output: &Output, status: &Json) -> Result<()> {
    output.facts(FACTS, status)?;
    let connections = list(status, "connections");
    if connections.is_empty() {
        return Ok(());
    }
    output.line("")?;
    output.table(CONNECTIONS, connections)
}

fn records(records: &Json) -> String {
    let some = records.as_object().into_iter().flatten().filter(|(_, count)| count.as_u64() != Some(0));
    counts(&Json::Object(some.map(|(name, count)| (name.clone(), count.clone())).collect::<Map<_, _>>()))
}

fn broker(broker: &Json) -> String {
    let text = |key: &str| broker.get(key).map(crate::output::plain).unwrap_or_default();
    let connected = broker.get("connected").and_then(Json::as_bool) == Some(true);
    let since = broker.get("since").map(crate::output::moment).unwrap_or_default();
    match (connected, text("last_error")) {
        (true, _) if broker.get("outdated").and_then(Json::as_bool) == Some(true) => {
            format!("connected since {since}, nats-server {} (older than Tieline wants)", text("version"))
        }
        (true, _) => format!("connected since {since}, nats-server {}", text("version")),
        (false, error) if error.is_empty() => format!("not connected since {since}"),
        (false, error) => format!("not connected since {since}: {error}"),
    }
}

fn space(space: &Json) -> String {
    let bytes = |key: &str| space.get(key).and_then(Json::as_u64).unwrap_or_default();
    let free = gibibytes(bytes("free_bytes"));
    if space.get("writable").and_then(Json::as_bool) == Some(true) {
        format!("{free} free")
    } else {
        format!("{free} free, and writes are refused below {}", gibibytes(bytes("threshold_bytes")))
    }
}

fn gibibytes(bytes: u64) -> String {
    // Tenths, so that no floating point is rounded twice.
    let tenths = bytes.saturating_mul(10) >> 30;
    format!("{}.{} GiB", tenths / 10, tenths % 10)
}

fn duration(seconds: &Json) -> String {
    let s = seconds.as_u64().unwrap_or_default();
    match (s / 86_400, s / 3_600 % 24, s / 60 % 60, s % 60) {
        (0, 0, 0, s) => format!("{s} s"),
        (0, 0, m, s) => format!("{m} min {s} s"),
        (0, h, m, _) => format!("{h} h {m} min"),
        (d, h, ..) => format!("{d} d {h} h"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn facts_are_short() {
        assert_eq!(duration(&json!(59)), "59 s");
        assert_eq!(duration(&json!(3_725)), "1 h 2 min");
        assert_eq!(duration(&json!(90_000)), "1 d 1 h");
        assert_eq!(records(&json!({"Lead": 3, "Task": 0})), "3 Lead");
        assert_eq!(space(&json!({"free_bytes": 3_221_225_472_u64, "writable": true})), "3.0 GiB free");
        let full = json!({"free_bytes": 0, "threshold_bytes": 268_435_456, "writable": false});
        assert_eq!(space(&full), "0.0 GiB free, and writes are refused below 0.2 GiB");
        let away = json!({"connected": false, "since": "2026-01-01T00:00:00Z", "last_error": "refused"});
        assert_eq!(broker(&away), "not connected since 2026-01-01T00:00:00Z: refused");
    }
}
