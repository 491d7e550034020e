//! Roles and groups: what people may do, and who is named together.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use tieline_core::command::Command;
use tieline_core::people::{Group, ObjectRights, Permission, Role};
use tieline_core::{FieldName, GroupName, ObjectName, RoleName, UserName};
use utoipa::ToSchema;

use super::auth::Actor;
use super::problem::{ErrorCode, Problem};
use super::request::{Body, Route};
use super::{Api, Done};

/// What a role may do.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RoleBody {
    /// Its users are outsiders, who can never manage connections.
    portal: bool,
    /// They invite, answer and administer connections.
    manage_connections: bool,
    /// They may do everything.
    modify_all_data: bool,
    /// What they may do with the objects named here.
    #[schema(value_type = BTreeMap<String, RightsBody>)]
    objects: BTreeMap<ObjectName, RightsBody>,
    /// What they may do with every other object.
    other_objects: RightsBody,
}

/// What a role may do with the records of an object. Who may create or edit has to be able to read.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RightsBody {
    /// Read them.
    read: bool,
    /// Create them, and accept offers of them.
    create: bool,
    /// Change, delete, forward and stop sharing them, and publish and subscribe the object.
    edit: bool,
    /// Fields that are read and not written.
    #[schema(value_type = Vec<String>)]
    read_only: BTreeSet<FieldName>,
}

/// A role.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoleView {
    /// Its name.
    name: String,
    /// Whether every org has it.
    built_in: bool,
    /// How many users have it.
    users: usize,
    /// What it may do.
    role: RoleBody,
}

/// The roles of the org.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoleList {
    /// One entry for each, in the order of their names.
    roles: Vec<RoleView>,
}

/// Who belongs to a group.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GroupBody {
    /// Its users.
    #[schema(value_type = Vec<String>)]
    users: BTreeSet<UserName>,
    /// The roles whose users belong to it.
    #[schema(value_type = Vec<String>)]
    roles: BTreeSet<RoleName>,
}

/// A group.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GroupView {
    /// Its name.
    name: String,
    /// Who belongs to it.
    members: GroupBody,
}

/// The groups of the org.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GroupList {
    /// One entry for each, in the order of their names.
    groups: Vec<GroupView>,
}

impl From<&ObjectRights> for RightsBody {
    fn from(rights: &ObjectRights) -> Self {
        let ObjectRights { read, create, edit, read_only } = rights.clone();
        Self { read, create, edit, read_only }
    }
}

impl From<RightsBody> for ObjectRights {
    fn from(body: RightsBody) -> Self {
        let RightsBody { read, create, edit, read_only } = body;
        Self { read, create, edit, read_only }
    }
}

impl RoleBody {
    fn role(self, name: RoleName) -> Role {
        Role {
            name,
            portal: self.portal,
            manage_connections: self.manage_connections,
            modify_all_data: self.modify_all_data,
            objects: self.objects.into_iter().map(|(object, rights)| (object, rights.into())).collect(),
            other_objects: self.other_objects.into(),
        }
    }
}

impl From<&Role> for RoleBody {
    fn from(role: &Role) -> Self {
        Self {
            portal: role.portal,
            manage_connections: role.manage_connections,
            modify_all_data: role.modify_all_data,
            objects: role.objects.iter().map(|(object, rights)| (object.clone(), rights.into())).collect(),
            other_objects: (&role.other_objects).into(),
        }
    }
}

impl RoleView {
    fn of(state: &tieline_core::state::State, role: &Role) -> Self {
        let has = |(name, user): &(&UserName, &tieline_core::state::User)| {
            user.role == role.name && !name.is_connection_user()
        };
        Self {
            name: role.name.to_string(),
            built_in: Role::is_built_in(&role.name),
            users: state.users.iter().filter(has).count(),
            role: role.into(),
        }
    }
}

impl From<&Group> for GroupView {
    fn from(group: &Group) -> Self {
        let members = GroupBody { users: group.users.clone(), roles: group.roles.clone() };
        Self { name: group.name.to_string(), members }
    }
}

