//! Two orgs as processes on one broker, and what every case looks at in the end.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use tieline_core::Seq;
use tieline_core::engine::Engine;
use tieline_core::event::Event;
use tieline_core::log::StoredEvent;
use tieline_daemon::replay::rebuild;
use tieline_daemon::run::read_log;
use tieline_store::{LogReader, SnapshotStore};

use crate::live::OrgHome;
use crate::nats::{Edition, NatsServer};
use crate::process::{Api, OrgProcess, Problem, connect_by_url, eventually, look_until};

/// The lead fields that a pair shares.
pub const LEAD_FIELDS: [&str; 7] =
    ["LastName", "Company", "Status", "City", "Website", "Rating", "Description"];

/// A broker that knows these orgs and does not run yet.
pub fn broker_for<'a>(homes: impl IntoIterator<Item = &'a OrgHome>) -> NatsServer {
    let orgs = homes.into_iter().map(OrgHome::access).collect();
    NatsServer::prepare(Edition::Pinned, orgs).unwrap().expect("the pinned edition")
}

/// Two orgs that are connected, over one broker.
pub struct Pair {
    /// The broker.
    pub broker: NatsServer,
    /// The org that invited.
    pub a: OrgProcess,
    /// The org that was invited.
    pub b: OrgProcess,
    /// The connection.
    pub id: String,
    /// The connection URL that was answered.
    pub url: String,
}

impl Pair {
    /// Starts broker and orgs and connects them; nothing is published.
    pub fn connected() -> Self {
        let (mut a, mut b) = (OrgProcess::make("acme"), OrgProcess::make("globex"));
        let mut broker = broker_for([&a.home, &b.home]);
        broker.restart().unwrap();
        a.start(&broker.url());
        b.start(&broker.url());
        let (id, url) = connect_by_url(&a.api, &b.api);
        Self { broker, a, b, id, url }
    }

    /// The same, and both publish and take each other's leads; the second org accepts by itself.
    pub fn start() -> Self {
        let pair = Self::connected();
        share_leads(&pair.a.api, &pair.b.api, &pair.id, true);
        share_leads(&pair.b.api, &pair.a.api, &pair.id, true);
        pair
    }

    /// Two orgs that were made already, each over its own way to a broker that runs: both publish and
    /// take each other's leads, and the second org accepts by itself.
    pub fn over(broker: NatsServer, mut a: OrgProcess, mut b: OrgProcess, ways: [&str; 2]) -> Self {
        a.start(ways[0]);
        b.start(ways[1]);
        let (id, url) = connect_by_url(&a.api, &b.api);
        let pair = Self { broker, a, b, id, url };
        share_leads(&pair.a.api, &pair.b.api, &pair.id, true);
        share_leads(&pair.b.api, &pair.a.api, &pair.id, true);
        pair
    }

    /// The same with a broker of their own, whose plan `change` may change before it starts.
    pub fn of(a: OrgProcess, b: OrgProcess, change: impl FnOnce(&mut NatsServer)) -> Self {
        let mut broker = broker_for([&a.home, &b.home]);
        change(&mut broker);
        broker.restart().unwrap();
        let url = broker.url();
        Self::over(broker, a, b, [&url, &url])
    }

    /// The address of the broker.
    pub fn url(&self) -> String {
        self.broker.url()
    }

    /// Creates a lead at the first org, shares it, and waits for the copy: both ids.
    pub fn share_lead(&self, name: &str) -> (String, String) {
        let lead = create(&self.a.api, &json!({ "LastName": name, "Company": "Sorbonne" }));
        forward(&self.a.api, &self.id, &lead);
        let copy = self.copy_of(&lead);
        (lead, copy)
    }

    /// The copy of a lead of the first org, once its share is active on both sides.
    ///
    /// # Panics
    /// It is not in time; says what the org shows instead.
    pub fn copy_of(&self, lead: &str) -> String {
        let at = |org: &OrgProcess| {
            let mut seen = Ok(None);
            let found = look_until(|| {
                seen = self.share_of(&org.api, lead, "&status=active");
                seen.as_ref().ok()?.as_ref()?["record"].as_str().map(str::to_owned)
            });
            found.unwrap_or_else(|| {
                let stands = self.share_of(&org.api, lead, "");
                panic!(
                    "no active share of {lead} at {} in time: {seen:?}; it stands so: {stands:?}",
                    org.home.name
                )
            })
        };
        at(&self.a);
        at(&self.b)
    }

