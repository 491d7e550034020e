//! What the simulated orgs call things: the same kind of record under three sets of names, with
//! picklists that do not all invert, and rules that some updates break.

use std::collections::BTreeMap;
use std::str::FromStr;

use smol_str::SmolStr;
use tieline_core::mapping::{FieldMapping, PicklistMapping, Source, SubscribeRule, Unmapped};
use tieline_core::publish::{CatalogueObject, PublishRule};
use tieline_core::schema::{FieldSchema, FieldType, ObjectSchema, PicklistValue, ValidationRule};
use tieline_core::value::Value;
use tieline_core::vecmap::VecMap;
use tieline_core::{FieldName, ObjectName};

use super::rng::Rng;

/// The names of one org.
#[derive(Debug)]
pub(super) struct Dialect {
    object: &'static str,
    fields: [&'static str; 7],
    stages: &'static [&'static str],
}

/// The required name.
pub(super) const NAME: usize = 0;
/// A restricted picklist with a default.
pub(super) const STAGE: usize = 1;
/// An exact number.
pub(super) const AMOUNT: usize = 2;
/// A text that is often empty.
pub(super) const NOTE: usize = 3;
/// A whole number that rules look at.
pub(super) const COUNT: usize = 4;
/// A constant of the mapping.
pub(super) const CHANNEL: usize = 5;
/// A field that is never published.
pub(super) const SECRET: usize = 6;

/// How many fields may be published.
pub(super) const PUBLISHABLE: usize = 5;
/// How many rules an org may have in force; bit n of a set stands for rule n.
pub(super) const RULES: u32 = 4;

/// The dialects, one for each org.
pub(super) static DIALECTS: [Dialect; 3] = [
    Dialect {
        object: "Deal__c",
        fields: ["Name", "Stage", "Amount", "Note", "Count", "Channel", "Secret"],
        stages: &["New", "Open", "Won", "Lost"],
    },
    Dialect {
        object: "Offer__c",
        fields: ["Title", "Phase", "Worth", "Remark", "Number", "Source", "Hidden"],
        stages: &["one", "two", "three", "four"],
    },
    Dialect {
        // Only three stages: two of the others' become one here, and the way back is not the same.
        object: "Case__c",
        fields: ["Label", "Step", "Price", "Memo", "Tally", "Via", "Private"],
        stages: &["a", "b", "c"],
    },
];

/// A name that is a constant of this module.
fn name<T: FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    #[expect(clippy::expect_used, reason = "the names in this module are valid")]
    text.parse().expect("a valid name")
}

