//! Computed fields, which are published as values (S2S-24), and computed mappings (S2S-28): what is
//! computed stands in the event, follows each of its inputs, and does not echo.

use tieline_core::ConnectionId;
use tieline_core::RecordId;
use tieline_core::command::{Command, Reply};
use tieline_core::mapping::{FieldMapping, Source, SubscribeRule};
use tieline_core::reason::ReasonCode;
use tieline_core::schema::ObjectSchema;
use tieline_core::state::State;
use tieline_core::value::Value;

use crate::kit::{Org, connect, name, publish_rule, settle_all};

/// What is sold, with its total, and the total with tax computed from that.
const SALE: &str = r#"
object = "Sale__c"
name_field = "Name"
create_set = ["Name"]
[fields]
Name = { type = "text", required = true, length = 40 }
Price = { type = "currency", precision = 18, scale = 2 }
Quantity = { type = "integer" }
Total = { type = "currency", precision = 18, scale = 2, expression = "Price * Quantity" }
Gross = { type = "currency", precision = 18, scale = 2, expression = "round(Total * dec('1.19'), 2)" }
[rules.Small]
condition = 'Total > 1000'
message = "That is too much."
"#;

/// The same at the partner, whose amount is computed there.
const DEAL: &str = r#"
object = "Trade__c"
name_field = "Title"
create_set = ["Title"]
[fields]
Title = { type = "text", required = true, length = 60 }
Amount = { type = "decimal", precision = 18, scale = 2 }
Summary = { type = "text", length = 40 }
Size = { type = "picklist", values = ["small", "big"], restricted = true }
"#;

fn object(text: &str) -> ObjectSchema {
    ObjectSchema::from_toml(text).unwrap().build(None).unwrap()
}

fn computed(local: &str, expression: &str) -> FieldMapping {
    let source = Source::Computed(expression.to_owned());
    FieldMapping { source, ..FieldMapping::rename(name("Name"), name(local)) }
}

fn rule(fields: Vec<FieldMapping>) -> SubscribeRule {
    SubscribeRule {
        remote: name("Sale__c"),
        local: name("Trade__c"),
        auto_accept: true,
        accept_whole: false,
        owner: None,
        fields,
        version: 0,
    }
}

fn mappings() -> Vec<FieldMapping> {
    vec![
        FieldMapping::rename(name("Name"), name("Title")),
        computed("Amount", "Price * Quantity"),
        computed("Summary", "Name + ' x ' + string(Quantity)"),
        computed("Size", "Price * Quantity > 100 ? 'big' : 'small'"),
    ]
}

fn pair(published: &[&str], fields: Vec<FieldMapping>) -> (Org, Org, ConnectionId) {
    let (mut a, mut b) = (Org::new("acme", object(SALE)), Org::new("globex", object(DEAL)));
    let connection = connect(&mut a, &mut b);
    let object = name("Sale__c");
    let sale = Some(publish_rule(&object, published));
    a.run(Command::Publish { connection, object, rule: sale });
    let object = name("Trade__c");
    let trade = Some(publish_rule(&object, &["Amount", "Size", "Summary", "Title"]));
    b.run(Command::Publish { connection, object, rule: trade });
    settle_all(&mut a, &mut b, connection);
    b.run(Command::Subscribe { connection, object: name("Sale__c"), rule: Some(rule(fields)) });
    settle_all(&mut a, &mut b, connection);
    (a, b, connection)
}

fn sale(a: &mut Org, price: i64, quantity: i64) -> RecordId {
    let fields = [
        ("Name", Value::text("Bolt")),
        ("Price", Value::Decimal(price.into())),
        ("Quantity", Value::Integer(quantity)),
    ];
    a.create("Sale__c", &fields)
}

fn share(a: &mut Org, b: &mut Org, connection: ConnectionId, record: RecordId) -> RecordId {
    let Reply::Share(share) = a.run(Command::Forward { record, connection }) else { panic!("a share") };
    settle_all(a, b, connection);
    b.state().share(connection, share).unwrap().record.unwrap()
}

fn value(org: &Org, record: RecordId, field: &str) -> String {
    org.record(record).value(&name(field)).to_text()
}