    /// What an org shows of the share of a lead of the first org. A long life has many pages of shares.
    fn share_of(&self, api: &Api, lead: &str, filter: &str) -> Result<Option<Json>, Problem> {
        let list_of = format!("/v1/connections/{}/shares?limit=1000{filter}", self.id);
        let mut path = list_of.clone();
        loop {
            let page = api.get(&path)?;
            if let Some(share) = list(&page["shares"]).find(|share| share["origin_record"] == lead) {
                return Ok(Some(share.clone()));
            }
            let Some(next) = page["next"].as_str() else { return Ok(None) };
            path = format!("{list_of}&cursor={next}");
        }
    }

    /// Waits until every counted message of both sides has one outcome that both know.
    pub fn until_settled(&self) {
        for (sender, receiver) in [(&self.a, &self.b), (&self.b, &self.a)] {
            let path = format!("/v1/connections/{}", self.id);
            let counted = sender.api.until("all outcomes told", &path, |seen| {
                let counted = seen["outbox"]["counted"].as_u64()?;
                (seen["summary"]["sent"]["received"] == counted).then_some(counted)
            });
            let seen = receiver.api.get(&path).unwrap();
            let counts = &seen["summary"]["received"];
            let ends = ["applied", "unchanged", "superseded", "filtered", "held", "rejected"];
            let ended: u64 = ends.iter().map(|end| counts[end].as_u64().unwrap()).sum();
            assert_eq!((ended, counts["received"].as_u64()), (counted, Some(counted)), "{counts}");
        }
    }

    /// Waits until each message that either side has counted by now has an outcome that it was told, whatever
    /// is written meanwhile.
    pub fn until_told(&self) {
        let path = format!("/v1/connections/{}", self.id);
        for sender in [&self.a, &self.b] {
            let counted = sender.api.get(&path).unwrap()["outbox"]["counted"].as_u64();
            sender.api.until("outcomes of what was sent", &path, |seen| {
                (seen["summary"]["sent"]["received"].as_u64() >= counted).then_some(())
            });
        }
    }

    /// Waits until the two records hold the same in the fields that the pair shares.
    pub fn until_same(&self, lead: &str, copy: &str) {
        let end = |api: &Api, id: &str| shared_fields(&api.get(&format!("/v1/records/Lead/{id}")).unwrap());
        self.until_settled();
        assert_eq!(end(&self.a.api, lead), end(&self.b.api, copy));
    }

    /// Stops both, and holds each log against the state that its daemon had.
    pub fn finish(mut self) {
        for org in [&mut self.a, &mut self.b] {
            stop_and_check(org);
        }
    }
}

/// What a record holds in the fields that a pair shares.
pub fn shared_fields(record: &Json) -> BTreeMap<&'static str, Json> {
    LEAD_FIELDS.iter().map(|name| (*name, record["fields"][name].clone())).collect()
}

/// One org publishes its leads to the other, which takes them as they are.
pub fn share_leads(from: &Api, to: &Api, id: &str, auto_accept: bool) {
    publish(from, id, &LEAD_FIELDS);
    let same: Vec<Json> = LEAD_FIELDS.iter().map(|name| json!({ "local": name, "from": name })).collect();
    subscribe(from, to, id, &json!({ "local": "Lead", "auto_accept": auto_accept, "fields": same }));
}

/// Publishes these fields of leads and nothing else.
pub fn publish(api: &Api, id: &str, fields: &[&str]) {
    api.must("PUT", &format!("/v1/connections/{id}/publish/Lead"), &json!({ "fields": fields }));
}

/// Takes leads by `rule` once the catalogue is there, and waits until the publisher knows.
pub fn subscribe(from: &Api, to: &Api, id: &str, rule: &Json) {
    let path = format!("/v1/connections/{id}");
    to.until("a catalogue", &path, |seen| {
        list(&seen["catalogue"])
            .any(|object| object["object"] == "Lead" || object["name"] == "Lead")
            .then_some(())
    });
    to.must("PUT", &format!("{path}/subscribe/Lead"), rule);
    from.until("the subscription", &path, |seen| {
        list(&seen["taken"]).any(|taken| taken["object"] == "Lead").then_some(())
    });
}

