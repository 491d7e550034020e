//! The HTTP API.

use axum::Router;

use crate::org::OrgHandle;

/// The routes of the API.
pub fn router(_org: OrgHandle) -> Router {
    Router::new()
}
