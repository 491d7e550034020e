//! What is wrong with a schema, before it is saved.

use std::collections::{BTreeMap, BTreeSet};

use super::{FieldKind, FieldSchema, FieldType, ObjectSchema, ValidationRule};
use crate::FieldName;
use crate::expr::Expression;
use crate::limits::{
    COMPUTED_FIELDS_MAX, DECIMAL_DIGITS_MAX, INTEGER_DIGITS_MAX, LABEL_CHARS_MAX, OBJECT_FIELDS_MAX,
    OBJECT_RULES_MAX, PICKLIST_VALUE_CHARS_MAX, PICKLIST_VALUES_MAX, RULE_NAME_CHARS_MAX,
};
use crate::reason::{Reason, ReasonCode, quoted};

impl ObjectSchema {
    /// Whether the object can be saved: limits, distinct names, sensible sizes, picklists with
    /// values, defaults that their fields take, sets of existing fields, rules that compile.
    ///
    /// # Errors
    /// Every reason against it.
    pub fn check(&self) -> Result<(), Vec<Reason>> {
        let mut reasons = Vec::new();
        if let Err(reason) = self.check_limits() {
            // A schema beyond its limits is not looked at any further.
            return Err(vec![reason]);
        }
        let mut names = BTreeSet::new();
        for field in &self.fields {
            if !names.insert(field.name.as_str().to_ascii_lowercase()) {
                let text = format!(
                    "{} has the field {} twice, case aside; names differ in more than case",
                    self.name, field.name
                );
                reasons.push(Reason::new(ReasonCode::Duplicate, text).on_field(&field.name));
            }
            reasons.extend(field.problem().map(|(code, problem)| {
                Reason::new(code, format!("{}.{} {problem}", self.name, field.name)).on_field(&field.name)
            }));
        }
        if self.fields.windows(2).any(|pair| matches!(pair, [a, b] if a.name > b.name)) {
            let text = format!("the fields of {} are not sorted by name", self.name);
            reasons.push(Reason::new(ReasonCode::Malformed, text));
        }
        reasons.extend(self.check_sets());
        reasons.extend(self.check_rules());
        reasons.extend(self.check_record_types());
        reasons.extend(self.check_computed());
        if reasons.is_empty() { Ok(()) } else { Err(reasons) }
    }

    fn check_limits(&self) -> Result<(), Reason> {
        let counts =
            [("fields", self.fields.len(), OBJECT_FIELDS_MAX), ("rules", self.rules.len(), OBJECT_RULES_MAX)];
        for (what, count, max) in counts {
            if count > max {
                let text = format!("{} has {count} {what} and may have {max}", self.name);
                return Err(Reason::new(ReasonCode::LimitReached, text));
            }
        }
        Ok(())
    }

    /// The name field, the create set and the view fields name fields that are there, each once.
    fn check_sets(&self) -> Vec<Reason> {
        let mut reasons: Vec<Reason> = self.require(&self.name_field).err().into_iter().collect();
        for (what, set) in [("create set", &self.create_set), ("view fields", &self.view_fields)] {
            let mut seen = BTreeSet::new();
            for name in set {
                let reason = match self.require(name) {
                    Err(reason) => Reason { message: format!("the {what}: {}", reason.message), ..reason },
                    Ok(_) if !seen.insert(name) => {
                        let text = format!("the {what} of {} has {name} twice", self.name);
                        Reason::new(ReasonCode::Duplicate, text).on_field(name)
                    }
                    Ok(_) => continue,
                };
                reasons.push(reason);
            }
        }
        reasons
    }

