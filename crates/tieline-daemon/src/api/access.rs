//! Who may ask what of the API: one table for every operation of the OpenAPI document.
//!
//! An operation that is not in the table is closed to everybody, so that a new one cannot be open by
//! mistake. The table says what an operation needs as a whole; what depends on the object that a
//! request names is decided in the core for what changes something, and by `Actor::reading` for what
//! is shown.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use tieline_core::people::Permission;

/// What an operation needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nothing, not even a token.
    Open,
    /// A user; what the user may do there depends on what the request names.
    User,
    /// Manage Connections (S2S-02).
    ManageConnections,
    /// Modify All Data.
    ModifyAllData,
}

impl Access {
    /// As the document says it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::User => "user",
            Self::ManageConnections => "manage_connections",
            Self::ModifyAllData => "modify_all_data",
        }
    }

    /// The permission that a user has to have.
    pub(super) const fn permission(self) -> Option<Permission<'static>> {
        match self {
            Self::Open | Self::User => None,
            Self::ManageConnections => Some(Permission::ManageConnections),
            Self::ModifyAllData => Some(Permission::ModifyAllData),
        }
    }
}

/// Every operation, by path.
const TABLE: &[(&str, &[(&str, Access)])] = {
    use Access::{ManageConnections, ModifyAllData, Open, User};
    &[
        ("/healthz", &[("get", Open)]),
        ("/readyz", &[("get", Open)]),
        ("/metrics", &[("get", Open)]),
        ("/v1/status", &[("get", User)]),
        ("/v1/state-hash", &[("get", ModifyAllData)]),
        ("/v1/org", &[("get", User), ("patch", ModifyAllData)]),
        ("/v1/audit", &[("get", ModifyAllData)]),
        ("/v1/org/enable", &[("post", ModifyAllData)]),
        ("/v1/users", &[("get", ModifyAllData), ("post", ModifyAllData)]),
        ("/v1/users/{user}", &[("get", User), ("patch", ModifyAllData), ("delete", ModifyAllData)]),
        ("/v1/users/{user}/hand-over", &[("post", ModifyAllData)]),
        ("/v1/users/{user}/tokens", &[("get", User), ("post", ModifyAllData)]),
        ("/v1/users/{user}/tokens/{token}", &[("delete", User)]),
        ("/v1/roles", &[("get", ModifyAllData)]),
        ("/v1/roles/{role}", &[("get", User), ("put", ModifyAllData), ("delete", ModifyAllData)]),
        ("/v1/groups", &[("get", ModifyAllData)]),
        ("/v1/groups/{group}", &[("get", ModifyAllData), ("put", ModifyAllData), ("delete", ModifyAllData)]),
        ("/v1/invitations", &[("post", ManageConnections)]),
        ("/v1/invitations/inspect", &[("post", ManageConnections)]),
        ("/v1/invitations/answer", &[("post", ManageConnections)]),
        ("/v1/invitations/later", &[("post", ManageConnections)]),
        ("/v1/invitations/contacts", &[("get", ManageConnections), ("post", ManageConnections)]),
        ("/v1/invitations/saved/{id}/send", &[("post", ManageConnections)]),
        (
            "/v1/invitations/saved/{id}",
            &[("get", ManageConnections), ("patch", ManageConnections), ("delete", ManageConnections)],
        ),
        ("/v1/mail-templates", &[("get", ManageConnections)]),
        (
            "/v1/mail-templates/{name}",
            &[("get", ManageConnections), ("put", ModifyAllData), ("delete", ModifyAllData)],
        ),
        ("/v1/mail-templates/{name}/preview", &[("post", ManageConnections)]),
        ("/v1/finder", &[("get", ManageConnections), ("post", ManageConnections)]),
        ("/v1/finder/{id}/answer", &[("post", ManageConnections)]),
        ("/v1/directory", &[("get", ManageConnections)]),
        ("/v1/connections", &[("get", ManageConnections)]),
        ("/v1/connections/{c}", &[("get", ManageConnections), ("patch", ManageConnections)]),
        ("/v1/connections/{c}/revoke", &[("post", ManageConnections)]),
        ("/v1/connections/{c}/deactivate", &[("post", ManageConnections)]),
        ("/v1/connections/{c}/resume", &[("post", ManageConnections)]),
        ("/v1/connections/{c}/pause", &[("post", ManageConnections)]),
        ("/v1/connections/{c}/unpause", &[("post", ManageConnections)]),
        ("/v1/connections/{c}/reconcile", &[("post", ManageConnections)]),
        ("/v1/connections/{c}/rotate-key", &[("post", ManageConnections)]),
        ("/v1/connections/{c}/audit", &[("get", ManageConnections)]),
        ("/v1/connections/{c}/replay", &[("get", ModifyAllData)]),
        ("/v1/connections/{c}/explain", &[("get", ModifyAllData)]),
        ("/v1/connections/{c}/publish", &[("get", ManageConnections)]),
        (
            "/v1/connections/{c}/publish/{object}",
            &[("get", ManageConnections), ("put", ManageConnections), ("delete", ManageConnections)],
        ),
        ("/v1/connections/{c}/subscribe", &[("get", ManageConnections)]),
        (
            "/v1/connections/{c}/subscribe/{remote}",
            &[("get", ManageConnections), ("put", ManageConnections), ("delete", ManageConnections)],
        ),
        ("/v1/connections/{c}/suggestions", &[("get", ManageConnections)]),
        ("/v1/connections/{c}/drift", &[("get", ManageConnections)]),
        ("/v1/connections/{c}/shares", &[("get", ManageConnections)]),
        ("/v1/connections/{c}/shares/{share}/retry", &[("post", User)]),
        ("/v1/objects", &[("get", User), ("put", ModifyAllData)]),
        ("/v1/objects/{object}", &[("get", User), ("delete", ModifyAllData)]),
        ("/v1/objects/{object}/publishable", &[("get", User)]),
        ("/v1/check/object", &[("post", ModifyAllData)]),
        ("/v1/templates", &[("get", ManageConnections)]),
        (
            "/v1/templates/{template}",
            &[("get", ManageConnections), ("put", ManageConnections), ("delete", ManageConnections)],
        ),
        ("/v1/connections/{c}/template", &[("post", ManageConnections)]),
        ("/v1/check", &[("get", ManageConnections)]),
        ("/v1/config", &[("get", ModifyAllData)]),
        ("/v1/config/plan", &[("post", User)]),
        ("/v1/config/apply", &[("post", User)]),
        ("/v1/records/{object}", &[("get", User), ("post", User)]),
        ("/v1/records/{object}/{id}", &[("get", User), ("patch", User), ("delete", User)]),
        ("/v1/records/{object}/{id}/history", &[("get", User)]),
        ("/v1/records/{object}/{id}/assign", &[("post", User)]),
        ("/v1/records/{object}/{id}/tasks", &[("get", User)]),
        ("/v1/records/{object}/{id}/convert", &[("post", User)]),
        ("/v1/approvals", &[("get", User), ("post", User)]),
        ("/v1/records/{object}/{id}/field-history", &[("get", User)]),
        ("/v1/records/{object}/{id}/as-of", &[("get", User)]),
        ("/v1/records/{object}/{id}/explain", &[("get", User)]),
        ("/v1/explain/{seq}", &[("get", ModifyAllData)]),
        ("/v1/batch", &[("post", User)]),
        ("/v1/queues", &[("get", User)]),
        ("/v1/queues/{queue}", &[("get", User), ("put", ModifyAllData), ("delete", ModifyAllData)]),
        ("/v1/rules/{kind}", &[("get", User)]),
        ("/v1/rules/{kind}/{rule}", &[("get", User), ("put", ModifyAllData), ("delete", ModifyAllData)]),
        ("/v1/rules/{kind}/{rule}/try", &[("get", User)]),
        ("/v1/rules/sharing/{rule}/apply", &[("post", ManageConnections)]),
        ("/v1/rule-failures", &[("get", User)]),
        ("/v1/queues/{queue}/share", &[("post", ManageConnections)]),
        ("/v1/shares", &[("post", User)]),
        ("/v1/shares/stop", &[("post", User)]),
        ("/v1/inbox", &[("get", User)]),
        (
            "/v1/connections/{c}/subscribe/{remote}/account",
            &[("get", ManageConnections), ("put", ManageConnections), ("delete", ManageConnections)],
        ),
        (
            "/v1/connections/{c}/owners",
            &[("get", ManageConnections), ("put", ManageConnections), ("delete", ManageConnections)],
        ),
        ("/v1/connections/{c}/owners/apply", &[("post", ManageConnections)]),
        ("/v1/conversion", &[("get", User), ("put", ModifyAllData), ("delete", ModifyAllData)]),
        ("/v1/records/{object}/assign", &[("post", User)]),
        ("/v1/inbox/preview", &[("post", User)]),
        ("/v1/inbox/accept", &[("post", User)]),
        ("/v1/inbox/decline", &[("post", User)]),
        ("/v1/views", &[("get", User)]),
        ("/v1/views/{view}", &[("get", User), ("put", User), ("delete", User)]),
        ("/v1/views/{view}/records", &[("get", User)]),
        ("/v1/views/{view}/count", &[("get", User)]),
        ("/v1/inbox-views", &[("get", User)]),
        (
            "/v1/inbox-views/{view}",
            &[("get", User), ("put", ManageConnections), ("delete", ManageConnections)],
        ),
        ("/v1/inbox-views/{view}/offers", &[("get", User)]),
        ("/v1/inbox-views/{view}/count", &[("get", User)]),
        ("/v1/jobs", &[("get", User)]),
        ("/v1/failures", &[("get", ManageConnections)]),
        ("/v1/alarms", &[("get", ManageConnections)]),
        ("/v1/effects", &[("get", ManageConnections)]),
        ("/v1/effects/{effect}/retry", &[("post", ManageConnections)]),
        ("/v1/effects/{effect}", &[("delete", ManageConnections)]),
        ("/v1/webhook-secrets", &[("get", ModifyAllData), ("post", ModifyAllData)]),
        ("/v1/webhook-secrets/{name}", &[("delete", ModifyAllData)]),
        ("/v1/webhook-secrets/{name}/rotate", &[("post", ModifyAllData)]),
        ("/v1/notices", &[("get", User)]),
        ("/v1/notices/read", &[("post", User)]),
        ("/v1/notice-settings", &[("get", User), ("put", ModifyAllData)]),
        ("/v1/users/{user}/notice-settings", &[("get", User), ("put", User), ("delete", User)]),
        ("/v1/reports", &[("get", User)]),
        ("/v1/reports/{report}", &[("get", User), ("put", ModifyAllData), ("delete", ModifyAllData)]),
        ("/v1/reports/{report}/run", &[("get", User)]),
        ("/v1/changes", &[("get", User)]),
        ("/v1/changes/stream", &[("get", User)]),
        ("/v1/log", &[("get", ModifyAllData)]),
        ("/v1/log/stream", &[("get", ModifyAllData)]),
        ("/v1/log/verify", &[("get", ModifyAllData)]),
        ("/v1/log/export", &[("get", ModifyAllData)]),
    ]
};

/// What the operation `method` of `path`, as the document writes them, needs; nothing if the table
/// does not have it.
pub(crate) fn of(method: &str, path: &str) -> Option<Access> {
    static BY_PATH: LazyLock<BTreeMap<&str, &[(&str, Access)]>> =
        LazyLock::new(|| TABLE.iter().copied().collect());
    let operations = BY_PATH.get(path)?;
    operations.iter().find(|(name, _)| method.eq_ignore_ascii_case(name)).map(|(_, access)| *access)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_in_the_table_is_not_found() {
        assert_eq!(of("GET", "/v1/log"), Some(Access::ModifyAllData));
        assert_eq!(of("delete", "/v1/log"), None);
        assert_eq!(of("get", "/v1/nothing"), None);
    }

    /// The other way round is asserted beside the document.
    #[test]
    fn every_entry_is_an_operation() {
        let json: serde_json::Value = serde_json::from_str(&crate::api::document()).unwrap();
        for (path, operations) in TABLE {
            for (method, _) in *operations {
                assert!(json["paths"][path][method].is_object(), "{method} {path} is in no document");
            }
        }
    }
}
