//! The whole path: changes enter at A's API, and count when B has durably applied them.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tieline_tests::nats::{Edition, NatsServer};
use tieline_tests::process::{Api, OrgProcess, connect, cpu_seconds};

use crate::report::Report;
use crate::{log, raw};

const RECORDS: usize = 1_000;
const BATCH: usize = 200;
/// Requests under way at once.
const CLIENTS: usize = 4;
const CHANGE_BYTES: usize = 300;
const STATUSES: [&str; 2] = ["Open - Not Contacted", "Working - Contacted"];

struct Setup {
    broker: NatsServer,
    a: OrgProcess,
    b: OrgProcess,
    connection: String,
    records: Vec<String>,
}

/// Measures everything and writes the lines of the table.
pub(crate) fn run(report: &mut Report, rounds: usize, changes: usize, lag_seconds: usize) {
    let mut setup = setup();
    let keys = setup.b.home.path().join("keys").to_string_lossy().into_owned();
    lag(report, &mut setup, &keys, lag_seconds);
    for round in 0..rounds {
        throughput(report, &setup, changes, round);
        let broker_before = cpu_seconds(&setup.broker.pid().to_string());
        let raw = raw::round(&setup.broker.url(), &keys, changes, CHANGE_BYTES);
        let broker = cpu_seconds(&setup.broker.pid().to_string()) - broker_before;
        report.sample("raw changes/s", changes as f64 / raw.seconds);
        report.sample("raw cpu", (raw.cpu_seconds + broker) / changes as f64 * 1e6);
        eprintln!(
            "round {}: tieline {:.0}/s, raw {:.0}/s",
            round + 1,
            report.median("changes/s"),
            report.median("raw changes/s")
        );
    }
    rebuild(report, setup);
    log::run(report, rounds.min(3));
    lines(report);
}

fn lines(report: &mut Report) {
    let raw = Some(("raw changes/s", "raw pipe"));
    report.line("changes/s, A's API to durable apply at B", "changes/s", "1/s", raw, "2 × raw pipe");
    report.line("raw JetStream pipe, one message per event", "raw changes/s", "1/s", None, "");
    report.line("CPU per change, A + broker + B", "cpu", "µs", Some(("raw cpu", "raw pipe")), "under 12 µs");
    report.line("of which A", "cpu a", "µs", None, "");
    report.line("of which B", "cpu b", "µs", None, "");
    report.line("of which broker", "cpu broker", "µs", None, "");
    report.line("CPU per message of the raw pipe", "raw cpu", "µs", None, "");
    report.line("CPU per change of the load generator", "cpu load", "µs", None, "not counted");
    let floor = Some(("latency floor", "raw latency + 2 fdatasync"));
    report.line("lag at 100 changes/s, p50", "lag p50", "µs", floor, "1.5 × floor");
    report.line("lag at 100 changes/s, p99", "lag p99", "µs", None, "");
    report.line("raw JetStream latency, p50", "raw latency", "µs", None, "");
    report.line("fdatasync, median", "fdatasync", "µs", None, "");
    report.line(
        "log append, durable",
        "log append",
        "1/s",
        Some(("sled append", "sled entry per event")),
        "",
    );
    report.line("verified replay", "log replay", "1/s", None, "1,000,000/s");
    report.line("state rebuilt from the log", "rebuild", "1/s", None, "500,000/s");
    report.line(
        "log on disk per byte of event",
        "log bytes",
        "",
        Some(("sled bytes", "sled entry per event")),
        "under 0.6",
    );
}

fn setup() -> Setup {
    let (mut a, mut b) = (OrgProcess::make("acme"), OrgProcess::make("globex"));
    let orgs = vec![a.home.access(), b.home.access()];
    let broker = NatsServer::start(Edition::Pinned, orgs).expect("a broker").expect("the pinned edition");
    a.start(&broker.url());
    b.start(&broker.url());
    let connection = connect(&a.api, &b.api);
    let rules = r#"
extends = "Lead"
[rules.known_city]
condition = "City == 'Atlantis'"
message = "Atlantis is not served"
[rules.sane_size]
condition = "NumberOfEmployees != null && NumberOfEmployees < 0"
message = "A company has no negative number of employees"
[rules.site]
condition = "Website != null && Website == 'http://localhost'"
message = "A website is reachable"
"#;
    b.api.send_bytes("PUT", "/v1/objects", "application/toml", rules.as_bytes()).expect("rules");
    let fields = ["LastName", "Company", "Status", "City", "Description", "Website", "NumberOfEmployees"];
    let path = format!("/v1/connections/{connection}");
    a.api.must("PUT", &format!("{path}/publish/Lead"), &json!({ "fields": fields }));
    b.api.until("a catalogue", &path, |seen| {
        seen["catalogue"].to_string().contains("NumberOfEmployees").then_some(())
    });
    let mappings: Vec<Json> = fields
        .iter()
        .map(|field| match *field {
            "Status" => json!({ "local": "Status", "from": "Status", "picklist": {
                "values": { "Working - Contacted": "Closed - Not Converted" }, "unmapped": "keep" } }),
            field => json!({ "local": field, "from": field }),
        })
        .collect();
    let rule = json!({ "local": "Lead", "auto_accept": true, "fields": mappings });
    b.api.must("PUT", &format!("{path}/subscribe/Lead"), &rule);
    a.api.until("a subscription", &path, |seen| {
        seen["taken"].to_string().contains("Description").then_some(())
    });
    let records = leads(&a.api, &connection);
    b.api.until("all copies", "/v1/status", |seen| (seen["records"]["Lead"] == RECORDS).then_some(()));
    Setup { broker, a, b, connection, records }
}

