//! Computed fields and mappings, and a catalogue that changes, in real daemons.

use tieline_core::ShareId;
use tieline_core::command::Command;
use tieline_core::drift;
use tieline_core::mapping::{FieldMapping, Source, SubscribeRule};
use tieline_core::schema::ObjectSchema;
use tieline_core::state::ShareStatus;
use tieline_core::value::Value;
use tieline_tests::live::{Org, OrgHome, connect, parse, publish, text};
use tieline_tests::nats::{Edition, NatsServer};

async fn define(org: &Org, file: &str) {
    let file = ObjectSchema::from_toml(file).unwrap();
    let base = org.handle().read(|state| state.object(file.object().unwrap()).cloned()).await;
    let schema = Box::new(file.build(base.as_deref()).unwrap());
    org.execute(Command::DefineObject { schema }).await;
}

const SALE: &str = "object = \"Sale__c\"\nname_field = \"Name\"\ncreate_set = [\"Name\"]\n[fields]\n\
    Name = { type = \"text\", required = true }\nPrice = { type = \"decimal\" }\nCount = { type = \"integer\" }\n\
    Total = { type = \"decimal\", expression = \"Price * Count\" }\n";
const TRADE: &str = "object = \"Trade__c\"\nname_field = \"Title\"\ncreate_set = [\"Title\"]\n[fields]\n\
    Title = { type = \"text\", required = true }\nTotal = { type = \"decimal\" }\nHalf = { type = \"decimal\" }\n\
    Count = { type = \"integer\" }\n";

#[tokio::test(flavor = "multi_thread")]
async fn computed_values_follow_and_a_changed_type_stops_no_other_field() {
    let (acme, globex) = (OrgHome::make("acme"), OrgHome::make("globex"));
    let broker = NatsServer::start(Edition::Pinned, vec![acme.access(), globex.access()]).unwrap().unwrap();
    let (a, b) = (acme.start(&broker.url()).await, globex.start(&broker.url()).await);
    let connection = connect(&a, &b).await;
    define(&a, SALE).await;
    define(&b, TRADE).await;
    publish(&a, connection, "Sale__c", &["Count", "Name", "Price", "Total"]).await;
    b.until("a catalogue", |state| state.connections[&connection].catalogue.get("Sale__c").map(drop)).await;
    let half = FieldMapping {
        source: Source::Computed("Price * Count / 2".to_owned()),
        ..FieldMapping::rename(parse("Price"), parse("Half"))
    };
    let same = |from: &str, to: &str| FieldMapping::rename(parse(from), parse(to));
    let rule = SubscribeRule {
        remote: parse("Sale__c"),
        local: parse("Trade__c"),
        auto_accept: true,
        accept_whole: false,
        owner: None,
        fields: vec![same("Name", "Title"), same("Total", "Total"), same("Count", "Count"), half],
        version: 0,
    };
    b.execute(Command::Subscribe { connection, object: parse("Sale__c"), rule: Some(rule) }).await;
    a.until("the subscription", |state| state.connections[&connection].taken.get("Sale__c").map(drop)).await;
    let number = |n: i64| Value::Decimal(n.into());
    let fields = [("Name", text("Bolt")), ("Price", number(10)), ("Count", Value::Integer(4))];
    let sale = a.create("Sale__c", &fields).await;
    a.execute(Command::Forward { record: sale, connection }).await;
    let share = ShareId::derive(connection, &acme.name, sale);
    let active = |state: &tieline_core::state::State| {
        state.share(connection, share).filter(|share| share.status == ShareStatus::Active)?.record
    };
    let copy = b.until("a copy", active).await;
    b.until_value(copy, "Total", &number(40)).await;
    b.until_value(copy, "Half", &number(20)).await;
    a.update(sale, &[("Count", Value::Integer(6))]).await;
    b.until_value(copy, "Total", &number(60)).await;
    b.until_value(copy, "Half", &number(30)).await;

    // The count becomes a text at its publisher: both sides know, and the other fields go on.
    define(
        &a,
        "extends = \"Sale__c\"\n[fields]\nCount = { type = \"text\" }\nTotal = { expression = \"Price\" }\n",
    )
    .await;
    for org in [&a, &b] {
        org.until("drift", |state| (!state.connections[&connection].drift.is_empty()).then_some(())).await;
    }
    let broken = b.handle().read(|state| drift::broken(state, &state.connections[&connection]).count()).await;
    assert_eq!(broken, 2, "the count, and what is computed with it");
    a.update(sale, &[("Count", text("many")), ("Name", text("Nut"))]).await;
    b.until_value(copy, "Title", &text("Nut")).await;
    b.until_value(copy, "Count", &Value::Integer(6)).await;
    // It is mended here: what waited comes through.
    define(&b, "extends = \"Trade__c\"\n[fields]\nCount = { type = \"text\" }\n").await;
    b.until_value(copy, "Count", &text("many")).await;
    a.daemon.stop().await;
    b.daemon.stop().await;
}
