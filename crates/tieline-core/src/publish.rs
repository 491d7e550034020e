//! What leaves the org: publish rules, the catalogue a partner sees, and the mask.
//!
//! [`visible`] is the only function through which a field can leave the org, on every path:
//! frames, resends, snapshots, previews of offers, outcomes, support files. It takes the rule that
//! is in force when something is sent, not the one in force when it was written.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::reason::{Reason, ReasonCode};
use crate::schema::{FieldSchema, FieldType, ObjectSchema, supported};
use crate::{FieldName, ObjectName, Owner};

/// What one side sends of one object over one connection (S2S-20).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishRule {
    /// The object of this org.
    pub object: ObjectName,
    /// The fields, sorted by name.
    #[serde(default)]
    pub fields: Vec<FieldName>,
    /// Whether the partner is told who owns each shared record (OPS-19).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub owners: bool,
    /// Rises by one with each saved change.
    #[serde(default)]
    pub version: u32,
}

impl PublishRule {
    /// A rule with its fields sorted, each once.
    #[must_use]
    pub fn new(object: ObjectName, mut fields: Vec<FieldName>, version: u32) -> Self {
        fields.sort_unstable();
        fields.dedup();
        Self { object, fields, owners: false, version }
    }

    /// The same rule, with or without the owners of records.
    #[must_use]
    pub fn with_owners(self, owners: bool) -> Self {
        Self { owners, ..self }
    }

    /// Whether the rule lets a field out.
    #[must_use]
    pub fn publishes(&self, field: &FieldName) -> bool {
        self.fields.binary_search(field).is_ok()
    }

    /// Whether the rule can be saved: it is of this object, its fields are there, sorted, each
    /// once, and may be published (S2S-24).
    ///
    /// # Errors
    /// Every reason against it.
    pub fn check(&self, object: &ObjectSchema) -> Result<(), Vec<Reason>> {
        if self.object != object.name {
            let text = format!("the publish rule is of {}, not of {}", self.object, object.name);
            return Err(vec![Reason::new(ReasonCode::IncompatibleObjects, text)]);
        }
        let mut reasons: Vec<Reason> = supported(&object.name).err().into_iter().collect();
        reasons.extend(self.fields.iter().filter_map(|field| object.publishable(field).err()));
        let unordered = self.fields.windows(2).find_map(|pair| match pair {
            [first, second] if first >= second => Some(second),
            _ => None,
        });
        if let Some(field) = unordered {
            let text =
                format!("{}.{field} stands twice or out of order; list each field once, sorted", self.object);
            reasons.push(Reason::new(ReasonCode::Duplicate, text).on_field(field));
        }
        if reasons.is_empty() { Ok(()) } else { Err(reasons) }
    }
}

/// What of `items` may leave the org under `rule`, and how many may not.
///
/// Without a rule nothing leaves. The order of the items is kept.
#[must_use]
pub fn visible<T>(
    rule: Option<&PublishRule>,
    mut items: Vec<T>,
    name: impl Fn(&T) -> &FieldName,
) -> (Vec<T>, usize) {
    let before = items.len();
    items.retain(|item| rule.is_some_and(|rule| rule.publishes(name(item))));
    let withheld = before - items.len();
    (items, withheld)
}

/// The owner of a record, if that may leave the org under `rule`.
#[must_use]
pub fn visible_owner<'a>(rule: Option<&PublishRule>, owner: &'a Owner) -> Option<&'a Owner> {
    rule.is_some_and(|rule| rule.owners).then_some(owner)
}

/// A field as the partner's catalogue shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogueField {
    /// The API name at the partner.
    pub name: FieldName,
    /// What people see at the partner.
    #[serde(default)]
    pub label: String,
    /// Which values it keeps.
    #[serde(default)]
    pub field_type: FieldType,
    /// Most characters of its text, or of each value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u32>,
    /// Most digits of its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<u8>,
    /// Most digits of its number after the point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<u8>,
    /// The active values of its picklist.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<SmolStr>,
    /// Whether its picklist takes no other value.
    #[serde(default)]
    pub restricted: bool,
    /// Whether the partner's records always have a value.
    #[serde(default)]
    pub required: bool,
    /// The partner's object that it refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub references: Option<ObjectName>,
}

/// An object as the partner's catalogue shows it: what it publishes to this org (S2S-21).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogueObject {
    /// The API name at the partner.
    pub object: ObjectName,
    /// What people see at the partner.
    #[serde(default)]
    pub label: String,
    /// The published fields, sorted by name.
    #[serde(default)]
    pub fields: Vec<CatalogueField>,
    /// The published fields that come with the grant; the others follow at once after it (S2S-48).
    #[serde(default)]
    pub create_set: Vec<FieldName>,
    /// The published fields that an offer carries (S2S-46); nothing if the partner does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view_fields: Option<Vec<FieldName>>,
}

impl CatalogueObject {
    /// The published field of exactly this name.
    #[must_use]
    pub fn field(&self, name: &FieldName) -> Option<&CatalogueField> {
        // A partner's list may come in any order, so it is not searched by halves.
        self.fields.iter().find(|field| field.name == *name)
    }
}

