//! Schemas: files, checks, the standard objects.

use super::*;
use crate::limits::{OBJECT_FIELDS_MAX, OBJECT_RULES_MAX, PICKLIST_VALUES_MAX};
use crate::publish::catalogue_object;

fn standard(name: &str) -> ObjectSchema {
    standard_objects().into_iter().find(|object| object.name.as_str() == name).unwrap()
}

fn build(text: &str) -> Result<ObjectSchema, SchemaError> {
    ObjectSchema::from_toml(text)?.build(None)
}

fn names(fields: &[FieldName]) -> Vec<&str> {
    fields.iter().map(FieldName::as_str).collect()
}

fn codes(object: &ObjectSchema) -> Vec<ReasonCode> {
    object.check().err().unwrap_or_default().iter().map(|reason| reason.code).collect()
}

const FUND: &str = r#"
object = "Fund__c"
label = "Fund"
name_field = "Name"
create_set = ["Name"]
view_fields = ["Name", "Region__c"]

[fields]
Name = { type = "text", length = 80, label = "Fund Name", required = true }
Size__c = { type = "currency", precision = 18, scale = 2, default = 0.5 }
Region__c = { type = "picklist", values = ["North", { value = "South", label = "Süden" }, { value = "Old", active = false }], restricted = true, default = "North" }
Tags__c = { type = "multi_picklist", values = ["a", "b"], default = ["b", "a"] }
Opened__c = { type = "date", default = 2026-01-31 }
Open__c = { type = "boolean", default = true }
Total__c = { type = "decimal", kind = "roll_up" }

[rules.TooSmall]
condition = 'Size__c < 100.5 && Region__c == "North"'
message = "A fund in the north has 100.50 at least; raise Size."
field = "Size__c"
"#;

