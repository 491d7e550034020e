//! Queues and rules as the state keeps them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::automation::{
    AssignmentRule, CompiledAutomation, EscalationRule, Queue, Rule, RuleKind, SharingRule, WorkflowRule,
};
use crate::event::{ComputationFailed, RuleFailed};
use crate::reason::Reason;
use crate::schema::ObjectSchema;
use crate::state::{Bulk, Record, State};
use crate::{FieldName, ObjectName, Owner, QueueName, RecordId, RuleName, Seq, Timestamp};

/// Most failures of rules that are at hand; the log keeps all.
const FAILURES_KEPT: usize = 500;

/// What happens by itself.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Automation {
    /// The queues.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub queues: BTreeMap<QueueName, Queue>,
    /// The sharing rules.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sharing: BTreeMap<RuleName, SharingRule>,
    /// The assignment rules, by object.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub assignment: BTreeMap<ObjectName, AssignmentRule>,
    /// The escalation rules, by object.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub escalation: BTreeMap<ObjectName, EscalationRule>,
    /// The workflow rules.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub workflow: BTreeMap<RuleName, WorkflowRule>,
    /// Records that were escalated and not changed by a person or partner since.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub escalated: BTreeMap<RecordId, Escalation>,
    /// How far each step of an escalation rule has looked.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub looked: BTreeMap<ObjectName, BTreeMap<RuleName, (Timestamp, RecordId)>>,
    /// How often a rule could not do what it is for.
    #[serde(skip_serializing_if = "is_none")]
    pub failed: u64,
    /// The newest such failures.
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    pub failures: VecDeque<RuleFailure>,
    /// How often a field could not be computed.
    #[serde(skip_serializing_if = "is_none")]
    pub not_computed: u64,
    /// The fields that could not be computed since they were defined as they are.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub computations: BTreeMap<ObjectName, BTreeMap<FieldName, FailedComputation>>,
    /// The rules of each object that has some, ready to run; derived.
    #[serde(skip)]
    compiled: BTreeMap<ObjectName, Arc<CompiledAutomation>>,
    /// The records of objects with an escalation rule by the time of their last change; derived.
    #[serde(skip)]
    waiting: Bulk<BTreeMap<ObjectName, BTreeSet<(Timestamp, RecordId)>>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
const fn is_none(count: &u64) -> bool {
    *count == 0
}

/// Queues and rules without what they have done, to be put in the place of others.
#[derive(Debug, Clone, Default)]
pub struct Ruling {
    queues: BTreeMap<QueueName, Queue>,
    sharing: BTreeMap<RuleName, SharingRule>,
    assignment: BTreeMap<ObjectName, AssignmentRule>,
    workflow: BTreeMap<RuleName, WorkflowRule>,
    compiled: BTreeMap<ObjectName, Arc<CompiledAutomation>>,
}

/// A record that was escalated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escalation {
    /// Since when it had not been changed: later steps count from there.
    pub since: Timestamp,
    /// Its last event that is of the escalation, or of rules that followed.
    pub last: Seq,
}

/// How often a field could not be computed, and why the last time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedComputation {
    /// How often.
    pub count: u64,
    /// The first time.
    pub first: Timestamp,
    /// The last time.
    pub last: Timestamp,
    /// The record, the last time.
    pub record: RecordId,
    /// Why, the last time.
    pub reason: Reason,
}

/// A failure of a rule with its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleFailure {
    /// When.
    pub time: Timestamp,
    /// What.
    pub failure: RuleFailed,
}

