//! Contacts that are written to, as several commands name them, and what became of each.

use clap::Args;
use serde_json::{Value as Json, json};
use tieline_core::{RecordId, ViewName};

use super::{list, mail};
use crate::error::{CliError, Result};
use crate::output::{Column, text};
use crate::session::Session;

/// Contacts.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct Contacts {
    /// A contact; may be repeated, or list several with commas
    #[arg(long = "contact", value_name = "CONTACT", value_delimiter = ',')]
    ids: Vec<RecordId>,
    /// All contacts with an address that a saved list view chooses: see tieline view list
    #[arg(long, value_name = "VIEW")]
    view: Option<ViewName>,
    /// All contacts with an address for which this holds, as "MailingCity == 'Oslo'"
    #[arg(long = "contacts", value_name = "CONDITION")]
    condition: Option<String>,
}

impl Contacts {
    /// Whether none are named.
    pub(super) const fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.condition.is_none() && self.view.is_none()
    }

    pub(super) fn body(&self) -> Json {
        match (&self.view, &self.condition) {
            (Some(view), _) => json!({ "view": view }),
            (None, Some(condition)) => json!({ "condition": condition }),
            (None, None) => json!({ "ids": self.ids }),
        }
    }
}

const COLUMNS: &[Column] = &[
    text("CONTACT", "/contact"),
    text("NAME", "/name"),
    text("E-MAIL", "/email"),
    text("CONNECTION", "/connection"),
    text("CODE", "/code"),
    text("PROBLEM", "/detail"),
];

/// Shows what became of each contact. If none of several went well, that is an error.
pub(super) fn results(session: &Session, answer: &Json, done: &str) -> Result<()> {
    let rows = list(answer, "results");
    let count = |key: &str| answer.get(key).and_then(Json::as_u64).unwrap_or_default();
    session.output.show(answer, |output| {
        output.table(COLUMNS, rows)?;
        for shown in rows.iter().filter_map(|row| row.get("mail")).filter(|mail| !mail.is_null()) {
            output.line("")?;
            mail::show(output, shown)?;
        }
        output.status(&format!("{} {done}, {} were not", count("done"), count("failed")));
        Ok(())
    })?;
    match (count("done"), rows.first()) {
        (0, Some(first)) => {
            let why = first.get("detail").and_then(Json::as_str).unwrap_or("it was refused");
            Err(CliError::refused(format!("Nothing was sent: {why}")))
        }
        _ => Ok(()),
    }
}
