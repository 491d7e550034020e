//! Folds what happened to people: users, roles, groups, tokens, and the settings of the org.

use crate::event::{
    CompanySet, OrgCreated, OrgSettingsSet, TokenCreated, TokenIssued, TokenRevoked, UserAdded, UserSet,
};
use crate::limits::REVOKED_TOKENS_KEPT;
use crate::people::{OrgSettings, Role};
use crate::state::{Org, State, Token, User};
use crate::{OrgId, RoleName, Timestamp, TokenId, UserName};

/// The org, with the roles that every org has.
pub(super) fn org_created(state: &mut State, event: &OrgCreated) {
    state.org = Some(Org {
        name: event.name.clone(),
        id: OrgId::from(&event.name),
        incarnation: event.incarnation,
        settings: OrgSettings::default(),
        company: None,
    });
    state.roles = Role::built_in().into_iter().map(|role| (role.name.clone(), role)).collect();
}

pub(super) fn sharing_enabled(state: &mut State) {
    state.users.entry(UserName::connection_user()).or_insert_with(|| User::new(RoleName::standard()));
}

pub(super) fn settings_set(state: &mut State, event: &OrgSettingsSet) {
    if let Some(org) = &mut state.org {
        org.settings = event.settings;
    }
}

pub(super) fn company_set(state: &mut State, event: &CompanySet) {
    if let Some(org) = &mut state.org {
        org.company.clone_from(&event.company);
    }
}

/// A user of the first version: everything or what everybody may. Its Connection User, which every
/// org had from the beginning, is what says that sharing is enabled.
pub(super) fn user_added(state: &mut State, event: &UserAdded) {
    let role = if event.admin { RoleName::administrator() } else { RoleName::standard() };
    state.users.entry(event.user.clone()).or_insert_with(|| User::new(RoleName::standard())).role = role;
}

pub(super) fn user_set(state: &mut State, event: &UserSet) {
    let user = state.users.entry(event.user.clone()).or_insert_with(|| User::new(event.role.clone()));
    user.email.clone_from(&event.email);
    user.role.clone_from(&event.role);
    user.active = event.active;
}

/// A token of the first version had no id: it is derived from the hash, and tells nothing of it.
pub(super) fn token_issued(state: &mut State, time: Timestamp, event: &TokenIssued) {
    let id = TokenId(crate::ids::first_128(&blake3::hash(&event.hash)));
    let token = Token {
        label: String::new(),
        hash: event.hash.into(),
        hint: String::new(),
        created: time,
        expires: None,
        revoked: None,
    };
    state.set_token(&event.user, id, token);
}

pub(super) fn token_created(state: &mut State, time: Timestamp, event: &TokenCreated) {
    let token = Token {
        label: event.label.clone(),
        hash: event.hash.into(),
        hint: event.hint.clone(),
        created: time,
        expires: event.expires,
        revoked: None,
    };
    state.set_token(&event.user, event.token, token);
}

/// A revoked token is remembered for a while, so that its use can be told from a guess.
pub(super) fn token_revoked(state: &mut State, time: Timestamp, event: &TokenRevoked) {
    let Some(user) = state.users.get_mut(&event.user) else { return };
    if let Some(token) = user.tokens.get_mut(&event.token) {
        token.revoked = Some(time);
    }
    let revoked = user.tokens.iter().filter_map(|(id, token)| Some((token.revoked?, *id)));
    if revoked.clone().count() > REVOKED_TOKENS_KEPT
        && let Some((_, oldest)) = revoked.min()
    {
        state.forget_token(&event.user, oldest);
    }
}
