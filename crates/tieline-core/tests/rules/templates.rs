//! Connection templates: saved from a connection, given to others, waiting for what is not there yet.

use tieline_core::check::check;
use tieline_core::command::{Command, ProfileCommand, TemplateCommand};
use tieline_core::template::RuleFate;
use tieline_core::{ConnectionId, RoleName};

use crate::kit::{Org, connect, deal, deals_from_offers, name, offer, publish_rule, settle_all};

/// Two orgs, and what the first has over the connection saved as the template `partners`.
fn pair() -> (Org, Org, ConnectionId) {
    let (mut acme, mut globex) = (Org::new("acme", deal()), Org::new("globex", offer()));
    let id = connect(&mut acme, &mut globex);
    publish(&mut acme, id, "Deal__c", &["Name", "Note"]);
    publish(&mut globex, id, "Offer__c", &["Title", "Remark", "Number", "Phase"]);
    settle_all(&mut acme, &mut globex, id);
    let rule = Some(deals_from_offers());
    acme.run(Command::Subscribe { connection: id, object: name("Offer__c"), rule });
    settle_all(&mut acme, &mut globex, id);
    acme.run(Command::Template(TemplateCommand::Save { name: name("partners"), connection: id }));
    (acme, globex, id)
}

fn publish(org: &mut Org, connection: ConnectionId, object: &str, names: &[&str]) {
    let rule = Some(publish_rule(&name(object), names));
    org.run(Command::Publish { connection, object: name(object), rule });
}

fn give(org: &mut Org, connection: ConnectionId) {
    org.run(Command::Template(TemplateCommand::Give { name: name("partners"), connection }));
}

fn fates(org: &Org, id: ConnectionId) -> Vec<(&str, &'static str)> {
    let given = org.connection(id).template.as_ref().unwrap();
    given.rules.iter().map(|(rule, fate)| (rule.as_str(), fate.as_str())).collect()
}

#[test]
fn a_template_is_applied_as_far_as_the_partner_publishes_and_then_goes_on() {
    let (mut acme, _, first) = pair();
    let mut initech = Org::new("initech", offer());
    let id = connect(&mut acme, &mut initech);
    give(&mut acme, id);
    assert_eq!(fates(&acme, id), [("publish.Deal__c", "applied"), ("subscribe.Offer__c", "waits")]);
    assert!(acme.connection(id).publish.contains_key("Deal__c"));

    // The partner publishes another object, and then the one that is waited for.
    settle_all(&mut acme, &mut initech, id);
    assert_eq!(fates(&acme, id)[1].1, "waits");
    publish(&mut initech, id, "Offer__c", &["Title", "Remark", "Number", "Phase"]);
    settle_all(&mut acme, &mut initech, id);
    assert_eq!(fates(&acme, id)[1].1, "applied");
    let rule = |id| acme.connection(id).subscribe["Offer__c"].fields.clone();
    assert_eq!(rule(id), rule(first));
    assert_eq!(initech.connection(id).taken["Offer__c"].local, name("Deal__c"));

    // What was applied is not applied again when the partner publishes more or less.
    acme.run(Command::Publish { connection: id, object: name("Deal__c"), rule: None });
    publish(&mut initech, id, "Offer__c", &["Title"]);
    settle_all(&mut acme, &mut initech, id);
    assert!(!acme.connection(id).publish.contains_key("Deal__c"));
}

#[test]
fn a_template_given_to_an_invitation_waits_until_it_is_accepted() {
    let (mut acme, _, _) = pair();
    let expires = acme.now.plus_us(3_600_000_000);
    let invite = Command::Invite { secret_hash: [2; 32], expires, owner: None, label: "later".to_owned() };
    let tieline_core::command::Reply::Connection(id) = acme.run(invite) else { panic!("an invitation") };
    give(&mut acme, id);
    assert_eq!(fates(&acme, id), []);
    acme.run(Command::TakeHello {
        connection: id,
        from: name("initech"),
        accept: true,
        user: name("bob"),
        public_key: [4; 32],
        incarnation: tieline_core::Incarnation(5),
        by: None,
    });
    assert_eq!(fates(&acme, id), [("publish.Deal__c", "applied"), ("subscribe.Offer__c", "waits")]);
}

#[test]
fn a_template_waits_for_all_fields_that_it_takes_and_stays_as_long_as_an_invitation_has_it() {
    let (mut acme, _, _) = pair();
    let mut initech = Org::new("initech", offer());
    let id = connect(&mut acme, &mut initech);
    give(&mut acme, id);
    publish(&mut initech, id, "Offer__c", &["Title", "Number"]);
    settle_all(&mut acme, &mut initech, id);
    assert_eq!(fates(&acme, id)[1].1, "waits", "for Remark and Phase");
    publish(&mut initech, id, "Offer__c", &["Title", "Remark", "Number", "Phase"]);
    settle_all(&mut acme, &mut initech, id);
    assert_eq!(fates(&acme, id)[1].1, "applied");

    let expires = acme.now.plus_us(3_600_000_000);
    let invite = Command::Invite { secret_hash: [2; 32], expires, owner: None, label: "later".to_owned() };
    let tieline_core::command::Reply::Connection(later) = acme.run(invite) else { panic!("an invitation") };
    give(&mut acme, later);
    let remove = || Command::Template(TemplateCommand::Remove { name: name("partners") });
    let refused = acme.attempt(remove()).unwrap_err();
    assert_eq!(refused.code, "template_in_use");
    assert!(refused.message.contains(&later.to_string()), "{}", refused.message);
    acme.run(Command::Revoke { connection: later });
    acme.run(remove());
}

