//! What a restored owner stamps anew when both sides reconcile (PROTOCOL §9).

use crate::content::Content;
use crate::decide::draft::Draft;
use crate::decide::settle::rule_of;
use crate::decide::share;
use crate::decide::write::{Candidate, Candidates, Write, carried, deliveries, delivery, record_changed};
use crate::event::RecordAction;
use crate::mapping::FieldMapping;
use crate::message::ShareEntry;
use crate::schema::FieldKind;
use crate::stamp::Stamp;
use crate::state::{Connection, FieldState, Record, Share, ShareRole, Source};
use crate::{FieldName, RecordId, ShareId};

/// A restored owner stamps anew the fields of which the partner holds a later write that it does
/// not publish back, a later revision of ours, or another write with the same stamp: else our edits
/// would lose against values that nobody here has any more.
pub(super) fn stamp_anew(
    draft: &mut Draft<'_>,
    connection: &Connection,
    share_id: ShareId,
    share: &Share,
    theirs: &ShareEntry,
    id: RecordId,
    record: &Record,
) {
    if !connection.recovering {
        return;
    }
    let comes_back = |name: &FieldName| {
        rule_of(connection, share)
            .and_then(|rule| rule.mapping_of(name))
            .and_then(FieldMapping::remote)
            .is_some()
    };
    let (here, own) = (draft.stamp(), draft.org().id);
    // What the record carries of others is written at those, never here: it is said once more, right after what the
    // partner has, so that whatever is written at those from now on is later.
    let mut said = Content::default();
    let ours = (share.role == ShareRole::Origin).then(|| carried(draft.state, connection, record));
    for (name, value, stamp) in ours.into_iter().flatten() {
        if let Some(listed) = theirs.taken.get(name).filter(|listed| listed.write() > stamp.write()) {
            said.set(name.clone(), value, Stamp { time: listed.time.plus_us(1), ..here });
        }
    }
    share::send_snapshot(draft, connection, share_id, share.generation, &record.object, said);
    let object = draft.state.object(&record.object);
    let is_carried = |name: &FieldName| {
        object.and_then(|object| object.field(name)).is_some_and(|field| field.kind == FieldKind::Parent)
    };
    let anew = |(name, listed): (&FieldName, &Stamp)| {
        if is_carried(name) {
            return None;
        }
        let mine = record.fields.get(name);
        let lost = mine.map(|field| field.stamp.write()) < Some(listed.write()) && !comes_back(name);
        let doubtful = mine.is_some_and(|field| {
            field.stamp.write() == listed.write() && may_be_given_twice(draft, record, field)
        });
        if lost || doubtful {
            let stamp = Stamp { time: here.time.max(listed.time.plus_us(1)), ..here };
            return Some((name.clone(), Candidate::local(record.value(name).clone(), stamp)));
        }
        // A revision of our own that we forgot: what we have of the same write comes after it.
        let mine = mine.filter(|field| {
            let forgotten = listed.reviser == own && listed.revision() > field.stamp.revision();
            forgotten && listed.write() == field.stamp.write()
        })?;
        let source = mine.source.as_deref();
        let received = source.map(|Source { revision: (rev, reviser), .. }| Stamp {
            rev: *rev,
            reviser: *reviser,
            ..mine.stamp
        });
        let origin = source.map(|source| source.origin);
        let stamp = mine.stamp.revised(*listed, own);
        Some((name.clone(), Candidate { value: mine.value.clone(), stamp, origin, received }))
    };
    let candidates: Candidates = theirs.taken.iter().filter_map(anew).collect();
    if candidates.is_empty() {
        return;
    }
    let mut deliveries = deliveries(draft, &record.object, record, &candidates);
    // The share is active, and of this generation, by the same word of the partner.
    match deliveries.iter_mut().find(|delivery| delivery.connection == connection.id) {
        Some(delivery) => delivery.generation = share.generation,
        None => {
            let generation = share.generation;
            deliveries.extend(delivery(draft, connection, share_id, generation, &record.object, &candidates));
        }
    }
    let write = Write {
        id,
        object: record.object.clone(),
        action: RecordAction::Update,
        actor: draft.actor.clone(),
        owner: None,
        hops: 0,
    };
    draft.emit(record_changed(Some(record), write, candidates, deliveries));
}

/// Whether a lost write may have had the stamp of this one, too: a clock that ran ahead of the wall clock
/// gives the lost stamps again until the loss is noticed and a new life begins.
fn may_be_given_twice(draft: &Draft<'_>, record: &Record, field: &FieldState) -> bool {
    let org = draft.org();
    let is_ours = field.source.is_none() && field.stamp.org == org.id;
    is_ours && field.stamp.time > record.modified && record.modified <= org.incarnation.begun()
}