#[test]
fn the_standard_objects_are_sound() {
    for (name, text) in standard_sources() {
        let object = build(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(object.name.as_str(), name);
        assert_eq!(object.check(), Ok(()), "{name}");
        // Whatever the create set and the views name can be published, or is the org's own number.
        for field in object.create_set.iter() {
            assert_eq!(object.publishable(field), Ok(()), "{name}.{field}");
        }
        // A copy can be created with the create set and the defaults alone.
        for field in object.fields.iter().filter(|field| field.required) {
            assert!(object.create_set.contains(&field.name), "{name}.{}", field.name);
        }
    }
}

/// The create sets are those of the reference system; Name of a contact is its two parts.
#[test]
fn create_sets_are_those_of_the_reference() {
    let table = [
        ("Account", vec!["Name", "Type", "BillingCity", "BillingState", "BillingCountry"]),
        (
            "Contact",
            vec![
                "FirstName",
                "LastName",
                "Title",
                "Email",
                "Phone",
                "MailingCity",
                "MailingState",
                "MailingCountry",
            ],
        ),
        (
            "Lead",
            vec![
                "Status",
                "LastName",
                "FirstName",
                "Company",
                "Title",
                "Industry",
                "LeadSource",
                "State",
                "Email",
                "NumberOfEmployees",
                "Phone",
            ],
        ),
        ("Opportunity", vec!["Name", "StageName", "CloseDate", "Amount"]),
    ];
    for (name, set) in table {
        assert_eq!(names(&standard(name).create_set), set);
    }
}

#[test]
fn a_file_defines_an_object() {
    let fund = build(FUND).unwrap();
    assert_eq!(fund.check(), Ok(()));
    let field = |name| fund.field(name).unwrap();
    assert_eq!(field("Size__c").default.as_ref().unwrap().to_text(), "0.5");
    assert_eq!(field("Tags__c").default.as_ref().unwrap().to_text(), "a;b");
    assert_eq!(field("Opened__c").default.as_ref().unwrap().to_text(), "2026-01-31");
    assert_eq!(field("Open__c").default, Some(Value::Boolean(true)));
    assert_eq!(field("Region__c").picklist_value("South").unwrap().label, "Süden");
    assert!(!field("Region__c").picklist_value("Old").unwrap().active);
    assert!(!field("Total__c").updatable);
    assert_eq!(fund.rules[0].field.as_ref().unwrap().as_str(), "Size__c");
    assert_eq!(fund.field_named("size__C").unwrap().name.as_str(), "Size__c");
    assert!(fund.field("size__C").is_none());
    let bytes = rmp_serde::to_vec_named(&fund).unwrap();
    assert_eq!(rmp_serde::from_slice::<ObjectSchema>(&bytes).unwrap(), fund);
}

#[test]
fn a_file_extends_an_object() {
    let text = r#"
        extends = "Lead"
        create_set = ["LastName", "Company", "Score__c"]
        [fields]
        Score__c = { type = "integer", precision = 3 }
        Email = { required = true }
        Rating = { add_values = ["Frozen", { value = "Cold", active = false }] }
        Title = { type = "long_text" }
        [rules.Score]
        condition = "Score__c > 100"
        message = "A score is at most 100; lower it."
    "#;
    let file = ObjectSchema::from_toml(text).unwrap();
    assert!(file.extends());
    let lead = ObjectSchema { version: 7, ..standard("Lead") };
    let extended = file.build(Some(&lead)).unwrap();
    assert_eq!(extended.check(), Ok(()));
    assert_eq!(extended.version, 7);
    assert_eq!(extended.fields.len(), lead.fields.len() + 1);
    let email = extended.field("Email").unwrap();
    assert!(email.required && email.label == "Email" && email.field_type == FieldType::Email);
    let rating: Vec<(&str, bool)> =
        extended.field("Rating").unwrap().values.iter().map(|v| (v.value.as_str(), v.active)).collect();
    assert_eq!(rating, [("Hot", true), ("Warm", true), ("Cold", false), ("Frozen", true)]);
    // Another type forgets the length of the old one.
    assert_eq!(extended.field("Title").unwrap().length, None);
    assert_eq!(names(&extended.create_set), ["LastName", "Company", "Score__c"]);
    assert_eq!(extended.view_fields, lead.view_fields);

    let wrong = "extends = \"Lead\"\n\n[rules.Fits]\nmessage = \"no\"\ncondition = \"\"\"\nRating == \"Hot\" &&\n  Nmae == \"x\"\"\"\"\n";
    let file = ObjectSchema::from_toml(wrong).unwrap();
    let built = file.build(Some(&lead)).unwrap();
    let faults = file.check_rules(&built).unwrap_err();
    assert_eq!((faults.len(), faults[0].place.line, faults[0].place.column), (1, 7, 3), "{faults:?}");
    assert_eq!(faults[0].reason.rule.as_deref(), Some("Fits"));
    assert!(faults[0].reason.message.starts_with("line 7, column 3: the rule \"Fits\": "), "{faults:?}");

    let off = ObjectSchema::from_toml("extends = \"Lead\"\n[rules.Score]\nactive = false").unwrap();
    let without = off.build(Some(&extended)).unwrap();
    assert!(!without.rules[0].active && without.rules[0].condition == "Score__c > 100");
    assert!(file.build(None).unwrap_err().message.contains("which is not there"));
    assert!(file.build(Some(&standard("Account"))).is_err());
}

#[test]
fn wrong_files_are_refused_with_their_place() {
    let table = [
        ("", 1, "neither object nor extends"),
        ("object = \"A\"\nextends = \"B\"", 2, "keep one of them"),
        ("object = \"A__c\"", 1, "name_field is missing"),
        ("object = \"1\"", 1, "a letter first"),
        ("object = \"A\"\nnmae_field = \"x\"", 2, "unknown field `nmae_field`"),
        (
            "object = \"A\"\nname_field = \"N\"\n[fields]\nN = { type = \"txet\" }",
            4,
            "use one of text, long_text",
        ),
        ("object = \"A\"\nname_field = \"N\"\n[fields]\nN = { label = \"x\" }", 4, "needs a type"),
        (
            "object = \"A\"\nname_field = \"N\"\n[fields]\nN = { type = \"date\", default = \"soon\" }",
            4,
            "YYYY-MM-DD",
        ),
        (
            "object = \"A\"\nname_field = \"N\"\n[fields]\nN = { type = \"text\" }\nN = { type = \"text\" }",
            5,
            "duplicate key",
        ),
        ("object = \"A\"\nname_field = \"N\"\n[rules.R]\nmessage = \"m\"", 3, "needs a condition"),
        (
            "object = \"A\"\nname_field = \"N\"\n[fields]\nN = { type = \"picklist\", values = [1] }",
            4,
            "a text, or a table",
        ),
        ("object = \"A", 1, ""),
    ];
    for (text, line, expected) in table {
        let error = build(text).unwrap_err();
        assert!(error.message.contains(expected), "{text}: {error}");
        assert_eq!(error.line, line, "{text}: {error}");
    }
}

#[test]
fn unsound_objects_are_refused_by_name() {
    use ReasonCode as R;
    let fund = build(FUND).unwrap();
    type Change = fn(&mut ObjectSchema);
    fn field<'a>(object: &'a mut ObjectSchema, name: &str) -> &'a mut FieldSchema {
        object.fields.iter_mut().find(|field| field.name.as_str() == name).unwrap()
    }
    let table: &[(Change, R)] = &[
        (|o| o.name_field = "Nmae".parse().unwrap(), R::UnknownField),
        (|o| o.create_set.push("Gone".parse().unwrap()), R::UnknownField),
        (|o| o.view_fields.push("Name".parse().unwrap()), R::Duplicate),
        (|o| o.fields.reverse(), R::Malformed),
        (|o| field(o, "Name").length = Some(256), R::OutOfRange),
        (|o| field(o, "Name").length = Some(0), R::OutOfRange),
        (|o| field(o, "Name").scale = Some(2), R::OutOfRange),
        (|o| field(o, "Name").restricted = true, R::WrongType),
        (|o| field(o, "Name").label = "x".repeat(256), R::TooLong),
        (|o| field(o, "Size__c").precision = Some(29), R::OutOfRange),
        (|o| field(o, "Size__c").scale = Some(19), R::OutOfRange),
        (|o| field(o, "Size__c").length = Some(9), R::OutOfRange),
        (|o| field(o, "Size__c").default = Some(Value::Integer(1)), R::WrongType),
        (|o| field(o, "Tags__c").values.clear(), R::NotInPicklist),
        (|o| field(o, "Tags__c").values.push(PicklistValue::new("a;b")), R::NotInPicklist),
        (|o| field(o, "Tags__c").values.push(PicklistValue::new("a")), R::Duplicate),
        (|o| field(o, "Tags__c").values.push(PicklistValue::new(" c")), R::NotInPicklist),
        (|o| field(o, "Tags__c").values.push(PicklistValue::new("c\n d")), R::ControlCharacter),
        (|o| field(o, "Tags__c").values.push(PicklistValue::new("x".repeat(256))), R::TooLong),
        (|o| field(o, "Region__c").default = Some(Value::Picklist("Old".into())), R::NotInPicklist),
        (|o| field(o, "Total__c").kind = FieldKind::Unknown, R::WrongType),
        (|o| o.rules[0].condition = "Size__c <".into(), R::BadExpression),
        (|o| o.rules[0].condition = "Size__c + 1".into(), R::BadExpression),
        (|o| o.rules[0].message.clear(), R::TooLong),
        (|o| o.rules[0].field = Some("Gone".parse().unwrap()), R::UnknownField),
        (|o| o.rules.push(o.rules[0].clone()), R::Duplicate),
        (|o| o.rules = vec![o.rules[0].clone(); OBJECT_RULES_MAX + 1], R::LimitReached),
        (|o| o.fields = vec![o.fields[0].clone(); OBJECT_FIELDS_MAX + 1], R::LimitReached),
        (
            |o| {
                field(o, "Tags__c").values =
                    (0..=PICKLIST_VALUES_MAX).map(|i| PicklistValue::new(i.to_string())).collect();
            },
            R::LimitReached,
        ),
    ];
    for (at, (change, code)) in table.iter().enumerate() {
        let mut object = fund.clone();
        change(&mut object);
        assert!(codes(&object).contains(code), "case {at}: {:?}", object.check());
    }
    let mut twice = fund;
    twice.fields.push(FieldSchema::new("NAME".parse().unwrap(), FieldType::Text));
    twice.sort();
    assert_eq!(codes(&twice), [R::Duplicate]);
}

