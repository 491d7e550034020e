//! What a change of settings touches: records, shares, messages.
//!
//! What has to be asked of every record or share is a question, which its owner asks in slices: a million
//! of them are not looked at under one lock.

use std::collections::BTreeMap;

use crate::decide::would_own;
use crate::owner_map::OwnerMap;
use crate::reason::ReasonCode;
use crate::rules::CompiledRules;
use crate::schema::{FieldKind, FieldSchema, ObjectSchema};
use crate::state::{Connection, Record, Share, ShareRole, ShareStatus, State};
use crate::value::cast;
use crate::{ConnectionId, FieldName, ObjectName, RecordId, ShareId, Timestamp};

/// So much of something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touch {
    /// The item that touches it.
    pub item: String,
    /// A stable code.
    pub code: &'static str,
    /// What it is about: a rule or a field, if it is about one.
    pub detail: String,
    /// How many records or shares.
    pub count: u64,
}

/// What has to be asked of every share of a connection whose settings change.
#[derive(Debug)]
pub struct ShareQuestion {
    item: String,
    connection: ConnectionId,
    about: About,
    shares: u64,
    sent_again: u64,
    tried_again: u64,
    mapped: u64,
}

/// What of a connection changes.
#[derive(Debug)]
enum About {
    /// Its rule for an object.
    Rule {
        object: ObjectName,
        role: ShareRole,
        /// The fields that the partner takes and gets now.
        new: Vec<FieldName>,
    },
    /// Its table of owners, as it becomes.
    Owners(OwnerMap),
}

/// The question that a changed rule of a connection poses; nothing if its shares stay as they are.
pub(super) fn of_rule(
    before: &Connection,
    after: &Connection,
    noun: &str,
    name: &str,
    item: &str,
) -> Option<ShareQuestion> {
    let question = |about| ShareQuestion {
        item: item.to_owned(),
        connection: after.id,
        about,
        shares: 0,
        sent_again: 0,
        tried_again: 0,
        mapped: 0,
    };
    let role = match noun {
        "owners" => return Some(question(About::Owners(after.owners.clone()))),
        "publish" => ShareRole::Origin,
        "subscribe" => ShareRole::Copy,
        _ => return None,
    };
    let (known, taken) = (before.publish.get(name), after.taken.get(name));
    let new = after.publish.get(name).filter(|_| role == ShareRole::Origin);
    let new = new.into_iter().flat_map(|rule| &rule.fields).filter(|field| {
        known.is_none_or(|known| !known.publishes(field))
            && taken.is_some_and(|taken| taken.fields.contains(field))
    });
    Some(question(About::Rule { object: name.parse().ok()?, role, new: new.cloned().collect() }))
}

impl ShareQuestion {
    /// Asks the next shares after `after`, at most `limit`; the last one, unless all were asked.
    pub fn ask(&mut self, state: &State, after: Option<ShareId>, limit: usize) -> Option<ShareId> {
        use std::ops::Bound::{Excluded, Unbounded};
        let start = after.map_or(Unbounded, Excluded);
        let connection = state.connections.get(&self.connection)?;
        let (mut last, mut count) = (None, 0);
        for (id, share) in connection.shares.range((start, Unbounded)).take(limit) {
            self.ask_one(state, share);
            (last, count) = (Some(*id), count + 1);
        }
        last.filter(|_| count == limit)
    }

    fn ask_one(&mut self, state: &State, share: &Share) {
        use ShareStatus::{Active, Granted, Offered};
        let (object, role, new) = match &self.about {
            About::Rule { object, role, new } => (object, *role, new),
            About::Owners(map) => {
                self.mapped += u64::from(would_own(state, map, share).is_some());
                return;
            }
        };
        if share.role != role || share.object != *object {
            return;
        }
        self.shares += u64::from(matches!(share.status, Active | Granted | Offered));
        self.sent_again += u64::from(!new.is_empty() && share.status == Active);
        let waits = share.status == Granted || share.problem.is_some();
        self.tried_again += u64::from(role == ShareRole::Copy && waits);
    }

    /// The answers.
    #[must_use]
    pub fn touches(self) -> Vec<Touch> {
        let Self { item, about, shares, sent_again, tried_again, mapped, .. } = self;
        let new = match &about {
            About::Rule { new, .. } => new.as_slice(),
            About::Owners(_) => &[],
        };
        let new = new.iter().map(FieldName::as_str).collect::<Vec<_>>().join(", ");
        let counted = [
            ("shares", String::new(), shares),
            ("backfill", new, sent_again),
            ("tried_again", String::new(), tried_again),
            ("owners_differ", String::new(), mapped),
        ];
        let counted = counted.into_iter().filter(|(_, _, count)| *count > 0);
        counted.map(|(code, detail, count)| Touch { item: item.clone(), code, detail, count }).collect()
    }
}

