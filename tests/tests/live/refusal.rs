//! An update that the receiver's validation rule refuses: known on both sides, and mended later.

use tieline_core::command::Command;
use tieline_core::outcome::Outcome;
use tieline_core::reason::ReasonCode;
use tieline_core::schema::{ObjectSchema, ValidationRule};
use tieline_core::{ObjectName, ShareId};
use tieline_tests::live::{Org, Pair, text};

/// Lets an org refuse leads from Atlantis, or not.
async fn refuse_atlantis(org: &Org, active: bool) {
    let lead: ObjectName = "Lead".parse().unwrap();
    let known = org.handle().read(|state| ObjectSchema::clone(state.object(&lead).unwrap())).await;
    let rule = ValidationRule {
        name: "no_atlantis".to_owned(),
        condition: "City == 'Atlantis'".to_owned(),
        message: "Atlantis is not served: choose a city above the sea".to_owned(),
        field: Some("City".parse().unwrap()),
        active,
    };
    let schema = Box::new(ObjectSchema { rules: vec![rule], ..known });
    org.execute(Command::DefineObject { schema }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_update_is_known_on_both_sides_and_comes_through_when_the_rule_goes() {
    let pair = Pair::start().await;
    refuse_atlantis(&pair.b, true).await;
    let (lead, copy) = pair.share_lead("Curie").await;
    let share = ShareId::derive(pair.connection, &pair.acme.name, lead);
    pair.a.update(lead, &[("City", text("Atlantis")), ("Website", text("https://sea.example"))]).await;

    for (org, at_partner) in [(&pair.b, false), (&pair.a, true)] {
        let problem =
            org.until("the refusal", |state| state.share(pair.connection, share)?.problem.clone()).await;
        assert_eq!((problem.outcome, problem.at_partner), (Outcome::Rejected, at_partner));
        assert_eq!(problem.reasons[0].code, ReasonCode::RuleRefused);
        assert_eq!(problem.reasons[0].field.as_ref().map(|field| field.as_str()), Some("City"));
    }
    // A refused update changes no field, and another one is not held up by it.
    pair.a.update(lead, &[("Website", text("https://land.example"))]).await;
    pair.b.until_value(copy, "Website", &text("https://land.example")).await;
    pair.b.until_value(copy, "City", &tieline_core::value::Value::Null).await;

    refuse_atlantis(&pair.b, false).await;
    pair.b.until_value(copy, "City", &text("Atlantis")).await;
    for org in [&pair.a, &pair.b] {
        org.until("no problem", |state| state.share(pair.connection, share)?.problem.is_none().then_some(()))
            .await;
    }
    pair.until_settled().await;
    pair.stop().await;
}