/// Quotes, orders, events, products, prices and line items are shared as any other object; what is
/// not supported is refused by name.
#[test]
fn supported_objects_are_delivered_and_the_others_named() {
    let delivered = [
        "Lead",
        "Opportunity",
        "Account",
        "Contact",
        "Task",
        "Case",
        "Quote",
        "Order",
        "Event",
        "Product2",
        "PricebookEntry",
        "OpportunityLineItem",
        "QuoteLineItem",
        "OrderItem",
    ];
    for name in delivered {
        let object = standard(name);
        assert_eq!(supported(&object.name), Ok(()));
        // What a record belongs to can be published with it.
        let refers =
            |field: &&FieldSchema| field.field_type == FieldType::Reference && field.kind == FieldKind::Data;
        for field in object.fields.iter().filter(refers) {
            // What a lead became is noted, and nobody else's to know.
            let noted = field.kind == FieldKind::Audit;
            assert_eq!(object.publishable(&field.name).is_ok(), !noted, "{name}.{}", field.name);
            let target = field.references.as_ref().map_or("Account", |object| object.as_str());
            assert!(delivered.contains(&target), "{name}.{} refers to {target}", field.name);
        }
    }
    let refused = [
        "Solution",
        "Asset",
        "Contract",
        "Campaign",
        "Pricebook2",
        "Note",
        "Attachment",
        "ContentDocument",
        "Product",
        "Anything",
    ];
    for name in refused {
        let reason = supported(&name.parse().unwrap()).unwrap_err();
        assert_eq!(reason.code, ReasonCode::UnsupportedObject);
        assert!(reason.message.contains(&format!("records of {name} cannot be shared")), "{reason}");
    }
    assert_eq!(supported(&"Solution__c".parse().unwrap()), Ok(()));
}