#[test]
fn computed_fields_follow_their_inputs_and_are_read_only() {
    let mut a = Org::new("acme", object(SALE));
    let record = sale(&mut a, 10, 3);
    assert_eq!((value(&a, record, "Total"), value(&a, record, "Gross")), ("30".into(), "35.7".into()));
    a.update(record, &[("Quantity", Value::Integer(4))]);
    assert_eq!((value(&a, record, "Total"), value(&a, record, "Gross")), ("40".into(), "47.6".into()));
    a.update(record, &[("Price", Value::Null)]);
    assert_eq!(value(&a, record, "Gross"), "");
    // Rules see what is computed, and nobody writes it.
    let many = Command::UpdateRecord {
        record,
        values: crate::kit::values(&[("Price", Value::Decimal(500.into()))]),
    };
    let refusal = a.attempt(many).unwrap_err();
    assert_eq!(refusal.reasons[0].code, ReasonCode::RuleRefused);
    let written =
        Command::UpdateRecord { record, values: crate::kit::values(&[("Total", Value::Decimal(5.into()))]) };
    assert_eq!(a.attempt(written).unwrap_err().reasons[0].code, ReasonCode::NotUpdatable);
    // Replay folds what was computed.
    let again = State::from_bytes(&a.state().to_bytes()).unwrap();
    assert_eq!(again.hash(), a.state().hash());

    // Another expression: all records are computed anew.
    let text = "extends = \"Sale__c\"\n[fields]\nTotal = { expression = \"Price * Quantity + 1\" }\n";
    a.update(record, &[("Price", Value::Decimal(10.into()))]);
    let schema = ObjectSchema::from_toml(text)
        .unwrap()
        .build(Some(a.state().object(&name("Sale__c")).unwrap()))
        .unwrap();
    a.run(Command::DefineObject { schema: Box::new(schema) });
    a.finish_jobs();
    assert_eq!((value(&a, record, "Total"), value(&a, record, "Gross")), ("41".into(), "48.79".into()));
}

#[test]
fn computed_fields_that_cannot_be_are_refused_by_name() {
    let table = [
        ("Total = { type = \"currency\", expression = \"Prise * 2\" }", "did you mean Price?"),
        ("Total = { type = \"boolean\", expression = \"Price * 2\" }", "does not convert to boolean"),
        ("Total = { type = \"date\", expression = \"today() + Quantity\" }", "reads the clock"),
        ("Total = { type = \"currency\", expression = \"dec('1')\" }", "reads no field"),
        ("Total = { type = \"currency\", expression = \"Gross + Price\" }", "computed from itself"),
        ("Total = { type = \"currency\", kind = \"data\", expression = \"Price\" }", "make it a formula"),
    ];
    let base = object(SALE);
    for (field, text) in table {
        let file = format!("extends = \"Sale__c\"\n[fields]\n{field}\n");
        let schema = ObjectSchema::from_toml(&file).unwrap().build(Some(&base)).unwrap();
        let reasons = schema.check().unwrap_err();
        assert!(reasons.iter().any(|reason| reason.message.contains(text)), "{field}: {reasons:?}");
    }
    let raw = "extends = \"Sale__c\"\n[fields]\nRaw = { type = \"text\", kind = \"formula\" }\n";
    let schema = ObjectSchema::from_toml(raw).unwrap().build(Some(&base)).unwrap();
    assert_eq!(schema.publishable(&name("Raw")).unwrap_err().code, ReasonCode::NotPublishable);
    assert_eq!(schema.publishable(&name("Total")), Ok(()));
}

