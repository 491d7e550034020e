//! Converting a lead (S2S-56).

use tieline_core::command::{Command, Conversion, Reply, SharingCommand};
use tieline_core::conversion::ConversionMap;
use tieline_core::message::EndReason;
use tieline_core::state::ShareStatus;
use tieline_core::value::{Date, Value};
use tieline_core::{RecordId, ShareId};

use crate::kit::{Org, name, settle_all, standard_pair, values};

const LEAD: [&str; 4] = ["LastName", "Company", "City", "Status"];

fn lead(org: &mut Org) -> RecordId {
    let given = [
        ("FirstName", Value::text("Marie")),
        ("LastName", Value::text("Curie")),
        ("Company", Value::text("Sorbonne")),
        ("City", Value::text("Paris")),
        ("Email", Value::text("marie@sorbonne.example")),
        ("Industry", Value::picklist("Education".into())),
        ("LeadSource", Value::picklist("Web".into())),
    ];
    org.create("Lead", &given)
}

fn convert(org: &mut Org, lead: RecordId, conversion: Conversion) -> Reply {
    org.run(Command::Sharing(SharingCommand::Convert { lead, conversion: Box::new(conversion) }))
}

fn text(org: &Org, record: RecordId, field: &str) -> String {
    match org.record(record).value(&name(field)) {
        Value::Text(text) | Value::Picklist(text) => text.to_string(),
        other => panic!("{field} is {other:?}"),
    }
}

#[test]
fn a_lead_becomes_an_account_a_contact_and_an_opportunity() {
    let (mut a, _, _) = standard_pair(&[]);
    let id = lead(&mut a);
    let opportunity = Some(values(&[("Amount", Value::Decimal("10.5".parse().unwrap()))]));
    let conversion = Conversion { opportunity, ..Conversion::default() };
    let Reply::Converted { account, contact, opportunity: Some(opportunity) } =
        convert(&mut a, id, conversion)
    else {
        panic!("three records")
    };
    for (record, field, expected) in [
        (account, "Name", "Sorbonne"),
        (account, "BillingCity", "Paris"),
        (account, "Industry", "Education"),
        (account, "AccountSource", "Web"),
        (contact, "FirstName", "Marie"),
        (contact, "LastName", "Curie"),
        (contact, "Email", "marie@sorbonne.example"),
        (contact, "MailingCity", "Paris"),
        (opportunity, "Name", "Sorbonne -"),
        (opportunity, "StageName", "Prospecting"),
        (id, "Status", "Closed - Converted"),
    ] {
        assert_eq!(text(&a, record, field), expected, "{field}");
    }
    let value = |record, field: &str| a.record(record).value(&name(field)).clone();
    assert_eq!(value(contact, "AccountId"), Value::Reference(account));
    assert_eq!(value(opportunity, "AccountId"), Value::Reference(account));
    let Value::Date(closes) = value(opportunity, "CloseDate") else { panic!("a day") };
    // The cases begin in November 2023.
    assert_eq!(closes, "2023-12-31".parse().unwrap());
    assert_eq!(value(id, "IsConverted"), Value::Boolean(true));
    assert_eq!(value(id, "ConvertedDate"), Value::Date(Date::of(a.now).unwrap()));
    assert_eq!(value(id, "ConvertedContactId"), Value::Reference(contact));
    let again = Command::Sharing(SharingCommand::Convert { lead: id, conversion: Box::default() });
    assert_eq!(a.attempt(again).unwrap_err().code, "converted");
    let stray = Command::Sharing(SharingCommand::Convert { lead: account, conversion: Box::default() });
    assert_eq!(a.attempt(stray).unwrap_err().code, "not_a_lead");
}

