//! The objects and fields that features add to those of the dialects.

use tieline_core::mapping::{FieldMapping, Source, SubscribeRule};
use tieline_core::publish::{CatalogueObject, PublishRule};
use tieline_core::schema::{FieldKind, FieldSchema, FieldType, ObjectSchema, standard_objects};
use tieline_core::{FieldName, ObjectName};

use super::{Feature, Features};
use crate::sim::dialect::{COUNT, DIALECTS, Dialect};
use crate::sim::outside::name;

/// The additional fields of the main object: reference, computed, mapped by a formula, drifting.
const MORE: [[&str; 4]; 3] = [
    ["Parent", "Sum", "Digest", "Mark"],
    ["Above", "Total", "Extract", "Tag"],
    ["Root", "Weight", "Gist", "Badge"],
];
/// The second object and its fields: name, what it belongs to, a number.
const ITEM: [[&str; 4]; 3] = [
    ["Deal_Part__c", "Part", "Deal", "Pieces"],
    ["Offer_Line__c", "Line", "Offer", "Quantity"],
    ["Case_Step__c", "Action", "Case", "Times"],
];

/// A word of a table with a row for each dialect.
#[expect(clippy::indexing_slicing, reason = "rows and columns are those of this file")]
const fn word(table: &[[&'static str; 4]; 3], at: usize, which: usize) -> &'static str {
    table[at % DIALECTS.len()][which]
}

/// The reference to another record of the object.
#[must_use]
pub(in crate::sim) fn parent(at: usize) -> FieldName {
    name(word(&MORE, at, 0))
}

/// The field that is computed here.
#[must_use]
pub(in crate::sim) fn sum(at: usize) -> FieldName {
    name(word(&MORE, at, 1))
}

/// The field that is computed from what the partner sends.
#[must_use]
pub(in crate::sim) fn derived(at: usize) -> FieldName {
    name(word(&MORE, at, 2))
}

/// The field whose type changes.
#[must_use]
pub(in crate::sim) fn flag(at: usize) -> FieldName {
    name(word(&MORE, at, 3))
}

/// The object of parts.
#[must_use]
pub(in crate::sim) fn item(at: usize) -> ObjectName {
    name(word(&ITEM, at, 0))
}

/// A field of a part: its name, what it belongs to, its number.
#[must_use]
pub(in crate::sim) fn part_field(at: usize, which: usize) -> FieldName {
    name(word(&ITEM, at, 1 + which.min(2)))
}

/// What the flag of an org is now.
#[must_use]
pub(super) const fn flag_type(drift: u32) -> FieldType {
    match drift % 3 {
        0 => FieldType::Text,
        1 => FieldType::Integer,
        _ => FieldType::Date,
    }
}

/// The fields that features add to the main object of an org.
pub(in crate::sim) fn extra_fields(at: usize, features: Features, drift: u32) -> Vec<FieldSchema> {
    let dialect = Dialect::of(at);
    let mut fields = Vec::new();
    if features.has(Feature::Links) {
        let references = Some(dialect.object());
        fields.push(FieldSchema { references, ..FieldSchema::new(parent(at), FieldType::Reference) });
    }
    if features.has(Feature::Computed) {
        let expression = Some(format!("{} * 2 + 1", dialect.field(COUNT)));
        let kind = FieldKind::Formula;
        fields.push(FieldSchema { kind, expression, ..FieldSchema::new(sum(at), FieldType::Integer) });
        fields.push(FieldSchema::new(derived(at), FieldType::Integer));
    }
    if features.has(Feature::Drift) {
        fields.push(FieldSchema::new(flag(at), flag_type(drift)));
    }
    fields
}

/// The object of parts of an org.
pub(super) fn part_schema(at: usize) -> ObjectSchema {
    let owner = FieldSchema {
        references: Some(Dialect::of(at).object()),
        required: true,
        ..FieldSchema::new(part_field(at, 1), FieldType::Reference)
    };
    let title = FieldSchema {
        required: true,
        length: Some(80),
        ..FieldSchema::new(part_field(at, 0), FieldType::Text)
    };
    let mut schema = ObjectSchema {
        name: item(at),
        label: item(at).as_str().to_owned(),
        name_field: part_field(at, 0),
        fields: vec![title, owner, FieldSchema::new(part_field(at, 2), FieldType::Integer)],
        rules: Vec::new(),
        create_set: vec![part_field(at, 0), part_field(at, 1)],
        view_fields: vec![part_field(at, 2)],
        record_types: Vec::new(),
        sharing_by_hand: true,
        version: 0,
    };
    schema.sort();
    schema
}

/// The standard objects that have to do with sharing here.
pub(in crate::sim) struct Standard;

impl Standard {
    const LEAD: (&'static str, &'static [&'static str]) = ("Lead", &["LastName", "Company", "City"]);
    const CONTACT: (&'static str, &'static [&'static str]) =
        ("Contact", &["LastName", "Department", "AccountName", "AccountBillingCity"]);
    const TASK: (&'static str, &'static [&'static str]) = ("Task", &["Subject", "Status"]);

    /// Which of them are published, with their fields.
    fn published(features: Features) -> Vec<(&'static str, &'static [&'static str])> {
        let mut all = Vec::new();
        if features.has(Feature::Conversion) {
            all.push(Self::LEAD);
        }
        if features.has(Feature::Accounts) {
            all.push(Self::CONTACT);
        }
        if features.has(Feature::Tasks) {
            all.push(Self::TASK);
        }
        all
    }

    /// The definitions that a run needs.
    #[must_use]
    pub(in crate::sim) fn schemas(features: Features) -> Vec<ObjectSchema> {
        let mut wanted: Vec<&str> = Self::published(features).iter().map(|(object, _)| *object).collect();
        if features.has(Feature::Conversion) || features.has(Feature::Accounts) {
            wanted.extend(["Account", "Contact"]);
        }
        standard_objects().into_iter().filter(|object| wanted.contains(&object.name.as_str())).collect()
    }
}

/// The objects that features add, but for the main one.
#[must_use]
pub(super) fn extra_objects(at: usize, features: Features) -> Vec<ObjectSchema> {
    let mut objects = Standard::schemas(features);
    if features.has(Feature::Parts) {
        objects.push(part_schema(at));
    }
    objects
}

/// What an org publishes besides its main object.
#[must_use]
pub(super) fn publish_rules(at: usize, features: Features) -> Vec<PublishRule> {
    let named = |(object, fields): (&str, &[&str])| {
        PublishRule::new(name(object), fields.iter().map(|field| name(field)).collect(), 0)
    };
    let mut rules: Vec<PublishRule> = Standard::published(features).into_iter().map(named).collect();
    if features.has(Feature::Parts) {
        rules.push(PublishRule::new(item(at), (0..3).map(|which| part_field(at, which)).collect(), 0));
    }
    rules
}

/// How an org takes an object of a partner that is not its main one.
#[must_use]
pub(super) fn subscribe_rule(
    at: usize,
    partner: usize,
    catalogue: &CatalogueObject,
    auto_accept: bool,
) -> Option<SubscribeRule> {
    let is_part = catalogue.object == item(partner);
    if !is_part && catalogue.object.is_custom() {
        return None;
    }
    let fields = if is_part {
        (0..3).map(|which| FieldMapping::rename(part_field(partner, which), part_field(at, which))).collect()
    } else {
        // Fields of the account are no fields of the copy.
        let own = catalogue.fields.iter().filter(|field| !field.name.as_str().starts_with("Account"));
        own.map(|field| FieldMapping::rename(field.name.clone(), field.name.clone())).collect()
    };
    Some(SubscribeRule {
        remote: catalogue.object.clone(),
        local: if is_part { item(at) } else { catalogue.object.clone() },
        auto_accept,
        accept_whole: false,
        owner: None,
        fields,
        version: 0,
    })
}

/// What features add to how the main object is taken.
#[must_use]
pub(in crate::sim) fn extra_mappings(
    at: usize,
    partner: usize,
    catalogue: &CatalogueObject,
    features: Features,
) -> Vec<FieldMapping> {
    let mut fields = Vec::new();
    let mut rename = |remote: FieldName, local: FieldName| {
        if catalogue.field(&remote).is_some() {
            fields.push(FieldMapping::rename(remote, local));
        }
    };
    if features.has(Feature::Links) {
        rename(parent(partner), parent(at));
    }
    if features.has(Feature::Drift) {
        rename(flag(partner), flag(at));
    }
    let count = Dialect::of(partner).field(COUNT);
    if features.has(Feature::Computed) && catalogue.field(&count).is_some() {
        let source = Source::Computed(format!("{count} + 7"));
        fields.push(FieldMapping { source, ..FieldMapping::rename(count, derived(at)) });
    }
    fields
}
