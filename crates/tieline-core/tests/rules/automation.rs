//! What happens by itself: sharing, assignment, workflow and escalation rules, and where they end.

use tieline_core::automation::{
    Action, AssignmentEntry, AssignmentRule, EscalationEntry, EscalationRule, Queue, Rule, RuleKind,
    SharingRule, When, WorkflowRule,
};
use tieline_core::command::{AutomationCommand, Command, InvitationCommand, Reply};
use tieline_core::engine::Engine;
use tieline_core::log::Log;
use tieline_core::mail_template::{MailPurpose, MailTemplate};
use tieline_core::mapping::{FieldMapping, SubscribeRule};
use tieline_core::message::{AcceptOffer, Change, DeclineOffer, EndReason, Message};
use tieline_core::reason::ReasonCode;
use tieline_core::schema::{ObjectSchema, standard_objects};
use tieline_core::sharing::TaskChoice;
use tieline_core::state::{ShareStatus, State};
use tieline_core::value::Value;
use tieline_core::{AssignTo, ConnectionId, OrgId, Owner, RecordId, ShareId};

use crate::kit::{
    Org, Partner, change_of, connect, content, deal, fields, grant_of, name, offer_of, publish_rule,
    settle_all, stamp,
};

const SHARE: ShareId = ShareId(1);

fn set(org: &mut Org, rule: Rule) {
    org.run(Command::Automation(AutomationCommand::SetRule { rule: Box::new(rule) }));
}

fn sharing(criteria: &str, connections: &[ConnectionId], unshare: bool) -> Rule {
    Rule::Sharing(SharingRule {
        name: name("hot"),
        object: name("Deal__c"),
        active: true,
        criteria: criteria.to_owned(),
        connections: connections.iter().copied().collect(),
        unshare,
        tasks: TaskChoice::None,
        new_tasks: false,
        several: false,
    })
}

fn workflow(rule: &str, when: When, criteria: &str, actions: Vec<Action>) -> Rule {
    Rule::Workflow(WorkflowRule {
        name: name(rule),
        object: name("Deal__c"),
        active: true,
        when,
        criteria: criteria.to_owned(),
        actions,
    })
}

fn put(field: &str, value: &str) -> Action {
    Action::Set { field: name(field), value: Some(value.to_owned()), formula: None }
}

fn compute(field: &str, formula: &str) -> Action {
    Action::Set { field: name(field), value: None, formula: Some(formula.to_owned()) }
}

fn status(org: &Org, record: RecordId, over: ConnectionId) -> Option<ShareStatus> {
    let share = org.record(record).share_over(over)?;
    Some(org.state().share(over, share)?.status)
}

fn value(org: &Org, record: RecordId, field: &str) -> Value {
    org.record(record).value(&name::<tieline_core::FieldName>(field)).clone()
}

fn failures(org: &Org) -> Vec<(RuleKind, String, ReasonCode)> {
    let failures = org.state().automation.failures.iter().map(|noted| &noted.failure);
    failures.map(|f| (f.kind, f.rule.clone(), f.reasons[0].code)).collect()
}

/// What a log makes of itself is what its engine made of it.
fn replays(org: &Org) {
    let mut replayed = Engine::new(State::default());
    let groups = org.log.read_from(tieline_core::Seq(1), usize::MAX).unwrap();
    for event in groups.events() {
        replayed.replay(event.time, event.kind, event.body).unwrap();
    }
    assert_eq!(replayed.state().hash(), org.state().hash());
}

