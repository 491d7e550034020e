//! Views of the inbox: what was offered, by the names of the org that looks (S2S-46).

use tieline_core::check::unseen_in_offers;
use tieline_core::command::{Command, ViewCommand};
use tieline_core::mapping::{FieldMapping, SubscribeRule};
use tieline_core::state::State;
use tieline_core::value::Value;
use tieline_core::view::{Audience, InboxView};
use tieline_core::{FieldName, ObjectName};
use tieline_tests::live::{OrgHome, connect, parse, pick, publish, text};
use tieline_tests::nats::{Edition, NatsServer};

/// What a view chooses, as the values of its columns.
fn chosen(state: &State, view: &str) -> Vec<Vec<Value>> {
    let now = tieline_daemon::clock::now();
    let (view, open) = state.open_inbox_view(&parse(view)).unwrap();
    let shares = state
        .connections
        .values()
        .flat_map(|connection| connection.shares.values().map(move |share| (connection, share)));
    shares
        .filter_map(|(connection, share)| state.inbox_view_matches((view, &open), connection, share, now))
        .map(|values| {
            let value = |name: &FieldName| values.get(name).cloned().unwrap_or_default();
            open.columns.iter().map(value).collect()
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inbox_view_reads_offers_by_the_names_of_this_org() {
    let (acme, globex) = (OrgHome::make("acme"), OrgHome::make("globex"));
    let broker = NatsServer::start(Edition::Pinned, vec![acme.access(), globex.access()]).unwrap().unwrap();
    let (a, b) = (acme.start(&broker.url()).await, globex.start(&broker.url()).await);
    let connection = connect(&a, &b).await;
    publish(&a, connection, "Lead", &["LastName", "Company", "Rating", "Industry", "Title"]).await;
    let lead: ObjectName = parse("Lead");
    b.until("a catalogue", |state| state.connections.get(&connection)?.catalogue.get(&lead).map(drop)).await;
    // The partner's title is a department here.
    let renamed = [
        ("LastName", "LastName"),
        ("Company", "Company"),
        ("Title", "Description"),
        ("Industry", "Industry"),
    ];
    let rule = SubscribeRule {
        remote: lead.clone(),
        local: lead.clone(),
        auto_accept: false,
        accept_whole: false,
        owner: None,
        fields: renamed.map(|(there, here)| FieldMapping::rename(parse(there), parse(here))).to_vec(),
        version: 0,
    };
    b.execute(Command::Subscribe { connection, object: lead.clone(), rule: Some(rule) }).await;
    for (name, title) in [("Curie", "CEO"), ("Hahn", "CTO"), ("Noether", "CEO")] {
        let fields = [
            ("LastName", text(name)),
            ("Company", text("x")),
            ("Title", text(title)),
            ("Industry", pick("Energy")),
        ];
        let record = a.create("Lead", &fields).await;
        a.execute(Command::Forward { record, connection }).await;
    }
    b.until("three offers", |state| (state.connections[&connection].shares.len() == 3).then_some(())).await;
    let view = |filter: &str| InboxView {
        name: parse("heads"),
        label: String::new(),
        object: lead.clone(),
        filter: Some(filter.to_owned()),
        columns: ["ConnectionName", "Description", "Industry"].map(parse).to_vec(),
        sort: None,
        audience: Audience::default(),
    };
    let set = |filter: &str| Command::View(ViewCommand::SetInbox { view: Box::new(view(filter)) });
    let refused = b.try_execute(set("Title > 7")).await.unwrap_err().to_string();
    assert!(refused.contains("the filter is not valid"), "{refused}");
    b.execute(set("Description == 'CEO' && ConnectionName == 'acme' && SentDate < now()")).await;
    let found = b.handle().read(|state| chosen(state, "heads")).await;
    assert_eq!(found, vec![vec![text("acme"), text("CEO"), pick("Energy")]; 2]);
    // Offers carry the view fields that are published: of what they do not carry, whoever saves is told.
    let (carried, more) = (view("Description == 'CEO'"), view("LastName == 'Curie'"));
    assert_eq!(b.handle().read(move |state| unseen_in_offers(state, &carried)).await, [""; 0]);
    let unseen = b.handle().read(move |state| unseen_in_offers(state, &more)).await;
    assert!(unseen.len() == 1 && unseen[0].contains("LastName"), "{unseen:?}");
    b.execute(set("ConnectionName == 'initech'")).await;
    assert!(b.handle().read(|state| chosen(state, "heads")).await.is_empty());
    a.daemon.stop().await;
    b.daemon.stop().await;
}
