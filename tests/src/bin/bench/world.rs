//! What the scenarios share: orgs and a broker as processes, records that are shared, and changes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tieline_tests::nats::{Edition, NatsServer};
use tieline_tests::process::{Api, OrgProcess, connect, cpu_seconds};

/// Changes of one request.
pub(crate) const BATCH: usize = 200;
/// Requests under way at once.
const CLIENTS: usize = 4;
/// Bytes of field values of one change.
pub(crate) const CHANGE_BYTES: usize = 300;
/// How long something may take that only polling can see.
const PATIENCE: Duration = Duration::from_secs(1_800);
const LOOK_EVERY: Duration = Duration::from_millis(5);
const STATUSES: [&str; 2] = ["Open - Not Contacted", "Working - Contacted"];
const FIELDS: [&str; 7] =
    ["LastName", "Company", "Status", "City", "Description", "Website", "NumberOfEmployees"];
const RULES: [&str; 5] = [
    "[rules.known_city]\ncondition = \"City == 'Atlantis'\"\nmessage = \"Atlantis is not served\"\n",
    "[rules.sane_size]\ncondition = \"NumberOfEmployees != null && NumberOfEmployees < 0\"\n\
     message = \"A company has no negative number of employees\"\n",
    "[rules.site]\ncondition = \"Website != null && Website == 'http://localhost'\"\n\
     message = \"A website is reachable\"\n",
    "[rules.company]\ncondition = \"size(Company) > 200\"\nmessage = \"A company has a short name\"\n",
    "[rules.open]\ncondition = \"Status == 'Unqualified' && isBlank(Description)\"\n\
     message = \"Say why it is unqualified\"\n",
];

/// Two orgs that share leads of A, and their broker.
pub(crate) struct Pair {
    pub(crate) broker: NatsServer,
    pub(crate) a: OrgProcess,
    pub(crate) b: OrgProcess,
    pub(crate) connection: String,
    /// The leads of A that B has copies of.
    pub(crate) records: Vec<String>,
}

impl Pair {
    /// Two connected orgs with so many rules at B, and so many leads shared.
    pub(crate) fn new(rules: usize, records: usize) -> Self {
        let (mut a, mut b) = (OrgProcess::make("acme"), OrgProcess::make("globex"));
        let broker = broker(&[&a, &b]);
        a.start(&broker.url());
        b.start(&broker.url());
        let connection = connect(&a.api, &b.api);
        define_rules(&b.api, rules);
        agree(&a.api, &b.api, &connection);
        let records = create(&a.api, records);
        share_all(&a.api, &connection);
        let pair = Self { broker, a, b, connection, records };
        pair.b_has(pair.records.len());
        pair
    }

    /// Waits until B has so many leads.
    pub(crate) fn b_has(&self, records: usize) {
        wait("all copies", || (leads(&self.b.api) >= records).then_some(()));
    }

    /// Takes changes of A in as fast as it takes them, and waits until B has ended all of them; the
    /// seconds that this took.
    pub(crate) fn run(&self, bodies: &[Vec<u8>]) -> f64 {
        let target = concluded(&self.b.api, &self.connection) + (bodies.len() * BATCH) as u64;
        let begun = Instant::now();
        send(&self.a.api, bodies);
        self.b_concluded(target);
        begun.elapsed().as_secs_f64()
    }

    /// Waits until B has ended so many changes.
    pub(crate) fn b_concluded(&self, target: u64) {
        wait("all changes", || (concluded(&self.b.api, &self.connection) >= target).then_some(()));
    }

    /// CPU seconds of A, of B, of the broker, and of this process.
    pub(crate) fn cpu(&self) -> [f64; 4] {
        let pids = [self.a.pid(), self.b.pid(), self.broker.pid(), std::process::id()];
        pids.map(|pid| cpu_seconds(&pid.to_string()))
    }

    /// Lets B begin anew with its lags, which it keeps since its start.
    pub(crate) fn forget_lags(&mut self) {
        self.b.stop();
        self.b.start(&self.broker.url());
        let path = format!("/v1/connections/{}", self.connection);
        // The first change would meet a connection that is not there yet.
        self.b.api.until("the partner", &path, |seen| seen["link"]["heard_ms_ago"].as_i64().map(|_| ()));
    }

    /// The lags of B since its start, in µs: p50, p99, p99.9.
    pub(crate) fn lags(&self) -> [f64; 3] {
        let status = self.b.api.get("/v1/status").expect("a status");
        let lag = &status["connections"][0]["lag"];
        ["p50_ms", "p99_ms", "p999_ms"].map(|p| lag[p].as_f64().expect("a lag") * 1_000.0)
    }

    /// Sends single changes at so many a second, as far as that goes, and waits for the last.
    pub(crate) fn trickle(&self, rate: usize, seconds: usize) {
        let count = rate * seconds;
        let target = concluded(&self.b.api, &self.connection) + count as u64;
        let next = AtomicUsize::new(0);
        let begun = Instant::now();
        std::thread::scope(|scope| {
            // One client alone waits for two disks with each change.
            for _ in 0..rate.div_ceil(100).min(16) {
                scope.spawn(|| {
                    loop {
                        let i = next.fetch_add(1, Ordering::Relaxed);
                        if i >= count {
                            break;
                        }
                        let due = Duration::from_micros((i * 1_000_000 / rate) as u64);
                        std::thread::sleep(due.saturating_sub(begun.elapsed()));
                        // No change may be one that was made before: it would change nothing.
                        let salt = rate * 1_000_000 + i;
                        post(&self.a.api, &request(&self.records, i, 1, salt, CHANGE_BYTES));
                    }
                });
            }
        });
        self.b_concluded(target);
    }
}

