//! Who asks, and what they may do.
//!
//! A token belongs to a user; the user is the actor of whatever the request does. Only hashes of
//! tokens are stored, and a token is never logged. What an operation needs is looked up (`access`)
//! before its handler runs: a handler that takes an [`Actor`] cannot be reached without.

use axum::extract::{FromRequestParts, MatchedPath};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use tieline_core::decide::require;
use tieline_core::people::{Permission, Rights};
use tieline_core::state::{NotAdmitted, State};
use tieline_core::{ObjectName, UserName};

use super::access::{self, Access};
use super::problem::{ErrorCode, Problem};
use super::{Api, Shared};
use crate::clock::now;
use crate::init::token_hash;

/// The user whose token came with the request.
#[derive(Debug, Clone)]
pub(crate) struct Actor {
    pub(crate) user: UserName,
    token_hash: [u8; 32],
}

/// What an actor may read, looked up once for many items.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    user: &'a UserName,
    rights: Rights<'a>,
    state: &'a State,
}

impl<'a> Reading<'a> {
    /// What a user may read.
    pub(crate) fn of(user: &'a UserName, state: &'a State) -> Self {
        Self { user, rights: state.rights(user), state }
    }

    /// Whether the actor may do something; to leave out what may not be seen.
    pub(crate) fn may(&self, permission: Permission<'_>) -> bool {
        self.rights.may(permission)
    }

    /// Refuses what may not be done.
    pub(crate) fn require(&self, permission: Permission<'_>) -> Result<(), Problem> {
        if self.may(permission) {
            return Ok(());
        }
        require(self.state, self.user, permission).map_err(Problem::from)
    }

    /// Refuses objects whose records the actor may not read.
    pub(crate) fn object(&self, object: &ObjectName) -> Result<(), Problem> {
        self.require(Permission::Read(object))
    }

    /// Refuses what concerns another user, unless the actor may do everything.
    pub(crate) fn own(&self, user: &UserName) -> Result<(), Problem> {
        if self.user == user { Ok(()) } else { self.require(Permission::ModifyAllData) }
    }
}

impl Actor {
    /// What the actor may read in this state.
    pub(crate) fn reading<'a>(&'a self, state: &'a State) -> Reading<'a> {
        Reading::of(&self.user, state)
    }

    /// Whether the token still opens an operation that needs this: for what goes on for long.
    pub(crate) fn still_may(&self, api: &Shared, permission: Permission<'_>) -> bool {
        api.org
            .peek(|state| state.admit(&self.token_hash, now()).is_ok() && state.may(&self.user, permission))
    }

    /// Whether the token still opens anything: for what goes on for long.
    pub(crate) fn still_admitted(&self, api: &Shared) -> bool {
        api.org.peek(|state| state.admit(&self.token_hash, now()).is_ok())
    }

    fn admit(api: &Api, headers: &HeaderMap, access: Access) -> Result<Self, Problem> {
        let refuse = |detail: &str| Problem::new(ErrorCode::Unauthorized, detail);
        let Some(header) = headers.get(AUTHORIZATION) else {
            return Err(refuse("the request has no token: send it as the header Authorization: Bearer tl_…"));
        };
        let token = header.to_str().ok().and_then(bearer);
        let token = token.ok_or_else(|| refuse("the header Authorization has to be: Bearer tl_…"))?;
        let token_hash = token_hash(token);
        // Whoever holds a token was given it when it was durable: nothing has to be waited for.
        api.org.peek(|state| {
            let user = state.admit(&token_hash, now()).map_err(|error| not_admitted(&error))?.clone();
            if let Some(permission) = access.permission() {
                require(state, &user, permission)?;
            }
            Ok(Self { user, token_hash })
        })
    }
}

fn not_admitted(error: &NotAdmitted) -> Problem {
    let code = match error {
        NotAdmitted::Unknown => ErrorCode::Unauthorized,
        NotAdmitted::Revoked { .. } => ErrorCode::TokenRevoked,
        NotAdmitted::Expired { .. } => ErrorCode::TokenExpired,
        NotAdmitted::Inactive(_) => ErrorCode::NotActive,
    };
    Problem::new(code, error.to_string())
}

impl FromRequestParts<Api> for Actor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        // What answers GET answers HEAD.
        let method = if parts.method == Method::HEAD { &Method::GET } else { &parts.method };
        let path = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
        let Some(access) = access::of(method.as_str(), path) else {
            tracing::error!(%method, path, "an operation is not in the table of access: it is closed");
            return Err(Problem::new(ErrorCode::NoPermission, "nobody may do this: it is not in use yet"));
        };
        Self::admit(api, &parts.headers, access)
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
    fn each_reason_has_its_code_and_all_are_401() {
        let (user, hint): (UserName, _) = ("bob".parse().unwrap(), "last".to_owned());
        let at = tieline_core::Timestamp(0);
        for (error, code) in [
            (NotAdmitted::Unknown, "unauthorized"),
            (NotAdmitted::Revoked { user: user.clone(), hint: hint.clone(), at }, "token_revoked"),
            (NotAdmitted::Expired { user: user.clone(), hint, at }, "token_expired"),
            (NotAdmitted::Inactive(user), "not_active"),
        ] {
            let problem = not_admitted(&error);
            assert_eq!((problem.code.as_str(), problem.code.status()), (code, 401), "{error}");
        }
    }

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
}
