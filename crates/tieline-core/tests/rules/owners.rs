//! Partner users mapped to owners here, and what a person leaves behind (OPS-19).

use tieline_core::automation::{AssignmentEntry, AssignmentRule, Queue, Rule};
use tieline_core::command::{AutomationCommand, Command, Reply, SharingCommand};
use tieline_core::engine::Engine;
use tieline_core::event::IncarnationCause;
use tieline_core::job::{HandedRecords, JobKind};
use tieline_core::log::Log;
use tieline_core::message::Message;
use tieline_core::owner_map::OwnerMap;
use tieline_core::state::{ShareStatus, State};
use tieline_core::value::Value;
use tieline_core::{AssignTo, ConnectionId, Incarnation, Owner, Position, RecordId, RoleName, ShareId};

use crate::kit::{Org, Partner, deal, name, publish_rule, settle_all, standard_pair};

const LEAD: [&str; 2] = ["LastName", "Company"];

fn add_users(org: &mut Org, users: &[&str]) {
    for user in users {
        org.run(Command::AddUser { user: name(user), email: None, role: RoleName::administrator() });
    }
}

fn set_queue(org: &mut Org, object: &str, connections: &[ConnectionId]) {
    let queue = Queue {
        connections: connections.iter().copied().collect(),
        ..Queue::new(name("emea"), [name(object)].into())
    };
    org.run(Command::Automation(AutomationCommand::SetQueue { queue: Box::new(queue) }));
}

fn assign(org: &mut Org, record: RecordId, owner: &str) {
    let to = AssignTo::Owner(name(owner));
    org.run(Command::Automation(AutomationCommand::Assign { record, to }));
}

fn publish_owners(org: &mut Org, over: ConnectionId, owners: bool) -> Reply {
    let rule = Some(publish_rule(&name("Lead"), &LEAD).with_owners(owners));
    org.run(Command::Publish { connection: over, object: name("Lead"), rule })
}

fn map(org: &mut Org, over: ConnectionId, users: &[(&str, &str)], default: Option<&str>) {
    let users = users.iter().map(|(theirs, ours)| (name(theirs), name(ours))).collect();
    let owners = OwnerMap { users, default: default.map(name) };
    org.run(Command::Sharing(SharingCommand::SetOwnerMap { connection: over, owners }));
}

/// Offers a lead of this owner, and accepts it; the lead and its copy.
fn shared(
    a: &mut Org,
    b: &mut Org,
    over: ConnectionId,
    owner: &str,
    to: Option<AssignTo>,
) -> (RecordId, RecordId) {
    let lead = a.create("Lead", &[("LastName", Value::text("Ng")), ("Company", Value::text("Initech"))]);
    assign(a, lead, owner);
    a.run(Command::Forward { record: lead, connection: over });
    settle_all(a, b, over);
    let share = ShareId::derive(over, &a.name, lead);
    b.run(Command::Accept { connection: over, share, owner: to });
    settle_all(a, b, over);
    (lead, b.state().share(over, share).unwrap().record.expect("a copy"))
}

fn owner(org: &Org, record: RecordId) -> String {
    org.record(record).owner.to_string()
}

fn notices(org: &Org, over: ConnectionId) -> Vec<Option<Owner>> {
    let told = org.sent(over, Position(0)).into_iter().filter_map(|message| match message {
        Message::OwnerNotice(notice) => Some(notice.owner),
        _ => None,
    });
    told.collect()
}

fn replays(org: &Org) {
    let mut replayed = Engine::new(State::default());
    let groups = org.log.read_from(tieline_core::Seq(1), usize::MAX).unwrap();
    for event in groups.events() {
        replayed.replay(event.time, event.kind, event.body).unwrap();
    }
    assert_eq!(replayed.state().hash(), org.state().hash());
}