impl Automation {
    /// Whether nothing can happen by itself.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.queues.is_empty() && self.compiled.is_empty()
    }

    /// The rules of an object, ready to run; nothing if it has none.
    pub(crate) fn rules_of(&self, object: &ObjectName) -> Option<&Arc<CompiledAutomation>> {
        self.compiled.get(object)
    }

    /// The queues and rules as they are.
    #[must_use]
    pub fn ruling(&self) -> Ruling {
        let Self { queues, sharing, assignment, workflow, compiled, .. } = self;
        let (queues, sharing, assignment) = (queues.clone(), sharing.clone(), assignment.clone());
        Ruling { queues, sharing, assignment, workflow: workflow.clone(), compiled: compiled.clone() }
    }

    /// Puts other queues and rules in the place of these. They are ready for the objects of where they come
    /// from.
    pub fn rule_by(&mut self, ruling: Ruling) {
        let Ruling { queues, sharing, assignment, workflow, compiled } = ruling;
        (self.queues, self.sharing, self.assignment) = (queues, sharing, assignment);
        (self.workflow, self.compiled) = (workflow, compiled);
    }

    /// A rule by kind and name.
    #[must_use]
    pub fn rule(&self, kind: RuleKind, key: &str) -> Option<Rule> {
        match kind {
            RuleKind::Sharing => self.sharing.get(key).cloned().map(Rule::Sharing),
            RuleKind::Assignment => self.assignment.get(key).cloned().map(Rule::Assignment),
            RuleKind::Escalation => self.escalation.get(key).cloned().map(Rule::Escalation),
            RuleKind::Workflow => self.workflow.get(key).cloned().map(Rule::Workflow),
        }
    }

    /// All rules of a kind, in the order of their names.
    #[must_use]
    pub fn rules(&self, kind: RuleKind) -> Vec<Rule> {
        match kind {
            RuleKind::Sharing => self.sharing.values().cloned().map(Rule::Sharing).collect(),
            RuleKind::Assignment => self.assignment.values().cloned().map(Rule::Assignment).collect(),
            RuleKind::Escalation => self.escalation.values().cloned().map(Rule::Escalation).collect(),
            RuleKind::Workflow => self.workflow.values().cloned().map(Rule::Workflow).collect(),
        }
    }

    /// A rule that gives records to this owner.
    pub(crate) fn rule_naming(&self, owner: &Owner) -> Option<Rule> {
        let kinds = [RuleKind::Assignment, RuleKind::Escalation, RuleKind::Workflow];
        let mut rules = kinds.into_iter().flat_map(|kind| self.rules(kind));
        rules.find(|rule| rule.owners().any(|named| named == owner))
    }

    /// Makes the rules of an object ready.
    pub(crate) fn compile(&mut self, object: &ObjectSchema) {
        let name = &object.name;
        let compiled = CompiledAutomation::compile(
            object,
            self.workflow.values(),
            self.sharing.values(),
            self.assignment.get(name),
            self.escalation.get(name),
        );
        if compiled.is_empty() {
            self.compiled.remove(name);
        } else {
            self.compiled.insert(name.clone(), Arc::new(compiled));
        }
    }

    /// The records of an object that were not changed since before `until`, after those that a step has
    /// looked at.
    pub(crate) fn due(
        &self,
        object: &ObjectName,
        entry: &RuleName,
        until: Timestamp,
    ) -> impl Iterator<Item = (Timestamp, RecordId)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let looked = self.looked.get(object).and_then(|entries| entries.get(entry)).copied();
        let start = looked.map_or(Unbounded, Excluded);
        let waiting = self.waiting.get(object).into_iter();
        waiting
            .flat_map(move |waiting| waiting.range((start, Unbounded)))
            .copied()
            .take_while(move |(since, _)| *since <= until)
    }

    /// Keeps a failure, and forgets the oldest.
    pub(crate) fn note_computation(&mut self, time: Timestamp, failed: &ComputationFailed) {
        for reason in &failed.reasons {
            self.not_computed += 1;
            let Some(field) = &reason.field else { continue };
            let fields = self.computations.entry(failed.object.clone()).or_default();
            let known = fields.entry(field.clone()).or_insert_with(|| FailedComputation {
                count: 0,
                first: time,
                last: time,
                record: failed.record,
                reason: reason.clone(),
            });
            known.count += 1;
            (known.last, known.record) = (time, failed.record);
            known.reason.clone_from(reason);
        }
    }

    /// Forgets what was noted of fields that are computed otherwise now, or not at all.
    pub(crate) fn forget_computations(&mut self, before: Option<&ObjectSchema>, after: &ObjectSchema) {
        let Some(fields) = self.computations.get_mut(&after.name) else { return };
        let text = |schema: &ObjectSchema, field: &FieldName| {
            schema.field(field).and_then(|field| field.expression.clone())
        };
        let same = |field: &FieldName| before.and_then(|before| text(before, field)) == text(after, field);
        fields.retain(|field, _| same(field));
        if fields.is_empty() {
            self.computations.remove(&after.name);
        }
    }

    pub(crate) fn note_failure(&mut self, time: Timestamp, failure: &RuleFailed) {
        self.failed += 1;
        self.failures.push_back(RuleFailure { time, failure: failure.clone() });
        if self.failures.len() > FAILURES_KEPT {
            self.failures.pop_front();
        }
    }

    /// Since when a record has not been changed: an escalation and what follows it is no change.
    fn since(&self, id: RecordId, record: &Record) -> Timestamp {
        let escalated = self.escalated.get(&id).filter(|escalation| escalation.last == record.last);
        escalated.map_or(record.modified, |escalation| escalation.since)
    }

    /// Takes a record out of those that wait, before it changes.
    pub(crate) fn wait_no_more(&mut self, id: RecordId, record: &Record) {
        if !self.waiting.is_empty() && self.waiting.contains_key(&record.object) {
            let since = self.since(id, record);
            if let Some(waiting) = self.waiting.get_mut(&record.object) {
                waiting.remove(&(since, id));
            }
        }
    }

    /// Puts a record among those that wait, after it has changed: by a rule, which may follow an
    /// escalation, or by somebody.
    pub(crate) fn wait(&mut self, id: RecordId, record: &Record, before: Seq, by_rule: bool) {
        if self.waiting.is_empty() || !self.waiting.contains_key(&record.object) {
            return;
        }
        match self.escalated.get_mut(&id) {
            Some(escalation) if by_rule && escalation.last == before => escalation.last = record.last,
            Some(_) => drop(self.escalated.remove(&id)),
            None => {}
        }
        if !record.deleted {
            let since = self.since(id, record);
            self.waiting.entry(record.object.clone()).or_default().insert((since, id));
        }
    }
}

