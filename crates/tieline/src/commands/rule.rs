//! `tieline sharing-rule`, `assignment-rule`, `workflow`, `escalation`: what happens by itself.
//!
//! A rule is written as a TOML file and set as a whole; it is shown as it was set.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};

use super::{list, saved};
use crate::client::path;
use crate::error::{CliError, Result};
use crate::output::{Column, Output, plain, reasons, text, time, with};
use crate::session::Session;

/// The verbs that all kinds of rules have.
#[derive(Debug, Subcommand)]
pub(crate) enum Rule {
    /// List the rules
    List,
    /// Show a rule as it was set
    Show(One),
    /// Define a rule, or change it, from its TOML file
    Set(Set),
    /// Remove a rule
    Remove(One),
    /// Tell how many records meet the criteria now; nothing happens to them
    Try(One),
}

/// The verbs of sharing rules.
#[derive(Debug, Subcommand)]
pub(crate) enum Sharing {
    #[command(flatten)]
    Rule(Rule),
    /// Let a rule look at all records of its object, those that nobody changes included
    Apply(One),
}

/// The verbs of workflow rules.
#[derive(Debug, Subcommand)]
pub(crate) enum Workflow {
    #[command(flatten)]
    Rule(Rule),
    /// List what rules of all kinds could not do
    Failures,
}

/// A rule.
#[derive(Debug, Args)]
pub(crate) struct One {
    /// The rule: its name; of assignment and escalation rules, the object
    rule: String,
}

/// Define a rule.
#[derive(Debug, Args)]
pub(crate) struct Set {
    /// The TOML file; - is standard input
    #[arg(long, value_name = "FILE", required = true)]
    file: PathBuf,
}

/// A kind of rules as the API names it, and what names one of them.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    name: &'static str,
    key: &'static str,
    columns: &'static [Column],
}

/// Sharing rules.
pub(crate) const SHARING: Kind = Kind {
    name: "sharing",
    key: "name",
    columns: &[
        text("RULE", "/name"),
        text("OBJECT", "/object"),
        with("ACTIVE", "", active),
        with("CRITERIA", "", criteria),
        text("CONNECTIONS", "/connections"),
        text("UNSHARE", "/unshare"),
    ],
};

/// Assignment rules.
pub(crate) const ASSIGNMENT: Kind = Kind {
    name: "assignment",
    key: "object",
    columns: &[text("OBJECT", "/object"), with("ACTIVE", "", active), with("ENTRIES", "/entries", entries)],
};

/// Escalation rules.
pub(crate) const ESCALATION: Kind = Kind {
    name: "escalation",
    key: "object",
    columns: &[text("OBJECT", "/object"), with("ACTIVE", "", active), with("STEPS", "/entries", steps)],
};

/// Workflow rules.
pub(crate) const WORKFLOW: Kind = Kind {
    name: "workflow",
    key: "name",
    columns: &[
        text("RULE", "/name"),
        text("OBJECT", "/object"),
        with("ACTIVE", "", active),
        text("WHEN", "/when"),
        with("CRITERIA", "", criteria),
        with("ACTIONS", "/actions", actions),
    ],
};

const FAILURES: &[Column] = &[
    time("TIME", "/time"),
    text("KIND", "/kind"),
    text("RULE", "/rule"),
    text("RECORD", "/record"),
    with("WHY", "/reasons", reasons),
];

/// A rule is in force unless it says otherwise.
fn active(rule: &Json) -> String {
    plain(rule.get("active").unwrap_or(&json!(true)))
}

fn criteria(rule: &Json) -> String {
    rule.get("criteria").map_or_else(|| "(every record)".to_owned(), plain)
}

fn each(list: &Json, show: impl Fn(&Json) -> String) -> String {
    list.as_array().into_iter().flatten().map(show).collect::<Vec<_>>().join("; ")
}

fn entries(list: &Json) -> String {
    each(list, |entry| format!("{} → {}", criteria(entry), plain(&entry["owner"])))
}

fn steps(list: &Json) -> String {
    each(list, |entry| {
        let owner = entry.get("owner").map_or_else(String::new, |owner| format!(" → {}", plain(owner)));
        format!("{} after {} min{owner}", plain(&entry["name"]), plain(&entry["after_minutes"]))
    })
}

fn actions(list: &Json) -> String {
    each(list, |action| {
        let kinds = action.as_object().into_iter().flat_map(|action| action.keys());
        kinds.cloned().collect::<Vec<_>>().join(", ")
    })
}