#[test]
fn a_computed_field_is_published_as_a_value() {
    let fields = vec![
        FieldMapping::rename(name("Name"), name("Title")),
        FieldMapping::rename(name("Total"), name("Amount")),
    ];
    let (mut a, mut b, connection) = pair(&["Name", "Total"], fields);
    let record = sale(&mut a, 10, 3);
    let copy = share(&mut a, &mut b, connection, record);
    assert_eq!(value(&b, copy, "Amount"), "30");
    a.update(record, &[("Quantity", Value::Integer(5))]);
    settle_all(&mut a, &mut b, connection);
    assert_eq!(value(&b, copy, "Amount"), "50");
    let (ours, theirs) = (a.record(record), b.record(copy));
    let write = |record: &tieline_core::state::Record, field: &str| {
        record.fields.get(&name::<tieline_core::FieldName>(field)).unwrap().stamp.write()
    };
    assert_eq!(write(ours, "Total"), write(theirs, "Amount"));
    assert_eq!(write(ours, "Total"), write(ours, "Quantity"), "the greatest stamp of its inputs");
    assert_eq!(b.connection(connection).outbox.counted, 0, "nothing echoes");
    // The same write computed anew is a revision, which the partner takes.
    let text = "extends = \"Sale__c\"\n[fields]\nTotal = { expression = \"Price * Quantity + 1\" }\n";
    let schema = ObjectSchema::from_toml(text)
        .unwrap()
        .build(Some(a.state().object(&name("Sale__c")).unwrap()))
        .unwrap();
    a.run(Command::DefineObject { schema: Box::new(schema) });
    settle_all(&mut a, &mut b, connection);
    assert_eq!(value(&b, copy, "Amount"), "51");
}

#[test]
fn a_computed_mapping_takes_several_fields_and_keeps_what_came_last() {
    let (mut a, mut b, connection) = pair(&["Name", "Price", "Quantity"], mappings());
    let record = sale(&mut a, 10, 3);
    let copy = share(&mut a, &mut b, connection, record);
    let shown = |b: &Org| ["Amount", "Summary", "Size"].map(|field| value(b, copy, field));
    assert_eq!(shown(&b), ["30", "Bolt x 3", "small"]);
    // One input comes; the other is what came last.
    a.update(record, &[("Quantity", Value::Integer(20))]);
    settle_all(&mut a, &mut b, connection);
    assert_eq!(shown(&b), ["200", "Bolt x 20", "big"]);
    a.update(record, &[("Price", Value::Decimal(2.into()))]);
    settle_all(&mut a, &mut b, connection);
    assert_eq!(shown(&b), ["40", "Bolt x 20", "small"]);
    assert_eq!(b.connection(connection).outbox.counted, 0, "what does not invert does not echo");
    let again = State::from_bytes(&b.state().to_bytes()).unwrap();
    assert_eq!(again.hash(), b.state().hash());
    // A person's later edit stands until an input is written later.
    b.update(copy, &[("Amount", Value::Decimal(7.into()))]);
    settle_all(&mut a, &mut b, connection);
    assert_eq!(value(&b, copy, "Amount"), "7");
    a.now = a.now.plus_us(1_000_000);
    a.update(record, &[("Price", Value::Decimal(3.into()))]);
    settle_all(&mut a, &mut b, connection);
    assert_eq!(value(&b, copy, "Amount"), "60");
    // Another expression: what is computed under the same write is a revision.
    let mut fields = mappings();
    fields[1] = computed("Amount", "Price * Quantity * 2");
    b.run(Command::Subscribe { connection, object: name("Sale__c"), rule: Some(rule(fields)) });
    settle_all(&mut a, &mut b, connection);
    assert_eq!(value(&b, copy, "Amount"), "120");
    // Both sides compare their shares: nothing is left to say.
    b.run(Command::Reconcile { connection });
    settle_all(&mut a, &mut b, connection);
    assert_eq!(value(&b, copy, "Amount"), "120");
}

#[test]
fn computed_mappings_are_checked_against_the_catalogue() {
    let (_, mut b, connection) =
        pair(&["Name", "Price"], vec![FieldMapping::rename(name("Name"), name("Title"))]);
    let table = [
        (computed("Amount", "Price * Quantity"), ReasonCode::BadExpression, "no field"),
        (computed("Amount", "Name"), ReasonCode::BadExpression, "text does not convert to decimal"),
        (computed("Amount", "Price +"), ReasonCode::BadExpression, "line 1"),
        (computed("Summary", "'fixed'"), ReasonCode::BadExpression, "reads no field"),
        (computed("Summary", "string(today())"), ReasonCode::BadExpression, "reads the clock"),
    ];
    for (mapping, code, text) in table {
        let fields = vec![FieldMapping::rename(name("Name"), name("Title")), mapping];
        let refusal =
            b.attempt(Command::Subscribe { connection, object: name("Sale__c"), rule: Some(rule(fields)) });
        let reasons = refusal.unwrap_err().reasons;
        assert!(reasons.iter().any(|r| r.code == code && r.message.contains(text)), "{reasons:?}");
    }
}

