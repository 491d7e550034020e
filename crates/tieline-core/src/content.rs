//! Content: fields with their values, one stamp for all and exceptions where they differ.

use serde::{Deserialize, Serialize};

use crate::reference::Links;
use crate::stamp::Stamp;
use crate::value::Value;
use crate::vecmap::VecMap;
use crate::{FieldName, publish, reference};

/// Fields with values and stamps, as events keep them and messages carry them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Content {
    /// The values.
    pub values: VecMap<FieldName, Value>,
    /// The stamp of every value that is not an exception.
    pub stamp: Stamp,
    /// The exceptions.
    #[serde(skip_serializing_if = "VecMap::is_empty")]
    pub stamps: VecMap<FieldName, Stamp>,
}

impl Content {
    /// Values that were all written at `stamp`.
    #[must_use]
    pub const fn of(values: VecMap<FieldName, Value>, stamp: Stamp) -> Self {
        Self { values, stamp, stamps: VecMap::empty() }
    }

    /// Fields with a stamp each. The greatest stamp is taken as the common one.
    pub fn stamped(fields: impl IntoIterator<Item = (FieldName, Value, Stamp)>) -> Self {
        let fields: Vec<_> = fields.into_iter().collect();
        let mut content = Self::of(VecMap::new(), fields.iter().map(|f| f.2).max().unwrap_or_default());
        for (name, value, stamp) in fields {
            content.set(name, value, stamp);
        }
        content
    }

    /// Sets one field.
    pub fn set(&mut self, name: FieldName, value: Value, stamp: Stamp) {
        if stamp == self.stamp {
            self.stamps.remove(&name);
        } else {
            self.stamps.insert(name.clone(), stamp);
        }
        self.values.insert(name, value);
    }

    /// The stamp of `name`'s value.
    #[must_use]
    pub fn stamp_of(&self, name: &FieldName) -> Stamp {
        if self.stamps.is_empty() {
            return self.stamp;
        }
        self.stamps.get(name).copied().unwrap_or(self.stamp)
    }

    /// The fields with their stamps, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&FieldName, &Value, Stamp)> {
        self.values.iter().map(|(name, value)| (name, value, self.stamp_of(name)))
    }

    /// Whether there is no field.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The part of the content that may leave the org under `rule`, of the fields for which `meant`
    /// says yes.
    #[must_use]
    pub fn visible<'a>(
        &'a self,
        rule: Option<&publish::PublishRule>,
        meant: impl Fn(&FieldName) -> bool,
    ) -> Visible<'a> {
        let mut values = Vec::with_capacity(self.values.len());
        values.extend(self.values.iter().filter(|(name, _)| meant(name)));
        let (values, _) = publish::visible(rule, values, |(name, _)| name);
        let is_visible = |name: &FieldName| values.iter().any(|(visible, _)| *visible == name);
        let stamps = self.stamps.iter().filter(|(name, _)| is_visible(name)).collect();
        Visible { stamp: self.stamp, stamps, values }
    }

    /// With the fields of `other` that were written later, or are not here.
    #[must_use]
    pub fn absorbing(mut self, other: &Self) -> Self {
        for (name, value, stamp) in other.iter() {
            if !self.values.contains_key(name) || self.stamp_of(name) < stamp {
                self.set(name.clone(), value.clone(), stamp);
            }
        }
        self
    }
}

/// A part of a content that may leave the org, in place.
#[derive(Debug)]
pub struct Visible<'a> {
    /// The values, in the order of their names.
    pub values: Vec<(&'a FieldName, &'a Value)>,
    /// The stamp of every value that is not an exception.
    pub stamp: Stamp,
    /// The exceptions.
    pub stamps: Vec<(&'a FieldName, &'a Stamp)>,
}

impl Visible<'_> {
    /// Whether there is no field.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Whether a value names a record of this org: it is not for the partner as it stands.
    #[must_use]
    pub fn refers(&self) -> bool {
        self.values.iter().any(|(_, value)| matches!(value, Value::Reference(_)))
    }

    /// The same as a content of its own. References name the shares of their targets, by `links`.
    #[must_use]
    pub fn to_content(&self, links: &Links) -> Content {
        let outward = |name: &FieldName, value: &Value| reference::outward(name, value, links);
        let values = self.values.iter().map(|(name, value)| ((*name).clone(), outward(name, value)));
        let stamps = self.stamps.iter().map(|(name, stamp)| ((*name).clone(), **stamp));
        Content { values: values.collect(), stamp: self.stamp, stamps: stamps.collect() }
    }
}
