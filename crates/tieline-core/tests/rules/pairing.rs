//! One pair of objects over a connection (S2S-26, S2S-27): the first mapping of either side fixes it,
//! on both sides, also when two rules cross.

use tieline_core::ConnectionId;
use tieline_core::command::{Command, Refusal, Reply};
use tieline_core::mapping::{FieldMapping, SubscribeRule};
use tieline_core::pairing::suggestions;
use tieline_core::reason::ReasonCode;
use tieline_core::schema::ObjectSchema;
use tieline_core::state::ShareStatus;
use tieline_core::value::Value;

use crate::kit::{Org, connect, name, publish_rule, settle_all};

fn object(called: &str) -> ObjectSchema {
    let text = format!(
        "object = \"{called}\"\nname_field = \"Name\"\ncreate_set = [\"Name\"]\n[fields]\n\
         Name = {{ type = \"text\", required = true }}\nSize = {{ type = \"decimal\" }}\n"
    );
    ObjectSchema::from_toml(&text).unwrap().build(None).unwrap()
}

/// An org with objects that it publishes.
fn org(called: &str, objects: &[&str]) -> Org {
    let mut org = Org::new(called, object(objects[0]));
    for other in &objects[1..] {
        org.run(Command::DefineObject { schema: Box::new(object(other)) });
    }
    org
}

fn pair() -> (Org, Org, ConnectionId) {
    let (mut a, mut b) = (org("acme", &["Fund__c", "Note__c"]), org("globex", &["Request__c", "Other__c"]));
    let connection = connect(&mut a, &mut b);
    for org in [&mut a, &mut b] {
        for object in org.state().objects.keys().cloned().collect::<Vec<_>>() {
            let rule = Some(publish_rule(&object, &["Name", "Size"]));
            org.run(Command::Publish { connection, object, rule });
        }
    }
    settle_all(&mut a, &mut b, connection);
    (a, b, connection)
}

fn subscribe(org: &mut Org, connection: ConnectionId, remote: &str, local: &str) -> Result<Reply, Refusal> {
    let rule = SubscribeRule {
        remote: name(remote),
        local: name(local),
        auto_accept: true,
        accept_whole: false,
        owner: None,
        fields: vec![FieldMapping::rename(name("Name"), name("Name"))],
        version: 0,
    };
    org.attempt(Command::Subscribe { connection, object: name(remote), rule: Some(rule) })
}

fn refused(result: Result<Reply, Refusal>, code: ReasonCode, text: &str) {
    let refusal = result.unwrap_err();
    assert_eq!(refusal.code, "record_refused", "{refusal}");
    assert!(refusal.reasons.iter().any(|r| r.code == code && r.message.contains(text)), "{refusal:?}");
}

#[test]
fn the_first_mapping_fixes_the_pair_on_both_sides() {
    let (mut a, mut b, connection) = pair();
    subscribe(&mut b, connection, "Fund__c", "Request__c").unwrap();
    let conflict = ReasonCode::MappingConflict;
    // B itself has one source for a target.
    let second = subscribe(&mut b, connection, "Note__c", "Request__c");
    refused(second, ReasonCode::SecondSource, "Request__c is already mapped from Fund__c");
    settle_all(&mut a, &mut b, connection);
    // A may map its Fund to no other object of B, nor Request to another object of its own.
    let text = "globex maps our Fund__c to its Request__c";
    refused(subscribe(&mut a, connection, "Other__c", "Fund__c"), conflict, text);
    refused(subscribe(&mut a, connection, "Request__c", "Note__c"), conflict, text);
    subscribe(&mut a, connection, "Request__c", "Fund__c").unwrap();
    subscribe(&mut a, connection, "Other__c", "Note__c").unwrap();
    settle_all(&mut a, &mut b, connection);
    let text = "acme maps our Other__c to its Note__c";
    b.run(Command::DefineObject { schema: Box::new(object("Third__c")) });
    refused(subscribe(&mut b, connection, "Note__c", "Third__c"), conflict, text);
    // The pair is free again when both have let go of it.
    for (org, remote) in [(&mut a, "Request__c"), (&mut b, "Fund__c")] {
        org.run(Command::Subscribe { connection, object: name(remote), rule: None });
    }
    settle_all(&mut a, &mut b, connection);
    subscribe(&mut a, connection, "Request__c", "Fund__c").unwrap();
}

