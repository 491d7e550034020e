//! What the tests have in common: two objects, orgs that run, and a partner whose words are made
//! up by the test.

mod both;
mod org;
mod pair;
mod partner;
mod standard;

use std::fmt::Debug;
use std::str::FromStr;

use tieline_core::mapping::{FieldMapping, PicklistMapping, SubscribeRule};
use tieline_core::publish::PublishRule;
use tieline_core::schema::ObjectSchema;
use tieline_core::value::Value;
use tieline_core::vecmap::VecMap;
use tieline_core::{FieldName, ObjectName, Timestamp};

pub(crate) use both::Both;
pub(crate) use org::{Frame, Org};
pub(crate) use pair::{connect, offers_from_deals, settle_all};
pub(crate) use partner::{Partner, change_of, content, grant_of, offer_of, snapshot_of, stamp};
pub(crate) use standard::{standard, standard_pair};

/// The moment at which every case begins.
pub(crate) const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

/// So many seconds after the beginning.
pub(crate) const fn at(seconds: i64) -> Timestamp {
    NOW.plus_us(seconds * 1_000_000)
}

/// The object of the org that a case is about. A deal over 100 needs a note; `Secret` is never
/// published.
const DEAL: &str = r#"
object = "Deal__c"
label = "Deal"
name_field = "Name"
create_set = ["Name", "Stage"]
view_fields = ["Stage", "Secret"]
[fields]
Name = { type = "text", label = "Name", length = 80, required = true }
Note = { type = "text", label = "Note", length = 40 }
Count = { type = "integer", label = "Count" }
Secret = { type = "text", label = "Secret", length = 40 }
[fields.Stage]
type = "picklist"
label = "Stage"
restricted = true
values = ["New", "Open", "Won"]
[rules.Noted]
condition = 'Count > 100 && isBlank(Note)'
message = "A deal over 100 needs a note; write one."
"#;

/// The same kind of record in the words of its partner. An offer may not be called `d`.
const OFFER: &str = r#"
object = "Offer__c"
label = "Offer"
name_field = "Title"
create_set = ["Title", "Phase"]
view_fields = ["Phase"]
[fields]
Title = { type = "text", label = "Title", length = 80, required = true }
Remark = { type = "text", label = "Remark", length = 200 }
Number = { type = "integer", label = "Number" }
[fields.Phase]
type = "picklist"
label = "Phase"
values = ["one", "two", "three"]
[rules.Titled]
condition = 'Title == "d"'
message = "An offer is not called d; give it another title."
"#;

/// A name that the tests know to be valid.
pub(crate) fn name<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn object(text: &str) -> ObjectSchema {
    ObjectSchema::from_toml(text).unwrap().build(None).unwrap()
}

pub(crate) fn deal() -> ObjectSchema {
    object(DEAL)
}

pub(crate) fn offer() -> ObjectSchema {
    object(OFFER)
}

pub(crate) fn fields(names: &[&str]) -> Vec<FieldName> {
    names.iter().map(|field| name(field)).collect()
}

pub(crate) fn values(given: &[(&str, Value)]) -> VecMap<FieldName, Value> {
    given.iter().map(|(field, value)| (name(field), value.clone())).collect()
}

pub(crate) fn publish_rule(object: &ObjectName, names: &[&str]) -> PublishRule {
    PublishRule::new(object.clone(), fields(names), 0)
}

/// How `offer` and `deal` map to each other, by the name there and the name here.
const PAIRS: [(&str, &str); 4] =
    [("Title", "Name"), ("Remark", "Note"), ("Number", "Count"), ("Phase", "Stage")];
const STAGES: [(&str, &str); 3] = [("one", "New"), ("two", "Open"), ("three", "Won")];

/// What an org with deals takes of one with offers.
pub(crate) fn deals_from_offers() -> SubscribeRule {
    mapping("Offer__c", "Deal__c", PAIRS, STAGES)
}

fn mapping(remote: &str, local: &str, pairs: [(&str, &str); 4], stages: [(&str, &str); 3]) -> SubscribeRule {
    let values = stages.map(|(there, here)| (there.into(), here.into())).into();
    let table = PicklistMapping { values, ..PicklistMapping::default() };
    let is_stage = |there: &str| ["Phase", "Stage"].contains(&there);
    let mappings = pairs.map(|(there, here)| FieldMapping {
        picklist: is_stage(there).then(|| table.clone()),
        ..FieldMapping::rename(name(there), name(here))
    });
    SubscribeRule {
        remote: name(remote),
        local: name(local),
        auto_accept: false,
        accept_whole: false,
        owner: None,
        fields: mappings.into(),
        version: 0,
    }
}
