//! Daemons that are killed or stopped while they are written to: what was acknowledged is there, at
//! both orgs, once.

use serde_json::{Value as Json, json};
use tieline_core::event::Event;
use tieline_tests::load::Load;
use tieline_tests::process::{Api, OrgProcess};
use tieline_tests::sim::Rng;

use crate::kit::{Pair, events, list, stop_and_check};

/// Records that each round writes.
const RECORDS: usize = 10;

/// One side of the load: all its records get the number of the round, in a field of its own.
pub(crate) struct Side {
    api: Api,
    field: &'static str,
    records: Vec<String>,
    /// Where the leads that it makes are offered; without, it makes none.
    offers_to: Option<String>,
    acknowledged: u64,
    tried: u64,
    made: Vec<String>,
    offered: Vec<String>,
}

impl Side {
    fn new(api: &Api, field: &'static str, records: Vec<String>, offers_to: Option<String>) -> Self {
        let (made, offered) = (Vec::new(), Vec::new());
        Self { api: api.clone(), field, records, offers_to, acknowledged: 0, tried: 0, made, offered }
    }

    /// One batch; whether it was acknowledged.
    fn round(&mut self, number: u64) -> bool {
        self.tried = number;
        let write = |id: &String| json!({ "op": "update", "object": "Lead", "id": id, "fields": { self.field: value(number) } });
        let mut operations: Vec<Json> = self.records.iter().map(write).collect();
        if self.offers_to.is_some() {
            let fields = json!({ "LastName": format!("made {number}"), "Company": "X" });
            operations.push(json!({ "op": "create", "object": "Lead", "fields": fields }));
        }
        let Some(answer) =
            acknowledged(self.api.send("POST", "/v1/batch", &json!({ "operations": operations })))
        else {
            return false;
        };
        assert_eq!(answer["refused"], 0, "{answer}");
        self.acknowledged = number;
        if let Some(connection) = &self.offers_to {
            let id = answer["results"][self.records.len()]["id"].as_str().unwrap().to_owned();
            self.made.push(id.clone());
            let body = json!({ "connections": [connection], "object": "Lead", "records": [id] });
            if let Some(answer) = acknowledged(self.api.send("POST", "/v1/shares", &body)) {
                assert_eq!(answer["results"][0]["result"]["ok"], true, "{answer}");
                self.offered.push(id);
            }
        }
        true
    }

    /// Every record has a value from the last acknowledged round on, here and at the partner.
    fn check(&self, partner: &Api, theirs: &[String]) {
        assert!(self.acknowledged > 0, "nothing was acknowledged");
        for (here, there) in self.records.iter().zip(theirs) {
            let value = |api: &Api, id: &String| {
                api.get(&format!("/v1/records/Lead/{id}")).unwrap()["fields"][self.field].clone()
            };
            let found = value(&self.api, here);
            let number: u64 = found.as_str().and_then(|text| text.rsplit('/').next()?.parse().ok()).unwrap();
            assert!(
                (self.acknowledged..=self.tried).contains(&number),
                "{} of {here} is {found}; {} was acknowledged and {} tried",
                self.field,
                self.acknowledged,
                self.tried
            );
            assert_eq!(value(partner, there), found, "{} at the partner", self.field);
        }
    }
}

fn value(number: u64) -> String {
    format!("https://example.com/{number}")
}

/// The answer, unless the daemon was going, gone or not there: then nobody knows.
fn acknowledged(answer: Result<Json, tieline_tests::process::Problem>) -> Option<Json> {
    match answer {
        Ok(answer) => Some(answer),
        Err(problem) if problem.status == 0 || problem.status == 503 => None,
        Err(problem) => panic!("{problem:?}"),
    }
}

/// A pair under load from both sides.
pub(crate) struct Loaded {
    pub(crate) pair: Pair,
    pub(crate) at_a: Load<Side>,
    pub(crate) at_b: Load<Side>,
    leads: Vec<String>,
    copies: Vec<String>,
}

impl Loaded {
    pub(crate) fn start() -> Self {
        let pair = Pair::start();
        let create = |n| json!({ "op": "create", "object": "Lead", "fields": { "LastName": format!("Lead {n}"), "Company": "X" } });
        let operations: Vec<Json> = (0..RECORDS).map(create).collect();
        let made = pair.a.api.must("POST", "/v1/batch", &json!({ "operations": operations }));
        let leads: Vec<String> =
            list(&made["results"]).map(|result| result["id"].as_str().unwrap().to_owned()).collect();
        let body = json!({ "connections": [pair.id], "object": "Lead", "records": leads });
        pair.a.api.must("POST", "/v1/shares", &body);
        let copies: Vec<String> = leads.iter().map(|lead| pair.copy_of(lead)).collect();
        let at_a = Side::new(&pair.a.api, "City", leads.clone(), Some(pair.id.clone()));
        let at_b = Side::new(&pair.b.api, "Website", copies.clone(), None);
        let (at_a, at_b) = (Load::start(at_a, Side::round), Load::start(at_b, Side::round));
        Self { pair, at_a, at_b, leads, copies }
    }

    /// Ends the load; everything that was acknowledged has to be at both orgs, once, and each log
    /// has to give the state of its daemon.
    pub(crate) fn finish(self) {
        let Self { pair, at_a, at_b, leads, copies } = self;
        let (at_a, at_b) = (at_a.finish(), at_b.finish());
        for lead in &at_a.offered {
            pair.copy_of(lead);
        }
        pair.until_settled();
        at_a.check(&pair.b.api, &copies);
        at_b.check(&pair.a.api, &leads);
        for lead in &at_a.made {
            pair.a.api.get(&format!("/v1/records/Lead/{lead}")).unwrap();
        }
        let Pair { mut a, mut b, broker: _broker, .. } = pair;
        for org in [&mut a, &mut b] {
            stop_and_check(org);
            each_position_once(org);
        }
    }
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
            Event::AlarmRaised(_) | Event::IncarnationStarted(_) => panic!("{}: {event:?}", org.home.name),
            _ => {}
        }
    }
    assert!(last > 0, "nothing came to {}", org.home.name);
}

#[test]
fn daemons_that_are_killed_again_and_again_lose_nothing_and_repeat_nothing() {
    let mut loaded = Loaded::start();
    let url = loaded.pair.url();
    let mut rng = Rng::new(0x7e1e);
    for kill in 0..12 {
        // The moment is counted in rounds of the side that lives on: it falls anywhere within a
        // round of the side that dies.
        let (dies, lives) = if kill % 2 == 0 {
            (&mut loaded.pair.a, &loaded.at_b)
        } else {
            (&mut loaded.pair.b, &loaded.at_a)
        };
        lives.wait_for(1 + rng.below(12));
        dies.kill9();
        lives.wait_for(rng.below(8));
        dies.start(&url);
    }
    loaded.at_a.wait_for(3);
    loaded.at_b.wait_for(3);
    loaded.finish();
}

#[test]
fn a_daemon_that_is_stopped_under_load_ends_well_and_keeps_what_it_acknowledged() {
    let mut loaded = Loaded::start();
    let url = loaded.pair.url();
    for _ in 0..2 {
        loaded.at_a.wait_for(5);
        // It asserts that the daemon ends with exit code 0.
        loaded.pair.a.stop();
        loaded.at_b.wait_for(5);
        loaded.pair.b.stop();
        loaded.pair.a.start(&url);
        loaded.pair.b.start(&url);
    }
    loaded.at_a.wait_for(3);
    loaded.finish();
}
