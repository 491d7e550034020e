//! The standard objects, which every org has from the start and may extend.

use super::ObjectSchema;
use crate::ObjectName;
use crate::reason::{Reason, ReasonCode};

/// The files of the standard objects: name and TOML text, parents before their children.
#[must_use]
pub const fn standard_sources() -> [(&'static str, &'static str); 14] {
    [
        ("Account", include_str!("../../../../schemas/objects/account.toml")),
        ("Contact", include_str!("../../../../schemas/objects/contact.toml")),
        ("Lead", include_str!("../../../../schemas/objects/lead.toml")),
        ("Opportunity", include_str!("../../../../schemas/objects/opportunity.toml")),
        ("Case", include_str!("../../../../schemas/objects/case.toml")),
        ("Task", include_str!("../../../../schemas/objects/task.toml")),
        ("Event", include_str!("../../../../schemas/objects/event.toml")),
        ("Product2", include_str!("../../../../schemas/objects/product2.toml")),
        ("PricebookEntry", include_str!("../../../../schemas/objects/pricebook_entry.toml")),
        ("OpportunityLineItem", include_str!("../../../../schemas/objects/opportunity_line_item.toml")),
        ("Quote", include_str!("../../../../schemas/objects/quote.toml")),
        ("QuoteLineItem", include_str!("../../../../schemas/objects/quote_line_item.toml")),
        ("Order", include_str!("../../../../schemas/objects/order.toml")),
        ("OrderItem", include_str!("../../../../schemas/objects/order_item.toml")),
    ]
}

/// The standard objects (S2S-23), in the order of [`standard_sources`].
#[must_use]
pub fn standard_objects() -> Vec<ObjectSchema> {
    let object = |text| ObjectSchema::from_toml(text).and_then(|file| file.build(None));
    // The files are part of the program, and a test builds and checks each of them.
    #[expect(clippy::expect_used, reason = "constant input, tested")]
    standard_sources().map(|(_, text)| object(text).expect("a standard object parses")).into()
}

/// Objects of the reference system that cannot be shared, and what to do instead.
const UNSUPPORTED: &[(&str, &str)] = &[
    ("Pricebook2", "share the prices, as PricebookEntry: each names its price book"),
    ("Pricebook", "share the prices, as PricebookEntry: each names its price book"),
    ("Product", "share it as Product2"),
    ("OpportunityProduct", "share it as OpportunityLineItem"),
    ("Note", "put the text into a field of the record that it is about"),
    ("ContentNote", "put the text into a field of the record that it is about"),
    ("Attachment", "files stay in their org: share a link to the file in a url field"),
    ("ContentDocument", "files stay in their org: share a link to the file in a url field"),
    ("ContentVersion", "files stay in their org: share a link to the file in a url field"),
    ("Document", "files stay in their org: share a link to the file in a url field"),
];

/// Whether records of an object can be shared (S2S-23): the standard objects and all custom ones.
///
/// # Errors
/// `unsupported_object`, with the object and what to do instead.
pub fn supported(object: &ObjectName) -> Result<(), Reason> {
    if object.is_custom() || standard_sources().iter().any(|(name, _)| *name == object.as_str()) {
        return Ok(());
    }
    let remedy = UNSUPPORTED.iter().find(|(name, _)| *name == object.as_str()).map(|(_, remedy)| *remedy);
    let remedy = match remedy {
        Some(remedy) => remedy.to_owned(),
        None => format!("define {object}__c, for custom objects always can"),
    };
    let text = format!("records of {object} cannot be shared: {remedy}");
    Err(Reason::new(ReasonCode::UnsupportedObject, text))
}
