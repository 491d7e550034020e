//! Tasks follow what they belong to (`docs/protocol.md` §8, S2S-44).

use tieline_core::automation::{Rule, SharingRule};
use tieline_core::command::{AutomationCommand, Command, Pause, Reply, SharingCommand};
use tieline_core::limits::SHARE_STATES_MAX;
use tieline_core::message::EndReason;
use tieline_core::outcome::Outcome;
use tieline_core::schema::{ObjectSchema, ValidationRule};
use tieline_core::sharing::{Forwarding, TaskChoice};
use tieline_core::state::{Share, ShareRole, ShareStatus};
use tieline_core::value::Value;
use tieline_core::{ConnectionId, RecordId, ShareId};

use crate::kit::{Org, name, settle_all, standard, standard_pair};

const LEAD: [&str; 3] = ["LastName", "Company", "City"];
const TASK: [&str; 3] = ["Subject", "Status", "Priority"];

/// Two orgs that share leads and tasks both ways.
fn pair() -> (Org, Org, ConnectionId) {
    standard_pair(&[("Lead", &LEAD), ("Task", &TASK)])
}

fn lead(org: &mut Org) -> RecordId {
    org.create("Lead", &[("LastName", Value::text("Curie")), ("Company", Value::text("Sorbonne"))])
}

fn task(org: &mut Org, subject: &str, status: &str, parent: RecordId) -> RecordId {
    let given = [
        ("Subject", Value::text(subject)),
        ("Status", Value::picklist(status.into())),
        ("WhoId", Value::Reference(parent)),
    ];
    org.create("Task", &given)
}

fn forward(org: &mut Org, record: RecordId, connection: ConnectionId, how: Forwarding) {
    org.run(Command::Sharing(SharingCommand::Forward { record, connection, how }));
}

fn with_tasks(tasks: TaskChoice) -> Forwarding {
    Forwarding { tasks, new_tasks: true, ..Forwarding::default() }
}

/// Accepts the only lead that is offered; its copy.
fn accept(a: &mut Org, b: &mut Org, id: ConnectionId) -> Option<RecordId> {
    settle_all(a, b, id);
    let offered = |org: &Org| -> Vec<ShareId> {
        let shares = &org.connection(id).shares;
        shares.iter().filter(|(_, share)| share.status == ShareStatus::Offered).map(|(id, _)| *id).collect()
    };
    let [share] = offered(b)[..] else { panic!("one offer: {:?}", offered(b)) };
    b.run(Command::Accept { connection: id, share, owner: None });
    settle_all(a, b, id);
    b.state().share(id, share).unwrap().record
}

