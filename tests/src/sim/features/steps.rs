//! What has to hold for features at each event of a log.

use tieline_core::account::normal;
use tieline_core::event::{ChildGranted, Event, RecordAction, RecordChanged};
use tieline_core::limits::HOPS_MAX;
use tieline_core::state::{ShareStatus, State};
use tieline_core::value::Value;
use tieline_core::{FieldName, RecordId, UserName};

use crate::sim::Broken;
use crate::sim::outside::name;

const HOPS: &str = "rules follow each other through so many orgs and no more";

/// Looks at an event on the state before it.
pub(in crate::sim) fn check(state: &State, event: &Event) -> Result<(), Broken> {
    match event {
        Event::RecordChanged(changed) => {
            hops(changed)?;
            converts_once(state, changed)?;
            matches_account(state, changed)
        }
        Event::ChildGranted(granted) => has_parent(state, granted),
        Event::ShareOffered(offered) if offered.hops > HOPS_MAX => {
            Err(Broken::new(HOPS, format!("{offered:?}")))
        }
        _ => Ok(()),
    }
}

/// Whether an event is a write of a rule that is not sent, because too many stand before it.
pub(in crate::sim) const fn is_last_hop(changed: &RecordChanged) -> bool {
    changed.rule.is_some() && changed.hops >= HOPS_MAX
}

fn hops(changed: &RecordChanged) -> Result<(), Broken> {
    if is_last_hop(changed) && !changed.deliveries.is_empty() {
        return Err(Broken::new(HOPS, format!("{changed:?}")));
    }
    Ok(())
}

fn converts_once(state: &State, changed: &RecordChanged) -> Result<(), Broken> {
    let marks = name::<FieldName>("ConvertedContactId");
    let known = state.record(changed.record).filter(|_| changed.content.values.contains_key(&marks));
    match known.map(|known| known.value(&marks)) {
        Some(Value::Reference(contact)) => {
            let text = format!("{} became {contact} before {changed:?}", changed.record);
            Err(Broken::new("a lead is converted once", text))
        }
        _ => Ok(()),
    }
}

/// An account that the Connection User makes is one that was not there.
fn matches_account(state: &State, changed: &RecordChanged) -> Result<(), Broken> {
    let made = changed.action == RecordAction::Create && changed.actor == UserName::connection_user();
    if !made || changed.object.as_str() != "Account" {
        return Ok(());
    }
    let title = name::<FieldName>("Name");
    let key = changed.content.values.get(&title).map(normal);
    let same =
        state.records_of(&changed.object, None).find(|(_, known)| Some(normal(known.value(&title))) == key);
    match same {
        Some((known, _)) => {
            let text = format!("{} is made although {known} is there", changed.record);
            Err(Broken::new("an account that matches is not made again", text))
        }
        None => Ok(()),
    }
}

fn has_parent(state: &State, granted: &ChildGranted) -> Result<(), Broken> {
    let connection = state.connections.get(&granted.connection);
    let is_active = |share| {
        let share = connection.and_then(|connection| connection.shares.get(share));
        share.is_some_and(|share| share.status == ShareStatus::Active)
    };
    // One that the partner had forgotten is granted again as it was.
    let again = connection
        .and_then(|connection| connection.shares.get(&granted.share))
        .is_some_and(|share| share.generation == granted.generation);
    if again || granted.parents.iter().any(|link| is_active(&link.share)) {
        return Ok(());
    }
    Err(Broken::new("a task goes where what it belongs to has gone", format!("{granted:?}")))
}

/// The values that wait for approval on the record that an event is about.
pub(in crate::sim) fn approvals(state: &State, event: &Event) -> Option<(RecordId, Vec<FieldName>)> {
    let id = match event {
        Event::RecordChanged(changed) => changed.record,
        Event::ValuesPending(pending) => pending.record,
        Event::ShareClosed(closed) => state.share(closed.connection, closed.share)?.record?,
        _ => return None,
    };
    let record = state.record(id)?;
    let waiting = record.pending.iter().filter(|(_, pending)| pending.approval);
    let waiting: Vec<FieldName> = waiting.map(|(field, _)| field.clone()).collect();
    (!waiting.is_empty()).then_some((id, waiting))
}

/// Looks whether they still wait on the state after it, or were decided by a write.
pub(in crate::sim) fn none_is_lost(
    state: &State,
    event: &Event,
    (id, waiting): &(RecordId, Vec<FieldName>),
) -> Result<(), Broken> {
    let Some(record) = state.record(*id) else { return Ok(()) };
    let written = |field: &FieldName| match event {
        Event::RecordChanged(changed) => changed.content.values.contains_key(field),
        _ => false,
    };
    match waiting.iter().find(|field| !record.pending.contains_key(*field) && !written(field)) {
        Some(field) => {
            let text = format!("{field} of {id} waits no more, by {event:?}");
            Err(Broken::new("a value waits for approval until somebody decides", text))
        }
        None => Ok(()),
    }
}
