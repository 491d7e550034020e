//! The large parts of a state, which a clone shares until one of the two changes them.
//!
//! A change of the configuration is decided on a clone of the state (`decide::config`); with a million
//! records that clone must cost no more than the settings do.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A value that clones share. The first change of a shared one copies it, so no clone may be kept
/// where the state itself goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bulk<T>(Arc<T>);

impl<T> Deref for Bulk<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Clone> DerefMut for Bulk<T> {
    fn deref_mut(&mut self) -> &mut T {
        Arc::make_mut(&mut self.0)
    }
}

impl<T> From<T> for Bulk<T> {
    fn from(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<'a, T> IntoIterator for &'a Bulk<T>
where
    &'a T: IntoIterator,
{
    type Item = <&'a T as IntoIterator>::Item;
    type IntoIter = <&'a T as IntoIterator>::IntoIter;
    fn into_iter(self) -> Self::IntoIter {
        self.0.as_ref().into_iter()
    }
}

impl<T: Serialize> Serialize for Bulk<T> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.0.as_ref().serialize(s)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Bulk<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        T::deserialize(d).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn clones_share_until_one_of_them_changes() {
        let mut records = Bulk::from(BTreeMap::from([(1, "a"), (2, "b")]));
        fn at(bulk: &Bulk<BTreeMap<i32, &str>>) -> *const () {
            std::ptr::from_ref::<BTreeMap<i32, &str>>(bulk).cast()
        }
        let clone = records.clone();
        assert_eq!(at(&clone), at(&records), "a clone is a pointer");
        records.insert(3, "c");
        assert_ne!(at(&clone), at(&records));
        assert_eq!((clone.len(), records.len()), (2, 3));
        // Alone again, a change is made in place.
        drop(clone);
        let before = at(&records);
        records.insert(4, "d");
        assert_eq!(at(&records), before);
        assert_eq!((&records).into_iter().count(), 4);
        let bytes = rmp_serde::to_vec(&records).unwrap();
        assert_eq!(bytes, rmp_serde::to_vec(&*records).unwrap(), "it is written as what it holds");
    }
}