/// A rate that divides by what may be nothing.
const RATE: &str = r#"
object = "Sale__c"
name_field = "Name"
create_set = ["Name"]
[fields]
Name = { type = "text", required = true, length = 40 }
Price = { type = "currency", precision = 18, scale = 2 }
Quantity = { type = "integer" }
Each = { type = "currency", precision = 18, scale = 2, expression = "Price / Quantity" }
"#;

#[test]
fn a_field_that_cannot_be_computed_says_why_and_stops_nothing() {
    let mut org = Org::new("acme", object(RATE));
    let fields = |quantity| {
        [("Name", Value::text("a")), ("Price", Value::Decimal("10".parse().unwrap())), ("Quantity", quantity)]
    };
    let id = org.create("Sale__c", &fields(Value::Integer(4)));
    assert_eq!(value(&org, id, "Each"), "2.5");
    assert!(org.state().automation.computations.is_empty());
    org.update(id, &[("Quantity", Value::Integer(0))]);
    assert!(org.record(id).value(&name("Each")).is_null());
    let noted =
        |org: &Org| org.state().automation.computations.get("Sale__c").map(|fields| fields["Each"].clone());
    let failed = noted(&org).unwrap();
    assert_eq!((failed.count, failed.record, failed.reason.code), (1, id, ReasonCode::RuleFailed));
    assert!(failed.reason.message.contains("Each cannot be computed"), "{}", failed.reason.message);
    // A change of another field does not try again; a new record counts; an empty input is no failure.
    org.update(id, &[("Name", Value::text("b"))]);
    org.create("Sale__c", &fields(Value::Integer(0)));
    org.create("Sale__c", &fields(Value::Null));
    assert_eq!(noted(&org).unwrap().count, 2);
    assert_eq!(org.state().automation.not_computed, 2);
    assert_eq!(org.state().hash(), org.replayed().hash(), "replay gives the same");
    // Defined otherwise, what was noted is forgotten, and what is computed anew is not counted.
    let mended = RATE.replace("Price / Quantity", "Quantity == 0 ? dec('0') : Price / Quantity");
    org.run(Command::DefineObject { schema: Box::new(object(&mended)) });
    assert_eq!((noted(&org), org.state().automation.not_computed), (None, 2));
}

#[test]
fn what_rules_write_is_computed_with() {
    use tieline_core::automation::{Action, Rule, When, WorkflowRule};
    use tieline_core::command::AutomationCommand;

    let (mut acme, mut globex, id) = pair(&["Name", "Price", "Quantity", "Total"], mappings());
    let rule = Rule::Workflow(WorkflowRule {
        name: name("bulk"),
        object: name("Sale__c"),
        active: true,
        when: When::Starts,
        criteria: "Quantity > 5".to_owned(),
        actions: vec![Action::Set { field: name("Price"), value: Some("2.00".to_owned()), formula: None }],
    });
    acme.run(Command::Automation(AutomationCommand::SetRule { rule: Box::new(rule) }));
    let given =
        [("Name", Value::text("pens")), ("Price", Value::Decimal(3.into())), ("Quantity", Value::Integer(4))];
    let sale = acme.create("Sale__c", &given);
    acme.run(Command::Forward { record: sale, connection: id });
    settle_all(&mut acme, &mut globex, id);
    acme.update(sale, &[("Quantity", Value::Integer(6))]);
    settle_all(&mut acme, &mut globex, id);
    assert_eq!(acme.record(sale).value(&name("Total")), &Value::Decimal(12.into()));
    let copy = globex.connection(id).shares.values().find_map(|share| share.record).unwrap();
    assert_eq!(globex.record(copy).value(&name("Amount")), &Value::Decimal(12.into()));
}
