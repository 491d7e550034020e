//! What happens by itself: queues, and (in `run`) what a change of a record causes.

mod assign;
mod queue;
mod run;

use crate::command::{AutomationCommand, Refusal, Reply};
use crate::decide::draft::Draft;

pub(super) use assign::owner_named;
pub use run::Run;

/// Decides a command about queues and rules.
pub(super) fn decide(draft: &mut Draft<'_>, command: &AutomationCommand) -> Result<Reply, Refusal> {
    match command {
        AutomationCommand::SetQueue { queue } => queue::set(draft, queue),
        AutomationCommand::RemoveQueue { queue } => queue::remove(draft, queue),
        AutomationCommand::ShareQueue { queue, connection } => queue::share(draft, queue, *connection),
        AutomationCommand::Assign { record, to } => assign::assign(draft, *record, to),
    }
}
