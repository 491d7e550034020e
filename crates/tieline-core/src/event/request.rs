//! Requests that may be sent again.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;

use crate::command::Reply;
use crate::{RequestKey, UserName};

/// A command of a request with a key was done; the last event of its group. What was refused leaves
/// no such event: it had no effect, and is decided anew when it comes again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestAnswered {
    /// Whose request it is: keys of different users have nothing to do with each other.
    pub user: UserName,
    /// The key.
    pub key: RequestKey,
    /// A hash of what was asked for.
    pub fingerprint: ByteArray<16>,
    /// Which command of the request it is.
    #[serde(default)]
    pub item: u32,
    /// What was answered.
    pub reply: Reply,
}
