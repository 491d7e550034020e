//! What happens by itself, over two real daemons: a queue offers, an assignment rule receives, and a
//! workflow rule answers a partner's change.

use tieline_core::automation::{
    Action, AssignmentEntry, AssignmentRule, EscalationEntry, EscalationRule, Queue, Rule, When, WorkflowRule,
};
use tieline_core::command::{AutomationCommand, Command};
use tieline_core::state::ShareStatus;
use tieline_core::{Owner, RecordId};
use tieline_tests::live::{OrgHome, connect, parse, pick, publish, subscribe, text};
use tieline_tests::nats::{Edition, NatsServer};

const FIELDS: [&str; 4] = ["LastName", "Company", "Status", "Rating"];

fn queue(name: &str, member: Option<tieline_core::ConnectionId>) -> Command {
    let queue = Queue {
        connections: member.into_iter().collect(),
        ..Queue::new(parse(name), [parse("Lead")].into())
    };
    Command::Automation(AutomationCommand::SetQueue { queue: Box::new(queue) })
}

fn rule(rule: Rule) -> Command {
    Command::Automation(AutomationCommand::SetRule { rule: Box::new(rule) })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_offers_a_rule_assigns_and_workflow_answers() {
    let (acme, globex) = (OrgHome::make("acme"), OrgHome::make("globex"));
    let broker = NatsServer::start(Edition::Pinned, vec![acme.access(), globex.access()]).unwrap().unwrap();
    let (a, b) = (acme.start(&broker.url()).await, globex.start(&broker.url()).await);
    let connection = connect(&a, &b).await;
    for (from, to) in [(&a, &b), (&b, &a)] {
        publish(from, connection, "Lead", &FIELDS).await;
        subscribe(to, connection, "Lead", &FIELDS, true).await;
    }
    // What comes from acme waits in a queue of globex, which answers each change of its status.
    b.execute(queue("inbound", None)).await;
    let entry =
        AssignmentEntry { criteria: "received_from == \"acme\"".to_owned(), owner: parse("queue:inbound") };
    let assignment = AssignmentRule { object: parse("Lead"), active: true, entries: vec![entry] };
    b.execute(rule(Rule::Assignment(assignment))).await;
    let answer = Action::Set { field: parse("Rating"), value: Some("Hot".to_owned()), formula: None };
    let workflow = WorkflowRule {
        name: parse("answer"),
        object: parse("Lead"),
        active: true,
        when: When::Every,
        criteria: "by_connection_user && changed(Status)".to_owned(),
        actions: vec![answer],
    };
    b.execute(rule(Rule::Workflow(workflow))).await;
    a.execute(queue("partners", Some(connection))).await;

    let fields = [("LastName", text("Curie")), ("Company", text("Sorbonne")), ("Rating", pick("Cold"))];
    let lead = a.create("Lead", &fields).await;
    let to = Owner::Queue(parse("partners")).into();
    a.execute(Command::Automation(AutomationCommand::Assign { record: lead, to })).await;
    let copy: RecordId = b
        .until("a copy in the queue", |state| {
            let (id, record) = state.records_of(&parse("Lead"), None).next()?;
            (record.owner == Owner::Queue(parse("inbound"))).then_some(id)
        })
        .await;
    a.until("an accepted offer", |state| {
        let record = state.record(lead)?;
        let shared = state.shares_of(record).any(|(_, share)| share.status == ShareStatus::Active);
        (shared && record.owner == Owner::Queue(parse("partners"))).then_some(())
    })
    .await;
    a.update(lead, &[("Status", pick("Working - Contacted"))]).await;
    b.until_value(copy, "Rating", &pick("Hot")).await;
    a.until_value(lead, "Rating", &pick("Hot")).await;
    a.daemon.stop().await;
    b.daemon.stop().await;
}

/// The daemon's own clock escalates: nobody gives a command.
#[tokio::test(flavor = "multi_thread")]
async fn the_clock_of_the_daemon_escalates() {
    let acme = OrgHome::make("acme");
    let broker = NatsServer::start(Edition::Pinned, vec![acme.access()]).unwrap().unwrap();
    let a = acme.start(&broker.url()).await;
    a.execute(queue("late", None)).await;
    let lead = a.create("Lead", &[("LastName", text("Curie")), ("Company", text("Sorbonne"))]).await;
    let step = EscalationEntry {
        name: parse("late"),
        criteria: String::new(),
        after_minutes: 1,
        owner: Some(parse("queue:late")),
        notify: [].into(),
    };
    let escalation = EscalationRule { object: parse("Lead"), active: true, entries: vec![step] };
    a.execute(rule(Rule::Escalation(escalation))).await;
    a.until("an escalated lead", |state| {
        (state.record(lead)?.owner == Owner::Queue(parse("late"))).then_some(())
    })
    .await;
    a.daemon.stop().await;
}
