//! What happens by itself when a record changes, as an org defines it.
//!
//! - A [`Queue`] owns records until somebody takes them up; connections that are members get them.
//! - A [`SharingRule`] offers records that meet its criteria; an [`AssignmentRule`] says who owns them.
//! - A [`WorkflowRule`] acts when a record is created or changed; an [`EscalationRule`] when it was not.
//!
//! Definitions are whole: what is set replaces what was there. Criteria are conditions over the fields of
//! the record, what they were, and [`Facts`] (`expr`), checked when a rule is saved and compiled once. What
//! a rule did is in the log as events; replay evaluates nothing (`decide::automation`).

mod compiled;
mod facts;
mod queue;
mod rules;

pub(crate) use compiled::{CompiledAutomation, CompiledWorkflow};
pub(crate) use facts::beside_of;
pub use facts::{Criteria, Facts, Was};
pub use queue::Queue;
pub use rules::{
    Action, AssignmentEntry, AssignmentRule, EscalationEntry, EscalationRule, Rule, RuleKind, SharingRule,
    When, WorkflowRule,
};
