//! Schema drift (S2S-31): a published field that changes affects itself alone, and both sides are told;
//! picklist values without a mapping are counted (S2S-29).

use tieline_core::ConnectionId;
use tieline_core::RecordId;
use tieline_core::command::{Command, Reply};
use tieline_core::drift::{self, Change};
use tieline_core::mapping::{FieldMapping, PicklistMapping, Source, SubscribeRule, Unmapped};
use tieline_core::outcome::Outcome;
use tieline_core::reason::ReasonCode;
use tieline_core::schema::ObjectSchema;
use tieline_core::value::Value;

use crate::kit::{Org, connect, name, publish_rule, settle_all};

const ITEM: &str = r#"
object = "Item__c"
name_field = "Name"
create_set = ["Name"]
[fields]
Name = { type = "text", required = true, length = 40 }
Weight = { type = "decimal", label = "Weight" }
Colour = { type = "picklist", values = ["red", "green"] }
"#;

fn object(text: &str, base: Option<&ObjectSchema>) -> ObjectSchema {
    ObjectSchema::from_toml(text).unwrap().build(base).unwrap()
}

fn rule(pairs: &[(&str, &str)], table: PicklistMapping) -> SubscribeRule {
    let mapping = |(from, to): &(&str, &str)| FieldMapping {
        picklist: (*to == "Colour").then(|| table.clone()),
        ..FieldMapping::rename(name(from), name(to))
    };
    SubscribeRule {
        remote: name("Item__c"),
        local: name("Item__c"),
        auto_accept: true,
        accept_whole: false,
        owner: None,
        fields: pairs.iter().map(mapping).collect(),
        version: 0,
    }
}

const ALL: [(&str, &str); 3] = [("Name", "Name"), ("Weight", "Weight"), ("Colour", "Colour")];

fn subscribe(b: &mut Org, connection: ConnectionId, rule: SubscribeRule) {
    b.run(Command::Subscribe { connection, object: name("Item__c"), rule: Some(rule) });
}

fn publish(a: &mut Org, connection: ConnectionId, fields: &[&str]) {
    let object = name("Item__c");
    let rule = Some(publish_rule(&object, fields));
    a.run(Command::Publish { connection, object, rule });
}

fn pair(table: PicklistMapping) -> (Org, Org, ConnectionId) {
    let (mut a, mut b) = (Org::new("acme", object(ITEM, None)), Org::new("globex", object(ITEM, None)));
    let connection = connect(&mut a, &mut b);
    publish(&mut a, connection, &["Colour", "Name", "Weight"]);
    settle_all(&mut a, &mut b, connection);
    subscribe(&mut b, connection, rule(&ALL, table));
    settle_all(&mut a, &mut b, connection);
    (a, b, connection)
}

fn shared(
    a: &mut Org,
    b: &mut Org,
    connection: ConnectionId,
    fields: &[(&str, Value)],
) -> (RecordId, RecordId) {
    let record = a.create("Item__c", fields);
    let Reply::Share(share) = a.run(Command::Forward { record, connection }) else { panic!("a share") };
    settle_all(a, b, connection);
    (record, b.state().share(connection, share).unwrap().record.unwrap())
}

/// A file that extends the item, as the org would define it.
fn extended(org: &Org, fields: &str) -> ObjectSchema {
    let text = format!("extends = \"Item__c\"\n[fields]\n{fields}\n");
    object(&text, org.state().object(&name("Item__c")).map(AsRef::as_ref))
}

fn value(org: &Org, record: RecordId, field: &str) -> Value {
    org.record(record).value(&name(field)).clone()
}

fn broken(org: &Org, connection: ConnectionId) -> Vec<String> {
    let broken = drift::broken(org.state(), org.connection(connection));
    broken.map(|broken| broken.local.to_string()).collect()
}

fn alarms(org: &Org) -> usize {
    org.state().alarms.iter().filter(|alarm| alarm.alarm.code == "schema_drift").count()
}

