//! `tieline role`: what people may do.

use std::str::FromStr;

use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};
use tieline_core::people::{ObjectRights, Role as Definition};
use tieline_core::{FieldName, InvalidId, ObjectName, RoleName};

use super::{list, saved};
use crate::client::{Client, path};
use crate::error::{CliError, Kind, Result};
use crate::output::{Column, Output, text, with};
use crate::session::Session;

/// See, define and remove roles.
#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    /// List the roles
    List,
    /// Show what a role may do
    Show(One),
    /// Define a role, or change one; what is not named stays, and a new role may do nothing else
    Set(Set),
    /// Remove a role that nobody has
    Remove(One),
}

/// A role.
#[derive(Debug, Args)]
pub(crate) struct One {
    /// The role
    role: RoleName,
}

/// Define or change a role.
#[derive(Debug, Args)]
pub(crate) struct Set {
    /// The role
    role: RoleName,
    /// Its users are outsiders, who can never manage connections: true or false
    #[arg(long, value_name = "BOOL")]
    portal: Option<bool>,
    /// They invite, answer and administer connections: true or false
    #[arg(long, value_name = "BOOL")]
    manage_connections: Option<bool>,
    /// They may do everything: true or false
    #[arg(long, value_name = "BOOL")]
    modify_all_data: Option<bool>,
    /// What they may do with an object: none, or some of read, create and edit; may be repeated
    #[arg(long = "object", value_name = "OBJECT=RIGHTS")]
    objects: Vec<OnObject>,
    /// What they may do with every other object: none, or some of read, create and edit
    #[arg(long, value_name = "RIGHTS")]
    other_objects: Option<Rights>,
    /// A field that they read and do not write; may be repeated
    #[arg(long, value_name = "OBJECT.FIELD")]
    read_only: Vec<OneField>,
    /// A field that they write again; may be repeated
    #[arg(long, value_name = "OBJECT.FIELD")]
    writable: Vec<OneField>,
}

/// Some of read, create and edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Rights {
    read: bool,
    create: bool,
    edit: bool,
}

/// What may be done with an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OnObject(ObjectName, Rights);

/// A field of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OneField(ObjectName, FieldName);

impl FromStr for Rights {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let mut rights = Self::default();
        for word in text.split(',').filter(|_| text != "none") {
            match word {
                "read" => rights.read = true,
                "create" => rights.create = true,
                "edit" => rights.edit = true,
                _ => return Err("write none, or some of read,create,edit".to_owned()),
            }
        }
        Ok(rights)
    }
}

impl FromStr for OnObject {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (object, rights) = text.split_once('=').ok_or("write it as Lead=read,edit")?;
        Ok(Self(object.parse().map_err(|error: InvalidId| error.to_string())?, rights.parse()?))
    }
}

impl FromStr for OneField {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (object, field) = text.split_once('.').ok_or("write it as Lead.Status")?;
        let invalid = |error: InvalidId| error.to_string();
        Ok(Self(object.parse().map_err(invalid)?, field.parse().map_err(invalid)?))
    }
}

impl Set {
    /// `role` with the changes. An object that it did not name begins with what holds for the others.
    fn on(&self, mut role: Definition) -> Definition {
        role.portal = self.portal.unwrap_or(role.portal);
        role.manage_connections = self.manage_connections.unwrap_or(role.manage_connections);
        role.modify_all_data = self.modify_all_data.unwrap_or(role.modify_all_data);
        if let Some(rights) = self.other_objects {
            rights.set_on(&mut role.other_objects);
        }
        for OnObject(object, rights) in &self.objects {
            rights.set_on(rights_on(&mut role, object));
        }
        for OneField(object, field) in &self.read_only {
            rights_on(&mut role, object).read_only.insert(field.clone());
        }
        for OneField(object, field) in &self.writable {
            rights_on(&mut role, object).read_only.remove(field);
        }
        role
    }
}

/// What a role may do with an object, to change.
fn rights_on<'a>(role: &'a mut Definition, object: &ObjectName) -> &'a mut ObjectRights {
    let others = role.other_objects.clone();
    role.objects.entry(object.clone()).or_insert(others)
}

impl Rights {
    const fn set_on(self, rights: &mut ObjectRights) {
        rights.read = self.read;
        rights.create = self.create;
        rights.edit = self.edit;
    }
}

/// The role as the daemon has it; a new one may do nothing.
fn known(client: &Client, name: &RoleName) -> Result<Definition> {
    let roles = client.get(&path(["roles"]), &[])?;
    let found = list(&roles, "roles").iter().find(|role| role.get("name") == Some(&json!(name)));
    let Some(Json::Object(mut body)) = found.and_then(|role| role.get("role")).cloned() else {
        return Ok(Definition::new(name.clone()));
    };
    body.insert("name".to_owned(), json!(name));
    serde_json::from_value(Json::Object(body)).map_err(|error| {
        CliError::new(
            Kind::Internal,
            format!("The role {name} cannot be read: is the daemon of another version?"),
        )
        .caused_by(&error)
    })
}

