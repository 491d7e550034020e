//! `tieline plan`, `apply` and `export`: the configuration of an org as files (OPS-12).

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};

use super::{confirm, list};
use crate::client::path;
use crate::dirs;
use crate::error::{CliError, Kind, Result};
use crate::output::{Output, plain};
use crate::session::Session;

/// Longest value that is shown of a change.
const VALUE_CHARS_MAX: usize = 60;

/// Which files, and how they are to be taken.
#[derive(Debug, Args)]
pub(crate) struct Files {
    /// TOML files, and directories with them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Remove what the files do not have, of the nouns that they name or manage
    #[arg(long)]
    prune: bool,
    /// Pass over settings of connections that are not here, and of objects that partners do not publish yet
    #[arg(long)]
    skip_missing: bool,
}

/// Show what files of settings would change, and how many records that touches.
///
/// Nothing is changed. The exit code is 0 if there is nothing to change, and 8 if there is.
#[derive(Debug, Args)]
pub(crate) struct PlanFiles {
    #[command(flatten)]
    files: Files,
}

/// Make the configuration what files say: all of it, as one group in the log, or nothing.
#[derive(Debug, Args)]
pub(crate) struct ApplyFiles {
    #[command(flatten)]
    files: Files,
    /// Apply only what a plan was made for: the hash that it showed
    #[arg(long, value_name = "HASH", conflicts_with = "force")]
    based_on: Option<String>,
    /// Apply even if the configuration changes meanwhile
    #[arg(long)]
    force: bool,
    /// Do not ask before something is removed
    #[arg(long, short)]
    yes: bool,
}

/// Write what an org has as files.
#[derive(Debug, Subcommand)]
pub(crate) enum Export {
    /// Write the configuration: applied elsewhere, it gives the same
    Config(ExportConfig),
}

/// Write the configuration.
#[derive(Debug, Args)]
pub(crate) struct ExportConfig {
    /// A directory that is empty or not there; without one, everything is printed
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Replace the files of an earlier export
    #[arg(long, requires = "dir")]
    replace: bool,
    /// Write it as it was after this event, or at this moment, as 2026-01-31T09:30:00Z
    #[arg(long, value_name = "SEQ|TIME")]
    at: Option<String>,
}

impl Files {
    /// The files as the daemon takes them, in the order of their names.
    fn body(&self) -> Result<Json> {
        let mut files = Vec::new();
        for path in &self.paths {
            if path.is_dir() {
                let known = files.len();
                below(path, &mut files)?;
                if files.len() == known {
                    return Err(CliError::new(
                        Kind::NotFound,
                        format!("{} has no file *.toml", path.display()),
                    ));
                }
            } else {
                files.push(path.clone());
            }
        }
        let read = |path: &PathBuf| {
            let name = path.display().to_string();
            let text = fs::read_to_string(path).map_err(|error| crate::import::unreadable(&name, &error))?;
            Ok(json!({ "name": name, "text": text }))
        };
        let files = files.iter().map(read).collect::<Result<Vec<Json>>>()?;
        Ok(json!({ "files": files, "prune": self.prune, "skip_missing": self.skip_missing }))
    }
}