#[test]
fn what_another_took_is_offered_again_once_nobody_has_it_and_several_may_have_it() {
    let mut here = Org::new("acme", deal());
    let (mut globex, mut initech) = (Partner::of(&mut here, "globex"), Partner::of(&mut here, "initech"));
    let (g, i) = (globex.connection, initech.connection);
    set(&mut here, sharing("Count > 5", &[g, i], true));
    let record = here.create("Deal__c", &[("Name", Value::text("a")), ("Count", Value::Integer(6))]);
    let accept = |share, generation| AcceptOffer { share, generation, whole: false };
    let share = |here: &Org, over| here.record(record).share_over(over).unwrap();
    let at_globex = share(&here, g);
    globex.send(&mut here, accept(at_globex, 1));
    assert_eq!(status(&here, record, i), Some(ShareStatus::Taken));
    here.update(record, &[("Count", Value::Integer(7))]);
    assert_eq!(status(&here, record, i), Some(ShareStatus::Taken), "globex has it");
    here.update(record, &[("Count", Value::Integer(1))]);
    here.update(record, &[("Count", Value::Integer(8))]);
    let offered = Some(ShareStatus::Offered);
    assert_eq!((status(&here, record, g), status(&here, record, i)), (offered, offered));

    let Rule::Sharing(rule) = sharing("Count > 5", &[g, i], true) else { unreachable!() };
    set(&mut here, Rule::Sharing(SharingRule { several: true, ..rule }));
    let record = here.create("Deal__c", &[("Name", Value::text("b")), ("Count", Value::Integer(6))]);
    for partner in [&mut globex, &mut initech] {
        let share = here.record(record).share_over(partner.connection).unwrap();
        partner.send(&mut here, accept(share, 1));
    }
    let active = Some(ShareStatus::Active);
    assert_eq!((status(&here, record, g), status(&here, record, i)), (active, active));
}

#[test]
fn a_sharing_rule_offers_what_meets_its_criteria() {
    let mut here = Org::new("acme", deal());
    let (mut globex, initech) = (Partner::of(&mut here, "globex"), Partner::of(&mut here, "initech"));
    let (g, i) = (globex.connection, initech.connection);
    let early = here.create("Deal__c", &[("Name", Value::text("early")), ("Count", Value::Integer(9))]);
    set(&mut here, sharing("Count > 5", &[g, i], true));
    assert_eq!(status(&here, early, g), None, "nothing by surprise");
    let record = here.create("Deal__c", &[("Name", Value::text("a"))]);
    assert_eq!(status(&here, record, g), None);
    here.update(record, &[("Count", Value::Integer(6))]);
    assert_eq!(status(&here, record, g), Some(ShareStatus::Offered));
    assert_eq!(status(&here, record, i), Some(ShareStatus::Offered));

    // It leaves the criteria, and comes back.
    here.update(record, &[("Count", Value::Integer(1))]);
    assert_eq!(status(&here, record, g), Some(ShareStatus::Inactive(EndReason::Stopped)));
    here.update(record, &[("Count", Value::Integer(7))]);
    assert_eq!(status(&here, record, g), Some(ShareStatus::Offered));

    // What the partner declined is not offered again, whatever changes.
    let share = here.record(record).share_over(g).unwrap();
    globex.send(&mut here, DeclineOffer { share, generation: 2 });
    here.update(record, &[("Count", Value::Integer(8))]);
    assert_eq!(status(&here, record, g), Some(ShareStatus::Declined));
    // What a person stopped is not either.
    here.run(Command::EndShare { record, connection: i, reason: EndReason::Stopped });
    here.update(record, &[("Count", Value::Integer(9))]);
    assert_eq!(status(&here, record, i), Some(ShareStatus::Inactive(EndReason::Stopped)));

    // What a person forwarded does not end with the criteria.
    let by_hand = here.create("Deal__c", &[("Name", Value::text("b"))]);
    here.run(Command::Forward { record: by_hand, connection: g });
    here.update(by_hand, &[("Count", Value::Integer(2))]);
    assert_eq!(status(&here, by_hand, g), Some(ShareStatus::Offered));

    // What was there before is offered when that is asked for.
    here.run(Command::Automation(AutomationCommand::ApplySharing { rule: name("hot") }));
    here.finish_jobs();
    assert_eq!(status(&here, early, g), Some(ShareStatus::Offered));
    assert_eq!(failures(&here), []);
    replays(&here);
}

