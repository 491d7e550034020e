//! Queues and rules, as people set them in a run.

use std::collections::BTreeSet;

use tieline_core::automation::{Action, Queue, Rule, SharingRule, When, WorkflowRule};
use tieline_core::command::{AutomationCommand, Command};
use tieline_core::sharing::TaskChoice;
use tieline_core::state::Record;
use tieline_core::value::Value;
use tieline_core::{AssignTo, ConnectionId, Owner, QueueName};

use super::Feature;
use crate::sim::Broken;
use crate::sim::dialect::{COUNT, Dialect, NOTE};
use crate::sim::outside::name;
use crate::sim::world::World;

/// Records with a greater number than this are shared by the rule, and only those.
const SHARED_ABOVE: i64 = 500;
/// The rule that shares them.
pub(super) const SHARES: &str = "large";
/// Where records wait.
const POOL: &str = "pool";

/// Whether a record meets the criteria of the rule that shares.
pub(super) fn is_shared_by_rule(at: usize, record: &Record) -> bool {
    matches!(record.value(&Dialect::of(at).field(COUNT)), Value::Integer(count) if *count > SHARED_ABOVE)
}

impl World {
    fn active(&self, at: usize) -> BTreeSet<ConnectionId> {
        self.org(at).state().connections.values().filter(|c| c.is_active()).map(|c| c.id).collect()
    }

    fn automate(&mut self, at: usize, command: AutomationCommand, label: &str) -> Result<(), Broken> {
        drop(self.execute(at, &Command::Automation(command), label)?);
        Ok(())
    }

    /// Sets the rule that shares, or lets it look at everything.
    pub(super) fn share_by_rule(&mut self, at: usize) -> Result<(), Broken> {
        if self.out.extras.chance(300) {
            return self.automate(
                at,
                AutomationCommand::ApplySharing { rule: name(SHARES) },
                "applies its rule",
            );
        }
        let dialect = Dialect::of(at);
        let rule = Rule::Sharing(SharingRule {
            name: name(SHARES),
            object: dialect.object(),
            active: true,
            criteria: format!("{} > {SHARED_ABOVE}", dialect.field(COUNT)),
            connections: self.active(at),
            unshare: true,
            tasks: TaskChoice::None,
            new_tasks: false,
            several: false,
        });
        self.automate(at, AutomationCommand::SetRule { rule: Box::new(rule) }, "shares by a rule")
    }

    /// Sets the queue, gives it a record, or offers what it has.
    pub(super) fn queue(&mut self, at: usize) -> Result<(), Broken> {
        let (pool, object) = (name::<QueueName>(POOL), Dialect::of(at).object());
        match self.out.extras.below(10) {
            0..3 => {
                let mut queue = Queue::new(pool, BTreeSet::from([object]));
                queue.connections = self.active(at);
                self.automate(at, AutomationCommand::SetQueue { queue: Box::new(queue) }, "sets a queue")
            }
            3..9 => {
                let Some(record) = self.any(at, &object) else { return Ok(()) };
                let owner = if self.out.extras.chance(700) {
                    Owner::Queue(pool)
                } else {
                    Owner::User(self.out.person.clone())
                };
                let to = AssignTo::Owner(owner);
                self.automate(at, AutomationCommand::Assign { record, to }, &format!("assigns {record}"))
            }
            _ => {
                let Some(connection) = self.some_connection(at) else { return Ok(()) };
                self.automate(
                    at,
                    AutomationCommand::ShareQueue { queue: pool, connection },
                    "offers its queue",
                )
            }
        }
    }

    /// Sets a rule that writes: one that answers partners again and again, one that ends by itself, and
    /// one that makes tasks.
    pub(super) fn set_workflow(&mut self, at: usize) -> Result<(), Broken> {
        let dialect = Dialect::of(at);
        let (count, note) = (dialect.field(COUNT), dialect.field(NOTE));
        let set =
            |field, value: Option<String>, formula: Option<String>| Action::Set { field, value, formula };
        let (title, when, criteria, action) = match self.out.extras.below(4) {
            0 => (
                "answers",
                When::Every,
                format!("by_connection_user && {count} > 100 && {count} < 400"),
                set(count.clone(), None, Some(format!("{count} + 1"))),
            ),
            1 => ("notes", When::Starts, format!("{count} > 700"), set(note, Some("large".to_owned()), None)),
            2 if self.features.has(Feature::Tasks) => (
                "does",
                When::Starts,
                format!("{count} < 50"),
                Action::Task { subject: "look at it".to_owned(), due_in_days: None, owner: None },
            ),
            _ => {
                ("resets", When::Created, format!("{count} == null"), set(count, Some("0".to_owned()), None))
            }
        };
        let rule = Rule::Workflow(WorkflowRule {
            name: name(title),
            object: dialect.object(),
            active: self.out.extras.chance(850),
            when,
            criteria,
            actions: vec![action],
        });
        self.automate(at, AutomationCommand::SetRule { rule: Box::new(rule) }, &format!("{title} by a rule"))
    }
}
