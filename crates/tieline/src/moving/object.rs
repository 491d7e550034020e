//! An object of the source as a file of ours, with what became of each part of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use tieline_core::reason::Reason;
use tieline_core::schema::{FieldSchema, FieldType, ObjectSchema, RecordType, ValidationRule};
use tieline_core::{FieldName, ObjectName};

use super::field::{self, Converted, convert};
use super::formula::{self, LeftOut};
use super::source::{SourceField, SourceObject, SourceRecordType, SourceRule};
use super::write;

/// The field that keeps the id that a record had.
pub(crate) const ID_FIELD: &str = "Salesforce_Id__c";
/// The picklist that record types become.
const RECORD_TYPE: &str = "RecordType";

/// What became of a part of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fate {
    /// It is there as it was.
    Taken,
    /// It is there, and something of it differs.
    Changed,
    /// It is not there.
    LeftOut,
}

/// What became of a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FieldFate {
    /// Its name in the source.
    pub(crate) field: String,
    /// Whether it is there.
    pub(crate) fate: Fate,
    /// What differs, or why it is not there.
    pub(crate) why: Vec<String>,
}

/// What became of a validation rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RuleFate {
    /// Its name.
    pub(crate) rule: String,
    /// Whether it is there.
    pub(crate) fate: Fate,
    /// The formula that it had.
    pub(crate) formula: String,
    /// What it is now.
    pub(crate) condition: Option<String>,
    /// What differs, or why it is not there.
    pub(crate) why: Vec<String>,
}

/// What became of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ObjectFate {
    /// Its name.
    pub(crate) object: String,
    /// Whether it extends a standard object.
    pub(crate) extends: bool,
    /// Why it is not there at all.
    pub(crate) left_out: Option<String>,
    /// Its fields, in the order of the source.
    pub(crate) fields: Vec<FieldFate>,
    /// Its validation rules.
    pub(crate) rules: Vec<RuleFate>,
}

impl ObjectFate {
    /// How many fields ended so.
    pub(crate) fn fields_that(&self, fate: Fate) -> usize {
        self.fields.iter().filter(|field| field.fate == fate).count()
    }
}

/// The text of an object's file, if it can be had, and what became of everything in it.
pub(super) fn translate(source: &SourceObject, base: Option<&ObjectSchema>) -> (Option<String>, ObjectFate) {
    let mut draft = Draft {
        source,
        base,
        fields: BTreeMap::new(),
        record_types: Vec::new(),
        rules: Vec::new(),
        fate: ObjectFate {
            object: source.name.clone(),
            extends: base.is_some(),
            left_out: None,
            fields: Vec::new(),
            rules: Vec::new(),
        },
    };
    let text = draft.translate();
    let text = text.map_err(|reason| draft.fate.left_out = Some(reason)).ok();
    (text, draft.fate)
}

/// An object that is being made.
struct Draft<'s> {
    source: &'s SourceObject,
    base: Option<&'s ObjectSchema>,
    /// The fields that the file adds or changes.
    fields: BTreeMap<FieldName, FieldSchema>,
    record_types: Vec<RecordType>,
    rules: Vec<write::Rule>,
    fate: ObjectFate,
}

