//! Mapping: its laws, and what a rule is warned about.

use proptest::prelude::*;

use super::*;
use crate::publish::{CatalogueObject, PublishRule, catalogue_object};
use crate::schema::{FieldType, ObjectSchema, PicklistValue, standard_objects};

fn name(text: &str) -> FieldName {
    text.parse().unwrap()
}

fn lead() -> ObjectSchema {
    standard_objects().into_iter().find(|object| object.name.as_str() == "Lead").unwrap()
}

/// A partner that publishes all it can of its leads.
fn catalogue() -> CatalogueObject {
    let lead = lead();
    let all = lead.fields.iter().map(|f| f.name.clone()).filter(|f| lead.publishable(f).is_ok()).collect();
    catalogue_object(&lead, &PublishRule::new(lead.name.clone(), all, 1))
}

fn rule(fields: Vec<FieldMapping>) -> SubscribeRule {
    SubscribeRule {
        remote: "Lead".parse().unwrap(),
        local: "Lead".parse().unwrap(),
        auto_accept: false,
        accept_whole: false,
        owner: None,
        fields,
        version: 1,
    }
}

fn same(field: &str) -> FieldMapping {
    FieldMapping::rename(name(field), name(field))
}

fn table(pairs: &[(&str, &str)], unmapped: Unmapped) -> Option<PicklistMapping> {
    let values = pairs.iter().map(|(from, to)| ((*from).into(), (*to).into())).collect();
    Some(PicklistMapping { values, unmapped })
}

fn picklist(restricted: bool) -> FieldSchema {
    FieldSchema {
        values: ["Open", "Done"].map(PicklistValue::new).into(),
        restricted,
        ..FieldSchema::new(name("Status"), FieldType::Picklist)
    }
}

fn full() -> Vec<FieldMapping> {
    ["LastName", "Company", "Status"].map(same).into()
}

fn warnings(rule: &SubscribeRule, local: &ObjectSchema) -> Vec<(WarningCode, String)> {
    let warnings = rule.check(local, &catalogue()).unwrap_or_else(|reasons| panic!("{reasons:?}"));
    warnings.into_iter().map(|w| (w.code, w.message)).collect()
}

fn codes(rule: &SubscribeRule, local: &ObjectSchema, catalogue: &CatalogueObject) -> Vec<ReasonCode> {
    rule.check(local, catalogue).unwrap_err().iter().map(|reason| reason.code).collect()
}

