//! Values that lose against a write that their writer had not seen (S2S-51): what is lost, and that it
//! is noted.

use crate::decide::draft::Draft;
use crate::decide::fields::{Incoming, Sorted};
use crate::event::{ConflictNoted, Loser, LostValue};
use crate::mapping::FieldMapping;
use crate::stamp::Stamp;
use crate::state::{Connection, Record, ShareStatus};
use crate::value::Value;
use crate::vecmap::VecMap;
use crate::{FieldName, OrgId, RecordId};

/// What an older value loses, if that is a conflict (S2S-51): it was never told before, so whoever
/// wrote the later one had not seen it, and it has the lesser stamp, so its writer had not seen the
/// later one. In a ring of orgs the writer's own word counts, and not that of an org that passes it on.
pub(super) fn lost(
    draft: &Draft<'_>,
    incoming: &Incoming<'_>,
    record: &Record,
    mapping: &FieldMapping,
    value: &Value,
    stamp: Stamp,
) -> Option<LostValue> {
    let is_of = |connection: &Connection| {
        connection.partner.as_ref().is_some_and(|partner| OrgId::from(partner) == stamp.org)
    };
    let passed_on = || {
        let mut others =
            draft.state.shares_of(record).filter(|(_, share)| share.status == ShareStatus::Active);
        !is_of(incoming.connection) && others.any(|(connection, _)| is_of(connection))
    };
    // An org has seen its own earlier writes.
    let own = record.fields.get(&mapping.local).is_some_and(|field| field.stamp.org == stamp.org);
    if stamp.time < incoming.unseen_from || own || passed_on() {
        return None;
    }
    let field = incoming.object.field(&mapping.local);
    let mapped = field.and_then(|field| incoming.rule.map_value(mapping, value, field).ok());
    let value = mapped.unwrap_or_else(|| value.clone());
    (record.value(&mapping.local) != &value).then_some(LostValue { value, stamp })
}

/// Notes what was lost, if something was.
pub(super) fn note_conflict(
    draft: &mut Draft<'_>,
    incoming: &Incoming<'_>,
    id: RecordId,
    record: &Record,
    sorted: &Sorted<'_>,
) {
    let lost = sorted.older.iter().filter_map(|older| Some((older.local.clone(), Some(older.lost.clone()?))));
    let fields: VecMap<FieldName, Option<LostValue>> = lost.collect();
    if !fields.is_empty() {
        draft.emit(ConflictNoted {
            record: id,
            object: record.object.clone(),
            prev: record.last,
            connection: incoming.connection.id,
            share: incoming.id,
            position: incoming.position,
            loser: Loser::Theirs,
            fields,
        });
    }
}