#[test]
fn what_another_took_and_a_person_forwards_again_is_no_rules_any_more() {
    let mut here = Org::new("acme", deal());
    let (mut globex, initech) = (Partner::of(&mut here, "globex"), Partner::of(&mut here, "initech"));
    let (g, i) = (globex.connection, initech.connection);
    set(&mut here, sharing("Count > 5", &[g, i], true));
    let record = here.create("Deal__c", &[("Name", Value::text("a")), ("Count", Value::Integer(9))]);
    let share = here.record(record).share_over(g).unwrap();
    globex.send(&mut here, AcceptOffer { share, generation: 1, whole: false });
    assert_eq!(status(&here, record, i), Some(ShareStatus::Taken));
    here.run(Command::EndShare { record, connection: g, reason: EndReason::Stopped });
    here.run(Command::Forward { record, connection: i });
    here.update(record, &[("Count", Value::Integer(1))]);
    assert_eq!(status(&here, record, i), Some(ShareStatus::Offered));
    replays(&here);
}

#[test]
fn an_assignment_rule_says_who_owns_a_record() {
    let mut here = Org::new("acme", deal());
    let mut globex = Partner::of(&mut here, "globex");
    let queue = Queue::new(name("emea"), [name("Deal__c")].into());
    here.run(Command::Automation(AutomationCommand::SetQueue { queue: Box::new(queue) }));
    let entry =
        |criteria: &str, owner: &str| AssignmentEntry { criteria: criteria.to_owned(), owner: name(owner) };
    let rule = AssignmentRule {
        object: name("Deal__c"),
        active: true,
        entries: vec![
            entry("1 / Count > 1", "ann"),
            entry("received_from.contains(\"globex\")", "queue:emea"),
            entry("Count == 7", "queue:emea"),
        ],
    };
    set(&mut here, Rule::Assignment(rule));
    let emea = Owner::Queue(name("emea"));

    // A copy that is accepted with "assign", and one that is not.
    for (share, to, expected) in
        [(SHARE, Some(AssignTo::Rules), emea.clone()), (ShareId(2), None, Owner::User(name("ann")))]
    {
        globex.send(&mut here, offer_of(share, 1));
        here.run(Command::Accept { connection: globex.connection, share, owner: to });
        let granted = content(&[("Title", Value::text("x"))], stamp(5, OrgId(9)));
        let record = globex.send(&mut here, grant_of(share, 1, granted)).record.unwrap();
        assert_eq!(here.record(record).owner, expected);
    }
    // At creation, if asked for; no entry fits: the user.
    for (count, expected) in [(7, emea), (8, Owner::User(name("ann")))] {
        let create = Command::CreateRecord {
            object: name("Deal__c"),
            values: crate::kit::values(&[("Name", Value::text("a")), ("Count", Value::Integer(count))]),
            owner: Some(AssignTo::Rules),
        };
        let Reply::Record(record) = here.run(create) else { panic!("a record") };
        assert_eq!(here.record(record).owner, expected);
    }
    // An entry that cannot be asked is told, and passed over.
    let record = here.create("Deal__c", &[("Name", Value::text("a")), ("Count", Value::Integer(0))]);
    let assign = Command::Automation(AutomationCommand::Assign { record, to: AssignTo::Rules });
    assert_eq!(here.run(assign), Reply::Unchanged);
    assert_eq!(failures(&here), [(RuleKind::Assignment, "Deal__c".to_owned(), ReasonCode::RuleFailed)]);
    let remove = Command::Automation(AutomationCommand::RemoveQueue { queue: name("emea") });
    assert_eq!(here.attempt(remove).unwrap_err().code, "queue_in_use");
    replays(&here);
}

