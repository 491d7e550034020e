//! What the changes of one command cause, step by step, in the same group of the log; and templates of
//! connections, for which it may be the time.
//!
//! Before its events are folded, a change is noted ([`Run::note`]); after that each step is decided on
//! the state as it is then ([`Run::step`]), noted and folded itself, until nothing is left. Workflow comes
//! first, rule by rule; what a rule writes is a change that rules look at again. When that is quiet,
//! sharing rules look at each record once. An org without queues and rules pays a look at empty maps.
//!
//! A workflow rule fires at most once per record and command: rules that would go on changing a record
//! are told as a failure (`rule_loop`). Between orgs, `hops` ends a ring.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::automation::{CompiledAutomation, CompiledWorkflow, Facts, RuleKind, Was, When};
use crate::command::Context;
use crate::decide::automation::{sharing, workflow};
use crate::decide::draft::Draft;
use crate::decide::template::{self, Following};
use crate::event::{Event, RecordAction, RecordChanged, RuleFailed};
use crate::limits::RULE_DEPTH_MAX;
use crate::reason::{Reason, ReasonCode};
use crate::state::{Record, State};
use crate::value::Value;
use crate::vecmap::VecMap;
use crate::{FieldName, QueueName, RecordId, RuleName, Seq, UserName};

/// What the changes of one command cause.
#[derive(Debug, Default)]
pub struct Run {
    /// Templates of connections that go on.
    templates: VecDeque<Following>,
    queued: VecDeque<(Touched, QueueName)>,
    changed: VecDeque<Touched>,
    /// The change that is looked at, and the next workflow rule for it.
    current: Option<(Touched, usize)>,
    /// Records that sharing rules have to look at, with their first change.
    to_share: BTreeMap<RecordId, Touched>,
    /// Which rules have fired for which record, and how much of the log each saw as it did.
    fired: BTreeMap<(RecordId, RuleName), Seq>,
    /// Of which rules and records something was told.
    told: BTreeSet<(RecordId, RuleName)>,
    /// The rule whose events are noted next, and how many stand behind it.
    cause: Option<Cause>,
}

/// The rule that wrote something, and what stands behind it.
#[derive(Debug, Clone)]
struct Cause {
    rule: RuleName,
    depth: usize,
    hops: u8,
    actor: UserName,
}

/// A record that was created or changed.
#[derive(Debug, Clone)]
pub(super) struct Touched {
    pub(super) record: RecordId,
    /// In whose name: what rules do is done in the same.
    pub(super) actor: UserName,
    /// The hops of what a rule writes because of it.
    pub(super) hops: u8,
    /// Whether a person did it here, by name.
    pub(super) by_person: bool,
    is_new: bool,
    /// What its fields were, those that were written.
    old: VecMap<FieldName, Value>,
    /// What was true of it.
    before: Option<Facts>,
    /// The last event before it.
    after: Seq,
    /// How many rules stand behind it, one after the other, and the last of them.
    depth: usize,
    rule: Option<RuleName>,
}

impl Touched {
    /// A record that nothing has happened to: somebody asks.
    pub(super) fn as_it_is(record: RecordId, actor: UserName) -> Self {
        Self {
            record,
            actor,
            hops: 0,
            by_person: true,
            is_new: false,
            old: VecMap::new(),
            before: None,
            after: Seq::default(),
            depth: 0,
            rule: None,
        }
    }

    /// What the fields of the record were.
    pub(super) const fn was(&self) -> Was<'_> {
        if self.is_new { Was::Nothing } else { Was::Other(&self.old) }
    }

    /// The facts about the record now.
    pub(super) fn facts(&self, state: &State, record: &Record) -> Facts {
        Facts::of(state, record, self.is_new)
    }
}