#[test]
fn values_become_local_ones() {
    let value = |text: &str| Value::Picklist(text.into());
    let map = |mapping: &FieldMapping, incoming: &Value, local: &FieldSchema| {
        rule(vec![]).map_value(mapping, incoming, local).map_err(|reason| {
            assert_eq!(reason.field, Some(local.name.clone()), "{reason}");
            reason.code
        })
    };
    let translated = |unmapped| FieldMapping {
        picklist: table(&[("Won", "Done"), ("Void", "")], unmapped),
        ..same("Status")
    };
    let open = picklist(false);
    let closed = picklist(true);
    let tags = FieldSchema { field_type: FieldType::MultiPicklist, ..picklist(true) };
    let text = FieldSchema::new(name("Status"), FieldType::Text);
    let short = FieldSchema { length: Some(3), ..text.clone() };
    let needed = FieldSchema { required: true, ..text.clone() };
    let fallback = FieldMapping { default: Some(Value::text("none")), ..same("Status") };
    let constant = FieldMapping { source: Source::Constant(Value::text("Open")), ..same("Status") };
    let several = Value::multi_picklist(["Won".into(), "Open".into()]);
    let cases = [
        (translated(Unmapped::Keep), value("Won"), &closed, Ok(value("Done"))),
        (translated(Unmapped::Keep), value("Other"), &open, Ok(value("Other"))),
        (translated(Unmapped::Keep), value("Other"), &closed, Err(ReasonCode::NotInPicklist)),
        (translated(Unmapped::Keep), value("won"), &closed, Err(ReasonCode::NotInPicklist)),
        (translated(Unmapped::Default("Open".into())), value("Other"), &closed, Ok(value("Open"))),
        (translated(Unmapped::Reject), value("Other"), &open, Err(ReasonCode::PicklistUnmapped)),
        (translated(Unmapped::Reject), value("Void"), &closed, Ok(Value::Null)),
        (translated(Unmapped::Reject), Value::Null, &closed, Ok(Value::Null)),
        (translated(Unmapped::Reject), Value::text("Won"), &closed, Ok(value("Done"))),
        (translated(Unmapped::Keep), value("Won"), &text, Ok(Value::text("Done"))),
        (
            translated(Unmapped::Keep),
            several.clone(),
            &tags,
            Ok(Value::multi_picklist(["Done".into(), "Open".into()])),
        ),
        (translated(Unmapped::Reject), several, &tags, Err(ReasonCode::PicklistUnmapped)),
        (same("Status"), Value::text("abcd"), &short, Err(ReasonCode::TooLong)),
        (same("Status"), Value::Null, &needed, Err(ReasonCode::RequiredMissing)),
        (same("Status"), Value::Integer(5), &text, Ok(Value::text("5"))),
        (same("Status"), Value::Reference(crate::RecordId(1)), &text, Err(ReasonCode::IncompatibleTypes)),
        (fallback.clone(), Value::Null, &needed, Ok(Value::text("none"))),
        (fallback.clone(), Value::text("x"), &needed, Ok(Value::text("x"))),
        (fallback, Value::Null, &short, Err(ReasonCode::TooLong)),
        (constant, Value::text("ignored"), &closed, Ok(value("Open"))),
    ];
    for (mapping, incoming, local, expected) in cases {
        assert_eq!(map(&mapping, &incoming, local), expected, "{mapping:?} of {incoming:?}");
    }
}

#[test]
fn several_local_fields_may_take_one_remote_field() {
    let rule = rule(vec![same("Email"), FieldMapping::rename(name("Email"), name("Title")), same("Phone")]);
    let email = name("Email");
    let takers: Vec<&str> = rule.takes(&email).map(|mapping| mapping.local.as_str()).collect();
    assert_eq!(takers, ["Email", "Title"]);
    assert!(rule.subscribes(&name("Phone")) && !rule.subscribes(&name("Fax")));
    assert_eq!(rule.mapping_of(&name("Title")).unwrap().remote(), Some(&email));
}

#[test]
fn a_sound_rule_has_no_warnings() {
    let mut fields = full();
    fields.extend(["Email", "Description", "Rating"].map(same));
    fields.push(FieldMapping { source: Source::Constant(Value::text("Web")), ..same("LeadSource") });
    assert_eq!(warnings(&rule(fields), &lead()), []);
}

#[test]
fn unsound_rules_are_refused_by_name() {
    use ReasonCode as R;
    let cases = [
        (vec![same("Emial")], R::UnknownField),
        (vec![FieldMapping::rename(name("Emial"), name("Email"))], R::NotPublished),
        (vec![same("CreatedDate")], R::NotUpdatable),
        (vec![same("Email"), same("Email")], R::SecondSource),
        (vec![FieldMapping::rename(name("Email"), name("NumberOfEmployees"))], R::IncompatibleTypes),
        (
            vec![FieldMapping { source: Source::Constant(Value::text("no mail")), ..same("Email") }],
            R::BadEmail,
        ),
        (
            vec![FieldMapping { source: Source::Constant(Value::Boolean(true)), ..same("AnnualRevenue") }],
            R::IncompatibleTypes,
        ),
        (vec![FieldMapping { default: Some(Value::text(&"x".repeat(129))), ..same("Title") }], R::TooLong),
        (
            vec![FieldMapping {
                picklist: table(&[("Hot", &"x".repeat(256))], Unmapped::Keep),
                ..same("Rating")
            }],
            R::TooLong,
        ),
    ];
    for (fields, code) in cases {
        let rule = rule(fields);
        assert_eq!(codes(&rule, &lead(), &catalogue()), [code], "{rule:?}");
    }
    let reasons = rule(vec![same("Emial")]).check(&lead(), &catalogue()).unwrap_err();
    assert!(reasons[0].message.contains("did you mean Email?"), "{}", reasons[0]);
    let reasons = rule(vec![FieldMapping::rename(name("Email"), name("NumberOfEmployees"))])
        .check(&lead(), &catalogue());
    let message = &reasons.unwrap_err()[0].message;
    assert!(
        message.contains("Lead.Email") && message.contains("email") && message.contains("integer"),
        "{message}"
    );
}