#[test]
fn what_a_template_may_not_do_is_refused_rule_by_rule() {
    let (mut acme, _, _) = pair();
    let mut initech = Org::new("initech", offer());
    let id = connect(&mut acme, &mut initech);
    // The object has lost a field that the template publishes.
    let mut narrower = deal();
    narrower.fields.retain(|field| field.name.as_str() != "Note");
    narrower.rules.clear();
    acme.run(Command::DefineObject { schema: Box::new(narrower) });
    give(&mut acme, id);
    let given = acme.connection(id).template.as_ref().unwrap();
    let RuleFate::Refused(why) = &given.rules["publish.Deal__c"] else { panic!("{given:?}") };
    assert!(why.contains("no field Note"), "{why}");
    assert!(!acme.connection(id).publish.contains_key("Deal__c"));

    let unknown = Command::Template(TemplateCommand::Give { name: name("nothing"), connection: id });
    assert_eq!(acme.attempt(unknown).unwrap_err().code, "unknown_template");
    acme.run(Command::Template(TemplateCommand::Remove { name: name("partners") }));
    assert!(acme.state().templates.is_empty());
}

#[test]
fn what_will_go_wrong_is_told_before_it_does() {
    let (mut acme, mut globex, id) = pair();
    let codes = |org: &Org| -> Vec<(String, &'static str, String)> {
        let mut found = check(org.state(), Some(id), org.now);
        found.sort();
        found.into_iter().map(|f| (f.item, f.code, f.detail)).collect()
    };
    let of = |item: &str, code, detail: &str| (item.to_owned(), code, detail.to_owned());
    // A deal over 100 needs a note: both come after the create set. Nobody takes the deals.
    // A remark may be longer than a note.
    assert_eq!(
        codes(&acme),
        [
            of("publish.Deal__c", "published_not_taken", ""),
            of("subscribe.Offer__c", "create_set_rule", "Noted"),
            of("subscribe.Offer__c", "narrowing", "Note"),
        ]
    );
    // The partner publishes less than is taken.
    publish(&mut globex, id, "Offer__c", &["Remark", "Number", "Phase"]);
    settle_all(&mut acme, &mut globex, id);
    let found = codes(&acme);
    assert!(found.contains(&of("subscribe.Offer__c", "not_published", "Name")), "{found:?}");
    let found = codes(&globex);
    assert!(found.contains(&of("publish.Offer__c", "taken_not_published", "")), "{found:?}");
    globex.run(Command::Publish { connection: id, object: name("Offer__c"), rule: None });
    settle_all(&mut acme, &mut globex, id);
    let found = codes(&acme);
    assert!(found.contains(&of("subscribe.Offer__c", "not_published", "")), "{found:?}");

    // A rule that no copy can pass, and an owner who has gone.
    publish(&mut globex, id, "Offer__c", &["Title", "Remark", "Number", "Phase"]);
    settle_all(&mut acme, &mut globex, id);
    let mut stricter = deal();
    stricter.rules[0].condition = "isBlank(Note)".to_owned();
    acme.run(Command::DefineObject { schema: Box::new(stricter) });
    acme.run(Command::AddUser { user: name("bob"), email: None, role: RoleName::standard() });
    let mut rule = deals_from_offers();
    (rule.auto_accept, rule.owner) = (true, Some(name("bob")));
    acme.run(Command::Subscribe { connection: id, object: name("Offer__c"), rule: Some(rule) });
    acme.run(Command::ChangeUser { user: name("bob"), email: None, role: None, active: Some(false) });
    let found = codes(&acme);
    assert!(found.contains(&of("subscribe.Offer__c", "create_set_refused", "Noted")), "{found:?}");
    assert!(found.contains(&of("subscribe.Offer__c", "owner_inactive", "bob")), "{found:?}");
}

#[test]
fn two_orgs_know_whether_they_are_of_one_company() {
    let (mut acme, mut globex) = (Org::new("acme", deal()), Org::new("globex", offer()));
    let say = |company: &str| Command::Profile(ProfileCommand::SetCompany { company: company.to_owned() });
    acme.run(say("Acme Group"));
    let id = connect(&mut acme, &mut globex);
    settle_all(&mut acme, &mut globex, id);
    assert_eq!(globex.connection(id).partner_company.as_deref(), Some("Acme Group"));
    assert_eq!(acme.connection(id).partner_company, None, "who says nothing is not told of");
    globex.run(say("acme group"));
    settle_all(&mut acme, &mut globex, id);
    assert_eq!(acme.connection(id).partner_company.as_deref(), Some("acme group"));
    acme.run(say(""));
    settle_all(&mut acme, &mut globex, id);
    assert_eq!(globex.connection(id).partner_company, None);
    let refused = acme.attempt(say("a\nb")).unwrap_err();
    assert_eq!(refused.code, "bad_label");
}

#[test]
fn two_connections_of_one_pair_are_configured_each_alone() {
    let (mut acme, mut globex, first) = pair();
    let second = connect(&mut acme, &mut globex);
    publish(&mut acme, second, "Deal__c", &["Count"]);
    settle_all(&mut acme, &mut globex, first);
    settle_all(&mut acme, &mut globex, second);
    let published = |id: ConnectionId| globex.connection(id).catalogue["Deal__c"].fields.len();
    assert_eq!((published(first), published(second)), (2, 1));
    acme.run(Command::Deactivate { connection: first, by_partner: false });
    assert!(acme.connection(second).is_active());
}
