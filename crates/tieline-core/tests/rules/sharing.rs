//! Several acceptors, sharing by hand, and values that a person approves (S2S-41, S2S-45, S2S-58).

use tieline_core::command::{Command, Reply, SharingCommand};
use tieline_core::message::{AcceptOffer, EndReason, Message};
use tieline_core::reason::ReasonCode;
use tieline_core::schema::ObjectSchema;
use tieline_core::sharing::Forwarding;
use tieline_core::state::ShareStatus;
use tieline_core::value::Value;
use tieline_core::{ConnectionId, FieldName, RecordId, ShareId};

use crate::kit::{
    Org, Partner, connect, deal, deals_from_offers, name, offer, offers_from_deals, publish_rule, settle_all,
    standard, standard_pair,
};

#[test]
fn everybody_may_have_what_was_offered_so_and_the_others_are_told() {
    let mut here = Org::new("acme", deal());
    let mut partners: Vec<Partner> =
        ["globex", "initech", "umbrella"].iter().map(|partner| Partner::of(&mut here, partner)).collect();
    let record = here.create("Deal__c", &[("Name", Value::text("ours"))]);
    let mut offered = Vec::new();
    for (partner, many) in partners.iter().zip([true, true, false]) {
        let (connection, how) = (partner.connection, Forwarding { many, ..Forwarding::default() });
        let forward = Command::Sharing(SharingCommand::Forward { record, connection, how });
        let Reply::Share(share) = here.run(forward) else { panic!("an offer is a share") };
        offered.push((connection, share));
    }
    for at in [1, 0, 2] {
        let accept = AcceptOffer { share: offered[at].1, generation: 1, whole: false };
        partners[at].send(&mut here, accept);
    }
    let status = |here: &Org, at: usize| here.state().share(offered[at].0, offered[at].1).unwrap().status;
    assert_eq!(
        [0, 1, 2].map(|at| status(&here, at)),
        [ShareStatus::Active, ShareStatus::Active, ShareStatus::Taken],
        "who was offered it alone lost it to the first of the others"
    );
    let last = here.sent(offered[2].0, tieline_core::Position(0)).pop().unwrap();
    assert!(matches!(&last, Message::Refuse(refuse) if refuse.code == ReasonCode::Taken), "{last:?}");
    let again = |how| Command::Sharing(SharingCommand::Forward { record, connection: offered[2].0, how });
    let refused = here.attempt(again(Forwarding::default())).unwrap_err();
    assert_eq!(refused.code, "taken");
    here.run(again(Forwarding { many: true, ..Forwarding::default() }));
}

#[test]
fn an_object_that_is_not_shared_by_hand_says_so() {
    let mut closed = deal();
    closed.sharing_by_hand = false;
    let mut here = Org::new("acme", closed);
    let connection = Partner::of(&mut here, "globex").connection;
    let record = here.create("Deal__c", &[("Name", Value::text("ours"))]);
    let refused = here.attempt(Command::Forward { record, connection }).unwrap_err();
    assert_eq!(refused.code, "not_by_hand");
    assert!(refused.message.contains("queues and rules only"), "{refused}");
}

/// Deals of one org are offers of the other, which approves each remark first.
fn approving() -> (Org, Org, ConnectionId, RecordId, RecordId) {
    let (mut a, mut b) = (Org::new("acme", deal()), Org::new("globex", offer()));
    let id = connect(&mut a, &mut b);
    let publish = |object: &str, names: &[&str]| Command::Publish {
        connection: id,
        object: name(object),
        rule: Some(publish_rule(&name(object), names)),
    };
    a.run(publish("Deal__c", &["Name", "Note", "Count", "Stage"]));
    b.run(publish("Offer__c", &["Title", "Remark", "Number", "Phase"]));
    settle_all(&mut a, &mut b, id);
    let mut rule = offers_from_deals();
    for mapping in rule.fields.iter_mut().filter(|mapping| mapping.local == name("Remark")) {
        mapping.approval = true;
    }
    b.run(Command::Subscribe { connection: id, object: name("Deal__c"), rule: Some(rule) });
    a.run(Command::Subscribe { connection: id, object: name("Offer__c"), rule: Some(deals_from_offers()) });
    settle_all(&mut a, &mut b, id);
    let record = a.create("Deal__c", &[("Name", Value::text("one")), ("Note", Value::text("old"))]);
    a.run(Command::Forward { record, connection: id });
    settle_all(&mut a, &mut b, id);
    let share = ShareId::derive(id, &a.name, record);
    b.run(Command::Accept { connection: id, share, owner: None });
    settle_all(&mut a, &mut b, id);
    let copy = b.state().share(id, share).unwrap().record.unwrap();
    (a, b, id, record, copy)
}

