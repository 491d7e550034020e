//! The configuration of an org as files (OPS-12): read, compared with what is, applied, written.
//!
//! ```text
//! files ──read──▶ items ──plan──▶ changes and commands ──ApplyConfig──▶ one group in the log
//!   ▲                                                                        │
//!   └───────────────────────────────── export ◀──────────────────────────────┘
//! ```
//!
//! What can be set by files stands in one table, `nouns`: a row for each kind of setting says how it
//! is named, shown, set and removed. An item is set by a command that is there anyway, so files can do
//! nothing that commands cannot, and everything is checked, permitted and logged as ever.

mod diff;
mod export;
mod files;
mod mapping;
mod nouns;
mod plan;
mod rows;
mod touch;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::command::Command;
use crate::state::State;

pub use diff::FieldChange;
pub use export::export;
pub use plan::plan;
pub use touch::{RecordQuestion, ShareQuestion, Touch};

/// A file of settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What it is called, for people: its path.
    pub name: String,
    /// What it holds.
    pub text: String,
}

/// How files are to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Whether settings that the files do not have are removed, of the nouns that the files name.
    pub prune: bool,
    /// Whether settings of connections that are not here, and what takes objects that the partner does not
    /// publish yet, are passed over; else they are refused.
    pub skip_missing: bool,
}

/// The canonical hash of everything that files can set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigHash(#[serde(with = "serde_bytes")] pub [u8; 32]);

impl ConfigHash {
    /// The hash of the configuration that an org has.
    #[must_use]
    pub fn of(state: &State) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("tieline configuration 1");
        nouns::for_each(state, |connection, noun, name, shown| {
            let connection = connection.map(|connection| connection.id.to_string()).unwrap_or_default();
            for part in [connection.as_str(), noun.name, name, &shown.to_string()] {
                hasher.update(&(part.len() as u64).to_le_bytes());
                hasher.update(part.as_bytes());
            }
        });
        Self(*hasher.finalize().as_bytes())
    }
}

impl fmt::Display for ConfigHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl std::str::FromStr for ConfigHash {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
        let hash = bytes.and_then(|bytes| bytes.try_into().ok());
        hash.map(Self).ok_or("it is no hash of a configuration: it has 64 digits of 0-9 and a-f")
    }
}

/// Where an item stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// The file; empty for what stands in none.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.file.is_empty() {
            return f.write_str("(in no file)");
        }
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One command of a plan, and what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The command.
    pub command: Command,
    /// The item, as `roles.sales` or `connections.globex.publish.Lead`.
    pub item: String,
    /// Where it stands.
    pub place: Place,
}

/// What happens to an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is new.
    Create,
    /// It becomes another.
    Change,
    /// It goes.
    Remove,
}

impl Action {
    /// The action in API and CLI.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Change => "change",
            Self::Remove => "remove",
        }
    }
}

/// One item that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The item.
    pub item: String,
    /// Where it stands.
    pub place: Place,
    /// What happens to it.
    pub action: Action,
    /// What changes of it; all of it, if it is new or goes.
    pub fields: Vec<FieldChange>,
    /// What it sets going, as `backfill`: the kinds of jobs.
    pub jobs: Vec<String>,
}

/// Why an item cannot be as the files have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The item; empty for the file as a whole.
    pub item: String,
    /// Where it stands.
    pub place: Place,
    /// A stable code.
    pub code: &'static str,
    /// The thing, the reason and the remedy.
    pub message: String,
}

/// An item that is not touched although it could be expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// The item.
    pub item: String,
    /// Where it stands.
    pub place: Place,
    /// Why.
    pub message: String,
}

/// What applying files would do.
#[derive(Debug)]
pub struct Plan {
    /// The configuration that it begins with.
    pub based_on: ConfigHash,
    /// What changes, in the order in which it is done.
    pub changes: Vec<Change>,
    /// What is refused; then nothing is applied.
    pub faults: Vec<Fault>,
    /// What is passed over.
    pub passed: Vec<Passed>,
    /// Items of the files that are as they should be.
    pub unchanged: usize,
    /// What is touched as far as no record has to be asked.
    pub touches: Vec<Touch>,
    /// What has to be asked of every share of a connection.
    pub share_questions: Vec<ShareQuestion>,
    /// What has to be asked of every record of an object.
    pub questions: Vec<RecordQuestion>,
    /// The commands.
    pub members: Vec<Member>,
}

/// JSON without the entries that are null: what files do not say.
fn without_nulls(json: Json) -> Json {
    match json {
        Json::Object(entries) => entries
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key, without_nulls(value)))
            .collect(),
        Json::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}