/// A broker of these orgs.
pub(crate) fn broker(orgs: &[&OrgProcess]) -> NatsServer {
    let access = orgs.iter().map(|org| org.home.access()).collect();
    NatsServer::start(Edition::Pinned, access).expect("a broker").expect("the pinned edition")
}

/// Defines the first so many validation rules.
pub(crate) fn define_rules(api: &Api, rules: usize) {
    let text = format!("extends = \"Lead\"\n{}", RULES[..rules].concat());
    api.send_bytes("PUT", "/v1/objects", "application/toml", text.as_bytes()).expect("rules");
}

/// A publishes leads and B takes them, with one picklist mapping, and accepts them by itself.
pub(crate) fn agree(a: &Api, b: &Api, connection: &str) {
    let path = format!("/v1/connections/{connection}");
    a.must("PUT", &format!("{path}/publish/Lead"), &json!({ "fields": FIELDS }));
    b.until("a catalogue", &path, |seen| {
        seen["catalogue"].to_string().contains("NumberOfEmployees").then_some(())
    });
    let mappings: Vec<Json> = FIELDS
        .iter()
        .map(|field| match *field {
            "Status" => json!({ "local": "Status", "from": "Status", "picklist": {
                "values": { "Working - Contacted": "Closed - Not Converted" }, "unmapped": "keep" } }),
            field => json!({ "local": field, "from": field }),
        })
        .collect();
    let rule = json!({ "local": "Lead", "auto_accept": true, "fields": mappings });
    b.must("PUT", &format!("{path}/subscribe/Lead"), &rule);
    a.until("a subscription", &path, |seen| seen["taken"].to_string().contains("Description").then_some(()));
}

/// Creates so many leads; their ids.
pub(crate) fn create(api: &Api, count: usize) -> Vec<String> {
    let mut records = Vec::with_capacity(count);
    for from in (0..count).step_by(1_000) {
        let operations: Vec<Json> = (from..(from + 1_000).min(count))
            .map(|i| {
                json!({ "op": "create", "object": "Lead", "fields": {
                    "LastName": format!("Lead {i}"), "Company": "Sorbonne", "City": format!("City {i}"),
                    "Website": format!("https://{i}.example.com") } })
            })
            .collect();
        let done = api.must("POST", "/v1/batch", &json!({ "operations": operations }));
        let results = done["results"].as_array().expect("results");
        records.extend(results.iter().map(|result| result["id"].as_str().expect("an id").to_owned()));
    }
    records
}

/// Shares all leads.
pub(crate) fn share_all(api: &Api, connection: &str) {
    let share = json!({ "connections": [connection], "object": "Lead", "all": true });
    api.must("POST", "/v1/shares", &share);
}

/// The body of one request: changes of so many bytes of field values.
pub(crate) fn request(records: &[String], from: usize, count: usize, salt: usize, bytes: usize) -> Vec<u8> {
    let operations: Vec<Json> = (from..from + count)
        .map(|i| {
            let hash = blake3::hash(&[i.to_le_bytes(), salt.to_le_bytes()].concat()).to_hex();
            let city = format!("City {i} {salt}");
            let mut description = format!("{hash}{hash}{hash}");
            let filled = (description.len() + city.len() + 20).min(bytes);
            description.push_str(&"x".repeat(bytes - filled));
            json!({ "op": "update", "object": "Lead", "id": records[i % records.len()], "fields": {
                "Status": STATUSES[(i / records.len() + salt) % 2], "City": city, "Description": description } })
        })
        .collect();
    json!({ "operations": operations }).to_string().into_bytes()
}

/// So many changes in requests of [`BATCH`].
pub(crate) fn requests(records: &[String], changes: usize, salt: usize) -> Vec<Vec<u8>> {
    (0..changes / BATCH).map(|i| request(records, i * BATCH, BATCH, salt, CHANGE_BYTES)).collect()
}

/// Sends one request, all of which has to be done.
pub(crate) fn post(api: &Api, body: &[u8]) {
    let done = api.send_bytes("POST", "/v1/batch", "application/json", body).expect("a batch");
    assert_eq!(done["refused"], 0, "{done}");
}

/// Sends requests, some of them at once.
pub(crate) fn send(api: &Api, bodies: &[Vec<u8>]) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            let (next, api) = (&next, api.clone());
            scope.spawn(move || {
                while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
                    post(&api, body);
                }
            });
        }
    });
}

/// What an org has received and ended over a connection.
pub(crate) fn concluded(api: &Api, connection: &str) -> u64 {
    let seen = api.get(&format!("/v1/connections/{connection}")).expect("a connection");
    seen["summary"]["received"]["received"].as_u64().expect("a count")
}

/// How many leads an org has.
pub(crate) fn leads(api: &Api) -> usize {
    let status = api.get("/v1/status").expect("a status");
    status["records"]["Lead"].as_u64().expect("a count") as usize
}

/// Resident memory of a process in bytes.
pub(crate) fn memory(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
    kib.expect("a running process") * 1_024.0
}

/// Looks until there is something to be found.
pub(crate) fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what} did not come in time");
        std::thread::sleep(LOOK_EVERY);
    }
}
