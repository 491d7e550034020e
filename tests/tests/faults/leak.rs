//! Fields that are not shared, under publish rules drawn at random, with what makes orgs send things
//! again in between: canaries of hidden fields are nowhere on the partner's or the broker's side.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};
use tieline_tests::disk::holds;
use tieline_tests::loaded::{Lives, standard_check};
use tieline_tests::pair::{Pair, create, each_event, forward, list, open_log, publish, update};
use tieline_tests::process::eventually;
use tieline_tests::sim::Rng;

/// Rules that are drawn; `TIELINE_LEAK_ROUNDS` for more.
const ROUNDS: usize = 20;
/// What is drawn from; `TIELINE_LEAK_SEED` for another.
const SEED: u64 = 0x1ea4;
/// Published always: without them there is no copy.
const ALWAYS: [&str; 3] = ["LastName", "Company", "Status"];
/// Published in some rounds.
const SOMETIMES: [&str; 6] = ["FirstName", "Title", "Street", "City", "State", "Description"];
/// Never published.
const NEVER: [&str; 3] = ["Country", "PostalCode", "Salutation__c"];
/// The canaries of a lead that is never shared count from here.
const PRIVATE: usize = 50;
/// What every canary begins with.
const CANARY: &str = "cnry";

/// The value of a field in a round.
fn canary(round: usize, field: usize) -> String {
    format!("{CANARY}{round:03}x{field:02}z")
}

/// The round and field of each canary in `bytes`.
fn canaries(bytes: &[u8], found: &mut BTreeSet<(usize, usize)>) {
    let number = |bytes: &[u8]| std::str::from_utf8(bytes).ok()?.parse::<usize>().ok();
    for window in bytes.windows(11) {
        if let Some(rest) = window.strip_prefix(CANARY.as_bytes())
            && let (Some(round), Some(field)) = (number(&rest[..3]), number(&rest[4..6]))
        {
            found.insert((round, field));
        }
    }
}

fn all_fields() -> impl Iterator<Item = (usize, &'static str)> + Clone {
    SOMETIMES.into_iter().chain(NEVER).enumerate()
}

/// What happens to the share while a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Nothing.
    Calm,
    /// The partner is away.
    Away,
    /// The broker loses its disk.
    Wiped,
    /// The share is stopped, and begun anew when the value is there.
    Anew,
    /// The share was stopped and begun anew before.
    Again,
    /// Both sides compare what they have.
    Compared,
    /// The connection is paused here, or there.
    Paused(bool),
    /// The object is paused here, or there.
    ObjectPaused(bool),
    /// Nothing of the object is published for a while.
    Unpublished,
    /// The partner does not take a field for a while.
    NotTaken,
}

impl Turn {
    const ALL: [Self; 12] = [
        Self::Calm,
        Self::Away,
        Self::Wiped,
        Self::Anew,
        Self::Again,
        Self::Compared,
        Self::Paused(true),
        Self::Paused(false),
        Self::ObjectPaused(true),
        Self::ObjectPaused(false),
        Self::Unpublished,
        Self::NotTaken,
    ];
}

/// Two daemons, a lead that is shared by rules that change, and one that is not.
struct Leaking {
    pair: Pair,
    lead: String,
    private: String,
    /// Whether the partner takes but what is published, and not everything that may be.
    partial: bool,
}

impl Leaking {
    fn new() -> Self {
        let pair = Pair::connected();
        let secret = "extends = \"Lead\"\n[fields]\nSalutation__c = { type = \"text\", length = 40 }\n";
        pair.a.api.send_bytes("PUT", "/v1/objects", "application/toml", secret.as_bytes()).unwrap();
        publish(&pair.a.api, &pair.id, &every());
        take(&pair, &every());
        // B sends something, too, so that its side can be checked like any other.
        tieline_tests::pair::share_leads(&pair.b.api, &pair.a.api, &pair.id, true);
        let [lead, private] = ["Curie", "Meitner"]
            .map(|name| create(&pair.a.api, &json!({ "LastName": name, "Company": "Sorbonne" })));
        forward(&pair.a.api, &pair.id, &lead);
        let copy = pair.copy_of(&lead);
        update(&pair.b.api, &copy, &json!({ "LastName": "Skłodowska" }));
        Self { pair, lead, private, partial: false }
    }

