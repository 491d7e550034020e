//! A publish rule that is narrowed while data flows: once the answer is there, the removed field
//! never again leaves, whatever is sent again later.

use std::path::Path;

use serde_json::json;
use tieline_tests::forge::Forge;
use tieline_tests::load::Load;
use tieline_tests::process::eventually;

use crate::kit::{LEAD_FIELDS, Pair, each_event, open_log, publish, until_value, update};

/// What the partner has seen before, so that a search that finds nothing is known to search.
const KNOWN: &str = "canary-known";
/// What lay in the ring when the rule was narrowed, and was lost there.
const IN_RING: &str = "canary-in-the-ring";
/// What had not left yet.
const UNSENT: &str = "canary-unsent";
/// What was written afterwards.
const AFTER: &str = "canary-after";
/// The last change, of a field that is still published.
const MARK: &str = "https://mark.example";

fn without<'a>(hidden: &[&str]) -> Vec<&'a str> {
    LEAD_FIELDS.into_iter().filter(|name| !hidden.contains(name)).collect()
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Whether any file below `path` holds `text` as it is.
fn on_disk(path: &Path, text: &str) -> bool {
    let Ok(entries) = std::fs::read_dir(path) else {
        return std::fs::read(path).is_ok_and(|bytes| contains(&bytes, text));
    };
    entries.flatten().any(|entry| on_disk(&entry.path(), text))
}

#[test]
fn a_field_that_is_no_longer_published_never_leaves_again_not_even_when_frames_are_sent_again() {
    let mut pair = Pair::start();
    let (lead, copy) = pair.share_lead("Curie");
    update(&pair.a.api, &lead, &json!({ "City": KNOWN }));
    until_value(&pair.b.api, &copy, "City", KNOWN);
    pair.until_settled();

    // The partner is away: frames lie in its ring, and nowhere else but in our log.
    pair.b.stop();
    let forge = Forge::new(&pair.url(), &pair.a.home, &pair.b.home, &pair.url);
    let in_ring = |text: &str| forge.opened().iter().any(|body| contains(body, text));
    assert!(in_ring(KNOWN), "the ring cannot be searched");
    update(&pair.a.api, &lead, &json!({ "City": IN_RING }));
    eventually("the frame in the ring", || in_ring(IN_RING).then_some(()));
    pair.broker.kill9();
    update(&pair.a.api, &lead, &json!({ "City": UNSENT, "Rating": "Warm" }));

    publish(&pair.a.api, &pair.id, &without(&["City"]));
    update(&pair.a.api, &lead, &json!({ "City": AFTER }));
    update(&pair.a.api, &lead, &json!({ "Website": MARK }));

    pair.broker.wipe_storage().unwrap();
    pair.broker.restart().unwrap();
    let url = pair.url();
    pair.b.start(&url);
    until_value(&pair.b.api, &copy, "Website", MARK);
    until_value(&pair.b.api, &copy, "Rating", "Warm");
    until_value(&pair.b.api, &copy, "City", KNOWN);
    pair.until_settled();
    assert!(in_ring(MARK), "the ring cannot be searched");
    for hidden in [IN_RING, UNSENT, AFTER] {
        assert!(!in_ring(hidden), "{hidden} was sent");
    }
    drop(forge);
    nowhere(pair, KNOWN, &[IN_RING, UNSENT, AFTER]);
}

#[test]
fn a_rule_that_is_narrowed_under_load_holds_as_soon_as_it_is_answered() {
    let pair = Pair::start();
    let (lead, copy) = pair.share_lead("Curie");
    let (api, id) = (pair.a.api.clone(), lead.clone());
    let load = Load::start((), move |(), round| {
        update(&api, &id, &json!({ "Description": format!("before-{round}.") }));
        true
    });
    load.wait_for(20);
    publish(&pair.a.api, &pair.id, &without(&["Description"]));
    load.finish();
    for n in 0..20 {
        update(&pair.a.api, &lead, &json!({ "Description": format!("{AFTER}-{n}") }));
    }
    update(&pair.a.api, &lead, &json!({ "Website": MARK }));
    until_value(&pair.b.api, &copy, "Website", MARK);
    pair.until_settled();
    nowhere(pair, "before-1.", &[AFTER]);
}

/// Searches everything that the partner and the broker keep: `known` has to be found, so that the
/// search is known to work, and nothing `hidden`.
fn nowhere(mut pair: Pair, known: &str, hidden: &[&str]) {
    pair.b.stop();
    let mut found = vec![false; hidden.len() + 1];
    // The log is compressed: it is searched event by event, the messages as they came included.
    each_event(&open_log(&pair.b), |event| {
        for (text, found) in std::iter::once(&known).chain(hidden).zip(&mut found) {
            *found |= contains(event.body, text);
        }
    });
    assert!(found[0], "{known} is not in the log of the partner: the search does not work");
    for (text, found) in hidden.iter().zip(&found[1..]) {
        assert!(!found, "{text} came to the partner");
        assert!(!on_disk(pair.b.home.path(), text), "{text} is on the partner's disk");
        assert!(!on_disk(&pair.broker.plan.store_dir, text), "{text} is on the broker's disk");
    }
    pair.a.stop();
}