    fn check_rules(&self) -> Vec<Reason> {
        let mut names = BTreeSet::new();
        let mut reasons = Vec::new();
        for rule in &self.rules {
            let about = |code, text: String| Reason::new(code, text).by_rule(&rule.name);
            if !names.insert(rule.name.as_str()) {
                let text = format!("{} has the rule {} twice; rename one", self.name, quoted(&rule.name));
                reasons.push(about(ReasonCode::Duplicate, text));
            }
            if let Some(problem) = rule.problem() {
                let text = format!("the rule {} of {} {problem}", quoted(&rule.name), self.name);
                reasons.push(about(ReasonCode::TooLong, text));
            }
            if let Some(Err(reason)) = rule.field.as_ref().map(|field| self.require(field)) {
                reasons
                    .push(about(reason.code, format!("the rule {}: {}", quoted(&rule.name), reason.message)));
            }
            if let Err(error) = Expression::condition(&rule.condition, self) {
                let text = format!("the rule {} of {}: {error}", quoted(&rule.name), self.name);
                reasons.push(about(ReasonCode::BadExpression, text));
            }
        }
        reasons
    }
}

/// Computed fields: each of kind formula, of a type that takes its result, none in a circle.
impl ObjectSchema {
    fn check_computed(&self) -> Vec<Reason> {
        let mut reasons = Vec::new();
        let mut reads: BTreeMap<&FieldName, Vec<FieldName>> = BTreeMap::new();
        for (field, text) in self.computed_fields() {
            let about = |code, problem: String| {
                Reason::new(code, format!("{}.{} {problem}", self.name, field.name)).on_field(&field.name)
            };
            if field.kind != FieldKind::Formula {
                let problem = format!("has an expression and is of kind {}; make it a formula", field.kind);
                reasons.push(about(ReasonCode::NotUpdatable, problem));
                continue;
            }
            match Expression::computed(text, self, field) {
                Ok(expression) => drop(reads.insert(&field.name, expression.fields().to_vec())),
                Err(error) => {
                    reasons.push(about(ReasonCode::BadExpression, format!("cannot be computed: {error}")));
                }
            }
        }
        if reads.len() > COMPUTED_FIELDS_MAX {
            let text = format!("{} has more than {COMPUTED_FIELDS_MAX} computed fields", self.name);
            reasons.push(Reason::new(ReasonCode::LimitReached, text));
        }
        let known: Vec<&FieldName> = order(&reads);
        reasons.extend(reads.keys().filter(|field| !known.contains(*field)).map(|field| {
            let text =
                format!("{}.{field} is computed from itself, by way of others; break the circle", self.name);
            Reason::new(ReasonCode::BadExpression, text).on_field(field)
        }));
        reasons
    }
}

/// Computed fields in an order in which each comes after those that it reads; those in a circle are
/// left out.
pub(crate) fn order<'a>(reads: &BTreeMap<&'a FieldName, Vec<FieldName>>) -> Vec<&'a FieldName> {
    let mut ordered: Vec<&FieldName> = Vec::new();
    loop {
        let ready = |field: &&FieldName| {
            let waits = |input: &FieldName| reads.contains_key(input) && !ordered.contains(&input);
            !ordered.contains(field) && !reads.get(*field).is_some_and(|inputs| inputs.iter().any(waits))
        };
        let next: Vec<&FieldName> = reads.keys().copied().filter(ready).collect();
        if next.is_empty() {
            return ordered;
        }
        ordered.extend(next);
    }
}

impl ValidationRule {
    fn problem(&self) -> Option<String> {
        if self.name.is_empty() || self.name.chars().nth(RULE_NAME_CHARS_MAX).is_some() {
            return Some(format!("has a name that is empty or longer than {RULE_NAME_CHARS_MAX} characters"));
        }
        if self.message.is_empty() || self.message.chars().nth(LABEL_CHARS_MAX).is_some() {
            return Some(format!("has a message that is empty or longer than {LABEL_CHARS_MAX} characters"));
        }
        None
    }
}

