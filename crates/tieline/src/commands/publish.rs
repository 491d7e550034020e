//! `tieline publish`: which objects and fields a partner gets (S2S-20).

use clap::{Args, Subcommand};
use serde_json::json;
use tieline_core::{FieldName, ObjectName};

use super::{list, saved};
use crate::client::path;
use crate::error::Result;
use crate::output::{Column, text};
use crate::session::Session;

/// Choose what a partner gets.
#[derive(Debug, Subcommand)]
pub(crate) enum Publish {
    /// Publish fields of an object; what was published before and is not named is withdrawn
    Set(Set),
    /// List what is published
    List(One),
    /// Publish nothing of an object any more
    Remove(Remove),
    /// List the fields of an object: which can be published, and why the others cannot
    Fields(Fields),
}

/// Publish fields of an object.
#[derive(Debug, Args)]
pub(crate) struct Set {
    /// Id, partner or label of the connection
    connection: String,
    /// The object
    object: ObjectName,
    /// A field; may be repeated, or list several with commas
    #[arg(long = "field", value_name = "FIELD", value_delimiter = ',', required_unless_present = "all")]
    fields: Vec<FieldName>,
    /// Every field that can be published
    #[arg(long, conflicts_with = "fields")]
    all: bool,
    /// Whether the partner is told who owns each shared record: true or false; at first it is not
    #[arg(long, value_name = "BOOL")]
    owners: Option<bool>,
    /// Only show what the partner takes and would not get any more
    #[arg(long)]
    check: bool,
}

/// A connection.
#[derive(Debug, Args)]
pub(crate) struct One {
    /// Id, partner or label of the connection
    connection: String,
}

/// The fields of an object.
#[derive(Debug, Args)]
pub(crate) struct Fields {
    /// The object
    object: ObjectName,
}

const FIELDS: &[Column] = &[
    text("FIELD", "/field"),
    text("TYPE", "/type"),
    text("KIND", "/kind"),
    text("PUBLISHABLE", "/publishable"),
    text("PUBLISHED TO", "/published_to"),
    text("WHY NOT", "/reason/message"),
];

const LOST: &[Column] = &[text("FIELD", "/field"), text("WHAT THE PARTNER TAKES", "/message")];

/// Publish nothing of an object.
#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// Id, partner or label of the connection
    connection: String,
    /// The object
    object: ObjectName,
}

impl Publish {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let client = session.client()?;
        let columns = [text("OBJECT", "/object"), text("OWNERS", "/owners"), text("FIELDS", "/fields")];
        match self {
            Self::Set(Set { connection, object, fields, all, owners, check }) => {
                let mut body = if all { json!({ "all": true }) } else { json!({ "fields": fields }) };
                if let Some(owners) = owners {
                    body["owners"] = owners.into();
                }
                if check {
                    body["check"] = true.into();
                }
                let answer =
                    client.put(&path(["connections", &connection, "publish", object.as_str()]), &body)?;
                let drift = list(&answer, "drift");
                if !session.output.is_json() && !drift.is_empty() {
                    session.output.table(LOST, drift)?;
                }
                let done = if check { "would change" } else { "is set" };
                saved(session, &answer, &format!("What {connection} gets of {object} {done}"))
            }
            Self::List(One { connection }) => {
                let answer = client.get(&path(["connections", &connection, "publish"]), &[])?;
                session.output.show(&answer, |output| output.table(&columns, list(&answer, "publish")))
            }
            Self::Fields(Fields { object }) => {
                let answer = client.get(&path(["objects", object.as_str(), "publishable"]), &[])?;
                session.output.show(&answer, |output| output.table(FIELDS, list(&answer, "fields")))
            }
            Self::Remove(Remove { connection, object }) => {
                let answer =
                    client.delete(&path(["connections", &connection, "publish", object.as_str()]))?;
                saved(session, &answer, &format!("{object} is not published to {connection} any more"))
            }
        }
    }
}