#[test]
fn a_copy_belongs_to_whom_the_partners_owner_is_mapped_to_and_follows() {
    let (mut a, mut b, over) = standard_pair(&[("Lead", &LEAD)]);
    add_users(&mut a, &["bob", "carl", "dan"]);
    add_users(&mut b, &["eve", "fay"]);
    set_queue(&mut b, "Lead", &[]);
    map(&mut b, over, &[("bob", "eve"), ("carl", "queue:emea")], None);
    // Nobody's name is told unasked: the copy belongs to whoever accepts.
    let (first, first_copy) = shared(&mut a, &mut b, over, "bob", None);
    assert_eq!((owner(&b, first_copy).as_str(), notices(&a, over).len()), ("ann", 0));
    // From now on owners are told, those of what is shared already, too.
    publish_owners(&mut a, over, true);
    settle_all(&mut a, &mut b, over);
    assert_eq!(owner(&b, first_copy), "eve");
    let (lead, copy) = shared(&mut a, &mut b, over, "bob", None);
    assert_eq!(owner(&b, copy), "eve", "as it is created");
    assert_eq!(b.record(copy).modified_by.to_string(), "connection.user");
    assign(&mut a, lead, "carl");
    settle_all(&mut a, &mut b, over);
    assert_eq!(owner(&b, copy), "queue:emea");
    // Who is not mapped changes nothing, and is counted.
    assign(&mut a, lead, "dan");
    settle_all(&mut a, &mut b, over);
    assert_eq!(owner(&b, copy), "queue:emea");
    let unmapped = &b.connection(over).unmapped_owners;
    assert_eq!(
        unmapped.iter().map(|(who, seen)| (who.to_string(), seen.count)).collect::<Vec<_>>(),
        [("dan".to_owned(), 1)]
    );
    // With a default, it goes there.
    map(&mut b, over, &[("bob", "eve")], Some("fay"));
    let (_, third) = shared(&mut a, &mut b, over, "dan", None);
    assert_eq!(owner(&b, third), "fay");
    // Whoever accepts and names somebody decides.
    let (_, named) = shared(&mut a, &mut b, over, "bob", Some(AssignTo::Owner(name("ann"))));
    assert_eq!(owner(&b, named), "ann");
    // Nothing is told back, and what was told is masked once it may not be told any more.
    assert!(notices(&b, over).is_empty());
    assign(&mut b, copy, "ann");
    settle_all(&mut a, &mut b, over);
    assert_eq!(owner(&a, lead), "dan");
    publish_owners(&mut a, over, false);
    assert!(notices(&a, over).iter().all(Option::is_none));
    assign(&mut a, first, "carl");
    let told = notices(&a, over).len();
    assign(&mut a, first, "dan");
    assert_eq!(notices(&a, over).len(), told);
    replays(&a);
    replays(&b);
}

#[test]
fn a_table_names_those_who_are_there() {
    let (_, mut b, over) = standard_pair(&[("Lead", &LEAD)]);
    let set = |owner: &str| {
        let owners = OwnerMap { users: [(name("bob"), name(owner))].into(), default: None };
        Command::Sharing(SharingCommand::SetOwnerMap { connection: over, owners })
    };
    assert_eq!(b.attempt(set("nobody")).unwrap_err().code, "unknown_user");
    assert_eq!(b.attempt(set("queue:none")).unwrap_err().code, "unknown_queue");
    assert_eq!(b.run(set("ann")), Reply::Connection(over));
    assert_eq!(b.run(set("ann")), Reply::Unchanged);
}

fn begin(org: &mut Org, kind: JobKind) -> tieline_core::JobId {
    let Reply::Job(job) = org.run(Command::StartJob { kind }) else { panic!("a job") };
    job
}

