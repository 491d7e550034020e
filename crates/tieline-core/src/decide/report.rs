//! Definitions of reports.

use crate::ReportName;
use crate::command::{Refusal, Reply};
use crate::decide::draft::Draft;
use crate::decide::record;
use crate::event::{ReportRemoved, ReportSet};
use crate::limits::REPORTS_MAX;
use crate::report::{Report, ready_made};

pub(super) fn set(draft: &mut Draft<'_>, report: &Report) -> Result<Reply, Refusal> {
    let state = draft.state;
    if ready_made(state).iter().any(|ready| ready.name == report.name) {
        let text = format!("{} is a report that every org has: give yours another name", report.name);
        return Err(Refusal::conflict("built_in_report", text));
    }
    if state.reports.get(&report.name) == Some(report) {
        return Ok(Reply::Unchanged);
    }
    if !state.reports.contains_key(&report.name) && state.reports.len() >= REPORTS_MAX {
        let text = format!("an org has at most {REPORTS_MAX} reports: remove one that nobody needs");
        return Err(Refusal::invalid("limit_reached", text));
    }
    report.check(record::object(state, &report.object)?, state).map_err(Refusal::record)?;
    draft.emit(ReportSet { report: report.clone(), actor: draft.actor.clone() });
    Ok(Reply::Done)
}

pub(super) fn remove(draft: &mut Draft<'_>, report: &ReportName) -> Result<Reply, Refusal> {
    if !draft.state.reports.contains_key(report) {
        let text = format!("there is no report {report} that was defined here: see `tieline report list`");
        return Err(Refusal::not_found("unknown_report", text));
    }
    draft.emit(ReportRemoved { report: report.clone(), actor: draft.actor.clone() });
    Ok(Reply::Done)
}