fn decide(org: &mut Org, record: RecordId, approve: bool) -> Result<Reply, tieline_core::command::Refusal> {
    let field = name("Remark");
    let decision = if approve {
        SharingCommand::Approve { record, field }
    } else {
        SharingCommand::Reject { record, field }
    };
    org.attempt(Command::Sharing(decision))
}

#[test]
fn an_approved_value_is_written_as_the_partners() {
    let (mut a, mut b, id, record, copy) = approving();
    assert_eq!(b.state().approvals_waiting(), 1, "the follow-up of the copy waits, too");
    a.update(record, &[("Note", Value::text("new"))]);
    settle_all(&mut a, &mut b, id);
    assert_eq!(b.state().approvals_waiting(), 1);
    assert_eq!(b.record(copy).value(&name("Remark")), &Value::Null);
    decide(&mut b, copy, true).unwrap();
    assert_eq!(decide(&mut b, copy, true).unwrap_err().code, "not_waiting");
    assert_eq!(b.record(copy).value(&name("Remark")), &Value::text("new"));
    let field = |org: &Org, record, field: &str| {
        org.record(record).fields.get(&name::<FieldName>(field)).cloned().expect("a field")
    };
    let (ours, theirs) = (field(&a, record, "Note"), field(&b, copy, "Remark"));
    assert_eq!((ours.stamp, theirs.came_over()), (theirs.stamp, Some(id)));
    let before = b.connection(id).outbox.counted;
    settle_all(&mut a, &mut b, id);
    assert_eq!(b.connection(id).outbox.counted, before, "it does not go back");
    assert_eq!(b.state().approvals_waiting(), 0);
    assert!(a.connection(id).shares.values().all(|share| share.problem.is_none()));
}

#[test]
fn what_stands_already_waits_for_nobody() {
    let (mut a, mut b, id, record, copy) = approving();
    decide(&mut b, copy, true).unwrap();
    settle_all(&mut a, &mut b, id);
    // The partner changes its mind before anybody has looked.
    a.update(record, &[("Note", Value::text("new"))]);
    settle_all(&mut a, &mut b, id);
    assert_eq!(b.state().approvals_waiting(), 1);
    a.update(record, &[("Note", Value::text("old"))]);
    settle_all(&mut a, &mut b, id);
    assert_eq!(b.state().approvals_waiting(), 0);
    // Another mapping brings every value again; approval is switched on for what is here.
    let mut rule = offers_from_deals();
    rule.fields.retain(|mapping| mapping.local != name("Number"));
    for mapping in &mut rule.fields {
        mapping.approval = mapping.local == name("Remark") || mapping.local == name("Phase");
    }
    b.run(Command::Subscribe { connection: id, object: name("Deal__c"), rule: Some(rule) });
    settle_all(&mut a, &mut b, id);
    assert_eq!(b.state().approvals_waiting(), 0);
}

