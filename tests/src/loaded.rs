//! A pair of orgs under load from both sides, and the standard check that ends every case of a fault.
//!
//! Each side writes batches to records of its own and keeps a ledger of what was acknowledged. When
//! the fault is over, [`Loaded::finish`] holds both orgs to it: everything that was acknowledged is
//! at the partner, each change was applied once, both agree field by field, the outcome counters add
//! up, each log gives the state of its daemon, memory stayed bounded, and nobody panicked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value as Json, json};
use tieline_core::event::Event;

use crate::load::Load;
use crate::pair::{LEAD_FIELDS, Pair, events, list, stop_and_check};
use crate::process::{Api, OrgProcess, Problem, eventually};

/// Records that each round writes.
const RECORDS: usize = 10;
/// Most memory that a daemon may have taken at any moment of a test: many times what a quiet one
/// takes, and far less than a backlog would if it were held in memory.
pub const MEMORY_MAX: u64 = 400 << 20;
/// A lead is made and offered in each so many rounds.
const OFFER_EVERY: u64 = 4;

/// What one side was told.
#[derive(Debug, Default)]
pub struct Ledger {
    /// The last round that was acknowledged.
    pub acknowledged: u64,
    /// The last round that was tried.
    pub tried: u64,
    /// Rounds that nobody knows the end of, or that were refused for now.
    pub failed: u64,
    /// Rounds that were acknowledged, over all.
    pub rounds: u64,
    /// Events that were acknowledged, over all.
    pub events: u64,
    /// Leads that were made, with the round that made them.
    made: Vec<(u64, String)>,
    /// Leads of those that were offered to the partner.
    offered: Vec<(u64, String)>,
}

/// What a ledger held at some moment.
#[derive(Debug, Clone, Copy)]
pub struct Mark(u64);

impl Mark {
    /// How many rounds later this one is.
    #[must_use]
    pub const fn rounds_after(self, earlier: Self) -> u64 {
        self.0 - earlier.0
    }
}

/// One side of the load: all its records get the number of the round, in a field of its own.
pub struct Side {
    api: Api,
    field: &'static str,
    pad: usize,
    records: Vec<String>,
    /// Where the leads that it makes are offered; without, it makes none.
    offers_to: Option<String>,
    ledger: Arc<Mutex<Ledger>>,
}

impl Side {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    /// One batch; whether it was acknowledged.
    fn round(&mut self, number: u64) -> bool {
        let done = self.try_round(number);
        if !done {
            self.ledger().failed += 1;
        }
        done
    }

    fn try_round(&mut self, number: u64) -> bool {
        self.ledger().tried = number;
        let value = value(number, self.pad);
        let write = |id: &String| json!({ "op": "update", "object": "Lead", "id": id, "fields": { self.field: value } });
        let mut operations: Vec<Json> = self.records.iter().map(write).collect();
        let offers = self.offers_to.clone().filter(|_| number.is_multiple_of(OFFER_EVERY));
        if offers.is_some() {
            let fields = json!({ "LastName": format!("made {number}"), "Company": "X" });
            operations.push(json!({ "op": "create", "object": "Lead", "fields": fields }));
        }
        let count = operations.len() as u64;
        let Some(answer) =
            acknowledged(self.api.send("POST", "/v1/batch", &json!({ "operations": operations })))
        else {
            return false;
        };
        assert_eq!(answer["refused"], 0, "{answer}");
        {
            let mut ledger = self.ledger();
            ledger.acknowledged = number;
            ledger.rounds += 1;
            ledger.events += count;
        }
        if let Some(connection) = offers {
            let id = answer["results"][self.records.len()]["id"].as_str().unwrap().to_owned();
            self.ledger().made.push((number, id.clone()));
            let body = json!({ "connections": [connection], "object": "Lead", "records": [id] });
            if let Some(answer) = acknowledged(self.api.send("POST", "/v1/shares", &body)) {
                assert_eq!(answer["results"][0]["result"]["ok"], true, "{answer}");
                let mut ledger = self.ledger();
                ledger.offered.push((number, id));
                ledger.events += 1;
            }
        }
        true
    }

