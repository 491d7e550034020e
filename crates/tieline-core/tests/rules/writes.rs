//! Writes that are refused: each thing that is wrong is one reason.

use tieline_core::command::{Command, Refusal};
use tieline_core::content::Content;
use tieline_core::message::Message;
use tieline_core::reason::{Reason, ReasonCode};
use tieline_core::value::Value;
use tieline_core::{FieldName, OrgId, ShareId};

use crate::kit::{Org, Partner, change_of, content, deal, grant_of, name, offer_of, stamp, values};

const SHARE: ShareId = ShareId(1);

fn about(reasons: &[Reason]) -> Vec<(ReasonCode, Option<&str>)> {
    reasons.iter().map(|reason| (reason.code, reason.field.as_ref().map(FieldName::as_str))).collect()
}

fn titled(value: Option<Value>, seconds: i64) -> Content {
    let given: Vec<_> = value.into_iter().map(|value| ("Title", value)).collect();
    content(&given, stamp(seconds, OrgId(9)))
}

/// A required field without a value, however that comes about.
#[test]
fn a_missing_value_is_one_reason() {
    let missing = [(ReasonCode::RequiredMissing, Some("Name"))];
    let blanks = [Value::Null, Value::text(" \n")];
    let mut here = Org::new("acme", deal());
    let mut globex = Partner::of(&mut here, "globex");
    let granted = titled(Some(Value::text("a deal")), 10);
    let record = globex.give(&mut here, SHARE, granted);

    let refused = |here: &Org, command: Command| -> Refusal { here.clone().attempt(command).unwrap_err() };
    let create = |given: &[(&str, Value)]| Command::CreateRecord {
        object: name("Deal__c"),
        values: values(given),
        owner: None,
    };
    assert_eq!(about(&refused(&here, create(&[])).reasons), missing, "created without it");
    for blank in &blanks {
        let given = [("Name", blank.clone())];
        assert_eq!(about(&refused(&here, create(&given)).reasons), missing, "created with {blank:?}");
        let update = Command::UpdateRecord { record, values: values(&given) };
        assert_eq!(about(&refused(&here, update).reasons), missing, "updated to {blank:?}");
    }
    let received =
        |here: &mut Org, globex: &mut Partner, message: Message| globex.send(here, message).reasons;
    for blank in blanks {
        let change = change_of(SHARE, 1, titled(Some(blank.clone()), 20)).into();
        let reasons = received(&mut here.clone(), &mut globex.clone(), change);
        assert_eq!(about(&reasons), missing, "a change to {blank:?}");
    }
    let share = ShareId(2);
    globex.send(&mut here, offer_of(share, 1));
    here.run(Command::Accept { connection: globex.connection, share, owner: None });
    let reasons = received(&mut here, &mut globex, grant_of(share, 1, titled(None, 20)).into());
    assert_eq!(about(&reasons), missing, "a grant without it");
}

/// Every field and rule that is wrong is named at once; rules only see values of the right type.
#[test]
fn all_that_is_wrong_is_said_at_once() {
    let mut here = Org::new("acme", deal());
    let create = |given: &[(&str, Value)]| Command::CreateRecord {
        object: name("Deal__c"),
        values: values(given),
        owner: None,
    };
    let wrong = create(&[("Count", Value::text("many")), ("Stage", Value::picklist("Shut".into()))]);
    let refusal = here.attempt(wrong).unwrap_err();
    assert_eq!(refusal.code, "record_refused");
    let all = [
        (ReasonCode::WrongType, Some("Count")),
        (ReasonCode::NotInPicklist, Some("Stage")),
        (ReasonCode::RequiredMissing, Some("Name")),
    ];
    assert_eq!(about(&refusal.reasons), all);
    let broken = create(&[("Count", Value::Integer(101)), ("Name", Value::text("big"))]);
    let refusal = here.attempt(broken).unwrap_err();
    assert_eq!(about(&refusal.reasons), [(ReasonCode::RuleRefused, None)]);
    assert_eq!(refusal.reasons[0].rule.as_deref(), Some("Noted"));
    assert!(here.state().records.is_empty(), "nothing has happened");
}