/// Creates the leads and shares them.
fn leads(a: &Api, connection: &str) -> Vec<String> {
    let mut records = Vec::new();
    for batch in 0..RECORDS / BATCH {
        let operations: Vec<Json> = (0..BATCH)
            .map(|i| {
                json!({ "op": "create", "object": "Lead", "fields": {
                    "LastName": format!("Lead {}", batch * BATCH + i), "Company": "Sorbonne" } })
            })
            .collect();
        let done = a.must("POST", "/v1/batch", &json!({ "operations": operations }));
        let results = done["results"].as_array().expect("results");
        records.extend(results.iter().map(|result| result["id"].as_str().expect("an id").to_owned()));
    }
    let share = json!({ "connections": [connection], "object": "Lead", "all": true });
    a.must("POST", "/v1/shares", &share);
    records
}

/// The body of one request: changes of 300 bytes of field values.
fn request(records: &[String], from: usize, count: usize, salt: usize) -> Vec<u8> {
    let operations: Vec<Json> = (from..from + count)
        .map(|i| {
            let hash = blake3::hash(&[i.to_le_bytes(), salt.to_le_bytes()].concat()).to_hex();
            let city = format!("City {i} {salt}");
            let mut description = format!("{hash}{hash}{hash}");
            description.push_str(&"x".repeat(CHANGE_BYTES - description.len() - city.len() - 20));
            json!({ "op": "update", "object": "Lead", "id": records[i % records.len()], "fields": {
                "Status": STATUSES[(i / records.len() + salt) % 2], "City": city, "Description": description } })
        })
        .collect();
    json!({ "operations": operations }).to_string().into_bytes()
}

/// What B has received and concluded over the connection.
fn concluded(setup: &Setup) -> u64 {
    let seen = setup.b.api.get(&format!("/v1/connections/{}", setup.connection)).expect("a connection");
    seen["summary"]["received"]["received"].as_u64().expect("a count")
}

fn throughput(report: &mut Report, setup: &Setup, changes: usize, round: usize) {
    let bodies: Vec<Vec<u8>> =
        (0..changes / BATCH).map(|i| request(&setup.records, i * BATCH, BATCH, round + 1)).collect();
    let target = concluded(setup) + (bodies.len() * BATCH) as u64;
    let pids = [setup.a.pid(), setup.b.pid(), setup.broker.pid(), std::process::id()];
    let cpu = || pids.map(|pid| cpu_seconds(&pid.to_string()));
    let (before, begun) = (cpu(), Instant::now());
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            let (bodies, next, api) = (&bodies, &next, setup.a.api.clone());
            scope.spawn(move || {
                while let Some(body) = bodies.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    let done =
                        api.send_bytes("POST", "/v1/batch", "application/json", body).expect("a batch");
                    assert_eq!(done["refused"], 0, "{done}");
                }
            });
        }
    });
    while concluded(setup) < target {
        std::thread::sleep(Duration::from_millis(5));
    }
    let seconds = begun.elapsed().as_secs_f64();
    let after = cpu();
    let per_change = |i: usize| (after[i] - before[i]) / changes as f64 * 1e6;
    report.sample("changes/s", changes as f64 / seconds);
    report.sample("cpu", per_change(0) + per_change(1) + per_change(2));
    report.sample("cpu a", per_change(0));
    report.sample("cpu b", per_change(1));
    report.sample("cpu broker", per_change(2));
    report.sample("cpu load", per_change(3));
}

/// Lag of single changes at 100 a second, beside its floor: the raw pipe's latency and a durable
/// write on each side.
fn lag(report: &mut Report, setup: &mut Setup, keys: &str, seconds: usize) {
    const RATE: usize = 100;
    // A daemon keeps its lags since its start: what setting up took is not meant.
    setup.b.stop();
    setup.b.start(&setup.broker.url());
    let count = seconds * RATE;
    let target = concluded(setup) + count as u64;
    let begun = Instant::now();
    for i in 0..count {
        let due = Duration::from_micros((i * 1_000_000 / RATE) as u64);
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
        let body = request(&setup.records, i, 1, 0);
        setup.a.api.send_bytes("POST", "/v1/batch", "application/json", &body).expect("a change");
    }
    while concluded(setup) < target {
        std::thread::sleep(Duration::from_millis(5));
    }
    let status = setup.b.api.get("/v1/status").expect("a status");
    let lag = &status["connections"][0]["lag"];
    report.sample("lag p50", lag["p50_ms"].as_f64().expect("a lag") * 1_000.0);
    report.sample("lag p99", lag["p99_ms"].as_f64().expect("a lag") * 1_000.0);
    let raw = raw::latencies(&setup.broker.url(), keys, RATE as u64, count, CHANGE_BYTES);
    let (raw_p50, sync) = (raw[raw.len() / 2], log::fdatasync_us());
    report.sample("raw latency", raw_p50);
    report.sample("fdatasync", sync);
    report.sample("latency floor", 2.0f64.mul_add(sync, raw_p50));
}

/// How fast B's state is rebuilt from its log, without a snapshot.
fn rebuild(report: &mut Report, mut setup: Setup) {
    setup.b.stop();
    let log = tieline_daemon::run::read_log(setup.b.home.path()).expect("a log");
    let begun = Instant::now();
    let rebuilt = tieline_daemon::replay::rebuild(&log, None).expect("a state");
    report.sample("rebuild", rebuilt.replayed as f64 / begun.elapsed().as_secs_f64());
}