    /// Every record has a value from the last acknowledged round on, here and at the partner.
    fn check(&self, partner: &Api, theirs: &[String]) {
        let Ledger { acknowledged, tried, .. } = *self.ledger();
        assert!(acknowledged > 0, "nothing was acknowledged");
        for (here, there) in self.records.iter().zip(theirs) {
            let value = |api: &Api, id: &String| {
                api.get(&format!("/v1/records/Lead/{id}")).unwrap()["fields"][self.field].clone()
            };
            let found = value(&self.api, here);
            let number: u64 = found.as_str().and_then(|text| text.rsplit('/').next()?.parse().ok()).unwrap();
            assert!(
                (acknowledged..=tried).contains(&number),
                "{} of {here} is {number}; {acknowledged} was acknowledged and {tried} tried",
                self.field,
            );
            assert_eq!(value(partner, there), found, "{} at the partner", self.field);
        }
    }
}

/// The number of a round, behind so many bytes.
fn value(number: u64, pad: usize) -> String {
    // Noise, so that it is as large on the disk.
    let mut noise = vec![0; pad / 2];
    blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof().fill(&mut noise);
    format!("https://example.com/{}/{number}", data_encoding::HEXLOWER.encode(&noise))
}

fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The answer, unless the daemon was going, gone, not there or without room: then nobody knows, or
/// it was told to come again.
fn acknowledged(answer: Result<Json, Problem>) -> Option<Json> {
    match answer {
        Ok(answer) => Some(answer),
        Err(problem) if matches!(problem.status, 0 | 503 | 507) => None,
        Err(problem) => panic!("{problem:?}"),
    }
}

/// What the load writes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weight {
    /// Bytes of noise in each value of both sides.
    pub pad: usize,
}

/// What may have happened besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lives {
    /// Nothing was lost, so no org began a new life and no alarm was raised.
    One,
    /// Something that was not acknowledged for sure was lost: an org may have begun a new life.
    Any,
}

/// What a pair under load has come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// Rounds that were acknowledged.
    pub rounds: u64,
    /// Events that were acknowledged.
    pub events: u64,
}

/// A pair under load from both sides.
pub struct Loaded {
    /// The pair.
    pub pair: Pair,
    /// The load at the org that invited.
    pub at_a: Load<Side>,
    /// The load at the other.
    pub at_b: Load<Side>,
    /// What the load at the one was told.
    pub ledger_a: Arc<Mutex<Ledger>>,
    /// What the load at the other was told.
    pub ledger_b: Arc<Mutex<Ledger>>,
    leads: Vec<String>,
    copies: Vec<String>,
}

impl Loaded {
    /// A new pair under load.
    #[must_use]
    pub fn start() -> Self {
        Self::on(Pair::start(), Weight::default())
    }

    /// Puts a pair under load.
    #[must_use]
    pub fn on(pair: Pair, weight: Weight) -> Self {
        let create = |n| json!({ "op": "create", "object": "Lead", "fields": { "LastName": format!("Lead {n}"), "Company": "X" } });
        let operations: Vec<Json> = (0..RECORDS).map(create).collect();
        let made = pair.a.api.must("POST", "/v1/batch", &json!({ "operations": operations }));
        let leads: Vec<String> =
            list(&made["results"]).map(|result| result["id"].as_str().unwrap().to_owned()).collect();
        let body = json!({ "connections": [pair.id], "object": "Lead", "records": leads });
        pair.a.api.must("POST", "/v1/shares", &body);
        let copies: Vec<String> = leads.iter().map(|lead| pair.copy_of(lead)).collect();
        let (ledger_a, ledger_b) = (Arc::<Mutex<Ledger>>::default(), Arc::<Mutex<Ledger>>::default());
        // Large values need a field that takes them; the two sides never write the same one.
        let fields = if weight.pad > 0 { ["Description", "Description"] } else { ["City", "Website"] };
        let half = if weight.pad > 0 { RECORDS / 2 } else { 0 };
        let (a_writes, b_writes) = if half > 0 {
            (leads[..half].to_vec(), copies[half..].to_vec())
        } else {
            (leads.clone(), copies.clone())
        };
        let side = |api: &Api, field, records, offers_to, ledger: &Arc<Mutex<Ledger>>| Side {
            api: api.clone(),
            field,
            pad: weight.pad,
            records,
            offers_to,
            ledger: ledger.clone(),
        };
        let at_a = side(&pair.a.api, fields[0], a_writes, Some(pair.id.clone()), &ledger_a);
        let at_b = side(&pair.b.api, fields[1], b_writes, None, &ledger_b);
        let (at_a, at_b) = (Load::start(at_a, Side::round), Load::start(at_b, Side::round));
        Self { pair, at_a, at_b, ledger_a, ledger_b, leads, copies }
    }