/// The role as the daemon takes it: its name stands in the path.
fn body(role: &Definition) -> Json {
    let mut body = json!(role);
    if let Json::Object(body) = &mut body {
        body.remove("name");
    }
    body
}

const LIST: &[Column] = &[
    text("ROLE", "/name"),
    text("USERS", "/users"),
    text("PORTAL", "/role/portal"),
    text("MANAGE CONNECTIONS", "/role/manage_connections"),
    text("MODIFY ALL DATA", "/role/modify_all_data"),
    with("OTHER OBJECTS", "/role/other_objects", rights),
];

const FACTS: &[Column] = &[
    text("Role", "/name"),
    text("In every org", "/built_in"),
    text("Users", "/users"),
    text("Portal", "/role/portal"),
    text("Manage Connections", "/role/manage_connections"),
    text("Modify All Data", "/role/modify_all_data"),
    with("Other objects", "/role/other_objects", rights),
];

const OBJECTS: &[Column] = &[
    text("OBJECT", "/object"),
    with("RIGHTS", "/rights", rights),
    text("READ-ONLY FIELDS", "/rights/read_only"),
];

/// Rights in one line.
fn rights(rights: &Json) -> String {
    let named =
        ["read", "create", "edit"].into_iter().filter(|right| rights.get(right) == Some(&json!(true)));
    let named = named.collect::<Vec<_>>().join(",");
    if named.is_empty() { "none".to_owned() } else { named }
}

fn show(output: &Output, role: &Json) -> Result<()> {
    output.facts(FACTS, role)?;
    let objects = role.pointer("/role/objects").and_then(Json::as_object).into_iter().flatten();
    let rows: Vec<Json> =
        objects.map(|(object, rights)| json!({ "object": object, "rights": rights })).collect();
    if rows.is_empty() {
        return Ok(());
    }
    output.line("")?;
    output.table(OBJECTS, &rows)
}

impl Role {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let client = session.client()?;
        match self {
            Self::List => {
                let answer = client.get(&path(["roles"]), &[])?;
                session.output.show(&answer, |output| output.list(LIST, list(&answer, "roles")))
            }
            Self::Show(One { role }) => {
                let answer = client.get(&path(["roles", role.as_str()]), &[])?;
                session.output.show(&answer, |output| show(output, &answer))
            }
            Self::Set(set) => {
                let role = set.on(known(&client, &set.role)?);
                let answer = client.put(&path(["roles", role.name.as_str()]), &body(&role))?;
                saved(session, &answer, &format!("The role {} was saved", role.name))
            }
            Self::Remove(One { role }) => {
                let answer = client.delete(&path(["roles", role.as_str()]))?;
                saved(session, &answer, &format!("The role {role} was removed"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_keeps_what_it_does_not_name() {
        let set = Set {
            role: "sales".parse().unwrap(),
            portal: None,
            manage_connections: Some(true),
            modify_all_data: None,
            objects: vec!["Lead=read,edit".parse().unwrap()],
            other_objects: None,
            read_only: vec!["Lead.Status".parse().unwrap(), "Contact.Email".parse().unwrap()],
            writable: vec!["Lead.Rating".parse().unwrap()],
        };
        let known = json!({"name": "sales", "other_objects": {"read": true},
            "objects": {"Lead": {"read": true, "create": true, "edit": false, "read_only": ["Rating"]}}});
        let changed = body(&set.on(serde_json::from_value(known).unwrap()));
        assert_eq!((&changed["manage_connections"], &changed["portal"]), (&json!(true), &json!(false)));
        assert_eq!(changed["other_objects"], json!({"read": true, "create": false, "edit": false}));
        assert_eq!(
            changed["objects"],
            json!({
                "Lead": {"read": true, "create": false, "edit": true, "read_only": ["Status"]},
                "Contact": {"read": true, "create": false, "edit": false, "read_only": ["Email"]},
            })
        );
    }

    #[test]
    fn rights_are_read() {
        assert_eq!("none".parse(), Ok(Rights::default()));
        assert_eq!("read,edit".parse(), Ok(Rights { read: true, create: false, edit: true }));
        for text in ["", "all", "read,", "none,read"] {
            assert!(text.parse::<Rights>().is_err(), "{text:?}");
        }
        assert_eq!(rights(&json!({"read": true, "create": true, "edit": false})), "read,create");
        assert_eq!(rights(&json!({})), "none");
    }
}