#[test]
fn a_lead_joins_an_account_and_fills_what_is_empty_there() {
    let (mut a, _, _) = standard_pair(&[]);
    let id = lead(&mut a);
    let account = a.create("Account", &[("Name", Value::text("La Sorbonne"))]);
    let conversion = Conversion { account: Some(account), ..Conversion::default() };
    let Reply::Converted { account: joined, opportunity, .. } = convert(&mut a, id, conversion) else {
        panic!("a conversion")
    };
    assert_eq!((joined, opportunity), (account, None));
    assert_eq!(
        (text(&a, account, "Name"), text(&a, account, "BillingCity")),
        ("La Sorbonne".into(), "Paris".into())
    );
    assert_eq!(a.state().count_of(&name("Account")), 1);
    let wrong = Conversion { account: Some(id), ..Conversion::default() };
    let lead = lead(&mut a);
    let refused = Command::Sharing(SharingCommand::Convert { lead, conversion: Box::new(wrong) });
    assert_eq!(a.attempt(refused).unwrap_err().code, "record_refused");
    assert_eq!(a.record(lead).value(&name("IsConverted")), &Value::Null, "nothing of it happened");
}

/// The partner sees that the lead was converted, keeps its copy, and converts nothing.
#[test]
fn a_converted_lead_is_inactive_at_the_partner_and_what_it_became_is_shared() {
    let contact_fields: &[&str] = &["LastName", "FirstName"];
    let (mut a, mut b, over) = standard_pair(&[("Lead", &LEAD), ("Contact", contact_fields)]);
    let id = lead(&mut a);
    a.run(Command::Forward { record: id, connection: over });
    settle_all(&mut a, &mut b, over);
    let share = ShareId::derive(over, &a.name, id);
    b.run(Command::Accept { connection: over, share, owner: None });
    settle_all(&mut a, &mut b, over);
    let copy = b.state().share(over, share).unwrap().record.unwrap();
    let Reply::Converted { contact, .. } = convert(&mut a, id, Conversion::default()) else {
        panic!("a conversion")
    };
    settle_all(&mut a, &mut b, over);
    for org in [&a, &b] {
        let share = org.state().share(over, share).unwrap();
        assert_eq!(share.status, ShareStatus::Inactive(EndReason::Converted), "{}", org.name);
        assert_eq!(share.status.label(), "inactive (converted)");
    }
    assert_eq!(text(&b, copy, "Status"), "Open - Not Contacted", "nothing is converted there");
    assert_eq!(b.record(copy).value(&name("IsConverted")), &Value::Null);
    assert_eq!(b.state().count_of(&name("Contact")), 0);
    let refused = a.attempt(Command::Forward { record: id, connection: over }).unwrap_err();
    assert_eq!(refused.code, "converted");
    a.run(Command::Forward { record: contact, connection: over });
    settle_all(&mut a, &mut b, over);
    let offered = b.connection(over).shares.values().filter(|share| share.status == ShareStatus::Offered);
    assert_eq!(offered.map(|share| share.object.to_string()).collect::<Vec<_>>(), ["Contact"]);
    assert_eq!(b.connection(over).inbound.counts.of(tieline_core::outcome::Outcome::Rejected), 0);
}

#[test]
fn an_org_says_itself_which_fields_become_which() {
    let (mut a, _, _) = standard_pair(&[]);
    let set = |contact: &[(&str, &str)]| {
        let contact = contact.iter().map(|(to, from)| (name(to), name(from))).collect();
        let map = ConversionMap { contact: Some(contact), ..ConversionMap::default() };
        Command::Sharing(SharingCommand::SetConversionMap { map })
    };
    let refused =
        a.attempt(set(&[("Town", "City"), ("CreatedDate", "City"), ("LastName", "Nobody")])).unwrap_err();
    assert_eq!(refused.reasons.len(), 3, "{refused}");
    a.run(set(&[("LastName", "LastName"), ("Department", "Company")]));
    assert_eq!(a.run(set(&[("LastName", "LastName"), ("Department", "Company")])), Reply::Unchanged);
    let id = lead(&mut a);
    let Reply::Converted { account, contact, .. } = convert(&mut a, id, Conversion::default()) else {
        panic!("records")
    };
    assert_eq!(text(&a, contact, "Department"), "Sorbonne");
    assert!(
        a.record(contact).value(&name("Email")).is_null(),
        "what the table leaves out stays with the lead"
    );
    assert_eq!(text(&a, account, "Name"), "Sorbonne", "the account is as everywhere");
}
