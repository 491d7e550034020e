//! Fields that are not shared, under publish rules drawn at random, with what makes orgs send things
//! again in between: canaries of hidden fields are nowhere on the partner's or the broker's side.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};
use tieline_tests::disk::holds;
use tieline_tests::loaded::{Lives, standard_check};
use tieline_tests::pair::{Pair, create, each_event, forward, open_log, publish, subscribe, update};
use tieline_tests::sim::Rng;

/// Rules that are drawn.
const ROUNDS: usize = 14;
/// Published always: without them there is no copy.
const ALWAYS: [&str; 3] = ["LastName", "Company", "Status"];
/// Published in some rounds.
const SOMETIMES: [&str; 6] = ["FirstName", "Title", "Street", "City", "State", "Description"];
/// Never published.
const NEVER: [&str; 3] = ["Country", "PostalCode", "Salutation__c"];
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

fn all_fields() -> impl Iterator<Item = (usize, &'static str)> {
    SOMETIMES.into_iter().chain(NEVER).enumerate()
}

#[test]
fn fields_that_are_not_shared_are_nowhere_whatever_is_sent_again() {
    let mut pair = Pair::connected();
    let secret = "extends = \"Lead\"\n[fields]\nSalutation__c = { type = \"text\", length = 40 }\n";
    pair.a.api.send_bytes("PUT", "/v1/objects", "application/toml", secret.as_bytes()).unwrap();
    let every: Vec<&str> = ALWAYS.into_iter().chain(SOMETIMES).collect();
    publish(&pair.a.api, &pair.id, &every);
    let fields: Vec<Json> = every.iter().map(|name| json!({ "local": name, "from": name })).collect();
    let rule = json!({ "local": "Lead", "auto_accept": true, "fields": fields });
    subscribe(&pair.a.api, &pair.b.api, &pair.id, &rule);
    // B sends something, too, so that its side can be checked like any other.
    tieline_tests::pair::share_leads(&pair.b.api, &pair.a.api, &pair.id, true);
    let lead = create(&pair.a.api, &json!({ "LastName": "Curie", "Company": "Sorbonne" }));
    forward(&pair.a.api, &pair.id, &lead);
    let copy = pair.copy_of(&lead);
    update(&pair.b.api, &copy, &json!({ "LastName": "Skłodowska" }));

    let mut rng = Rng::new(0x1ea4);
    let mut policies: Vec<BTreeSet<usize>> = Vec::new();
    let url = pair.url();
    for round in 0..ROUNDS {
        pair.until_settled();
        let policy: BTreeSet<usize> = (0..SOMETIMES.len()).filter(|_| rng.chance(500)).collect();
        let names: Vec<&str> =
            ALWAYS.into_iter().chain(policy.iter().map(|field| SOMETIMES[*field])).collect();
        publish(&pair.a.api, &pair.id, &names);
        policies.push(policy);
        match round % 5 {
            1 => pair.b.stop(),
            2 => pair.broker.kill9(),
            _ => {}
        }
        let values: BTreeMap<&str, String> =
            all_fields().map(|(field, name)| (name, canary(round, field))).collect();
        update(&pair.a.api, &lead, &json!(values));
        match round % 5 {
            1 => pair.b.start(&url),
            2 => {
                pair.broker.wipe_storage().unwrap();
                pair.broker.restart().unwrap();
            }
            3 => {
                // Shared anew: all that is visible is sent again.
                let stop = json!({ "connection": pair.id, "records": [lead] });
                pair.a.api.must("POST", "/v1/shares/stop", &stop);
                forward(&pair.a.api, &pair.id, &lead);
            }
            4 => {
                drop(pair.a.api.send("POST", &format!("/v1/connections/{}/reconcile", pair.id), &Json::Null));
            }
            _ => {}
        }
    }
    pair.until_settled();
    let words = pair.b.log();
    let path = |part: &str| format!("/v1/connections/{}{part}", pair.id);
    let answers: String = [
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
    ]
    .iter()
    .map(|path| pair.b.api.get(path).unwrap_or_else(|problem| panic!("{path}: {problem:?}")).to_string())
    .collect();

    // Everything that B ever took, as it came, and everything that it made of it.
    pair.b.stop();
    let mut found = BTreeSet::new();
    each_event(&open_log(&pair.b), |event| canaries(event.body, &mut found));
    canaries(words.as_bytes(), &mut found);
    pair.b.start(&url);

    // A value may come in its round, or in the next one if its field is published then.
    let may = |round: usize, field: usize| {
        policies.iter().skip(round).take(2).any(|policy| policy.contains(&field))
    };
    for (round, field) in &found {
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
    let hidden: Vec<String> = (0..ROUNDS)
        .flat_map(|round| all_fields().map(move |(field, _)| (round, field)))
        .filter(|(round, field)| !may(*round, *field))
        .map(|(round, field)| canary(round, field))
        .collect();
    assert!(hidden.len() > ROUNDS * NEVER.len(), "{} canaries are hidden", hidden.len());
    for text in &hidden {
        assert!(!holds(pair.b.home.path(), text), "{text} is on the partner's disk");
        assert!(!answers.contains(text.as_str()), "{text} is in an answer of the partner's daemon");
        assert!(!holds(&pair.broker.plan.store_dir, text), "{text} is on the broker's disk");
        assert!(!pair.a.log().contains(text.as_str()), "{text} is in the words of its own daemon");
    }
    // Everything is shared in the end, so that both sides can be compared.
    publish(&pair.a.api, &pair.id, &every);
    pair.until_settled();
    standard_check(pair, Lives::One);
}
