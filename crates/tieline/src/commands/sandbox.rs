//! `tieline sandbox`: an org beside another one, in which an integration is tried before it is live (S2S-15).
//!
//! A sandbox is an org of its own: data directory, keys, log, address. It has edition and licences of its
//! parent as they were when it was made or refreshed, none of them used, and spends nothing of the
//! parent's. It gets the parent's settings and, if wished, records; never its connections, shares or tokens.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use tieline_bus::OrgKeys;
use tieline_core::config::Source;
use tieline_core::people::{Edition, OrgSettings};
use tieline_core::{OrgName, UserName};
use tieline_daemon::init::{NewOrg, create_seeded, new_token};
use tieline_daemon::seed::{Seed, SeedRecord, Seeded};

use super::{confirm, list};
use crate::client::{Client, path, read_token};
use crate::dirs;
use crate::error::{CliError, Kind, Result};
use crate::output::text;
use crate::session::{CONFIG_FILE, Session, TOKEN_FILE, load_config};

/// Tells, in a data directory, that it is a sandbox, and of which org.
const MARK_FILE: &str = "sandbox.json";
/// Records of one request.
const PAGE: usize = 1_000;

/// Try things out in an org beside this one.
#[derive(Debug, Subcommand)]
pub(crate) enum Sandbox {
    /// Make a sandbox of the org: with its settings, its licences unused, and no connection
    Create(Create),
    /// Make the sandbox anew from its parent as that is now; everything in it is lost
    Refresh(Refresh),
    /// Remove a sandbox with everything in it
    Remove(Remove),
}

/// Make a sandbox.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Data directory of the sandbox
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Its name [default: that of the org with -sandbox]
    #[arg(long, value_name = "NAME")]
    name: Option<OrgName>,
    /// Where its API will listen [default: a free port of 127.0.0.1]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    #[command(flatten)]
    content: Content,
}

/// What a sandbox gets.
#[derive(Debug, Args)]
pub(crate) struct Content {
    /// Records that it gets: none, all, or at most so many of each object
    #[arg(long, value_name = "none|all|NUMBER", default_value = "none")]
    records: Records,
    /// Leave the parent's settings out: standard objects and one administrator
    #[arg(long)]
    without_config: bool,
}

/// Make a sandbox anew.
#[derive(Debug, Args)]
pub(crate) struct Refresh {
    /// Data directory of the sandbox
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    #[command(flatten)]
    content: Content,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// Remove a sandbox.
#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// Data directory of the sandbox
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// How many records a sandbox gets of each object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Records(usize);

impl FromStr for Records {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self(0)),
            "all" => Ok(Self(usize::MAX)),
            number => number.parse().map(Self).map_err(|_| "write none, all or a number"),
        }
    }
}

/// What is known of a sandbox, in its directory.
#[derive(Debug, Serialize, Deserialize)]
struct Mark {
    parent: OrgName,
    parent_data: Option<PathBuf>,
}

impl Sandbox {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::Create(create) => create.run(session),
            Self::Refresh(refresh) => refresh.run(session),
            Self::Remove(remove) => remove.run(session),
        }
    }
}

/// The parent, as its daemon tells of it.
struct Parent {
    name: OrgName,
    settings: OrgSettings,
    sharing: bool,
    user: UserName,
    config: Vec<Source>,
}

impl Parent {
    fn ask(client: &Client, content: &Content) -> Result<Self> {
        let org = client.get(&path(["org"]), &[])?;
        let users = client.get(&path(["users"]), &[])?;
        let text = |key: &str| org.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
        let edition: Edition = text("edition").parse().map_err(|_| strange())?;
        let licences = org.pointer("/connection_licences/max").and_then(Json::as_u64);
        let licences = licences.and_then(|max| u32::try_from(max).ok()).filter(|_| edition.sends());
        let administers = |user: &&Json| {
            user.get("role") == Some(&json!("administrator")) && user.get("active") == Some(&json!(true))
        };
        let user = list(&users, "users").iter().find(administers);
        let user = user.and_then(|user| user.get("user")?.as_str()?.parse().ok());
        let files = if content.without_config { Json::Null } else { client.get(&path(["config"]), &[])? };
        let part =
            |file: &Json, key: &str| file.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
        let config = list(&files, "files");
        Ok(Self {
            name: text("name").parse().map_err(|_| strange())?,
            settings: OrgSettings { edition, connection_licences: licences },
            sharing: org.get("sharing_enabled") == Some(&json!(true)),
            user: user.map_or_else(|| "admin".parse().map_err(|_| strange()), Ok)?,
            config: config
                .iter()
                .map(|file| Source { name: part(file, "name"), text: part(file, "text") })
                .collect(),
        })
    }
}

fn strange() -> CliError {
    CliError::new(Kind::Internal, "The daemon tells of its org in a way that this version does not read")
        .hint("Use the version of tieline that the daemon has")
}

