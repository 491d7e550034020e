//! What applying files would do: the commands, in an order in which each finds what it needs, and what
//! they change.
//!
//! The commands are decided one after the other on a clone of the state, as `ApplyConfig` will do it. An
//! item that is refused is tried again after the others, as long as any of them gets through: so the
//! order of files counts nothing, and what is refused in the end is refused for good.

use std::collections::BTreeSet;

use super::diff::diff;
use super::files::{self, Item, Read, label};
use super::nouns::{self, Noun};
use super::{Action, Change, ConfigHash, Fault, Member, Options, Passed, Place, Plan, Source, Touch, touch};
use crate::ConnectionId;
use crate::apply::apply;
use crate::check;
use crate::command::{Command, Context, Refusal};
use crate::decide::{Decision, decide};
use crate::event::Event;
use crate::job::JobKind;
use crate::state::{NotSelected, State};

/// Most rounds in which refused items are tried again: each needs what the one before it made.
const ROUNDS_MAX: usize = 50;

/// What is to be done with one item.
struct Step<'t> {
    noun: &'static Noun,
    connection: Option<ConnectionId>,
    name: String,
    label: String,
    place: Place,
    /// What the file says; nothing if the item goes.
    item: Option<Item<'t>>,
}

/// What applying `sources` to an org would do, for the actor of `context`.
#[must_use]
pub fn plan(state: &State, sources: &[Source], options: Options, context: &Context) -> Plan {
    let mut read = files::read(sources);
    let items = std::mem::take(&mut read.items);
    let mut planner = Planner {
        before: state,
        working: state.clone(),
        context,
        plan: Plan {
            based_on: ConfigHash::of(state),
            changes: Vec::new(),
            faults: std::mem::take(&mut read.faults),
            passed: Vec::new(),
            unchanged: 0,
            touches: Vec::new(),
            share_questions: Vec::new(),
            questions: Vec::new(),
            members: Vec::new(),
        },
    };
    let mut steps = Vec::new();
    for mut item in items {
        item.skip_missing = options.skip_missing;
        item.actor = Some(context.actor.clone());
        steps.extend(planner.step(item, options));
    }
    let goes = planner.pruned(&steps, &read, options.prune);
    steps.extend(goes);
    planner.run(steps, options.skip_missing);
    planner.broken();
    planner.plan
}

struct Planner<'s> {
    before: &'s State,
    /// The state as the commands so far leave it. Its records are those of `before`.
    working: State,
    context: &'s Context,
    plan: Plan,
}

