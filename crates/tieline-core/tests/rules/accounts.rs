//! Accounts of accepted contacts: matched, made, or left alone (S2S-49).

use tieline_core::account::{AccountPlan, AccountRule};
use tieline_core::command::{Command, SharingCommand};
use tieline_core::schema::{ObjectSchema, ValidationRule};
use tieline_core::state::ShareStatus;
use tieline_core::value::Value;
use tieline_core::{ConnectionId, FieldName, RecordId, ShareId};

use crate::kit::{Org, fields, name, publish_rule, settle_all, standard, standard_pair};

const CARRIED: [&str; 4] =
    ["AccountName", "AccountBillingCity", "AccountBillingState", "AccountBillingCountry"];

/// Two orgs of which the first also publishes what its contacts carry of their accounts.
fn pair() -> (Org, Org, ConnectionId) {
    let contact: &[&str] = &["LastName", "FirstName"];
    let (mut a, mut b, over) = standard_pair(&[("Contact", contact)]);
    let published = [contact, &CARRIED].concat();
    let rule = Some(publish_rule(&name("Contact"), &published));
    a.run(Command::Publish { connection: over, object: name("Contact"), rule });
    settle_all(&mut a, &mut b, over);
    (a, b, over)
}

fn set(b: &mut Org, over: ConnectionId, rule: Option<AccountRule>) {
    let object = name("Contact");
    b.run(Command::Sharing(SharingCommand::SetAccountRule { connection: over, object, rule }));
}

fn account(org: &mut Org, named: &str, city: &str) -> RecordId {
    org.create("Account", &[("Name", Value::text(named)), ("BillingCity", Value::text(city))])
}

/// Offers a contact of an account to the other org; the share.
fn offered(a: &mut Org, b: &mut Org, over: ConnectionId, account: Option<RecordId>) -> ShareId {
    let mut given = vec![("LastName", Value::text("Curie"))];
    given.extend(account.map(|account| ("AccountId", Value::Reference(account))));
    let record = a.create("Contact", &given);
    a.run(Command::Forward { record, connection: over });
    settle_all(a, b, over);
    ShareId::derive(over, &a.name, record)
}

fn accept(a: &mut Org, b: &mut Org, over: ConnectionId, shares: &[ShareId]) {
    for share in shares {
        b.run(Command::Accept { connection: over, share: *share, owner: None });
    }
    settle_all(a, b, over);
}

/// The account of the copy.
fn account_of(b: &Org, over: ConnectionId, share: ShareId) -> Value {
    let copy = b.state().share(over, share).unwrap().record.expect("a copy");
    b.record(copy).value(&name("AccountId")).clone()
}

fn accounts(b: &Org) -> usize {
    b.state().count_of(&name("Account"))
}

#[test]
fn an_account_is_made_once_for_two_contacts_that_are_accepted_at_once() {
    let (mut a, mut b, over) = pair();
    set(&mut b, over, Some(AccountRule::default()));
    settle_all(&mut a, &mut b, over);
    let ours = account(&mut a, "La Sorbonne", "Paris");
    let (one, two) = (offered(&mut a, &mut b, over, Some(ours)), offered(&mut a, &mut b, over, Some(ours)));
    accept(&mut a, &mut b, over, &[one, two]);
    let Value::Reference(made) = account_of(&b, over, one) else { panic!("an account") };
    assert_eq!((account_of(&b, over, two), accounts(&b)), (Value::Reference(made), 1));
    let record = b.record(made);
    assert_eq!(record.value(&name("Name")), &Value::text("La Sorbonne"));
    assert_eq!(record.value(&name("BillingCity")), &Value::text("Paris"));
    assert!(record.shares.is_empty(), "it is not itself shared");
    assert_eq!(b.connection(over).inbound.counts.of(tieline_core::outcome::Outcome::Rejected), 0);
}

