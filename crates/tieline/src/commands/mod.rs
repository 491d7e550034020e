//! The commands, one file for each noun.
//!
//! A command collects what it needs, asks the daemon, and shows the answer: as it came with
//! `--json`, else as a table or as facts. What a noun's answers look like stands beside its verbs.

pub(crate) mod alarm;
pub(crate) mod approval;
pub(crate) mod backup;
pub(crate) mod broker;
pub(crate) mod changes;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod connection;
pub(crate) mod contact;
pub(crate) mod effect;
pub(crate) mod explain;
pub(crate) mod failure;
pub(crate) mod files;
pub(crate) mod finder;
pub(crate) mod group;
pub(crate) mod inbox;
pub(crate) mod init;
pub(crate) mod job;
pub(crate) mod log;
pub(crate) mod mail;
pub(crate) mod man;
pub(crate) mod notice;
pub(crate) mod object;
pub(crate) mod org;
pub(crate) mod publish;
pub(crate) mod queue;
pub(crate) mod record;
pub(crate) mod replay;
pub(crate) mod report;
pub(crate) mod role;
pub(crate) mod rule;
pub(crate) mod salesforce;
pub(crate) mod sandbox;
pub(crate) mod serve;
pub(crate) mod share;
pub(crate) mod status;
pub(crate) mod subscribe;
pub(crate) mod template;
pub(crate) mod token;
pub(crate) mod trial;
pub(crate) mod user;
pub(crate) mod view;
pub(crate) mod webhook_secret;

use std::io::IsTerminal;
use std::path::Path;

use serde_json::Value as Json;

use crate::cli::Command;
use crate::error::{CliError, Result};
use crate::session::Session;

/// Runs a command.
pub(crate) fn run(command: Command, session: &Session) -> Result<()> {
    match command {
        Command::Init(init) => init.run(session),
        Command::Serve(serve) => serve.run(session),
        Command::Status(status) => status.run(session),
        Command::Connection(verb) => verb.run(session),
        Command::Publish(verb) => verb.run(session),
        Command::Subscribe(verb) => verb.run(session),
        Command::Object(verb) => verb.run(session),
        Command::Record(verb) => verb.run(session),
        Command::Queue(verb) => verb.run(session),
        Command::SharingRule(verb) => verb.run(session),
        Command::AssignmentRule(verb) => verb.run(session, rule::ASSIGNMENT),
        Command::Workflow(verb) => verb.run(session),
        Command::Escalation(verb) => verb.run(session, rule::ESCALATION),
        Command::Share(verb) => verb.run(session),
        Command::Inbox(verb) => verb.run(session),
        Command::Approval(verb) => verb.run(session),
        Command::View(verb) => verb.run(session),
        Command::Replay(replay) => replay.run(session),
        Command::WebhookSecret(secret) => secret.run(session),
        Command::Explain(verb) => verb.run(session),
        Command::Report(verb) => verb.run(session),
        Command::Changes(verb) => verb.run(session),
        Command::Job(verb) => verb.run(session),
        Command::Failure(verb) => verb.run(session),
        Command::Alarm(verb) => verb.run(session),
        Command::Mail(verb) => verb.run(session),
        Command::Finder(verb) => verb.run(session),
        Command::Notice(verb) => verb.run(session),
        Command::Effect(verb) => verb.run(session),
        Command::Log(verb) => verb.run(session),
        Command::Salesforce(verb) => verb.run(session),
        Command::Org(verb) => verb.run(session),
        Command::User(verb) => verb.run(session),
        Command::Role(verb) => verb.run(session),
        Command::Group(verb) => verb.run(session),
        Command::Token(verb) => verb.run(session),
        Command::Broker(verb) => verb.run(session),
        Command::Sandbox(verb) => verb.run(session),
        Command::Trial(verb) => verb.run(session),
        Command::Template(verb) => verb.run(session),
        Command::Check(check) => check.run(session),
        Command::Plan(plan) => plan.run(session),
        Command::Apply(apply) => apply.run(session),
        Command::Export(verb) => verb.run(session),
        Command::Config(verb) => verb.run(session),
        Command::Backup(backup) => backup.run(session),
        Command::Restore(restore) => restore.run(session),
        Command::Man(man) => man.run(session),
        Command::Completions(completions) => completions.run(session),
    }
}

/// The list at `key` of an answer; an answer without it has nothing to list.
pub(crate) fn list<'a>(answer: &'a Json, key: &str) -> &'a [Json] {
    answer.get(key).and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

/// When something is asked of the past: the number of an event, or a moment.
pub(crate) fn when(at: Option<String>) -> (&'static str, Option<String>) {
    let is_seq = at.as_ref().is_some_and(|at| at.bytes().all(|byte| byte.is_ascii_digit()));
    (if is_seq { "seq" } else { "time" }, at)
}

/// Values that are sent: those that are nothing are left out, so that the daemon's default holds.
pub(crate) fn body<const N: usize>(entries: [(&str, Json); N]) -> Json {
    entries
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

/// A person at a terminal is asked about what cannot be taken back; elsewhere `--yes` has to be given.
pub(crate) fn confirm(session: &Session, yes: bool, warning: &str, otherwise: &str) -> Result<()> {
    let mut answer = String::new();
    if !yes && std::io::stdin().is_terminal() {
        session.output.warn(&format!("{warning} Type yes to do it:"));
        std::io::stdin().read_line(&mut answer)?;
    }
    if yes || answer.trim() == "yes" {
        return Ok(());
    }
    Err(CliError::usage(otherwise).hint("Pass --yes to do it without a question"))
}

/// Seconds of a time as `90m`, `12h` or `7d`, from a minute to `days_max` days.
pub(crate) fn seconds(text: &str, days_max: u64) -> Result<u64, String> {
    const FORM: &str = "write minutes, hours or days, as 90m, 12h or 7d";
    let unit = text.chars().last().ok_or(FORM)?;
    let unit_s = match unit {
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(FORM.to_owned()),
    };
    let count: u64 = text.trim_end_matches(unit).parse().map_err(|_| FORM)?;
    let range = 60..=days_max * 86_400;
    count.checked_mul(unit_s).filter(|s| range.contains(s)).ok_or_else(|| format!("from 1m to {days_max}d"))
}

/// Shows that a change was taken, or that there was nothing to change.
pub(crate) fn saved(session: &Session, answer: &Json, text: &str) -> Result<()> {
    session.output.show(answer, |output| {
        let changed = answer.get("changed").and_then(Json::as_bool) != Some(false);
        output.status(if changed { text } else { "Nothing had to change" });
        Ok(())
    })
}

/// What a TOML or JSON file defines; `-` is standard input.
pub(crate) fn definition(file: &Path) -> Result<Json> {
    let name = file.display().to_string();
    let text = if file == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(file)
    };
    let text = text.map_err(|error| crate::import::unreadable(&name, &error))?;
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(&text).map_err(|error| {
            CliError::refused(format!("{name} does not hold one JSON object")).caused_by(&error)
        });
    }
    toml::from_str(&text).map_err(|error| {
        CliError::refused(format!("{name} does not hold a definition in TOML")).caused_by(&error)
    })
}
