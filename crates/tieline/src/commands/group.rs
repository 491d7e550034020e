//! `tieline group`: people who are named together.

use clap::{Args, Subcommand};
use serde_json::json;
use tieline_core::{GroupName, RoleName, UserName};

use super::{list, saved};
use crate::client::path;
use crate::error::Result;
use crate::output::{Column, text};
use crate::session::Session;

/// See, define and remove groups.
#[derive(Debug, Subcommand)]
pub(crate) enum Group {
    /// List the groups
    List,
    /// Show who belongs to a group
    Show(One),
    /// Define a group: all its members
    Set(Set),
    /// Remove a group
    Remove(One),
}

/// A group.
#[derive(Debug, Args)]
pub(crate) struct One {
    /// The group
    group: GroupName,
}

/// Define a group.
#[derive(Debug, Args)]
pub(crate) struct Set {
    /// The group
    group: GroupName,
    /// A user; may be repeated, or list several with commas
    #[arg(long = "user", value_name = "USER", value_delimiter = ',')]
    users: Vec<UserName>,
    /// A role whose users belong to it; may be repeated, or list several with commas
    #[arg(long = "role", value_name = "ROLE", value_delimiter = ',')]
    roles: Vec<RoleName>,
}

const COLUMNS: &[Column] =
    &[text("GROUP", "/name"), text("USERS", "/members/users"), text("ROLES", "/members/roles")];

const FACTS: &[Column] =
    &[text("Group", "/name"), text("Users", "/members/users"), text("Roles", "/members/roles")];

impl Group {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let client = session.client()?;
        match self {
            Self::List => {
                let answer = client.get(&path(["groups"]), &[])?;
                session.output.show(&answer, |output| output.list(COLUMNS, list(&answer, "groups")))
            }
            Self::Show(One { group }) => {
                let answer = client.get(&path(["groups", group.as_str()]), &[])?;
                session.output.show(&answer, |output| output.facts(FACTS, &answer))
            }
            Self::Set(Set { group, users, roles }) => {
                let members = json!({ "users": users, "roles": roles });
                let answer = client.put(&path(["groups", group.as_str()]), &members)?;
                saved(session, &answer, &format!("The group {group} was saved"))
            }
            Self::Remove(One { group }) => {
                let answer = client.delete(&path(["groups", group.as_str()]))?;
                saved(session, &answer, &format!("The group {group} was removed"))
            }
        }
    }
}