/// The tasks of an org, by subject: status of their shares, and what they belong to.
fn tasks(org: &Org, id: ConnectionId) -> Vec<(String, Option<ShareStatus>, Value)> {
    let task = name("Task");
    let found = org.state().records_of(&task, None).filter_map(|(_, record)| {
        let Value::Text(subject) = record.value(&name("Subject")) else { return None };
        let share = record.share_over(id).and_then(|share| org.state().share(id, share));
        Some((subject.to_string(), share.map(|share| share.status), record.value(&name("WhoId")).clone()))
    });
    let mut found: Vec<_> = found.collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

#[test]
fn chosen_tasks_follow_an_accepted_lead_and_belong_to_its_copy() {
    for (choice, expected) in [
        (TaskChoice::None, &[][..]),
        (TaskChoice::Open, &["call"][..]),
        (TaskChoice::Closed, &["done"][..]),
        (TaskChoice::All, &["call", "done"][..]),
    ] {
        let (mut a, mut b, id) = pair();
        let record = lead(&mut a);
        task(&mut a, "call", "Not Started", record);
        task(&mut a, "done", "Completed", record);
        forward(&mut a, record, id, with_tasks(choice));
        assert!(tasks(&b, id).is_empty());
        let copy = accept(&mut a, &mut b, id).unwrap();
        let active =
            |subject: &&str| ((*subject).to_owned(), Some(ShareStatus::Active), Value::Reference(copy));
        assert_eq!(tasks(&b, id), expected.iter().map(active).collect::<Vec<_>>(), "{choice:?}");
        let waits = b.connection(id).shares.values().filter(|share| share.status == ShareStatus::Offered);
        assert_eq!(waits.count(), 0, "a task needs no inbox");
        // A new one follows, if such tasks do.
        task(&mut a, "later", "In Progress", record);
        settle_all(&mut a, &mut b, id);
        let later = tasks(&b, id).iter().any(|(subject, ..)| subject == "later");
        assert_eq!(later, choice.takes(false), "{choice:?}");
        assert!(b.connection(id).inbound.counts.balanced());
    }
}

#[test]
fn a_single_task_goes_only_where_its_parent_is() {
    let (mut a, mut b, id) = pair();
    let record = lead(&mut a);
    let (mine, stray) = (task(&mut a, "call", "Not Started", record), a.create("Task", &[]));
    let attempt = |a: &mut Org, record| a.attempt(Command::Forward { record, connection: id });
    let refused = attempt(&mut a, mine).unwrap_err();
    assert_eq!(refused.code, "parent_not_shared");
    assert!(refused.message.contains(&format!("Lead {record} (WhoId) is not shared")), "{refused}");
    assert!(attempt(&mut a, stray).unwrap_err().message.contains("belongs to no record"));
    forward(&mut a, record, id, Forwarding::default());
    assert!(attempt(&mut a, mine).unwrap_err().message.contains("is offered"));
    let copy = accept(&mut a, &mut b, id).unwrap();
    let Reply::Share(share) = attempt(&mut a, mine).unwrap() else { panic!("a share") };
    assert_eq!(attempt(&mut a, mine).unwrap_err().code, "already_shared");
    settle_all(&mut a, &mut b, id);
    let there = b.state().share(id, share).unwrap();
    assert_eq!((there.role, there.status), (ShareRole::Copy, ShareStatus::Active));
    let theirs = there.record.unwrap();
    assert_eq!(b.record(theirs).owner, name::<tieline_core::Owner>("ann"), "whoever owns the lead");
    // It changes from both sides like any record, and the holder of a lead shares tasks of it back.
    b.update(theirs, &[("Status", Value::picklist("Completed".into()))]);
    let back = task(&mut b, "back", "Not Started", copy);
    b.run(Command::Forward { record: back, connection: id });
    settle_all(&mut a, &mut b, id);
    assert_eq!(a.record(mine).value(&name("Status")), &Value::picklist("Completed".into()));
    let named = tasks(&a, id).into_iter().find(|(subject, ..)| subject == "back").unwrap();
    assert_eq!((named.1, named.2), (Some(ShareStatus::Active), Value::Reference(record)));

    // With the lead's sharing that of its tasks ends, on both sides and without a word.
    let before = a.connection(id).outbox.head().position;
    a.run(Command::EndShare { record, connection: id, reason: EndReason::Stopped });
    assert_eq!(a.connection(id).outbox.head().position, before.next());
    settle_all(&mut a, &mut b, id);
    for org in [&a, &b] {
        let shared: Vec<_> = tasks(org, id).into_iter().filter_map(|(_, status, _)| status).collect();
        assert_eq!(shared, vec![ShareStatus::Inactive(EndReason::Stopped); 2], "{}", org.name);
    }
    b.update(theirs, &[("Status", Value::picklist("Deferred".into()))]);
    settle_all(&mut a, &mut b, id);
    assert_eq!(a.record(mine).value(&name("Status")), &Value::picklist("Completed".into()));
}

/// Leads without the one that is shared.
fn strict() -> Box<ObjectSchema> {
    let mut strict = standard("Lead");
    strict.rules.push(ValidationRule {
        name: "No Curie".to_owned(),
        condition: "LastName == 'Curie'".to_owned(),
        message: "Not her: choose another".to_owned(),
        field: None,
        active: true,
    });
    Box::new(strict)
}

/// A lead that its holder cannot create yet, and a task of it that waits there, with a change.
fn with_held_task() -> (Org, Org, ConnectionId, RecordId, RecordId) {
    let (mut a, mut b, id) = pair();
    b.run(Command::DefineObject { schema: strict() });
    let record = lead(&mut a);
    let mine = task(&mut a, "call", "Not Started", record);
    forward(&mut a, record, id, with_tasks(TaskChoice::All));
    assert_eq!(accept(&mut a, &mut b, id), None);
    a.update(mine, &[("Subject", Value::text("call her"))]);
    settle_all(&mut a, &mut b, id);
    assert!(tasks(&b, id).is_empty());
    assert_eq!(b.connection(id).inbound.counts.of(Outcome::Held), 2, "the task and its change");
    (a, b, id, record, mine)
}

/// Takes what the lead will be refused for away, and tries what was held for it.
fn relent(a: &mut Org, b: &mut Org, id: ConnectionId) {
    b.run(Command::DefineObject { schema: Box::new(standard("Lead")) });
    settle_all(a, b, id);
    while let Some(position) = b.connection(id).due(b.now) {
        b.run(Command::TryHeld { connection: id, position });
    }
    settle_all(a, b, id);
}

#[test]
fn a_task_is_held_while_its_parent_is_not_created() {
    let (mut a, mut b, id, record, _) = with_held_task();
    assert_eq!(a.connection(id).outbox.outcomes.of(Outcome::Held), 2);

    relent(&mut a, &mut b, id);
    let share = ShareId::derive(id, &a.name, record);
    let copy = b.state().share(id, share).unwrap().record.unwrap();
    assert_eq!(tasks(&b, id), [("call her".to_owned(), Some(ShareStatus::Active), Value::Reference(copy))]);
    for counts in [b.connection(id).inbound.counts, a.connection(id).outbox.outcomes] {
        assert!(counts.balanced() && counts.of(Outcome::Held) == 0, "{counts:?}");
    }
}

/// A task ends with what it belongs to, and without a word: also one that waits for that to be created. It is no task
/// of the record when that is shared anew.
#[test]
fn a_held_task_ends_with_what_it_belongs_to() {
    let (mut a, mut b, id, record, mine) = with_held_task();

    a.run(Command::EndShare { record, connection: id, reason: EndReason::Stopped });
    forward(&mut a, record, id, Forwarding::default());
    assert_eq!(accept(&mut a, &mut b, id), None);
    relent(&mut a, &mut b, id);
    assert_eq!((active(&a, id), tasks(&b, id)), (0, Vec::new()));
    let counts = b.connection(id).inbound.counts;
    assert!(counts.balanced() && counts.of(Outcome::Held) == 0, "{counts:?}");
    // It can be shared again.
    a.run(Command::Forward { record: mine, connection: id });
    settle_all(&mut a, &mut b, id);
    assert_eq!((active(&a, id), active(&b, id)), (1, 1));
}

/// What came before the end in its frame is told with it in between, and the end itself after that.
#[test]
fn the_end_of_what_a_held_task_belongs_to_is_told_as_well() {
    let (mut a, mut b, id, record, mine) = with_held_task();
    a.update(mine, &[("Subject", Value::text("call him"))]);
    a.run(Command::EndShare { record, connection: id, reason: EndReason::Stopped });
    settle_all(&mut a, &mut b, id);
    let (told, ended) = (a.connection(id).outbox.outcomes, b.connection(id).inbound.counts);
    assert_eq!(told, ended);
}

/// A partner that was restored from before the acceptance gets the lead and its tasks again.
#[test]
fn a_restored_partner_gets_the_tasks_again() {
    let (mut a, b, id) = pair();
    let mut lost = b.clone();
    let record = lead(&mut a);
    task(&mut a, "call", "Not Started", record);
    forward(&mut a, record, id, with_tasks(TaskChoice::All));
    let mut b = b;
    accept(&mut a, &mut b, id).unwrap();
    assert_eq!(tasks(&b, id).len(), 1);
    let cause = tieline_core::event::IncarnationCause::Restored;
    let above = b.state().org.as_ref().unwrap().incarnation;
    lost.run(Command::StartIncarnation { cause, connection: None, above });
    let incarnation = lost.state().org.as_ref().unwrap().incarnation;
    a.run(Command::TakeIncarnation { connection: id, incarnation });
    settle_all(&mut a, &mut lost, id);
    let share = ShareId::derive(id, &a.name, record);
    let copy = lost.state().share(id, share).and_then(|share| share.record).expect("a copy");
    while let Some(position) = lost.connection(id).due(lost.now) {
        lost.run(Command::TryHeld { connection: id, position });
    }
    settle_all(&mut a, &mut lost, id);
    assert_eq!(tasks(&lost, id), [("call".to_owned(), Some(ShareStatus::Active), Value::Reference(copy))]);
}

/// An origin that was put back takes the holder's word for a task, and for what it belongs to: when that ends, the
/// task ends on both sides.
#[test]
fn a_task_that_its_origin_forgot_comes_back_with_what_it_belongs_to() {
    // The record was still known, was lost, or had been shared before and was shared again since.
    for known in ["the task", "nothing", "an earlier share"] {
        let (mut a, mut b, id) = pair();
        let record = lead(&mut a);
        forward(&mut a, record, id, Forwarding::default());
        let copy = accept(&mut a, &mut b, id).unwrap();
        let without = a.clone();
        let call = task(&mut a, "call", "Not Started", record);
        let mut lost = if known == "nothing" { without } else { a.clone() };
        a.run(Command::Forward { record: call, connection: id });
        settle_all(&mut a, &mut b, id);
        if known == "an earlier share" {
            a.run(Command::EndShare { record: call, connection: id, reason: EndReason::Stopped });
            settle_all(&mut a, &mut b, id);
            lost = a.clone();
            a.run(Command::Forward { record: call, connection: id });
            settle_all(&mut a, &mut b, id);
        }
        put_back(&mut lost, &a, &mut b, id);
        let back = ("call".to_owned(), Some(ShareStatus::Active), Value::Reference(record));
        assert_eq!(tasks(&lost, id), [back], "{known}");

        b.run(Command::EndShare { record: copy, connection: id, reason: EndReason::Stopped });
        settle_all(&mut lost, &mut b, id);
        for org in [&lost, &b] {
            let status: Vec<_> = tasks(org, id).into_iter().map(|(_, status, _)| status).collect();
            assert_eq!(status, [Some(ShareStatus::Inactive(EndReason::Stopped))], "{known}: {}", org.name);
        }
    }
}

/// The same, but what it belongs to has ended at the origin before it heard of the task: that the holder does not know.
#[test]
fn a_task_does_not_come_back_to_what_has_ended() {
    for lead_too in [false, true] {
        let (mut a, mut b, id) = pair();
        let record = lead(&mut a);
        forward(&mut a, record, id, Forwarding::default());
        accept(&mut a, &mut b, id).unwrap();
        let call = task(&mut a, "call", "Not Started", record);
        a.run(Command::Forward { record: call, connection: id });
        settle_all(&mut a, &mut b, id);
        a.run(Command::EndShare { record: call, connection: id, reason: EndReason::Stopped });
        settle_all(&mut a, &mut b, id);
        let mut lost = a.clone();
        lost.run(Command::EndShare { record, connection: id, reason: EndReason::Stopped });
        if lead_too {
            // It was shared again since, too: then the task has what it belongs to.
            a.run(Command::EndShare { record, connection: id, reason: EndReason::Stopped });
            forward(&mut a, record, id, Forwarding::default());
            accept(&mut a, &mut b, id).unwrap();
        }
        a.run(Command::Forward { record: call, connection: id });
        settle_all(&mut a, &mut b, id);
        put_back(&mut lost, &a, &mut b, id);
        let stands = usize::from(lead_too);
        assert_eq!((active(&lost, id), active(&b, id)), (stands, stands), "the lead, too: {lead_too}");
    }
}

/// A task is shared back while what it belongs to ends: it comes to nothing, and both sides know that it had that
/// generation. The next one would be passed over where it is known.
#[test]
fn a_task_that_came_to_nothing_is_shared_anew() {
    let (mut a, mut b, id) = pair();
    let record = lead(&mut a);
    let mine = task(&mut a, "call", "Not Started", record);
    forward(&mut a, record, id, with_tasks(TaskChoice::All));
    accept(&mut a, &mut b, id).unwrap();
    let share = a.record(mine).share_over(id).unwrap();
    let theirs = b.state().share(id, share).unwrap().record.unwrap();
    a.run(Command::EndShare { record: mine, connection: id, reason: EndReason::Stopped });
    settle_all(&mut a, &mut b, id);
    let known = |org: &Org| org.state().share(id, share).map(|share| (share.generation, share.status));

    b.run(Command::Forward { record: theirs, connection: id });
    a.run(Command::EndShare { record, connection: id, reason: EndReason::Stopped });
    settle_all(&mut a, &mut b, id);
    assert_eq!((active(&a, id), active(&b, id)), (0, 0));
    assert_eq!(known(&a).map(|known| known.0), known(&b).map(|known| known.0));

    forward(&mut a, record, id, with_tasks(TaskChoice::All));
    accept(&mut a, &mut b, id).unwrap();
    assert_eq!(known(&a), Some((3, ShareStatus::Active)));
    assert_eq!(known(&a), known(&b));
}

/// An origin that was put back shares a task with what has ended since. That its holder offers that anew is all that it
/// hears of the end: the task ends there, too.
#[test]
fn a_later_offer_of_what_a_task_belongs_to_ends_the_task() {
    let (mut a, mut b, id) = pair();
    let record = lead(&mut a);
    let mine = task(&mut a, "call", "Not Started", record);
    forward(&mut a, record, id, Forwarding::default());
    let copy = accept(&mut a, &mut b, id).unwrap();
    let mut before = a.clone();
    b.run(Command::EndShare { record: copy, connection: id, reason: EndReason::Stopped });
    forward(&mut b, copy, id, Forwarding::default());
    settle_all(&mut a, &mut b, id);
    before.run(Command::Forward { record: mine, connection: id });
    put_back(&mut before, &a, &mut b, id);
    assert_eq!((active(&before, id), tasks(&b, id)), (0, Vec::new()));
    let again = accept(&mut b, &mut before, id);
    assert_eq!((again, active(&before, id)), (Some(record), 0));
}

/// How many tasks stand for all: the ids of some shares come before that of what they belong to.
const MANY: usize = 8;

/// Many tasks of one record.
fn many(org: &mut Org, parent: RecordId) -> Vec<RecordId> {
    (0..MANY).map(|number| task(org, &format!("call {number}"), "Not Started", parent)).collect()
}

/// Whether so many tasks have active shares.
fn active(org: &Org, id: ConnectionId) -> usize {
    let status = tasks(org, id).into_iter().filter_map(|(_, status, _)| status);
    status.filter(|status| *status == ShareStatus::Active).count()
}

/// Begins a new life of an org that was put back.
fn put_back(restored: &mut Org, above: &Org, partner: &mut Org, id: ConnectionId) {
    let cause = tieline_core::event::IncarnationCause::Restored;
    let above = above.state().org.as_ref().unwrap().incarnation;
    restored.run(Command::StartIncarnation { cause, connection: None, above });
    let incarnation = restored.state().org.as_ref().unwrap().incarnation;
    partner.run(Command::TakeIncarnation { connection: id, incarnation });
    settle_all(partner, restored, id);
}

#[test]
fn tasks_are_granted_again_after_what_they_belong_to() {
    let (mut a, mut b, id) = pair();
    // Two runs of states.
    for _ in 0..2 * SHARE_STATES_MAX {
        let record = lead(&mut a);
        forward(&mut a, record, id, Forwarding::default());
    }
    settle_all(&mut a, &mut b, id);
    for share in b.connection(id).shares.keys().copied().collect::<Vec<_>>() {
        b.run(Command::Decline { connection: id, share });
    }
    settle_all(&mut a, &mut b, id);
    let mut lost = b.clone();
    for _ in 0..4 {
        let record = lead(&mut a);
        forward(&mut a, record, id, Forwarding::default());
        accept(&mut a, &mut b, id).unwrap();
        // None follows by itself: only reconcile sends it again.
        for mine in many(&mut a, record) {
            a.run(Command::Forward { record: mine, connection: id });
        }
    }
    settle_all(&mut a, &mut b, id);
    assert_eq!((active(&a, id), active(&b, id)), (4 * MANY, 4 * MANY));
    let first_run = *lost.connection(id).shares.keys().nth(SHARE_STATES_MAX - 1).unwrap();
    let crosses = |(task, share): (&ShareId, &Share)| {
        let parent = share.parents.first().map(|link| link.share);
        parent.is_some_and(|parent| *task <= first_run && first_run < parent)
    };
    assert!(a.connection(id).shares.iter().any(crosses), "a task in the first run of a lead in the second");
    put_back(&mut lost, &b, &mut a, id);
    assert_eq!((active(&a, id), active(&lost, id)), (4 * MANY, 4 * MANY));
    assert!(lost.connection(id).inbound.counts.balanced());
}

#[test]
fn reconcile_grants_no_task_of_what_it_finds_ended() {
    let (mut a, mut b, id) = pair();
    let record = lead(&mut a);
    forward(&mut a, record, id, with_tasks(TaskChoice::All));
    let copy = accept(&mut a, &mut b, id).unwrap();
    a.run(Command::Pause(Pause::Set { connection: id, object: Some(name("Lead")), paused: true }));
    settle_all(&mut a, &mut b, id);
    // That the lead has ended waits here, and the tasks are too late there.
    b.run(Command::EndShare { record: copy, connection: id, reason: EndReason::Stopped });
    settle_all(&mut a, &mut b, id);
    many(&mut a, record);
    settle_all(&mut a, &mut b, id);
    assert_eq!((active(&a, id), active(&b, id)), (MANY, 0));
    b.run(Command::Reconcile { connection: id });
    settle_all(&mut a, &mut b, id);
    assert_eq!((active(&a, id), active(&b, id)), (0, 0));
}

#[test]
fn a_task_follows_when_it_comes_to_be_of_the_chosen_kind() {
    let (mut a, mut b, id) = pair();
    let lead = lead(&mut a);
    let how = Forwarding { tasks: TaskChoice::Closed, new_tasks: true, ..Forwarding::default() };
    a.run(Command::Sharing(SharingCommand::Forward { record: lead, connection: id, how }));
    accept(&mut a, &mut b, id).expect("a copy");
    let call = task(&mut a, "call", "Not Started", lead);
    settle_all(&mut a, &mut b, id);
    assert!(tasks(&b, id).is_empty(), "it is not done");
    a.update(call, &[("Status", Value::picklist("Completed".into()))]);
    settle_all(&mut a, &mut b, id);
    let subjects = |org: &Org| tasks(org, id).into_iter().map(|(subject, ..)| subject).collect::<Vec<_>>();
    assert_eq!(subjects(&b), ["call"]);
    // What was stopped by hand does not come back with another change.
    a.run(Command::EndShare { record: call, connection: id, reason: EndReason::Stopped });
    a.update(call, &[("Subject", Value::text("called"))]);
    settle_all(&mut a, &mut b, id);
    let share = a.record(call).share_over(id).unwrap();
    assert_eq!(a.state().share(id, share).unwrap().status, ShareStatus::Inactive(EndReason::Stopped));
}

#[test]
fn a_sharing_rule_says_which_tasks_follow() {
    let (mut a, mut b, id) = pair();
    let rule = SharingRule {
        name: name("all"),
        object: name("Lead"),
        active: true,
        criteria: r#"City == "Paris""#.to_owned(),
        connections: [id].into(),
        unshare: false,
        tasks: TaskChoice::Open,
        new_tasks: true,
        several: false,
    };
    let rule = Box::new(Rule::Sharing(rule));
    a.run(Command::Automation(AutomationCommand::SetRule { rule }));
    let lead = lead(&mut a);
    task(&mut a, "call", "Not Started", lead);
    task(&mut a, "done", "Completed", lead);
    a.update(lead, &[("City", Value::text("Paris"))]);
    accept(&mut a, &mut b, id).expect("a copy");
    let subjects = |org: &Org| tasks(org, id).into_iter().map(|(subject, ..)| subject).collect::<Vec<_>>();
    assert_eq!(subjects(&b), ["call"]);
    task(&mut a, "later", "Not Started", lead);
    settle_all(&mut a, &mut b, id);
    assert_eq!(subjects(&b).len(), 2);
}