impl Rule {
    pub(crate) fn run(self, session: &Session, kind: Kind) -> Result<()> {
        let client = session.client()?;
        match self {
            Self::List => {
                let answer = client.get(&path(["rules", kind.name]), &[])?;
                session.output.show(&answer, |output| output.list(kind.columns, list(&answer, "rules")))
            }
            Self::Show(One { rule }) => {
                let answer = client.get(&path(["rules", kind.name, &rule]), &[])?;
                session.output.show(&answer, |output| show(output, &answer))
            }
            Self::Set(Set { file }) => {
                let body = super::definition(&file)?;
                let Some(key) = body.get(kind.key).and_then(Json::as_str).map(str::to_owned) else {
                    let text = format!("{} does not say the {} of the rule", file.display(), kind.key);
                    return Err(
                        CliError::refused(text).hint(format!("Write {} = \"…\" in its first line", kind.key))
                    );
                };
                let answer = client.put(&path(["rules", kind.name, &key]), &body)?;
                saved(session, &answer, &format!("The {} rule {key} was saved", kind.name))
            }
            Self::Remove(One { rule }) => {
                let answer = client.delete(&path(["rules", kind.name, &rule]))?;
                saved(session, &answer, &format!("The {} rule {rule} was removed", kind.name))
            }
            Self::Try(One { rule }) => try_out(session, kind, &rule),
        }
    }
}

/// Asks page by page, and adds up.
fn try_out(session: &Session, kind: Kind, rule: &str) -> Result<()> {
    let client = session.client()?;
    let route = path(["rules", kind.name, rule, "try"]);
    let (mut sums, mut records, mut cursor) = ([0_u64; 3], Vec::new(), None);
    loop {
        let answer = client.get(&route, &[("cursor", cursor)])?;
        for (sum, key) in sums.iter_mut().zip(["met", "looked_at", "failed"]) {
            *sum += answer.get(key).and_then(Json::as_u64).unwrap_or(0);
        }
        records.extend(list(&answer, "records").iter().take(20 - records.len().min(20)).cloned());
        cursor = answer.get("next").and_then(Json::as_str).map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    let [met, looked_at, failed] = sums;
    let answer = json!({ "met": met, "looked_at": looked_at, "failed": failed, "records": records });
    session.output.show(&answer, |output| {
        output.line(&format!("{met} of {looked_at} records meet the criteria now"))?;
        if failed > 0 {
            output.line(&format!("{failed} could not be asked"))?;
        }
        records.iter().try_for_each(|record| output.line(&plain(record)))
    })
}

impl Sharing {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::Rule(rule) => rule.run(session, SHARING),
            Self::Apply(One { rule }) => {
                let answer =
                    session.client()?.post(&path(["rules", "sharing", &rule, "apply"]), &json!({}))?;
                let line = format!("The rule {rule} looks at all records: see tieline job list");
                session.output.show(&answer, |output| output.line(&line))
            }
        }
    }
}

const COMPUTED: &[Column] = &[
    text("OBJECT", "/object"),
    text("FIELD", "/field"),
    text("NOT COMPUTED", "/count"),
    time("LAST", "/last"),
    text("RECORD", "/record"),
    text("WHY", "/reason/message"),
];

impl Workflow {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::Rule(rule) => rule.run(session, WORKFLOW),
            Self::Failures => {
                let answer = session.client()?.get(&path(["rule-failures"]), &[])?;
                session.output.show(&answer, |output| {
                    output.table(FAILURES, list(&answer, "failures"))?;
                    let computed = list(&answer, "computed");
                    if computed.is_empty() { Ok(()) } else { output.table(COMPUTED, computed) }
                })
            }
        }
    }
}

fn show(output: &Output, rule: &Json) -> Result<()> {
    let text = toml::to_string_pretty(rule).unwrap_or_else(|_| rule.to_string());
    output.line(text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_shown_in_one_line() {
        let rule = json!({
            "criteria": "Rating == \"Hot\"",
            "entries": [{"owner": "ann"}, {"criteria": "is_new", "owner": "queue:emea"}],
            "actions": [{"set": {"field": "Rating", "value": "Hot"}}, {"assign": {"to": "ann"}}],
        });
        assert_eq!(active(&rule), "yes");
        assert_eq!(entries(&rule["entries"]), "(every record) → ann; is_new → queue:emea");
        assert_eq!(actions(&rule["actions"]), "set; assign");
    }
}