/// The records of each object of the parent, at most so many.
fn records(client: &Client, Records(most): Records) -> Result<Vec<SeedRecord>> {
    let mut found = Vec::new();
    if most == 0 {
        return Ok(found);
    }
    let objects = client.get(&path(["objects"]), &[])?;
    for object in list(&objects, "objects").iter().filter_map(|object| object.get("name")?.as_str()) {
        let (mut cursor, mut left) = (None, most);
        while left > 0 {
            let query = [("limit", Some(left.min(PAGE).to_string())), ("cursor", cursor)];
            let page = client.get(&path(["records", object]), &query)?;
            let records = list(&page, "records");
            found.extend(records.iter().filter_map(record));
            left = left.saturating_sub(records.len());
            cursor = page.get("next").and_then(Json::as_str).map(ToOwned::to_owned);
            if cursor.is_none() {
                break;
            }
        }
    }
    Ok(found)
}

fn record(record: &Json) -> Option<SeedRecord> {
    let text = |key: &str| record.get(key)?.as_str();
    Some(SeedRecord {
        id: text("id")?.parse().ok()?,
        object: text("object")?.parse().ok()?,
        owner: text("owner")?.parse().ok()?,
        fields: record.get("fields")?.as_object()?.clone(),
    })
}

impl Create {
    fn run(self, session: &Session) -> Result<()> {
        let dir = dirs::absolute(&self.dir)?;
        dirs::refuse_full(&dir, "an org is never overwritten")?;
        let client = session.client()?;
        let parent = Parent::ask(&client, &self.content)?;
        let named = format!("{}-sandbox", parent.name).parse();
        let name = match self.name {
            Some(name) => name,
            None => named.map_err(|_| {
                CliError::usage(format!("The name {}-sandbox is too long", parent.name))
                    .hint("Name the sandbox with --name")
            })?,
        };
        if name == parent.name {
            return Err(CliError::usage("A sandbox has another name than its parent"));
        }
        let keys = OrgKeys::generate(name.clone()).map_err(|error| internal(&error))?;
        let token = new_token().map_err(|error| internal(&error))?;
        let mut config = session.config()?;
        config.data_dir.clone_from(&dir);
        // What is tried out tells nobody outside.
        config.mail.host.clear();
        config.http.listen = self.listen.map_or_else(free, Ok)?;
        let mark =
            Mark { parent: parent.name.clone(), parent_data: session.local_data_dir().map(Path::to_owned) };
        let made =
            Made { dir: &dir, keys: &keys, token: &token, config: &config.to_documented_toml(), mark: &mark };
        let seeded = made.make(&client, parent, &self.content)?;
        told(session, &dir, &name, &seeded, "was made")
    }
}

impl Refresh {
    fn run(self, session: &Session) -> Result<()> {
        let dir = dirs::absolute(&self.dir)?;
        let mark = mark(&dir)?;
        let config = load_config(&dir.join(CONFIG_FILE))?;
        refuse_running(config.http.listen)?;
        let client = session.client()?;
        let parent = Parent::ask(&client, &self.content)?;
        if parent.name != mark.parent {
            let text =
                format!("{} is a sandbox of {}, and {} was asked", dir.display(), mark.parent, parent.name);
            return Err(
                CliError::new(Kind::Conflict, text).hint("Name the data directory of its parent with --data")
            );
        }
        let warning = format!("Everything in the sandbox {} will be lost.", dir.display());
        confirm(session, self.yes, &warning, "The sandbox was not refreshed")?;
        // The broker knows it by its keys, and scripts by its token: both stay.
        let keys = OrgKeys::load(&tieline_daemon::keys_dir(&dir)).map_err(|error| internal(&error))?;
        let token = read_token(&dir.join(TOKEN_FILE))?;
        let text = fs::read_to_string(dir.join(CONFIG_FILE)).map_err(dirs::failed("read", &dir))?;
        let fresh = dir.with_added_extension("refreshed");
        let made = Made { dir: &fresh, keys: &keys, token: &token, config: &text, mark: &mark };
        let seeded = made.make(&client, parent, &self.content)?;
        fs::remove_dir_all(&dir).map_err(dirs::failed("remove", &dir))?;
        fs::rename(&fresh, &dir).map_err(dirs::failed("rename", &fresh))?;
        told(session, &dir, keys.org(), &seeded, "was refreshed")
    }
}

impl Remove {
    fn run(self, session: &Session) -> Result<()> {
        let dir = dirs::absolute(&self.dir)?;
        let mark = mark(&dir)?;
        refuse_running(load_config(&dir.join(CONFIG_FILE))?.http.listen)?;
        let warning = format!("The sandbox {} of {} will be removed.", dir.display(), mark.parent);
        confirm(session, self.yes, &warning, "The sandbox was not removed")?;
        fs::remove_dir_all(&dir).map_err(dirs::failed("remove", &dir))?;
        let answer = json!({ "removed": dir, "parent": mark.parent });
        session.output.show(&answer, |output| {
            output.status("The sandbox was removed; the broker may forget its account, too");
            Ok(())
        })
    }
}

/// A sandbox that is being made.
struct Made<'a> {
    dir: &'a Path,
    keys: &'a OrgKeys,
    token: &'a str,
    config: &'a str,
    mark: &'a Mark,
}

