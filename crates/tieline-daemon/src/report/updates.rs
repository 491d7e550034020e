//! The updates that connections made, from the log in one pass: each event is read once, and what a field
//! was before is what the pass has seen last. Only what was written before the pass begins is looked for
//! further back: by the history of its record if that concerns few, else in one pass, too.

mod brought;

use std::collections::BTreeMap;

use tieline_core::event::{Event, RecordAction, RecordChanged};
use tieline_core::limits::REPORT_ROWS_MAX;
use tieline_core::value::Value;
use tieline_core::{ConnectionId, FieldName, ObjectName, RecordId, Seq, Timestamp, UserName};
use tieline_store::{LogReader, ReadError};

use brought::{Brought, Message, OF_MESSAGES};

/// The kind number of record events: others are not decoded, but for the message before one.
const RECORD_CHANGED: u16 = 30;
/// Most events of the log that one pass goes through.
const EVENTS_MAX: u64 = 5_000_000;
/// Most values that are looked for in the histories of their records.
const LOOKUPS_MAX: usize = 100;
/// How far back a history is followed.
const STEPS_MAX: usize = 1_000;

/// One update of a field that came over a connection.
#[derive(Debug, Clone)]
pub(crate) struct Update {
    pub(crate) seq: Seq,
    pub(crate) time: Timestamp,
    pub(crate) record: RecordId,
    pub(crate) field: FieldName,
    pub(crate) old: Value,
    pub(crate) new: Value,
    pub(crate) actor: UserName,
    pub(crate) connection: ConnectionId,
}

/// Which updates.
pub(crate) struct Sought {
    pub(crate) object: ObjectName,
    pub(crate) tracked: Vec<FieldName>,
    pub(crate) connection: Option<ConnectionId>,
    pub(crate) since: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) updates: Vec<Update>,
    /// Whether there were more than one run takes.
    pub(crate) truncated: bool,
    /// How many events of the log were gone through.
    pub(crate) events_read: u64,
}

/// The value of a field of a record.
type Place = (RecordId, FieldName);

/// A pass over the log.
struct Pass<'a> {
    sought: &'a Sought,
    found: Found,
    /// What the pass has seen last of each field.
    last: BTreeMap<Place, Value>,
    /// Updates whose value before lies further back, with the record's event before them.
    open: BTreeMap<Place, (usize, Seq)>,
    /// The messages that made copies.
    brought: Brought,
}

/// The updates of tracked fields that came over connections, in order.
pub(crate) fn updates(log: &LogReader, sought: &Sought) -> Result<Found, ReadError> {
    let head = log.head().seq;
    let first = match sought.since {
        Some(since) => first_at(log, since, head)?,
        None => Seq(1),
    };
    let begin = first.max(Seq(head.0.saturating_sub(EVENTS_MAX)));
    let mut pass = Pass {
        sought,
        found: Found { truncated: begin > first, ..Found::default() },
        last: BTreeMap::new(),
        open: BTreeMap::new(),
        brought: Brought::default(),
    };
    let before_end = |time: Timestamp| sought.until.is_none_or(|until| time < until);
    pass.found.events_read += records(log, sought, begin, head, before_end, |seen| pass.take(&seen))?;
    pass.complete(log, begin)
}

/// A record event, and the message that it was decided for, if it was one.
struct Seen<'a> {
    seq: Seq,
    time: Timestamp,
    changed: RecordChanged,
    message: Option<Message<'a>>,
}