#[test]
fn workflow_acts_on_remote_changes_and_raises_the_hops() {
    let mut here = Org::new("acme", deal());
    let mut globex = Partner::of(&mut here, "globex");
    let mut initech = Partner::of(&mut here, "initech");
    set(
        &mut here,
        workflow(
            "react",
            When::Every,
            "by_connection_user && changed(Count) && received_from.contains(\"globex\")",
            vec![compute("Note", "\"seen \" + string(Count)")],
        ),
    );
    let granted = content(&[("Title", Value::text("x"))], stamp(5, OrgId(9)));
    let record = globex.give(&mut here, SHARE, granted);
    assert_eq!(value(&here, record, "Note"), Value::Null, "at creation no count was there");
    initech.receive(&mut here, record);
    let before = here.connection(initech.connection).outbox.head().position;
    let changed = content(&[("Number", Value::Integer(3))], stamp(10, OrgId(9)));
    globex.send(&mut here, Change { hops: 2, ..change_of(SHARE, 1, changed) });
    assert_eq!(value(&here, record, "Note"), Value::text("seen 3"));
    // The change goes on with its hops, what the rule wrote with one more.
    let hops: Vec<u8> = here
        .sent(initech.connection, before)
        .into_iter()
        .filter_map(|message| match message {
            Message::Change(change) => Some(change.hops),
            _ => None,
        })
        .collect();
    assert_eq!(hops, [2, 3]);

    // At eight it is not sent on, and an alarm names the rule.
    let before = here.connection(initech.connection).outbox.head().position;
    let changed = content(&[("Number", Value::Integer(4))], stamp(20, OrgId(9)));
    globex.send(&mut here, Change { hops: 7, ..change_of(SHARE, 1, changed) });
    assert_eq!(value(&here, record, "Note"), Value::text("seen 4"));
    let changes = here.sent(initech.connection, before);
    let changes = changes.iter().filter(|message| matches!(message, Message::Change(_))).count();
    assert_eq!(changes, 1);
    let alarm = &here.state().alarms.last().unwrap().alarm;
    assert_eq!(alarm.code, "too_many_hops");
    assert!(alarm.message.contains("the rule react"), "{}", alarm.message);
    replays(&here);
}

#[test]
fn the_sent_name_is_there_once_the_partner_has_accepted() {
    let mut here = Org::new("acme", deal());
    let mut globex = Partner::of(&mut here, "globex");
    set(&mut here, workflow("sent", When::Starts, "sent_to.contains(\"globex\")", vec![put("Note", "sent")]));
    let record = here.create("Deal__c", &[("Name", Value::text("a"))]);
    let Reply::Share(share) = here.run(Command::Forward { record, connection: globex.connection }) else {
        panic!("a share")
    };
    assert_eq!(value(&here, record, "Note"), Value::Null);
    globex.send(&mut here, AcceptOffer { share, generation: 1, whole: false });
    assert_eq!(value(&here, record, "Note"), Value::text("sent"));
    // It has begun to meet the criteria once.
    here.update(record, &[("Note", Value::text("other"))]);
    assert_eq!(value(&here, record, "Note"), Value::text("other"));
    replays(&here);
}

#[test]
fn what_a_rule_may_not_write_is_a_failure_and_what_triggered_it_stands() {
    let mut here = Org::new("acme", deal());
    Partner::of(&mut here, "globex");
    // A deal over 100 needs a note: the rule writes none.
    set(&mut here, workflow("big", When::Starts, "Stage == \"Won\"", vec![put("Count", "101")]));
    let record = here.create("Deal__c", &[("Name", Value::text("a"))]);
    assert_eq!(here.update(record, &[("Stage", Value::Picklist("Won".into()))]), Reply::Done);
    assert_eq!(value(&here, record, "Stage"), Value::Picklist("Won".into()));
    assert_eq!(value(&here, record, "Count"), Value::Null);
    assert_eq!(failures(&here), [(RuleKind::Workflow, "big".to_owned(), ReasonCode::RuleRefused)]);
    assert_eq!(here.state().automation.failed, 1);
    replays(&here);
}

