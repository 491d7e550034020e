//! Runs reports: gathers the rows from one state, or from the log, and lets the core order them.
//!
//! All rows come from one state, so that they fit each other: the running one while its object is
//! small, else one that is built beside it from snapshot and log, so that nobody waits.

use tieline_core::event::{Event, RecordChanged};
use tieline_core::expr::Expression;
use tieline_core::limits::REPORT_ROWS_MAX;
use tieline_core::report::{Report, Rows};
use tieline_core::state::{Connection, ConnectionStatus, Record, Share, ShareRole, ShareStatus, State};
use tieline_core::value::Value;
use tieline_core::{ConnectionId, FieldName, RecordId, Seq, ShareId, Timestamp, UserName};
use tieline_store::{LogReader, ReadError};

/// The kind number of record events: others are not decoded.
const RECORD_CHANGED: u16 = 30;
/// Most events of the log that one run goes through.
pub(crate) const EVENTS_MAX: u64 = 5_000_000;
/// How far back what a field was before is looked for.
const STEPS_MAX: usize = 1_000;

/// The rows of a run, and whether there were more.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) rows: Vec<Vec<Value>>,
    pub(crate) truncated: bool,
}

impl Gathered {
    /// Adds a row; whether there is room for another.
    fn add(&mut self, row: impl FnOnce() -> Vec<Value>) -> bool {
        if self.rows.len() == REPORT_ROWS_MAX {
            self.truncated = true;
            return false;
        }
        self.rows.push(row());
        true
    }
}

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

/// What a row is about.
struct Row<'a> {
    id: RecordId,
    record: Option<&'a Record>,
    connection: Option<&'a Connection>,
    share: Option<(ShareId, &'a Share)>,
    update: Option<&'a Update>,
}

/// What makes a run: the report, and what it filters by.
pub(crate) struct Run<'a> {
    report: &'a Report,
    filter: Option<Expression>,
    connection: Option<ConnectionId>,
    columns: Vec<&'a str>,
    now: Timestamp,
}

impl<'a> Run<'a> {
    /// A run of a report that was checked; `connection` is the one that it names.
    pub(crate) fn new(
        report: &'a Report,
        state: &State,
        connection: Option<ConnectionId>,
        now: Timestamp,
    ) -> Self {
        let object = state.object(&report.object);
        let filter = report.filter.as_ref().zip(object);
        let filter = filter.and_then(|(text, object)| Expression::condition(text, object).ok());
        Self { report, filter, connection, columns: report.needed(), now }
    }

    fn takes(&self, record: &Record) -> bool {
        let lookup = |name: &FieldName| record.fields.get(name).map(|field| &field.value);
        // A filter that cannot be evaluated takes nothing, as a rule lets nothing through unchecked.
        self.filter.as_ref().is_none_or(|filter| filter.holds(lookup, self.now).unwrap_or(false))
    }

    fn over(&self, connection: &Connection) -> bool {
        self.connection.is_none_or(|id| id == connection.id)
    }

    fn shares<'s>(&self, state: &'s State, record: &'s Record) -> Vec<(&'s Connection, ShareId, &'s Share)> {
        let shares = record.shares.iter().filter_map(|(connection, share)| {
            let connection = state.connections.get(connection)?;
            Some((connection, *share, connection.shares.get(share)?))
        });
        let meant = shares.filter(|(connection, _, share)| {
            self.over(connection) && (!self.report.connected || share.status == ShareStatus::Active)
        });
        meant.collect()
    }

    fn cells(&self, row: &Row<'_>) -> Vec<Value> {
        self.columns.iter().map(|column| cell(column, row)).collect()
    }

    /// The rows that one state has.
    pub(crate) fn of_state(&self, state: &State) -> Gathered {
        let mut out = Gathered::default();
        if self.report.rows == Rows::Connections {
            self.connections(state, &mut out);
            return out;
        }
        for (id, record) in state.records_of(&self.report.object, None) {
            if !self.takes(record) {
                continue;
            }
            let bare = Row { id, record: Some(record), connection: None, share: None, update: None };
            if self.report.rows == Rows::Records {
                let only_shared = self.report.connected || self.connection.is_some();
                if only_shared && self.shares(state, record).is_empty() {
                    continue;
                }
                if !out.add(|| self.cells(&bare)) {
                    return out;
                }
                continue;
            }
            for (connection, share_id, share) in self.shares(state, record) {
                let row = Row { connection: Some(connection), share: Some((share_id, share)), ..bare };
                if !out.add(|| self.cells(&row)) {
                    return out;
                }
            }
        }
        out
    }

    /// Active connections with the account that has the partner's name, or that of the connection.
    fn connections(&self, state: &State, out: &mut Gathered) {
        let name_of = |record: &Record| {
            let field = state.object(&record.object).map(|object| &object.name_field);
            field.map(|field| record.value(field).to_json().as_str().unwrap_or_default().to_lowercase())
        };
        let active = state
            .connections
            .values()
            .filter(|connection| connection.status == ConnectionStatus::Active && self.over(connection));
        let active: Vec<&Connection> = active.collect();
        for (id, record) in
            state.records_of(&self.report.object, None).filter(|(_, record)| self.takes(record))
        {
            let Some(name) = name_of(record).filter(|name| !name.is_empty()) else { continue };
            for connection in &active {
                let partner = connection.partner.as_ref().map_or("", |partner| partner.as_str());
                if name != partner.to_lowercase() && name != connection.label.to_lowercase() {
                    continue;
                }
                let row =
                    Row { id, record: Some(record), connection: Some(connection), share: None, update: None };
                if !out.add(|| self.cells(&row)) {
                    return;
                }
            }
        }
    }

    /// Rows for updates, with what the state knows of their records and connections.
    pub(crate) fn of_updates(&self, state: &State, updates: &[Update], truncated: bool) -> Gathered {
        let mut out = Gathered { truncated, ..Gathered::default() };
        for update in updates {
            let record = state.records.get(&update.record);
            if self.filter.is_some() && !record.is_some_and(|record| self.takes(record)) {
                continue;
            }
            let connection = state.connections.get(&update.connection);
            let row = Row { id: update.record, record, connection, share: None, update: Some(update) };
            if !out.add(|| self.cells(&row)) {
                return out;
            }
        }
        out
    }
}

