//! Reports (S2S-72): what is listed of an object, its shares, the updates that connections made, or the
//! connections themselves; as definitions that are kept, and those that every org has.
//!
//! A definition is data: it is checked against the object when it is saved, and run by whoever asks,
//! with that person's rights.

mod columns;
mod table;

use serde::{Deserialize, Serialize};

use crate::codes::codes;
use crate::limits::{LABEL_CHARS_MAX, REPORT_COLUMNS_MAX, REPORT_DAYS_MAX};
use crate::reason::{Reason, ReasonCode};
use crate::schema::ObjectSchema;
use crate::state::State;
use crate::{ObjectName, ReportName, Timestamp};

pub use columns::{COLUMNS, parent_column};
pub use table::Table;

codes! {
    /// What a report has a row for.
    pub enum Rows: "kind of rows" {
        /// Each record.
        Records = 1 "records",
        /// Each share of each record: a record that is shared twice has two rows.
        Shares = 2 "shares",
        /// Each update of a tracked field that came over a connection.
        Updates = 3 "updates",
        /// Each active connection with what it is for: the account or contact of its invitation, else what has
        /// its name.
        Connections = 4 "connections",
    }
}

codes! {
    /// How the values of a group become one.
    pub enum Function: "function" {
        /// How many rows have a value.
        Count = 1 "count",
        /// Their sum.
        Sum = 2 "sum",
        /// The least.
        Min = 3 "min",
        /// The greatest.
        Max = 4 "max",
    }
}

/// One value of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// How it is made.
    pub function: Function,
    /// Of which column.
    pub column: String,
}

/// By what rows are ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// The column.
    pub column: String,
    /// Whether the greatest stands first.
    #[serde(default)]
    pub descending: bool,
}

/// The definition of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Its name.
    pub name: ReportName,
    /// What people see.
    #[serde(default)]
    pub label: String,
    /// The object.
    pub object: ObjectName,
    /// What has a row.
    pub rows: Rows,
    /// Only what concerns active shares: records that have one, or shares that are one.
    #[serde(default)]
    pub connected: bool,
    /// Only what concerns this connection: id, partner or label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// Only rows for which this is true, in CEL: it reads fields of the record and all other columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Of updates: only those from this moment or day on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Of updates: only those before this moment or day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Of updates: only those of so many days before this one, and of this one, in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_days: Option<u32>,
    /// Fields of the record, fields of the record that a reference names, and what the list of columns names
    /// besides.
    pub columns: Vec<String>,
    /// One row for each combination of these columns, instead of one for each row.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub group_by: Vec<String>,
    /// The values of each group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub summaries: Vec<Summary>,
    /// The order of the rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sort: Vec<Order>,
}

/// Why a report over anything but updates has no range of times.
pub const NO_RANGE: &str = "only updates have a time that a report is about; choose other rows with the filter, as \
                            date(share.offered) >= today() - 30";

impl Report {
    /// Whether it can be saved and run.
    ///
    /// # Errors
    /// Every reason against it.
    pub fn check(&self, object: &ObjectSchema, state: &State) -> Result<(), Vec<Reason>> {
        let mut reasons = Vec::new();
        let mut refuse = |code, text: String| reasons.push(Reason::new(code, text));
        if self.rows == Rows::Unknown {
            refuse(
                ReasonCode::WrongType,
                "rows has to be records, shares, updates or connections".to_owned(),
            );
        }
        if self.label.chars().count() > LABEL_CHARS_MAX || self.label.chars().any(char::is_control) {
            let text =
                format!("the label has at most {LABEL_CHARS_MAX} characters and no control characters");
            refuse(ReasonCode::TooLong, text);
        }
        let named = self.columns.len() + self.group_by.len() + self.summaries.len() + self.sort.len();
        if self.columns.is_empty() || named > REPORT_COLUMNS_MAX {
            refuse(ReasonCode::LimitReached, format!("a report has 1 to {REPORT_COLUMNS_MAX} columns"));
        }
        let summed = self.summaries.iter().map(|summary| &summary.column);
        let grouped = self.is_grouped().then(|| self.group_columns());
        if let Some(columns) = &grouped
            && let Some(other) = self.sort.iter().find(|order| !columns.contains(&order.column))
        {
            let text =
                format!("groups cannot be ordered by {}: name one of {}", other.column, columns.join(", "));
            refuse(ReasonCode::UnknownField, text);
        }
        let sorted = self.sort.iter().filter(|_| grouped.is_none()).map(|order| &order.column);
        for column in self.columns.iter().chain(&self.group_by).chain(summed).chain(sorted) {
            if let Err(reason) = self.check_column(object, &state.objects, column) {
                reasons.push(reason);
            }
        }
        if let Some(Err(error)) = self.filter(object, &state.objects) {
            reasons.push(Reason::new(ReasonCode::BadExpression, format!("the filter: {error}")));
        }
        reasons.extend(self.check_range());
        if reasons.is_empty() { Ok(()) } else { Err(reasons) }
    }