impl Run {
    /// Notes what is about to happen to a state.
    pub fn note(&mut self, state: &State, events: &[Event]) {
        let awaited = events.iter().find_map(|event| template::awaited(state, event));
        self.templates.extend(awaited.map(Following::new));
        if state.automation.is_idle() {
            return;
        }
        let cause = self.cause.take();
        for event in events {
            match event {
                Event::RecordChanged(changed) if changed.action != RecordAction::Delete => {
                    self.note_change(state, changed, cause.as_ref());
                }
                // The partner has accepted: the record has another sent name now (S2S-70).
                Event::ShareGranted(granted) => {
                    let watched = state.automation.rules_of(&granted.object).is_some_and(|r| r.watches());
                    if let Some(record) = state.record(granted.record).filter(|_| watched) {
                        let touched = touched(state, granted.record, Some(record), cause.as_ref());
                        self.changed.push_back(touched);
                    }
                }
                _ => {}
            }
        }
    }

    fn note_change(&mut self, state: &State, changed: &RecordChanged, cause: Option<&Cause>) {
        let watched = state.automation.rules_of(&changed.object).is_some_and(|rules| rules.watches());
        let queue = changed.owner.as_ref().and_then(|owner| owner.queue());
        if !watched && queue.is_none() {
            return;
        }
        let known = state.record(changed.record).filter(|_| changed.action == RecordAction::Update);
        let mut touched = touched(state, changed.record, known, cause);
        touched.is_new = changed.action == RecordAction::Create;
        touched.by_person = cause.is_none() && !changed.actor.is_system();
        if cause.is_none() {
            touched.actor = changed.actor.clone();
            // A rule that a remote change triggers carries it one org further (PROTOCOL §7); what the org
            // does by itself may follow one.
            touched.hops = if changed.actor.is_system() { changed.hops.saturating_add(1) } else { 0 };
        }
        if let Some(record) = known.filter(|_| watched) {
            let names = changed.content.values.keys();
            touched.old = names.map(|name| (name.clone(), record.value(name).clone())).collect();
        }
        if let Some(queue) = queue {
            self.queued.push_back((touched.clone(), queue.clone()));
        }
        if watched {
            self.changed.push_back(touched);
        }
    }

    /// The events of the next step; nothing if none is left.
    pub fn step(&mut self, state: &State, context: &Context) -> Option<Vec<Event>> {
        while let Some(following) = self.templates.front_mut() {
            match following.step(state, context) {
                Some(events) => return Some(events),
                None => drop(self.templates.pop_front()),
            }
        }
        while !self.is_done() {
            let mut draft = Draft::new(state, context);
            if let Some((touched, queue)) = self.queued.pop_front() {
                draft.actor = touched.actor.clone();
                sharing::offer_to_members(&mut draft, &touched, &queue);
            } else if let Some((touched, next)) = self.current.take() {
                draft.actor = touched.actor.clone();
                self.workflow(&mut draft, touched, next);
            } else if let Some(touched) = self.changed.pop_front() {
                self.current = Some((touched, 0));
                continue;
            } else if let Some((_, touched)) = self.to_share.pop_first() {
                draft.actor = touched.actor.clone();
                sharing::look_at(&mut draft, &touched);
            }
            let events = draft.finish();
            if !events.is_empty() {
                return Some(events);
            }
            self.cause = None;
        }
        None
    }

    /// Whether nothing is left to be looked at, as after most commands.
    fn is_done(&self) -> bool {
        self.current.is_none()
            && self.queued.is_empty()
            && self.templates.is_empty()
            && self.changed.is_empty()
            && self.to_share.is_empty()
    }

    /// Looks at a change from its `next` rule on, as far as the first that does something.
    fn workflow(&mut self, draft: &mut Draft<'_>, touched: Touched, next: usize) {
        let state = draft.state;
        let Some(record) = state.record(touched.record) else { return };
        let Some(rules) = state.automation.rules_of(&record.object) else { return };
        if !rules.sharing.is_empty() {
            self.to_share.entry(touched.record).or_insert_with(|| touched.clone());
        }
        if touched.depth > RULE_DEPTH_MAX {
            if let Some(rule) = &touched.rule {
                self.tell_loop(draft, touched.record, rule);
            }
            return;
        }
        let facts = touched.facts(state, record);
        for at in next..rules.workflow.len() {
            if self.fire(draft, rules, at, record, &touched, &facts) {
                self.current = Some((touched, at + 1));
                return;
            }
        }
    }

