//! What changes under the feet of a subscription (S2S-31): a published field that is withdrawn, renamed,
//! or changes its type or values. It affects the field alone; both sides are told.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::mapping::{FieldMapping, Source, SubscribeRule};
use crate::message::Subscription;
use crate::publish::{CatalogueField, CatalogueObject, catalogue_object};
use crate::reason::{Reason, ReasonCode};
use crate::schema::{FieldType, ObjectSchema, compatible};
use crate::state::{Connection, State};
use crate::{FieldName, ObjectName};

/// Most picklist values that are named in one change.
const VALUES_SHOWN: usize = 50;

/// How a published field has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is not published any more.
    Removed {
        /// A new field that looks much like it: it may have been renamed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        like: Option<FieldName>,
    },
    /// It keeps other values.
    Type {
        /// Before.
        was: FieldType,
        /// Now.
        is: FieldType,
    },
    /// Its picklist has other values.
    Values {
        /// Values that are gone.
        #[serde(default)]
        removed: Vec<SmolStr>,
        /// Values that are new.
        #[serde(default)]
        added: Vec<SmolStr>,
    },
}

/// A published field that has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// The field, by the publisher's name.
    pub field: FieldName,
    /// How.
    pub change: Change,
}

impl std::fmt::Display for FieldChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let field = &self.field;
        let listed = |values: &[SmolStr]| {
            values.iter().map(|value| crate::reason::quoted(value)).collect::<Vec<_>>().join(", ")
        };
        match &self.change {
            Change::Removed { like: None } => write!(f, "{field} is not published any more"),
            Change::Removed { like: Some(like) } => {
                write!(f, "{field} is not published any more; {like} is new and much like it")
            }
            Change::Type { was, is } => write!(f, "{field} was of type {was} and is of type {is}"),
            Change::Values { removed, added } => {
                write!(f, "the list of {field} has changed")?;
                if !removed.is_empty() {
                    write!(f, ": {} gone", listed(removed))?;
                }
                if !added.is_empty() {
                    write!(f, "{} {} new", if removed.is_empty() { ":" } else { "," }, listed(added))?;
                }
                Ok(())
            }
        }
    }
}

/// A mapping that takes nothing any more, because the partner's field has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The partner's object.
    pub remote: ObjectName,
    /// The local field.
    pub local: FieldName,
    /// Why, and what to do.
    pub reason: Reason,
}

/// What has changed of the fields that `taken` says, between two states of a catalogue.
#[must_use]
pub fn changes(
    old: &CatalogueObject,
    new: Option<&CatalogueObject>,
    taken: impl Fn(&FieldName) -> bool,
) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    for was in old.fields.iter().filter(|field| taken(&field.name)) {
        let mut note = |change| changes.push(FieldChange { field: was.name.clone(), change });
        let Some(is) = new.and_then(|new| new.field(&was.name)) else {
            note(Change::Removed { like: new.and_then(|new| like(old, new, was)) });
            continue;
        };
        if was.field_type != is.field_type {
            note(Change::Type { was: was.field_type, is: is.field_type });
        }
        let missing = |from: &CatalogueField, of: &CatalogueField| -> Vec<SmolStr> {
            let gone = of.values.iter().filter(|value| !from.values.contains(value));
            gone.take(VALUES_SHOWN).cloned().collect()
        };
        let (removed, added) = (missing(is, was), missing(was, is));
        if !(removed.is_empty() && added.is_empty()) {
            note(Change::Values { removed, added });
        }
    }
    changes
}

/// The new field that one which is gone may have become: of its type, and with its label, its list or
/// much of its name.
fn like(old: &CatalogueObject, new: &CatalogueObject, gone: &CatalogueField) -> Option<FieldName> {
    let fresh = new.fields.iter().filter(|field| old.field(&field.name).is_none());
    let fresh: Vec<&CatalogueField> = fresh.filter(|field| field.field_type == gone.field_type).collect();
    let same = fresh.iter().find(|field| {
        let labelled = !field.label.is_empty() && field.label == gone.label;
        labelled || !field.values.is_empty() && field.values == gone.values
    });
    let named = || crate::suggest::nearest(gone.name.as_str(), fresh.iter(), |field| field.name.as_str());
    same.or_else(named).map(|field| field.name.clone())
}

/// What a changed object changes for the partners that take it, by connection: the publisher is told
/// before and after.
pub fn of_object<'a>(
    state: &'a State,
    schema: &'a ObjectSchema,
) -> impl Iterator<Item = (&'a Connection, Vec<FieldChange>)> {
    let known = state.object(&schema.name);
    state.connections.values().filter(|connection| connection.is_active()).filter_map(move |connection| {
        let rule = connection.publish.get(&schema.name)?;
        let taken = connection.taken.get(&schema.name)?;
        let (old, new) = (catalogue_object(known?, rule), catalogue_object(schema, rule));
        let changes = changes_taken(&old, Some(&new), taken);
        (!changes.is_empty()).then_some((connection, changes))
    })
}

/// The changes of what a partner takes.
#[must_use]
pub fn changes_taken(
    old: &CatalogueObject,
    new: Option<&CatalogueObject>,
    taken: &Subscription,
) -> Vec<FieldChange> {
    changes(old, new, |field| taken.fields.contains(field))
}

/// The mappings of a connection that take nothing now.
pub fn broken<'a>(state: &'a State, connection: &'a Connection) -> impl Iterator<Item = Broken> + 'a {
    connection.subscribe.values().flat_map(move |rule| {
        let catalogue = connection.catalogue.get(&rule.remote);
        let local = state.object(&rule.local);
        rule.fields.iter().filter_map(move |mapping| {
            let reason = why_broken(rule, mapping, catalogue, local?, connection)?;
            Some(Broken { remote: rule.remote.clone(), local: mapping.local.clone(), reason })
        })
    })
}

fn why_broken(
    rule: &SubscribeRule,
    mapping: &FieldMapping,
    catalogue: Option<&CatalogueObject>,
    local: &ObjectSchema,
    connection: &Connection,
) -> Option<Reason> {
    let because = |text: String| Some(Reason::new(ReasonCode::FieldDrifted, text).on_field(&mapping.local));
    let Some(ours) = local.field(&mapping.local) else {
        return because(format!(
            "{} has no field {} any more: add it again, or take it out of what is subscribed",
            local.name, mapping.local
        ));
    };
    match &mapping.source {
        Source::Constant(value) => {
            let fits = crate::value::cast(value, ours).and_then(|value| value.check(ours));
            let why = fits.err()?;
            because(format!("the constant of {} does not fit it any more: {}", mapping.local, why.message))
        }
        Source::Computed(_) => {
            let why = connection.computed.get(&rule.remote)?.broken(&mapping.local)?;
            because(format!("{} cannot be computed any more: {why}", mapping.local))
        }
        Source::Field(name) => {
            let Some(field) = catalogue.and_then(|object| object.field(name)) else {
                let text = format!(
                    "the partner does not publish {}.{name} any more, which {} comes from: map another field, or none",
                    rule.remote, mapping.local
                );
                return because(text);
            };
            compatible(field.field_type, ours.field_type).err().and_then(|reason| {
                because(format!(
                    "{}.{name} does not fit {} any more: {}",
                    rule.remote, mapping.local, reason.message
                ))
            })
        }
    }
}
