//! The org as it was (OPS-04): its state, folded from the log up to an event or a moment. Whatever shows
//! something of the state of now can show it of then.

use std::ops::ControlFlow;

use serde::Deserialize;
use tieline_core::apply::apply;
use tieline_core::event::Event;
use tieline_core::state::State;
use tieline_core::{Seq, Timestamp};
use tieline_store::{LogReader, ReadError};

use super::audit::moment;
use super::log::{blocking, unreadable};
use super::problem::{ErrorCode, Problem};
use super::{Api, read};

/// Most events that are folded for one request: about ten seconds, and as much memory as the org has.
const EVENTS_MAX: u64 = 5_000_000;

/// When: now, if nothing is said.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AsOf {
    /// As it was after this event.
    pub(super) seq: Option<u64>,
    /// As it was at this moment: RFC 3339, or a day.
    pub(super) time: Option<String>,
}

/// One group of the log, decoded.
#[derive(Debug)]
pub(super) struct Past {
    pub(super) time: Timestamp,
    pub(super) events: Vec<(Seq, Event)>,
}

impl AsOf {
    /// Up to when; nothing means now.
    fn until(&self) -> Result<Option<(Seq, Option<Timestamp>)>, Problem> {
        let time = moment("time", self.time.as_deref())?;
        match (self.seq, time) {
            (None, None) => Ok(None),
            (seq, time) => Ok(Some((seq.map_or(Seq(u64::MAX), Seq), time))),
        }
    }

    /// Shows something of the org as it was then, or as it is.
    pub(super) async fn show<T: Send + 'static>(
        &self,
        api: &Api,
        view: impl FnOnce(&State) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let Some((until, time)) = self.until()? else {
            let axum::Json(view) = read(api, view).await?;
            return Ok(view);
        };
        folding(api, until, move |log, until| {
            let mut then = None;
            let state = fold(log, until, |state, group| {
                if time.is_some_and(|time| group.time > time) {
                    return ControlFlow::Break(());
                }
                // Of a group that goes on after it, only what came up to the event counts.
                if group.events.last().is_some_and(|(seq, _)| *seq > until) {
                    let mut partly = state.clone();
                    for (_, event) in group.events.iter().filter(|(seq, _)| *seq <= until) {
                        apply(&mut partly, group.time, event);
                    }
                    then = Some(partly);
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            })?;
            // What is not there may have come later.
            let asked = time.map_or_else(|| format!("event {until}"), |time| time.to_string());
            Ok(view(then.as_ref().unwrap_or(&state)).map_err(|mut problem| {
                problem.detail.push_str(&format!(" (asked of the org as it was at {asked})"));
                problem
            }))
        })
        .await?
    }
}

/// Runs what folds the log up to an event, where it may wait, and one at a time.
pub(super) async fn folding<T: Send + 'static>(
    api: &Api,
    until: Seq,
    work: impl FnOnce(&LogReader, Seq) -> Result<T, ReadError> + Send + 'static,
) -> Result<T, Problem> {
    let head = api.org.read(|state| state.seq).await;
    let until = until.min(head);
    if until.0 > EVENTS_MAX {
        let text = format!(
            "event {until} is too far from the beginning of the log: up to {EVENTS_MAX} events are read anew \
             for one answer"
        );
        return Err(Problem::new(ErrorCode::LimitReached, text));
    }
    let turn = api.verifying.clone().lock_owned().await;
    let log = api.org.log();
    let done = blocking(move || {
        let _turn = turn;
        work(&log, until)
    });
    done.await?.map_err(|error| unreadable(&error))
}

/// Folds the log from its beginning. `see` looks at each group and the state before it, and can end it
/// there; the state as it was before the last group that was looked at, or after all.
pub(super) fn fold(
    log: &LogReader,
    until: Seq,
    mut see: impl FnMut(&State, &Past) -> ControlFlow<()>,
) -> Result<State, ReadError> {
    let mut state = State::default();
    let mut cursor = log.cursor(Seq(1));
    while cursor.next_seq() <= until {
        let Some(groups) = cursor.next_groups()? else { break };
        for group in groups.groups() {
            if group.first > until {
                return Ok(state);
            }
            // What cannot be decoded is of a later version: the daemon itself would not have started.
            let events = group.events();
            let events = events.filter_map(|e| Some((e.seq, Event::decode(e.kind, e.body).ok()?)));
            let past = Past { time: group.time, events: events.collect() };
            if see(&state, &past).is_break() {
                return Ok(state);
            }
            for (_, event) in &past.events {
                apply(&mut state, past.time, event);
            }
        }
    }
    Ok(state)
}
