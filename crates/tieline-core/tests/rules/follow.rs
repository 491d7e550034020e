//! What follows by itself: fields that a record carries of another one, and tasks for values that wait
//! for approval (S2S-49, S2S-58).

use tieline_core::command::{Command, Pause, SharingCommand};
use tieline_core::event::IncarnationCause;
use tieline_core::mapping::{FieldMapping, SubscribeRule};
use tieline_core::message::Message;
use tieline_core::value::Value;
use tieline_core::{ConnectionId, FieldName, Incarnation, Owner, RecordId, ShareId};

use crate::kit::{Org, fields, name, publish_rule, settle_all, standard_pair};

fn value(org: &Org, record: RecordId, field: &str) -> Value {
    org.record(record).value(&name::<FieldName>(field)).clone()
}

fn subscribe(org: &mut Org, over: ConnectionId, object: &str, mappings: Vec<FieldMapping>) {
    let rule = SubscribeRule {
        remote: name(object),
        local: name(object),
        auto_accept: true,
        accept_whole: false,
        owner: None,
        fields: mappings,
        version: 0,
    };
    org.run(Command::Subscribe { connection: over, object: name(object), rule: Some(rule) });
}

fn copy_of(a: &Org, b: &Org, over: ConnectionId, record: RecordId) -> RecordId {
    b.state().share(over, ShareId::derive(over, &a.name, record)).unwrap().record.expect("a copy")
}

/// Two orgs of which the first shares a contact with the name of its account; the two accounts that it has
/// there, and the copy.
struct Carrying {
    a: Org,
    b: Org,
    over: ConnectionId,
    accounts: [RecordId; 2],
    contact: RecordId,
    copy: RecordId,
}

impl Carrying {
    fn new() -> Self {
        let (mut a, mut b, over) = standard_pair(&[("Contact", &["LastName"])]);
        let rule = Some(publish_rule(&name("Contact"), &["LastName", "AccountName"]));
        a.run(Command::Publish { connection: over, object: name("Contact"), rule });
        settle_all(&mut a, &mut b, over);
        let mappings = vec![
            FieldMapping::rename(name("LastName"), name("LastName")),
            FieldMapping::rename(name("AccountName"), name("Department")),
        ];
        subscribe(&mut b, over, "Contact", mappings);
        settle_all(&mut a, &mut b, over);
        let accounts =
            ["Sorbonne", "Cambridge"].map(|named| a.create("Account", &[("Name", Value::text(named))]));
        let given = [("LastName", Value::text("Curie")), ("AccountId", Value::Reference(accounts[0]))];
        let contact = a.create("Contact", &given);
        a.run(Command::Forward { record: contact, connection: over });
        settle_all(&mut a, &mut b, over);
        let copy = copy_of(&a, &b, over, contact);
        Self { a, b, over, accounts, contact, copy }
    }

    fn settle(&mut self) {
        settle_all(&mut self.a, &mut self.b, self.over);
    }

    /// The field of the copy that takes the name of the account.
    fn carried(&self) -> Value {
        value(&self.b, self.copy, "Department")
    }

    fn rename(&mut self, account: usize, to: &str) {
        self.a.update(self.accounts[account], &[("Name", Value::text(to))]);
        self.settle();
    }

    fn refer(&mut self, account: Option<usize>) {
        let account = account.map_or(Value::Null, |which| Value::Reference(self.accounts[which]));
        self.a.update(self.contact, &[("AccountId", account)]);
        self.settle();
    }

    fn pause(&mut self, object: Option<&str>, paused: bool) {
        let object = object.map(name);
        self.a.run(Command::Pause(Pause::Set { connection: self.over, object, paused }));
        self.settle();
    }
}

#[test]
fn a_field_of_the_parent_follows_the_parent_and_another_parent() {
    let mut orgs = Carrying::new();
    assert_eq!(orgs.carried(), Value::text("Sorbonne"));
    orgs.rename(0, "Paris-Sorbonne");
    assert_eq!(orgs.carried(), Value::text("Paris-Sorbonne"));
    orgs.refer(Some(1));
    assert_eq!(orgs.carried(), Value::text("Cambridge"));
    // What nobody carries begins nothing, and neither does an account without contacts.
    orgs.a.update(orgs.accounts[1], &[("Fax", Value::text("1"))]);
    orgs.a.update(orgs.accounts[0], &[("Name", Value::text("alone"))]);
    assert!(orgs.a.state().jobs.is_empty());
}

#[test]
fn a_field_of_the_parent_is_empty_without_one() {
    let mut orgs = Carrying::new();
    orgs.refer(None);
    assert_eq!(orgs.carried(), Value::Null);
    orgs.rename(0, "of nobody");
    assert_eq!(orgs.carried(), Value::Null);
    orgs.refer(Some(1));
    assert_eq!(orgs.carried(), Value::text("Cambridge"));
}

#[test]
fn a_field_of_the_parent_is_held_back_while_the_record_is_paused() {
    for object in [Some("Contact"), None] {
        let mut orgs = Carrying::new();
        orgs.pause(object, true);
        let head = orgs.a.connection(orgs.over).outbox.head();
        for turn in 0..5 {
            orgs.a.update(orgs.accounts[0], &[("Name", Value::text(&format!("name {turn}")))]);
            orgs.a.finish_jobs();
        }
        assert_eq!(orgs.a.connection(orgs.over).outbox.head(), head, "{object:?}: nothing is sent");
        assert_eq!(orgs.a.replayed().hash(), orgs.a.state().hash());
        orgs.pause(object, false);
        assert_eq!(orgs.carried(), Value::text("name 4"), "{object:?}");
        let sent = orgs.a.sent(orgs.over, head.position);
        let snapshots = sent.iter().filter(|message| matches!(message, Message::Snapshot(_))).count();
        assert_eq!(snapshots, 1, "{object:?}: {sent:?}");
        // Another account, too, and none.
        orgs.pause(object, true);
        orgs.a.update(orgs.contact, &[("AccountId", Value::Null)]);
        orgs.a.finish_jobs();
        assert_ne!(orgs.carried(), Value::Null, "{object:?}");
        orgs.pause(object, false);
        assert_eq!(orgs.carried(), Value::Null, "{object:?}");
    }
}