/// A rule is one event of the log, and a log that cannot be read back is lost.
#[test]
fn a_rule_with_too_many_picklist_values_is_refused() {
    use crate::limits::RULE_PICKLIST_VALUES_MAX;
    let with = |count: usize| {
        let values = (0..count).map(|n| (format!("v{n}").into(), "Hot".into())).collect();
        let picklist = Some(PicklistMapping { values, unmapped: Unmapped::Keep });
        rule(vec![FieldMapping { picklist, ..same("Rating") }])
    };
    let full = with(RULE_PICKLIST_VALUES_MAX + 1);
    assert_eq!(codes(&full, &lead(), &catalogue()), [ReasonCode::LimitReached]);
    assert!(with(RULE_PICKLIST_VALUES_MAX).check(&lead(), &catalogue()).is_ok());
}

#[test]
fn objects_are_paired_as_the_reference_pairs_them() {
    let renamed = |remote: &str, local: &str| {
        let mut object = lead();
        object.name = local.parse().unwrap();
        let mut offered = catalogue();
        offered.object = remote.parse().unwrap();
        let rule =
            SubscribeRule { remote: offered.object.clone(), local: object.name.clone(), ..rule(full()) };
        rule.check(&object, &offered).is_ok()
    };
    // The whole table: a standard object to itself, a custom one to any custom one.
    let standard = standard_objects().into_iter().map(|object| object.name.to_string());
    let objects: Vec<String> =
        standard.chain(["Fund__c", "Request__c", "Lead__c"].map(str::to_owned)).collect();
    assert!(objects.len() > 8, "{objects:?}");
    for remote in &objects {
        for local in &objects {
            let custom = |object: &String| object.ends_with("__c");
            let paired = remote == local || (custom(remote) && custom(local));
            assert_eq!(renamed(remote, local), paired, "{remote} to {local}");
        }
    }
    let other = SubscribeRule { local: "Contact".parse().unwrap(), ..rule(full()) };
    assert_eq!(codes(&other, &lead(), &catalogue()), [ReasonCode::IncompatibleObjects]);
}

