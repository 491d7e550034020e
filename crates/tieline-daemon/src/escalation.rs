//! The clock of escalations: says again and again that time has passed. What is due, and what happens to
//! it, is decided in core.

use std::time::Duration;

use tieline_core::UserName;
use tieline_core::command::{AutomationCommand, Command, Reply};
use tieline_core::decide::is_escalation_due;
use tokio_util::sync::CancellationToken;

use crate::clock::now;
use crate::org::OrgHandle;

/// How often the clock is looked at: escalations are told in minutes.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Runs for as long as the daemon does.
pub(crate) async fn run(org: OrgHandle, stop: CancellationToken) {
    loop {
        while !stop.is_cancelled() && org.peek(|state| is_escalation_due(state, now())) {
            let command = Command::Automation(AutomationCommand::Escalate);
            match org.execute(command, &UserName::connection_user()).await {
                Ok(executed) if executed.reply == Reply::Unchanged => break,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "escalations were not looked at");
                    break;
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}