/// The TOML files below a directory, in the order of their names. Hidden ones are left out.
fn below(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(dir).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
    let mut paths: Vec<PathBuf> =
        entries.map_err(dirs::failed("list", dir))?.iter().map(fs::DirEntry::path).collect();
    paths.sort();
    for path in paths {
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if hidden {
            continue;
        }
        if path.is_dir() {
            below(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    Ok(())
}

impl PlanFiles {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let plan = session.client()?.post(&path(["config", "plan"]), &self.files.body()?)?;
        session.output.show(&plan, |output| show(output, &plan))?;
        refuse_faults(session, &plan)?;
        if list(&plan, "changes").is_empty() {
            session.output.status("Nothing has to change");
            return Ok(());
        }
        let hash = plan.get("based_on").map(plain).unwrap_or_default();
        session.output.hint(&format!("Apply exactly this with tieline apply --based-on {hash} …"));
        Err(CliError::new(Kind::Differs, "There is something to change"))
    }
}

impl ApplyFiles {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let client = session.client()?;
        let mut body = self.files.body()?;
        let plan = client.post(&path(["config", "plan"]), &body)?;
        if !list(&plan, "faults").is_empty() {
            session.output.show(&plan, |_| Ok(()))?;
            return refuse_faults(session, &plan);
        }
        let removed = |change: &&Json| change.get("action") == Some(&json!("remove"));
        if list(&plan, "changes").iter().any(|change| removed(&change)) && !self.yes {
            session.output.show(&plan, |output| show(output, &plan))?;
            confirm(session, false, "Settings will be removed.", "Nothing was applied")?;
        }
        let based_on = self.based_on.or_else(|| plan.get("based_on").map(plain));
        if let Some(based_on) = based_on.filter(|_| !self.force) {
            body["based_on"] = based_on.into();
        }
        let answer = client.post(&path(["config", "apply"]), &body)?;
        session.output.show(&answer, |output| {
            let plan = answer.get("plan").unwrap_or(&Json::Null);
            show(output, plan)?;
            let changed = answer.get("changed").and_then(Json::as_bool) != Some(false);
            output.status(if changed { "The files were applied" } else { "Nothing had to change" });
            Ok(())
        })
    }
}

/// Fails with every reason for which the files cannot be applied.
fn refuse_faults(session: &Session, plan: &Json) -> Result<()> {
    let faults = list(plan, "faults");
    if faults.is_empty() {
        return Ok(());
    }
    let text = |fault: &Json, key: &str| fault.get(key).map(plain).unwrap_or_default();
    for fault in faults {
        let item = text(fault, "item");
        let item = if item.is_empty() { item } else { format!("{item}: ") };
        session.output.tell(&format!("{}{item}{}", place(fault), text(fault, "message")));
    }
    let forbidden = faults.iter().all(|fault| text(fault, "code") == "no_permission");
    let kind = if forbidden { Kind::NoPermission } else { Kind::Refused };
    let count = if faults.len() == 1 { "one reason".to_owned() } else { format!("{} reasons", faults.len()) };
    Err(CliError::new(kind, format!("The files cannot be applied, for {count}")))
}

/// Where something stands, with a colon, as compilers say it.
fn place(of: &Json) -> String {
    let part = |key: &str| of.get("place").and_then(|place| place.get(key)).map(plain).unwrap_or_default();
    if part("file").is_empty() {
        return String::new();
    }
    format!("{}:{}:{}: ", part("file"), part("line"), part("column"))
}

/// Shows a plan: each change with its fields, then what is touched.
fn show(output: &Output, plan: &Json) -> Result<()> {
    let text = |of: &Json, key: &str| of.get(key).map(plain).unwrap_or_default();
    let mut counts = [("create", "+", 0), ("change", "~", 0), ("remove", "-", 0)];
    for change in list(plan, "changes") {
        let action = text(change, "action");
        let Some((_, mark, count)) = counts.iter_mut().find(|(name, ..)| *name == action) else { continue };
        *count += 1;
        output.line(&format!("{mark} {}", text(change, "item")))?;
        for field in list(change, "fields").iter().filter(|_| action == "change") {
            let side = |key: &str| field.get(key).map_or_else(|| "(none)".to_owned(), short);
            let path = text(field, "path");
            let path = if path.is_empty() { path } else { format!("{path}: ") };
            output.line(&format!("    {path}{} → {}", side("before"), side("after")))?;
        }
        for job in list(change, "jobs") {
            output.line(&format!("    begins a job: {}", plain(job)))?;
        }
    }
    for touch in list(plan, "touches") {
        output.line(&format!("! {}: {}", text(touch, "item"), touched(touch)))?;
    }
    for passed in list(plan, "passed") {
        output.line(&format!("= {}: {}", text(passed, "item"), text(passed, "message")))?;
    }
    let counted = counts.map(|(name, _, count)| format!("{count} to {name}")).join(", ");
    output.line(&format!("{counted}, {} as they should be", text(plan, "unchanged")))
}

/// What is touched, in words.
fn touched(touch: &Json) -> String {
    let text = |key: &str| touch.get(key).map(plain).unwrap_or_default();
    let (count, detail) = (text("count"), text("detail"));
    match text("code").as_str() {
        "shares" => format!("{count} shared records are concerned"),
        "backfill" => format!("{count} records will be sent again, with {detail}"),
        "tried_again" => format!("{count} refused changes will be tried again"),
        "value_dropped" => format!("{count} records have a value of {detail}, which goes"),
        "rule_refused" => format!("{count} records would be refused by the rule {detail}"),
        "setting_broken" => format!("it leaves a setting without what it names: {detail}"),
        "rule_failed" => format!("the rule {detail} fails on {count} records"),
        code => format!("{count} records have a {detail} that would be refused ({code})"),
    }
}

/// A value in a few characters.
fn short(value: &Json) -> String {
    let text = if value.is_string() { plain(value) } else { value.to_string() };
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

impl Export {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let Self::Config(ExportConfig { dir, replace, at }) = self;
        let answer = session.client()?.get(&path(["config"]), &[super::when(at)])?;
        let Some(dir) = dir else {
            return session.output.show(&answer, |output| {
                list(&answer, "files").iter().try_for_each(|file| {
                    let part = |key: &str| file.get(key).and_then(Json::as_str).unwrap_or_default();
                    output.line(&format!("# {}\n{}", part("name"), part("text")))
                })
            });
        };
        if !replace {
            dirs::refuse_full(&dir, "the files there may be another org's; --replace writes over them")?;
        }
        let files = list(&answer, "files");
        for file in files {
            let part = |key: &str| file.get(key).and_then(Json::as_str).unwrap_or_default();
            let target = inside(&dir, part("name"))?;
            if let Some(parent) = target.parent() {
                fs::create_dir_all(parent).map_err(dirs::failed("create", parent))?;
            }
            fs::write(&target, part("text")).map_err(dirs::failed("write", &target))?;
        }
        session.output.show(&answer, |output| {
            output.status(&format!("{} files were written to {}", files.len(), dir.display()));
            Ok(())
        })
    }
}

/// The path of an exported file: what a daemon names stays below the directory.
fn inside(dir: &Path, name: &str) -> Result<PathBuf> {
    let plain = |part: std::path::Component<'_>| matches!(part, std::path::Component::Normal(_));
    if name.is_empty() || !Path::new(name).components().all(plain) {
        return Err(CliError::new(Kind::Internal, format!("The daemon names a file {name:?}")));
    }
    Ok(dir.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exported_file_stays_in_its_directory() {
        let dir = Path::new("d");
        assert_eq!(inside(dir, "objects/Lead.toml").unwrap(), dir.join("objects/Lead.toml"));
        for name in ["", "/etc/passwd", "../x", "a/../../x"] {
            assert!(inside(dir, name).is_err(), "{name}");
        }
    }

    #[test]
    fn values_are_short() {
        assert_eq!(short(&json!("a")), "a");
        assert_eq!(short(&json!(["a", 1])), r#"["a",1]"#);
        assert_eq!(short(&json!("ü".repeat(99))).chars().count(), VALUE_CHARS_MAX + 1);
    }
}
