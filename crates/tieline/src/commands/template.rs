//! `tieline template`: what is published and subscribed, saved under a name (S2S-13).

use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};
use tieline_core::ConnectionTemplateName;

use super::{list, saved};
use crate::client::path;
use crate::commands::subscribe::mappings;
use crate::error::{CliError, Kind, Result};
use crate::output::{Column, Output, text, with};
use crate::session::Session;

/// Save and apply the settings of connections.
#[derive(Debug, Subcommand)]
pub(crate) enum Template {
    /// Save what a connection publishes and takes as a template, or replace one
    Save(Save),
    /// List the templates
    List,
    /// Show what a template has
    Show(One),
    /// Give a template to a connection: at once, or as soon as it is active and the partner publishes
    Apply(Apply),
    /// Remove a template; connections keep what they got from it
    Remove(One),
}

/// Save a template.
#[derive(Debug, Args)]
pub(crate) struct Save {
    /// Its name
    template: ConnectionTemplateName,
    /// Id, partner or label of the connection
    #[arg(long, value_name = "CONNECTION")]
    from: String,
}

/// A template.
#[derive(Debug, Args)]
pub(crate) struct One {
    /// The template
    template: ConnectionTemplateName,
}

/// Give a template to a connection.
#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// The template
    template: ConnectionTemplateName,
    /// Id, partner or label of the connection
    connection: String,
}

const LIST: &[Column] = &[
    text("TEMPLATE", "/name"),
    with("PUBLISHES", "/publish", objects),
    with("TAKES", "/subscribe", remotes),
    text("CONNECTIONS", "/connections"),
];

const PUBLISH: &[Column] = &[text("PUBLISHES", "/object"), text("FIELDS", "/fields")];

const SUBSCRIBE: &[Column] =
    &[text("TAKES", "/remote"), text("AS", "/local"), with("FIELDS", "/fields", mappings)];

/// What became of the rules of a template.
pub(crate) const FATES: &[Column] = &[text("RULE", "/rule"), text("STATE", "/fate"), text("WHY", "/reason")];

fn named(rules: &Json, key: &str) -> String {
    let names = rules.as_array().into_iter().flatten().filter_map(|rule| rule.get(key)?.as_str());
    names.collect::<Vec<_>>().join(", ")
}

fn objects(rules: &Json) -> String {
    named(rules, "object")
}

fn remotes(rules: &Json) -> String {
    named(rules, "remote")
}

fn show(output: &Output, template: &Json) -> Result<()> {
    output.table(PUBLISH, list(template, "publish"))?;
    output.line("")?;
    output.table(SUBSCRIBE, list(template, "subscribe"))
}

/// Shows what became of a template that was given to a connection, and fails if a rule was refused.
fn given(session: &Session, answer: &Json, connection: &str) -> Result<()> {
    let rules = list(answer, "rules");
    session.output.show(answer, |output| {
        if rules.is_empty() {
            output.status(&format!("The template waits until {connection} is active"));
            return Ok(());
        }
        output.table(FATES, rules)?;
        if answer.get("waits") == Some(&json!(true)) {
            output.status("What waits is applied as soon as the partner publishes it");
        }
        Ok(())
    })?;
    let refused = rules.iter().filter(|rule| rule.get("fate") == Some(&json!("refused"))).count();
    if refused == 0 {
        return Ok(());
    }
    Err(CliError::new(Kind::Refused, format!("{refused} of {} rules were refused", rules.len())))
}

impl Template {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let client = session.client()?;
        match self {
            Self::Save(Save { template, from }) => {
                let answer = client.put(&path(["templates", template.as_str()]), &json!({ "from": from }))?;
                saved(session, &answer, &format!("The template {template} was saved"))
            }
            Self::List => {
                let answer = client.get(&path(["templates"]), &[])?;
                session.output.show(&answer, |output| output.list(LIST, list(&answer, "templates")))
            }
            Self::Show(One { template }) => {
                let answer = client.get(&path(["templates", template.as_str()]), &[])?;
                session.output.show(&answer, |output| show(output, &answer))
            }
            Self::Apply(Apply { template, connection }) => {
                let body = json!({ "template": template });
                let answer = client.post(&path(["connections", &connection, "template"]), &body)?;
                given(session, &answer, &connection)
            }
            Self::Remove(One { template }) => {
                let answer = client.delete(&path(["templates", template.as_str()]))?;
                saved(session, &answer, &format!("The template {template} was removed"))
            }
        }
    }
}
