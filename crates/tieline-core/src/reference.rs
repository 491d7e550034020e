//! References on their way between orgs (S2S-24).
//!
//! The id of a record means nothing at a partner. On the wire a reference is the id of the share of
//! its target over that connection, which both sides know, or [`NOT_SHARED`]. The event that makes a
//! message fixes which share each reference becomes; the receiver finds its own record by the share.

use crate::value::Value;
use crate::vecmap::VecMap;
use crate::{FieldName, RecordId, ShareId};

/// The share of each reference, by the sender's field.
pub type Links = VecMap<FieldName, ShareId>;

/// Stands for a record that is not shared over the connection: nothing is told of it but that it is.
pub const NOT_SHARED: ShareId = ShareId(0);

/// A value as it leaves the org. Only a reference changes.
#[must_use]
pub fn outward(name: &FieldName, value: &Value, links: &Links) -> Value {
    match value {
        Value::Reference(_) => Value::Reference(RecordId(links.get(name).copied().unwrap_or(NOT_SHARED).0)),
        other => other.clone(),
    }
}

/// The share that an incoming reference names.
#[must_use]
pub const fn target(value: &Value) -> Option<ShareId> {
    match value {
        Value::Reference(id) => Some(ShareId(id.0)),
        _ => None,
    }
}