    /// What was acknowledged until now at the org that invited, or at the other.
    #[must_use]
    pub fn mark(&self, at_a: bool) -> Mark {
        Mark(lock(self.ledger(at_a)).acknowledged)
    }

    /// An org has died with its disk: what was acknowledged after `mark` may or may not have been
    /// written, since a sync that meets a power cut can report what it did not do. The org must not
    /// run. Waits until nobody believes that it answers.
    pub fn doubt_after(&self, at_a: bool, mark: Mark) {
        let failed = lock(self.ledger(at_a)).failed;
        eventually("a round that fails", || (lock(self.ledger(at_a)).failed > failed).then_some(()));
        let mut ledger = lock(self.ledger(at_a));
        ledger.acknowledged = ledger.acknowledged.min(mark.0);
        ledger.made.retain(|(round, _)| *round <= mark.0);
        // An offer is a request of its own, after the round.
        ledger.offered.retain(|(round, _)| *round < mark.0);
    }

    const fn ledger(&self, at_a: bool) -> &Arc<Mutex<Ledger>> {
        if at_a { &self.ledger_a } else { &self.ledger_b }
    }

    /// The sums until now.
    #[must_use]
    pub fn sums(&self) -> Sums {
        let (a, b) = (lock(&self.ledger_a), lock(&self.ledger_b));
        Sums { rounds: a.rounds + b.rounds, events: a.events + b.events }
    }

    /// Waits for acknowledged rounds of both sides: progress after a fault.
    pub fn wait_for(&self, rounds: u64) {
        self.at_a.wait_for(rounds);
        self.at_b.wait_for(rounds);
    }

    /// Ends the load and does the standard check: nothing was lost, so no new life was begun.
    pub fn finish(self) -> Sums {
        self.finish_with(Lives::One)
    }

    /// Ends the load and does the standard check.
    pub fn finish_with(self, lives: Lives) -> Sums {
        let sums = self.sums();
        let Self { pair, at_a, at_b, leads, copies, .. } = self;
        let (at_a, at_b) = (at_a.finish(), at_b.finish());
        let offered: Vec<String> = at_a.ledger().offered.iter().map(|(_, id)| id.clone()).collect();
        let there = shares_at(&pair, &pair.b.api, "active");
        for lead in &offered {
            if !there.contains_key(lead) {
                pair.copy_of(lead);
            }
        }
        pair.until_settled();
        let partner = |records: &[String], from: &[String], to: &[String]| -> Vec<String> {
            let at = |id: &String| from.iter().position(|known| known == id).unwrap();
            records.iter().map(|id| to[at(id)].clone()).collect()
        };
        at_a.check(&pair.b.api, &partner(&at_a.records, &leads, &copies));
        at_b.check(&pair.a.api, &partner(&at_b.records, &copies, &leads));
        for (_, lead) in &at_a.ledger().made {
            pair.a.api.get(&format!("/v1/records/Lead/{lead}")).unwrap();
        }
        standard_check(pair, lives);
        sums
    }
}

/// The records of all shares of this status at an org of a pair, by their record at the origin.
fn shares_at(pair: &Pair, api: &Api, status: &str) -> BTreeMap<String, String> {
    let path = format!("/v1/connections/{}/shares?limit=1000&status={status}", pair.id);
    pages(api, &path, "shares")
        .iter()
        .filter_map(|share| {
            Some((share["origin_record"].as_str()?.to_owned(), share["record"].as_str()?.to_owned()))
        })
        .collect()
}