fn text(text: impl ToString) -> Value {
    Value::text(&text.to_string())
}

fn cell(column: &str, row: &Row<'_>) -> Value {
    let Some((what, name)) = column.split_once('.') else {
        let field = column.parse::<FieldName>().ok();
        return field.zip(row.record).map_or(Value::Null, |(field, record)| record.value(&field).clone());
    };
    match what {
        "record" => of_record(name, row),
        "share" => row.share.map_or(Value::Null, |(id, share)| of_share(name, id, share)),
        "connection" => row.connection.map_or(Value::Null, |connection| of_connection(name, connection)),
        "update" => row.update.map_or(Value::Null, |update| of_update(name, update)),
        _ => Value::Null,
    }
}

fn of_record(name: &str, row: &Row<'_>) -> Value {
    let Some(record) = row.record else {
        return if name == "id" { text(row.id) } else { Value::Null };
    };
    match name {
        "id" => text(row.id),
        "owner" => text(&record.owner),
        "created" => Value::DateTime(record.created),
        "modified" => Value::DateTime(record.modified),
        "modified_by" => text(&record.modified_by),
        _ => Value::Null,
    }
}

fn of_share(name: &str, id: ShareId, share: &Share) -> Value {
    match name {
        "id" => text(id),
        "status" => text(share.status.label()),
        "direction" => Value::text(if share.role == ShareRole::Origin { "sent" } else { "received" }),
        "actor" => share.actor.as_ref().map_or(Value::Null, text),
        "offered" => Value::DateTime(share.offered),
        "updated" => Value::DateTime(share.updated),
        _ => Value::Null,
    }
}

fn of_connection(name: &str, connection: &Connection) -> Value {
    match name {
        "id" => text(connection.id),
        "partner" => connection.partner.as_ref().map_or(Value::Null, text),
        "label" => text(&connection.label),
        "status" => Value::text(connection.status.as_str()),
        "owner" => text(&connection.owner),
        "partner_owner" => connection.partner_owner.as_ref().map_or(Value::Null, text),
        "since" => connection.answered.map_or(Value::Null, Value::DateTime),
        _ => Value::Null,
    }
}

fn of_update(name: &str, update: &Update) -> Value {
    match name {
        "seq" => Value::Integer(i64::try_from(update.seq.0).unwrap_or(i64::MAX)),
        "time" => Value::DateTime(update.time),
        "field" => text(&update.field),
        "old" => update.old.clone(),
        "new" => update.new.clone(),
        "actor" => text(&update.actor),
        _ => Value::Null,
    }
}

/// Which updates.
pub(crate) struct Sought {
    pub(crate) object: tieline_core::ObjectName,
    pub(crate) tracked: Vec<FieldName>,
    pub(crate) connection: Option<ConnectionId>,
    pub(crate) since: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
}

/// The updates of tracked fields that came over connections, in order, and whether there were more.
pub(crate) fn updates(log: &LogReader, sought: &Sought) -> Result<(Vec<Update>, bool), ReadError> {
    let head = log.head().seq;
    let first = match sought.since {
        Some(since) => first_at(log, since, head)?,
        None => Seq(1),
    };
    let begin = first.max(Seq(head.0.saturating_sub(EVENTS_MAX)));
    let (mut found, mut truncated) = (Vec::new(), begin > first);
    let mut cursor = log.cursor(begin);
    while let Some(groups) = cursor.next_groups()? {
        for stored in groups.events().filter(|stored| stored.kind == RECORD_CHANGED && stored.seq >= begin) {
            if stored.seq > head || sought.until.is_some_and(|until| stored.time >= until) {
                return Ok((found, truncated));
            }
            let Ok(Event::RecordChanged(changed)) = Event::decode(stored.kind, stored.body) else { continue };
            if changed.object != sought.object || changed.origin.is_none() && changed.origins.is_empty() {
                continue;
            }
            for (field, value) in changed.content.values.iter() {
                let Some(origin) = changed.origin_of(field) else { continue };
                let meant = sought.connection.is_none_or(|id| id == origin.connection);
                if !meant || !sought.tracked.contains(field) {
                    continue;
                }
                if found.len() == REPORT_ROWS_MAX {
                    truncated = true;
                    return Ok((found, truncated));
                }
                found.push(Update {
                    seq: stored.seq,
                    time: stored.time,
                    record: changed.record,
                    field: field.clone(),
                    old: before(log, &changed, field)?,
                    new: value.clone(),
                    actor: changed.actor.clone(),
                    connection: origin.connection,
                });
            }
        }
    }
    Ok((found, truncated))
}

/// What a field was before an event of its record.
fn before(log: &LogReader, changed: &RecordChanged, field: &FieldName) -> Result<Value, ReadError> {
    let (record, mut prev) = (changed.record, changed.prev);
    for _ in 0..STEPS_MAX {
        if prev == Seq(0) {
            break;
        }
        let Some(step) = crate::api::history_step(log, record, prev)? else { break };
        for (_, event) in &step.events {
            if let Event::RecordChanged(earlier) = event
                && let Some(value) = earlier.content.values.get(field)
            {
                return Ok(value.clone());
            }
        }
        prev = step.prev;
    }
    Ok(Value::Null)
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
