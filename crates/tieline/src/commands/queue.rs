//! `tieline queue`: where records wait for somebody to take them up.

use clap::{Args, Subcommand};
use serde_json::json;
use tieline_core::{GroupName, ObjectName, QueueName, RoleName, UserName};

use super::{list, saved};
use crate::client::path;
use crate::error::Result;
use crate::output::{Column, text};
use crate::session::Session;

/// See, define and remove queues.
#[derive(Debug, Subcommand)]
pub(crate) enum Queue {
    /// List the queues
    List,
    /// Show what a queue takes, and who works on it
    Show(One),
    /// Define a queue: all its objects and members
    Set(Set),
    /// Remove a queue that owns nothing
    Remove(One),
    /// Offer what is in a queue already to a connection that became a member later
    Share(Share),
}

/// A queue.
#[derive(Debug, Args)]
pub(crate) struct One {
    /// The queue
    queue: QueueName,
}

/// Define a queue.
#[derive(Debug, Args)]
pub(crate) struct Set {
    /// The queue
    queue: QueueName,
    /// What people see instead of its name
    #[arg(long, default_value = "")]
    label: String,
    /// An object whose records it takes; may be repeated, or list several with commas
    #[arg(long = "object", value_name = "OBJECT", value_delimiter = ',', required = true)]
    objects: Vec<ObjectName>,
    /// A user who works on it; may be repeated, or list several with commas
    #[arg(long = "user", value_name = "USER", value_delimiter = ',')]
    users: Vec<UserName>,
    /// A group whose users do; may be repeated, or list several with commas
    #[arg(long = "group", value_name = "GROUP", value_delimiter = ',')]
    groups: Vec<GroupName>,
    /// A role whose users do; may be repeated, or list several with commas
    #[arg(long = "role", value_name = "ROLE", value_delimiter = ',')]
    roles: Vec<RoleName>,
    /// A connection that is offered its records: id, partner or label; may be repeated
    #[arg(long = "connection", value_name = "CONNECTION")]
    connections: Vec<String>,
    /// Each connection that accepts has the record; else the first
    #[arg(long, requires = "connections")]
    several: bool,
}

/// Offer what is in a queue.
#[derive(Debug, Args)]
pub(crate) struct Share {
    /// The queue
    queue: QueueName,
    /// The connection: id, partner or label
    #[arg(long, value_name = "CONNECTION")]
    to: String,
}

const COLUMNS: &[Column] = &[
    text("QUEUE", "/name"),
    text("OBJECTS", "/objects"),
    text("RECORDS", "/records"),
    text("USERS", "/users"),
    text("GROUPS", "/groups"),
    text("ROLES", "/roles"),
    text("CONNECTIONS", "/connections"),
];

const FACTS: &[Column] = &[
    text("Queue", "/name"),
    text("Label", "/label"),
    text("Objects", "/objects"),
    text("Records", "/records"),
    text("Users", "/users"),
    text("Groups", "/groups"),
    text("Roles", "/roles"),
    text("Connections", "/connections"),
    text("Several acceptors", "/several"),
];

impl Queue {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let client = session.client()?;
        match self {
            Self::List => {
                let answer = client.get(&path(["queues"]), &[])?;
                session.output.show(&answer, |output| output.list(COLUMNS, list(&answer, "queues")))
            }
            Self::Show(One { queue }) => {
                let answer = client.get(&path(["queues", queue.as_str()]), &[])?;
                session.output.show(&answer, |output| output.facts(FACTS, &answer))
            }
            Self::Set(set) => {
                let body = json!({
                    "label": set.label,
                    "objects": set.objects,
                    "users": set.users,
                    "groups": set.groups,
                    "roles": set.roles,
                    "connections": set.connections,
                    "several": set.several,
                });
                let answer = client.put(&path(["queues", set.queue.as_str()]), &body)?;
                saved(session, &answer, &format!("The queue {} was saved", set.queue))
            }
            Self::Remove(One { queue }) => {
                let answer = client.delete(&path(["queues", queue.as_str()]))?;
                saved(session, &answer, &format!("The queue {queue} was removed"))
            }
            Self::Share(Share { queue, to }) => {
                let body = json!({ "connection": to });
                let answer = client.post(&path(["queues", queue.as_str(), "share"]), &body)?;
                let line = format!("What is in the queue {queue} is being offered: see tieline job list");
                session.output.show(&answer, |output| output.line(&line))
            }
        }
    }
}