    /// What is wrong with the times that it names.
    fn check_range(&self) -> Vec<Reason> {
        let mut reasons = Vec::new();
        for (name, time) in [("since", &self.since), ("until", &self.until)] {
            if let Some(Err(error)) = time.as_ref().map(|time| time.parse::<Timestamp>()) {
                reasons.push(Reason::new(ReasonCode::BadDate, format!("{name}: {error}")));
            }
        }
        if self.last_days.is_some_and(|days| days == 0 || days > REPORT_DAYS_MAX) {
            let text = format!("last_days is a number from 1 to {REPORT_DAYS_MAX}");
            reasons.push(Reason::new(ReasonCode::OutOfRange, text));
        }
        let named = self.since.is_some() || self.until.is_some();
        if named && self.last_days.is_some() {
            let text = "last_days says since when, and goes on until now: name it, or since and until";
            reasons.push(Reason::new(ReasonCode::OutOfRange, text));
        }
        if self.rows != Rows::Updates && (named || self.last_days.is_some()) {
            reasons.push(Reason::new(ReasonCode::OutOfRange, NO_RANGE));
        }
        reasons
    }

    /// From when and until when updates are told.
    #[must_use]
    pub fn range(&self, now: Timestamp) -> (Option<Timestamp>, Option<Timestamp>) {
        const DAY_US: i64 = 86_400_000_000;
        let moment = |text: &Option<String>| text.as_ref().and_then(|text| text.parse().ok());
        let day = |days: u32| Timestamp((now.0.div_euclid(DAY_US) - i64::from(days)) * DAY_US);
        (moment(&self.since).or_else(|| self.last_days.map(day)), moment(&self.until))
    }

    fn ready(object: &ObjectSchema, rows: Rows, name: &str, label: String, more: &[&str]) -> Option<Self> {
        let mut columns = vec!["record.id".to_owned(), object.name_field.to_string()];
        columns.extend(more.iter().map(|column| (*column).to_owned()));
        Some(Self {
            name: name.parse().ok()?,
            label,
            object: object.name.clone(),
            rows,
            connected: rows == Rows::Shares,
            connection: None,
            filter: None,
            since: None,
            until: None,
            last_days: None,
            columns,
            group_by: Vec::new(),
            summaries: Vec::new(),
            sort: Vec::new(),
        })
    }
}

/// The reports that every org has: connections with accounts; leads, opportunities and custom objects
/// with connections, and their updates by connections.
#[must_use]
pub fn ready_made(state: &State) -> Vec<Report> {
    const SHARE: &[&str] = &[
        "record.owner",
        "connection.partner",
        "share.direction",
        "share.status",
        "share.actor",
        "share.offered",
        "share.updated",
    ];
    const UPDATE: &[&str] =
        &["update.time", "update.field", "update.old", "update.new", "update.actor", "connection.partner"];
    const CONNECTION: &[&str] = &[
        "connection.partner",
        "connection.label",
        "connection.status",
        "connection.owner",
        "connection.partner_owner",
        "connection.since",
        "connection.contact",
        "connection.matched_by",
    ];
    let account = state.objects.get("Account").and_then(|account| {
        let label = "Connections with Accounts".to_owned();
        Report::ready(account, Rows::Connections, "connections-with-accounts", label, CONNECTION)
    });
    let named = |name: &ObjectName| ["Lead", "Opportunity"].contains(&name.as_str()) || name.is_custom();
    let objects = state.objects.values().filter(|object| named(&object.name));
    let both = objects.flat_map(|object| {
        let (name, label) = (object.name.as_str().to_ascii_lowercase(), &object.label);
        let shares = format!("{label} and Connections");
        let updates = format!("{label} History by Connections");
        [
            Report::ready(object, Rows::Shares, &format!("{name}-and-connections"), shares, SHARE),
            Report::ready(object, Rows::Updates, &format!("{name}-history"), updates, UPDATE),
        ]
    });
    account.into_iter().chain(both.flatten()).collect()
}