#[test]
fn what_cannot_be_published_is_refused_by_its_kind() {
    let mut object = standard("Opportunity");
    object.fields.push(FieldSchema {
        kind: FieldKind::RollUp,
        ..FieldSchema::new("Sum".parse().unwrap(), FieldType::Decimal)
    });
    object.sort();
    let table = [("ExpectedRevenue", "formula"), ("Sum", "roll-up"), ("CreatedDate", "audit")];
    for (name, kind) in table {
        let reason = object.publishable(&name.parse().unwrap()).unwrap_err();
        assert_eq!(reason.code, ReasonCode::NotPublishable);
        assert!(reason.message.contains(kind), "{reason}");
    }
    let number = standard("Case").publishable(&"CaseNumber".parse().unwrap()).unwrap_err();
    assert!(number.message.contains("auto-number"), "{number}");
    for published in ["Amount", "AccountId"] {
        assert_eq!(object.publishable(&published.parse().unwrap()), Ok(()));
    }
}

/// The whole table: each row a type of the partner, each column one of this org.
#[test]
fn every_pair_of_types_converts_or_is_refused_by_both_names() {
    const TABLE: &str = "
                    te lo em ph ur bo in de cu pe da dt pi mu re
        text         x  x  x  x  x  .  .  .  .  .  .  .  x  .  .
        long_text    x  x  x  x  x  .  .  .  .  .  .  .  .  .  .
        email        x  x  x  .  .  .  .  .  .  .  .  .  .  .  .
        phone        x  x  .  x  .  .  .  .  .  .  .  .  .  .  .
        url          x  x  .  .  x  .  .  .  .  .  .  .  .  .  .
        boolean      x  x  .  .  .  x  .  .  .  .  .  .  .  .  .
        integer      x  x  .  .  .  .  x  x  x  x  .  .  .  .  .
        decimal      x  x  .  .  .  .  x  x  x  x  .  .  .  .  .
        currency     x  x  .  .  .  .  x  x  x  x  .  .  .  .  .
        percent      x  x  .  .  .  .  x  x  x  x  .  .  .  .  .
        date         x  x  .  .  .  .  .  .  .  .  x  x  .  .  .
        date_time    x  x  .  .  .  .  .  .  .  .  x  x  .  .  .
        picklist     x  x  .  .  .  .  .  .  .  .  .  .  x  x  .
        multi_picklist x x .  .  .  .  .  .  .  .  .  .  .  x  .
        reference    .  .  .  .  .  .  .  .  .  .  .  .  .  .  x";
    let rows: Vec<&str> = TABLE.lines().filter(|line| !line.trim().is_empty()).skip(1).collect();
    assert_eq!(rows.len(), FieldType::ALL.len());
    for row in rows {
        let mut words = row.split_whitespace();
        let from: FieldType = words.next().unwrap().parse().unwrap();
        for (to, expected) in FieldType::ALL.iter().zip(words) {
            match compatible(from, *to) {
                Ok(()) => assert_eq!(expected, "x", "{from} to {to}"),
                Err(reason) => {
                    assert_eq!(expected, ".", "{from} to {to}");
                    assert!(reason.message.contains(&format!("{from} does not convert to {to}")), "{reason}");
                }
            }
        }
    }
}

