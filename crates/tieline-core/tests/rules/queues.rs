//! Queues: what they take, who gets what they own, and what is refused.

use tieline_core::automation::Queue;
use tieline_core::command::{AutomationCommand, Command, Reply};
use tieline_core::mapping::SubscribeRule;
use tieline_core::state::ShareStatus;
use tieline_core::value::Value;
use tieline_core::{AssignTo, ConnectionId, OrgId, Owner, RecordId, RoleName, ShareId};

use crate::kit::{Org, Partner, content, deal, deals_from_offers, grant_of, name, offer_of, stamp};

fn queue(members: &[ConnectionId]) -> Queue {
    Queue {
        connections: members.iter().copied().collect(),
        ..Queue::new(name("emea"), [name("Deal__c")].into())
    }
}

fn set(queue: Queue) -> Command {
    Command::Automation(AutomationCommand::SetQueue { queue: Box::new(queue) })
}

fn assign(record: RecordId, owner: &str) -> Command {
    let to = AssignTo::Owner(name(owner));
    Command::Automation(AutomationCommand::Assign { record, to })
}

fn code(org: &mut Org, command: Command) -> &'static str {
    org.attempt(command).unwrap_err().code
}

fn status(org: &Org, record: RecordId, over: ConnectionId) -> Option<ShareStatus> {
    let share = org.record(record).share_over(over)?;
    Some(org.state().share(over, share)?.status)
}

/// A record that comes into a queue is offered to the connections that are members; it stays here.
#[test]
fn what_comes_into_a_queue_is_offered_to_its_connections() {
    let mut here = Org::new("acme", deal());
    let globex = Partner::of(&mut here, "globex");
    let initech = Partner::of(&mut here, "initech");
    let hooli = Partner::of(&mut here, "hooli");
    here.run(set(queue(&[globex.connection, initech.connection])));
    let record = here.create("Deal__c", &[("Name", Value::text("a"))]);
    assert_eq!(here.record(record).owner, Owner::User(name("ann")));

    let before = here.state().seq;
    assert_eq!(here.run(assign(record, "queue:emea")), Reply::Done);
    // The assignment and both offers are one group.
    assert_eq!(here.state().seq.0 - before.0, 3);
    assert_eq!(here.record(record).owner, Owner::Queue(name("emea")));
    for member in [&globex, &initech] {
        assert_eq!(status(&here, record, member.connection), Some(ShareStatus::Offered));
    }
    assert_eq!(status(&here, record, hooli.connection), None);
    assert_eq!(here.run(assign(record, "queue:emea")), Reply::Unchanged);

    // Somebody takes it up: the offers stand.
    here.run(assign(record, "ann"));
    assert_eq!(status(&here, record, globex.connection), Some(ShareStatus::Offered));

    // A record can be created in a queue.
    let create = Command::CreateRecord {
        object: name("Deal__c"),
        values: crate::kit::values(&[("Name", Value::text("b"))]),
        owner: Some(AssignTo::Owner(name("queue:emea"))),
    };
    let Reply::Record(second) = here.run(create) else { panic!("a record") };
    assert_eq!(status(&here, second, globex.connection), Some(ShareStatus::Offered));
}

/// A connection that is added later gets what is there only when that is asked for.
#[test]
fn a_member_that_came_later_gets_what_is_there_when_asked_for() {
    let mut here = Org::new("acme", deal());
    let globex = Partner::of(&mut here, "globex");
    here.run(set(queue(&[])));
    let records: Vec<RecordId> =
        (0..3).map(|n| here.create("Deal__c", &[("Name", Value::text(&format!("{n}")))])).collect();
    for record in &records[..2] {
        here.run(assign(*record, "queue:emea"));
    }
    let share = || {
        Command::Automation(AutomationCommand::ShareQueue {
            queue: name("emea"),
            connection: globex.connection,
        })
    };
    assert_eq!(code(&mut here, share()), "not_a_member");
    here.run(set(queue(&[globex.connection])));
    assert_eq!(status(&here, records[0], globex.connection), None, "nothing by surprise");
    here.run(share());
    here.finish_jobs();
    let offered = Some(ShareStatus::Offered);
    let found: Vec<_> = records.iter().map(|record| status(&here, *record, globex.connection)).collect();
    assert_eq!(found, [offered, offered, None]);
}

#[test]
fn what_a_queue_cannot_be_or_take_is_refused() {
    let mut here = Org::new("acme", deal());
    let globex = Partner::of(&mut here, "globex");
    here.run(Command::DefineObject { schema: Box::new(crate::kit::offer()) });
    here.run(Command::AddUser { user: name("bob"), email: None, role: RoleName::standard() });
    here.run(Command::ChangeUser { user: name("bob"), email: None, role: None, active: Some(false) });
    for (broken, expected) in [
        (Queue { objects: [].into(), ..queue(&[]) }, "bad_queue"),
        (Queue { objects: [name("Nothing__c")].into(), ..queue(&[]) }, "unknown_object"),
        (Queue { users: [name("eve")].into(), ..queue(&[]) }, "unknown_user"),
        (Queue { users: [name("bob")].into(), ..queue(&[]) }, "user_inactive"),
        (Queue { groups: [name("none")].into(), ..queue(&[]) }, "unknown_group"),
        (Queue { roles: [name("none")].into(), ..queue(&[]) }, "unknown_role"),
        (queue(&[ConnectionId(7)]), "unknown_connection"),
    ] {
        assert_eq!(code(&mut here, set(broken)), expected);
    }
    here.run(set(queue(&[globex.connection])));
    assert_eq!(here.run(set(queue(&[globex.connection]))), Reply::Unchanged);
    let deal = here.create("Deal__c", &[("Name", Value::text("a"))]);
    let offer = here.create("Offer__c", &[("Title", Value::text("b"))]);
    for (record, owner, expected) in [
        (offer, "queue:emea", "queue_takes_not"),
        (deal, "queue:none", "unknown_queue"),
        (deal, "eve", "unknown_user"),
        (deal, "bob", "user_inactive"),
        (deal, "connection.user", "system_user"),
        (RecordId(1), "ann", "unknown_record"),
    ] {
        assert_eq!(code(&mut here, assign(record, owner)), expected, "{owner}");
    }
    here.run(assign(deal, "queue:emea"));
    let remove = || Command::Automation(AutomationCommand::RemoveQueue { queue: name("emea") });
    assert_eq!(code(&mut here, remove()), "queue_in_use");
    here.run(assign(deal, "ann"));
    here.run(remove());
    assert_eq!(code(&mut here, remove()), "unknown_queue");
}

/// What a rule accepts by itself goes to a user or a queue (S2S-30).
#[test]
fn what_is_accepted_by_itself_belongs_to_a_queue_if_the_rule_says_so() {
    let mut here = Org::new("acme", deal());
    let mut globex = Partner::of(&mut here, "globex");
    here.run(set(queue(&[])));
    let connection = globex.connection;
    let rule = |owner: &str| {
        let rule = SubscribeRule { auto_accept: true, owner: Some(name(owner)), ..deals_from_offers() };
        Command::Subscribe { connection, object: name("Offer__c"), rule: Some(rule) }
    };
    assert_eq!(here.attempt(rule("queue:none")).unwrap_err().code, "unknown_queue");
    here.run(rule("queue:emea"));
    globex.send(&mut here, offer_of(ShareId(1), 1));
    let title = content(&[("Title", Value::text("a deal"))], stamp(-100, OrgId(9)));
    let record = globex.send(&mut here, grant_of(ShareId(1), 1, title)).record.unwrap();
    assert_eq!(here.record(record).owner.to_string(), "queue:emea");
}