impl Dialect {
    /// The dialect of an org.
    #[must_use]
    pub(super) fn of(org: usize) -> &'static Self {
        #[expect(clippy::indexing_slicing, reason = "the remainder is below the length")]
        &DIALECTS[org % DIALECTS.len()]
    }

    /// The object.
    #[must_use]
    pub(super) fn object(&self) -> ObjectName {
        name(self.object)
    }

    /// A field.
    #[must_use]
    pub(super) fn field(&self, which: usize) -> FieldName {
        name(self.fields.get(which).copied().unwrap_or("Unknown"))
    }

    /// The definition of the object, with a set of rules in force.
    #[must_use]
    pub(super) fn schema(&self, rules: u32) -> ObjectSchema {
        let field = |which, field_type| FieldSchema::new(self.field(which), field_type);
        let stages = self.stages.iter().map(|stage| PicklistValue::new(*stage)).collect();
        let first = self.stages.first().map(|stage| Value::picklist(SmolStr::new_static(stage)));
        let mut schema = ObjectSchema {
            name: self.object(),
            label: self.object.to_owned(),
            name_field: self.field(NAME),
            fields: vec![
                FieldSchema { required: true, length: Some(80), ..field(NAME, FieldType::Text) },
                FieldSchema {
                    values: stages,
                    restricted: true,
                    default: first,
                    ..field(STAGE, FieldType::Picklist)
                },
                FieldSchema { precision: Some(12), scale: Some(2), ..field(AMOUNT, FieldType::Decimal) },
                FieldSchema { length: Some(200), ..field(NOTE, FieldType::Text) },
                field(COUNT, FieldType::Integer),
                FieldSchema { length: Some(20), ..field(CHANNEL, FieldType::Text) },
                FieldSchema { length: Some(20), ..field(SECRET, FieldType::Text) },
            ],
            rules: self.rules(rules),
            create_set: vec![self.field(NAME), self.field(STAGE), self.field(COUNT)],
            view_fields: vec![self.field(STAGE), self.field(AMOUNT)],
            record_types: Vec::new(),
            sharing_by_hand: true,
            version: 0,
        };
        schema.sort();
        schema
    }

    fn rules(&self, set: u32) -> Vec<ValidationRule> {
        let [_, stage, amount, note, count, ..] = self.fields;
        let last = self.stages.last().copied().unwrap_or_default();
        let conditions = [
            format!("{count} > 850"),
            format!("{stage} == \"{last}\" && isBlank({note})"),
            format!("{amount} > 900 && {count} < 100"),
            format!("{note}.startsWith(\"bad\")"),
        ];
        let in_force = (0..).zip(conditions).filter(|(bit, _)| set & (1 << bit) != 0);
        in_force
            .map(|(bit, condition)| ValidationRule {
                name: format!("rule_{bit}"),
                condition,
                message: format!("rule {bit} is broken: choose another value"),
                field: None,
                active: true,
            })
            .collect()
    }

    /// Some values for a record; `all` gives every field one.
    #[must_use]
    pub(super) fn values(&self, all: bool, rng: &mut Rng) -> VecMap<FieldName, Value> {
        let mut values = VecMap::new();
        for which in [NAME, STAGE, AMOUNT, NOTE, COUNT, SECRET] {
            if all && which != NOTE && which != AMOUNT || rng.chance(350) {
                values.insert(self.field(which), self.value(which, rng));
            }
        }
        values
    }

    fn value(&self, which: usize, rng: &mut Rng) -> Value {
        match which {
            NAME => Value::text(&format!("name {}", rng.below(1_000))),
            STAGE => Value::picklist(
                rng.pick(self.stages).map_or_else(SmolStr::default, |s| SmolStr::new_static(s)),
            ),
            AMOUNT if rng.chance(850) => {
                let cents = rng.between(-500, 120_000);
                let text = format!("{}.{:02}", cents / 100, (cents % 100).abs());
                let field = FieldSchema {
                    precision: Some(12),
                    scale: Some(2),
                    ..FieldSchema::new(self.field(AMOUNT), FieldType::Decimal)
                };
                Value::from_text(&field, &text).unwrap_or_default()
            }
            NOTE if rng.chance(700) => {
                let word = if rng.chance(100) { "bad" } else { "note" };
                Value::text(&format!("{word} {}", rng.below(100)))
            }
            COUNT => Value::Integer(rng.between(0, 1_000)),
            SECRET => Value::text(&format!("secret {}", rng.below(100))),
            // Amounts and notes are emptied now and then.
            _ => Value::Null,
        }
    }

    /// Publishes the name always and of the other fields most.
    #[must_use]
    pub(super) fn publish_rule(&self, everything: bool, rng: &mut Rng) -> PublishRule {
        let chosen = (0..PUBLISHABLE).filter(|which| *which == NAME || everything || rng.chance(750));
        PublishRule::new(self.object(), chosen.map(|which| self.field(which)).collect(), 0)
    }

    /// Takes what a partner of another dialect publishes.
    #[must_use]
    pub(super) fn subscribe_rule(
        &self,
        partner: &Self,
        catalogue: &CatalogueObject,
        quirks: &Quirks,
        rng: &mut Rng,
    ) -> SubscribeRule {
        let published = |which: usize| catalogue.field(&partner.field(which)).is_some();
        let mut fields: Vec<FieldMapping> = (0..PUBLISHABLE)
            .filter(|which| published(*which) && (*which == NAME || rng.chance(880)))
            .map(|which| FieldMapping::rename(partner.field(which), self.field(which)))
            .collect();
        for mapping in &mut fields {
            if mapping.local == self.field(STAGE) {
                mapping.picklist = Some(self.stages_of(partner, rng));
            }
            if mapping.local == self.field(NOTE) {
                mapping.approval = quirks.approval;
            }
        }
        let has_note = fields.iter().any(|mapping| mapping.local == self.field(NOTE));
        if quirks.crossed && !has_note {
            // One field of the partner in two fields here: it does not invert.
            fields.push(FieldMapping::rename(partner.field(NAME), self.field(NOTE)));
        }
        fields.push(FieldMapping {
            source: Source::Constant(Value::text("partner")),
            ..FieldMapping::rename(partner.field(NAME), self.field(CHANNEL))
        });
        SubscribeRule {
            remote: partner.object(),
            local: self.object(),
            auto_accept: quirks.auto_accept,
            accept_whole: quirks.whole,
            owner: None,
            fields,
            version: 0,
        }
    }

    fn stages_of(&self, partner: &Self, rng: &mut Rng) -> PicklistMapping {
        let last = self.stages.last().copied().unwrap_or_default();
        let pairs = partner.stages.iter().enumerate();
        let mut values: BTreeMap<SmolStr, SmolStr> = pairs
            .map(|(at, theirs)| {
                let ours = self.stages.get(at).copied().unwrap_or(last);
                (SmolStr::new_static(theirs), SmolStr::new_static(ours))
            })
            .collect();
        let unmapped = match rng.below(4) {
            0 => Unmapped::Reject,
            1 => Unmapped::Default(SmolStr::new_static(last)),
            _ => return PicklistMapping { values, unmapped: Unmapped::Reject },
        };
        // One stage is left out of the table: it is refused, or becomes the last one.
        if let Some(missing) = rng.pick(partner.stages) {
            values.remove(*missing);
        }
        PicklistMapping { values, unmapped }
    }
}

/// How an org subscribes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Quirks {
    /// Offers are accepted without a person.
    pub(super) auto_accept: bool,
    /// Copies are created with all fields in one.
    pub(super) whole: bool,
    /// Notes wait for approval.
    pub(super) approval: bool,
    /// The name goes into two fields.
    pub(super) crossed: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use tieline_core::publish::catalogue_object;

    #[test]
    fn every_dialect_is_a_good_schema_and_takes_every_other() {
        let mut rng = Rng::new(1);
        for (at, here) in DIALECTS.iter().enumerate() {
            let schema = here.schema((1 << RULES) - 1);
            schema.check().unwrap();
            for there in DIALECTS.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, d)| d) {
                let rule = there.publish_rule(true, &mut rng);
                rule.check(&there.schema(0)).unwrap();
                let catalogue = catalogue_object(&there.schema(0), &rule);
                let quirks = Quirks { crossed: true, ..Quirks::default() };
                here.subscribe_rule(there, &catalogue, &quirks, &mut rng).check(&schema, &catalogue).unwrap();
            }
        }
    }
}