/// A restore of either side leaves the field of the copy as that of the parent is, and nothing is written to the
/// record that carries it.
#[test]
fn a_field_of_the_parent_is_as_the_parent_is_after_a_restore() {
    let restore = |restored: &mut Org, other: &mut Org, over: ConnectionId| {
        let (cause, above) = (IncarnationCause::Restored, Incarnation(0));
        restored.run(Command::StartIncarnation { cause, connection: None, above });
        let incarnation = restored.state().org.as_ref().unwrap().incarnation;
        other.run(Command::TakeIncarnation { connection: over, incarnation });
    };
    // The holder missed a new name; then it missed nothing.
    let mut orgs = Carrying::new();
    let before = orgs.b.clone();
    orgs.rename(0, "Paris-Sorbonne");
    orgs.b = before;
    assert_eq!(orgs.carried(), Value::text("Sorbonne"));
    for missed in ["a name", "nothing"] {
        restore(&mut orgs.b, &mut orgs.a, orgs.over);
        orgs.settle();
        assert_eq!(orgs.carried(), Value::text("Paris-Sorbonne"), "{missed}");
    }
    // The origin lost the new name, and the account of that time is what it has.
    let before = orgs.a.clone();
    orgs.rename(0, "lost");
    assert_eq!(orgs.carried(), Value::text("lost"));
    orgs.a = before;
    restore(&mut orgs.a, &mut orgs.b, orgs.over);
    orgs.settle();
    assert_eq!(orgs.carried(), Value::text("Paris-Sorbonne"));
    let written = |field: &str| orgs.a.record(orgs.contact).fields.contains_key(&name::<FieldName>(field));
    assert!(written("AccountId") && !written("AccountName"));
    orgs.rename(0, "later");
    assert_eq!(orgs.carried(), Value::text("later"));
}

/// Two orgs of which the second approves each rating first, with a task; a lead and its copy.
fn approving() -> (Org, Org, ConnectionId, RecordId, RecordId) {
    let lead: &[&str] = &["LastName", "Company", "Rating"];
    let (mut a, mut b, over) = standard_pair(&[("Lead", lead)]);
    let mut mappings: Vec<FieldMapping> =
        fields(lead).into_iter().map(|field| FieldMapping::rename(field.clone(), field)).collect();
    for mapping in mappings.iter_mut().filter(|mapping| mapping.local == name("Rating")) {
        (mapping.approval, mapping.approval_task) = (true, true);
    }
    subscribe(&mut b, over, "Lead", mappings);
    settle_all(&mut a, &mut b, over);
    let given = [("LastName", Value::text("Ng")), ("Company", Value::text("Initech"))];
    let record = a.create("Lead", &given);
    a.run(Command::Forward { record, connection: over });
    settle_all(&mut a, &mut b, over);
    let copy = copy_of(&a, &b, over, record);
    (a, b, over, record, copy)
}

/// The tasks of an org: subject, status, what they are about, owner.
fn tasks(org: &Org) -> Vec<(String, String, Value, Owner)> {
    let shown = |(_, task): (RecordId, &tieline_core::state::Record)| {
        let text = |field: &str| task.value(&name::<FieldName>(field)).to_text();
        (text("Subject"), text("Status"), task.value(&name::<FieldName>("WhoId")).clone(), task.owner.clone())
    };
    org.state().records_of(&name("Task"), None).map(shown).collect()
}

#[test]
fn a_value_that_waits_is_a_task_until_it_is_decided() {
    let (mut a, mut b, over, record, copy) = approving();
    assert_eq!(tasks(&b).len(), 0, "nothing waits yet");
    let rate = |a: &mut Org, b: &mut Org, rating: &str| {
        a.update(record, &[("Rating", Value::picklist(rating.into()))]);
        settle_all(a, b, over);
    };
    let decide = |b: &mut Org, approve: bool| {
        let (record, field) = (copy, name("Rating"));
        b.run(Command::Sharing(if approve {
            SharingCommand::Approve { record, field }
        } else {
            SharingCommand::Reject { record, field }
        }));
    };
    rate(&mut a, &mut b, "Hot");
    let (subject, status, about, owner) = tasks(&b).remove(0);
    assert!(subject.contains("Rating"), "{subject}");
    assert_eq!((about, owner), (Value::Reference(copy), Owner::User(name("ann"))));
    assert_ne!(status, "Completed");
    rate(&mut a, &mut b, "Warm");
    assert_eq!(tasks(&b).len(), 1, "one task for one field");
    decide(&mut b, true);
    assert_eq!(tasks(&b)[0].1, "Completed");
    // The next value opens it again, and a refusal closes it, too.
    rate(&mut a, &mut b, "Cold");
    assert_eq!((tasks(&b).len(), tasks(&b)[0].1 == "Completed"), (1, false));
    decide(&mut b, false);
    assert_eq!(tasks(&b)[0].1, "Completed");
    // So does whoever writes the field here.
    rate(&mut a, &mut b, "Hot");
    assert_ne!(tasks(&b)[0].1, "Completed");
    b.update(copy, &[("Rating", Value::picklist("Cold".into()))]);
    assert_eq!(tasks(&b)[0].1, "Completed");
}
