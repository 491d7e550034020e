//! People as the state keeps them: users with their tokens, and the questions asked about them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::people::{Licences, Permission, Rights};
use crate::state::{ConnectionStatus, Side, State};
use crate::{RoleName, Timestamp, TokenId, UserName};

/// A person, or the Connection User.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The e-mail address, if it is known.
    #[serde(default)]
    pub email: Option<String>,
    /// What the user may do; of no account for the Connection User.
    pub role: RoleName,
    /// Whether the user may do anything at all.
    pub active: bool,
    /// The API tokens, those revoked not long ago included.
    #[serde(default)]
    pub tokens: BTreeMap<TokenId, Token>,
}

/// An API token of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// What it is for.
    pub label: String,
    /// The BLAKE3 hash of the token.
    pub hash: serde_bytes::ByteArray<32>,
    /// Its last characters, to know it by.
    pub hint: String,
    /// When it was issued.
    pub created: Timestamp,
    /// When it ends; nothing means never.
    pub expires: Option<Timestamp>,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
}

impl User {
    /// A user without tokens.
    #[must_use]
    pub const fn new(role: RoleName) -> Self {
        Self { email: None, role, active: true, tokens: BTreeMap::new() }
    }
}

/// Why a token opens nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// Nobody has it.
    #[error("this org does not know the token: ask an administrator for one")]
    Unknown,
    /// It was revoked.
    #[error("the token {hint} of {user} was revoked at {at}: ask an administrator for a new one")]
    Revoked {
        /// Whose it was.
        user: UserName,
        /// Its last characters.
        hint: String,
        /// When.
        at: Timestamp,
    },
    /// Its time is over.
    #[error("the token {hint} of {user} ended at {at}: ask an administrator for a new one")]
    Expired {
        /// Whose it is.
        user: UserName,
        /// Its last characters.
        hint: String,
        /// When.
        at: Timestamp,
    },
    /// Its user is not active.
    #[error(
        "user {0} is not active: an administrator can change that with `tieline user set {0} --active true`"
    )]
    Inactive(UserName),
}

impl State {
    /// Whether sharing was enabled (S2S-01): then, and only then, there is a Connection User.
    #[must_use]
    pub fn sharing_enabled(&self) -> bool {
        self.users.contains_key(&UserName::connection_user())
    }

    /// The connection licences at this moment: an invitation that has expired takes none (S2S-04).
    #[must_use]
    pub fn licences(&self, now: Timestamp) -> Licences {
        let sent = self.connections.values().filter(|connection| connection.side == Side::Inviter);
        let used = sent.filter(|connection| match connection.status {
            ConnectionStatus::Active => true,
            ConnectionStatus::Pending => connection.expires.is_none_or(|expires| expires > now),
            ConnectionStatus::Declined | ConnectionStatus::Revoked | ConnectionStatus::Deactivated => false,
        });
        let max = self.org.as_ref().map_or(0, |org| org.settings.licences_max());
        Licences { max, used: u32::try_from(used.count()).unwrap_or(u32::MAX) }
    }

    /// What a user may do. The Connection User may do everything: what it does was agreed upon.
    #[must_use]
    pub fn rights(&self, user: &UserName) -> Rights<'_> {
        if user.is_connection_user() {
            return Rights::All;
        }
        let role = self.users.get(user).filter(|user| user.active).map(|user| self.roles.get(&user.role));
        match role.flatten() {
            Some(role) if role.modify_all_data => Rights::All,
            Some(role) => Rights::Role(role),
            None => Rights::Nothing,
        }
    }

    /// Whether a user may do something.
    #[must_use]
    pub fn may(&self, user: &UserName, permission: Permission<'_>) -> bool {
        self.rights(user).may(permission)
    }

    /// Whose token has this hash, if it opens anything at this moment.
    ///
    /// # Errors
    /// Why it does not.
    pub fn admit(&self, hash: &[u8; 32], now: Timestamp) -> Result<&UserName, NotAdmitted> {
        // Hashes of 256-bit random tokens: comparing them tells an attacker nothing about a token.
        let (name, id) = self.by_token.get(hash).ok_or(NotAdmitted::Unknown)?;
        let (name, user) = self.users.get_key_value(name).ok_or(NotAdmitted::Unknown)?;
        let token = user.tokens.get(id).ok_or(NotAdmitted::Unknown)?;
        let told = || (name.clone(), token.hint.clone());
        if let Some(at) = token.revoked {
            let (user, hint) = told();
            return Err(NotAdmitted::Revoked { user, hint, at });
        }
        if let Some(at) = token.expires.filter(|expires| *expires <= now) {
            let (user, hint) = told();
            return Err(NotAdmitted::Expired { user, hint, at });
        }
        if user.active { Ok(name) } else { Err(NotAdmitted::Inactive(name.clone())) }
    }

    /// Puts a token in place.
    pub(crate) fn set_token(&mut self, user: &UserName, id: TokenId, token: Token) {
        let Some(found) = self.users.get_mut(user) else { return };
        self.by_token.insert(*token.hash, (user.clone(), id));
        found.tokens.insert(id, token);
    }

    /// Forgets a token.
    pub(crate) fn forget_token(&mut self, user: &UserName, id: TokenId) {
        let token = self.users.get_mut(user).and_then(|user| user.tokens.remove(&id));
        if let Some(token) = token {
            self.by_token.remove(&*token.hash);
        }
    }

    /// Forgets a user, with tokens and notices.
    pub(crate) fn remove_user(&mut self, user: &UserName) {
        if let Some(found) = self.users.remove(user) {
            found.tokens.values().for_each(|token| drop(self.by_token.remove(&*token.hash)));
        }
        self.notices.forget(user);
    }

    /// Rebuilds the index of tokens.
    pub(super) fn derive_tokens(&mut self) {
        let tokens = self.users.iter().flat_map(|(name, user)| {
            user.tokens.iter().map(|(id, token)| (*token.hash, (name.clone(), *id)))
        });
        self.by_token = tokens.collect();
    }
}