impl Made<'_> {
    fn make(&self, client: &Client, parent: Parent, content: &Content) -> Result<Seeded> {
        let records = records(client, content.records)?;
        let Parent { settings, sharing, user, config, .. } = parent;
        let config = config.into_iter().filter_map(quiet).collect();
        let seed = Seed { config, records, answer: None };
        let new = NewOrg { name: self.keys.org().clone(), admin: user, settings, sharing };
        let mark = serde_json::to_vec_pretty(self.mark).map_err(|error| internal(&error))?;
        dirs::make(self.dir, |aside| {
            self.keys.save(&tieline_daemon::keys_dir(aside)).map_err(|error| internal(&error))?;
            let seeded = create_seeded(aside, new, self.token, seed)
                .map_err(|error| CliError::from_error(Kind::Refused, &error))?;
            dirs::write(&aside.join(TOKEN_FILE), dirs::PRIVATE, format!("{}\n", self.token).as_bytes())?;
            dirs::write(&aside.join(CONFIG_FILE), dirs::READABLE, self.config.as_bytes())?;
            dirs::write(&aside.join(MARK_FILE), dirs::READABLE, &mark)?;
            Ok(seeded)
        })
    }
}

/// A file of settings without what tells somebody outside: webhooks of notices and of workflow rules.
fn quiet(file: Source) -> Option<Source> {
    if file.name == "notices.toml" || file.name == "user_notices.toml" {
        return None;
    }
    if file.name != "workflow_rules.toml" {
        return Some(file);
    }
    let mut table: toml::Table = toml::from_str(&file.text).ok()?;
    let rules = table.get_mut("workflow_rules")?.as_table_mut()?;
    rules.retain(|_, rule| {
        let actions = rule.get_mut("actions").and_then(toml::Value::as_array_mut);
        actions.is_none_or(|actions| {
            actions.retain(|action| action.get("webhook").is_none());
            !actions.is_empty()
        })
    });
    Some(Source { text: toml::to_string_pretty(&table).ok()?, ..file })
}

fn told(session: &Session, dir: &Path, name: &OrgName, seeded: &Seeded, what: &str) -> Result<()> {
    let answer = json!({
        "org": name, "data": dir, "token_file": dir.join(TOKEN_FILE), "settings": seeded.settings,
        "records": seeded.records, "refused": seeded.refused, "reasons": seeded.reasons,
        "connection_settings_left_out": seeded.left_out,
    });
    session.output.show(&answer, |output| {
        let facts = [
            text("Sandbox", "/org"),
            text("Data", "/data"),
            text("Settings", "/settings"),
            text("Records", "/records"),
            text("Records refused", "/refused"),
            text("Of connections, left out", "/connection_settings_left_out"),
        ];
        output.facts(&facts, &answer)?;
        seeded.reasons.iter().for_each(|reason| output.warn(reason));
        output.status(&format!("The sandbox {what}"));
        let dir = dir.display();
        output.hint(&format!("Add its account to the broker: tieline broker config --org-keys {dir}/keys …"));
        output.hint(&format!("Then start it: tieline serve --data {dir}"));
        Ok(())
    })
}

/// The mark of a sandbox: without it, nothing is taken for one.
fn mark(dir: &Path) -> Result<Mark> {
    let file = dir.join(MARK_FILE);
    let bytes = fs::read(&file).map_err(|_| {
        CliError::new(Kind::NotFound, format!("{} is not the data directory of a sandbox", dir.display()))
            .hint("Make one with tieline sandbox create")
    })?;
    serde_json::from_slice(&bytes).map_err(|error| {
        CliError::new(Kind::Refused, format!("{} cannot be read", file.display())).caused_by(&error)
    })
}

/// A daemon that runs would lose its log under its feet.
fn refuse_running(listen: SocketAddr) -> Result<()> {
    if TcpStream::connect_timeout(&listen, Duration::from_secs(2)).is_err() {
        return Ok(());
    }
    Err(CliError::new(Kind::Conflict, format!("The sandbox runs: something listens on {listen}"))
        .hint("Stop its daemon first"))
}

/// A free port of this machine.
fn free() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| internal(&error))?;
    listener.local_addr().map_err(|error| internal(&error))
}

fn internal(error: &dyn std::error::Error) -> CliError {
    CliError::from_error(Kind::Internal, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_tell_somebody_outside_is_left_out() {
        let file = |name: &str, text: &str| Source { name: name.to_owned(), text: text.to_owned() };
        assert_eq!(quiet(file("notices.toml", "[notices]\nmail = true\n")), None);
        let kept = file("roles.toml", "[roles.x]\n");
        assert_eq!(quiet(kept.clone()), Some(kept));
        let rules = "[workflow_rules.a]\nobject = \"Lead\"\nactions = [{ webhook = { url = \"https://x\" } }]\n\
                     [workflow_rules.b]\nactions = [{ webhook = { url = \"https://x\" } }, { assign = { to = \"ann\" } }]\n";
        let quieted = quiet(file("workflow_rules.toml", rules)).unwrap().text;
        assert!(
            !quieted.contains("webhook") && !quieted.contains("rules.a") && quieted.contains("ann"),
            "{quieted}"
        );
    }
}
