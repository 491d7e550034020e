//! Which fields are carried by records that refer to them, as a contact carries the name of its account.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::account::parent_path;
use crate::schema::{FieldKind, ObjectSchema};
use crate::{FieldName, ObjectName};

/// What of an object is carried by others, and what it carries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Carried {
    /// Fields of it that records of others carry.
    pub sources: Vec<FieldName>,
    /// Its references to the records whose fields it carries.
    pub references: Vec<FieldName>,
}

/// What is carried, by object; most objects have nothing.
pub(super) fn of(objects: &BTreeMap<ObjectName, Arc<ObjectSchema>>) -> BTreeMap<ObjectName, Carried> {
    let mut out: BTreeMap<ObjectName, Carried> = BTreeMap::new();
    for object in objects.values() {
        for field in object.fields.iter().filter(|field| field.kind == FieldKind::Parent) {
            let Some((reference, source)) = parent_path(field) else { continue };
            let Some(target) = object.field(&reference).and_then(|field| field.references.clone()) else {
                continue;
            };
            let sources = &mut out.entry(target).or_default().sources;
            if !sources.contains(&source) {
                sources.push(source);
            }
            let references = &mut out.entry(object.name.clone()).or_default().references;
            if !references.contains(&reference) {
                references.push(reference);
            }
        }
    }
    out
}
