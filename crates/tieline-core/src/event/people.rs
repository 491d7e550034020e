//! People and what they may do: users, roles, groups, tokens, and the settings of the org.
//!
//! Each of these events holds the whole of what it sets, so that a reader needs no other.

use serde::{Deserialize, Serialize};

use crate::people::{Group, OrgSettings, Role};
use crate::{GroupName, RoleName, Timestamp, TokenId, UserName};

/// Sharing was enabled, for good: the Connection User came to be (S2S-01).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharingEnabled {
    /// By whom.
    pub actor: UserName,
}

/// Edition and licences of the org were set (S2S-04, S2S-05).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrgSettingsSet {
    /// What holds from now on.
    pub settings: OrgSettings,
    /// By whom.
    pub actor: UserName,
}

/// A user was added or changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserSet {
    /// The login name.
    pub user: UserName,
    /// The e-mail address, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// What the user may do.
    pub role: RoleName,
    /// Whether the user may do anything at all.
    pub active: bool,
    /// By whom.
    pub actor: UserName,
}

/// A user on whom nothing stood was removed, with all tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRemoved {
    /// The login name.
    pub user: UserName,
    /// By whom.
    pub actor: UserName,
}

/// A role was defined or changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleSet {
    /// The definition.
    pub role: Role,
    /// By whom.
    pub actor: UserName,
}

/// A role that nobody has was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleRemoved {
    /// The role.
    pub role: RoleName,
    /// By whom.
    pub actor: UserName,
}

/// A group was defined or changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSet {
    /// The definition.
    pub group: Group,
    /// By whom.
    pub actor: UserName,
}

/// A group was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRemoved {
    /// The group.
    pub group: GroupName,
    /// By whom.
    pub actor: UserName,
}

/// An API token was issued; only its hash is kept, and its last characters to know it by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenCreated {
    /// Its id.
    pub token: TokenId,
    /// Whose it is.
    pub user: UserName,
    /// What it is for.
    #[serde(default)]
    pub label: String,
    /// The BLAKE3 hash of the token.
    #[serde(with = "serde_bytes")]
    pub hash: [u8; 32],
    /// Its last characters.
    #[serde(default)]
    pub hint: String,
    /// When it ends; nothing means never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// By whom.
    pub actor: UserName,
}

/// An API token was revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRevoked {
    /// Its id.
    pub token: TokenId,
    /// Whose it was.
    pub user: UserName,
    /// By whom.
    pub actor: UserName,
}
