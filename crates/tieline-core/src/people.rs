//! People: roles and what they may do, groups, and the edition and licences of the org.
//!
//! A user has one role; a role says what its users may do, object by object. Two things hold for
//! every saved role, so that whoever checks a permission need not think of them: who may create or
//! edit records of an object may read them, and a portal role manages neither connections nor all
//! data (S2S-02). Who may do what is looked up here; what a command needs is said in one table of
//! `decide`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::codes::codes;
use crate::{FieldName, GroupName, ObjectName, RoleName, UserName};

/// Licences of an edition that may send invitations, unless something else is configured (S2S-04).
const LICENCES_DEFAULT: u32 = 2;

codes! {
    /// The edition of an org (S2S-05).
    pub enum Edition: "edition" {
        /// For one person: it takes no part in sharing.
        Personal = 1 "personal",
        /// Accepts, shares and updates.
        Group = 2 "group",
        /// Accepts, shares and updates.
        Team = 3 "team",
        /// May send invitations, too.
        Professional = 4 "professional",
        /// May send invitations, too.
        Enterprise = 5 "enterprise",
        /// May send invitations, too.
        Unlimited = 6 "unlimited",
        /// Accepts, shares and updates.
        Developer = 7 "developer",
        /// Accepts, shares and updates.
        Trial = 8 "trial",
        /// Accepts, shares and updates.
        Demo = 9 "demo",
    }
}

impl Edition {
    /// Whether an org of this edition takes part in sharing at all.
    #[must_use]
    pub fn shares(self) -> bool {
        self != Self::Personal
    }

    /// Whether an org of this edition may invite others.
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Self::Professional | Self::Enterprise | Self::Unlimited)
    }
}

/// What an org was bought as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrgSettings {
    /// Its edition.
    pub edition: Edition,
    /// How many connection licences it has; nothing means as many as its edition comes with.
    #[serde(default)]
    pub connection_licences: Option<u32>,
}

impl Default for OrgSettings {
    /// What an org had before editions were: everything that is not for money.
    fn default() -> Self {
        Self { edition: Edition::Enterprise, connection_licences: None }
    }
}

impl OrgSettings {
    /// How many invitations of this org may be pending or accepted at a time (S2S-04).
    #[must_use]
    pub fn licences_max(self) -> u32 {
        if self.edition.sends() { self.connection_licences.unwrap_or(LICENCES_DEFAULT) } else { 0 }
    }
}

/// The connection licences of an org. Only invitations that it sent, and that are pending or were
/// accepted, take one (S2S-04).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Licences {
    /// How many there are.
    pub max: u32,
    /// How many are taken.
    pub used: u32,
}

/// What a role may do with the records of an object.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectRights {
    /// Read them.
    #[serde(default)]
    pub read: bool,
    /// Create them, and accept offers of them.
    #[serde(default)]
    pub create: bool,
    /// Change, delete, forward and stop sharing them, and publish and subscribe the object.
    #[serde(default)]
    pub edit: bool,
    /// Fields that are read and not written, whatever else is allowed.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub read_only: BTreeSet<FieldName>,
}

impl ObjectRights {
    /// Everything.
    #[must_use]
    pub const fn all() -> Self {
        Self { read: true, create: true, edit: true, read_only: BTreeSet::new() }
    }
}

/// What its users may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// Its name.
    pub name: RoleName,
    /// Whether its users are outsiders, who can never manage connections (S2S-02).
    #[serde(default)]
    pub portal: bool,
    /// Whether they invite, answer and administer connections (S2S-02).
    #[serde(default)]
    pub manage_connections: bool,
    /// Whether they may do everything.
    #[serde(default)]
    pub modify_all_data: bool,
    /// What they may do with the objects named here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub objects: BTreeMap<ObjectName, ObjectRights>,
    /// What they may do with every other object, those that come later included.
    #[serde(default)]
    pub other_objects: ObjectRights,
}

impl Role {
    /// A role that may do nothing.
    #[must_use]
    pub fn new(name: RoleName) -> Self {
        Self {
            name,
            portal: false,
            manage_connections: false,
            modify_all_data: false,
            objects: BTreeMap::new(),
            other_objects: ObjectRights::default(),
        }
    }

    /// The roles that every org begins with. Logs are folded with them: they can be changed by
    /// events, and never here.
    #[must_use]
    pub fn built_in() -> [Self; 2] {
        let administrator = Self { modify_all_data: true, ..Self::new(RoleName::administrator()) };
        let standard = Self { other_objects: ObjectRights::all(), ..Self::new(RoleName::standard()) };
        [administrator, standard]
    }

    /// Whether this role is one of those that every org has.
    #[must_use]
    pub fn is_built_in(name: &RoleName) -> bool {
        *name == RoleName::administrator() || *name == RoleName::standard()
    }

