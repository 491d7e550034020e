//! Runs reports: gathers the rows from one state, or from the log, and lets the core order them.
//!
//! All rows come from one state, so that they fit each other: the running one while its object is
//! small, else one that is built beside it from snapshot and log, so that nobody waits.

use tieline_core::expr::{Beside, Expression};
use tieline_core::limits::REPORT_ROWS_MAX;
use tieline_core::report::{Report, Rows, parent_column};
use tieline_core::state::{Connection, ConnectionStatus, Record, Share, ShareRole, ShareStatus, State};
use tieline_core::value::Value;
use tieline_core::{ConnectionId, FieldName, RecordId, ShareId, Timestamp};

mod updates;

pub(crate) use updates::{Sought, Update, updates};

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

/// What a row is about.
#[derive(Clone, Copy)]
struct Row<'a> {
    state: &'a State,
    id: RecordId,
    record: Option<&'a Record>,
    /// The connection, and whether its invitation was for the record.
    connection: Option<(&'a Connection, bool)>,
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
        let filter = object.and_then(|object| report.filter(object, &state.objects)?.ok());
        Self { report, filter, connection, columns: report.needed(), now }
    }

    /// Whether the filter takes a row. One that cannot be evaluated takes nothing, as a rule lets nothing
    /// through unchecked.
    fn takes(&self, row: &Row<'_>) -> bool {
        let Some(filter) = &self.filter else { return true };
        let columns = filter.beside().iter().filter_map(|beside| match beside {
            Beside::Column(name) => Some((beside, compared(name, cell(name, row)))),
            _ => None,
        });
        let columns: Vec<(&Beside, Value)> = columns.collect();
        let of_record = |name: &FieldName| row.record?.fields.get(name).map(|field| &field.value);
        let of_row =
            |beside: &Beside| columns.iter().find(|(known, _)| *known == beside).map(|(_, value)| value);
        filter.holds_beside(of_record, of_row, self.now).unwrap_or(false)
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

    /// Adds a row if the filter takes it; whether there is room for more.
    fn add(&self, out: &mut Gathered, row: &Row<'_>) -> bool {
        !self.takes(row) || out.add(|| self.cells(row))
    }

    /// The rows that one state has.
    pub(crate) fn of_state(&self, state: &State) -> Gathered {
        let mut out = Gathered::default();
        if self.report.rows == Rows::Connections {
            self.connections(state, &mut out);
            return out;
        }
        for (id, record) in state.records_of(&self.report.object, None) {
            let bare = Row { state, id, record: Some(record), connection: None, share: None, update: None };
            if self.report.rows == Rows::Records {
                let only_shared = self.report.connected || self.connection.is_some();
                if only_shared && self.shares(state, record).is_empty() {
                    continue;
                }
                if !self.add(&mut out, &bare) {
                    return out;
                }
                continue;
            }
            for (connection, share_id, share) in self.shares(state, record) {
                let row =
                    Row { connection: Some((connection, false)), share: Some((share_id, share)), ..bare };
                if !self.add(&mut out, &row) {
                    return out;
                }
            }
        }
        out
    }

    /// Active connections with their accounts: the one that the invitation was for; without such a one,
    /// those that have the partner's name, or that of the connection (S2S-72).
    fn connections(&self, state: &State, out: &mut Gathered) {
        let active = state
            .connections
            .values()
            .filter(|connection| connection.status == ConnectionStatus::Active && self.over(connection));
        let invited = active.map(|connection| (connection, self.invited(state, connection)));
        let (known, unknown): (Vec<_>, Vec<_>) = invited.partition(|(_, invited)| invited.is_some());
        let known = known.into_iter().filter_map(|(connection, invited)| Some((invited?, connection, true)));
        let mut found: Vec<(RecordId, &Connection, bool)> = known.collect();
        if !unknown.is_empty() {
            let field = state.object(&self.report.object).map(|object| &object.name_field);
            let name_of = |record: &Record| {
                let name = field.map(|field| record.value(field).to_text().to_lowercase());
                name.filter(|name| !name.is_empty())
            };
            for (id, record) in state.records_of(&self.report.object, None) {
                let Some(name) = name_of(record) else { continue };
                let named = unknown.iter().map(|(connection, _)| *connection).filter(|connection| {
                    let partner = connection.partner.as_ref().map_or("", |partner| partner.as_str());
                    name == partner.to_lowercase() || name == connection.label.to_lowercase()
                });
                found.extend(named.map(|connection| (id, connection, false)));
            }
        }
        found.sort_by_key(|(id, connection, _)| (*id, connection.id));
        for (id, connection, by_invitation) in found {
            let connection = Some((connection, by_invitation));
            let row = Row { state, id, record: state.record(id), connection, share: None, update: None };
            if !self.add(out, &row) {
                return;
            }
        }
    }

    /// The record of the report's object that a connection is for by its invitation: the account, or the
    /// contact. One that was deleted since is none.
    fn invited(&self, state: &State, connection: &Connection) -> Option<RecordId> {
        let contact = connection.contact.as_ref()?;
        let is_meant =
            |id: &RecordId| state.record(*id).is_some_and(|record| record.object == self.report.object);
        contact.account.into_iter().chain([contact.record]).find(is_meant)
    }

    /// Rows for updates, with what the state knows of their records and connections.
    pub(crate) fn of_updates(&self, state: &State, updates: &[Update], truncated: bool) -> Gathered {
        let mut out = Gathered { truncated, ..Gathered::default() };
        for update in updates {
            let record = state.records.get(&update.record);
            let connection = state.connections.get(&update.connection).map(|connection| (connection, false));
            let row = Row { state, id: update.record, record, connection, share: None, update: Some(update) };
            if !self.add(&mut out, &row) {
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
    if let Some((reference, field)) = parent_column(column) {
        return of_parent(&reference, &field, row);
    }
    let Some((what, name)) = column.split_once('.') else {
        let field = column.parse::<FieldName>().ok();
        return field.zip(row.record).map_or(Value::Null, |(field, record)| record.value(&field).clone());
    };
    match what {
        "record" => of_record(name, row),
        "share" => row.share.map_or(Value::Null, |(id, share)| of_share(name, id, share)),
        "connection" => row.connection.map_or(Value::Null, |(connection, by_invitation)| match name {
            "matched_by" => Value::text(if by_invitation { "invitation" } else { "name" }),
            _ => of_connection(name, connection),
        }),
        "update" => row.update.map_or(Value::Null, |update| of_update(name, update)),
        _ => Value::Null,
    }
}

/// A cell as a filter compares it: values before and after an update are of any type, and read as texts.
fn compared(column: &str, cell: Value) -> Value {
    let is_any = matches!(column, "update.old" | "update.new") && !cell.is_null();
    if is_any { Value::text(&cell.to_text()) } else { cell }
}

/// A field of the record that a reference names.
fn of_parent(reference: &FieldName, field: &FieldName, row: &Row<'_>) -> Value {
    let Some(Value::Reference(parent)) = row.record.map(|record| record.value(reference)) else {
        return Value::Null;
    };
    row.state.record(*parent).map_or(Value::Null, |parent| parent.value(field).clone())
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
        "contact" => connection.contact.as_ref().map_or(Value::Null, |contact| text(&contact.name)),
        "contact_email" => connection.contact.as_ref().map_or(Value::Null, |contact| text(&contact.email)),
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