#[test]
fn incompatible_types_are_both_named() {
    use FieldType as T;
    for (from, to) in [
        (T::Reference, T::Text),
        (T::Text, T::Integer),
        (T::MultiPicklist, T::Picklist),
        (T::Boolean, T::Integer),
        (T::Email, T::Phone),
        (T::Unknown, T::Text),
        (T::Text, T::Unknown),
    ] {
        let reason = compatible(from, to).unwrap_err();
        assert_eq!(reason.code, ReasonCode::IncompatibleTypes);
        assert!(reason.message.contains(from.as_str()) && reason.message.contains(to.as_str()), "{reason}");
    }
    for &same in FieldType::ALL {
        assert_eq!(compatible(same, same), Ok(()), "{same}");
    }
}

#[test]
fn narrowing_is_told() {
    use FieldType as T;
    let of = |field_type, length, precision, scale| FieldSchema {
        length,
        precision,
        scale,
        ..FieldSchema::new("F".parse().unwrap(), field_type)
    };
    let table = [
        (of(T::Text, Some(80), None, None), of(T::Text, Some(40), None, None), true),
        (of(T::Text, Some(40), None, None), of(T::LongText, None, None, None), false),
        (of(T::Picklist, None, None, None), of(T::Text, Some(10), None, None), true),
        (of(T::Currency, None, Some(18), Some(2)), of(T::Currency, None, Some(18), Some(0)), true),
        (of(T::Currency, None, Some(18), Some(0)), of(T::Currency, None, Some(18), Some(2)), true),
        (of(T::Currency, None, Some(16), Some(0)), of(T::Currency, None, Some(18), Some(2)), false),
        (of(T::Integer, None, Some(8), None), of(T::Decimal, None, None, None), false),
        (of(T::Decimal, None, Some(8), Some(2)), of(T::Integer, None, None, None), true),
        (of(T::DateTime, None, None, None), of(T::Date, None, None, None), true),
        (of(T::MultiPicklist, None, None, None), of(T::LongText, None, None, None), true),
        (of(T::Boolean, None, None, None), of(T::Boolean, None, None, None), false),
    ];
    for (from, to, narrows) in table {
        let mut object = standard("Lead");
        object.fields = vec![from.clone()];
        let rule = crate::publish::PublishRule::new(object.name.clone(), vec![from.name.clone()], 1);
        let catalogue = catalogue_object(&object, &rule);
        assert_eq!(narrowing(&catalogue.fields[0], &to).is_some(), narrows, "{from:?} to {to:?}");
    }
}