#[test]
fn rules_that_answer_each_other_come_to_an_end_and_are_told() {
    let mut here = Org::new("acme", deal());
    set(
        &mut here,
        workflow("a", When::Every, "changed(Count) || is_new", vec![compute("Note", "string(Count + 1)")]),
    );
    set(&mut here, workflow("b", When::Every, "changed(Note)", vec![compute("Count", "Count + 1")]));
    let record = here.create("Deal__c", &[("Name", Value::text("a")), ("Count", Value::Integer(1))]);
    assert_eq!(value(&here, record, "Count"), Value::Integer(2));
    assert_eq!(failures(&here), [(RuleKind::Workflow, "a".to_owned(), ReasonCode::RuleLoop)]);
    // A rule that only meets its own write is no loop.
    let mut calm = Org::new("calm", deal());
    set(&mut calm, workflow("a", When::Every, "", vec![compute("Count", "Count + 1")]));
    let record = calm.create("Deal__c", &[("Name", Value::text("a")), ("Count", Value::Integer(1))]);
    assert_eq!(value(&calm, record, "Count"), Value::Integer(2));
    assert_eq!(failures(&calm), []);
    replays(&here);
}

#[test]
fn a_rule_creates_a_task_assigns_and_shares_thereby() {
    let mut here = Org::new("acme", deal());
    let globex = Partner::of(&mut here, "globex");
    let call = || {
        vec![
            Action::Task { subject: "Call {{Name}}".to_owned(), due_in_days: Some(2), owner: None },
            Action::Assign { to: name("queue:emea") },
        ]
    };
    let rule = || workflow("call", When::Created, "", call());
    let refused = |here: &mut Org| {
        here.attempt(Command::Automation(AutomationCommand::SetRule { rule: Box::new(rule()) })).unwrap_err()
    };
    assert_eq!(refused(&mut here).code, "unknown_queue");
    let queue = Queue {
        connections: [globex.connection].into(),
        ..Queue::new(name("emea"), [name("Deal__c")].into())
    };
    here.run(Command::Automation(AutomationCommand::SetQueue { queue: Box::new(queue) }));
    assert_eq!(refused(&mut here).reasons[0].code, ReasonCode::BadRule, "there is no Task yet");
    let task = standard_objects().into_iter().find(|object| object.name.as_str() == "Task").unwrap();
    here.run(Command::DefineObject { schema: Box::new(task) });
    set(&mut here, rule());
    let record = here.create("Deal__c", &[("Name", Value::text("a"))]);
    assert_eq!(here.record(record).owner, Owner::Queue(name("emea")));
    assert_eq!(status(&here, record, globex.connection), Some(ShareStatus::Offered));
    let task = here.state().records_of(&name("Task"), None).next().unwrap().1;
    assert_eq!(task.value(&name::<tieline_core::FieldName>("WhatId")), &Value::Reference(record));
    assert_eq!(task.owner, Owner::User(name("ann")));
    assert_eq!(task.value(&name::<tieline_core::FieldName>("Subject")), &Value::text("Call a"));
    assert_eq!(failures(&here), []);
    replays(&here);
}

#[test]
fn a_rule_tells_people_and_other_systems() {
    let mut here = Org::new("acme", deal());
    let actions = vec![
        Action::Notify { users: [name("ann")].into(), message: "{{Name}} is here".to_owned() },
        Action::Mail {
            to: "ann@example.org".to_owned(),
            template: None,
            subject: "About {{Name}}".to_owned(),
            text: "{{ Count }} of them".to_owned(),
        },
        Action::Webhook {
            url: "https://hooks.example/deal".to_owned(),
            fields: fields(&["Count"]).into_iter().collect(),
            secret: None,
        },
    ];
    set(&mut here, workflow("tell", When::Created, "Count > 1", actions));
    here.create("Deal__c", &[("Name", Value::text("quiet"))]);
    assert_eq!(here.state().effects.open().len(), 0);
    let record = here.create("Deal__c", &[("Name", Value::text("loud")), ("Count", Value::Integer(2))]);
    let queued: Vec<String> =
        here.state().effects.open().values().map(|open| format!("{:?}", open.effect)).collect();
    let said = |text: &str| queued.iter().any(|effect| effect.contains(text));
    assert!(said("About loud") && said("2 of them"), "{queued:?}");
    assert!(said("https://hooks.example/deal") && said(&record.to_string()), "{queued:?}");
    assert_eq!(failures(&here), []);
    replays(&here);
}

