//! What can be asked about reports.

use crate::ReportName;
use crate::report::Report;

/// Something asked about the definitions of reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportChange {
    /// Defines a report, or changes it (S2S-72).
    Set {
        /// The whole definition.
        report: Box<Report>,
    },
    /// Removes a report.
    Remove {
        /// The report.
        report: ReportName,
    },
}