/// Creates a lead.
pub fn create(api: &Api, fields: &Json) -> String {
    id_of(&api.must("POST", "/v1/records/Lead", &json!({ "fields": fields })))
}

/// Writes fields of a lead.
pub fn update(api: &Api, id: &str, fields: &Json) {
    api.must("PATCH", &format!("/v1/records/Lead/{id}"), &json!({ "fields": fields }));
}

/// Offers a lead.
pub fn forward(api: &Api, connection: &str, lead: &str) {
    let body = json!({ "connections": [connection], "object": "Lead", "records": [lead] });
    let answer = api.must("POST", "/v1/shares", &body);
    assert_eq!(answer["results"][0]["result"]["ok"], true, "{answer}");
}

/// Waits until a field of a lead has this value.
pub fn until_value(api: &Api, id: &str, field: &str, value: impl Into<Json>) {
    let value = value.into();
    let what = format!("{field} = {value:.60}");
    api.until(&what, &format!("/v1/records/Lead/{id}"), |seen| {
        (seen["fields"][field] == value).then_some(())
    });
}

/// Waits until `/readyz` says yes.
pub fn until_ready(api: &Api) {
    api.until("readiness", "/readyz", |seen| (seen["ready"] == true).then_some(()));
}

/// The elements of a JSON list; none if it is none.
pub fn list(json: &Json) -> impl Iterator<Item = &Json> {
    json.as_array().into_iter().flatten()
}

/// The id in an answer.
pub fn id_of(answer: &Json) -> String {
    answer["id"].as_str().unwrap_or_else(|| panic!("no id in {answer}")).to_owned()
}

/// Stops the daemon; its log, replayed alone, has to give the state that the daemon had, with and
/// without snapshots, and the daemon must never have panicked.
pub fn stop_and_check(org: &mut OrgProcess) {
    let seen = org.api.get("/v1/state-hash?memory=true").unwrap();
    org.stop();
    // sled syncs once more when it is dropped, and panics where the disk is gone: a daemon that ends
    // because of that disk may end like this, and nothing was acknowledged since.
    let words = org.log();
    let panicked = |line: &&str| line.contains("panicked") && !line.contains("/src/pagecache/logger.rs");
    assert_eq!(words.lines().find(panicked), None, "{words}");
    let log = open_log(org);
    let mut engine = Engine::default();
    let (mut at_seen, upto) = (String::new(), Seq(seen["seq"].as_u64().unwrap()));
    each_event(&log, |event| {
        engine.replay(event.time, event.kind, event.body).unwrap();
        if event.seq == upto {
            at_seen = engine.state().hash().to_string();
        }
    });
    assert_eq!(seen["hash"], at_seen.as_str(), "the log of {} gives another state", org.home.name);
    let last = engine.state().hash();
    let snapshots = SnapshotStore::open(tieline_daemon::snapshots_dir(org.home.path())).unwrap();
    for (how, snapshots) in [("from the log", None), ("from a snapshot", Some(&snapshots))] {
        let rebuilt = rebuild(&log, snapshots).unwrap();
        assert_eq!(rebuilt.engine.state().hash(), last, "rebuilt {how}");
        assert_eq!(snapshots.is_some(), rebuilt.snapshot > Seq(0), "a stop leaves a snapshot");
    }
}

/// The log of an org whose daemon is stopped. A child that another test is just starting holds for a
/// moment what this process had open, the lock of a log included.
pub fn open_log(org: &OrgProcess) -> LogReader {
    eventually("the log is free", || read_log(org.home.path()).ok())
}

/// Hands over every event of a log that no daemon uses.
pub fn each_event(log: &LogReader, mut take: impl FnMut(StoredEvent<'_>)) {
    let mut cursor = log.cursor(Seq(1));
    while let Some(groups) = cursor.next_groups().unwrap() {
        groups.events().for_each(&mut take);
    }
}

/// The decoded events of the log of an org whose daemon is stopped.
pub fn events(org: &OrgProcess) -> Vec<Event> {
    let mut events = Vec::new();
    each_event(&open_log(org), |event| {
        events.push(Event::decode(event.kind, event.body).unwrap());
    });
    events
}