#[test]
fn what_is_mapped_is_offered_for_nothing_else() {
    let (mut a, mut b, connection) = pair();
    let offered = |org: &Org| -> Vec<(String, Vec<String>)> {
        let suggestions = suggestions(org.state(), org.connection(connection)).into_iter();
        let names = |s: &tieline_core::pairing::Suggestion| {
            s.candidates.iter().map(|candidate| candidate.local.to_string()).collect()
        };
        suggestions.map(|s| (s.remote.to_string(), names(&s))).collect()
    };
    let both = || vec!["Fund__c".to_owned(), "Note__c".to_owned()];
    assert_eq!(offered(&a), [("Other__c".to_owned(), both()), ("Request__c".to_owned(), both())]);
    subscribe(&mut b, connection, "Fund__c", "Request__c").unwrap();
    settle_all(&mut a, &mut b, connection);
    let expected = [
        ("Other__c".to_owned(), vec!["Note__c".to_owned()]),
        ("Request__c".to_owned(), vec!["Fund__c".to_owned()]),
    ];
    assert_eq!(offered(&a), expected, "the partner's mapping leaves one each");
    assert_eq!(
        offered(&b),
        [("Fund__c".to_owned(), vec![]), ("Note__c".to_owned(), vec!["Other__c".to_owned()])]
    );
    let same = suggestions(a.state(), a.connection(connection));
    let fields: Vec<_> = same[0].candidates[0].fields.iter().map(|(from, _)| from.as_str()).collect();
    assert_eq!(fields, ["Name", "Size"]);
}

#[test]
fn of_two_rules_that_cross_the_inviters_stands_and_the_other_takes_nothing_new() {
    let (mut a, mut b, connection) = pair();
    subscribe(&mut a, connection, "Request__c", "Fund__c").unwrap();
    subscribe(&mut b, connection, "Fund__c", "Other__c").unwrap();
    settle_all(&mut a, &mut b, connection);
    for org in [&a, &b] {
        let alarms = &org.state().alarms;
        assert_eq!(alarms.iter().filter(|a| a.alarm.code == "mapping_conflict").count(), 1, "{}", org.name);
    }
    let overruled = |org: &Org, remote: &str| {
        let connection = org.connection(connection);
        connection.overrules(&connection.subscribe[&name::<tieline_core::ObjectName>(remote)]).is_some()
    };
    assert!(!overruled(&a, "Request__c") && overruled(&b, "Fund__c"));

    // What the inviter takes goes on; what the other one takes waits in the inbox, with the reason.
    let request = b.create("Request__c", &[("Name", Value::text("r"))]);
    let fund = a.create("Fund__c", &[("Name", Value::text("f"))]);
    b.run(Command::Forward { record: request, connection });
    let Reply::Share(share) = a.run(Command::Forward { record: fund, connection }) else { panic!("a share") };
    settle_all(&mut a, &mut b, connection);
    assert_eq!(a.state().count_of(&name("Fund__c")), 2);
    assert_eq!(b.state().share(connection, share).unwrap().status, ShareStatus::Offered);
    assert_eq!(b.state().count_of(&name("Other__c")), 0);
    let accept = b.attempt(Command::Accept { connection, share, owner: None });
    refused(accept, ReasonCode::MappingConflict, "map Fund__c to Request__c");
    // Only the pair that stands can be saved, and then it is taken.
    b.run(Command::Subscribe { connection, object: name("Fund__c"), rule: None });
    refused(subscribe(&mut b, connection, "Fund__c", "Other__c"), ReasonCode::MappingConflict, "Request__c");
    subscribe(&mut b, connection, "Fund__c", "Request__c").unwrap();
    b.run(Command::Accept { connection, share, owner: None });
    settle_all(&mut a, &mut b, connection);
    assert_eq!(b.state().share(connection, share).unwrap().status, ShareStatus::Active);
    assert!(!overruled(&b, "Fund__c"));
    // The inviter may change its rule although the partner's contradicted it.
    subscribe(&mut a, connection, "Request__c", "Fund__c").unwrap();
}
