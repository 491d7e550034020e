//! Connections of the reference system, taken over as invitations that are saved.
//!
//! An org exports its connections (`PartnerNetworkConnection`) as CSV. For each that is in force, an
//! invitation to its primary contact is saved under the name it had, with its account: nothing is sent
//! before a person sends it. Contacts and accounts are found by the field that keeps the id they had.

use std::path::Path;

use serde_json::{Value as Json, json};
use tieline_core::{FieldName, MailTemplateName, ObjectName};

use crate::client::{Client, path};
use crate::commands::list;
use crate::error::{CliError, Result};
use crate::import::keys::{Key, Keys};
use crate::import::{self, Content, Format};

/// A connection in one of these states is in force.
const IN_FORCE: [&str; 3] = ["accepted", "active", "connected"];

/// A line of the export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Former {
    /// Where it stands.
    pub(crate) line: u64,
    /// What it was called.
    pub(crate) name: String,
    /// Its state, as it is written.
    status: String,
    contact: String,
    account: String,
}

/// What became of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// An invitation is saved; its id here.
    Saved(String),
    /// A connection of this name is here; its id.
    Here(String),
    /// It was not in force.
    Over,
    /// Why nothing was saved, and what helps.
    Refused(String),
}

impl Fate {
    /// Its state, the connection here and the reason, as far as there are any.
    pub(crate) fn parts(&self) -> (&'static str, &str, &str) {
        match self {
            Self::Saved(id) => ("saved", id, ""),
            Self::Here(id) => ("here", id, ""),
            Self::Over => ("over", "", ""),
            Self::Refused(why) => ("refused", "", why),
        }
    }
}

/// Where invitations are saved, and how contacts are found.
pub(crate) struct Inviting<'a> {
    /// The daemon of this org.
    pub(crate) client: &'a Client,
    /// The field that keeps the id that a contact or an account had.
    pub(crate) key: &'a FieldName,
    /// What the mails say, instead of the usual.
    pub(crate) mail: Option<&'a MailTemplateName>,
}

/// The connections of an export.
///
/// # Errors
/// The file cannot be read, or lacks a column.
pub(crate) fn read(file: &Path) -> Result<Vec<Former>> {
    let mut rows = import::open(file, Some(Format::Csv), b',')?;
    let position = |name: &str| rows.columns().iter().position(|column| column.eq_ignore_ascii_case(name));
    let column = |name: &str| {
        position(name).ok_or_else(|| {
            CliError::refused(format!("{} has no column {name}", file.display())).hint(
                "Export ConnectionName, ConnectionStatus, PrimaryContactId and AccountId of \
                 PartnerNetworkConnection",
            )
        })
    };
    let (name, status) = (column("ConnectionName")?, column("ConnectionStatus")?);
    let (contact, account) = (column("PrimaryContactId")?, position("AccountId"));
    let mut formers = Vec::new();
    while let Some(item) = rows.next()? {
        let Content::Cells(cells) = &item.content else { continue };
        let cell = |at: usize| String::from_utf8_lossy(cells.get(at).unwrap_or_default()).trim().to_owned();
        formers.push(Former {
            line: item.line,
            name: cell(name),
            status: cell(status),
            contact: cell(contact),
            account: account.map(cell).unwrap_or_default(),
        });
    }
    Ok(formers)
}

impl Inviting<'_> {
    /// Saves an invitation for each connection that was in force and is not here.
    ///
    /// # Errors
    /// The daemon does not answer.
    pub(crate) fn save(&self, formers: &[Former]) -> Result<Vec<Fate>> {
        let keys = self.keys()?;
        let known = self.client.get(&path(["connections"]), &[])?;
        let known: Vec<(&str, &str)> = list(&known, "connections")
            .iter()
            .filter(|one| one.get("status").and_then(Json::as_str).is_none_or(|status| !is_over(status)))
            .filter_map(|one| Some((one.get("label")?.as_str()?, one.get("id")?.as_str()?)))
            .collect();
        let fate = |former: &Former| match known.iter().find(|(label, _)| *label == former.name) {
            _ if !IN_FORCE.contains(&former.status.to_ascii_lowercase().as_str()) => Ok(Fate::Over),
            Some((_, id)) => Ok(Fate::Here((*id).to_owned())),
            None => self.invite(&keys, former),
        };
        formers.iter().map(fate).collect()
    }

    fn invite(&self, keys: &Keys, former: &Former) -> Result<Fate> {
        let find = |object: &str, id: &str| match keys.find(&self.key_of(object), id) {
            Ok(Some(record)) => Ok(record.to_owned()),
            Ok(None) => Err(format!("no {object} here has {id} as its {}: import it first", self.key)),
            Err(problem) => Err(problem),
        };
        let contact = match find("Contact", &former.contact) {
            _ if former.contact.is_empty() => {
                return Ok(Fate::Refused("it has no primary contact: invite its partner by hand".to_owned()));
            }
            Ok(contact) => contact,
            Err(why) => return Ok(Fate::Refused(why)),
        };
        // Without its account here it is that of the contact.
        let account = find("Account", &former.account).ok();
        let mut body =
            json!({ "contacts": { "ids": [contact] }, "label": former.name, "save": true, "again": true });
        let given = [("account", json!(account)), ("mail_template", json!(self.mail))];
        for (name, value) in given.into_iter().filter(|(_, value)| !value.is_null()) {
            body[name] = value;
        }
        let answer = self.client.post(&path(["invitations", "contacts"]), &body)?;
        let result = list(&answer, "results").first().cloned().unwrap_or_default();
        let text = |name: &str| result.get(name).and_then(Json::as_str).map(str::to_owned);
        Ok(match text("connection") {
            Some(id) => Fate::Saved(id),
            None => Fate::Refused(text("detail").unwrap_or_else(|| "the daemon refused it".to_owned())),
        })
    }

    fn key_of(&self, object: &str) -> Key {
        // Both names are constants and right.
        #[expect(clippy::unwrap_used, reason = "a constant name")]
        Key { object: object.parse::<ObjectName>().unwrap(), field: self.key.clone() }
    }

    fn keys(&self) -> Result<Keys> {
        let mut keys = Keys::default();
        for object in ["Account", "Contact"] {
            keys.load(self.client, &self.key_of(object))?;
        }
        Ok(keys)
    }
}

fn is_over(status: &str) -> bool {
    ["deactivated", "declined", "revoked", "discarded"].contains(&status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_says_who_was_connected() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("connections.csv");
        std::fs::write(
            &file,
            "Id,CONNECTIONNAME,ConnectionStatus,PrimaryContactId\n04PA,Globex,Accepted,003A\n04PB,Initech,Inactive,\n",
        )
        .unwrap();
        let former = |line, name: &str, status: &str, contact: &str| Former {
            line,
            name: name.to_owned(),
            status: status.to_owned(),
            contact: contact.to_owned(),
            account: String::new(),
        };
        let formers = [former(2, "Globex", "Accepted", "003A"), former(3, "Initech", "Inactive", "")];
        assert_eq!(read(&file).unwrap(), formers);
        std::fs::write(&file, "Id,ConnectionName\n").unwrap();
        assert!(read(&file).unwrap_err().to_string().contains("no column ConnectionStatus"));
    }
}