impl FieldSchema {
    /// What is wrong with the field alone: a code, and a predicate to put after its name.
    fn problem(&self) -> Option<(ReasonCode, String)> {
        if self.field_type == FieldType::Unknown || self.kind == FieldKind::Unknown {
            return Some((
                ReasonCode::WrongType,
                "is of an unknown type or kind; upgrade Tieline".to_owned(),
            ));
        }
        if self.label.chars().nth(LABEL_CHARS_MAX).is_some() {
            return Some((
                ReasonCode::TooLong,
                format!("has a label of more than {LABEL_CHARS_MAX} characters"),
            ));
        }
        if (self.kind == FieldKind::Parent) != crate::account::parent_path(self).is_some() {
            let problem = "is of the kind parent and does not say of what; write parent = \"AccountId.Name\"";
            return Some((ReasonCode::BadReference, problem.to_owned()));
        }
        self.size_problem().or_else(|| self.list_problem()).or_else(|| {
            let reason = self.default.as_ref()?.check(self).err()?;
            Some((reason.code, format!("has a default that it does not take: {}", reason.message)))
        })
    }

    fn size_problem(&self) -> Option<(ReasonCode, String)> {
        let refuse = |problem: String| Some((ReasonCode::OutOfRange, problem));
        let texty = self.field_type.is_text() || self.field_type.is_picklist();
        let numeric = self.field_type.is_decimal() || self.field_type == FieldType::Integer;
        if let Some(length) = self.length {
            let most = Self::most_chars(self.field_type);
            if !texty || length == 0 || length as usize > most {
                return refuse(format!("has the length {length}; only texts have one, from 1 to {most}"));
            }
        }
        let (precision, scale) = (self.precision.unwrap_or(DECIMAL_DIGITS_MAX), self.scale.unwrap_or(0));
        if !numeric && (self.precision.is_some() || self.scale.is_some()) {
            return refuse("has a precision or scale; only numbers have one".to_owned());
        }
        let integer = self.field_type == FieldType::Integer;
        if integer && (scale > 0 || self.precision.is_some_and(|p| p == 0 || p > INTEGER_DIGITS_MAX)) {
            return refuse(format!(
                "is a whole number, which has 1 to {INTEGER_DIGITS_MAX} digits and no scale"
            ));
        }
        if precision == 0 || precision > DECIMAL_DIGITS_MAX || scale > precision {
            return refuse(format!(
                "has precision {precision} and scale {scale}; the first is 1 to {DECIMAL_DIGITS_MAX}, the second no greater"
            ));
        }
        None
    }

    fn list_problem(&self) -> Option<(ReasonCode, String)> {
        if !self.field_type.is_picklist() {
            let stray = !self.values.is_empty() || self.restricted;
            return stray.then(|| {
                (ReasonCode::WrongType, "has picklist values or is restricted and is no picklist".to_owned())
            });
        }
        if self.values.is_empty() {
            return Some((ReasonCode::NotInPicklist, "is a picklist without values; list them".to_owned()));
        }
        if self.values.len() > PICKLIST_VALUES_MAX {
            return Some((ReasonCode::LimitReached, format!("has more than {PICKLIST_VALUES_MAX} values")));
        }
        let mut seen = BTreeSet::new();
        self.values.iter().find_map(|known| {
            let value = known.value.as_str();
            let shown = quoted(value);
            let too_long = |text: &str| text.chars().nth(PICKLIST_VALUE_CHARS_MAX).is_some();
            if value.trim().is_empty() || value.trim() != value {
                Some((
                    ReasonCode::NotInPicklist,
                    format!("has the value {shown}, which is blank or has blanks at an end"),
                ))
            } else if too_long(value) || too_long(&known.label) {
                let problem =
                    format!("has the value {shown}, longer than {PICKLIST_VALUE_CHARS_MAX} characters");
                Some((ReasonCode::TooLong, problem))
            } else if value.chars().any(char::is_control) {
                Some((
                    ReasonCode::ControlCharacter,
                    format!("has the value {shown}, with a control character"),
                ))
            } else if self.field_type == FieldType::MultiPicklist && value.contains(';') {
                Some((ReasonCode::NotInPicklist, format!("has the value {shown}; a ; separates values")))
            } else if !seen.insert(value) {
                Some((ReasonCode::Duplicate, format!("has the value {shown} twice")))
            } else {
                None
            }
        })
    }
}