#[test]
fn an_account_that_is_here_is_matched_by_the_keys_that_came() {
    let (mut a, mut b, over) = pair();
    let by = |keys: &[&str], create| AccountRule { match_on: fields(keys), create, ..AccountRule::default() };
    let paris = account(&mut b, "LA-SORBONNE", "Paris");
    // Of two that match, the older is taken.
    b.now = b.now.plus_us(1);
    account(&mut b, "La Sorbonne", "Lyon");
    let cases = [
        (by(&["Name"], true), "la sorbonne", "Rome", Some(paris), 2),
        (by(&["Name", "BillingCity"], true), "La  Sorbonne", "paris", Some(paris), 2),
        (by(&["BillingCity"], false), "Other", "PARIS", Some(paris), 2),
        (by(&["Name"], false), "Collège de France", "Paris", None, 2),
        (by(&["Name", "BillingCity"], true), "La Sorbonne", "", Some(paris), 2),
        (by(&["Name", "BillingCity"], true), "La Sorbonne", "Nice", None, 3),
    ];
    for (rule, named, city, expected, left) in cases {
        set(&mut b, over, Some(rule.clone()));
        settle_all(&mut a, &mut b, over);
        let ours = account(&mut a, named, city);
        let share = offered(&mut a, &mut b, over, Some(ours));
        // What accepting would do is known before.
        let preview = b.state().share(over, share).unwrap().preview.clone();
        let plan = rule.plan(b.state(), |remote: &FieldName| preview.get(remote).cloned());
        accept(&mut a, &mut b, over, &[share]);
        let found = account_of(&b, over, share);
        match expected {
            Some(account) => {
                assert_eq!(found, Value::Reference(account), "{named} in {city}");
                assert!(matches!(plan, AccountPlan::Match { account: planned, .. } if planned == account));
            }
            None if rule.create => assert!(matches!(plan, AccountPlan::Create(_)), "{plan:?}"),
            None => assert_eq!((found, plan), (Value::Null, AccountPlan::Leave)),
        }
        assert_eq!(accounts(&b), left, "{named} in {city}");
    }
}

/// What the account is found by is in the offer, whatever its view fields are: so it can be looked at.
#[test]
fn an_offer_carries_what_its_account_is_found_by() {
    let (mut a, mut b, over) = pair();
    let bare = ObjectSchema { view_fields: vec![name("LastName")], ..standard("Contact") };
    a.run(Command::DefineObject { schema: Box::new(bare) });
    let rule = AccountRule { match_on: vec![name("Name"), name("BillingCity")], ..AccountRule::default() };
    let ours = account(&mut a, "La Sorbonne", "Paris");
    let preview = |b: &Org, share| b.state().share(over, share).unwrap().preview.clone();
    let before = offered(&mut a, &mut b, over, Some(ours));
    assert!(preview(&b, before).get(&name::<FieldName>("AccountName")).is_none());
    set(&mut b, over, Some(rule));
    settle_all(&mut a, &mut b, over);
    let share = offered(&mut a, &mut b, over, Some(ours));
    assert_eq!(preview(&b, share).get(&name::<FieldName>("AccountBillingCity")), Some(&Value::text("Paris")));
}

#[test]
fn without_a_rule_a_name_or_a_valid_account_nothing_is_made() {
    let (mut a, mut b, over) = pair();
    let ours = account(&mut a, "La Sorbonne", "Paris");
    let share = offered(&mut a, &mut b, over, Some(ours));
    accept(&mut a, &mut b, over, &[share]);
    assert_eq!((account_of(&b, over, share), accounts(&b)), (Value::Null, 0));

    set(&mut b, over, Some(AccountRule::default()));
    settle_all(&mut a, &mut b, over);
    let share = offered(&mut a, &mut b, over, None);
    accept(&mut a, &mut b, over, &[share]);
    assert_eq!((account_of(&b, over, share), accounts(&b)), (Value::Null, 0));

    // An account that the rules here refuse keeps the contact from being made, and says why.
    let mut strict = standard("Account");
    strict.rules.push(ValidationRule {
        name: "No Paris".to_owned(),
        condition: "BillingCity == 'Paris'".to_owned(),
        message: "Not in Paris: choose another city".to_owned(),
        field: Some(name("BillingCity")),
        active: true,
    });
    b.run(Command::DefineObject { schema: Box::new(strict) });
    let share = offered(&mut a, &mut b, over, Some(ours));
    accept(&mut a, &mut b, over, &[share]);
    let found = b.state().share(over, share).unwrap();
    assert_eq!((found.status, accounts(&b)), (ShareStatus::Granted, 0));
    let reason = &found.problem.as_ref().expect("a problem").reasons[0];
    assert!(reason.message.contains("its account: Not in Paris"), "{reason}");
    b.run(Command::DefineObject { schema: Box::new(standard("Account")) });
    b.run(Command::Retry { connection: over, share });
    assert_eq!(accounts(&b), 1);
    assert!(matches!(account_of(&b, over, share), Value::Reference(_)));
}