#[test]
fn a_rule_sends_mails_by_a_named_template() {
    let mut here = Org::new("acme", deal());
    let template = |text: &str| {
        let template = MailTemplate {
            name: name("deal-news"),
            purpose: MailPurpose::Workflow,
            subject: "{{object}} {{Name}} of {{org}}".to_owned(),
            text: text.to_owned(),
            html: Some("<b>{{Name}}</b>".to_owned()),
        };
        Command::Invitation(InvitationCommand::SetTemplate { template: Box::new(template) })
    };
    let mail = |subject: &str| Action::Mail {
        to: "ann@example.org".to_owned(),
        template: Some(name("deal-news")),
        subject: subject.to_owned(),
        text: String::new(),
    };
    let rule = |subject: &str| {
        let rule = Box::new(workflow("tell", When::Created, "", vec![mail(subject)]));
        Command::Automation(AutomationCommand::SetRule { rule })
    };
    assert_eq!(here.attempt(rule("")).unwrap_err().code, "unknown_mail_template");
    here.run(template("{{Count}} of them, {{owner}}; {{Cuont}}"));
    let refused = here.attempt(rule("")).unwrap_err();
    assert_eq!(refused.reasons[0].code, ReasonCode::UnknownField, "{refused}");
    here.run(template("{{Count}} of them, {{owner}}"));
    assert_eq!(here.attempt(rule("both")).unwrap_err().reasons[0].code, ReasonCode::BadRule);
    here.run(rule(""));
    here.create("Deal__c", &[("Name", Value::text("<loud>")), ("Count", Value::Integer(2))]);
    let queued: Vec<String> =
        here.state().effects.open().values().map(|open| format!("{:?}", open.effect)).collect();
    let said = |text: &str| queued.iter().any(|effect| effect.contains(text));
    assert!(
        said("Deal__c <loud> of acme") && said("2 of them, ann") && said("<b>&lt;loud&gt;</b>"),
        "{queued:?}"
    );
    // What a rule needs stays, and keeps fitting it.
    let removed = Command::Invitation(InvitationCommand::RemoveTemplate { name: name("deal-news") });
    assert_eq!(here.attempt(removed).unwrap_err().code, "mail_template_in_use");
    assert_eq!(here.attempt(template("{{Cuont}}")).unwrap_err().reasons[0].code, ReasonCode::UnknownField);
    assert_eq!(failures(&here), []);
    replays(&here);
}

#[test]
fn what_nobody_changes_is_escalated_once() {
    let mut here = Org::new("acme", deal());
    let globex = Partner::of(&mut here, "globex");
    let queue = |queue: &str, connections: &[ConnectionId]| {
        let queue = Queue {
            connections: connections.iter().copied().collect(),
            ..Queue::new(name(queue), [name("Deal__c")].into())
        };
        Command::Automation(AutomationCommand::SetQueue { queue: Box::new(queue) })
    };
    here.run(queue("first", &[]));
    here.run(queue("second", &[globex.connection]));
    let step = |step: &str, minutes: u32, owner: &str| EscalationEntry {
        name: name(step),
        criteria: "Stage != \"Won\"".to_owned(),
        after_minutes: minutes,
        owner: Some(name(owner)),
        notify: [].into(),
    };
    let open = here.create("Deal__c", &[("Name", Value::text("open"))]);
    let won =
        here.create("Deal__c", &[("Name", Value::text("won")), ("Stage", Value::Picklist("Won".into()))]);
    let entries = vec![step("one", 10, "queue:first"), step("two", 30, "queue:second")];
    set(&mut here, Rule::Escalation(EscalationRule { object: name("Deal__c"), active: true, entries }));
    let escalate = |here: &mut Org, minutes: i64| {
        here.now = crate::kit::at(minutes * 60);
        here.run(Command::Automation(AutomationCommand::Escalate))
    };
    let partners = workflow("partners", When::Every, "by_connection_user", vec![put("Note", "by a partner")]);
    set(&mut here, partners);
    assert_eq!(escalate(&mut here, 9), Reply::Unchanged);
    assert_eq!(escalate(&mut here, 10), Reply::Done);
    assert_eq!(here.record(open).owner, Owner::Queue(name("first")));
    assert_eq!(here.record(open).modified_by, tieline_core::UserName::automation());
    assert_eq!(value(&here, open, "Note"), Value::Null, "no partner did that");
    assert_eq!(here.record(won).owner, Owner::User(name("ann")));
    // Not again, however often the clock is looked at.
    for minutes in [10, 21, 29] {
        assert_eq!(escalate(&mut here, minutes), Reply::Unchanged, "{minutes}");
    }
    // The second step counts from the last change that somebody made.
    assert_eq!(escalate(&mut here, 30), Reply::Done);
    assert_eq!(here.record(open).owner, Owner::Queue(name("second")));
    assert_eq!(status(&here, open, globex.connection), Some(ShareStatus::Offered), "S2S-75");
    assert_eq!(escalate(&mut here, 500), Reply::Unchanged);
    // Somebody changes it: another occurrence.
    here.run(Command::Automation(AutomationCommand::Assign {
        record: open,
        to: Owner::User(name("ann")).into(),
    }));
    assert_eq!(escalate(&mut here, 505), Reply::Unchanged);
    assert_eq!(escalate(&mut here, 510), Reply::Done);
    assert_eq!(here.record(open).owner, Owner::Queue(name("first")));
    replays(&here);
}