#[test]
fn what_will_go_wrong_is_told_before() {
    let check = |mapping: FieldMapping, change: fn(&mut FieldSchema)| {
        let mut local = lead();
        let field = mapping.local.clone();
        local.fields.iter_mut().filter(|f| f.name == field).for_each(change);
        let mut fields = full();
        fields.retain(|kept| kept.local != field);
        fields.push(mapping);
        let found = warnings(&rule(fields), &local);
        assert!(found.len() <= 1, "{found:?}");
        found.into_iter().next()
    };
    let told = |mapping, change, code, part: &str| {
        let (found, message) = check(mapping, change).unwrap_or_else(|| panic!("no warning of {part}"));
        assert!(found == code && message.contains(part), "{found}: {message}");
    };
    let rating = |pairs: &[(&str, &str)], unmapped| FieldMapping {
        picklist: table(pairs, unmapped),
        ..same("Rating")
    };
    let restrict: fn(&mut FieldSchema) = |field| {
        field.restricted = true;
        field.values.retain(|value| value.value == "Hot");
    };
    told(same("Title"), |field| field.length = Some(40), WarningCode::Narrowing, "128 characters");
    told(same("Rating"), restrict, WarningCode::PicklistUnmapped, "\"Warm\", \"Cold\"");
    told(rating(&[("Hot", "Hot")], Unmapped::Reject), |_| (), WarningCode::PicklistUnmapped, "no mapping");
    told(
        rating(&[], Unmapped::Default("Hot".into())),
        |_| (),
        WarningCode::PicklistLossy,
        "become \"Hot\" alike",
    );
    told(
        rating(&[("Hot", "Hot"), ("Warm", "Hot")], Unmapped::Keep),
        |_| (),
        WarningCode::PicklistLossy,
        "\"Hot\", \"Warm\"",
    );
    told(rating(&[("Tepid", "Warm")], Unmapped::Keep), |_| (), WarningCode::PicklistUnknown, "\"Tepid\"");
    told(same("Email"), |field| field.required = true, WarningCode::CreateSet, "may be empty");
    told(same("Fax"), |field| field.required = true, WarningCode::CreateSet, "not in the create set");
    assert_eq!(check(same("Rating"), |_| ()), None);
    assert_eq!(
        check(rating(&[("Hot", "Hot"), ("Warm", "Hot"), ("Cold", "Hot")], Unmapped::Keep), restrict)
            .unwrap()
            .0,
        WarningCode::PicklistLossy
    );

    let found = warnings(&rule(vec![same("LastName"), same("Status")]), &lead());
    assert!(found.len() == 1 && found[0].1.contains("Company is required and has no mapping"), "{found:?}");
    // With all fields in one, a required field need not be in the create set.
    let mut local = lead();
    local.fields.iter_mut().filter(|f| f.name.as_str() == "Fax").for_each(|f| f.required = true);
    let fax = FieldMapping { default: Some(Value::text("-")), ..same("Fax") };
    let whole = SubscribeRule { accept_whole: true, ..rule([full(), vec![fax]].concat()) };
    assert_eq!(warnings(&whole, &local), []);
}

#[test]
fn rules_survive_the_log_and_read_older_ones() {
    let mut rule = rule(vec![
        FieldMapping {
            picklist: table(&[("a", "b")], Unmapped::Default("c".into())),
            approval: true,
            ..same("Rating")
        },
        FieldMapping { source: Source::Constant(Value::Boolean(true)), ..same("Title") },
    ]);
    rule.owner = Some("ann".parse().unwrap());
    let bytes = rmp_serde::to_vec_named(&rule).unwrap();
    assert_eq!(rmp_serde::from_slice::<SubscribeRule>(&bytes).unwrap(), rule);
    let oldest: SubscribeRule = serde_json::from_str(
        r#"{"remote":"Lead","local":"Lead","fields":[{"local":"Name","source":{"field":"Name"}}],"later":1}"#,
    )
    .unwrap();
    assert_eq!(oldest.fields, [same("Name")]);
}

proptest! {
    /// Mapping is a function of value and settings, what it gives fits the local field, and a
    /// table that is one to one is undone by its inverse.
    #[test]
    fn tables_map_and_map_back(pairs in prop::collection::btree_map("[a-f]{1,2}", "[u-z]{1,3}", 0..8), incoming in prop::collection::vec("[a-f]{1,2}", 0..5)) {
        let forward: BTreeMap<SmolStr, SmolStr> = pairs.into_iter().map(|(a, b)| (a.into(), b.into())).collect();
        let back: BTreeMap<SmolStr, SmolStr> = forward.iter().map(|(a, b)| (b.clone(), a.clone())).collect();
        let invertible = forward.len() == back.len();
        let local = FieldSchema::new(name("Tags"), FieldType::MultiPicklist);
        let incoming = Value::multi_picklist(incoming.into_iter().map(SmolStr::from));
        let mapping = |values| FieldMapping { picklist: Some(PicklistMapping { values, unmapped: Unmapped::Keep }), ..same("Tags") };
        let there = rule(vec![]).map_value(&mapping(forward.clone()), &incoming, &local).unwrap();
        prop_assert_eq!(&rule(vec![]).map_value(&mapping(forward), &incoming, &local).unwrap(), &there);
        prop_assert!(there.check(&local).is_ok());
        if invertible {
            prop_assert_eq!(rule(vec![]).map_value(&mapping(back), &there, &local).unwrap(), incoming);
        }
    }
}