/// Gives the record events of an object from `begin` to `end` to `each`, as long as that goes on and the
/// time is in `range`; how many events were gone through.
fn records(
    log: &LogReader,
    sought: &Sought,
    begin: Seq,
    end: Seq,
    range: impl Fn(Timestamp) -> bool,
    mut each: impl FnMut(Seen<'_>) -> bool,
) -> Result<u64, ReadError> {
    let (mut cursor, mut read) = (log.cursor(begin), 0);
    while let Some(groups) = cursor.next_groups()? {
        let mut message = None;
        for stored in groups.events().filter(|stored| stored.seq >= begin) {
            if stored.seq > end || !range(stored.time) {
                return Ok(read);
            }
            read += 1;
            if OF_MESSAGES.contains(&stored.kind) {
                message = Some(Message { kind: stored.kind, body: stored.body });
            }
            if stored.kind == RECORD_CHANGED
                && let Ok(Event::RecordChanged(changed)) = Event::decode(stored.kind, stored.body)
                && changed.object == sought.object
                && !each(Seen { seq: stored.seq, time: stored.time, changed, message })
            {
                return Ok(read);
            }
            if stored.last_in_group {
                message = None;
            }
        }
    }
    Ok(read)
}

impl Pass<'_> {
    /// Takes an event; whether there is room for more.
    fn take(&mut self, seen: &Seen<'_>) -> bool {
        let Seen { seq, time, changed, .. } = seen;
        let is_follow_up = self.brought.is_follow_up(changed, seen.message);
        for (field, value) in changed.content.values.iter() {
            if !self.sought.tracked.contains(field) {
                continue;
            }
            let place = (changed.record, field.clone());
            let before = self.last.insert(place.clone(), value.clone());
            // What a copy was made and filled with is no update of it.
            let updates = changed.action == RecordAction::Update && !is_follow_up;
            let Some(origin) = changed.origin_of(field).filter(|_| updates) else { continue };
            if self.sought.connection.is_some_and(|id| id != origin.connection) {
                continue;
            }
            if self.found.updates.len() == REPORT_ROWS_MAX {
                self.found.truncated = true;
                return false;
            }
            if before.is_none() && changed.prev != Seq(0) {
                self.open.insert(place, (self.found.updates.len(), changed.prev));
            }
            self.found.updates.push(Update {
                seq: *seq,
                time: *time,
                record: changed.record,
                field: field.clone(),
                old: before.unwrap_or_default(),
                new: value.clone(),
                actor: changed.actor.clone(),
                connection: origin.connection,
            });
        }
        true
    }

    /// Looks for the values that lie before the pass.
    fn complete(mut self, log: &LogReader, begin: Seq) -> Result<Found, ReadError> {
        let before =
            if self.open.len() <= LOOKUPS_MAX { self.by_history(log)? } else { self.by_pass(log, begin)? };
        for (place, value) in before {
            let update = self.open.get(&place).and_then(|(at, _)| self.found.updates.get_mut(*at));
            if let Some(update) = update {
                update.old = value;
            }
        }
        Ok(self.found)
    }

    fn by_history(&mut self, log: &LogReader) -> Result<BTreeMap<Place, Value>, ReadError> {
        let mut out = BTreeMap::new();
        for ((record, field), (_, prev)) in &self.open {
            let mut prev = *prev;
            for _ in 0..STEPS_MAX {
                if prev == Seq(0) {
                    break;
                }
                let Some(step) = crate::api::history_step(log, *record, prev)? else { break };
                self.found.events_read += step.events.len() as u64;
                let written = step.events.iter().find_map(|(_, event)| match event {
                    Event::RecordChanged(earlier) => earlier.content.values.get(field),
                    _ => None,
                });
                if let Some(value) = written {
                    out.insert((*record, field.clone()), value.clone());
                    break;
                }
                prev = step.prev;
            }
        }
        Ok(out)
    }

    fn by_pass(&mut self, log: &LogReader, begin: Seq) -> Result<BTreeMap<Place, Value>, ReadError> {
        let (from, end) = (Seq(begin.0.saturating_sub(EVENTS_MAX)), Seq(begin.0.saturating_sub(1)));
        let mut out: BTreeMap<Place, Value> = BTreeMap::new();
        let open = &self.open;
        self.found.events_read += records(
            log,
            self.sought,
            from,
            end,
            |_| true,
            |Seen { changed, .. }| {
                for (field, value) in changed.content.values.iter() {
                    let place = (changed.record, field.clone());
                    if open.contains_key(&place) {
                        out.insert(place, value.clone());
                    }
                }
                true
            },
        )?;
        Ok(out)
    }
}