#[test]
fn a_refused_value_is_told_and_not_asked_about_again() {
    let (mut a, mut b, id, record, copy) = approving();
    decide(&mut b, copy, false).unwrap();
    settle_all(&mut a, &mut b, id);
    assert_eq!(b.state().approvals_waiting(), 0);
    let failure = a.connection(id).failures.back().expect("the partner is told");
    let reason = &failure.detail.reasons[0];
    assert_eq!((reason.code, reason.field.clone()), (ReasonCode::ApprovalRefused, Some(name("Note"))));
    assert!(failure.at_partner);
    let told = a
        .state()
        .notices
        .of(&name("ann"))
        .unwrap()
        .list
        .iter()
        .any(|notice| notice.text.contains("a person there refused the value of Note"));
    assert!(told, "the owner of the connection hears of it");
    let reasons = &b.record(copy).pending.get(&name::<FieldName>("Remark")).unwrap().reasons;
    assert_eq!(reasons[0].code, ReasonCode::ApprovalRefused);
    // The same value does not wait again, whoever compares what.
    a.run(Command::Reconcile { connection: id });
    settle_all(&mut a, &mut b, id);
    assert_eq!(b.state().approvals_waiting(), 0);
    assert!(b.record(copy).pending.get(&name::<FieldName>("Remark")).is_some_and(|pending| pending.rejected));
    // A later one does.
    a.update(record, &[("Note", Value::text("better"))]);
    settle_all(&mut a, &mut b, id);
    assert_eq!(b.state().approvals_waiting(), 1);
    // A write of one's own ends it.
    b.update(copy, &[("Remark", Value::text("mine"))]);
    settle_all(&mut a, &mut b, id);
    assert_eq!(b.state().approvals_waiting(), 0);
    assert_eq!(a.record(record).value(&name("Note")), &Value::text("mine"));
}

/// Contacts with two types, of which one is the default of everybody.
fn typed(object: &str) -> ObjectSchema {
    let file = format!(
        "extends = \"{object}\"\n[record_types.Partner]\nlabel = \"Partner\"\n\
         picklists = {{ LeadSource = [\"Web\"] }}\n[record_types.Person]\ndefault = true\n\
         [record_types.Old]\nactive = false\n"
    );
    ObjectSchema::from_toml(&file).unwrap().build(Some(&standard(object))).unwrap()
}

#[test]
fn a_new_record_gets_the_default_type_and_its_picklists_are_those_of_its_type() {
    let (mut a, _, _) = standard_pair(&[]);
    a.run(Command::DefineObject { schema: Box::new(typed("Contact")) });
    let kind = |org: &Org, record| org.record(record).value(&name("RecordType")).clone();
    let given = |source: &str, kind: &str| {
        [
            ("LastName", Value::text("Curie")),
            ("LeadSource", Value::picklist(source.into())),
            ("RecordType", Value::picklist(kind.into())),
        ]
    };
    let plain = a.create("Contact", &given("Other", "Person")[..2]);
    assert_eq!(kind(&a, plain), Value::picklist("Person".into()));
    let partner = a.create("Contact", &given("Web", "Partner"));
    assert_eq!(kind(&a, partner), Value::picklist("Partner".into()));
    for (source, kind, part) in [
        ("Other", "Partner", "which records of the type \"Partner\" do not take"),
        ("Web", "Old", "Old"),
        ("Web", "Nobody", "Nobody"),
    ] {
        let create = Command::CreateRecord {
            object: name("Contact"),
            values: crate::kit::values(&given(source, kind)),
            owner: None,
        };
        let refused = a.attempt(create).unwrap_err();
        assert!(refused.message.contains(part), "{refused}");
    }
    let lost = Command::UpdateRecord {
        record: partner,
        values: crate::kit::values(&[("LeadSource", Value::picklist("Other".into()))]),
    };
    assert_eq!(a.attempt(lost).unwrap_err().code, "record_refused");
}

#[test]
fn the_type_of_a_contact_is_chosen_when_it_is_accepted_and_that_of_a_lead_is_the_default() {
    let shared: &[(&str, &[&str])] = &[("Contact", &["LastName"]), ("Lead", &["LastName", "Company"])];
    let (mut a, mut b, over) = standard_pair(shared);
    for object in ["Contact", "Lead"] {
        b.run(Command::DefineObject { schema: Box::new(typed(object)) });
    }
    let given = [("LastName", Value::text("Curie")), ("Company", Value::text("Sorbonne"))];
    for (object, chosen, expected) in [
        ("Contact", Some("Partner"), Ok("Partner")),
        ("Contact", None, Ok("Person")),
        ("Contact", Some("Old"), Err("unknown_record_type")),
        ("Lead", None, Ok("Person")),
        ("Lead", Some("Partner"), Err("record_type_by_default")),
    ] {
        let record = a.create(object, &given[..if object == "Lead" { 2 } else { 1 }]);
        a.run(Command::Forward { record, connection: over });
        settle_all(&mut a, &mut b, over);
        let share = ShareId::derive(over, &a.name, record);
        let record_type = chosen.map(Into::into);
        let accept = SharingCommand::Accept { connection: over, share, owner: None, record_type };
        let answer = b.attempt(Command::Sharing(accept)).map(drop).map_err(|refusal| refusal.code);
        assert_eq!(answer, expected.map(drop), "{object} {chosen:?}");
        settle_all(&mut a, &mut b, over);
        if let Ok(kind) = expected {
            let copy = b.state().share(over, share).unwrap().record.unwrap();
            assert_eq!(b.record(copy).value(&name("RecordType")), &Value::picklist(kind.into()));
        }
    }
}