#[test]
fn a_field_that_changes_its_type_stops_no_other_and_comes_through_when_mended() {
    let (mut a, mut b, connection) = pair(PicklistMapping::default());
    let fields = [("Name", Value::text("Bolt")), ("Weight", Value::Decimal(5.into()))];
    let (record, copy) = shared(&mut a, &mut b, connection, &fields);
    // The publisher is told before what it would break, and after.
    let schema = extended(&a, "Weight = { type = \"text\" }");
    let told: Vec<_> = drift::of_object(a.state(), &schema).flat_map(|(_, changes)| changes).collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].to_string(), "Weight was of type decimal and is of type text");
    a.update(record, &[("Weight", Value::Null)]);
    a.run(Command::DefineObject { schema: Box::new(schema) });
    settle_all(&mut a, &mut b, connection);
    for (org, ours) in [(&a, true), (&b, false)] {
        let noted = &org.connection(connection).drift;
        assert_eq!(
            noted.iter().map(|drift| (drift.ours, &drift.change)).collect::<Vec<_>>(),
            [(ours, &told[0])]
        );
    }
    assert_eq!((broken(&b, connection), alarms(&b)), (vec!["Weight".to_owned()], 1));

    a.update(record, &[("Weight", Value::text("heavy")), ("Name", Value::text("Nut"))]);
    settle_all(&mut a, &mut b, connection);
    assert_eq!(value(&b, copy, "Name"), Value::text("Nut"), "the other field came through");
    let pending = &b.record(copy).pending;
    let waiting = pending.get(&name::<tieline_core::FieldName>("Weight")).unwrap();
    assert_eq!(waiting.reasons[0].code, ReasonCode::FieldDrifted);
    // A new record is created without the field.
    let (_, other) =
        shared(&mut a, &mut b, connection, &[("Name", Value::text("Pin")), ("Weight", Value::text("light"))]);
    assert_eq!(value(&b, other, "Name"), Value::text("Pin"));
    assert_eq!(value(&b, other, "Weight"), Value::Null);
    // Only the field: a message with nothing else is rejected, with its reason.
    a.update(record, &[("Weight", Value::text("very heavy"))]);
    settle_all(&mut a, &mut b, connection);
    let counts = b.connection(connection).inbound.counts;
    assert!(counts.balanced() && counts.of(Outcome::Rejected) >= 1, "{counts:?}");

    // The type is mended here, and the rule saved anew: what waited comes through.
    let mended = extended(&b, "Weight = { type = \"text\" }");
    b.run(Command::DefineObject { schema: Box::new(mended) });
    settle_all(&mut a, &mut b, connection);
    assert_eq!(value(&b, copy, "Weight"), Value::text("very heavy"));
    assert_eq!(value(&b, other, "Weight"), Value::text("light"));
    assert!(broken(&b, connection).is_empty() && b.record(copy).pending.is_empty());
}

#[test]
fn a_field_that_is_removed_here_stops_no_other_and_comes_through_when_it_is_back() {
    let (mut a, mut b, connection) = pair(PicklistMapping::default());
    let (record, copy) = shared(&mut a, &mut b, connection, &[("Name", Value::text("Bolt"))]);
    let mut narrower = object(ITEM, None);
    narrower.fields.retain(|field| field.name.as_str() != "Weight");
    b.run(Command::DefineObject { schema: Box::new(narrower) });
    assert_eq!(broken(&b, connection), ["Weight"]);
    a.update(record, &[("Name", Value::text("Nut")), ("Weight", Value::Decimal(7.into()))]);
    settle_all(&mut a, &mut b, connection);
    assert_eq!(value(&b, copy, "Name"), Value::text("Nut"), "the other field came through");
    let waiting = b.record(copy).pending.get(&name::<tieline_core::FieldName>("Weight")).unwrap();
    assert_eq!(waiting.reasons[0].code, ReasonCode::FieldDrifted);
    let fields = [("Name", Value::text("Pin")), ("Weight", Value::Decimal(1.into()))];
    let (_, other) = shared(&mut a, &mut b, connection, &fields);
    assert_eq!(value(&b, other, "Name"), Value::text("Pin"));
    b.run(Command::DefineObject { schema: Box::new(object(ITEM, None)) });
    settle_all(&mut a, &mut b, connection);
    assert_eq!(
        [value(&b, copy, "Weight"), value(&b, other, "Weight")],
        [Value::Decimal(7.into()), Value::Decimal(1.into())]
    );
    assert!(b.record(copy).pending.is_empty());
}

#[test]
fn a_constant_whose_field_is_gone_stops_no_record() {
    let (mut a, mut b, connection) = pair(PicklistMapping::default());
    let mut rule = rule(&[("Name", "Name")], PicklistMapping::default());
    let constant = FieldMapping {
        source: Source::Constant(Value::Decimal(3.into())),
        ..FieldMapping::rename(name("Weight"), name("Weight"))
    };
    rule.fields.push(constant);
    subscribe(&mut b, connection, rule);
    settle_all(&mut a, &mut b, connection);
    let mut narrower = object(ITEM, None);
    narrower.fields.retain(|field| field.name.as_str() != "Weight");
    b.run(Command::DefineObject { schema: Box::new(narrower) });
    assert_eq!(broken(&b, connection), ["Weight"]);
    let (_, copy) = shared(&mut a, &mut b, connection, &[("Name", Value::text("Bolt"))]);
    assert_eq!(value(&b, copy, "Name"), Value::text("Bolt"));
}

