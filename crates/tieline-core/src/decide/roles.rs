//! Roles: define and change.

use crate::command::{Refusal, Reply};
use crate::decide::draft::Draft;
use crate::event::RoleSet;
use crate::limits::{ROLE_RIGHTS_MAX, ROLES_MAX};
use crate::people::{ObjectRights, Role};
use crate::reason::{Reason, ReasonCode};
use crate::state::State;
use crate::{ObjectName, RoleName, UserName};

pub(super) fn find<'a>(state: &'a State, role: &RoleName) -> Result<&'a Role, Refusal> {
    state.roles.get(role).ok_or_else(|| {
        let text = format!("there is no role {role}: see the roles with `tieline role list`");
        Refusal::not_found("unknown_role", text)
    })
}

/// Whether somebody is left who may do everything, after a change that `after` foretells for each
/// user: else nobody could ever take it back.
pub(super) fn check_administered(
    state: &State,
    after: impl Fn(&UserName, bool) -> bool,
) -> Result<(), Refusal> {
    let administers = |role| state.roles.get(role).is_some_and(|role: &Role| role.modify_all_data);
    let left = state.users.iter().any(|(name, user)| {
        !name.is_connection_user() && after(name, user.active && administers(&user.role))
    });
    if left {
        return Ok(());
    }
    let text =
        "nobody would be left who may do everything: give another active user the role administrator first";
    Err(Refusal::conflict("last_administrator", text))
}

pub(super) fn set(draft: &mut Draft<'_>, role: &Role) -> Result<Reply, Refusal> {
    let known = draft.state.roles.get(&role.name);
    if known == Some(role) {
        return Ok(Reply::Unchanged);
    }
    if role.name == RoleName::administrator() {
        let text = "the role administrator may do everything and stays as it is: define another role";
        return Err(Refusal::conflict("built_in_role", text));
    }
    if known.is_none() && draft.state.roles.len() >= ROLES_MAX {
        let text = format!("at most {ROLES_MAX} roles are kept: remove one first");
        return Err(Refusal::invalid("limit_reached", text));
    }
    check_portal(role)?;
    if role.manage_connections && known.is_none_or(|known| !known.manage_connections) {
        // S2S-02: the permission is there once sharing is enabled.
        super::org::check_sharing(draft)?;
    }
    check_rights(draft.state, role)?;
    check_administered(draft.state, |name, has| {
        let held = draft.state.users.get(name).filter(|user| user.role == role.name);
        held.map_or(has, |user| user.active && role.modify_all_data)
    })?;
    draft.emit(RoleSet { role: role.clone(), actor: draft.actor.clone() });
    Ok(Reply::Done)
}

fn check_portal(role: &Role) -> Result<(), Refusal> {
    let over = if role.manage_connections { "Manage Connections" } else { "Modify All Data" };
    if !role.portal || !(role.manage_connections || role.modify_all_data) {
        return Ok(());
    }
    let text =
        format!("role {} is a portal role, which can never have {over}: leave one of both out", role.name);
    Err(Refusal::invalid("portal_role", text))
}

/// Every object and field that the role names is there, and who may write may read.
fn check_rights(state: &State, role: &Role) -> Result<(), Refusal> {
    let named = role.objects.values().map(|rights| 1 + rights.read_only.len()).sum::<usize>();
    if named > ROLE_RIGHTS_MAX {
        let text =
            format!("role {} names {named} objects and fields, more than {ROLE_RIGHTS_MAX}", role.name);
        return Err(Refusal::invalid("limit_reached", format!("{text}: name fewer")));
    }
    let mut reasons: Vec<Reason> = role
        .objects
        .iter()
        .flat_map(|(object, rights)| reasons_on(state, object, rights))
        .chain(reasons_against(&"other objects", &role.other_objects))
        .collect();
    if let Some(field) = role.other_objects.read_only.first() {
        let text = "fields are named with their object: other objects have none";
        reasons.push(Reason::new(ReasonCode::UnknownField, text).on_field(field));
    }
    if reasons.is_empty() {
        return Ok(());
    }
    let message = reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    Err(Refusal { reasons, ..Refusal::invalid("bad_role", format!("role {}: {message}", role.name)) })
}

fn reasons_on(state: &State, name: &ObjectName, rights: &ObjectRights) -> Vec<Reason> {
    let Some(object) = state.object(name) else {
        let text = format!("there is no object {name}: see the objects with `tieline object list`");
        return vec![Reason::new(ReasonCode::UnknownObject, text)];
    };
    let unknown = rights.read_only.iter().filter_map(|field| object.require(field).err());
    unknown.chain(reasons_against(name, rights)).collect()
}

fn reasons_against(what: &impl std::fmt::Display, rights: &ObjectRights) -> Option<Reason> {
    (!rights.read && (rights.create || rights.edit)).then(|| {
        let text = format!("who may create or edit {what} has to read them, too: add read");
        Reason::new(ReasonCode::NoPermission, text)
    })
}