/// What a person leaves goes on slice by slice, also after a crash, and what comes into a queue is offered
/// to its connections.
#[test]
fn what_a_person_leaves_is_handed_over_by_a_job() {
    let mut here = Org::new("acme", deal());
    let globex = Partner::of(&mut here, "globex").connection;
    add_users(&mut here, &["bob", "eve"]);
    let deals: Vec<RecordId> =
        (0..5).map(|n| here.create("Deal__c", &[("Name", Value::text(&format!("n{n}")))])).collect();
    deals.iter().for_each(|deal| assign(&mut here, *deal, "bob"));
    here.run(Command::Handover(tieline_core::command::Handover::Connection {
        connection: globex,
        owner: name("bob"),
    }));
    let mine = here.create("Deal__c", &[("Name", Value::text("mine"))]);
    let kind = |to: &str, connections| JobKind::HandOver {
        from: name("bob"),
        to: name(to),
        connections,
        records: HandedRecords::All,
    };
    let refused = |here: &mut Org, kind| here.attempt(Command::StartJob { kind }).unwrap_err().code;
    assert_eq!(refused(&mut here, kind("none", true)), "unknown_user");
    assert_eq!(refused(&mut here, kind("bob", true)), "invalid");
    set_queue(&mut here, "Deal__c", &[globex]);
    assert_eq!(refused(&mut here, kind("queue:emea", true)), "invalid");

    let job = begin(&mut here, kind("eve", true));
    here.run(Command::AdvanceJob { job, allowance: 3 });
    assert_eq!(here.connection(globex).owner, name("eve"));
    let owned = |here: &Org, by: &str| deals.iter().filter(|deal| owner(here, **deal) == by).count();
    assert_eq!((owned(&here, "eve"), here.state().jobs[&job].done), (2, 3));
    // The process dies here: what its log has is done, and the rest goes on.
    let bytes = here.state().to_bytes();
    assert_eq!(State::from_bytes(&bytes).unwrap().jobs[&job], here.state().jobs[&job]);
    here.finish_jobs();
    assert_eq!((owned(&here, "eve"), owner(&here, mine).as_str()), (5, "ann"));

    let job = begin(
        &mut here,
        JobKind::HandOver {
            from: name("eve"),
            to: name("queue:emea"),
            connections: false,
            records: HandedRecords::All,
        },
    );
    here.finish_jobs();
    assert!(!here.state().jobs.contains_key(&job));
    assert_eq!(owned(&here, "queue:emea"), 5);
    for deal in &deals {
        let share = here.record(*deal).share_over(globex).expect("an offer");
        assert_eq!(here.state().share(globex, share).unwrap().status, ShareStatus::Offered);
    }
    replays(&here);
}

#[test]
fn all_records_of_an_object_are_assigned_by_a_job() {
    let mut here = Org::new("acme", deal());
    add_users(&mut here, &["bob"]);
    let rule = AssignmentRule {
        object: name("Deal__c"),
        active: true,
        entries: vec![AssignmentEntry { criteria: "Count > 1".to_owned(), owner: name("bob") }],
    };
    let rule = Box::new(Rule::Assignment(rule));
    here.run(Command::Automation(AutomationCommand::SetRule { rule }));
    let deals: Vec<RecordId> = (0..4)
        .map(|n| here.create("Deal__c", &[("Name", Value::text("a")), ("Count", Value::Integer(n))]))
        .collect();
    let object = || name("Deal__c");
    begin(&mut here, JobKind::Assign { object: object(), to: AssignTo::Rules, view: None });
    here.finish_jobs();
    // Those that no rule fits stay where they are.
    let owners: Vec<String> = deals.iter().map(|deal| owner(&here, *deal)).collect();
    assert_eq!(owners, ["ann", "ann", "bob", "bob"]);
    let wrong = JobKind::Assign { object: object(), to: AssignTo::Rules, view: Some(name("none")) };
    assert_eq!(here.attempt(Command::StartJob { kind: wrong }).unwrap_err().code, "unknown_view");
    replays(&here);
}