/// Everything on all pages of a list.
#[must_use]
pub fn pages(api: &Api, path: &str, name: &str) -> Vec<Json> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = api.get(&format!("{path}{cursor}")).unwrap();
        found.extend(list(&page[name]).cloned());
        let Some(next) = page["next"].as_str() else { return found };
        cursor = format!("{}cursor={next}", if path.contains('?') { "&" } else { "?" });
    }
}

/// The standard check, once the fault is over and nobody writes any more: every counted message has
/// one outcome that both know, and the counters add up; both orgs agree on every share and on every
/// field that they share; each refusal has its reason; memory stayed bounded; nobody panicked; each
/// log, replayed alone, gives the state of its daemon; and each message was taken once, in order.
pub fn standard_check(pair: Pair, lives: Lives) {
    pair.until_settled();
    agree(&pair);
    for org in [&pair.a, &pair.b] {
        let failures = org.api.get("/v1/failures").unwrap();
        for failure in list(&failures["failures"]) {
            assert!(failure["reasons"][0]["code"].is_string(), "a failure without a reason: {failure}");
        }
        let peak = org.memory_peak();
        assert!(peak < MEMORY_MAX, "{} took {peak} bytes", org.home.name);
    }
    let broker = pair.broker.log();
    assert!(!broker.contains("panic"), "{broker}");
    let Pair { mut a, mut b, broker: _broker, .. } = pair;
    for org in [&mut a, &mut b] {
        stop_and_check(org);
        if lives == Lives::One {
            each_position_once(org);
        }
    }
}

/// Both orgs have the same active shares, and the same values in the fields that they share: the
/// hash of what the one has is the hash of what the other has.
fn agree(pair: &Pair) {
    // A share that one side has just stopped or granted is told at once; both come to the same.
    let (here, there) = eventually("the same shares on both sides", || {
        let ends = (shares_at(pair, &pair.a.api, "active"), shares_at(pair, &pair.b.api, "active"));
        ends.0.keys().eq(ends.1.keys()).then_some(ends)
    });
    let fields = |api: &Api| -> BTreeMap<String, Json> {
        let records = pages(api, "/v1/records/Lead?limit=1000", "records");
        records
            .into_iter()
            .map(|record| (record["id"].as_str().unwrap().to_owned(), record["fields"].clone()))
            .collect()
    };
    let (at_a, at_b) = (fields(&pair.a.api), fields(&pair.b.api));
    let mut hashes = [blake3::Hasher::new(), blake3::Hasher::new()];
    let mut differ = BTreeSet::new();
    for (origin, lead) in &here {
        for field in LEAD_FIELDS {
            let ends = [&at_a[lead][field], &at_b[&there[origin]][field]];
            for (hash, value) in hashes.iter_mut().zip(ends) {
                hash.update(format!("{origin} {field} {value}\n").as_bytes());
            }
            if ends[0] != ends[1] {
                differ.insert(format!("{field} of {origin}: {:.80} and {:.80}", ends[0], ends[1]));
            }
        }
    }
    assert_eq!(hashes[0].finalize(), hashes[1].finalize(), "the orgs do not agree: {differ:?}");
}

/// Every message of the partner was taken once, in order, and no new life was begun.
fn each_position_once(org: &OrgProcess) {
    let mut last = 0;
    for event in events(org) {
        match event {
            Event::Received(received) => {
                assert_eq!(received.position.0, last + 1, "positions of {}", org.home.name);
                last += 1;
            }
            // What a partner stops publishing is told, and is no fault.
            Event::AlarmRaised(alarm) if alarm.code == "schema_drift" => {}
            Event::AlarmRaised(_) | Event::IncarnationStarted(_) => panic!("{}: {event:?}", org.home.name),
            _ => {}
        }
    }
    assert!(last > 0, "nothing came to {}", org.home.name);
}
