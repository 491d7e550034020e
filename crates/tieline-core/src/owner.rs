//! Who owns a record: a user, or a queue until somebody takes it up.
//!
//! As text, in the log and everywhere else, an owner is the name of the user, or `queue:` and the name
//! of the queue. No user name has a colon, so the two are never mixed up, and logs from before there
//! were queues read as they did.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::SmolStr;

use crate::{InvalidId, QueueName, UserName};

/// What the text of a queue as an owner begins with.
const QUEUE: &str = "queue:";

/// Who owns a record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// A person, or the Connection User.
    User(UserName),
    /// A queue: everybody who is a member (S2S-42).
    Queue(QueueName),
}

impl Owner {
    /// The queue, if it is one.
    #[must_use]
    pub const fn queue(&self) -> Option<&QueueName> {
        match self {
            Self::User(_) => None,
            Self::Queue(queue) => Some(queue),
        }
    }

    /// The user, if it is one.
    #[must_use]
    pub const fn user(&self) -> Option<&UserName> {
        match self {
            Self::User(user) => Some(user),
            Self::Queue(_) => None,
        }
    }
}

impl From<UserName> for Owner {
    fn from(user: UserName) -> Self {
        Self::User(user)
    }
}

impl From<QueueName> for Owner {
    fn from(queue: QueueName) -> Self {
        Self::Queue(queue)
    }
}

impl PartialEq<UserName> for Owner {
    fn eq(&self, other: &UserName) -> bool {
        self.user() == Some(other)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => user.fmt(f),
            Self::Queue(queue) => write!(f, "{QUEUE}{queue}"),
        }
    }
}

impl FromStr for Owner {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        match text.strip_prefix(QUEUE) {
            Some(queue) => queue.parse().map(Self::Queue),
            None => text.parse().map(Self::User),
        }
    }
}

impl Serialize for Owner {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::User(user) => user.serialize(s),
            Self::Queue(_) => s.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Owner {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        SmolStr::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// To whom a record is to be given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssignTo {
    /// To this owner.
    Owner(Owner),
    /// To whom the assignment rules of the object name (S2S-47).
    Rules,
}

impl From<Owner> for AssignTo {
    fn from(owner: Owner) -> Self {
        Self::Owner(owner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_one_text() {
        let ann: UserName = "ann".parse().unwrap();
        let emea: QueueName = "emea".parse().unwrap();
        for (owner, text) in [(Owner::User(ann), "ann"), (Owner::Queue(emea), "queue:emea")] {
            assert_eq!((owner.to_string().as_str(), text.parse()), (text, Ok(owner.clone())));
            let bytes = rmp_serde::to_vec(&owner).unwrap();
            assert_eq!(bytes, rmp_serde::to_vec(text).unwrap());
            assert_eq!(rmp_serde::from_slice::<Owner>(&bytes).unwrap(), owner);
        }
        // Nobody can have a name that reads as a queue.
        assert!("queue:emea".parse::<UserName>().is_err());
        assert!("queue:".parse::<Owner>().is_err() && "queue:Emea".parse::<Owner>().is_err());
    }
}