/// What has to be asked of every record of an object that changes.
#[derive(Debug)]
pub struct RecordQuestion {
    item: String,
    /// The object.
    pub object: ObjectName,
    /// The rules that are new or say something else.
    rules: CompiledRules,
    /// The fields that take less, or other values.
    fields: Vec<FieldSchema>,
    /// The fields that go.
    dropped: Vec<FieldName>,
    found: BTreeMap<(&'static str, String), u64>,
    looked_at: u64,
}

/// The question that a changed object poses; nothing if its records may stay as they are.
pub(super) fn of_object(before: &ObjectSchema, after: &ObjectSchema, item: &str) -> Option<RecordQuestion> {
    let rules = after.rules.iter().filter(|rule| rule.active && !before.rules.contains(rule));
    let fields = after.fields.iter().filter(|field| {
        let known = before.field(&field.name);
        known.map_or(field.required, |known| !takes_all_of(field, known))
    });
    let gone = before.fields.iter().filter(|field| after.field(&field.name).is_none());
    let question = RecordQuestion {
        item: item.to_owned(),
        object: after.name.clone(),
        fields: fields.cloned().collect(),
        dropped: gone.map(|field| field.name.clone()).collect(),
        found: BTreeMap::new(),
        looked_at: 0,
        rules: CompiledRules::compile(&ObjectSchema { rules: rules.cloned().collect(), ..after.clone() }),
    };
    let asks = !question.fields.is_empty() || !question.dropped.is_empty() || !question.rules.is_empty();
    asks.then_some(question)
}

/// Whether a field takes every value that it took: nothing of what bounds it has changed.
fn takes_all_of(field: &FieldSchema, known: &FieldSchema) -> bool {
    let bounds = |f: &FieldSchema| {
        (f.field_type, f.length, f.precision, f.scale, f.required, f.restricted, f.references.clone())
    };
    bounds(field) == bounds(known) && (!field.restricted || field.values == known.values)
}

impl RecordQuestion {
    /// Whether the object takes each of its records as it is; nothing if it takes any.
    pub(crate) fn whether_taken(object: &ObjectSchema) -> Option<Self> {
        let bounded = |field: &&FieldSchema| {
            field.kind == FieldKind::Data
                && (field.required || field.restricted || field.length.is_some() || field.precision.is_some())
        };
        let question = Self {
            item: format!("objects.{}", object.name),
            object: object.name.clone(),
            rules: CompiledRules::compile(object),
            fields: object.fields.iter().filter(bounded).cloned().collect(),
            dropped: Vec::new(),
            found: BTreeMap::new(),
            looked_at: 0,
        };
        (!question.fields.is_empty() || !question.rules.is_empty()).then_some(question)
    }

    /// Asks the next records after `after`, at most `limit`; the last one, unless all were asked.
    pub fn ask(
        &mut self,
        state: &State,
        after: Option<RecordId>,
        limit: usize,
        now: Timestamp,
    ) -> Option<RecordId> {
        let object = self.object.clone();
        let (mut last, mut count) = (None, 0);
        for (id, record) in state.records_of(&object, after).take(limit) {
            self.ask_one(record, now);
            (last, count) = (Some(id), count + 1);
        }
        self.looked_at += count as u64;
        last.filter(|_| count == limit)
    }

    fn ask_one(&mut self, record: &Record, now: Timestamp) {
        let mut refused = Vec::new();
        for field in &self.fields {
            let value = record.value(&field.name);
            let reason = match value.is_blank() {
                true if field.required => Some(ReasonCode::RequiredMissing),
                true => None,
                false => {
                    cast(value, field).and_then(|value| value.check(field)).err().map(|reason| reason.code)
                }
            };
            refused.extend(reason.map(|code| (code.as_str(), field.name.to_string())));
        }
        let lookup = |field: &FieldName| record.fields.get(field).map(|state| &state.value);
        for reason in self.rules.refusals(lookup, now) {
            refused.push((reason.code.as_str(), reason.rule.unwrap_or_default()));
        }
        let lost = self.dropped.iter().filter(|field| !record.value(field).is_blank());
        refused.extend(lost.map(|field| ("value_dropped", field.to_string())));
        for found in refused {
            *self.found.entry(found).or_default() += 1;
        }
    }

    /// The answers, rule by rule and field by field.
    #[must_use]
    pub fn touches(self) -> Vec<Touch> {
        let Self { item, found, .. } = self;
        let touch = |((code, detail), count)| Touch { item: item.clone(), code, detail, count };
        found.into_iter().map(touch).collect()
    }

    /// How many records were asked.
    #[must_use]
    pub const fn looked_at(&self) -> u64 {
        self.looked_at
    }
}
