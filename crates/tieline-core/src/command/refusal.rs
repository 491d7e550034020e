//! Why a command was refused: its kind, a stable code, and a sentence with thing, reason and remedy.

use crate::reason::Reason;

/// The kind of a refusal, for exit codes and HTTP statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// What was asked for is not valid.
    Invalid,
    /// It names something that is not there.
    NotFound,
    /// It does not fit the present state.
    Conflict,
    /// The actor may not.
    Forbidden,
}

/// Why a command was refused: nothing happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The kind.
    pub kind: RefusalKind,
    /// A stable code.
    pub code: &'static str,
    /// The thing, the reason and the remedy in one sentence.
    pub message: String,
    /// Reasons per field or rule, where there are several.
    pub reasons: Vec<Reason>,
}

impl Refusal {
    /// Something that is not valid.
    #[must_use]
    pub fn invalid(code: &'static str, message: impl Into<String>) -> Self {
        Self { kind: RefusalKind::Invalid, code, message: message.into(), reasons: Vec::new() }
    }

    /// Something that is not there.
    #[must_use]
    pub fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self { kind: RefusalKind::NotFound, ..Self::invalid(code, message) }
    }

    /// Something that does not fit the present state.
    #[must_use]
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self { kind: RefusalKind::Conflict, ..Self::invalid(code, message) }
    }

    /// Something that the actor may not do.
    #[must_use]
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self { kind: RefusalKind::Forbidden, ..Self::invalid("no_permission", message) }
    }

    /// A record that its values or rules refuse.
    #[must_use]
    pub fn record(reasons: Vec<Reason>) -> Self {
        let message = reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        Self { reasons, ..Self::invalid("record_refused", message) }
    }
}