/// Deals that are offers at the partner, one of them shared.
fn shared_deal() -> (Org, Org, ConnectionId, RecordId, ShareId) {
    let (a, b, id, record, _) = approving();
    let share = ShareId::derive(id, &a.name, record);
    (a, b, id, record, share)
}

fn status_at(org: &Org, id: ConnectionId, share: ShareId) -> String {
    org.state().share(id, share).unwrap().status.label()
}

/// S2S-57: from either side; both keep their copies, nothing flows, and sharing again links the old copy.
#[test]
fn a_share_that_was_stopped_from_either_side_is_taken_up_with_the_old_copy() {
    for by_holder in [false, true] {
        let (mut a, mut b, id, record, share) = shared_deal();
        let copy = b.state().share(id, share).unwrap().record.unwrap();
        let (org, own) = if by_holder { (&mut b, copy) } else { (&mut a, record) };
        org.run(Command::EndShare { record: own, connection: id, reason: EndReason::Stopped });
        settle_all(&mut a, &mut b, id);
        for org in [&a, &b] {
            assert_eq!(status_at(org, id, share), "inactive (stopped)");
        }
        a.update(record, &[("Name", Value::text("later"))]);
        b.update(copy, &[("Number", Value::Integer(7))]);
        settle_all(&mut a, &mut b, id);
        assert_eq!(b.record(copy).value(&name("Title")), &Value::text("one"));
        a.run(Command::Forward { record, connection: id });
        settle_all(&mut a, &mut b, id);
        b.run(Command::Accept { connection: id, share, owner: None });
        settle_all(&mut a, &mut b, id);
        assert_eq!(b.state().share(id, share).unwrap().record, Some(copy), "no duplicate");
        assert_eq!(b.record(copy).value(&name("Title")), &Value::text("later"));
        assert_eq!(a.record(record).value(&name("Count")), &Value::Integer(7));
        assert_eq!(b.state().count_of(&name("Offer__c")), 1);
    }
}

/// S2S-55: deleting one side's copy never deletes the other, which sees it and can be shared again.
#[test]
fn a_deleted_record_leaves_the_other_one_which_can_be_shared_again() {
    let (mut a, mut b, id, record, share) = shared_deal();
    let copy = b.state().share(id, share).unwrap().record.unwrap();
    a.run(Command::DeleteRecord { record });
    settle_all(&mut a, &mut b, id);
    assert_eq!(status_at(&b, id, share), "inactive (deleted)");
    assert!(b.state().record(copy).is_some());
    // The copy is offered back, and becomes a new record where the old one was deleted.
    let Reply::Share(again) = b.run(Command::Forward { record: copy, connection: id }) else {
        panic!("a share")
    };
    settle_all(&mut a, &mut b, id);
    a.run(Command::Accept { connection: id, share: again, owner: None });
    settle_all(&mut a, &mut b, id);
    let new = a.state().share(id, again).unwrap().record.unwrap();
    assert_eq!(a.state().record(new).expect("a record").value(&name("Name")), &Value::text("one"));
    assert_eq!(
        (status_at(&a, id, again), status_at(&b, id, again)),
        ("active".to_owned(), "active".to_owned())
    );
    // The other way round: the holder deletes its copy.
    b.run(Command::DeleteRecord { record: copy });
    settle_all(&mut a, &mut b, id);
    assert_eq!(status_at(&a, id, again), "inactive (deleted)");
    assert!(a.state().record(new).is_some());
}
