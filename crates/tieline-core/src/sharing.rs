//! How a record is shared: with one acceptor or several, and with which of its tasks (S2S-44, S2S-45).

use serde::{Deserialize, Serialize};

use crate::state::Record;
use crate::value::Value;
use crate::{FieldName, ObjectName, RecordId};

/// The object whose records follow those that they belong to.
pub const TASK: &str = "Task";
/// The status of a task that is done.
const CLOSED: &str = "Completed";
/// The references of a task to what it belongs to.
const PARENT_FIELDS: [&str; 2] = ["WhatId", "WhoId"];

/// Which tasks of a record go with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskChoice {
    /// None of them.
    #[default]
    None,
    /// Those that are not done.
    Open,
    /// Those that are done.
    Closed,
    /// All of them.
    All,
}

impl TaskChoice {
    /// Whether no task is chosen.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
    pub(crate) const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Whether a task is chosen.
    #[must_use]
    pub const fn takes(self, closed: bool) -> bool {
        match self {
            Self::None => false,
            Self::Open => !closed,
            Self::Closed => closed,
            Self::All => true,
        }
    }
}

/// How a record is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Forwarding {
    /// Everybody to whom it is offered so may have it; else the first that accepts (S2S-45).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub many: bool,
    /// The tasks that follow once it is accepted (S2S-44).
    #[serde(skip_serializing_if = "TaskChoice::is_none")]
    pub tasks: TaskChoice,
    /// Such tasks follow also when they are made later.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub new_tasks: bool,
}

impl Forwarding {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

/// Whether records of an object follow those that they belong to.
#[must_use]
pub fn is_task(object: &ObjectName) -> bool {
    object.as_str() == TASK
}

/// The object whose records follow those that they belong to.
pub(crate) fn task_object() -> ObjectName {
    // A constant, and a test shares a task by it.
    #[expect(clippy::unwrap_used)]
    TASK.parse().unwrap()
}

/// The status of a task that is done.
pub(crate) fn closed_status() -> Value {
    Value::picklist(CLOSED.into())
}

/// Whether a task with this status is done.
pub(crate) fn is_closed(status: &Value) -> bool {
    matches!(status, Value::Picklist(status) if status == CLOSED)
}

/// The fields that name what a task belongs to.
pub(crate) fn parent_fields() -> [FieldName; 2] {
    // Both are constants, and a test shares a task by them.
    #[expect(clippy::unwrap_used)]
    PARENT_FIELDS.map(|name| name.parse().unwrap())
}

/// The records that a task belongs to.
pub(crate) fn parents_of(record: &Record) -> [Option<RecordId>; 2] {
    PARENT_FIELDS.map(|name| match record.fields.get(name).map(|field| &field.value) {
        Some(Value::Reference(parent)) if !record.deleted => Some(*parent),
        _ => None,
    })
}

/// The status of a task.
pub(crate) fn status_field() -> FieldName {
    // A constant, and a test shares a task by it.
    #[expect(clippy::unwrap_used)]
    "Status".parse().unwrap()
}