impl State {
    /// Puts a rule in place, or takes one away.
    pub(crate) fn set_rule(&mut self, kind: RuleKind, key: &str, rule: Option<&Rule>) {
        let old = self.automation.rule(kind, key).map(|rule| rule.object().clone());
        let automation = &mut self.automation;
        match rule {
            Some(Rule::Sharing(rule)) => drop(automation.sharing.insert(rule.name.clone(), rule.clone())),
            Some(Rule::Workflow(rule)) => drop(automation.workflow.insert(rule.name.clone(), rule.clone())),
            Some(Rule::Assignment(rule)) => {
                drop(automation.assignment.insert(rule.object.clone(), rule.clone()));
            }
            Some(Rule::Escalation(rule)) => automation.set_escalation(rule),
            None => match kind {
                RuleKind::Sharing => drop(automation.sharing.remove(key)),
                RuleKind::Workflow => drop(automation.workflow.remove(key)),
                RuleKind::Assignment => drop(automation.assignment.remove(key)),
                RuleKind::Escalation => {
                    automation.escalation.remove(key);
                    let records = &self.records;
                    let other = |id: &RecordId| records.get(id).is_some_and(|r| r.object.as_str() != key);
                    automation.escalated.retain(|id, _| other(id));
                    automation.looked.remove(key);
                    automation.waiting.remove(key);
                }
            },
        }
        for object in old.iter().chain(rule.map(Rule::object)) {
            if let Some(schema) = self.objects.get(object).cloned() {
                self.automation.compile(&schema);
            }
            self.derive_waiting(object);
        }
    }

    /// Rebuilds what is derived of rules.
    pub(super) fn derive_automation(&mut self) {
        let objects: Vec<Arc<ObjectSchema>> = self.objects.values().cloned().collect();
        for object in objects {
            self.automation.compile(&object);
            self.derive_waiting(&object.name);
        }
    }

    /// Rebuilds the records that wait for the escalation rule of an object, if it has one.
    fn derive_waiting(&mut self, object: &ObjectName) {
        if !self.automation.escalation.contains_key(object) {
            return;
        }
        let waiting = self.records_of(object, None);
        let waiting = waiting.map(|(id, record)| (self.automation.since(id, record), id)).collect();
        self.automation.waiting.insert(object.clone(), waiting);
    }
}

impl Automation {
    /// Puts an escalation rule in place; steps that are as they were go on where they were.
    fn set_escalation(&mut self, rule: &EscalationRule) {
        let former = self.escalation.insert(rule.object.clone(), rule.clone());
        let same = |name: &RuleName| {
            let old = former.iter().flat_map(|former| &former.entries).find(|entry| entry.name == *name);
            let new = rule.entries.iter().find(|entry| entry.name == *name);
            old.zip(new).is_some_and(|(old, new)| {
                (&old.criteria, old.after_minutes) == (&new.criteria, new.after_minutes)
            })
        };
        if let Some(looked) = self.looked.get_mut(&rule.object) {
            looked.retain(|entry, _| same(entry));
        }
    }
}