fn ring_object() -> ObjectSchema {
    deal()
}

/// Each takes all of the other's deals as deals of its own.
fn agree(a: &mut Org, b: &mut Org) -> ConnectionId {
    let id = connect(a, b);
    let object = || name("Deal__c");
    let names = ["Count", "Name"];
    for org in [&mut *a, &mut *b] {
        let rule = Some(publish_rule(&object(), &names));
        org.run(Command::Publish { connection: id, object: object(), rule });
    }
    settle_all(a, b, id);
    for org in [&mut *a, &mut *b] {
        let rule = SubscribeRule {
            auto_accept: true,
            remote: object(),
            local: object(),
            fields: fields(&names)
                .into_iter()
                .map(|field| FieldMapping::rename(field.clone(), field))
                .collect(),
            ..crate::kit::deals_from_offers()
        };
        org.run(Command::Subscribe { connection: id, object: object(), rule: Some(rule) });
    }
    settle_all(a, b, id);
    id
}

/// Three orgs in a ring, each with a sharing rule to the next: the copies of copies come to an end.
/// And three orgs whose rules count up whatever comes: so do the changes.
#[test]
fn a_ring_of_three_orgs_ends() {
    let mut orgs = ["a", "b", "c"].map(|org| Org::new(org, ring_object()));
    let [a, b, c] = &mut orgs;
    let (ab, bc, ca) = (agree(a, b), agree(b, c), agree(c, a));
    for (org, next) in [(&mut *a, ab), (&mut *b, bc), (&mut *c, ca)] {
        set(org, sharing("", &[next], false));
        set(
            org,
            workflow(
                "count",
                When::Every,
                "by_connection_user && !is_new && changed(Count)",
                vec![compute("Count", "Count + 1")],
            ),
        );
    }
    let record = a.create("Deal__c", &[("Name", Value::text("x"))]);
    let settle = |a: &mut Org, b: &mut Org, c: &mut Org| {
        for _ in 0..200 {
            let before = (a.state().seq, b.state().seq, c.state().seq);
            settle_all(a, b, ab);
            settle_all(b, c, bc);
            settle_all(c, a, ca);
            if before == (a.state().seq, b.state().seq, c.state().seq) {
                return;
            }
        }
        panic!("the ring has no end");
    };
    settle(a, b, c);
    let count = |org: &Org| org.state().count_of(&name("Deal__c"));
    assert_eq!(count(a) + count(b) + count(c), 9, "eight orgs after the first");
    a.update(record, &[("Count", Value::Integer(1))]);
    settle(a, b, c);
    for org in [&*a, &*b, &*c] {
        replays(org);
    }
    let told =
        [&*a, &*b, &*c].iter().any(|org| org.state().alarms.iter().any(|a| a.alarm.code == "too_many_hops"));
    assert!(told, "somebody is told");
}