#[test]
fn a_field_that_is_withdrawn_or_renamed_is_shown_with_what_it_may_have_become() {
    let (mut a, mut b, connection) = pair(PicklistMapping::default());
    let schema = extended(&a, "Mass = { type = \"decimal\", label = \"Weight\" }");
    a.run(Command::DefineObject { schema: Box::new(schema) });
    publish(&mut a, connection, &["Colour", "Mass", "Name"]);
    settle_all(&mut a, &mut b, connection);
    let change = Change::Removed { like: Some(name("Mass")) };
    for org in [&a, &b] {
        assert_eq!(org.connection(connection).drift.last().unwrap().change.change, change);
    }
    assert_eq!(broken(&b, connection), ["Weight"]);
    let (_, copy) = shared(
        &mut a,
        &mut b,
        connection,
        &[("Name", Value::text("Bolt")), ("Mass", Value::Decimal(5.into()))],
    );
    assert_eq!(value(&b, copy, "Name"), Value::text("Bolt"));
    // The mapping is mended: both sides forget what was changed, and the value comes.
    let pairs = [("Name", "Name"), ("Mass", "Weight"), ("Colour", "Colour")];
    subscribe(&mut b, connection, rule(&pairs, PicklistMapping::default()));
    settle_all(&mut a, &mut b, connection);
    assert_eq!(value(&b, copy, "Weight"), Value::Decimal(5.into()));
    assert!(a.connection(connection).drift.is_empty() && b.connection(connection).drift.is_empty());
    // Nothing at all is published any more.
    a.run(Command::Publish { connection, object: name("Item__c"), rule: None });
    settle_all(&mut a, &mut b, connection);
    assert_eq!(broken(&b, connection).len(), 3);
    assert_eq!(b.connection(connection).drift.len(), 3);
}

#[test]
fn values_of_a_list_that_come_and_go_are_told() {
    let (mut a, mut b, connection) = pair(PicklistMapping::default());
    let schema = extended(&a, "Colour = { values = [\"green\", \"blue\"] }");
    a.run(Command::DefineObject { schema: Box::new(schema) });
    settle_all(&mut a, &mut b, connection);
    let change = Change::Values { removed: vec!["red".into()], added: vec!["blue".into()] };
    for org in [&a, &b] {
        assert_eq!(org.connection(connection).drift[0].change.change, change);
    }
    assert!(broken(&b, connection).is_empty() && alarms(&b) == 0, "nothing is lost by that");
}

#[test]
fn values_without_a_mapping_are_counted_whatever_the_policy() {
    for policy in [Unmapped::Keep, Unmapped::Reject, Unmapped::Default("red".into())] {
        let table =
            PicklistMapping { values: [("red".into(), "red".into())].into(), unmapped: policy.clone() };
        let (mut a, mut b, connection) = pair(table);
        let (record, _) = shared(
            &mut a,
            &mut b,
            connection,
            &[("Name", Value::text("Bolt")), ("Colour", Value::Picklist("green".into()))],
        );
        for colour in ["red", "green", "blue", "green"] {
            a.update(record, &[("Colour", Value::Picklist(colour.into()))]);
            settle_all(&mut a, &mut b, connection);
        }
        let seen = &b.connection(connection).unmapped[&name::<tieline_core::ObjectName>("Item__c")];
        let seen = &seen[&name::<tieline_core::FieldName>("Colour")];
        let counts: Vec<_> = seen.iter().map(|(value, seen)| (value.as_str(), seen.count)).collect();
        // A value of the local list that is kept needs no mapping.
        let keeps = policy == Unmapped::Keep;
        let expected = if keeps { vec![("blue", 1)] } else { vec![("blue", 1), ("green", 3)] };
        assert_eq!(counts, expected, "{policy:?}");
        // What is mapped by now is forgotten.
        let table = PicklistMapping { values: [("green".into(), "green".into())].into(), unmapped: policy };
        subscribe(&mut b, connection, rule(&ALL, table));
        let seen = &b.connection(connection).unmapped[&name::<tieline_core::ObjectName>("Item__c")];
        assert_eq!(seen[&name::<tieline_core::FieldName>("Colour")].len(), 1);
    }
}