    fn stop_share(&self) {
        let stop = json!({ "connection": self.pair.id, "records": [self.lead] });
        self.pair.a.api.must("POST", "/v1/shares/stop", &stop);
    }

    fn share(&self) {
        forward(&self.pair.a.api, &self.pair.id, &self.lead);
    }

    fn pause(&self, here: bool, object: bool, paused: bool) {
        let side = if here { &self.pair.a } else { &self.pair.b };
        let body = if object { json!({ "object": "Lead" }) } else { json!({}) };
        let what = if paused { "pause" } else { "unpause" };
        side.api.must("POST", &format!("/v1/connections/{}/{what}", self.pair.id), &body);
    }

    /// What comes before a value is written.
    fn before(&mut self, turn: Turn) {
        match turn {
            Turn::Away => self.pair.b.stop(),
            Turn::Wiped => self.pair.broker.kill9(),
            Turn::Anew => self.stop_share(),
            Turn::Again => {
                self.stop_share();
                self.share();
            }
            Turn::Paused(here) => self.pause(here, false, true),
            Turn::ObjectPaused(here) => self.pause(here, true, true),
            Turn::Unpublished => {
                let path = format!("/v1/connections/{}/publish/Lead", self.pair.id);
                self.pair.a.api.must("DELETE", &path, &Json::Null);
            }
            Turn::NotTaken => {
                self.partial = true;
                take(&self.pair, &ALWAYS);
            }
            Turn::Calm | Turn::Compared => {}
        }
    }

    /// What comes after it.
    fn after(&mut self, turn: Turn, names: &[&str], url: &str) {
        match turn {
            Turn::Away => self.pair.b.start(url),
            Turn::Wiped => {
                self.pair.broker.wipe_storage().unwrap();
                self.pair.broker.restart().unwrap();
            }
            // All that is visible is sent again.
            Turn::Anew => self.share(),
            Turn::Compared => {
                let path = format!("/v1/connections/{}/reconcile", self.pair.id);
                drop(self.pair.a.api.send("POST", &path, &Json::Null));
            }
            Turn::Paused(here) => self.pause(here, false, false),
            Turn::ObjectPaused(here) => self.pause(here, true, false),
            Turn::Unpublished => publish(&self.pair.a.api, &self.pair.id, names),
            Turn::NotTaken => take(&self.pair, names),
            Turn::Calm | Turn::Again => {}
        }
    }

    /// Everything that the partner's daemon says over its API.
    fn answers(&self) -> String {
        let path = |part: &str| format!("/v1/connections/{}{part}", self.pair.id);
        let paths = [
            "/v1/records/Lead?limit=1000".to_owned(),
            "/v1/log?limit=1000".to_owned(),
            "/v1/changes?limit=1000".to_owned(),
            "/v1/failures".to_owned(),
            "/v1/inbox".to_owned(),
            "/v1/config".to_owned(),
            path(""),
            path("/audit?limit=1000"),
            path("/shares?limit=1000"),
            path("/drift"),
        ];
        let ask = |path: &String| {
            let answer = self.pair.b.api.get(path);
            answer.unwrap_or_else(|problem| panic!("{path}: {problem:?}")).to_string()
        };
        paths.iter().map(ask).chain([self.pair.b.api.text("/metrics")]).collect()
    }
}

/// All fields that are ever published.
fn every() -> Vec<&'static str> {
    ALWAYS.into_iter().chain(SOMETIMES).collect()
}

/// Lets the partner take these fields, as soon as it knows that they are published.
fn take(pair: &Pair, names: &[&str]) {
    let fields: Vec<Json> = names.iter().map(|name| json!({ "local": name, "from": name })).collect();
    let rule = json!({ "local": "Lead", "auto_accept": true, "fields": fields });
    let path = format!("/v1/connections/{}/subscribe/Lead", pair.id);
    eventually("the mapping", || pair.b.api.send("PUT", &path, &rule).ok());
    let known = |taken: &Json| taken["object"] == "Lead" && list(&taken["fields"]).count() == names.len();
    pair.a.api.until("the subscription", &format!("/v1/connections/{}", pair.id), |seen| {
        list(&seen["taken"]).any(known).then_some(())
    });
}