/// Lists the roles.
#[utoipa::path(get, path = "/v1/roles", tag = "people", responses((status = 200, body = RoleList)))]
pub(crate) async fn list(Extract(api): Extract<Api>, _actor: Actor) -> Result<Json<RoleList>, Problem> {
    super::read(&api, |state| {
        Ok(RoleList { roles: state.roles.values().map(|role| RoleView::of(state, role)).collect() })
    })
    .await
}

/// Shows a role; everybody may see their own.
#[utoipa::path(get, path = "/v1/roles/{role}", tag = "people",
    params(("role" = String, Path, description = "The role.")),
    responses((status = 200, body = RoleView)))]
pub(crate) async fn show(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(name): Route<RoleName>,
) -> Result<Json<RoleView>, Problem> {
    super::read(&api, |state| {
        if state.users.get(&actor.user).is_none_or(|user| user.role != name) {
            actor.reading(state).require(Permission::ModifyAllData)?;
        }
        let role = state.roles.get(&name).ok_or_else(|| {
            let detail = format!("there is no role {name}: see the roles with `tieline role list`");
            Problem::new(ErrorCode::UnknownRole, detail)
        })?;
        Ok(RoleView::of(state, role))
    })
    .await
}

/// Defines a role, or changes it; what the body leaves out, the role may not do.
#[utoipa::path(put, path = "/v1/roles/{role}", tag = "people", request_body = RoleBody,
    params(("role" = String, Path, description = "The role.")),
    responses((status = 200, body = Done)))]
pub(crate) async fn set(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(name): Route<RoleName>,
    Body(body): Body<RoleBody>,
) -> Result<Json<Done>, Problem> {
    api.change(&actor, Command::SetRole { role: Box::new(body.role(name)) }).await
}

/// Removes a role that nobody has.
#[utoipa::path(delete, path = "/v1/roles/{role}", tag = "people",
    params(("role" = String, Path, description = "The role.")),
    responses((status = 200, body = Done)))]
pub(crate) async fn remove(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(role): Route<RoleName>,
) -> Result<Json<Done>, Problem> {
    api.change(&actor, Command::RemoveRole { role }).await
}

/// Lists the groups.
#[utoipa::path(get, path = "/v1/groups", tag = "people", responses((status = 200, body = GroupList)))]
pub(crate) async fn list_groups(
    Extract(api): Extract<Api>,
    _actor: Actor,
) -> Result<Json<GroupList>, Problem> {
    super::read(&api, |state| Ok(GroupList { groups: state.groups.values().map(GroupView::from).collect() }))
        .await
}

/// Shows a group.
#[utoipa::path(get, path = "/v1/groups/{group}", tag = "people",
    params(("group" = String, Path, description = "The group.")),
    responses((status = 200, body = GroupView)))]
pub(crate) async fn show_group(
    Extract(api): Extract<Api>,
    _actor: Actor,
    Route(name): Route<GroupName>,
) -> Result<Json<GroupView>, Problem> {
    super::read(&api, |state| {
        state.groups.get(&name).map(GroupView::from).ok_or_else(|| {
            let detail = format!("there is no group {name}: see the groups with `tieline group list`");
            Problem::new(ErrorCode::UnknownGroup, detail)
        })
    })
    .await
}

/// Defines a group, or changes it.
#[utoipa::path(put, path = "/v1/groups/{group}", tag = "people", request_body = GroupBody,
    params(("group" = String, Path, description = "The group.")),
    responses((status = 200, body = Done)))]
pub(crate) async fn set_group(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(name): Route<GroupName>,
    Body(GroupBody { users, roles }): Body<GroupBody>,
) -> Result<Json<Done>, Problem> {
    api.change(&actor, Command::SetGroup { group: Group { name, users, roles } }).await
}

/// Removes a group.
#[utoipa::path(delete, path = "/v1/groups/{group}", tag = "people",
    params(("group" = String, Path, description = "The group.")),
    responses((status = 200, body = Done)))]
pub(crate) async fn remove_group(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route(group): Route<GroupName>,
) -> Result<Json<Done>, Problem> {
    api.change(&actor, Command::RemoveGroup { group }).await
}