    /// Fires a rule if it is to; whether something was decided.
    fn fire(
        &mut self,
        draft: &mut Draft<'_>,
        rules: &CompiledAutomation,
        at: usize,
        record: &Record,
        touched: &Touched,
        facts: &Facts,
    ) -> bool {
        let Some(rule) = rules.workflow.get(at) else { return false };
        let name = &rule.rule.name;
        let key = (touched.record, name.clone());
        match meets(rule, record, touched, facts, draft.now) {
            Ok(false) => return false,
            Ok(true) => {}
            Err(reason) => {
                if !self.told.insert(key) {
                    return false;
                }
                failed(draft, RuleKind::Workflow, name.as_str(), Some(touched.record), vec![reason]);
                return true;
            }
        }
        if let Some(seen) = self.fired.get(&key) {
            // What it saw as it fired, and what it wrote itself, is no reason to fire again. If it would
            // write something else because of what came later, there is no end.
            let again = touched.after >= *seen
                && touched.rule.as_ref() != Some(name)
                && workflow::would_write(draft, rule, touched, record, facts);
            return again && self.tell_loop(draft, touched.record, name);
        }
        self.fired.insert(key, draft.state.seq);
        self.cause = Some(Cause {
            rule: name.clone(),
            depth: touched.depth + 1,
            hops: touched.hops,
            actor: touched.actor.clone(),
        });
        workflow::fire(draft, rule, touched, record, facts);
        true
    }

    /// Tells once that rules would go on for ever.
    fn tell_loop(&mut self, draft: &mut Draft<'_>, record: RecordId, rule: &RuleName) -> bool {
        if !self.told.insert((record, rule.clone())) {
            return false;
        }
        let text = format!(
            "the rule {rule} has fired for this record already, and other rules make it meet its criteria \
             again: narrow the criteria so that the rules come to an end"
        );
        let reason = Reason::new(ReasonCode::RuleLoop, text).by_rule(rule.as_str());
        failed(draft, RuleKind::Workflow, rule.as_str(), Some(record), vec![reason]);
        true
    }
}

/// A record that is about to be touched, as it is now.
fn touched(state: &State, id: RecordId, record: Option<&Record>, cause: Option<&Cause>) -> Touched {
    Touched {
        record: id,
        actor: cause.map_or_else(UserName::connection_user, |cause| cause.actor.clone()),
        hops: cause.map_or(1, |cause| cause.hops),
        by_person: false,
        is_new: false,
        old: VecMap::new(),
        before: record.map(|record| Facts::of(state, record, false)),
        after: state.seq,
        depth: cause.map_or(0, |cause| cause.depth),
        rule: cause.map(|cause| cause.rule.clone()),
    }
}

/// Whether a rule is to fire: its criteria hold now and, if it asks for that, did not before.
fn meets(
    rule: &CompiledWorkflow,
    record: &Record,
    touched: &Touched,
    facts: &Facts,
    now: crate::Timestamp,
) -> Result<bool, Reason> {
    let when = rule.rule.when;
    if when == When::Created && !touched.is_new {
        return Ok(false);
    }
    let lookup = |name: &FieldName| record.fields.get(name).map(|field| &field.value);
    if !rule.criteria.hold(lookup, touched.was(), facts, now)? {
        return Ok(false);
    }
    let Some(before) = touched.before.as_ref().filter(|_| when == When::Starts) else { return Ok(true) };
    let former = |name: &FieldName| touched.old.get(name).or_else(|| lookup(name));
    // What cannot be told of the past is taken as not having been.
    Ok(!rule.criteria.hold(former, Was::Same, before, now).unwrap_or(false))
}

/// A rule could not do what it is for: that is counted and listed, and changes nothing else.
pub(super) fn failed(
    draft: &mut Draft<'_>,
    kind: RuleKind,
    rule: &str,
    record: Option<RecordId>,
    reasons: Vec<Reason>,
) {
    draft.emit(RuleFailed { kind, rule: rule.to_owned(), record, connection: None, reasons });
}