impl Planner<'_> {
    /// The step that an item is; nothing if its connection is not here.
    fn step<'t>(&mut self, item: Item<'t>, options: Options) -> Option<Step<'t>> {
        let connection = match item.connection.as_deref().map(|name| self.before.select(name)) {
            None => None,
            Some(Ok(connection)) => Some(connection.id),
            Some(Err(NotSelected::Unknown(_))) if options.skip_missing => {
                let message = "its connection is not here".to_owned();
                self.plan.passed.push(Passed { item: item.label(), place: item.place(), message });
                return None;
            }
            Some(Err(error)) => {
                let code = match error {
                    NotSelected::Unknown(_) => "unknown_connection",
                    NotSelected::Ambiguous { .. } => "ambiguous_connection",
                };
                self.plan.faults.push(item.fault(code, error.to_string()));
                return None;
            }
        };
        Some(Step {
            noun: item.noun,
            connection,
            name: item.name.clone(),
            label: item.label(),
            place: item.place(),
            item: Some(item),
        })
    }

    /// The steps that remove what the files do not have: of the nouns that they manage, and if it is asked
    /// for, of those that they name.
    fn pruned<'t>(&mut self, steps: &[Step<'t>], read: &Read<'_>, prune: bool) -> Vec<Step<'t>> {
        let mut goes = Vec::new();
        let named = if prune { &read.named } else { &BTreeSet::new() };
        let mut nouns: Vec<_> = named
            .union(&read.managed)
            .filter_map(|(connection, noun)| {
                let row =
                    if connection.is_some() { nouns::of_connection(noun) } else { nouns::of_org(noun) }?;
                Some((connection.as_deref(), row))
            })
            .collect();
        // What others name goes after those: against the order in which they are set.
        nouns.sort_by_key(|(_, noun)| std::cmp::Reverse(nouns::order(noun)));
        for (selector, noun) in nouns {
            let connection = match selector.map(|name| self.before.select(name)) {
                None => None,
                Some(Ok(connection)) => Some(connection),
                Some(Err(_)) => continue,
            };
            for name in (noun.names)(self.before, connection) {
                let id = connection.map(|connection| connection.id);
                let kept =
                    |step: &Step<'_>| (step.noun.name, step.connection, &step.name) == (noun.name, id, &name);
                if noun.single || steps.iter().any(kept) {
                    continue;
                }
                let label = label(selector, noun, &name);
                let place = Place::default();
                let managed = read.managed.contains(&(selector.map(ToOwned::to_owned), noun.name));
                let message = if noun.guarded && !managed {
                    format!(
                        "it is not in the files: it stays, as long as no file says manages = [\"{}\"]",
                        noun.name
                    )
                } else if (noun.remove)(self.before, connection, &name).is_some() {
                    goes.push(Step { noun, connection: id, name, label, place, item: None });
                    continue;
                } else {
                    "it is not in the files, and cannot be removed: it stays".to_owned()
                };
                self.plan.passed.push(Passed { item: label, place, message });
            }
        }
        goes
    }

    /// Does the steps, and those that are refused again after the others.
    fn run(&mut self, mut steps: Vec<Step<'_>>, skip_missing: bool) {
        for _ in 0..ROUNDS_MAX {
            let (count, mut refused) = (steps.len(), Vec::new());
            for step in steps {
                if let Err(faults) = self.attempt(&step) {
                    refused.push((step, faults));
                }
            }
            if refused.is_empty() {
                return;
            }
            if refused.len() == count {
                refused.into_iter().for_each(|(step, faults)| self.refuse(&step, faults, skip_missing));
                return;
            }
            steps = refused.into_iter().map(|(step, _)| step).collect();
        }
        let text =
            format!("the settings need each other in more than {ROUNDS_MAX} rounds: apply them in parts");
        let fault =
            |step: Step<'_>| Fault { code: "limit_reached", message: text.clone(), ..fault_of(&step, "") };
        self.plan.faults.extend(steps.into_iter().map(fault));
    }

    /// What is refused for good; or passed over, if that is asked for, as long as the partner does not
    /// publish the object.
    fn refuse(&mut self, step: &Step<'_>, faults: Vec<Fault>, skip_missing: bool) {
        let is_missing = |fault: &Fault| matches!(fault.code, "not_in_catalogue" | "not_subscribed");
        if skip_missing && step.connection.is_some() && faults.iter().all(is_missing) {
            let passed =
                |fault: Fault| Passed { item: fault.item, place: fault.place, message: fault.message };
            self.plan.passed.extend(faults.into_iter().map(passed));
        } else {
            self.plan.faults.extend(faults);
        }
    }

    fn attempt(&mut self, step: &Step<'_>) -> Result<(), Vec<Fault>> {
        let connection = step.connection.and_then(|id| self.working.connections.get(&id));
        let commands = match &step.item {
            Some(item) => (step.noun.set)(item, &self.working, connection)?,
            None => (step.noun.remove)(&self.working, connection, &step.name).into_iter().collect(),
        };
        let (known, mut jobs) = (self.plan.members.len(), Vec::new());
        for command in commands {
            self.command(step, command, &mut jobs).map_err(|refusal| refused(step, refusal))?;
        }
        if self.plan.members.len() == known {
            self.plan.unchanged += 1;
            return Ok(());
        }
        self.tell(step, jobs);
        Ok(())
    }

    /// Decides a command and lets it happen to the working state.
    fn command(&mut self, step: &Step<'_>, command: Command, jobs: &mut Vec<String>) -> Result<(), Refusal> {
        let Decision { events, .. } = decide(&self.working, &command, self.context)?;
        if events.is_empty() {
            return Ok(());
        }
        for event in &events {
            if let Event::JobStarted(started) = event {
                jobs.push(kind_of(&started.kind));
            }
            apply(&mut self.working, self.context.now, event);
        }
        let Step { label, place, .. } = step;
        self.plan.members.push(Member { command, item: label.clone(), place: place.clone() });
        Ok(())
    }

    /// Tells what a step changed.
    fn tell(&mut self, step: &Step<'_>, jobs: Vec<String>) {
        let of = |state: &State| {
            let connection = step.connection.and_then(|id| state.connections.get(&id));
            (step.noun.show)(state, connection, &step.name)
        };
        let (before, after) = (of(self.before), of(&self.working));
        let action = match (&before, &after) {
            (None, _) => Action::Create,
            (Some(_), None) => Action::Remove,
            (Some(_), Some(_)) => Action::Change,
        };
        let fields = diff(before.as_ref(), after.as_ref());
        let (item, place) = (step.label.clone(), step.place.clone());
        self.touched(step);
        self.plan.changes.push(Change { item, place, action, fields, jobs });
    }

    /// Counts what the step touches, and notes what has to be asked of records.
    fn touched(&mut self, step: &Step<'_>) {
        let both = step
            .connection
            .and_then(|id| Some((self.before.connections.get(&id)?, self.working.connections.get(&id)?)));
        match both {
            Some((before, after)) => {
                let question = touch::of_rule(before, after, step.noun.name, &step.name, &step.label);
                self.plan.share_questions.extend(question);
            }
            None if step.noun.name == nouns::OBJECTS.name => {
                let name = step.name.as_str();
                let (before, after) = (self.before.objects.get(name), self.working.objects.get(name));
                if let (Some(before), Some(after)) = (before, after) {
                    self.plan.questions.extend(touch::of_object(before, after, &step.label));
                }
            }
            None => {}
        }
    }

    /// Notes the rules, views and reports that fit their object now and would not when all is done.
    fn broken(&mut self) {
        let changed = self.plan.changes.iter().filter(|change| change.action == Action::Change);
        let of_object = |item: &str| {
            let (noun, name) = item.split_once('.')?;
            (noun == nouns::OBJECTS.name).then(|| name.to_owned())
        };
        let objects = changed.filter_map(|change| Some((change.item.clone(), of_object(&change.item)?)));
        for (item, name) in objects.collect::<Vec<_>>() {
            let Some(after) = self.working.objects.get(name.as_str()) else { continue };
            for unfit in check::breaks(self.before, &self.working, after) {
                let detail = format!("{}: {}", unfit.item, unfit.reason.message);
                let touch = Touch { item: item.clone(), code: "setting_broken", detail, count: 1 };
                self.plan.touches.push(touch);
            }
        }
    }
}

/// What a job is called, as in the log.
fn kind_of(kind: &JobKind) -> String {
    let json = serde_json::to_value(kind).unwrap_or_default();
    json.as_object().and_then(|entries| entries.keys().next()).cloned().unwrap_or_default()
}

fn fault_of(step: &Step<'_>, message: &str) -> Fault {
    let (item, place) = (step.label.clone(), step.place.clone());
    Fault { item, place, code: "invalid", message: message.to_owned() }
}

/// A refusal of the core, told of the item: reason by reason, where there are several.
fn refused(step: &Step<'_>, refusal: Refusal) -> Vec<Fault> {
    let about = |code: &'static str, message: &str| Fault { code, ..fault_of(step, message) };
    if refusal.reasons.is_empty() {
        return vec![about(refusal.code, &refusal.message)];
    }
    refusal.reasons.iter().map(|reason| about(reason.code.as_str(), &reason.message)).collect()
}
