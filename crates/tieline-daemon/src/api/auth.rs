//! Who asks, and what they may do.
//!
//! A token belongs to a user; the user is the actor of whatever the request does. Only hashes of
//! tokens are stored, and a token is never logged.

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use tieline_core::UserName;

use super::Api;
use super::problem::{ErrorCode, Problem};
use crate::init::token_hash;

/// The user whose token came with the request.
#[derive(Debug, Clone)]
pub(crate) struct Actor {
    pub(crate) user: UserName,
    admin: bool,
}

/// What a request needs beyond reading, which every user may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Permission {
    /// Create, change, delete, forward, stop sharing and accept records.
    EditRecords,
    /// Invite, answer, end connections; publish and subscribe (S2S-02).
    ManageConnections,
    /// Define objects and their rules.
    ManageObjects,
    /// Add users and issue tokens.
    ManageUsers,
    /// Take everything that the org knows out of it.
    TakeBackups,
}

impl Permission {
    const fn what(self) -> &'static str {
        match self {
            Self::EditRecords => "change records and their sharing",
            Self::ManageConnections => "manage connections",
            Self::ManageObjects => "change objects",
            Self::ManageUsers => "add users and issue tokens",
            Self::TakeBackups => "export the log, which holds everything",
        }
    }
}

impl Actor {
    /// Whether the user may do this; at present, administrators may do everything, others read.
    pub(crate) fn require(&self, permission: Permission) -> Result<(), Problem> {
        if self.admin {
            return Ok(());
        }
        let detail = format!("{} may not {}: ask an administrator of this org", self.user, permission.what());
        Err(Problem::new(ErrorCode::NoPermission, detail))
    }
}

impl FromRequestParts<Api> for Actor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let refuse = |detail: &str| Problem::new(ErrorCode::Unauthorized, detail);
        let Some(header) = parts.headers.get(AUTHORIZATION) else {
            return Err(refuse("the request has no token: send it as the header Authorization: Bearer tl_…"));
        };
        let token = header.to_str().ok().and_then(bearer);
        let token = token.ok_or_else(|| refuse("the header Authorization has to be: Bearer tl_…"))?;
        let hash = token_hash(token);
        // Whoever holds a token was given it when it was durable: nothing has to be waited for.
        let found = api.org.peek(|state| {
            state.user_of_token(&hash).map(|(name, user)| Self { user: name.clone(), admin: user.admin })
        });
        found.ok_or_else(|| refuse("this org does not know the token: ask an administrator for one"))
    }
}

/// The token of the header; the scheme is told in any case of its letters.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_from_their_header() {
        for (header, token) in [
            ("Bearer tl_x", Some("tl_x")),
            ("bearer  tl_x ", Some("tl_x")),
            ("Basic dGw=", None),
            ("Bearer ", None),
            ("tl_x", None),
        ] {
            assert_eq!(bearer(header), token, "{header:?}");
        }
    }

    #[test]
    fn only_administrators_change_anything() {
        let actor = |admin| Actor { user: "ann".parse().unwrap(), admin };
        for permission in [
            Permission::EditRecords,
            Permission::ManageConnections,
            Permission::ManageObjects,
            Permission::ManageUsers,
            Permission::TakeBackups,
        ] {
            assert_eq!(actor(true).require(permission), Ok(()));
            let problem = actor(false).require(permission).unwrap_err();
            assert_eq!(problem.code, ErrorCode::NoPermission);
            assert!(problem.detail.starts_with("ann may not "), "{}", problem.detail);
        }
    }
}