/// A number of the environment.
fn given(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The turns of a run: each once before any comes again, in an order that is drawn.
fn turns(rng: &mut Rng, rounds: usize) -> Vec<Turn> {
    let mut turns = Vec::new();
    while turns.len() < rounds {
        let mut left = Turn::ALL.to_vec();
        while !left.is_empty() {
            turns.push(left.swap_remove(rng.index(left.len())));
        }
    }
    turns.truncate(rounds);
    turns
}

#[test]
fn fields_that_are_not_shared_are_nowhere_whatever_is_sent_again() {
    let seed = given("TIELINE_LEAK_SEED").unwrap_or(SEED);
    let rounds = given("TIELINE_LEAK_ROUNDS").and_then(|rounds| usize::try_from(rounds).ok());
    let rounds = rounds.unwrap_or(ROUNDS).clamp(1, 999);
    let mut rng = Rng::new(seed);
    let mut orgs = Leaking::new();
    let url = orgs.pair.url();
    let mut policies: Vec<BTreeSet<usize>> = Vec::new();
    for (round, turn) in turns(&mut rng, rounds).into_iter().enumerate() {
        orgs.pair.until_settled();
        let policy: BTreeSet<usize> = (0..SOMETIMES.len()).filter(|_| rng.chance(500)).collect();
        let names: Vec<&str> =
            ALWAYS.into_iter().chain(policy.iter().map(|field| SOMETIMES[*field])).collect();
        publish(&orgs.pair.a.api, &orgs.pair.id, &names);
        policies.push(policy);
        if orgs.partial {
            take(&orgs.pair, &names);
        }
        println!("round {round} of seed {seed:#x}: {turn:?}, {names:?}");
        orgs.before(turn);
        for (record, from) in [(&orgs.lead, 0), (&orgs.private, PRIVATE)] {
            let values: BTreeMap<&str, String> =
                all_fields().map(|(field, name)| (name, canary(round, from + field))).collect();
            update(&orgs.pair.a.api, record, &json!(values));
        }
        orgs.after(turn, &names, &url);
    }
    orgs.pair.until_settled();
    look(orgs, &policies, &url);
}

/// Looks for what nobody may have.
fn look(mut orgs: Leaking, policies: &[BTreeSet<usize>], url: &str) {
    let (words, answers) = (orgs.pair.b.log(), orgs.answers());
    // Everything that B ever took, as it came, and everything that it made of it.
    orgs.pair.b.stop();
    let mut found = BTreeSet::new();
    each_event(&open_log(&orgs.pair.b), |event| canaries(event.body, &mut found));
    canaries(words.as_bytes(), &mut found);
    orgs.pair.b.start(url);

    // A value may come in its round, or in the next one if its field is published then.
    let may = |round: usize, field: usize| {
        policies.iter().skip(round).take(2).any(|policy| policy.contains(&field))
    };
    for (round, field) in &found {
        assert!(*field < PRIVATE, "a lead that is not shared came to the partner in round {round}");
        let (_, name) = all_fields().nth(*field).unwrap();
        assert!(may(*round, *field), "{name} of round {round} came to the partner");
    }
    let last = policies.len() - 1;
    for field in &policies[last] {
        assert!(
            found.contains(&(last, *field)),
            "{} did not come: the search finds nothing",
            SOMETIMES[*field]
        );
    }
    let shared = (0..policies.len()).flat_map(|round| all_fields().map(move |(field, _)| (round, field)));
    let hidden = shared.clone().filter(|(round, field)| !may(*round, *field));
    let hidden: Vec<String> = hidden
        .chain(shared.map(|(round, field)| (round, PRIVATE + field)))
        .map(|(round, field)| canary(round, field))
        .collect();
    assert!(hidden.len() > policies.len() * NEVER.len(), "{} canaries are hidden", hidden.len());
    let pair = orgs.pair;
    let broker_words = pair.broker.log();
    for text in &hidden {
        assert!(!holds(pair.b.home.path(), text), "{text} is on the partner's disk");
        assert!(!answers.contains(text.as_str()), "{text} is in an answer of the partner's daemon");
        assert!(!holds(&pair.broker.plan.store_dir, text), "{text} is on the broker's disk");
        assert!(!broker_words.contains(text.as_str()), "{text} is in the words of the broker");
        assert!(!pair.a.log().contains(text.as_str()), "{text} is in the words of its own daemon");
    }
    // Everything is shared in the end, so that both sides can be compared.
    publish(&pair.a.api, &pair.id, &every());
    take(&pair, &every());
    pair.until_settled();
    standard_check(pair, Lives::One);
}
