//! Definitions of reports.

use serde::{Deserialize, Serialize};

use crate::report::Report;
use crate::{ReportName, UserName};

/// A report was defined, or changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportSet {
    /// The whole definition.
    pub report: Report,
    /// By whom.
    pub actor: UserName,
}

/// A report was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportRemoved {
    /// The report.
    pub report: ReportName,
    /// By whom.
    pub actor: UserName,
}