/// The first event that was decided at a moment or later, found by halves: time never runs backwards
/// within one life of a log, and between two a few events more are read.
fn first_at(log: &LogReader, since: Timestamp, head: Seq) -> Result<Seq, ReadError> {
    let (mut low, mut high) = (1, head.0 + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        match log.event(Seq(middle))? {
            Some(event) if event.time < since => low = middle + 1,
            _ => high = middle,
        }
    }
    Ok(Seq(low))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;
    use tieline_core::Incarnation;
    use tieline_core::content::Content;
    use tieline_core::event::Origin;
    use tieline_core::log::{Group, Log};
    use tieline_core::stamp::Stamp;
    use tieline_store::{Config, SledLog};

    use super::*;

    const RECORDS: u64 = 200;
    const ROUNDS: u64 = 10;
    const CONNECTION: ConnectionId = ConnectionId(7);

    /// A log in which a partner writes each of many leads many times; a second is a round.
    fn written() -> (TempDir, SledLog) {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { free_bytes_min: 0, ..Config::new(dir.path().join("log")) };
        let mut log = SledLog::open(&config, Incarnation(1)).unwrap();
        let mut last = vec![Seq(0); RECORDS as usize];
        let mut seq = Seq(0);
        for round in 0..=ROUNDS {
            let groups = (0..RECORDS).map(|record| {
                let remote = (round > 0).then_some(Origin { connection: CONNECTION, mapping: 1 });
                let status = Value::text(&round.to_string());
                let content = Content::of(
                    [("Status".parse().unwrap(), status)].into_iter().collect(),
                    Stamp::default(),
                );
                let event = Event::from(RecordChanged {
                    record: RecordId(record.into()),
                    object: "Lead".parse().unwrap(),
                    action: if round == 0 { RecordAction::Create } else { RecordAction::Update },
                    prev: last[record as usize],
                    actor: UserName::connection_user(),
                    owner: None,
                    content,
                    origin: remote,
                    origins: Default::default(),
                    received: Default::default(),
                    deliveries: Vec::new(),
                    hops: 0,
                    rule: None,
                });
                seq = seq.next();
                last[record as usize] = seq;
                let mut group = Group::new(Timestamp(round as i64 * 1_000_000));
                group.push_with(event.kind(), |out| event.encode_body(out));
                group
            });
            let groups: Vec<Group> = groups.collect();
            log.append(&groups).unwrap();
            log.flush().unwrap();
        }
        (dir, log)
    }

    fn sought(since: Option<i64>) -> Sought {
        Sought {
            object: "Lead".parse().unwrap(),
            tracked: vec!["Status".parse().unwrap()],
            connection: Some(CONNECTION),
            since: since.map(|round| Timestamp(round * 1_000_000)),
            until: None,
        }
    }

    fn is_step(update: &Update) -> bool {
        let round = |value: &Value| value.to_text().parse::<u64>().unwrap();
        round(&update.old) + 1 == round(&update.new)
    }

    #[test]
    fn many_updates_are_told_in_one_pass_over_the_log() {
        let (_dir, log) = written();
        let reader = log.reader();
        let all = updates(&reader, &sought(None)).unwrap();
        assert_eq!(all.updates.len() as u64, RECORDS * ROUNDS);
        assert!(all.updates.iter().all(is_step) && !all.truncated);
        // Each event is read once, however many updates there are.
        assert_eq!(all.events_read, RECORDS * (ROUNDS + 1));
        // What was before a time stands before the pass: that is one pass, too.
        let late = updates(&reader, &sought(Some(6))).unwrap();
        assert_eq!(late.updates.len() as u64, RECORDS * 5);
        assert!(late.updates.iter().all(is_step));
        assert_eq!(late.events_read, RECORDS * (ROUNDS + 1));
        // What concerns few records does not read the rest of the log.
        let few = Sought { until: Some(Timestamp(10_000_001)), ..sought(Some(10)) };
        let (mut one, mut pass) = (Found::default(), 0);
        for update in updates(&reader, &few).unwrap().updates.into_iter().take(3) {
            let mut looked = Pass {
                sought: &few,
                found: Found::default(),
                last: BTreeMap::new(),
                open: [((update.record, update.field.clone()), (0, Seq(update.seq.0 - RECORDS)))].into(),
                brought: Brought::default(),
            };
            let value = looked.by_history(&reader).unwrap().into_values().next().unwrap();
            one.updates.push(Update { old: value, ..update });
            pass += looked.found.events_read;
        }
        assert!(one.updates.iter().all(is_step) && pass <= 3, "{pass}");
    }
}