    fn on(&self, object: &ObjectName) -> &ObjectRights {
        self.objects.get(object).unwrap_or(&self.other_objects)
    }

    /// Whether the role has a permission. It allocates nothing: it stands in the way of every write.
    #[must_use]
    pub fn grants(&self, permission: Permission<'_>) -> bool {
        self.modify_all_data
            || match permission {
                Permission::ModifyAllData => false,
                Permission::ManageConnections => self.manage_connections,
                Permission::Read(object) => self.on(object).read,
                Permission::Create(object) => self.on(object).create,
                Permission::Edit(object) => self.on(object).edit,
                Permission::WriteField(object, field) => !self.on(object).read_only.contains(field),
            }
    }
}

/// Users who are named together: users, and everybody who has one of some roles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its name.
    pub name: GroupName,
    /// Its users.
    #[serde(default)]
    pub users: BTreeSet<UserName>,
    /// The roles whose users belong to it.
    #[serde(default)]
    pub roles: BTreeSet<RoleName>,
}

/// What a user has to be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission<'a> {
    /// Everything: users, roles, objects, the org itself.
    ModifyAllData,
    /// Invite, answer and administer connections (S2S-02).
    ManageConnections,
    /// Read records of an object.
    Read(&'a ObjectName),
    /// Create records of an object.
    Create(&'a ObjectName),
    /// Change records of an object, and what goes with that.
    Edit(&'a ObjectName),
    /// Write a field, where records of its object may be written.
    WriteField(&'a ObjectName, &'a FieldName),
}

impl fmt::Display for Permission<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ModifyAllData => f.write_str("Modify All Data"),
            Self::ManageConnections => f.write_str("Manage Connections"),
            Self::Read(object) => write!(f, "read on {object}"),
            Self::Create(object) => write!(f, "read and create on {object}"),
            Self::Edit(object) => write!(f, "read and edit on {object}"),
            Self::WriteField(object, field) => write!(f, "edit on {object}.{field}"),
        }
    }
}

/// What somebody may do, looked up once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights<'a> {
    /// Everything.
    All,
    /// What the role says.
    Role(&'a Role),
    /// Nothing: there is no such user, or none that is active.
    Nothing,
}

impl Rights<'_> {
    /// Whether something is allowed.
    #[must_use]
    pub fn may(self, permission: Permission<'_>) -> bool {
        match self {
            Self::All => true,
            Self::Role(role) => role.grants(permission),
            Self::Nothing => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn editions_take_part_as_they_are_sold() {
        let named = |takes: fn(Edition) -> bool| {
            Edition::ALL.iter().filter(|e| takes(**e)).copied().collect::<Vec<_>>()
        };
        assert_eq!(named(Edition::sends), [Edition::Professional, Edition::Enterprise, Edition::Unlimited]);
        assert_eq!(named(|edition| !edition.shares()), [Edition::Personal]);
        let licences =
            |edition, connection_licences| OrgSettings { edition, connection_licences }.licences_max();
        assert_eq!(licences(Edition::Enterprise, None), 2);
        assert_eq!(licences(Edition::Enterprise, Some(0)), 0);
        assert_eq!(licences(Edition::Trial, Some(9)), 0, "an edition that may not send has no use for any");
    }

    #[test]
    fn a_role_grants_what_it_says_and_no_more() {
        let (lead, account): (ObjectName, ObjectName) = ("Lead".parse().unwrap(), "Account".parse().unwrap());
        let (status, rating): (FieldName, FieldName) = ("Status".parse().unwrap(), "Rating".parse().unwrap());
        let [administrator, standard] = Role::built_in();
        let on_lead =
            ObjectRights { edit: true, read: true, create: false, read_only: [status.clone()].into() };
        let narrow =
            Role { objects: [(lead.clone(), on_lead)].into(), ..Role::new("narrow".parse().unwrap()) };
        for (permission, expected) in [
            (Permission::ModifyAllData, [true, false, false]),
            (Permission::ManageConnections, [true, false, false]),
            (Permission::Read(&lead), [true, true, true]),
            (Permission::Create(&lead), [true, true, false]),
            (Permission::Edit(&lead), [true, true, true]),
            (Permission::WriteField(&lead, &status), [true, true, false]),
            (Permission::WriteField(&lead, &rating), [true, true, true]),
            (Permission::Read(&account), [true, true, false]),
            (Permission::Edit(&account), [true, true, false]),
        ] {
            let found = [&administrator, &standard, &narrow].map(|role| role.grants(permission));
            assert_eq!(found, expected, "{permission}");
        }
        assert!(!Rights::Nothing.may(Permission::Read(&lead)));
    }
}