impl Draft<'_> {
    fn translate(&mut self) -> Result<String, String> {
        if let Some(unfit) = self.source.unfit {
            return Err(unfit.to_owned());
        }
        for (end, what) in [
            ("__e", "a platform event is told and not kept"),
            ("__mdt", "a custom metadata type holds settings and no records"),
            ("__b", "a big object holds no records that change"),
            ("__x", "the records of an external object are elsewhere"),
        ] {
            if self.source.name.ends_with(end) {
                return Err(what.to_owned());
            }
        }
        let name: ObjectName =
            self.source.name.parse().map_err(|error: tieline_core::InvalidId| error.to_string())?;
        let mut seen = BTreeSet::new();
        for field in &self.source.fields {
            // A field may stand in its own file and beside its object: the first word counts.
            if seen.insert(field.name.to_ascii_lowercase()) {
                self.take(field);
            }
        }
        self.add_own_fields();
        let schema = self.take_formulas(&name)?;
        self.limit_record_types(&schema);
        let left_out = self.left_out();
        for rule in &self.source.rules {
            self.take_rule(rule, &schema, &left_out);
        }
        self.settle(&name)?;
        Ok(self.file(&name).to_toml())
    }

    fn take(&mut self, source: &SourceField) {
        let base = self.base.and_then(|base| base.field_named(&source.name));
        let (fate, why) = match convert(source, base) {
            Ok(Converted { fields, notes }) => {
                for field in fields {
                    // What a standard object has already is not said again.
                    if base != Some(&field) {
                        self.fields.insert(field.name.clone(), field);
                    }
                }
                (if notes.is_empty() { Fate::Taken } else { Fate::Changed }, notes)
            }
            Err(reason) => (Fate::LeftOut, vec![reason]),
        };
        self.fate.fields.push(FieldFate { field: source.name.clone(), fate, why });
    }

    /// What no source says: where the id of the reference system and the record type are kept.
    fn add_own_fields(&mut self) {
        let known: Vec<String> =
            self.source.fields.iter().map(|field| field.name.to_ascii_lowercase()).collect();
        let is_new = |name: &str| !known.contains(&name.to_ascii_lowercase());
        if is_new(ID_FIELD)
            && let Ok(name) = ID_FIELD.parse::<FieldName>()
        {
            let label = "Salesforce ID".to_owned();
            let field = FieldSchema::new(name.clone(), FieldType::Text);
            self.fields.insert(name, FieldSchema { label, length: Some(18), external_id: true, ..field });
        }
        if !self.source.record_types.is_empty() && is_new(RECORD_TYPE) {
            for source in &self.source.record_types {
                // A type may be in several sources: the first word counts.
                if self.record_types.iter().all(|known| known.name != source.name) {
                    let is_first_default = !self.record_types.iter().any(|known| known.default);
                    self.record_types.push(RecordType {
                        name: source.name.as_str().into(),
                        label: source.label.as_str().into(),
                        active: source.active,
                        default: source.default && is_first_default,
                        roles: BTreeSet::new(),
                        picklists: BTreeMap::new(),
                    });
                }
            }
            self.fate.fields.push(FieldFate {
                field: RECORD_TYPE.to_owned(),
                fate: Fate::Changed,
                why: vec![
                    "record types are [record_types]; their layouts and processes are dropped".to_owned(),
                ],
            });
        }
    }

    /// Which values the record types take of the picklists that are there.
    fn limit_record_types(&mut self, schema: &ObjectSchema) {
        let mut dropped = BTreeSet::new();
        for known in &mut self.record_types {
            let of_name = |source: &&SourceRecordType| known.name == source.name.as_str();
            let Some(source) = self.source.record_types.iter().find(of_name) else { continue };
            for (name, values) in &source.picklists {
                let field = schema.field_named(name).filter(|field| field.field_type.is_picklist());
                let Some(field) = field else {
                    dropped.insert(name.as_str());
                    continue;
                };
                let taken: BTreeSet<_> = values
                    .iter()
                    .filter_map(|value| field.picklist_value(value).map(|value| value.value.clone()))
                    .collect();
                if taken.len() < values.len() {
                    dropped.insert(name.as_str());
                }
                // A type without a known value of a picklist would take none of its values.
                if !taken.is_empty() {
                    known.picklists.insert(field.name.clone(), taken);
                }
            }
        }
        let fate = self.fate.fields.iter_mut().find(|known| known.field == RECORD_TYPE);
        if let Some(fate) = fate.filter(|_| !dropped.is_empty()) {
            let names: Vec<&str> = dropped.into_iter().collect();
            fate.why.push(format!("values that are not there are dropped: of {}", names.join(", ")));
        }
    }

    /// Formula fields become computed fields. One may read another, so they are tried until no more can be
    /// had.
    fn take_formulas(&mut self, name: &ObjectName) -> Result<ObjectSchema, String> {
        let mut schema = self.settle(name)?;
        let source = self.source;
        let is_new = |field: &&SourceField| {
            field.formula.is_some() && self.base.is_none_or(|base| base.field_named(&field.name).is_none())
        };
        let mut left: Vec<&SourceField> = source.fields.iter().filter(is_new).collect();
        // What reads one before its own turn names it as what it is.
        for field in &left {
            if let Some(known) = self.fate.fields.iter_mut().find(|known| known.field == field.name) {
                known.why = vec!["it is a formula that is not translated".to_owned()];
            }
        }
        loop {
            let mut waiting = Vec::new();
            let before = left.len();
            for field in left {
                let left_out = self.left_out();
                let taken = field::formula(field).and_then(|target| {
                    let text = field.formula.as_deref().unwrap_or_default();
                    let computed = formula::compute(text, &schema, &left_out, &target, field.blank_as_zero)?;
                    Ok((FieldSchema { expression: Some(computed.condition), ..target }, computed.notes))
                });
                let (fate, why) = match taken {
                    Ok((computed, notes)) => {
                        self.fields.insert(computed.name.clone(), computed);
                        let notes = notes.iter().map(|note| (*note).to_owned());
                        let computed = "its value is computed here, and can be published".to_owned();
                        (Fate::Changed, std::iter::once(computed).chain(notes).collect())
                    }
                    Err(reason) => {
                        waiting.push(field);
                        (Fate::LeftOut, vec![format!("it is a formula that is not translated: {reason}")])
                    }
                };
                if let Some(known) = self.fate.fields.iter_mut().find(|known| known.field == field.name) {
                    (known.fate, known.why) = (fate, why);
                }
            }
            schema = self.settle(name)?;
            if waiting.is_empty() || waiting.len() == before {
                return Ok(schema);
            }
            left = waiting;
        }
    }

    /// Why fields are not there, by name in small letters.
    fn left_out(&self) -> LeftOut {
        let gone = self.fate.fields.iter().filter(|field| field.fate == Fate::LeftOut);
        gone.map(|field| (field.field.to_ascii_lowercase(), field.why.join("; "))).collect()
    }

    fn take_rule(&mut self, source: &SourceRule, schema: &ObjectSchema, left_out: &LeftOut) {
        let mut fate = RuleFate {
            rule: source.name.clone(),
            fate: Fate::Taken,
            formula: source.formula.clone(),
            condition: None,
            why: Vec::new(),
        };
        match formula::translate(&source.formula, schema, left_out) {
            Ok(translation) => {
                fate.condition = Some(translation.condition.clone());
                fate.why.extend(translation.notes.iter().map(|note| (*note).to_owned()));
                let field = source.field.as_ref().and_then(|name| schema.field_named(name));
                if let (Some(name), None) = (&source.field, field) {
                    fate.why.push(format!("its message is shown beside no field: {name} is not there"));
                }
                self.rules.push(write::Rule {
                    formula: source.formula.clone(),
                    rule: ValidationRule {
                        name: source.name.clone(),
                        condition: translation.condition,
                        message: source.message.clone(),
                        field: field.map(|field| field.name.clone()),
                        active: source.active,
                    },
                });
                if !fate.why.is_empty() {
                    fate.fate = Fate::Changed;
                }
            }
            Err(reason) => {
                fate.fate = Fate::LeftOut;
                fate.why.push(reason);
            }
        }
        self.fate.rules.push(fate);
    }

    /// Reads the file as the daemon will, and leaves out what it would refuse, until it refuses
    /// nothing. Each round leaves something out, so there is a last one.
    fn settle(&mut self, name: &ObjectName) -> Result<ObjectSchema, String> {
        loop {
            let text = self.file(name).to_toml();
            let built = ObjectSchema::from_toml(&text).and_then(|file| file.build(self.base));
            let schema = built.map_err(|error| format!("its file would not be read: {error}"))?;
            let Err(reasons) = schema.check() else { return Ok(schema) };
            let before = self.fields.len() + self.rules.len();
            reasons.iter().for_each(|reason| self.leave_out(reason));
            if self.fields.len() + self.rules.len() == before {
                let texts: Vec<&str> = reasons.iter().map(|reason| reason.message.as_str()).collect();
                return Err(texts.join("; "));
            }
        }
    }

    /// Leaves out the rule or the field that a reason is about.
    fn leave_out(&mut self, reason: &Reason) {
        if let Some(rule) = &reason.rule {
            self.rules.retain(|known| known.rule.name != *rule);
            if let Some(fate) = self.fate.rules.iter_mut().rfind(|known| known.rule == *rule) {
                (fate.fate, fate.condition, fate.why) = (Fate::LeftOut, None, vec![reason.message.clone()]);
            }
        } else if let Some(field) = &reason.field {
            self.fields.remove(field);
            if let Some(fate) = self.fate.fields.iter_mut().rfind(|known| known.field == field.as_str()) {
                (fate.fate, fate.why) = (Fate::LeftOut, vec![reason.message.clone()]);
            }
        }
    }

    /// The file as it stands.
    fn file<'a>(&'a self, name: &'a ObjectName) -> write::File<'a> {
        let named = self.source.name_field.as_deref().and_then(|name| name.parse::<FieldName>().ok());
        let usual = || {
            ["Name", "Subject", "LastName"]
                .iter()
                .find_map(|name| name.parse::<FieldName>().ok().filter(|name| self.fields.contains_key(name)))
        };
        let name_field = named
            .filter(|name| self.fields.contains_key(name))
            .or_else(usual)
            .or_else(|| ID_FIELD.parse().ok());
        write::File {
            object: name,
            label: self.source.label.as_deref(),
            name_field,
            base: self.base,
            fields: &self.fields,
            record_types: &self.record_types,
            rules: &self.rules,
            left_out: self
                .fate
                .fields
                .iter()
                .filter(|field| field.fate == Fate::LeftOut)
                .map(|field| format!("{}: {}", field.field, field.why.join("; ")))
                .collect(),
            rules_left_out: self.fate.rules.iter().filter(|rule| rule.fate == Fate::LeftOut).collect(),
        }
    }
}