/// What the partner sees of `object` under `rule`: only published fields that the object has.
#[must_use]
pub fn catalogue_object(object: &ObjectSchema, rule: &PublishRule) -> CatalogueObject {
    // A field that has become a formula since the rule was saved is gone from the catalogue.
    let may = |name: &FieldName| object.publishable(name).is_ok();
    let fields = object.fields.iter().filter(|field| may(&field.name)).collect();
    let (fields, _) = visible(Some(rule), fields, |field| &field.name);
    let published = |names: &[FieldName]| {
        let names = names.iter().filter(|name| may(name)).cloned().collect();
        visible(Some(rule), names, |name| name).0
    };
    let create_set = published(&object.create_set);
    let view_fields = Some(published(&object.view_fields));
    CatalogueObject {
        object: object.name.clone(),
        label: object.label.clone(),
        fields: fields.into_iter().map(catalogue_field).collect(),
        create_set,
        view_fields,
    }
}

fn catalogue_field(field: &FieldSchema) -> CatalogueField {
    CatalogueField {
        name: field.name.clone(),
        label: field.label.clone(),
        field_type: field.field_type,
        length: field.length,
        precision: field.precision,
        scale: field.scale,
        values: field.values.iter().filter(|v| v.active).map(|v| v.value.clone()).collect(),
        restricted: field.restricted,
        required: field.required,
        references: field.references.clone(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::schema::standard_objects;

    fn lead() -> ObjectSchema {
        standard_objects().into_iter().find(|object| object.name.as_str() == "Lead").unwrap()
    }

    fn rule(fields: &[&str]) -> PublishRule {
        PublishRule::new("Lead".parse().unwrap(), fields.iter().map(|f| f.parse().unwrap()).collect(), 1)
    }

    #[test]
    fn rules_are_checked_field_by_field() {
        assert_eq!(rule(&["Status", "FirstName", "Status"]).check(&lead()), Ok(()));
        let reasons = rule(&["Stauts", "CreatedDate"]).check(&lead()).unwrap_err();
        let codes: Vec<ReasonCode> = reasons.iter().map(|reason| reason.code).collect();
        assert_eq!(codes, [ReasonCode::NotPublishable, ReasonCode::UnknownField]);
        assert!(reasons[0].message.contains("audit field"), "{}", reasons[0]);
        assert!(reasons[1].message.contains("did you mean Status?"), "{}", reasons[1]);
        let unsorted =
            PublishRule { fields: rule(&["City", "Email"]).fields.into_iter().rev().collect(), ..rule(&[]) };
        assert_eq!(unsorted.check(&lead()).unwrap_err()[0].code, ReasonCode::Duplicate);
        let other = PublishRule { object: "Account".parse().unwrap(), ..rule(&[]) };
        assert_eq!(other.check(&lead()).unwrap_err()[0].code, ReasonCode::IncompatibleObjects);
    }

    #[test]
    fn the_catalogue_shows_what_is_published_and_no_more() {
        let catalogue = catalogue_object(&lead(), &rule(&["Status", "Email", "Description", "CreatedDate"]));
        let names: Vec<&str> = catalogue.fields.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["Description", "Email", "Status"]);
        let set: Vec<&str> = catalogue.create_set.iter().map(FieldName::as_str).collect();
        assert_eq!(set, ["Status", "Email"]);
        let shown = catalogue_object(&lead(), &rule(&["Status", "City"])).view_fields.unwrap();
        assert_eq!(
            shown.iter().map(FieldName::as_str).collect::<Vec<_>>(),
            ["Status"],
            "City is in no offer"
        );
        let status = catalogue.field(&"Status".parse().unwrap()).unwrap();
        assert!(status.required && status.values.len() == 4, "{status:?}");
        let bytes = rmp_serde::to_vec_named(&catalogue).unwrap();
        assert_eq!(rmp_serde::from_slice::<CatalogueObject>(&bytes).unwrap(), catalogue);
    }

    /// A newer partner's field type and attributes do not make its catalogue unreadable (S2S-31).
    #[test]
    fn a_newer_catalogue_is_readable() {
        #[derive(Serialize)]
        struct Newer {
            name: &'static str,
            field_type: u16,
            colour: &'static str,
        }
        let newer = Newer { name: "Place", field_type: 900, colour: "red" };
        let field: CatalogueField = rmp_serde::from_slice(&rmp_serde::to_vec_named(&newer).unwrap()).unwrap();
        assert_eq!((field.name.as_str(), field.field_type), ("Place", FieldType::Unknown));
    }

    #[test]
    fn without_a_rule_nothing_leaves() {
        let items = vec!["Email".parse::<FieldName>().unwrap()];
        assert_eq!(visible(None, items, |name| name), (Vec::new(), 1));
    }

    proptest! {
        /// Exactly the published items leave, in their order, and each that does not is counted.
        #[test]
        fn the_mask_lets_out_what_is_published(published in prop::collection::vec("[A-E]", 0..4), items in prop::collection::vec("[A-H]", 0..9)) {
            let rule = rule(&published.iter().map(String::as_str).collect::<Vec<_>>());
            let items: Vec<(FieldName, usize)> = items.iter().enumerate().map(|(i, n)| (n.parse().unwrap(), i)).collect();
            let (out, withheld) = visible(Some(&rule), items.clone(), |item| &item.0);
            let expected: Vec<_> = items.iter().filter(|item| published.contains(&item.0.to_string())).cloned().collect();
            prop_assert_eq!(withheld, items.len() - expected.len());
            prop_assert_eq!(out, expected);
        }
    }
}
