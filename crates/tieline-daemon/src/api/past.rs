//! The org as it was (OPS-04): its state, folded from the newest snapshot before an event or a moment up to
//! there. Whatever shows something of the state of now can show it of then.

use std::ops::ControlFlow;

use serde::Deserialize;
use tieline_core::apply::apply;
use tieline_core::event::Event;
use tieline_core::state::{STATE_FORMAT, State};
use tieline_core::{Seq, Timestamp};
use tieline_store::{LogReader, ReadError, SnapshotStore};

use super::audit::moment;
use super::log::{blocking, unreadable};
use super::problem::{ErrorCode, Problem};
use super::{Api, read};

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
        let (snapshots, most) = (api.org.shared.snapshots.clone(), api.org.shared.past_events_max);
        folding(api, until, move |log, until| {
            let from = before(&snapshots, log, until, time)?;
            if time.is_none() {
                within(from.seq, until, most)?;
            }
            let mut then = None;
            let state = fold(log, from, until, most, |state, group| {
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

/// Why the log was not folded.
#[derive(Debug)]
pub(super) enum Unfolded {
    /// It cannot be read.
    Read(ReadError),
    /// It is too far from where the folding begins to where it is to end.
    TooFar { from: Seq, most: u64 },
}

impl From<ReadError> for Unfolded {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl From<Unfolded> for Problem {
    fn from(why: Unfolded) -> Self {
        match why {
            Unfolded::Read(error) => unreadable(&error),
            Unfolded::TooFar { from, most } => {
                let begin = match from {
                    Seq(0) => "the beginning of the log".to_owned(),
                    seq => format!("the snapshot of event {seq}"),
                };
                let text = format!(
                    "that is more than {most} events after {begin}, and so many are read anew for one answer: \
                     raise past_events_max of [store] in tieline.toml"
                );
                Self::new(ErrorCode::LimitReached, text)
            }
        }
    }
}

/// Refuses what would take too long.
pub(super) const fn within(from: Seq, until: Seq, most: u64) -> Result<(), Unfolded> {
    if until.0.saturating_sub(from.0) > most { Err(Unfolded::TooFar { from, most }) } else { Ok(()) }
}

/// The newest snapshot at or before an event and a moment; the empty state without one.
fn before(
    snapshots: &SnapshotStore,
    log: &LogReader,
    until: Seq,
    time: Option<Timestamp>,
) -> Result<State, ReadError> {
    let mut up_to = until;
    loop {
        // Those that cannot be used are named when the daemon starts: here an older one does.
        let found = snapshots.newest_good(STATE_FORMAT, up_to).ok().and_then(|found| found.snapshot);
        let Some(snapshot) = found.filter(|snapshot| snapshot.seq > Seq(0)) else {
            return Ok(State::default());
        };
        let early = match time {
            None => true,
            Some(time) => decided_at(log, snapshot.seq)?.is_some_and(|decided| decided <= time),
        };
        if early
            && let Ok(state) = State::from_bytes(&snapshot.bytes)
            && state.hash().0 == snapshot.state_hash
        {
            return Ok(state);
        }
        up_to = Seq(snapshot.seq.0 - 1);
    }
}

/// When an event was decided.
fn decided_at(log: &LogReader, seq: Seq) -> Result<Option<Timestamp>, ReadError> {
    let mut cursor = log.cursor(seq);
    let groups = cursor.next_groups()?;
    Ok(groups.and_then(|groups| groups.groups().find(|group| group.last >= seq).map(|group| group.time)))
}

/// Runs what folds the log up to an event, where it may wait, and one at a time.
pub(super) async fn folding<T: Send + 'static>(
    api: &Api,
    until: Seq,
    work: impl FnOnce(&LogReader, Seq) -> Result<T, Unfolded> + Send + 'static,
) -> Result<T, Problem> {
    let head = api.org.read(|state| state.seq).await;
    let until = until.min(head);
    let turn = api.verifying.clone().lock_owned().await;
    let log = api.org.log();
    let done = blocking(move || {
        let _turn = turn;
        work(&log, until)
    });
    Ok(done.await??)
}

/// Folds the log after a state, `most` events at most. `see` looks at each group and the state before it, and can
/// end it there; the state as it was before the last group that was looked at, or after all.
pub(super) fn fold(
    log: &LogReader,
    mut state: State,
    until: Seq,
    most: u64,
    mut see: impl FnMut(&State, &Past) -> ControlFlow<()>,
) -> Result<State, Unfolded> {
    let from = state.seq;
    let mut cursor = log.cursor(from.next());
    while cursor.next_seq() <= until {
        let Some(groups) = cursor.next_groups()? else { break };
        for group in groups.groups().filter(|group| group.last > from) {
            if group.first > until {
                return Ok(state);
            }
            // What cannot be decoded is of a later version: the daemon itself would not have started.
            let events = group.events().filter(|event| event.seq > from);
            let events = events.filter_map(|e| Some((e.seq, Event::decode(e.kind, e.body).ok()?)));
            let past = Past { time: group.time, events: events.collect() };
            if see(&state, &past).is_break() {
                return Ok(state);
            }
            within(from, group.last.min(until), most)?;
            for (_, event) in &past.events {
                apply(&mut state, past.time, event);
            }
        }
    }
    Ok(state)
}
