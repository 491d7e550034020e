//! What the core would never do, put into a log behind its back: proof that it would be noticed.

use tieline_core::content::Content;
use tieline_core::event::{
    ChildGranted, Delivery, Event, RecordAction, RecordChanged, RuleShared, ValuesPending,
};
use tieline_core::limits::HOPS_MAX;
use tieline_core::schema::FieldKind;
use tieline_core::state::{Record, Share, ShareRole, ShareStatus, State};
use tieline_core::value::Value;
use tieline_core::{FieldName, RecordId, Stamp, UserName};

use super::rules::{SHARES, is_shared_by_rule};
use crate::sim::dialect::{COUNT, Dialect};
use crate::sim::outside::{Sabotage, name};

/// The event that breaks a rule on purpose at an org, if it has something to break it with.
pub(in crate::sim) fn event(sabotage: Sabotage, at: usize, state: &State) -> Option<Event> {
    match sabotage {
        Sabotage::Forget => forget(state),
        Sabotage::Miscompute => miscompute(state),
        Sabotage::Overshare => overshare(at, state),
        Sabotage::Reconvert => reconvert(state),
        Sabotage::Orphan => orphan(state),
        Sabotage::Hop => hop(at, state),
        Sabotage::Remake => remake(state),
        // These are done to messages.
        Sabotage::Twice | Sabotage::Skip | Sabotage::Leak | Sabotage::Alter | Sabotage::Misdirect => None,
    }
}

/// A write of one field.
fn written(state: &State, id: RecordId, record: &Record, field: FieldName, value: Value) -> RecordChanged {
    let stamp = Stamp::new(state.time, state.org.as_ref().map(|org| org.id).unwrap_or_default());
    RecordChanged {
        record: id,
        object: record.object.clone(),
        action: RecordAction::Update,
        prev: record.last,
        actor: UserName::connection_user(),
        owner: None,
        content: Content::stamped([(field, value, stamp)]),
        origin: None,
        origins: [].into_iter().collect(),
        received: [].into_iter().collect(),
        deliveries: Vec::new(),
        hops: 0,
        rule: None,
    }
}

/// The records that are not deleted.
fn records(state: &State) -> impl Iterator<Item = (RecordId, &Record)> {
    state.records.iter().filter(|(_, record)| !record.deleted).map(|(id, record)| (*id, record))
}

/// A value that waits for approval is forgotten.
fn forget(state: &State) -> Option<Event> {
    records(state).find_map(|(id, record)| {
        let (field, _) = record.pending.iter().find(|(_, pending)| pending.approval)?;
        Some(ValuesPending { record: id, values: [(field.clone(), None)].into_iter().collect() }.into())
    })
}

/// A computed value is another one.
fn miscompute(state: &State) -> Option<Event> {
    records(state).find_map(|(id, record)| {
        let object = state.object(&record.object)?;
        let field = object.fields.iter().find(|f| f.kind == FieldKind::Formula && f.expression.is_some())?;
        Some(written(state, id, record, field.name.clone(), Value::Integer(-4)).into())
    })
}

/// A rule shares what is outside its criteria.
fn overshare(at: usize, state: &State) -> Option<Event> {
    let outside = |share: &Share| {
        let record = share.record.and_then(|record| state.record(record));
        let ours = share.role == ShareRole::Origin && share.is_open();
        ours && record.is_some_and(|r| r.object == Dialect::of(at).object() && !is_shared_by_rule(at, r))
    };
    state.connections.values().find_map(|connection| {
        let (share, _) = connection.shares.iter().find(|(_, share)| outside(share))?;
        let (connection, share) = (connection.id, *share);
        Some(RuleShared { connection, share, rule: name(SHARES), ended: false }.into())
    })
}

/// A lead is converted a second time.
fn reconvert(state: &State) -> Option<Event> {
    let marks = name::<FieldName>("ConvertedContactId");
    records(state).find_map(|(id, record)| {
        let contact = record.value(&marks).clone();
        matches!(contact, Value::Reference(_))
            .then(|| written(state, id, record, marks.clone(), contact).into())
    })
}

/// A task goes without what it belongs to.
fn orphan(state: &State) -> Option<Event> {
    let connection = state.connections.values().find(|connection| connection.is_active())?;
    let mut tasks = records(state).filter(|(_, record)| record.object.as_str() == "Task");
    let (record, task) = tasks.find(|(_, record)| record.share_over(connection.id).is_none())?;
    let own = &state.org.as_ref()?.name;
    Some(
        ChildGranted {
            connection: connection.id,
            share: tieline_core::ShareId::derive(connection.id, own, record),
            generation: 1,
            record,
            object: task.object.clone(),
            content: Content::default(),
            parents: Vec::new(),
            position: connection.outbox.head().position.next(),
            links: [].into_iter().collect(),
            actor: UserName::connection_user(),
        }
        .into(),
    )
}

/// A rule writes although too many have written before it.
fn hop(at: usize, state: &State) -> Option<Event> {
    let object = Dialect::of(at).object();
    let mut shared =
        state.connections.values().filter(|connection| connection.is_active()).flat_map(|over| {
            let active = over.shares.iter().filter(|(_, share)| share.status == ShareStatus::Active);
            active.map(move |(share, known)| (over, *share, known))
        });
    let (over, share, known) = shared.find(|(_, _, share)| {
        share.record.and_then(|record| state.record(record)).is_some_and(|record| record.object == object)
    })?;
    let (id, position) = (known.record?, over.outbox.head().position.next());
    let links = [].into_iter().collect();
    let delivery = Delivery { connection: over.id, share, generation: known.generation, position, links };
    let changed = written(state, id, state.record(id)?, Dialect::of(at).field(COUNT), Value::Integer(1));
    let (deliveries, rule) = (vec![delivery], Some(name("answers")));
    Some(RecordChanged { hops: HOPS_MAX, rule, deliveries, ..changed }.into())
}

/// An account is made although it is there.
fn remake(state: &State) -> Option<Event> {
    let (_, known) = records(state).find(|(_, record)| record.object.as_str() == "Account")?;
    let title = name::<FieldName>("Name");
    let again = written(state, RecordId(1), known, title.clone(), known.value(&title).clone());
    let owner = Some(known.owner.clone());
    Some(RecordChanged { action: RecordAction::Create, prev: tieline_core::Seq(0), owner, ..again }.into())
}
