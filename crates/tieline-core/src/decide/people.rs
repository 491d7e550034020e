//! Users, groups and tokens: add, change, deactivate, issue, revoke. Nobody is ever removed: the log
//! names people.

use crate::command::{NewToken, Refusal, Reply};
use crate::decide::draft::Draft;
use crate::decide::roles;
use crate::event::{GroupSet, TokenCreated, TokenRevoked, UserSet};
use crate::limits::{GROUP_MEMBERS_MAX, GROUPS_MAX, LABEL_CHARS_MAX, USER_TOKENS_MAX, USERS_MAX};
use crate::people::Group;
use crate::reason::quoted;
use crate::state::{State, User};
use crate::value::is_email;
use crate::{GroupName, RoleName, TokenId, UserName};

/// The Connection User is no person: it has no role, no token, and is always there. In the name of the
/// automation the org does what it does by itself.
pub(super) fn check_person(user: &UserName) -> Result<(), Refusal> {
    if !user.is_system() {
        return Ok(());
    }
    let does = if user.is_connection_user() { "remote changes are made" } else { "the org acts by itself" };
    let text = format!("{user} is the name in which {does}: choose another name");
    Err(Refusal::invalid("system_user", text))
}

pub(super) fn find<'a>(state: &'a State, user: &UserName) -> Result<&'a User, Refusal> {
    check_person(user)?;
    state.users.get(user).ok_or_else(|| {
        let text = format!("there is no user {user}: add one with `tieline user add {user}`");
        Refusal::not_found("unknown_user", text)
    })
}

/// A user who may be given something to do.
pub(super) fn find_active<'a>(state: &'a State, name: &UserName) -> Result<&'a User, Refusal> {
    let user = find(state, name)?;
    if user.active {
        return Ok(user);
    }
    let text = format!("{name} is not active: `tieline user set {name} --active true` changes that");
    Err(Refusal::conflict("user_inactive", text))
}

/// An address as it is kept: an empty one is none.
fn checked_email(email: &str) -> Result<Option<String>, Refusal> {
    if email.is_empty() {
        return Ok(None);
    }
    if email.chars().count() <= LABEL_CHARS_MAX && is_email(email) {
        return Ok(Some(email.to_owned()));
    }
    let text = format!("{} is not an e-mail address: write it as name@example.org", quoted(email));
    Err(Refusal::invalid("bad_email", text))
}

pub(super) fn limit(what: &str, max: usize) -> Refusal {
    Refusal::invalid("limit_reached", format!("at most {max} {what} are kept: remove one first"))
}

pub(super) fn add_user(
    draft: &mut Draft<'_>,
    user: &UserName,
    email: Option<&str>,
    role: &RoleName,
) -> Result<Reply, Refusal> {
    check_person(user)?;
    if draft.state.users.contains_key(user) {
        let text = format!("there is a user {user} already: change it with `tieline user set {user}`");
        return Err(Refusal::conflict("user_exists", text));
    }
    if draft.state.users.len() >= USERS_MAX {
        return Err(limit("users", USERS_MAX));
    }
    roles::find(draft.state, role)?;
    let email = checked_email(email.unwrap_or_default())?;
    let actor = draft.actor.clone();
    draft.emit(UserSet { user: user.clone(), email, role: role.clone(), active: true, actor });
    Ok(Reply::Done)
}

pub(super) fn change_user(
    draft: &mut Draft<'_>,
    user: &UserName,
    email: Option<&str>,
    role: Option<&RoleName>,
    active: Option<bool>,
) -> Result<Reply, Refusal> {
    let known = find(draft.state, user)?;
    let role = role.unwrap_or(&known.role);
    roles::find(draft.state, role)?;
    let email = email.map_or_else(|| Ok(known.email.clone()), checked_email)?;
    let active = active.unwrap_or(known.active);
    if (&email, role, active) == (&known.email, &known.role, known.active) {
        return Ok(Reply::Unchanged);
    }
    let administers = active && roles::find(draft.state, role)?.modify_all_data;
    roles::check_administered(draft.state, |other, has| if other == user { administers } else { has })?;
    let actor = draft.actor.clone();
    draft.emit(UserSet { user: user.clone(), email, role: role.clone(), active, actor });
    Ok(Reply::Done)
}

pub(super) fn set_group(draft: &mut Draft<'_>, group: &Group) -> Result<Reply, Refusal> {
    let known = draft.state.groups.get(&group.name);
    if known == Some(group) {
        return Ok(Reply::Unchanged);
    }
    if known.is_none() && draft.state.groups.len() >= GROUPS_MAX {
        return Err(limit("groups", GROUPS_MAX));
    }
    if group.users.len() + group.roles.len() > GROUP_MEMBERS_MAX {
        return Err(limit("members of a group", GROUP_MEMBERS_MAX));
    }
    group.users.iter().try_for_each(|user| find(draft.state, user).map(|_| ()))?;
    group.roles.iter().try_for_each(|role| roles::find(draft.state, role).map(|_| ()))?;
    draft.emit(GroupSet { group: group.clone(), actor: draft.actor.clone() });
    Ok(Reply::Done)
}

pub(super) fn find_group<'a>(state: &'a State, group: &GroupName) -> Result<&'a Group, Refusal> {
    state.groups.get(group).ok_or_else(|| {
        let text = format!("there is no group {group}: see the groups with `tieline group list`");
        Refusal::not_found("unknown_group", text)
    })
}

pub(super) fn issue_token(
    draft: &mut Draft<'_>,
    user: &UserName,
    token: &NewToken,
) -> Result<Reply, Refusal> {
    let known = find_active(draft.state, user)?;
    super::connection::check_label(&token.label)?;
    if token.expires.is_some_and(|expires| expires <= draft.now) {
        return Err(Refusal::invalid("already_expired", "the token would end before it begins"));
    }
    if known.tokens.values().filter(|token| token.revoked.is_none()).count() >= USER_TOKENS_MAX {
        return Err(limit("tokens of one user", USER_TOKENS_MAX));
    }
    let id = TokenId(draft.draw());
    let created = token_created(id, user, token, &draft.actor);
    draft.emit(created);
    Ok(Reply::Token(id))
}

pub(super) fn token_created(
    id: TokenId,
    user: &UserName,
    token: &NewToken,
    actor: &UserName,
) -> TokenCreated {
    TokenCreated {
        token: id,
        user: user.clone(),
        label: token.label.clone(),
        hash: token.hash,
        hint: token.hint.clone(),
        expires: token.expires,
        actor: actor.clone(),
    }
}

pub(super) fn revoke_token(draft: &mut Draft<'_>, user: &UserName, id: TokenId) -> Result<Reply, Refusal> {
    let Some(token) = find(draft.state, user)?.tokens.get(&id) else {
        let text = format!("{user} has no token {id}: see the tokens with `tieline token list {user}`");
        return Err(Refusal::not_found("unknown_token", text));
    };
    if token.revoked.is_some() {
        return Ok(Reply::Unchanged);
    }
    draft.emit(TokenRevoked { token: id, user: user.clone(), actor: draft.actor.clone() });
    Ok(Reply::Done)
}