#[test]
fn everything_in_the_inbox_is_accepted_for_whom_the_rules_name() {
    let (mut a, mut b, over) = standard_pair(&[("Lead", &LEAD)]);
    add_users(&mut b, &["eve"]);
    let rule = AssignmentRule {
        object: name("Lead"),
        active: true,
        entries: vec![AssignmentEntry { criteria: r#"Company == "Initech""#.to_owned(), owner: name("eve") }],
    };
    let rule = Box::new(Rule::Assignment(rule));
    b.run(Command::Automation(AutomationCommand::SetRule { rule }));
    for company in ["Initech", "Hooli"] {
        let lead = a.create("Lead", &[("LastName", Value::text("Ng")), ("Company", Value::text(company))]);
        a.run(Command::Forward { record: lead, connection: over });
    }
    settle_all(&mut a, &mut b, over);
    begin(&mut b, JobKind::Accept { connection: over, object: None, to: Some(AssignTo::Rules) });
    settle_all(&mut a, &mut b, over);
    let mut owners: Vec<String> =
        b.state().records_of(&name("Lead"), None).map(|(_, lead)| lead.owner.to_string()).collect();
    owners.sort();
    assert_eq!(owners, ["ann", "eve"]);
}

/// Publishes the owners of leads at both sides, and has one lead shared.
fn both_tell(a: &mut Org, b: &mut Org, over: ConnectionId) -> (RecordId, RecordId) {
    add_users(a, &["bob", "carl", "dan"]);
    add_users(b, &["eve", "fay", "gil"]);
    publish_owners(a, over, true);
    b.run(Command::Publish {
        connection: over,
        object: name("Lead"),
        rule: Some(publish_rule(&name("Lead"), &LEAD).with_owners(true)),
    });
    map(a, over, &[("eve", "bob"), ("fay", "carl")], Some("ann"));
    map(b, over, &[("bob", "eve"), ("carl", "fay")], None);
    settle_all(a, b, over);
    let (lead, copy) = shared(a, b, over, "bob", None);
    assert_eq!((owner(a, lead).as_str(), owner(b, copy).as_str()), ("bob", "eve"));
    (lead, copy)
}

#[test]
fn a_copy_that_is_given_to_another_tells_its_origin_if_owners_are_published_there() {
    let (mut a, mut b, over) = standard_pair(&[("Lead", &LEAD)]);
    let (lead, copy) = both_tell(&mut a, &mut b, over);
    assert!(notices(&b, over).is_empty(), "to be given a copy is no change");
    assign(&mut b, copy, "fay");
    settle_all(&mut a, &mut b, over);
    assert_eq!((owner(&a, lead).as_str(), owner(&b, copy).as_str()), ("carl", "fay"));
    assert_eq!(notices(&a, over).len(), 1, "what followed the partner does not go back");
    // Back again, as it was before: that is news, too.
    assign(&mut a, lead, "bob");
    settle_all(&mut a, &mut b, over);
    assert_eq!(owner(&b, copy), "eve");
    // A default gives nobody a record of this org.
    assign(&mut b, copy, "gil");
    settle_all(&mut a, &mut b, over);
    assert_eq!((owner(&a, lead).as_str(), owner(&b, copy).as_str()), ("bob", "gil"));
    replays(&a);
    replays(&b);
}

#[test]
fn of_two_changes_of_the_owner_that_cross_the_later_one_stands() {
    let (mut a, mut b, over) = standard_pair(&[("Lead", &LEAD)]);
    let (lead, copy) = both_tell(&mut a, &mut b, over);
    assign(&mut b, copy, "fay");
    settle_all(&mut a, &mut b, over);
    // Neither has heard of the other's.
    assign(&mut b, copy, "eve");
    assign(&mut a, lead, "dan");
    settle_all(&mut a, &mut b, over);
    let (here, there) = (owner(&a, lead), owner(&b, copy));
    let later = a.state().share(over, a.record(lead).share_over(over).unwrap()).unwrap().owner_written();
    let same = b.state().share(over, b.record(copy).share_over(over).unwrap()).unwrap().owner_written();
    assert_eq!(later, same, "both know the same change as the latest");
    // Whoever wrote it: the other followed, as far as its table says.
    match later.unwrap().org == a.state().org.as_ref().unwrap().id {
        true => assert_eq!((here.as_str(), there.as_str()), ("dan", "eve")),
        false => assert_eq!((here.as_str(), there.as_str()), ("bob", "eve")),
    }
    replays(&a);
    replays(&b);
}

#[test]
fn the_owner_of_a_copy_that_changed_during_a_pause_is_told_afterwards() {
    let (mut a, mut b, over) = standard_pair(&[("Lead", &LEAD)]);
    let (lead, copy) = both_tell(&mut a, &mut b, over);
    let pause = |paused| {
        Command::Pause(tieline_core::command::Pause::Set {
            connection: over,
            object: Some(name("Lead")),
            paused,
        })
    };
    b.run(pause(true));
    assign(&mut b, copy, "fay");
    settle_all(&mut a, &mut b, over);
    assert_eq!(owner(&a, lead), "bob");
    b.run(pause(false));
    settle_all(&mut a, &mut b, over);
    assert_eq!(owner(&a, lead), "carl");
    replays(&b);
}

/// Whoever is put back in time hears of the change of the owner again that the other side made.
#[test]
fn owners_converge_after_a_restore() {
    let restored = |org: &mut Org, other: &mut Org, connection: ConnectionId| {
        let above = Incarnation(0);
        org.run(Command::StartIncarnation { cause: IncarnationCause::Restored, connection: None, above });
        let incarnation = org.state().org.as_ref().unwrap().incarnation;
        other.run(Command::TakeIncarnation { connection, incarnation });
    };
    let (mut a, mut b, over) = standard_pair(&[("Lead", &LEAD)]);
    let (lead, copy) = both_tell(&mut a, &mut b, over);
    let before = a.clone();
    assign(&mut b, copy, "fay");
    settle_all(&mut a, &mut b, over);
    assert_eq!(owner(&a, lead), "carl");
    a = before;
    restored(&mut a, &mut b, over);
    settle_all(&mut a, &mut b, over);
    assert_eq!((owner(&a, lead).as_str(), owner(&b, copy).as_str()), ("carl", "fay"), "the origin");
    replays(&a);

    let before = b.clone();
    assign(&mut a, lead, "bob");
    settle_all(&mut a, &mut b, over);
    assert_eq!(owner(&b, copy), "eve");
    b = before;
    restored(&mut b, &mut a, over);
    settle_all(&mut a, &mut b, over);
    assert_eq!((owner(&a, lead).as_str(), owner(&b, copy).as_str()), ("bob", "eve"), "the holder");
    replays(&b);

    let told = notices(&a, over).len();
    b.run(Command::Reconcile { connection: over });
    settle_all(&mut a, &mut b, over);
    assert_eq!((owner(&a, lead).as_str(), owner(&b, copy).as_str()), ("bob", "eve"), "nothing was lost");
    assert_eq!(notices(&a, over).len(), told + 1, "what was said before is said again, and changes nothing");
}

#[test]
fn a_changed_table_is_applied_to_the_copies_that_are_here_when_asked_and_whoever_asked_is_told() {
    let (mut a, mut b, over) = standard_pair(&[("Lead", &LEAD)]);
    add_users(&mut a, &["bob"]);
    add_users(&mut b, &["eve", "fay"]);
    publish_owners(&mut a, over, true);
    map(&mut b, over, &[("bob", "eve")], None);
    settle_all(&mut a, &mut b, over);
    let (lead, copy) = shared(&mut a, &mut b, over, "bob", None);
    let (_, mine) = shared(&mut a, &mut b, over, "ann", None);
    map(&mut b, over, &[("bob", "fay")], None);
    settle_all(&mut a, &mut b, over);
    assert_eq!(owner(&b, copy), "eve", "a change of the table moves nothing");
    begin(&mut b, JobKind::MapOwners { connection: over });
    b.finish_jobs();
    assert_eq!((owner(&b, copy).as_str(), owner(&b, mine).as_str()), ("fay", "ann"));
    let told = b.state().notices.of(&name("ann")).unwrap();
    let text = &told.list.back().unwrap().text;
    assert!(text.ends_with("anew is done: 1 done, 0 skipped"), "{text}");
    settle_all(&mut a, &mut b, over);
    assert_eq!(owner(&a, lead), "bob");
    replays(&b);
}

#[test]
fn what_is_shared_of_an_object_is_stopped_by_a_job() {
    let (mut a, mut b, over) = standard_pair(&[("Lead", &LEAD)]);
    let pairs: Vec<_> = (0..3).map(|_| shared(&mut a, &mut b, over, "ann", None)).collect();
    let other = a.create("Lead", &[("LastName", Value::text("Ng")), ("Company", Value::text("Hooli"))]);
    let stop = || JobKind::Stop { connection: over, object: name("Lead"), view: None };
    let job = begin(&mut a, stop());
    a.run(Command::AdvanceJob { job, allowance: 1 });
    assert_eq!(a.state().jobs[&job].done, 1);
    settle_all(&mut a, &mut b, over);
    for (lead, copy) in &pairs {
        let share = a.record(*lead).share_over(over).unwrap();
        let ended = ShareStatus::Inactive(tieline_core::message::EndReason::Stopped);
        assert_eq!(a.state().share(over, share).unwrap().status, ended);
        assert_eq!(b.state().share(over, share).unwrap().status, ended);
        assert!(b.state().record(*copy).is_some(), "nothing is deleted there");
    }
    assert_eq!(a.record(other).share_over(over), None);
    let told = a.state().notices.of(&name("ann")).unwrap();
    let text = &told.list.back().unwrap().text;
    assert!(text.contains("is done: 3 done, 0 skipped"), "{text}");
    let nowhere = JobKind::Stop { connection: over, object: name("None__c"), view: None };
    assert_eq!(a.attempt(Command::StartJob { kind: nowhere }).unwrap_err().code, "unknown_object");
    replays(&a);
}
